//! `/webhooks/twilio/…`: what the provider tells, and what others pretend that it told.

use axum::http::StatusCode;
use serde_json::json;
use vestibule::messages::{Message, Status};
use vestibule::secret::{Secret, Token, TokenKind};
use vestibule::store::Query;
use vestibule::twilio::signature::sign;

use crate::world::{Answer, Person, World};

/// A message that was sent, and the path that its provider calls back.
async fn sent(world: &World, person: &Person<'_>) -> (Message, String) {
    person.signs_up().await.expect(StatusCode::CREATED);
    let found = world.app.store.find(Query::<Message>::along(Message::BY_USER)).await.unwrap();
    let message = found.items.into_iter().next().unwrap().into_inner();
    let sealed = message.callback_sealed.clone().unwrap();
    let token = world.app.keyring.open(&["message.callback", &message.id.to_string()], &sealed).unwrap();
    let path = format!("/api/v1/webhooks/twilio/messages/{}", String::from_utf8_lossy(&token));
    world.run_due().await;
    (message, path)
}

fn params(status: &str) -> Vec<(String, String)> {
    [("MessageSid", "SM00000000000000000000000000000001"), ("MessageStatus", status), ("ErrorCode", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

async fn call(world: &World, path: &str, params: &[(String, String)], signature: Option<&str>) -> Answer {
    let mut provider = world.stranger();
    if let Some(signature) = signature {
        provider.headers.insert("x-twilio-signature", signature.parse().unwrap());
    }
    let body: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let kind = "application/x-www-form-urlencoded";
    provider.send("POST", path, Some((kind, body.join("&").into_bytes()))).await
}

fn signed(world: &World, path: &str, params: &[(String, String)]) -> String {
    sign(&world.app.config.twilio.auth_token, &world.app.origin.link(path), params)
}

async fn status(world: &World, message: &Message) -> Status {
    world.app.store.get::<Message>(message.id).await.unwrap().unwrap().status
}

#[tokio::test]
async fn only_what_the_provider_signed_is_heard() {
    let world = World::new().await;
    let person = world.stranger();
    let (message, path) = sent(&world, &person).await;
    let undelivered = params("undelivered");
    let good = signed(&world, &path, &undelivered);
    let other_token = sign(&Secret::new("another"), &world.app.origin.link(&path), &undelivered);
    let other_url = sign(&world.app.config.twilio.auth_token, "https://evil.example/", &undelivered);
    for wrong in [None, Some(""), Some("x"), Some(other_token.as_str()), Some(other_url.as_str())] {
        call(&world, &path, &undelivered, wrong).await.problem(403, "signature-wrong");
    }
    call(&world, &path, &params("delivered"), Some(&good)).await.problem(403, "signature-wrong");
    assert_ne!(status(&world, &message).await, Status::Undelivered);
    call(&world, &path, &undelivered, Some(&good)).await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn unknown_tokens_are_told_only_to_whoever_can_sign() {
    let world = World::new().await;
    let token = Token::new(TokenKind::Callback, uuid::Uuid::from_u128(9), &world.app.random.seed()).reveal();
    for text in [token.as_str(), "vm_", "x", "%00"] {
        let path = format!("/api/v1/webhooks/twilio/messages/{text}");
        call(&world, &path, &params("sent"), None).await.problem(403, "signature-wrong");
        let good = signed(&world, &path, &params("sent"));
        call(&world, &path, &params("sent"), Some(&good)).await.problem(404, "not-found");
    }
}

/// The id of a message is no secret; the token in the path of its callback is.
#[tokio::test]
async fn a_signed_callback_with_the_id_of_a_message_and_another_token_is_about_none() {
    let world = World::new().await;
    let person = world.stranger();
    let (message, path) = sent(&world, &person).await;
    let before = status(&world, &message).await;
    let guessed = Token::new(TokenKind::Callback, message.id, &world.app.random.seed()).reveal();
    let (doors, _) = path.rsplit_once('/').unwrap();
    let (guessed, told) = (format!("{doors}/{guessed}"), params("undelivered"));
    let good = signed(&world, &guessed, &told);
    call(&world, &guessed, &told, Some(&good)).await.problem(404, "not-found");
    assert_eq!(status(&world, &message).await, before);
}

#[tokio::test]
async fn what_is_no_form_is_signed_by_its_hash_and_what_is_too_long_is_not_read() {
    let world = World::new().await;
    let person = world.stranger();
    let (_, path) = sent(&world, &person).await;
    let body = b"{}".to_vec();
    let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let whole = format!("{path}?bodySHA256={hash}");
    for (path, signature, status) in [
        (&whole, "nonsense".to_owned(), 403),
        (&path, signed(&world, &path, &[]), 403),
        (&whole, signed(&world, &whole, &[]), 204),
    ] {
        let mut provider = world.stranger();
        provider.headers.insert("x-twilio-signature", signature.parse().unwrap());
        let answer = provider.send("POST", path, Some(("application/json", body.clone()))).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
    let long = vec![("MessageStatus".to_owned(), "x".repeat(17 * 1024))];
    let good = signed(&world, &path, &long);
    call(&world, &path, &long, Some(&good)).await.problem(413, "body-too-large");
}

#[tokio::test]
async fn news_in_any_order_and_again_never_steps_back() {
    let world = World::new().await;
    let person = world.stranger();
    let (message, path) = sent(&world, &person).await;
    for word in
        ["delivered", "sent", "queued", "sent", "delivered", "accepted", "a-word-of-tomorrow", "sending"]
    {
        let params = params(word);
        let good = signed(&world, &path, &params);
        call(&world, &path, &params, Some(&good)).await.expect(StatusCode::NO_CONTENT);
        assert_eq!(status(&world, &message).await, Status::Delivered, "after {word}");
    }
}

#[tokio::test]
async fn a_callback_grants_nothing() {
    let world = World::new().await;
    let person = world.stranger();
    let (_, path) = sent(&world, &person).await;
    let good = signed(&world, &path, &params("delivered"));
    call(&world, &path, &params("delivered"), Some(&good)).await.expect(StatusCode::NO_CONTENT);
    let body = json!({"identifier": person.mobile, "password": crate::world::PASSWORD});
    person.post("/api/v1/auth/login", body).await.problem(401, "credentials-wrong");
}

#[tokio::test]
async fn a_code_whose_time_is_over_is_never_sent() {
    let world = World::new().await;
    let person = world.stranger();
    person.signs_up().await.expect(StatusCode::CREATED);
    world.advance(std::time::Duration::from_secs(300));
    world.run_due().await;
    assert_eq!(world.messages(&person.mobile).await["items"], json!([]));
    let found = world.app.store.find(Query::<Message>::along(Message::BY_USER)).await.unwrap();
    assert_eq!(found.items[0].status, Status::Expired);
    assert!(found.items[0].body.is_none(), "the text is wiped");
}
