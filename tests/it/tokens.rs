//! Sessions carried as JWT: what counts, what ends, and what nobody can make up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use tower::ServiceExt;
use uuid::Uuid;
use vestibule::accounts::{Status, User};
use vestibule::app::{App, Ctx};
use vestibule::audit::{Event, What};
use vestibule::config::Config;
use vestibule::jwt::{self, Algorithm, Key};
use vestibule::keys::{self, SigningKey, actions::Turn};
use vestibule::messages::Message;
use vestibule::policy::{Policy, Proofs};
use vestibule::random::Random;
use vestibule::secret::{Keyring, Token, TokenKind};
use vestibule::service_accounts::{self, ApiKey, Scope, Scopes};
use vestibule::sessions::{self, Carry, Session};
use vestibule::store::{Change, Engine, Faults, Memory, Query};
use vestibule::{clients, http};

use crate::told;
use crate::world::{Answer, Person, World};

const REFRESH: &str = "/api/v1/auth/refresh";

/// A session of somebody, carried as JWT, with the access token in hand. Answers the refresh token.
pub async fn carries_jwt(person: &mut Person<'_>) -> String {
    // Two codes of one instant have no order.
    person.world.advance(Duration::from_millis(1));
    let login = json!({"identifier": person.username, "password": crate::world::PASSWORD, "session": "jwt"});
    let asked = person.post("/api/v1/auth/login", login).await.expect(StatusCode::OK).body;
    person.world.run_due().await;
    let code = person.world.last_code(&person.mobile).await;
    let body = json!({"challenge": asked["challenge"]["id"], "code": code});
    let done = person.post("/api/v1/auth/verify-code", body).await.expect(StatusCode::OK).body;
    assert_eq!(
        (&done["token"], &done["token_type"], &done["expires_in"]),
        (&Json::Null, &json!("bearer"), &json!(300))
    );
    person.token = Some(done["access_token"].as_str().unwrap().to_owned());
    done["refresh_token"].as_str().unwrap().to_owned()
}

pub async fn refreshes(person: &Person<'_>, token: &str) -> Answer {
    let mut bare = person.clone();
    bare.token = None;
    bare.post(REFRESH, json!({"refresh_token": token})).await
}

pub async fn next(person: &mut Person<'_>, token: &str) -> String {
    let answer = refreshes(person, token).await.expect(StatusCode::OK).body;
    person.token = Some(answer["access_token"].as_str().unwrap().to_owned());
    answer["refresh_token"].as_str().unwrap().to_owned()
}

pub fn claims(token: &str) -> Json {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub fn session_of(token: &str) -> Uuid {
    claims(token)["sid"].as_str().unwrap().parse().unwrap()
}

async fn reused(world: &World) -> usize {
    let events = world.app.store.find(Query::<Event>::along(Event::BY_TIME).limit(1_000)).await.unwrap();
    events.items.iter().filter(|event| event.what == What::RefreshReused).count()
}

#[tokio::test]
async fn a_session_is_carried_as_access_token_and_refresh_token() {
    let world = World::new().await;
    let mut alice = world.member().await;
    let refresh = carries_jwt(&mut alice).await;
    assert!(alice.is_signed_in().await);
    alice.get("/api/v1/users/me").await.expect(StatusCode::OK);
    let access = alice.token.clone().unwrap();
    let said = claims(&access);
    assert_eq!(said["iss"], world.app.origin.as_str());
    assert_eq!(said["aud"], world.app.origin.as_str());
    assert_eq!((&said["aal"], &said["amr"]), (&json!(2), &json!(["pwd", "sms"])));
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 300);

    let list = alice.get("/api/v1/sessions").await.body;
    assert_eq!((&list["items"][0]["current"], &list["items"][0]["id"]), (&json!(true), &said["sid"]));

    // The access token expires by itself, and is renewed.
    world.advance(Duration::from_secs(300));
    assert!(!alice.is_signed_in().await);
    let refresh = next(&mut alice, &refresh).await;
    assert!(alice.is_signed_in().await);
    assert_eq!(session_of(alice.token.as_ref().unwrap()), session_of(&access));
    // A refresh token opens no door, and an opaque one cannot be made of it.
    let mut thief = alice.clone();
    for wrong in [refresh.clone(), refresh.replacen("vr_", "vs_", 1)] {
        thief.token = Some(wrong);
        assert!(!thief.is_signed_in().await);
    }
    // Nor does an access token travel as a cookie.
    thief.cookies = vec![("vestibule".to_owned(), alice.token.clone().unwrap())];
    thief.token = None;
    assert!(!thief.is_signed_in().await);

    alice.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    assert!(!alice.is_signed_in().await, "dead at once, before it expires");
    refreshes(&alice, &refresh).await.problem(401, "refresh-refused");
}

#[tokio::test]
async fn without_a_second_factor_the_same_is_handed_out() {
    let plan = World::plan().policy(|policy| policy.sign_in.second.when = vestibule::policy::When::Never);
    let world = plan.build().await;
    let mut alice = world.member().await;
    let login =
        |carry| json!({"identifier": "person0", "password": crate::world::PASSWORD, "session": carry});
    let done = alice.post("/api/v1/auth/login", login("jwt")).await.expect(StatusCode::OK).body;
    alice.token = Some(done["access_token"].as_str().unwrap().to_owned());
    assert!(alice.is_signed_in().await);
    assert_eq!(claims(alice.token.as_ref().unwrap())["aal"], 1);
    next(&mut alice, done["refresh_token"].as_str().unwrap()).await;
    let done = alice.post("/api/v1/auth/login", login("bearer")).await.expect(StatusCode::OK).body;
    assert!(done["token"].as_str().unwrap().starts_with("vs_") && done.get("refresh_token").is_none());
    let done = alice.post("/api/v1/auth/login", login("cookie")).await.expect(StatusCode::OK);
    assert!(done.body.get("token").is_none() && done.body.get("access_token").is_none());
    let cookies: Vec<_> =
        done.headers.get_all(header::SET_COOKIE).iter().map(|one| one.to_str().unwrap()).collect();
    assert!(cookies.iter().any(|cookie| cookie.starts_with("vestibule=vs_")), "{cookies:?}");
}

