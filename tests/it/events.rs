//! The application is told of what happens: at least once, in order, signed – and can read it again.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vestibule::app::Ctx;
use vestibule::audit::{Event, Outgoing, What, chain, note};
use vestibule::events::{TURN, Turn};
use vestibule::secret::Secret;
use vestibule::store::{Change, Query};

use crate::scripted::{Reply, Request, Scripted, answer};
use crate::world::{Person, World};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

async fn house(receiver: &Scripted) -> World {
    let (url, address) = (receiver.url(), receiver.address.to_string());
    let plan = World::plan().config(move |config| {
        config.events.url = url;
        config.events.secret = Secret::new(SECRET);
        config.server.outbound_allow.push(address);
    });
    plan.build().await
}

fn ok() -> Reply {
    answer(204, "")
}

async fn run(world: &World) -> usize {
    vestibule::events::run_due(&world.ctx()).await.unwrap()
}

async fn drain(world: &World) {
    for _ in 0..200 {
        while run(world).await > 0 {}
        if waiting(world).await.is_empty() {
            return;
        }
        world.advance(Duration::from_secs(60));
    }
    panic!("something is never told");
}

async fn waiting(world: &World) -> Vec<Outgoing> {
    let query = Query::<Outgoing>::along(Outgoing::BY_STATE).limit(1_000);
    let items = world.app.store.find(query).await.unwrap().items;
    items.into_iter().map(|seen| seen.into_inner()).filter(|row| row.due_at.is_some()).collect()
}

async fn events(world: &World) -> Vec<Event> {
    let query = Query::<Event>::along(Event::BY_TIME).limit(1_000);
    world.app.store.find(query).await.unwrap().items.into_iter().map(|seen| seen.into_inner()).collect()
}

fn told(requests: &[Request]) -> Vec<Json> {
    requests.iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect()
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    let line = request.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name}: {}", request.head)).split_once(':').unwrap().1.trim()
}

/// Somebody with the role of an administrator, signed in.
async fn admin(world: &World) -> Person<'_> {
    let user = world.alice().await;
    super::step_up::promote(world, &user, &["admin"]).await;
    user
}

#[tokio::test]
async fn every_event_is_told_once_in_order_and_signed_while_all_is_well() {
    let receiver = Scripted::new([ok()]).await;
    let world = house(&receiver).await;
    let mut user = world.member().await;
    world.advance(Duration::from_secs(1));
    user.signs_in().await;
    world.advance(Duration::from_secs(1));
    user.post("/api/v1/auth/logout", json!({})).await;
    drain(&world).await;
    let requests = receiver.requests();
    let ids: Vec<_> = told(&requests).iter().map(|event| event["id"].to_string()).collect();
    let happened: Vec<_> = events(&world).await.iter().map(|event| json!(event.id).to_string()).collect();
    assert_eq!(ids, happened);
    let types: Vec<_> = told(&requests).iter().map(|event| event["type"].to_string()).collect();
    // Of one commit, in the order of their ids.
    assert!(types[..2].contains(&"\"signed_up\"".to_owned()), "{types:?}");
    assert!(types.contains(&"\"signed_in\"".to_owned()), "{types:?}");
    for request in &requests {
        assert_eq!(header(request, "idempotency-key"), told(std::slice::from_ref(request))[0]["id"]);
        assert_eq!(header(request, "vestibule-attempt"), "1");
        for secret in ["code\":", "correct horse", "password\":"] {
            assert!(!request.body.contains(secret), "{}", request.body);
        }
    }
    // Nothing is left, and nothing is told again.
    assert_eq!(run(&world).await, 0);
    assert_eq!(receiver.requests().len(), requests.len());
}

#[tokio::test]
async fn a_receiver_that_fails_hangs_up_or_is_slow_is_told_until_it_takes_it() {
    let script = [answer(500, ""), Reply::Silence, answer(302, ""), answer(429, ""), answer(404, ""), ok()];
    let receiver = Scripted::new(script).await;
    let world = house(&receiver).await;
    world.member().await;
    // The first that is not taken ends the run: nobody is asked again and again.
    assert_eq!((run(&world).await, receiver.requests().len()), (0, 1));
    drain(&world).await;
    let mut ids: Vec<_> = told(&receiver.requests()).iter().map(|event| event["id"].to_string()).collect();
    assert!(ids.len() >= 6);
    ids.sort();
    ids.dedup();
    let mut happened: Vec<_> = events(&world).await.iter().map(|event| json!(event.id).to_string()).collect();
    happened.sort();
    assert_eq!(ids, happened);
}

