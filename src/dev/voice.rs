//! A look-alike of Twilio's Calls: the same request, the same refusals, the same answer, a phone that
//! rings, and signed callbacks in the right order afterwards.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use super::Dev;
use super::lines::{Act, Habit, Line};
use super::order::{Form, NOT_FOUND, Refusal, authenticate, call_back, go_on, is_e164, refused, rfc2822};
use super::phone::Text;
use super::script::{self, Script};
use crate::app::App;
use crate::clock::Timestamp;
use crate::outbound::Outcome;
use crate::twilio::twiml;

/// Numbers that cannot be called, as with Twilio's own test credentials.
const REFUSED_TO: &[(&str, Refusal)] = &[
    ("+15005550001", Refusal(400, 21217, "Phone number does not appear to be valid.")),
    ("+15005550002", Refusal(400, 21214, "'To' phone number cannot be reached.")),
    ("+15005550003", Refusal(400, 21215, "Account not authorized to call.")),
    ("+15005550004", Refusal(400, 21216, "Account not allowed to call.")),
    ("+15005550020", Refusal(429, 20429, "Too many requests.")),
    ("+15005550021", Refusal(503, 20503, "Service unavailable.")),
];

/// How often a ringing call looks whether it has rung long enough.
const LOOK: Duration = Duration::from_millis(50);

/// How long somebody listens who does not hang up.
const ATTENTION: Duration = Duration::from_secs(90);

/// What is to be called.
#[derive(Clone, Debug)]
struct Order {
    to: String,
    from: String,
    twiml: Option<String>,
    url: Option<String>,
    callback: Option<String>,
    events: Vec<String>,
    ring: Duration,
}

/// `POST /dev/twilio/2010-04-01/Accounts/{sid}/Calls.json`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(dev): Extension<Dev>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Option<Value>>), Refusal> {
    let order = Order::read(&Form::ordered(&app, &account, &headers, &body)?)?;
    let now = app.clock.now();
    let id = app.random.seed().uuid("phone", now);
    let acts = dev.lines.open(id, &order.to, &order.from, now);
    let answer = dev.lines.get(id).map(|line| resource(&line, &account));
    let call = Call { app, dev: dev.clone(), account, order, id, sequence: 0 };
    go_on(&dev, call.live(acts));
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Which calls are listed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Asked {
    to: Option<String>,
    from: Option<String>,
    status: Option<String>,
    page_size: Option<usize>,
}

/// `GET /dev/twilio/2010-04-01/Accounts/{sid}/Calls.json`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(dev): Extension<Dev>,
    Path(account): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    authenticate(&app, &account, &headers)?;
    let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    let size = asked.page_size.unwrap_or(50).clamp(1, 1_000);
    let calls: Vec<Value> = dev
        .lines
        .all()
        .iter()
        .filter(|line| {
            fits(&asked.to, &line.to) && fits(&asked.from, &line.from) && fits(&asked.status, line.status)
        })
        .take(size)
        .map(|line| resource(line, &account))
        .collect();
    let uri = format!("/2010-04-01/Accounts/{account}/Calls.json?PageSize={size}&Page=0");
    Ok(Json(json!({
        "calls": calls, "page": 0, "page_size": size, "start": 0, "end": calls.len().saturating_sub(1),
        "uri": uri, "first_page_uri": uri, "next_page_uri": null, "previous_page_uri": null,
    })))
}

/// `GET /dev/twilio/2010-04-01/Accounts/{sid}/Calls/{call}.json`
pub(super) async fn fetch(
    State(app): State<Arc<App>>,
    Extension(dev): Extension<Dev>,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    authenticate(&app, &account, &headers)?;
    let line = named(&file).and_then(|id| dev.lines.get(id)).ok_or(NOT_FOUND)?;
    Ok(Json(resource(&line, &account)))
}

