//! What the look-alikes of messages and of calls share: who may order, how an order is read and refused, and
//! how callbacks are signed.

use std::sync::PoisonError;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Dev;
use crate::app::App;
use crate::clock::Timestamp;
use crate::outbound::Outcome;
use crate::secret::same;
use crate::twilio::signature;

/// A refusal: HTTP status, Twilio's code, what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refusal(pub u16, pub i64, pub &'static str);

/// Twilio's answer to what is not there.
pub(super) const NOT_FOUND: Refusal = Refusal(404, 20404, "The requested resource was not found");

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let more_info = format!("https://www.twilio.com/docs/errors/{code}");
        let body = json!({"code": code, "message": message, "more_info": more_info, "status": status});
        (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), Json(body)).into_response()
    }
}

/// Lets nobody in but whoever has the token of `account`.
///
/// # Errors
/// Twilio's 20003.
pub(super) fn authenticate(app: &App, account: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let twilio = &app.config.twilio;
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given =
        given.and_then(|value| value.strip_prefix("Basic ")).and_then(|text| STANDARD.decode(text).ok());
    let wanted = format!("{}:{}", twilio.account_sid, twilio.auth_token.expose());
    let is_theirs =
        account == twilio.account_sid && given.is_some_and(|given| same(&given, wanted.as_bytes()));
    if is_theirs { Ok(()) } else { Err(Refusal(401, 20003, "Authenticate")) }
}

/// The parameters of an order.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the form of whoever may order for `account`.
    ///
    /// # Errors
    /// Those of [`authenticate`].
    pub fn ordered(app: &App, account: &str, headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        authenticate(app, account, headers)?;
        Ok(Self::read(body))
    }

    /// Reads a form; what is none has no parameters.
    pub fn read(body: &[u8]) -> Self {
        Self(signature::read_form(body).unwrap_or_default())
    }

    /// Every value of a parameter; blank ones are none.
    pub fn all(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        values.map(|(_, value)| value.clone()).collect()
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    /// The same of one that must be there.
    ///
    /// # Errors
    /// `missing`.
    pub fn need(&self, name: &str, missing: Refusal) -> Result<String, Refusal> {
        self.get(name).ok_or(missing)
    }
}

/// Refuses the numbers of `table`, which fail on request.
///
/// # Errors
/// What the table says.
pub(super) fn refused(table: &[(&str, Refusal)], number: &str) -> Result<(), Refusal> {
    table.iter().find(|(known, _)| *known == number).map_or(Ok(()), |(_, refusal)| Err(*refusal))
}

/// Goes on with what was ordered after it was answered.
pub(super) fn go_on(dev: &Dev, with: impl Future<Output = ()> + Send + 'static) {
    let mut callbacks = dev.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
    while callbacks.try_join_next().is_some() {}
    callbacks.spawn(with);
}

/// Posts `form` to `url`, signed as Twilio signs.
pub(super) async fn call_back(app: &App, url: &str, form: &[(&str, &str)]) -> Outcome {
    let url = url.split('#').next().unwrap_or(url);
    let params: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let signature = signature::sign(&app.config.twilio.auth_token, url, &params);
    app.outbound.post_form(url, form, &[("X-Twilio-Signature", &signature)], None).await
}

/// `+`, then 7 to 15 digits, the first of them not 0 (ITU-T E.164).
pub(super) fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// As Twilio writes instants: `Tue, 01 Jan 2030 00:00:00 +0000`.
pub(super) fn rfc2822(at: Timestamp) -> String {
    let instant = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    instant.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
