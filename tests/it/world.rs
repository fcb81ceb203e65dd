//! A whole house at 2030-01-01T00:00:00Z with seed 42, and the persons who come to it.
//!
//! Everything is real: the store (SQLite, or Postgres when `VESTIBULE_TEST_STORE=postgres`), the
//! HTTP door, the Twilio client talking over loopback to the development door's look-alike. Only
//! time and chance are handed in.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tokio::time::timeout;
use tower::ServiceExt;
use tracing::instrument::WithSubscriber;
use vestibule::app::{App, Ctx};
use vestibule::clock::{Clock, Timestamp};
use vestibule::config::Config;
use vestibule::http::entrance::Entrance;
use vestibule::messages::{self, Channel};
use vestibule::policy::Policy;
use vestibule::random::Random;
use vestibule::store::Engine;

pub const PASSWORD: &str = "correct horse battery staple";

/// A house under test.
pub struct World {
    pub app: Arc<App>,
    pub router: Entrance,
    pub address: SocketAddr,
    people: AtomicU32,
    serving: tokio::task::JoinHandle<()>,
    pub place: super::place::Place,
}

type Change<T> = Box<dyn FnOnce(&mut T)>;

/// What a house differs in from the default.
#[derive(Default)]
pub struct Plan {
    policy: Vec<Change<Policy>>,
    config: Vec<Change<Config>>,
}

impl Plan {
    pub fn policy(mut self, change: impl FnOnce(&mut Policy) + 'static) -> Self {
        self.policy.push(Box::new(change));
        self
    }

    pub fn config(mut self, change: impl FnOnce(&mut Config) + 'static) -> Self {
        self.config.push(Box::new(change));
        self
    }

    pub async fn build(self) -> World {
        vestibule::tls::install_crypto();
        let place = super::place::Place::new().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = Config::from_toml("").unwrap();
        config.develop_at(address, &Random::seeded(2));
        let (mails, sink) = vestibule::dev::mail::listen().await.unwrap();
        config.smtp.sink_at(sink);
        let mut policy = Policy::from_toml("").unwrap();
        // Cheap hashes: the suite is about what is decided, not about what it costs.
        config.hashing.memory_kib = 64;
        config.hashing.passes = 1;
        config.hashing.permits = 2;
        config.secrets.keys = vec![vestibule::secret::Keyring::generate("test", &Random::seeded(1))];
        // All the numbers here are in one block, which no town's are.
        policy.limits.send_block.limit = 100_000;
        policy.limits.unproven_block.limit = 100_000;
        for change in self.config {
            change(&mut config);
        }
        for change in self.policy {
            change(&mut policy);
        }
        let engine = Engine::open(&place.url, 4).unwrap();
        vestibule::store::migrations::apply(&engine).await.unwrap();
        let start: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let app = App::build(config, policy, engine, Clock::manual(start), Random::seeded(42)).unwrap();
        app.outbound.allow(address);
        let dev = vestibule::dev::Dev::default();
        dev.receive_mail(&app, mails);
        let router = vestibule::http::router::development(&app, dev).unwrap();
        let serving = tokio::spawn({
            let (app, router) = (app.clone(), router.clone());
            async move {
                let never = std::future::pending::<()>();
                vestibule::http::serve(app, listener, router, &vestibule::http::Loops::here(), never).await;
            }
        });
        World { app, router, address, people: AtomicU32::new(0), serving, place }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl World {
    pub async fn new() -> Self {
        Plan::default().build().await
    }

    pub fn plan() -> Plan {
        Plan::default()
    }

    /// The same records at the same hour under other settings, as after a restart.
    pub fn restart(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = self.app.config.clone();
        change(&mut config);
        let engine = Engine::open(&self.place.url, 4).unwrap();
        let (policy, clock) = ((*self.app.policy()).clone(), self.app.clock.clone());
        self.app = App::build(config, policy, engine, clock, Random::System).unwrap();
        self.app.outbound.allow(self.address);
        let dev = vestibule::dev::Dev::default();
        self.router = vestibule::http::router::development(&self.app, dev).unwrap();
    }

    /// Somebody at an address of their own, of whom nothing is known.
    pub fn stranger(&self) -> Person<'_> {
        let n = self.people.fetch_add(1, Ordering::SeqCst);
        let ip: IpAddr = [203, 0, 113, 1 + u8::try_from(n % 250).unwrap()].into();
        Person {
            world: self,
            ip,
            username: format!("person{n}"),
            mobile: format!("+1202555{:04}", 100 + n),
            token: None,
            cookies: Vec::new(),
            headers: HeaderMap::new(),
        }
    }

    /// Somebody with an account who is not signed in.
    pub async fn member(&self) -> Person<'_> {
        let person = self.stranger();
        person.signs_up().await.expect(StatusCode::CREATED);
        self.run_due().await;
        person
    }

