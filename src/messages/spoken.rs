//! Codes that a voice says: what the call says, and how it is heard again by pressing a key.
//!
//! By then the record no longer holds the code. So the address that a key press goes to carries it,
//! sealed: it opens here alone, only for as long as the code is good for something, and only when the
//! provider's signature is right. Nothing about it is logged.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Content, Letter, letters};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{Problem, Result};
use crate::secret::Sealed;
use crate::store::{Field, Value};
use crate::twilio::twiml;
use crate::words::say;

/// The path that a key press goes to, before the sealed letter.
pub const REPLAY_PATH: &str = "/api/v1/webhooks/twilio/voice/";

/// What it is sealed for.
const CONTEXT: &[&str] = &["message.spoken"];

/// What the call says: a code digit by digit and twice, and again at the press of a key.
pub fn document(app: &App, letter: &Letter, valid_until: Timestamp) -> String {
    let text = letters::spoken(letter, &app.origin);
    let language = twiml::language(Some(letter.locale.as_str()));
    match letter.content {
        Content::Notice { .. } => twiml::say(&text, language),
        Content::Code { .. } => {
            let again = say(letter.locale, "call-again", &[]);
            let action = app.origin.link(&format!("{REPLAY_PATH}{}", seal(app, letter, valid_until)));
            twiml::say_again(&text, &again, language, &action)
        }
    }
}

/// What is said at the press of a key: the same again; nothing, which ends the call, once the code is
/// good for nothing.
///
/// # Errors
/// [`Problem::NotFound`] for what was not sealed here.
pub fn replay(app: &App, sealed: &str, now: Timestamp) -> Result<String> {
    let (letter, valid_until) = open(app, sealed).ok_or(Problem::NotFound)?;
    Ok(if now < valid_until { document(app, &letter, valid_until) } else { twiml::nothing() })
}

fn seal(app: &App, letter: &Letter, valid_until: Timestamp) -> String {
    let plain = serde_json::to_vec(&(letter, valid_until)).unwrap_or_default();
    match app.keyring.seal(CONTEXT, &plain, &app.random).to_value() {
        Value::Bytes(bytes) => URL_SAFE_NO_PAD.encode(bytes),
        _ => String::new(),
    }
}

fn open(app: &App, sealed: &str) -> Option<(Letter, Timestamp)> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let plain = app.keyring.open(CONTEXT, &Sealed::from_value(Value::Bytes(bytes)).ok()?)?;
    serde_json::from_slice(&plain).ok()
}
