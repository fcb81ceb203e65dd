//! The verifier for other services, in a service, over a real server that comes and goes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use vestibule::app::App;
use vestibule::clock::Clock;
use vestibule::http;
use vestibule::jwt::Purpose;
use vestibule::keys;
use vestibule::service_accounts::Scope;
use vestibule::verify::{Claims, Refused, Settings, Verifier, VerifyLayer, WhenStale};

use crate::service_accounts::key;
use crate::tokens::{carries_jwt, claims};
use crate::told;
use crate::world::{Person, World};

/// A server at an address of its own that can be stopped and started.
pub struct Server {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Server {
    pub async fn start(app: &Arc<App>, at: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind(at.unwrap_or(([127, 0, 0, 1], 0).into())).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        app.followers.stopping.send_replace(false);
        let (app, router) = (app.clone(), http::router::production(app).unwrap());
        let serving = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            http::serve(app, listener, router, &http::Loops::here(), stopped).await;
        });
        Self { address, stop: Some(stop), serving }
    }

    pub async fn stop(mut self) -> SocketAddr {
        self.stop.take().unwrap().send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(5), self.serving).await.expect("streams end").unwrap();
        self.address
    }
}

/// Those who check by themselves: one that refuses when it does not know, and one that accepts.
fn verifiers(world: &World, key: &str, server: SocketAddr) -> [Verifier; 2] {
    [WhenStale::Refuse, WhenStale::Accept].map(|when_stale| {
        let mut settings = Settings::new(world.app.origin.as_str(), key, when_stale);
        settings.server = format!("http://{server}/");
        // A proxy of the machine's is not asked about what is beside us.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Verifier::with_clock(settings, http, world.app.clock.clone()).unwrap()
    })
}

fn follows(verifier: &Verifier) -> JoinHandle<()> {
    let verifier = verifier.clone();
    tokio::spawn(async move { match verifier.follow().await {} })
}

/// Until `done`, for a while that is far longer than it should take.
async fn comes(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waits = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap_or_else(|_| panic!("{what}"));
}

async fn said(verifier: &Verifier, person: &Person<'_>) -> Result<Claims, Refused> {
    verifier.check(person.token.as_ref().unwrap()).await
}

