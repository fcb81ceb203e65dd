//! Service accounts and API keys: what each opens, and that it opens nothing else.

use std::time::Duration;

use axum::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use vestibule::audit::{Event, What};
use vestibule::http::router;
use vestibule::service_accounts::actions::{self, By, Wanted};
use vestibule::service_accounts::{ApiKey, Scope};
use vestibule::store::Query;

use crate::step_up::promote;
use crate::world::{Person, World};

const ACCOUNTS: &str = "/api/v1/admin/service-accounts";

/// A key with these scopes.
pub async fn key(world: &World, scopes: &[Scope]) -> (uuid::Uuid, String) {
    let ctx = world.ctx();
    let account = actions::make(&ctx, &By::Operator, "orders").await.unwrap();
    let wanted = Wanted { name: "first".to_owned(), scopes: scopes.to_vec(), days: 90 };
    let (key, token) = actions::issue(&ctx, &By::Operator, account.id, wanted).await.unwrap();
    (key.id, token.reveal())
}

pub fn shows<'w>(world: &'w World, key: &str) -> Person<'w> {
    let mut program = world.stranger();
    program.token = Some(key.to_owned());
    program
}

async fn admin(world: &World) -> Person<'_> {
    let admin = world.alice().await;
    promote(world, &admin, &["admin"]).await;
    admin
}

async fn happened(world: &World, what: What) -> usize {
    let events = world.app.store.find(Query::<Event>::along(Event::BY_TIME).limit(1_000)).await.unwrap();
    events.items.iter().filter(|event| event.what == what).count()
}

#[tokio::test]
async fn a_key_is_shown_once_used_listed_and_revoked_at_once() {
    let world = World::new().await;
    let admin = admin(&world).await;
    let made = admin.post(ACCOUNTS, json!({"name": " orders "})).await.expect(StatusCode::CREATED).body;
    assert_eq!(made["name"], "orders");
    let keys = format!("{ACCOUNTS}/{}/keys", made["id"].as_str().unwrap());
    let body = json!({"name": "first", "scopes": ["introspect", "events.read", "introspect"]});
    let issued = admin.post(&keys, body).await.expect(StatusCode::CREATED).body;
    let secret = issued["key"].as_str().unwrap();
    assert!(secret.starts_with("vk_") && secret.len() == 67, "{secret}");
    assert_eq!(issued["scopes"], json!(["events.read", "introspect"]));
    assert_eq!(issued["expires_at"], "2030-04-01T00:00:00.000Z", "90 days");
    let listed = admin.get(&keys).await.expect(StatusCode::OK).body;
    assert!(listed["items"][0].get("key").is_none() && !listed.to_string().contains(secret), "{listed}");
    assert_eq!(listed["items"][0]["last_used_at"], Json::Null);

    let program = shows(&world, secret);
    program.get("/api/v1/events").await.expect(StatusCode::OK);
    let form = Some(("application/x-www-form-urlencoded", b"token=vs_".to_vec()));
    let told = program.send("POST", "/oauth2/introspect", form).await.expect(StatusCode::OK).body;
    assert_eq!(told, json!({"active": false}));
    let listed = admin.get(&keys).await.body;
    assert_eq!(listed["items"][0]["last_used_at"], "2030-01-01T00:00:00.000Z");
    // Not every use is a write.
    let revision = async || {
        let found = world.app.store.find(Query::<ApiKey>::along(ApiKey::BY_ACCOUNT)).await.unwrap().items;
        format!("{:?}", found[0])
    };
    let before = revision().await;
    world.advance(Duration::from_secs(59));
    program.get("/api/v1/events").await.expect(StatusCode::OK);
    assert_eq!(revision().await, before);
    world.advance(Duration::from_secs(1));
    program.get("/api/v1/events").await.expect(StatusCode::OK);
    assert_ne!(revision().await, before);

    let path = format!("/api/v1/admin/api-keys/{}", issued["id"].as_str().unwrap());
    admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    program.get("/api/v1/events").await.problem(401, "key-unknown");
    admin.delete(&path).await.problem(404, "not-found");
    // With the account go all its keys.
    let body = json!({"name": "second", "scopes": ["events.read"], "days": 1});
    let second = admin.post(&keys, body).await.expect(StatusCode::CREATED).body;
    let program = shows(&world, second["key"].as_str().unwrap());
    program.get("/api/v1/events").await.expect(StatusCode::OK);
    let path = format!("{ACCOUNTS}/{}", made["id"].as_str().unwrap());
    admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    program.get("/api/v1/events").await.problem(401, "key-unknown");
    admin.get(&keys).await.problem(404, "not-found");
    let body = json!({"name": "third", "scopes": ["events.read"]});
    admin.post(&keys, body).await.problem(404, "not-found");
    let admin_id = crate::administration::id_of(&admin).await;
    for (what, times) in [
        (What::ServiceAccountMade, 1),
        (What::ApiKeyMade, 2),
        (What::ApiKeyRevoked, 1),
        (What::ServiceAccountRemoved, 1),
    ] {
        assert_eq!(happened(&world, what).await, times, "{what}");
        let path = format!("/api/v1/admin/audit?actor={admin_id}&what={what}");
        let found = admin.get(&path).await.expect(StatusCode::OK).body;
        let found = found["items"].as_array().unwrap();
        assert!(found.len() == times && found.iter().all(|one| one["user"].is_null()), "{what}: {found:?}");
    }
}

