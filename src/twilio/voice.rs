//! Calls at Twilio: placing one, asking after it, ending it, and what answers and callbacks mean.
//!
//! Placing a call has no idempotency key. So the line between "surely not processed" and "not known"
//! is what matters here too: 429 was never processed; a time-out or a 5xx may have been.

use serde_json::Value as Json;

use super::errors::Class;
use super::{account, address};
use crate::app::App;
use crate::clock::Timestamp;
use crate::outbound::Outcome;
use crate::text;

/// The longest word or name of the provider's that is kept.
const WORD: usize = 64;

/// How many of the newest calls between two numbers are looked at when one is searched for.
const PAGE: &str = "20";

/// A call that should be placed.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Whom, E.164.
    pub to: &'a str,
    /// The number that is shown, E.164.
    pub from: &'a str,
    /// What is said.
    pub content: Content<'a>,
    /// Where its callbacks go.
    pub callback: &'a str,
    /// How long it may ring, in seconds.
    pub ring: u64,
    /// How long it may last, in seconds.
    pub longest: u64,
}

/// What a call says.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// This TwiML document.
    Twiml(&'a str),
    /// The TwiML that the provider fetches from here.
    Url(&'a str),
}

/// What the provider tells of a call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct News {
    /// Its name for the call.
    pub reference: Option<String>,
    /// Its word, as it came.
    pub word: String,
    /// Its number for what went wrong.
    pub error: Option<i64>,
    /// How long was spoken, in seconds.
    pub duration: Option<u32>,
}

/// What an attempt to place a call came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Placed {
    /// The provider has it.
    Accepted(News),
    /// It was surely not processed, and may be later: trying again is safe.
    NotProcessed(Option<i64>),
    /// It was surely not processed, and the code says why.
    Refused(Option<i64>),
    /// Whether it was processed is not known.
    Doubtful,
}

/// A call as the provider lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// What it tells of it.
    pub news: News,
    /// When it took it, to the second.
    pub created: Timestamp,
}

/// Asks Twilio to place a call.
pub async fn place(app: &App, order: &Order<'_>) -> Placed {
    let (ring, longest) = (order.ring.to_string(), order.longest.to_string());
    let mut form = vec![
        ("To", order.to),
        ("From", order.from),
        ("StatusCallback", order.callback),
        ("StatusCallbackMethod", "POST"),
        ("StatusCallbackEvent", "initiated"),
        ("StatusCallbackEvent", "ringing"),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "completed"),
        ("Timeout", &ring),
        ("TimeLimit", &longest),
    ];
    match order.content {
        Content::Twiml(document) => form.push(("Twiml", document)),
        Content::Url(url) => form.extend([("Url", url), ("Method", "POST")]),
    }
    let outcome = app.outbound.post_form(&address(app, "Calls"), &form, &[], Some(account(app))).await;
    if let Outcome::NotSent(why) | Outcome::Unknown(why) = &outcome {
        tracing::warn!(why, "twilio did not answer");
    }
    read_placed(&outcome)
}

/// Asks after the call that Twilio names `reference`; nothing when no answer came.
pub async fn fetch(app: &App, reference: &str) -> Option<News> {
    let outcome = app.outbound.get(&address(app, &named(reference)?), Some(account(app))).await;
    read_call(&answered(&outcome)?)
}

/// Ends it: while it is not answered yet as never made (`canceled`), or else by hanging up
/// (`completed`). What Twilio then says of it; nothing when no answer came.
pub async fn end(app: &App, reference: &str, is_answered: bool) -> Option<News> {
    let status = if is_answered { "completed" } else { "canceled" };
    let url = address(app, &named(reference)?);
    let outcome = app.outbound.post_form(&url, &[("Status", status)], &[], Some(account(app))).await;
    read_call(&answered(&outcome)?)
}

/// The newest calls between two numbers; nothing when no answer came.
pub async fn list(app: &App, to: &str, from: &str) -> Option<Vec<Listed>> {
    let mut url = reqwest::Url::parse(&address(app, "Calls")).ok()?;
    url.query_pairs_mut().append_pair("To", to).append_pair("From", from).append_pair("PageSize", PAGE);
    let outcome = app.outbound.get(url.as_str(), Some(account(app))).await;
    let page = answered(&outcome)?;
    let listed = page.get("calls")?.as_array()?.iter().filter_map(|call| {
        let created = call.get("date_created")?.as_str()?;
        let created = jiff::fmt::rfc2822::parse(created).ok()?.timestamp().as_millisecond();
        Some(Listed { news: read_call(call)?, created: Timestamp::from_millis(created) })
    });
    Some(listed.collect())
}

