//! One's own account: what is known, where one is signed in, what happened, everything that is held.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use minijinja::{Value, context};
use serde::Deserialize;
use uuid::Uuid;

use super::{Sent, asks, filled, leads_to, question, sign_in};
use crate::accounts;
use crate::app::Ctx;
use crate::audit::Event;
use crate::error::{Error, Problem, Result};
use crate::http::extract::{Params, Search};
use crate::http::listing::{List, Listing};
use crate::http::visit::{ACCOUNT, Visit};
use crate::policy::{IdentifierKind, operation};
use crate::profile::api::{Change, EventView, read};
use crate::profile::export;
use crate::profile::{actions, operation_of};
use crate::sessions::actions::{Scope, end, end_scope, list};
use crate::sessions::{Caller, clear_cookie, with_cookies};
use crate::step_up::permit;
use crate::store::Seen;
use crate::words::{Locale, known_as, when};

fn of_kind(word: &str) -> Result<IdentifierKind> {
    IdentifierKind::of_word(word).ok_or_else(|| Problem::NotFound.into())
}

/// `GET /account`
pub async fn profile(ctx: Ctx, visit: Visit, caller: Caller) -> Result<Response> {
    shown(&ctx, &visit, &caller, None, None).await
}

/// The profile; with what was `typed` into its form, and why that did not do.
async fn shown(
    ctx: &Ctx,
    visit: &Visit,
    caller: &Caller,
    typed: Option<About>,
    error: Option<Error>,
) -> Result<Response> {
    let user = accounts::view(ctx, &caller.user).await?;
    let row = |kind: &IdentifierKind| {
        let value = match kind {
            IdentifierKind::Username => &user.username,
            IdentifierKind::Email => &user.email,
            IdentifierKind::Mobile => &user.mobile,
        };
        let verified = user
            .identifiers
            .iter()
            .any(|one| one.kind == *kind && one.verified && Some(&one.value) == value.as_ref());
        let href =
            leads_to(ctx, caller, operation_of(*kind)).then(|| visit.to(&format!("/account/change/{kind}")));
        context! { kind => kind.as_str(), value, verified, href }
    };
    let rows: Vec<Value> = IdentifierKind::ALL.iter().map(row).collect();
    let typed = typed.unwrap_or_default();
    let (name, locale) = (typed.name.or(user.name), typed.locale.or(user.locale));
    let chosen = locale.and_then(|tag| Locale::of_tag(&tag));
    let spoken: Vec<Value> = Locale::ALL
        .iter()
        .map(|one| context! { tag => one.as_str(), name => one.own_name(), chosen => Some(*one) == chosen })
        .collect();
    let leads = |operation| leads_to(ctx, caller, operation);
    let (names, speaks) = (leads(operation::NAME_CHANGE), leads(operation::LOCALE_CHANGE));
    let given = context! { rows, spoken, name => name.unwrap_or_default(), names, speaks };
    let title = visit.say("nav.profile");
    visit.answers(error, "profile.html", &title, given)
}

/// What may be changed on the page itself; what it has no field for stays.
#[derive(Default, Deserialize)]
pub struct About {
    /// What they like to be called.
    pub name: Option<String>,
    /// The language they read.
    pub locale: Option<String>,
}

/// `POST /account`
pub async fn save(ctx: Ctx, visit: Visit, caller: Caller, Sent(form): Sent<About>) -> Result<Response> {
    let (name, locale) = (form.name.as_deref().map(filled), form.locale.as_deref().map(filled));
    let ask = Change { name, locale, ..Change::default() };
    let changed = async { actions::change(&ctx, &caller, read(&ctx, ask)?).await }.await;
    match changed {
        Ok(_) => Ok(visit.goes_saying(ACCOUNT, "saved")),
        Err(error) if error.problem == Problem::StepUpRequired => Err(error),
        Err(error) => shown(&ctx, &visit, &caller, Some(form), Some(error)).await,
    }
}