/// Each failure is a commit, and rings: the bell must not send the whole backlog to whoever fails.
#[tokio::test]
async fn a_receiver_that_fails_is_left_alone_until_one_event_finds_out_that_it_takes_them_again() {
    for status in [503, 429, 408, 302] {
        let receiver = Scripted::new([answer(status, "")]).await;
        let world = house(&receiver).await;
        for _ in 0..4 {
            world.member().await;
        }
        let due = waiting(&world).await.len();
        assert!(due > 7, "{due}");
        for _ in 0..20 {
            assert_eq!(run(&world).await, 0);
        }
        assert_eq!(receiver.requests().len(), 5, "a few are enough to see it");
        world.advance(Duration::from_secs(30));
        for _ in 0..5 {
            assert_eq!(run(&world).await, 0);
        }
        assert_eq!(receiver.requests().len(), 6, "one finds out, and no more");
        receiver.now_does(ok());
        world.advance(Duration::from_secs(30));
        assert_eq!(run(&world).await, due, "then all that waited is told at once");
    }
}

/// What it says of some of them is no reason to keep the others from it.
#[tokio::test]
async fn a_receiver_that_refuses_some_events_is_told_the_others_at_once() {
    let refused = 12;
    let script = std::iter::repeat_n(answer(422, ""), refused).chain([ok()]);
    let receiver = Scripted::new(script).await;
    let world = house(&receiver).await;
    for _ in 0..8 {
        world.member().await;
    }
    let due = waiting(&world).await.len();
    assert!(due > refused + 1, "{due}");
    assert_eq!(run(&world).await, due - refused);
    let rows = waiting(&world).await;
    assert_eq!(rows.len(), refused);
    for row in rows {
        assert_eq!((row.attempts, row.trouble.as_deref()), (1, Some("it answered 422")));
    }
}

#[tokio::test]
async fn a_worker_that_ends_in_the_middle_leaves_its_event_to_the_next() {
    let receiver = Scripted::new([ok()]).await;
    let world = house(&receiver).await;
    world.member().await;
    let before = waiting(&world).await;
    // It ends after the request was sent, before the answer is recorded; and two run at once.
    let ctx = Ctx::new(world.app.clone(), None);
    let run_and_die = tokio::spawn(async move { vestibule::events::run_due(&ctx).await });
    while receiver.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    run_and_die.abort();
    let _ = run_and_die.await;
    // Nobody waits for it any more.
    world.advance(Duration::from_secs(60));
    let (one, other) = (world.ctx(), world.ctx());
    let both = tokio::join!(vestibule::events::run_due(&one), vestibule::events::run_due(&other));
    assert!(both.0.is_ok() && both.1.is_ok());
    drain(&world).await;
    let ids: std::collections::BTreeSet<_> =
        told(&receiver.requests()).iter().map(|event| event["id"].to_string()).collect();
    assert!(before.iter().all(|row| ids.contains(&json!(row.id).to_string())), "at least once");
    assert!(receiver.requests().len() <= before.len() + 1, "the one in the middle, and no other, twice");
}

#[tokio::test]
async fn nodes_tell_one_event_at_a_time_and_wait_a_minute_for_one_that_died() {
    let receiver = Scripted::new([Reply::Hang, ok()]).await;
    let world = house(&receiver).await;
    world.member().await;
    let before = waiting(&world).await.len();
    assert!(before > 1);
    let ctx = Ctx::new(world.app.clone(), None);
    let telling = tokio::spawn(async move { vestibule::events::run_due(&ctx).await });
    while receiver.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((run(&world).await, receiver.requests().len()), (0, 1), "the next one waits");
    telling.abort();
    let _ = telling.await;
    world.advance(Duration::from_secs(59));
    assert_eq!((run(&world).await, receiver.requests().len()), (0, 1), "nobody knows that it died");
    world.advance(Duration::from_secs(1));
    assert_eq!(run(&world).await, before);
    assert_eq!(receiver.requests().len(), before + 1);
}

