//! Whoever acts for a user in their browser: the way back to their own session.

use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::{Value, context};
use serde::Deserialize;

use super::{link, question};
use crate::acting::{self, Ask, Carried, Stopped};
use crate::app::Ctx;
use crate::error::{Error, FieldError, Result};
use crate::http::visit::{ACCOUNT, Visit};
use crate::organizations::Member;
use crate::policy::operation;
use crate::secret::Token;
use crate::sessions::{Session, authenticate, with_cookies};

/// What a form asks for.
#[derive(Default, Deserialize)]
pub struct Begin {
    /// What for.
    #[serde(default)]
    pub reason: String,
    /// For how long.
    #[serde(default)]
    pub minutes: String,
    /// `change`: not only to read.
    #[serde(default)]
    pub mode: String,
}

impl Begin {
    /// What the form asks for, in this browser.
    ///
    /// # Errors
    /// [`crate::error::Problem::Invalid`] when the minutes are no number.
    pub fn ask(&self) -> Result<Ask> {
        let minutes =
            self.minutes.trim().parse().map_err(|_| {
                Error::from(FieldError::new("minutes", "wrong-value", "This is a whole number."))
            })?;
        Ok(Ask {
            reason: self.reason.clone(),
            minutes,
            read_only: Some(self.mode != "change"),
            session: Some(Carried::Cookie),
        })
    }

    /// What the page of the form needs.
    pub fn given(&self, ctx: &Ctx) -> Value {
        let minutes = if self.minutes.is_empty() { "15" } else { self.minutes.as_str() };
        let longest = ctx.policy.acting.longest.as_secs() / 60;
        context! { reason => self.reason.clone(), minutes => minutes.to_owned(), changes => self.mode == "change", longest }
    }
}

/// Gives the browser the session in which somebody acts, and leads into the user's account.
///
/// # Errors
/// Those of [`acting::handed`].
pub async fn begins(
    ctx: &Ctx,
    visit: &Visit,
    headers: &HeaderMap,
    session: &Session,
    token: &Token,
) -> Result<Response> {
    let credential = acting::handed(ctx, headers, session, token).await?;
    Ok(with_cookies(visit.goes(ACCOUNT), credential.cookies))
}

/// `GET /acting`
pub async fn ask(ctx: Ctx, visit: Visit, headers: HeaderMap) -> Result<Response> {
    let shown = authenticate(&ctx, &headers).await?;
    let key = match &shown {
        Some(caller) if caller.session.act.is_none() => return Ok(visit.goes(ACCOUNT)),
        Some(_) => "acting-stop",
        None => "acting-ended",
    };
    let links = shown.is_none().then(|| link(&visit, "/sign-in", "sign-in"));
    let form = question(&visit, key, "/acting", &[], false);
    let given =
        context! { text => visit.say(&format!("{key}.text")), links => Vec::from_iter(links), ..form };
    Ok(visit.shows("say.html", &visit.say(key), given))
}

/// `POST /acting`
pub async fn stop(ctx: Ctx, visit: Visit, headers: HeaderMap) -> Result<Response> {
    let stopped = acting::stop(&ctx, &headers).await?;
    let response = visit.goes_saying(&back(&ctx, &stopped).await?, "stopped");
    Ok(with_cookies(response, stopped.cookies))
}

/// Where they were when they began, as far as that is known.
async fn back(ctx: &Ctx, stopped: &Stopped) -> Result<String> {
    let Some(own) = &stopped.own else { return Ok("/sign-in".to_owned()) };
    let is_staff = ctx.policy.shows_staff(own.user.rank(), operation::ADMIN_READ);
    let acted = stopped.acted.as_ref();
    let members = acted.and_then(|caller| caller.session.act.as_ref()?.members);
    if let Some([member, _]) = members {
        let member = ctx.app.store.get::<Member>(member.id).await?;
        return Ok(member.map_or(ACCOUNT.to_owned(), |member| {
            format!("/account/organizations/{}", member.organization_id)
        }));
    }
    Ok(match acted {
        Some(caller) if is_staff => format!("/console/users/{}", caller.user.id),
        None if is_staff => "/console/users".to_owned(),
        _ => ACCOUNT.to_owned(),
    })
}
