//! `/factors`: binding, using, losing what a user shows besides a password.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vestibule::accounts::User;
use vestibule::administration::actions::{Deed, act};
use vestibule::challenges::Challenge;
use vestibule::clock::Clock;
use vestibule::factors::Factor;
use vestibule::identifiers::Identifier;
use vestibule::policy::{FactorKind, IdentifierKind, Policy, When};
use vestibule::secret::{Token, TokenKind};
use vestibule::step_up::By;
use vestibule::store::{Change, Query};

use crate::world::{Answer, PASSWORD, Person, Plan, World};

/// Long enough for another step of an app, short enough for a proof.
const STEP: Duration = Duration::from_secs(30);

/// What an app with this key shows, computed here once more from RFC 4226 and 4648.
pub fn shows(secret: &str, step: i64) -> String {
    let mut bits = String::new();
    for letter in secret.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).unwrap();
        bits += &format!("{value:05b}");
    }
    let key: Vec<u8> =
        (0..bits.len() / 8).map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2).unwrap()).collect();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key), &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// An authenticator app in somebody's hand.
pub struct App {
    pub id: String,
    secret: String,
}

impl App {
    /// What it shows, some steps from now.
    pub fn shows(&self, world: &World, later: i64) -> String {
        shows(&self.secret, world.app.clock.now().as_millis() / 30_000 + later)
    }

    /// A code that it does not show.
    fn never(&self, world: &World) -> String {
        let shown: Vec<_> = (-1..=1).map(|later| self.shows(world, later)).collect();
        (0..).map(|n| format!("{n:06}")).find(|code| !shown.contains(code)).unwrap()
    }
}

async fn begins(person: &Person<'_>) -> App {
    let begun = person.post("/api/v1/factors/totp", json!({})).await.expect(StatusCode::CREATED).body;
    let text = |name: &str| begun[name].as_str().unwrap().to_owned();
    App { id: text("id"), secret: text("secret") }
}

async fn confirms(person: &Person<'_>, app: &App, code: &str) -> Answer {
    person.post("/api/v1/factors/totp/confirm", json!({"id": app.id, "code": code})).await
}

/// Binds an app; the clock then stands at the next step, whose code has not been used.
pub async fn binds(person: &Person<'_>) -> App {
    let app = begins(person).await;
    let code = app.shows(person.world, 0);
    confirms(person, &app, &code).await.expect(StatusCode::OK);
    person.world.advance(STEP);
    app
}

