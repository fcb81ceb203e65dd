//! `bearer`: e-mail address and password, tokens that signing out revokes, one's own account.

use serde_json::{Value as Json, json};

use super::{Client, OTHER, house, promote, refuses_rubbish};
use crate::world::World;

const EMAIL: &str = "ada@example.com";
/// Four characters that are no word.
const SHORTEST: &str = "v7qz";

fn account(email: &str, password: &str) -> Json {
    json!({"email": email, "password": password})
}

async fn signs_in(client: &mut Client, email: &str, password: &str) -> String {
    let done = client.post("/api/login", account(email, password)).await.is(200);
    assert_eq!(done.body["token_type"], "bearer");
    done.told("token")
}

async fn journey(world: &World, password: &str, second: Option<&str>) {
    let mut client = Client::of(world);
    let health = client.get("/health").await.is(200);
    assert_eq!(health.body["status"], "ok");
    let mut body = account(EMAIL, password);
    if let Some(mobile) = second {
        body["mobile"] = json!(mobile);
        body["username"] = json!("ada");
    }
    let made = client.post("/api/users/register", body).await.is(204);
    assert_eq!(made.text, "", "nothing is told; the user signs in next");
    client.get("/api/users/me").await.fails(401, "unauthenticated");

    let sign_in = async |client: &mut Client| match second {
        None => signs_in(client, EMAIL, password).await,
        Some(mobile) => {
            world.run_due().await;
            let asked = client.post("/api/login", account(EMAIL, password)).await.is(200);
            world.run_due().await;
            let code = world.last_code(mobile).await;
            let body = json!({"challenge": asked.body["challenge"]["id"], "code": code});
            client.post("/api/auth/verify-code", body).await.is(200).told("token")
        }
    };
    let (first, other) = (sign_in(&mut client).await, sign_in(&mut client).await);
    assert_ne!(first, other);
    client.token = Some(first.clone());
    assert_eq!(client.get("/api/users/me").await.is(200).body["email"], EMAIL);
    let changed = client.json("PATCH", "/api/users/me", json!({"name": "Ada"})).await.is(200);
    assert_eq!(changed.body["user"]["name"], "Ada");

    // A token is over when its user signs out, and only that one.
    client.post("/api/logout", json!({})).await.is(204);
    client.get("/api/users/me").await.fails(401, "unauthenticated");
    client.token = Some(other);
    client.get("/api/users/me").await.is(200);

    client.send("DELETE", "/api/users/me", None).await.is(204);
    client.get("/api/users/me").await.fails(401, "unauthenticated");
    client.token = None;
    client.post("/api/login", account(EMAIL, password)).await.fails(401, "credentials-wrong");
    assert!(client.get("/docs").await.is(200).text.contains("swagger-ui"));
}

#[tokio::test]
async fn bearer_from_registration_to_deletion() {
    journey(&house("bearer").await, SHORTEST, None).await;
}

#[tokio::test]
async fn bearer_without_a_preset() {
    journey(&house("default").await, super::PASSWORD, Some("+12025550143")).await;
}

#[tokio::test]
async fn bearer_takes_valid_addresses_once_and_passwords_of_four_to_128_characters() {
    let world = house("bearer").await;
    let mut client = Client::of(&world);
    let long: String = "qv7z-Kx2m.".repeat(13);
    for (length, status) in [(3, 422), (4, 204), (128, 204), (129, 422)] {
        let password = &long[..length];
        let email = format!("user{length}@example.com");
        let reply = client.post("/api/users/register", account(&email, password)).await.is(status);
        if status == 422 {
            let code = if length == 3 { "too-short" } else { "too-long" };
            assert_eq!(
                (&reply.body["errors"][0]["field"], &reply.body["errors"][0]["code"]),
                (&json!("password"), &json!(code))
            );
        } else {
            signs_in(&mut client, &email, password).await;
        }
    }
    for wrong in
        ["", "ada", "ada@", "@example.com", "ada@@example.com", "ada @example.com", "ada@example..com"]
    {
        let reply = client.post("/api/users/register", account(wrong, SHORTEST)).await.fails(422, "invalid");
        assert_eq!(reply.body["errors"][0]["field"], "email", "{wrong}");
    }
    client.post("/api/users/register", account(EMAIL, SHORTEST)).await.is(204);
    for same in [EMAIL, "ADA@example.com"] {
        // Whose it is, is known once it is shown to be somebody's own.
        world.run_due().await;
        verifies(&world, &mut client).await;
        client.post("/api/users/register", account(same, SHORTEST)).await.fails(409, "identifier-taken");
    }
}

/// Nobody gets an account that they could not sign in to.
#[tokio::test]
async fn bearer_gives_an_address_to_one_account_at_a_time() {
    let world = house("bearer").await;
    let mut client = Client::of(&world);
    for password in [SHORTEST, "k3wp", "x9dz"] {
        client.post("/api/users/register", account(EMAIL, password)).await.is(204);
        let taken = client.post("/api/users/register", account("Ada@Example.com", "other words")).await;
        taken.fails(409, "identifier-taken");
        let mut own = Client::of(&world);
        own.token = Some(signs_in(&mut client, EMAIL, password).await);
        own.send("DELETE", "/api/users/me", None).await.is(204);
        client.post("/api/login", account(EMAIL, password)).await.fails(401, "credentials-wrong");
    }
    // Where it has to be verified, whoever does so has it.
    let mut policy = (*world.app.policy()).clone();
    policy.sign_up.verified = vec![vestibule::policy::IdentifierKind::Email];
    world.app.replace_policy(policy);
    for password in [SHORTEST, "k3wp"] {
        client.post("/api/users/register", account(EMAIL, password)).await.is(204);
    }
}

