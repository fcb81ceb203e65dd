//! `/users/me`, `/activity`, `/auth/undo`: one's own account, and every way in which it must not change.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use vestibule::accounts::User;
use vestibule::audit::Event;
use vestibule::challenges::Challenge;
use vestibule::clock::Clock;
use vestibule::factors::Factor;
use vestibule::identifiers::Identifier;
use vestibule::messages::Message;
use vestibule::policy::{FactorKind, IdentifierKind, Policy, When, operation};
use vestibule::sessions::Session;
use vestibule::store::Query;
use vestibule::undo::Undo;

use crate::factors::binds;
use crate::recovery;
use crate::world::{Answer, PASSWORD, Person, Plan, World, unlimited};

const ME: &str = "/api/v1/users/me";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn plan() -> Plan {
    World::plan().policy(unlimited)
}

/// Lets mobile numbers change, as a policy may.
pub fn mobile_may_change(policy: &mut Policy) {
    let mut rule = policy.operation.get(operation::MOBILE_CHANGE).unwrap().clone();
    rule.never = false;
    policy.operation.set(operation::MOBILE_CHANGE, rule);
}

fn fields(answer: &Json) -> Vec<(String, String)> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    let text = |one: &Json, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    errors.iter().map(|one| (text(one, "field"), text(one, "code"))).collect()
}

pub async fn change(person: &Person<'_>, body: Json) -> Answer {
    person.send("PATCH", ME, Some(("application/json", body.to_string().into_bytes()))).await
}

async fn me(person: &Person<'_>) -> Json {
    person.get(ME).await.expect(StatusCode::OK).body
}

pub async fn answers(person: &Person<'_>, challenge: &Json, code: &str) -> Answer {
    person.post("/api/v1/auth/verify-code", json!({"challenge": challenge["id"], "code": code})).await
}

pub async fn undo(person: &Person<'_>, token: &str) -> Answer {
    person.post("/api/v1/auth/undo", json!({"token": token})).await
}

/// The newest code that was mailed to `address`.
pub async fn mailed_code(world: &World, address: &str) -> String {
    world.run_due().await;
    world.last_code(address).await
}

/// The token of the link that undoes, in the newest message at `to`.
pub async fn undo_token(world: &World, to: &str) -> String {
    world.run_due().await;
    let messages = world.messages(to).await;
    let bodies = messages["items"].as_array().unwrap().iter().filter_map(|item| item["body"].as_str());
    let token = bodies.filter_map(|body| body.find("vu_").map(|from| &body[from..])).next();
    let token = token.unwrap_or_else(|| panic!("no link to undo at {to}: {messages}"));
    token.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
}

/// Somebody who is signed in and whose e-mail address is verified.
pub async fn verified(world: &World) -> Person<'_> {
    let person = world.alice().await;
    let asked =
        person.post("/api/v1/users/me/verify", json!({"kind": "email"})).await.expect(StatusCode::OK).body;
    let code = mailed_code(world, &person.email()).await;
    answers(&person, &asked, &code).await.expect(StatusCode::OK);
    assert_eq!(is_verified(&me(&person).await, "email"), Some(true));
    world.advance(SECOND);
    person
}

fn is_verified(user: &Json, kind: &str) -> Option<bool> {
    let all = user["identifiers"].as_array().unwrap();
    all.iter().find(|one| one["kind"] == kind && one["value"] == user[kind])?["verified"].as_bool()
}

