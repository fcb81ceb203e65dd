//! The JSON door of signing in.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actions::{self, SignedIn};
use crate::accounts::UserView;
use crate::app::Ctx;
use crate::challenges::ChallengeView;
use crate::error::{Error, FieldError, Result};
use crate::http::extract::Body;
use crate::passwords::GivenPassword;
use crate::policy::{FactorKind, IdentifierKind};
use crate::secret::{Secret, Token};
use crate::sessions::{Carry, Session, SessionView, pending_cookie, session_cookie};

/// The body of `POST /auth/login`: one of `identifier`, `username`, `email`, `mobile`, and the password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"identifier": "ada", "password": "seven lanterns by the harbour"}))]
pub struct Login {
    /// Whatever the user signs in with.
    pub identifier: Option<String>,
    /// A username.
    pub username: Option<String>,
    /// An e-mail address.
    pub email: Option<String>,
    /// A mobile number in E.164.
    pub mobile: Option<String>,
    /// The password.
    pub password: Secret,
    /// How the session travels; `bearer` when left out.
    pub session: Option<Carry>,
    /// The second factor to ask for, when there is a choice.
    pub factor: Option<FactorKind>,
}

/// The answer of a sign-in.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum SignIn {
    /// Signed in.
    SignedIn {
        /// Who.
        user: Box<UserView>,
        /// The session that was opened.
        session: Box<SessionView>,
        /// The credential, where it does not travel as a cookie. Shown once.
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// How to send it.
        #[serde(skip_serializing_if = "Option::is_none")]
        token_type: Option<&'static str>,
        /// Seconds until the session ends whatever happens.
        expires_in: u64,
    },
    /// A second factor is asked for; nothing is open yet.
    SecondFactorRequired {
        /// What is asked.
        challenge: Box<ChallengeView>,
    },
    /// Nothing is opened before an address or a number is shown to be the user's own; sign in again
    /// once it is.
    VerificationRequired {
        /// What is asked.
        challenge: Box<ChallengeView>,
    },
}

impl Login {
    fn identifier(&self) -> Result<(&str, Option<IdentifierKind>)> {
        let given: Vec<_> = [
            (&self.identifier, None),
            (&self.username, Some(IdentifierKind::Username)),
            (&self.email, Some(IdentifierKind::Email)),
            (&self.mobile, Some(IdentifierKind::Mobile)),
        ]
        .into_iter()
        .filter_map(|(text, kind)| text.as_deref().map(|text| (text, kind)))
        .collect();
        match given.as_slice() {
            [one] => Ok(*one),
            _ => Err(Error::invalid(vec![FieldError::new(
                "identifier",
                "one-of",
                "Send exactly one of identifier, username, email and mobile.",
            )])),
        }
    }
}

/// `POST /auth/login`
pub async fn login(ctx: Ctx, Body(ask): Body<Login>) -> Result<Response> {
    let (identifier, hint) = ask.identifier()?;
    let carry = ask.session.unwrap_or(Carry::Bearer);
    let password = GivenPassword::new(&ask.password);
    let signed_in_or_asked = actions::sign_in(&ctx, identifier, hint, password, ask.factor, carry).await?;
    Ok(match signed_in_or_asked {
        SignedIn::Now { user, session, token } => signed_in(&ctx, *user, &session, &token),
        SignedIn::Asked(challenge, token) => {
            let until = challenge.expires_at;
            let mut response = Json(SignIn::SecondFactorRequired { challenge }).into_response();
            if carry == Carry::Cookie {
                let cookie = pending_cookie(&ctx.app.origin, &token.reveal(), ctx.now, until);
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        SignedIn::Unverified(challenge, token) => verification_required(&ctx, challenge, &token, carry),
    })
}

/// The answer to a sign-in that is complete but for an address or a number that must be verified first.
pub fn verification_required(
    ctx: &Ctx,
    challenge: Box<ChallengeView>,
    token: &Token,
    carry: Carry,
) -> Response {
    let until = challenge.expires_at;
    let mut response = Json(SignIn::VerificationRequired { challenge }).into_response();
    if carry == Carry::Cookie {
        let cookie = pending_cookie(&ctx.app.origin, &token.reveal(), ctx.now, until);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The answer that hands out a session's credential.
pub fn signed_in(ctx: &Ctx, user: UserView, session: &Session, token: &Token) -> Response {
    ctx.app.metrics.sign_in("signed_in");
    let bearer = session.carry == Carry::Bearer;
    let mut response = Json(SignIn::SignedIn {
        user: Box::new(user),
        session: Box::new(session.view(true)),
        token: bearer.then(|| token.reveal()),
        token_type: bearer.then_some("bearer"),
        expires_in: session.expires_at.since(ctx.now).as_secs(),
    })
    .into_response();
    if session.carry == Carry::Cookie {
        let cookie = session_cookie(&ctx.app.origin, token, ctx.now, session.expires_at);
        let done = pending_cookie(&ctx.app.origin, "", ctx.now, ctx.now);
        response.headers_mut().append(header::SET_COOKIE, cookie);
        response.headers_mut().append(header::SET_COOKIE, done);
    }
    response
}
