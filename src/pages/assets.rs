//! The files that pages use.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::app::Ctx;
use crate::error::{Problem, Result};
use crate::http::extract::Params;

/// The name changes with the content, so that a browser may keep it for good (RFC 8246).
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// `GET /assets/{file}`
pub async fn serve(ctx: Ctx, Params(file): Params<String>, headers: HeaderMap) -> Result<Response> {
    let asset = ctx.app.templates.asset(&file).ok_or(Problem::NotFound)?;
    let about = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, FOR_GOOD),
        (header::VARY, "Accept-Encoding"),
    ];
    let takes = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let gzip = takes.is_some_and(|takes| takes.split(',').any(|one| one.trim() == "gzip"));
    Ok(if gzip {
        (about, [(header::CONTENT_ENCODING, "gzip")], asset.gzip.clone()).into_response()
    } else {
        (about, asset.plain.clone()).into_response()
    })
}