pub async fn steps_up(person: &Person<'_>, operation: &str) {
    let body = json!({"operation": operation, "factor": "sms"});
    let asked = person.post("/api/v1/auth/step-up", body).await.expect(StatusCode::OK).body;
    person.world.run_due().await;
    let code = person.world.last_code(&person.mobile).await;
    answers(person, &asked, &code).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn one_changes_what_is_ones_own() {
    let world = plan().build().await;
    let alice = world.alice().await;
    let metadata = json!({"theme": "dark", "seats": [1, 2]});
    let body = json!({"username": "Ada.L", "name": " Ada ", "locale": "pt-BR", "metadata": metadata});
    let changed = change(&alice, body).await.expect(StatusCode::OK).body;
    assert!(changed.get("verification").is_none());
    let user = me(&alice).await;
    for (field, value) in [
        ("username", json!("Ada.L")),
        ("name", json!("Ada")),
        ("locale", json!("pt-BR")),
        ("metadata", metadata),
    ] {
        assert_eq!((&user[field], &changed["user"][field]), (&value, &value), "{field}");
    }
    // Another spelling is still the same name; what is left out stays; null removes.
    for (method, path) in [("PUT", ME), ("PUT", "/api/v1/users/update")] {
        let body = json!({"username": "ada.l", "name": null}).to_string().into_bytes();
        alice.send(method, path, Some(("application/json", body))).await.expect(StatusCode::OK);
        let user = me(&alice).await;
        assert_eq!((&user["username"], &user["name"]), (&json!("ada.l"), &Json::Null), "{method} {path}");
        assert_eq!(user["locale"], "pt-BR");
    }
    // The same again is no change, however the database writes numbers.
    let figures = json!({"metadata": {"unlimited": f64::MAX, "least": 5e-324, "zero": -0.0, "many": 1e16}});
    change(&alice, figures.clone()).await.expect(StatusCode::OK);
    let changed_at = me(&alice).await["updated_at"].clone();
    world.advance(Duration::from_secs(1));
    change(&alice, figures).await.expect(StatusCode::OK);
    let user = me(&alice).await;
    assert_eq!(user["metadata"]["unlimited"], json!(f64::MAX));
    assert_eq!((&user["updated_at"], changed_at.is_string()), (&changed_at, true));
    change(&alice, json!({"metadata": null, "locale": null})).await.expect(StatusCode::OK);
    let user = me(&alice).await;
    assert_eq!((&user["metadata"], &user["locale"]), (&json!({}), &Json::Null));
    // The old name is free, the new one signs in.
    let mut other = world.stranger();
    other.username.clone_from(&alice.username);
    other.signs_up().await.expect(StatusCode::CREATED);
    world.advance(SECOND);
    let login = json!({"username": "ADA.L", "password": PASSWORD});
    world.stranger().post("/api/v1/auth/login", login).await.expect(StatusCode::OK);
    let one = &alice.get("/api/v1/activity?limit=1").await.expect(StatusCode::OK).body["items"][0];
    assert_eq!(one["what"], "A code was sent to you.");
}

#[tokio::test]
async fn what_cannot_be_accepted_is_refused_field_by_field_and_changes_nothing() {
    let world = plan().build().await;
    let alice = world.alice().await;
    let before = me(&alice).await;
    let long = "x".repeat(400);
    let deep = json!({"a": {"b": {"c": {"d": {}}}}});
    for (body, field, code) in [
        (json!({"username": "a b"}), "username", None),
        (json!({"username": ""}), "username", None),
        (json!({"username": "root"}), "username", Some("reserved")),
        (json!({"username": 1}), "username", Some("wrong-type")),
        (json!({"username": null}), "username", Some("required")),
        (json!({"email": "nobody"}), "email", None),
        (json!({"email": "a@b@example.com"}), "email", None),
        (json!({"email": null}), "email", Some("required")),
        (json!({"mobile": "12"}), "mobile", None),
        (json!({"name": ""}), "name", Some("too-short")),
        (json!({"name": long}), "name", Some("too-long")),
        (json!({"name": "bell\u{7}"}), "name", Some("invalid")),
        (json!({"locale": "../../etc"}), "locale", Some("invalid")),
        (json!({"metadata": [1]}), "metadata", Some("wrong-type")),
        (json!({"metadata": "text"}), "metadata", Some("wrong-type")),
        (json!({"metadata": {"a": "x".repeat(5_000)}}), "metadata", Some("too-large")),
        (json!({"metadata": deep}), "metadata", Some("too-deep")),
        (json!({"metadata": {"a": "nul\0"}}), "metadata", Some("invalid")),
        (json!({"metadata": {"nul\0": 1}}), "metadata", Some("invalid")),
    ] {
        let answer = change(&alice, body.clone()).await.problem(422, "invalid").body;
        let told = fields(&answer);
        assert!(
            told.iter().any(|(name, why)| name == field && code.is_none_or(|code| code == why)),
            "{body}: {told:?}"
        );
    }
    let answer = change(&alice, json!({"metadata": {"a": {"b": {"c": {"d": []}}}}})).await;
    assert!(answer.body["errors"][0]["message"].as_str().unwrap().contains("4 levels"), "{}", answer.body);
    let answer = change(&alice, json!({"mobile": "+12025550199"})).await.problem(422, "immutable-field");
    assert_eq!(fields(&answer.body), [("mobile".to_owned(), "immutable".to_owned())]);
    change(&alice, json!({"mobile": null})).await.problem(422, "immutable-field");
    // With something that may change, nothing changes all the same.
    change(&alice, json!({"name": "X", "mobile": "+12025550199"})).await.problem(422, "immutable-field");
    change(&alice, json!([])).await.problem(422, "invalid");
    alice.send("PATCH", ME, Some(("application/json", b"{".to_vec()))).await.problem(400, "malformed-body");
    alice
        .send("PATCH", ME, Some(("text/plain", b"{}".to_vec())))
        .await
        .problem(415, "unsupported-media-type");
    for kind in ["username", "postbox", ""] {
        alice.post("/api/v1/users/me/verify", json!({"kind": kind})).await.problem(422, "invalid");
    }
    alice.post("/api/v1/users/me/verify", json!({"kind": "mobile"})).await.problem(422, "invalid");
    // What is the same needs nothing and does nothing, even where it may never change.
    let same = json!({"username": before["username"], "email": before["email"], "mobile": before["mobile"]});
    change(&alice, same).await.expect(StatusCode::OK);
    change(&alice, json!({})).await.expect(StatusCode::OK);
    assert_eq!(me(&alice).await, before);
    for path in ["/api/v1/activity?after=x", "/api/v1/activity?limit=0", "/api/v1/activity?limit=201"] {
        alice.get(path).await.problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn t30_what_is_not_the_callers_to_write_is_refused() {
    let world = plan().build().await;
    let alice = world.alice().await;
    let before = me(&alice).await;
    for (field, value) in [
        ("id", json!("00000000-0000-7000-8000-000000000000")),
        ("roles", json!(["admin"])),
        ("status", json!("active")),
        ("verified", json!(true)),
        ("email_verified", json!(true)),
        ("verified_at", json!("2030-01-01T00:00:00Z")),
        ("identifiers", json!([{"kind": "email", "value": "a@example.com", "verified": true}])),
        ("factors", json!([])),
        ("password", json!("another password entirely")),
        ("wants_second_factor", json!(false)),
        ("sessions_from", json!("2030-01-01T00:00:00Z")),
        ("purge_at", json!(null)),
        ("created_at", json!("2030-01-01T00:00:00Z")),
        ("updated_at", json!("2030-01-01T00:00:00Z")),
    ] {
        let answer = change(&alice, json!({ field: value, "name": "X" })).await.problem(422, "invalid").body;
        assert_eq!(fields(&answer), [(field.to_owned(), "unknown".to_owned())]);
    }
    assert_eq!(me(&alice).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_username_goes_to_one_and_a_look_alike_to_nobody() {
    let world = plan().build().await;
    let owner = world.alice().await;
    change(&owner, json!({"username": "paypal"})).await.expect(StatusCode::OK);
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(world.alice().await);
    }
    let answer = change(&others[0], json!({"username": "paypa1"})).await.problem(409, "identifier-taken");
    assert_eq!(fields(&answer.body), [("username".to_owned(), "taken".to_owned())]);
    let tries = others.iter().map(|person| change(person, json!({"username": "wanted", "name": "W"})));
    let answers = join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
    for lost in answers.into_iter().filter(|answer| answer.status != StatusCode::OK) {
        lost.problem(409, "identifier-taken");
    }
    let mut named = 0;
    for person in &others {
        let user = me(person).await;
        assert_eq!(user["username"] == "wanted", user["name"] == "W", "both or neither");
        named += u32::from(user["username"] == "wanted");
    }
    assert_eq!(named, 1);
}

#[tokio::test]
async fn an_address_changes_by_the_code_at_the_new_one_and_the_old_one_can_take_it_back() {
    let offers = |policy: &mut Policy| policy.sign_in.second.factors.push(FactorKind::Email);
    let world = plan().policy(offers).build().await;
    let alice = verified(&world).await;
    let old = alice.email();
    let asked = change(&alice, json!({"email": "New@Example.org"})).await.expect(StatusCode::OK).body;
    assert_eq!(asked["user"]["email"], json!(old), "nothing has changed yet");
    let challenge = &asked["verification"];
    assert_eq!((&challenge["purpose"], &challenge["factor"]), (&json!("verify"), &json!("email")));
    assert_eq!(challenge["sent_to"], "N•••@Example.org");
    let announced = undo_token(&world, &old).await;
    let mail = world.last_mail("New@Example.org").await;
    assert!(mail["body"].as_str().unwrap().contains(challenge["id"].as_str().unwrap()), "the link: {mail}");
    // Looking at a link changes nothing.
    alice.get(&format!("/undo?token={announced}")).await.expect(StatusCode::OK);
    alice.get(&format!("/api/v1/auth/undo?token={announced}")).await.problem(405, "method-not-allowed");
    assert_eq!(me(&alice).await["email"], json!(old));
    let code = mail["code"].as_str().unwrap().to_owned();
    // The code is the credential: it may be typed where nobody is signed in.
    answers(&world.stranger(), challenge, &code).await.expect(StatusCode::OK);
    let user = me(&alice).await;
    assert_eq!((&user["email"], is_verified(&user, "email")), (&json!("New@Example.org"), Some(true)));
    assert_eq!(user["identifiers"].as_array().unwrap().len(), 3, "{user}");
    let reaching = user["factors"].as_array().unwrap().iter().filter(|one| one["kind"] == "email").count();
    assert_eq!(reaching, 1, "the factor reaches the new address");
    answers(&alice, challenge, &code).await.problem(401, "code-gone");
    let login = json!({"email": old, "password": PASSWORD});
    alice.post("/api/v1/auth/login", login).await.problem(401, "credentials-wrong");

    world.advance(SECOND);
    let told = undo_token(&world, &old).await;
    assert_ne!(told, announced, "the old address is told of the change as well");
    let undone = undo(&world.stranger(), &announced).await.expect(StatusCode::OK).body;
    assert_eq!(undone, json!({"status": "undone", "what": "change"}));
    assert!(!alice.is_signed_in().await, "every session has ended");
    let mut again = alice.clone();
    world.advance(SECOND);
    again.signs_in().await;
    let user = me(&again).await;
    assert_eq!((&user["email"], is_verified(&user, "email")), (&json!(old), Some(true)));
    assert_eq!(user["identifiers"].as_array().unwrap().len(), 3, "{user}");
    for token in [&announced, &told] {
        undo(&again, token).await.problem(401, "code-gone");
    }
}

/// The factor is the same; what reached the old address says nothing of the new one.
#[tokio::test]
async fn a_code_that_went_to_the_address_of_before_opens_nothing() {
    let offers = |policy: &mut Policy| policy.sign_in.second.factors.push(FactorKind::Email);
    let world = plan().policy(offers).build().await;
    let alice = verified(&world).await;
    let login = json!({"identifier": alice.username, "password": PASSWORD, "factor": "email"});
    let asked =
        alice.post("/api/v1/auth/login", login).await.expect(StatusCode::OK).body["challenge"].clone();
    let code = mailed_code(&world, &alice.email()).await;
    world.advance(SECOND);
    let moved = change(&alice, json!({"email": "new@example.org"})).await.expect(StatusCode::OK).body;
    let shown = mailed_code(&world, "new@example.org").await;
    answers(&alice, &moved["verification"], &shown).await.expect(StatusCode::OK);
    answers(&alice, &asked, &code).await.problem(401, "code-gone");
}

/// An address that was a mistake is somebody's: who reads there gets no account by it.
#[tokio::test]
async fn what_was_asked_for_by_mistake_is_taken_back_by_what_stands() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    world.advance(Duration::from_secs(200));
    let asked = change(&alice, json!({"email": "wrong@example.org"})).await.expect(StatusCode::OK).body;
    let code = mailed_code(&world, "wrong@example.org").await;
    assert_eq!(me(&alice).await["identifiers"].as_array().unwrap().len(), 4);
    // The proof is stale by now, and the code is not.
    world.advance(Duration::from_secs(200));
    let back = change(&alice, json!({"email": alice.email()})).await.expect(StatusCode::OK).body;
    assert_eq!((&back["user"]["email"], &back["verifications"]), (&json!(alice.email()), &json!([])));
    assert_eq!(me(&alice).await["identifiers"].as_array().unwrap().len(), 3);
    answers(&world.stranger(), &asked["verification"], &code).await.problem(401, "code-gone");
    // Nor is anything left to take back, or done twice.
    change(&alice, json!({"email": alice.email()})).await.expect(StatusCode::OK);
    assert_eq!(is_verified(&me(&alice).await, "email"), Some(true));
}

/// Nothing is sent where no answer would count.
#[tokio::test]
async fn an_address_that_was_guessed_at_too_often_gets_no_further_codes() {
    let few = |policy: &mut Policy| policy.limits.factor_failures = 2;
    let world = plan().policy(few).build().await;
    let alice = world.alice().await;
    let asks = async || alice.post("/api/v1/users/me/verify", json!({"kind": "email"})).await;
    let asked = asks().await.expect(StatusCode::OK).body;
    world.advance(Duration::from_secs(60));
    let other = asks().await.expect(StatusCode::OK).body;
    world.advance(Duration::from_secs(60));
    for _ in 0..2 {
        answers(&alice, &asked, "1").await.problem(401, "code-wrong");
    }
    let sent = async || {
        world.run_due().await;
        let all = world.messages(&alice.email()).await["items"].as_array().unwrap().clone();
        all.iter().filter(|one| one["code"].is_string()).count()
    };
    let before = sent().await;
    asks().await.problem(403, "factor-locked");
    // Nor does one that was asked before.
    let again = json!({"challenge": other["id"]});
    alice.post("/api/v1/auth/resend-code", again).await.problem(403, "factor-locked");
    assert_eq!(sent().await, before);
}

/// Both are told, and only where it was before there is something to take it back with: the new one may be a thief's.
#[tokio::test]
async fn the_link_that_takes_a_change_back_goes_to_the_old_address_alone() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    let asked = change(&alice, json!({"email": "new@example.org"})).await.expect(StatusCode::OK).body;
    let code = mailed_code(&world, "new@example.org").await;
    world.advance(SECOND);
    answers(&alice, &asked["verification"], &code).await.expect(StatusCode::OK);
    world.run_due().await;
    let [old, new] = [world.last_mail(&alice.email()).await, world.last_mail("new@example.org").await];
    assert_eq!(old["subject"], new["subject"]);
    let offers = |mail: &Json| mail["source"].as_str().unwrap().contains("vu_");
    assert_eq!((offers(&old), offers(&new)), (true, false), "{new}");
}

/// A number goes, since there is an app; meanwhile the app goes, since there is a number.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_factor_does_not_go_by_two_requests_at_once() {
    let world = plan()
        .policy(mobile_may_change)
        .policy(|policy| policy.sign_up.required = vec![IdentifierKind::Username])
        .build()
        .await;
    let alice = world.alice().await;
    let app = binds(&alice).await;
    let gone = format!(
        "DELETE FROM factors WHERE id = '{}';
         UPDATE users SET revision = revision + 1 WHERE id IN (SELECT user_id FROM factors)",
        app.id
    );
    let answer = alice.waits_while(change(&alice, json!({"mobile": null})), &gone).await;
    assert_eq!(fields(&answer.problem(422, "invalid").body), [("mobile".to_owned(), "in-use".to_owned())]);
    assert_eq!(me(&alice).await["mobile"], json!(alice.mobile));
}

/// An address and a number go, since there is a username; meanwhile that goes, since there are those.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_name_does_not_go_by_two_requests_at_once() {
    let world =
        plan().policy(mobile_may_change).policy(|policy| policy.sign_up.required = Vec::new()).build().await;
    let alice = world.alice().await;
    binds(&alice).await;
    let gone = "DELETE FROM identifiers WHERE kind = 'username';
         UPDATE users SET revision = revision + 1";
    let answer = alice.waits_while(change(&alice, json!({"email": null, "mobile": null})), gone).await;
    let last = ["email", "mobile"].map(|kind| (kind.to_owned(), "last".to_owned()));
    assert_eq!(fields(&answer.problem(422, "invalid").body), last);
    assert_eq!(me(&alice).await["mobile"], json!(alice.mobile));
}

