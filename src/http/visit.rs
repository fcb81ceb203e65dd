//! Somebody who looks at a page: in which language, where they came from, where they want to go on to.
//!
//! Always holds: of what an address carries along only what can be vouched for is kept. An address to
//! return to is followed when it is, letter for letter, one of those in `pages.return_to`; a page to go
//! on to is one of the account's own, or of the console, or that of an invitation. Whoever acts for somebody
//! sees that on every page.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::header::{self, HeaderMap};
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use minijinja::value::Serde;
use minijinja::{Value, context};

use crate::accounts::{self, User};
use crate::app::{App, Ctx};
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::problem;
use crate::policy::{Policy, operation};
use crate::sessions::{self, Caller, Session};
use crate::words::{self, Locale, say};

/// Where the pages of one's account begin.
pub const ACCOUNT: &str = "/account";

/// Where the pages of those who look after others begin.
pub const CONSOLE: &str = "/console";

/// Where the link of an invitation leads.
pub const INVITATION: &str = "/invitation";

/// The addresses that templates lead to, by name.
const PLACES: &[(&str, &str)] = &[
    ("sign_in", "/sign-in"),
    ("sign_up", "/sign-up"),
    ("sign_out", "/sign-out"),
    ("code", "/code"),
    ("resend", "/code/resend"),
    ("recover", "/recover"),
    ("recover_verify", "/recover/verify"),
    ("recover_second", "/recover/second"),
    ("recover_resend", "/recover/resend"),
    ("recover_password", "/recover/password"),
    ("profile", ACCOUNT),
    ("verify", "/account/verify"),
    ("security", "/account/security"),
    ("password", "/account/password"),
    ("totp", "/account/totp"),
    ("recovery_codes", "/account/recovery-codes"),
    ("end", "/account/sessions"),
    ("export", "/account/export"),
    ("delete", "/account/delete"),
    ("console", CONSOLE),
    ("acting", "/acting"),
    ("organizations", "/account/organizations"),
    ("users", "/console/users"),
    ("new_user", "/console/users/new"),
    ("console_organizations", "/console/organizations"),
];

/// The pages of one's account, and the words for them.
const ROOMS: &[(&str, &str)] = &[
    (ACCOUNT, "nav.profile"),
    ("/account/security", "nav.security"),
    ("/account/devices", "nav.devices"),
    ("/account/activity", "nav.activity"),
    ("/account/organizations", "nav.organizations"),
    ("/account/data", "nav.data"),
];

/// In which languages a page is asked for (OpenID Connect Core 1.0 §3.1.2.1).
const LOCALES: &str = "ui_locales";

/// Words that a page may begin with, after something was done on another one.
const SAID: &[&str] = &[
    "saved",
    UNSAVED,
    "verified",
    "signed-out",
    "password",
    "factor",
    "removed",
    "ended",
    "made",
    "gone",
    "not-asked",
    "resent",
];

/// Words of those that come of looking after others.
const SAID_OF_OTHERS: &[&str] = &["done", "stopped", "no-longer", "invited"];

/// Those of them that tell of something that did not work.
const ALARMS: &[&str] = &["gone", "no-longer", UNSAVED];

/// What was sent was not done: who it was has to be shown first. What an address says so by, and the words.
const UNSAVED: &str = "unsaved";

/// Somebody acts for a user in this browser: what they are told on every page.
#[derive(serde::Serialize)]
struct Acting {
    by: String,
    whom: String,
    reason: String,
    until: String,
    read_only: bool,
}

/// Somebody who looks at a page.
#[derive(Clone)]
pub struct Visit {
    app: Arc<App>,
    /// The language that they read.
    pub locale: Locale,
    /// The page's path.
    pub path: String,
    method: Method,
    /// What the address asks for.
    query: Vec<(String, String)>,
    /// The language that the address asks for.
    asked: Option<Locale>,
    /// Where they go when they are signed in, when it is on the list.
    pub return_to: Option<String>,
    /// On to which page of their account, or of the console; or to their invitation.
    pub then: Option<String>,
    /// For which operation they show once more who they are.
    pub operation: Option<String>,
    /// Whether they look after others, and may see the console.
    pub is_staff: bool,
    /// Whether they show it since something that they sent asks for it, which is to be sent again.
    unsaved: bool,
    said: Option<&'static str>,
    /// Whether a session was shown, be it one that does not count.
    shown: bool,
    /// Whether another session was laid aside.
    aside: bool,
    acting: Option<Arc<Acting>>,
}