/// `POST /dev/twilio/2010-04-01/Accounts/{sid}/Calls/{call}.json`: ends it.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    Extension(dev): Extension<Dev>,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let form = Form::ordered(&app, &account, &headers, &body)?;
    let line = named(&file).and_then(|id| dev.lines.get(id)).ok_or(NOT_FOUND)?;
    let act = match form.get("Status").as_deref() {
        Some("canceled") => Act::Cancel,
        Some("completed") => Act::End,
        _ => return Err(Refusal(400, 20001, "Only Status can be changed here.")),
    };
    if line.ended_at.is_some() {
        return Err(Refusal(400, 21220, "Call is not in-progress. Cannot redirect."));
    }
    dev.lines.act(line.id, act);
    Ok(Json(resource(&line, &account)))
}

/// The name of a call: `CA` and 32 hexadecimal digits.
fn named(file: &str) -> Option<Uuid> {
    Uuid::try_parse(file.strip_suffix(".json")?.strip_prefix("CA")?).ok()
}

fn sid(id: Uuid) -> String {
    format!("CA{}", id.simple())
}

/// A call as Twilio writes it.
fn resource(line: &Line, account: &str) -> Value {
    let sid = sid(line.id);
    let uri = format!("/2010-04-01/Accounts/{account}/Calls/{sid}");
    let started = line.answered_at.or(line.ended_at).map(rfc2822);
    json!({
        "account_sid": account,
        "annotation": null,
        "answered_by": null,
        "api_version": "2010-04-01",
        "caller_name": null,
        "date_created": rfc2822(line.created_at),
        "date_updated": rfc2822(line.ended_at.or(line.answered_at).unwrap_or(line.created_at)),
        "direction": "outbound-api",
        "duration": line.seconds().map(|seconds| seconds.to_string()),
        "end_time": line.ended_at.map(rfc2822),
        "forwarded_from": null,
        "from": line.from,
        "from_formatted": line.from,
        "group_sid": null,
        "parent_call_sid": null,
        "phone_number_sid": format!("PN{}", "0".repeat(32)),
        "price": null,
        "price_unit": "USD",
        "queue_time": "0",
        "sid": sid,
        "start_time": started,
        "status": line.status,
        "subresource_uris": { "recordings": format!("{uri}/Recordings.json") },
        "to": line.to,
        "to_formatted": line.to,
        "trunk_sid": null,
        "uri": format!("{uri}.json"),
    })
}

impl Order {
    /// Reads the form and refuses in Twilio's order.
    fn read(form: &Form) -> Result<Self, Refusal> {
        let to = form.need("To", Refusal(400, 21201, "No 'To' number is specified"))?;
        let from = form.need("From", Refusal(400, 21213, "'From' phone number is required"))?;
        if !is_e164(&to) {
            return Err(Refusal(400, 21211, "The phone number you are attempting to call is not valid."));
        }
        if !is_e164(&from) || from == "+15005550001" {
            return Err(Refusal(400, 21212, "The source phone number provided is not valid."));
        }
        refused(REFUSED_TO, &to)?;
        let (twiml, url) = (form.get("Twiml"), form.get("Url"));
        let is_sayable = match (&twiml, &url) {
            (Some(document), None) => {
                document.chars().count() <= twiml::LONGEST && script::read(document).is_some()
            }
            (None, Some(url)) => url.starts_with("http://") || url.starts_with("https://"),
            _ => false,
        };
        if !is_sayable {
            return Err(Refusal(400, 21205, "Url is not a valid URL"));
        }
        let seconds = |name: &str, usual: u64| {
            Duration::from_secs(form.get(name).and_then(|text| text.parse().ok()).unwrap_or(usual))
        };
        let mut events = form.all("StatusCallbackEvent");
        if events.is_empty() {
            events.push("completed".to_owned());
        }
        let ring = seconds("Timeout", 60);
        Ok(Self { to, from, twiml, url, callback: form.get("StatusCallback"), events, ring })
    }
}

/// A call while it lives.
struct Call {
    app: Arc<App>,
    dev: Dev,
    account: String,
    order: Order,
    id: Uuid,
    sequence: u32,
}

