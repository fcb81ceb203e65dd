//! `/users`: who may have an account, and what is refused.

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use vestibule::accounts::User;
use vestibule::limits::{self, Sender};

use crate::world::{PASSWORD, Person, World};

fn fields(answer: &Json) -> Vec<(String, String)> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    let text = |one: &Json, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    errors.iter().map(|one| (text(one, "field"), text(one, "code"))).collect()
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_and_nothing_is_stored() {
    let world = World::new().await;
    let body = json!({"username": "a b", "email": "nobody", "mobile": "12", "password": "short"});
    let answer = world.stranger().post("/api/v1/users", body).await.problem(422, "invalid");
    let told: Vec<String> = fields(&answer.body).into_iter().map(|(field, _)| field).collect();
    assert_eq!(told, ["username", "email", "mobile", "password"]);
    let answer =
        world.stranger().post("/api/v1/users", json!({"password": PASSWORD})).await.problem(422, "invalid");
    assert_eq!(fields(&answer.body).len(), 3, "{}", answer.body);
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 0);
}

#[tokio::test]
async fn bad_input_is_refused_field_by_field() {
    let world = World::plan().policy(|policy| policy.limits.sign_up_address.limit = 10_000).build().await;
    let person = world.stranger();
    let long = "x".repeat(400);
    let megabyte = "p".repeat(40_000);
    let cases = [
        ("username", ""),
        ("username", "ab"),
        ("username", &long),
        ("username", "with space"),
        ("username", "nul\0here"),
        ("username", "bell\u{7}"),
        ("username", "at@sign"),
        ("username", "\u{202e}evil"),
        ("email", ""),
        ("email", "plain"),
        ("email", "a@b"),
        ("email", "a@@example.com"),
        ("email", "a@b@example.com"),
        ("email", "a b@example.com"),
        ("email", "a@example.com\n"),
        ("email", "\"q\"@example.com"),
        ("email", "a@[127.0.0.1]"),
        ("email", &long),
        ("email", "a\0@example.com"),
        ("email", "a@xn--example-.org"),
        ("mobile", ""),
        ("mobile", "2025550143"),
        ("mobile", "+1202555014a"),
        ("mobile", "+1"),
        ("mobile", "+99999999999"),
        ("mobile", "+3367a829916"),
        ("mobile", "+97233142764978"),
        ("mobile", &long),
        ("mobile", "+12025550143;ext=4"),
        ("password", ""),
        ("password", "short77"),
        ("password", "password"),
        ("password", "PassWord"),
        ("password", "12345678"),
        ("password", &long),
        ("password", &megabyte),
        ("password", "nul\0nul\0nul"),
        ("name", ""),
        ("name", &long),
        ("name", "bell\u{7}"),
        ("locale", "x"),
        ("locale", "../../etc"),
        ("locale", &long),
    ];
    for (field, value) in cases {
        let mut body = person.account();
        body[field] = json!(value);
        let answer = person.post("/api/v1/users", body).await.problem(422, "invalid");
        let told = fields(&answer.body);
        assert!(told.iter().any(|(name, _)| name == field), "{field}={value:.20}: {told:?}");
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(
            value.len() < 8 || value.to_lowercase() == "password" || !text.contains(value),
            "what was sent is not echoed: {text}"
        );
    }
    for kind in [json!(1), json!(true), json!([]), json!({})] {
        for field in ["username", "email", "mobile", "password", "is_2fa_enabled"] {
            if field == "is_2fa_enabled" && kind == json!(true) {
                continue;
            }
            let mut body = person.account();
            body[field] = kind.clone();
            let answer = person.post("/api/v1/users", body).await.problem(422, "invalid");
            assert_eq!(fields(&answer.body)[0].0, field, "{}", answer.body);
        }
    }
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 0);
}

#[tokio::test]
async fn fields_that_are_not_the_callers_to_write_are_refused() {
    let world = World::new().await;
    let person = world.stranger();
    for (field, value) in [
        ("id", json!("00000000-0000-0000-0000-000000000000")),
        ("roles", json!(["admin"])),
        ("status", json!("active")),
        ("verified", json!(true)),
        ("identifiers", json!([])),
        ("created_at", json!("2030-01-01T00:00:00Z")),
    ] {
        let mut body = person.account();
        body[field] = value;
        let answer = person.post("/api/v1/users", body).await.problem(422, "invalid");
        assert_eq!(fields(&answer.body), [(field.to_owned(), "unknown".to_owned())]);
    }
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 0);
}

#[tokio::test]
async fn bodies_that_are_not_what_they_say_are_refused() {
    let world = World::new().await;
    let person = world.stranger();
    let json_type = "application/json";
    let good = person.account().to_string();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (kind, body, status, slug) in [
        (json_type, b"{".to_vec(), 400, "malformed-body"),
        (json_type, b"".to_vec(), 400, "malformed-body"),
        (json_type, b"{\"username\": \"\xff\xfe\"}".to_vec(), 400, "malformed-body"),
        (json_type, format!("{good} {good}").into_bytes(), 400, "malformed-body"),
        (json_type, deep.into_bytes(), 413, "body-too-large"),
        (json_type, "[".repeat(10_000).into_bytes(), 400, "malformed-body"),
        (json_type, b"null".to_vec(), 422, "invalid"),
        (json_type, b"[]".to_vec(), 422, "invalid"),
        ("text/plain", good.clone().into_bytes(), 415, "unsupported-media-type"),
        ("", good.clone().into_bytes(), 415, "unsupported-media-type"),
        (
            json_type,
            format!("{{\"password\":\"{}\"}}", "p".repeat(1_000_000)).into_bytes(),
            413,
            "body-too-large",
        ),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(30)]).into_owned();
        let answer = person.send("POST", "/api/v1/users", Some((kind, body))).await;
        assert_eq!(answer.status.as_u16(), status, "{kind} {shown}: {}", answer.body);
        answer.problem(status, slug);
    }
    person.send("PUT", "/api/v1/users", None).await.problem(405, "method-not-allowed");
    person.get("/api/v1/nothing-here").await.problem(404, "not-found");
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 0);
}