pub async fn makes_codes(person: &Person<'_>) -> Vec<String> {
    let made = person.post("/api/v1/factors/recovery-codes", json!({})).await.expect(StatusCode::CREATED);
    made.body["codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// Gives the password and asks for this factor: the challenge.
async fn asks(person: &Person<'_>, factor: &str) -> Json {
    let body = json!({"identifier": person.username, "password": PASSWORD, "factor": factor});
    person.post("/api/v1/auth/login", body).await.expect(StatusCode::OK).body["challenge"].clone()
}

async fn answers(person: &Person<'_>, challenge: &Json, code: &str) -> Answer {
    person.post("/api/v1/auth/verify-code", json!({"challenge": challenge["id"], "code": code})).await
}

/// Shows this factor for an operation; the answer to the code.
async fn steps_up(person: &Person<'_>, operation: &str, factor: &str, code: &str) -> Answer {
    let body = json!({"operation": operation, "factor": factor});
    let asked = person.post("/api/v1/auth/step-up", body).await.expect(StatusCode::OK).body;
    answers(person, &asked, code).await
}

/// Signs in where nothing but the password is asked for.
async fn signs_in_alone(person: &mut Person<'_>) {
    let done = person.gives_password().await.expect(StatusCode::OK).body;
    assert_eq!(done["status"], "signed_in", "{done}");
    person.token = Some(done["token"].as_str().unwrap().to_owned());
}

fn keeps_token(person: &mut Person<'_>, done: Answer) {
    let done = done.expect(StatusCode::OK).body;
    person.token = Some(done["token"].as_str().unwrap().to_owned());
}

async fn factors_of(person: &Person<'_>) -> Vec<Json> {
    let list = person.get("/api/v1/factors").await.expect(StatusCode::OK).body;
    list["items"].as_array().unwrap().clone()
}

async fn id_of(person: &Person<'_>, kind: &str) -> String {
    let all = factors_of(person).await;
    let one = all.iter().find(|factor| factor["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {all:?}"));
    one["id"].as_str().unwrap().to_owned()
}

async fn stored(world: &World, id: &str) -> Factor {
    world.app.store.get::<Factor>(id.parse::<Uuid>().unwrap()).await.unwrap().unwrap().into_inner()
}

async fn user_of(person: &Person<'_>) -> User {
    let ctx = person.world.ctx();
    let name = vestibule::identifiers::actions::find_owner(&ctx, &person.username).await.unwrap().unwrap();
    person.world.app.store.get::<User>(name.user_id).await.unwrap().unwrap().into_inner()
}

/// The code that was sent for a challenge, read from its record.
async fn sent_code(world: &World, challenge: &Json) -> String {
    let token = Token::parse(TokenKind::Challenge, challenge["id"].as_str().unwrap()).unwrap();
    let challenge = world.app.store.get::<Challenge>(token.id).await.unwrap().unwrap();
    let context = Challenge::context(token.id);
    let code = world.app.keyring.open(&context, challenge.code.as_ref().unwrap()).unwrap();
    String::from_utf8(code.to_vec()).unwrap()
}

/// Limits out of the way: these tests ask more often than people do.
pub fn patient(policy: &mut Policy) {
    let limits = &mut policy.limits;
    for budget in [
        &mut limits.sign_in_identifier,
        &mut limits.sign_in_address,
        &mut limits.code_try_address,
        &mut limits.send_number_short,
        &mut limits.send_number_day,
        &mut limits.send_stranger_short,
        &mut limits.send_stranger_day,
        &mut limits.send_others_short,
        &mut limits.send_others_day,
        &mut limits.send_address,
        &mut limits.send_notice,
    ] {
        budget.limit = 100_000;
    }
}

fn plan(when: When) -> Plan {
    World::plan().policy(patient).policy(move |policy| policy.sign_in.second.when = when)
}

/// Somebody signed in by password alone, whose number is verified.
async fn alone(world: &World) -> Person<'_> {
    let mut person = world.stranger();
    let made = person.signs_up().await.expect(StatusCode::CREATED).body;
    let code = sent_code(world, &made["verification"]).await;
    answers(&person, &made["verification"], &code).await.expect(StatusCode::OK);
    signs_in_alone(&mut person).await;
    person
}

/// Reads the squares of our own SVG, then the code that they are.
fn read_picture(svg: &str) -> String {
    let path = svg.split("d=\"").nth(1).unwrap().split('"').next().unwrap();
    let size: usize = svg.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let mut dark = vec![false; size * size];
    for square in path.split('M').skip(1) {
        let numbers: Vec<usize> = square
            .split(|c: char| !c.is_ascii_digit())
            .filter(|text| !text.is_empty())
            .map(|text| text.parse().unwrap())
            .collect();
        let [left, top, width, height, ..] = numbers[..] else { panic!("{square}") };
        for y in top..top + height {
            for x in left..left + width {
                dark[y * size + x] = true;
            }
        }
    }
    let mut image = rqrr::PreparedImage::prepare_from_bitmap(size, size, |x, y| dark[y * size + x]);
    let found = image.detect_grids();
    assert_eq!(found.len(), 1);
    found[0].decode().unwrap().1
}

#[tokio::test]
async fn an_app_is_bound_by_its_code_and_then_asked_for_first() {
    let world = plan(When::Always).build().await;
    let mut alice = world.alice().await;
    let begun = alice.post("/api/v1/factors/totp", json!({"name": "My phone"})).await;
    let begun = begun.expect(StatusCode::CREATED).body;
    let (uri, secret) = (begun["uri"].as_str().unwrap(), begun["secret"].as_str().unwrap());
    assert_eq!(read_picture(begun["qr"].as_str().unwrap()), uri);
    assert!(
        uri.starts_with(&format!("otpauth://totp/127.0.0.1:{}?secret={secret}&issuer=", alice.username)),
        "{uri}"
    );
    assert_eq!(secret.len(), 32, "160 bits");
    let app = App { id: begun["id"].as_str().unwrap().to_owned(), secret: secret.to_owned() };
    assert_eq!(factors_of(&alice).await.len(), 1, "what is only begun is no factor");
    let row = stored(&world, &app.id).await;
    assert!(row.bound_at.is_none() && !format!("{row:?}").contains(secret));

    confirms(&alice, &app, &app.never(&world)).await.problem(401, "code-wrong");
    let code = app.shows(&world, 0);
    let bound =
        confirms(&alice, &app, &format!("{} {}", &code[..3], &code[3..])).await.expect(StatusCode::OK).body;
    assert_eq!((bound["kind"].as_str(), bound["name"].as_str()), (Some("totp"), Some("My phone")));
    confirms(&alice, &app, &code).await.problem(404, "not-found");
    let me = alice.get("/api/v1/users/me").await.body;
    let all = me["factors"].as_array().unwrap();
    assert!(all.len() == 2 && all.iter().any(|one| one["name"] == "My phone"), "{all:?}");

    let asked = alice.gives_password().await.body["challenge"].clone();
    assert_eq!(asked["factor"], "totp");
    assert_eq!(asked["alternatives"], json!(["sms", "call"]));
    assert!(asked.get("sent_to").is_none() && asked["resend_after"].is_null());
    answers(&alice, &asked, &code).await.problem(401, "code-wrong");
    world.advance(STEP);
    let done = answers(&alice, &asked, &app.shows(&world, 0)).await;
    assert_eq!(done.body["session"]["amr"], json!(["pwd", "otp"]));
    assert_eq!(done.body["session"]["aal"], 2);
    answers(&alice, &asked, &app.shows(&world, 1)).await.problem(401, "code-gone");
    keeps_token(&mut alice, done);
}

#[tokio::test]
async fn what_was_begun_is_bound_in_time_by_whoever_began_it_last() {
    let world = plan(When::Always).build().await;
    let mut alice = world.alice().await;
    let first = begins(&alice).await;
    let second = begins(&alice).await;
    confirms(&alice, &first, &first.shows(&world, 0)).await.problem(404, "not-found");
    let mallory = world.alice().await;
    confirms(&mallory, &second, &second.shows(&world, 0)).await.problem(404, "not-found");
    world.advance(Duration::from_secs(600) - Duration::from_millis(1));
    alice.signs_in().await;
    confirms(&alice, &second, &second.never(&world)).await.problem(401, "code-wrong");
    world.advance(Duration::from_millis(1));
    confirms(&alice, &second, &second.shows(&world, 0)).await.problem(404, "not-found");
    for body in [json!({"name": ""}), json!({"name": "a\u{7}"}), json!({"name": "x".repeat(65)})] {
        alice.post("/api/v1/factors/totp", body).await.problem(422, "invalid");
    }
    alice.post("/api/v1/factors/totp", json!({"secret": "AAAA"})).await.problem(422, "invalid");
}

/// T-09.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_an_app_counts_once_over_all_challenges_and_sessions_whatever_the_clock_does() {
    let world = plan(When::Always).policy(|policy| policy.limits.factor_failures = 100).build().await;
    let alice = world.alice().await;
    let app = binds(&alice).await;
    let mut challenges = Vec::new();
    for _ in 0..63 {
        challenges.push(asks(&alice, "totp").await);
    }
    // One of them is asked by a session, for an operation.
    let step_up = json!({"operation": "user.export", "factor": "totp"});
    world.advance(Duration::from_secs(240));
    let asked = alice.post("/api/v1/auth/step-up", step_up.clone()).await.expect(StatusCode::OK).body;
    challenges.push(if asked["status"] == "verified" { asks(&alice, "totp").await } else { asked });
    let code = app.shows(&world, 0);
    let answered = join_all(challenges.iter().map(|challenge| answers(&alice, challenge, &code))).await;
    assert_eq!(answered.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);

    let replays = |later: i64| {
        let (alice, app, world) = (&alice, &app, &world);
        async move {
            let asked = asks(alice, "totp").await;
            answers(alice, &asked, &app.shows(world, later)).await
        }
    };
    for later in [0, -1] {
        replays(later).await.problem(401, "code-wrong");
    }
    let Clock::Manual(at) = &world.app.clock else { panic!() };
    for _ in 0..3 {
        at.fetch_sub(30_000, Ordering::SeqCst);
        for later in [-1, 0, 1] {
            replays(later).await.problem(401, "code-wrong");
        }
    }
    at.fetch_add(90_000, Ordering::SeqCst);
    replays(1).await.expect(StatusCode::OK);
}