    /// Somebody with an account who is signed in by bearer token.
    pub async fn alice(&self) -> Person<'_> {
        let mut person = self.member().await;
        person.signs_in().await;
        person
    }

    pub fn advance(&self, by: Duration) {
        self.app.clock.advance(by);
    }

    pub fn ctx(&self) -> Ctx {
        Ctx::new(self.app.clone(), None)
    }

    /// What `one` and `other` come to when both have looked before either is written, `one` first: while they wait,
    /// `sql` comes true.
    pub async fn both_wait(
        &self,
        one: impl Future<Output = Answer>,
        other: impl Future<Output = Answer>,
        sql: &str,
    ) -> (Answer, Answer) {
        let (mut one, mut other) = (pin!(one), pin!(other));
        let moment = Duration::from_millis(500);
        let held = async {
            assert!(timeout(moment, one.as_mut()).await.is_err(), "its commit waits");
            assert!(timeout(moment, other.as_mut()).await.is_err(), "its commit waits");
        };
        self.place.by_hand_around(sql, held).await;
        tokio::join!(one, other)
    }

    /// Sends every message that is due, and looks after those that were sent.
    pub async fn run_due(&self) {
        for kind in Channel::ALL.iter().copied() {
            while messages::actions::run_due(&self.ctx(), kind).await.unwrap() > 0 {}
        }
        while vestibule::calls::actions::run_due(&self.ctx()).await.unwrap() > 0 {}
        while vestibule::messages::actions::look_after(&self.ctx()).await.unwrap() > 0 {}
    }

    /// The newest mail that came to `address`, as `GET /dev/messages` tells it: `subject`, `body`,
    /// `html`, `source` with the headers, and `code` when it carries one.
    pub async fn last_mail(&self, address: &str) -> Json {
        let answer = self.messages(address).await;
        let mail = answer["items"][0].clone();
        assert_eq!(mail["kind"], "email", "no mail at {address}: {answer}");
        mail
    }

    /// The newest code that rang at `number`.
    pub async fn last_code(&self, number: &str) -> String {
        let answer = self.messages(number).await;
        // What waits at the same moment comes in any order, and not all of it carries a code.
        let items = answer["items"].as_array().unwrap();
        items
            .iter()
            .find_map(|item| item["code"].as_str())
            .unwrap_or_else(|| panic!("no code at {number}: {answer}"))
            .to_owned()
    }

    /// Everything that rang at `number`, or came to that address, newest first.
    pub async fn messages(&self, number: &str) -> Json {
        let number = number.replace('+', "%2B");
        let url = format!("/dev/messages?to={number}");
        let request = Request::get(url).header(header::HOST, self.address.to_string());
        let request = request.extension(axum::extract::ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9))));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        Answer::read(response).await.expect(StatusCode::OK).body
    }

    /// How many rows a table holds, by way of the store.
    pub async fn count<T: vestibule::store::Entity>(&self, index: vestibule::store::Index) -> usize {
        let query = vestibule::store::Query::<T>::along(index).limit(10_000);
        self.app.store.find(query).await.unwrap().items.len()
    }
}

/// Somebody at one address, with what their client remembers.
#[derive(Clone)]
pub struct Person<'w> {
    pub world: &'w World,
    pub ip: IpAddr,
    pub username: String,
    pub mobile: String,
    pub token: Option<String>,
    pub cookies: Vec<(String, String)>,
    pub headers: HeaderMap,
}

