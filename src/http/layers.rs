//! What every request passes, top to bottom in one place ([`enter`]), and what its line of the
//! router adds ([`admit`]).

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout};
use tower::Service;
use uuid::Uuid;

use super::access::Access;
use super::client;
use super::extract::Asker;
use super::origins::Origins;
use super::problem;
use crate::accounts::ADMIN;
use crate::app::{App, Client, Ctx};
use crate::config::Network;
use crate::error::{Error, Problem, Result};
use crate::log::{self, ACCESS};
use crate::service_accounts::{self, Scope};
use crate::{clients, sessions};

/// The most headers a request may have. Browsers send about twenty, proxies add about ten.
const HEADER_COUNT: usize = 64;
/// The most bytes in all headers together: what common proxies pass on by default.
const HEADER_BYTES: usize = 16 * 1024;
/// The longest address. Nothing here is longer than a token and a cursor.
const ADDRESS_BYTES: usize = 4 * 1024;
/// What is kept of what a client calls itself, in characters.
const USER_AGENT: usize = 256;
/// The least time after which asking an overloaded server again makes sense.
const PAUSE: Duration = Duration::from_secs(1);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the layers know besides the house: settings that are read once.
pub struct Door {
    app: Arc<App>,
    proxies: Vec<Network>,
    origins: Origins,
    /// The templates of the map's paths, for figures and log: a path itself can hold a token.
    paths: matchit::Router<String>,
    /// What every answer wears, made once: for data, and for pages.
    dress: [HeaderMap; 2],
    ids: Ids,
}

/// Where the ids of requests come from. They only have to differ, so chance is drawn once and then
/// counted on (RFC 9562 section 6.2, method 1).
struct Ids {
    node: [u8; 2],
    next: AtomicU64,
}

impl Door {
    /// Reads what the configuration says about the way in, to a map of these `paths`.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(app: Arc<App>, paths: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let server = &app.config.server;
        let proxies = server.trusted_proxies.clone();
        let origins = Origins::new(&app.origin, &server.allowed_origins)?;
        let dress = [DATA_POLICY, PAGE_POLICY].map(|policy| wardrobe(policy, app.origin.is_secure()));
        let mut templates = matchit::Router::new();
        // One that is there already: two methods of one path.
        paths.into_iter().for_each(|path| drop(templates.insert(path.clone(), path)));
        let ids = Ids { node: app.random.bytes(), next: u64::from_le_bytes(app.random.bytes()).into() };
        Ok(Self { app, proxies, origins, paths: templates, dress, ids })
    }

    /// What is known about the asker before anything is read: the id of the request as it is told
    /// outside, and the client.
    fn meet(&self, request: &Request) -> (Arc<str>, Client) {
        let peer =
            request.extensions().get::<ConnectInfo<SocketAddr>>().map_or(client::UNKNOWN, |peer| peer.0.ip());
        let headers = request.headers();
        let told = headers
            .get(&REQUEST_ID)
            .filter(|_| client::is_trusted(peer, &self.proxies))
            .and_then(read_request_id);
        let request_id = told.and_then(|told| told.parse().ok()).unwrap_or_else(|| self.new_id());
        let client = Client {
            address: client::client_ip(peer, headers, &self.proxies),
            user_agent: headers.get(header::USER_AGENT).map(read_user_agent),
            request_id,
        };
        let mut room = Uuid::encode_buffer();
        let id = told.unwrap_or_else(|| request_id.hyphenated().encode_lower(&mut room));
        (id.into(), client)
    }

    /// A UUIDv7 (RFC 9562).
    fn new_id(&self) -> Uuid {
        let millis = u64::try_from(self.app.clock.now().as_millis()).unwrap_or(0);
        let [a, b] = self.ids.node;
        let [c, d, e, f, g, h, i, j] = self.ids.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        uuid::Builder::from_unix_timestamp_millis(millis, &[a, b, c, d, e, f, g, h, i, j]).into_uuid()
    }

    /// The way through: refuse what is too large or under a foreign name, answer preflights, take in
    /// the body, hand on.
    async fn pass(&self, request: Request, mut map: Router) -> Result<Response> {
        check_size(&request)?;
        self.origins.guard_host(request.headers())?;
        if let Some(preflight) = self.origins.preflight(request.method(), request.headers())? {
            return Ok(preflight);
        }
        let patience = *self.app.config.server.request_timeout;
        let mut request = request;
        if !request.body().is_end_stream() {
            let received = timeout(patience, self.receive(request)).await;
            request = received.map_err(|_| Problem::RequestTimeout)??;
            // The request begins when it is all there: who sends slowly does not hold the time back.
            if let Some(ctx) = request.extensions_mut().get_mut::<Ctx>() {
                (ctx.now, ctx.policy) = (self.app.clock.now(), self.app.policy());
            }
        }
        let answered = timeout(patience, caught(map.call(request))).await;
        answered
            .map_err(|_| Error::new(Problem::Unavailable).retry_after(PAUSE).because("no answer in time"))?
    }

    /// The request with its whole body in memory. No handler waits for a slow client, and none can
    /// forget the limit.
    async fn receive(&self, request: Request) -> Result<Request> {
        let limit = self.app.config.server.body_limit;
        let (parts, body) = request.into_parts();
        if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(Problem::BodyTooLarge.into());
        }
        let whole = Limited::new(body, limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Error::new(Problem::BodyTooLarge)
            } else {
                Error::new(Problem::MalformedRequest).because(error)
            }
        })?;
        Ok(Request::from_parts(parts, Body::from(whole.to_bytes())))
    }

    /// Headers that every answer has. What a handler has set stays.
    fn dress(&self, headers: &mut HeaderMap) {
        let page =
            headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let [data_dress, page_dress] = &self.dress;
        let mut dressed = if page { page_dress.clone() } else { data_dress.clone() };
        // A name that the handler has set replaces ours, with all its values.
        dressed.extend(std::mem::take(headers));
        *headers = dressed;
    }
}