/// T-04, T-06.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_are_counted_on_the_factor_over_all_challenges_until_it_is_locked() {
    let world = plan(When::Always).build().await;
    let mut alice = world.alice().await;
    let app = binds(&alice).await;
    makes_codes(&alice).await;
    let codes = id_of(&alice, "recovery_code").await;
    for (factor, id, wrong) in [
        ("totp", app.id.clone(), app.never(&world)),
        ("recovery_code", codes, "0-0000-0000-0000-0000".to_owned()),
    ] {
        let mut challenges = Vec::new();
        for _ in 0..8 {
            challenges.push(asks(&alice, factor).await);
        }
        // Nineteen guesses at once, at eight challenges: not one is lost.
        let guesses = (0..19).map(|n| answers(&alice, &challenges[n % 8], &wrong));
        for answer in join_all(guesses).await {
            answer.problem(401, "code-wrong");
        }
        let row = stored(&world, &id).await;
        assert_eq!((row.failures, row.locked_at), (19, None), "{factor}");
        answers(&alice, &challenges[7], &wrong).await.problem(401, "code-wrong");
        assert!(stored(&world, &id).await.locked_at.is_some(), "{factor}");
        answers(&alice, &challenges[6], &app.shows(&world, 0)).await.problem(403, "factor-locked");
        let body = json!({"identifier": alice.username, "password": PASSWORD, "factor": factor});
        alice.post("/api/v1/auth/login", body).await.problem(403, "factor-missing");
    }
    let asked = alice.gives_password().await.body["challenge"].clone();
    assert_eq!((asked["factor"].as_str(), &asked["alternatives"]), (Some("sms"), &json!(["call"])));
    alice
        .post("/api/v1/auth/resend-code", json!({"challenge": asked["id"], "factor": "totp"}))
        .await
        .problem(403, "factor-missing");

    // Bound anew: another app beside the locked one, shown with what is left; then the locked one goes.
    let code = sent_code(&world, &asked).await;
    let done = answers(&alice, &asked, &code).await;
    keeps_token(&mut alice, done);
    let fresh = binds(&alice).await;
    alice.delete(&format!("/api/v1/factors/{}", app.id)).await.expect(StatusCode::NO_CONTENT);
    let asked = asks(&alice, "totp").await;
    answers(&alice, &asked, &fresh.shows(&world, 0)).await.expect(StatusCode::OK);
}

/// How many mails and text messages tell `person` that a sign-in method was locked.
async fn told_of_lock(person: &Person<'_>, subject: &str) -> [usize; 2] {
    person.world.run_due().await;
    let mut told = [0; 2];
    for (told, to) in told.iter_mut().zip([person.email(), person.mobile.clone()]) {
        let all = person.world.messages(&to).await;
        let says = |message: &&Json| message.to_string().contains(subject);
        *told = all["items"].as_array().unwrap().iter().filter(says).count();
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_is_told_once_of_a_locked_factor_and_by_another_way_than_that_one() {
    const SUBJECT: &str = "A sign-in method was locked. If that was not you, change your password";
    let only_a_few = |policy: &mut Policy| {
        patient(policy);
        // A mail of this kind is not what many guesses at once could use up.
        policy.limits.send_notice.limit = 1;
    };
    let world = World::plan().policy(only_a_few).build().await;
    for (is_mail_known, told) in [(true, [1, 0]), (false, [0, 1])] {
        let alice = world.alice().await;
        if is_mail_known {
            crate::recovery::shows_email(&alice).await;
        }
        let mut challenges = Vec::new();
        for _ in 0..8 {
            challenges.push(alice.gives_password().await.expect(StatusCode::OK).body["challenge"].clone());
        }
        for n in 0..19 {
            answers(&alice, &challenges[n / 5], "nonsense").await.problem(401, "code-wrong");
        }
        assert_eq!(told_of_lock(&alice, SUBJECT).await, [0, 0], "it is not locked yet");
        // The last one is given by many at once.
        let last = challenges[4..].iter().flat_map(|challenge| [challenge; 4]);
        let last = join_all(last.map(|challenge| answers(&alice, challenge, "nonsense"))).await;
        assert_eq!(
            last.iter().filter(|answer| answer.body["type"].to_string().contains("code-wrong")).count(),
            1
        );
        assert_eq!(told_of_lock(&alice, SUBJECT).await, told);
        answers(&alice, &challenges[7], "nonsense").await.problem(403, "factor-locked");
        assert_eq!(told_of_lock(&alice, SUBJECT).await, told, "and not again");
    }
}

#[tokio::test]
async fn a_right_code_forgives_wrong_ones_of_its_own_factor_alone() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    let app = binds(&alice).await;
    let asked = asks(&alice, "totp").await;
    answers(&alice, &asked, &app.never(&world)).await.problem(401, "code-wrong");
    let resend = json!({"challenge": asked["id"], "factor": "sms"});
    let other = alice.post("/api/v1/auth/resend-code", resend).await.expect(StatusCode::OK).body;
    assert_eq!(other["attempts_left"], 4, "the tries of a challenge are shared");
    let code = sent_code(&world, &other).await;
    let done = answers(&alice, &other, &code).await.expect(StatusCode::OK).body;
    assert_eq!(done["session"]["amr"], json!(["pwd", "sms"]));
    assert_eq!(stored(&world, &app.id).await.failures, 1);
}

#[tokio::test]
async fn one_challenge_is_answered_by_any_of_the_factors_that_would_do() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    let app = binds(&alice).await;
    let codes = makes_codes(&alice).await;
    let asked = alice.gives_password().await.body["challenge"].clone();
    assert_eq!(asked["alternatives"], json!(["sms", "call", "recovery_code"]));
    let switch = |factor: &'static str| {
        let (alice, id) = (&alice, &asked["id"]);
        async move { alice.post("/api/v1/auth/resend-code", json!({"challenge": id, "factor": factor})).await }
    };
    let sms = switch("sms").await.expect(StatusCode::OK).body;
    assert_eq!(sms["factor"], "sms");
    assert!(sms["sent_to"].is_string());
    let first = sent_code(&world, &sms).await;
    answers(&alice, &asked, &app.shows(&world, 0)).await.problem(401, "code-wrong");
    let totp = switch("totp").await.expect(StatusCode::OK).body;
    assert!(totp["factor"] == "totp" && totp.get("sent_to").is_none());
    answers(&alice, &asked, &first).await.problem(401, "code-wrong");
    switch("sms").await.problem(429, "limit-reached");
    world.advance(STEP);
    let again = switch("sms").await.expect(StatusCode::OK).body;
    assert_ne!(
        sent_code(&world, &again).await,
        first,
        "what was sent for another asking is no code of this one"
    );
    switch("email").await.problem(403, "factor-missing");
    switch("recovery_code").await.expect(StatusCode::OK);
    let typed = codes[3].to_lowercase().replace('-', " ");
    let done = answers(&alice, &asked, &typed).await.expect(StatusCode::OK).body;
    assert_eq!(done["session"]["amr"], json!(["pwd", "recovery_code"]));
    let listed = factors_of(&alice).await;
    assert_eq!(listed.iter().find(|one| one["kind"] == "recovery_code").unwrap()["left"], 9);
}

/// A code that came by e-mail must not prove that one has the phone.
#[tokio::test]
async fn a_code_proves_the_way_that_it_came_by_and_no_other() {
    let world = plan(When::Always)
        .policy(|policy| {
            policy.sign_in.second.factors = vec![FactorKind::Email, FactorKind::Sms, FactorKind::Call]
        })
        .build()
        .await;
    let member = world.member().await;
    let user = user_of(&member).await;
    let all = world
        .app
        .store
        .find(Query::<Identifier>::along(Identifier::BY_USER).equal(user.id))
        .await
        .unwrap()
        .items;
    let email = all.into_iter().find(|one| one.kind == IdentifierKind::Email).unwrap();
    let factor = Factor::reaching(&world.ctx().moment(), &email);
    world.app.store.commit(vec![Change::insert(&factor)]).await.unwrap();
    let asked = member.gives_password().await.body["challenge"].clone();
    assert_eq!(asked["factor"], "email");
    let read = sent_code(&world, &asked).await;
    world.advance(STEP);
    for factor in ["sms", "call"] {
        let resend = json!({"challenge": asked["id"], "factor": factor});
        member.post("/api/v1/auth/resend-code", resend).await.expect(StatusCode::OK);
        answers(&member, &asked, &read).await.problem(401, "code-wrong");
        world.advance(STEP);
    }
}

