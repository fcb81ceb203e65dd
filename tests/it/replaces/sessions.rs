//! `sessions`: e-mail address and password, opaque sessions kept by the server, one's own account.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Client, OTHER, PASSWORD, house, promote, refuses_rubbish};
use crate::world::World;

const EMAIL: &str = "ada@example.com";

fn account(email: &str) -> Json {
    json!({"email": email, "password": PASSWORD})
}

/// Signs up and shows the address to be one's own; answers with who they are.
async fn joins(world: &World, email: &str) -> (Client, String) {
    let mut client = Client::of(world);
    let made = client.post("/api/users", account(email)).await.is(201);
    // What was sent for that arrives before what is asked for next.
    world.run_due().await;
    world.run_due().await;
    let body =
        json!({"challenge": made.body["verifications"][0]["id"], "code": world.last_code(email).await});
    client.post("/api/auth/verify-code", body).await.is(200);
    client.token = Some(client.post("/api/login", account(email)).await.is(200).told("token"));
    let id = client.get("/api/users/me").await.is(200).told("id");
    (client, id)
}

#[tokio::test]
async fn sessions_from_sign_up_to_deletion() {
    let world = house("sessions").await;
    let mut client = Client::of(&world);
    client.post("/api/users", account(EMAIL)).await.is(201);
    // What was sent for that arrives before what is asked for next.
    world.run_due().await;
    // Nothing opens before the address is shown to be theirs.
    let asked = client.post("/api/login", account(EMAIL)).await.is(200);
    assert_eq!(asked.body["status"], "verification_required");
    assert!(asked.body.get("token").is_none());
    world.run_due().await;
    let body = json!({"challenge": asked.body["challenge"]["id"], "code": world.last_code(EMAIL).await});
    client.post("/api/auth/verify-code", body).await.is(200);
    let token = client.post("/api/login", account(EMAIL)).await.is(200).told("token");
    assert!(token.starts_with("vs_") && !token.contains('.'), "opaque: {token}");
    client.token = Some(token.clone());
    let me = client.get("/api/users/me").await.is(200);
    assert_eq!((&me.body["email"], &me.body["identifiers"][0]["verified"]), (&json!(EMAIL), &json!(true)));

    let changed = client.json("PUT", "/api/users/me", json!({"name": "Ada"})).await.is(200);
    assert_eq!(changed.body["user"]["name"], "Ada");
    client.send("DELETE", "/api/users/me", None).await.is(204);
    client.get("/api/users/me").await.fails(401, "unauthenticated");
    client.post("/api/login", account(EMAIL)).await.fails(401, "credentials-wrong");
}

#[tokio::test]
async fn sessions_last_a_month_and_outlive_a_restart() {
    let world = house("sessions").await;
    let (mut client, id) = joins(&world, EMAIL).await;
    let (mut gone, _) = joins(&world, "bob@example.com").await;
    gone.post("/api/logout", json!({})).await.is(204);
    let days = |days: u64| Duration::from_secs(days * 24 * 3_600);
    world.advance(days(13));

    // Another process, which knows nothing but what is stored.
    let app = crate::tokens::again(&world).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = vestibule::http::router::production(&app).unwrap();
    let served = tokio::spawn(async move {
        let never = std::future::pending::<()>();
        vestibule::http::serve(app, listener, router, &vestibule::http::Loops::here(), never).await;
    });
    client.server = address;
    gone.server = address;
    assert_eq!(client.get("/api/users/me").await.is(200).told("id"), id);
    gone.get("/api/users/me").await.fails(401, "unauthenticated");
    served.abort();

    client.server = world.address;
    for _ in 0..2 {
        client.get("/api/users/me").await.is(200);
        world.advance(days(8));
    }
    client.get("/api/users/me").await.is(200);
    world.advance(days(1));
    client.get("/api/users/me").await.fails(401, "unauthenticated");
}

#[tokio::test]
async fn sessions_change_and_delete_ones_own_account_only() {
    let world = house("sessions").await;
    let (mut ada, ada_id) = joins(&world, EMAIL).await;
    let (mut bob, _) = joins(&world, "bob@example.com").await;
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        for path in [format!("/api/users/{ada_id}"), format!("/api/admin/users/{ada_id}")] {
            let reply = bob.json(method, &path, json!({"name": "Bob's"})).await;
            assert!([404, 405].contains(&reply.status), "{method} {path}: {}", reply.text);
        }
        let named = json!({"id": ada_id, "name": "Bob's"});
        if method != "GET" && method != "DELETE" {
            bob.json(method, "/api/users/me", named).await.fails(422, "invalid");
        }
    }
    bob.send("DELETE", "/api/users/me", None).await.is(204);
    assert_eq!(ada.get("/api/users/me").await.is(200).body["name"], Json::Null);
}

