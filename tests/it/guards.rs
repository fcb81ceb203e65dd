//! What holds for every route, whoever adds it.

use axum::http::{StatusCode, header};
use serde_json::json;
use vestibule::http::access::Access;
use vestibule::policy::Policy;
use vestibule::secret::{Token, TokenKind};

use crate::world::{PASSWORD, Person, World};

/// Routes that anybody may call, each with why.
const OPEN: &[(&str, &str, &str)] = &[
    ("POST", "/users", "signing up"),
    ("POST", "/auth/login", "signing in"),
    ("POST", "/auth/verify-code", "the challenge is the credential"),
    ("POST", "/auth/resend-code", "the challenge is the credential"),
    ("POST", "/auth/password-strength", "whoever signs up has no account yet"),
    ("POST", "/auth/undo", "the token of the link is the credential"),
    ("POST", "/auth/recover", "whoever cannot sign in"),
    ("POST", "/auth/recover/verify", "the challenge is the credential"),
    ("PUT", "/users/me/password", "a session, or a recovery token: the handler asks for one of them"),
    ("PATCH", "/users/update-password", "an alias"),
    ("POST", "/auth/refresh", "the refresh token is the credential"),
    ("GET", "/.well-known/jwks.json", "public keys"),
    ("GET", "/revocations", "for registered clients, by HTTP Basic, and for API keys"),
    ("POST", "/oauth2/introspect", "for registered clients, by HTTP Basic"),
    ("POST", "/oauth2/revoke", "for registered clients, by HTTP Basic"),
    ("POST", "/auth/logout", "also a success when nothing is left to end"),
    ("GET", "/auth/authenticated", "says no to whoever is not"),
    ("POST", "/webhooks/twilio/messages/{token}", "signed by the provider"),
    ("POST", "/webhooks/messages/{token}", "signed by the provider"),
    ("POST", "/webhooks/twilio/calls/{token}", "signed by the provider"),
    ("POST", "/webhooks/twilio/voice/{sealed}", "signed by the provider"),
    ("GET", "/health", "operations"),
    ("GET", "/health/live", "operations"),
    ("GET", "/health/ready", "operations"),
    ("GET", "/metrics", "operations"),
    ("GET", "/openapi.json", "documentation"),
    ("GET", "/recover/password", "a page that asks"),
    ("GET", "/invitation", "a page that asks"),
    ("POST", "/invitation", "the token and the session are the credentials: the handler asks for both"),
    ("GET", "/", "leads on, and says nothing"),
    ("GET", "/verify", "a page that asks"),
    ("POST", "/verify", "the challenge is the credential"),
    ("GET", "/undo", "a page that asks"),
    ("POST", "/undo", "the token is the credential"),
    ("GET", "/not-me", "a page that asks"),
    ("POST", "/not-me", "the token is the credential"),
    ("GET", "/recover", "a page that asks"),
    ("POST", "/recover", "whoever cannot sign in"),
    ("POST", "/recover/verify", "the challenge is the credential"),
    ("POST", "/recover/second", "the challenge is the credential"),
    ("POST", "/recover/resend", "the challenge is the credential"),
    ("POST", "/recover/password", "the token is the credential"),
    ("GET", "/sign-in", "a page that asks"),
    ("POST", "/sign-in", "signing in"),
    ("GET", "/sign-up", "a page that asks"),
    ("POST", "/sign-up", "signing up"),
    ("GET", "/code", "the challenge is the credential"),
    ("POST", "/code", "the challenge is the credential"),
    ("POST", "/code/resend", "the challenge is the credential"),
    ("GET", "/sign-out", "a page that asks"),
    ("POST", "/sign-out", "also a success when nothing is left to end"),
    ("GET", "/assets/{file}", "the stylesheet, the script, the logo"),
    ("GET", "/docs", "documentation"),
    ("GET", "/api-docs", "documentation"),
    ("GET", "/docs/assets/{file}", "documentation"),
    ("POST", "/users/register", "an alias"),
    ("POST", "/login", "an alias"),
    ("POST", "/verify-2fa", "the name and the code, from where the password came"),
    ("POST", "/logout", "an alias"),
    ("GET", "/problems", "documentation"),
    ("GET", "/problems/{slug}", "documentation"),
    ("GET", "/acting", "asks whether to stop acting"),
    ("POST", "/acting", "the session that was laid aside is the credential"),
];

