//! Twilio: how a message is put into a request, and what its answers and callbacks mean.
//!
//! Creating a message has no idempotency key. So the line between "surely not processed" and "not
//! known" is what matters here: 429 was never processed; a time-out or a 5xx may have been.

use serde_json::Value as Json;

use super::super::rules::{Heard, Sent};
use super::super::trouble::{self, Class};
use super::super::{Channel, Message, Status, letters, spoken};
use super::Parcel;
use crate::app::App;
use crate::outbound::Outcome;
use crate::text;
use crate::twilio::voice::{self, News, Placed};
use crate::twilio::{self, RETRIES};

pub use crate::twilio::NAME;

/// The path of callbacks, before the token.
pub const CALLBACK_PATH: &str = "/api/v1/webhooks/twilio/messages/";

/// The longest `ValidityPeriod` that Twilio takes, in seconds.
const LONGEST_LIFE: u64 = 36_000;

/// The longest provider's word or name that is kept.
const WORD: usize = 64;

/// Asks Twilio to send it.
pub(super) async fn send(app: &App, parcel: Parcel<'_>) -> Sent {
    match parcel.message.kind {
        Channel::Sms => send_sms(app, parcel).await,
        Channel::Call => send_call(app, parcel).await,
        Channel::Email => Sent::Refused(Some(trouble::NOBODY)),
    }
}

/// Has a voice say it. A second call by a doubt says the same, so the rules of messages hold for it.
async fn send_call(app: &App, parcel: Parcel<'_>) -> Sent {
    let Parcel { message, letter, callback, now } = parcel;
    let settings = &app.config.calls;
    let senders = settings.senders(&app.config.twilio);
    let Some(from) = senders.first() else { return Sent::Refused(Some(trouble::NOBODY)) };
    let document = spoken::document(app, letter, message.valid_until);
    let order = voice::Order {
        to: &message.to,
        from,
        content: voice::Content::Twiml(&document),
        callback: &app.origin.link(&format!("{CALLBACK_PATH}{callback}{RETRIES}")),
        // A phone that rings for a code that is dead by then is a nuisance.
        ring: settings.ring.as_secs().min(message.life(now)).max(5),
        longest: settings.longest.as_secs(),
    };
    match voice::place(app, &order).await {
        Placed::Accepted(news) => Sent::Accepted(heard_call(&news)),
        Placed::NotProcessed(code) => Sent::NotProcessed(code),
        Placed::Refused(code) => Sent::Refused(code),
        Placed::Doubtful => Sent::Doubtful,
    }
}

/// What the provider tells of a call that says a message.
fn heard_call(news: &News) -> Heard {
    let status = match news.word.as_str() {
        "queued" | "initiated" => Some(Status::Accepted),
        "ringing" => Some(Status::Sent),
        "in-progress" | "answered" | "completed" => Some(Status::Delivered),
        "busy" | "no-answer" => Some(Status::Undelivered),
        "failed" => Some(Status::Failed),
        "canceled" => Some(Status::Canceled),
        _ => None,
    };
    let word = status.map_or_else(|| news.word.clone(), |status| status.as_str().to_owned());
    Heard { reference: news.reference.clone(), word, status, error: news.error }
}

async fn send_sms(app: &App, parcel: Parcel<'_>) -> Sent {
    let Parcel { message, letter, callback, now } = parcel;
    let body = letters::text(letter, &app.origin);
    let settings = &app.config.twilio;
    let callback = app.origin.link(&format!("{CALLBACK_PATH}{callback}{RETRIES}"));
    let life = message.life(now).min(LONGEST_LIFE).to_string();
    let sender = if settings.messaging_service_sid.is_empty() {
        ("From", settings.from.as_str())
    } else {
        ("MessagingServiceSid", settings.messaging_service_sid.as_str())
    };
    let form = [
        ("To", message.to.as_str()),
        sender,
        ("Body", &body),
        ("StatusCallback", &callback),
        ("ValidityPeriod", &life),
    ];
    let url = twilio::address(app, "Messages");
    let outcome = app.outbound.post_form(&url, &form, &[], Some(twilio::account(app))).await;
    match &outcome {
        Outcome::NotSent(why) | Outcome::Unknown(why) => {
            tracing::warn!(message_id = %message.id, why, "twilio did not answer")
        }
        Outcome::Answered { .. } => {}
    }
    read(&outcome)
}

/// Asks Twilio what became of a message that it has; none when it does not say.
pub(in super::super) async fn ask(app: &App, message: &Message) -> Option<Heard> {
    let sid = message.provider_ref.as_deref()?;
    if message.kind == Channel::Call {
        return voice::fetch(app, sid).await.as_ref().map(heard_call);
    }
    // It becomes a part of the path.
    if message.kind != Channel::Sms || !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let url = twilio::address(app, &format!("Messages/{sid}"));
    let Outcome::Answered { status: 200, body } = app.outbound.get(&url, Some(twilio::account(app))).await
    else {
        return None;
    };
    let answer: Json = serde_json::from_slice(&body).ok()?;
    let word = answer.get("status").and_then(Json::as_str)?;
    Some(heard(Some(sid), word, answer.get("error_code").and_then(Json::as_i64)))
}