/// Neither for a number that nothing is sent to any more, nor for money.
async fn an_end_waits_for_no_message() {
    let plan = World::plan().config(|config| {
        config.spending.countries = vec!["US".to_owned()];
        config.spending.day = 1;
    });
    let world = plan.build().await;
    let (mut alice, mut bob) = (world.member().await, world.member().await);
    crate::recovery::shows_email(&bob).await;
    let (stolen, lost) = (carries_jwt(&mut alice).await, carries_jwt(&mut bob).await);
    for (person, first) in [(&mut alice, &stolen), (&mut bob, &lost)] {
        let second = next(person, first).await;
        next(person, &second).await;
    }
    let me = alice.get("/api/v1/users/me").await.body["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap();
    let own = vestibule::identifiers::actions::of_user(&world.ctx(), me).await.unwrap();
    let mobile = own.into_iter().find(|one| one.value == alice.mobile).unwrap();
    let abroad = mobile.with(|mobile| mobile.value = "+4915112345678".to_owned());
    world.app.store.commit(vec![Change::update(&abroad)]).await.unwrap();
    refreshes(&alice, &stolen).await.problem(401, "refresh-refused");
    assert!(!alice.is_signed_in().await);
    let pays = async |n: u32| {
        let to = format!("+1202555{:04}", 3_000 + n);
        vestibule::limits::postage(&world.ctx(), &to, vestibule::limits::Sender::User(me)).await
    };
    let mut n = 0;
    while pays(n).await.is_ok() {
        n += 1;
        assert!(n < 1_000, "a day's money is spent some time");
    }
    refreshes(&bob, &lost).await.problem(401, "refresh-refused");
    assert!(!bob.is_signed_in().await);
    // What costs nothing is told all the same.
    world.run_due().await;
    let told = world.messages(&bob.email()).await.to_string();
    assert!(told.contains("ended for your safety"), "{told}");
}

#[tokio::test]
async fn a_refresh_token_is_good_for_one_use_and_a_second_one_ends_the_session() {
    let world = World::new().await;
    let mut alice = world.member().await;
    let first = carries_jwt(&mut alice).await;
    let second = next(&mut alice, &first).await;
    // Asked twice, or the answer was lost: the same child, for half a minute.
    world.advance(sessions_grace() - Duration::from_millis(1));
    assert_eq!(next(&mut alice, &first).await, second);
    let third = next(&mut alice, &second).await;
    assert_ne!(third, second);
    assert!(alice.is_signed_in().await);
    assert_eq!(reused(&world).await, 0);
    // The one before the one before: somebody has a copy.
    refreshes(&alice, &first).await.problem(401, "refresh-refused");
    assert_eq!(reused(&world).await, 1);
    assert!(!alice.is_signed_in().await);
    world.run_due().await;
    let told = world.messages(&alice.mobile).await["items"][0]["body"].to_string();
    assert!(told.contains("ended for your safety"), "and its owner is told: {told}");
    refreshes(&alice, &third).await.problem(401, "refresh-refused");
    an_end_waits_for_no_message().await;

    let mut phone = world.member().await;
    let first = carries_jwt(&mut phone).await;
    let second = next(&mut phone, &first).await;
    world.advance(sessions_grace());
    refreshes(&phone, &first).await.problem(401, "refresh-refused");
    assert_eq!(reused(&world).await, 2);
    refreshes(&phone, &second).await.problem(401, "refresh-refused");
}

/// A spent refresh token, however often it is shown at once, ends its session, of which the user is told once; and of
/// the next one of the same day as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_haste_keeps_a_user_from_being_told_that_a_refresh_token_was_copied() {
    let limits = |policy: &mut Policy| {
        policy.limits.refresh_address.limit = 1_000;
        policy.limits.send_notice.limit = 10;
    };
    let world = World::plan().policy(crate::world::unlimited).policy(limits).build().await;
    let mut alice = world.member().await;
    crate::recovery::shows_email(&alice).await;
    for round in 1..=2 {
        let first = carries_jwt(&mut alice).await;
        let second = next(&mut alice, &first).await;
        next(&mut alice, &second).await;
        for answer in join_all((0..64).map(|_| refreshes(&alice, &first))).await {
            answer.problem(401, "refresh-refused");
        }
        assert!(!alice.is_signed_in().await);
        assert_eq!(reused(&world).await, round);
        let sent = Query::<Message>::along(Message::BY_CREATED).limit(1_000);
        let sent = world.app.store.find(sent).await.unwrap().items;
        assert_eq!(sent.iter().filter(|one| one.purpose == "refresh_reused").count(), round);
    }
}

fn sessions_grace() -> Duration {
    Duration::from_secs(30)
}

#[tokio::test]
async fn what_is_made_up_ends_nothing() {
    let world = World::new().await;
    let mut alice = world.member().await;
    let first = carries_jwt(&mut alice).await;
    let second = next(&mut alice, &first).await;
    let third = next(&mut alice, &second).await;
    world.advance(Duration::from_secs(60));
    let sid = session_of(alice.token.as_ref().unwrap());
    for generation in [0_u32, 1, 2, 3, u32::MAX] {
        let mut secret = [7; 32];
        secret[..4].copy_from_slice(&generation.to_be_bytes());
        let made_up = Token::of(TokenKind::Refresh, sid, secret).reveal();
        refreshes(&alice, &made_up).await.problem(401, "refresh-refused");
    }
    // A genuine hash beside another number.
    let mut bytes = URL_SAFE_NO_PAD.decode(&third[3..]).unwrap();
    bytes[19] = 0;
    refreshes(&alice, &format!("vr_{}", URL_SAFE_NO_PAD.encode(bytes))).await.problem(401, "refresh-refused");
    for rubbish in ["", "vr_", "x", &first[..40], "vs_AAAA"] {
        refreshes(&alice, rubbish).await.problem(401, "refresh-refused");
    }
    assert!(alice.is_signed_in().await);
    assert_eq!(reused(&world).await, 0);
    next(&mut alice, &third).await;
}

