//! `optional-otp`: username and password by an OAuth 2.0 form, a code by e-mail for those who want one.

use std::process::Stdio;

use serde_json::{Value as Json, json};

use super::{Client, PASSWORD, house, refuses_rubbish};
use crate::told;
use crate::world::World;

const EMAIL: &str = "ada@example.com";
/// As short as its example.
const SHORTEST: &str = "v7qz";

fn account(second: bool) -> Json {
    json!({"username": "ada", "email": EMAIL, "password": SHORTEST, "is_2fa_enabled": second})
}

fn password<'a>(password: &'a str, send: &'a str) -> [(&'a str, &'a str); 3] {
    [("username", "ada"), ("password", password), ("send_otp", send)]
}

async fn code(world: &World) -> String {
    world.run_due().await;
    world.last_code(EMAIL).await
}

/// `{access_token, token_type: "bearer"}`, and the token opens what is one's own.
async fn opens(client: &mut Client, body: &Json) {
    assert_eq!(body["token_type"], "bearer", "{body}");
    let token = body["access_token"].as_str().unwrap_or_else(|| panic!("{body}"));
    let mut own = Client { token: Some(token.to_owned()), ..client.clone() };
    assert_eq!(own.get("/api/users/me").await.is(200).body["username"], "ada");
    own.token = Some(token.to_lowercase());
    own.get("/api/users/me").await.fails(401, "unauthenticated");
}

#[tokio::test]
async fn optional_otp_without_a_code() {
    let world = house("optional-otp").await;
    let mut client = Client::of(&world);
    let made = client.post("/users", account(false)).await.is(201);
    // What was sent for that arrives before what is asked for next.
    world.run_due().await;
    assert_eq!(made.body["user"]["username"], "ada");
    let done = client.form("/login", &password(SHORTEST, "false")).await.is(200);
    opens(&mut client, &done.body).await;
    // Who has no second factor is not kept waiting for one.
    let done = client.form("/login", &password(SHORTEST, "true")).await.is(200);
    opens(&mut client, &done.body).await;
    let fields = [
        ("grant_type", "password"),
        ("username", EMAIL),
        ("password", SHORTEST),
        ("scope", ""),
        ("client_id", "web"),
    ];
    let done = client.form("/login", &fields).await.is(200);
    opens(&mut client, &done.body).await;
}

#[tokio::test]
async fn optional_otp_turns_the_code_on_later() {
    let world = house("optional-otp").await;
    let mut client = Client::of(&world);
    let made = client.post("/users", account(false)).await.is(201);
    let verify = json!({"challenge": made.body["verification"]["id"], "code": code(&world).await});
    client.post("/api/auth/verify-code", verify).await.is(200);
    let done = client.form("/login", &password(SHORTEST, "false")).await.is(200);
    client.token = Some(done.told("access_token"));
    let factor = client.post("/api/factors", json!({"kind": "email"})).await.is(200);
    assert_eq!(factor.body["kind"], "email");
    client.post("/api/logout", json!({})).await.is(204);
    client.get("/api/users/me").await.fails(401, "unauthenticated");
    let asked = client.form("/login", &password(SHORTEST, "false")).await.is(200);
    assert_eq!(asked.body["status"], "second_factor_required");
}

/// A code by mail is a wish: whoever has an app alone is asked for what that shows.
#[tokio::test]
async fn optional_otp_with_an_app_alone() {
    let world = house("optional-otp").await;
    let mut client = Client::of(&world);
    client.post("/users", account(false)).await.is(201);
    let done = client.form("/login", &password(SHORTEST, "false")).await.is(200);
    client.token = Some(done.told("access_token"));
    let app = client.post("/api/factors/totp", json!({})).await.is(201).body;
    let step = world.app.clock.now().as_millis() / 30_000;
    let code = crate::factors::shows(app["secret"].as_str().unwrap(), step);
    client.post("/api/factors/totp/confirm", json!({"id": app["id"], "code": code})).await.is(200);
    client.token = None;
    let asked = client.form("/login", &password(SHORTEST, "true")).await.is(200);
    assert_eq!(asked.body["challenge"]["factor"], "totp", "{}", asked.body);
    client.form("/login", &password("not this one", "true")).await.fails(401, "credentials-wrong");
}

