//! The one page that takes codes: to finish a sign-in, to confirm an address or a number, to show once
//! more who one is. What is asked is kept by the browser, in a cookie that no script reads.

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::{Value, context};
use serde::Deserialize;

use super::{Sent, asks, sign_in};
use crate::app::Ctx;
use crate::challenges::actions::{Answered, answer_code, look, resend};
use crate::challenges::{ChallengeView, Purpose};
use crate::devices::Brought;
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::visit::{ACCOUNT, Visit};
use crate::policy::FactorKind;
use crate::secret::Secret;
use crate::sessions::{authenticate, overwritten, pending, pending_cookie, with_cookies};

/// `GET /code`
pub async fn ask(ctx: Ctx, visit: Visit, headers: HeaderMap) -> Result<Response> {
    again(&ctx, &visit, &headers, None).await
}

/// The page for what is asked; with why the last answer did not do.
async fn again(ctx: &Ctx, visit: &Visit, headers: &HeaderMap, error: Option<Error>) -> Result<Response> {
    let caller = authenticate(ctx, headers).await?;
    let token = pending(headers, &ctx.app.origin);
    let challenge = match look(ctx, caller.as_ref(), token.as_ref()).await {
        Ok(challenge) => challenge,
        Err(gone) if gone.problem == Problem::CodeGone => {
            let is_sent = error.is_some();
            return Ok(match caller {
                None => visit.goes_saying("/sign-in", "gone"),
                // Whoever went back to a page that has done its work.
                Some(caller) if token.is_none() && !is_sent => {
                    visit.clone().by(&ctx.policy, &caller.user, &caller.session).goes_on()
                }
                Some(_) if visit.operation.is_some() => {
                    Redirect::to(&visit.with("/step-up", &[("said", "gone")])).into_response()
                }
                // It may have been confirmed elsewhere, by the link: the profile knows.
                Some(_) => visit.goes_saying(ACCOUNT, "not-asked"),
            });
        }
        Err(error) => return Err(error),
    };
    shown(ctx, visit, &challenge, caller.is_some(), error)
}

/// What a page needs to know of what is asked, to ask for it, or for another way.
pub(super) fn asked(ctx: &Ctx, challenge: &ChallengeView) -> Value {
    let others: Vec<_> = challenge.alternatives.iter().map(|kind| kind.as_str()).collect();
    let wait = challenge.resend_after.map(|after| after.since(ctx.now).as_millis().div_ceil(1000));
    context! {
        factor => challenge.factor.as_str(),
        // A number is not broken over two lines.
        sent_to => challenge.sent_to.as_deref().unwrap_or_default().replace(' ', "\u{a0}"),
        others,
        may_resend => challenge.resend_after.is_some(),
        wait => wait.map_or(0, |wait| u64::try_from(wait).unwrap_or(0)),
    }
}

/// The refusal of a wrong code: where no message holds the right one, the field says where it is.
pub(super) fn at_the_code(mut error: Error, kind: FactorKind) -> Error {
    if error.problem == Problem::CodeWrong && !kind.is_sent() {
        error.fields.push(FieldError::new("code", kind.as_str(), "That is not the code."));
    }
    error
}

fn shown(
    ctx: &Ctx,
    visit: &Visit,
    challenge: &ChallengeView,
    is_signed_in: bool,
    error: Option<Error>,
) -> Result<Response> {
    let is_sign_in = challenge.purpose == Purpose::SignIn;
    let given = context! {
        asked => asked(ctx, challenge),
        may_trust => is_sign_in && ctx.policy.devices.trust,
        back => visit.to(if is_signed_in { ACCOUNT } else { "/sign-in" }),
    };
    let title = visit.say(match challenge.purpose {
        Purpose::Verify => "code.title-verify",
        Purpose::StepUp => "code.title-step-up",
        Purpose::SignIn | Purpose::Recover => "code",
    });
    visit.answers(error.map(|error| at_the_code(error, challenge.factor)), "code.html", &title, given)
}

/// An answer.
#[derive(Deserialize)]
pub struct Code {
    /// The code.
    #[serde(default)]
    pub code: Secret,
    /// `true`: this device shall do without the second factor for a while.
    #[serde(default)]
    pub trust_device: String,
}

/// `POST /code`
pub async fn sent(ctx: Ctx, visit: Visit, headers: HeaderMap, Sent(form): Sent<Code>) -> Result<Response> {
    let origin = &ctx.app.origin;
    let (token, caller) = (pending(&headers, origin), authenticate(&ctx, &headers).await?);
    let trust = form.trust_device == "true";
    let brought = Brought { device: None, overwritten: overwritten(&headers, origin), trust };
    match answer_code(&ctx, caller.as_ref(), token.as_ref(), form.code.expose(), &brought).await {
        Err(error) => again(&ctx, &visit, &headers, Some(error)).await,
        Ok(Answered::SignedIn { session, token, device, .. }) => {
            sign_in::arrives(&ctx, &visit, &session, &token, device.as_ref()).await
        }
        Ok(Answered::Unverified { challenge, .. }) => Ok(asks(&ctx, &visit, &challenge)),
        Ok(Answered::SteppedUp { .. }) => Ok(done(&ctx, visit.goes_on())),
        Ok(Answered::Verified) => {
            let path = if caller.is_some() { ACCOUNT } else { "/sign-in" };
            Ok(done(&ctx, visit.goes_saying(path, "verified")))
        }
    }
}

/// The browser forgets what was asked.
fn done(ctx: &Ctx, response: Response) -> Response {
    with_cookies(response, [pending_cookie(&ctx.app.origin, "", ctx.now, ctx.now)])
}

/// Another message, or another way.
#[derive(Deserialize)]
pub struct Resend {
    /// One of the other ways.
    #[serde(default)]
    pub factor: String,
}

/// The way that a form asks for; none: the same once more.
pub(super) fn wanted(word: &str) -> Result<Option<FactorKind>> {
    match word {
        "" => Ok(None),
        word => Ok(Some(super::kind(word).ok_or(Problem::FactorMissing)?)),
    }
}

/// `POST /code/resend`
pub async fn once_more(
    ctx: Ctx,
    visit: Visit,
    headers: HeaderMap,
    Sent(form): Sent<Resend>,
) -> Result<Response> {
    let wanted = wanted(&form.factor)?;
    let (token, caller) = (pending(&headers, &ctx.app.origin), authenticate(&ctx, &headers).await?);
    match resend(&ctx, caller.as_ref(), token.as_ref(), wanted).await {
        Ok(_) => Ok(visit.goes("/code")),
        Err(error) => again(&ctx, &visit, &headers, Some(error)).await,
    }
}