/// T-38.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_refreshes_at_once_one_is_new_and_all_get_the_same_child() {
    let world = World::new().await;
    let mut alice = world.member().await;
    let mut token = carries_jwt(&mut alice).await;
    let sid = session_of(alice.token.as_ref().unwrap());
    for round in 1..=3 {
        let asks = (0..64).map(|_| refreshes(&alice, &token));
        let answers = futures_util::future::join_all(asks).await;
        let children: BTreeSet<String> = answers
            .into_iter()
            .map(|answer| answer.expect(StatusCode::OK).body["refresh_token"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(children.len(), 1, "no fork");
        assert!(!children.contains(&token));
        token = children.into_iter().next().unwrap();
        let session = world.app.store.get::<Session>(sid).await.unwrap().unwrap();
        assert_eq!(session.generation, round, "one new state");
    }
    assert_eq!(reused(&world).await, 0);
}

#[tokio::test]
async fn who_signs_out_with_an_expired_access_token_sends_the_refresh_token() {
    let world = World::new().await;
    let mut alice = world.member().await;
    let token = carries_jwt(&mut alice).await;
    world.advance(Duration::from_secs(301));
    alice.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    let token = next(&mut alice, &token).await;
    world.advance(Duration::from_secs(301));
    for rubbish in ["", "vr_", &token[..40], &token.to_uppercase()] {
        let body = json!({"refresh_token": rubbish});
        alice.post("/api/v1/auth/logout", body).await.expect(StatusCode::NO_CONTENT);
    }
    let token = next(&mut alice, &token).await;
    alice.token = None;
    alice.post("/api/v1/auth/logout", json!({"refresh_token": token})).await.expect(StatusCode::NO_CONTENT);
    refreshes(&alice, &token).await.problem(401, "refresh-refused");
    assert_eq!(reused(&world).await, 0);
}

/// An application, in a browser that is signed in to the hosted pages as well, perhaps as somebody else.
#[tokio::test]
async fn who_signs_out_with_a_refresh_token_and_a_cookie_ends_both() {
    let world = World::new().await;
    let bob = world.alice().await;
    let bobs = world.app.store.find(Query::<Session>::along(Session::BY_USER)).await.unwrap().items;
    for (is_own, scope) in [(true, "this"), (true, "all"), (false, "this"), (false, "all")] {
        let mut alice = world.member().await;
        let token = carries_jwt(&mut alice).await;
        let own = claims(alice.token.as_ref().unwrap())["sub"].as_str().unwrap().parse().unwrap();
        let user = if is_own { own } else { bobs[0].user_id };
        let user = world.app.store.get::<User>(user).await.unwrap().unwrap();
        let policy = &world.ctx().policy.session;
        let (session, cookie) =
            Session::open(&user, Proofs::default(), Carry::Cookie, policy, &world.ctx().moment());
        world.app.store.commit(vec![Change::insert(&session)]).await.unwrap();
        let mut browser = world.stranger();
        browser.cookies = vec![("vestibule".to_owned(), cookie.reveal().to_string())];
        let body = json!({"refresh_token": token, "scope": scope});
        browser.headers.insert(header::ORIGIN, world.app.origin.as_str().parse().unwrap());
        let mut foreign = browser.clone();
        foreign.headers.insert(header::ORIGIN, "https://elsewhere.example".parse().unwrap());
        foreign.post("/api/v1/auth/logout", body.clone()).await.problem(403, "cross-site");
        assert!(browser.is_signed_in().await && alice.is_signed_in().await);
        // Which are the others is said by one of the two.
        let others = json!({"refresh_token": token, "scope": "others"});
        if !is_own {
            browser.post("/api/v1/auth/logout", others).await.expect(StatusCode::NO_CONTENT);
            assert!(browser.is_signed_in().await && alice.is_signed_in().await);
        }
        browser.post("/api/v1/auth/logout", body).await.expect(StatusCode::NO_CONTENT);
        assert!(!browser.is_signed_in().await && !alice.is_signed_in().await, "{is_own} {scope}");
        refreshes(&alice, &token).await.problem(401, "refresh-refused");
    }
    assert!(!bob.is_signed_in().await, "all of a cookie's user end too");
}

#[tokio::test]
async fn a_session_is_shown_only_as_it_is_carried() {
    let world = World::new().await;
    let mut alice = world.alice().await;
    let bearer = world.app.store.find(Query::<Session>::along(Session::BY_USER)).await.unwrap().items;
    carries_jwt(&mut alice).await;
    // Signed by our key, and naming a session of the same user that is carried otherwise.
    let (ring, algorithm) = signer(&world).await;
    let mut said = claims(alice.token.as_ref().unwrap());
    said["sid"] = json!(bearer[0].id);
    assert_eq!(said["sub"], json!(bearer[0].user_id));
    let key = ring.signer(algorithm, world.ctx().now).unwrap();
    assert!(!counts(&world.app, &key.sign(said.to_string().as_bytes()).unwrap()).await);
    // The opaque token of a session carried as JWT is never shown, and would open nothing.
    let user = world.app.store.get::<User>(bearer[0].user_id).await.unwrap().unwrap();
    for (carry, opens) in [(Carry::Jwt, false), (Carry::Cookie, false), (Carry::Bearer, true)] {
        let policy = &world.ctx().policy.session;
        let (session, token) = Session::open(&user, Proofs::default(), carry, policy, &world.ctx().moment());
        world.app.store.commit(vec![Change::insert(&session)]).await.unwrap();
        assert_eq!(counts(&world.app, &token.reveal()).await, opens, "{carry}");
        // Nor is there a refresh token of a session that is not carried as JWT.
        let credential = sessions::hand_out(&world.ctx(), &session, &token).await.unwrap();
        assert_eq!(credential.pair.is_some(), carry == Carry::Jwt);
    }
}

/// T-43, T-44: whatever ends a session ends it for both of its tokens, at once.
#[tokio::test]
async fn whatever_ends_a_session_ends_its_tokens() {
    let world = World::new().await;
    for way in 0..6 {
        let mut alice = world.member().await;
        let refresh = carries_jwt(&mut alice).await;
        let access = alice.token.clone().unwrap();
        let store = &world.app.store;
        let session = store.get::<Session>(session_of(&access)).await.unwrap().unwrap();
        let user = store.get::<User>(session.user_id).await.unwrap().unwrap();
        assert!(alice.is_signed_in().await);
        match way {
            0 => {
                let change = Change::update(&user.with(|user| user.status = Status::Suspended));
                store.commit(vec![change]).await.unwrap();
            }
            1 => store.commit(vec![Change::delete(&user)]).await.unwrap(),
            2 => {
                let cut = session.created_at + Duration::from_millis(1);
                store
                    .commit(vec![Change::update(&user.with(|user| user.sessions_from = cut))])
                    .await
                    .unwrap();
            }
            3 => {
                world.advance(Duration::from_millis(1));
                let mut other = alice.clone();
                other.signs_in().await;
                other
                    .post("/api/v1/auth/logout", json!({"scope": "others"}))
                    .await
                    .expect(StatusCode::NO_CONTENT);
            }
            4 => {
                let path = format!("/api/v1/sessions/{}", session.id);
                alice.delete(&path).await.expect(StatusCode::NO_CONTENT);
            }
            _ => store.commit(vec![Change::delete(&session)]).await.unwrap(),
        }
        assert!(!alice.is_signed_in().await, "way {way}");
        refreshes(&alice, &refresh).await.problem(401, "refresh-refused");
        refreshes(&alice, &refresh).await.problem(401, "refresh-refused");
    }
    assert_eq!(reused(&world).await, 0);
}

#[tokio::test]
async fn a_session_that_is_refreshed_is_used_and_ends_with_its_lifetime_all_the_same() {
    let world = World::new().await;
    let mut alice = world.member().await;
    let mut token = carries_jwt(&mut alice).await;
    let mut lived = Duration::ZERO;
    let (pause, day) = (Duration::from_secs(50 * 60), Duration::from_secs(86_400));
    while lived + pause < day {
        world.advance(pause);
        lived += pause;
        token = next(&mut alice, &token).await;
    }
    let said = claims(alice.token.as_ref().unwrap());
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 300);
    world.advance(day - lived - Duration::from_secs(60));
    token = next(&mut alice, &token).await;
    let said = claims(alice.token.as_ref().unwrap());
    let left = said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap();
    assert_eq!(left, 60, "never longer than its session");
    world.advance(Duration::from_secs(60));
    refreshes(&alice, &token).await.problem(401, "refresh-refused");

    let mut idle = world.member().await;
    let token = carries_jwt(&mut idle).await;
    world.advance(Duration::from_secs(3_600));
    refreshes(&idle, &token).await.problem(401, "refresh-refused");
}

/// Another process over the same records.
pub async fn again(world: &World) -> Arc<App> {
    let engine = Engine::open(&world.place.url, 4).unwrap();
    let clock = world.app.clock.clone();
    let policy = (*world.app.policy()).clone();
    App::build(world.app.config.clone(), policy, engine, clock, Random::seeded(77)).unwrap()
}

fn bearer(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
}

async fn counts(app: &Arc<App>, token: &str) -> bool {
    if axum::http::HeaderValue::from_str(token).is_err() {
        return false; // It cannot even be sent.
    }
    sessions::authenticate(&Ctx::new(app.clone(), None), &bearer(token)).await.unwrap().is_some()
}