/// `GET /account/change/{kind}`
pub async fn ask_change(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    Params(kind): Params<String>,
) -> Result<Response> {
    let kind = of_kind(&kind)?;
    permit(&ctx, &caller, operation_of(kind)).await?;
    changing(&visit, kind, "", None)
}

fn changing(visit: &Visit, kind: IdentifierKind, value: &str, error: Option<Error>) -> Result<Response> {
    let given = context! { kind => kind.as_str(), value };
    let title = visit.say(&format!("change-{kind}"));
    visit.answers(error, "change.html", &title, given)
}

/// Something new to be known by.
#[derive(Deserialize)]
pub struct NewValue {
    /// The username, the address or the number.
    #[serde(default)]
    pub value: String,
}

/// `POST /account/change/{kind}`
pub async fn change(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    Params(kind): Params<String>,
    Sent(form): Sent<NewValue>,
) -> Result<Response> {
    let kind = of_kind(&kind)?;
    let value = Some(Some(form.value.trim().to_owned()));
    let ask = match kind {
        IdentifierKind::Username => Change { username: value, ..Change::default() },
        IdentifierKind::Email => Change { email: value, ..Change::default() },
        IdentifierKind::Mobile => Change { mobile: value, ..Change::default() },
    };
    let changed = async { actions::change(&ctx, &caller, read(&ctx, ask)?).await }.await;
    match changed {
        Ok(changed) => Ok(match changed.verifications.first() {
            Some(challenge) => asks(&ctx, &visit, challenge),
            None => visit.goes_saying(ACCOUNT, "saved"),
        }),
        Err(error) if error.problem == Problem::StepUpRequired => Err(error),
        Err(error) => changing(&visit, kind, &form.value, Some(error)),
    }
}

/// What is to be confirmed.
#[derive(Deserialize)]
pub struct Verify {
    /// Which of one's own.
    #[serde(default)]
    pub kind: String,
}

/// `POST /account/verify`
pub async fn verify(ctx: Ctx, visit: Visit, caller: Caller, Sent(form): Sent<Verify>) -> Result<Response> {
    match actions::verify(&ctx, &caller, of_kind(&form.kind)?).await {
        Ok(challenge) => Ok(asks(&ctx, &visit, &challenge)),
        Err(error) => shown(&ctx, &visit, &caller, None, Some(error)).await,
    }
}

/// Where a page of a list begins.
#[derive(Default, Deserialize)]
pub struct After {
    /// Where the page before ended.
    pub after: Option<String>,
}

/// How many entries a page has.
const ENTRIES: usize = 20;

impl After {
    fn listing(self) -> Listing {
        Listing { limit: Some(ENTRIES), after: self.after }
    }
}

pub(super) fn next(visit: &Visit, next: Option<String>) -> Option<String> {
    next.map(|next| visit.with(&visit.path, &[("after", &next)]))
}

/// `GET /account/devices`
pub async fn devices(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    Search(after): Search<After>,
) -> Result<Response> {
    let ask = after.listing();
    let page = list(&ctx, &caller, ask.cursor(&ctx)?, ask.limit()?).await?;
    let page = List::of(&ctx, page, |one| {
        context! {
            id => one.id.to_string(),
            current => one.id == caller.session.id,
            ip => one.address.clone(),
            agent => known_as(one.user_agent.as_deref()),
            created_at => one.created_at.to_string(),
            seen_at => one.seen_at.to_string(),
        }
    });
    let given = context! { sessions => page.items, next => next(&visit, page.next) };
    Ok(visit.shows("devices.html", &visit.say("devices"), given))
}

/// Which sessions to end.
#[derive(Deserialize)]
pub struct End {
    /// One of them.
    #[serde(default)]
    pub id: String,
    /// `others` or `all`.
    #[serde(default)]
    pub scope: String,
}

