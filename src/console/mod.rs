//! The console: pages for those who look after others. Server-made; each does everything without scripts.
//!
//! Always holds: a page decides nothing and reads nothing by itself. It calls what the administration's API
//! calls, so that whoever may not do a thing there may not do it here, and is not shown the way to it.
//! A step-up that an operation asks for is led to and returned from like any other page's.

pub mod house;
pub mod organizations;
pub mod people;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use minijinja::{Value, context};

use crate::app::{App, Ctx};
use crate::error::{Error, Result};
use crate::http::visit::Visit;
use crate::policy::operation as op;
use crate::sessions::Caller;

/// The pages that the console begins with, the words for them, and what whoever sees them may do.
const ROOMS: &[(&str, &str, &str)] = &[
    ("/console/users", "console-users", op::ADMIN_READ),
    ("/console/organizations", "nav.organizations", op::ADMIN_READ),
    ("/console/keys", "console-keys", op::ADMIN_OPERATE),
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
        self.ctx.policy.staff.may(self.caller.user.rank(), operation)
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

    fn framed(&self, given: Value) -> Value {
        let visit = &self.visit;
        let is_here = |path: &str| {
            let rest = visit.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || path != "/console" && rest.starts_with('/'))
        };
        let desk: Vec<_> = ROOMS
            .iter()
            .filter(|(.., operation)| self.may(operation))
            .map(|(path, key, _)| context! { href => visit.to(path), key => *key, here => is_here(path) })
            .collect();
        context! { desk, ..given }
    }
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
