//! A provider that looks like Twilio: the same request, the same refusals, the same answer, and
//! signed callbacks afterwards.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Dev;
use super::lines::Habit;
use super::order::{Form, NOT_FOUND, Refusal, authenticate, call_back, go_on, is_e164, refused, rfc2822};
use super::phone::{Text, code_in};
use crate::app::App;
use crate::clock::Timestamp;
use crate::outbound::Outcome;

/// Numbers that fail on request. The first five are those of Twilio's own test credentials.
const REFUSED_TO: &[(&str, Refusal)] = &[
    ("+15005550001", Refusal(400, 21211, "The 'To' number is not a valid phone number.")),
    ("+15005550002", Refusal(400, 21612, "The 'To' phone number is not currently reachable via SMS.")),
    (
        "+15005550003",
        Refusal(400, 21408, "Permission to send an SMS has not been enabled for the region of 'To'."),
    ),
    ("+15005550004", Refusal(400, 21610, "Attempt to send to unsubscribed recipient.")),
    ("+15005550009", Refusal(400, 21614, "'To' number is not a valid mobile number.")),
    ("+15005550020", Refusal(429, 20429, "Too many requests.")),
    ("+15005550021", Refusal(503, 20503, "Service unavailable.")),
];

/// Senders that fail on request, as with Twilio's own test credentials.
const REFUSED_FROM: &[(&str, Refusal)] = &[
    ("+15005550001", Refusal(400, 21212, "The 'From' number is not a valid phone number.")),
    (
        "+15005550007",
        Refusal(400, 21606, "The 'From' phone number provided is not a valid message-capable phone number."),
    ),
    (
        "+15005550008",
        Refusal(429, 21611, "This 'From' number has exceeded the maximum number of queued messages."),
    ),
];

/// Numbers that take a message and do not receive it: the final word, and its error.
const LOST: &[(&str, &str, i64)] =
    &[("+15005550030", "undelivered", 30003), ("+15005550031", "failed", 30008)];

/// What is to be sent.
#[derive(Debug)]
struct Order {
    to: String,
    from: Option<String>,
    service: Option<String>,
    body: String,
    callback: Option<String>,
}

/// `POST /dev/twilio/2010-04-01/Accounts/{sid}/Messages.json`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(dev): Extension<Dev>,
    Path(sid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let order = Order::read(&Form::ordered(&app, &sid, &headers, &body)?)?;
    let now = app.clock.now();
    let id = app.random.seed().uuid("phone", now);
    let rule = dev.lines.rule(&order.to);
    if rule.delay.is_zero() && rule.habit != Habit::Lose {
        dev.phone.receive(order.text(id, now));
    }
    let answer = order.answer(&sid, id, now);
    dev.phone.keep(id, answer.clone());
    go_on(&dev, follow(app, dev.clone(), order, sid, id));
    Ok((StatusCode::CREATED, Json(answer)))
}

impl Order {
    /// Reads the form and refuses in Twilio's order.
    fn read(form: &Form) -> Result<Self, Refusal> {
        let to = form.need("To", Refusal(400, 21604, "A 'To' phone number is required."))?;
        let body = form.need("Body", Refusal(400, 21602, "Message body is required."))?;
        let (from, service) = (form.get("From"), form.get("MessagingServiceSid"));
        if from.is_none() && service.is_none() {
            return Err(Refusal(400, 21603, "A 'From' phone number is required."));
        }
        if !is_e164(&to) {
            return Err(Refusal(400, 21211, "The 'To' number is not a valid phone number."));
        }
        refused(REFUSED_FROM, from.as_deref().unwrap_or_default())?;
        refused(REFUSED_TO, &to)?;
        // 1600 UTF-16 units: what Twilio counts.
        if body.encode_utf16().count() > 1600 {
            return Err(Refusal(
                400,
                21617,
                "The concatenated message body exceeds the 1600 character limit.",
            ));
        }
        let callback = form.get("StatusCallback");
        if callback.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return Err(Refusal(400, 21609, "The 'StatusCallback' URL is not a valid URL."));
        }
        Ok(Self { to, from, service, body, callback })
    }

    /// What arrives.
    fn text(&self, id: Uuid, now: Timestamp) -> Text {
        Text {
            id,
            kind: "sms",
            to: self.to.clone(),
            body: self.body.clone(),
            code: code_in(&self.body),
            mail: None,
            status: "queued",
            at: now,
        }
    }

    /// What Twilio answers.
    fn answer(&self, account: &str, id: Uuid, now: Timestamp) -> Value {
        let sid = message_sid(id);
        let at = rfc2822(now);
        let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}");
        json!({
            "account_sid": account,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": at,
            "date_sent": null,
            "date_updated": at,
            "direction": "outbound-api",
            "error_code": null,
            "error_message": null,
            "from": self.from,
            "messaging_service_sid": self.service,
            "num_media": "0",
            "num_segments": "1",
            "price": null,
            "price_unit": "USD",
            "sid": sid,
            "status": if self.service.is_some() { "accepted" } else { "queued" },
            "subresource_uris": { "media": format!("{uri}/Media.json") },
            "to": self.to,
            "uri": format!("{uri}.json"),
        })
    }
}

