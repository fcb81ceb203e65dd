//! The JSON door of signing in.

use axum::Json;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actions::{self, SignedIn, Whom};
use crate::accounts::UserView;
use crate::app::Ctx;
use crate::challenges::ChallengeView;
use crate::devices::Brought;
use crate::error::{FieldError, Result};
use crate::http::extract::Body;
use crate::passwords::GivenPassword;
use crate::policy::{FactorKind, IdentifierKind};
use crate::secret::{Secret, Token, TokenKind};
use crate::sessions::{self, BEARER, Carry, Session, SessionView, hand_out, pending_cookie, with_cookies};

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
    /// How the session travels; when left out, as the policy says (`session.carry`), or by cookie where
    /// the second factor is answered by the cookie of the sign-in alone.
    pub session: Option<Carry>,
    /// The second factor to ask for, when there is a choice.
    pub factor: Option<FactorKind>,
    /// What an earlier answer had as `device`. A browser sends its cookie instead.
    pub device: Option<Secret>,
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
        /// The credential, where it travels as an opaque token. Shown once.
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// Names this device, where it was not known before: to be sent as `device` with the next
        /// sign-in, which is then counted apart from those of strangers. It opens nothing by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<String>,
        /// The credential, where it travels as JWT.
        #[serde(skip_serializing_if = "Option::is_none")]
        access_token: Option<String>,
        /// What the access token is renewed with, once. Shown once.
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<String>,
        /// How to send it.
        #[serde(skip_serializing_if = "Option::is_none")]
        token_type: Option<&'static str>,
        /// Seconds until the access token expires; without one, until the session ends whatever happens.
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
            _ => Err(FieldError::new(
                "identifier",
                "one-of",
                "Send exactly one of identifier, username, email and mobile.",
            )
            .into()),
        }
    }
}

/// `POST /auth/login`
pub async fn login(ctx: Ctx, headers: HeaderMap, Body(ask): Body<Login>) -> Result<Response> {
    let carry = ask.session.unwrap_or(ctx.policy.session.carry);
    // A page that does not say may keep the challenge as a cookie: `POST /auth/verify-code` tells by it.
    let keeps = carry == Carry::Cookie || ask.session.is_none() && headers.contains_key(header::ORIGIN);
    Ok(match begin(&ctx, &headers, &ask, carry).await? {
        SignedIn::Now { user, session, token, device } => {
            signed_in(&ctx, *user, &session, &token, device.as_ref()).await?
        }
        SignedIn::Asked(challenge, token) => {
            let until = challenge.expires_at;
            let response = Json(SignIn::SecondFactorRequired { challenge }).into_response();
            let cookie = keeps.then(|| pending_cookie(&ctx.app.origin, &token.reveal(), ctx.now, until));
            with_cookies(response, cookie)
        }
        SignedIn::Unverified(challenge, token) => verification_required(&ctx, challenge, &token, carry),
    })
}

/// Signs in as `ask` says, by `carry`, with what the client has kept from before.
///
/// # Errors
/// Those of [`actions::sign_in`]; [`crate::error::Problem::Invalid`] when it names nobody, or two.
pub async fn begin(ctx: &Ctx, headers: &HeaderMap, ask: &Login, carry: Carry) -> Result<SignedIn> {
    let (identifier, hint) = ask.identifier()?;
    let password = GivenPassword::new(&ask.password);
    let origin = &ctx.app.origin;
    let brought = Brought {
        device: match &ask.device {
            Some(text) => Token::parse(TokenKind::Device, text.expose()),
            None => sessions::device(headers, origin),
        },
        overwritten: sessions::overwritten(headers, origin),
        trust: false,
    };
    actions::sign_in(ctx, Whom::Named(identifier, hint), password, ask.factor, carry, &brought).await
}

/// The answer to a sign-in that is complete but for an address or a number that must be verified first.
pub fn verification_required(
    ctx: &Ctx,
    challenge: Box<ChallengeView>,
    token: &Token,
    carry: Carry,
) -> Response {
    let until = challenge.expires_at;
    let response = Json(SignIn::VerificationRequired { challenge }).into_response();
    let keeps = carry == Carry::Cookie;
    let cookie = keeps.then(|| pending_cookie(&ctx.app.origin, &token.reveal(), ctx.now, until));
    with_cookies(response, cookie)
}

/// The answer that hands out a session's credential.
///
/// # Errors
/// Those of handing it out.
pub async fn signed_in(
    ctx: &Ctx,
    user: UserView,
    session: &Session,
    token: &Token,
    device: Option<&Token>,
) -> Result<Response> {
    let credential = hand_out(ctx, session, token).await?;
    ctx.app.metrics.sign_in("signed_in");
    let by_cookie = session.carry == Carry::Cookie;
    let (access_token, refresh_token) = credential.pair.unzip();
    let response = Json(SignIn::SignedIn {
        user: Box::new(user),
        session: Box::new(session.view(true)),
        token: credential.token,
        access_token,
        refresh_token,
        device: device.filter(|_| !by_cookie).map(Token::reveal),
        token_type: (!by_cookie).then_some(BEARER),
        expires_in: credential.expires_in,
    })
    .into_response();
    let known = device.filter(|_| by_cookie).map(|device| sessions::device_cookie(&ctx.app.origin, device));
    Ok(with_cookies(response, credential.cookies.into_iter().chain(known)))
}
