//! The public keys, for whoever checks access tokens without asking.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, header};
use serde_json::Value;

use crate::app::Ctx;
use crate::error::Result;
use crate::keys;

/// How long others may keep the answer. Shorter than the least `tokens.publish_ahead`, so that nobody
/// meets a key that signs and is not in the answer that they keep.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// `GET /.well-known/jwks.json` (RFC 7517 §5)
pub async fn jwks(ctx: Ctx) -> Result<([(HeaderName, HeaderValue); 1], Json<Value>)> {
    let ring = keys::ring(&ctx).await?;
    Ok(([(header::CACHE_CONTROL, KEPT)], Json(ring.published(ctx.now))))
}