#[tokio::test]
async fn an_operator_unlocks_what_was_guessed_at_too_often() {
    let plan = World::plan().policy(crate::world::unlimited);
    let world = plan.policy(|policy| policy.limits.factor_failures = 3).build().await;
    let mut alice = world.alice().await;
    let asked = alice.gives_password().await.expect(StatusCode::OK).body;
    for _ in 0..3 {
        let wrong = json!({"challenge": asked["challenge"]["id"], "code": "nonsense"});
        alice.post("/api/v1/auth/verify-code", wrong).await.problem(401, "code-wrong");
    }
    alice.gives_password().await.problem(403, "factor-locked");
    let unlock = vestibule::administration::actions::unlock;
    assert!(unlock(&world.ctx(), "nobody-here").await.is_err());
    assert_eq!(unlock(&world.ctx(), &alice.username).await.unwrap(), 1);
    assert_eq!(unlock(&world.ctx(), &alice.username).await.unwrap(), 0);
    alice.signs_in().await;
}

#[tokio::test]
async fn whoever_has_two_apps_may_show_either() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    let (one, two) = (binds(&alice).await, binds(&alice).await);
    for app in [&two, &one, &two] {
        let asked = asks(&alice, "totp").await;
        answers(&alice, &asked, &app.shows(&world, 0)).await.expect(StatusCode::OK);
        let asked = asks(&alice, "totp").await;
        answers(&alice, &asked, &app.shows(&world, 0)).await.problem(401, "code-wrong");
        world.advance(STEP);
    }
    // A wrong code was a wrong guess at both.
    let asked = asks(&alice, "totp").await;
    answers(&alice, &asked, "not a code").await.problem(401, "code-wrong");
    assert!(stored(&world, &one.id).await.failures > 0 && stored(&world, &two.id).await.failures > 0);
}