impl Person<'_> {
    pub fn email(&self) -> String {
        format!("{}@example.com", self.username)
    }

    pub fn account(&self) -> Json {
        json!({"username": self.username, "email": self.email(), "mobile": self.mobile, "password": PASSWORD})
    }

    pub async fn signs_up(&self) -> Answer {
        self.post("/api/v1/users", self.account()).await
    }

    pub async fn gives_password(&self) -> Answer {
        self.post("/api/v1/auth/login", json!({"identifier": self.username, "password": PASSWORD})).await
    }

    /// The same, and while what it comes to is being written, `sql` comes true.
    pub async fn gives_password_while(&self, sql: &str) -> Answer {
        let conflicts = &self.world.app.metrics.conflicts;
        let before = conflicts.get();
        let answer = self.waits_while(self.gives_password(), sql).await;
        assert!(conflicts.get() > before, "it was to be written meanwhile");
        answer
    }

    /// The answer that waits for its first commit, and while it does, `sql` comes true.
    pub async fn waits_while(&self, answer: impl Future<Output = Answer>, sql: &str) -> Answer {
        let mut answer = pin!(answer);
        // Long enough to look everything up, and far less than a commit waits.
        let held = timeout(Duration::from_millis(500), answer.as_mut());
        let held = async { assert!(held.await.is_err(), "its commit waits") };
        self.world.place.by_hand_around(sql, held).await;
        answer.await
    }

    /// The whole way: password, code from the phone, token kept.
    pub async fn signs_in(&mut self) -> Json {
        // What was asked for before arrives before, so that the newest code is this sign-in's.
        self.world.run_due().await;
        let asked = self.gives_password().await.expect(StatusCode::OK).body;
        assert_eq!(asked["status"], "second_factor_required", "{asked}");
        self.world.run_due().await;
        let code = self.world.last_code(&self.mobile).await;
        let body = json!({"challenge": asked["challenge"]["id"], "code": code});
        let done = self.post("/api/v1/auth/verify-code", body).await.expect(StatusCode::OK).body;
        assert_eq!(done["status"], "signed_in", "{done}");
        self.token = Some(done["token"].as_str().unwrap().to_owned());
        done
    }

    pub async fn is_signed_in(&self) -> bool {
        let answer = self.get("/api/v1/auth/authenticated").await.expect(StatusCode::OK);
        answer.body["authenticated"].as_bool().unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }

    pub async fn post(&self, path: &str, body: Json) -> Answer {
        self.send("POST", path, Some(("application/json", body.to_string().into_bytes()))).await
    }

    /// Anything at all.
    pub async fn send(&self, method: &str, path: &str, body: Option<(&str, Vec<u8>)>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::HOST, self.world.address.to_string());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !self.cookies.is_empty() {
            let cookies: Vec<_> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request = request.extension(axum::extract::ConnectInfo(SocketAddr::new(self.ip, 40_000)));
        let (kind, bytes) = body.unwrap_or_default();
        if !kind.is_empty() {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(bytes)).unwrap();
        // A task of its own, as each connection of a server: where there are several threads, what is asked at once
        // runs at once.
        let router = self.world.router.clone();
        let asked = async { Answer::read(router.oneshot(request).await.unwrap()).await };
        tokio::spawn(asked.with_current_subscriber()).await.unwrap()
    }

    /// Keeps the cookies of an answer, as a browser would.
    pub fn keeps_cookies(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, rest) = text.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !text.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Json,
    pub bytes: Vec<u8>,
}

impl Answer {
    async fn read(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Json::Null);
        Self { status: parts.status, headers: parts.headers, body, bytes }
    }

    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }

    /// A line of the catalogue.
    #[track_caller]
    pub fn problem(self, status: u16, slug: &str) -> Self {
        assert_eq!(
            self.body["type"],
            format!("/problems/{slug}"),
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        assert_eq!(self.status.as_u16(), status);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        self
    }
}

/// Nothing that people do is done too often.
pub fn unlimited(policy: &mut Policy) {
    let limits = &mut policy.limits;
    for budget in [
        &mut limits.sign_in_identifier,
        &mut limits.sign_in_address,
        &mut limits.sign_up_address,
        &mut limits.code_try_address,
        &mut limits.send_number_short,
        &mut limits.send_number_day,
        &mut limits.send_stranger_short,
        &mut limits.send_stranger_day,
        &mut limits.send_others_short,
        &mut limits.send_others_day,
        &mut limits.send_address,
        &mut limits.send_notice,
        &mut limits.recover_identifier,
        &mut limits.recover_address,
        &mut limits.recover_device,
        &mut limits.send_recovery,
        &mut limits.send_recovery_number,
        &mut limits.send_recovery_number_day,
        &mut limits.send_recovery_network,
        &mut limits.send_recovery_number_network,
        &mut limits.send_recovery_known,
        &mut limits.call_user,
        &mut limits.call_number,
        &mut limits.call_address,
        &mut limits.change_user,
        &mut limits.change_user_day,
        &mut limits.export_user,
        &mut limits.organization_user,
        &mut limits.invitation_user,
        &mut limits.password_strength_address,
    ] {
        budget.limit = 1_000_000;
    }
}
