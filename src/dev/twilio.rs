//! A provider that looks like Twilio: the same request, the same refusals, the same answer, and
//! signed callbacks afterwards.

use std::sync::{Arc, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Dev;
use super::phone::{Text, Wanted, code_in};
use crate::app::App;
use crate::clock::Timestamp;
use crate::config;
use crate::messages::signature;
use crate::outbound::Outcome;
use crate::secret::same;

/// A refusal: HTTP status, Twilio's code, what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Refusal(u16, i64, &'static str);

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

const AUTHENTICATE: Refusal = Refusal(401, 20003, "Authenticate");

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let more_info = format!("https://www.twilio.com/docs/errors/{code}");
        let body = json!({"code": code, "message": message, "more_info": more_info, "status": status});
        (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), Json(body)).into_response()
    }
}

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
) -> Response {
    if !is_authentic(&app.config.twilio, &sid, &headers) {
        return AUTHENTICATE.into_response();
    }
    let order = match Order::read(&body) {
        Ok(order) => order,
        Err(refusal) => return refusal.into_response(),
    };
    let now = app.clock.now();
    let id = app.random.seed().uuid("phone", now);
    dev.phone.receive(Text {
        id,
        kind: "sms",
        to: order.to.clone(),
        body: order.body.clone(),
        code: code_in(&order.body),
        mail: None,
        status: "queued",
        at: now,
    });
    let answer = order.answer(&sid, id, now);
    let mut callbacks = dev.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
    while callbacks.try_join_next().is_some() {}
    callbacks.spawn(call_back(app, dev.clone(), order, sid, id));
    (StatusCode::CREATED, Json(answer)).into_response()
}

/// `GET /dev/twilio/2010-04-01/Accounts/{sid}/Messages/{message}.json`: what became of it.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Extension(dev): Extension<Dev>,
    Path((sid, message)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if !is_authentic(&app.config.twilio, &sid, &headers) {
        return AUTHENTICATE.into_response();
    }
    let wanted = message.strip_suffix(".json").unwrap_or_default();
    let found = dev.phone.find(&Wanted::default()).into_iter().find(|text| message_sid(text.id) == wanted);
    match found {
        Some(text) => Json(json!({"sid": wanted, "status": text.status, "error_code": null})).into_response(),
        None => Refusal(404, 20404, "The requested resource was not found.").into_response(),
    }
}

fn is_authentic(twilio: &config::Twilio, sid: &str, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given =
        given.and_then(|value| value.strip_prefix("Basic ")).and_then(|text| STANDARD.decode(text).ok());
    let wanted = format!("{}:{}", twilio.account_sid, twilio.auth_token.expose());
    sid == twilio.account_sid && given.is_some_and(|given| same(&given, wanted.as_bytes()))
}

impl Order {
    /// Reads the form and refuses in Twilio's order.
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        let params = signature::read_form(body).unwrap_or_default();
        let get = |name: &str| {
            params
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
                .filter(|value| !value.is_empty())
        };
        let refused = |table: &[(&str, Refusal)], number: &str| {
            table.iter().find(|(known, _)| *known == number).map_or(Ok(()), |(_, refusal)| Err(*refusal))
        };
        let to = get("To").ok_or(Refusal(400, 21604, "A 'To' phone number is required."))?;
        let body = get("Body").ok_or(Refusal(400, 21602, "Message body is required."))?;
        let (from, service) = (get("From"), get("MessagingServiceSid"));
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
        let callback = get("StatusCallback");
        if callback.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return Err(Refusal(400, 21609, "The 'StatusCallback' URL is not a valid URL."));
        }
        Ok(Self { to, from, service, body, callback })
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

/// Tells, one after the other, what becomes of a message.
async fn call_back(app: Arc<App>, dev: Dev, order: Order, account: String, id: Uuid) {
    let (last, error) = LOST
        .iter()
        .find(|(number, ..)| *number == order.to)
        .map_or(("delivered", None), |(_, word, code)| (*word, Some(code.to_string())));
    let words: &[&'static str] =
        if last == "failed" { &["queued", "failed"] } else { &["queued", "sent", last] };
    for &word in words {
        dev.phone.mark(id, word);
        let Some(url) = order.callback.as_deref().and_then(|url| url.split('#').next()) else { continue };
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
        let params: Vec<_> =
            form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let signature = signature::sign(&app.config.twilio.auth_token, url, &params);
        let outcome = app.outbound.post_form(url, &form, &[("X-Twilio-Signature", &signature)], None).await;
        match outcome {
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

/// `+`, then 7 to 15 digits, the first of them not 0 (ITU-T E.164).
fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// As Twilio writes instants: `Tue, 01 Jan 2030 00:00:00 +0000`.
fn rfc2822(at: Timestamp) -> String {
    let instant = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    instant.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(form: &str) -> (u16, i64) {
        let Refusal(status, code, _) = Order::read(form.as_bytes()).unwrap_err();
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
        let order = Order::read(b"To=%2B15005550006&MessagingServiceSid=MG1&Body=x").unwrap();
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
