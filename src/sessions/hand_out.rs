//! Handing out the credential of a session: the one place, whichever door opened it.

use axum::http::HeaderValue;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Carry, Session, access, clear_aside, pending_cookie, refresh, session_cookie};
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::secret::Token;

/// What a client shows from now on, and where it goes.
#[derive(Debug)]
pub struct Credential {
    /// Cookies to set.
    pub cookies: Vec<HeaderValue>,
    /// The opaque token.
    pub token: Option<String>,
    /// The access token and the refresh token.
    pub pair: Option<(String, String)>,
    /// Seconds for which the access token lasts, or else the session.
    pub expires_in: u64,
}

/// Access token and refresh token of a session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tokens {
    /// To be sent as `Authorization: Bearer`.
    pub access_token: String,
    /// To be sent to `POST /auth/refresh`, once; the answer holds the next one.
    pub refresh_token: String,
    /// Always `bearer`.
    pub token_type: &'static str,
    /// Seconds for which the access token lasts.
    pub expires_in: u64,
}

/// How tokens are sent.
pub const BEARER: &str = "bearer";

/// The credential of a session that was just opened, by its carry. `token` is what it was opened with.
///
/// # Errors
/// For a session carried as JWT: the store's, or an internal one when there is no key to sign with.
pub async fn hand_out(ctx: &Ctx, session: &Session, token: &Token) -> Result<Credential> {
    let mut credential = Credential {
        cookies: Vec::new(),
        token: None,
        pair: None,
        expires_in: session.expires_at.since(ctx.now).as_secs(),
    };
    match session.carry {
        Carry::Bearer => credential.token = Some(token.reveal()),
        Carry::Cookie => {
            let origin = &ctx.app.origin;
            credential.cookies = vec![
                session_cookie(origin, token, ctx.now, session.expires_at),
                pending_cookie(origin, "", ctx.now, ctx.now),
            ];
            // Whoever signs in anew goes back to nothing.
            credential.cookies.extend(session.act.is_none().then(|| clear_aside(origin)));
        }
        Carry::Jwt => {
            let tokens = tokens(ctx, session).await?;
            credential.pair = Some((tokens.access_token, tokens.refresh_token));
            credential.expires_in = tokens.expires_in;
        }
    }
    Ok(credential)
}

/// A fresh access token, and the newest refresh token.
pub(super) async fn tokens(ctx: &Ctx, session: &Session) -> Result<Tokens> {
    let refresh = refresh::token(&ctx.app.keyring, session)
        .ok_or_else(|| Error::internal("a session that is not carried as JWT has no refresh token"))?;
    let (access_token, expires_in) = access::issue(ctx, session).await?;
    Ok(Tokens { access_token, refresh_token: refresh.reveal(), token_type: BEARER, expires_in })
}