impl Visit {
    /// The visit that a request is. `own` is the language that the visitor has chosen for themselves.
    pub fn of(app: &Arc<App>, method: &Method, uri: &Uri, headers: &HeaderMap, own: Option<&str>) -> Self {
        let query = pairs(uri.query().unwrap_or_default());
        let find = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let asked = find(LOCALES).and_then(|tags| tags.split(' ').find_map(Locale::of_tag));
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let allowed = &app.config.pages.return_to;
        let known = |word: &str| SAID.iter().chain(SAID_OF_OTHERS).copied().find(|known| *known == word);
        Self {
            locale: asked.unwrap_or_else(|| Locale::choose(own, accepted)),
            path: uri.path().to_owned(),
            method: method.clone(),
            asked,
            return_to: find("return_to").filter(|address| allowed.contains(address)),
            then: find("then").filter(|path| is_of_ours(path) || path == INVITATION),
            operation: find("operation").filter(|name| is_operation(name)),
            unsaved: find(UNSAVED).is_some(),
            is_staff: false,
            said: find("said").and_then(|word| known(&word)),
            shown: sessions::in_cookie(headers, &app.origin).is_some(),
            aside: sessions::has_aside(headers, &app.origin),
            acting: None,
            app: Arc::clone(app),
            query,
        }
    }

    /// The visit of somebody whose browser asks for a page, whatever the address.
    pub fn of_browser(app: &Arc<App>, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        prefers_pages(headers).then(|| Self::of(app, method, uri, headers, None))
    }

    /// Whether it is worth asking who acts here, where that is not known yet.
    pub fn may_act(&self) -> bool {
        self.aside && self.acting.is_none()
    }

    /// Tells the page that somebody acts for a user, when that is so.
    ///
    /// # Errors
    /// The store's.
    pub async fn learns(&mut self, ctx: &Ctx, caller: &Caller) -> Result<()> {
        let Some(act) = &caller.session.act else { return Ok(()) };
        let by = match ctx.app.store.get::<User>(act.actor).await? {
            Some(actor) => accounts::view(ctx, &actor).await?.known_as(),
            None => act.actor.to_string(),
        };
        self.acting = Some(Arc::new(Acting {
            by,
            whom: accounts::view(ctx, &caller.user).await?.known_as(),
            reason: act.reason.clone(),
            until: caller.session.expires_at.to_string(),
            read_only: act.read_only,
        }));
        Ok(())
    }

    /// The words of `key`.
    pub fn say(&self, key: &str) -> String {
        say(self.locale, key, &[])
    }