#[tokio::test]
async fn an_app_that_is_closed_to_recovery_is_not_among_those_that_would_do() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    crate::recovery::shows_email(&alice).await;
    let (closed, open) = (binds(&alice).await, binds(&alice).await);
    let seen = world.app.store.get::<Factor>(closed.id.parse::<Uuid>().unwrap()).await.unwrap().unwrap();
    let seen = seen.with(|factor| factor.recovery_failures = 100);
    world.app.store.commit(vec![Change::update(&seen)]).await.unwrap();
    world.advance(STEP);
    let challenge = crate::recovery::begins(&alice, &alice.email()).await;
    let code = crate::recovery::mailed(&alice).await;
    let body = json!({"challenge": challenge, "code": code});
    let proved = alice.post("/api/v1/auth/recover/verify", body).await.expect(StatusCode::OK).body;
    let second = &proved["second_factor"];
    assert_eq!(second["factor"], "totp", "{proved}");
    answers(&alice, second, &closed.shows(&world, 0)).await.problem(401, "code-wrong");
    answers(&alice, second, &open.shows(&world, 0)).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_code_is_good_once_and_new_ones_end_the_old() {
    let world = plan(When::Always).policy(|policy| policy.limits.factor_failures = 100).build().await;
    let alice = world.alice().await;
    alice.post("/api/v1/factors/recovery-codes", json!({"count": 3})).await.expect(StatusCode::CREATED);
    let codes = makes_codes(&alice).await;
    assert_eq!(codes.len(), 10);
    let row = stored(&world, &id_of(&alice, "recovery_code").await).await;
    assert_eq!(row.codes.left(), 10);
    assert!(row.codes.0.iter().flatten().all(|phc| phc.starts_with("$argon2id$")));
    let mut challenges = Vec::new();
    for _ in 0..64 {
        challenges.push(asks(&alice, "recovery_code").await);
    }
    let answered = join_all(challenges.iter().map(|challenge| answers(&alice, challenge, &codes[4]))).await;
    assert_eq!(answered.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
    let asked = asks(&alice, "recovery_code").await;
    answers(&alice, &asked, &codes[4]).await.problem(401, "code-wrong");
    answers(&alice, &asked, &codes[5][..20]).await.problem(401, "code-wrong");
    let newer = makes_codes(&alice).await;
    answers(&alice, &asked, &codes[5]).await.problem(401, "code-gone");
    let asked = asks(&alice, "recovery_code").await;
    answers(&alice, &asked, &codes[5]).await.problem(401, "code-wrong");
    answers(&alice, &asked, &newer[5]).await.expect(StatusCode::OK);
    answers(&alice, &asked, &newer[6]).await.problem(401, "code-gone");
}

/// T-03: whatever second factor somebody has, and whenever the policy asks for one, a password opens
/// nothing.
#[tokio::test]
async fn whoever_has_a_second_factor_gets_no_session_without_it() {
    for when in [When::Always, When::WhenEnrolled, When::ByRole] {
        for kind in ["totp", "sms", "codes too"] {
            let world = plan(when)
                .policy(|policy| policy.sign_in.second.roles = vec!["admin".to_owned()])
                .build()
                .await;
            let mut bob = if when == When::Always { world.alice().await } else { alone(&world).await };
            let app = match kind {
                "sms" => {
                    bob.post("/api/v1/factors", json!({"kind": "sms"})).await.expect(StatusCode::OK);
                    None
                }
                _ => Some(binds(&bob).await),
            };
            if kind == "codes too" {
                let body = json!({"operation": "recovery_codes.make"});
                let asked = bob.post("/api/v1/auth/step-up", body).await.expect(StatusCode::OK).body;
                if asked["status"] != "verified" {
                    answers(&bob, &asked, &app.as_ref().unwrap().shows(&world, 0))
                        .await
                        .expect(StatusCode::OK);
                    world.advance(STEP);
                }
                makes_codes(&bob).await;
            }
            bob.token = None;
            for factor in [Json::Null, json!("totp"), json!("sms"), json!("call"), json!("recovery_code")] {
                for carry in ["bearer", "cookie"] {
                    let body = json!({"identifier": bob.username, "password": PASSWORD, "factor": factor, "session": carry});
                    let answer = bob.post("/api/v1/auth/login", body).await;
                    let text = String::from_utf8_lossy(&answer.bytes).into_owned();
                    assert!(
                        !text.contains("vs_") && answer.body["status"] != "signed_in",
                        "{when:?} {kind} {text}"
                    );
                    let mut browser = bob.clone();
                    browser.keeps_cookies(&answer);
                    browser.token = answer.body["challenge"]["id"].as_str().map(str::to_owned);
                    assert!(!browser.is_signed_in().await);
                    browser.token = None;
                    assert!(!browser.is_signed_in().await);
                    browser.get("/api/v1/users/me").await.problem(401, "unauthenticated");
                    browser.get("/api/v1/factors").await.problem(401, "unauthenticated");
                    world.advance(STEP);
                }
            }
            // Locked, it is asked for all the same: what was protected by two does not fall back to one.
            let id = id_of_any(&bob).await;
            let row = world.app.store.get::<Factor>(id).await.unwrap().unwrap();
            let locked = row.with(|row| row.locked_at = Some(world.app.clock.now()));
            world.app.store.commit(vec![Change::update(&locked)]).await.unwrap();
            let answer = bob.gives_password().await;
            assert!(answer.body["status"] != "signed_in", "{when:?} {kind} {:?}", answer.body);
        }
    }
}

/// The factor that was bound last.
async fn id_of_any(person: &Person<'_>) -> Uuid {
    let user = user_of(person).await;
    let all = Query::<Factor>::along(Factor::BY_USER).equal(user.id);
    person.world.app.store.find(all).await.unwrap().items.last().unwrap().id
}

/// T-07: a session that has shown a password and nothing else.
#[tokio::test]
async fn with_a_password_alone_no_factor_is_added_or_removed() {
    let world = plan(When::Always).build().await;
    let mut alice = world.alice().await;
    let app = binds(&alice).await;
    makes_codes(&alice).await;
    let pending = begins(&alice).await;
    let mut ids = Vec::new();
    for factor in factors_of(&alice).await {
        ids.push(factor["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 3);
    // The only way to such a session: a policy that once asked for nothing more.
    let strict = (*world.app.policy()).clone();
    let mut lax = strict.clone();
    lax.sign_in.second.when = When::Never;
    world.app.replace_policy(lax);
    signs_in_alone(&mut alice).await;
    let mut optional = strict.clone();
    optional.sign_in.second.when = When::WhenEnrolled;
    for policy in [optional, strict] {
        world.app.replace_policy(policy);
        let mut asks = vec![
            ("POST", "/api/v1/factors".to_owned(), json!({"kind": "sms"}), "factor.add"),
            ("POST", "/api/v1/factors/totp".to_owned(), json!({}), "factor.add"),
            (
                "POST",
                "/api/v1/factors/totp/confirm".to_owned(),
                json!({"id": pending.id, "code": pending.shows(&world, 0)}),
                "factor.add",
            ),
            ("POST", "/api/v1/factors/recovery-codes".to_owned(), json!({}), "recovery_codes.make"),
        ];
        for id in &ids {
            asks.push(("DELETE", format!("/api/v1/factors/{id}"), Json::Null, "factor.remove"));
        }
        for (method, path, body, operation) in asks {
            let answer =
                alice.send(method, &path, Some(("application/json", body.to_string().into_bytes()))).await;
            let answer = answer.problem(403, "step-up-required");
            assert_eq!(answer.body["operation"], operation);
            assert!(!answer.body["need"]["factors"].as_array().unwrap().contains(&json!("password")));
            let by_password = json!({"operation": operation, "password": PASSWORD});
            alice.post("/api/v1/auth/step-up", by_password).await.problem(403, "step-up-required");
        }
        let left = Query::<Factor>::along(Factor::BY_USER).equal(user_of(&alice).await.id);
        // The app, the codes, the number, the one that was begun; and the address, which is none.
        assert_eq!(world.app.store.find(left).await.unwrap().items.len(), 5);
    }
    // The same session, with the app shown for the one operation.
    steps_up(&alice, "factor.remove", "totp", &app.shows(&world, 0)).await.expect(StatusCode::OK);
    alice.delete(&format!("/api/v1/factors/{}", app.id)).await.expect(StatusCode::NO_CONTENT);
    alice.post("/api/v1/factors/totp", json!({})).await.problem(403, "step-up-required");
}

/// T-08: what counts is what was shown, when, and for what.
#[tokio::test]
async fn a_proof_for_something_else_or_from_before_does_not_count() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    let app = binds(&alice).await;
    world.advance(Duration::from_secs(5 * 60) - STEP + Duration::from_millis(1));
    alice.post("/api/v1/factors/totp", json!({})).await.problem(403, "step-up-required");
    steps_up(&alice, "user.export", "totp", &app.shows(&world, 0)).await.expect(StatusCode::OK);
    alice.post("/api/v1/factors/totp", json!({})).await.problem(403, "step-up-required");
    world.advance(STEP);
    steps_up(&alice, "factor.add", "totp", &app.shows(&world, 0)).await.expect(StatusCode::OK);
    let begun = begins(&alice).await;
    alice.delete(&format!("/api/v1/factors/{}", app.id)).await.problem(403, "step-up-required");
    world.advance(Duration::from_secs(5 * 60));
    let other = begins(&alice).await;
    assert_ne!(begun.id, other.id);
    world.advance(Duration::from_millis(1));
    confirms(&alice, &other, &other.shows(&world, 0)).await.problem(403, "step-up-required");
    // Another session of the same user has shown nothing.
    alice.post("/api/v1/factors/recovery-codes", json!({})).await.problem(403, "step-up-required");
}

/// A session has shown an app; another one of the same user takes the app away.
#[tokio::test]
async fn what_was_shown_counts_only_while_it_is_there() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    let app = binds(&alice).await;
    let mut thief = alice.clone();
    let asked = asks(&thief, "totp").await;
    let done = answers(&thief, &asked, &app.shows(&world, 0)).await;
    keeps_token(&mut thief, done);
    alice.delete(&format!("/api/v1/factors/{}", app.id)).await.expect(StatusCode::NO_CONTENT);
    assert!(thief.is_signed_in().await);
    let body = json!({"new_password": "nine grey gulls at noon"}).to_string().into_bytes();
    let set = thief.send("PUT", "/api/v1/users/me/password", Some(("application/json", body))).await;
    set.problem(403, "step-up-required");
}

/// An address is being changed to: what counts the guesses at its code is no app that was begun.
#[tokio::test]
async fn to_begin_an_app_leaves_a_change_of_address_alone() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    let body = json!({"email": "ada@example.net"}).to_string().into_bytes();
    let changed = alice.send("PATCH", "/api/v1/users/me", Some(("application/json", body))).await;
    let asked = changed.expect(StatusCode::OK).body["verification"].clone();
    let first = begins(&alice).await;
    let second = begins(&alice).await;
    confirms(&alice, &first, &first.shows(&world, 0)).await.problem(404, "not-found");
    let code = sent_code(&world, &asked).await;
    answers(&alice, &asked, &code).await.expect(StatusCode::OK);
    assert_eq!(alice.get("/api/v1/users/me").await.body["email"], "ada@example.net");
    confirms(&alice, &second, &second.shows(&world, 0)).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_last_factor_that_a_policy_demands_stays() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    let sms = id_of(&alice, "sms").await;
    alice.delete(&format!("/api/v1/factors/{sms}")).await.problem(409, "factor-required");
    makes_codes(&alice).await;
    alice.delete(&format!("/api/v1/factors/{sms}")).await.problem(409, "factor-required");
    let app = binds(&alice).await;
    alice.delete(&format!("/api/v1/factors/{sms}")).await.expect(StatusCode::NO_CONTENT);
    // What was shown was a factor that is gone: it counts no more.
    alice.delete(&format!("/api/v1/factors/{}", app.id)).await.problem(403, "step-up-required");
    steps_up(&alice, "factor.remove", "totp", &app.shows(&world, 0)).await.expect(StatusCode::OK);
    alice.delete(&format!("/api/v1/factors/{}", app.id)).await.problem(409, "factor-required");
    world.advance(STEP);
    steps_up(&alice, "factor.add", "totp", &app.shows(&world, 0)).await.expect(StatusCode::OK);
    // The number is still verified: it can be made one again.
    alice.post("/api/v1/factors", json!({"kind": "sms"})).await.expect(StatusCode::OK);
    assert_eq!(factors_of(&alice).await.len(), 3);
    alice.post("/api/v1/factors", json!({"kind": "email"})).await.problem(422, "invalid");
}

#[tokio::test]
async fn by_role_demands_of_those_who_have_the_role() {
    let world = plan(When::ByRole)
        .policy(|policy| policy.sign_in.second.roles = vec!["admin".to_owned()])
        .build()
        .await;
    let bob = alone(&world).await;
    let app = binds(&bob).await;
    let user = user_of(&bob).await;
    let seen = world.app.store.get::<User>(user.id).await.unwrap().unwrap();
    let admin = seen.with(|user| user.roles.0 = vec!["admin".to_owned()]);
    world.app.store.commit(vec![Change::update(&admin)]).await.unwrap();
    let sms = id_of(&bob, "sms").await;
    steps_up(&bob, "factor.remove", "totp", &app.shows(&world, 0)).await.expect(StatusCode::OK);
    bob.delete(&format!("/api/v1/factors/{sms}")).await.expect(StatusCode::NO_CONTENT);
    bob.delete(&format!("/api/v1/factors/{}", app.id)).await.problem(409, "factor-required");
}

/// Whoever is given the role has nothing to show, and hears that, once the password is right.
#[tokio::test]
async fn by_role_tells_whoever_has_nothing_to_show() {
    let world = plan(When::ByRole)
        .policy(|policy| {
            policy.sign_in.second.roles = vec!["admin".to_owned()];
            policy.sign_in.second.factors = vec![FactorKind::Totp];
        })
        .build()
        .await;
    let bob = alone(&world).await;
    crate::step_up::promote(&world, &bob, &["admin"]).await;
    let tries = async |password: &str| {
        bob.post("/api/v1/auth/login", json!({"identifier": bob.username, "password": password})).await
    };
    tries("not this one, nor that").await.problem(401, "credentials-wrong");
    tries(PASSWORD).await.problem(403, "factor-missing");
    let form = format!("identifier={}&password={}", bob.username, PASSWORD.replace(' ', "+"));
    let page = bob.send("POST", "/sign-in", Some(("application/x-www-form-urlencoded", form.into()))).await;
    assert!(String::from_utf8_lossy(&page.bytes).contains("A second step is asked of you here"));
}

#[tokio::test]
async fn a_wish_for_a_second_factor_that_none_could_be_is_refused_where_it_is_for_roles_too() {
    for when in [When::WhenEnrolled, When::ByRole] {
        let world = plan(when)
            .policy(|policy| {
                policy.sign_up.required = vec![IdentifierKind::Email];
                policy.sign_in.second.roles = vec!["admin".to_owned()];
            })
            .build()
            .await;
        let wish = json!({"email": "ada@example.com", "password": PASSWORD, "is_2fa_enabled": true});
        world.stranger().post("/api/v1/users", wish).await.problem(422, "invalid");
    }
}

#[tokio::test]
async fn the_page_offers_codes_by_call_and_no_recovery_codes_beside_nothing() {
    let world = plan(When::WhenEnrolled)
        .policy(|policy| policy.sign_in.second.factors = vec![FactorKind::Call, FactorKind::RecoveryCode])
        .build()
        .await;
    let bob = alone(&world).await;
    let mut browser = bob.clone();
    browser.token = None;
    browser.headers.insert("origin", world.app.origin.as_str().parse().unwrap());
    browser.headers.insert("accept", "text/html".parse().unwrap());
    let body = json!({"identifier": bob.username, "password": PASSWORD, "session": "cookie"});
    let done = browser.post("/api/v1/auth/login", body).await.expect(StatusCode::OK);
    browser.keeps_cookies(&done);
    let shows = async |path: &str| String::from_utf8(browser.get(path).await.bytes).unwrap();
    let page = shows("/account/security").await;
    assert!(
        page.contains("/account/factors/add/mobile") && !page.contains("/account/recovery-codes"),
        "{page}"
    );
    let form = || Some(("application/x-www-form-urlencoded", Vec::new()));
    let refused = browser.send("POST", "/account/recovery-codes", form()).await.expect(StatusCode::CONFLICT);
    let refused = String::from_utf8(refused.bytes).unwrap();
    assert!(refused.contains("Recovery codes stand in for another way"), "{refused}");
    browser.send("POST", "/account/factors/add/mobile", form()).await.expect(StatusCode::SEE_OTHER);
    let page = shows("/account/security").await;
    assert!(
        page.contains("/account/recovery-codes") && !page.contains("/account/factors/add/mobile"),
        "{page}"
    );
}

#[tokio::test]
async fn where_it_is_optional_the_codes_go_with_the_last_second_factor() {
    let world = plan(When::WhenEnrolled).build().await;
    let mut bob = alone(&world).await;
    assert!(factors_of(&bob).await.is_empty(), "a number that nobody asked for is no factor");
    bob.post("/api/v1/factors/recovery-codes", json!({})).await.problem(409, "factor-required");
    bob.post("/api/v1/factors", json!({"kind": "sms"})).await.expect(StatusCode::OK);
    bob.post("/api/v1/factors", json!({"kind": "sms"})).await.problem(403, "step-up-required");
    bob.signs_in().await;
    makes_codes(&bob).await;
    let again = bob.post("/api/v1/factors", json!({"kind": "sms"})).await.expect(StatusCode::OK).body;
    assert_eq!(factors_of(&bob).await.len(), 2, "what is there already is not made again");
    bob.delete(&format!("/api/v1/factors/{}", again["id"].as_str().unwrap()))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(factors_of(&bob).await.is_empty());
    signs_in_alone(&mut bob).await;
}

/// What the operator does to somebody.
pub async fn does(person: &Person<'_>, deed: Deed<'_>) {
    act(&person.world.ctx(), &By::Operator, user_of(person).await.id, deed).await.unwrap();
}

/// Other rules from now on.
fn rules(world: &World, change: impl FnOnce(&mut Policy)) {
    let mut policy = (*world.app.policy()).clone();
    change(&mut policy);
    world.app.replace_policy(policy);
}

/// Signs in with a code from the mail.
async fn signs_in_by_mail(person: &mut Person<'_>) {
    let asked = asks(person, "email").await;
    let code = sent_code(person.world, &asked).await;
    let done = answers(person, &asked, &code).await;
    keeps_token(person, done);
}

/// Somebody whose e-mail address is the second factor that they chose.
async fn by_mail(world: &World) -> Person<'_> {
    let mut bob = alone(world).await;
    let asked = bob.post("/api/v1/users/me/verify", json!({"kind": "email"})).await;
    let asked = asked.expect(StatusCode::OK).body;
    let code = sent_code(world, &asked).await;
    answers(&bob, &asked, &code).await.expect(StatusCode::OK);
    bob.post("/api/v1/factors", json!({"kind": "email"})).await.expect(StatusCode::OK);
    signs_in_by_mail(&mut bob).await;
    bob
}