/// T-39: what was ended or used before a restart is so after it.
#[tokio::test]
async fn a_restart_brings_nothing_back_and_takes_nothing_away() {
    let world = World::new().await;
    let mut alice = world.member().await;
    let first = carries_jwt(&mut alice).await;
    let second = next(&mut alice, &first).await;
    let mut bob = world.member().await;
    let ended = carries_jwt(&mut bob).await;
    bob.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    let mut eve = world.member().await;
    let stolen = carries_jwt(&mut eve).await;
    let used = next(&mut eve, &stolen).await;
    world.advance(Duration::from_secs(60));

    let app = again(&world).await;
    let ctx = || Ctx::new(app.clone(), None);
    assert!(counts(&app, alice.token.as_ref().unwrap()).await);
    assert!(!counts(&app, bob.token.as_ref().unwrap()).await);
    for _ in 0..100 {
        assert!(sessions::actions::refresh(&ctx(), &ended).await.is_err());
    }
    let third = sessions::actions::refresh(&ctx(), &second).await.unwrap().refresh_token;
    assert!(sessions::actions::refresh(&ctx(), &stolen).await.is_err(), "known to be used before");
    assert!(sessions::actions::refresh(&ctx(), &used).await.is_err(), "and so its session was ended");
    let app = again(&world).await;
    assert!(sessions::actions::refresh(&Ctx::new(app, None), &third).await.is_ok());
}

async fn signer(world: &World) -> (Arc<jwt::Ring>, Algorithm) {
    (keys::ring(&world.ctx()).await.unwrap(), world.app.config.tokens.algorithm)
}

fn encode(json: &Json) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// What another key of ours would sign, had we one.
fn foreign(algorithm: Algorithm, id: Uuid) -> Key {
    let made = jwt::generate(algorithm).unwrap();
    let from = vestibule::clock::Timestamp::from_millis(0);
    Key::parse(id, algorithm, Some(&made.private), &made.public, (from, None), None).unwrap()
}

/// T-47: what a token says of itself decides nothing.
#[tokio::test]
async fn no_header_chooses_algorithm_or_key() {
    let world = World::new().await;
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    let real = alice.token.clone().unwrap();
    let (ring, algorithm) = signer(&world).await;
    let key = ring.signer(algorithm, world.ctx().now).unwrap();
    let parts: Vec<&str> = real.split('.').collect();
    let own: Json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    assert_eq!(
        (&own["alg"], &own["typ"], own.as_object().unwrap().len()),
        (&json!("ES256"), &json!("at+jwt"), 3)
    );
    let jwks = alice.get("/.well-known/jwks.json").await.expect(StatusCode::OK).body;
    let public = jwks["keys"][0].clone();
    let kid = own["kid"].as_str().unwrap();

    let mut wrong = Vec::new();
    // None, and nothing.
    for none in ["none", "None", "NONE", ""] {
        let header = json!({"alg": none, "typ": "at+jwt", "kid": kid});
        for signature in ["", parts[2]] {
            wrong.push(format!("{}.{}.{signature}", encode(&header), parts[1]));
        }
    }
    wrong.push(format!("{}.{}.", parts[0], parts[1]));
    wrong.push(format!("{}.{}", parts[0], parts[1]));
    // HMAC with what everybody knows.
    let point =
        ["x", "y"].map(|name| URL_SAFE_NO_PAD.decode(public[name].as_str().unwrap()).unwrap()).concat();
    let spki = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
    let spki: Vec<u8> =
        (0..spki.len()).step_by(2).map(|at| u8::from_str_radix(&spki[at..at + 2], 16).unwrap()).collect();
    let der = [spki, point.clone()].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
    for secret in
        [vec![], point, der, pem.into_bytes(), public.to_string().into_bytes(), kid.as_bytes().to_vec()]
    {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        for header in
            [json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}), json!({"alg": "HS256"}), own.clone()]
        {
            let signed = format!("{}.{}", encode(&header), parts[1]);
            let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&secret, signed.as_bytes()));
            wrong.push(format!("{signed}.{tag}"));
        }
    }
    // A key that comes with the token, and one of another kind under our key's name.
    for algorithm in Algorithm::ALL {
        let evil = foreign(*algorithm, kid.parse().unwrap());
        wrong.push(evil.sign(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap());
        let made = jwt::generate(*algorithm).unwrap();
        for (name, value) in [
            ("jwk", made.public.clone()),
            ("jku", json!("https://evil.example/jwks.json")),
            ("x5u", json!("https://evil.example/key.pem")),
            ("x5c", json!(["MIIB"])),
            ("crit", json!(["exp"])),
        ] {
            let mut header = json!({"alg": algorithm.as_str(), "typ": "at+jwt", "kid": kid});
            header[name] = value;
            let signed = format!("{}.{}", encode(&header), parts[1]);
            let signature = evil.signature(signed.as_bytes()).unwrap();
            wrong.push(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)));
            // Even signed with the right key: not a header that we write.
            let signature = key.signature(signed.as_bytes()).unwrap();
            wrong.push(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)));
        }
    }
    // For another purpose, by the right key.
    for typ in [json!("JWT"), json!("jwt"), json!("AT+JWT"), json!("id+jwt"), json!("logout+jwt"), Json::Null]
    {
        let mut header = own.clone();
        header["typ"] = typ;
        let signed = format!("{}.{}", encode(&header), parts[1]);
        let signature = URL_SAFE_NO_PAD.encode(key.signature(signed.as_bytes()).unwrap());
        wrong.push(format!("{signed}.{signature}"));
    }
    for kid in ["", "../../etc/passwd", "' OR 1=1 --", &Uuid::nil().to_string()] {
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": kid});
        wrong.push(format!("{}.{}.{}", encode(&header), parts[1], parts[2]));
    }
    let mut thief = world.stranger();
    for token in wrong {
        world.advance(Duration::from_millis(1));
        thief.token = Some(token.clone());
        assert!(!thief.is_signed_in().await, "{token}");
    }
    assert!(alice.is_signed_in().await);
}

/// T-48: each claim alone.
#[tokio::test]
async fn every_claim_counts_and_none_may_be_missing() {
    let world = World::new().await;
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    let real = alice.token.clone().unwrap();
    let (ring, algorithm) = signer(&world).await;
    let key = ring.signer(algorithm, world.ctx().now).unwrap();
    let said = claims(&real);
    let sign = |said: &Json| key.sign(said.to_string().as_bytes()).unwrap();
    assert!(counts(&world.app, &sign(&said)).await, "what is altered below is otherwise sound");
    let all = [
        "iss",
        "sub",
        "aud",
        "client_id",
        "sid",
        "session_from",
        "jti",
        "iat",
        "exp",
        "auth_time",
        "aal",
        "amr",
    ];
    assert_eq!(said.as_object().unwrap().len(), all.len());
    let now = said["iat"].as_i64().unwrap();
    for name in all {
        let without = |mut said: Json| {
            said.as_object_mut().unwrap().remove(name);
            said
        };
        assert!(!counts(&world.app, &sign(&without(said.clone()))).await, "without {name}");
        for odd in [Json::Null, json!({}), json!([[]]), json!("x"), json!(-1.5)] {
            let mut altered = said.clone();
            altered[name] = odd.clone();
            if name == "aud" || name == "iss" || name == "client_id" || odd != json!("x") {
                assert!(!counts(&world.app, &sign(&altered)).await, "{name} {odd}");
            }
        }
    }
    let mut bob = world.member().await;
    carries_jwt(&mut bob).await;
    let other = claims(bob.token.as_ref().unwrap());
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!(format!("{}/", world.app.origin.as_str()))),
        ("aud", json!("https://evil.example")),
        ("aud", json!([said["aud"]])),
        ("client_id", json!("another")),
        ("exp", json!(now)),
        ("exp", json!(now - 1)),
        ("exp", json!(now + 3_601)),
        ("exp", json!(i64::MAX)),
        ("iat", json!(now + 61)),
        ("iat", json!(i64::MIN)),
        ("sub", other["sub"].clone()),
        ("sid", other["sid"].clone()),
        ("sid", json!(Uuid::nil())),
        ("admin", json!(true)),
    ] {
        let mut altered = said.clone();
        altered[name] = value.clone();
        assert!(!counts(&world.app, &sign(&altered)).await, "{name} {value}");
        // And without our key nothing can be altered at all.
        let parts: Vec<&str> = real.split('.').collect();
        assert!(!counts(&world.app, &format!("{}.{}.{}", parts[0], encode(&altered), parts[2])).await);
    }
    let twice = said.to_string().replacen('{', "{\"aud\":\"https://evil.example\",", 1);
    assert!(!counts(&world.app, &key.sign(twice.as_bytes()).unwrap()).await);
    // The right key, when its time is over.
    world.advance(Duration::from_secs(300));
    assert!(!counts(&world.app, &real).await);
}