/// A session that ends is refused elsewhere; without a feed one refuses and one accepts; and whoever comes
/// back goes on where they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_hears_of_the_end_of_a_session() {
    let world = World::new().await;
    let (_, key) = key(&world, &[Scope::RevocationsRead]).await;
    let server = Server::start(&world.app, None).await;
    let [refuses, accepts] = verifiers(&world, &key, server.address);
    let (mut alice, mut bob) = (world.member().await, world.member().await);
    carries_jwt(&mut alice).await;
    carries_jwt(&mut bob).await;
    assert_eq!(said(&refuses, &alice).await, Err(Refused::Stale), "nothing was heard yet");
    assert!(said(&accepts, &alice).await.is_ok());
    let following = [follows(&refuses), follows(&accepts)];
    comes("the feed is read", async || said(&refuses, &alice).await.is_ok()).await;

    // A real service with the layer in front.
    let whose = async |Extension(claims): Extension<Claims>| claims.sub.to_string();
    let service = Router::new().route("/orders", axum::routing::get(whose));
    let service = service.layer(VerifyLayer::new(refuses.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let orders = format!("http://{}/orders", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let asks = async |person: &Person<'_>| {
        let asked = http.get(&orders).bearer_auth(person.token.as_ref().unwrap());
        asked.send().await.unwrap()
    };
    let answer = asks(&alice).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), claims(alice.token.as_ref().unwrap())["sub"].as_str().unwrap());
    let bare = http.get(&orders).send().await.unwrap();
    assert_eq!(
        (bare.status().as_u16(), &bare.headers()["www-authenticate"]),
        (401, &"Bearer error=\"invalid_token\"".parse().unwrap())
    );

    alice.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    comes("she is refused", async || asks(&alice).await.status() == 401).await;
    comes("by both", async || said(&accepts, &alice).await == Err(Refused::Ended)).await;
    assert_eq!(asks(&bob).await.status(), 200);

    // The accounts are away. What is known goes on counting; what is not known is up to the service.
    let cursor = refuses.cursor();
    let at = server.stop().await;
    world.advance(Duration::from_secs(15));
    assert!(said(&refuses, &bob).await.is_ok(), "as old as it may be");
    world.advance(Duration::from_millis(1));
    assert_eq!(said(&refuses, &bob).await, Err(Refused::Stale));
    let answer = asks(&bob).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    assert!(said(&accepts, &bob).await.is_ok());
    assert_eq!(said(&accepts, &alice).await, Err(Refused::Ended));
    bob.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);

    let server = Server::start(&world.app, Some(at)).await;
    comes("he is refused", async || said(&refuses, &bob).await == Err(Refused::Ended)).await;
    comes("by both", async || said(&accepts, &bob).await == Err(Refused::Ended)).await;
    assert_ne!(refuses.cursor(), cursor);
    assert_eq!(said(&refuses, &alice).await, Err(Refused::Ended), "what was known is still known");
    carries_jwt(&mut bob).await;
    assert!(said(&refuses, &bob).await.is_ok());
    for task in following {
        task.abort();
    }
    serving.abort();
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_access_token_for_here_and_now_is_refused() {
    let world = World::new().await;
    let server = Server::start(&world.app, None).await;
    let [_, verifier] = verifiers(&world, "vk_x", server.address);
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    assert!(said(&verifier, &alice).await.is_ok());
    for (name, token) in vectors(&world, &alice).await {
        assert_eq!(verifier.check(&token).await.err(), Some(Refused::Invalid), "{name}");
    }
    world.advance(Duration::from_secs(299));
    assert!(said(&verifier, &alice).await.is_ok());
    world.advance(Duration::from_secs(1));
    assert_eq!(said(&verifier, &alice).await, Err(Refused::Invalid), "expired");
    // A new key is asked for when it is met, and one that nobody has is not asked for again and again.
    let turn = keys::actions::turn(&world.ctx(), keys::actions::Turn::Revoking).await.unwrap();
    assert!(turn.is_some());
    world.advance(Duration::from_secs(31));
    carries_jwt(&mut alice).await;
    assert!(said(&verifier, &alice).await.is_ok());
    server.stop().await;
}

/// When it last asked for keys lies in the future then, and says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_asked_for_although_the_clock_was_set_back() {
    const DAY: i64 = 86_400_000;
    let world = World::new().await;
    let server = Server::start(&world.app, None).await;
    let Clock::Manual(time) = Clock::manual(world.ctx().now) else { unreachable!() };
    let mut settings = Settings::new(world.app.origin.as_str(), "vk_x", WhenStale::Accept);
    settings.server = format!("http://{}/", server.address);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let verifier = Verifier::with_clock(settings, http, Clock::Manual(time.clone())).unwrap();
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    time.fetch_add(DAY, Ordering::SeqCst);
    assert_eq!(said(&verifier, &alice).await, Err(Refused::Invalid), "expired, by that clock");
    time.fetch_sub(DAY, Ordering::SeqCst);
    keys::actions::turn(&world.ctx(), keys::actions::Turn::Revoking).await.unwrap();
    world.advance(Duration::from_secs(31));
    time.fetch_add(31_000, Ordering::SeqCst);
    carries_jwt(&mut alice).await;
    assert!(said(&verifier, &alice).await.is_ok());
    server.stop().await;
}

