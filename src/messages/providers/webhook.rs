//! A provider of one's own: one signed POST a message. `docs/providers.md` is its contract.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::rules::{Heard, Sent};
use super::super::{Channel, Status, letters, trouble};
use super::Parcel;
use crate::app::App;
use crate::outbound::{Outcome, SIGNATURE, sign};
use crate::text;

/// The path of callbacks, before the token.
const CALLBACK_PATH: &str = "/api/v1/webhooks/messages/";

/// What the provider tells of a message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The message's id, as it was sent: so a signed callback is good for one message alone.
    pub id: Uuid,
    /// How far it has come.
    pub status: Word,
    /// The provider's name for it.
    pub reference: Option<String>,
    /// Why it failed.
    pub error: Option<Reason>,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DeliveryStatus")]
pub enum Word {
    /// The provider has it.
    Accepted,
    /// The provider has handed it on.
    Sent,
    /// It arrived.
    Delivered,
    /// The network could not deliver it.
    Undelivered,
    /// It was refused.
    Failed,
}

/// Why a message failed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DeliveryError")]
pub enum Reason {
    /// It may be tried again.
    Later,
    /// This number cannot be reached.
    Number,
    /// Stopped because of fraud.
    Fraud,
    /// The account does not work.
    Account,
    /// The sender or the text is not accepted.
    Sender,
}

impl Reason {
    fn code(self) -> i64 {
        match self {
            Self::Later => trouble::LATER,
            Self::Number => trouble::UNREACHABLE,
            Self::Fraud => trouble::FRAUD,
            Self::Account => trouble::NOT_LET_IN,
            Self::Sender => trouble::NOT_ACCEPTED,
        }
    }
}

impl Told {
    /// The news in it.
    pub fn heard(&self) -> Heard {
        let status = match self.status {
            Word::Accepted => Status::Accepted,
            Word::Sent => Status::Sent,
            Word::Delivered => Status::Delivered,
            Word::Undelivered => Status::Undelivered,
            Word::Failed => Status::Failed,
        };
        let reference = self.reference.as_deref().map(|name| text::short(name, REFERENCE));
        let error = self.error.map(Reason::code);
        Heard { reference, word: status.to_string(), status: Some(status), error }
    }
}

/// The longest name for a message that is kept.
const REFERENCE: usize = 64;

/// Posts it.
pub(super) async fn send(app: &App, parcel: Parcel<'_>) -> Sent {
    let webhook = &app.config.webhook;
    let body = body(app, parcel).to_string();
    let signature = sign(&webhook.secret, parcel.now, body.as_bytes());
    let id = parcel.message.id.to_string();
    let headers = [(SIGNATURE, signature.as_str()), ("idempotency-key", id.as_str())];
    let outcome = app.outbound.post_json(&webhook.url, body, &headers).await;
    if let Outcome::NotSent(why) | Outcome::Unknown(why) = &outcome {
        tracing::warn!(message_id = %parcel.message.id, why, "the webhook did not answer");
    }
    read(&outcome)
}

fn body(app: &App, parcel: Parcel<'_>) -> Json {
    let Parcel { message, letter, callback, .. } = parcel;
    let mut body = json!({
        "id": message.id,
        "kind": message.kind,
        "purpose": message.purpose,
        "to": message.to,
        "from": app.config.webhook.from,
        "locale": letter.locale,
        "valid_until": message.valid_until,
        "callback": app.origin.link(&format!("{CALLBACK_PATH}{callback}")),
    });
    let Some(fields) = body.as_object_mut() else { return body };
    match message.kind {
        Channel::Sms => {
            fields.insert("text".to_owned(), letters::text(letter, &app.origin).into());
        }
        Channel::Call => {
            fields.insert("text".to_owned(), letters::spoken(letter, &app.origin).into());
        }
        Channel::Email => {
            let page = letters::mail(letter, &app.origin);
            fields.insert("text".to_owned(), page.text().into());
            fields.insert("html".to_owned(), page.html(letter.locale).into());
            fields.insert("subject".to_owned(), page.subject.into());
        }
    }
    body
}

/// What an answer means: 2xx took it, 429 and 503 did nothing with it, any other 4xx refuses it for
/// the reason in `error`; the rest leaves open what was done.
fn read(outcome: &Outcome) -> Sent {
    let (status, body) = match outcome {
        Outcome::NotSent(_) => return Sent::NotProcessed(None),
        Outcome::Unknown(_) => return Sent::Doubtful,
        Outcome::Answered { status, body } => (*status, body),
    };
    let answer: Json = serde_json::from_slice(body).unwrap_or_default();
    let of = |name: &str| answer.get(name).and_then(Json::as_str);
    match status {
        200..=299 => {
            let reference = of("reference").map(|name| text::short(name, REFERENCE));
            let status = match of("status") {
                Some("delivered") => Status::Delivered,
                Some("sent") => Status::Sent,
                _ => Status::Accepted,
            };
            Sent::Accepted(Heard { reference, word: status.to_string(), status: Some(status), error: None })
        }
        429 | 503 => Sent::NotProcessed(Some(trouble::LATER)),
        401 | 403 => Sent::Refused(Some(trouble::NOT_LET_IN)),
        400..=499 => match answer.get("error").and_then(|why| Reason::deserialize(why).ok()) {
            Some(Reason::Later) => Sent::NotProcessed(Some(trouble::LATER)),
            Some(why) => Sent::Refused(Some(why.code())),
            None => Sent::Refused(None),
        },
        _ => Sent::Doubtful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_surely_not_processed_may_go_elsewhere() {
        let answered = |status, body: &str| read(&Outcome::Answered { status, body: body.into() });
        assert_eq!(read(&Outcome::NotSent(String::new())), Sent::NotProcessed(None));
        for doubtful in
            [read(&Outcome::Unknown(String::new())), answered(500, ""), answered(302, ""), answered(504, "")]
        {
            assert_eq!(doubtful, Sent::Doubtful);
        }
        for later in [answered(429, ""), answered(503, "<html>"), answered(409, r#"{"error":"later"}"#)] {
            assert_eq!(later, Sent::NotProcessed(Some(trouble::LATER)));
        }
        assert_eq!(answered(422, r#"{"error":"number"}"#), Sent::Refused(Some(trouble::UNREACHABLE)));
        assert_eq!(answered(422, r#"{"error":"fraud"}"#), Sent::Refused(Some(trouble::FRAUD)));
        assert_eq!(answered(401, ""), Sent::Refused(Some(trouble::NOT_LET_IN)));
        assert_eq!(answered(404, ""), Sent::Refused(None));
        let Sent::Accepted(heard) = answered(200, r#"{"reference":"a1","status":"sent"}"#) else { panic!() };
        assert_eq!((heard.reference.as_deref(), heard.status), (Some("a1"), Some(Status::Sent)));
        // PostgreSQL does not take U+0000, and what was taken must not go out again for that.
        let Sent::Accepted(heard) = answered(200, r#"{"reference":"a\u0000b"}"#) else { panic!() };
        assert_eq!(heard.reference.as_deref(), Some("ab"));
    }
}
