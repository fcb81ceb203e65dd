//! The feed of revocations: whatever ends a session is told there, once, in order, and signed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tower::ServiceExt;
use uuid::Uuid;
use vestibule::accounts::{Status, User};
use vestibule::app::{App, Ctx};
use vestibule::config::Config;
use vestibule::jwt::{Key, Purpose, Ring};
use vestibule::policy::Proofs;
use vestibule::random::Random;
use vestibule::revocations::{Revocation, actions as feed};
use vestibule::service_accounts::Scope;
use vestibule::service_accounts::actions::{self as keys, By};
use vestibule::sessions::{Carry, Session};
use vestibule::store::{Change, Engine, Query, Seen, answer};
use vestibule::{clients, http};

use crate::service_accounts::{key, shows};
use crate::tokens::{carries_jwt, claims, next, refreshes, session_of};
use crate::world::{PASSWORD, Person, World};

const FEED: &str = "/api/v1/revocations";

/// The published keys.
pub async fn published(world: &World) -> Ring {
    let set = world.stranger().get("/.well-known/jwks.json").await.expect(StatusCode::OK).body;
    let keys = set["keys"].as_array().unwrap().iter().map(|jwk| Key::published(jwk).unwrap()).collect();
    Ring::new(keys, world.ctx().now)
}

/// What one of the published keys has signed for the feed.
async fn opened(world: &World, batch: &str) -> Json {
    let payload = published(world).await.open_for(Purpose::Revocations, batch, world.ctx().now).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// One batch, as a program with a key asks for it.
async fn asks(program: &Person<'_>, after: Option<&str>) -> Json {
    let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
    let answer = program.get(&format!("{FEED}{query}")).await.expect(StatusCode::OK);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/jose");
    opened(program.world, std::str::from_utf8(&answer.bytes).unwrap()).await
}

async fn follower(world: &World) -> Person<'_> {
    shows(world, &key(world, &[Scope::RevocationsRead]).await.1)
}

/// Whether the entries refuse an access token, by what `docs/revocations.md` says and nothing else.
fn refuse(items: &[Json], said: &Json) -> bool {
    let mut refused = false;
    let mut of_user = None;
    for item in items {
        refused |= item.get("sid") == Some(&said["sid"]);
        if item.get("sub") == Some(&said["sub"]) {
            of_user = Some(item["session_from"].as_i64());
        }
    }
    let from = said["session_from"].as_i64().unwrap();
    refused || of_user.is_some_and(|of_user| of_user.is_none_or(|of_user| from < of_user))
}

async fn current(world: &World, access: &str) -> (Seen<Session>, Seen<User>) {
    let session = world.app.store.get::<Session>(session_of(access)).await.unwrap().unwrap();
    let user = world.app.store.get::<User>(session.user_id).await.unwrap().unwrap();
    (session, user)
}

/// Entries that have no place yet: what was written by the commit itself, before anybody looked.
async fn unplaced(world: &World) -> usize {
    let due = Query::<Revocation>::along(Revocation::BY_DUE).until(world.ctx().now).limit(100);
    world.app.store.find(due).await.unwrap().items.len()
}