/// T-45, T-47, T-48: a hundred thousand alterations of tokens that count.
#[tokio::test]
async fn no_altered_token_counts() {
    let world = World::new().await;
    let mut alice = world.alice().await;
    let opaque = alice.token.clone().unwrap();
    let refresh = carries_jwt(&mut alice).await;
    let access = alice.token.clone().unwrap();
    let sid = session_of(&access);
    assert!(counts(&world.app, &opaque).await && counts(&world.app, &access).await);
    let (ring, algorithm) = signer(&world).await;
    let key = ring.signer(algorithm, world.ctx().now).unwrap();
    let evil = foreign(algorithm, key_id(&access));
    let random = Random::seeded(4_711);
    let (mut tried, mut accepted) = (0, 0);
    let mut seen = BTreeSet::new();
    while tried < 100_000 {
        let [which, how, a, b, c, d] = random.bytes::<6>();
        let real = match which % 5 {
            0 => &opaque,
            1 => &refresh,
            _ => &access,
        };
        let altered = alter(real, &[&opaque, &refresh, &access], how, [a, b, c, d], key, &evil);
        // Space before the credential is the header's, not the token's.
        if [&opaque, &refresh, &access].iter().any(|real| *real == altered.trim_start_matches(' ')) {
            continue;
        }
        if seen.len() < 50_000 {
            seen.insert(altered.clone());
        }
        tried += 1;
        if counts(&world.app, &altered).await {
            accepted += 1;
        }
        if altered.starts_with("vr_") && sessions::actions::refresh(&world.ctx(), &altered).await.is_ok() {
            accepted += 1;
        }
    }
    told::figure(format_args!("altered tokens: {tried} tried, {accepted} accepted"));
    assert_eq!(accepted, 0);
    assert!(seen.len() > 40_000, "they differ: {}", seen.len());
    let session = world.app.store.get::<Session>(sid).await.unwrap().unwrap();
    assert_eq!(session.generation, 0, "and what does not count ends nothing");
    assert!(counts(&world.app, &opaque).await && counts(&world.app, &access).await);
}

fn key_id(token: &str) -> Uuid {
    let header: Json =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    header["kid"].as_str().unwrap().parse().unwrap()
}

fn alter(real: &str, all: &[&String], how: u8, [a, b, c, d]: [u8; 4], key: &Key, evil: &Key) -> String {
    const TEXT: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ";
    let at = (usize::from(a) << 8 | usize::from(b)) % real.len();
    let letter = char::from(TEXT[usize::from(c) % TEXT.len()]);
    match how % 10 {
        0 => real[..at].to_owned(),
        1 => real[at..].to_owned(),
        2 => format!("{real}{letter}"),
        3 => {
            let mut bytes = real.as_bytes().to_vec();
            bytes[at] ^= 1 << (d % 7);
            String::from_utf8(bytes).unwrap()
        }
        4 => {
            let mut bytes = real.as_bytes().to_vec();
            bytes[at] = TEXT[usize::from(c) % TEXT.len()];
            String::from_utf8(bytes).unwrap()
        }
        5 => {
            let flip =
                |(place, byte): (usize, u8)| if place >= at { byte.to_ascii_uppercase() } else { byte };
            String::from_utf8(real.bytes().enumerate().map(flip).collect()).unwrap()
        }
        6 => {
            let prefix = ["vs_", "vr_", "vc_", "vx_", "vm_", "eyJ"][usize::from(c) % 6];
            let rest =
                if d % 2 == 0 { real.get(3..).unwrap() } else { &all[usize::from(d) % all.len()][3..] };
            format!("{prefix}{rest}")
        }
        7 => format!("{}{letter}{}", &real[..at], &real[at..]),
        8 => {
            // The right shape, another key or another content.
            let mut said = claims(all[2]);
            let names: Vec<String> = said.as_object().unwrap().keys().cloned().collect();
            let name = &names[usize::from(c) % names.len()];
            said[name] = json!(format!("{at}{d}"));
            if d % 2 == 0 {
                evil.sign(said.to_string().as_bytes()).unwrap()
            } else if ["jti", "amr", "auth_time", "aal"].contains(&name.as_str()) {
                let none = json!({"alg": "none", "typ": "at+jwt", "n": at});
                format!("{}.{}.", encode(&none), encode(&said))
            } else {
                key.sign(said.to_string().as_bytes()).unwrap()
            }
        }
        _ => {
            // The signature of one over the content of another.
            let parts: Vec<&str> = all[2].split('.').collect();
            let mut header: Json =
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
            header[["alg", "typ", "kid", "jku"][usize::from(c) % 4]] = json!(format!("{at}{d}"));
            format!("{}.{}.{}", encode(&header), parts[1], parts[2])
        }
    }
}

/// Signed here, checked by somebody else's library with nothing but the published keys.
#[tokio::test]
async fn others_check_our_tokens_with_the_published_keys() {
    for algorithm in Algorithm::ALL {
        let plan = World::plan().config(|config| {
            config.tokens.algorithm = *algorithm;
            config.tokens.audience = "https://api.example.com".to_owned();
        });
        let world = plan.build().await;
        let mut alice = world.member().await;
        carries_jwt(&mut alice).await;
        let token = alice.token.clone().unwrap();
        let answer = alice.get("/.well-known/jwks.json").await.expect(StatusCode::OK);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "public, max-age=300");
        let text = answer.body.to_string();
        for private in ["\"d\"", "\"p\"", "\"q\"", "\"dp\"", "\"k\""] {
            assert!(!text.contains(private), "{text}");
        }
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(answer.body).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let jwk = set.find(header.kid.as_ref().unwrap()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
        let mut validation = jsonwebtoken::Validation::new(header.alg);
        validation.set_audience(&["https://api.example.com"]);
        validation.set_issuer(&[world.app.origin.as_str()]);
        validation.validate_exp = false; // It is 2030 in there.
        let said = jsonwebtoken::decode::<Json>(&token, &key, &validation).unwrap().claims;
        assert_eq!(said, claims(&token));
        assert_eq!(format!("{:?}", header.alg).to_uppercase(), algorithm.as_str().to_uppercase());
        let mut altered = token.clone();
        altered.replace_range(
            token.len() - 3..token.len() - 2,
            if &token[token.len() - 3..token.len() - 2] == "A" { "B" } else { "A" },
        );
        assert!(jsonwebtoken::decode::<Json>(&altered, &key, &validation).is_err());
        assert!(alice.is_signed_in().await);
    }
}

