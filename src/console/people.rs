//! Users: found, seen, and what is done for them.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;
use uuid::Uuid;

use super::Desk;
use super::sent::words;
use crate::accounts::{Roles, Status};
use crate::acting;
use crate::administration::api::users::{self, Change, Find, Make, SetRoles, Suspend};
use crate::administration::api::views::{self, Audit, OfUser};
use crate::administration::users::{ManagedAccount, ManagedUser};
use crate::clock::Timestamp;
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::extract::{Body, Params, Search};
use crate::http::listing::Listing;
use crate::pages::acting::{Begin, begins};
use crate::pages::{Sent, filled};
use crate::policy::{Rank, operation as op};
use crate::step_up::staff;

/// Where these pages begin.
const START: &str = "/console/users";

/// How many users a page has.
const ENTRIES: usize = 25;

/// How much of each kind the page of a user shows.
const NEWEST: usize = 10;

/// What can be done for a user: how its address ends, the operation, and whether it takes something away.
const DEEDS: &[(&str, &str, bool)] = &[
    ("act", op::ADMIN_USERS_ACT, false),
    ("profile", op::ADMIN_USERS_CHANGE, false),
    ("roles", op::ADMIN_USERS_ROLES, false),
    ("end-sessions", op::ADMIN_USERS_END_SESSIONS, true),
    ("reset-factors", op::ADMIN_USERS_RESET_FACTORS, true),
    ("suspend", op::ADMIN_USERS_SUSPEND, true),
    ("restore", op::ADMIN_USERS_SUSPEND, false),
    ("delete", op::ADMIN_USERS_DELETE, true),
];

/// Who is looked for, as a form has it: what is empty is not asked.
#[derive(Default, Deserialize)]
pub struct Asked {
    /// How an identifier begins.
    #[serde(default)]
    pub q: String,
    /// Where they stand.
    #[serde(default)]
    pub status: String,
    /// Their highest role.
    #[serde(default)]
    pub role: String,
    /// Made on this day or later.
    #[serde(default)]
    pub from: String,
    /// Made on this day or before.
    #[serde(default)]
    pub until: String,
    /// Where the page before ended.
    #[serde(default)]
    pub after: String,
}

/// The instant that a field names: whole, or up to where `rest` goes on.
fn instant(field: &'static str, text: &str, rest: &str) -> Result<Option<Timestamp>, FieldError> {
    let Some(text) = filled(text) else { return Ok(None) };
    let read = text.parse().or_else(|_| format!("{text}{rest}").parse::<Timestamp>());
    read.map(Some).map_err(|_| FieldError::new(field, "invalid", "This is no day."))
}

impl Asked {
    /// What the API is asked for.
    fn read(&self) -> Result<Find> {
        let mut errors = Vec::new();
        let mut note = |error: FieldError| errors.push(error);
        let from = instant("from", &self.from, "T00:00:00Z").map_err(&mut note).ok().flatten();
        let until = instant("until", &self.until, "T23:59:59.999Z").map_err(&mut note).ok().flatten();
        let status = filled(&self.status).map(|word| Status::of_word(&word));
        let role = filled(&self.role).map(|word| Rank::of_word(&word));
        for (field, is_wrong) in [("status", status == Some(None)), ("role", role == Some(None))] {
            if is_wrong {
                note(FieldError::new(field, "invalid", "There is no such choice."));
            }
        }
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        let (status, role) = (status.flatten(), role.flatten());
        let after = filled(&self.after);
        Ok(Find { q: filled(&self.q), status, role, from, until, limit: Some(ENTRIES), after })
    }

    /// The address of the page after this one.
    fn next(&self, desk: &Desk, next: &str) -> String {
        let fields = [
            ("q", self.q.as_str()),
            ("status", &self.status),
            ("role", &self.role),
            ("from", &self.from),
            ("until", &self.until),
            ("after", next),
        ];
        desk.visit.with(START, &fields)
    }
}

