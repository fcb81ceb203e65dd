//! The provider's door: callbacks.

use axum::body::Bytes;
use axum::extract::Path;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};

use super::{actions, signature};
use crate::app::Ctx;
use crate::error::{Problem, Result};

/// The longest callback that is read, in bytes. Twilio's are below two kilobytes.
pub const LONGEST: usize = 16 * 1024;

/// `POST /webhooks/twilio/messages/{token}`
///
/// Whoever cannot sign is told the same about every token. The address that was signed is the
/// configured origin with the path and the query as they came.
pub async fn twilio_status(
    ctx: Ctx,
    uri: Uri,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode> {
    if body.len() > LONGEST {
        return Err(Problem::BodyTooLarge.into());
    }
    let url = ctx.app.origin.link(uri.path_and_query().map_or("/", |asked| asked.as_str()));
    let params = signed(&ctx, &url, &headers, &body).ok_or(Problem::SignatureWrong)?;
    actions::callback(&ctx, &token, &params).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The parameters, when the request is signed. A JSON body has none that are known here.
fn signed(ctx: &Ctx, url: &str, headers: &HeaderMap, body: &[u8]) -> Option<Vec<(String, String)>> {
    let twilio = &ctx.app.config.twilio;
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