#[tokio::test]
async fn a_reset_lets_in_by_a_number_that_was_removed_as_a_factor() {
    let world = plan(When::Always).build().await;
    let mut alice = world.alice().await;
    let sms = id_of(&alice, "sms").await;
    binds(&alice).await;
    alice.delete(&format!("/api/v1/factors/{sms}")).await.expect(StatusCode::NO_CONTENT);
    does(&alice, Deed::ResetFactors).await;
    alice.signs_in().await;
    assert_eq!(factors_of(&alice).await.len(), 1);
    // Whoever has it is given no other.
    does(&alice, Deed::ResetFactors).await;
    alice.signs_in().await;
    assert_eq!(factors_of(&alice).await.len(), 1);
}

#[tokio::test]
async fn a_reset_forgets_what_was_chosen_and_is_no_longer_on_offer() {
    let world = plan(When::WhenEnrolled).build().await;
    let mut bob = alone(&world).await;
    bob.post("/api/v1/factors", json!({"kind": "sms"})).await.expect(StatusCode::OK);
    rules(&world, |policy| policy.sign_in.second.factors = vec![FactorKind::Totp, FactorKind::RecoveryCode]);
    bob.gives_password().await.problem(403, "factor-locked");
    does(&bob, Deed::ResetFactors).await;
    signs_in_alone(&mut bob).await;
}