#[tokio::test]
async fn a_key_expires() {
    let world = World::new().await;
    let (_, secret) = key(&world, &[Scope::EventsRead]).await;
    let program = shows(&world, &secret);
    world.advance(Duration::from_secs(90 * 86_400) - Duration::from_millis(1));
    program.get("/api/v1/events").await.expect(StatusCode::OK);
    world.advance(Duration::from_millis(1));
    program.get("/api/v1/events").await.problem(401, "key-unknown");
}

/// A route says which scope admits a key; every other one refuses whatever key there is.
#[tokio::test]
async fn a_key_opens_what_its_scope_names_and_nothing_else() {
    let world = World::new().await;
    let (_, all) = key(&world, Scope::ALL).await;
    let mut admitted = Vec::new();
    for route in router::all() {
        let path = route.path.replace("{id}", "00000000-0000-7000-8000-000000000000");
        let answer = shows(&world, &all).send(route.method.as_str(), &path, None).await;
        let shown = format!("{} {path}: {} {}", route.method, answer.status, answer.body);
        match route.scope {
            Some(scope) => {
                assert!(![401, 403].contains(&answer.status.as_u16()), "{shown}");
                let others: Vec<_> = Scope::ALL.iter().copied().filter(|one| *one != scope).collect();
                let (_, other) = key(&world, &others).await;
                let answer = shows(&world, &other).send(route.method.as_str(), &path, None).await;
                assert!(
                    answer.problem(403, "scope-missing").body["detail"].to_string().contains(scope.as_str())
                );
                admitted.push(scope);
            }
            None if route.access.needs_session() => {
                answer.problem(401, "unauthenticated");
            }
            None => {
                let nobody = world.stranger().send(route.method.as_str(), &path, None).await;
                assert_eq!(answer.status, nobody.status, "{shown}");
            }
        }
    }
    admitted.sort_unstable();
    assert_eq!(admitted, Scope::ALL, "what no route asks for is no scope");
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_counted() {
    let world = World::new().await;
    let (_, secret) = key(&world, &[Scope::EventsRead]).await;
    let last = if secret.ends_with('A') { 'B' } else { 'A' };
    for wrong in [
        "vk_".to_owned(),
        secret[..40].to_owned(),
        format!("{secret}A"),
        format!("{}{last}", &secret[..secret.len() - 1]),
        secret.replacen("vk_", "vk_vk_", 1),
    ] {
        shows(&world, &wrong).get("/api/v1/events").await.problem(401, "key-unknown");
    }
    for wrong in [secret.replacen("vk_", "vs_", 1), secret.replacen("vk_", "VK_", 1)] {
        shows(&world, &wrong).get("/api/v1/events").await.problem(401, "unauthenticated");
    }
    // Two headers are none, and a cookie is no place for it.
    let mut twice = shows(&world, &secret);
    twice.headers.append(header::AUTHORIZATION, format!("Bearer {secret}").parse().unwrap());
    twice.get("/api/v1/events").await.problem(401, "unauthenticated");
    let guesser = shows(&world, "vk_x");
    let limit = world.app.policy().limits.client_failures_address.limit;
    for _ in 0..limit {
        guesser.get("/api/v1/events").await.problem(401, "key-unknown");
    }
    guesser.get("/api/v1/events").await.problem(429, "limit-reached");
    let mut right = guesser.clone();
    right.token = Some(secret);
    right.get("/api/v1/events").await.expect(StatusCode::OK);
}

/// A program that has run away takes nothing from the others.
#[tokio::test]
async fn a_key_is_used_so_often_and_no_more() {
    let world = World::new().await;
    let mut policy = (*world.app.policy()).clone();
    policy.limits.service_requests.limit = 5;
    world.app.replace_policy(policy);
    let (id, secret) = key(&world, &[Scope::EventsRead]).await;
    let [program, other] = [secret, key(&world, &[Scope::EventsRead]).await.1];
    let [program, other] = [shows(&world, &program), shows(&world, &other)];
    // What it has no scope for counts, too.
    program.get("/api/v1/revocations").await.problem(403, "scope-missing");
    for _ in 0..4 {
        program.get("/api/v1/events").await.expect(StatusCode::OK);
    }
    let limited = program.get("/api/v1/events").await.problem(429, "limit-reached");
    assert_eq!(limited.body["limit"], "service-requests");
    assert_eq!(limited.headers[header::RETRY_AFTER], "2", "five in ten seconds");
    program.get("/api/v1/revocations").await.problem(429, "limit-reached");
    other.get("/api/v1/events").await.expect(StatusCode::OK);
    world.advance(Duration::from_secs(2));
    program.get("/api/v1/events").await.expect(StatusCode::OK);
    program.get("/api/v1/events").await.problem(429, "limit-reached");
    // None of it was written down but the first use, and a revoked key is no longer told that it was too much.
    let record = world.app.store.get::<ApiKey>(id).await.unwrap().unwrap();
    assert_eq!(record.used_at.map(|at| at.to_string()).as_deref(), Some("2030-01-01T00:00:00.000Z"));
    actions::revoke(&world.ctx(), &By::Operator, id).await.unwrap();
    program.get("/api/v1/events").await.problem(401, "key-unknown");

    let (client, secret) = vestibule::clients::add(&world.ctx(), "orders").await.unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", client.id, secret.reveal())));
    for path in ["introspect", "introspect", "introspect", "introspect", "revoke"] {
        let path = format!("/oauth2/{path}");
        crate::tokens::asks(&world, &basic, &path, "token=x").await.expect(StatusCode::OK);
    }
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let limited =
            crate::tokens::asks(&world, &basic, path, "token=x").await.problem(429, "limit-reached");
        assert_eq!(limited.body["limit"], "service-requests");
    }
}

