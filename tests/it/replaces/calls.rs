//! `calls`: sign-in by JWT, calls that are recorded first and placed in the background.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Client, PASSWORD, Reply, house, refuses_rubbish};
use crate::world::World;

const CALLEE: &str = "+12025550199";

fn account(email: &str) -> Json {
    json!({"email": email, "password": PASSWORD})
}

async fn joins(world: &World, email: &str) -> Client {
    let mut client = Client::of(world);
    client.post("/api/users", account(email)).await.is(201);
    let done = client.post("/api/login", account(email)).await.is(200);
    let token = done.told("access_token");
    assert_eq!((token.split('.').count(), &done.body["token_type"]), (3, &json!("bearer")), "a JWT");
    client.token = Some(token);
    client
}

async fn calls(client: &mut Client, to: &str) -> Reply {
    let made = client.post("/api/calls", json!({"to": to, "say": "Your table is ready."})).await.is(202);
    assert_eq!(
        (&made.body["status"], &made.body["attempts"]),
        (&json!("queued"), &json!(0)),
        "recorded, not placed"
    );
    made
}

/// Waits, by the real clock, until the provider has told what became of it.
async fn comes_to(client: &mut Client, id: &str, status: &str) -> Json {
    let mut call = Json::Null;
    for _ in 0..500 {
        call = client.get(&format!("/api/calls/{id}")).await.is(200).body;
        if call["status"] == status {
            return call;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the call does not come to {status}: {call}");
}

/// Tells the phone what to do with calls to `number`.
async fn phone(world: &World, path: &str, fields: &[(&str, &str)]) {
    Client::of(world).form(path, fields).await.is(303);
}

#[tokio::test]
async fn calls_are_recorded_first_placed_in_the_background_and_followed() {
    let world = house("calls").await;
    let mut ada = joins(&world, "ada@example.com").await;
    let made = calls(&mut ada, CALLEE).await;
    let id = made.told("id");
    // Nothing rings while nobody works in the background.
    assert_eq!(world.messages(CALLEE).await["items"], json!([]));
    assert_eq!(ada.get(&format!("/api/calls/{id}")).await.is(200).body["status"], "queued");
    world.run_due().await;
    comes_to(&mut ada, &id, "ringing").await;
    let rings = world.messages(CALLEE).await["items"][0].clone();
    let deed = format!("/dev/phone/calls/{}", rings["id"].as_str().unwrap());
    phone(&world, &deed, &[("does", "answer")]).await;
    comes_to(&mut ada, &id, "in_progress").await;
    world.advance(Duration::from_secs(5));
    phone(&world, &deed, &[("does", "hang_up")]).await;
    let call = comes_to(&mut ada, &id, "completed").await;
    assert_eq!((&call["duration"], &call["attempts"]), (&json!(5), &json!(1)));
    let history: Vec<_> =
        call["history"].as_array().unwrap().iter().map(|step| step["status"].clone()).collect();
    assert_eq!(history, ["queued", "initiated", "ringing", "in_progress", "completed"]);
}

#[tokio::test]
async fn calls_that_fail_are_marked() {
    let world = house("calls").await;
    let mut ada = joins(&world, "ada@example.com").await;
    for (does, status) in [("fail", "failed"), ("busy", "busy"), ("no-answer", "no_answer")] {
        phone(&world, "/dev/phone/rules", &[("to", CALLEE), ("does", does)]).await;
        let id = calls(&mut ada, CALLEE).await.told("id");
        world.run_due().await;
        let call = comes_to(&mut ada, &id, status).await;
        assert!(call["finished_at"].is_string(), "{call}");
        let last = call["history"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["status"], &call["attempts"]), (&json!(status), &json!(1)), "{call}");
    }
}

#[tokio::test]
async fn calls_are_listed_by_user_status_and_time() {
    let world = house("calls").await;
    let (mut ada, mut bob) = (joins(&world, "ada@example.com").await, joins(&world, "bob@example.com").await);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(calls(&mut ada, CALLEE).await.told("id"));
        world.advance(Duration::from_secs(1));
    }
    calls(&mut bob, "+12025550198").await;
    ada.post(&format!("/api/calls/{}/cancel", made[1]), json!({})).await.is(200);
    let ids = |reply: &Reply| -> Vec<String> {
        let items = reply.body["items"].as_array().unwrap_or_else(|| panic!("{}", reply.text));
        items.iter().map(|call| call["id"].as_str().unwrap().to_owned()).collect()
    };
    let newest_first: Vec<_> = made.iter().rev().cloned().collect();
    assert_eq!(ids(&ada.get("/api/calls").await.is(200)), newest_first, "one's own, and nobody else's");
    assert_eq!(ids(&ada.get("/api/calls?status=canceled").await.is(200)), [made[1].clone()]);
    assert_eq!(ids(&ada.get("/api/calls?status=queued").await.is(200)), [made[2].clone(), made[0].clone()]);
    // The same under its version, page by page.
    let first = ada.get("/api/v1/calls?limit=2").await.is(200);
    assert_eq!(ids(&first), newest_first[..2]);
    let next = ada.get(&format!("/api/v1/calls?limit=2&after={}", first.told("next"))).await.is(200);
    assert_eq!(ids(&next), newest_first[2..]);
    bob.get(&format!("/api/calls/{}", made[0])).await.fails(404, "not-found");
}

