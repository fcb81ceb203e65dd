//! What happened: of which events the application knows nothing yet, and what is known of everybody.

use axum::Json;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use uuid::Uuid;

use super::{Desk, typed};
use crate::administration::api::views;
use crate::audit::What;
use crate::clock::Timestamp;
use crate::error::{Error, FieldError, Problem, Result};
use crate::events;
use crate::http::extract::{Params, Search};
use crate::http::listing::{List, Listing};
use crate::pages::Sent;
use crate::policy::operation as op;

const EVENTS: &str = "/console/events";
/// How many a page has.
const ENTRIES: usize = 25;
/// How many of the newest events stand beside those that were not taken.
const NEWEST: usize = 10;

/// Where the page begins.
#[derive(Default, Deserialize)]
pub struct After {
    /// Where the page before ended.
    #[serde(default)]
    pub after: Option<String>,
}

/// `GET /console/events`
pub async fn events(desk: Desk, Search(asked): Search<After>) -> Result<Response> {
    listed(&desk, asked.after, None).await
}

async fn listed(desk: &Desk, after: Option<String>, error: Option<Error>) -> Result<Response> {
    let place = Listing { limit: Some(ENTRIES), after };
    let (ctx, caller) = (&desk.ctx, &desk.caller);
    let Json(dead) = events::api::dead(ctx.clone(), caller.clone(), Search(place)).await?;
    let newest = match desk.may(op::ADMIN_AUDIT) {
        true => {
            let ask = views::Audit { limit: Some(NEWEST), ..views::Audit::default() };
            views::audit(ctx.clone(), caller.clone(), Search(ask)).await?.0.items
        }
        false => Vec::new(),
    };
    let next = desk.next(&[], dead.next.as_ref());
    let tells = ctx.app.config.events.is_configured();
    let given = context! { dead => Serde(&dead.items), newest => Serde(&newest), next, tells };
    let title = desk.visit.say("console-events");
    desk.answers(error, "console-events.html", &title, given)
}

/// Which event is told again.
#[derive(Deserialize)]
pub struct Resend {
    /// Its id.
    #[serde(default)]
    pub id: String,
}

/// `POST /console/events`
pub async fn resend(desk: Desk, Sent(form): Sent<Resend>) -> Result<Response> {
    let told = async {
        let id = typed::<Uuid>("id", &form.id)?.ok_or(Problem::NotFound)?;
        events::api::resend(desk.ctx.clone(), desk.caller.clone(), Params(id)).await
    };
    match told.await {
        Ok(_) => Ok(desk.visit.goes_saying(EVENTS, "resent")),
        Err(error) if error.problem == Problem::StepUpRequired => Err(error),
        Err(error) => listed(&desk, None, Some(error)).await,
    }
}

/// What is looked for in what happened.
#[derive(Clone, Default, Deserialize)]
pub struct Asked {
    /// Only what happened to this user.
    #[serde(default)]
    pub user: String,
    /// Only what this user did to others.
    #[serde(default)]
    pub actor: String,
    /// Only events of this kind.
    #[serde(default)]
    pub what: String,
    /// From this day or instant on.
    #[serde(default)]
    pub from: String,
    /// To this day or instant, with all of the day.
    #[serde(default)]
    pub until: String,
    /// Where the page before ended.
    #[serde(default)]
    pub after: Option<String>,
}

impl Asked {
    fn read(&self) -> Result<views::Audit> {
        let what = match self.what.as_str() {
            "" => None,
            word => Some(What::of_word(word).ok_or_else(|| {
                Error::from(FieldError::new("what", "invalid", "There is no such kind of event."))
            })?),
        };
        Ok(views::Audit {
            user: typed("user", &self.user)?,
            actor: typed("actor", &self.actor)?,
            what,
            from: instant("from", &self.from, "T00:00:00Z")?,
            until: instant("until", &self.until, "T23:59:59.999Z")?,
            limit: Some(ENTRIES),
            after: self.after.clone(),
        })
    }
}

/// An instant, or a day in UTC at `time`.
fn instant(field: &str, text: &str, time: &str) -> Result<Option<Timestamp>> {
    let text = text.trim();
    let is_day = text.len() == "2030-01-01".len();
    typed(field, &if is_day { format!("{text}{time}") } else { text.to_owned() })
}

/// `GET /console/audit`
pub async fn audit(desk: Desk, Search(asked): Search<Asked>) -> Result<Response> {
    let (ctx, caller) = (&desk.ctx, &desk.caller);
    let found = async {
        let ask = asked.read()?;
        Ok(views::audit(ctx.clone(), caller.clone(), Search(ask)).await?.0)
    };
    let (list, error) = match found.await {
        Ok(list) => (list, None),
        Err(error) => (List { items: Vec::new(), next: None }, Some(error)),
    };
    let Json(chain) = views::chain(ctx.clone(), caller.clone()).await?;
    let by = [
        ("user", asked.user.as_str()),
        ("actor", &asked.actor),
        ("what", &asked.what),
        ("from", &asked.from),
        ("until", &asked.until),
    ];
    let next = desk.next(&by, list.next.as_ref());
    let kinds: Vec<_> = What::ALL.iter().map(|what| what.as_str()).collect();
    let items: Vec<_> = list
        .items
        .iter()
        .map(|event| {
            let detail = serde_json::to_string_pretty(event).unwrap_or_default();
            context! { event => Serde(event), detail }
        })
        .collect();
    let given = context! {
        items, next, kinds, chain => Serde(&chain),
        is_narrowed => by.iter().any(|(_, value)| !value.is_empty()),
        user => asked.user, actor => asked.actor, what => asked.what, begin => asked.from, until => asked.until,
    };
    desk.searched(error, "console-audit.html", &desk.visit.say("console-audit"), given)
}
