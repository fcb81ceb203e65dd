//! What every request passes, top to bottom in one place ([`enter`]), and what its line of the
//! router adds ([`admit`]).

use std::convert::Infallible;
use std::net::SocketAddr;
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
use super::extract::{Asker, not_entered};
use super::origins::Origins;
use super::problem;
use super::visit::Visit;
use crate::app::{App, Client, Ctx};
use crate::config::Network;
use crate::error::{Error, Problem, Result};
use crate::log::{self, Answered};
use crate::policy::Rank;
use crate::service_accounts::{self, Scope};
use crate::{clients, limits, sessions};

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
    paths: matchit::Router<Place>,
    /// What every answer wears, made once: for data, and for pages.
    dress: [HeaderMap; 2],
    ids: Ids,
}

/// A path of the map.
pub struct Place {
    /// As a template.
    pub path: String,
    /// Whether its failures are told by the names of OAuth 2.0 as well.
    pub oauth: bool,
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
    pub fn new(app: Arc<App>, paths: impl IntoIterator<Item = Place>) -> Result<Self, String> {
        let server = &app.config.server;
        let proxies = server.trusted_proxies.clone();
        let origins = Origins::new(&app.origin, &server.allowed_origins)?;
        // Where a form's answer leads on to counts as a target of the form (CSP 3 §6.4.2).
        let targets: String =
            app.config.pages.origins().iter().flat_map(|origin| [" ", origin]).map(str::to_owned).collect();
        let secure = app.origin.is_secure();
        let of_data = HeaderValue::from_static(DATA_POLICY);
        let of_pages = HeaderValue::from_str(&format!("{PAGE_POLICY}{targets}"))
            .map_err(|_| "an origin in `pages` is not ASCII")?;
        let dress = [wardrobe(of_data, &DATA, secure), wardrobe(of_pages, &PAGES, secure)];
        let mut templates = matchit::Router::new();
        // One that is there already: two methods of one path.
        paths.into_iter().for_each(|place| drop(templates.insert(place.path.clone(), place)));
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
            actor: None,
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
    async fn pass(&self, request: Request, map: Router) -> Result<Response> {
        check_size(&request)?;
        self.origins.guard_host(request.version(), request.headers())?;
        if let Some(preflight) = self.origins.preflight(request.method(), request.headers())? {
            return Ok(preflight);
        }
        let patience = *self.app.config.server.request_timeout;
        let mut request = request;
        if !request.body().is_end_stream() {
            let received = timeout(patience, Box::pin(self.receive(request))).await;
            request = received.map_err(|_| Problem::RequestTimeout)??;
            // The request begins when it is all there: who sends slowly does not hold the time back.
            if let Some(ctx) = request.extensions_mut().get_mut::<Ctx>() {
                (ctx.now, ctx.policy) = (self.app.clock.now(), self.app.policy());
            }
        }
        let answered = timeout(patience, self.answer(request, map)).await;
        answered
            .map_err(|_| Error::new(Problem::Unavailable).retry_after(PAUSE).because("no answer in time"))?
    }

    /// What the map answers. While a change-over lasts, whoever shows a token of the other system comes in with
    /// ours in its place.
    async fn answer(&self, mut request: Request, mut map: Router) -> Result<Response> {
        let changes_over = self.app.config.change_over.until.is_some();
        let ctx = request.extensions().get::<Ctx>().filter(|_| changes_over).cloned();
        let cookies = match ctx {
            // What is seldom needed is boxed: every request would carry the room for it.
            Some(ctx) => Box::pin(sessions::moved::translate(&ctx, request.headers_mut())).await?,
            None => Vec::new(),
        };
        let mut response = caught(map.call(request)).await?;
        if !cookies.is_empty() && !sessions::sets_session(response.headers(), &self.app.origin) {
            for cookie in cookies {
                // Whatever this is an answer to: with a session in it, nobody keeps it.
                let no_store = HeaderValue::from_static("no-store");
                response.headers_mut().insert(header::CACHE_CONTROL, no_store);
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        Ok(response)
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

    /// Headers that every answer has, and over them those that a handler has set, which are fewer.
    fn dress(&self, headers: HeaderMap) -> HeaderMap {
        let is_page =
            headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let [of_data, of_pages] = &self.dress;
        let mut dressed = if is_page { of_pages.clone() } else { of_data.clone() };
        dressed.extend(headers);
        dressed
    }
}

/// What every answer under this content policy wears.
fn wardrobe(policy: HeaderValue, besides: &[(HeaderName, &'static str)], is_secure: bool) -> HeaderMap {
    let others = ALWAYS.into_iter().chain(besides.iter().cloned());
    let others = others.map(|(name, value)| (name, HeaderValue::from_static(value)));
    let transport = is_secure.then_some((header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT));
    std::iter::once((header::CONTENT_SECURITY_POLICY, policy)).chain(others).chain(transport).collect()
}

/// Nothing may be loaded from, sent to or framed around an answer that is not a page.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// A page may use what this server serves and nothing written into the page itself.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
/// Two years, subdomains too (ASVS 5.0, 3.4.1).
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

const ALWAYS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];
/// Nothing that is not a page leads anywhere.
const DATA: [(HeaderName, &str); 1] = [(header::REFERRER_POLICY, "no-referrer")];
/// They are about documents: a browser reads them of a page only (ASVS 5.0, 3.4.8; Permissions Policy §4). Who may
/// frame an answer, a content policy says of all of them (ASVS 5.0, 3.4.6).
const PAGES: [(HeaderName, &str); 4] = [
    // Where no referrer is sent at all, a form says `Origin: null`, and a browser without `Sec-Fetch-Site` has no
    // other proof of its page. Addresses with a token in them are told to this server alone, which notes no referrer.
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// What every request passes. Outside to inside: the request's id and the client; the log and the
/// figures; security headers and CORS; failures written as problems; sizes; preflights; the body,
/// in time; panics and time-outs of what lies behind.
pub async fn enter(door: &Arc<Door>, mut request: Request, map: Router) -> Response {
    let started = Instant::now();
    let (id, client) = door.meet(&request);
    let method = known(request.method());
    let place = door.paths.at(request.uri().path()).ok().map(|found| found.value);
    let route = place.map_or("unmatched", |place| &place.path);
    let origin = request.headers().get(header::ORIGIN).cloned();
    let address = client.address;
    let mut visit = Visit::of_browser(&door.app, request.method(), request.uri(), request.headers());
    let ctx = Ctx::new(Arc::clone(&door.app), Some(client));
    let acts = visit.as_ref().filter(|visit| visit.may_act());
    let acts = acts.map(|_| (ctx.clone(), request.headers().clone()));
    request.extensions_mut().insert(ctx);

    let answered = log::of_request(Arc::clone(&id), door.pass(request, map)).await;
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    if place.is_some_and(|place| place.oauth) {
        problem::in_oauth(&mut response);
    }

    if let (Some(visit), Some((ctx, headers))) = (&mut visit, acts)
        && !response.status().is_success()
        && let Ok(Some(caller)) = Box::pin(sessions::authenticate(&ctx, &headers)).await
    {
        // A page that says that something is wrong says it anyway when this cannot be told.
        let _ = Box::pin(visit.learns(&ctx, &caller)).await;
    }
    let mut response = problem::settle(response, &id, visit.as_ref());
    door.origins.share(origin, response.headers_mut());
    let worn = std::mem::take(response.headers_mut());
    *response.headers_mut() = door.dress(worn);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let (status, took) = (response.status().as_u16(), started.elapsed());
    Answered { method, route, status, took, request_id: &id, client: address }.note();
    door.app.metrics.request(method, route, status, took);
    response
}

/// What a line of the router says of whoever comes in.
#[derive(Clone)]
pub struct Line {
    /// The door that it is behind.
    pub door: Arc<Door>,
    /// Whom it lets in.
    pub access: Access,
    /// The scope of API keys that it lets in besides.
    pub scope: Option<Scope>,
    /// Whether it may change something by a session in which somebody acts for the user.
    pub acting: bool,
    /// Whether a request counts as a change that its user makes.
    pub counts: bool,
}

/// What a route's line adds: nobody from another site, nobody without a session unless the line says so, and
/// nobody who changes more than a person does.
pub async fn admit(
    State(Line { door, access, scope, acting, counts }): State<Line>,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    if !matches!(access, Access::Webhook | Access::Client) {
        door.origins.guard(request.method(), request.headers())?;
    }
    let entered = |request: &Request| {
        let ctx = request.extensions().get::<Ctx>().cloned();
        ctx.ok_or_else(not_entered)
    };
    if let Some(scope) = scope
        && let Some(shown) = service_accounts::shown(request.headers())
    {
        let key = Box::pin(service_accounts::authenticate(&entered(&request)?, shown, scope)).await?;
        request.extensions_mut().insert(Asker::Key(key));
        return Ok(next.run(request).await);
    }
    if access == Access::Client {
        let client = Box::pin(clients::authenticate(&entered(&request)?, request.headers())).await?;
        request.extensions_mut().insert(Asker::Client(client.id));
        request.extensions_mut().insert(client);
    }
    if access.needs_session() {
        let ctx = entered(&request)?;
        let caller =
            sessions::authenticate(&ctx, request.headers()).await?.ok_or(Problem::Unauthenticated)?;
        let rank = match caller.session.act {
            // Whoever acts for a user has no rank: not the user's, and not their own.
            Some(_) => Rank::User,
            None => caller.user.rank(),
        };
        let admitted = match access {
            Access::Admin => rank == Rank::Admin,
            Access::Staff(operation) => ctx.policy.staff.may(rank, operation),
            _ => true,
        };
        if !admitted {
            return Err(Problem::NotFound.into());
        }
        if let Some(act) = &caller.session.act {
            if !request.method().is_safe() && (act.read_only || !acting) {
                return Err(Problem::ActingNever.into());
            }
            // From here on everything that is noted names both.
            let client = ctx.client.as_deref().cloned();
            let client = client.map(|client| Arc::new(Client { actor: Some(act.actor), ..client }));
            request.extensions_mut().insert(Ctx { client, ..ctx.clone() });
        }
        if counts {
            Box::pin(limits::take_change(&ctx, caller.user.id)).await?;
        }
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

/// Whether [`admit`] would let every such request through unlooked at.
pub fn is_open(access: Access, method: &Method) -> bool {
    match access {
        Access::Session | Access::Admin | Access::Staff(_) | Access::Client => false,
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
mod tests;
