//! A house just complete enough for the door's own tests.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt;
use uuid::Uuid;

use super::access::Access::{Public, Webhook};
use super::entrance::Entrance;
use super::extract::{Body, Params, Search};
use super::route::{Route, get as route_get, post};
use super::router;
use crate::accounts::User;
use crate::app::{App, Ctx};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Server};
use crate::error::{Error, Problem, Result};
use crate::policy::Policy;
use crate::policy::Proofs;
use crate::random::Random;
use crate::secret::Keyring;
use crate::sessions::{Caller, Carry, Session};
use crate::store::{Change, Engine, Faults, Memory};

/// The settings that the tests start from: times short, bounds small.
const SETTINGS: &str = r#"
[server]
listen = "127.0.0.1:0"
origin = "https://accounts.example.com"
trusted_proxies = ["10.0.0.0/8"]
allowed_origins = ["https://app.example.com"]
body_limit = 1024
max_connections = 8
header_timeout = "300ms"
request_timeout = "400ms"
drain_timeout = "700ms"
[hashing]
memory_kib = 8
passes = 1
permits = 1
portable = true
"#;

pub(crate) fn server() -> Server {
    Config::from_toml(SETTINGS).unwrap().server
}

pub(crate) fn app() -> Arc<App> {
    app_with(server())
}

pub(crate) fn app_with(server: Server) -> Arc<App> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let random = Random::seeded(42);
    let mut config = Config::from_toml(SETTINGS).unwrap();
    config.server = server;
    config.secrets.keys = vec![Keyring::generate("test", &random)];
    let policy = Policy::from_toml("").unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_893_456_000_000));
    App::build(config, policy, Engine::Memory(Memory::new(Faults::default())), clock, random).unwrap()
}

/// A house, and a bearer credential of somebody who is signed in there.
pub(crate) async fn signed_in() -> (Arc<App>, String) {
    let app = app();
    let moment = Ctx::new(Arc::clone(&app), None).moment();
    let now = moment.now;
    let user = User::new(Uuid::from_u128(1), now);
    let (session, token) =
        Session::open(&user, Proofs::default(), Carry::Bearer, &app.policy().session, &moment);
    app.store.commit(vec![Change::insert(&user), Change::insert(&session)]).await.unwrap();
    (app, format!("Bearer {}", token.reveal()))
}

pub(crate) async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) async fn json(response: Response) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Thing {
    name: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u8>,
}

async fn echo(Body(thing): Body<Thing>) -> (StatusCode, Json<Thing>) {
    (StatusCode::CREATED, Json(thing))
}
async fn perhaps(body: Option<Body<Thing>>) -> String {
    body.map_or("none".to_owned(), |Body(thing)| thing.name)
}
async fn one(_: Caller, Params(id): Params<u32>, Search(page): Search<Page>) -> String {
    format!("{id} {:?}", page.limit)
}
async fn me(ctx: Ctx) -> String {
    let client = ctx.client.unwrap();
    format!("{} {} {}", client.address, client.request_id, client.user_agent.as_deref().unwrap_or("-"))
}
async fn now(ctx: Ctx) -> String {
    ctx.now.to_string()
}
async fn panics() -> &'static str {
    panic!("on purpose")
}
async fn fails() -> Result<()> {
    Err(Error::internal("the hidden cause"))
}
async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(250)).await;
    "done"
}
/// An answer that takes longer than a head may, and is never held up by whoever takes it.
async fn drips() -> axum::body::Body {
    let drops = futures_util::stream::unfold(0, async |count| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (count < 8).then(|| (Ok::<_, std::convert::Infallible>(format!("{count} ")), count + 1))
    });
    axum::body::Body::from_stream(drops)
}
async fn stuck() {
    std::future::pending().await
}

/// Lines that exercise what real ones use.
#[rustfmt::skip]
pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/things", echo).access(Public).about("Make").takes::<Thing>().answers::<Thing>(201, "Made").may(&[Problem::IdentifierTaken]),
        post("/perhaps", perhaps).access(Public).about("Perhaps").may_take::<Thing>().answers_in(200, "text/plain", "A name"),
        route_get("/things/{id}", one).about("Read").searches::<Page>().answers_in(200, "text/plain", "It"),
        post("/closed", me).about("Closed").answers_in(200, "text/plain", "It"),
        post("/hook", me).access(Webhook).about("A callback").answers_nothing(204, "Taken"),
        route_get("/me", me).access(Public).about("Me").answers_in(200, "text/plain", "It"),
        post("/now", now).access(Public).about("The time").answers_in(200, "text/plain", "It"),
        route_get("/panics", panics).access(Public).about("Panics").answers_nothing(204, "Never"),
        route_get("/fails", fails).access(Public).about("Fails").answers_nothing(204, "Never"),
        route_get("/slow", slow).access(Public).about("Slow").answers_in(200, "text/plain", "Done"),
        route_get("/drips", drips).access(Public).about("Drips").answers_in(200, "text/plain", "Drops"),
        route_get("/stuck", stuck).access(Public).about("Stuck").answers_nothing(204, "Never"),
    ]
}

/// The test lines and the operations, behind the layers.
pub(crate) fn door(app: &Arc<App>) -> Entrance {
    router::build(Arc::clone(app), &routes(), &router::operations(), Vec::new()).unwrap()
}

/// Sends one request from 10.0.0.1, a trusted proxy.
pub(crate) async fn ask(method: &str, path: &str, headers: &[(&str, &str)], body: &'static str) -> Response {
    ask_at(&app(), method, path, headers, body).await
}

pub(crate) async fn ask_at(
    app: &Arc<App>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Response {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .extension(ConnectInfo(std::net::SocketAddr::from(([10, 0, 0, 1], 9))));
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "accounts.example.com");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    door(app).oneshot(request.body(axum::body::Body::from(body)).unwrap()).await.unwrap()
}

pub(crate) async fn get(path: &str) -> Response {
    ask("GET", path, &[], "").await
}