/// Whatever ends a session for its own tokens tells the feed, in the same commit.
#[tokio::test]
async fn every_way_in_which_a_session_ends_is_told() {
    let world = crate::recovery::world().await;
    let program = follower(&world).await;
    let ways = [
        "sign out", "others", "all", "one", "reuse", "revoke", "password", "recovery", "factor", "delete",
        "suspend", "cut", "record", "user",
    ];
    for way in ways {
        let mut alice = world.member().await;
        let refresh = carries_jwt(&mut alice).await;
        let access = alice.token.clone().unwrap();
        world.advance(Duration::from_millis(1));
        let mut other = alice.clone();
        let elsewhere = matches!(way, "others" | "password" | "factor");
        if elsewhere {
            other.signs_in().await;
        }
        let before = asks(&program, None).await;
        let before = before["items"].as_array().unwrap();
        assert!(!refuse(before, &claims(&access)), "{way}");
        assert_eq!(unplaced(&world).await, 0, "{way}");
        let (session, user) = current(&world, &access).await;
        let post =
            async |who: &Person<'_>, path: &str, body: Json| who.post(&format!("/api/v1{path}"), body).await;
        let done = StatusCode::NO_CONTENT;
        let commit = async |change: Change| {
            let change = &change;
            let decided =
                world.ctx().decide(move |_| async move { Ok(answer(()).and([change.clone()])) }).await;
            decided.unwrap();
        };
        match way {
            "sign out" => drop(post(&alice, "/auth/logout", json!({})).await.expect(done)),
            "others" => drop(post(&other, "/auth/logout", json!({"scope": "others"})).await.expect(done)),
            "all" => drop(post(&alice, "/auth/logout", json!({"scope": "all"})).await.expect(done)),
            "one" => drop(alice.delete(&format!("/api/v1/sessions/{}", session.id)).await.expect(done)),
            "reuse" => {
                next(&mut alice, &refresh).await;
                world.advance(Duration::from_secs(31));
                refreshes(&alice, &refresh).await.problem(401, "refresh-refused");
            }
            "revoke" => {
                let (client, secret) = clients::add(&world.ctx(), "orders").await.unwrap();
                let pair = format!("{}:{}", client.id, secret.reveal());
                let mut service = world.stranger();
                let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
                service.headers.insert(header::AUTHORIZATION, format!("Basic {basic}").parse().unwrap());
                let form = ("application/x-www-form-urlencoded", format!("token={access}").into_bytes());
                service.send("POST", "/oauth2/revoke", Some(form)).await.expect(StatusCode::OK);
            }
            "password" => {
                let body =
                    json!({"current_password": PASSWORD, "new_password": "eight quiet herons on the pier"});
                let body = body.to_string().into_bytes();
                let sent =
                    other.send("PUT", "/api/v1/users/me/password", Some(("application/json", body))).await;
                sent.expect(done);
            }
            "recovery" => crate::recovery::recovers(&alice).await,
            "factor" => {
                // As a first factor is bound: all sessions end but the one that binds it.
                let (now, open) = (world.ctx().now, Query::along(Session::BY_USER).equal(user.id));
                let user = user.with(|user| user.end_sessions(now));
                let open: Vec<Seen<Session>> = world.app.store.find(open).await.unwrap().items;
                let kept = open.into_iter().find(|one| one.id != session.id).unwrap();
                let kept = kept.with(|kept| kept.counts_from = user.sessions_from);
                commit(Change::update(&kept)).await;
                commit(Change::update(&user)).await;
            }
            "delete" => drop(alice.delete("/api/v1/users/me").await.expect(done)),
            "suspend" => commit(Change::update(&user.with(|user| user.status = Status::Suspended))).await,
            "cut" => {
                let cut = session.counts_from + Duration::from_millis(1);
                commit(Change::update(&user.with(|user| user.sessions_from = cut))).await;
            }
            "record" => commit(Change::delete(&session)).await,
            _ => commit(Change::delete(&user)).await,
        }
        assert!(unplaced(&world).await > 0, "{way}: written with it");
        let after = asks(&program, None).await;
        let items = after["items"].as_array().unwrap();
        assert!(refuse(items, &claims(&access)), "{way}: {items:?}");
        assert!(!alice.is_signed_in().await, "{way}");
        if elsewhere {
            let own = world.stranger().token.clone();
            assert!(own.is_none() && other.is_signed_in().await, "{way}");
        }
        // Somebody who is let in afterwards is not refused for what was before.
        if matches!(way, "sign out" | "all" | "one" | "cut" | "record") {
            world.advance(Duration::from_secs(1));
            alice.token = None;
            carries_jwt(&mut alice).await;
            assert!(!refuse(items, &claims(alice.token.as_ref().unwrap())), "{way}");
        }
    }
}

