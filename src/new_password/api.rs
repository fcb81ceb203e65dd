//! The JSON door of a new password.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::actions;
use crate::app::Ctx;
use crate::error::{FieldError, Problem, Result};
use crate::http::extract::Body;
use crate::limits;
use crate::passwords::GivenPassword;
use crate::secret::{Secret, Token, TokenKind};
use crate::sessions::{authenticate, device_cookie, with_cookies};

/// The body of `PUT /users/me/password`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"current_password": "seven lanterns by the harbour", "new_password": "eight herons on the pier"}))]
pub struct SetPassword {
    /// The password as it is; whether it is needed is policy.
    pub current_password: Option<Secret>,
    /// The right to set a new one without signing in, from `POST /auth/recover/verify`.
    pub recovery_token: Option<Secret>,
    /// The new password.
    pub new_password: Secret,
}

/// `PUT /users/me/password`: whoever shows a recovery token need not be signed in.
pub async fn set(ctx: Ctx, headers: HeaderMap, Body(ask): Body<SetPassword>) -> Result<Response> {
    let device = match (&ask.recovery_token, &ask.current_password) {
        (Some(_), Some(_)) => {
            let sentence = "Send the current password or a recovery token, not both.";
            return Err(FieldError::new("recovery_token", "one-of", sentence).into());
        }
        (Some(token), None) => {
            let token = Token::parse(TokenKind::Recovery, token.expose());
            actions::by_recovery(&ctx, token.as_ref(), &ask.new_password).await?
        }
        (None, current) => {
            let caller = authenticate(&ctx, &headers).await?.ok_or(Problem::Unauthenticated)?;
            // The line is open, so nothing before this has counted it as the change that it is.
            limits::take_change(&ctx, caller.user.id).await?;
            let current = current.as_ref().map(GivenPassword::new);
            actions::change(&ctx, &caller, current, &ask.new_password).await?;
            None
        }
    };
    let cookie = device.map(|device| device_cookie(&ctx.app.origin, &device));
    Ok(with_cookies(StatusCode::NO_CONTENT.into_response(), cookie))
}