/// Its turn was over: what it hears in the end is settled by whoever has the event by then, and so is the turn.
#[tokio::test]
async fn a_node_that_comes_too_late_leaves_the_event_and_the_turn_to_whoever_has_them() {
    let receiver = Scripted::new([Reply::Hang]).await;
    let (url, address) = (receiver.url(), receiver.address.to_string());
    let plan = World::plan().config(move |config| {
        config.events.url = url;
        config.events.secret = Secret::new(SECRET);
        config.server.outbound_allow.push(address);
        config.server.outbound_timeout = "1s".parse().unwrap();
    });
    let world = plan.build().await;
    world.member().await;
    let ctx = Ctx::new(world.app.clone(), None);
    let telling = tokio::spawn(async move { vestibule::events::run_due(&ctx).await });
    while receiver.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let event: Uuid = told(&receiver.requests())[0]["id"].as_str().unwrap().parse().unwrap();
    let store = &world.app.store;
    let other = Uuid::from_u128(7);
    let turn = store.get::<Turn>(TURN).await.unwrap().unwrap().with(|turn| turn.holder = other);
    let row = store.get::<Outgoing>(event).await.unwrap().unwrap().with(|row| row.attempts += 1);
    store.commit(vec![Change::update(&turn), Change::update(&row)]).await.unwrap();
    telling.await.unwrap().unwrap();
    let row = store.get::<Outgoing>(event).await.unwrap().unwrap();
    assert_eq!((row.attempts, &row.trouble), (2, &None));
    assert_eq!(store.get::<Turn>(TURN).await.unwrap().map(|turn| turn.holder), Some(other));
}

#[tokio::test]
async fn a_node_whose_clock_is_ahead_and_that_died_silences_nobody() {
    let receiver = Scripted::new([ok()]).await;
    let world = house(&receiver).await;
    world.member().await;
    let due = waiting(&world).await.len();
    let turn = |ahead: u64| Turn {
        id: TURN,
        holder: Uuid::from_u128(7),
        ends_at: world.app.clock.now() + Duration::from_secs(ahead + 60),
    };
    let store = &world.app.store;
    store.commit(vec![Change::insert(&turn(60))]).await.unwrap();
    assert_eq!(run(&world).await, 0, "clocks differ a little");
    let seen = store.get::<Turn>(TURN).await.unwrap().unwrap();
    store.commit(vec![Change::update(&seen.with(|seen| *seen = turn(3_600)))]).await.unwrap();
    assert_eq!(run(&world).await, due);
}

/// Rows that nobody would ever take would only gather.
#[tokio::test]
async fn where_nobody_is_told_nothing_is_told_again() {
    let world = World::new().await;
    let admin = admin(&world).await;
    let event = events(&world).await[0].id;
    let path = format!("/api/v1/admin/events/{event}/resend");
    admin.post(&path, json!({})).await.problem(404, "not-found");
    assert!(waiting(&world).await.is_empty());
}

