//! The provider's door: callbacks.

use axum::body::Bytes;
use axum::extract::Path;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode, Uri, header};

use super::{actions, spoken};
use crate::app::Ctx;
use crate::error::Result;
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
    actions::callback(&ctx, &token, &params).await?;
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