/// What somebody is called in a list.
fn called(user: &ManagedUser) -> String {
    user.user.name.clone().unwrap_or_else(|| user.user.known_as())
}

/// What they sign in with, in the order in which people look for it.
fn ordered(user: &mut ManagedUser) {
    user.user.identifiers.sort_by_key(|one| std::cmp::Reverse(one.kind.as_str()));
}

/// `GET /console/users`
pub async fn list(desk: Desk, Search(asked): Search<Asked>) -> Result<Response> {
    let title = desk.visit.say("console-users");
    let choices = context! {
        statuses => Status::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>(),
        ranks => Rank::ALL.iter().rev().map(|one| one.as_str()).collect::<Vec<_>>(),
        makes => desk.may(op::ADMIN_USERS_CREATE),
        asked_for => context! {
            q => asked.q.clone(), status => asked.status.clone(), role => asked.role.clone(),
            from => asked.from.clone(), until => asked.until.clone(),
        },
    };
    let found = match asked.read() {
        Ok(find) => users::find(desk.ctx.clone(), desk.caller.clone(), Search(find)).await,
        Err(error) => Err(error),
    };
    let Json(mut page) = match found {
        Ok(page) => page,
        Err(error) if matches!(error.problem, Problem::Invalid | Problem::MalformedRequest) => {
            return desk.shows_why(error, "console-users.html", &title, choices);
        }
        Err(error) => return Err(error),
    };
    page.items.iter_mut().for_each(ordered);
    let row = |user: &ManagedUser| {
        let rank = Rank::of(&user.user.roles.0);
        context! {
            href => desk.visit.to(&format!("{START}/{}", user.user.id)),
            name => called(user), rank => rank.as_str(), ..Value::from(Serde(user))
        }
    };
    let items: Vec<_> = page.items.iter().map(row).collect();
    let next = page.next.map(|next| asked.next(&desk, &next));
    let given = context! { items, next, looked => true, ..choices };
    Ok(desk.shows("console-users.html", &title, given))
}

/// `GET /console/users/new`
pub async fn ask_new(desk: Desk) -> Result<Response> {
    staff(&desk.ctx, &desk.caller, op::ADMIN_USERS_CREATE).await?;
    let title = desk.visit.say("console-users.new");
    Ok(desk.shows("console-user-new.html", &title, new(&desk, New::default())))
}

/// Somebody for whom an account is made.
#[derive(Default, Deserialize)]
pub struct New {
    /// Their username.
    #[serde(default)]
    pub username: String,
    /// Their e-mail address.
    #[serde(default)]
    pub email: String,
    /// Their mobile number.
    #[serde(default)]
    pub mobile: String,
    /// What they like to be called.
    #[serde(default)]
    pub name: String,
    /// The language they read.
    #[serde(default)]
    pub locale: String,
}

/// What the page for a new account needs.
fn new(desk: &Desk, form: New) -> Value {
    let New { username, email, mobile, name, locale } = form;
    let required: Vec<_> = desk.ctx.policy.sign_up.required.iter().map(|kind| kind.as_str()).collect();
    context! { required, given => context! { username, email, mobile, name, locale } }
}

/// `POST /console/users/new`
pub async fn make(desk: Desk, Sent(form): Sent<New>) -> Result<Response> {
    let ask = Make {
        username: filled(&form.username),
        email: filled(&form.email),
        mobile: filled(&form.mobile),
        name: filled(&form.name),
        locale: filled(&form.locale),
    };
    match users::create(desk.ctx.clone(), desk.caller.clone(), Body(ask)).await {
        Ok((_, Json(made))) => Ok(desk.visit.goes_saying(&format!("{START}/{}", made.user.id), "done")),
        Err(error) if error.problem == Problem::StepUpRequired => Err(error),
        Err(error) => {
            let title = desk.visit.say("console-users.new");
            desk.shows_why(error, "console-user-new.html", &title, new(&desk, form))
        }
    }
}

