//! Pages for people: signing up and in, getting back in, one's own account. Server-made; each does
//! everything without scripts.
//!
//! Always holds: reading a page changes nothing, whoever reads it – programs that look into mails open
//! every link; what changes something is a form that a person sends from one of these pages, and the
//! guard against other sites stands before every form (`http::layers::admit`). A page decides nothing:
//! it calls the actions that the API calls.

pub mod account;
pub mod acting;
pub mod assets;
pub mod code;
pub mod invitation;
pub mod links;
pub mod organizations;
pub mod recovery;
pub mod security;
pub mod sign_in;
pub mod sign_up;
pub mod step_up;

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::response::Response;
use minijinja::{Value, context};
use serde::de::DeserializeOwned;

use crate::app::{App, Ctx};
use crate::challenges::ChallengeView;
use crate::error::{Error, Problem, Result};
use crate::http::extract::plain;
use crate::http::visit::Visit;
use crate::policy::FactorKind;
use crate::sessions::{Caller, pending_cookie, with_cookies};

/// What a form sent. Fields that are not known are left alone.
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Sent<T> {
    type Rejection = Error;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Error> {
        plain(request.headers())?;
        // The reader's own words may repeat what was typed.
        match axum::Form::from_request(request, app).await {
            Ok(axum::Form(sent)) => Ok(Self(sent)),
            Err(_) => Err(Problem::MalformedBody.into()),
        }
    }
}

/// The text of a field that was filled in.
pub fn filled(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The kind of factor that a form names.
fn kind(word: &str) -> Option<FactorKind> {
    FactorKind::ALL.iter().copied().find(|kind| kind.as_str() == word)
}

/// Leads on to the page that takes the code of `challenge`, which the browser keeps until then.
fn asks(ctx: &Ctx, visit: &Visit, challenge: &ChallengeView) -> Response {
    let cookie = pending_cookie(&ctx.app.origin, &challenge.id, ctx.now, challenge.expires_at);
    with_cookies(visit.goes("/code"), [cookie])
}

/// What a page needs that asks whether to go on: the words of `key`, and a form for `action`.
fn question(visit: &Visit, key: &str, action: &str, hidden: &[(&str, &str)], grave: bool) -> Value {
    let button = visit.say(&format!("{key}.button"));
    let hidden: Vec<Value> = hidden
        .iter()
        .map(|(name, value)| Value::from(vec![Value::from(*name), Value::from(*value)]))
        .collect();
    let form = context! { action => visit.to(action), hidden, button, grave };
    context! { form }
}

/// Whether `caller` is shown the way to `operation`: not to what is never done, and whoever acts for somebody only to
/// what they may do.
fn leads_to(ctx: &Ctx, caller: &Caller, operation: &str) -> bool {
    let act = caller.session.act.as_ref();
    ctx.policy.operation.is_done(operation)
        && act.is_none_or(|act| !act.read_only && ctx.policy.acting.may(operation))
}

/// A link that leads on.
fn link(visit: &Visit, path: &str, key: &str) -> Value {
    context! { href => visit.to(path), text => visit.say(key) }
}
