//! Showing once more who one is, before something that the policy protects.

use axum::response::Response;
use minijinja::context;
use serde::Deserialize;

use super::{Sent, asks};
use crate::accounts;
use crate::app::Ctx;
use crate::error::{Error, Problem, Result};
use crate::http::visit::{ACCOUNT, Visit};
use crate::passwords::GivenPassword;
use crate::policy::FactorKind;
use crate::secret::Secret;
use crate::sessions::Caller;
use crate::step_up::actions::{Begun, begin, permit};

/// `GET /step-up?operation=…`
pub async fn ask(ctx: Ctx, visit: Visit, caller: Caller) -> Result<Response> {
    asked(&ctx, &visit, &caller, None).await
}

async fn asked(ctx: &Ctx, visit: &Visit, caller: &Caller, why: Option<Error>) -> Result<Response> {
    let Some(operation) = visit.operation.as_deref() else { return Ok(visit.goes(ACCOUNT)) };
    let need = match permit(ctx, caller, operation).await {
        Ok(_) => return Ok(visit.goes_on()),
        Err(Error { problem: Problem::StepUpRequired, need: Some(need), .. }) => need,
        Err(error) => return Err(error),
    };
    let user = accounts::view(ctx, &caller.user).await?;
    let password = need.factors.contains(&FactorKind::Password.as_str());
    let ways: Vec<_> =
        need.factors.iter().copied().filter(|kind| *kind != FactorKind::Password.as_str()).collect();
    let username = user.username.or(user.email).unwrap_or_default();
    let given = context! { password, ways, username };
    let title = visit.say("step-up");
    visit.answers(why, "step-up.html", &title, given)
}

/// What is shown, or by which way.
#[derive(Deserialize)]
pub struct StepUp {
    /// The password, where that would do.
    #[serde(default)]
    pub password: Secret,
    /// Or one of the other ways.
    #[serde(default)]
    pub factor: String,
}

/// `POST /step-up?operation=…`
pub async fn sent(ctx: Ctx, visit: Visit, caller: Caller, Sent(form): Sent<StepUp>) -> Result<Response> {
    let Some(operation) = visit.operation.as_deref() else { return Ok(visit.goes(ACCOUNT)) };
    let password = (!form.password.is_empty()).then(|| GivenPassword::new(&form.password));
    let wanted = super::kind(&form.factor);
    match begin(&ctx, &caller, operation, wanted, password).await {
        Ok(Begun::Done) => Ok(visit.goes_on()),
        Ok(Begun::Asked(challenge)) => Ok(asks(&ctx, &visit, &challenge)),
        Err(error) => asked(&ctx, &visit, &caller, Some(error)).await,
    }
}