impl Call {
    /// From the first word to the last.
    async fn live(mut self, mut acts: UnboundedReceiver<Act>) {
        let rule = self.dev.lines.rule(&self.order.to);
        let ended = tokio::time::timeout(rule.delay, ended_by_caller(&mut acts)).await;
        if ended.is_ok() {
            return self.end("canceled", &[]).await;
        }
        if rule.habit == Habit::Lose {
            self.order.callback = None;
        }
        self.tell("initiated", "initiated", &[]).await;
        if rule.habit == Habit::Fail {
            return self.end("failed", &[("SipResponseCode", "404")]).await;
        }
        let since = self.arrive();
        self.tell("ringing", "ringing", &[]).await;
        let act = match rule.habit {
            Habit::Answer => Some(Act::Answer),
            Habit::Busy => Some(Act::Busy),
            Habit::NoAnswer => None,
            _ => self.rings(since, &mut acts).await,
        };
        match act {
            Some(Act::Answer) => self.speak(&mut acts).await,
            Some(Act::Decline) => self.end("busy", &[("SipResponseCode", "603")]).await,
            Some(Act::Busy) => self.end("busy", &[("SipResponseCode", "486")]).await,
            Some(_) => self.end("canceled", &[]).await,
            None => self.end("no-answer", &[]).await,
        }
    }

    /// Rings until somebody does something, or for as long as was ordered by the clock of the server, which
    /// can be moved once it shows on the phone.
    async fn rings(&self, since: Timestamp, acts: &mut UnboundedReceiver<Act>) -> Option<Act> {
        let until = since + self.order.ring;
        loop {
            if let Ok(act) = tokio::time::timeout(LOOK, decided(acts)).await {
                return Some(act);
            }
            if self.app.clock.now() >= until {
                return None;
            }
        }
    }

    /// It shows on the phone, from the instant that this comes to.
    fn arrive(&self) -> Timestamp {
        let now = self.app.clock.now();
        let told = self.order.twiml.as_deref().and_then(script::read).unwrap_or_default();
        self.dev.phone.receive(Text {
            id: self.id,
            kind: "call",
            to: self.order.to.clone(),
            code: script::code_in(&told.text),
            body: told.text,
            mail: None,
            status: "ringing",
            at: now,
        });
        now
    }

    async fn speak(&mut self, acts: &mut UnboundedReceiver<Act>) {
        let now = self.app.clock.now();
        self.dev.lines.change(self.id, |line| line.answered_at = Some(now));
        self.tell("in-progress", "answered", &[]).await;
        let mut document = match (&self.order.twiml, &self.order.url) {
            (Some(document), _) => Some(document.clone()),
            (None, Some(url)) => self.ask(&url.clone(), &[]).await,
            (None, None) => None,
        };
        let until = tokio::time::Instant::now() + ATTENTION;
        while let Some(script) = document.as_deref().and_then(script::read) {
            if script == Script::default() {
                // Nothing more to say ends a call; one that has said something is left open, to be read.
                break;
            }
            self.say(&script);
            document = loop {
                match tokio::time::timeout_at(until, acts.recv()).await {
                    Ok(Some(Act::Press(key))) => {
                        let Some(action) = &script.gather else { continue };
                        break self.ask(&action.clone(), &[("Digits", &key.to_string())]).await;
                    }
                    Ok(Some(Act::HangUp | Act::End)) | Ok(None) | Err(_) => break None,
                    // It cannot be answered, declined or canceled any more.
                    Ok(Some(_)) => {}
                }
            };
        }
        self.end("completed", &[]).await;
    }

    fn say(&self, script: &Script) {
        self.dev.lines.change(self.id, |line| {
            line.said = Some(script.text.clone());
            line.gather.clone_from(&script.gather);
        });
        self.dev.phone.hear(self.id, &script.text, script::code_in(&script.text));
    }

    /// Asks our own server, or whoever it is, what to say.
    async fn ask(&mut self, url: &str, more: &[(&str, &str)]) -> Option<String> {
        match self.post(url, "in-progress", more).await {
            Outcome::Answered { status: 200..=299, body } => String::from_utf8(body).ok(),
            outcome => {
                tracing::warn!(?outcome, "nobody says what to say");
                None
            }
        }
    }

