//! Secrets stay where they belong: not in logs, not in the store, not in answers, not in figures.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use serde_json::json;
use tracing::instrument::WithSubscriber;

use crate::world::{PASSWORD, World};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_line_no_row_and_no_figure_holds_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber alone, a line that another thread reaches first would be off for everybody.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    let (secrets, metrics, url) = async {
        let world = World::new().await;
        let mut alice = world.alice().await;
        let code = world.last_code(&alice.mobile).await;
        let challenge = alice.gives_password().await.body["challenge"]["id"].as_str().unwrap().to_owned();
        alice.post("/api/v1/auth/verify-code", json!({"challenge": challenge, "code": "000"})).await;
        alice.post("/api/v1/auth/login", json!({"identifier": PASSWORD, "password": PASSWORD})).await;
        alice.post("/api/v1/users", json!({"password": PASSWORD, "unknown": PASSWORD})).await;
        alice.post("/api/v1/auth/password-strength", json!({"password": PASSWORD, "name": PASSWORD})).await;
        alice.post("/api/v1/auth/password-strength", json!({"password": [PASSWORD]})).await;
        let token = alice.token.clone().unwrap();
        world.advance(std::time::Duration::from_secs(3_000));
        let refresh = crate::tokens::carries_jwt(&mut alice).await;
        let access = alice.token.clone().unwrap();
        let (client, secret) = vestibule::clients::add(&world.ctx(), "orders").await.unwrap();
        let secret = secret.reveal();
        crate::tokens::asks(&world, &format!("Basic {}:{secret}", client.id), "/oauth2/introspect", &refresh)
            .await;
        alice.post("/api/v1/auth/refresh", json!({"refresh_token": refresh})).await.expect(StatusCode::OK);
        alice.token = Some(token[..40].to_owned());
        alice.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
        alice.token = None;
        let metrics = String::from_utf8(alice.get("/metrics").await.bytes).unwrap();
        let rows = dump(&world).await;
        let secrets =
            vec![PASSWORD.to_owned(), token[3..].to_owned(), challenge[3..].to_owned(), format!("#{code}")];
        let secrets = [secrets, vec![refresh[3..].to_owned(), secret[3..].to_owned(), access]].concat();
        (secrets, metrics, rows)
    }
    .with_subscriber(subscriber)
    .await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("/auth/login"), "the log was caught: {log:.300}");
    for secret in secrets {
        assert!(!log.contains(&secret), "in the log");
        assert!(!metrics.contains(&secret), "in the figures");
        assert!(!url.contains(&secret), "in the store");
    }
}

/// Every value of every row, as text.
async fn dump(world: &World) -> String {
    let mut text = String::new();
    macro_rules! rows {
        ($($entity:ty, $index:expr);*) => {$(
            let query = vestibule::store::Query::<$entity>::along($index).limit(1_000);
            for row in world.app.store.find(query).await.unwrap().items {
                for value in vestibule::store::Entity::to_values(&*row) {
                    if let vestibule::store::Value::Bytes(bytes) = &value {
                        text.push_str(&String::from_utf8_lossy(bytes));
                    }
                    text.push_str(&format!("{value:?}\n"));
                }
            }
        )*};
    }
    use vestibule::{
        accounts::User, audit::Event, challenges::Challenge, factors::Factor, identifiers::Identifier,
        messages::Message, sessions::Session,
    };
    rows! {
        User, User::BY_CREATED; Event, Event::BY_TIME; Challenge, Challenge::BY_USER; Factor, Factor::BY_USER;
        Identifier, Identifier::BY_USER; Message, Message::BY_USER; Session, Session::BY_USER
    }
    assert!(text.contains("person0"), "the rows were read");
    text
}