/// `POST /account/sessions`
pub async fn end_sessions(ctx: Ctx, visit: Visit, caller: Caller, Sent(form): Sent<End>) -> Result<Response> {
    let done = |visit: &Visit| visit.goes_saying("/account/devices", "ended");
    match form.scope.as_str() {
        "others" => end_scope(&ctx, &caller, Scope::Others).await.map(|()| done(&visit)),
        "all" => {
            end_scope(&ctx, &caller, Scope::All).await?;
            Ok(sign_in::signed_out(&ctx, &visit))
        }
        _ => {
            let id: Uuid = form.id.parse().map_err(|_| Problem::NotFound)?;
            end(&ctx, &caller, id).await.map(|()| done(&visit))
        }
    }
}

/// `GET /account/activity`
pub async fn activity(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    Search(after): Search<After>,
) -> Result<Response> {
    let ask = after.listing();
    let page = export::activity(&ctx, &caller, ask.cursor(&ctx)?, ask.limit()?).await?;
    let page = List::of(&ctx, page, |event: Seen<Event>| {
        let view = EventView::from(&*event);
        let text = view.event.sentence(visit.locale);
        let (ip, agent) = (view.ip, known_as(view.user_agent.as_deref()));
        context! { text, at => view.at.to_string(), ip, agent }
    });
    let given = context! { events => page.items, next => next(&visit, page.next) };
    Ok(visit.shows("activity.html", &visit.say("nav.activity"), given))
}

/// `GET /account/data`
pub async fn data(ctx: Ctx, visit: Visit, caller: Caller) -> Response {
    let leads = |operation| leads_to(&ctx, &caller, operation);
    let (exports, deletes) = (leads(operation::EXPORT), leads(operation::DELETE));
    let given = context! { exports, deletes, removal => removal(&ctx) };
    visit.shows("data.html", &visit.say("nav.data"), given)
}

/// When everything is removed of an account that is deleted now.
fn removal(ctx: &Ctx) -> String {
    (ctx.now + *ctx.policy.account.grace).to_string()
}

/// `GET /account/export`
pub async fn ask_export(ctx: Ctx, visit: Visit, caller: Caller) -> Result<Response> {
    permit(&ctx, &caller, operation::EXPORT).await?;
    let form = question(&visit, "export", "/account/export", &[], false);
    let links = vec![super::link(&visit, "/account/data", "back")];
    let given = context! { text => visit.say("data.export-text"), links, ..form };
    Ok(visit.shows("say.html", &visit.say("data.export"), given))
}

/// `POST /account/export`
pub async fn export_all(ctx: Ctx, caller: Caller) -> Result<Response> {
    let export = export::export(&ctx, &caller).await?;
    let text = serde_json::to_vec_pretty(&export).map_err(Error::internal)?;
    let about = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"account.json\""),
    ];
    Ok((about, text).into_response())
}

/// `GET /account/delete`
pub async fn ask_delete(ctx: Ctx, visit: Visit, caller: Caller) -> Result<Response> {
    permit(&ctx, &caller, operation::DELETE).await?;
    let form = question(&visit, "delete", "/account/delete", &[], true);
    let links = vec![super::link(&visit, "/account/data", "cancel")];
    let mut text = visit.say("delete.text");
    if actions::has_way_back(&ctx, &caller).await? {
        let until = visit.say_of("delete.way-back", &[("until", when(&removal(&ctx)).into())]);
        text = format!("{text} {until}");
    }
    let given = context! { text, links, ..form };
    Ok(visit.shows("say.html", &visit.say("delete"), given))
}

/// `POST /account/delete`
pub async fn delete(ctx: Ctx, visit: Visit, caller: Caller) -> Result<Response> {
    let has_way_back = actions::delete(&ctx, &caller).await?;
    let text = has_way_back.then(|| visit.say("delete.undo"));
    let given = context! { notice => visit.say("delete.done"), text };
    let response = visit.shows("say.html", &visit.say("delete.title-done"), given);
    Ok(with_cookies(response, clear_cookie(&ctx.app.origin)))
}