    async fn end(&mut self, status: &'static str, more: &[(&str, &str)]) {
        let now = self.app.clock.now();
        let line = self.dev.lines.change(self.id, |line| {
            line.ended_at = Some(now);
            line.status = status;
        });
        let seconds = line.and_then(|line| line.seconds()).unwrap_or_default();
        let (seconds, minutes) = (seconds.to_string(), seconds.div_ceil(60).to_string());
        let mut all = vec![("CallDuration", seconds.as_str()), ("Duration", &minutes)];
        all.extend_from_slice(more);
        self.tell(status, "completed", &all).await;
    }

    /// It has come so far; whoever asked for this event is told.
    async fn tell(&mut self, status: &'static str, event: &str, more: &[(&str, &str)]) {
        self.dev.lines.change(self.id, |line| line.status = status);
        self.dev.phone.mark(self.id, status);
        let wanted = self.order.events.iter().any(|one| one == event);
        let Some(callback) = self.order.callback.clone().filter(|_| wanted) else { return };
        let sequence = self.sequence.to_string();
        self.sequence += 1;
        let timestamp = rfc2822(self.app.clock.now());
        let mut all = vec![
            ("SequenceNumber", sequence.as_str()),
            ("Timestamp", &timestamp),
            ("CallbackSource", "call-progress-events"),
        ];
        all.extend_from_slice(more);
        match self.post(&callback, status, &all).await {
            Outcome::Answered { status: 200..=299, .. } => {}
            outcome => tracing::warn!(?outcome, event, "a callback was not taken"),
        }
    }

    async fn post(&self, url: &str, status: &str, more: &[(&str, &str)]) -> Outcome {
        let sid = sid(self.id);
        let mut form = vec![
            ("AccountSid", self.account.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &sid),
            ("CallStatus", status),
            ("Called", &self.order.to),
            ("Caller", &self.order.from),
            ("Direction", "outbound-api"),
            ("From", &self.order.from),
            ("To", &self.order.to),
        ];
        form.extend_from_slice(more);
        call_back(&self.app, url, &form).await
    }
}

/// Waits until its caller ends it; what else somebody does meanwhile is lost.
async fn ended_by_caller(acts: &mut UnboundedReceiver<Act>) {
    while let Some(act) = acts.recv().await {
        if matches!(act, Act::Cancel | Act::End) {
            return;
        }
    }
    std::future::pending().await
}

/// The first thing that is done with a call that rings and changes something.
async fn decided(acts: &mut UnboundedReceiver<Act>) -> Act {
    while let Some(act) = acts.recv().await {
        if !matches!(act, Act::Press(_) | Act::HangUp) {
            return act;
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(form: &str) -> (u16, i64) {
        let Refusal(status, code, _) = Order::read(&Form::read(form.as_bytes())).unwrap_err();
        (status, code)
    }

    #[test]
    fn an_order_is_refused_as_twilio_refuses_it() {
        assert_eq!(refusal("From=%2B15005550006&Url=https://a.example"), (400, 21201));
        assert_eq!(refusal("To=%2B12025550143&Url=https://a.example"), (400, 21213));
        assert_eq!(refusal("To=12025550143&From=%2B15005550006&Url=https://a.example"), (400, 21211));
        assert_eq!(refusal("To=%2B12025550143&From=%2B15005550001&Url=https://a.example"), (400, 21212));
        assert_eq!(refusal("To=%2B15005550001&From=%2B15005550006&Url=https://a.example"), (400, 21217));
        assert_eq!(refusal("To=%2B12025550143&From=%2B15005550006"), (400, 21205));
        assert_eq!(refusal("To=%2B12025550143&From=%2B15005550006&Url=ftp:x"), (400, 21205));
        assert_eq!(refusal("To=%2B12025550143&From=%2B15005550006&Twiml=hello"), (400, 21205));
        let order = Order::read(&Form::read(b"To=%2B12025550143&From=%2B15005550006&Twiml=<Response/>&StatusCallbackEvent=ringing&StatusCallbackEvent=answered"));
        assert_eq!(order.unwrap().events, ["ringing", "answered"]);
    }

    #[test]
    fn a_call_is_named_in_its_path() {
        let id = Uuid::from_u128(0xab);
        assert_eq!(named(&format!("{}.json", sid(id))), Some(id));
        assert_eq!(named("CA1.json"), None);
        assert_eq!(named(&sid(id)), None);
    }
}