async fn published(person: &Person<'_>) -> Vec<String> {
    let answer = person.get("/.well-known/jwks.json").await.expect(StatusCode::OK).body;
    answer["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_until_its_last_token_has_expired() {
    let world = World::plan().policy(|policy| policy.limits.refresh_address.limit = 1_000_000).build().await;
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
    let day = hour * 24;
    let tend = async || keys::actions::tend(&world.ctx()).await.unwrap();
    assert_eq!((tend().await, tend().await), (1, 0));
    let somebody = world.stranger();
    let first = published(&somebody).await;
    assert_eq!(first.len(), 1);
    world.advance(day * 30 - minute);
    assert_eq!(tend().await, 0);
    world.advance(minute);
    assert_eq!((tend().await, tend().await), (1, 0));
    let both = published(&somebody).await;
    assert_eq!(both.len(), 2);
    let mut alice = world.member().await;
    let refresh = carries_jwt(&mut alice).await;
    assert_eq!(key_id(alice.token.as_ref().unwrap()).to_string(), first[0], "the new one is only published");
    world.advance(hour - minute);
    let refresh = next(&mut alice, &refresh).await;
    assert_eq!(key_id(alice.token.as_ref().unwrap()).to_string(), first[0]);
    let old = alice.token.clone().unwrap();
    world.advance(minute);
    next(&mut alice, &refresh).await;
    let new = key_id(alice.token.as_ref().unwrap()).to_string();
    assert!(new != first[0] && both.contains(&new));
    assert!(counts(&world.app, &old).await, "what the old one signed counts on");
    // By then nothing that it signed can count any more, however long access tokens last.
    world.advance(hour);
    assert_eq!(published(&somebody).await.len(), 2);
    world.advance(minute * 6);
    assert_eq!(published(&somebody).await, [new]);
    vestibule::tasks::sweep(&world.ctx()).await.unwrap();
    assert_eq!(world.count::<SigningKey>(SigningKey::BY_NUMBER).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_nodes_that_start_together_make_one_first_key() {
    let world = World::new().await;
    let mut apps = Vec::new();
    for _ in 0..10 {
        apps.push(again(&world).await);
    }
    let tend = |app: &Arc<App>| {
        let ctx = Ctx::new(app.clone(), None);
        async move { keys::actions::tend(&ctx).await.unwrap() }
    };
    let made = futures_util::future::join_all(apps.iter().map(tend)).await;
    assert_eq!(made.iter().sum::<usize>(), 1);
    assert_eq!(world.count::<SigningKey>(SigningKey::BY_NUMBER).await, 1);
    // What one signs counts at all others, also when they had read before there was a key.
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    for app in &apps {
        assert!(counts(app, alice.token.as_ref().unwrap()).await);
    }
}

#[tokio::test]
async fn a_key_that_somebody_else_may_know_is_out_of_use_everywhere_soon() {
    let world = World::new().await;
    let mut alice = world.member().await;
    let refresh = carries_jwt(&mut alice).await;
    let old = alice.token.clone().unwrap();
    let other = again(&world).await;
    assert!(counts(&other, &old).await);
    // By a command beside both servers.
    let command = Ctx::new(again(&world).await, None);
    keys::actions::turn(&command, Turn::Revoking).await.unwrap().unwrap();
    world.advance(Duration::from_secs(30));
    assert!(!alice.is_signed_in().await && !counts(&other, &old).await);
    assert_eq!(published(&alice).await.len(), 1);
    next(&mut alice, &refresh).await;
    assert!(alice.is_signed_in().await, "the session goes on, under the new key");
    assert_ne!(key_id(&old), key_id(alice.token.as_ref().unwrap()));
    // Asked for without haste: published, and signing an hour later.
    keys::actions::turn(&command, Turn::Asked).await.unwrap().unwrap();
    world.advance(Duration::from_secs(30));
    assert_eq!(published(&alice).await.len(), 2);
    assert!(alice.is_signed_in().await);
}

/// What was read an hour from now may be as old as anything.
#[tokio::test]
async fn keys_that_were_read_before_the_clock_was_set_back_are_read_again() {
    let world = World::new().await;
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    let mut ahead = world.ctx();
    ahead.now = ahead.now + Duration::from_secs(86_400);
    keys::ring(&ahead).await.unwrap();
    assert!(alice.is_signed_in().await);
    let command = Ctx::new(again(&world).await, None);
    keys::actions::turn(&command, Turn::Revoking).await.unwrap().unwrap();
    world.advance(Duration::from_secs(30));
    assert!(!alice.is_signed_in().await);
}

/// The only key begins in a future that the clock no longer knows.
#[tokio::test]
async fn a_key_that_was_made_before_the_clock_was_set_back_keeps_nobody_out() {
    let world = World::new().await;
    let mut ahead = world.ctx();
    ahead.now = ahead.now + Duration::from_secs(86_400);
    assert_eq!(keys::actions::tend(&ahead).await.unwrap(), 1);
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    assert!(alice.is_signed_in().await);
    assert_eq!(keys::actions::tend(&world.ctx()).await.unwrap(), 0, "one is enough");
}

#[tokio::test]
async fn another_algorithm_takes_over_without_a_gap() {
    let world = World::new().await;
    let mut alice = world.member().await;
    let refresh = carries_jwt(&mut alice).await;
    let mut config = world.app.config.clone();
    config.tokens.algorithm = Algorithm::EdDsa;
    let engine = Engine::open(&world.place.url, 4).unwrap();
    let policy = Policy::from_toml("").unwrap();
    let app = App::build(config, policy, engine, world.app.clock.clone(), Random::seeded(5)).unwrap();
    let ctx = || Ctx::new(app.clone(), None);
    assert_eq!(keys::actions::tend(&ctx()).await.unwrap(), 1);
    let alg = |token: &str| {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Json>(&header).unwrap()["alg"].clone()
    };
    let tokens = sessions::actions::refresh(&ctx(), &refresh).await.unwrap();
    assert_eq!(alg(&tokens.access_token), "ES256", "until the new one has been published for an hour");
    world.advance(Duration::from_secs(3_590));
    world.advance(Duration::from_secs(10));
    // Both nodes have their own; neither takes the other's out of use.
    assert_eq!(
        keys::actions::tend(&ctx()).await.unwrap() + keys::actions::tend(&world.ctx()).await.unwrap(),
        0
    );
    let mut bob = world.member().await;
    let refresh = carries_jwt(&mut bob).await;
    assert_eq!(alg(bob.token.as_ref().unwrap()), "ES256");
    let tokens = sessions::actions::refresh(&ctx(), &refresh).await.unwrap();
    assert_eq!(alg(&tokens.access_token), "EdDSA");
    bob.token = Some(tokens.access_token);
    assert!(bob.is_signed_in().await);
}

/// A service that may ask, with its `Authorization`.
pub async fn service(world: &World) -> String {
    let (client, secret) = clients::add(&world.ctx(), "orders").await.unwrap();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", client.id, secret.reveal())))
}

pub async fn asks(world: &World, basic: &str, path: &str, form: &str) -> Answer {
    let mut person = world.stranger();
    if !basic.is_empty() {
        person.headers.insert(header::AUTHORIZATION, basic.parse().unwrap());
    }
    person.send("POST", path, Some(("application/x-www-form-urlencoded", form.as_bytes().to_vec()))).await
}

#[tokio::test]
async fn a_registered_client_is_told_what_a_token_stands_for() {
    let world = World::new().await;
    let basic = service(&world).await;
    let mut alice = world.alice().await;
    let opaque = alice.token.clone().unwrap();
    let refresh = carries_jwt(&mut alice).await;
    let access = alice.token.clone().unwrap();
    let said = claims(&access);
    let ask = async |token: &str| {
        let form = format!("token={token}&token_type_hint=access_token&unknown=1");
        let answer = asks(&world, &basic, "/oauth2/introspect", &form).await.expect(StatusCode::OK);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        answer.body
    };
    let told = ask(&access).await;
    for name in ["iss", "sub", "aud", "client_id", "sid", "jti", "iat", "exp", "auth_time", "aal", "amr"] {
        assert_eq!(told[name], said[name], "{name}");
    }
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("Bearer")));
    let told = ask(&opaque).await;
    assert_eq!(
        (&told["active"], &told["sub"], &told["token_type"]),
        (&json!(true), &said["sub"], &json!("Bearer"))
    );
    assert_ne!(told["sid"], said["sid"]);
    assert_eq!(
        (&ask(&refresh).await["token_type"], &ask(&refresh).await["sid"]),
        (&json!("refresh_token"), &said["sid"])
    );

    let used = refresh.clone();
    let refresh = next(&mut alice, &refresh).await;
    let nothing = json!({"active": false});
    for dead in
        [used.as_str(), "", "x", "vr_", &opaque[..40], &access[..access.len() - 1], &format!("{access}A")]
    {
        assert_eq!(ask(dead).await, nothing, "{dead}");
    }
    assert_eq!(ask(&refresh).await["active"], true, "asking about a used one ends nothing");
    world.advance(Duration::from_secs(300));
    assert_eq!(ask(&access).await, nothing);

    // A lifetime that is shorter by now is that of those who are there.
    let (before, mut policy) = (ask(&opaque).await, (*world.app.policy()).clone());
    policy.session.lifetime = vestibule::config::Period(Duration::from_secs(3_600));
    world.app.replace_policy(policy);
    let told = ask(&opaque).await;
    assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 3_600);
    assert!(told["exp"].as_i64() < before["exp"].as_i64());

    // T-43: the user is suspended.
    let user =
        world.app.store.get::<User>(said["sub"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    let change = Change::update(&user.with(|user| user.status = Status::Suspended));
    world.app.store.commit(vec![change]).await.unwrap();
    for dead in [&opaque, &refresh, alice.token.as_ref().unwrap()] {
        assert_eq!(ask(dead).await, nothing);
    }
}

#[tokio::test]
async fn a_registered_client_can_end_the_session_of_a_token() {
    let world = World::new().await;
    let basic = service(&world).await;
    let revoke = async |token: &str| {
        let answer = asks(&world, &basic, "/oauth2/revoke", &format!("token={token}")).await;
        assert!(answer.expect(StatusCode::OK).bytes.is_empty());
    };
    for unknown in ["", "x", "vs_AAAA", "eyJhbGciOiJub25lIn0.e30."] {
        revoke(unknown).await;
    }
    for which in 0..4 {
        let mut alice = world.member().await;
        let mut refresh = carries_jwt(&mut alice).await;
        let used = refresh.clone();
        refresh = next(&mut alice, &refresh).await;
        let token = match which {
            0 => alice.token.clone().unwrap(),
            1 => refresh.clone(),
            2 => used,
            _ => {
                world.advance(Duration::from_millis(1));
                alice.signs_in().await;
                alice.token.clone().unwrap()
            }
        };
        revoke(&token).await;
        revoke(&token).await;
        assert!(!alice.is_signed_in().await, "{which}");
        if which < 3 {
            refreshes(&alice, &refresh).await.problem(401, "refresh-refused");
        }
    }
    let mut alice = world.alice().await;
    let carried = alice.token.clone().unwrap();
    alice.token = None;
    revoke(&format!("{}A", &carried[..carried.len() - 1])).await;
    revoke(&carried[..40]).await;
    alice.token = Some(carried);
    assert!(alice.is_signed_in().await);
}

#[tokio::test]
async fn who_is_no_registered_client_is_told_nothing() {
    let world = World::new().await;
    let basic = service(&world).await;
    let alice = world.alice().await;
    let token = alice.token.clone().unwrap();
    let form = &format!("token={token}");
    let (other, _) = clients::add(&world.ctx(), "other").await.unwrap();
    let pair = String::from_utf8(STANDARD.decode(&basic[6..]).unwrap()).unwrap();
    let (id, secret) = pair.split_once(':').unwrap();
    let with = |text: String| format!("Basic {}", STANDARD.encode(text));
    for wrong in [
        String::new(),
        "Basic".to_owned(),
        "Basic =".to_owned(),
        format!("Bearer {token}"),
        with(format!("{id}:")),
        with(format!(":{secret}")),
        with(format!("{id}:{secret}A")),
        with(format!("{}:{secret}", other.id)),
        with(format!("{id}:{}", Token::of(TokenKind::Client, id.parse().unwrap(), [7; 32]).reveal())),
        with(format!("{id}:{}", Token::of(TokenKind::Session, id.parse().unwrap(), [7; 32]).reveal())),
        with(secret.to_owned()),
        with(format!("{id}:{}", secret.to_uppercase())),
        basic.replace("Basic", "Digest"),
    ] {
        for path in ["/oauth2/introspect", "/oauth2/revoke"] {
            let answer = asks(&world, &wrong, path, form).await.problem(401, "client-unknown");
            assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Basic realm=\"clients\"");
            assert_eq!(answer.body["error"], "invalid_client", "as RFC 6749 section 5.2 names it");
        }
    }
    assert!(alice.is_signed_in().await, "and nothing was ended");
    asks(&world, &basic.replace("Basic", "BASIC"), "/oauth2/introspect", form).await.expect(StatusCode::OK);
    let mut json = world.stranger();
    json.headers.insert(header::AUTHORIZATION, basic.parse().unwrap());
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        for answer in [
            asks(&world, &basic, path, &format!("{form}&{form}")).await.problem(422, "invalid"),
            asks(&world, &basic, path, "hint=x").await.problem(422, "invalid"),
            json.post(path, json!({"token": token})).await.problem(415, "unsupported-media-type"),
        ] {
            assert_eq!(answer.body["error"], "invalid_request", "{path}");
        }
    }

    // Its own failures are limited, by address; what is right is not counted.
    let mut noisy = world.stranger();
    let body = || Some(("application/x-www-form-urlencoded", form.as_bytes().to_vec()));
    for _ in 0..30 {
        noisy.send("POST", "/oauth2/introspect", body()).await.problem(401, "client-unknown");
    }
    noisy.token = None;
    noisy.send("POST", "/oauth2/introspect", body()).await.problem(429, "limit-reached");
    noisy.headers.insert(header::AUTHORIZATION, basic.parse().unwrap());
    for _ in 0..40 {
        noisy.send("POST", "/oauth2/introspect", body()).await.expect(StatusCode::OK);
    }
    clients::remove(&world.ctx(), id.parse().unwrap()).await.unwrap();
    asks(&world, &basic, "/oauth2/introspect", form).await.problem(401, "client-unknown");
}