#[tokio::test]
async fn calls_are_bounded_and_a_token_ends_with_its_session() {
    let world = house("calls").await;
    let mut ada = joins(&world, "ada@example.com").await;
    let mut last = 0;
    for _ in 0..8 {
        let body = json!({"to": CALLEE, "say": "Hello"});
        let reply = ada.post("/api/calls", body).await;
        last = reply.status;
        if last == 429 {
            assert!(
                // Of what goes to a number its owner keeps a part.
                reply.head.contains("retry-after: ") && reply.body["limit"] == "send-others-short",
                "{}",
                reply.text
            );
            break;
        }
    }
    assert_eq!(last, 429);
    // The token is over with its session, and renewed by the refresh token until then.
    let done = Client::of(&world).post("/api/login", account("ada@example.com")).await.is(200);
    ada.token = Some(done.told("access_token"));
    let renewed =
        ada.post("/api/auth/refresh", json!({"refresh_token": done.told("refresh_token")})).await.is(200);
    ada.token = Some(renewed.told("access_token"));
    ada.get("/api/calls").await.is(200);
    ada.post("/api/logout", json!({})).await.is(204);
    ada.get("/api/calls").await.fails(401, "unauthenticated");
}

#[tokio::test]
async fn calls_refuses_what_is_wrong() {
    let world = house("calls").await;
    let mut ada = joins(&world, "ada@example.com").await;
    for to in ["", "0700", "+1", "ada@example.com", "+999999999999999"] {
        let told = ada.post("/api/calls", json!({"to": to, "say": "Hello"})).await;
        assert_eq!(told.fails(422, "invalid").body["errors"][0]["field"], "to", "{to}");
    }
    ada.post("/api/calls", json!({"to": CALLEE})).await.fails(422, "invalid");
    ada.post("/api/calls", json!({"to": CALLEE, "say": ""})).await.fails(422, "invalid");
    ada.get("/api/calls?status=nothing").await.fails(422, "invalid");
    ada.get("/api/calls/7").await.fails(404, "not-found");
    Client::of(&world).get("/api/calls").await.fails(401, "unauthenticated");
    let callback = "/api/v1/webhooks/twilio/calls/vk_x";
    Client::of(&world).form(callback, &[("CallStatus", "completed")]).await.fails(403, "signature-wrong");
    refuses_rubbish(&mut ada, &[("POST", "/api/calls"), ("POST", "/api/login")]).await;
    assert_eq!(ada.get("/api/calls").await.is(200).body["items"], json!([]));
}

#[tokio::test]
async fn calls_without_a_preset() {
    let world = house("default").await;
    let mut client = Client::of(&world);
    let mobile = "+12025550143";
    let body = json!({"username": "ada", "email": "ada@example.com", "mobile": mobile, "password": PASSWORD});
    client.post("/api/users", body).await.is(201);
    world.run_due().await;
    let mut login = account("ada@example.com");
    login["session"] = json!("jwt");
    let asked = client.post("/api/login", login).await.is(200);
    world.run_due().await;
    let body = json!({"challenge": asked.body["challenge"]["id"], "code": world.last_code(mobile).await});
    client.token = Some(client.post("/api/auth/verify-code", body).await.is(200).told("access_token"));
    // The default policy lets people call numbers that are their own.
    calls(&mut client, mobile).await;
    client.post("/api/calls", json!({"to": CALLEE, "say": "Hello"})).await.fails(403, "call-not-allowed");
}
