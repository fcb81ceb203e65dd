//! The JSON door of a new password.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actions;
use crate::app::Ctx;
use crate::error::{FieldError, Problem, Result};
use crate::http::extract::Body;
use crate::limits;
use crate::passwords::GivenPassword;
use crate::secret::{Secret, Token, TokenKind};
use crate::sessions::{authenticate, device_cookie};

/// The body of `PUT /users/me/password`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"current_password": "seven lanterns by the harbour", "new_password": "eight herons on the pier"}))]
pub struct SetPassword {
    /// The password as it is; whether it is needed is policy.
    pub current_password: Option<Secret>,
    /// The right to set a new one without signing in, from `POST /auth/recover/verify`. Refused as `step-up-required`,
    /// without `need` and `start`, until the challenge `second_factor` of that answer is answered.
    pub recovery_token: Option<Secret>,
    /// The new password.
    pub new_password: Secret,
}

/// The answer to a program that has recovered elsewhere than on a known device. A browser gets a cookie instead.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeviceMade {
    /// Names this device: to be sent as `device` with the next sign-in, which is then counted apart from those of
    /// strangers. It opens nothing by itself.
    device: String,
}

/// `PUT /users/me/password`: whoever shows a recovery token need not be signed in.
pub async fn set(ctx: Ctx, headers: HeaderMap, Body(ask): Body<SetPassword>) -> Result<Response> {
    match (&ask.recovery_token, &ask.current_password) {
        (Some(_), Some(_)) => {
            let sentence = "Send the current password or a recovery token, not both.";
            return Err(FieldError::new("recovery_token", "one-of", sentence).into());
        }
        (Some(token), None) => {
            let token = Token::parse(TokenKind::Recovery, token.expose());
            if let Some(device) = actions::by_recovery(&ctx, token.as_ref(), &ask.new_password).await? {
                // A program that keeps cookies without knowing it would be held to prove where its requests come from.
                return Ok(match headers.contains_key(header::ORIGIN) {
                    true => {
                        let cookie = device_cookie(&ctx.app.origin, &device);
                        (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
                    }
                    false => Json(DeviceMade { device: device.reveal() }).into_response(),
                });
            }
        }
        (None, current) => {
            let caller = authenticate(&ctx, &headers).await?.ok_or(Problem::Unauthenticated)?;
            // The line is open, so nothing before this has counted it as the change that it is.
            limits::take_change(&ctx, caller.user.id).await?;
            let current = current.as_ref().map(GivenPassword::new);
            actions::change(&ctx, &caller, current, &ask.new_password).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
