//! One line of the router: a method, a path, a handler, whom it lets in, and what the docs say of it.
//!
//! ```ignore
//! post("/auth/login", sign_in::api::login).access(Public).about("Sign in")
//!     .takes::<Login>().answers::<SignIn>(200, "Signed in, or asked for a second factor")
//!     .may(&[Problem::CredentialsWrong, Problem::LimitReached]),
//! ```

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::access::Access;
use crate::app::App;
use crate::error::Problem;
use crate::limits::{CHANGES, Limit};
use crate::service_accounts::Scope;

/// Prints the schema of one type.
pub type Print = fn(&mut SchemaGenerator) -> Schema;

/// A path beside the map, and what answers there: the pages of development.
pub type Undocumented = (&'static str, MethodRouter<Arc<App>>);

/// A line of the router.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path below the mount, such as `/sessions/{id}`.
    pub path: &'static str,
    /// Whom it lets in.
    pub access: Access,
    /// The scope of API keys that it lets in besides; none when it lets in none.
    pub scope: Option<Scope>,
    /// Whether it may change something by a session in which somebody acts for the user.
    pub acting: bool,
    /// Whether it keeps nothing, though its method says that it may.
    pub asks: bool,
    /// Whether it looks for a session, though it lets in whoever has none.
    pub recognises: bool,
    /// Whether its failures are told by the names of OAuth 2.0 as well.
    pub oauth: bool,
    /// What the docs say of it.
    pub doc: Doc,
    handler: Arc<dyn Fn(MethodFilter) -> MethodRouter<Arc<App>> + Send + Sync>,
}

/// What the docs say of a route.
#[derive(Clone, Default)]
pub struct Doc {
    /// What it does, in a few words.
    pub about: &'static str,
    /// The body that it takes, and whether it must be there.
    pub body: Option<(Print, bool)>,
    /// Whether the body is a form.
    pub form: bool,
    /// The query that it takes.
    pub search: Option<Print>,
    /// How it answers when all is well.
    pub answers: Vec<Answer>,
    /// The failures that are its own, besides those that every route of its kind has.
    pub problems: Vec<Problem>,
    /// What it is counted by of its own.
    pub limits: Vec<Limit>,
    /// Left out of the docs: pages and their parts.
    pub hidden: bool,
}

/// One way in which a route answers.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body and its media type.
    pub body: Option<(&'static str, Option<Print>)>,
    /// What it means.
    pub meaning: &'static str,
}

macro_rules! verbs {
    ($($name:ident $method:ident),+) => { $(
        #[doc = concat!("A route for `", stringify!($method), "`; closed until [`Route::access`] opens it.")]
        pub fn $name<H: Handler<T, Arc<App>> + Sync, T: 'static>(path: &'static str, handler: H) -> Route {
            Route::new(Method::$method, path, handler)
        }
    )+ };
}
verbs!(get GET, post POST, put PUT, patch PATCH, delete DELETE);

impl Route {
    fn new<H: Handler<T, Arc<App>> + Sync, T: 'static>(
        method: Method,
        path: &'static str,
        handler: H,
    ) -> Self {
        let handler = Arc::new(move |filter| on(filter, handler.clone()));
        let access = Access::Session;
        let (acting, asks, recognises, oauth, scope) = (false, false, false, false, None);
        Self { method, path, access, scope, acting, asks, recognises, oauth, doc: Doc::default(), handler }
    }

    /// Lets in others than those who have a session.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Also lets in API keys that have this scope. A line that does not say so refuses every key.
    #[must_use]
    pub fn admits(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self.may(&[Problem::KeyUnknown, Problem::ScopeMissing])
            .counted(&[Limit::ClientFailuresAddress, Limit::ServiceRequests])
    }

    /// Lets whoever acts for a user change something here, as far as the policy's `acting` goes.
    #[must_use]
    pub fn acting(mut self) -> Self {
        self.acting = true;
        self
    }

    /// Only asks something, whatever its method says: it is not counted as a change.
    #[must_use]
    pub fn asks(mut self) -> Self {
        self.asks = true;
        self
    }

    /// Looks for a session, though it lets in whoever has none: what a tool has to know to show one.
    #[must_use]
    pub fn recognises(mut self) -> Self {
        self.recognises = true;
        self
    }

    /// Tells its failures by the names of OAuth 2.0 as well (RFC 6749 section 5.2).
    #[must_use]
    pub fn oauth(mut self) -> Self {
        self.oauth = true;
        self
    }

    /// Whether a request by `method` counts as a change that its user makes. Staff change what is others' all day.
    pub fn counts_as_change(&self, method: &Method) -> bool {
        self.access == Access::Session && !method.is_safe() && !self.asks
    }

    /// Whether a request may name itself, so that it is done once: [`crate::idempotency`].
    pub fn is_once(&self) -> bool {
        self.doc.problems.contains(&Problem::IdempotencyKeyReused)
    }

    /// What it is counted by.
    pub fn limits(&self) -> Vec<Limit> {
        let changes = CHANGES.iter().filter(|_| self.counts_as_change(&self.method));
        self.doc.limits.iter().chain(changes).copied().collect()
    }

    /// Says what it does.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.doc.about = about;
        self
    }

    /// Takes a JSON body.
    #[must_use]
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.doc.body = Some((|generator| generator.subschema_for::<T>(), true));
        self
    }

    /// Takes a JSON body that may be left out: `Option<Body<T>>`.
    #[must_use]
    pub fn may_take<T: JsonSchema>(mut self) -> Self {
        self.doc.body = Some((|generator| generator.subschema_for::<T>(), false));
        self
    }

    /// Takes a form: `Form<T>`.
    #[must_use]
    pub fn takes_form<T: JsonSchema>(mut self) -> Self {
        self.doc.form = true;
        self.takes::<T>()
    }

    /// Takes a query.
    #[must_use]
    pub fn searches<T: JsonSchema>(mut self) -> Self {
        self.doc.search = Some(|generator| T::json_schema(generator));
        self
    }

    /// Answers with JSON.
    #[must_use]
    pub fn answers<T: JsonSchema>(self, status: u16, meaning: &'static str) -> Self {
        let print: Print = |generator| generator.subschema_for::<T>();
        self.answer(Answer { status, body: Some(("application/json", Some(print))), meaning })
    }

    /// Answers with something else.
    #[must_use]
    pub fn answers_in(self, status: u16, media_type: &'static str, meaning: &'static str) -> Self {
        self.answer(Answer { status, body: Some((media_type, None)), meaning })
    }

    /// Answers without a body.
    #[must_use]
    pub fn answers_nothing(self, status: u16, meaning: &'static str) -> Self {
        self.answer(Answer { status, body: None, meaning })
    }

    fn answer(mut self, answer: Answer) -> Self {
        self.doc.answers.push(answer);
        self
    }

    /// May fail in these ways of its own.
    #[must_use]
    pub fn may(mut self, problems: &[Problem]) -> Self {
        self.doc.problems.extend_from_slice(problems);
        self
    }

    /// Is counted by these, and refused past them.
    #[must_use]
    pub fn counted(mut self, limits: &[Limit]) -> Self {
        self.doc.limits.extend_from_slice(limits);
        self
    }

    /// Stays out of the docs.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.doc.hidden = true;
        self
    }

    /// The handler, ready for one method.
    ///
    /// # Errors
    /// A sentence when the method is none that can be routed.
    pub fn handler(&self, method: &Method) -> Result<MethodRouter<Arc<App>>, String> {
        let filter = MethodFilter::try_from(method.clone()).map_err(|error| error.to_string())?;
        Ok((self.handler)(filter))
    }
}
