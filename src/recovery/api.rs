//! The JSON door of recovery.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actions;
use crate::app::Ctx;
use crate::challenges::ChallengeView;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::extract::Body;
use crate::secret::{Secret, Token, TokenKind};
use crate::sessions;

/// The body of `POST /auth/recover`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"identifier": "ada@example.com"}))]
pub struct Recover {
    /// Whatever the user signs in with.
    pub identifier: String,
    /// What an earlier sign-in had as `device`: on a known device nobody else uses up what may be sent. A
    /// browser sends its cookie instead.
    pub device: Option<Secret>,
}

/// The answer of `POST /auth/recover`: the same whether or not anybody is known by the identifier.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecoveryAsked {
    /// What is asked. `factor` is the way that is tried first; the code goes only to an address or a number
    /// that was shown to be the user's own.
    pub challenge: ChallengeView,
}

/// The body of `POST /auth/recover/verify`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRecovery {
    /// The challenge's id.
    pub challenge: Secret,
    /// The code, with or without spaces.
    pub code: Secret,
}

/// The answer of `POST /auth/recover/verify`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecoveryProved {
    /// Good for one `PUT /users/me/password`; shown once.
    pub recovery_token: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The second factor that must be shown before, by `verify-code`; nothing when none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<ChallengeView>,
}

/// `POST /auth/recover`
pub async fn recover(
    ctx: Ctx,
    headers: HeaderMap,
    Body(ask): Body<Recover>,
) -> Result<(StatusCode, Json<RecoveryAsked>)> {
    let device = match &ask.device {
        Some(text) => Token::parse(TokenKind::Device, text.expose()),
        None => sessions::device(&headers, &ctx.app.origin),
    };
    let challenge = actions::begin(&ctx, &ask.identifier, device.as_ref()).await?;
    Ok((StatusCode::ACCEPTED, Json(RecoveryAsked { challenge })))
}

/// `POST /auth/recover/verify`
pub async fn verify(ctx: Ctx, Body(ask): Body<VerifyRecovery>) -> Result<Json<RecoveryProved>> {
    let challenge = Token::parse(TokenKind::Challenge, ask.challenge.expose());
    let proved = actions::verify(&ctx, challenge.as_ref(), ask.code.expose()).await?;
    Ok(Json(RecoveryProved {
        recovery_token: proved.token.reveal(),
        expires_at: proved.expires_at,
        second_factor: proved.second_factor,
    }))
}