#[tokio::test]
async fn every_route_refuses_whoever_is_not_signed_in_or_is_open_by_name() {
    let world = World::new().await;
    let alice = world.alice().await;
    let real = alice.token.clone().unwrap();
    let flipped = format!("{}{}", &real[..real.len() - 1], if real.ends_with('A') { 'B' } else { 'A' });
    let foreign = Token::new(TokenKind::Session, uuid::Uuid::from_u128(1), &world.app.random.seed()).reveal();
    let mut closed = 0;
    for route in vestibule::http::router::all() {
        let below = route.path.strip_prefix("/api/v1").unwrap_or(&route.path);
        let open = OPEN.iter().any(|(method, path, _)| route.method == *method && below == *path);
        assert_eq!(
            !route.access.needs_session(),
            open,
            "{} {} is open but not by name, or the other way round",
            route.method,
            route.path
        );
        if open {
            continue;
        }
        closed += 1;
        let path =
            route.path.replace("{id}", "00000000-0000-7000-8000-000000000000").replace("{kind}", "email");
        for token in [
            None,
            Some(""),
            Some("vs_"),
            Some(&real[..20]),
            Some(&flipped),
            Some(&foreign),
            Some("null"),
            Some("undefined"),
        ] {
            let mut person = world.stranger();
            person.token = token.map(str::to_owned);
            let answer =
                person.send(route.method.as_str(), &path, Some(("application/json", b"{}".to_vec()))).await;
            let answer = answer.problem(401, "unauthenticated");
            assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer", "{path}");
        }
    }
    assert!(closed >= 3, "the table names closed routes");
}

