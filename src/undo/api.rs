//! The JSON door of taking back.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actions;
use crate::app::Ctx;
use crate::error::Result;
use crate::http::extract::Body;
use crate::secret::{Secret, Token, TokenKind};

/// The body of `POST /auth/undo`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeBack {
    /// The token of the link in the notice.
    pub token: Secret,
}

/// The answer of `POST /auth/undo`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Undone {
    /// Always `undone`.
    pub status: &'static str,
    /// What was undone: `change`, `deletion` or `not_me`.
    pub what: &'static str,
}

/// `POST /auth/undo`
pub async fn undo(ctx: Ctx, Body(ask): Body<TakeBack>) -> Result<Json<Undone>> {
    let token = Token::parse(TokenKind::Undo, ask.token.expose());
    let what = actions::take(&ctx, token.as_ref()).await?;
    Ok(Json(Undone { status: "undone", what: what.word() }))
}
