//! The console: pages for those who look after others. Server-made; each does everything without scripts.
//!
//! Always holds: a page decides nothing and reads nothing by itself. It calls what the administration's API
//! calls, so that whoever may not do a thing there may not do it here, and is not shown the way to it.
//! A step-up that an operation asks for is led to and returned from like any other page's.

mod chart;
pub mod happened;
pub mod house;
pub mod organizations;
pub mod overview;
pub mod people;
pub mod sent;
pub mod tables;

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use minijinja::value::Kwargs;
use minijinja::{Value, context};

use crate::app::{App, Ctx};
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::visit::{CONSOLE, Visit};
use crate::policy::operation as op;
use crate::sessions::Caller;
use crate::words::{self, Locale};

/// The pages that the console begins with, the words for them, and what whoever sees them may do.
const ROOMS: &[(&str, &str, &str)] = &[
    (CONSOLE, "console-overview", op::ADMIN_READ),
    ("/console/users", "console-users", op::ADMIN_READ),
    ("/console/organizations", "nav.organizations", op::ADMIN_READ),
    ("/console/messages", "console-messages", op::ADMIN_READ),
    ("/console/calls", "console-calls", op::ADMIN_READ),
    ("/console/events", "console-events", op::ADMIN_OPERATE),
    ("/console/policy", "console-policy", op::ADMIN_OPERATE),
    ("/console/limits", "console-limits", op::ADMIN_OPERATE),
    ("/console/keys", "console-keys", op::ADMIN_OPERATE),
    ("/console/audit", "console-audit", op::ADMIN_AUDIT),
    ("/console/data", "console-data", op::ADMIN_DATA),
];

/// Somebody of the staff who looks at a page of the console.
pub struct Desk {
    /// The request.
    pub ctx: Ctx,
    /// Who it is.
    pub caller: Caller,
    /// The page.
    pub visit: Visit,
}

impl Desk {
    /// Whether they may do `operation`: only what they may do is shown to them.
    pub fn may(&self, operation: &str) -> bool {
        self.ctx.policy.shows_staff(self.caller.user.rank(), operation)
    }

    /// A page.
    pub fn shows(&self, file: &str, title: &str, given: Value) -> Response {
        self.visit.shows(file, title, self.framed(given))
    }

    /// A page that says why what was sent did not work.
    ///
    /// # Errors
    /// As [`Visit::shows_why`].
    pub fn shows_why(&self, error: Error, file: &str, title: &str, given: Value) -> Result<Response> {
        self.visit.shows_why(error, file, title, self.framed(given))
    }

    /// A page, which says why what was sent did not work when it did not.
    ///
    /// # Errors
    /// As [`Visit::shows_why`].
    pub fn answers(&self, error: Option<Error>, file: &str, title: &str, given: Value) -> Result<Response> {
        self.visit.answers(error, file, title, self.framed(given))
    }

    /// A page that begins with what is wrong with what was typed into it, if anything is.
    ///
    /// # Errors
    /// `error`, when it is about anything else.
    pub fn searched(&self, error: Option<Error>, file: &str, title: &str, given: Value) -> Result<Response> {
        match error {
            None => Ok(self.shows(file, title, given)),
            Some(error) if error.problem == Problem::Invalid => self.shows_why(error, file, title, given),
            Some(error) => Err(error),
        }
    }

    /// The address of the next page of this list, with what was looked for.
    pub fn next(&self, by: &[(&str, &str)], next: Option<&String>) -> Option<String> {
        let after = [("after", next?.as_str())];
        Some(self.visit.with(&self.visit.path, &[by, &after].concat()))
    }

    /// The words for how far a message or a call has come; a provider's own word as it is.
    pub fn word(&self, status: &str) -> String {
        let key = format!("console-status-{status}");
        if words::has(&key) { self.visit.say(&key) } else { status.to_owned() }
    }

    fn framed(&self, given: Value) -> Value {
        let visit = &self.visit;
        let is_here = |path: &str| {
            let rest = visit.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || path != CONSOLE && rest.starts_with('/'))
        };
        let leads = visit.clone();
        let link = Value::from_function(move |path: &str, by: Kwargs| link(&leads, path, &by));
        let asked = visit.asked().map(Locale::as_str);
        let may: std::collections::BTreeMap<&str, bool> =
            op::OWN.iter().map(|name| (*name, self.may(name))).collect();
        let desk: Vec<_> = ROOMS
            .iter()
            .filter(|(.., operation)| self.may(operation))
            .map(|(path, key, _)| context! { href => visit.to(path), key => *key, here => is_here(path) })
            .collect();
        context! { desk, link, asked, may, ..given }
    }
}

/// `link("/console/messages", user=…)`
fn link(visit: &Visit, path: &str, by: &Kwargs) -> Result<String, minijinja::Error> {
    let given = by.args().map(|name| Ok((name, by.get::<Value>(name)?.to_string())));
    let given = given.collect::<Result<Vec<_>, minijinja::Error>>()?;
    let given: Vec<_> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(visit.with(path, &given))
}

/// What was typed into a field; nothing when it was left empty.
///
/// # Errors
/// [`Problem::Invalid`] for what is nothing of the kind.
pub fn typed<T: FromStr>(field: &str, text: &str) -> Result<Option<T>> {
    let read = |text: &str| {
        text.parse().map_err(|_| {
            Error::from(FieldError::new(field.to_owned(), "invalid", "This is not in the right format."))
        })
    };
    Some(text.trim()).filter(|text| !text.is_empty()).map(read).transpose()
}

/// A number whose digits stand in groups of three, with the thin space that every language reads.
pub fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let (whole, rest) = digits.split_once('.').unwrap_or((&digits, ""));
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > 0 && left % 3 == 0 && whole.len() > 4 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if rest.is_empty() { text } else { format!("{text}.{rest}") }
}

impl FromRequestParts<Arc<App>> for Desk {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        Ok(Self {
            ctx: Ctx::from_request_parts(parts, app).await?,
            caller: Caller::from_request_parts(parts, app).await?,
            visit: Visit::from_request_parts(parts, app).await?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_read_in_groups() {
        for (number, text) in [
            ("0", "0"),
            ("1234", "1234"),
            ("12345", "12\u{202f}345"),
            ("1234567.50", "1\u{202f}234\u{202f}567.50"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