/// Tokens that every verifier has to refuse, by what is wrong with each.
pub async fn vectors(world: &World, alice: &Person<'_>) -> Vec<(String, String)> {
    const BASE64: base64::engine::GeneralPurpose = URL_SAFE_NO_PAD;
    let good = alice.token.clone().unwrap();
    let said = claims(&good);
    let ctx = world.ctx();
    let mut bad: Vec<(String, String)> = Vec::new();
    let parts: Vec<_> = good.split('.').map(str::to_owned).collect();
    let header = String::from_utf8(BASE64.decode(&parts[0]).unwrap()).unwrap();
    let mut with_header = |name: &str, header: String| {
        bad.push((name.to_owned(), format!("{}.{}.{}", BASE64.encode(header), parts[1], parts[2])));
    };
    with_header("none", r#"{"alg":"none","typ":"at+jwt"}"#.to_owned());
    with_header("other algorithm", header.replacen(r#""alg":""#, r#""alg":"H"#, 1));
    with_header("other type", header.replace("at+jwt", "jwt"));
    with_header("unknown key", header.replace(r#""kid":"0"#, r#""kid":"1"#));
    with_header("a member more", header.replace(r#"{"alg"#, r#"{"crit":["b64"],"b64":false,"alg"#));
    bad.push(("no signature".to_owned(), format!("{}.{}.", parts[0], parts[1])));
    bad.push(("no signature at all".to_owned(), format!("{}.{}", parts[0], parts[1])));
    bad.push(("padding".to_owned(), format!("{good}=")));
    bad.push(("more".to_owned(), format!("{good}.{}", parts[2])));
    bad.push(("too long".to_owned(), format!("{good}{}", "A".repeat(4_000))));
    bad.push(("nothing".to_owned(), String::new()));
    let mut payload = said.clone();
    payload["aal"] = json!(3);
    bad.push((
        "other content".to_owned(),
        format!("{}.{}.{}", parts[0], BASE64.encode(payload.to_string()), parts[2]),
    ));
    for (name, field, value) in [
        ("other issuer", "iss", json!("https://evil.example")),
        ("other audience", "aud", json!("https://other.example")),
        ("expired", "exp", json!(said["iat"])),
        ("of the future", "iat", json!(said["iat"].as_i64().unwrap() + 120)),
        ("too long a life", "exp", json!(said["iat"].as_i64().unwrap() + 3_601)),
        ("no session", "sid", json!(null)),
        ("no beginning", "session_from", json!(null)),
    ] {
        let mut payload = said.clone();
        payload[field] = value;
        let signed = keys::sign(&ctx, Purpose::Access, payload.to_string().as_bytes()).await.unwrap();
        bad.push((name.to_owned(), signed));
    }
    let signed = keys::sign(&ctx, Purpose::Revocations, said.to_string().as_bytes()).await.unwrap();
    bad.push(("of the feed".to_owned(), signed));
    for at in (0..good.len()).step_by(5) {
        let mut altered = good.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        bad.push((format!("altered at {at}"), String::from_utf8(altered).unwrap()));
    }
    bad
}

/// Somebody between a verifier and the accounts: passes the keys on, and says of the feed what they like.
struct Between {
    address: SocketAddr,
    /// What they are asked for: `after`, of each stream in turn.
    asked: mpsc::UnboundedReceiver<Option<String>>,
    /// What they then say.
    says: mpsc::UnboundedSender<Vec<String>>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Said {
    keys: String,
    asked: mpsc::UnboundedSender<Option<String>>,
    says: Arc<Mutex<mpsc::UnboundedReceiver<Vec<String>>>>,
}

impl Between {
    async fn start(world: &World) -> Self {
        let keys =
            world.stranger().get("/.well-known/jwks.json").await.expect(StatusCode::OK).body.to_string();
        let ((asking, asked), (says, saying)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let state = Said { keys, asked: asking, says: Arc::new(Mutex::new(saying)) };
        let feed = async |State(said): State<Said>, Query(query): Query<HashMap<String, String>>| {
            let _ = said.asked.send(query.get("after").cloned());
            let texts = said.says.lock().await.recv().await.unwrap_or_default();
            texts.iter().map(|text| format!("event: revocations\ndata: {text}\n\n")).collect::<String>()
        };
        let router = Router::new()
            .route("/.well-known/jwks.json", axum::routing::get(async |State(said): State<Said>| said.keys))
            .route("/api/v1/revocations", axum::routing::get(feed))
            .with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked, says, serving }
    }

    /// Where the next stream is asked to go on. What was said before it has been heard then.
    async fn after(&mut self) -> Option<String> {
        let asked = tokio::time::timeout(Duration::from_secs(20), self.asked.recv()).await;
        asked.expect("it comes back").unwrap()
    }

    /// A verifier hears what is true, and then each of what is not; `judges` says what it makes of her token.
    async fn lies(mut self, world: &World, hers: &str, judges: &mut impl AsyncFnMut(&str) -> String) {
        let ctx = world.ctx();
        let said = claims(hers);
        let now = ctx.now.as_millis();
        let id = |n: u128| uuid::Uuid::from_u128(n);
        let ends = json!([{"sid": said["sid"], "until": now + 60_000}]);
        let batch = |after: Option<u128>, cursor: u128, now: i64, items: &Json| {
            let after = after.map(id);
            json!({"iss": said["iss"], "now": now, "after": after, "cursor": id(cursor), "more": false, "items": items})
        };
        let signed = async |purpose, batch: &Json| {
            keys::sign(&ctx, purpose, batch.to_string().as_bytes()).await.unwrap()
        };
        let by_them = async |batch: &Json| signed(Purpose::Revocations, batch).await;
        let nothing = json!([]);
        let (first, evil) = (batch(None, 1, now, &nothing), batch(None, 9, now, &ends));
        let first = by_them(&first).await;
        let parts: Vec<_> = first.split('.').collect();
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let [altered, unsigned] = [parts[0].to_owned(), encoded(r#"{"alg":"none","typ":"revocations+jwt"}"#)]
            .map(|header| format!("{header}.{}.", encoded(&evil.to_string())));
        let of_another = json!({"iss": "https://evil.example", "now": now, "after": null, "cursor": id(9), "more": false, "items": ends});
        let lies = [
            ("another content", format!("{altered}{}", parts[2])),
            ("no signature", altered.clone()),
            ("alg none", unsigned),
            ("signed as an access token", signed(Purpose::Access, &evil).await),
            ("another issuer", by_them(&of_another).await),
            ("something is missing between", by_them(&batch(Some(5), 9, now, &ends)).await),
            ("said before", by_them(&batch(Some(1), 9, now - 1, &ends)).await),
            ("from the future", by_them(&batch(Some(1), 9, now + 60_001, &ends)).await),
        ];

        assert_eq!(self.after().await, None, "nothing is known");
        self.says.send(vec![lies[0].1.clone()]).unwrap();
        assert_eq!(self.after().await, None);
        assert_eq!(judges(hers).await, "stale", "what is not signed makes nothing current");
        for (what, lie) in lies {
            self.says.send(vec![first.clone(), lie]).unwrap();
            assert_eq!(self.after().await, Some(id(1).to_string()), "{what}: it goes on where it was");
            assert_eq!(judges(hers).await, "", "{what}");
        }
        // A clock that is only a little ahead is waited for.
        self.says.send(vec![by_them(&batch(Some(1), 1, now + 20_000, &nothing)).await]).unwrap();
        assert_eq!(self.after().await, Some(id(1).to_string()));
        assert_eq!(judges(hers).await, "stale", "what ends until then is not known");
        world.advance(Duration::from_secs(20));
        let now = now + 20_000;
        assert_eq!(judges(hers).await, "");
        // From there on it takes what is true: the last word about a user, and a session's end for good.
        let from = said["session_from"].as_i64().unwrap();
        let cut =
            |from: Option<i64>| json!([{"sub": said["sub"], "session_from": from, "until": now + 60_000}]);
        let truths = [
            (cut(Some(from)), ""),
            (cut(Some(from + 1)), "ended"),
            (cut(Some(from)), ""),
            (cut(None), "ended"),
            (cut(Some(from)), ""),
            (ends, "ended"),
        ];
        for ((items, judged), at) in truths.iter().zip(1..) {
            self.says.send(vec![by_them(&batch(Some(at), at + 1, now, items)).await]).unwrap();
            assert_eq!(self.after().await, Some(id(at + 1).to_string()), "and from there");
            assert_eq!(judges(hers).await, *judged, "{items}");
        }
        self.serving.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_between_cannot_make_up_leave_out_or_repeat_what_the_feed_says() {
    let world = World::new().await;
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    let hers = alice.token.clone().unwrap();

    let between = Between::start(&world).await;
    let [refuses, _] = verifiers(&world, "vk_x", between.address);
    let following = follows(&refuses);
    let mut judges = async |token: &str| match refuses.check(token).await {
        Ok(_) => String::new(),
        Err(Refused::Stale) => "stale".to_owned(),
        Err(Refused::Ended) => "ended".to_owned(),
        Err(Refused::Invalid) => "invalid".to_owned(),
    };
    between.lies(&world, &hers, &mut judges).await;
    following.abort();

    let between = Between::start(&world).await;
    let Some(mut node) = Node::start(&world, "vk_x", between.address, "refuse").await else { return };
    let user = user_of(&hers);
    let mut judges = async |token: &str| node.says(token).await.replace(&user, "");
    between.lies(&world, &hers, &mut judges).await;
}

/// The verifier in TypeScript, compiled by `scripts/test`, in a Node of its own.
struct Node<'w> {
    world: &'w World,
    /// How far its clock is ahead.
    ahead: Duration,
    process: tokio::process::Child,
    lines: tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStdout>>,
}

impl<'w> Node<'w> {
    /// None where it was not compiled.
    async fn start(world: &'w World, key: &str, server: SocketAddr, when_stale: &str) -> Option<Self> {
        use tokio::io::AsyncBufReadExt;
        let Ok(module) = std::env::var("VESTIBULE_TEST_TYPESCRIPT") else {
            told::left_out("VESTIBULE_TEST_TYPESCRIPT names no compiled verifier; scripts/test makes one.");
            return None;
        };
        let mut process = tokio::process::Command::new("node")
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/typescript/drive.mjs"), module.as_str()])
            .env("NODE_NO_WARNINGS", "1")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = tokio::io::BufReader::new(process.stdout.take().unwrap()).lines();
        let mut node = Self { world, ahead: Duration::ZERO, process, lines };
        node.writes(json!({
            "issuer": world.app.origin.as_str(), "server": format!("http://{server}/"), "key": key,
            "whenStale": when_stale, "now": world.ctx().now.as_millis(),
        }))
        .await;
        Some(node)
    }

    async fn writes(&mut self, line: serde_json::Value) {
        use tokio::io::AsyncWriteExt;
        let line = format!("{line}\n");
        self.process.stdin.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    /// The user, or why not.
    async fn says(&mut self, token: &str) -> String {
        let now = self.world.ctx().now + self.ahead;
        self.writes(json!({"token": token, "now": now.as_millis()})).await;
        let line = tokio::time::timeout(Duration::from_secs(20), self.lines.next_line()).await;
        let line = line.expect("an answer").unwrap().expect("it runs");
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let word = said.get("refused").or(said.get("sub")).unwrap();
        word.as_str().unwrap().to_owned()
    }

    async fn comes(&mut self, token: &str, wanted: &str) {
        let waits = async {
            while self.says(token).await != wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap_or_else(|_| panic!("{wanted}"));
    }
}

fn user_of(token: &str) -> String {
    claims(token)["sub"].as_str().unwrap().to_owned()
}

/// The same as above, by the verifier in TypeScript.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_typescript_a_service_hears_of_the_end_of_a_session() {
    let world = World::new().await;
    let (_, key) = key(&world, &[Scope::RevocationsRead]).await;
    let server = Server::start(&world.app, None).await;
    let Some(mut refuses) = Node::start(&world, &key, server.address, "refuse").await else { return };
    let mut accepts = Node::start(&world, &key, server.address, "accept").await.unwrap();
    let (mut alice, mut bob) = (world.member().await, world.member().await);
    carries_jwt(&mut alice).await;
    carries_jwt(&mut bob).await;
    let (hers, his) = (alice.token.clone().unwrap(), bob.token.clone().unwrap());
    assert_eq!(accepts.says(&hers).await, user_of(&hers));
    refuses.comes(&hers, &user_of(&hers)).await;
    alice.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    refuses.comes(&hers, "ended").await;
    accepts.comes(&hers, "ended").await;
    assert_eq!(refuses.says(&his).await, user_of(&his));

    let at = server.stop().await;
    world.advance(Duration::from_secs(16));
    assert_eq!(refuses.says(&his).await, "stale");
    assert_eq!(accepts.says(&his).await, user_of(&his));
    bob.post("/api/v1/auth/logout", json!({"scope": "all"})).await.expect(StatusCode::NO_CONTENT);
    let server = Server::start(&world.app, Some(at)).await;
    refuses.comes(&his, "ended").await;
    accepts.comes(&his, "ended").await;
    assert_eq!(refuses.says(&hers).await, "ended", "what was known is still known");
    server.stop().await;
}

/// Packets to the accounts are dropped. Whoever is known by the keys does not wait for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_accounts_that_do_not_answer() {
    let world = World::new().await;
    let (_, key) = key(&world, &[Scope::RevocationsRead]).await;
    let server = Server::start(&world.app, None).await;
    let [_, accepts] = verifiers(&world, &key, server.address);
    let mut node = Node::start(&world, &key, server.address, "accept").await;
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    let token = alice.token.clone().unwrap();
    assert!(accepts.check(&token).await.is_ok());
    if let Some(node) = &mut node {
        assert_eq!(node.says(&token).await, user_of(&token));
    }
    // It takes connections, and says nothing.
    let _mute = TcpListener::bind(server.stop().await).await.unwrap();
    world.advance(Duration::from_secs(301));
    carries_jwt(&mut alice).await;
    let token = alice.token.clone().unwrap();
    let started = Instant::now();
    for _ in 0..3 {
        assert!(accepts.check(&token).await.is_ok());
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let Some(node) = &mut node else { return };
    let started = Instant::now();
    for _ in 0..3 {
        assert_eq!(node.says(&token).await, user_of(&token));
    }
    assert!(started.elapsed() < Duration::from_secs(2), "in TypeScript: {:?}", started.elapsed());
}

/// The same vectors, for each algorithm.
#[tokio::test]
async fn in_typescript_what_is_no_access_token_for_here_and_now_is_refused() {
    for algorithm in vestibule::jwt::Algorithm::ALL {
        let world = World::plan().config(|config| config.tokens.algorithm = *algorithm).build().await;
        let server = Server::start(&world.app, None).await;
        let Some(mut node) = Node::start(&world, "vk_x", server.address, "accept").await else { return };
        let [_, verifier] = verifiers(&world, "vk_x", server.address);
        let mut alice = world.member().await;
        carries_jwt(&mut alice).await;
        let good = alice.token.clone().unwrap();
        assert_eq!(node.says(&good).await, user_of(&good), "{algorithm}");
        assert!(verifier.check(&good).await.is_ok(), "{algorithm}");
        for (name, token) in vectors(&world, &alice).await {
            assert_eq!(node.says(&token).await, "invalid", "{algorithm} {name}");
            assert_eq!(verifier.check(&token).await.err(), Some(Refused::Invalid), "{algorithm} {name}");
        }
        world.advance(Duration::from_secs(300));
        assert_eq!(node.says(&good).await, "invalid", "{algorithm}: expired");
        server.stop().await;
    }
}

/// Keys that were read while the clock was ahead are old once it is right, and so is the last time they were asked for.
#[tokio::test]
async fn in_typescript_a_clock_that_was_set_back_keeps_no_new_key_out() {
    let world = World::new().await;
    let server = Server::start(&world.app, None).await;
    let Some(mut node) = Node::start(&world, "vk_x", server.address, "accept").await else { return };
    let mut alice = world.member().await;
    carries_jwt(&mut alice).await;
    node.ahead = Duration::from_secs(3_600);
    assert_eq!(node.says(alice.token.as_ref().unwrap()).await, "invalid", "it has run out there");
    node.ahead = Duration::ZERO;
    let turn = keys::actions::turn(&world.ctx(), keys::actions::Turn::Revoking).await.unwrap();
    assert!(turn.is_some());
    world.advance(Duration::from_secs(31));
    carries_jwt(&mut alice).await;
    let hers = alice.token.clone().unwrap();
    assert_eq!(node.says(&hers).await, user_of(&hers));
    server.stop().await;
}

/// What is no key is refused by itself: what `fetch` throws of it would quote it in the log.
#[tokio::test]
async fn in_typescript_a_key_that_cannot_be_sent_is_not_told() {
    let Ok(module) = std::env::var("VESTIBULE_TEST_TYPESCRIPT") else {
        return told::left_out(
            "VESTIBULE_TEST_TYPESCRIPT names no compiled verifier; scripts/test makes one.",
        );
    };
    let tries = format!(
        "const {{ Verifier }} = await import('file://{module}');
         const made = (key) => {{
           try {{ new Verifier({{ issuer: 'http://127.0.0.1', key, whenStale: 'accept' }}); return 'made'; }}
           catch (error) {{ return String(error); }}
         }};
         console.log(made('vk_abc\\nvk_def'), made('vk_abc\\n'));"
    );
    let mut node = tokio::process::Command::new("node");
    let said = node.args(["--input-type=module", "-e", &tries]).output().await.unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("not one API key") && said.ends_with("made\n") && !said.contains("vk_"), "{said}");
}
