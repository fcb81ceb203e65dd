//! `sms-2fa`: username, e-mail address or mobile with a password, a code by SMS, a session by cookie.

use std::time::Duration;

use serde_json::json;

use super::{Client, OTHER, PASSWORD, house, refuses_rubbish};
use crate::world::World;

const MOBILE: &str = "+12025550143";

async fn signs_up(client: &mut Client) {
    let body = json!({"username": "ada", "email": "ada@example.com", "mobile": MOBILE, "password": PASSWORD});
    let made = client.post("/api/users", body).await.is(201);
    assert_eq!(
        (&made.body["user"]["username"], &made.body["user"]["email"]),
        (&json!("ada"), &json!("ada@example.com"))
    );
    assert!(!made.text.contains(PASSWORD) && !made.text.contains("$argon2"), "{}", made.text);
}

async fn code(world: &World) -> String {
    world.run_due().await;
    world.last_code(MOBILE).await
}

/// The password, and the code from the phone; the rest are cookies.
async fn signs_in(world: &World, client: &mut Client, by: (&str, &str), password: &str) {
    // What was sent before is not this sign-in's; and a number gets five messages in ten minutes.
    world.run_due().await;
    world.advance(Duration::from_secs(601));
    let asked = client.post("/api/auth/login", json!({by.0: by.1, "password": password})).await.is(200);
    assert_eq!(asked.body["status"], "second_factor_required");
    assert_eq!(asked.body["challenge"]["factor"], "sms");
    assert!(asked.body.get("token").is_none());
    assert_eq!(client.get("/api/auth/authenticated").await.is(200).body, json!({"authenticated": false}));
    let done = client.post("/api/auth/verify-code", json!({"code": code(world).await})).await.is(200);
    assert_eq!(done.body["status"], "signed_in");
    assert!(done.body.get("token").is_none(), "the session is in the cookie and nowhere else");
    assert!(done.head.contains("HttpOnly; SameSite=Lax"), "{}", done.head);
}

async fn journey(preset: &'static str) {
    let world = house(preset).await;
    let mut page = Client::page(&world);
    signs_up(&mut page).await;
    page.get("/api/users/me").await.fails(401, "unauthenticated");
    for by in [("username", "ada"), ("email", "ada@example.com"), ("mobile", MOBILE)] {
        signs_in(&world, &mut page, by, PASSWORD).await;
        let who = page.get("/api/auth/authenticated").await.is(200);
        assert_eq!(
            (&who.body["authenticated"], &who.body["user"]["username"]),
            (&json!(true), &json!("ada"))
        );

        let before = page.clone();
        page.post("/api/auth/logout", json!({})).await.is(204);
        for mut either in [page.clone(), before] {
            assert_eq!(either.get("/api/auth/authenticated").await.is(200).body["authenticated"], false);
        }
    }
    signs_in(&world, &mut page, ("username", "ada"), PASSWORD).await;

    // Name and address, by whoever is signed in with both factors; never the number.
    let changed = page.json("PUT", "/api/users/update", json!({"username": "countess"})).await.is(200);
    assert_eq!(changed.body["user"]["username"], "countess");
    let changed = page.json("PUT", "/api/users/update", json!({"email": "ada@example.org"})).await.is(200);
    world.run_due().await;
    let body = json!({"challenge": changed.body["verification"]["id"], "code": world.last_code("ada@example.org").await});
    page.post("/api/auth/verify-code", body).await.is(200);
    assert_eq!(page.get("/api/users/me").await.is(200).body["email"], "ada@example.org");
    let never = page.json("PUT", "/api/users/update", json!({"mobile": "+12025550199"})).await;
    assert_eq!(never.fails(422, "immutable-field").body["errors"][0]["field"], "mobile");
    let mut stranger = Client::page(&world);
    stranger.json("PUT", "/api/users/update", json!({"username": "eve"})).await.fails(401, "unauthenticated");

    // The password, by a code by SMS that is not older than five minutes.
    world.advance(Duration::from_secs(301));
    let sets = json!({"current_password": PASSWORD, "new_password": OTHER});
    let need =
        page.json("PATCH", "/api/users/update-password", sets.clone()).await.fails(403, "step-up-required");
    assert_eq!(need.body["need"]["factors"][0], "sms");
    let asked = page.post("/api/auth/step-up", json!({"operation": "password.change"})).await.is(200);
    let body = json!({"challenge": asked.body["id"], "code": code(&world).await});
    // The cookie holds only what is asked while signing in.
    let unnamed = page.post("/api/auth/verify-code", json!({"code": body["code"]})).await;
    assert!(unnamed.fails(401, "code-gone").told("detail").contains("`challenge`"));
    page.post("/api/auth/verify-code", body).await.is(200);
    page.json("PATCH", "/api/users/update-password", sets).await.is(204);
    page.post("/api/auth/logout", json!({})).await.is(204);
    world.advance(Duration::from_secs(601));
    let old = json!({"username": "countess", "password": PASSWORD});
    page.post("/api/auth/login", old).await.fails(401, "credentials-wrong");
    signs_in(&world, &mut page, ("username", "countess"), OTHER).await;

    let docs = page.get("/api-docs").await.is(200);
    assert!(docs.text.contains("swagger-ui"), "{}", docs.text);
}

