//! Codes that a voice says: a call by the same provider, heard again at the press of a key.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use vestibule::twilio::signature::sign;

use crate::world::{Answer, PASSWORD, Person, World};

const FORM: &str = "application/x-www-form-urlencoded";

/// Signs in as far as the second factor, and asks for the code by call.
async fn asks_for_a_call(person: &Person<'_>) -> Json {
    let asked = person.gives_password().await.expect(StatusCode::OK).body;
    person.world.advance(Duration::from_secs(31));
    let body = json!({"challenge": asked["challenge"]["id"], "factor": "call"});
    person.post("/api/v1/auth/resend-code", body).await.expect(StatusCode::OK).body
}

pub async fn call_at(world: &World, number: &str) -> Json {
    world.run_due().await;
    for _ in 0..500 {
        let found = world.messages(number).await;
        if let Some(call) = found["items"].as_array().unwrap().iter().find(|item| item["kind"] == "call") {
            return call.clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing rings at {number}");
}

async fn does(world: &World, call: &Json, deed: &str) -> Answer {
    let mut here = world.stranger();
    here.ip = [127, 0, 0, 1].into();
    let path = format!("/dev/phone/calls/{}", call["id"].as_str().unwrap());
    here.send("POST", &path, Some((FORM, deed.as_bytes().to_vec()))).await
}

async fn page(world: &World) -> String {
    let mut here = world.stranger();
    here.ip = [127, 0, 0, 1].into();
    String::from_utf8(here.get("/dev/phone").await.expect(StatusCode::OK).bytes).unwrap()
}

#[tokio::test]
async fn a_code_is_said_in_a_call_and_opens_a_session() {
    let world = World::new().await;
    let alice = world.member().await;
    let asked = asks_for_a_call(&alice).await;
    assert_eq!(asked["factor"], "call", "{asked}");
    let call = call_at(&world, &alice.mobile).await;
    let code = call["code"].as_str().unwrap().to_owned();
    let spaced: Vec<String> = code.chars().map(String::from).collect();
    let said = call["body"].as_str().unwrap();
    assert_eq!(said.matches(&spaced.join(", ")).count(), 2, "digit by digit, and twice: {said}");
    does(&world, &call, "does=answer").await.expect(StatusCode::SEE_OTHER);
    assert!(page(&world).await.contains("hear it again"));
    does(&world, &call, "does=press&key=1").await.expect(StatusCode::SEE_OTHER);
    let html = page(&world).await;
    assert!(html.contains("In the call") && html.contains(&spaced.join(", ")), "{html}");
    does(&world, &call, "does=hang_up").await.expect(StatusCode::SEE_OTHER);
    let body = json!({"challenge": asked["id"], "code": code});
    let done = alice.post("/api/v1/auth/verify-code", body).await.expect(StatusCode::OK).body;
    assert_eq!(done["status"], "signed_in", "{done}");
    let amr = done["session"]["amr"].as_array().unwrap();
    assert!(amr.contains(&json!("tel")), "{done}");
}

#[tokio::test]
async fn a_call_is_not_offered_where_there_is_no_number_to_call_from() {
    let world = World::plan().config(|config| config.twilio.from = "12345".to_owned()).build().await;
    let alice = world.member().await;
    let body = json!({"identifier": alice.username, "password": PASSWORD, "factor": "call"});
    alice.post("/api/v1/auth/login", body).await.problem(403, "factor-missing");
    let asked = alice.gives_password().await.expect(StatusCode::OK).body["challenge"].clone();
    let others = asked["alternatives"].as_array().unwrap();
    assert!(asked["factor"] == "sms" && !others.contains(&json!("call")), "{asked}");
    world.advance(Duration::from_secs(31));
    let body = json!({"challenge": asked["id"], "factor": "call"});
    alice.post("/api/v1/auth/resend-code", body).await.problem(403, "factor-missing");
}

#[tokio::test]
async fn once_the_code_is_dead_a_key_press_ends_the_call() {
    let world = World::new().await;
    let alice = world.member().await;
    asks_for_a_call(&alice).await;
    let call = call_at(&world, &alice.mobile).await;
    does(&world, &call, "does=answer").await.expect(StatusCode::SEE_OTHER);
    world.advance(Duration::from_secs(600));
    does(&world, &call, "does=press&key=1").await.expect(StatusCode::SEE_OTHER);
    for _ in 0..300 {
        if !page(&world).await.contains("In the call") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the call goes on");
}

#[tokio::test]
async fn what_to_say_is_told_to_whoever_can_sign_and_only_for_what_was_sealed_here() {
    let world = World::new().await;
    let provider = world.stranger();
    for sealed in ["x", "AAAA", "%00", "vm_x"] {
        let path = format!("/api/v1/webhooks/twilio/voice/{sealed}");
        let form = || Some((FORM, b"Digits=1".to_vec()));
        provider.send("POST", &path, form()).await.problem(403, "signature-wrong");
        let params = [("Digits".to_owned(), "1".to_owned())];
        let good = sign(&world.app.config.twilio.auth_token, &world.app.origin.link(&path), &params);
        let mut provider = provider.clone();
        provider.headers.insert("x-twilio-signature", good.parse().unwrap());
        provider.send("POST", &path, form()).await.problem(404, "not-found");
    }
}
