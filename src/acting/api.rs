//! What whoever begins to act for a user is given.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header;
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::Ctx;
use crate::error::Result;
use crate::secret::Token;
use crate::sessions::{Session, SessionView, hand_out};

/// The answer: the session and its credential.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActingFor")]
pub struct ActingFor {
    /// The session.
    pub session: SessionView,
    /// The token of a session carried as `bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Seconds for which the token lasts.
    pub expires_in: u64,
}

impl ActingFor {
    /// The answer for a session that was just opened.
    ///
    /// # Errors
    /// Those of [`hand_out`].
    pub async fn answer(ctx: &Ctx, session: &Session, token: &Token) -> Result<Response> {
        let credential = hand_out(ctx, session, token).await?;
        let view =
            Self { session: session.view(true), token: credential.token, expires_in: credential.expires_in };
        let mut response = (StatusCode::CREATED, Json(view)).into_response();
        for cookie in credential.cookies {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }
}