#[tokio::test]
async fn what_ends_no_access_token_is_not_told() {
    let world = World::new().await;
    let program = follower(&world).await;
    let mut alice = world.alice().await;
    let jwt = carries_jwt(&mut world.member().await).await;
    world.advance(Duration::from_secs(60));
    alice.get("/api/v1/users/me").await.expect(StatusCode::OK);
    let body = json!({"name": "Ada"}).to_string().into_bytes();
    alice.send("PATCH", "/api/v1/users/me", Some(("application/json", body))).await.expect(StatusCode::OK);
    refreshes(&alice, &jwt).await.expect(StatusCode::OK);
    alice.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    alice.token = None;
    alice.signs_in().await;
    assert_eq!(asks(&program, None).await["items"], json!([]), "its session was carried otherwise");
    alice.post("/api/v1/auth/logout", json!({"scope": "all"})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(asks(&program, None).await["items"].as_array().unwrap().len(), 1, "about the user");
}

/// Opens `count` sessions of somebody, carried as JWT, and answers them.
async fn opens(app: &Arc<App>, user: &User, count: usize) -> Vec<Uuid> {
    let ctx = Ctx::new(app.clone(), None);
    let mut ids = Vec::new();
    for _ in 0..count {
        let (session, _) =
            Session::open(user, Proofs::default(), Carry::Jwt, &ctx.policy.session, &ctx.moment());
        ids.push(session.id);
        app.store.commit(vec![Change::insert(&session)]).await.unwrap();
    }
    ids
}

async fn ends(app: &Arc<App>, id: Uuid) {
    let ctx = &Ctx::new(app.clone(), None);
    ctx.decide(move |_| async move {
        let session = ctx.app.store.get::<Session>(id).await?.unwrap();
        Ok(answer(()).delete(&session))
    })
    .await
    .unwrap();
}

async fn somebody(world: &World) -> User {
    let alice = world.alice().await;
    let me = alice.get("/api/v1/users/me").await.expect(StatusCode::OK).body;
    let id = serde_json::from_value(me["id"].clone()).unwrap();
    world.app.store.get::<User>(id).await.unwrap().unwrap().into_inner()
}

/// Between two looks: what is told last about a user is how they stand.
#[tokio::test]
async fn what_was_ended_and_restored_between_two_looks_is_told_in_that_order() {
    let world = World::new().await;
    let program = follower(&world).await;
    let user = somebody(&world).await;
    let mut cursor = None::<String>;
    for steps in ["sr", "srs", "srsr", "psr", "srp", "dr", "drd", "ssr", "srpsr"] {
        for step in steps.chars() {
            let now = world.ctx().now;
            let user = world.app.store.get::<User>(user.id).await.unwrap().unwrap();
            let user = user.with(|user| {
                user.status = match step {
                    's' => Status::Suspended,
                    'd' => Status::Deleted,
                    _ => Status::Active,
                };
                if step != 'r' {
                    user.end_sessions(now);
                }
            });
            world.app.store.commit(vec![Change::update(&user)]).await.unwrap();
        }
        let batch = asks(&program, cursor.as_deref()).await;
        cursor = batch["cursor"].as_str().map(str::to_owned);
        let stands = world.app.store.get::<User>(user.id).await.unwrap().unwrap();
        let from = (stands.status == Status::Active).then(|| stands.sessions_from.as_millis());
        let items = batch["items"].as_array().unwrap();
        assert_eq!(items.last().unwrap()["session_from"], json!(from), "{steps}: {items:?}");
        if from.is_none() {
            let restored = stands.with(|user| user.status = Status::Active);
            world.app.store.commit(vec![Change::update(&restored)]).await.unwrap();
        }
    }
}

fn told(batch: &Json) -> Vec<Uuid> {
    let items = batch["items"].as_array().unwrap();
    items.iter().filter_map(|item| item.get("sid")?.as_str()?.parse().ok()).collect()
}

#[tokio::test]
async fn a_cursor_goes_on_where_it_was_and_an_unknown_one_begins_anew() {
    let world = World::new().await;
    let program = follower(&world).await;
    let user = somebody(&world).await;
    let empty = asks(&program, None).await;
    assert_eq!((&empty["items"], &empty["after"], &empty["more"]), (&json!([]), &Json::Null, &json!(false)));
    assert_eq!(empty["iss"], world.app.origin.as_str());
    assert_eq!(empty["now"], world.ctx().now.as_millis());
    let start = empty["cursor"].as_str().unwrap().to_owned();
    let ids = opens(&world.app, &user, 1_003).await;
    // No more at once than the pool of a small server has connections for in good time.
    for some in ids.chunks(20) {
        futures_util::future::join_all(some.iter().map(|id| ends(&world.app, *id))).await;
    }

    let (mut cursor, mut all, mut sizes) = (start.clone(), Vec::new(), Vec::new());
    loop {
        let batch = asks(&program, Some(&cursor)).await;
        assert_eq!(batch["after"], cursor, "each goes on after the one before");
        cursor = batch["cursor"].as_str().unwrap().to_owned();
        all.extend(told(&batch));
        sizes.push(told(&batch).len());
        if batch["more"] == false {
            break;
        }
    }
    assert_eq!(sizes, [500, 500, 3]);
    assert_eq!(all.iter().collect::<BTreeSet<_>>(), ids.iter().collect());
    assert_eq!(all.len(), ids.len(), "each once");
    let nothing = asks(&program, Some(&cursor)).await;
    assert_eq!((&nothing["after"], &nothing["cursor"]), (&json!(cursor), &json!(cursor)));
    assert!(told(&nothing).is_empty());
    // Half way, and by the header that browsers send.
    let mut again = program.clone();
    again.headers.insert("last-event-id", all[999].to_string().parse().unwrap());
    assert_eq!(told(&asks(&again, Some(&start)).await), all[1_000..]);
    // Of another time, or of another house.
    let anew = asks(&program, Some(&Uuid::from_u128(7).to_string())).await;
    assert_eq!((&anew["after"], told(&anew).len()), (&Json::Null, 500));
    for wrong in ["x", "", "1", "00000000"] {
        program.get(&format!("{FEED}?after={wrong}")).await.problem(422, "invalid");
        let mut again = program.clone();
        again.headers.insert("last-event-id", wrong.parse().unwrap());
        again.get(FEED).await.problem(400, "malformed-request");
    }
    program.get(&format!("{FEED}?wait=26")).await.problem(400, "malformed-request");
    program.get(&format!("{FEED}?since=1")).await.problem(422, "invalid");

    // What no access token can be left of is swept away, and what comes after it goes on.
    let late = opens(&world.app, &user, 1).await[0];
    world.advance(Duration::from_secs(3_661));
    vestibule::tasks::sweep(&world.ctx()).await.unwrap();
    let nothing = asks(&program, Some(&cursor)).await;
    assert_eq!((&nothing["after"], told(&nothing)), (&json!(cursor), vec![]));
    let anew = asks(&program, Some(&all[10].to_string())).await;
    assert_eq!((&anew["after"], told(&anew).len()), (&Json::Null, 0), "too old to go on from");
    ends(&world.app, late).await;
    assert_eq!(told(&asks(&program, Some(&cursor)).await), [late]);
}

/// A node of its own over the same records.
async fn node(world: &World) -> Arc<App> {
    let mut config = Config::from_toml("").unwrap();
    config.develop_at(world.address, &Random::seeded(2));
    config.secrets.keys = vec![vestibule::secret::Keyring::generate("test", &Random::seeded(1))];
    let (policy, engine) = ((*world.app.policy()).clone(), Engine::open(&world.place.url, 8).unwrap());
    App::build(config, policy, engine, world.app.clock.clone(), Random::System).unwrap()
}

/// Several nodes end sessions and read at once: whoever goes on from their cursor misses nothing and hears
/// nothing twice, however late a commit becomes visible.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_late_commit_is_never_skipped() {
    let world = World::new().await;
    let user = somebody(&world).await;
    let nodes = [node(&world).await, node(&world).await, world.app.clone()];
    let mut sessions = Vec::new();
    for app in &nodes {
        sessions.push((app.clone(), opens(app, &user, 60).await));
    }
    let all: BTreeSet<Uuid> = sessions.iter().flat_map(|(_, ids)| ids.clone()).collect();
    let running: Vec<_> = sessions
        .into_iter()
        .flat_map(|(app, ids)| ids.chunks(20).map(|ids| (app.clone(), ids.to_vec())).collect::<Vec<_>>())
        .map(|(app, ids)| {
            tokio::spawn(async move {
                for id in ids {
                    ends(&app, id).await;
                }
            })
        })
        .collect();
    let readers: Vec<_> = nodes
        .iter()
        .map(|app| {
            let (app, all) = (app.clone(), all.len());
            tokio::spawn(async move {
                let (mut cursor, mut read) = (None, Vec::new());
                while read.len() < all {
                    let batch = feed::read(&Ctx::new(app.clone(), None), cursor).await.unwrap();
                    assert!(cursor.is_none() || batch.after == cursor);
                    cursor = Some(batch.cursor);
                    read.extend(batch.items.iter().map(|item| match item {
                        feed::Item::Session { sid, .. } => *sid,
                        feed::Item::User { .. } => unreachable!(),
                    }));
                    tokio::task::yield_now().await;
                }
                read
            })
        })
        .collect();
    for task in running {
        task.await.unwrap();
    }
    let deadline = Duration::from_secs(60);
    let mut orders = Vec::new();
    for reader in readers {
        let read = tokio::time::timeout(deadline, reader).await.expect("everything is told").unwrap();
        assert_eq!(read.iter().copied().collect::<BTreeSet<_>>(), all);
        assert_eq!(read.len(), all.len());
        orders.push(read);
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]), "one order for everybody");
}