/// `GET /console/users/{id}`
pub async fn show(desk: Desk, Params(id): Params<Uuid>) -> Result<Response> {
    let (ctx, caller) = (&desk.ctx, &desk.caller);
    let Json(mut user) = users::get(ctx.clone(), caller.clone(), Params(id)).await?;
    ordered(&mut user.user);
    let place = || Search(Listing { limit: Some(NEWEST), after: None });
    let of_user = || Search(OfUser { user: Some(id), limit: Some(NEWEST), after: None });
    let Json(sessions) = users::list_sessions(ctx.clone(), caller.clone(), Params(id), place()).await?;
    let Json(devices) = users::list_devices(ctx.clone(), caller.clone(), Params(id), place()).await?;
    let Json(messages) = views::messages(ctx.clone(), caller.clone(), of_user()).await?;
    let Json(calls) = views::calls(ctx.clone(), caller.clone(), of_user()).await?;
    let events = if desk.may(op::ADMIN_AUDIT) {
        let ask = Audit { user: Some(id), limit: Some(NEWEST), ..Audit::default() };
        Some(views::audit(ctx.clone(), caller.clone(), Search(ask)).await?.0)
    } else {
        None
    };
    let given = context! {
        deeds => deeds(&desk, &user),
        name => called(&user.user),
        sessions => Value::from(Serde(&sessions.items)),
        devices => Value::from(Serde(&devices.items)),
        messages => Value::from(Serde(&messages.items)),
        calls => Value::from(Serde(&calls.items)),
        words => words(&desk),
        events => events.as_ref().map(|events| Value::from(Serde(&events.items))),
        all_messages => desk.visit.with("/console/messages", &[("user", &id.to_string())]),
        all_calls => desk.visit.with("/console/calls", &[("user", &id.to_string())]),
        all_events => desk.visit.with("/console/audit", &[("user", &id.to_string())]),
        account => Value::from(Serde(&user)),
    };
    Ok(desk.shows("console-user.html", &called(&user.user), given))
}

/// What whoever looks may do for this user, as they stand: whether they may after all is decided where it
/// is done.
fn deeds(desk: &Desk, user: &ManagedAccount) -> Vec<Value> {
    let (user, own) = (&user.user, &desk.caller.user);
    let rank = Rank::of(&user.user.roles.0);
    let is_over = own.id != user.user.id && own.rank().is_over(rank);
    let makes_sense = |name: &str| match name {
        "act" => rank == Rank::User && user.status == Status::Active,
        "suspend" => user.status == Status::Active,
        "restore" if user.status == Status::Deleted => desk.may(op::ADMIN_USERS_DELETE),
        "restore" => user.status == Status::Suspended,
        "delete" => user.status != Status::Deleted,
        _ => true,
    };
    DEEDS
        .iter()
        .filter(|(name, operation, _)| is_over && desk.may(operation) && makes_sense(name))
        .map(|(name, _, is_grave)| {
            let href = desk.visit.to(&format!("{START}/{}/{name}", user.user.id));
            context! { name => *name, href, is_grave => *is_grave }
        })
        .collect()
}

/// What a form about a user says; each deed takes what is its own.
#[derive(Default, Deserialize)]
pub struct Form {
    /// Why: of a suspension.
    #[serde(default)]
    pub reason: String,
    /// Until when.
    #[serde(default)]
    pub until: String,
    /// All roles, with spaces between them.
    #[serde(default)]
    pub roles: String,
    /// What they like to be called.
    #[serde(default)]
    pub name: String,
    /// The language they read.
    #[serde(default)]
    pub locale: String,
}

/// The deed that the page's address names.
fn deed(desk: &Desk) -> Result<(&'static str, &'static str, bool)> {
    let last = desk.visit.path.rsplit('/').next().unwrap_or_default();
    DEEDS.iter().copied().find(|(name, ..)| *name == last).ok_or_else(|| Problem::NotFound.into())
}