#[tokio::test]
async fn a_taken_username_is_told_in_every_disguise() {
    let world = World::new().await;
    let mut owner = world.stranger();
    owner.username = "paypal".into();
    owner.signs_up().await.expect(StatusCode::CREATED);
    for disguise in ["paypal", "PayPal", "PAYPAL", "ｐａｙｐａｌ", "pаypal"] {
        let other = world.stranger();
        let mut account = other.account();
        account["username"] = json!(disguise);
        let answer = other.post("/api/v1/users", account).await;
        assert!(matches!(answer.status.as_u16(), 409 | 422), "{disguise}: {}", answer.body);
        let taken = answer.body["type"] == "/problems/identifier-taken";
        assert!(taken || fields(&answer.body)[0].0 == "username", "{disguise}: {}", answer.body);
    }
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 1);
}

#[tokio::test]
async fn a_taken_address_or_number_looks_free_and_its_owner_keeps_it() {
    let world = World::new().await;
    let owner = world.alice().await;
    world.advance(std::time::Duration::from_secs(86_400));
    let mut thief = world.stranger();
    thief.mobile = owner.mobile.clone();
    let mut account = thief.account();
    account["email"] = json!(owner.email());
    let made = thief.post("/api/v1/users", account).await.expect(StatusCode::CREATED).body;
    assert_eq!(made["user"]["mobile"], json!(owner.mobile));
    world.run_due().await;
    let code = world.last_code(&owner.mobile).await;
    // The number still signs its owner in, with the owner's password, and not the thief's account.
    let body = json!({"identifier": owner.mobile, "password": PASSWORD});
    owner.post("/api/v1/auth/login", body).await.expect(StatusCode::OK);
    // Whoever holds the number is told that it has an account already.
    let body = json!({"challenge": made["verification"]["id"], "code": code});
    thief.post("/api/v1/auth/verify-code", body).await.problem(409, "identifier-taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_username_asked_for_by_many_at_once_goes_to_one() {
    let world = World::plan()
        .policy(|policy| {
            policy.limits.sign_up_address.limit = 1_000;
            policy.limits.send_address.limit = 1_000;
        })
        .build()
        .await;
    let people: Vec<_> = (0..32).map(|_| world.stranger()).collect();
    let tries = people.iter().map(|person| {
        let mut account = person.account();
        account["username"] = json!("wanted");
        person.post("/api/v1/users", account)
    });
    let answers = futures_util::future::join_all(tries).await;
    let won = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    assert_eq!(won, 1);
    for lost in answers.into_iter().filter(|answer| answer.status != StatusCode::CREATED) {
        lost.problem(409, "identifier-taken");
    }
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 1);
}

#[tokio::test]
async fn a_closed_house_takes_nobody() {
    let world = World::plan().policy(|policy| policy.sign_up.open = false).build().await;
    world.stranger().signs_up().await.problem(403, "sign-up-closed");
}

/// By the API and by the page alike: accounts and what is sent for them cost something.
#[tokio::test]
async fn so_many_sign_up_from_one_address_and_no_more() {
    let few = |policy: &mut vestibule::policy::Policy| policy.limits.sign_up_address.limit = 2;
    let world = World::plan().policy(few).build().await;
    let first = world.stranger();
    first.signs_up().await.expect(StatusCode::CREATED);
    // Also what is refused counts.
    first.signs_up().await.problem(409, "identifier-taken");
    let second = Person { ip: first.ip, ..world.stranger() };
    let refused = second.signs_up().await.problem(429, "limit-reached");
    assert_eq!(refused.body["limit"], "sign-up-address");
    let form = format!("username={}&password=eight+quiet+herons", second.username).into_bytes();
    let page = second.send("POST", "/sign-up", Some(("application/x-www-form-urlencoded", form))).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    world.stranger().signs_up().await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn one_sees_oneself() {
    let world = World::new().await;
    let alice = world.alice().await;
    let me = alice.get("/api/v1/users/me").await.expect(StatusCode::OK).body;
    assert_eq!(me["username"], json!(alice.username));
    assert_eq!(me["factors"][0]["kind"], "sms");
    let text = me.to_string();
    assert!(!text.contains("argon2") && !text.contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_named_request_makes_one_account_and_gets_one_answer() {
    let world = World::new().await;
    let mut person = world.stranger();
    person.headers.insert("idempotency-key", "0b9c".parse().unwrap());
    let tries = futures_util::future::join_all((0..8).map(|_| person.signs_up())).await;
    let first = tries[0].clone().expect(StatusCode::CREATED).body;
    for again in tries {
        assert_eq!(again.expect(StatusCode::CREATED).body, first);
    }
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 1);
    let part = world.app.policy().limits.send_stranger_short.limit;
    for _ in 1..part {
        limits::postage(&world.ctx(), &person.mobile, Sender::Stranger).await.expect("one code was sent");
    }
    let mut account = person.account();
    account["password"] = json!("another password entirely");
    person.post("/api/v1/users", account).await.problem(422, "idempotency-key-reused");
    world.advance(std::time::Duration::from_secs(86_400));
    person.signs_up().await.problem(409, "identifier-taken");
    person.headers.insert("idempotency-key", "with space".parse().unwrap());
    person.signs_up().await.problem(400, "malformed-request");
}