#[tokio::test]
async fn the_feed_is_for_clients_and_keys_with_the_scope() {
    let world = World::new().await;
    let alice = world.alice().await;
    alice.get(FEED).await.problem(401, "client-unknown");
    world.stranger().get(FEED).await.problem(401, "client-unknown");
    shows(&world, "vk_x").get(FEED).await.problem(401, "key-unknown");
    let (_, other) = key(&world, &[Scope::EventsRead]).await;
    shows(&world, &other).get(FEED).await.problem(403, "scope-missing");
    follower(&world).await.get("/api/revocations").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn what_is_signed_for_the_feed_is_no_access_token_nor_the_other_way_round() {
    let world = World::new().await;
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    let access = alice.token.clone().unwrap();
    let answer = follower(&world).await.get(FEED).await.expect(StatusCode::OK);
    let batch = String::from_utf8(answer.bytes).unwrap();
    let (ring, now) = (published(&world).await, world.ctx().now);
    assert!(ring.open_for(Purpose::Revocations, &access, now).is_err());
    assert!(ring.open_for(Purpose::Access, &batch, now).is_err());
    alice.token = Some(batch.clone());
    assert!(!alice.is_signed_in().await);
    let mut parts: Vec<_> = batch.split('.').map(str::to_owned).collect();
    parts[0] = access.split('.').next().unwrap().to_owned();
    alice.token = Some(parts.join("."));
    assert!(!alice.is_signed_in().await);
    for at in (0..batch.len()).step_by(7) {
        let mut altered = batch.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(ring.open_for(Purpose::Revocations, &altered, now).is_err(), "{at}");
    }
}

// ---- The stream.

/// What comes of a stream, event by event.
pub struct Stream(Body, String);

impl Stream {
    pub async fn of(app: &Arc<App>, key: &str) -> Self {
        Self::shown(app, &format!("Bearer {key}")).await
    }

    async fn shown(app: &Arc<App>, shown: &str) -> Self {
        let response = open_stream(app, shown).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        Self(response.into_body(), String::new())
    }

    /// The fields of the next event; none at the end.
    async fn next(&mut self) -> Option<BTreeMap<String, String>> {
        loop {
            if let Some((event, rest)) = self.1.split_once("\n\n") {
                let lines = event.lines().filter_map(|line| line.split_once(": "));
                let fields = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                self.1 = rest.to_owned();
                return Some(fields);
            }
            let frame = tokio::time::timeout(Duration::from_secs(20), self.0.frame()).await.expect("a word");
            let data = frame?.unwrap().into_data().unwrap();
            self.1.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    async fn batch(&mut self, world: &World) -> Json {
        let event = self.next().await.expect("an event");
        assert_eq!(event["event"], "revocations");
        let batch = opened(world, &event["data"]).await;
        assert_eq!(batch["cursor"], event["id"]);
        assert_eq!(batch["now"].to_string(), event[""]);
        batch
    }
}

async fn open_stream(app: &Arc<App>, shown: &str) -> axum::response::Response {
    let host = app.origin.as_str().trim_start_matches("http://");
    let request = Request::get(FEED)
        .header(header::HOST, host)
        .header(header::ACCEPT, "text/event-stream")
        .header(header::AUTHORIZATION, shown);
    http::router::production(app).unwrap().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_stream_tells_at_once_beats_and_ends_with_the_key() {
    let world = World::new().await;
    let (id, key) = key(&world, &[Scope::RevocationsRead]).await;
    let user = somebody(&world).await;
    let ids = opens(&world.app, &user, 3).await;
    ends(&world.app, ids[0]).await;
    let mut stream = Stream::of(&world.app, &key).await;
    let first = stream.batch(&world).await;
    assert_eq!((&first["after"], told(&first)), (&Json::Null, vec![ids[0]]));
    ends(&world.app, ids[1]).await;
    let second = stream.batch(&world).await;
    assert_eq!((&second["after"], told(&second)), (&first["cursor"], vec![ids[1]]));
    // From another node, which rings no bell here.
    let other = node(&world).await;
    ends(&other, ids[2]).await;
    let third = stream.batch(&world).await;
    assert_eq!((&third["after"], told(&third)), (&second["cursor"], vec![ids[2]]));
    // Nothing happens: it says so, and when.
    world.advance(Duration::from_secs(1));
    let beat = stream.batch(&world).await;
    assert_eq!((&beat["after"], &beat["cursor"]), (&third["cursor"], &third["cursor"]));
    assert_eq!((told(&beat), &beat["now"]), (vec![], &json!(world.ctx().now.as_millis())));
    keys::revoke(&world.ctx(), &By::Operator, id).await.unwrap();
    assert!(stream.next().await.is_none(), "it ends with the key");

    // And with its time, swept away or not.
    let (_, key) = self::key(&world, &[Scope::RevocationsRead]).await;
    let mut stream = Stream::of(&world.app, &key).await;
    stream.batch(&world).await;
    world.advance(Duration::from_secs(90 * 86_400));
    assert!(stream.next().await.is_none(), "it ends with its time");
}

/// The other kind of service.
#[tokio::test]
async fn a_stream_ends_with_the_client_that_is_removed() {
    let world = World::new().await;
    let (client, secret) = clients::add(&world.ctx(), "orders").await.unwrap();
    let basic = STANDARD.encode(format!("{}:{}", client.id, secret.reveal()));
    let mut stream = Stream::shown(&world.app, &format!("Basic {basic}")).await;
    stream.batch(&world).await;
    clients::remove(&world.ctx(), client.id).await.unwrap();
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn places_are_bounded_and_streams_end_when_the_server_stops() {
    let world = World::plan().config(|config| config.server.max_followers = 1).build().await;
    let (_, key) = key(&world, &[Scope::RevocationsRead]).await;
    let mut stream = Stream::of(&world.app, &key).await;
    stream.batch(&world).await;
    let refused = open_stream(&world.app, &format!("Bearer {key}")).await;
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"5".parse().unwrap())
    );
    let program = shows(&world, &key);
    program.get(&format!("{FEED}?wait=1")).await.problem(503, "busy");
    program.get(FEED).await.expect(StatusCode::OK);
    drop(stream);
    let mut stream = Stream::of(&world.app, &key).await;
    stream.batch(&world).await;
    world.app.followers.stopping.send_replace(true);
    assert!(stream.next().await.is_none());
    // Nor is anything waited for then.
    program.get(&format!("{FEED}?wait=20")).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn who_asks_for_one_batch_may_wait_for_it() {
    let world = World::new().await;
    let program = follower(&world).await;
    let user = somebody(&world).await;
    let id = opens(&world.app, &user, 1).await[0];
    let cursor = asks(&program, None).await["cursor"].as_str().unwrap().to_owned();
    let waits = async {
        let path = format!("{FEED}?after={cursor}&wait=20");
        let answer = tokio::time::timeout(Duration::from_secs(15), program.get(&path)).await;
        let answer = answer.expect("not for longer than needed").expect(StatusCode::OK);
        opened(&world, std::str::from_utf8(&answer.bytes).unwrap()).await
    };
    let (batch, ()) = tokio::join!(waits, async {
        tokio::task::yield_now().await;
        ends(&world.app, id).await;
    });
    assert_eq!(told(&batch), [id]);
}