/// What every answer under this content policy wears.
fn wardrobe(policy: &'static str, is_secure: bool) -> HeaderMap {
    // Room for what handlers add.
    let mut headers = HeaderMap::with_capacity(24);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.extend(ALWAYS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    if is_secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    headers
}

/// Nothing may be loaded from, sent to or framed around an answer that is not a page.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// A page may use what this server serves and nothing written into the page itself.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
/// Two years, subdomains too (ASVS 5.0, 3.4.1).
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

const ALWAYS: [(HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// What every request passes. Outside to inside: the request's id and the client; the log and the
/// figures; security headers and CORS; failures written as problems; sizes; preflights; the body,
/// in time; panics and time-outs of what lies behind.
pub async fn enter(door: &Arc<Door>, mut request: Request, map: Router) -> Response {
    let started = Instant::now();
    let (id, client) = door.meet(&request);
    let method = known(request.method());
    let route = door.paths.at(request.uri().path()).map_or("unmatched", |found| found.value);
    let origin = request.headers().get(header::ORIGIN).cloned();
    let address = client.address;
    request.extensions_mut().insert(Ctx::new(Arc::clone(&door.app), Some(client)));

    let answered = log::of_request(Arc::clone(&id), door.pass(request, map)).await;
    let response = answered.unwrap_or_else(IntoResponse::into_response);

    let mut response = problem::settle(response, &id);
    door.origins.share(origin, response.headers_mut());
    door.dress(response.headers_mut());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    door.note(method, route, response.status().as_u16(), started.elapsed(), &id, address);
    response
}

impl Door {
    /// One line in the log and one in the figures.
    fn note(&self, method: &str, route: &str, status: u16, took: Duration, request_id: &str, client: IpAddr) {
        tracing::info!(target: ACCESS, method, route, status, ms = took.as_secs_f64() * 1e3, request_id, client = %client::Written(client), "answered");
        self.app.metrics.request(method, route, status, took);
    }
}

/// What a route's line adds: nobody from another site, nobody without a session unless the line says so.
pub async fn admit(
    State((door, access, scope)): State<(Arc<Door>, Access, Option<Scope>)>,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    if !matches!(access, Access::Webhook | Access::Client) {
        door.origins.guard(request.method(), request.headers())?;
    }
    let entered = |request: &Request| {
        let ctx = request.extensions().get::<Ctx>().cloned();
        ctx.ok_or_else(|| Error::internal("the request did not come through the layers"))
    };
    if let Some(scope) = scope
        && let Some(shown) = service_accounts::shown(request.headers())
    {
        let key = service_accounts::authenticate(&entered(&request)?, shown, scope).await?;
        request.extensions_mut().insert(Asker::Key(key));
        return Ok(next.run(request).await);
    }
    if access == Access::Client {
        let client = clients::authenticate(&entered(&request)?, request.headers()).await?;
        request.extensions_mut().insert(Asker::Client(client.id));
        request.extensions_mut().insert(client);
    }
    if access.needs_session() {
        let ctx = entered(&request)?;
        let caller =
            sessions::authenticate(&ctx, request.headers()).await?.ok_or(Problem::Unauthenticated)?;
        if access == Access::Admin && !caller.user.roles.has(ADMIN) {
            return Err(Problem::NotFound.into());
        }
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

/// Whether [`admit`] would let every such request through unlooked at.
pub fn is_open(access: Access, method: &Method) -> bool {
    match access {
        Access::Session | Access::Admin | Access::Client => false,
        Access::Public => method.is_safe(),
        Access::Webhook => true,
    }
}

/// What a client calls itself, without what would spoil a page or a log.
fn read_user_agent(agent: &HeaderValue) -> String {
    match agent.to_str() {
        // Visible ASCII, spaces and tabs.
        Ok(text) if text.len() <= USER_AGENT && !text.contains('\t') => text.to_owned(),
        _ => {
            let text = String::from_utf8_lossy(agent.as_bytes());
            text.chars().filter(|c| !c.is_control()).take(USER_AGENT).collect()
        }
    }
}

/// A request id that a trusted proxy may choose: 8 to 64 letters, digits and hyphens.
fn read_request_id(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let fits = (8..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits.then_some(text)
}

fn check_size(request: &Request) -> Result<()> {
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > HEADER_COUNT || bytes > HEADER_BYTES {
        return Err(Problem::HeadersTooLarge.into());
    }
    let address = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    if address > ADDRESS_BYTES {
        return Err(Error::new(Problem::MalformedRequest).detail("The address is too long."));
    }
    Ok(())
}

/// The methods that figures know by name.
fn known(method: &Method) -> &'static str {
    let names = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    names.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

/// Runs `work`; a panic in it is one request's failure, not the connection's.
async fn caught(work: impl Future<Output = Result<Response, Infallible>>) -> Result<Response> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        // Nothing that panicked is looked at again: the future is dropped with the request.
        match std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(poll) => poll.map(|Ok(response)| Ok(response)),
            Err(_) => std::task::Poll::Ready(Err(Error::internal("a handler panicked"))),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{app, app_with, ask, ask_at, get, json, server, text};
    use std::sync::Mutex;

    const JSON: (&str, &str) = ("content-type", "application/json");
    const APP: &str = "https://app.example.com";
    const EVIL: &str = "https://evil.example";

    async fn kind(response: Response) -> String {
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(response.headers()["content-type"], problem::MEDIA_TYPE);
        let status = response.status().as_u16();
        let report = json(response).await;
        assert_eq!(report["instance"], id);
        assert_eq!(report["status"], status);
        report["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned()
    }

    #[tokio::test]
    async fn every_answer_wears_its_headers() {
        for path in ["/api/v1/me", "/nothing", "/api/v1/panics", "/docs", "/health/live"] {
            let response = get(path).await;
            let headers = response.headers();
            for (name, value) in ALWAYS {
                assert_eq!(headers[&name], value, "{path}");
            }
            assert_eq!(
                headers["content-security-policy"],
                if path == "/docs" { PAGE_POLICY } else { DATA_POLICY }
            );
            assert_eq!(headers["strict-transport-security"], STRICT_TRANSPORT);
            assert!(headers.contains_key("x-request-id") && !headers.contains_key("server"));
        }
        let plain =
            app_with(crate::config::Server { origin: "http://127.0.0.1:8080".to_owned(), ..server() });
        assert!(
            !ask_at(&plain, "GET", "/api/v1/me", &[], "")
                .await
                .headers()
                .contains_key("strict-transport-security")
        );
        assert_eq!(
            kind(ask_at(&plain, "GET", "/api/v1/me", &[("host", "evil.example:8080")], "").await).await,
            "cross-site"
        );
    }

    #[tokio::test]
    async fn closed_routes_ask_who_it_is_before_anything_else() {
        assert_eq!(kind(get("/api/v1/things/7").await).await, "unauthenticated");
        assert_eq!(kind(ask("POST", "/api/closed", &[], "").await).await, "unauthenticated");
        let (app, bearer) = crate::http::testing::signed_in().await;
        let asked = async |path: &str| ask_at(&app, "GET", path, &[("authorization", &bearer)], "").await;
        assert_eq!(text(asked("/api/v1/things/7?limit=3").await).await, "7 Some(3)");
        assert_eq!(text(asked("/api/things/7").await).await, "7 None");
        assert_eq!(kind(asked("/api/v1/things/x").await).await, "not-found");
        assert_eq!(kind(asked("/api/v1/things/7?x=1").await).await, "invalid");
    }

    #[tokio::test]
    async fn a_request_begins_when_its_body_is_there() {
        let app = app();
        let clock = app.clock.clone();
        let body = futures_util::stream::once(async move {
            clock.advance(Duration::from_secs(7));
            Ok::<_, std::convert::Infallible>("slow")
        });
        let request = Request::post("/api/v1/now").body(Body::from_stream(body)).unwrap();
        let before = app.clock.now();
        let answer = tower::ServiceExt::oneshot(crate::http::testing::door(&app), request).await.unwrap();
        assert_eq!(text(answer).await, (before + Duration::from_secs(7)).to_string());
    }

    #[tokio::test]
    async fn ids_of_requests_differ() {
        let app = app();
        let door = Door::new(Arc::clone(&app), []).unwrap();
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| door.new_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }

    #[tokio::test]
    async fn bodies_are_json_of_the_right_shape_and_size() {
        let things = "/api/v1/things";
        let made = ask("POST", things, &[JSON], r#"{"name":"a"}"#).await;
        assert_eq!((made.status().as_u16(), text(made).await.as_str()), (201, r#"{"name":"a"}"#));
        assert_eq!(kind(ask("POST", things, &[], r#"{"name":"a"}"#).await).await, "unsupported-media-type");
        assert_eq!(kind(ask("POST", things, &[JSON], "{").await).await, "malformed-body");
        assert_eq!(kind(ask("POST", things, &[JSON], r#"{"name":"a","x":1}"#).await).await, "invalid");
        let large: &'static str = "x".repeat(1025).leak();
        assert_eq!(kind(ask("POST", things, &[JSON], large).await).await, "body-too-large");
        assert_eq!(text(ask("POST", "/api/v1/perhaps", &[], "").await).await, "none");
        assert_eq!(text(ask("POST", "/api/v1/perhaps", &[JSON], r#"{"name":"a"}"#).await).await, "a");
        assert_eq!(
            kind(ask("POST", "/api/v1/perhaps", &[], r#"{"name":"a"}"#).await).await,
            "unsupported-media-type"
        );
    }

    #[tokio::test]
    async fn failures_of_ours_are_one_problem_without_a_cause() {
        for path in ["/api/v1/panics", "/api/v1/fails"] {
            let response = get(path).await;
            let report = text(response).await;
            assert!(
                report.contains("/problems/internal")
                    && !report.contains("hidden")
                    && !report.contains("purpose"),
                "{report}"
            );
        }
        assert_eq!(kind(get("/api/v1/stuck").await).await, "unavailable");
        assert_eq!(kind(get("/nothing").await).await, "not-found");
        let wrong = ask("DELETE", "/api/v1/things", &[], "").await;
        assert_eq!(wrong.headers()["allow"], "POST");
        assert_eq!(kind(wrong).await, "method-not-allowed");
        let both = ask("POST", "/api/v1/me", &[], "").await;
        assert_eq!(both.headers()["allow"], "GET,HEAD");
    }

    #[tokio::test]
    async fn large_heads_are_refused() {
        let many: Vec<(String, &str)> = (0..=HEADER_COUNT).map(|n| (format!("x-{n}"), "1")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(kind(ask("GET", "/api/v1/me", &many, "").await).await, "headers-too-large");
        assert_eq!(ask("GET", "/api/v1/me", &many[1..], "").await.status(), 200);
        let long = "x".repeat(HEADER_BYTES);
        assert_eq!(kind(ask("GET", "/api/v1/me", &[("x-long", &long)], "").await).await, "headers-too-large");
        let path = format!("/api/v1/me?{}", "x".repeat(ADDRESS_BYTES));
        assert_eq!(kind(get(&path).await).await, "malformed-request");
    }

    #[tokio::test]
    async fn other_sites_are_kept_out_unless_the_line_is_for_callbacks() {
        let evil = ("origin", EVIL);
        assert_eq!(
            kind(ask("POST", "/api/v1/things", &[JSON, evil], r#"{"name":"a"}"#).await).await,
            "cross-site"
        );
        assert_eq!(
            kind(ask("POST", "/api/v1/closed", &[("cookie", "__Host-vestibule=x")], "").await).await,
            "cross-site"
        );
        assert_eq!(ask("POST", "/api/v1/hook", &[evil], "").await.status(), 200);
        assert_eq!(ask("GET", "/api/v1/me", &[evil], "").await.status(), 200);
        let listed = ask("POST", "/api/v1/things", &[JSON, ("origin", APP)], r#"{"name":"a"}"#).await;
        assert_eq!(listed.status(), 201);
        assert_eq!(listed.headers()["access-control-allow-origin"], APP);
        let refused = ask("GET", "/api/v1/things/7", &[("origin", APP)], "").await;
        assert_eq!(refused.headers()["access-control-allow-origin"], APP, "failures can be read too");
        let preflight = [("origin", APP), ("access-control-request-method", "POST")];
        let answer = ask("OPTIONS", "/api/v1/things", &preflight, "").await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["access-control-allow-origin"]),
            (204, &HeaderValue::from_static(APP))
        );
        let answer =
            ask("OPTIONS", "/api/v1/things", &[evil, ("access-control-request-method", "POST")], "").await;
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
        assert_eq!(kind(answer).await, "cross-site");
    }

    #[tokio::test]
    async fn the_request_id_is_ours_or_a_trusted_proxys() {
        let told = |id: &'static str| async move {
            ask("GET", "/api/v1/me", &[("x-request-id", id)], "").await.headers()["x-request-id"]
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(told("trace-0123").await, "trace-0123");
        for id in ["short", "has space!", "a_b_c_d_e_f", &*"x".repeat(65).leak()] {
            let own: Uuid = told(id).await.parse().unwrap();
            assert_eq!(own.get_version_num(), 7);
        }
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert!(text(ask("GET", "/api/v1/me", &[("x-request-id", id)], "").await).await.contains(id));
        let nobody = app_with(crate::config::Server { trusted_proxies: Vec::new(), ..server() });
        let response = ask_at(&nobody, "GET", "/api/v1/me", &[("x-request-id", "trace-0123")], "").await;
        assert_ne!(response.headers()["x-request-id"], "trace-0123");
    }

    #[tokio::test]
    async fn the_handler_learns_the_client() {
        let told = text(
            ask("GET", "/api/v1/me", &[("x-forwarded-for", "203.0.113.9"), ("user-agent", "curl\t8")], "")
                .await,
        )
        .await;
        assert!(told.starts_with("203.0.113.9 ") && told.ends_with(" curl8"), "{told}");
    }

    #[tokio::test]
    async fn figures_and_the_log_name_the_template_and_never_the_path() {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        // With one subscriber alone, a line that another thread reaches first would be off for everybody.
        let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
        let _guard = tracing::subscriber::set_default(log);
        let app = app();
        let secret = [("x-secret", "vs_secret"), ("authorization", "Bearer vs_secret"), JSON];
        for (method, path) in [
            ("GET", "/api/v1/things/vs_secret?code=vs_secret"),
            ("GET", "/vs_secret"),
            ("POST", "/api/v1/things"),
            ("VSX", "/api/v1/me"),
            ("GET", "/api/v1/fails"),
        ] {
            ask_at(&app, method, path, &secret, "\"vs_secret\"").await;
        }
        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(
            log.contains("/api/v1/things/{id}") && log.contains("unmatched") && log.contains("status=401"),
            "{log}"
        );
        assert_eq!(log.matches("the hidden cause").count(), 1, "{log}");
        let figures = app.metrics.render();
        assert!(
            figures.contains(
                r#"vestibule_http_requests_total{method="GET",route="/api/v1/things/{id}",status="401"} 1"#
            ),
            "{figures}"
        );
        assert!(figures.contains(r#"method="other""#), "{figures}");
        assert!(!log.contains("vs_secret") && !figures.contains("vs_secret"), "{log}");
        assert!(!log.contains("VSX") && !figures.contains("VSX"), "{log}");
    }

    #[test]
    fn settings_that_cannot_be_read_are_refused() {
        let wrong = crate::config::Server { allowed_origins: vec!["*".to_owned()], ..server() };
        assert!(Door::new(app_with(wrong), []).is_err());
    }
}