#[tokio::test]
async fn nobody_changes_more_than_a_person_does_whichever_way() {
    let few = |policy: &mut Policy| policy.limits.change_user.limit = 2;
    let world = World::plan().policy(few).build().await;
    let alice = world.alice().await;
    let renames = |name: &str| {
        let body = json!({"name": name}).to_string().into_bytes();
        alice.send("PATCH", "/api/v1/users/me", Some(("application/json", body)))
    };
    renames("A").await.expect(StatusCode::OK);
    renames("B").await.expect(StatusCode::OK);
    let mut counted = 0;
    for route in vestibule::http::router::all() {
        let asks = route.path.ends_with("/auth/authorize");
        if route.access != Access::Session || route.method.is_safe() || asks {
            continue;
        }
        counted += 1;
        let body = Some(("application/json", b"{}".to_vec()));
        let answer = alice.send(route.method.as_str(), &route.path, body).await.problem(429, "limit-reached");
        assert_eq!(answer.body["limit"], "change-user", "{} {}", route.method, route.path);
    }
    assert!(counted > 20, "the table names routes that change something: {counted}");
    // A line that is open for those who recover counts whoever is signed in.
    let body = json!({"current_password": PASSWORD, "new_password": "eight herons on the pier"});
    let body = Some(("application/json", body.to_string().into_bytes()));
    let answer = alice.send("PUT", "/api/v1/users/me/password", body).await.problem(429, "limit-reached");
    assert_eq!(answer.body["limit"], "change-user");
    // What only asks goes on, and so does everybody else.
    let asked = json!({"operation": "user.export"});
    alice.post("/api/v1/auth/authorize", asked).await.expect(StatusCode::OK);
    assert_eq!(alice.get("/api/v1/users/me").await.expect(StatusCode::OK).body["name"], "B");
    let other = world.alice().await;
    other.post("/api/v1/auth/step-up", json!({"operation": "user.export"})).await.expect(StatusCode::OK);
    alice.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn every_altered_token_is_refused() {
    let world = World::new().await;
    let alice = world.alice().await;
    let real = alice.token.clone().unwrap();
    let mut variants = Vec::new();
    for at in 0..real.len() {
        variants.push(real[..at].to_owned());
        variants.push(real[at + 1..].to_owned());
        let mut bytes = real.clone().into_bytes();
        for bit in 0..7 {
            bytes[at] ^= 1 << bit;
            if let Ok(text) = String::from_utf8(bytes.clone()) {
                variants.push(text);
            }
            bytes[at] ^= 1 << bit;
        }
    }
    variants.extend([
        format!("{real}="),
        format!("{real} "),
        format!(" {real}x"),
        format!("{real}A"),
        format!("{real}.{real}"),
    ]);
    let mut thief = world.stranger();
    for variant in variants {
        if variant == real || variant.bytes().any(|byte| !(0x20..0x7f).contains(&byte)) {
            continue;
        }
        // Space around the credential is the header's, not the token's.
        if variant.trim() == real {
            continue;
        }
        thief.token = Some(variant.clone());
        assert!(!thief.is_signed_in().await, "{variant}");
    }
    assert!(alice.is_signed_in().await);
}

#[tokio::test]
async fn a_credential_may_stand_any_number_of_spaces_behind_its_scheme() {
    let world = World::new().await;
    let mut alice = world.alice().await;
    let token = alice.token.take().unwrap();
    for (header, counts) in [
        (format!("Bearer {token}"), true),
        (format!("bearer   {token}"), true),
        (format!("Bearer{token}"), false),
        (format!("Bearer {token} {token}"), false),
    ] {
        alice.headers.insert(header::AUTHORIZATION, header.parse().unwrap());
        let answer = alice.get("/api/v1/users/me").await;
        assert_eq!(answer.status, if counts { StatusCode::OK } else { StatusCode::UNAUTHORIZED });
    }
}

#[tokio::test]
async fn every_answer_carries_the_same_protection() {
    let world = World::new().await;
    let alice = world.alice().await;
    for path in
        ["/api/v1/users/me", "/api/v1/nothing", "/health", "/docs", "/metrics", "/problems/code-wrong"]
    {
        let answer = alice.get(path).await;
        for name in [
            "x-request-id",
            "content-security-policy",
            "x-content-type-options",
            "referrer-policy",
            "cache-control",
        ] {
            assert!(answer.headers.contains_key(name), "{path} lacks {name}");
        }
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!answer.headers.contains_key("server"));
    }
    let answer = alice.get("/api/v1/users/me").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn t15_what_a_request_says_of_its_host_or_its_way_changes_nothing() {
    let world = World::new().await;
    let member = world.member().await;
    for (name, value) in [
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-for", "a"),
        ("x-forwarded-for", "unknown, ,"),
        ("forwarded", "for=198.51.100.7;host=evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-real-ip", "198.51.100.7"),
    ] {
        let mut person = member.clone();
        person.headers.insert(name, value.parse().unwrap());
        person.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    }
    let mut person = member.clone();
    person.headers.insert("x-forwarded-for", "198.51.100.7".parse().unwrap());
    person.headers.insert("x-forwarded-host", "evil.example".parse().unwrap());
    let done = person.signs_in().await;
    assert_eq!(done["session"]["ip"], person.ip.to_string(), "an untrusted peer speaks for nobody else");
    let text = world.messages(&person.mobile).await.to_string();
    assert!(!text.contains("evil.example"), "{text}");
}

#[tokio::test]
async fn the_openapi_document_lists_every_route_and_its_references_resolve() {
    let world = World::new().await;
    let document = world.stranger().get("/openapi.json").await.expect(StatusCode::OK).body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let text = document.to_string();
    for route in vestibule::http::router::all() {
        let listed = document["paths"].as_object().unwrap().iter().any(|(path, item)| {
            path.as_str() == route.path && item.get(route.method.as_str().to_lowercase()).is_some()
        });
        assert!(listed || !route.documented, "{} {}", route.method, route.path);
    }
    for reference in text.split("\"$ref\":\"").skip(1) {
        let target = reference.split('"').next().unwrap().trim_start_matches('#');
        assert!(document.pointer(target).is_some(), "{target}");
    }
}

/// The log is read by its ids: who is nobody's proxy chooses none.
#[tokio::test]
async fn a_request_is_named_by_a_trusted_proxy_and_by_nobody_else() {
    const NAME: &str = "chosen-elsewhere-0001";
    for is_trusted in [false, true] {
        let trust = move |config: &mut vestibule::config::Config| {
            if is_trusted {
                config.server.trusted_proxies.push("203.0.113.0/24".parse().unwrap());
            }
        };
        let world = World::plan().config(trust).build().await;
        let mut person = world.stranger();
        person.headers.insert("x-request-id", NAME.parse().unwrap());
        let answer = person.get("/api/v1/users/me").await.problem(401, "unauthenticated");
        assert_eq!(answer.headers["x-request-id"] == NAME, is_trusted);
        assert_eq!(answer.body["instance"] == NAME, is_trusted);
    }
}

/// Whatever is guessed at, at whichever door, counts for where it is guessed from.
#[tokio::test]
async fn every_door_that_takes_a_code_counts_what_is_tried_there() {
    let few = |policy: &mut Policy| policy.limits.code_try_address.limit = 2;
    let world = World::plan().policy(few).build().await;
    let (alice, nobody) = (world.alice().await, world.stranger());
    let mut invited = nobody.account();
    invited["invitation"] = json!("x");
    let new = "eight quiet herons on the pier";
    for (at, (who, method, path, body)) in (0_u8..).zip([
        (&nobody, "POST", "/api/v1/auth/verify-code", json!({"challenge": "x", "code": "1"})),
        (&nobody, "POST", "/api/v1/auth/resend-code", json!({"challenge": "x"})),
        (&nobody, "POST", "/api/v1/auth/recover/verify", json!({"challenge": "x", "code": "1"})),
        (&nobody, "PUT", "/api/v1/users/me/password", json!({"recovery_token": "x", "new_password": new})),
        (&nobody, "POST", "/api/v1/auth/undo", json!({"token": "x"})),
        (&nobody, "POST", "/api/v1/users", invited),
        (&alice, "POST", "/api/v1/organizations/accept", json!({"invitation": "x"})),
        (&alice, "POST", "/api/v1/factors/totp/confirm", json!({"id": uuid::Uuid::nil(), "code": "1"})),
    ]) {
        // A network of its own for each.
        let person = Person { ip: [198, 51, at, 7].into(), ..who.clone() };
        let tries = async || {
            person.send(method, path, Some(("application/json", body.to_string().into_bytes()))).await
        };
        for _ in 0..2 {
            let answer = tries().await;
            assert!([401, 404].contains(&answer.status.as_u16()), "{path} {answer:?}");
        }
        let refused = tries().await.problem(429, "limit-reached");
        assert_eq!(refused.body["limit"], "code-try-address", "{path}");
    }
}