#[tokio::test]
async fn sessions_refuses_what_is_wrong() {
    let world = house("sessions").await;
    let (mut client, _) = joins(&world, EMAIL).await;
    // Every field, and all that is wrong at once.
    let wrong = json!({"email": "ada", "password": "short", "name": "", "locale": "?"});
    let told = client.post("/api/users", wrong).await.fails(422, "invalid");
    let fields: Vec<_> =
        told.body["errors"].as_array().unwrap().iter().map(|one| one["field"].clone()).collect();
    assert_eq!(fields, ["email", "password", "name", "locale"]);
    // A taken address looks like a free one; it stays its owner's, whatever password was given.
    client.post("/api/users", json!({"email": EMAIL, "password": OTHER})).await.is(201);
    let stolen = json!({"email": EMAIL, "password": OTHER});
    client.post("/api/login", stolen).await.fails(401, "credentials-wrong");
    for body in [json!({"email": EMAIL, "password": "a guess"}), account("nobody@example.com")] {
        client.post("/api/login", body).await.fails(401, "credentials-wrong");
    }
    client.json("PUT", "/api/users/me", json!({"email": "ada"})).await.fails(422, "invalid");
    Client::of(&world)
        .json("PUT", "/api/users/me", json!({"name": "Eve"}))
        .await
        .fails(401, "unauthenticated");
    Client::of(&world).send("DELETE", "/api/users/me", None).await.fails(401, "unauthenticated");
    refuses_rubbish(&mut client, &[("POST", "/api/users"), ("POST", "/api/login"), ("PUT", "/api/users/me")])
        .await;
    client.get("/api/users/me").await.is(200);
}

#[tokio::test]
async fn sessions_without_a_preset() {
    let world = house("default").await;
    let mut client = Client::of(&world);
    let mobile = "+12025550143";
    let body = json!({"username": "ada", "email": EMAIL, "mobile": mobile, "password": PASSWORD});
    client.post("/api/users", body).await.is(201);
    world.run_due().await;
    let asked = client.post("/api/login", account(EMAIL)).await.is(200);
    world.run_due().await;
    let body = json!({"challenge": asked.body["challenge"]["id"], "code": world.last_code(mobile).await});
    client.token = Some(client.post("/api/auth/verify-code", body).await.is(200).told("token"));
    client.json("PUT", "/api/users/me", json!({"name": "Ada"})).await.is(200);
    client.send("DELETE", "/api/users/me", None).await.is(204);
    client.get("/api/users/me").await.fails(401, "unauthenticated");
}

#[tokio::test]
async fn sessions_let_an_administrator_act_for_a_user_and_for_an_organisation() {
    let world = house("sessions").await;
    let (mut ada, ada_id) = joins(&world, EMAIL).await;
    let (mut admin, admin_id) = joins(&world, "admin@example.com").await;
    let path = format!("/api/admin/users/{ada_id}/act");
    let ask = json!({"reason": "Ticket 4711", "minutes": 15, "read_only": false});
    admin.post(&path, ask.clone()).await.fails(404, "not-found");
    promote(&world, &admin_id).await;
    let token = admin.post(&path, ask).await.is(201).told("token");
    let mut acting = Client { token: Some(token), ..admin.clone() };
    assert_eq!(acting.get("/api/users/me").await.is(200).told("id"), ada_id);
    acting.json("PATCH", "/api/users/me", json!({"name": "Ada"})).await.is(200);
    // Never what would make the one the other; and it is seen.
    let sets = json!({"current_password": PASSWORD, "new_password": OTHER});
    acting.json("PATCH", "/api/users/update-password", sets).await.fails(403, "acting-never");
    let happened = ada.get("/api/activity").await.is(200);
    let changed =
        happened.body["items"].as_array().unwrap().iter().find(|one| one["event"] == "profile_changed");
    assert_eq!(changed.unwrap()["actor"], json!(admin_id));

    let harbour = ada.post("/api/organizations", json!({"name": "Harbour"})).await.is(201).told("id");
    let path = format!("/api/admin/organizations/{harbour}");
    ada.json("PATCH", &path, json!({"name": "Pier"})).await.fails(404, "not-found");
    admin.json("PATCH", &path, json!({"name": "Pier"})).await.is(200);
    let members = admin.get(&format!("{path}/members")).await.is(200);
    assert_eq!(members.body["items"].as_array().unwrap().len(), 1, "{}", members.text);
    assert_eq!(ada.get(&format!("/api/organizations/{harbour}")).await.is(200).body["name"], "Pier");
}