/// What an answer means.
pub fn read(outcome: &Outcome) -> Sent {
    let (status, body) = match outcome {
        Outcome::NotSent(_) => return Sent::NotProcessed(None),
        Outcome::Unknown(_) => return Sent::Doubtful,
        Outcome::Answered { status, body } => (*status, body),
    };
    let answer: Json = serde_json::from_slice(body).unwrap_or_default();
    let code = answer.get("code").and_then(Json::as_i64);
    match status {
        200..=299 => {
            let text = |name| answer.get(name).and_then(Json::as_str);
            // Without a sid it is not Twilio's answer, whatever it is.
            text("sid").map_or(Sent::Doubtful, |sid| {
                let word = text("status").unwrap_or("accepted");
                Sent::Accepted(heard(Some(sid), word, answer.get("error_code").and_then(Json::as_i64)))
            })
        }
        429 => Sent::NotProcessed(code.or(Some(20429))),
        408 | 500.. => Sent::Doubtful,
        401 | 403 => refused(code.or(Some(20003))),
        _ => refused(code),
    }
}

fn refused(code: Option<i64>) -> Sent {
    match trouble::class(code) {
        Class::Temporary => Sent::NotProcessed(code),
        _ => Sent::Refused(code),
    }
}

/// What a callback's parameters tell; none when they are about something else. Parameters that are
/// not known are left alone: Twilio adds some now and then.
pub fn callback(params: &[(String, String)]) -> Option<Heard> {
    let get = |name: &str| {
        params
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    if let Some(news) = voice::callback(params) {
        return Some(heard_call(&news));
    }
    let word = get("MessageStatus").or_else(|| get("SmsStatus"))?;
    let sid = get("MessageSid").or_else(|| get("SmsSid"));
    Some(heard(sid, word, get("ErrorCode").and_then(|code| code.parse().ok())))
}

fn heard(sid: Option<&str>, word: &str, error: Option<i64>) -> Heard {
    let short = |text: &str| text::short(text, WORD);
    let status = match word {
        "accepted" | "scheduled" | "queued" | "sending" => Some(Status::Accepted),
        "sent" | "partially_delivered" => Some(Status::Sent),
        "delivered" | "read" => Some(Status::Delivered),
        "undelivered" => Some(Status::Undelivered),
        "failed" => Some(Status::Failed),
        "canceled" => Some(Status::Canceled),
        _ => None,
    };
    let word = status.map_or_else(|| short(word), |status| status.as_str().to_owned());
    Heard { reference: sid.map(short), word, status, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Sent {
        read(&Outcome::Answered { status, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn an_answer_with_a_sid_is_accepted_and_keeps_the_first_status() {
        let sent = answered(201, r#"{"sid":"SM1","status":"queued","error_code":null}"#);
        let Sent::Accepted(heard) = sent else { panic!("{sent:?}") };
        assert_eq!((heard.reference.as_deref(), heard.status), (Some("SM1"), Some(Status::Accepted)));
        assert_eq!(heard.error, None);
    }

    #[test]
    fn only_what_was_surely_not_processed_may_be_sent_again_freely() {
        assert_eq!(read(&Outcome::NotSent("refused".into())), Sent::NotProcessed(None));
        assert_eq!(answered(429, ""), Sent::NotProcessed(Some(20429)));
        assert_eq!(answered(429, r#"{"code":20429}"#), Sent::NotProcessed(Some(20429)));
        assert_eq!(answered(400, r#"{"code":21611}"#), Sent::NotProcessed(Some(21611)));
        for doubtful in [
            read(&Outcome::Unknown("reset".into())),
            answered(500, r#"{"code":20500}"#),
            answered(503, "<html>"),
            answered(408, ""),
            answered(200, "{}"),
            answered(201, "not json"),
        ] {
            assert_eq!(doubtful, Sent::Doubtful);
        }
        assert_eq!(answered(400, r#"{"code":21211}"#), Sent::Refused(Some(21211)));
        assert_eq!(answered(401, ""), Sent::Refused(Some(20003)));
        assert_eq!(answered(302, ""), Sent::Refused(None));
    }

    #[test]
    fn a_callback_is_read_with_blanks_and_news_that_nobody_knows() {
        let params = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let heard = callback(&params(&[
            ("MessageSid", "SM1"),
            ("MessageStatus", "delivered"),
            ("ErrorCode", ""),
            ("New", "1"),
        ]))
        .unwrap();
        assert_eq!((heard.status, heard.error), (Some(Status::Delivered), None));
        let heard = callback(&params(&[("MessageSid", "SM1"), ("MessageStatus", "teleported")])).unwrap();
        assert_eq!((heard.status, heard.word.as_str()), (None, "teleported"));
        assert_eq!(callback(&params(&[("CallSid", "CA1")])), None);
    }
}
