//! Development: a provider that looks like Twilio, and the phone that its messages arrive on.
//!
//! So that the whole way – record, worker, request, signed callback – is walked without an account
//! and without a message that leaves the machine. What always holds: these routes exist in
//! development mode only, and answer nobody but this machine. They must never be mounted by `serve`:
//! whoever reads the phone reads every code.

mod guard;
pub mod lines;
pub mod mail;
mod order;
mod pages;
pub mod phone;
mod script;
mod twilio;
mod voice;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Form, Json, middleware};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::app::App;
use crate::clock::Timestamp;
use crate::config::Period;
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::extract;
use crate::http::route::Undocumented;
use crate::twilio::signature;
use lines::{Act, Habit, Lines, Rule};
use phone::{Phone, Text, Wanted};

/// What development mode keeps in memory; made once, shared by all of its routes.
#[derive(Clone, Default)]
pub struct Dev {
    /// Where messages arrive.
    pub phone: Arc<Phone>,
    /// Where calls ring.
    pub lines: Arc<Lines>,
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

/// The longest that `GET /dev/messages` waits: less than the time that a request may take.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// The longest that a number may be late.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// Nothing from elsewhere, nothing inline, no frame around it.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A mail is somebody else's page: it gets an origin of its own, runs nothing, loads nothing, leads nowhere.
const MAIL_CSP: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'self'";

/// The routes of development mode, for the root of the router.
pub fn routes(dev: Dev) -> Vec<Undocumented> {
    let asset = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    let lines = vec![
        ("/", get(index)),
        ("/dev/phone", get(show)),
        ("/dev/phone.css", asset("text/css; charset=utf-8", include_str!("phone.css"))),
        ("/dev/phone.js", asset("text/javascript; charset=utf-8", include_str!("phone.js"))),
        ("/dev/phone.svg", asset("image/svg+xml", include_str!("phone.svg"))),
        ("/dev/messages", get(messages)),
        ("/dev/mails/{id}", get(mail_page)),
        ("/dev/phone/calls/{id}", post(act)),
        ("/dev/phone/rules", post(set_rule)),
        ("/dev/clock", get(clock).post(advance)),
        ("/dev/twilio/2010-04-01/Accounts/{sid}/Messages.json", post(twilio::create)),
        ("/dev/twilio/2010-04-01/Accounts/{sid}/Messages/{message}", get(twilio::fetch)),
        ("/dev/twilio/2010-04-01/Accounts/{sid}/Calls.json", get(voice::list).post(voice::create)),
        ("/dev/twilio/2010-04-01/Accounts/{sid}/Calls/{call}", get(voice::fetch).post(voice::update)),
    ];
    let own = async |response: Response| {
        let policy = if response.extensions().get::<IsMail>().is_some() { MAIL_CSP } else { CSP };
        let headers = [
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ];
        (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), response)
    };
    let guarded = |line: MethodRouter<Arc<App>>| {
        line.layer(Extension(dev.clone()))
            .route_layer(middleware::map_response(own))
            .route_layer(middleware::from_fn(guard::this_machine_only))
    };
    lines.into_iter().map(|(path, line)| (path, guarded(line))).collect()
}

/// Marks an answer as the HTML of a mail.
#[derive(Clone, Copy)]
struct IsMail;

/// `GET /dev/mails/{id}`: the HTML part of a mail, for the frame beside its text.
async fn mail_page(Extension(dev): Extension<Dev>, Path(id): Path<Uuid>) -> Result<impl IntoResponse> {
    let texts = dev.phone.find(&Wanted::default());
    let mail = texts.into_iter().find(|text| text.id == id).and_then(|text| text.mail);
    let mail = mail.ok_or(Problem::NotFound)?;
    Ok((Extension(IsMail), Html(mail.html)))
}

/// `GET /`
async fn index(State(app): State<Arc<App>>) -> impl IntoResponse {
    Html(pages::index(app.origin.as_str()))
}

/// `GET /dev/phone`
async fn show(State(app): State<Arc<App>>, Extension(dev): Extension<Dev>) -> impl IntoResponse {
    let now = app.clock.now();
    Html(pages::phone(&dev.phone.find(&Wanted::default()), &dev.lines.all(), &dev.lines.rules(), now))
}

/// Back to the phone, for a browser that sent a form.
fn back() -> Response {
    Redirect::to("/dev/phone").into_response()
}

/// What somebody does with a call: `does` is answer, decline, busy, press or hang_up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deed {
    does: String,
    key: Option<char>,
}

/// `POST /dev/phone/calls/{id}`
async fn act(
    Extension(dev): Extension<Dev>,
    Path(id): Path<Uuid>,
    Form(deed): Form<Deed>,
) -> Result<Response> {
    let act = match (deed.does.as_str(), deed.key) {
        ("answer", _) => Act::Answer,
        ("decline", _) => Act::Decline,
        ("busy", _) => Act::Busy,
        ("hang_up", _) => Act::HangUp,
        ("press", Some(key @ ('0'..='9' | '*' | '#'))) => Act::Press(key),
        _ => {
            let told = "`does` is answer, decline, busy, hang_up, or press with a `key`.";
            return Err(FieldError::new("does", "wrong-value", told).into());
        }
    };
    if !dev.lines.act(id, act) {
        return Err(Problem::NotFound.into());
    }
    // So that the page that comes next already shows what came of it.
    tokio::time::sleep(Duration::from_millis(150)).await;
    Ok(back())
}

/// What a number does from now on, and how many seconds late.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    to: String,
    does: String,
    delay: Option<u64>,
}

/// `POST /dev/phone/rules`
async fn set_rule(Extension(dev): Extension<Dev>, Form(wish): Form<Wish>) -> Result<Response> {
    let wrong =
        |field: &'static str, told: &'static str| Error::from(FieldError::new(field, "wrong-value", told));
    let habit = Habit::named(&wish.does).ok_or_else(|| wrong("does", "There is no such habit."))?;
    if !order::is_e164(&wish.to) {
        return Err(wrong("to", "A number is + and 7 to 15 digits."));
    }
    let delay = Duration::from_secs(wish.delay.unwrap_or(0));
    if delay > LONGEST_DELAY {
        return Err(wrong("delay", "At most 600 seconds."));
    }
    dev.lines.set_rule(&wish.to, Rule { habit, delay });
    Ok(back())
}

/// How far to move the clock: `10m`, `24h`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: Period,
}

#[derive(Serialize)]
struct Now {
    now: Timestamp,
}

/// `GET /dev/clock`
async fn clock(State(app): State<Arc<App>>) -> Json<Now> {
    Json(Now { now: app.clock.now() })
}

/// `POST /dev/clock`: moves the clock ahead, so that what takes hours can be seen at once. JSON, or a form.
async fn advance(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    let by = if is_form {
        let told = || Error::from(FieldError::new("advance", "wrong-value", "Such as 10m or 24h."));
        let params = signature::read_form(&body).unwrap_or_default();
        let given = params.iter().find(|(name, _)| name == "advance").ok_or_else(told)?;
        given.1.parse().map_err(|_| told())?
    } else {
        extract::read_json::<Advance>(&body)?.advance
    };
    app.clock.advance(by.0);
    // What is due now is done now.
    app.bell.send_modify(|rings| *rings = rings.wrapping_add(1));
    if is_form { Ok(back()) } else { Ok(Json(Now { now: app.clock.now() }).into_response()) }
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
