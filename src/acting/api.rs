//! What whoever begins to act for a user is given.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::Ctx;
use crate::error::Result;
use crate::secret::Token;
use crate::sessions::{self, Carry, Credential, Session, SessionView, hand_out, with_cookies};

/// The credential of a session in which somebody acts. In a browser it takes the place of their own, which
/// is laid aside until they have done.
///
/// # Errors
/// Those of [`hand_out`].
pub async fn handed(ctx: &Ctx, headers: &HeaderMap, session: &Session, token: &Token) -> Result<Credential> {
    let mut credential = hand_out(ctx, session, token).await?;
    let (origin, act) = (&ctx.app.origin, session.act.as_ref());
    let own = sessions::in_cookie(headers, origin);
    let own = own.filter(|own| act.is_some_and(|act| act.session == own.id));
    if let (Carry::Cookie, Some(token)) = (session.carry, own)
        && let Some(own) = ctx.app.store.get::<Session>(token.id).await?
    {
        // As long as it would have stayed where it was.
        credential.cookies.push(sessions::aside_cookie(origin, &token, ctx.now, own.expires_at));
    }
    Ok(credential)
}

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
    /// Those of [`handed`].
    pub async fn answer(
        ctx: &Ctx,
        headers: &HeaderMap,
        session: &Session,
        token: &Token,
    ) -> Result<Response> {
        let credential = handed(ctx, headers, session, token).await?;
        let view =
            Self { session: session.view(true), token: credential.token, expires_in: credential.expires_in };
        Ok(with_cookies((StatusCode::CREATED, Json(view)).into_response(), credential.cookies))
    }
}