/// What a callback's parameters tell; none when they are about something else. Parameters that are
/// not known are left alone: Twilio adds some now and then.
pub fn callback(params: &[(String, String)]) -> Option<News> {
    let get = |name: &str| {
        let found = params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    };
    Some(News {
        reference: get("CallSid").map(short),
        word: short(get("CallStatus")?),
        error: get("ErrorCode").and_then(|code| code.parse().ok()),
        duration: get("CallDuration").and_then(|seconds| seconds.parse().ok()),
    })
}

/// A name becomes a part of a path, so nothing but letters and digits.
fn named(reference: &str) -> Option<String> {
    let is_plain = !reference.is_empty() && reference.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_plain.then(|| format!("Calls/{reference}"))
}

fn answered(outcome: &Outcome) -> Option<Json> {
    match outcome {
        Outcome::Answered { status: 200..=299, body } => serde_json::from_slice(body).ok(),
        Outcome::Answered { status, .. } => {
            tracing::warn!(status, "twilio does not tell of a call");
            None
        }
        Outcome::NotSent(why) | Outcome::Unknown(why) => {
            tracing::warn!(why, "twilio did not answer");
            None
        }
    }
}

/// What an answer to an order means.
pub fn read_placed(outcome: &Outcome) -> Placed {
    let (status, body) = match outcome {
        Outcome::NotSent(_) => return Placed::NotProcessed(None),
        Outcome::Unknown(_) => return Placed::Doubtful,
        Outcome::Answered { status, body } => (*status, body),
    };
    let answer: Json = serde_json::from_slice(body).unwrap_or_default();
    let code = answer.get("code").and_then(Json::as_i64);
    let refused = |code| match Class::of(code) {
        Class::Temporary => Placed::NotProcessed(code),
        _ => Placed::Refused(code),
    };
    match status {
        // Without a sid it is not Twilio's answer, whatever it is.
        200..=299 => read_call(&answer)
            .filter(|news| news.reference.is_some())
            .map_or(Placed::Doubtful, Placed::Accepted),
        429 => Placed::NotProcessed(code.or(Some(20429))),
        408 | 500.. => Placed::Doubtful,
        401 | 403 => refused(code.or(Some(20003))),
        _ => refused(code),
    }
}

/// A call as Twilio writes it; numbers come as text there.
fn read_call(call: &Json) -> Option<News> {
    let text = |name| call.get(name).and_then(Json::as_str);
    Some(News {
        reference: text("sid").map(short),
        word: short(text("status")?),
        error: None,
        duration: text("duration").and_then(|seconds| seconds.parse().ok()),
    })
}

fn short(text: &str) -> String {
    text::short(text, WORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Placed {
        read_placed(&Outcome::Answered { status, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn only_what_was_surely_not_processed_may_be_placed_again() {
        assert_eq!(read_placed(&Outcome::NotSent("refused".into())), Placed::NotProcessed(None));
        assert_eq!(answer(429, ""), Placed::NotProcessed(Some(20429)));
        for doubtful in [
            read_placed(&Outcome::Unknown("reset".into())),
            answer(500, r#"{"code":20500}"#),
            answer(503, "<html>"),
            answer(408, ""),
            answer(200, "{}"),
            answer(201, r#"{"status":"queued"}"#),
            answer(201, "not json"),
        ] {
            assert_eq!(doubtful, Placed::Doubtful);
        }
        assert_eq!(answer(400, r#"{"code":21217}"#), Placed::Refused(Some(21217)));
        assert_eq!(answer(401, ""), Placed::Refused(Some(20003)));
        let placed = answer(201, r#"{"sid":"CA1","status":"queued","duration":null}"#);
        let news = News { reference: Some("CA1".into()), word: "queued".into(), ..News::default() };
        assert_eq!(placed, Placed::Accepted(news));
    }

    #[test]
    fn a_callback_is_read_with_blanks_and_news_that_nobody_knows() {
        let params = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let told = callback(&params(&[
            ("CallSid", "CA1"),
            ("CallStatus", "completed"),
            ("CallDuration", "12"),
            ("ErrorCode", ""),
            ("New", "1"),
        ]));
        let told = told.unwrap();
        assert_eq!((told.word.as_str(), told.duration, told.error), ("completed", Some(12), None));
        assert_eq!(callback(&params(&[("MessageSid", "SM1"), ("MessageStatus", "sent")])), None);
        assert_eq!(callback(&params(&[("CallStatus", "x"), ("CallDuration", "-1")])).unwrap().duration, None);
    }

    #[test]
    fn a_name_cannot_leave_its_path() {
        assert_eq!(named("CA12").as_deref(), Some("Calls/CA12"));
        for wrong in ["", "../x", "CA1?x", "CA1/..", "CA1#"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }
}