/// `GET /console/users/{id}/…`: asks whether to.
pub async fn ask(desk: Desk, Params(id): Params<Uuid>) -> Result<Response> {
    let (_, operation, _) = deed(&desk)?;
    // Nobody fills a form in and is then asked who they are.
    staff(&desk.ctx, &desk.caller, operation).await?;
    let form = Begin::default().given(&desk.ctx);
    asks(&desk, id, form, None).await
}

async fn asks(desk: &Desk, id: Uuid, form: Value, error: Option<Error>) -> Result<Response> {
    let (name, _, is_grave) = deed(desk)?;
    let Json(user) = users::get(desk.ctx.clone(), desk.caller.clone(), Params(id)).await?;
    let title = desk.visit.say(&format!("console-user-{name}"));
    let known = context! {
        roles => user.user.user.roles.0.join(" "), name => user.user.user.name.clone(),
        locale => user.user.user.locale.clone(),
        removal => (desk.ctx.now + *desk.ctx.policy.account.grace).to_string(),
    };
    let given = context! {
        deed => name, is_grave, frame => "console.html", whom => called(&user.user),
        back => desk.visit.to(&format!("{START}/{id}")), ..context! { ..form, ..known }
    };
    desk.answers(error, "deed.html", &title, given)
}

/// `POST /console/users/{id}/…`: does it.
pub async fn done(desk: Desk, Params(id): Params<Uuid>, Sent(form): Sent<Form>) -> Result<Response> {
    match does(&desk, id, &form).await {
        Ok(()) => Ok(desk.visit.goes_saying(&format!("{START}/{id}"), "done")),
        Err(error) if error.problem == Problem::StepUpRequired => Err(error),
        Err(error) => {
            let Form { reason, until, roles, name, locale } = form;
            let typed = match deed(&desk)?.0 {
                "profile" => context! { name, locale },
                "roles" => context! { roles },
                _ => context! { reason, until },
            };
            asks(&desk, id, typed, Some(error)).await
        }
    }
}

async fn does(desk: &Desk, id: Uuid, form: &Form) -> Result<()> {
    let (ctx, caller, user) = (desk.ctx.clone(), desk.caller.clone(), Params(id));
    match deed(desk)?.0 {
        "profile" => {
            let (name, locale) = (Some(filled(&form.name)), Some(filled(&form.locale)));
            users::change(ctx, caller, user, Body(Change { name, locale, metadata: None })).await.map(drop)
        }
        "roles" => {
            let roles = Roles(form.roles.split_whitespace().map(str::to_owned).collect());
            users::set_roles(ctx, caller, user, Body(SetRoles { roles })).await.map(drop)
        }
        "end-sessions" => users::end_sessions(ctx, caller, user).await.map(drop),
        "reset-factors" => users::reset_factors(ctx, caller, user).await.map(drop),
        "suspend" => {
            let until = instant("until", &form.until, ":00Z").map_err(Error::from)?;
            let ask = Suspend { until, reason: form.reason.trim().to_owned() };
            users::suspend(ctx, caller, user, Body(ask)).await.map(drop)
        }
        "restore" => users::restore(ctx, caller, user).await.map(drop),
        "delete" => users::delete(ctx, caller, user).await.map(drop),
        _ => Err(Problem::NotFound.into()),
    }
}

/// `POST /console/users/{id}/act`: from here on the browser sees what the user sees.
pub async fn act(
    desk: Desk,
    headers: HeaderMap,
    Params(id): Params<Uuid>,
    Sent(form): Sent<Begin>,
) -> Result<Response> {
    let (ctx, operation) = (&desk.ctx, op::ADMIN_USERS_ACT);
    let begun = async {
        let by = staff(ctx, &desk.caller, operation).await?;
        acting::begin(ctx, &by, operation, id, &form.ask()?, None).await
    };
    match begun.await {
        Ok((session, token)) => begins(ctx, &desk.visit, &headers, &session, &token).await,
        Err(error) if error.problem == Problem::StepUpRequired => Err(error),
        Err(error) => asks(&desk, id, form.given(ctx), Some(error)).await,
    }
}