#[tokio::test]
async fn what_is_never_taken_is_dead_and_can_be_told_again() {
    let receiver = Scripted::new([answer(500, "")]).await;
    let world = house(&receiver).await;
    let admin = admin(&world).await;
    let count = waiting(&world).await.len();
    let mut hours = 0;
    while !waiting(&world).await.is_empty() {
        run(&world).await;
        world.advance(Duration::from_secs(600));
        hours += 1;
        assert!(hours < 10_000);
    }
    let mut admin = admin.clone();
    admin.signs_in().await;
    let dead = admin.get("/api/v1/admin/events/dead?limit=200").await.expect(StatusCode::OK).body;
    let items = dead["items"].as_array().unwrap();
    assert_eq!(items.len(), count, "{dead}");
    assert_eq!((&items[0]["attempts"], &items[0]["trouble"]), (&json!(22), &json!("it answered 500")));
    receiver.now_does(ok());
    drain(&world).await;
    let (id, before) = (items[0]["id"].as_str().unwrap(), receiver.requests().len());
    let path = format!("/api/v1/admin/events/{id}/resend");
    admin.post(&path, json!({})).await.expect(StatusCode::ACCEPTED);
    drain(&world).await;
    assert_eq!(told(&receiver.requests()[before..])[0]["id"], id);
    // Also what was taken.
    admin.post(&path, json!({})).await.expect(StatusCode::ACCEPTED);
    drain(&world).await;
    // Each time it is noted who asked for it, which is told as well.
    assert_eq!(receiver.requests().len(), before + 4);
    let asked = told(&receiver.requests()[before..]);
    let asked: Vec<_> = asked.iter().filter(|event| event["type"] == "event_resent").collect();
    let admin_id = crate::administration::id_of(&admin).await;
    assert!(asked.len() == 2 && asked.iter().all(|one| one["actor"] == json!(admin_id)), "{asked:?}");
    assert_eq!(asked[0]["detail"]["event"], id);
    let nobody = "/api/v1/admin/events/00000000-0000-0000-0000-000000000000/resend";
    admin.post(nobody, json!({})).await.problem(404, "not-found");
    let stranger = world.stranger();
    for path in ["/api/v1/admin/events/dead", "/api/v1/events"] {
        stranger.get(path).await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn the_feed_has_every_event_once_and_goes_on_after_any() {
    let world = World::new().await;
    let admin = admin(&world).await;
    world.member().await;
    assert!(waiting(&world).await.is_empty(), "nobody is to be told");
    let unsealed = format!("/api/v1/events?after={}", events(&world).await[0].id);
    let follow = async |read: &mut Vec<String>| {
        loop {
            let after = read.last().map(|id| format!("&after={id}")).unwrap_or_default();
            let page = admin.get(&format!("/api/v1/events?limit=2{after}")).await.expect(StatusCode::OK).body;
            let items = page["items"].as_array().unwrap();
            if items.is_empty() {
                break;
            }
            read.extend(items.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        }
    };
    let mut read = Vec::new();
    follow(&mut read).await;
    assert!(read.is_empty(), "what is not sealed has no place yet");
    assert_eq!(admin.get(&unsealed).await.expect(StatusCode::OK).body["items"], json!([]));
    chain::seal_all(&world.ctx()).await.unwrap();
    follow(&mut read).await;
    let happened: Vec<_> = events(&world).await.iter().map(|event| event.id.to_string()).collect();
    assert_eq!(read, happened);
    // What a slow commit makes known late is not passed over, although later events were read.
    let early = world.ctx();
    world.advance(Duration::from_secs(1));
    world.member().await;
    chain::seal_all(&world.ctx()).await.unwrap();
    world.advance(Duration::from_secs(30));
    follow(&mut read).await;
    assert_eq!(read.len(), events(&world).await.len());
    let late = note(What::UsersImported).at(&early.moment());
    world.app.store.commit(vec![Change::insert(&late)]).await.unwrap();
    chain::seal_all(&world.ctx()).await.unwrap();
    follow(&mut read).await;
    assert_eq!(read.last(), Some(&late.id.to_string()));
    assert_eq!(read.len(), events(&world).await.len());
    // What is written over again and again has no place at all.
    let slot = Event { id: Uuid::from_u128(7), block: chain::NEVER, ..late };
    world.app.store.commit(vec![Change::insert(&slot)]).await.unwrap();
    admin.get(&format!("/api/v1/events?after={}", slot.id)).await.problem(404, "not-found");
    let unknown = "/api/v1/events?after=00000000-0000-0000-0000-000000000000";
    admin.get(unknown).await.problem(404, "not-found");
    admin.get("/api/v1/events?limit=0").await.problem(400, "malformed-request");
}

/// The feed shows what the audit shows: a session is asked for the same by both, and a key for neither.
#[tokio::test]
async fn the_feed_asks_of_a_session_what_the_audit_asks() {
    let world = World::new().await;
    let admin = admin(&world).await;
    let made = admin.post("/api/v1/admin/service-accounts", json!({"name": "shop"})).await.body;
    let keys = format!("/api/v1/admin/service-accounts/{}/keys", made["id"].as_str().unwrap());
    let key = admin.post(&keys, json!({"name": "feed", "scopes": ["events.read"]})).await.body;
    let program = Person { token: Some(key["key"].as_str().unwrap().to_owned()), ..world.stranger() };
    let asks = |change: &dyn Fn(&mut vestibule::policy::Operation)| {
        let mut policy = (*world.app.policy()).clone();
        let mut rule = policy.operation.get("admin.audit").unwrap().clone();
        change(&mut rule);
        policy.operation.set("admin.audit", rule);
        world.app.replace_policy(policy);
    };
    let both = async |status: u16, slug: &str| {
        for path in ["/api/v1/admin/audit", "/api/v1/events"] {
            admin.get(path).await.problem(status, slug);
        }
        program.get("/api/v1/events").await.expect(StatusCode::OK);
    };
    admin.get("/api/v1/events").await.expect(StatusCode::OK);
    asks(&|rule| rule.never = true);
    both(403, "operation-never").await;
    asks(&|rule| {
        rule.never = false;
        rule.proof.max_age = "1m".parse().unwrap();
    });
    world.advance(Duration::from_secs(120));
    both(403, "step-up-required").await;
}

/// The signature, by another implementation: the one that the document shows, run by Python.
#[tokio::test]
async fn the_verifier_of_the_document_takes_what_was_sent_and_nothing_forged_or_old() {
    let document = include_str!("../../docs/events.md");
    let verifier = document.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(verifier.lines().count() <= 20, "{verifier}");
    let receiver = Scripted::new([ok()]).await;
    let world = house(&receiver).await;
    world.member().await;
    drain(&world).await;
    let request = receiver.requests().into_iter().find(|sent| sent.body.contains("signed_up")).unwrap();
    let signature = header(&request, "vestibule-signature");
    let now = signature.split(['=', ',']).nth(1).unwrap().parse::<i64>().unwrap();
    let forged_body = request.body.replacen("signed_up", "signed_in", 1);
    assert_ne!(forged_body, request.body);
    let forged = signature.replace("v1=", "v1=0");
    for (body, signature, now, secret, good) in [
        (&request.body, signature, now, SECRET, true),
        (&request.body, signature, now + 299, SECRET, true),
        (&request.body, signature, now + 301, SECRET, false),
        (&request.body, signature, now - 301, SECRET, false),
        (&forged_body, signature, now, SECRET, false),
        (&request.body, forged.as_str(), now, SECRET, false),
        (&request.body, "", now, SECRET, false),
        (&request.body, "t=x,v1=", now, SECRET, false),
        (&request.body, signature, now, "another secret of thirty-two letters", false),
    ] {
        let program = format!(
            "{verifier}\nimport sys\nsys.exit(0 if verified({secret:?}.encode(), {signature:?}, \
             sys.stdin.buffer.read(), now={now}) else 3)"
        );
        let mut child = std::process::Command::new("python3")
            .args(["-c", &program])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), body.as_bytes()).unwrap();
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(if good { 0 } else { 3 }), "{signature} at {now}");
    }
}

/// A receiver that takes the connection and says nothing holds up one event at a time, for as long as a
/// request may take; then it is tried again, and nothing is lost.
#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_and_told_again() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let plan = World::plan().config(move |config| {
        config.events.url = format!("http://{address}");
        config.events.secret = Secret::new(SECRET);
        config.server.outbound_allow.push(address.to_string());
        config.server.outbound_timeout = "1s".parse().unwrap();
    });
    let world = plan.build().await;
    world.member().await;
    let before = waiting(&world).await;
    let start = std::time::Instant::now();
    // Connections are taken, by the kernel, and never answered.
    assert_eq!(run(&world).await, 0);
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    let rows = waiting(&world).await;
    assert_eq!(rows.len(), before.len(), "nothing is lost");
    let tried: Vec<_> = rows.iter().filter(|row| row.attempts > 0).collect();
    assert_eq!(tried.len(), 1, "whoever does not answer is not asked a hundred times in a row");
    assert!(tried[0].trouble.is_some() && tried[0].due_at.unwrap() > world.app.clock.now());
    // Meanwhile nobody waited for it.
    assert!(world.alice().await.is_signed_in().await);
    drop(silent);
}