/// `GET /dev/twilio/2010-04-01/Accounts/{sid}/Messages/{message}.json`
pub(super) async fn fetch(
    State(app): State<Arc<App>>,
    Extension(dev): Extension<Dev>,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    authenticate(&app, &account, &headers)?;
    let id = file.strip_suffix(".json").and_then(|name| Uuid::try_parse(name.strip_prefix("SM")?).ok());
    id.and_then(|id| dev.phone.kept(id)).map(Json).ok_or(NOT_FOUND)
}

/// Tells, one after the other, what becomes of a message.
async fn follow(app: Arc<App>, dev: Dev, order: Order, account: String, id: Uuid) {
    let rule = dev.lines.rule(&order.to);
    tokio::time::sleep(rule.delay).await;
    let known = LOST.iter().find(|(number, ..)| *number == order.to);
    let (last, error) = match (known, rule.habit) {
        (Some((_, word, code)), _) => (*word, Some(code.to_string())),
        (None, Habit::Fail) => ("failed", Some("30008".to_owned())),
        (None, _) => ("delivered", None),
    };
    if !rule.delay.is_zero() && rule.habit != Habit::Lose {
        dev.phone.receive(order.text(id, app.clock.now()));
    }
    let words: &[&'static str] = match (last, rule.habit) {
        (_, Habit::Lose) => &["queued", "sent"],
        ("failed", _) => &["queued", "failed"],
        _ => &["queued", "sent", last],
    };
    for &word in words {
        dev.phone.mark(id, word);
        let Some(url) = order.callback.as_deref() else { continue };
        let sid = message_sid(id);
        let mut form = vec![
            ("AccountSid", account.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("MessageSid", &sid),
            ("MessageStatus", word),
            ("SmsSid", &sid),
            ("SmsStatus", word),
            ("To", &order.to),
        ];
        form.extend(order.from.as_deref().map(|from| ("From", from)));
        form.extend(order.service.as_deref().map(|service| ("MessagingServiceSid", service)));
        form.extend(error.as_deref().filter(|_| word == last).map(|code| ("ErrorCode", code)));
        match call_back(&app, url, &form).await {
            Outcome::Answered { status: 200..=299, .. } => {}
            Outcome::Answered { status, .. } => tracing::warn!(status, word, "a callback was not taken"),
            Outcome::NotSent(why) | Outcome::Unknown(why) => {
                tracing::warn!(why, word, "a callback did not arrive")
            }
        }
    }
}

fn message_sid(id: Uuid) -> String {
    format!("SM{}", id.simple())
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
        assert_eq!(refusal("From=%2B15005550006&Body=x"), (400, 21604));
        assert_eq!(refusal("To=%2B15005550006&From=%2B15005550006"), (400, 21602));
        assert_eq!(refusal("To=%2B15005550006&From=%2B15005550006&Body="), (400, 21602));
        assert_eq!(refusal("To=%2B15005550006&Body=x"), (400, 21603));
        for to in ["15005550006", "%2B05005550006", "%2B123456", "%2B1234567890123456", "+15005550006"] {
            assert_eq!(refusal(&format!("To={to}&From=%2B15005550006&Body=x")), (400, 21211), "{to}");
        }
        assert_eq!(refusal("To=%2B15005550009&From=%2B15005550006&Body=x"), (400, 21614));
        assert_eq!(refusal("To=%2B15005550020&From=%2B15005550006&Body=x"), (429, 20429));
        assert_eq!(refusal("To=%2B15005550006&From=%2B15005550007&Body=x"), (400, 21606));
        assert_eq!(refusal("To=%2B15005550006&From=x&Body=x&StatusCallback=ftp:x"), (400, 21609));
        let long = format!("To=%2B15005550006&From=x&Body={}", "x".repeat(1601));
        assert_eq!(refusal(&long), (400, 21617));
    }

    #[test]
    fn an_answer_has_twilios_shape() {
        let order = Order::read(&Form::read(b"To=%2B15005550006&MessagingServiceSid=MG1&Body=x")).unwrap();
        let answer = order.answer("AC1", Uuid::from_u128(0xab), Timestamp::from_millis(1_893_456_000_000));
        assert_eq!(answer["sid"], "SM000000000000000000000000000000ab");
        assert_eq!(answer["status"], "accepted");
        assert_eq!(answer["date_created"], "Tue, 01 Jan 2030 00:00:00 +0000");
        assert_eq!(
            answer["uri"],
            "/2010-04-01/Accounts/AC1/Messages/SM000000000000000000000000000000ab.json"
        );
    }
}