#[tokio::test]
async fn codes_alone_are_asked_of_nobody_who_need_not_show_a_second_factor() {
    let world = plan(When::Always).build().await;
    let mut alice = world.alice().await;
    makes_codes(&alice).await;
    rules(&world, |policy| policy.sign_in.second.when = When::WhenEnrolled);
    signs_in_alone(&mut alice).await;
    assert!(factors_of(&alice).await.is_empty());
    // Beside another they stand in for it again.
    alice.post("/api/v1/factors", json!({"kind": "sms"})).await.expect(StatusCode::OK);
    assert_eq!(factors_of(&alice).await.len(), 2);

    let roles = |policy: &mut Policy| policy.sign_in.second.roles = vec!["editor".to_owned()];
    let world = plan(When::ByRole).policy(roles).build().await;
    let mut bob = alone(&world).await;
    does(&bob, Deed::Grant("editor")).await;
    bob.signs_in().await;
    makes_codes(&bob).await;
    does(&bob, Deed::Revoke("editor")).await;
    signs_in_alone(&mut bob).await;
}

/// Better ten more sign-ins than none.
#[tokio::test]
async fn codes_alone_do_where_a_second_factor_must_be_shown() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    let codes = makes_codes(&alice).await;
    rules(&world, |policy| policy.sign_in.second.factors = vec![FactorKind::Totp, FactorKind::RecoveryCode]);
    let asked = asks(&alice, "recovery_code").await;
    answers(&alice, &asked, &codes[0]).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_codes_go_with_the_address_that_was_the_last_second_factor() {
    let world = plan(When::WhenEnrolled)
        .policy(|policy| {
            policy.sign_in.second.factors.push(FactorKind::Email);
            policy.sign_up.required = vec![IdentifierKind::Username];
        })
        .build()
        .await;
    let mut bob = by_mail(&world).await;
    let codes = makes_codes(&bob).await;
    let removal = || ("application/json", json!({"email": null}).to_string().into_bytes());
    let remove = async |bob: &Person<'_>| bob.send("PATCH", "/api/v1/users/me", Some(removal())).await;
    rules(&world, |policy| {
        policy.sign_in.second.when = When::Always;
        policy.sign_in.second.factors = vec![FactorKind::Email, FactorKind::RecoveryCode];
    });
    let refused = remove(&bob).await.problem(422, "invalid").body;
    assert_eq!(refused["errors"][0]["code"], "in-use", "codes come to an end: {refused}");
    rules(&world, |policy| policy.sign_in.second.when = When::WhenEnrolled);
    steps_up(&bob, "user.email.change", "recovery_code", &codes[0]).await.expect(StatusCode::OK);
    remove(&bob).await.expect(StatusCode::OK);
    let all = world.app.store.find(Query::<Factor>::along(Factor::BY_USER)).await.unwrap().items;
    assert!(all.iter().all(|factor| factor.kind == FactorKind::Sms), "{all:?}");
    signs_in_alone(&mut bob).await;
}

#[tokio::test]
async fn a_number_that_is_no_factor_by_choice_is_one_where_the_policy_demands_it() {
    let world = plan(When::WhenEnrolled).build().await;
    let mut bob = alone(&world).await;
    bob.post("/api/v1/factors", json!({"kind": "sms"})).await.expect(StatusCode::OK);
    bob.signs_in().await;
    let sms = id_of(&bob, "sms").await;
    bob.delete(&format!("/api/v1/factors/{sms}")).await.expect(StatusCode::NO_CONTENT);
    bob.delete(&format!("/api/v1/factors/{sms}")).await.problem(404, "not-found");
    signs_in_alone(&mut bob).await;
    rules(&world, |policy| policy.sign_in.second.when = When::Always);
    bob.signs_in().await;
}

#[tokio::test]
async fn whoever_binds_the_first_second_factor_goes_on_on_a_known_device() {
    let world = plan(When::WhenEnrolled).build().await;
    let bob = alone(&world).await;
    bob.post("/api/v1/factors", json!({"kind": "sms"})).await.expect(StatusCode::OK);
    let devices = bob.get("/api/v1/devices").await.expect(StatusCode::OK).body;
    assert_eq!(devices["items"].as_array().unwrap().len(), 1, "{devices}");
    assert_eq!(devices["items"][0]["current"], true);
}

