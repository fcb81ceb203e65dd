//! `/auth/recover…` and `/users/me/password`: a new password, with and without the old one; what nobody
//! may learn on the way, and what must not outlive it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use vestibule::accounts::{Status, User};
use vestibule::challenges::Challenge;
use vestibule::clock::Clock;
use vestibule::identifiers::Identifier;
use vestibule::messages::{Channel, Message};
use vestibule::passwords::Password;
use vestibule::policy::{FactorKind, Policy, When, operation};
use vestibule::store::{Change, Entity, Query, Seen, Value};

use crate::factors::binds;
use crate::world::{Answer, PASSWORD, Person, World, unlimited};

const MINUTE: Duration = Duration::from_secs(60);
pub const NEW: &str = "eight quiet herons on the pier";
const RECOVER: &str = "/api/v1/auth/recover";
const VERIFY: &str = "/api/v1/auth/recover/verify";
const SET: &str = "/api/v1/users/me/password";

fn no_second(policy: &mut Policy) {
    policy.sign_in.second.when = When::Never;
}

pub async fn world() -> World {
    World::plan().policy(unlimited).build().await
}

/// Somebody signed in whose e-mail address is known to be theirs.
pub async fn owner(world: &World) -> Person<'_> {
    let person = world.alice().await;
    shows_email(&person).await;
    person
}

async fn identifiers(person: &Person<'_>) -> Vec<vestibule::store::Seen<Identifier>> {
    let name = Query::along(Identifier::BY_CANONICAL).equal(format!("username:{}", person.username));
    let own: vestibule::store::Seen<Identifier> = person.world.app.store.first(name).await.unwrap().unwrap();
    let all = Query::along(Identifier::BY_USER).equal(own.user_id);
    person.world.app.store.find(all).await.unwrap().items
}

pub async fn shows_email(person: &Person<'_>) {
    let all = identifiers(person).await;
    let email = all.into_iter().find(|one| one.value.contains('@')).unwrap();
    let now = person.world.app.clock.now();
    let email = email.with(|email| {
        email.verified_at = Some(now);
        email.owned = Some(email.canonical.clone());
    });
    person.world.app.store.commit(vec![Change::update(&email)]).await.unwrap();
}

pub async fn stored_password(person: &Person<'_>) -> Option<String> {
    let user = identifiers(person).await[0].user_id;
    let found = person.world.app.store.get::<Password>(user).await.unwrap();
    found.map(|password| password.phc.clone())
}

pub async fn begins(person: &Person<'_>, identifier: &str) -> String {
    let asked = person.post(RECOVER, json!({"identifier": identifier})).await.expect(StatusCode::ACCEPTED);
    asked.body["challenge"]["id"].as_str().unwrap().to_owned()
}

pub async fn mailed(person: &Person<'_>) -> String {
    person.world.run_due().await;
    let all = person.world.messages(&person.email()).await;
    let all = all["items"].as_array().unwrap().clone();
    let code =
        all.iter().find_map(|mail| mail["code"].as_str()).unwrap_or_else(|| panic!("no code: {all:?}"));
    code.to_owned()
}

/// The recovery up to its token, which may still wait for a second factor.
async fn proves(person: &Person<'_>) -> Json {
    let challenge = begins(person, &person.email()).await;
    let code = mailed(person).await;
    person.post(VERIFY, json!({"challenge": challenge, "code": code})).await.expect(StatusCode::OK).body
}

/// The whole recovery: the right to set a new password, by e-mail and by SMS.
async fn proves_both(person: &Person<'_>) -> String {
    let proved = proves(person).await;
    person.world.run_due().await;
    let code = person.world.last_code(&person.mobile).await;
    let body = json!({"challenge": proved["second_factor"]["id"], "code": code});
    person.post("/api/v1/auth/verify-code", body).await.expect(StatusCode::OK);
    proved["recovery_token"].as_str().unwrap().to_owned()
}

/// Gets back in by a recovery from its beginning to its end.
pub async fn recovers(person: &Person<'_>) {
    shows_email(person).await;
    person.world.advance(MINUTE);
    let token = proves_both(person).await;
    let body = json!({"recovery_token": token, "new_password": NEW});
    sets(person, body).await.expect(StatusCode::OK);
}

pub async fn steps_up(person: &Person<'_>) {
    let body = json!({"operation": operation::PASSWORD_CHANGE});
    let asked = person.post("/api/v1/auth/step-up", body).await.expect(StatusCode::OK).body;
    if asked["status"] == "verified" {
        return;
    }
    person.world.run_due().await;
    let code = person.world.last_code(&person.mobile).await;
    let body = json!({"challenge": asked["id"], "code": code});
    person.post("/api/v1/auth/verify-code", body).await.expect(StatusCode::OK);
}

pub async fn sets(person: &Person<'_>, body: Json) -> Answer {
    person.send("PUT", SET, Some(("application/json", body.to_string().into_bytes()))).await
}

pub async fn logs_in(person: &Person<'_>, password: &str) -> Answer {
    person.post("/api/v1/auth/login", json!({"identifier": person.username, "password": password})).await
}

/// The token of the newest link to `page` that came to `address`.
pub async fn linked(world: &World, address: &str, page: &str) -> String {
    world.run_due().await;
    let all = world.messages(address).await;
    let start = format!("{}{page}?token=", world.app.origin.as_str());
    let found = all["items"].as_array().unwrap().iter().find_map(|mail| {
        let (_, rest) = mail["body"].as_str()?.split_once(&start)?;
        Some(rest.split(|letter: char| letter.is_whitespace()).next()?.to_owned())
    });
    found.unwrap_or_else(|| panic!("no link to {page} at {address}: {all}"))
}

