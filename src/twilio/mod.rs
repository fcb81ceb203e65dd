//! Twilio, as messages and calls use it: the account's address, signatures, error codes, calls.
//!
//! Always holds: what comes in is read only after its signature was found right, against the
//! configured origin and never against the request's `Host`.

pub mod errors;
pub mod signature;
pub mod twiml;
pub mod voice;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Uri};

use crate::app::App;
use crate::error::{Problem, Result};

/// The provider's name in records.
pub const NAME: &str = "twilio";

/// Asks for callbacks to be repeated when they meet a closed door: three times, on connect failures,
/// read time-outs and our 5xx. By default Twilio tries once more, on connect failures alone. The
/// fragment is not part of what is signed.
pub const RETRIES: &str = "#rc=3&rp=ct,rt,5xx";

/// The longest callback that is read, in bytes. Twilio's are below two kilobytes.
pub const LONGEST: usize = 16 * 1024;

/// The address of what the account has under `name`, such as `Calls`.
pub fn address(app: &App, name: &str) -> String {
    let twilio = &app.config.twilio;
    format!("{}/2010-04-01/Accounts/{}/{name}.json", twilio.base_url, twilio.account_sid)
}

/// What lets us in: the account, and its token.
pub fn account(app: &App) -> (&str, &str) {
    (&app.config.twilio.account_sid, app.config.twilio.auth_token.expose())
}

/// The parameters of a callback that is signed; a JSON body has none that are known here. The
/// address that was signed is the configured origin with the path and the query as they came.
///
/// # Errors
/// [`Problem::BodyTooLarge`]; [`Problem::SignatureWrong`], whatever is wrong with it.
pub fn signed(app: &App, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Vec<(String, String)>> {
    if body.len() > LONGEST {
        return Err(Problem::BodyTooLarge.into());
    }
    let url = app.origin.link(uri.path_and_query().map_or("/", |asked| asked.as_str()));
    read_signed(app, &url, headers, body).ok_or_else(|| Problem::SignatureWrong.into())
}

fn read_signed(app: &App, url: &str, headers: &HeaderMap, body: &[u8]) -> Option<Vec<(String, String)>> {
    let twilio = &app.config.twilio;
    let tokens = [&twilio.auth_token, &twilio.previous_auth_token];
    let given = headers.get("x-twilio-signature")?.to_str().ok()?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let params = signature::read_form(body)?;
        signature::verify(&tokens, url, &params, given).then_some(params)
    } else {
        signature::verify_body(&tokens, url, body, given).then(Vec::new)
    }
}