#[tokio::test]
async fn sms_2fa_from_sign_up_to_a_new_password() {
    journey("sms-2fa").await;
}

#[tokio::test]
async fn sms_2fa_a_day_of_work_takes_two_messages() {
    let world = house("sms-2fa").await;
    let mut page = Client::page(&world);
    signs_up(&mut page).await;
    signs_in(&world, &mut page, ("username", "ada"), PASSWORD).await;
    // Every few hours, as people do: no tenth code of the day that does not come any more.
    for _ in 0..5 {
        world.advance(Duration::from_secs(4 * 3_600));
        assert_eq!(page.get("/api/auth/authenticated").await.is(200).body["authenticated"], true);
    }
    let messages = world.messages(MOBILE).await;
    assert_eq!(messages["items"].as_array().unwrap().len(), 2, "{messages}");
}

#[tokio::test]
async fn sms_2fa_by_a_number_that_nobody_has_shown() {
    let world = house("sms-2fa").await;
    let mut page = Client::page(&world);
    let body = json!({"username": "ada", "email": "ada@example.com", "mobile": MOBILE, "password": PASSWORD});
    let made = page.post("/api/users", body).await.is(201);
    let by_number = json!({"mobile": MOBILE, "password": PASSWORD});
    page.post("/api/auth/login", by_number.clone()).await.fails(401, "credentials-wrong");
    let body = json!({"challenge": made.body["verification"]["id"], "code": code(&world).await});
    page.post("/api/auth/verify-code", body).await.is(200);
    page.post("/api/auth/login", by_number).await.is(200);
}

#[tokio::test]
async fn sms_2fa_without_a_preset() {
    journey("default").await;
}

#[tokio::test]
async fn sms_2fa_refuses_what_is_wrong() {
    let world = house("sms-2fa").await;
    let mut page = Client::page(&world);
    signs_up(&mut page).await;
    for (name, value) in [("username", "a b"), ("email", "ada"), ("mobile", "0700"), ("password", "short")] {
        let mut body = json!({"username": "bob", "email": "bob@example.com", "mobile": "+12025550144", "password": PASSWORD});
        body[name] = json!(value);
        let told = page.post("/api/users", body.clone()).await.fails(422, "invalid");
        assert_eq!(told.body["errors"][0]["field"], name);
        body.as_object_mut().unwrap().remove(name);
        let told = page.post("/api/users", body).await.fails(422, "invalid");
        assert_eq!(
            told.body["errors"][0],
            json!({"field": name, "code": "missing", "message": told.body["errors"][0]["message"]})
        );
    }
    let taken =
        json!({"username": "ADA", "email": "c@example.com", "mobile": "+12025550145", "password": PASSWORD});
    page.post("/api/users", taken).await.fails(409, "identifier-taken");
    for (name, password) in [("ada", "a guess"), ("nobody", PASSWORD)] {
        let wrong = json!({"username": name, "password": password});
        page.post("/api/auth/login", wrong).await.fails(401, "credentials-wrong");
    }
    page.post("/api/auth/verify-code", json!({"code": "123456"})).await.fails(401, "code-gone");
    // What was sent for that arrives before what is asked for next.
    world.run_due().await;
    page.post("/api/auth/login", json!({"username": "ada", "password": PASSWORD})).await.is(200);
    page.post("/api/auth/verify-code", json!({"code": "1234567"})).await.fails(401, "code-wrong");
    // Another browser, with the right code.
    let right = json!({"code": code(&world).await});
    Client::page(&world).post("/api/auth/verify-code", right.clone()).await.fails(401, "code-gone");
    page.post("/api/auth/verify-code", right.clone()).await.is(200);
    page.post("/api/auth/verify-code", right).await.fails(401, "code-gone");
    // What keeps cookies and is no page of ours changes nothing with them.
    let mut elsewhere = Client { page: false, ..page.clone() };
    elsewhere.json("PUT", "/api/users/update", json!({"username": "eve"})).await.fails(403, "cross-site");
    let wrong = json!({"current_password": "a guess", "new_password": OTHER});
    page.json("PATCH", "/api/users/update-password", wrong).await.fails(401, "credentials-wrong");
    let short = json!({"current_password": PASSWORD, "new_password": "short"});
    page.json("PATCH", "/api/users/update-password", short).await.fails(422, "invalid");
    refuses_rubbish(
        &mut page,
        &[
            ("POST", "/api/users"),
            ("POST", "/api/auth/login"),
            ("POST", "/api/auth/verify-code"),
            ("PUT", "/api/users/update"),
            ("PATCH", "/api/users/update-password"),
        ],
    )
    .await;
    assert_eq!(page.get("/api/auth/authenticated").await.is(200).body["authenticated"], true);
}