#[tokio::test]
async fn what_cannot_be_a_key_is_explained_and_twenty_are_enough() {
    let world = World::new().await;
    let admin = admin(&world).await;
    for name in ["", " ", "a\u{7}b", &"x".repeat(101)] {
        admin.post(ACCOUNTS, json!({"name": name})).await.problem(422, "invalid");
    }
    let made = admin.post(ACCOUNTS, json!({"name": "orders"})).await.expect(StatusCode::CREATED).body;
    let keys = format!("{ACCOUNTS}/{}/keys", made["id"].as_str().unwrap());
    for body in [
        json!({"name": "a", "scopes": []}),
        json!({"name": "a", "scopes": ["users.write"]}),
        json!({"name": "a", "scopes": ["introspect"], "days": 0}),
        json!({"name": "a", "scopes": ["introspect"], "days": 366}),
        json!({"name": "", "scopes": ["introspect"]}),
        json!({"name": "a"}),
    ] {
        admin.post(&keys, body).await.problem(422, "invalid");
    }
    let asks = (0..24).map(|_| admin.post(&keys, json!({"name": "a", "scopes": ["introspect"]})));
    let answers = futures_util::future::join_all(asks).await;
    let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    assert_eq!(made, 20, "also when they are asked for at once");
    let listed = admin.get(&keys).await.body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 20);
}

/// The right to make keys is that of an administrator who has just shown who they are.
#[tokio::test]
async fn keys_are_made_by_administrators_with_a_fresh_proof() {
    let world = World::new().await;
    let alice = world.alice().await;
    alice.post(ACCOUNTS, json!({"name": "orders"})).await.problem(404, "not-found");
    promote(&world, &alice, &["admin"]).await;
    alice.post(ACCOUNTS, json!({"name": "orders"})).await.expect(StatusCode::CREATED);
    world.advance(Duration::from_secs(15 * 60 + 1));
    let asked = alice.post(ACCOUNTS, json!({"name": "orders"})).await.problem(403, "step-up-required");
    assert_eq!(asked.body["operation"], "service_accounts.manage", "{}", asked.body);
    alice.get(ACCOUNTS).await.expect(StatusCode::OK);
}
