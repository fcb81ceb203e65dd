//! What was sent, and who called: with every attempt, and never with a text.

use axum::Json;
use axum::response::Response;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Desk, typed};
use crate::administration::api::views;
use crate::calls;
use crate::error::Result;
use crate::http::extract::{Params, Search};
use crate::http::listing::List;
use crate::messages::{History, Status};

/// Whose, and where the page begins.
#[derive(Clone, Default, Deserialize)]
pub struct Asked {
    /// Only those of this user.
    #[serde(default)]
    pub user: String,
    /// Where the page before ended.
    #[serde(default)]
    pub after: Option<String>,
}

/// How many a page has.
const ENTRIES: usize = 25;

impl Asked {
    fn read(&self) -> Result<views::OfUser> {
        let user = typed::<Uuid>("user", &self.user)?;
        Ok(views::OfUser { user, limit: Some(ENTRIES), after: self.after.clone() })
    }
}

/// `GET /console/messages`
pub async fn messages(desk: Desk, Search(asked): Search<Asked>) -> Result<Response> {
    let found = async {
        let ask = asked.read()?;
        Ok(views::messages(desk.ctx.clone(), desk.caller.clone(), Search(ask)).await?.0)
    };
    listed(&desk, &asked, found.await, "messages")
}

/// `GET /console/calls`
pub async fn calls(desk: Desk, Search(asked): Search<Asked>) -> Result<Response> {
    let found = async {
        let ask = asked.read()?;
        Ok(views::calls(desk.ctx.clone(), desk.caller.clone(), Search(ask)).await?.0)
    };
    listed(&desk, &asked, found.await, "calls")
}

fn listed<T: Serialize>(desk: &Desk, asked: &Asked, found: Result<List<T>>, name: &str) -> Result<Response> {
    let (list, error) = match found {
        Ok(list) => (list, None),
        Err(error) => (List { items: Vec::new(), next: None }, Some(error)),
    };
    let next = desk.next(&[("user", &asked.user)], list.next.as_ref());
    let given =
        context! { items => Serde(&list.items), next, user => asked.user.as_str(), words => words(desk) };
    desk.searched(error, &format!("console-{name}.html"), &desk.visit.say(&format!("console-{name}")), given)
}

/// `GET /console/messages/{id}`
pub async fn message(desk: Desk, Params(id): Params<Uuid>) -> Result<Response> {
    let Json(message) = views::message(desk.ctx.clone(), desk.caller.clone(), Params(id)).await?;
    let given =
        context! { one => Serde(&message), heard => heard(&desk, &message.history), words => words(&desk) };
    Ok(desk.shows("console-message.html", &desk.visit.say("console-messages.one"), given))
}

/// `GET /console/calls/{id}`
pub async fn call(desk: Desk, Params(id): Params<Uuid>) -> Result<Response> {
    let Json(found) = views::call(desk.ctx.clone(), desk.caller.clone(), Params(id)).await?;
    let given =
        context! { one => Serde(&found), heard => heard(&desk, &found.call.history), words => words(&desk) };
    Ok(desk.shows("console-call.html", &desk.visit.say("console-calls.one"), given))
}

/// What was heard of something, the oldest first.
fn heard(desk: &Desk, history: &History) -> Vec<Value> {
    let step = |step: &crate::messages::Step| {
        context! { at => step.at.to_string(), tone => tone(&step.status), text => desk.word(&step.status) }
    };
    history.0.iter().map(step).collect()
}

/// Each status by its name: the words for it, and whether it is good or bad news.
pub(super) fn words(desk: &Desk) -> std::collections::BTreeMap<&'static str, Value> {
    let names = Status::ALL.iter().map(|one| one.as_str());
    let names = names.chain(calls::Status::ALL.iter().map(|one| one.as_str()));
    names.map(|name| (name, context! { text => desk.word(name), tone => tone(name) })).collect()
}

fn tone(status: &str) -> &'static str {
    match status {
        "delivered" | "completed" => "good",
        "failed" | "undelivered" | "expired" | "no_answer" | "busy" => "bad",
        _ => "",
    }
}