    /// The same with `places` filled in.
    pub fn say_of(&self, key: &str, places: &[(&str, words::Value<'_>)]) -> String {
        say(self.locale, key, places)
    }

    /// The address of `path` with what is carried along.
    pub fn to(&self, path: &str) -> String {
        self.with(path, &[])
    }

    /// The language that the address asks for, which a form has to send along.
    pub fn asked(&self) -> Option<Locale> {
        self.asked
    }

    /// The address of `path` with what is carried along, and `more` in its query; nothing that is empty.
    pub fn with(&self, path: &str, more: &[(&str, &str)]) -> String {
        let kept = [
            (LOCALES, self.asked.map(Locale::as_str)),
            ("return_to", self.return_to.as_deref()),
            ("then", self.then.as_deref()),
            ("operation", self.operation.as_deref()),
            (UNSAVED, self.unsaved.then_some("true")),
        ];
        let kept = kept.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let kept = kept.filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let pairs: Vec<_> = kept.chain(more.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}{}", query(&pairs)) }
    }

    /// Where the same page is in each language: a query alone, since a path is whatever was asked for, and could
    /// be read as another host. What answers a form cannot be asked for again.
    fn tongues(&self) -> Vec<Value> {
        let others = || self.query.iter().filter(|(name, _)| name != LOCALES);
        let others = || others().map(|(name, value)| (name.as_str(), value.as_str()));
        let tongue = |one: &Locale| {
            let pairs: Vec<_> = others().chain([(LOCALES, one.as_str())]).collect();
            context! { href => query(&pairs), tag => one.as_str(), name => one.own_name() }
        };
        let all = Locale::ALL.iter().filter(|_| self.method == Method::GET);
        all.map(tongue).collect()
    }

    /// Sends the browser to another page of this server.
    pub fn goes(&self, path: &str) -> Response {
        Redirect::to(&self.to(path)).into_response()
    }

    /// Sends the browser to another page, which begins with some words.
    pub fn goes_saying(&self, path: &str, word: &'static str) -> Response {
        Redirect::to(&self.with(path, &[("said", word), ("then", ""), ("operation", ""), (UNSAVED, "")]))
            .into_response()
    }

    /// Sends whoever is done to where they wanted to go: a page of ours, the application, or the page that is
    /// theirs.
    pub fn goes_on(&self) -> Response {
        let on = match (&self.then, &self.return_to) {
            (Some(then), _) => {
                let said = if self.unsaved { UNSAVED } else { "" };
                self.with(then, &[("said", said), ("then", ""), ("operation", ""), (UNSAVED, "")])
            }
            (None, Some(address)) => address.clone(),
            (None, None) => self.with(self.home(), &[("operation", ""), (UNSAVED, "")]),
        };
        Redirect::to(&on).into_response()
    }

    /// The page to begin with.
    pub fn home(&self) -> &'static str {
        if self.is_staff { CONSOLE } else { ACCOUNT }
    }

    /// The same visit, by `caller`.
    #[must_use]
    pub fn by(mut self, policy: &Policy, user: &User, session: &Session) -> Self {
        // Whoever acts for somebody looks after nobody else meanwhile.
        self.is_staff = session.act.is_none() && policy.shows_staff(user.rank(), operation::ADMIN_READ);
        self
    }

    /// A page.
    pub fn shows(&self, file: &str, title: &str, given: Value) -> Response {
        self.page(StatusCode::OK, file, title, given)
    }

    /// A page that says why what was sent did not work. What is nobody's fault but ours is an error.
    ///
    /// # Errors
    /// `error`, when the server failed and not the visitor.
    pub fn shows_why(&self, error: Error, file: &str, title: &str, given: Value) -> Result<Response> {
        if error.problem.status() >= 500 && error.cause.is_some() {
            return Err(error);
        }
        let status = StatusCode::from_u16(error.problem.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let wrong: std::collections::BTreeMap<&str, String> =
            error.fields.iter().map(|field| (&*field.field, self.why(field))).collect();
        let help = error.retry_after.map(|seconds| self.wait(seconds));
        let problem = context! { text => self.reason(&error), help };
        let given = context! { problem, wrong, ..given };
        let mut response = self.page(status, file, title, given);
        problem::tell(&error, &mut response);
        Ok(response)
    }

    /// A page, which says why what was sent did not work when it did not.
    ///
    /// # Errors
    /// As [`Visit::shows_why`].
    pub fn answers(&self, error: Option<Error>, file: &str, title: &str, given: Value) -> Result<Response> {
        match error {
            None => Ok(self.shows(file, title, given)),
            Some(error) => self.shows_why(error, file, title, given),
        }
    }

    /// The page of a failure that nobody had a better answer for.
    pub fn failure(&self, error: &Error, request_id: &str) -> Response {
        let in_ours = is_of_ours(&self.path);
        let leads = |path: &str, operation: &str| {
            // A form whose page has another address leads back to that page.
            let back = match self.path.as_str() {
                "/account/sessions" => "/account/devices",
                "/account/verify" => ACCOUNT,
                path if [Method::GET, Method::POST].contains(&self.method) => path,
                _ => "",
            };
            // Whoever had a session is told that it has ended.
            let said = if operation.is_empty() && self.shown { "no-longer" } else { "" };
            let is_lost = !operation.is_empty() && self.method == Method::POST;
            let unsaved = if is_lost { "true" } else { "" };
            let more = [("then", back), ("operation", operation), ("said", said), (UNSAVED, unsaved)];
            Redirect::to(&self.with(path, &more)).into_response()
        };
        match (error.problem, &error.need) {
            // Acting has ended by itself: there is a way back to their own session.
            (Problem::Unauthenticated, _) if in_ours && self.aside => {
                return Redirect::to(&self.with("/acting", &[("then", ""), ("operation", "")]))
                    .into_response();
            }
            (Problem::Unauthenticated, _) if in_ours => return leads("/sign-in", ""),
            (Problem::StepUpRequired, Some(need)) if in_ours => return leads("/step-up", &need.operation),
            _ => {}
        }
        let status = StatusCode::from_u16(error.problem.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let id = (status.is_server_error()).then_some(request_id);
        let home = self.with(ACCOUNT, &[("then", ""), ("operation", "")]);
        let wait = error.retry_after.map(|seconds| self.wait(seconds));
        let given = context! { id, home, wait };
        self.page(status, "error.html", &self.reason(error), given)
    }

    /// Why something did not work, in a sentence.
    fn reason(&self, error: &Error) -> String {
        let field = error.fields.first().filter(|_| error.fields.len() == 1);
        if let Some(field) = field.filter(|_| error.problem != Problem::Invalid) {
            return self.why(field);
        }
        let sends = |limit: &str| ["send-", "unproven-"].iter().any(|start| limit.starts_with(start));
        if error.problem == Problem::LimitReached && error.limit.is_none_or(sends) {
            return self.say("problem-limit-reached-sending");
        }
        let key = format!("problem-{}", error.problem.slug());
        self.say(if words::has(&key) { &key } else { "problem-other" })
    }

    /// When trying again makes sense, in a sentence.
    fn wait(&self, seconds: u64) -> String {
        match seconds {
            0..=90 => self.say_of("error.wait", &[("seconds", seconds.into())]),
            91..=5400 => self.say_of("error.wait-minutes", &[("count", seconds.div_ceil(60).into())]),
            _ => self.say_of("error.wait-hours", &[("count", seconds.div_ceil(3600).into())]),
        }
    }

    /// What is wrong with a field, in a sentence.
    fn why(&self, field: &FieldError) -> String {
        let key = format!("wrong-{}", field.code);
        let of_field = format!("wrong-{}-{}", field.field, field.code);
        match [of_field, key].into_iter().find(|key| words::has(key)) {
            Some(key) => self.say(&key),
            None => self.say("wrong-other"),
        }
    }

    fn page(&self, status: StatusCode, file: &str, title: &str, given: Value) -> Response {
        let places: std::collections::BTreeMap<&str, String> =
            PLACES.iter().map(|(name, path)| (*name, self.to(path))).collect();
        let rooms: Vec<_> = ROOMS
            .iter()
            .map(|(path, key)| {
                let rest = self.path.strip_prefix(path);
                let here =
                    rest.is_some_and(|rest| rest.is_empty() || *path != ACCOUNT && rest.starts_with('/'));
                context! { href => self.to(path), key => *key, here }
            })
            .collect();
        let said = self.said.filter(|_| status == StatusCode::OK);
        let (alarm, notice) = match said.map(|word| (word, self.say(&format!("said-{word}")))) {
            Some((word, text)) if ALARMS.contains(&word) => (Some(context! { text }), None),
            said => (None, said.map(|(_, text)| text)),
        };
        let frame = context! { title, notice, problem => alarm, tongues => self.tongues(), rooms, to => places, here => self.to(&self.path), is_staff => self.is_staff };
        let asked = self.asked.map(Locale::as_str);
        let frame = context! { acting => self.acting.as_deref().map(|acting| Value::from(Serde(acting))), asked, ..frame };
        let html = self.app.templates.render(self.locale, file, context! { ..given, ..frame });
        (status, Html(html)).into_response()
    }
}

/// Whether a page is wanted, and by name more than a document is (RFC 9110 §12.5.1). Whoever takes anything is
/// no browser.
fn prefers_pages(headers: &HeaderMap) -> bool {
    let (mut page, mut document) = (0.0_f32, 0.0_f32);
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    for range in lines.flat_map(|line| line.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = match &*kind {
            "text/html" => &mut page,
            "application/json" | problem::MEDIA_TYPE => &mut document,
            _ => continue,
        };
        let told = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let told = told.map_or(1.0, |told| told.parse().unwrap_or(0.0));
        *weight = weight.max(told);
    }
    page > document
}

/// What the text of a query says, as browsers read it.
fn pairs(text: &str) -> Vec<(String, String)> {
    let Ok(mut url) = reqwest::Url::parse("http://x/") else { return Vec::new() };
    url.set_query(Some(text));
    url.query_pairs().into_owned().collect()
}

/// The query that says `pairs`, with its question mark.
fn query(pairs: &[(&str, &str)]) -> String {
    // The one encoder of queries that is there writes them as browsers do.
    let url = reqwest::Url::parse_with_params("http://x/", pairs).ok();
    format!("?{}", url.as_ref().and_then(reqwest::Url::query).unwrap_or_default())
}

/// Whether `path` is a page of the account or of the console and nothing else, however it is read.
fn is_of_ours(path: &str) -> bool {
    let rest = [ACCOUNT, CONSOLE].into_iter().find_map(|start| path.strip_prefix(start));
    rest.is_some_and(|rest| {
        (rest.is_empty() || rest.starts_with('/'))
            && !rest.contains("//")
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte))
    })
}

fn is_operation(name: &str) -> bool {
    name.len() <= 100 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl FromRequestParts<Arc<App>> for Visit {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let caller = parts.extensions.get::<Caller>().cloned();
        // Whoever acts for a user reads another language perhaps.
        let own = caller.as_ref().filter(|caller| caller.session.act.is_none());
        let own = own.and_then(|caller| caller.user.locale.clone());
        let mut visit = Self::of(app, &parts.method, &parts.uri, &parts.headers, own.as_deref());
        if caller.is_some() || visit.may_act() {
            let ctx = Ctx::from_request_parts(parts, app).await?;
            let caller = match caller {
                // A page for everybody, seen by somebody who acts.
                None => sessions::authenticate(&ctx, &parts.headers).await?,
                caller => caller,
            };
            if let Some(caller) = caller {
                visit = visit.by(&ctx.policy, &caller.user, &caller.session);
                visit.learns(&ctx, &caller).await?;
            }
        }
        Ok(visit)
    }
}