#[tokio::test]
async fn optional_otp_with_a_code_by_mail() {
    let world = house("optional-otp").await;
    let mut client = Client::of(&world);
    let made = client.post("/users", account(true)).await.is(201);
    // What was sent for that arrives before what is asked for next.
    world.run_due().await;
    let asked = client.form("/login", &password(SHORTEST, "true")).await.is(200);
    assert_eq!(
        (&asked.body["status"], &asked.body["challenge"]["factor"]),
        (&json!("second_factor_required"), &json!("email"))
    );
    assert!(asked.body.get("access_token").is_none());
    let code = code(&world).await;
    let done = client.form("/verify-2fa", &[("username", "ada"), ("otp_code", &code)]).await.is(200);
    opens(&mut client, &done.body).await;
    client.form("/verify-2fa", &[("username", "ada"), ("otp_code", &code)]).await.fails(401, "code-gone");

    // Never a hash, and never a code, in an answer.
    for text in [&made.text, &asked.text, &done.text] {
        for secret in [code.as_str(), "$argon2", "$2b$", "hash", SHORTEST] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn optional_otp_asks_again_and_the_newest_code_counts() {
    let world = house("optional-otp").await;
    let mut client = Client::of(&world);
    client.post("/users", account(true)).await.is(201);
    // What was sent for that arrives before what is asked for next.
    world.run_due().await;
    client.form("/login", &password(SHORTEST, "")).await.is(200);
    let old = code(&world).await;
    client.form("/login", &password(SHORTEST, "1")).await.is(200);
    world.advance(std::time::Duration::from_secs(1));
    let new = code(&world).await;
    if old != new {
        client.form("/verify-2fa", &[("username", "ada"), ("otp_code", &old)]).await.fails(401, "code-wrong");
    }
    // In whatever spelling.
    let done = client.form("/verify-2fa", &[("username", "ADA"), ("otp_code", &new)]).await.is(200);
    opens(&mut client, &done.body).await;
}

/// Whoever knows the name and reads the mail has shown no password; and whoever only knows the name cannot
/// use up the owner's guesses.
#[tokio::test]
async fn optional_otp_finishes_a_sign_in_only_where_the_password_came_from() {
    let world = house("optional-otp").await;
    let mut owner = Client::of(&world);
    owner.post("/users", account(true)).await.is(201);
    // What was sent for that arrives before what is asked for next.
    world.run_due().await;
    owner.form("/login", &password(SHORTEST, "true")).await.is(200);
    let code = code(&world).await;
    let mut thief = Client { from: [127, 0, 0, 2], ..owner.clone() };
    for guess in ["000000", "111111", "222222", "333333", "444444", "555555", &code] {
        thief.form("/verify-2fa", &[("username", "ada"), ("otp_code", guess)]).await.fails(401, "code-gone");
    }
    owner.form("/verify-2fa", &[("username", "nobody"), ("otp_code", &code)]).await.fails(401, "code-gone");
    let done = owner.form("/verify-2fa", &[("username", "ada"), ("otp_code", &code)]).await.is(200);
    opens(&mut owner, &done.body).await;
}

#[tokio::test]
async fn optional_otp_refuses_what_is_wrong() {
    let world = house("optional-otp").await;
    let mut client = Client::of(&world);
    let mut short = account(false);
    short["password"] = json!("v7q");
    let told = client.post("/users", short).await.fails(422, "invalid");
    assert_eq!(told.body["errors"][0]["code"], "too-short");
    client.post("/users", account(true)).await.is(201);
    // What was sent for that arrives before what is asked for next.
    world.run_due().await;
    client.post("/users", account(true)).await.fails(409, "identifier-taken");
    for (name, guess) in [("ada", "a guess"), ("nobody", SHORTEST), ("", "")] {
        let told = client.form("/login", &[("username", name), ("password", guess)]).await;
        assert_eq!(told.fails(401, "credentials-wrong").body["error"], "invalid_grant");
    }
    for (fields, field) in [
        (&[("username", "ada")][..], "password"),
        (&[("password", "x")], "username"),
        (&[("username", "ada"), ("password", SHORTEST), ("send_otp", "perhaps")], ""),
    ] {
        let told = client.form("/login", fields).await.fails(422, "invalid");
        assert_eq!(told.body["error"], "invalid_request");
        assert!(field.is_empty() || told.body["errors"][0]["field"] == field, "{}", told.text);
    }
    let other = [("grant_type", "client_credentials"), ("username", "ada"), ("password", SHORTEST)];
    let told = client.form("/login", &other).await.fails(422, "invalid");
    assert_eq!(told.body["error"], "unsupported_grant_type");
    let twice = [("grant_type", "password"), ("grant_type", "password"), ("username", "ada")];
    let told = client.form("/login", &twice).await.fails(422, "invalid");
    assert_eq!(told.body["error"], "invalid_request");

    client.form("/login", &password(SHORTEST, "true")).await.is(200);
    for left in (0..5).rev() {
        let told = client.form("/verify-2fa", &[("username", "ada"), ("otp_code", "1234567")]).await;
        assert_eq!(told.fails(401, "code-wrong").body["error"], "invalid_grant", "{left}");
    }
    let right = code(&world).await;
    let told = client.form("/verify-2fa", &[("username", "ada"), ("otp_code", &right)]).await;
    told.fails(401, "code-gone");
    client.form("/verify-2fa", &[("username", "ada")]).await.fails(422, "invalid");
    let json = r#"{"username": "ada", "password": "v7qz"}"#;
    client
        .send("POST", "/login", Some(("application/json", json)))
        .await
        .fails(415, "unsupported-media-type");
    refuses_rubbish(&mut client, &[("POST", "/users"), ("POST", "/login"), ("POST", "/verify-2fa")]).await;
}

#[tokio::test]
async fn optional_otp_without_a_preset() {
    let world = house("default").await;
    let mut client = Client::of(&world);
    let mobile = "+12025550143";
    let body = json!({"username": "ada", "email": EMAIL, "mobile": mobile, "password": PASSWORD, "is_2fa_enabled": true});
    client.post("/users", body).await.is(201);
    for send in ["true", "false"] {
        world.run_due().await;
        let asked = client.form("/login", &password(PASSWORD, send)).await.is(200);
        assert_eq!(asked.body["challenge"]["factor"], "sms", "the policy has no codes by mail");
        world.run_due().await;
        let code = world.last_code(mobile).await;
        let done = client.form("/verify-2fa", &[("username", "ada"), ("otp_code", &code)]).await.is(200);
        opens(&mut client, &done.body).await;
    }
}

/// Where sessions are carried as JWT, the form hands out what a session is carried by.
#[tokio::test]
async fn optional_otp_hands_out_jwt_where_the_policy_says_so() {
    let world = house("calls").await;
    let mut client = Client::of(&world);
    let body = json!({"username": "ada", "email": EMAIL, "password": PASSWORD});
    client.post("/users", body).await.is(201);
    let done = client.form("/login", &password(PASSWORD, "false")).await.is(200);
    assert_eq!(done.told("access_token").split('.').count(), 3);
    assert_eq!(done.body["expires_in"], 3_600);
    opens(&mut client, &done.body).await;
    client.post("/api/auth/refresh", json!({"refresh_token": done.told("refresh_token")})).await.is(200);
}

/// A client library that others wrote: what it makes of the form, of the token and of a refusal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oauth2_library_signs_in_by_form_and_knows_a_refusal() {
    let python = std::env::var("VESTIBULE_TEST_OAUTH2_PYTHON").ok().filter(|python| !python.is_empty());
    let Some(python) = python else {
        told::left_out("VESTIBULE_TEST_OAUTH2_PYTHON names no Python with an OAuth 2.0 client library.");
        return;
    };
    let world = house("optional-otp").await;
    Client::of(&world).post("/users", account(false)).await.is(201);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oauth2/client.py");
    let output = tokio::process::Command::new(python)
        .args([script, &format!("http://{}", world.address), "ada", SHORTEST])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Json = serde_json::from_slice(&output.stdout).unwrap();
    for library in ["requests_oauthlib", "authlib"] {
        let told = &found[library];
        assert_eq!(told["token_type"].as_str().map(str::to_lowercase).as_deref(), Some("bearer"), "{found}");
        assert_eq!(told["me"], "ada", "{found}");
        assert_eq!(told["wrong"], "invalid_grant", "{found}");
        assert_eq!(told["after"], json!([204, 401]), "signed out: {found}");
    }
}