/// What somebody sees who compares answers: everything but what names this request or this person.
pub fn seen(person: &Person<'_>, answer: &Answer) -> String {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let body = String::from_utf8(answer.bytes.clone()).unwrap();
    let mut text = format!("{}\n{}\n\n{body}", answer.status, headers.join("\n"));
    let ends = format!("{} ••• ••{}", &person.mobile[..2], &person.mobile[person.mobile.len() - 2..]);
    for (known, name) in
        [(&person.email(), "EMAIL"), (&person.username, "NAME"), (&person.mobile, "MOBILE"), (&ends, "ENDS")]
    {
        text = text.replace(known.as_str(), name);
    }
    // Ids and tokens, each by its shape.
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    text.split_inclusive(|letter: char| !word(letter))
        .map(|part| {
            let (text, end) = part.split_at(part.trim_end_matches(|letter: char| !word(letter)).len());
            let token = text.len() == 67 && text.starts_with('v') && text[2..].starts_with('_');
            let id = text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4;
            format!(
                "{}{end}",
                if token {
                    "TOKEN"
                } else if id {
                    "ID"
                } else {
                    text
                }
            )
        })
        .collect()
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_mail_and_second_factor() {
    let world = world().await;
    let person = owner(&world).await;
    let mut visitor = world.stranger();
    (visitor.username, visitor.mobile) = (person.username.clone(), person.mobile.clone());
    let proved = proves(&visitor).await;
    let token = proved["recovery_token"].as_str().unwrap();
    assert!(token.starts_with("vp_"), "{proved}");
    assert_eq!(proved["second_factor"]["factor"], "sms", "{proved}");
    let body = json!({"recovery_token": token, "new_password": NEW});
    sets(&visitor, body.clone()).await.problem(403, "step-up-required");
    assert!(person.is_signed_in().await, "a recovery that was only begun ends nothing");
    logs_in(&person, PASSWORD).await.expect(StatusCode::OK);

    world.advance(MINUTE);
    let resent =
        visitor.post("/api/v1/auth/resend-code", json!({"challenge": proved["second_factor"]["id"]})).await;
    resent.expect(StatusCode::OK);
    world.run_due().await;
    let code = world.last_code(&person.mobile).await;
    let answer = json!({"challenge": proved["second_factor"]["id"], "code": code});
    let verified = visitor.post("/api/v1/auth/verify-code", answer).await.expect(StatusCode::OK);
    assert_eq!(verified.body, json!({"status": "verified"}), "it signs nobody in");

    let weak = json!({"recovery_token": token, "new_password": "password"});
    assert_eq!(sets(&visitor, weak).await.problem(422, "invalid").body["errors"][0]["field"], "new_password");
    let same = json!({"recovery_token": token, "new_password": PASSWORD});
    assert_eq!(sets(&visitor, same).await.problem(422, "invalid").body["errors"][0]["code"], "same");
    let done = sets(&visitor, body.clone()).await.expect(StatusCode::OK);
    // A device that is known from now on, which opens nothing, and no session.
    assert!(done.body["device"].as_str().unwrap().starts_with("vd_"), "{}", done.body);
    assert_eq!(done.body.as_object().unwrap().len(), 1, "{}", done.body);
    sets(&visitor, body).await.problem(401, "code-gone");
    assert!(!person.is_signed_in().await, "every session has ended");
    logs_in(&person, PASSWORD).await.problem(401, "credentials-wrong");
    assert_eq!(logs_in(&person, NEW).await.expect(StatusCode::OK).body["status"], "second_factor_required");
    world.run_due().await;
    let mails = world.messages(&person.email()).await.to_string();
    assert!(
        mails.contains("Account recovery was requested") && mails.contains("Your password was changed"),
        "{mails}"
    );
    assert!(!mails.contains(NEW) && !mails.contains(PASSWORD));
}

/// Whoever reads somebody's mail, or has their phone, is not the only one who is told what they do by it.
#[tokio::test]
async fn a_recovery_by_one_place_is_told_at_the_other() {
    for channel in [FactorKind::Email, FactorKind::Sms] {
        let by = move |policy: &mut Policy| policy.recovery.channels = vec![channel];
        let world = World::plan().policy(unlimited).policy(no_second).policy(by).build().await;
        let person = world.member().await;
        for one in identifiers(&person).await.into_iter().filter(|one| one.takes_codes()) {
            let shown = one.with(|one| one.prove(world.ctx().now));
            world.app.store.commit(vec![Change::update(&shown)]).await.unwrap();
        }
        world.advance(MINUTE);
        let challenge = begins(&person, &person.username).await;
        world.run_due().await;
        let code = match channel {
            FactorKind::Email => mailed(&person).await,
            _ => world.last_code(&person.mobile).await,
        };
        let proof = json!({"challenge": challenge, "code": code});
        let proved = person.post(VERIFY, proof).await.expect(StatusCode::OK).body;
        let body = json!({"recovery_token": proved["recovery_token"], "new_password": NEW});
        sets(&person, body).await.expect(StatusCode::OK);
        world.run_due().await;
        for told in [person.email(), person.mobile.clone()] {
            let text = world.messages(&told).await.to_string();
            let both =
                text.contains("Account recovery was requested") && text.contains("password was changed");
            assert!(
                both || (channel == FactorKind::Sms && told == person.mobile),
                "{channel} {told}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn one_place_is_enough_only_for_an_account_without_a_second_factor() {
    let alone = World::plan().policy(unlimited).policy(no_second).build().await;
    let person = alone.member().await;
    shows_email(&person).await;
    let proved = proves(&person).await;
    assert!(proved.get("second_factor").is_none(), "{proved}");
    let body = json!({"recovery_token": proved["recovery_token"], "new_password": NEW});
    sets(&person, body).await.expect(StatusCode::OK);

    // By SMS, the same number proves nothing more: the e-mail address must.
    let by_sms = |policy: &mut Policy| policy.recovery.channels = vec![FactorKind::Sms];
    let world = World::plan().policy(unlimited).policy(by_sms).build().await;
    for has_email in [false, true] {
        let person = world.alice().await;
        if has_email {
            shows_email(&person).await;
        }
        let challenge = begins(&person, &person.username).await;
        world.run_due().await;
        let code = world.last_code(&person.mobile).await;
        let answer = person.post(VERIFY, json!({"challenge": challenge, "code": code})).await;
        if !has_email {
            answer.problem(403, "factor-missing");
            continue;
        }
        let proved = answer.expect(StatusCode::OK).body;
        assert_eq!(proved["second_factor"]["factor"], "email", "{proved}");
        assert_eq!(proved["second_factor"]["alternatives"], json!([]));
        let code = mailed(&person).await;
        let body = json!({"challenge": proved["second_factor"]["id"], "code": code});
        person.post("/api/v1/auth/verify-code", body).await.expect(StatusCode::OK);
        let body = json!({"recovery_token": proved["recovery_token"], "new_password": NEW});
        sets(&person, body).await.expect(StatusCode::OK);
    }
}

/// The preferred way is no way while nobody carries it.
#[tokio::test]
async fn a_recovery_goes_by_a_way_that_somebody_carries() {
    let by_both = |policy: &mut Policy| policy.recovery.channels = vec![FactorKind::Sms, FactorKind::Email];
    let mut world = World::plan().policy(unlimited).policy(by_both).build().await;
    let (user, email) = {
        let person = owner(&world).await;
        (identifiers(&person).await[0].user_id, person.email())
    };
    world.restart(|config| config.delivery.routes.retain(|route| route.channel != Channel::Sms));
    begins(&world.stranger(), &email).await;
    let sent = world.app.store.find(Query::<Message>::along(Message::BY_USER).equal(user)).await.unwrap();
    let is_code = |one: &&Seen<Message>| one.purpose == "code" && one.kind == Channel::Email;
    let sent: Vec<_> = sent.items.iter().filter(is_code).collect();
    assert!(sent.len() == 1 && sent[0].to == email, "{}", sent.len());
}

/// Where mails are the second factor, and a mail has begun it, reading the same mails twice shows nothing more.
#[tokio::test]
async fn one_address_is_not_two_places() {
    let by_mail = |policy: &mut Policy| policy.sign_in.second.factors = vec![FactorKind::Email];
    let world = World::plan().policy(unlimited).policy(by_mail).build().await;
    let person = world.member().await;
    shows_email(&person).await;
    let challenge = begins(&person, &person.email()).await;
    let body = json!({"challenge": challenge, "code": mailed(&person).await});
    let before = codes_mailed(&person).await;
    person.post(VERIFY, body).await.problem(403, "factor-missing");
    world.run_due().await;
    assert_eq!(codes_mailed(&person).await, before);
}

/// A thief who reads somebody's mail gets no further than to the second factor, and cannot take it away.
#[tokio::test]
async fn guesses_in_recoveries_close_recovery_alone_and_the_user_is_told() {
    let world = world().await;
    let mut person = owner(&world).await;
    let mut thief = world.stranger();
    (thief.username, thief.mobile) = (person.username.clone(), person.mobile.clone());
    let open = proves(&thief).await["second_factor"]["id"].clone();
    world.advance(MINUTE);
    let most = world.ctx().policy.limits.recovery_failures;
    let mut left = most;
    while left > 0 {
        let challenge = proves(&thief).await["second_factor"]["id"].clone();
        for _ in 0..left.min(5) {
            let wrong = json!({"challenge": challenge, "code": "nonsense"});
            thief.post("/api/v1/auth/verify-code", wrong).await.problem(401, "code-wrong");
            left -= 1;
        }
        world.advance(MINUTE);
    }
    world.run_due().await;
    let told = "Recovery with a sign-in method was locked";
    assert!(world.messages(&person.email()).await.to_string().contains(told));
    // What is still open sends nothing more, and takes nothing.
    let resent = thief.post("/api/v1/auth/resend-code", json!({"challenge": open})).await;
    resent.problem(403, "factor-locked");
    let late = json!({"challenge": open, "code": world.last_code(&person.mobile).await});
    thief.post("/api/v1/auth/verify-code", late).await.problem(403, "factor-locked");
    // No second factor is left to a recovery, and none is left out.
    let challenge = begins(&thief, &person.email()).await;
    let code = mailed(&thief).await;
    let body = json!({"challenge": challenge, "code": code});
    thief.post(VERIFY, body.clone()).await.problem(403, "factor-locked");

    // The owner signs in as ever; that opens recovery again.
    person.signs_in().await;
    world.advance(MINUTE);
    recovers(&person).await;
    logs_in(&person, NEW).await.expect(StatusCode::OK);
}

/// Whoever holds the number and not the mail: what was guessed at is not where its owner is told.
#[tokio::test]
async fn of_an_address_that_is_closed_to_recovery_its_owner_is_told_by_text_message() {
    let by_sms = |policy: &mut Policy| {
        policy.recovery.channels = vec![FactorKind::Sms];
        policy.limits.recovery_failures = 5;
    };
    let world = World::plan().policy(unlimited).policy(by_sms).build().await;
    let person = owner(&world).await;
    let challenge = begins(&person, &person.username).await;
    world.run_due().await;
    let code = world.last_code(&person.mobile).await;
    let body = json!({"challenge": challenge, "code": code});
    let second = person.post(VERIFY, body).await.expect(StatusCode::OK).body["second_factor"].clone();
    assert_eq!(second["factor"], "email");
    for _ in 0..5 {
        let wrong = json!({"challenge": second["id"], "code": "nonsense"});
        person.post("/api/v1/auth/verify-code", wrong).await.problem(401, "code-wrong");
    }
    world.run_due().await;
    let told = "Recovery with a sign-in method was locked";
    assert!(world.messages(&person.mobile).await.to_string().contains(told));
    assert!(!world.messages(&person.email()).await.to_string().contains(told));
}

/// How many mails with a code came to `person`.
async fn codes_mailed(person: &Person<'_>) -> usize {
    person.world.run_due().await;
    let all = person.world.messages(&person.email()).await;
    all["items"].as_array().unwrap().iter().filter(|mail| mail["code"].is_string()).count()
}

/// Recoveries of `name` that somebody asks for from each of these networks, as often as they are let and with
/// every resend. Which /24 they sit in is all that tells them apart.
async fn attack(world: &World, name: &str, networks: std::ops::Range<u8>) {
    let mut asked = Vec::new();
    for network in networks {
        for host in 1..4 {
            let mut attacker = world.stranger();
            attacker.ip = [198, 51, network, host].into();
            for _ in 0..3 {
                let answer = attacker.post(RECOVER, json!({"identifier": name})).await;
                if answer.status == StatusCode::ACCEPTED {
                    asked.push((attacker.ip, answer.body["challenge"]["id"].clone()));
                }
            }
        }
    }
    world.run_due().await;
    world.advance(Duration::from_secs(31));
    for (ip, challenge) in asked {
        let mut attacker = world.stranger();
        attacker.ip = ip;
        attacker.post("/api/v1/auth/resend-code", json!({"challenge": challenge})).await;
    }
    world.run_due().await;
}

#[tokio::test]
async fn who_has_a_few_addresses_keeps_nobody_from_getting_back_in() {
    let world = World::plan().policy(no_second).build().await;
    let person = world.stranger();
    person.signs_up().await.expect(StatusCode::CREATED);
    shows_email(&person).await;
    let signed_in = logs_in(&person, PASSWORD).await.expect(StatusCode::OK).body;
    let device = signed_in["device"].as_str().unwrap();
    // From five networks, an hour long: each gets its five mails, and no more.
    let before = codes_mailed(&person).await;
    for _ in 0..4 {
        attack(&world, &person.username, 0..5).await;
        world.advance(15 * MINUTE);
    }
    let mails = codes_mailed(&person).await;
    assert_eq!(mails - before, 25, "five times five");
    let mut anywhere = world.stranger();
    anywhere.ip = [198, 18, 7, 7].into();
    anywhere.post(RECOVER, json!({"identifier": person.username})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(codes_mailed(&person).await, mails + 1, "somebody new gets a code at once");

    // From twenty, all day: all that strangers may have sent is gone.
    for _ in 0..6 {
        attack(&world, &person.email(), 0..20).await;
        world.advance(60 * MINUTE);
    }
    let mails = codes_mailed(&person).await;
    assert_eq!(mails - before, 30, "and that is bounded");
    anywhere.ip = [198, 18, 8, 8].into();
    anywhere.post(RECOVER, json!({"identifier": person.email()})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(codes_mailed(&person).await, mails);

    // Where its owner has signed in before, a code comes all the same.
    let mut at_home = world.stranger();
    at_home.ip = person.ip;
    at_home.post(RECOVER, json!({"identifier": person.email()})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(codes_mailed(&person).await, mails + 1, "at home, on a new device");
    let known = json!({"identifier": person.email(), "device": device});
    let mut abroad = world.stranger();
    (abroad.username, abroad.ip) = (person.username.clone(), [198, 51, 3, 3].into());
    let begun = abroad.post(RECOVER, known).await.expect(StatusCode::ACCEPTED).body;
    assert_eq!(codes_mailed(&person).await, mails + 2, "and on a known device, beside the attacker");
    world.advance(MINUTE);
    let resent = json!({"challenge": begun["challenge"]["id"]});
    abroad.post("/api/v1/auth/resend-code", resent).await.expect(StatusCode::OK);
    assert_eq!(codes_mailed(&person).await, mails + 3, "and again");
    let code = mailed(&person).await;
    let proof = json!({"challenge": begun["challenge"]["id"], "code": code});
    let token = abroad.post(VERIFY, proof).await.expect(StatusCode::OK).body["recovery_token"].clone();
    sets(&abroad, json!({"recovery_token": token, "new_password": NEW})).await.expect(StatusCode::NO_CONTENT);

    // The device on which they did it stays known. Whoever has none waits a day after the attack at most.
    let mails = codes_mailed(&person).await;
    let own = json!({"identifier": person.email(), "device": device});
    abroad.post(RECOVER, own).await.expect(StatusCode::ACCEPTED);
    assert_eq!(codes_mailed(&person).await, mails + 1, "in the middle of the attack");
    let mails = mails + 1;
    anywhere.post(RECOVER, json!({"identifier": person.email()})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(codes_mailed(&person).await, mails, "from anywhere else");
    world.advance(24 * 60 * MINUTE);
    anywhere.post(RECOVER, json!({"identifier": person.email()})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(codes_mailed(&person).await, mails + 1, "a day later");
}

/// A device that is known to somebody is no lane to anybody else's account, and one's own is bounded too.
#[tokio::test]
async fn a_known_device_begins_recoveries_of_its_owner_alone_and_only_so_many() {
    let world = World::plan().policy(no_second).build().await;
    let owner = world.stranger();
    owner.signs_up().await.expect(StatusCode::CREATED);
    shows_email(&owner).await;
    let device = logs_in(&owner, PASSWORD).await.expect(StatusCode::OK).body["device"].clone();
    let before = codes_mailed(&owner).await;
    for name in [owner.email(), "nobody@example.com".to_owned()] {
        for _ in 0..5 {
            let body = json!({"identifier": name, "device": device});
            owner.post(RECOVER, body).await.expect(StatusCode::ACCEPTED);
        }
    }
    let sixth = async |name: &str| {
        let body = json!({"identifier": name, "device": device});
        owner.post(RECOVER, body).await.problem(429, "limit-reached").body["limit"].clone()
    };
    assert_eq!(sixth(&owner.email()).await, "recover-device");
    assert_eq!(sixth("nobody@example.com").await, "recover-identifier");
    assert_eq!(codes_mailed(&owner).await, before + 5);
    world.advance(60 * MINUTE);
    let body = json!({"identifier": owner.email(), "device": device});
    let answer = owner.post(RECOVER, body).await.problem(429, "limit-reached");
    assert_eq!(answer.body["limit"], "send-recovery-known", "who shows the device may know why");
    for bad in [json!(7), json!(["vd_"]), json!({})] {
        let body = json!({"identifier": owner.email(), "device": bad});
        owner.post(RECOVER, body).await.problem(422, "invalid");
    }
    // From one address, for whomever: twenty.
    let visitor = world.stranger();
    for n in 0..20 {
        visitor.post(RECOVER, json!({"identifier": format!("nobody{n}")})).await.expect(StatusCode::ACCEPTED);
    }
    let answer = visitor.post(RECOVER, json!({"identifier": "nobody20"})).await;
    assert_eq!(answer.problem(429, "limit-reached").body["limit"], "recover-address");
    // What is no device at all is nobody's.
    let body = json!({"identifier": owner.email(), "device": "vd_nonsense"});
    owner.post(RECOVER, body).await.expect(StatusCode::ACCEPTED);
}

/// Every step of a recovery that does not succeed, as whoever tries it sees it.
async fn transcript(person: &Person<'_>, identifier: &str) -> Vec<String> {
    let world = person.world;
    let mut steps = Vec::new();
    let asked = person.post(RECOVER, json!({"identifier": identifier})).await.expect(StatusCode::ACCEPTED);
    let id = asked.body["challenge"]["id"].clone();
    steps.push(seen(person, &asked));
    let guess = json!({"challenge": id, "code": "00000000"});
    for (path, body) in [
        (VERIFY, json!({"challenge": id, "code": ""})),
        (VERIFY, json!({"challenge": id, "code": "x".repeat(1_000)})),
        ("/api/v1/auth/verify-code", guess.clone()),
        ("/api/v1/auth/resend-code", json!({"challenge": id})),
        ("/api/v1/auth/resend-code", json!({"challenge": id, "factor": "totp"})),
        ("/api/v1/auth/resend-code", json!({"challenge": id, "factor": "sms"})),
    ] {
        steps.push(seen(person, &person.post(path, body).await));
    }
    world.advance(Duration::from_secs(31));
    for path in ["/api/v1/auth/resend-code", VERIFY, VERIFY, VERIFY, VERIFY, "/api/v1/auth/resend-code"] {
        let body = if path == VERIFY { guess.clone() } else { json!({"challenge": id}) };
        steps.push(seen(person, &person.post(path, body).await));
    }
    // Another one, until it expires.
    let asked = person.post(RECOVER, json!({"identifier": identifier})).await.expect(StatusCode::ACCEPTED);
    let guess = json!({"challenge": asked.body["challenge"]["id"], "code": "00000000"});
    steps.push(seen(person, &person.post(VERIFY, guess.clone()).await));
    world.advance(6 * MINUTE);
    steps.push(seen(person, &person.post(VERIFY, guess).await));
    // And often enough to be held up.
    for _ in 0..5 {
        steps.push(seen(person, &person.post(RECOVER, json!({"identifier": identifier})).await));
    }
    steps
}

/// T-24, T-23 and T-25 as far as bytes go: a recovery of nobody's account looks like anybody's.
#[tokio::test]
async fn t24_a_recovery_tells_nobody_who_is_known() {
    let mut transcripts = Vec::new();
    // A house of its own for each, so that the clock says the same.
    for case in ["verified", "unverified", "suspended", "no password", "unknown", "not an identifier"] {
        let world = World::new().await;
        let person = match case {
            "unknown" | "not an identifier" => world.stranger(),
            _ => world.member().await,
        };
        if !matches!(case, "unknown" | "unverified" | "not an identifier") {
            shows_email(&person).await;
        }
        if case == "suspended" {
            let user = identifiers(&person).await[0].user_id;
            let seen = world.app.store.get::<User>(user).await.unwrap().unwrap();
            let seen = seen.with(|user| user.status = Status::Suspended);
            world.app.store.commit(vec![Change::update(&seen)]).await.unwrap();
        }
        if case == "no password" {
            let user = identifiers(&person).await[0].user_id;
            let seen = world.app.store.get::<Password>(user).await.unwrap().unwrap();
            world.app.store.commit(vec![Change::delete(&seen)]).await.unwrap();
        }
        let identifier =
            if case == "not an identifier" { "not an @ identifier".to_owned() } else { person.email() };
        transcripts.push((case, transcript(&person, &identifier).await));
    }
    let (_, expected) = transcripts[0].clone();
    for (case, steps) in &transcripts {
        for (at, (one, other)) in expected.iter().zip(steps).enumerate() {
            assert_eq!(one, other, "step {at} of {case}");
        }
        assert_eq!(steps.len(), expected.len());
    }
    let all = expected.join("\n");
    assert!(all.contains("429") && all.contains("code-wrong") && all.contains("code-gone"), "{all}");
    assert!(all.contains("\"attempts_left\":5"), "{all}");
}

/// The rows that each step leaves are as many for nobody as for somebody, and no code goes out.
#[tokio::test]
async fn a_decoy_costs_the_same_rows_and_sends_nothing() {
    let world = world().await;
    let known = owner(&world).await;
    let unknown = world.stranger();
    // What was sent before is older than all that is looked at.
    world.advance(MINUTE);
    let mut counts = Vec::new();
    for person in [&known, &unknown] {
        let rows = || async {
            let challenges = world.count::<Challenge>(Challenge::BY_USER).await;
            let messages = world.count::<Message>(Message::BY_CREATED).await;
            let events = world.count::<vestibule::audit::Event>(vestibule::audit::Event::BY_TIME).await;
            [challenges, messages, events]
        };
        let mut rows_after = vec![rows().await];
        let challenge = begins(person, &person.email()).await;
        rows_after.push(rows().await);
        person.post(VERIFY, json!({"challenge": challenge, "code": "1"})).await.problem(401, "code-wrong");
        rows_after.push(rows().await);
        world.advance(MINUTE);
        person.post("/api/v1/auth/resend-code", json!({"challenge": challenge})).await.expect(StatusCode::OK);
        rows_after.push(rows().await);
        let steps: Vec<_> = rows_after
            .windows(2)
            .map(|two| [two[1][0] - two[0][0], two[1][1] - two[0][1], two[1][2] - two[0][2]])
            .collect();
        counts.push(steps);
    }
    assert_eq!(counts[0], counts[1]);
    assert_eq!(counts[0], [[1, 1, 1], [0, 0, 1], [0, 1, 1]]);
    // As many rows, and each in as many indexes.
    let last = Query::<Message>::along(Message::BY_CREATED).descending().limit(4);
    let written = world.app.store.find(last).await.unwrap().items;
    assert!(written.iter().any(|message| message.due_at.is_some()), "one is to be sent");
    assert!(written.iter().any(|message| message.due_at.is_none()), "a decoy is not");
    let table = Message::table();
    for index in table.indexes.iter().filter(|index| index.sparse) {
        let at = table.position(index.columns[0]).unwrap();
        let holds: Vec<_> = written.iter().map(|message| message.to_values()[at] != Value::Null).collect();
        assert!(holds.windows(2).all(|two| two[0] == two[1]), "{index:?}: {holds:?}");
    }
    world.run_due().await;
    assert_eq!(world.messages(&unknown.email()).await["items"], json!([]));
    assert_eq!(world.messages(&unknown.mobile).await["items"], json!([]));
}

/// T-23 and T-25, as far as bytes go: signing in and signing up.
#[tokio::test]
async fn t23_t25_signing_in_and_up_tell_nobody_who_is_known() {
    let world = world().await;
    let known = owner(&world).await;
    let unknown = world.stranger();
    let mut answers = Vec::new();
    for person in [&known, &unknown] {
        let mut visitor = world.stranger();
        (visitor.username, visitor.mobile) = (person.username.clone(), person.mobile.clone());
        for identifier in [person.username.clone(), person.email(), person.mobile.clone()] {
            let body = json!({"identifier": identifier, "password": "a wrong one, certainly"});
            let answer = visitor.post("/api/v1/auth/login", body).await.problem(401, "credentials-wrong");
            answers.push(seen(&visitor, &answer));
        }
    }
    let (first, second) = answers.split_at(3);
    assert_eq!(first, second);
    let mut made = Vec::new();
    for taken in [&known, &unknown] {
        let mut visitor = world.stranger();
        let mut body = visitor.account();
        body["email"] = json!(taken.email());
        body["mobile"] = json!(taken.mobile);
        let answer = visitor.post("/api/v1/users", body).await.expect(StatusCode::CREATED);
        let own = visitor.username.clone();
        visitor.mobile.clone_from(&taken.mobile);
        visitor.username.clone_from(&taken.username);
        made.push(seen(&visitor, &answer).replace(&own, "OWN"));
    }
    assert_eq!(made[0], made[1]);
}

/// T-27: links lead to the configured origin, whatever a request says of its host or its way.
#[tokio::test]
async fn t27_links_lead_to_the_configured_origin_only() {
    let world = world().await;
    let person = owner(&world).await;
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-server", "evil.example"),
        ("x-original-url", "https://evil.example/"),
        ("forwarded", "for=1.2.3.4;host=evil.example;proto=http"),
        ("x-host", "evil.example"),
        ("referer", "https://evil.example/"),
    ] {
        let mut visitor = person.clone();
        visitor.token = None;
        visitor.headers.insert(name, value.parse().unwrap());
        let proved = proves(&visitor).await;
        assert!(proved["recovery_token"].is_string());
    }
    world.run_due().await;
    let mails = world.messages(&person.email()).await;
    let text = mails.to_string();
    assert!(!text.contains("evil.example") && !text.contains("gopher"), "{text}");
    for mail in mails["items"].as_array().unwrap() {
        let body = mail["body"].as_str().unwrap();
        for link in body.split_whitespace().filter(|word| word.contains("://")) {
            assert!(link.starts_with(&format!("{}/", world.app.origin.as_str())), "{link}");
        }
    }
}

/// T-31: a token is for one person and one purpose.
#[tokio::test]
async fn t31_a_token_is_for_one_person_and_one_purpose() {
    let world = world().await;
    let (alice, mallory) = (owner(&world).await, owner(&world).await);
    let hers = proves(&alice).await;
    let his = proves_both(&mallory).await;
    // His second factor is not hers.
    let waiting = json!({"recovery_token": hers["recovery_token"], "new_password": NEW});
    sets(&mallory, waiting.clone()).await.problem(403, "step-up-required");
    // Signed in as somebody else, a recovery token still sets the password of its own account only.
    let before = stored_password(&alice).await;
    sets(&alice, json!({"recovery_token": his, "new_password": NEW})).await.expect(StatusCode::OK);
    assert_eq!(stored_password(&alice).await, before);
    assert!(alice.is_signed_in().await && !mallory.is_signed_in().await);
    // Under another prefix, in another place.
    let token = hers["recovery_token"].as_str().unwrap();
    let challenge = hers["second_factor"]["id"].as_str().unwrap();
    for pretended in
        [challenge.to_owned(), challenge.replacen("vc_", "vp_", 1), token.replacen("vp_", "vu_", 1)]
    {
        sets(&alice, json!({"recovery_token": pretended, "new_password": NEW}))
            .await
            .problem(401, "code-gone");
    }
    for pretended in [token.to_owned(), token.replacen("vp_", "vc_", 1)] {
        let body = json!({"challenge": pretended, "code": "000000"});
        alice.post("/api/v1/auth/verify-code", body.clone()).await.problem(401, "code-gone");
        alice.post(VERIFY, body).await.problem(401, "code-gone");
    }
    // The second factor's challenge is no recovery of its own.
    alice.post(VERIFY, json!({"challenge": challenge, "code": "000000"})).await.problem(401, "code-gone");
    let mut thief = world.stranger();
    thief.token = Some(token.replacen("vp_", "vs_", 1));
    assert!(!thief.is_signed_in().await);
}

/// T-32: what has expired is refused though nothing was swept.
#[tokio::test]
async fn t32_expiry_is_looked_at_when_it_counts() {
    let world = World::plan().policy(unlimited).policy(no_second).build().await;
    let person = world.member().await;
    shows_email(&person).await;
    let challenge = begins(&person, &person.email()).await;
    let code = mailed(&person).await;
    world.advance(5 * MINUTE);
    person.post(VERIFY, json!({"challenge": challenge, "code": code})).await.problem(401, "code-gone");
    let token = proves(&person).await["recovery_token"].clone();
    world.advance(10 * MINUTE - Duration::from_millis(1));
    let weak = json!({"recovery_token": token, "new_password": "short"});
    sets(&person, weak).await.problem(422, "invalid");
    world.advance(Duration::from_millis(1));
    sets(&person, json!({"recovery_token": token, "new_password": NEW})).await.problem(401, "code-gone");
    let token = proves(&person).await["recovery_token"].clone();
    sets(&person, json!({"recovery_token": token, "new_password": NEW})).await.expect(StatusCode::OK);
    let link = linked(&world, &person.email(), "/not-me").await;
    world.advance(7 * 24 * 60 * MINUTE);
    person.post("/api/v1/auth/undo", json!({"token": link})).await.problem(401, "code-gone");
}

/// T-33: nothing stands for a token but a token.
#[tokio::test]
async fn t33_what_is_no_token_matches_nothing() {
    let world = world().await;
    let person = owner(&world).await;
    proves(&person).await;
    let before = stored_password(&person).await;
    let nothing = [
        json!(""),
        json!(null),
        json!(0),
        json!([]),
        json!({}),
        json!(false),
        json!("vp_"),
        json!("vc_"),
        json!(" "),
    ];
    for junk in &nothing {
        let mut stranger = world.stranger();
        stranger.token = None;
        for (method, path, body) in [
            ("PUT", SET, json!({"recovery_token": junk, "new_password": NEW})),
            ("PATCH", "/api/v1/users/update-password", json!({"recovery_token": junk, "new_password": NEW})),
            ("POST", VERIFY, json!({"challenge": junk, "code": "12345678"})),
            ("POST", VERIFY, json!({"challenge": "vc_x", "code": junk})),
            ("POST", RECOVER, json!({"identifier": junk, "x": 1})),
            ("POST", "/api/v1/auth/undo", json!({"token": junk})),
        ] {
            let sent = Some(("application/json", body.to_string().into_bytes()));
            let answer = stranger.send(method, path, sent).await;
            assert!(answer.status.is_client_error(), "{method} {path} {body}: {}", answer.status);
        }
    }
    for (path, body) in
        [(VERIFY, json!({"code": "1"})), (VERIFY, json!({})), (RECOVER, json!({})), (SET, json!({}))]
    {
        let method = if path == SET { "PUT" } else { "POST" };
        let sent = Some(("application/json", body.to_string().into_bytes()));
        assert!(world.stranger().send(method, path, sent).await.status.is_client_error(), "{path} {body}");
    }
    assert_eq!(stored_password(&person).await, before);
}

/// T-34: a code goes to the address that is stored, not to what somebody typed.
#[tokio::test]
async fn t34_a_code_goes_to_the_stored_address_only() {
    let world = world().await;
    let person = owner(&world).await;
    let local = &person.username;
    world.run_due().await;
    let typed = [
        format!("{}@EXAMPLE.COM", local.to_uppercase()),
        format!(" {local}@example.com "),
        // Cyrillic о, dotless ı, full width, a zero-width joiner, a combining dot, a long s.
        format!("{}@example.com", local.replace('o', "\u{43e}")),
        format!("{local}@\u{435}xample.com"),
        format!("\u{ff50}{}@example.com", &local[1..]),
        format!("{local}\u{200d}@example.com"),
        format!("{}@example.com", local.replace('s', "\u{17f}")),
        format!("{local}@example.com\r\nBcc: thief@evil.example"),
        format!("{local}@example.com,thief@evil.example"),
        format!("{local}@example.com@evil.example"),
        format!("<thief@evil.example>{local}@example.com"),
    ];
    for typed in &typed {
        person.post(RECOVER, json!({"identifier": typed})).await.expect(StatusCode::ACCEPTED);
    }
    world.run_due().await;
    let sent: Vec<Message> = world
        .app
        .store
        .find(Query::<Message>::along(Message::BY_CREATED).limit(1_000))
        .await
        .unwrap()
        .items
        .into_iter()
        .map(vestibule::store::Seen::into_inner)
        .filter(|message| {
            message.kind == vestibule::messages::Channel::Email
                && message.status != vestibule::messages::Status::Canceled
        })
        .collect();
    assert!(!sent.is_empty());
    for message in sent {
        assert_eq!(message.to, person.email());
    }
}

/// T-36: what a thief has prepared does not outlive a recovery, and an unverified claim is nobody's.
#[tokio::test]
async fn t36_nothing_that_was_prepared_outlives_a_recovery() {
    let world = world().await;
    let alice = owner(&world).await;
    world.advance(MINUTE);
    let mut thief = alice.clone();
    thief.signs_in().await;
    let pending = logs_in(&thief, PASSWORD).await.expect(StatusCode::OK).body["challenge"]["id"].clone();
    world.run_due().await;
    let code = world.last_code(&alice.mobile).await;
    let begun = begins(&thief, &alice.email()).await;
    let begun_code = mailed(&alice).await;
    world.advance(Duration::from_secs(1));
    let other = proves_both(&alice).await;
    let token = proves_both(&alice).await;
    // It is set by a node whose clock is behind, or that took longer: what it ends was opened later than that.
    let Clock::Manual(at) = &world.app.clock else { panic!() };
    at.fetch_sub(20_000, Ordering::SeqCst);
    sets(&alice, json!({"recovery_token": token, "new_password": NEW})).await.expect(StatusCode::OK);
    at.fetch_add(20_000, Ordering::SeqCst);
    assert!(!thief.is_signed_in().await && !alice.is_signed_in().await);
    let answer = json!({"challenge": pending, "code": code});
    thief.post("/api/v1/auth/verify-code", answer).await.problem(401, "code-gone");
    let answer = json!({"challenge": begun, "code": begun_code});
    thief.post(VERIFY, answer).await.problem(401, "code-wrong");
    sets(&thief, json!({"recovery_token": other, "new_password": "nine grey gulls at noon"}))
        .await
        .problem(401, "code-gone");
    // At the same instant, the new password opens a session that counts.
    let mut alice = alice;
    let asked = logs_in(&alice, NEW).await.expect(StatusCode::OK).body;
    world.run_due().await;
    let code = world.last_code(&alice.mobile).await;
    let body = json!({"challenge": asked["challenge"]["id"], "code": code});
    let done = alice.post("/api/v1/auth/verify-code", body).await.expect(StatusCode::OK).body;
    alice.token = Some(done["token"].as_str().unwrap().to_owned());
    assert!(alice.is_signed_in().await);

    // Whoever only claims an address gets nothing by it, and is not joined to whoever owns it.
    let mut squatter = world.stranger();
    let mut body = squatter.account();
    body["email"] = json!("victim@example.com");
    squatter.post("/api/v1/users", body).await.expect(StatusCode::CREATED);
    squatter.signs_in().await;
    world.run_due().await;
    let before = world.messages(&squatter.mobile).await["items"].as_array().unwrap().len();
    let at_victims = async || world.messages("victim@example.com").await["items"].as_array().unwrap().len();
    let mails = at_victims().await;
    begins(&squatter, "victim@example.com").await;
    world.run_due().await;
    assert_eq!(at_victims().await, mails);
    assert_eq!(world.messages(&squatter.mobile).await["items"].as_array().unwrap().len(), before);
}

/// Whoever reads at the address of before, and had shown that, sets no password any more.
#[tokio::test]
async fn a_recovery_ends_with_the_address_that_was_shown_for_it() {
    let moves = async |person: &Person<'_>| {
        let body = json!({"email": "new@example.org"}).to_string().into_bytes();
        let asked = person.send("PATCH", "/api/v1/users/me", Some(("application/json", body))).await;
        let challenge = asked.expect(StatusCode::OK).body["verification"]["id"].clone();
        person.world.run_due().await;
        let code = person.world.last_code("new@example.org").await;
        let answer = json!({"challenge": challenge, "code": code});
        person.post("/api/v1/auth/verify-code", answer).await.expect(StatusCode::OK);
    };
    let world = World::plan().policy(unlimited).policy(no_second).build().await;
    let mut alice = world.member().await;
    shows_email(&alice).await;
    alice.token = logs_in(&alice, PASSWORD).await.body["token"].as_str().map(str::to_owned);
    let proved = proves(&alice).await;
    moves(&alice).await;
    let body = json!({"recovery_token": proved["recovery_token"], "new_password": NEW});
    sets(&world.stranger(), body).await.problem(401, "code-gone");
    assert!(alice.is_signed_in().await);

    // Nor does a second factor help that is shown after it.
    let world = self::world().await;
    let alice = owner(&world).await;
    let proved = proves(&alice).await;
    world.run_due().await;
    let code = world.last_code(&alice.mobile).await;
    moves(&alice).await;
    let answer = json!({"challenge": proved["second_factor"]["id"], "code": code});
    alice.post("/api/v1/auth/verify-code", answer).await.problem(401, "code-gone");
}

/// T-37 and T-10: "that was not me" ends everything once, and then no password is right until the account
/// is recovered.
#[tokio::test]
async fn t37_t10_not_me_leaves_an_account_that_no_password_opens() {
    let world = world().await;
    let alice = owner(&world).await;
    let mut thief = alice.clone();
    thief.signs_in().await;
    steps_up(&thief).await;
    sets(&thief, json!({"new_password": NEW})).await.expect(StatusCode::NO_CONTENT);
    assert!(!alice.is_signed_in().await && thief.is_signed_in().await);
    let pending = logs_in(&thief, NEW).await.expect(StatusCode::OK).body["challenge"]["id"].clone();
    world.run_due().await;
    let code = world.last_code(&alice.mobile).await;

    let link = linked(&world, &alice.email(), "/not-me").await;
    let done =
        world.stranger().post("/api/v1/auth/undo", json!({"token": link})).await.expect(StatusCode::OK);
    assert_eq!(done.body["what"], "not_me");
    world.stranger().post("/api/v1/auth/undo", json!({"token": link})).await.problem(401, "code-gone");
    assert!(!thief.is_signed_in().await);
    thief
        .post("/api/v1/auth/verify-code", json!({"challenge": pending, "code": code}))
        .await
        .problem(401, "code-gone");
    assert_eq!(stored_password(&alice).await, None);
    for password in [NEW, PASSWORD, "", " ", "null", "\u{0}", "$argon2id$v=19$m=8,t=1,p=1$"] {
        logs_in(&alice, password).await.problem(401, "credentials-wrong");
    }
    let token = proves_both(&alice).await;
    let fresh = "nine grey gulls at noon";
    sets(&alice, json!({"recovery_token": token, "new_password": fresh})).await.expect(StatusCode::OK);
    logs_in(&alice, fresh).await.expect(StatusCode::OK);
    logs_in(&alice, NEW).await.problem(401, "credentials-wrong");
}

/// Whoever merely reads the mails does not come past a second factor: the last one is locked and not taken away. Where
/// there was none before, a thief has bound it, and it goes.
#[tokio::test]
async fn not_me_never_leaves_an_account_with_less_than_it_had() {
    let when = |policy: &mut Policy| policy.sign_in.second.when = When::WhenEnrolled;
    let world = World::plan().policy(unlimited).policy(when).build().await;
    let kinds = async |person: &Person<'_>| {
        let ctx = world.ctx();
        let name =
            vestibule::identifiers::actions::find_owner(&ctx, &person.username).await.unwrap().unwrap();
        let factors = vestibule::factors::of_user(&ctx, name.user_id).await.unwrap();
        let apps = factors.iter().filter(|factor| factor.kind == FactorKind::Totp);
        apps.map(|factor| factor.locked_at.is_some()).collect::<Vec<_>>()
    };
    let mut alice = world.member().await;
    let signed_in = logs_in(&alice, PASSWORD).await.expect(StatusCode::OK).body;
    alice.token = signed_in["token"].as_str().map(str::to_owned);
    shows_email(&alice).await;
    world.advance(MINUTE);
    // The first one is bound by somebody who has the password.
    binds(&alice).await;
    let link = linked(&world, &alice.email(), "/not-me").await;
    world.stranger().post("/api/v1/auth/undo", json!({"token": link})).await.expect(StatusCode::OK);
    assert_eq!(kinds(&alice).await, [false; 0]);
    assert!(!alice.is_signed_in().await);
    // She is back, binds one herself, and another one in its place.
    let token = proves(&alice).await["recovery_token"].clone();
    sets(&alice, json!({"recovery_token": token, "new_password": NEW})).await.expect(StatusCode::OK);
    let signed_in = logs_in(&alice, NEW).await.expect(StatusCode::OK).body;
    alice.token = signed_in["token"].as_str().map(str::to_owned);
    let old = binds(&alice).await;
    world.advance(Duration::from_secs(8 * 24 * 60 * 60));
    let asked = logs_in(&alice, NEW).await.expect(StatusCode::OK).body["challenge"]["id"].clone();
    let answer = json!({"challenge": asked, "code": old.shows(&world, 0)});
    let done = alice.post("/api/v1/auth/verify-code", answer).await.expect(StatusCode::OK).body;
    alice.token = done["token"].as_str().map(str::to_owned);
    world.advance(Duration::from_secs(30));
    binds(&alice).await;
    let link = linked(&world, &alice.email(), "/not-me").await;
    alice.delete(&format!("/api/v1/factors/{}", old.id)).await.expect(StatusCode::NO_CONTENT);
    world.stranger().post("/api/v1/auth/undo", json!({"token": link})).await.expect(StatusCode::OK);
    assert_eq!(kinds(&alice).await, [true]);
    let challenge = begins(&alice, &alice.email()).await;
    let code = mailed(&alice).await;
    let body = json!({"challenge": challenge, "code": code});
    alice.post(VERIFY, body).await.problem(403, "factor-locked");
}

/// News of a recovery is no news of a factor: whoever reads old mails takes away nothing that was bound since.
#[tokio::test]
async fn not_me_to_what_changed_nothing_takes_no_factor_away() {
    let when = |policy: &mut Policy| policy.sign_in.second.when = When::WhenEnrolled;
    let world = World::plan().policy(unlimited).policy(when).build().await;
    let mut alice = world.member().await;
    shows_email(&alice).await;
    world.advance(MINUTE);
    proves(&alice).await;
    let link = linked(&world, &alice.email(), "/not-me").await;
    let signed_in = logs_in(&alice, PASSWORD).await.expect(StatusCode::OK).body;
    alice.token = signed_in["token"].as_str().map(str::to_owned);
    world.advance(MINUTE);
    binds(&alice).await;
    let id = crate::administration::id_of(&alice).await;
    world.stranger().post("/api/v1/auth/undo", json!({"token": link})).await.expect(StatusCode::OK);
    assert!(!alice.is_signed_in().await);
    assert_eq!(stored_password(&alice).await, None);
    let factors = vestibule::factors::of_user(&world.ctx(), id).await.unwrap();
    let apps = factors.iter().filter(|factor| factor.kind == FactorKind::Totp && factor.is_able());
    assert_eq!(apps.count(), 1);
}

/// Of the links that came while a thief was in, each does its part, in whatever order they are used.
#[tokio::test]
async fn not_me_to_a_sign_in_leaves_the_link_to_what_was_done_after_it() {
    let when = |policy: &mut Policy| policy.sign_in.second.when = When::WhenEnrolled;
    let world = World::plan().policy(unlimited).policy(when).build().await;
    let alice = world.member().await;
    shows_email(&alice).await;
    logs_in(&alice, PASSWORD).await.expect(StatusCode::OK);
    world.advance(60 * MINUTE);
    let mut thief = world.stranger();
    (thief.username, thief.mobile) = (alice.username.clone(), alice.mobile.clone());
    let signed_in = logs_in(&thief, PASSWORD).await.expect(StatusCode::OK).body;
    thief.token = signed_in["token"].as_str().map(str::to_owned);
    let id = crate::administration::id_of(&thief).await;
    let signed_in = linked(&world, &alice.email(), "/not-me").await;
    world.advance(MINUTE);
    binds(&thief).await;
    let bound = linked(&world, &alice.email(), "/not-me").await;
    assert_ne!(signed_in, bound);
    for link in [signed_in, bound] {
        world.stranger().post("/api/v1/auth/undo", json!({"token": link})).await.expect(StatusCode::OK);
    }
    let factors = vestibule::factors::of_user(&world.ctx(), id).await.unwrap();
    assert!(factors.iter().all(|factor| factor.kind != FactorKind::Totp));
    let token = proves(&alice).await["recovery_token"].clone();
    sets(&alice, json!({"recovery_token": token, "new_password": NEW})).await.expect(StatusCode::OK);
    assert_eq!(logs_in(&alice, NEW).await.expect(StatusCode::OK).body["status"], "signed_in");
}

/// An address of which nobody has asked for proof yet is no thief's, if it was there before.
#[tokio::test]
async fn not_me_leaves_what_was_there_before() {
    let world = world().await;
    let alice = world.alice().await;
    world.advance(MINUTE);
    steps_up(&alice).await;
    sets(&alice, json!({"new_password": NEW})).await.expect(StatusCode::NO_CONTENT);
    let link = linked(&world, &alice.mobile, "/not-me").await;
    let before = identifiers(&alice).await;
    assert!(before.iter().any(|one| one.value == alice.email() && one.verified_at.is_none()));
    world.stranger().post("/api/v1/auth/undo", json!({"token": link})).await.expect(StatusCode::OK);
    assert_eq!(stored_password(&alice).await, None);
    assert_eq!(identifiers(&alice).await.len(), before.len());
}

/// A thief binds an app by way of a node whose clock is behind.
#[tokio::test]
async fn not_me_takes_away_what_was_bound_since_whatever_the_clocks_said() {
    let world = world().await;
    let alice = world.alice().await;
    steps_up(&alice).await;
    sets(&alice, json!({"new_password": NEW})).await.expect(StatusCode::NO_CONTENT);
    let link = linked(&world, &alice.mobile, "/not-me").await;
    let Clock::Manual(time) = &world.app.clock else { unreachable!() };
    time.fetch_sub(60_000, Ordering::SeqCst);
    binds(&alice).await;
    let id = crate::administration::id_of(&alice).await;
    world.stranger().post("/api/v1/auth/undo", json!({"token": link})).await.expect(StatusCode::OK);
    let factors = vestibule::factors::of_user(&world.ctx(), id).await.unwrap();
    assert!(factors.iter().all(|factor| factor.kind != FactorKind::Totp), "{factors:?}");
}

#[tokio::test]
async fn not_me_brings_an_account_back_that_a_thief_has_deleted() {
    let world = world().await;
    let alice = owner(&world).await;
    let status = async || {
        let found = vestibule::identifiers::actions::find_owner(&world.ctx(), &alice.username).await.unwrap();
        world.app.store.get::<User>(found.unwrap().user_id).await.unwrap().unwrap().status
    };
    proves(&alice).await;
    let news = linked(&world, &alice.email(), "/not-me").await;
    world.advance(MINUTE);
    steps_up(&alice).await;
    sets(&alice, json!({"new_password": NEW})).await.expect(StatusCode::NO_CONTENT);
    let link = linked(&world, &alice.email(), "/not-me").await;
    assert_ne!(news, link);
    alice.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    let kept = linked(&world, &alice.email(), "/undo").await;
    let undo = async |link: &str| world.stranger().post("/api/v1/auth/undo", json!({"token": link})).await;
    // News of something that has changed nothing itself takes the password alone.
    undo(&news).await.expect(StatusCode::OK);
    assert_eq!((status().await, stored_password(&alice).await), (Status::Deleted, None));
    undo(&link).await.expect(StatusCode::OK);
    assert_eq!(status().await, Status::Active);
    undo(&kept).await.problem(401, "code-gone");
    logs_in(&alice, NEW).await.problem(401, "credentials-wrong");
    let token = proves_both(&alice).await;
    let fresh = "nine grey gulls at noon";
    sets(&alice, json!({"recovery_token": token, "new_password": fresh})).await.expect(StatusCode::OK);
}

/// While a new password is hashed, somebody guesses at the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_guess_meanwhile_keeps_nobody_from_a_new_password() {
    let world = world().await;
    let alice = owner(&world).await;
    steps_up(&alice).await;
    let guess = "UPDATE passwords SET failures = failures + 1, revision = revision + 1";
    let setting = sets(&alice, json!({"new_password": NEW}));
    alice.waits_while(setting, guess).await.expect(StatusCode::NO_CONTENT);
    let token = proves_both(&alice).await;
    let setting = sets(&alice, json!({"recovery_token": token, "new_password": PASSWORD}));
    alice.waits_while(setting, guess).await.expect(StatusCode::OK);
    // What was checked is another one by now: nothing is overwritten.
    let token = proves_both(&alice).await;
    let other = "UPDATE passwords SET changed_at = '2031-01-01T00:00:00.000Z', revision = revision + 1";
    let setting = sets(&alice, json!({"recovery_token": token, "new_password": NEW}));
    alice.waits_while(setting, other).await.problem(503, "busy");
    logs_in(&alice, PASSWORD).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_uses_at_once_of_a_code_and_of_a_token_one_counts() {
    let world = World::plan().policy(unlimited).policy(no_second).build().await;
    let person = world.member().await;
    shows_email(&person).await;
    let challenge = begins(&person, &person.email()).await;
    let code = mailed(&person).await;
    let body = json!({"challenge": challenge, "code": code});
    let tries = (0..64).map(|_| person.post(VERIFY, body.clone()));
    let answers = futures_util::future::join_all(tries).await;
    let proved: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::OK).collect();
    assert_eq!(proved.len(), 1);
    let rest = answers.iter().filter(|answer| answer.status != StatusCode::OK);
    rest.for_each(|answer| assert_eq!(answer.body["type"], "/problems/code-gone", "{}", answer.body));
    let token = proved[0].body["recovery_token"].clone();
    let tries = (0..64)
        .map(|at| sets(&person, json!({"recovery_token": token, "new_password": format!("{NEW} {at}")})));
    let answers = futures_util::future::join_all(tries).await;
    let set = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(set, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    let notices = Query::<Message>::along(Message::BY_USER).limit(1_000);
    let all = world.app.store.find(notices).await.unwrap().items;
    assert_eq!(all.iter().filter(|message| message.purpose == "password_changed").count(), 1);
}

#[tokio::test]
async fn a_signed_in_user_changes_the_password_and_the_others_end() {
    let world = world().await;
    let alice = owner(&world).await;
    let mut other = alice.clone();
    other.signs_in().await;
    // The sign-in's own code is too old to count.
    world.advance(6 * MINUTE);
    let pending = logs_in(&alice, PASSWORD).await.expect(StatusCode::OK).body["challenge"]["id"].clone();
    let refused = sets(&alice, json!({"current_password": PASSWORD, "new_password": NEW})).await;
    let refused = refused.problem(403, "step-up-required");
    assert_eq!(refused.body["operation"], operation::PASSWORD_CHANGE);
    world.run_due().await;
    let code = world.last_code(&alice.mobile).await;
    world.advance(MINUTE);
    steps_up(&alice).await;
    sets(&alice, json!({"current_password": "a wrong one, certainly", "new_password": NEW}))
        .await
        .problem(401, "credentials-wrong");
    let both = json!({"current_password": PASSWORD, "recovery_token": "vp_", "new_password": NEW});
    sets(&alice, both).await.problem(422, "invalid");
    let same = sets(&alice, json!({"current_password": PASSWORD, "new_password": PASSWORD}))
        .await
        .problem(422, "invalid");
    assert_eq!(same.body["errors"][0]["code"], "same");
    let own =
        sets(&alice, json!({"new_password": format!("{} 1", alice.email())})).await.problem(422, "invalid");
    assert_eq!(own.body["errors"][0]["field"], "new_password");
    assert!(other.is_signed_in().await, "what was refused ended nothing");
    let body = json!({"current_password": PASSWORD, "new_password": NEW}).to_string().into_bytes();
    let done = alice.send("PATCH", "/api/v1/users/update-password", Some(("application/json", body))).await;
    done.expect(StatusCode::NO_CONTENT);
    assert!(alice.is_signed_in().await && !other.is_signed_in().await);
    let answer = json!({"challenge": pending, "code": code});
    alice.post("/api/v1/auth/verify-code", answer).await.problem(401, "code-gone");
    logs_in(&alice, PASSWORD).await.problem(401, "credentials-wrong");
    logs_in(&alice, NEW).await.expect(StatusCode::OK);
    let nobody = world.stranger();
    sets(&nobody, json!({"new_password": NEW})).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn where_nothing_else_is_asked_the_current_password_is_and_guesses_at_it_are_limited() {
    let asks_nothing = |policy: &mut Policy| {
        let mut rule = policy.operation.get(operation::PASSWORD_CHANGE).unwrap().clone();
        (rule.proof.any, rule.proof.highest) = (Vec::new(), false);
        policy.operation.set(operation::PASSWORD_CHANGE, rule);
    };
    let world = World::plan().policy(asks_nothing).build().await;
    let alice = world.alice().await;
    let missing = sets(&alice, json!({"new_password": NEW})).await.problem(422, "invalid");
    assert_eq!(missing.body["errors"][0]["field"], "current_password");
    let guess = json!({"current_password": "a wrong one, certainly", "new_password": NEW});
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(sets(&alice, guess.clone()).await.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
    assert_eq!(statuses[19], 429);
    world.advance(11 * MINUTE);
    let right = json!({"current_password": PASSWORD, "new_password": NEW});
    sets(&alice, right).await.expect(StatusCode::NO_CONTENT);
}