#[tokio::test]
async fn whoever_took_an_account_over_cannot_keep_its_address() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    let old = alice.email();
    let mut links = Vec::new();
    let mut held = old.clone();
    for address in ["thief1@example.org", "thief2@example.org"] {
        world.advance(SECOND);
        let asked = change(&alice, json!({"email": address})).await.expect(StatusCode::OK).body;
        let code = mailed_code(&world, address).await;
        answers(&alice, &asked["verification"], &code).await.expect(StatusCode::OK);
        links.push(undo_token(&world, &held).await);
        held = address.to_owned();
    }
    // The thief also asks for a third, and deletes the account.
    world.advance(SECOND);
    let third = change(&alice, json!({"email": "thief3@example.org"})).await.expect(StatusCode::OK).body;
    let third_code = mailed_code(&world, "thief3@example.org").await;
    alice.delete(ME).await.expect(StatusCode::NO_CONTENT);
    world.advance(DAY);
    undo(&world.stranger(), &links[0]).await.expect(StatusCode::OK);
    answers(&alice, &third["verification"], &third_code).await.problem(401, "code-gone");
    // The newer link, which came to the thief, went with it.
    undo(&world.stranger(), &links[1]).await.problem(401, "code-gone");
    let mut owner = alice.clone();
    world.advance(SECOND);
    owner.signs_in().await;
    assert_eq!(me(&owner).await["email"], json!(old));
}

/// A second factor is there for those who have one, an address may be one and may go, and what a session asks for
/// needs no further proof.
pub fn chosen_by_its_owner(policy: &mut Policy) {
    let second = &mut policy.sign_in.second;
    second.when = When::WhenEnrolled;
    second.factors.push(FactorKind::Email);
    policy.sign_up.required = vec![IdentifierKind::Username];
    for name in [operation::EMAIL_CHANGE, operation::PASSWORD_CHANGE] {
        let mut rule = policy.operation.get(name).unwrap().clone();
        (rule.proof.any, rule.proof.highest) = (Vec::new(), false);
        policy.operation.set(name, rule);
    }
}

/// Somebody signed in by password alone whose address is known to be theirs.
pub async fn by_password(world: &World) -> Person<'_> {
    let mut person = world.member().await;
    recovery::shows_email(&person).await;
    let done = recovery::logs_in(&person, PASSWORD).await.expect(StatusCode::OK).body;
    person.token = done["token"].as_str().map(str::to_owned);
    world.advance(SECOND);
    person
}

