//! The provider's door: callbacks.

use axum::body::Bytes;
use axum::extract::Path;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode, Uri, header};

use super::{actions, providers, spoken};
use crate::app::Ctx;
use crate::error::{Error, Problem, Result};
use crate::outbound::{SIGNATURE, verify};
use crate::twilio;

/// `POST /webhooks/twilio/messages/{token}`
///
/// Whoever cannot sign is told the same about every token.
pub async fn twilio_status(
    ctx: Ctx,
    uri: Uri,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode> {
    let params = twilio::signed(&ctx.app, &uri, &headers, &body)?;
    actions::callback(&ctx, &token, |_| providers::twilio::callback(&params)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The longest callback of a provider of one's own that is read, in bytes.
const LONGEST: usize = 16 * 1024;

/// `POST /webhooks/messages/{token}`: what a provider of one's own tells, signed as it is asked.
///
/// Whoever cannot sign is told the same about every token.
pub async fn delivery(
    ctx: Ctx,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode> {
    if body.len() > LONGEST {
        return Err(Problem::BodyTooLarge.into());
    }
    let given = headers.get(SIGNATURE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    if !verify(&ctx.app.config.webhook.secret, given, ctx.now, &body) {
        return Err(Problem::SignatureWrong.into());
    }
    let told: providers::webhook::Told = serde_json::from_slice(&body)
        .map_err(|error| Error::new(Problem::MalformedBody).detail(error.to_string()))?;
    // One that was signed for another message is about none here.
    let heard = |id| (told.id == id).then(|| told.heard());
    actions::callback(&ctx, &token, heard).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /webhooks/twilio/voice/{sealed}`: somebody who is told a code pressed a key, and hears it again.
pub async fn twilio_voice(
    ctx: Ctx,
    uri: Uri,
    Path(sealed): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<impl IntoResponse> {
    twilio::signed(&ctx.app, &uri, &headers, &body)?;
    let document = spoken::replay(&ctx.app, &sealed, ctx.now)?;
    Ok(([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], document))
}