#[tokio::test]
async fn sessions_from_before_the_first_second_factor_end_with_it() {
    let world = plan(When::WhenEnrolled).build().await;
    let bob = alone(&world).await;
    let (mut thief, mut other) = (bob.clone(), bob.clone());
    signs_in_alone(&mut thief).await;
    world.advance(Duration::from_secs(1));
    signs_in_alone(&mut other).await;
    let app = binds(&bob).await;
    assert!(bob.is_signed_in().await);
    assert!(!thief.is_signed_in().await && !other.is_signed_in().await);
    // With the second one nothing ends: whoever is signed in has shown a second factor.
    let asked = asks(&bob, "totp").await;
    let done = answers(&other, &asked, &app.shows(&world, 0)).await;
    keeps_token(&mut other, done);
    world.advance(STEP);
    steps_up(&bob, "factor.add", "totp", &app.shows(&world, 0)).await.expect(StatusCode::OK);
    world.advance(STEP);
    binds(&bob).await;
    assert!(bob.is_signed_in().await && other.is_signed_in().await);
}

/// Statements by which a factor is bound for `whom` at once: what `whose` holds becomes theirs.
async fn bound_by_hand(whom: &Person<'_>, whose: &Person<'_>) -> String {
    let id = async |person: &Person<'_>| person.get("/api/v1/users/me").await.body["id"].clone();
    let (whom, whose) = (id(whom).await, id(whose).await);
    let (whom, whose) = (whom.as_str().unwrap(), whose.as_str().unwrap());
    format!(
        "UPDATE factors SET user_id = '{whom}' WHERE user_id = '{whose}';
         UPDATE users SET revision = revision + 1 WHERE id = '{whom}'"
    )
}

/// What a user held was looked at; while the sign-in is written, a factor is bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_factor_that_is_bound_while_a_sign_in_is_written_counts_for_it() {
    let world = plan(When::WhenEnrolled).build().await;
    let (alice, bob) = (alone(&world).await, alone(&world).await);
    binds(&bob).await;
    let bound = bound_by_hand(&alice, &bob).await;
    alice.gives_password_while(&bound).await.problem(503, "busy");
    assert_eq!(alice.gives_password().await.body["status"], "second_factor_required");
}

/// What was shown was enough for what was held; what is bound meanwhile is asked for as if it had been there.
#[tokio::test(flavor = "multi_thread")]
async fn a_factor_that_is_bound_while_something_is_done_is_asked_for() {
    let world = plan(When::WhenEnrolled).build().await;
    for (method, path, body) in [
        ("PATCH", "/api/v1/users/me", json!({"username": "somebody.else"})),
        ("POST", "/api/v1/factors/totp", json!({})),
    ] {
        let (alice, bob) = (alone(&world).await, alone(&world).await);
        binds(&bob).await;
        let bound = bound_by_hand(&alice, &bob).await;
        let body = Some(("application/json", body.to_string().into_bytes()));
        let answer = alice.waits_while(alice.send(method, path, body), &bound).await;
        answer.problem(403, "step-up-required");
    }
}

/// A sign-in that is open while a factor is being bound either ends with the others or is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_at_the_very_moment_of_binding_leaves_no_session_without_the_factor() {
    let world = plan(When::WhenEnrolled).build().await;
    for _ in 0..8 {
        let bob = alone(&world).await;
        let app = begins(&bob).await;
        let code = app.shows(&world, 0);
        let sign_ins = join_all((0..8).map(|_| bob.gives_password()));
        let (bound, answered) = tokio::join!(confirms(&bob, &app, &code), sign_ins);
        bound.expect(StatusCode::OK);
        for answer in answered {
            let mut thief = bob.clone();
            thief.token = answer.body["token"].as_str().map(str::to_owned);
            // What slipped in before the factor was there is gone with the other sessions of before.
            assert!(thief.token.is_none() || !thief.is_signed_in().await);
        }
    }
}

#[tokio::test]
async fn what_belongs_to_others_is_not_there_and_names_are_ones_own() {
    let world = plan(When::Always).build().await;
    let (alice, mallory) = (world.alice().await, world.alice().await);
    let id = id_of(&alice, "sms").await;
    let path = format!("/api/v1/factors/{id}");
    let name = json!({"name": "Work"}).to_string().into_bytes();
    let renames = async |person: &Person<'_>, body: Vec<u8>| {
        person.send("PATCH", &path, Some(("application/json", body))).await
    };
    renames(&mallory, name.clone()).await.problem(404, "not-found");
    mallory.delete(&path).await.problem(404, "not-found");
    mallory.delete("/api/v1/factors/nonsense").await.problem(404, "not-found");
    let pending = begins(&alice).await;
    alice.delete(&format!("/api/v1/factors/{}", pending.id)).await.problem(404, "not-found");
    let named = renames(&alice, name).await.expect(StatusCode::OK).body;
    let noted = alice.get("/api/v1/activity").await.expect(StatusCode::OK).body;
    let noted =
        noted["items"].as_array().unwrap().iter().find(|one| one["event"] == "factor_renamed").cloned();
    assert_eq!(noted.unwrap()["detail"]["id"], named["id"]);
    assert_eq!(named["name"], "Work");
    renames(&alice, b"{}".to_vec()).await.problem(422, "invalid");
    renames(&alice, br#"{"name": " "}"#.to_vec()).await.problem(422, "invalid");
    assert_eq!(factors_of(&alice).await[0]["name"], "Work");
}

#[tokio::test]
async fn there_are_only_so_many_and_only_those_that_the_policy_offers() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    for _ in 1..vestibule::enrolment::MOST {
        let app = begins(&alice).await;
        let code = app.shows(&world, 0);
        confirms(&alice, &app, &code).await.expect(StatusCode::OK);
    }
    alice.post("/api/v1/factors/totp", json!({})).await.problem(422, "invalid");
    let mut policy = (*world.app.policy()).clone();
    policy.sign_in.second.when = When::WhenEnrolled;
    policy.sign_in.second.factors = vec![FactorKind::Sms];
    world.app.replace_policy(policy);
    let bob = alone(&world).await;
    bob.post("/api/v1/factors/totp", json!({})).await.problem(422, "invalid");
    bob.post("/api/v1/factors", json!({"kind": "sms"})).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn users_are_told_of_what_happened_to_their_factors() {
    let world = plan(When::Always).build().await;
    let alice = world.alice().await;
    let count =
        async || world.count::<vestibule::messages::Message>(vestibule::messages::Message::BY_USER).await;
    let before = count().await;
    let app = begins(&alice).await;
    confirms(&alice, &app, &app.never(&world)).await.problem(401, "code-wrong");
    assert_eq!(count().await, before, "nobody is told of what was not done");
    confirms(&alice, &app, &app.shows(&world, 0)).await.expect(StatusCode::OK);
    assert_eq!(count().await, before + 1);
    makes_codes(&alice).await;
    assert_eq!(count().await, before + 2);
    alice.delete(&format!("/api/v1/factors/{}", app.id)).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(count().await, before + 3);
}