/// Makes this address the account's: the token that takes it back.
pub async fn moves_to(person: &Person<'_>, address: &str) -> String {
    let asked = change(person, json!({"email": address})).await.expect(StatusCode::OK).body;
    let code = mailed_code(person.world, address).await;
    answers(person, &asked["verification"], &code).await.expect(StatusCode::OK);
    let token = undo_token(person.world, &person.email()).await;
    person.world.advance(SECOND);
    token
}

/// What a thief does after it is told at the thief's own address alone.
#[tokio::test]
async fn what_was_done_under_a_stolen_address_is_taken_back_with_it() {
    let world = plan().policy(chosen_by_its_owner).build().await;
    let alice = by_password(&world).await;
    let id = crate::administration::id_of(&alice).await;
    let link = moves_to(&alice, "thief@example.org").await;
    let new = json!({"current_password": PASSWORD, "new_password": recovery::NEW});
    recovery::sets(&alice, new).await.expect(StatusCode::NO_CONTENT);
    binds(&alice).await;
    undo(&world.stranger(), &link).await.expect(StatusCode::OK);
    let factors = vestibule::factors::of_user(&world.ctx(), id).await.unwrap();
    assert!(factors.iter().all(|factor| factor.kind != FactorKind::Totp));
    for password in [PASSWORD, recovery::NEW] {
        recovery::logs_in(&alice, password).await.problem(401, "credentials-wrong");
    }
    // Whoever holds the address gets in again, and nobody else.
    let proof = json!({
        "challenge": recovery::begins(&alice, &alice.email()).await,
        "code": recovery::mailed(&alice).await,
    });
    let proved = alice.post("/api/v1/auth/recover/verify", proof).await.expect(StatusCode::OK).body;
    assert!(proved.get("second_factor").is_none(), "{proved}");
    let new = json!({"recovery_token": proved["recovery_token"], "new_password": "nine grey gulls at noon"});
    recovery::sets(&alice, new).await.expect(StatusCode::OK);
}