/// Nothing that is written is known to have been: a full disk, a database that only reads.
#[tokio::test]
async fn who_is_signed_in_reads_although_nothing_can_be_written() {
    let mut config = Config::from_toml("").unwrap();
    config.develop_at("127.0.0.1:1".parse().unwrap(), &Random::seeded(2));
    config.secrets.keys = vec![Keyring::generate("test", &Random::seeded(1))];
    (config.hashing.memory_kib, config.hashing.permits) = (64, 1);
    let policy = Policy::from_toml("[session]\nseen_every = \"5s\"").unwrap();
    let engine = Engine::Memory(Memory::new(Faults { lose: 1.0, ..Faults::default() }));
    let clock = vestibule::clock::Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let app = App::build(config, policy, engine, clock, Random::seeded(42)).unwrap();
    let ctx = || Ctx::new(app.clone(), None);
    let user = User::new(Uuid::from_u128(1), ctx().now);
    let (session, token) =
        Session::open(&user, Proofs::default(), Carry::Bearer, &ctx().policy.session, &ctx().moment());
    assert!(app.store.commit(vec![Change::insert(&user), Change::insert(&session)]).await.is_err());
    let key = Token::new(TokenKind::Key, Uuid::from_u128(2), &ctx().moment().seed);
    let record = ApiKey {
        id: key.id,
        account_id: Uuid::from_u128(3),
        name: "feed".to_owned(),
        digest: key.digest(),
        scopes: Scopes(vec![Scope::EventsRead]),
        created_at: ctx().now,
        expires_at: ctx().now + Duration::from_secs(3_600),
        used_at: None,
    };
    assert!(app.store.commit(vec![Change::insert(&record)]).await.is_err());
    // The first one tries to note it; then nobody waits for that in vain, until half a minute later.
    for (pause, noted) in [(5, 5), (5, 5), (5, 5), (21, 36), (5, 36)] {
        app.clock.advance(Duration::from_secs(pause));
        assert!(counts(&app, &token.reveal()).await, "{noted}");
        let seen = app.store.get::<Session>(session.id).await.unwrap().unwrap().seen_at;
        assert_eq!(seen.since(session.created_at), Duration::from_secs(noted));
        let shown = service_accounts::shown(&bearer(&key.reveal())).unwrap();
        assert_eq!(service_accounts::authenticate(&ctx(), shown, Scope::EventsRead).await.unwrap(), key.id);
    }
}

