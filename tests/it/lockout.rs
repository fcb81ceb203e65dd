//! Guessing is limited, and nobody is locked out by it: lanes, counts, known and trusted devices.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{StatusCode, header};
use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vestibule::audit::{Event, What};
use vestibule::clock::Timestamp;
use vestibule::config::Config;
use vestibule::devices::Device;
use vestibule::factors::Factor;
use vestibule::passwords::Password;
use vestibule::policy::{Policy, When, operation};
use vestibule::secret::Secret;
use vestibule::sessions::Session;
use vestibule::shared::{Claim, Shared};
use vestibule::store::{Change, Query};

use crate::world::{Answer, PASSWORD, Person, World};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const LOGIN: &str = "/api/v1/auth/login";
const VERIFY: &str = "/api/v1/auth/verify-code";
const WRONG: &str = "seven lanterns by no harbour";

/// What was counted before a clock is set back is not forgotten, and keeps nobody out for as long as the step.
#[tokio::test]
async fn a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_the_window() {
    let (shared, now) = (Shared::memory(), "2030-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
    let claim = [Claim { key: "k".to_owned(), limit: 3, window: MINUTE }];
    let take = async |at| shared.take_each(&claim, at).await.unwrap()[0];
    for allowed in [true, true, true, false] {
        assert_eq!(take(now + DAY).await.allowed, allowed);
    }
    let refused = take(now).await;
    assert!(!refused.allowed && refused.wait <= MINUTE, "{refused:?}");
    assert!(take(now + refused.wait).await.allowed);
    assert!(!take(now + refused.wait).await.allowed);
}

/// A password alone opens a session, so that what is seen is what became of the password.
fn password_alone(policy: &mut Policy) {
    policy.sign_in.second.when = When::Never;
}

/// Nothing is in the way but the count of wrong passwords.
fn unhurried(policy: &mut Policy) {
    password_alone(policy);
    let limits = &mut policy.limits;
    for budget in [
        &mut limits.sign_in_identifier,
        &mut limits.sign_in_account_day,
        &mut limits.sign_in_account_month,
        &mut limits.sign_in_device,
        &mut limits.sign_in_device_day,
        &mut limits.sign_in_address,
    ] {
        budget.limit = 1_000_000;
    }
}

/// The `n`th address, in a /24 of its own.
fn address(n: u32) -> IpAddr {
    let [_, a, b, c] = n.to_be_bytes();
    IpAddr::from([10_u8.wrapping_add(a), b, c, 1])
}

async fn tries(person: &Person<'_>, name: &str, password: &str) -> Answer {
    person.post(LOGIN, json!({"identifier": name, "password": password})).await
}

/// From somewhere else each time.
async fn attacks(world: &World, n: u32, name: &str) -> Answer {
    let mut attacker = world.stranger();
    attacker.ip = address(n);
    tries(&attacker, name, WRONG).await
}

async fn failures(world: &World, user: &Json) -> u32 {
    let id: Uuid = serde_json::from_value(user.clone()).unwrap();
    world.app.store.get::<Password>(id).await.unwrap().unwrap().failures
}

async fn id_of(person: &Person<'_>) -> Json {
    person.get("/api/v1/users/me").await.expect(StatusCode::OK).body["id"].clone()
}

/// What an asker can see of an answer, without what is of that moment alone.
fn seen(answer: &Answer) -> (u16, Json, Vec<String>, Option<String>) {
    let mut body = answer.body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("instance");
    }
    let names = answer.headers.keys().map(ToString::to_string).collect();
    let wait = answer.headers.get(header::RETRY_AFTER).map(|wait| wait.to_str().unwrap().to_owned());
    (answer.status.as_u16(), body, names, wait)
}

