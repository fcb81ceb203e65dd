//! The JSON door of challenges.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ChallengeView;
use super::actions::{self, Answered};
use crate::app::{Ctx, Origin};
use crate::devices::Brought;
use crate::error::{Error, Problem, Result};
use crate::http::extract::Body;
use crate::policy::FactorKind;
use crate::secret::{Secret, Token, TokenKind};
use crate::sessions::{self, Caller, Carry, authenticate};
use crate::sign_in::api::{SignIn, signed_in, verification_required};

/// The body of `POST /auth/verify-code`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyCode {
    /// The challenge's id; may be left out where a browser signs in by cookie.
    pub challenge: Option<Secret>,
    /// The code, with or without spaces.
    pub code: Secret,
    /// Whether this device shall do without the second factor for a while, where the policy allows it.
    #[serde(default)]
    pub trust_device: bool,
}

/// The body of `POST /auth/resend-code`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResendCode {
    /// The challenge's id; may be left out where a browser signs in by cookie.
    pub challenge: Option<Secret>,
    /// Another way: one of the challenge's `alternatives`.
    pub factor: Option<FactorKind>,
}

/// The answer of `POST /auth/verify-code`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum VerifiedView {
    /// The sign-in is finished.
    SignedIn(Box<SignIn>),
    /// The identifier is shown to be one's own; or the session has shown what an operation asks for.
    Verified {
        /// Always `verified`.
        status: VerifiedStatus,
        /// The operation that can now be called again.
        #[serde(skip_serializing_if = "Option::is_none")]
        operation: Option<String>,
        /// What was shown for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        factor: Option<FactorKind>,
    },
}

/// The word `verified`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerifiedStatus {
    /// Done.
    Verified,
}

fn challenge(given: Option<&Secret>, headers: &HeaderMap, origin: &Origin) -> Option<Token> {
    match given {
        Some(text) => Token::parse(TokenKind::Challenge, text.expose()),
        None => sessions::pending(headers, origin),
    }
}

/// Why there is no such code. Whoever is signed in and named none: the cookie holds only what is asked while signing
/// in. Whoever shows what counts no longer: what a session asked for is still there once that is renewed.
async fn gone(
    ctx: &Ctx,
    headers: &HeaderMap,
    error: Error,
    caller: Option<&Caller>,
    token: Option<&Token>,
) -> Error {
    if error.problem != Problem::CodeGone {
        return error;
    }
    match (caller, token) {
        (Some(_), None) => {
            error.detail("Name it: `challenge` is the id in the answer that asked for the code.")
        }
        (None, Some(token)) if sessions::shows(headers, &ctx.app.origin) => {
            let asked = actions::find(ctx, token).await;
            match asked.is_ok_and(|asked| asked.session_id.is_some()) {
                true => Problem::Unauthenticated.into(),
                false => error,
            }
        }
        _ => error,
    }
}

/// `POST /auth/verify-code`
pub async fn verify_code(ctx: Ctx, headers: HeaderMap, Body(ask): Body<VerifyCode>) -> Result<Response> {
    let token = challenge(ask.challenge.as_ref(), &headers, &ctx.app.origin);
    let caller = authenticate(&ctx, &headers).await?;
    let overwritten = sessions::overwritten(&headers, &ctx.app.origin);
    let brought = Brought { device: None, overwritten, trust: ask.trust_device };
    // Whoever names the challenge by the cookie that holds it keeps cookies, and nothing else.
    let carry = ask.challenge.is_none().then_some(Carry::Cookie);
    let answered =
        actions::answer_by(&ctx, caller.as_ref(), token.as_ref(), ask.code.expose(), &brought, carry);
    let answered = match answered.await {
        Ok(answered) => answered,
        Err(error) => return Err(gone(&ctx, &headers, error, caller.as_ref(), token.as_ref()).await),
    };
    match answered {
        Answered::Verified => {
            let verified =
                VerifiedView::Verified { status: VerifiedStatus::Verified, operation: None, factor: None };
            Ok(Json(verified).into_response())
        }
        Answered::SteppedUp { operation, factor } => {
            let verified = VerifiedView::Verified {
                status: VerifiedStatus::Verified,
                operation: Some(operation),
                factor: Some(factor),
            };
            Ok(Json(verified).into_response())
        }
        Answered::Unverified { challenge, token, carry } => {
            Ok(verification_required(&ctx, challenge, &token, carry))
        }
        Answered::SignedIn { user, session, token, device } => {
            signed_in(&ctx, *user, &session, &token, device.as_ref()).await
        }
    }
}

/// `POST /auth/resend-code`
pub async fn resend_code(
    ctx: Ctx,
    headers: HeaderMap,
    Body(ask): Body<ResendCode>,
) -> Result<Json<ChallengeView>> {
    let token = challenge(ask.challenge.as_ref(), &headers, &ctx.app.origin);
    let caller = authenticate(&ctx, &headers).await?;
    match actions::resend(&ctx, caller.as_ref(), token.as_ref(), ask.factor).await {
        Ok(resent) => Ok(Json(resent)),
        Err(error) => Err(gone(&ctx, &headers, error, caller.as_ref(), token.as_ref()).await),
    }
}