/// T-41: what could not be looked up is not told to be dead, and what could not be ended not to have ended.
#[tokio::test]
async fn a_store_that_fails_is_told_as_such() {
    let mut config = Config::from_toml("").unwrap();
    config.develop_at("127.0.0.1:1".parse().unwrap(), &Random::seeded(2));
    config.secrets.keys = vec![Keyring::generate("test", &Random::seeded(1))];
    (config.hashing.memory_kib, config.hashing.permits) = (64, 1);
    let faults = Faults { seed: 5, refuse: 0.25, lose: 0.1, conflict: 0.1 };
    let clock = vestibule::clock::Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let engine = Engine::Memory(Memory::new(faults));
    let app = App::build(config, Policy::from_toml("").unwrap(), engine, clock, Random::seeded(42)).unwrap();
    let router = http::router::production(&app).unwrap();
    let ctx = || Ctx::new(app.clone(), None);
    let (client, secret) = loop {
        if let Ok((client, secret)) = clients::add(&ctx(), "orders").await
            && let Ok(Some(_)) = app.store.get::<clients::RegisteredClient>(client.id).await
        {
            break (client, secret.reveal());
        }
    };
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{secret}", client.id)));
    let ask = async |path: &str, token: &str| {
        let request = Request::post(path)
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, &basic)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("token={token}")));
        let answer = router.clone().oneshot(request.unwrap()).await.unwrap();
        let status = answer.status();
        (status, axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap())
    };
    let now = ctx().now;
    let user = User::new(Uuid::from_u128(1), now);
    while app.store.get::<User>(user.id).await.ok().flatten().is_none() {
        let _ = app.store.commit(vec![Change::insert(&user)]).await;
    }
    let (mut failed, mut ended) = (0, 0);
    for round in 0..40 {
        let (moment, carry) = (ctx().moment(), if round % 2 == 0 { Carry::Bearer } else { Carry::Jwt });
        let (session, token) = Session::open(&user, Proofs::default(), carry, &ctx().policy.session, &moment);
        while app.store.get::<Session>(session.id).await.ok().flatten().is_none() {
            let _ = app.store.commit(vec![Change::insert(&session)]).await;
        }
        let text = match carry {
            Carry::Jwt => loop {
                if let Ok(credential) = sessions::hand_out(&ctx(), &session, &token).await {
                    break credential.pair.unwrap().1;
                }
            },
            _ => token.reveal(),
        };
        for _ in 0..5 {
            let (status, body) = ask("/oauth2/introspect", &text).await;
            match status {
                StatusCode::OK => assert!(std::str::from_utf8(&body).unwrap().contains("\"active\":true")),
                other => assert_eq!(other, StatusCode::SERVICE_UNAVAILABLE),
            }
        }
        loop {
            let (status, _) = ask("/oauth2/revoke", &text).await;
            if status == StatusCode::OK {
                ended += 1;
                break;
            }
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            failed += 1;
        }
        while app.store.get::<Session>(session.id).await.map_or(true, |found| {
            assert!(found.is_none(), "200 was said, and the session is there");
            false
        }) {}
    }
    assert!(failed > 10 && ended == 40, "{failed} {ended}");
}

/// A token that was left behind ends nothing but what it is of.
#[tokio::test]
async fn the_refresh_token_of_a_session_that_counts_no_more_signs_nobody_out() {
    let world = World::new().await;
    let mut left = world.member().await;
    let refresh = carries_jwt(&mut left).await;
    let mut alice = left.clone();
    world.advance(Duration::from_secs(60));
    alice.signs_in().await;
    let new = json!({"current_password": crate::world::PASSWORD, "new_password": crate::recovery::NEW});
    crate::recovery::steps_up(&alice).await;
    crate::recovery::sets(&alice, new).await.expect(StatusCode::NO_CONTENT);
    assert!(alice.is_signed_in().await && !left.is_signed_in().await);
    left.token = None;
    for scope in ["all", "others", "this"] {
        let body = json!({"scope": scope, "refresh_token": refresh});
        left.post("/api/v1/auth/logout", body).await.expect(StatusCode::NO_CONTENT);
        assert!(alice.is_signed_in().await, "{scope}");
    }
}

#[tokio::test]
async fn a_session_is_refreshed_so_often_and_uses_up_nothing_of_another() {
    let world = World::plan().policy(|policy| policy.limits.refresh_address.limit = 3).build().await;
    let mut alice = world.member().await;
    let mut refresh = carries_jwt(&mut alice).await;
    let mut phone = alice.clone();
    world.advance(Duration::from_secs(60));
    let other = carries_jwt(&mut phone).await;
    for _ in 0..3 {
        refresh = next(&mut alice, &refresh).await;
    }
    let refused = refreshes(&alice, &refresh).await.problem(429, "limit-reached");
    assert_eq!(refused.body["limit"], "refresh-address");
    next(&mut phone, &other).await;
    world.advance(*world.app.policy().limits.refresh_address.window);
    next(&mut alice, &refresh).await;
}