#[tokio::test]
async fn t17_three_names_of_one_account_have_one_budget_and_nobody_sees_that_they_do() {
    let world = World::plan().policy(password_alone).build().await;
    let owner = verified(&world).await;
    let user = id_of(&owner).await;
    let nobody = world.stranger();
    let names = |person: &Person<'_>| [person.username.clone(), person.email(), person.mobile.clone()];
    let (known, unknown) = (names(&owner), names(&nobody));
    for round in 0..13_u32 {
        for (at, (known, unknown)) in known.iter().zip(&unknown).enumerate() {
            let n = round * 3 + u32::try_from(at).unwrap();
            let one = attacks(&world, 1_000 + n, known).await;
            let other = attacks(&world, 2_000 + n, unknown).await;
            assert_eq!(seen(&one), seen(&other), "round {round} {known}");
            assert_eq!(one.status.as_u16(), if round < 10 { 401 } else { 429 }, "round {round}");
        }
    }
    assert_eq!(failures(&world, &user).await, 10, "thirty tries, ten of them judged");

    // What is not judged is wrong even when it is right, and that is all that anybody is told.
    world.advance(MINUTE);
    let fresh = tries(&nobody, &known[0], WRONG).await.problem(401, "credentials-wrong");
    let right = tries(&nobody, &known[1], PASSWORD).await.problem(401, "credentials-wrong");
    assert_eq!(seen(&fresh), seen(&right));
    world.advance(20 * MINUTE);
    tries(&nobody, &known[1], PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(failures(&world, &user).await, 0);
}

/// Invented names cost an attacker nothing, and there is no end of them.
#[tokio::test]
async fn a_flood_of_invented_names_uses_up_nothing_of_anybody_elses() {
    let world = World::plan()
        .policy(|policy| {
            password_alone(policy);
            let limits = &mut policy.limits;
            (limits.sign_in_account_day.limit, limits.sign_in_account_month.limit) = (1, 1);
        })
        .build()
        .await;
    let owner = verified(&world).await;
    for n in 0..1_000 {
        attacks(&world, n, &format!("nobody{n}")).await.problem(401, "credentials-wrong");
    }
    tries(&owner, &owner.username, PASSWORD).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn past_the_longer_waits_a_known_name_and_an_unknown_one_are_wrong_alike() {
    let world = World::plan().policy(password_alone).build().await;
    let owner = verified(&world).await;
    let user = id_of(&owner).await;
    let nobody = world.stranger();
    for n in 0..70 {
        let known = attacks(&world, n, &owner.username).await;
        let unknown = attacks(&world, 1_000 + n, &nobody.username).await;
        assert_eq!(seen(&known), seen(&unknown), "round {n}");
        world.advance(2 * MINUTE);
    }
    let judged = failures(&world, &user).await;
    assert!((30..40).contains(&judged), "a day's, and what has filled up meanwhile: {judged}");
    let events =
        world.app.store.find(Query::<Event>::along(Event::BY_TIME).limit(1_000)).await.unwrap().items;
    let hers = events.iter().filter(|one| one.what == What::SignInFailed && one.user_id.is_some()).count();
    assert_eq!(hers, usize::try_from(judged).unwrap(), "what goes on after that fills nobody's list");
    let right = tries(&owner, &owner.username, PASSWORD).await.problem(401, "credentials-wrong");
    let wrong = tries(&nobody, &nobody.username, PASSWORD).await.problem(401, "credentials-wrong");
    assert_eq!(seen(&right), seen(&wrong));
    assert_eq!(failures(&world, &user).await, judged);
}

/// Somebody whose number is verified, signed in, without a device: as from a private window.
async fn verified(world: &World) -> Person<'_> {
    let mut person = world.stranger();
    let made = person.signs_up().await.expect(StatusCode::CREATED).body;
    world.run_due().await;
    let code = world.last_code(&person.mobile).await;
    let body = json!({"challenge": made["verification"]["id"], "code": code});
    person.post(VERIFY, body).await.expect(StatusCode::OK);
    let done = tries(&person, &person.username, PASSWORD).await.expect(StatusCode::OK).body;
    person.token = done["token"].as_str().map(str::to_owned);
    person
}

#[tokio::test]
async fn t18_a_success_clears_the_count_of_its_own_account_and_never_that_of_the_address() {
    let world = World::plan()
        .policy(|policy| {
            password_alone(policy);
            policy.limits.sign_in_address.limit = 6;
        })
        .build()
        .await;
    let (victim, attacker) = (world.member().await, world.member().await);
    for n in 0..6 {
        if n % 2 == 0 {
            tries(&attacker, &victim.username, WRONG).await.problem(401, "credentials-wrong");
        } else {
            tries(&attacker, &attacker.username, PASSWORD).await.expect(StatusCode::OK);
        }
    }
    let answer = tries(&attacker, &attacker.username, PASSWORD).await.problem(429, "limit-reached");
    assert_eq!(answer.body["limit"], "sign-in-address");

    // The owner's own count: nine wrong, a right one, and the account has all of it again.
    world.advance(HOUR);
    let mut owner = world.stranger();
    for (round, name) in [victim.username.clone(), victim.email()].iter().enumerate() {
        for n in 0..9 {
            owner.ip = address(100 + u32::try_from(round).unwrap() * 20 + n);
            tries(&owner, name, WRONG).await.problem(401, "credentials-wrong");
        }
        owner.ip = address(150 + u32::try_from(round).unwrap());
        tries(&owner, name, PASSWORD).await.expect(StatusCode::OK);
    }
    // Signing in rightly costs nothing, as often as one likes.
    for n in 0..30 {
        owner.ip = address(200 + n);
        tries(&owner, &victim.username, PASSWORD).await.expect(StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t19_of_a_thousand_guesses_at_once_exactly_the_limit_is_judged() {
    let world = World::plan().policy(password_alone).build().await;
    let owner = verified(&world).await;
    let user = id_of(&owner).await;
    let answers = join_all((0..1_000).map(|n| attacks(&world, n, &owner.username))).await;
    let judged = answers.iter().filter(|answer| answer.status == StatusCode::UNAUTHORIZED).count();
    assert_eq!(judged, 10);
    assert_eq!(failures(&world, &user).await, 10);
    for answer in answers.into_iter().filter(|answer| answer.status != StatusCode::UNAUTHORIZED) {
        assert_eq!(answer.problem(429, "limit-reached").body["limit"], "sign-in-identifier");
    }
}

#[tokio::test]
async fn a_password_that_nobody_had_room_to_look_at_counts_against_nobody() {
    let unhurried_by_name = |policy: &mut Policy| {
        password_alone(policy);
        policy.limits.sign_in_identifier.limit = 1_000_000;
        // The current password is the proof.
        let mut rule = policy.operation.get(operation::PASSWORD_CHANGE).unwrap().clone();
        (rule.proof.any, rule.proof.highest) = (Vec::new(), false);
        policy.operation.set(operation::PASSWORD_CHANGE, rule);
    };
    let short = |config: &mut Config| {
        (config.hashing.permits, config.hashing.patience) = (1, "50ms".parse().unwrap());
    };
    let world = World::plan().policy(unhurried_by_name).config(short).build().await;
    let owner = verified(&world).await;
    let mut inside = world.member().await;
    let opened = tries(&inside, &inside.username, PASSWORD).await.expect(StatusCode::OK).body;
    inside.token = Some(opened["token"].as_str().unwrap().to_owned());
    // The one thread hashes something dear; whoever waits behind it is told to come back.
    let dear = "$2b$14$bxRvLzE76cJgOidBl0zaueLUFekObD7MGWuEFtttolCE9Z0tuZIfW".to_owned();
    let hashing = world.app.hashing.clone();
    let dear = tokio::spawn(async move { hashing.verify(Secret::new("x"), Some(dear)).await });
    while world.app.hashing.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let guesses = (0..40).map(|_| tries(&owner, &owner.username, PASSWORD));
    let body = json!({"current_password": PASSWORD, "new_password": "nine lanterns by the harbour"});
    let changes = || {
        let body = body.to_string().into_bytes();
        inside.send("PUT", "/api/v1/users/me/password", Some(("application/json", body)))
    };
    let (guesses, changed) = tokio::join!(join_all(guesses), join_all((0..10).map(|_| changes())));
    for answer in guesses.into_iter().chain(changed) {
        answer.problem(503, "busy");
    }
    dear.await.unwrap().unwrap();
    tries(&owner, &owner.username, PASSWORD).await.expect(StatusCode::OK);
    changes().await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn growing_waits_and_a_count_that_lasts_bound_a_month_of_guessing() {
    let world = World::plan().policy(password_alone).build().await;
    let owner = verified(&world).await;
    let user = id_of(&owner).await;
    let names = [owner.username.clone(), owner.email(), owner.mobile.clone()];
    let mut by_day = Vec::new();
    for hour in 0..30 * 24_u32 {
        for n in 0..12_u32 {
            attacks(&world, hour * 12 + n, &names[usize::try_from(n).unwrap() % 3]).await;
        }
        if hour % 24 == 23 {
            by_day.push(failures(&world, &user).await);
        }
        world.advance(HOUR);
    }
    assert!(by_day[0] <= 60, "a day: {by_day:?}");
    assert!(by_day[6] <= 75, "a week: {by_day:?}");
    assert_eq!(by_day[29], 80, "what is left is for known devices: {by_day:?}");
    // Signing in where one is not known has ended, even long after.
    world.advance(30 * DAY);
    tries(&owner, &owner.username, PASSWORD).await.problem(401, "credentials-wrong");
}

#[tokio::test]
async fn t22_a_month_of_attack_locks_nobody_out_who_has_a_known_device() {
    let world = World::plan().policy(password_alone).build().await;
    let mut owner = verified(&world).await;
    let user = id_of(&owner).await;
    owner.token = None;
    let signed_in = tries(&owner, &owner.username, PASSWORD).await.expect(StatusCode::OK).body;
    let device = signed_in["device"].as_str().unwrap().to_owned();
    let names = [owner.username.clone(), owner.email(), owner.mobile.clone()];
    let (mut tried, mut done, mut judged) = (0, 0, 0);
    for hour in 0..30 * 24_u32 {
        for n in 0..10_u32 {
            attacks(&world, hour * 10 + n, &names[usize::try_from(n).unwrap() % 3]).await;
        }
        // The attacker also sits at the owner's own address.
        if hour % 50 == 0 {
            let mut neighbour = world.stranger();
            neighbour.ip = owner.ip;
            for n in 0..110 {
                tries(&neighbour, &format!("somebody{n}"), WRONG).await;
            }
        }
        // The owner's right password begins that count anew.
        judged += failures(&world, &user).await;
        let body = json!({"identifier": owner.username, "password": PASSWORD, "device": device});
        let answer = owner.post(LOGIN, body).await;
        tried += 1;
        done += u32::from(answer.status == StatusCode::OK);
        world.advance(HOUR);
    }
    assert!(f64::from(done) >= 0.999 * f64::from(tried), "{done} of {tried}");
    // Sixty at once, and two more a day.
    assert!(judged <= 60 + 60, "{judged}");
}

/// T-22: whoever gets back in by a recovery keeps their way in while the attack goes on, or is given one: a page a
/// cookie, and a program none, since with one it could not change anything that it does not show an origin for.
#[tokio::test]
async fn a_recovery_under_attack_leaves_a_known_device() {
    for (brings, is_page) in [(true, false), (false, true), (false, false)] {
        let world = World::plan().policy(password_alone).build().await;
        let mut owner = verified(&world).await;
        crate::recovery::shows_email(&owner).await;
        owner.token = None;
        let signed_in = tries(&owner, &owner.username, PASSWORD).await.expect(StatusCode::OK).body;
        let device = signed_in["device"].as_str().unwrap().to_owned();
        for hour in 0..40 {
            for n in 0..10 {
                attacks(&world, hour * 10 + n, &owner.username).await;
            }
            world.advance(HOUR);
        }
        let mut asks = json!({"identifier": owner.email()});
        if brings {
            asks["device"] = json!(device);
        }
        let asked = owner.post("/api/v1/auth/recover", asks).await.expect(StatusCode::ACCEPTED).body;
        let code = crate::recovery::mailed(&owner).await;
        let proof = json!({"challenge": asked["challenge"]["id"], "code": code});
        let proved = owner.post("/api/v1/auth/recover/verify", proof).await.expect(StatusCode::OK).body;
        let new = "eight quiet herons on the pier";
        let set = json!({"recovery_token": proved["recovery_token"], "new_password": new});
        if is_page {
            owner.headers.insert(header::ORIGIN, world.app.origin.as_str().parse().unwrap());
        }
        let set = crate::recovery::sets(&owner, set).await;
        owner.keeps_cookies(&set);
        for n in 0..10 {
            attacks(&world, 1_000 + n, &owner.username).await;
        }
        let mut login = json!({"identifier": owner.username, "password": new});
        tries(&world.stranger(), &owner.username, new).await.problem(429, "limit-reached");
        assert_eq!(set.headers.contains_key(header::SET_COOKIE), is_page);
        if brings || is_page {
            assert!(set.bytes.is_empty(), "a device that is known stays the one");
        }
        if !is_page {
            login["device"] = if brings { json!(device) } else { set.body["device"].clone() };
        }
        owner.post(LOGIN, login).await.expect(StatusCode::OK);
        // Known, and nothing more.
        let listed = world.app.store.find(Query::<Device>::along(Device::BY_USER)).await.unwrap().items;
        assert!(listed.iter().all(|one| one.trusted_until.is_none()));
    }
}

/// Nobody without a device signs in while this goes on: what the lane is for.
#[tokio::test]
async fn without_a_known_device_the_lane_of_strangers_is_the_only_one() {
    let world = World::plan().policy(password_alone).build().await;
    let owner = verified(&world).await;
    let other = verified(&world).await;
    let device = |answer: Answer| answer.expect(StatusCode::OK).body["device"].as_str().unwrap().to_owned();
    let own = device(tries(&owner, &owner.username, PASSWORD).await);
    let foreign = device(tries(&other, &other.username, PASSWORD).await);
    for n in 0..11 {
        attacks(&world, n, &owner.username).await;
    }
    let middle = own.len() - 20;
    let turned = if own[middle..].starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{}{turned}{}", &own[..middle], &own[middle + 1..]);
    let session = owner.token.clone().unwrap();
    for shown in [foreign.as_str(), &forged, "", "vd_", &own[..own.len() - 1], &session] {
        let body = json!({"identifier": owner.username, "password": PASSWORD, "device": shown});
        owner.post(LOGIN, body).await.problem(429, "limit-reached");
    }
    let body = |password| json!({"identifier": owner.username, "password": password, "device": own});
    owner.post(LOGIN, body(PASSWORD)).await.expect(StatusCode::OK);
    // A stolen one is one more lane with a budget of its own.
    for _ in 0..10 {
        owner.post(LOGIN, body(WRONG)).await.problem(401, "credentials-wrong");
    }
    let answer = owner.post(LOGIN, body(PASSWORD)).await.problem(429, "limit-reached");
    assert_eq!(answer.body["limit"], "sign-in-device");
}

#[tokio::test]
async fn the_last_wrong_passwords_are_left_to_known_devices_and_a_right_one_there_opens_all() {
    let world = World::plan()
        .policy(|policy| {
            unhurried(policy);
            (policy.limits.password_failures, policy.limits.device_failures) = (8, 3);
        })
        .build()
        .await;
    let owner = verified(&world).await;
    let user = id_of(&owner).await;
    let known = tries(&owner, &owner.username, PASSWORD).await.expect(StatusCode::OK).body["device"].clone();
    for n in 0..9 {
        attacks(&world, n, &owner.username).await.problem(401, "credentials-wrong");
    }
    assert_eq!(failures(&world, &user).await, 5);
    tries(&owner, &owner.username, PASSWORD).await.problem(401, "credentials-wrong");
    let with = |password| json!({"identifier": owner.username, "password": password, "device": known});
    owner.post(LOGIN, with(WRONG)).await.problem(401, "credentials-wrong");
    owner.post(LOGIN, with(PASSWORD)).await.expect(StatusCode::OK);
    assert_eq!(failures(&world, &user).await, 0);
    tries(&owner, &owner.username, PASSWORD).await.expect(StatusCode::OK);

    // Three wrong ones in a row and the device is a stranger; its session goes on.
    for _ in 0..3 {
        owner.post(LOGIN, with(WRONG)).await.problem(401, "credentials-wrong");
    }
    for n in 0..9 {
        attacks(&world, 100 + n, &owner.username).await.problem(401, "credentials-wrong");
    }
    assert_eq!(failures(&world, &user).await, 5, "three and two");
    owner.post(LOGIN, with(PASSWORD)).await.problem(401, "credentials-wrong");
    assert!(owner.is_signed_in().await);
}

#[tokio::test]
async fn a_step_up_counts_its_wrong_passwords_with_the_password() {
    let world = World::plan()
        .policy(|policy| {
            unhurried(policy);
            let text = "operation.\"own.act\".proof = { any = [\"password\"], max_age = \"1s\" }";
            policy.operation = Policy::from_toml(text).unwrap().operation;
        })
        .build()
        .await;
    let owner = verified(&world).await;
    let user = id_of(&owner).await;
    world.advance(MINUTE);
    let step = |password: &str| json!({"operation": "own.act", "password": password});
    owner.post("/api/v1/auth/step-up", step(WRONG)).await.problem(401, "credentials-wrong");
    assert_eq!(failures(&world, &user).await, 1);
    owner.post("/api/v1/auth/step-up", step(PASSWORD)).await.expect(StatusCode::OK);
    assert_eq!(failures(&world, &user).await, 0);
}

/// A session is bounded as a known device is: each of these costs what a sign-in costs, or is a guess like one.
#[tokio::test]
async fn a_session_tries_so_many_passwords_and_makes_so_many_codes() {
    for way in ["step-up", "password", "codes"] {
        let few = |policy: &mut Policy| {
            let text = "operation.\"own.act\".proof = { any = [\"password\"], max_age = \"1s\" }";
            policy.operation = Policy::from_toml(text).unwrap().operation;
            let mut rule = policy.operation.get(operation::PASSWORD_CHANGE).unwrap().clone();
            (rule.proof.any, rule.proof.highest) = (Vec::new(), false);
            policy.operation.set(operation::PASSWORD_CHANGE, rule);
            policy.limits.sign_in_device.limit = 2;
        };
        let world = World::plan().policy(few).build().await;
        let owner = world.alice().await;
        world.advance(Duration::from_secs(2));
        let asks = async || match way {
            "step-up" => {
                let step = json!({"operation": "own.act", "password": WRONG});
                owner.post("/api/v1/auth/step-up", step).await
            }
            "password" => {
                let new = json!({"current_password": WRONG, "new_password": crate::recovery::NEW});
                crate::recovery::sets(&owner, new).await
            }
            _ => owner.post("/api/v1/factors/recovery-codes", json!({})).await,
        };
        for _ in 0..2 {
            let answer = asks().await;
            let expected = if way == "codes" { StatusCode::CREATED } else { StatusCode::UNAUTHORIZED };
            assert_eq!(answer.status, expected, "{way} {}", answer.body);
        }
        let refused = asks().await.problem(429, "limit-reached");
        assert_eq!(refused.body["limit"], "sign-in-device", "{way}");
    }
}

/// While a right password is looked at, wrong ones elsewhere use up the guesses that were left.
#[tokio::test(flavor = "multi_thread")]
async fn of_passwords_at_once_none_counts_past_the_last_that_is_left() {
    let world = World::plan()
        .policy(|policy| {
            unhurried(policy);
            let text = "operation.\"own.act\".proof = { any = [\"password\"], max_age = \"1s\" }";
            policy.operation = Policy::from_toml(text).unwrap().operation;
            let mut rule = policy.operation.get(operation::PASSWORD_CHANGE).unwrap().clone();
            (rule.proof.any, rule.proof.highest) = (Vec::new(), false);
            policy.operation.set(operation::PASSWORD_CHANGE, rule);
        })
        .build()
        .await;
    let owner = verified(&world).await;
    let user = id_of(&owner).await;
    let stored =
        |failures: u32| format!("UPDATE passwords SET failures = {failures}, revision = revision + 1");
    let asks = async |way: &str| {
        world.advance(MINUTE);
        match way {
            "sign-in" => tries(&owner, &owner.username, PASSWORD).await,
            "step-up" => {
                let step = json!({"operation": "own.act", "password": PASSWORD});
                owner.post("/api/v1/auth/step-up", step).await
            }
            _ => {
                let change = json!({"current_password": PASSWORD, "new_password": crate::recovery::NEW});
                crate::recovery::sets(&owner, change).await
            }
        }
    };
    for (way, most) in [("sign-in", 80), ("step-up", 100), ("change", 100)] {
        world.place.by_hand(&stored(most - 1)).await;
        let answer = owner.waits_while(asks(way), &stored(most)).await;
        answer.problem(401, "credentials-wrong");
        assert!(failures(&world, &user).await >= most, "{way}");
        // Where one is left, it counts.
        world.place.by_hand(&stored(most - 2)).await;
        let answer = owner.waits_while(asks(way), &stored(most - 1)).await;
        assert!(answer.status.is_success(), "{way}: {}", answer.body);
        assert_eq!(failures(&world, &user).await, 0, "{way}");
    }
}

/// Whoever has codes sent from the same address uses up nothing of a known device's.
#[tokio::test]
async fn a_neighbour_uses_up_no_codes_of_a_known_device() {
    let world = World::new().await;
    let mut owner = world.alice().await;
    let device = owner.signs_in().await["device"].clone();
    world.advance(30 * MINUTE);
    for _ in 0..40 {
        let mut neighbour = world.stranger();
        neighbour.ip = owner.ip;
        neighbour.signs_up().await;
    }
    let stranger = tries(&owner, &owner.username, PASSWORD).await.problem(429, "limit-reached");
    assert_eq!(stranger.body["limit"], "send-address");
    let login = json!({"identifier": owner.username, "password": PASSWORD, "device": device});
    let asked = owner.post(LOGIN, login).await.expect(StatusCode::OK).body;
    world.advance(MINUTE);
    let again = json!({"challenge": asked["challenge"]["id"]});
    owner.post("/api/v1/auth/resend-code", again).await.expect(StatusCode::OK);
    let step = json!({"operation": operation::PASSWORD_CHANGE});
    owner.post("/api/v1/auth/step-up", step).await.expect(StatusCode::OK);
}

/// Nor does what they make up keep anybody from renewing a session or from a new password.
#[tokio::test]
async fn a_neighbour_uses_up_no_refreshes_and_no_recovery_of_a_known_device() {
    let world = World::plan()
        .policy(|policy| {
            password_alone(policy);
            (policy.limits.refresh_address.limit, policy.limits.code_try_address.limit) = (4, 4);
        })
        .build()
        .await;
    let owner = verified(&world).await;
    crate::recovery::shows_email(&owner).await;
    let login = json!({"identifier": owner.username, "password": PASSWORD, "session": "jwt"});
    let opened = owner.post(LOGIN, login).await.expect(StatusCode::OK).body;
    let asks = json!({"identifier": owner.email(), "device": opened["device"]});
    let asked = owner.post("/api/v1/auth/recover", asks).await.expect(StatusCode::ACCEPTED).body;
    let code = crate::recovery::mailed(&owner).await;
    let mut neighbour = world.stranger();
    neighbour.ip = owner.ip;
    for (path, body) in [
        ("/api/v1/auth/refresh", json!({"refresh_token": "vr_made up"})),
        (VERIFY, json!({"challenge": "vc_made up", "code": "123456"})),
    ] {
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(neighbour.post(path, body.clone()).await.status.as_u16());
        }
        assert_eq!((statuses[0], statuses[5]), (401, 429), "{path} {statuses:?}");
    }
    let renew = json!({"refresh_token": opened["refresh_token"]});
    owner.post("/api/v1/auth/refresh", renew).await.expect(StatusCode::OK);
    let proof = json!({"challenge": asked["challenge"]["id"], "code": code});
    let proved = owner.post("/api/v1/auth/recover/verify", proof).await.expect(StatusCode::OK).body;
    let set = json!({"recovery_token": proved["recovery_token"], "new_password": crate::recovery::NEW});
    crate::recovery::sets(&owner, set).await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn devices_are_listed_forgotten_and_ended_with_everything_else() {
    let world = World::plan().policy(unhurried).build().await;
    let mut owner = verified(&world).await;
    owner.headers.insert(header::USER_AGENT, "A browser".parse().unwrap());
    let done = tries(&owner, &owner.username, PASSWORD).await.body;
    let known = done["device"].clone();
    owner.token = done["token"].as_str().map(str::to_owned);
    let again = json!({"identifier": owner.username, "password": PASSWORD, "device": known});
    let done = owner.post(LOGIN, again.clone()).await.expect(StatusCode::OK).body;
    assert!(done["device"].is_null(), "what is known stays as it is");

    let list = owner.get("/api/v1/devices").await.expect(StatusCode::OK).body;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{list}");
    let current = items.iter().find(|one| one["current"] == true).unwrap();
    assert_eq!((&current["user_agent"], &current["trusted_until"]), (&json!("A browser"), &Json::Null));
    assert!(!list.to_string().contains("vd_"));

    let path = format!("/api/v1/devices/{}", current["id"].as_str().unwrap());
    let mallory = verified(&world).await;
    mallory.delete(&path).await.problem(404, "not-found");
    owner.delete(&path).await.expect(StatusCode::NO_CONTENT);
    owner.delete(&path).await.problem(404, "not-found");
    let renewed = owner.post(LOGIN, again).await.expect(StatusCode::OK).body;
    assert!(renewed["device"].is_string(), "a stranger again");

    world.advance(MINUTE);
    owner.post("/api/v1/auth/logout", json!({"scope": "all"})).await.expect(StatusCode::NO_CONTENT);
    let again = json!({"identifier": owner.username, "password": PASSWORD, "device": renewed["device"]});
    let done = owner.post(LOGIN, again).await.expect(StatusCode::OK).body;
    assert!(done["device"].is_string(), "ended with the sessions");
    owner.token = done["token"].as_str().map(str::to_owned);
    let list = owner.get("/api/v1/devices").await.body;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");

    // Not used for long enough, it is forgotten, swept or not.
    world.advance(90 * DAY);
    let again = json!({"identifier": owner.username, "password": PASSWORD, "device": done["device"]});
    assert!(owner.post(LOGIN, again).await.expect(StatusCode::OK).body["device"].is_string());
}

#[tokio::test]
async fn a_sign_in_on_a_device_that_is_not_known_is_told_once_and_can_be_disowned() {
    let world = World::new().await;
    let mut owner = world.alice().await;
    let told = async |person: &Person<'_>| {
        world.run_due().await;
        let all = world.messages(&person.mobile).await["items"].as_array().unwrap().clone();
        all.iter().filter(|one| one["code"].is_null()).count()
    };
    assert_eq!(told(&owner).await, 0, "nobody is told of the first device");
    world.advance(HOUR);
    owner.signs_in().await;
    assert_eq!(told(&owner).await, 0, "the same client, which kept no token");
    world.advance(HOUR);
    let mut elsewhere = world.stranger();
    (elsewhere.username, elsewhere.mobile) = (owner.username.clone(), owner.mobile.clone());
    elsewhere.signs_in().await;
    assert_eq!(told(&owner).await, 1);
    let text = world.messages(&owner.mobile).await["items"][0]["body"].as_str().unwrap().to_owned();
    let (_, token) = text.split_once("token=").unwrap();
    let token: String =
        token.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
    world.stranger().post("/api/v1/auth/undo", json!({"token": token})).await.expect(StatusCode::OK);
    assert!(!elsewhere.is_signed_in().await && !owner.is_signed_in().await);
    owner.gives_password().await.problem(401, "credentials-wrong");
}

/// Signs in with a code and asks that the device be trusted.
async fn trusts(person: &Person<'_>, shown: Option<&Json>) -> Json {
    person.world.advance(MINUTE);
    let mut body = json!({"identifier": person.username, "password": PASSWORD});
    if let Some(shown) = shown {
        body["device"] = shown.clone();
    }
    let asked = person.post(LOGIN, body).await.expect(StatusCode::OK).body;
    assert_eq!(asked["status"], "second_factor_required", "{asked}");
    person.world.run_due().await;
    let code = person.world.last_code(&person.mobile).await;
    let body = json!({"challenge": asked["challenge"]["id"], "code": code, "trust_device": true});
    person.post(VERIFY, body).await.expect(StatusCode::OK).body
}

async fn status(person: &Person<'_>, device: &Json) -> Json {
    person.world.advance(HOUR);
    let body = json!({"identifier": person.username, "password": PASSWORD, "device": device});
    person.post(LOGIN, body).await.expect(StatusCode::OK).body
}

#[tokio::test]
async fn a_trusted_device_does_without_the_second_factor_and_proves_nothing() {
    let world = World::plan().policy(|policy| policy.devices.trust = true).build().await;
    let mut owner = world.member().await;
    let done = trusts(&owner, None).await;
    let device = done["device"].clone();
    owner.token = done["token"].as_str().map(str::to_owned);
    assert_eq!(done["session"]["aal"], 2);

    let done = status(&owner, &device).await;
    assert_eq!((&done["status"], &done["session"]["aal"]), (&json!("signed_in"), &json!(1)), "{done}");
    let mut low = owner.clone();
    low.token = done["token"].as_str().map(str::to_owned);
    let step = json!({"operation": "user.email.change"});
    low.post("/api/v1/auth/authorize", step).await.problem(403, "step-up-required");
    let without = json!({"identifier": owner.username, "password": PASSWORD});
    let asked = owner.post(LOGIN, without).await.expect(StatusCode::OK).body;
    assert_eq!(asked["status"], "second_factor_required");

    // The operator takes it back for everybody at once, and so does time.
    let mut policy = (*world.app.policy()).clone();
    policy.devices.trust = false;
    world.app.replace_policy(policy.clone());
    assert_eq!(status(&owner, &device).await["status"], "second_factor_required");
    policy.devices.trust = true;
    world.app.replace_policy(policy);
    assert_eq!(status(&owner, &device).await["status"], "signed_in");
    world.advance(30 * DAY);
    assert_eq!(status(&owner, &device).await["status"], "second_factor_required");

    // Another set of factors is not what was trusted.
    let device = trusts(&owner, None).await["device"].clone();
    assert_eq!(status(&owner, &device).await["status"], "signed_in");
    let factors = world.app.store.find(Query::<Factor>::along(Factor::BY_USER)).await.unwrap().items;
    let bound = factors.iter().find(|factor| factor.kind == vestibule::policy::FactorKind::Sms).unwrap();
    let new = Factor { id: Uuid::from_u128(9), ..bound.clone().into_inner() };
    world.app.store.commit(vec![Change::insert(&new)]).await.unwrap();
    assert_eq!(status(&owner, &device).await["status"], "second_factor_required");
    world
        .app
        .store
        .commit(vec![Change::delete(&world.app.store.get::<Factor>(new.id).await.unwrap().unwrap())])
        .await
        .unwrap();
    assert_eq!(status(&owner, &device).await["status"], "second_factor_required", "nor is it again");
    world.advance(DAY);

    // Signing out everywhere ends it, with the password still the same.
    let device = trusts(&owner, None).await["device"].clone();
    let done = status(&owner, &device).await;
    assert_eq!(done["status"], "signed_in");
    owner.token = done["token"].as_str().map(str::to_owned);
    world.advance(MINUTE);
    owner.post("/api/v1/auth/logout", json!({"scope": "all"})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(status(&owner, &device).await["status"], "second_factor_required");
}

/// What was looked at still stands when the session opens: the trust, and the factors that it stands for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn trust_that_goes_while_a_sign_in_is_written_opens_nothing() {
    for (gone, status, slug) in [
        ("UPDATE devices SET trusted_until = NULL, revision = revision + 1", 401, "credentials-wrong"),
        ("UPDATE factors SET locked_at = created_at, revision = revision + 1", 503, "busy"),
    ] {
        let world = World::plan().policy(|policy| policy.devices.trust = true).build().await;
        let owner = world.member().await;
        let device = trusts(&owner, None).await["device"].clone();
        world.advance(MINUTE);
        let body = json!({"identifier": owner.username, "password": PASSWORD, "device": device});
        owner.waits_while(owner.post(LOGIN, body), gone).await.problem(status, slug);
    }
}

/// Whoever knew the old password may have had the device trusted: it stays known, and no more than that.
#[tokio::test]
async fn a_new_password_leaves_a_device_known_and_not_trusted() {
    let world = World::plan().policy(|policy| policy.devices.trust = true).build().await;
    let mut owner = world.member().await;
    let done = trusts(&owner, None).await;
    let again = status(&owner, &done["device"]).await;
    assert_eq!(again["status"], "signed_in", "{again}");
    owner.token = again["token"].as_str().map(str::to_owned);
    crate::recovery::steps_up(&owner).await;
    let new = json!({"current_password": PASSWORD, "new_password": crate::recovery::NEW});
    crate::recovery::sets(&owner, new).await.expect(StatusCode::NO_CONTENT);
    let known = owner.get("/api/v1/devices").await.expect(StatusCode::OK).body;
    assert_eq!(
        (known["items"].as_array().unwrap().len(), &known["items"][0]["trusted_until"]),
        (1, &Json::Null)
    );
    let body =
        json!({"identifier": owner.username, "password": crate::recovery::NEW, "device": done["device"]});
    let asked = owner.post(LOGIN, body).await.expect(StatusCode::OK).body;
    assert_eq!(asked["status"], "second_factor_required", "{asked}");
}

#[tokio::test]
async fn where_the_policy_trusts_no_device_asking_for_it_changes_nothing() {
    let world = World::new().await;
    let owner = world.member().await;
    let device = trusts(&owner, None).await["device"].clone();
    assert!(device.is_string());
    assert_eq!(status(&owner, &device).await["status"], "second_factor_required");
    let trusted = world.app.store.find(Query::<Device>::along(Device::BY_USER)).await.unwrap();
    assert!(trusted.items.iter().all(|device| device.trusted_until.is_none()));
}

#[tokio::test]
async fn codes_tried_by_neighbours_do_not_keep_a_known_device_from_its_own() {
    let world = World::plan().policy(|policy| policy.limits.code_try_address.limit = 5).build().await;
    let owner = world.member().await;
    let device = trusts(&owner, None).await["device"].clone();
    world.advance(HOUR);
    let mut neighbour = world.stranger();
    neighbour.ip = owner.ip;
    for _ in 0..6 {
        neighbour.post(VERIFY, json!({"challenge": "vc_no", "code": "123456"})).await;
    }
    let first = neighbour.post(VERIFY, json!({"challenge": "vc_no", "code": "1"})).await;
    assert_eq!(first.problem(429, "limit-reached").body["limit"], "code-try-address");
    trusts(&owner, Some(&device)).await;
}

#[tokio::test]
async fn t02_a_sign_in_by_cookie_ends_the_session_whose_cookie_it_takes() {
    let world = World::plan().policy(password_alone).build().await;
    let mut browser = world.member().await;
    browser.headers.insert(header::ORIGIN, world.app.origin.as_str().parse().unwrap());
    let other = world.member().await;
    let by = |person: &Person<'_>, carry: &str| json!({"identifier": person.username, "password": PASSWORD, "session": carry});
    let first = browser.post(LOGIN, by(&browser, "cookie")).await.expect(StatusCode::OK);
    browser.keeps_cookies(&first);
    let before = browser.clone();
    assert!(before.is_signed_in().await);
    assert!(first.body["device"].is_null() && first.body["token"].is_null(), "cookies alone carry them");
    let name = |cookies: &[(String, String)], wanted: &str| {
        cookies.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()).unwrap()
    };

    // By token: nothing is overwritten.
    browser.post(LOGIN, by(&browser, "bearer")).await.expect(StatusCode::OK);
    assert!(before.is_signed_in().await);

    let second = browser.post(LOGIN, by(&browser, "cookie")).await.expect(StatusCode::OK);
    browser.keeps_cookies(&second);
    assert_ne!(name(&before.cookies, "vestibule"), name(&browser.cookies, "vestibule"));
    assert_eq!(name(&before.cookies, "vestibule-device"), name(&browser.cookies, "vestibule-device"));
    assert!(!before.is_signed_in().await, "what was shown before is worth nothing after");
    assert!(browser.is_signed_in().await);

    // Also when somebody else signs in there; and a session that was only named is not ended.
    let mut shared = browser.clone();
    shared.cookies.retain(|(name, _)| name == "vestibule");
    let third = shared.post(LOGIN, by(&other, "cookie")).await.expect(StatusCode::OK);
    shared.keeps_cookies(&third);
    assert!(!browser.is_signed_in().await && shared.is_signed_in().await);
    let mut forger = world.stranger();
    forger.headers.clone_from(&shared.headers);
    let real = name(&shared.cookies, "vestibule");
    let turned = if real.ends_with('A') { 'E' } else { 'A' };
    forger.cookies = vec![("vestibule".to_owned(), format!("{}{turned}", &real[..real.len() - 1]))];
    forger.post(LOGIN, by(&browser, "cookie")).await.expect(StatusCode::OK);
    assert!(shared.is_signed_in().await);
}

#[tokio::test]
async fn t02_nor_does_it_survive_a_sign_in_with_a_code() {
    let world = World::new().await;
    let mut browser = world.member().await;
    browser.headers.insert(header::ORIGIN, world.app.origin.as_str().parse().unwrap());
    let mut before = Vec::new();
    for _ in 0..2 {
        world.advance(HOUR / 2);
        let body = json!({"identifier": browser.username, "password": PASSWORD, "session": "cookie"});
        let asked = browser.post(LOGIN, body).await.expect(StatusCode::OK);
        browser.keeps_cookies(&asked);
        world.run_due().await;
        let code = world.last_code(&browser.mobile).await;
        let done = browser.post(VERIFY, json!({"code": code})).await.expect(StatusCode::OK);
        browser.keeps_cookies(&done);
        assert!(browser.cookies.iter().all(|(name, _)| name != "vestibule-pending"));
        before.push(browser.clone());
    }
    assert!(!before[0].is_signed_in().await && before[1].is_signed_in().await);
    assert_eq!(world.count::<Session>(Session::BY_USER).await, 1);
    assert_eq!(world.count::<Device>(Device::BY_USER).await, 1, "and one browser is one device");
}

#[tokio::test]
async fn t14_the_networks_around_an_address_have_budgets_of_their_own() {
    let world = World::plan()
        .policy(|policy| {
            policy.limits.sign_in_address.limit = 2;
            policy.limits.wider.ipv4_24 = 3;
            (policy.limits.wider.ipv6_56, policy.limits.wider.ipv6_48) = (2, 3);
        })
        .build()
        .await;
    let from = async |address: &str, n: u32| {
        let mut person = world.stranger();
        person.ip = address.parse().unwrap();
        tries(&person, &format!("nobody{address}{n}"), WRONG).await.status.as_u16()
    };
    for host in 1..=3 {
        for n in 0..2 {
            assert_eq!(from(&format!("198.51.100.{host}"), n).await, 401);
        }
        assert_eq!(from(&format!("::ffff:198.51.100.{host}"), 9).await, 429, "the same address");
    }
    assert_eq!(from("198.51.100.200", 0).await, 429, "the /24");
    assert_eq!(from("198.51.101.1", 0).await, 401);
    for (address, status) in [
        ("2001:db8:1:100::1", 401),
        ("2001:DB8:1:100:0:0:0:2", 401),
        ("2001:db8:1:100::3", 429),
        ("2001:db8:1:101::1", 401),
        ("2001:db8:1:102::1", 401),
        ("2001:db8:1:103::1", 429),
        ("2001:db8:1:200::1", 401),
        ("2001:db8:1:300::1", 401),
        ("2001:db8:1:400::1", 429),
        ("2001:db8:2:100::1", 401),
    ] {
        assert_eq!(from(address, 0).await, status, "{address}");
    }
}

#[tokio::test]
async fn events_are_kept_as_long_as_is_set_and_strangers_do_not_fill_the_table() {
    let world = World::plan()
        .policy(|policy| {
            password_alone(policy);
            policy.limits.note_unknown.limit = 5;
        })
        .config(|config| config.audit.keep = "10d".parse().unwrap())
        .build()
        .await;
    world.member().await;
    let member = world.count::<Event>(Event::BY_TIME).await;
    assert!(member > 0);
    world.advance(DAY);
    for n in 0..30 {
        attacks(&world, n, &format!("nobody{n}")).await.problem(401, "credentials-wrong");
    }
    let events = world.app.store.find(Query::<Event>::along(Event::BY_TIME).limit(100)).await.unwrap().items;
    let turns = events.iter().filter(|event| event.id.as_u128() <= 1_024).count();
    let own = events.iter().filter(|event| event.user_id.is_none()).count() - turns;
    assert_eq!(own, 5);
    assert!((1..=25).contains(&turns), "{turns}");

    world.advance(9 * DAY - HOUR);
    vestibule::tasks::sweep(&world.ctx()).await.unwrap();
    assert_eq!(world.count::<Event>(Event::BY_TIME).await, events.len());
    world.advance(HOUR + MINUTE);
    vestibule::tasks::sweep(&world.ctx()).await.unwrap();
    assert_eq!(world.count::<Event>(Event::BY_TIME).await, events.len() - member);
    world.advance(DAY);
    vestibule::tasks::sweep(&world.ctx()).await.unwrap();
    assert_eq!(world.count::<Event>(Event::BY_TIME).await, 0);
}

#[tokio::test]
async fn a_sweep_takes_all_that_has_expired_however_much() {
    let world = World::new().await;
    let old = world.app.clock.now();
    let event = |n: u128| Event {
        id: Uuid::from_u128(n),
        at: old,
        what: vestibule::audit::What::CodeSent,
        user_id: None,
        actor_id: None,
        session_id: None,
        request_id: None,
        address: None,
        user_agent: None,
        detail: Json::Null,
        block: 0,
        personal: None,
    };
    let changes: Vec<_> = (0..1_200).map(|n| Change::insert(&event(n))).collect();
    world.app.store.commit(changes).await.unwrap();
    world.advance(400 * DAY + MINUTE);
    assert!(vestibule::tasks::sweep(&world.ctx()).await.unwrap() >= 1_200);
    assert_eq!(world.count::<Event>(Event::BY_TIME).await, 0);
}

#[tokio::test]
async fn the_figures_are_shown_where_they_are_set_and_nowhere_else() {
    use vestibule::config::Figures;
    for (figures, status) in
        [(Figures::Off, 404), (Figures::Public, 200), (Figures::At(([127, 0, 0, 1], 9).into()), 404)]
    {
        let world = World::plan().config(move |config| config.server.metrics = figures).build().await;
        assert_eq!(world.stranger().get("/metrics").await.status.as_u16(), status, "{figures:?}");
        let mut own = world.stranger();
        let router = vestibule::http::router::figures(&world.app);
        let request = axum::http::Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
        let shown = tower::ServiceExt::oneshot(router, request).await.unwrap();
        assert_eq!(shown.status(), StatusCode::OK);
        own.ip = address(1);
        assert_eq!(own.get("/api/v1/metrics").await.status.as_u16(), 404);
    }
}

/// T-21: a message is made in one room, by functions that ask for postage, which one room makes.
#[test]
fn t21_no_message_is_made_without_postage() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let (mut stamps, mut makers) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") || path.ends_with("tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            let made = text.matches("Postage::new(").count() + text.matches("Postage {").count();
            assert!(made == 0 || name.starts_with("limits/"), "{name} makes postage of its own");
            stamps += made;
            let named = ["-> ", "struct ", "impl "]
                .map(|before| text.matches(&format!("{before}Message {{")).count());
            let literals = text.matches(" Message {").count() - named.iter().sum::<usize>();
            // What a filled house begins with is over: it has nothing to send, and is never due.
            let over = |literal: &str| {
                let literal = literal.split("\n        };").next().unwrap_or(literal);
                literal.contains(" body: None,") && literal.contains(" due_at: None,")
            };
            let is_past = name == "moving/seed.rs" && text.split("= Message {").skip(1).all(over);
            assert!(
                literals == 0 || is_past || name.starts_with("messages/"),
                "{name} makes a message by hand"
            );
            if !name.starts_with("messages/") {
                continue;
            }
            for function in text.split("pub fn ").skip(1) {
                let Some(head) = function.split(" {").next() else { continue };
                let is_maker =
                    head.contains("-> Message") || head.contains("&Random") && head.contains("-> Self");
                if is_maker {
                    assert!(head.contains("Postage"), "{name}: {head}");
                    makers += 1;
                }
            }
        }
    }
    assert!(stamps >= 2, "its declaration and whoever makes it: {stamps}");
    assert!(makers >= 2, "{makers}");
}

/// With `VESTIBULE_WRITE_DOCS` set it writes the document instead of comparing it.
#[test]
fn the_document_of_limits_has_the_numbers_of_the_policy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/limits.md");
    let document = std::fs::read_to_string(path).unwrap();
    let mark = "<!-- The tables below are printed from the built-in policy. -->\n\n";
    let (before, _) = document.split_once(mark).unwrap();
    let numbers = vestibule::limits::table(&Policy::from_toml("").unwrap().limits);
    let right = format!("{before}{mark}{numbers}");
    if std::env::var_os("VESTIBULE_WRITE_DOCS").is_some() {
        std::fs::write(path, right).unwrap();
    } else {
        assert!(document == right, "docs/limits.md is stale: run this test with VESTIBULE_WRITE_DOCS=1");
    }
}