/// An address that is put back is as good a second factor as it was.
#[tokio::test]
async fn an_address_that_is_taken_back_asks_for_a_code_again() {
    let few = |policy: &mut Policy| policy.limits.factor_failures = 2;
    for is_removed in [false, true] {
        let world = plan().policy(chosen_by_its_owner).policy(few).build().await;
        let alice = by_password(&world).await;
        alice.post("/api/v1/factors", json!({"kind": "email"})).await.expect(StatusCode::OK);
        world.run_due().await;
        world.advance(SECOND);
        let link = if is_removed {
            change(&alice, json!({"email": null})).await.expect(StatusCode::OK);
            undo_token(&world, &alice.email()).await
        } else {
            let link = moves_to(&alice, "thief@example.org").await;
            // Whoever guesses there keeps nobody from the address of before.
            let asked = recovery::logs_in(&alice, PASSWORD).await.expect(StatusCode::OK).body;
            for _ in 0..2 {
                answers(&alice, &asked["challenge"], "1").await.problem(401, "code-wrong");
            }
            recovery::logs_in(&alice, PASSWORD).await.problem(403, "factor-locked");
            link
        };
        undo(&world.stranger(), &link).await.expect(StatusCode::OK);
        world.advance(MINUTE);
        let asked = recovery::logs_in(&alice, PASSWORD).await.expect(StatusCode::OK).body;
        assert_eq!(asked["status"], "second_factor_required", "{is_removed}: {asked}");
        let code = mailed_code(&world, &alice.email()).await;
        answers(&alice, &asked["challenge"], &code).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn t28_each_code_confirms_its_own_address_and_the_first_ends_the_others() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    let (one, other) = tokio::join!(
        change(&alice, json!({"email": "one@example.org"})),
        change(&alice, json!({"email": "other@example.org"})),
    );
    let one = one.expect(StatusCode::OK).body["verification"].clone();
    let other = other.expect(StatusCode::OK).body["verification"].clone();
    let (one_code, other_code) =
        (mailed_code(&world, "one@example.org").await, mailed_code(&world, "other@example.org").await);
    assert_ne!(one_code, other_code);
    answers(&alice, &one, &other_code).await.problem(401, "code-wrong");
    answers(&alice, &other, &one_code).await.problem(401, "code-wrong");
    assert_eq!(me(&alice).await["email"], json!(alice.email()));
    answers(&alice, &other, &other_code).await.expect(StatusCode::OK);
    assert_eq!(me(&alice).await["email"], "other@example.org");
    // The code of an old mail.
    answers(&alice, &one, &one_code).await.problem(401, "code-gone");
    let resend = json!({"challenge": one["id"]});
    world.advance(MINUTE);
    alice.post("/api/v1/auth/resend-code", resend).await.problem(401, "code-gone");
    let user = me(&alice).await;
    assert_eq!((&user["email"], is_verified(&user, "email")), (&json!("other@example.org"), Some(true)));
    assert_eq!(user["identifiers"].as_array().unwrap().len(), 3, "{user}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t28_of_many_uses_of_one_code_exactly_one_counts() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    let asked = change(&alice, json!({"email": "new@example.org"})).await.expect(StatusCode::OK).body;
    let code = mailed_code(&world, "new@example.org").await;
    let announced = undo_token(&world, &alice.email()).await;
    let uses = join_all((0..64).map(|_| answers(&alice, &asked["verification"], &code))).await;
    assert_eq!(uses.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
    for lost in uses.into_iter().filter(|answer| answer.status != StatusCode::OK) {
        lost.problem(401, "code-gone");
    }
    assert_eq!(me(&alice).await["email"], "new@example.org");
    let uses = join_all((0..64).map(|_| undo(&alice, &announced))).await;
    assert_eq!(uses.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
    for lost in uses.into_iter().filter(|answer| answer.status != StatusCode::OK) {
        lost.problem(401, "code-gone");
    }
    assert_eq!(world.count::<Undo>(Undo::BY_USER).await, 0);
}

#[tokio::test]
async fn t25_a_taken_address_looks_like_a_free_one_and_its_owner_is_told() {
    let world = plan().build().await;
    let owner = verified(&world).await;
    let alice = verified(&world).await;
    let taken = change(&alice, json!({"email": owner.email().to_uppercase()})).await.expect(StatusCode::OK);
    let free = change(&alice, json!({"email": "free@example.com"})).await.expect(StatusCode::OK);
    let keys = |answer: &Answer| {
        let challenge = answer.body["verification"].as_object().unwrap();
        challenge.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&taken), keys(&free));
    for key in ["purpose", "factor", "expires_at", "resend_after", "attempts_left", "alternatives"] {
        assert_eq!(taken.body["verification"][key], free.body["verification"][key], "{key}");
    }
    let told = |mail: &Json| mail["subject"].as_str().unwrap_or_default().to_owned();
    world.run_due().await;
    let mail = world.last_mail(&owner.email()).await;
    assert_eq!(told(&mail), "You already have an account");
    assert!(mail["code"].is_null(), "{mail}");
    // Asking for the code again sends the same.
    world.advance(MINUTE);
    let again = json!({"challenge": taken.body["verification"]["id"]});
    alice.post("/api/v1/auth/resend-code", again).await.expect(StatusCode::OK);
    world.run_due().await;
    let mail = world.last_mail(&owner.email()).await;
    assert!(told(&mail) == "You already have an account" && mail["code"].is_null(), "{mail}");
    // At sign-up it is the same.
    let thief = world.stranger();
    let mut account = thief.account();
    account["email"] = json!(owner.email());
    let made = thief.post("/api/v1/users", account).await.expect(StatusCode::CREATED).body;
    assert_eq!(made["verifications"].as_array().unwrap().len(), 2);
    assert_eq!(made["verifications"][1]["factor"], "email");
    world.run_due().await;
    assert!(world.last_mail(&owner.email()).await["code"].is_null());
    assert_eq!(me(&owner).await["email"], json!(owner.email()));
}

/// The JSON without what differs from one person and one moment to the next.
fn masked(json: &Json) -> Json {
    match json {
        Json::Array(items) => {
            // What happened at the same moment is told in any order.
            let mut items: Vec<_> = items.iter().map(masked).collect();
            items.sort_by_key(Json::to_string);
            items.into()
        }
        Json::Object(fields) => fields.iter().map(|(name, one)| (name.clone(), masked(one))).collect(),
        // The provider's word comes by itself.
        Json::String(text) if ["accepted", "delivered"].contains(&text.as_str()) => "sent".into(),
        Json::String(text) if text.parse::<uuid::Uuid>().is_ok() => "an id".into(),
        Json::String(text) if text.parse::<vestibule::clock::Timestamp>().is_ok() => "an instant".into(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn t25_what_is_ones_own_to_read_does_not_tell_whose_an_address_is() {
    let world = plan().build().await;
    let (first, second) = (verified(&world).await, verified(&world).await);
    let taken = [first.email(), second.email()];
    let free = ["free@example.com".to_owned(), "other@example.com".to_owned()];
    let mut read = Vec::new();
    for [address, next] in [taken, free] {
        let mut person = world.stranger();
        let mut account = person.account();
        account["email"] = json!(address);
        let made = person.post("/api/v1/users", account).await.expect(StatusCode::CREATED).body;
        person.signs_in().await;
        world.advance(MINUTE);
        let again = json!({"challenge": made["verifications"][1]["id"]});
        person.post("/api/v1/auth/resend-code", again).await.expect(StatusCode::OK);
        world.run_due().await;
        person.post("/api/v1/users/me/verify", json!({"kind": "email"})).await.expect(StatusCode::OK);
        world.run_due().await;
        change(&person, json!({"email": next})).await.expect(StatusCode::OK);
        world.run_due().await;
        // This time no mail goes out before the code is of no use.
        world.advance(MINUTE);
        person.post("/api/v1/users/me/verify", json!({"kind": "email"})).await.expect(StatusCode::OK);
        world.advance(MINUTE * 30);
        world.run_due().await;
        steps_up(&person, operation::EXPORT).await;
        let export = person.get("/api/v1/users/me/export").await.expect(StatusCode::OK).body;
        let activity = person.get("/api/v1/activity?limit=200").await.expect(StatusCode::OK).body;
        let mut text = masked(&json!({"export": export, "activity": activity["items"]})).to_string();
        let ip = person.ip.to_string();
        for (own, mask) in [(&address, "an address"), (&next, "another"), (&ip, "an ip")] {
            text = text.replace(own.as_str(), mask);
        }
        text = text.replace(&person.mobile, "a number").replace(&person.username, "a name");
        let shown: Json = serde_json::from_str(&text).unwrap();
        assert!(shown.to_string().contains("an address"), "{shown}");
        read.push(shown);
    }
    for (part, of_taken) in read[0]["export"].as_object().unwrap() {
        assert_eq!(of_taken, &read[1]["export"][part], "{part}");
    }
    assert_eq!(read[0]["activity"], read[1]["activity"]);
}

#[tokio::test]
async fn where_a_policy_says_so_a_number_changes_and_its_factor_goes_with_it() {
    let world = plan().policy(mobile_may_change).build().await;
    let alice = verified(&world).await;
    let (old, new) = (alice.mobile.clone(), "+12025550188".to_owned());
    world.advance(MINUTE * 6);
    change(&alice, json!({"mobile": new})).await.problem(403, "step-up-required");
    steps_up(&alice, operation::MOBILE_CHANGE).await;
    let asked = change(&alice, json!({"mobile": new})).await.expect(StatusCode::OK).body;
    assert_eq!(asked["user"]["mobile"], json!(old));
    world.run_due().await;
    let code = world.last_code(&new).await;
    world.advance(SECOND);
    answers(&alice, &asked["verification"], &code).await.expect(StatusCode::OK);
    assert_eq!(me(&alice).await["mobile"], json!(new));
    world.run_due().await;
    undo_token(&world, &old).await;
    let mut moved = alice.clone();
    moved.mobile.clone_from(&new);
    world.advance(MINUTE);
    moved.signs_in().await;
    let login = json!({"mobile": old, "password": PASSWORD});
    alice.post("/api/v1/auth/login", login).await.problem(401, "credentials-wrong");
    // And back, for whoever holds the old number.
    let token = undo_token(&world, &old).await;
    undo(&world.stranger(), &token).await.expect(StatusCode::OK);
    assert!(!moved.is_signed_in().await);
    let mut back = alice.clone();
    world.advance(SECOND);
    back.signs_in().await;
    assert_eq!(me(&back).await["mobile"], json!(old));
    // Without a number nobody could sign in here.
    let plain = plan().policy(mobile_may_change).policy(|policy| {
        policy.sign_up.required = vec![IdentifierKind::Username];
    });
    let world = plain.build().await;
    let alice = verified(&world).await;
    let answer = change(&alice, json!({"mobile": null})).await.problem(422, "invalid").body;
    assert_eq!(fields(&answer), [("mobile".to_owned(), "in-use".to_owned())]);
    // An address may go, and comes back by its link.
    change(&alice, json!({"email": null})).await.expect(StatusCode::OK);
    assert_eq!(me(&alice).await["email"], Json::Null);
    let token = undo_token(&world, &alice.email()).await;
    undo(&alice, &token).await.expect(StatusCode::OK);
    let mut back = alice.clone();
    world.advance(SECOND);
    back.signs_in().await;
    let user = me(&back).await;
    assert_eq!((&user["email"], is_verified(&user, "email")), (&json!(alice.email()), Some(true)));
}

#[tokio::test]
async fn all_that_is_held_is_exported_some_times_an_hour() {
    let world = World::plan().policy(|policy| policy.limits.export_user.limit = 2).build().await;
    let alice = verified(&world).await;
    let path = "/api/v1/users/me/export";
    alice.get(path).await.expect(StatusCode::OK);
    alice.get(path).await.expect(StatusCode::OK);
    let answer = alice.get(path).await.problem(429, "limit-reached");
    assert_eq!(answer.body["limit"], "export-user");
}

#[tokio::test]
async fn a_proof_counts_by_its_kind_its_age_its_session_and_its_operation() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    let mut elsewhere = alice.clone();
    elsewhere.signs_in().await;
    let email = json!({"email": "new@example.org"});
    // As old as it may be, and a moment older.
    world.advance(MINUTE * 6);
    for (method, path, body) in [
        ("PATCH", ME, email.clone()),
        ("PATCH", ME, json!({"email": "new@example.org", "name": "X"})),
        ("DELETE", ME, json!({})),
        ("GET", "/api/v1/users/me/export", json!({})),
    ] {
        let body = (method != "GET").then(|| ("application/json", body.to_string().into_bytes()));
        let answer = alice.send(method, path, body).await.problem(403, "step-up-required").body;
        assert_eq!(answer["need"]["max_age"], 300, "{answer}");
    }
    assert_eq!(me(&alice).await["name"], Json::Null, "what needs no proof waits for what does");
    // Of another operation.
    steps_up(&alice, operation::EXPORT).await;
    alice.get("/api/v1/users/me/export").await.expect(StatusCode::OK);
    change(&alice, email.clone()).await.problem(403, "step-up-required");
    // Of the wrong kind: a password, where a code is asked for.
    let body = json!({"operation": operation::EMAIL_CHANGE, "password": PASSWORD});
    alice.post("/api/v1/auth/step-up", body).await.problem(403, "step-up-required");
    change(&alice, email.clone()).await.problem(403, "step-up-required");
    // Of another session.
    world.advance(MINUTE);
    steps_up(&elsewhere, operation::EMAIL_CHANGE).await;
    change(&alice, email.clone()).await.problem(403, "step-up-required");
    change(&elsewhere, email.clone()).await.expect(StatusCode::OK);
    // Of what belongs to others there is nothing to see.
    let stranger = world.alice().await;
    let sessions = alice.get("/api/v1/sessions").await.expect(StatusCode::OK).body;
    let id = sessions["items"][0]["id"].as_str().unwrap().to_owned();
    stranger.delete(&format!("/api/v1/sessions/{id}")).await.problem(404, "not-found");
    stranger.get("/api/v1/users/00000000-0000-7000-8000-000000000000").await.problem(404, "not-found");
}

#[tokio::test]
async fn a_deleted_account_is_unknown_and_can_be_brought_back_for_a_while() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    let mut elsewhere = alice.clone();
    elsewhere.signs_in().await;
    let pending = alice.gives_password().await.expect(StatusCode::OK).body;
    world.run_due().await;
    let code = world.last_code(&alice.mobile).await;
    let gone = alice.delete(ME).await.expect(StatusCode::NO_CONTENT);
    assert!(gone.bytes.is_empty());
    for person in [&alice, &elsewhere] {
        assert!(!person.is_signed_in().await);
        person.get(ME).await.problem(401, "unauthenticated");
    }
    answers(&alice, &pending["challenge"], &code).await.problem(401, "code-gone");
    let nobody = world.stranger();
    let mut told = Vec::new();
    for who in [&nobody.username, &alice.username, &alice.email(), &alice.mobile] {
        let login = json!({"identifier": who, "password": PASSWORD});
        let answer = nobody.post("/api/v1/auth/login", login).await.problem(401, "credentials-wrong");
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        told.push(String::from_utf8(answer.bytes).unwrap().replace(&id, "ID"));
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:#?}");
    // What it owned is still owned.
    let mut thief = world.stranger();
    thief.username.clone_from(&alice.username);
    thief.signs_up().await.problem(409, "identifier-taken");

    let token = undo_token(&world, &alice.email()).await;
    world.advance(DAY * 30 - SECOND);
    let uses = join_all((0..64).map(|_| undo(&nobody, &token))).await;
    assert_eq!(uses.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
    let mut back = alice.clone();
    world.advance(SECOND);
    back.signs_in().await;
    assert_eq!(me(&back).await["email"], json!(alice.email()));
    world.advance(DAY);
    assert_eq!(vestibule::profile::purge_due(&world.ctx()).await.unwrap(), 0);
}

#[tokio::test]
async fn an_address_that_is_somebody_elses_by_now_is_not_taken_back() {
    let world = plan().build().await;
    let (alice, bob) = (verified(&world).await, verified(&world).await);
    let moves = async |person: &Person<'_>, address: &str| {
        world.advance(SECOND);
        let asked = change(person, json!({"email": address})).await.expect(StatusCode::OK).body;
        let code = mailed_code(&world, address).await;
        answers(person, &asked["verification"], &code).await.expect(StatusCode::OK);
    };
    moves(&alice, "new@example.org").await;
    let link = undo_token(&world, &alice.email()).await;
    moves(&bob, &alice.email()).await;
    undo(&world.stranger(), &link).await.problem(409, "identifier-taken");
    assert_eq!(me(&alice).await["email"], "new@example.org");
    assert_eq!(me(&bob).await["email"], json!(alice.email()));
}

/// One node's clock is behind: what comes later there has an earlier time.
#[tokio::test]
async fn what_came_later_goes_with_what_is_taken_back_whatever_the_clocks_said() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    let Clock::Manual(time) = &world.app.clock else { unreachable!() };
    let mut links = Vec::new();
    for (held, address) in
        [(alice.email(), "thief1@example.org"), ("thief1@example.org".into(), "thief2@example.org")]
    {
        let asked = change(&alice, json!({"email": address})).await.expect(StatusCode::OK).body;
        links.push(undo_token(&world, &held).await);
        let code = mailed_code(&world, address).await;
        answers(&alice, &asked["verification"], &code).await.expect(StatusCode::OK);
        time.fetch_sub(60_000, Ordering::SeqCst);
    }
    undo(&world.stranger(), &links[0]).await.expect(StatusCode::OK);
    undo(&world.stranger(), &links[1]).await.problem(401, "code-gone");
}

/// Where accounts are removed sooner than links end, none brings half of one back.
#[tokio::test]
async fn no_link_brings_back_what_is_being_removed() {
    let soon = |policy: &mut Policy| policy.account.grace = vestibule::config::Period(DAY);
    let world = plan().policy(soon).build().await;
    for is_late in [false, true] {
        let alice = verified(&world).await;
        let address = format!("new.{}@example.org", alice.username);
        change(&alice, json!({"email": address})).await.expect(StatusCode::OK);
        let link = undo_token(&world, &alice.email()).await;
        alice.delete(ME).await.expect(StatusCode::NO_CONTENT);
        world.advance(if is_late { DAY } else { DAY - SECOND });
        let answer = undo(&world.stranger(), &link).await;
        match is_late {
            false => drop(answer.expect(StatusCode::OK)),
            true => drop(answer.problem(401, "code-gone")),
        }
    }
    assert_eq!(vestibule::profile::purge_due(&world.ctx()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_link_that_is_no_link_undoes_nothing() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    change(&alice, json!({"email": "new@example.org"})).await.expect(StatusCode::OK);
    let token = undo_token(&world, &alice.email()).await;
    let session = alice.token.clone().unwrap();
    let disguised = session.replacen("vs_", "vu_", 1);
    let other = format!("{}{}", &token[..token.len() - 1], if token.ends_with('A') { 'B' } else { 'A' });
    let wrong =
        [String::new(), "vu_".into(), token[..40].into(), other, format!("{token}A"), session, disguised];
    for wrong in wrong {
        undo(&alice, &wrong).await.problem(401, "code-gone");
    }
    alice.post("/api/v1/auth/undo", json!({})).await.problem(422, "invalid");
    alice.post("/api/v1/auth/undo", json!({"token": token, "user": 1})).await.problem(422, "invalid");
    alice.get("/api/v1/auth/undo").await.problem(405, "method-not-allowed");
    world.advance(DAY * 7);
    undo(&alice, &token).await.problem(401, "code-gone");
    let sent = world.messages(&alice.email()).await.to_string();
    assert!(sent.contains(&token), "it was the right one");
}

#[tokio::test]
async fn t51_after_the_grace_nothing_is_left_and_nothing_is_used_again() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    let bob = verified(&world).await;
    change(&alice, json!({"email": "pending@example.org"})).await.expect(StatusCode::OK);
    let before = me(&alice).await;
    alice.delete(ME).await.expect(StatusCode::NO_CONTENT);
    let token = undo_token(&world, &alice.email()).await;
    world.advance(DAY * 30 - SECOND);
    assert_eq!(vestibule::profile::purge_due(&world.ctx()).await.unwrap(), 0, "not before its time");
    world.advance(SECOND);
    undo(&alice, &token).await.problem(401, "code-gone");
    assert_eq!(vestibule::profile::purge_due(&world.ctx()).await.unwrap(), 1);
    assert_eq!(vestibule::profile::purge_due(&world.ctx()).await.unwrap(), 0);
    undo(&alice, &token).await.problem(401, "code-gone");

    let id: uuid::Uuid = serde_json::from_value(before["id"].clone()).unwrap();
    let store = &world.app.store;
    assert!(store.get::<User>(id).await.unwrap().is_none());
    assert!(store.get::<vestibule::passwords::Password>(id).await.unwrap().is_none());
    macro_rules! none_of {
        ($($record:ty),+) => {$({
            let all = vestibule::store::Query::<$record>::along(<$record>::BY_USER).limit(10_000);
            let all = store.find(all).await.unwrap().items;
            assert!(all.iter().all(|one| user_of(&**one) != Some(id)), stringify!($record));
            assert!(!all.is_empty(), "what belongs to others stays");
        })+};
    }
    none_of!(Identifier, Factor, Session, Message);
    let events = vestibule::store::Query::<Event>::along(Event::BY_USER).equal(Some(id)).limit(1_000);
    let events = store.find(events).await.unwrap().items;
    assert!(events.len() > 3, "that it happened stays");
    for event in events {
        assert!(event.address.is_none() && event.user_agent.is_none() && event.detail.is_null());
    }
    // Whoever comes with the same names is somebody else.
    let mut heir = world.stranger();
    heir.username.clone_from(&alice.username);
    heir.mobile.clone_from(&alice.mobile);
    let made = heir.signs_up().await.expect(StatusCode::CREATED).body;
    assert_ne!(made["user"]["id"], before["id"]);
    world.run_due().await;
    heir.signs_in().await;
    let seen = heir.get("/api/v1/activity?limit=200").await.expect(StatusCode::OK).body;
    let at = |event: &Json| event["at"].as_str().unwrap().to_owned();
    assert!(
        seen["items"].as_array().unwrap().iter().all(|event| at(event) > at(&json!({"at": "2030-01-31"})))
    );
    let mut bob = bob.clone();
    bob.signs_in().await;
    assert_eq!(me(&bob).await["email"], json!(bob.email()));
}

trait OfUser {
    fn user(&self) -> Option<uuid::Uuid>;
}
fn user_of(record: &impl OfUser) -> Option<uuid::Uuid> {
    record.user()
}
macro_rules! of_user {
    ($($record:ty => $field:ident),+) => {$(
        impl OfUser for $record {
            fn user(&self) -> Option<uuid::Uuid> {
                self.$field.into()
            }
        }
    )+};
}
of_user!(Identifier => user_id, Factor => user_id, Session => user_id, Message => user);

#[tokio::test]
async fn one_takes_everything_and_no_secret_with_it() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    let asked = change(&alice, json!({"email": "new@example.org"})).await.expect(StatusCode::OK).body;
    let code = mailed_code(&world, "new@example.org").await;
    let token = undo_token(&world, &alice.email()).await;
    let organization = crate::organizations::founded(&alice, "Analytical Engines").await;
    let invited = crate::organizations::invites(&alice, organization, "guest@example.org", "member").await;
    invited.expect(StatusCode::CREATED);
    let answer = alice.get("/api/v1/users/me/export").await.expect(StatusCode::OK);
    let all = &answer.body;
    assert_eq!(all["user"]["id"], me(&alice).await["id"]);
    let membership = &all["organizations"][0];
    assert_eq!(membership["id"], json!(organization));
    assert_eq!((&membership["name"], &membership["role"]), (&json!("Analytical Engines"), &json!("owner")));
    let act = &all["acts"][0];
    assert_eq!((&act["event"], &act["ip"]), (&json!("invited"), &json!(alice.ip.to_string())));
    assert!(!all.to_string().contains("guest@example.org"), "others' addresses are theirs");
    for part in ["factors", "sessions", "activity", "messages", "challenges", "undos"] {
        assert!(!all[part].as_array().unwrap().is_empty(), "{part}: {all}");
    }
    let text = all.to_string();
    assert!(text.contains(&alice.mobile) && text.contains("new@example.org"));
    let challenge = asked["verification"]["id"].as_str().unwrap();
    let spoken = format!("\"{code}\"");
    for secret in [PASSWORD, "argon2", &token, challenge, &spoken, alice.token.as_deref().unwrap()] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    for name in ["digest", "phc", "secret", "codes", "body", "callback", "code"] {
        assert!(!text.contains(&format!("\"{name}\":")), "{name} is in {text}");
    }
}

/// The tables that `GET /users/me/export` tells of.
#[rustfmt::skip]
const EXPORTED: &[&str] = &[
    "users", "identifiers", "passwords", "factors", "sessions", "devices", "calls", "events", "messages",
    "challenges", "undos", "members", "organizations",
];

/// The tables that it leaves out, and why.
const NOT_EXPORTED: &[(&str, &str)] = &[
    ("outgoing", "Which events are still to be told to the application; the events themselves are there."),
    ("audit_blocks", "Seals over what happened to everybody."),
    ("tallies", "Counts of everybody's."),
    ("positions", "How far the telling has come."),
    ("telling", "Which node tells."),
    ("spending", "Sums of everybody's."),
    ("sends", "Counts under keyed hashes, which name nobody."),
    ("replays", "Answers that were given already, sealed, for a day."),
    ("begun_sign_ins", "A sign-in by form that is not finished, for minutes, under a keyed hash."),
    ("clients", "Programs."),
    ("service_accounts", "Programs; that one made them is among what one did."),
    ("api_keys", "Programs'."),
    ("signing_keys", "The house's."),
    ("revocations", "Which of the sessions ended, until nobody can show them any more."),
    ("revocation_head", "How far that has come."),
    ("removed_users", "Nobody asks who was removed."),
    ("moved_sessions", "Digests of another system's tokens, for as long as it hands its users over."),
    ("invitations", "Others' addresses; that one invited is among what one did."),
    (
        "recoveries",
        "Asked for by somebody of whom nobody knows yet whether it is the user; the event is there.",
    ),
];

#[test]
fn of_every_table_it_is_written_down_whether_one_gets_what_is_in_it() {
    let told = EXPORTED.iter().chain(NOT_EXPORTED.iter().map(|(table, _)| table));
    let mut told: Vec<_> = told.copied().collect();
    let mut all: Vec<_> = vestibule::schema::tables().iter().map(|table| table.name).collect();
    told.sort_unstable();
    all.sort_unstable();
    assert_eq!(told, all);
}

#[tokio::test]
async fn one_sees_what_happened_page_by_page_and_nobody_elses() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    let bob = world.alice().await;
    let (mut seen, mut path) = (Vec::new(), "/api/v1/activity?limit=2".to_owned());
    loop {
        let page = alice.get(&path).await.expect(StatusCode::OK).body;
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            None => break,
            Some(next) => path = format!("/api/v1/activity?limit=2&after={next}"),
        }
    }
    let at: Vec<_> = seen.iter().map(|event| event["at"].as_str().unwrap().to_owned()).collect();
    assert!(at.windows(2).all(|pair| pair[0] >= pair[1]), "newest first: {at:?}");
    let whole = alice.get("/api/v1/activity?limit=200").await.expect(StatusCode::OK).body;
    assert_eq!(json!(seen), whole["items"]);
    assert!(seen.iter().any(|event| event["what"] == "You signed in."));
    let others = bob.get("/api/v1/activity").await.expect(StatusCode::OK).body.to_string();
    assert!(seen.iter().all(|event| !others.contains(event["id"].as_str().unwrap())));
}

#[tokio::test]
async fn where_it_is_asked_for_nothing_opens_before_the_address_is_verified() {
    for second in [When::Always, When::Never] {
        let world = plan()
            .policy(move |policy| {
                policy.sign_up.verified = vec![IdentifierKind::Email, IdentifierKind::Mobile];
                policy.sign_in.second.when = second;
                policy.sign_in.second.factors = vec![FactorKind::Sms];
            })
            .build()
            .await;
        let mut person = world.member().await;
        // In the order of the policy; the code of a second factor shows the number by itself.
        for _ in 0..2 {
            let mut answer = person.gives_password().await.expect(StatusCode::OK).body;
            if answer["status"] == "second_factor_required" {
                world.run_due().await;
                let code = world.last_code(&person.mobile).await;
                answer = answers(&person, &answer["challenge"], &code).await.expect(StatusCode::OK).body;
            }
            if answer["status"] == "signed_in" {
                person.token = Some(answer["token"].as_str().unwrap().to_owned());
                break;
            }
            assert_eq!(answer["status"], "verification_required", "{answer}");
            assert!(answer.get("token").is_none());
            assert_eq!(world.count::<Session>(Session::BY_USER).await, 0);
            world.run_due().await;
            let to =
                if answer["challenge"]["factor"] == "email" { person.email() } else { person.mobile.clone() };
            let code = world.last_code(&to).await;
            let done = answers(&person, &answer["challenge"], &code).await.expect(StatusCode::OK).body;
            assert_eq!(done["status"], "verified");
            world.advance(MINUTE);
        }
        if person.token.is_none() {
            let answer = person.gives_password().await.expect(StatusCode::OK).body;
            assert_eq!(answer["status"], "signed_in", "{answer}");
            person.token = Some(answer["token"].as_str().unwrap().to_owned());
        }
        let user = me(&person).await;
        assert_eq!((is_verified(&user, "email"), is_verified(&user, "mobile")), (Some(true), Some(true)));
    }
}

#[tokio::test]
async fn t35_t69_only_addresses_of_the_named_domains_sign_up() {
    let world = plan()
        .policy(|policy| {
            policy.sign_up.email_domains = vec!["Example.ORG".into(), "b\u{fc}cher.example".into()];
            policy.sign_up.tell_taken = vec![IdentifierKind::Username, IdentifierKind::Email];
        })
        .build()
        .await;
    for address in [
        "a@example.com",
        "a@sub.example.org",
        "a@example.org.evil.com",
        "a@badexample.org",
        "a@evil.com@example.org",
        "\"a@evil.com\"@example.org",
        "a@xn--example-.org",
        "a@example.org,b@evil.com",
    ] {
        let mut account = world.stranger().account();
        account["email"] = json!(address);
        let answer = world.stranger().post("/api/v1/users", account).await.problem(422, "invalid").body;
        assert_eq!(fields(&answer)[0].0, "email", "{address}: {answer}");
    }
    let mut account = world.stranger().account();
    account.as_object_mut().unwrap().remove("email");
    world.stranger().post("/api/v1/users", account).await.problem(422, "invalid");
    let mut first = None;
    for address in ["a@EXAMPLE.org", "a@xn--bcher-kva.example"] {
        let person = world.stranger();
        let mut account = person.account();
        account["email"] = json!(address);
        let made = person.post("/api/v1/users", account).await.expect(StatusCode::CREATED).body;
        let code = mailed_code(&world, address).await;
        answers(&person, &made["verifications"][1], &code).await.expect(StatusCode::OK);
        first.get_or_insert(person);
    }
    // Nor does anybody change to another.
    let mut person = first.unwrap();
    world.advance(MINUTE);
    person.signs_in().await;
    let answer = change(&person, json!({"email": "a@example.com"})).await.problem(422, "invalid").body;
    assert_eq!(fields(&answer), [("email".to_owned(), "domain".to_owned())]);
    // A policy may let it be told that an address is taken.
    let mut account = world.stranger().account();
    account["email"] = json!("A@example.org");
    let answer = world.stranger().post("/api/v1/users", account).await.problem(409, "identifier-taken").body;
    assert_eq!(fields(&answer), [("email".to_owned(), "taken".to_owned())]);
}

#[tokio::test]
async fn a_change_that_was_begun_is_not_finished_without_its_proof() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    change(&alice, json!({"email": "new@example.org"})).await.expect(StatusCode::OK);
    let again = async || alice.post("/api/v1/users/me/verify", json!({"kind": "email"})).await;
    again().await.expect(StatusCode::OK);
    world.advance(MINUTE * 6);
    again().await.problem(403, "step-up-required");
    let mut policy = (*world.app.policy()).clone();
    let mut rule = policy.operation.get(operation::EMAIL_CHANGE).unwrap().clone();
    rule.never = true;
    policy.operation.set(operation::EMAIL_CHANGE, rule);
    world.app.replace_policy(policy);
    again().await.problem(403, "operation-never");
}

#[tokio::test]
async fn the_first_address_is_told_to_the_number_which_can_take_it_away() {
    let required = |policy: &mut Policy| {
        policy.sign_up.required = vec![IdentifierKind::Username, IdentifierKind::Mobile];
    };
    let world = plan().policy(required).build().await;
    let mut alice = world.stranger();
    let mut account = alice.account();
    account.as_object_mut().unwrap().remove("email");
    alice.post("/api/v1/users", account).await.expect(StatusCode::CREATED);
    world.run_due().await;
    alice.signs_in().await;
    // A thief of the session gives an address, binds an app, and goes on to another address.
    let mut links = Vec::new();
    let mut held = alice.mobile.clone();
    for address in ["thief1@example.org", "thief2@example.org"] {
        world.advance(SECOND);
        let asked = change(&alice, json!({"email": address})).await.expect(StatusCode::OK).body;
        let code = mailed_code(&world, address).await;
        world.advance(SECOND);
        answers(&alice, &asked["verification"], &code).await.expect(StatusCode::OK);
        links.push(undo_token(&world, &held).await);
        held = address.to_owned();
    }
    world.advance(SECOND);
    binds(&alice).await;
    undo(&world.stranger(), &links[0]).await.expect(StatusCode::OK);
    let store = &world.app.store;
    let left = store.find(Query::<Identifier>::along(Identifier::BY_USER)).await.unwrap().items;
    assert!(left.iter().all(|one| one.kind != IdentifierKind::Email), "{left:?}");
    let factors = store.find(Query::<Factor>::along(Factor::BY_USER)).await.unwrap().items;
    assert_eq!(factors.iter().map(|one| one.kind).collect::<Vec<_>>(), [FactorKind::Sms], "{factors:?}");
    // The links that came to the thief went with it.
    for later in &links[1..] {
        undo(&world.stranger(), later).await.problem(401, "code-gone");
    }
}

#[tokio::test]
async fn asking_again_and_again_keeps_a_handful_of_claims() {
    let world = plan().build().await;
    let alice = verified(&world).await;
    for n in 0..8 {
        world.advance(SECOND);
        let body = json!({"email": format!("new{n}@example.org")});
        change(&alice, body).await.expect(StatusCode::OK);
    }
    assert_eq!(me(&alice).await["identifiers"].as_array().unwrap().len(), 3 + 3);
    world.advance(SECOND);
    let asked = change(&alice, json!({"email": "new7@example.org"})).await.expect(StatusCode::OK).body;
    assert_eq!(me(&alice).await["identifiers"].as_array().unwrap().len(), 3 + 3, "the same claim");
    let code = mailed_code(&world, "new7@example.org").await;
    answers(&alice, &asked["verification"], &code).await.expect(StatusCode::OK);
    assert_eq!(me(&alice).await["identifiers"].as_array().unwrap().len(), 3);
    assert_eq!(world.count::<Factor>(Factor::BY_USER).await, 2);
    assert!(world.count::<Challenge>(Challenge::BY_USER).await > 0);
}

#[tokio::test]
async fn all_of_one_request_is_one_change() {
    let world = plan().policy(mobile_may_change).build().await;
    let alice = verified(&world).await;
    let body =
        json!({"username": "ada", "email": "ada@example.org", "mobile": "+12025550177", "name": "Ada"});
    let asked = change(&alice, body).await.expect(StatusCode::OK).body;
    assert_eq!(asked["user"]["username"], "ada");
    assert_eq!(asked["verifications"].as_array().unwrap().len(), 2);
    world.run_due().await;
    let mails = world.messages(&alice.email()).await;
    let subjects: Vec<_> =
        mails["items"].as_array().unwrap().iter().map(|mail| mail["subject"].clone()).collect();
    for subject in ["Your username was changed", "Your e-mail address is about to change"] {
        assert!(subjects.contains(&json!(subject)), "{subjects:?}");
    }
    for (challenge, to) in [(0, "ada@example.org"), (1, "+12025550177")] {
        let code = world.last_code(to).await;
        answers(&alice, &asked["verifications"][challenge], &code).await.expect(StatusCode::OK);
    }
    let user = me(&alice).await;
    assert_eq!((&user["email"], &user["mobile"]), (&json!("ada@example.org"), &json!("+12025550177")));
}