/// Shows that the address is one's own, as the mail asks.
async fn verifies(world: &World, client: &mut Client) {
    let mut own = Client::of(world);
    own.token = Some(signs_in(client, EMAIL, SHORTEST).await);
    let asked = own.post("/api/users/me/verify", json!({"kind": "email"})).await;
    if asked.status == 200 {
        world.run_due().await;
        let body = json!({"challenge": asked.body["id"], "code": world.last_code(EMAIL).await});
        own.post("/api/auth/verify-code", body).await.is(200);
    }
}

#[tokio::test]
async fn bearer_changes_an_address_by_the_code_that_goes_to_it() {
    let world = house("bearer").await;
    let mut client = Client::of(&world);
    client.post("/api/users/register", account(EMAIL, SHORTEST)).await.is(204);
    client.token = Some(signs_in(&mut client.clone(), EMAIL, SHORTEST).await);
    let changed = client.json("PATCH", "/api/users/me", json!({"email": "ada@example.org"})).await.is(200);
    assert_eq!(changed.body["user"]["email"], EMAIL);
    world.run_due().await;
    let code = world.last_code("ada@example.org").await;
    let body = json!({"challenge": changed.body["verification"]["id"], "code": code});
    client.post("/api/auth/verify-code", body).await.is(200);
    assert_eq!(client.get("/api/users/me").await.is(200).body["email"], "ada@example.org");
    signs_in(&mut Client::of(&world), "ada@example.org", SHORTEST).await;
}

#[tokio::test]
async fn bearer_refuses_what_is_wrong() {
    let world = house("bearer").await;
    let mut client = Client::of(&world);
    client.post("/api/users/register", account(EMAIL, SHORTEST)).await.is(204);
    for body in [account(EMAIL, "a guess"), account(EMAIL, ""), account("nobody@example.com", SHORTEST)] {
        client.post("/api/login", body).await.fails(401, "credentials-wrong");
    }
    let token = signs_in(&mut client, EMAIL, SHORTEST).await;
    for wrong in ["", "null", "undefined", &token[1..], &token[..token.len() - 1], &format!("{token}A")] {
        client.token = Some(wrong.to_owned());
        client.get("/api/users/me").await.fails(401, "unauthenticated");
        client.json("PATCH", "/api/users/me", json!({"name": "Eve"})).await.fails(401, "unauthenticated");
        client.send("DELETE", "/api/users/me", None).await.fails(401, "unauthenticated");
        client.post("/api/logout", json!({})).await.is(204);
    }
    client.token = Some(token);
    assert_eq!(client.get("/api/users/me").await.is(200).body["name"], Json::Null);
    client.json("PATCH", "/api/users/me", json!({"email": "ada"})).await.fails(422, "invalid");
    client.json("PATCH", "/api/users/me", json!({"roles": ["admin"]})).await.fails(422, "invalid");
    let sets = json!({"current_password": "a guess", "new_password": OTHER});
    client.json("PATCH", "/api/users/update-password", sets).await.fails(401, "credentials-wrong");
    let routes = [("POST", "/api/users/register"), ("POST", "/api/login"), ("PATCH", "/api/users/me")];
    refuses_rubbish(&mut client, &routes).await;
    let form = client.form("/api/login", &[("email", EMAIL), ("password", SHORTEST)]).await;
    assert_eq!(
        form.fails(415, "unsupported-media-type").told("detail"),
        "Send Content-Type: application/json."
    );
}

#[tokio::test]
async fn bearer_recovers_by_an_address_that_was_shown_and_by_no_other() {
    let world = house("bearer").await;
    let mut client = Client::of(&world);
    client.post("/api/users/register", account(EMAIL, SHORTEST)).await.is(204);
    world.run_due().await;
    let mails = async || world.messages(EMAIL).await["items"].as_array().unwrap().len();
    let before = mails().await;
    client.post("/api/auth/recover", json!({"identifier": EMAIL})).await.is(202);
    world.run_due().await;
    assert_eq!(mails().await, before);
}

#[tokio::test]
async fn bearer_shows_the_tables_to_administrators_without_what_is_secret() {
    let world = house("bearer").await;
    let mut client = Client::of(&world);
    client.post("/api/users/register", account(EMAIL, SHORTEST)).await.is(204);
    client.token = Some(signs_in(&mut client.clone(), EMAIL, SHORTEST).await);
    client.get("/api/admin/data").await.fails(404, "not-found");
    let id = client.get("/api/users/me").await.is(200).told("id");
    promote(&world, &id).await;
    let tables = client.get("/api/admin/data").await.is(200);
    assert!(tables.text.contains("sessions") && tables.text.contains("identifiers"), "{}", tables.text);
    let rows = client.get("/api/admin/data/users").await.is(200);
    assert_eq!(rows.body["items"][0]["id"], json!(id), "{}", rows.text);
    for table in ["passwords", "sessions"] {
        let text = client.get(&format!("/api/admin/data/{table}")).await.is(200).text;
        assert!(!text.contains("$argon2") && !text.contains("digest"), "{text}");
    }
    client.get("/api/admin/data/nothing").await.fails(404, "not-found");
}
