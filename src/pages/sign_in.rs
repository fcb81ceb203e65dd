//! Signing in and out.

use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::context;
use serde::Deserialize;

use super::{Sent, asks, question};
use crate::accounts::User;
use crate::app::Ctx;
use crate::devices::Brought;
use crate::error::{Error, Problem, Result};
use crate::http::visit::Visit;
use crate::passwords::GivenPassword;
use crate::secret::{Secret, Token};
use crate::sessions::actions::{Scope, end_scope};
use crate::sessions::{self, Carry, Session, authenticate, clear_cookie, hand_out, with_cookies};
use crate::sign_in::actions::{SignedIn, Whom, sign_in};

/// `GET /`: leads on to the page that is theirs, or to the way in.
pub async fn first(ctx: Ctx, visit: Visit, headers: HeaderMap) -> Result<Response> {
    Ok(match authenticate(&ctx, &headers).await? {
        Some(caller) => visit.by(&ctx.policy, &caller.user, &caller.session).goes_on(),
        None => visit.goes("/sign-in"),
    })
}

/// `GET /sign-in`
pub async fn ask(ctx: Ctx, visit: Visit, headers: HeaderMap) -> Result<Response> {
    if let Some(caller) = authenticate(&ctx, &headers).await? {
        return Ok(visit.by(&ctx.policy, &caller.user, &caller.session).goes_on());
    }
    asked(&ctx, &visit, "", None)
}

fn asked(ctx: &Ctx, visit: &Visit, identifier: &str, error: Option<Error>) -> Result<Response> {
    let recovers = crate::recovery::actions::is_offered(ctx);
    let given = context! { identifier, is_open => ctx.policy.sign_up.open, recovers };
    let title = visit.say("sign-in");
    visit.answers(error, "sign-in.html", &title, given)
}

/// Who wants to sign in.
#[derive(Deserialize)]
pub struct SignIn {
    /// Whatever they sign in with.
    #[serde(default)]
    pub identifier: String,
    /// The password.
    #[serde(default)]
    pub password: Secret,
}

/// `POST /sign-in`
pub async fn sent(ctx: Ctx, visit: Visit, headers: HeaderMap, Sent(form): Sent<SignIn>) -> Result<Response> {
    let whom = Whom::Named(form.identifier.trim(), None);
    match begin(&ctx, &visit, &headers, whom, &form.password).await {
        Err(error) => asked(&ctx, &visit, &form.identifier, Some(error)),
        answer => answer,
    }
}

/// Signs in, or leads on to what is asked next.
pub(super) async fn begin(
    ctx: &Ctx,
    visit: &Visit,
    headers: &HeaderMap,
    whom: Whom<'_>,
    password: &Secret,
) -> Result<Response> {
    let origin = &ctx.app.origin;
    let brought = Brought {
        device: sessions::device(headers, origin),
        overwritten: sessions::overwritten(headers, origin),
        trust: false,
    };
    let password = GivenPassword::new(password);
    match sign_in(ctx, whom, password, None, Carry::Cookie, &brought).await? {
        SignedIn::Now { session, token, device, .. } => {
            arrives(ctx, visit, &session, &token, device.as_ref()).await
        }
        SignedIn::Asked(challenge, _) | SignedIn::Unverified(challenge, _) => {
            Ok(asks(ctx, visit, &challenge))
        }
    }
}

/// Gives the browser its session, and leads on to where it wanted to go.
pub(super) async fn arrives(
    ctx: &Ctx,
    visit: &Visit,
    session: &Session,
    token: &Token,
    device: Option<&Token>,
) -> Result<Response> {
    let credential = hand_out(ctx, session, token).await?;
    ctx.app.metrics.sign_in("signed_in");
    let user = ctx.app.store.get::<User>(session.user_id).await?.ok_or(Problem::Unauthenticated)?;
    let response = visit.clone().by(&ctx.policy, &user, session).goes_on();
    let known = device.map(|device| sessions::device_cookie(&ctx.app.origin, device));
    Ok(with_cookies(response, credential.cookies.into_iter().chain(known)))
}

/// `GET /sign-out`
pub async fn ask_out(visit: Visit) -> Response {
    let title = visit.say("sign-out");
    visit.shows("say.html", &title, question(&visit, "sign-out", "/sign-out", &[], false))
}

/// `POST /sign-out`
pub async fn out(ctx: Ctx, visit: Visit, headers: HeaderMap) -> Result<Response> {
    if let Some(caller) = authenticate(&ctx, &headers).await? {
        end_scope(&ctx, &caller, Scope::This).await?;
    }
    sessions::end_aside(&ctx, &headers).await?;
    Ok(signed_out(&ctx, &visit))
}

/// Takes the browser's cookies away, and leads to the sign-in.
pub(super) fn signed_out(ctx: &Ctx, visit: &Visit) -> Response {
    with_cookies(visit.goes_saying("/sign-in", "signed-out"), clear_cookie(&ctx.app.origin))
}
