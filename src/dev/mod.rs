//! Development: a provider that looks like Twilio, and the phone that its messages arrive on.
//!
//! So that the whole way – record, worker, request, signed callback – is walked without an account
//! and without a message that leaves the machine. What always holds: these routes exist in
//! development mode only, and answer nobody but this machine. They must never be mounted by `serve`:
//! whoever reads the phone reads every code.

mod guard;
pub mod mail;
mod pages;
pub mod phone;
mod twilio;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderValue;
use axum::http::header::{self, HeaderName};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::app::App;
use phone::{Phone, Text, Wanted};

/// What development mode keeps in memory; made once, shared by all of its routes.
#[derive(Clone, Default)]
pub struct Dev {
    /// Where messages arrive.
    pub phone: Arc<Phone>,
    /// Callbacks on their way.
    callbacks: Arc<Mutex<JoinSet<()>>>,
}

impl Dev {
    /// Lets mails that come to `listener` arrive on the phone, for as long as this lives.
    pub fn receive_mail(&self, app: &Arc<App>, listener: TcpListener) {
        let mut tasks = self.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(mail::receive(listener, app.clone(), self.phone.clone()));
    }
}

/// Where the look-alike answers; what `twilio.base_url` is in development, after the origin.
pub const TWILIO: &str = "/dev/twilio";

/// The longest that `GET /dev/messages` waits: less than the time that a request may take.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// Nothing from elsewhere, nothing inline, no frame around it.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of development mode, for the root of the router.
pub fn routes(dev: Dev) -> Router<Arc<App>> {
    let asset = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    Router::new()
        .route("/", get(index))
        .route("/dev/phone", get(show))
        .route("/dev/phone.css", asset("text/css; charset=utf-8", include_str!("phone.css")))
        .route("/dev/phone.js", asset("text/javascript; charset=utf-8", include_str!("phone.js")))
        .route("/dev/phone.svg", asset("image/svg+xml", include_str!("phone.svg")))
        .route("/dev/messages", get(messages))
        .route("/dev/twilio/2010-04-01/Accounts/{sid}/Messages.json", post(twilio::create))
        .route("/dev/twilio/2010-04-01/Accounts/{sid}/Messages/{message}", get(twilio::read))
        .layer(Extension(dev))
        .route_layer(middleware::map_response(async |response: axum::response::Response| {
            let headers = [
                (header::CONTENT_SECURITY_POLICY, CSP),
                (header::CACHE_CONTROL, "no-store"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::REFERRER_POLICY, "no-referrer"),
                (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            ];
            (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), response)
        }))
        .route_layer(middleware::from_fn(guard::this_machine_only))
}

/// `GET /`
async fn index(State(app): State<Arc<App>>) -> impl IntoResponse {
    Html(pages::index(app.origin.as_str()))
}

/// `GET /dev/phone`
async fn show(Extension(dev): Extension<Dev>) -> impl IntoResponse {
    Html(pages::phone(&dev.phone.find(&Wanted::default())))
}

#[derive(Deserialize)]
struct Asked {
    to: Option<String>,
    kind: Option<String>,
    after: Option<Uuid>,
    wait: Option<u64>,
}

#[derive(Serialize)]
struct Found {
    items: Vec<Text>,
    next: Option<String>,
}

/// `GET /dev/messages?to=&kind=&after=&wait=`
async fn messages(Extension(dev): Extension<Dev>, Query(asked): Query<Asked>) -> Json<Found> {
    let wait = Duration::from_secs(asked.wait.unwrap_or(0)).min(LONGEST_WAIT);
    let wanted = Wanted { to: asked.to, kind: asked.kind, after: asked.after };
    Json(Found { items: dev.phone.wait(&wanted, wait).await, next: None })
}
