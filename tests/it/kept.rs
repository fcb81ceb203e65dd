//! What is kept in memory of sessions: never older than the last commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value as Json;
use tower::ServiceExt;
use vestibule::accounts::{Status, User};
use vestibule::http::entrance::Entrance;
use vestibule::identifiers::{self, Identifier};
use vestibule::policy::Proofs;
use vestibule::random::Random;
use vestibule::sessions::{Carry, Session};
use vestibule::store::{Change, Engine, Query, Store};

use crate::told;
use crate::world::World;

async fn asks(router: &Entrance, token: &str) -> Json {
    let request = Request::get("/api/v1/auth/authenticated")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"));
    let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

async fn counts(router: &Entrance, token: &str) -> bool {
    asks(router, token).await["authenticated"] == true
}

/// A further session of the one who is signed in as `token`, without the way in.
async fn opens(world: &World, user: &User) -> (Session, String) {
    let moment = world.ctx().moment();
    let policy = &world.app.policy().session;
    let (session, token) = Session::open(user, Proofs::default(), Carry::Bearer, policy, &moment);
    world.app.store.commit(vec![Change::insert(&session)]).await.unwrap();
    (session, token.reveal().to_string())
}

async fn somebody(world: &World) -> User {
    let alice = world.member().await;
    let name = identifiers::actions::find_owner(&world.ctx(), &alice.username).await.unwrap().unwrap();
    world.app.store.get::<User>(name.user_id).await.unwrap().unwrap().into_inner()
}

/// The four ways in which a session ends here.
#[derive(Clone, Copy)]
enum End {
    SignOut,
    Delete,
    Suspend,
    Cut,
}

async fn ends(world: &World, how: End, session: &Session, token: &str) {
    let store = &world.app.store;
    let user = async || store.get::<User>(session.user_id).await.unwrap().unwrap();
    let change = match how {
        End::SignOut => {
            let request = Request::post("/api/v1/auth/logout").header("host", "localhost");
            let request = request.header("authorization", format!("Bearer {token}")).body(Body::empty());
            let answer = world.router.clone().oneshot(request.unwrap()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
            return;
        }
        End::Delete => Change::delete(&store.get::<Session>(session.id).await.unwrap().unwrap()),
        End::Suspend => Change::update(&user().await.with(|user| user.status = Status::Suspended)),
        End::Cut => {
            let after = session.created_at + Duration::from_millis(1);
            Change::update(&user().await.with(|user| user.sessions_from = after))
        }
    };
    store.commit(vec![change]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_let_in_once_the_end_was_answered() {
    const ASKERS: usize = 6;
    const ROUNDS: usize = 24;
    let world = World::new().await;
    let (after, wrong) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for round in 0..ROUNDS {
        let how = [End::SignOut, End::Delete, End::Suspend, End::Cut][round % 4];
        let user = somebody(&world).await;
        let (session, token) = opens(&world, &user).await;
        let (ended, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let askers: Vec<_> = (0..ASKERS)
            .map(|_| {
                let (router, token) = (world.router.clone(), token.clone());
                let (ended, stop) = (ended.clone(), stop.clone());
                let (after, wrong) = (after.clone(), wrong.clone());
                tokio::spawn(async move {
                    let mut before = 0;
                    while !stop.load(Ordering::SeqCst) {
                        let has_ended = ended.load(Ordering::SeqCst);
                        let counted = counts(&router, &token).await;
                        if has_ended {
                            after.fetch_add(1, Ordering::SeqCst);
                            wrong.fetch_add(usize::from(counted), Ordering::SeqCst);
                        } else {
                            before += usize::from(counted);
                        }
                        tokio::task::yield_now().await;
                    }
                    before
                })
            })
            .collect();
        // Other sessions of the same user come and go meanwhile, so that what is kept is made anew
        // again and again.
        for _ in 0..round {
            let (other, its_token) = opens(&world, &user).await;
            ends(&world, End::Delete, &other, &its_token).await;
        }
        ends(&world, how, &session, &token).await;
        ended.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(15)).await;
        stop.store(true, Ordering::SeqCst);
        let mut before = 0;
        for asker in askers {
            before += asker.await.unwrap();
        }
        assert!(round == 0 || before > 0, "round {round}: it counted before it ended");
    }
    assert!(after.load(Ordering::SeqCst) > ROUNDS * ASKERS);
    assert_eq!(wrong.load(Ordering::SeqCst), 0, "of {after:?} asked after the end");
}

#[tokio::test]
async fn what_is_shown_is_what_is_stored() {
    let world = World::new().await;
    let mut alice = world.alice().await;
    let token = alice.token.clone().unwrap();
    let seen = asks(&world.router, &token).await;
    assert_eq!(seen, asks(&world.router, &token).await);
    assert_eq!(seen["user"]["username"], alice.username.as_str());

    let id = seen["user"]["id"].as_str().unwrap().parse().unwrap();
    let store = &world.app.store;
    let user = store.get::<User>(id).await.unwrap().unwrap();
    store.commit(vec![Change::update(&user.with(|user| user.name = Some("Al".into())))]).await.unwrap();
    assert_eq!(asks(&world.router, &token).await["user"]["name"], "Al");

    // Identifiers that change, go and come.
    let query = || Query::<Identifier>::along(Identifier::BY_USER).equal(id);
    let one = store.first(query()).await.unwrap().unwrap();
    let record = one.clone().into_inner();
    let changed = one.with(|one| one.value = "changed".into());
    store.commit(vec![Change::update(&changed)]).await.unwrap();
    let shown = async || asks(&world.router, &token).await["user"]["identifiers"].as_array().unwrap().clone();
    assert!(shown().await.iter().any(|one| one["value"] == "changed"));
    let count = shown().await.len();
    store.commit(vec![Change::delete(&store.first(query()).await.unwrap().unwrap())]).await.unwrap();
    assert_eq!(shown().await.len(), count - 1);
    store.commit(vec![Change::insert(&record)]).await.unwrap();
    assert_eq!(shown().await.len(), count);

    // Times are judged at every use, and the last use is remembered.
    world.advance(Duration::from_secs(120));
    assert!(alice.is_signed_in().await);
    assert_eq!(asks(&world.router, &token).await["session"]["last_seen_at"], "2030-01-01T00:02:00.000Z");
    world.advance(*world.app.policy().session.idle);
    assert!(!alice.is_signed_in().await, "idle");
    world.advance(*world.app.policy().session.lifetime);
    alice.signs_in().await;
    assert!(alice.is_signed_in().await);
    world.advance(*world.app.policy().session.lifetime);
    assert!(!alice.is_signed_in().await, "lifetime");
}

#[tokio::test]
async fn a_token_with_the_right_id_and_another_secret_is_nobodys_although_the_session_is_known() {
    let world = World::new().await;
    let user = somebody(&world).await;
    let (session, token) = opens(&world, &user).await;
    assert!(counts(&world.router, &token).await && counts(&world.router, &token).await);
    let kind = vestibule::secret::TokenKind::Session;
    let forged = vestibule::secret::Token::new(kind, session.id, &Random::seeded(7).seed()).reveal();
    for _ in 0..3 {
        assert!(!counts(&world.router, &forged).await);
        assert!(counts(&world.router, &token).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_whose_asker_has_gone_is_an_end() {
    let world = World::new().await;
    let user = somebody(&world).await;
    let store = &world.app.store;
    let mut done = 0;
    for pause in (0..40).map(|n| Duration::from_micros(20 * n)).cycle().take(400) {
        let (session, token) = opens(&world, &user).await;
        assert!(counts(&world.router, &token).await && counts(&world.router, &token).await);
        let seen = store.get::<Session>(session.id).await.unwrap().unwrap();
        // Dropped at some point between asking and the answer.
        let _ = tokio::time::timeout(pause, store.commit(vec![Change::delete(&seen)])).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        if store.get::<Session>(session.id).await.unwrap().is_none() {
            // Whether or not the answer was awaited, what is stored is what counts; a moment later at
            // most, since nobody was told.
            let since = Instant::now();
            while counts(&world.router, &token).await {
                assert!(since.elapsed() < Duration::from_secs(1), "ended, and still let in");
            }
            done += 1;
        }
        if done == 40 {
            return;
        }
    }
}

#[tokio::test]
async fn what_another_process_ends_is_over_within_a_second() {
    let world = World::new().await;
    // Another writer of the same records: to this one no different from another process.
    let other = Store::new(Engine::open(&world.place.url, 1).unwrap(), Random::seeded(9));
    let user = somebody(&world).await;
    let mut waited = Vec::new();
    for _ in 0..5 {
        let (session, token) = opens(&world, &user).await;
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(150) {
            assert!(counts(&world.router, &token).await);
        }
        let seen = other.get::<Session>(session.id).await.unwrap().unwrap();
        other.commit(vec![Change::delete(&seen)]).await.unwrap();
        let ended = Instant::now();
        while counts(&world.router, &token).await {
            assert!(ended.elapsed() < Duration::from_secs(1), "ended elsewhere, and still let in");
        }
        waited.push(ended.elapsed());
        // Over is over.
        assert!(!counts(&world.router, &token).await);
    }
    told::figure(format_args!("sessions ended by another process: over after {waited:.0?}"));
}
