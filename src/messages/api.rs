//! The provider's door: callbacks.

use axum::body::Bytes;
use axum::extract::Path;
use http::{HeaderMap, StatusCode, Uri};

use super::actions;
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
