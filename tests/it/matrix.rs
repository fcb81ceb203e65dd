//! Who may do what: role × state of the account × route × owner × field, from one table.
//!
//! The table says it independently of the router. A route without a row fails, as does a row without
//! a route, so nothing is opened, and no field is taken, that nobody has written down here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::{StatusCode, header};
use serde_json::{Value as Json, json};
use vestibule::accounts::{Status, User};
use vestibule::store::{Change, Kind};

use crate::factors::shows;
use crate::step_up::promote;
use crate::world::{Answer, PASSWORD, Person, Plan, World, unlimited};
use Takes::{Form, Nothing, Query, Sent};
use Thing::{Call, Device, Factor, Organization, Pending, Session};
use Who::{Admin, Anybody, Signed, Staff, User as Own};

/// Whom a route is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Anybody,
    /// Whoever is signed in, about what is their own.
    User,
    Admin,
    /// Those with the role `support` too.
    Staff,
    /// A provider that signs, or a registered client with its own credential: nobody here.
    Signed,
}

/// What `{id}` names, in the path or in the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Thing {
    Session,
    Device,
    Factor,
    /// An authenticator app that is being bound.
    Pending,
    Call,
    Organization,
}

/// The names that a route may be given, and where.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    Nothing,
    /// Fields of a JSON body.
    Sent(&'static [&'static str]),
    /// Fields of a form.
    Form(&'static [&'static str]),
    /// Parameters of the address.
    Query(&'static [&'static str]),
}

#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub method: &'static str,
    pub path: &'static str,
    who: Who,
    of: Option<Thing>,
    pub takes: Takes,
    /// A body that means something.
    good: &'static str,
}

const fn row(
    method: &'static str,
    path: &'static str,
    who: Who,
    of: Option<Thing>,
    takes: Takes,
    good: &'static str,
) -> Row {
    Row { method, path, who, of, takes, good }
}

const CHANGE: Takes = Sent(&["username", "email", "mobile", "name", "locale", "metadata"]);
const NEW_USER: Takes =
    Sent(&["username", "email", "mobile", "name", "password", "locale", "is_2fa_enabled", "invitation"]);
const LOGIN: Takes =
    Sent(&["identifier", "username", "email", "mobile", "password", "session", "factor", "device"]);
const NEW_PASSWORD: Takes = Sent(&["current_password", "recovery_token", "new_password"]);
const SETS: &str = r#"{"current_password": "{password}", "new_password": "eight quiet herons on the pier"}"#;
const PAGE: Takes = Query(&["limit", "after"]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("POST", "/users", Anybody, None, NEW_USER, "{}"),
    row("POST", "~/users", Anybody, None, NEW_USER, "{}"),
    row("POST", "/users/register", Anybody, None, NEW_USER, "{}"),
    row("POST", "/auth/login", Anybody, None, LOGIN, "{}"),
    row("POST", "/login", Anybody, None, LOGIN, "{}"),
    row("POST", "~/login", Anybody, None, Form(&["grant_type", "username", "password", "send_otp"]), "username=nobody&password=x"),
    row("POST", "~/verify-2fa", Anybody, None, Form(&["username", "otp_code"]), "username=nobody&otp_code=0"),
    row("POST", "/auth/verify-code", Anybody, None, Sent(&["challenge", "code", "trust_device"]), r#"{"challenge": "vc_", "code": "000000"}"#),
    row("POST", "/auth/resend-code", Anybody, None, Sent(&["challenge", "factor"]), r#"{"challenge": "vc_"}"#),
    row("POST", "/auth/password-strength", Anybody, None, Sent(&["password", "username", "email", "mobile", "name"]), r#"{"password": "x"}"#),
    row("POST", "/auth/recover", Anybody, None, Sent(&["identifier", "device"]), r#"{"identifier": "nobody@example.com"}"#),
    row("POST", "/auth/recover/verify", Anybody, None, Sent(&["challenge", "code"]), r#"{"challenge": "vc_", "code": "1"}"#),
    row("POST", "/auth/logout", Anybody, None, Sent(&["scope", "refresh_token"]), r#"{"scope": "others"}"#),
    row("POST", "/logout", Anybody, None, Sent(&["scope", "refresh_token"]), r#"{"scope": "others"}"#),
    row("GET", "/auth/authenticated", Anybody, None, Nothing, ""),
    row("POST", "/auth/refresh", Anybody, None, Sent(&["refresh_token"]), r#"{"refresh_token": "vr_"}"#),
    row("POST", "/auth/undo", Anybody, None, Sent(&["token"]), r#"{"token": "vu_"}"#),
    row("POST", "/auth/step-up", Own, None, Sent(&["operation", "factor", "password"]), r#"{"operation": "user.delete"}"#),
    row("POST", "/auth/authorize", Own, None, Sent(&["operation"]), r#"{"operation": "user.delete"}"#),
    row("GET", "/users/me", Own, None, Nothing, ""),
    row("PATCH", "/users/me", Own, None, CHANGE, r#"{"name": "Ada"}"#),
    row("PUT", "/users/me", Own, None, CHANGE, r#"{"name": "Ada"}"#),
    row("PUT", "/users/update", Own, None, CHANGE, r#"{"name": "Ada"}"#),
    row("POST", "/users/me/verify", Own, None, Sent(&["kind"]), r#"{"kind": "email"}"#),
    row("DELETE", "/users/me", Own, None, Nothing, ""),
    row("GET", "/users/me/export", Own, None, Nothing, ""),
    row("GET", "/activity", Own, None, PAGE, ""),
    row("GET", "/factors", Own, None, Nothing, ""),
    row("POST", "/factors", Own, None, Sent(&["kind"]), r#"{"kind": "sms"}"#),
    row("POST", "/factors/totp", Own, None, Sent(&["name"]), "{}"),
    row("POST", "/factors/totp/confirm", Own, Some(Pending), Sent(&["id", "code"]), r#"{"id": "{id}", "code": "{code}"}"#),
    row("POST", "/factors/recovery-codes", Own, None, Nothing, ""),
    row("PATCH", "/factors/{id}", Own, Some(Factor), Sent(&["name"]), r#"{"name": "Phone"}"#),
    row("DELETE", "/factors/{id}", Own, Some(Factor), Nothing, ""),
    row("PUT", "/users/me/password", Own, None, NEW_PASSWORD, SETS),
    row("PATCH", "/users/update-password", Own, None, NEW_PASSWORD, SETS),
    row("GET", "/sessions", Own, None, PAGE, ""),
    row("DELETE", "/sessions/{id}", Own, Some(Session), Nothing, ""),
    row("GET", "/devices", Own, None, PAGE, ""),
    row("DELETE", "/devices/{id}", Own, Some(Device), Nothing, ""),
    row("GET", "/admin/policy", Admin, None, Nothing, ""),
    row("POST", "/admin/policy/simulate", Admin, None, Sent(&["operation", "user", "has", "locked", "roles", "shown"]), r#"{"operation": "user.delete"}"#),
    row("GET", "/admin/service-accounts", Admin, None, PAGE, ""),
    row("POST", "/admin/service-accounts", Admin, None, Sent(&["name"]), r#"{"name": "orders"}"#),
    row("DELETE", "/admin/service-accounts/{id}", Admin, None, Nothing, ""),
    row("GET", "/admin/service-accounts/{id}/keys", Admin, None, Nothing, ""),
    row("POST", "/admin/service-accounts/{id}/keys", Admin, None, Sent(&["name", "scopes", "days"]), r#"{"name": "first", "scopes": ["introspect"]}"#),
    row("DELETE", "/admin/api-keys/{id}", Admin, None, Nothing, ""),
    row("GET", "/revocations", Signed, None, Nothing, ""),
    row("GET", "/admin/users", Staff, None, Query(&["q", "status", "role", "from", "until", "limit", "after"]), ""),
    row("POST", "/admin/users", Admin, None, Sent(&["username", "email", "mobile", "name", "locale"]), r#"{"username": "made-by-admin", "email": "made@example.com", "mobile": "+12025550999"}"#),
    row("GET", "/admin/users/{id}", Staff, None, Nothing, ""),
    row("POST", "/admin/users/{id}/link", Admin, None, Nothing, ""),
    row("PATCH", "/admin/users/{id}", Admin, None, Sent(&["name", "locale", "metadata"]), r#"{"name": "Ada"}"#),
    row("DELETE", "/admin/users/{id}", Admin, None, Nothing, ""),
    row("PUT", "/admin/users/{id}/roles", Admin, None, Sent(&["roles"]), r#"{"roles": ["support"]}"#),
    row("POST", "/admin/users/{id}/suspend", Admin, None, Sent(&["until", "reason"]), r#"{"reason": "spam"}"#),
    row("POST", "/admin/users/{id}/restore", Admin, None, Nothing, ""),
    row("POST", "/admin/users/{id}/end-sessions", Staff, None, Nothing, ""),
    row("POST", "/admin/users/{id}/reset-factors", Staff, None, Nothing, ""),
    row("POST", "/admin/users/{id}/act", Admin, None, Sent(&["reason", "minutes", "read_only", "session"]), r#"{"reason": "Ticket 1", "minutes": 5}"#),
    row("GET", "/admin/users/{id}/sessions", Staff, None, PAGE, ""),
    row("GET", "/admin/users/{id}/devices", Staff, None, PAGE, ""),
    row("GET", "/admin/messages", Staff, None, Query(&["user", "limit", "after"]), ""),
    row("GET", "/admin/messages/{id}", Staff, None, Nothing, ""),
    row("GET", "/admin/calls", Staff, None, Query(&["user", "limit", "after"]), ""),
    row("GET", "/admin/calls/{id}", Staff, None, Nothing, ""),
    row("GET", "/admin/audit", Staff, None, Query(&["user", "actor", "what", "from", "until", "limit", "after"]), ""),
    row("GET", "/admin/audit/chain", Staff, None, Nothing, ""),
    row("GET", "/admin/overview", Staff, None, Query(&["by", "from"]), ""),
    row("GET", "/admin/limits", Admin, None, Nothing, ""),
    row("GET", "/admin/queues", Admin, None, Nothing, ""),
    row("GET", "/admin/keys", Admin, None, Nothing, ""),
    row("GET", "/admin/data", Admin, None, Nothing, ""),
    row("GET", "/admin/data/{table}", Admin, None, Query(&["by", "is", "limit", "after"]), ""),
    row("GET", "/admin/organizations", Staff, None, PAGE, ""),
    row("POST", "/admin/organizations", Admin, None, Sent(&["name", "owner"]), r#"{"name": "Harbour", "owner": "{user}"}"#),
    row("GET", "/admin/organizations/{id}", Staff, None, Nothing, ""),
    row("PATCH", "/admin/organizations/{id}", Admin, None, Sent(&["name"]), r#"{"name": "Harbour"}"#),
    row("DELETE", "/admin/organizations/{id}", Admin, None, Nothing, ""),
    row("GET", "/admin/organizations/{id}/members", Staff, None, PAGE, ""),
    row("PUT", "/admin/organizations/{id}/members/{user}", Admin, None, Sent(&["role"]), r#"{"role": "admin"}"#),
    row("DELETE", "/admin/organizations/{id}/members/{user}", Admin, None, Nothing, ""),
    row("GET", "/admin/organizations/{id}/invitations", Staff, None, PAGE, ""),
    row("POST", "/admin/organizations/{id}/invitations", Admin, None, Sent(&["email", "role"]), r#"{"email": "guest@example.com", "role": "member"}"#),
    row("DELETE", "/admin/organizations/{id}/invitations/{invitation}", Admin, None, Nothing, ""),
    row("GET", "/organizations", Own, None, PAGE, ""),
    row("POST", "/organizations", Own, None, Sent(&["name"]), r#"{"name": "Harbour"}"#),
    row("POST", "/organizations/accept", Own, None, Sent(&["invitation"]), r#"{"invitation": "vi_"}"#),
    row("GET", "/organizations/{id}", Own, Some(Organization), Nothing, ""),
    row("PATCH", "/organizations/{id}", Own, Some(Organization), Sent(&["name"]), r#"{"name": "Pier"}"#),
    row("DELETE", "/organizations/{id}", Own, Some(Organization), Nothing, ""),
    row("GET", "/organizations/{id}/members", Own, Some(Organization), PAGE, ""),
    row("PUT", "/organizations/{id}/members/{user}", Own, Some(Organization), Sent(&["role"]), r#"{"role": "owner"}"#),
    row("DELETE", "/organizations/{id}/members/{user}", Own, Some(Organization), Nothing, ""),
    row("POST", "/organizations/{id}/members/{user}/act", Own, Some(Organization), Sent(&["reason", "minutes", "read_only", "session"]), r#"{"reason": "Ticket 1", "minutes": 5}"#),
    row("GET", "/organizations/{id}/invitations", Own, Some(Organization), PAGE, ""),
    row("POST", "/organizations/{id}/invitations", Own, Some(Organization), Sent(&["email", "role"]), r#"{"email": "guest@example.com", "role": "member"}"#),
    row("DELETE", "/organizations/{id}/invitations/{invitation}", Own, Some(Organization), Nothing, ""),
    row("GET", "/invitation", Anybody, None, Nothing, ""),
    row("POST", "/invitation", Anybody, None, Form(&["token"]), "token=vi_"),
    row("GET", "/recover/password", Anybody, None, Nothing, ""),
    row("GET", "/events", Staff, None, PAGE, ""),
    row("GET", "/admin/events/dead", Admin, None, PAGE, ""),
    row("POST", "/admin/events/{id}/resend", Admin, None, Nothing, ""),
    row("POST", "/calls", Own, None, Sent(&["to", "say", "twiml_url", "from"]), r#"{"to": "{mobile}", "say": "Hello"}"#),
    row("GET", "/calls", Own, None, Query(&["limit", "after", "status"]), ""),
    row("GET", "/calls/{id}", Own, Some(Call), Nothing, ""),
    row("POST", "/calls/{id}/cancel", Own, Some(Call), Nothing, ""),
    row("POST", "/webhooks/twilio/calls/{token}", Signed, None, Nothing, ""),
    row("POST", "/webhooks/twilio/voice/{sealed}", Signed, None, Nothing, ""),
    row("POST", "/webhooks/twilio/messages/{token}", Signed, None, Nothing, ""),
    row("POST", "/webhooks/messages/{token}", Signed, None, Nothing, ""),
    row("POST", "/oauth2/introspect", Signed, None, Form(&["token", "token_type_hint"]), "token=vs_"),
    row("POST", "/oauth2/revoke", Signed, None, Form(&["token", "token_type_hint"]), "token=vs_"),
    row("GET", "/.well-known/jwks.json", Anybody, None, Nothing, ""),
    row("GET", "/health", Anybody, None, Nothing, ""),
    row("GET", "/health/live", Anybody, None, Nothing, ""),
    row("GET", "/health/ready", Anybody, None, Nothing, ""),
    row("GET", "/metrics", Anybody, None, Nothing, ""),
    row("GET", "/openapi.json", Anybody, None, Nothing, ""),
    row("GET", "/problems", Anybody, None, Nothing, ""),
    row("GET", "/problems/{slug}", Anybody, None, Nothing, ""),
    row("GET", "/verify", Anybody, None, Nothing, ""),
    row("POST", "/verify", Anybody, None, Form(&["challenge", "code"]), "challenge=vc_&code=0"),
    row("GET", "/undo", Anybody, None, Nothing, ""),
    row("POST", "/undo", Anybody, None, Form(&["token"]), "token=vu_"),
    row("GET", "/not-me", Anybody, None, Nothing, ""),
    row("POST", "/not-me", Anybody, None, Form(&["token"]), "token=vu_"),
    row("GET", "/recover", Anybody, None, Nothing, ""),
    row("POST", "/recover", Anybody, None, Form(&["identifier"]), "identifier=nobody%40example.com"),
    row("POST", "/recover/verify", Anybody, None, Form(&["challenge", "code"]), "challenge=vc_&code=0"),
    row("POST", "/recover/second", Anybody, None, Form(&["token", "challenge", "code"]), "token=vp_&challenge=vc_&code=0"),
    row("POST", "/recover/resend", Anybody, None, Form(&["token", "challenge", "factor"]), "token=vp_&challenge=vc_&factor=sms"),
    row("POST", "/recover/password", Anybody, None, Form(&["token", "new_password", "first"]), "token=vp_&new_password=x"),
    row("GET", "/sign-in", Anybody, None, Nothing, ""),
    row("POST", "/sign-in", Anybody, None, Form(&["identifier", "password"]), "identifier=nobody&password=x"),
    row("GET", "/sign-up", Anybody, None, Nothing, ""),
    row("POST", "/sign-up", Anybody, None, Form(&["username", "email", "mobile", "password", "check", "invitation"]), "username=x"),
    row("GET", "/code", Anybody, None, Nothing, ""),
    row("POST", "/code", Anybody, None, Form(&["code", "trust_device"]), "code=0"),
    row("POST", "/code/resend", Anybody, None, Form(&["factor"]), ""),
    row("GET", "/sign-out", Anybody, None, Nothing, ""),
    row("POST", "/sign-out", Anybody, None, Nothing, ""),
    row("GET", "/assets/{file}", Anybody, None, Nothing, ""),
    row("GET", "/step-up", Own, None, Nothing, ""),
    row("POST", "/step-up", Own, None, Form(&["password", "factor"]), ""),
    row("GET", "/account", Own, None, Nothing, ""),
    row("POST", "/account", Own, None, Form(&["name", "locale"]), "name=Ada"),
    row("GET", "/account/change/{kind}", Own, None, Nothing, ""),
    row("POST", "/account/change/{kind}", Own, None, Form(&["value"]), "value=other-one@example.com"),
    row("POST", "/account/verify", Own, None, Form(&["kind"]), "kind=email"),
    row("GET", "/account/devices", Own, None, Nothing, ""),
    row("POST", "/account/sessions", Own, None, Form(&["id", "scope"]), "scope=others"),
    row("GET", "/account/activity", Own, None, Nothing, ""),
    row("GET", "/account/data", Own, None, Nothing, ""),
    row("GET", "/account/export", Own, None, Nothing, ""),
    row("POST", "/account/export", Own, None, Nothing, ""),
    row("GET", "/account/delete", Own, None, Nothing, ""),
    row("POST", "/account/delete", Own, None, Nothing, ""),
    row("GET", "/account/security", Own, None, Nothing, ""),
    row("GET", "/account/password", Own, None, Nothing, ""),
    row("POST", "/account/password", Own, None, Form(&["current_password", "new_password", "check"]), "new_password=x"),
    row("GET", "/account/factors/add/{kind}", Own, None, Nothing, ""),
    row("POST", "/account/factors/add/{kind}", Own, None, Nothing, ""),
    row("GET", "/account/factors/{id}/remove", Own, Some(Factor), Nothing, ""),
    row("POST", "/account/factors/{id}/remove", Own, Some(Factor), Nothing, ""),
    row("GET", "/account/totp", Own, None, Nothing, ""),
    row("POST", "/account/totp", Own, None, Form(&["id", "code"]), "id=0"),
    row("GET", "/account/recovery-codes", Own, None, Nothing, ""),
    row("POST", "/account/recovery-codes", Own, None, Nothing, ""),
    row("GET", "/acting", Anybody, None, Nothing, ""),
    row("POST", "/acting", Anybody, None, Nothing, ""),
    row("GET", "/account/organizations", Own, None, Nothing, ""),
    row("POST", "/account/organizations", Own, None, Form(&["name"]), "name=Harbour"),
    row("GET", "/account/organizations/{id}", Own, Some(Organization), Nothing, ""),
    row("POST", "/account/organizations/{id}", Own, Some(Organization), Form(&["do", "name", "user", "role", "email", "invitation"]), "do=rename&name=Pier"),
    row("GET", "/account/organizations/{id}/members/{user}/act", Own, Some(Organization), Nothing, ""),
    row("POST", "/account/organizations/{id}/members/{user}/act", Own, Some(Organization), Form(&["reason", "minutes", "mode"]), "reason=Ticket+1&minutes=5"),
    row("GET", "/console/users", Staff, None, Nothing, ""),
    row("GET", "/console/users/new", Admin, None, Nothing, ""),
    row("POST", "/console/users/new", Admin, None, Form(&["username", "email", "mobile", "name", "locale"]), "username=x"),
    row("GET", "/console/users/{id}", Staff, None, Nothing, ""),
    row("GET", "/console/users/{id}/act", Admin, None, Nothing, ""),
    row("POST", "/console/users/{id}/act", Admin, None, Form(&["reason", "minutes", "mode"]), "reason=Ticket+1&minutes=5"),
    row("GET", "/console/users/{id}/profile", Admin, None, Nothing, ""),
    row("POST", "/console/users/{id}/profile", Admin, None, Form(&["name", "locale"]), "name=Ada"),
    row("GET", "/console/users/{id}/roles", Admin, None, Nothing, ""),
    row("POST", "/console/users/{id}/roles", Admin, None, Form(&["roles"]), "roles=support"),
    row("GET", "/console/users/{id}/end-sessions", Staff, None, Nothing, ""),
    row("POST", "/console/users/{id}/end-sessions", Staff, None, Form(&[]), ""),
    row("GET", "/console/users/{id}/reset-factors", Staff, None, Nothing, ""),
    row("POST", "/console/users/{id}/reset-factors", Staff, None, Form(&[]), ""),
    row("GET", "/console/users/{id}/suspend", Admin, None, Nothing, ""),
    row("POST", "/console/users/{id}/suspend", Admin, None, Form(&["reason", "until"]), "reason=spam"),
    row("GET", "/console/users/{id}/restore", Admin, None, Nothing, ""),
    row("POST", "/console/users/{id}/restore", Admin, None, Form(&[]), ""),
    row("GET", "/console/users/{id}/delete", Admin, None, Nothing, ""),
    row("POST", "/console/users/{id}/delete", Admin, None, Form(&[]), ""),
    row("GET", "/console/organizations", Staff, None, Nothing, ""),
    row("POST", "/console/organizations", Admin, None, Form(&["name", "owner"]), "name=Harbour&owner=nobody"),
    row("GET", "/console/organizations/{id}", Staff, None, Nothing, ""),
    row("POST", "/console/organizations/{id}", Admin, None, Form(&["do", "name", "user", "role", "email", "invitation"]), "do=rename&name=Pier"),
    row("GET", "~/", Anybody, None, Nothing, ""),
    row("GET", "/console", Staff, None, Nothing, ""),
    row("GET", "/console/messages", Staff, None, Nothing, ""),
    row("GET", "/console/messages/{id}", Staff, None, Nothing, ""),
    row("GET", "/console/calls", Staff, None, Nothing, ""),
    row("GET", "/console/calls/{id}", Staff, None, Nothing, ""),
    row("GET", "/console/events", Admin, None, Nothing, ""),
    row("POST", "/console/events", Admin, None, Form(&["id"]), "id=0"),
    row("GET", "/console/policy", Admin, None, Nothing, ""),
    row("GET", "/console/limits", Admin, None, Nothing, ""),
    row("GET", "/console/keys", Admin, None, Nothing, ""),
    row("GET", "/console/audit", Staff, None, Nothing, ""),
    row("GET", "/console/data", Admin, None, Nothing, ""),
    row("GET", "/console/data/{table}", Admin, None, Nothing, ""),
    row("GET", "/docs", Anybody, None, Nothing, ""),
    row("GET", "/api-docs", Anybody, None, Nothing, ""),
    row("GET", "/docs/assets/{file}", Anybody, None, Nothing, ""),
];

/// Forms of which what is sent here is wrong, so that nothing is made of it.
const TYPED: [(&str, &str); 2] = [("POST", "/console/users/new"), ("POST", "/console/organizations")];

/// The stylesheet's name, which changes with what is in it.
fn style() -> &'static str {
    static NAME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    NAME.get_or_init(|| {
        let pages = vestibule::config::Config::from_toml("").unwrap().pages;
        let templates = vestibule::templates::Templates::configured(&pages, "x").unwrap();
        let html = templates.render(vestibule::words::Locale::En, "say.html", ().into());
        let (_, rest) = html.split_once("href=\"/assets/page-").unwrap();
        format!("page-{}", rest.split('"').next().unwrap())
    })
}

/// Every row.
pub fn table() -> &'static [Row] {
    TABLE
}

/// Where the API answers.
const MOUNTS: [&str; 2] = ["/api/v1", "/api"];
/// The key of nothing.
const NOT_THERE: &str = "01234567-89ab-7cde-8f01-23456789abcd";

/// What a row calls a route: by its path below the mount; an operation by its path; what else is at the
/// root, where the same path is also below the mounts, by its path after `~`.
fn called(path: &str) -> String {
    match path.strip_prefix(MOUNTS[0]) {
        Some(below) => below.to_owned(),
        None if is_operation(path) => path.to_owned(),
        None => format!("~{path}"),
    }
}

fn is_operation(path: &str) -> bool {
    [
        "/health",
        "/metrics",
        "/openapi",
        "/problems",
        "/verify",
        "/undo",
        "/not-me",
        "/recover",
        "/docs",
        "/invitation",
    ]
    .iter()
    .chain(&["/api-docs", "/.well-known", "/oauth2"])
    .chain(&[
        "/sign-in",
        "/sign-up",
        "/sign-out",
        "/code",
        "/step-up",
        "/account",
        "/assets",
        "/console",
        "/acting",
    ])
    .any(|start| path.strip_prefix(start).is_some_and(|rest| !rest.starts_with("-2fa")))
}

impl Row {
    fn is_operation(&self) -> bool {
        self.path.starts_with('~') || is_operation(self.path)
    }

    /// Its addresses, with `id` in the place of every `{…}`.
    pub fn paths(&self, id: &str) -> Vec<String> {
        let path = self
            .path
            .trim_start_matches('~')
            .replace("{id}", id)
            .replace("{slug}", "code-wrong")
            .replace("{file}", if self.path.starts_with("/assets") { style() } else { "page.css" })
            .replace("{kind}", "email")
            .replace("{token}", "vm_x")
            .replace("{sealed}", "x")
            .replace("{table}", "no-such-table")
            .replace("{invitation}", NOT_THERE);
        if self.is_operation() { vec![path] } else { MOUNTS.map(|mount| format!("{mount}{path}")).to_vec() }
    }

    /// Whether somebody with these roles may, by the policy as it is shipped.
    fn is_for(&self, roles: &[&str]) -> bool {
        roles.contains(&"admin") || self.who == Staff && roles.contains(&"support")
    }

    pub fn needs_session(&self) -> bool {
        matches!(self.who, Own | Admin | Staff)
    }

    fn kind(&self) -> &'static str {
        match self.takes {
            Form(_) => "application/x-www-form-urlencoded",
            _ if self.good.is_empty() => "",
            _ => "application/json",
        }
    }

    fn body(&self, person: &Person<'_>, thing: &Made) -> Vec<u8> {
        self.good
            .replace("{id}", &thing.id)
            .replace("{user}", &thing.user)
            .replace("{code}", &thing.code)
            .replace("{mobile}", &person.mobile)
            .replace("{password}", PASSWORD)
            .into_bytes()
    }

    pub async fn asked_by(&self, person: &Person<'_>, path: &str, thing: &Made) -> Answer {
        let path = path.replace("{user}", &thing.user);
        let mut thing = thing.clone();
        if self.good.contains("{user}") && person.token.is_some() {
            let me = person.get("/api/v1/users/me").await.body["id"].as_str().map(str::to_owned);
            thing.user = me.unwrap_or(thing.user);
        }
        let mut person = person.clone();
        if self.path == "~/" {
            // Here development has a page of its own, for this machine alone; `browser_console` has the other.
            person.ip = std::net::Ipv4Addr::LOCALHOST.into();
        }
        person.send(self.method, &path, Some((self.kind(), self.body(&person, &thing)))).await
    }
}

/// Something that `{id}` names.
#[derive(Clone, Debug)]
pub struct Made {
    id: String,
    code: String,
    /// Somebody whom `{user}` names.
    user: String,
}

pub fn made(id: &str) -> Made {
    Made { id: id.to_owned(), code: "000000".to_owned(), user: NOT_THERE.to_owned() }
}

/// Makes one for `person`.
async fn make(person: &Person<'_>, thing: Thing) -> Made {
    let first = async |path: &str| {
        let list = person.get(path).await.expect(StatusCode::OK).body;
        made(list["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{path}: {list}")))
    };
    match thing {
        Session => first("/api/v1/sessions").await,
        Device => first("/api/v1/devices").await,
        Factor => first("/api/v1/factors").await,
        Pending => {
            let begun = person.post("/api/v1/factors/totp", json!({})).await.expect(StatusCode::CREATED).body;
            let step = person.world.app.clock.now().as_millis() / 30_000;
            let text = |name: &str| begun[name].as_str().unwrap().to_owned();
            Made { code: shows(&text("secret"), step), ..made(&text("id")) }
        }
        Organization => {
            let body = json!({"name": "Harbour"});
            let made = person.post("/api/v1/organizations", body).await.expect(StatusCode::CREATED).body;
            let mut made = self::made(made["id"].as_str().unwrap());
            made.user = person.get("/api/v1/users/me").await.body["id"].as_str().unwrap().to_owned();
            made
        }
        Call => {
            let body = json!({"to": person.mobile, "say": "Hello"});
            let call = person.post("/api/v1/calls", body).await.expect(StatusCode::ACCEPTED).body;
            made(call["id"].as_str().unwrap())
        }
    }
}

/// Asks for a call.
pub async fn make_call(person: &Person<'_>) {
    make(person, Call).await;
}

fn slug(answer: &Answer) -> &str {
    answer.body["type"].as_str().and_then(|name| name.strip_prefix("/problems/")).unwrap_or_default()
}

/// Whether nothing was done for want of a right to it: a proof that is asked for first is another thing.
fn denied(answer: &Answer) -> bool {
    let steps = ["step-up-required", "factor-missing", "operation-never"];
    match answer.status.as_u16() {
        401 => ["unauthenticated", "client-unknown"].contains(&slug(answer)),
        403 => !steps.contains(&slug(answer)),
        404 => true,
        _ => false,
    }
}

/// Whether it was done, or might have been but for what was sent with it.
fn granted(answer: &Answer) -> bool {
    let excused = ["step-up-required", "factor-required", "last-administrator"];
    // A page leads on to the next one.
    answer.status.is_success() || answer.status.is_redirection() || excused.contains(&slug(answer))
}

/// What somebody can tell from an answer, without the name of the request.
fn told(answer: &Answer) -> String {
    let mut body = answer.body.clone();
    body["instance"] = Json::Null;
    format!("{} {body}", answer.status)
}

/// A house that counts nothing: here it is asked too often.
pub fn plan() -> Plan {
    World::plan().policy(unlimited)
}

const ROLES: [&[&str]; 3] = [&[], &["support"], &["admin"]];

/// Somebody with `roles` who is signed in by bearer token.
async fn somebody<'w>(world: &'w World, roles: &[&str]) -> Person<'w> {
    let person = world.alice().await;
    if !roles.is_empty() {
        promote(world, &person, roles).await;
    }
    person
}

/// The same person's browser, which is signed in by cookie.
pub async fn browser<'w>(person: &Person<'w>) -> Person<'w> {
    let world = person.world;
    let mut browser = person.clone();
    browser.token = None;
    browser.headers.insert(header::ORIGIN, world.app.origin.as_str().parse().unwrap());
    let body = json!({"identifier": person.username, "password": PASSWORD, "session": "cookie"});
    let asked = browser.post("/api/v1/auth/login", body).await.expect(StatusCode::OK);
    browser.keeps_cookies(&asked);
    world.run_due().await;
    let code = world.last_code(&person.mobile).await;
    let done = browser.post("/api/v1/auth/verify-code", json!({"code": code})).await.expect(StatusCode::OK);
    browser.keeps_cookies(&done);
    assert!(browser.is_signed_in().await);
    browser
}

/// Changes the record of `person` behind everybody's back, as another server would.
pub async fn rewrite(person: &Person<'_>, change: impl Fn(&mut User)) {
    let store = &person.world.app.store;
    let me = person.get("/api/v1/users/me").await.expect(StatusCode::OK).body;
    let id: uuid::Uuid = serde_json::from_value(me["id"].clone()).unwrap();
    let user = store.get::<User>(id).await.unwrap().unwrap().with(change);
    store.commit(vec![Change::update(&user)]).await.unwrap();
}

#[test]
fn t52_every_route_has_a_row_and_every_row_a_route() {
    let routes: BTreeMap<_, _> = vestibule::http::router::all()
        .into_iter()
        .map(|route| ((route.method.to_string(), called(&route.path)), route.access))
        .collect();
    let rows: BTreeSet<_> = TABLE.iter().map(|row| (row.method.to_owned(), row.path.to_owned())).collect();
    assert_eq!(rows.len(), TABLE.len(), "one row a route");
    let routed: BTreeSet<_> = routes.keys().cloned().collect();
    let missing: Vec<_> = routed.difference(&rows).collect();
    assert!(missing.is_empty(), "routes that nobody has thought about here: {missing:?}");
    let stale: Vec<_> = rows.difference(&routed).collect();
    assert!(stale.is_empty(), "rows without a route: {stale:?}");
}

/// Nobody, and whoever is half way: no credential but a session opens what needs one.
#[tokio::test]
async fn t01_t52_whoever_is_not_signed_in_is_refused_what_needs_it_and_nothing_else() {
    let world = plan().build().await;
    let alice = world.alice().await;
    let half = alice.gives_password().await.expect(StatusCode::OK).body;
    let stepping = json!({"operation": "user.delete", "factor": "sms"});
    world.advance(Duration::from_secs(600));
    let stepping = alice.post("/api/v1/auth/step-up", stepping).await.expect(StatusCode::OK).body;
    let recovering = alice.post("/api/v1/auth/recover", json!({"identifier": alice.mobile})).await;
    let recovering = recovering.expect(StatusCode::ACCEPTED).body;
    let mut tokens = vec![String::new()];
    for token in [&half["challenge"]["id"], &stepping["id"], &recovering["challenge"]["id"]] {
        let token = token.as_str().unwrap_or_else(|| panic!("{half} {stepping} {recovering}"));
        tokens.extend([token.to_owned(), token.replacen("vc_", "vs_", 1)]);
    }
    tokens.push(world.app.clock.now().to_string());
    let origin: axum::http::HeaderValue = world.app.origin.as_str().parse().unwrap();
    let mut nobodies = vec![world.stranger()];
    for token in tokens {
        let mut bearer = world.stranger();
        bearer.token = Some(token.clone());
        nobodies.push(bearer);
        for name in
            ["vestibule", "vestibule-pending", "vestibule-device", "vestibule-own", "__Host-vestibule"]
        {
            let mut browser = world.stranger();
            browser.headers.insert(header::ORIGIN, origin.clone());
            browser.cookies.push((name.to_owned(), token.clone()));
            nobodies.push(browser);
        }
    }
    // What sets a browser's session does not do as a bearer's, nor the other way round.
    let cookie = browser(&world.alice().await)
        .await
        .cookies
        .into_iter()
        .find(|(name, _)| name == "vestibule")
        .unwrap()
        .1;
    // A session that was laid aside opens nothing.
    let mut aside = world.stranger();
    aside.headers.insert(header::ORIGIN, origin.clone());
    aside.cookies.push(("vestibule-own".to_owned(), cookie.clone()));
    nobodies.push(aside);
    let mut swapped = world.stranger();
    swapped.token = Some(cookie);
    nobodies.push(swapped);
    let mut swapped = world.stranger();
    swapped.headers.insert(header::ORIGIN, origin);
    swapped.cookies.push(("vestibule".to_owned(), alice.token.clone().unwrap()));
    nobodies.push(swapped);

    let mut cells = 0;
    for row in TABLE {
        for path in row.paths(NOT_THERE) {
            for nobody in &nobodies {
                let answer = row.asked_by(nobody, &path, &made(NOT_THERE)).await;
                let shown = format!("{} {path} {:?} {:?}", row.method, nobody.token, nobody.cookies);
                match row.who {
                    Own | Admin | Staff => {
                        assert_eq!(slug(&answer), "unauthenticated", "{shown}: {}", told(&answer))
                    }
                    Anybody => assert!(!denied(&answer), "{shown}: {}", told(&answer)),
                    Signed => assert!(denied(&answer), "{shown}: {}", told(&answer)),
                }
                if row.path == "/auth/authenticated" {
                    assert_eq!(answer.body["authenticated"], false, "{shown}");
                }
                assert!(!answer.status.is_server_error(), "{shown}");
                cells += 1;
            }
            if row.method == "GET" && row.needs_session() {
                let answer = world.stranger().send("HEAD", &path, None).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "HEAD {path}");
            }
        }
    }
    assert!(cells > 3_000, "{cells}");
    assert!(alice.is_signed_in().await, "nobody ended anything");
}

/// What may become of an account or a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Suspended,
    Deleted,
    MarkedDeleted,
    SignedOut,
    SignedOutElsewhere,
    Before,
    Idle,
    Expired,
}

async fn comes_to(person: &Person<'_>, state: State) {
    let world = person.world;
    match state {
        State::Suspended => rewrite(person, |user| user.status = Status::Suspended).await,
        State::MarkedDeleted => rewrite(person, |user| user.status = Status::Deleted).await,
        State::Before => {
            let now = world.app.clock.now() + Duration::from_millis(1);
            rewrite(person, |user| user.sessions_from = now).await;
        }
        State::Deleted => drop(person.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT)),
        State::SignedOut => {
            person.post("/api/v1/auth/logout", json!({"scope": "all"})).await.expect(StatusCode::NO_CONTENT);
        }
        State::SignedOutElsewhere => {
            let mut other = person.clone();
            other.cookies.clear();
            other.headers.clear();
            other.signs_in().await;
            other
                .post("/api/v1/auth/logout", json!({"scope": "others"}))
                .await
                .expect(StatusCode::NO_CONTENT);
        }
        // Of everybody at once: see below.
        State::Idle | State::Expired => {}
    }
}

/// T-57, T-20: the role alone is not enough. Each person has just been let in, so that whatever is
/// remembered of them is remembered as good.
#[tokio::test]
async fn t57_no_role_helps_an_account_or_a_session_that_does_not_stand() {
    for state in [
        State::Suspended,
        State::Deleted,
        State::MarkedDeleted,
        State::SignedOut,
        State::SignedOutElsewhere,
        State::Before,
        State::Idle,
        State::Expired,
    ] {
        let week = Duration::from_secs(7 * 24 * 3600);
        let plan = plan().policy(move |policy| {
            if state == State::Expired {
                policy.session.idle = vestibule::config::Period(week);
            }
        });
        let world = plan.build().await;
        // Somebody must be left to administer.
        somebody(&world, &["admin"]).await;
        let mut people = Vec::new();
        for roles in ROLES {
            let bearer = somebody(&world, roles).await;
            let browser = browser(&bearer).await;
            let factor = make(&bearer, Factor).await;
            people.extend([(roles, bearer, factor.clone()), (roles, browser, factor)]);
        }
        for (_, person, _) in &people {
            assert!(person.is_signed_in().await);
        }
        let policy = world.app.policy();
        let (idle, lifetime) = (*policy.session.idle, *policy.session.lifetime);
        if matches!(state, State::Idle | State::Expired) {
            let wait = if state == State::Idle { idle } else { lifetime };
            world.advance(wait - Duration::from_millis(1));
            if state == State::Expired {
                for (_, person, _) in &people {
                    assert!(person.is_signed_in().await, "not before its time");
                }
            }
            world.advance(Duration::from_millis(1));
        }
        for pair in people.chunks(2) {
            // What becomes of an account is done by one of the two, and counts for both.
            comes_to(&pair[0].1, state).await;
            if state == State::SignedOutElsewhere {
                assert!(!pair[1].1.is_signed_in().await);
            }
        }
        for (roles, person, factor) in &people {
            for row in TABLE {
                for path in row.paths(&factor.id) {
                    let answer = row.asked_by(person, &path, factor).await;
                    let shown = format!("{state:?} {roles:?} {} {path}: {}", row.method, told(&answer));
                    match row.who {
                        Own | Admin | Staff => assert_eq!(slug(&answer), "unauthenticated", "{shown}"),
                        Anybody => assert!(!denied(&answer), "{shown}"),
                        Signed => assert!(denied(&answer), "{shown}"),
                    }
                    if row.path == "/auth/authenticated" {
                        assert_eq!(answer.body["authenticated"], false, "{shown}");
                    }
                }
            }
        }
    }
}

/// Everybody who is signed in does what is theirs, and nobody but an administrator what is not.
#[tokio::test]
async fn t52_whoever_is_signed_in_does_what_is_theirs_and_no_more() {
    let world = plan().build().await;
    let missing = world.stranger().get("/api/v1/admin/nothing-here").await.problem(404, "not-found");
    for roles in ROLES {
        let reader = somebody(&world, roles).await;
        for row in TABLE {
            // One who changes things does each for the first time.
            let person = if row.method == "GET" { reader.clone() } else { somebody(&world, roles).await };
            let thing = match row.of {
                Some(thing) => make(&person, thing).await,
                None => made(NOT_THERE),
            };
            let path = row.paths(&thing.id).remove(0);
            let answer = row.asked_by(&person, &path, &thing).await;
            let shown = format!("{roles:?} {} {path}: {}", row.method, told(&answer));
            match row.who {
                // The code is the right to it; what is done with a right one, the organisations' own tests show.
                Own if row.path == "/organizations/accept" => {
                    assert_eq!(slug(&answer), "code-gone", "{shown}")
                }
                // A page says what is wrong with what was typed.
                Admin if TYPED.contains(&(row.method, row.path)) && row.is_for(roles) => {
                    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{shown}")
                }
                Own if row.path.ends_with("/act") => assert_eq!(slug(&answer), "operation-never", "{shown}"),
                // The address was not shown to be theirs.
                Own if row.method == "POST" && row.path == "/account/factors/add/{kind}" => {
                    assert_eq!(slug(&answer), "invalid", "{shown}")
                }
                // Too short, which is said to whoever may set one.
                Own if row.method == "POST" && row.path == "/account/password" => {
                    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{shown}")
                }
                // There is no such app that was begun with.
                Own if row.method == "POST" && row.path == "/account/totp" => {
                    assert_eq!(slug(&answer), "not-found", "{shown}")
                }
                Own if row.path.contains("{invitation}") => assert_eq!(slug(&answer), "not-found", "{shown}"),
                Own => assert!(granted(&answer), "{shown}"),
                // There is no such event; that one which is there is told again, the events' own tests show.
                Admin | Staff if row.is_for(roles) && row.path.contains('{') => {
                    assert_eq!(slug(&answer), "not-found", "{shown}");
                }
                // That is no id, which is said to whoever may have an event told again.
                Admin if row.is_for(roles) && row.method == "POST" && row.path == "/console/events" => {
                    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{shown}");
                }
                // Theirs would be their own doing; for others, the organisations' own tests show.
                Admin if row.is_for(roles) && row.method == "POST" && row.path == "/admin/organizations" => {
                    assert_eq!(slug(&answer), "not-allowed", "{shown}");
                }
                Admin | Staff if row.is_for(roles) => assert!(granted(&answer), "{shown}"),
                Admin | Staff => assert_eq!(told(&answer), told(&missing), "{shown}"),
                Anybody => assert!(!denied(&answer), "{shown}"),
                Signed => assert!(denied(&answer), "{shown}"),
            }
        }
    }
    // A role that is taken away is gone with the next request.
    let admin = somebody(&world, &["admin"]).await;
    admin.get("/api/v1/admin/policy").await.expect(StatusCode::OK);
    for roles in [&["Admin"][..], &["admin "], &["administrator"], &[]] {
        promote(&world, &admin, roles).await;
        assert_eq!(told(&admin.get("/api/v1/admin/policy").await), told(&missing), "{roles:?}");
    }
}

/// T-53: what belongs to another is not there, for any role; and it stays as it was.
#[tokio::test]
async fn t53_what_is_anothers_looks_like_what_is_not_there() {
    let world = plan().build().await;
    let owner = world.alice().await;
    let mut things = BTreeMap::new();
    for thing in [Session, Device, Factor, Pending, Call, Organization] {
        things.insert(format!("{thing:?}"), make(&owner, thing).await);
    }
    let all = async || {
        let mut all = Vec::new();
        for path in ["/users/me", "/sessions", "/devices", "/factors", "/calls", "/organizations"] {
            let mut body = owner.get(&format!("/api/v1{path}")).await.expect(StatusCode::OK).body;
            // They are listed by themselves; when each was used changes.
            body.as_object_mut().unwrap().remove("factors");
            all.push(body);
        }
        all
    };
    let before = all().await;
    let mut cells = 0;
    for roles in ROLES {
        let other = somebody(&world, roles).await;
        for row in TABLE.iter().filter(|row| row.of.is_some()) {
            let mut theirs = things[&format!("{:?}", row.of.unwrap())].clone();
            theirs.code = "000000".to_owned();
            let kinds = things.values().map(|made| made.id.clone());
            for id in kinds.chain([theirs.id.clone(), theirs.id.to_uppercase()]) {
                let (theirs, nothing) = (made(&id), made(NOT_THERE));
                for (path, absent) in row.paths(&id).iter().zip(row.paths(NOT_THERE)) {
                    let answer = row.asked_by(&other, path, &theirs).await;
                    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{roles:?} {} {path}", row.method);
                    let absent = row.asked_by(&other, &absent, &nothing).await;
                    assert_eq!(told(&answer), told(&absent), "{roles:?} {} {path}", row.method);
                    cells += 1;
                }
            }
            if row.path.contains("{id}") {
                for id in
                    ["x", "0", "me", "%00", "..%2f", "00000000-0000-0000-0000-000000000000", "%27%20or%201=1"]
                {
                    for path in row.paths(id) {
                        let answer = row.asked_by(&other, &path, &made(id)).await;
                        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{} {path}", row.method);
                    }
                }
            }
        }
        // Nor do the operations of one session take the challenges of another.
        world.advance(Duration::from_secs(600));
        let owner = {
            let mut owner = owner.clone();
            owner.signs_in().await;
            owner
        };
        world.advance(Duration::from_secs(600));
        let asked = owner.post("/api/v1/auth/step-up", json!({"operation": "user.delete"})).await;
        let asked = asked.expect(StatusCode::OK).body;
        world.run_due().await;
        let body = json!({"challenge": asked["id"], "code": world.last_code(&owner.mobile).await});
        for thief in [&other, &world.stranger()] {
            thief.post("/api/v1/auth/verify-code", body.clone()).await.problem(401, "code-gone");
        }
        owner.post("/api/v1/auth/verify-code", body).await.expect(StatusCode::OK);
    }
    assert!(cells > 100, "{cells}");
    let mut after = all().await;
    // The owner has signed in since, and was seen; what was there is there.
    for (before, after) in before.iter().zip(&mut after) {
        if before["items"].is_null() {
            assert_eq!(before, after);
        }
        for item in before["items"].as_array().into_iter().flatten() {
            let kept = after["items"].as_array().unwrap().iter().any(|one| one["id"] == item["id"]);
            assert!(kept, "{item} in {after}");
        }
    }
}

/// Every name that a record or the API knows, and some that people try.
fn names(document: &Json) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = vestibule::schema::tables()
        .into_iter()
        .flat_map(|table| table.columns.iter().map(|column| column.name.to_owned()))
        .collect();
    fn properties(json: &Json, names: &mut BTreeSet<String>) {
        match json {
            Json::Object(fields) => {
                for (name, value) in fields {
                    if name == "properties" {
                        names.extend(value.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
                    }
                    properties(value, names);
                }
            }
            Json::Array(items) => items.iter().for_each(|item| properties(item, names)),
            _ => {}
        }
    }
    properties(document, &mut names);
    let tried = [
        "revision",
        "role",
        "is_admin",
        "isAdmin",
        "admin",
        "superuser",
        "permissions",
        "groups",
        "userId",
        "owner",
        "owner_id",
        "account_id",
        "tenant_id",
        "email_verified",
        "emailVerified",
        "mobile_verified",
        "phone_verified",
        "is_verified",
        "is_active",
        "active",
        "deleted_at",
        "password_hash",
        "__proto__",
        "constructor",
        "ID",
        "Id",
        "Roles",
        "Password",
        "aal",
        "amr",
        "on_behalf_of",
        "actor",
    ];
    names.extend(tried.map(str::to_owned));
    names
}

/// Whether two pages are the same but for the challenge that each carries on in its forms.
fn shows_same(one: &Answer, other: &Answer) -> bool {
    let bare = |answer: &Answer| {
        let text = String::from_utf8(answer.bytes.clone()).unwrap();
        let mut parts = text.split("value=\"vc_");
        let first = parts.next().unwrap().to_owned();
        let rest = parts.map(|part| part.split_once('"').unwrap().1.to_owned());
        (answer.status, first, rest.collect::<Vec<_>>())
    };
    bare(one) == bare(other)
}

/// T-30, T-52, T-54: a field that a row does not name is refused by that name, and one that it names is known.
#[tokio::test]
async fn t30_t54_no_route_takes_a_field_that_its_row_does_not_name() {
    let world = plan().build().await;
    let admin = somebody(&world, &["admin"]).await;
    let document = world.stranger().get("/openapi.json").await.expect(StatusCode::OK).body;
    let names = names(&document);
    assert!(names.len() > 120, "{}", names.len());
    for kind in [Kind::Text, Kind::Bool] {
        assert!(
            vestibule::schema::tables().iter().any(|table| table.columns.iter().any(|one| one.kind == kind))
        );
    }
    let mut cells = 0;
    for row in TABLE {
        let path = row.paths(NOT_THERE).remove(0).replace("{user}", NOT_THERE);
        let known: BTreeSet<_> = match row.takes {
            Sent(known) | Form(known) | Query(known) => known.iter().map(|name| (*name).to_owned()).collect(),
            Nothing => continue,
        };
        for name in &names {
            let knows = known.contains(name);
            // In front of what is right and behind it; and with nothing in it, which is not an absent field.
            let bodies: Vec<String> = match row.takes {
                Sent(_) if knows => vec![json!({ name: [[]] }).to_string()],
                Sent(_) => {
                    let good = String::from_utf8(row.body(&admin, &made(NOT_THERE))).unwrap();
                    let rest = good.trim_start_matches('{').trim_end_matches('}');
                    let comma = if rest.is_empty() { "" } else { ", " };
                    vec![
                        format!(r#"{{"{name}": null{comma}{rest}}}"#),
                        format!(r#"{{{rest}{comma}"{name}": true}}"#),
                        json!({ name: NOT_THERE }).to_string(),
                    ]
                }
                Query(_) => vec![String::new()],
                Form(_) => vec![format!("{}&{name}=admin", row.good)],
                Nothing => Vec::new(),
            };
            for body in bodies {
                let path = match row.takes {
                    Query(_) => format!("{path}?{}=1", name.replace('$', "%24")),
                    _ => path.clone(),
                };
                let answer =
                    admin.send(row.method, &path, Some((row.kind(), body.clone().into_bytes()))).await;
                let shown =
                    format!("{} {path} {body}: {}", row.method, String::from_utf8_lossy(&answer.bytes));
                cells += 1;
                if let Form(_) = row.takes {
                    // Forms are read by name and by nothing else: what else is in them is as if it were not.
                    if !knows {
                        let without = row.asked_by(&admin, &path, &made(NOT_THERE)).await;
                        let same = if answer.body.is_null() {
                            shows_same(&answer, &without)
                        } else {
                            told(&answer) == told(&without)
                        };
                        assert!(same, "{shown}");
                    }
                    continue;
                }
                let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
                let unknown =
                    errors.iter().any(|one| one["field"] == json!(name) && one["code"] == "unknown");
                assert_eq!(unknown, !knows, "{shown}");
                assert!(knows || (answer.status == 422 && errors.len() == 1), "{shown}");
            }
        }
    }
    assert!(cells > 5_000, "{cells}");
    assert!(admin.is_signed_in().await);
}

/// Names under which something secret is kept, here or elsewhere.
const SECRET: &[&str] = &[
    "digest",
    "phc",
    "secret",
    "code",
    "codes",
    "body",
    "say",
    "callback",
    "callback_sealed",
    "last_step",
    "canonical",
    "owned",
    "password",
    "password_hash",
    "hash",
    "salt",
    "token",
    "recovery_token",
    "refresh_token",
    "access_token",
    "key",
    "uri",
    "device",
    "failures",
    "trusted_under",
    "request",
    "answer",
    "proofs",
];

/// Where an answer has such a name all the same: what is shown once, to whom it is for; or nothing secret.
#[rustfmt::skip]
const SHOWN: &[(&str, &str, &str)] = &[
    // The id of the request during which something happened.
    ("GET", "/events", "request"), ("GET", "/admin/audit", "request"),
    // A session in which somebody acts for a user.
    ("POST", "/admin/users/{id}/act", "token"), ("POST", "/organizations/{id}/members/{user}/act", "token"),
    // A session that has just been opened, and the device that it was opened on.
    ("POST", "/auth/login", "token"), ("POST", "/auth/login", "device"),
    ("POST", "/auth/verify-code", "token"), ("POST", "/auth/verify-code", "device"),
    ("PUT", "/users/me/password", "device"),
    ("POST", "/auth/login", "access_token"), ("POST", "/auth/login", "refresh_token"),
    ("POST", "/auth/verify-code", "access_token"), ("POST", "/auth/verify-code", "refresh_token"),
    ("POST", "/auth/refresh", "access_token"), ("POST", "/auth/refresh", "refresh_token"),
    ("POST", "~/login", "access_token"), ("POST", "~/login", "refresh_token"),
    ("POST", "~/verify-2fa", "access_token"), ("POST", "~/verify-2fa", "refresh_token"),
    // Shown once, when they are made.
    ("POST", "/auth/recover/verify", "recovery_token"),
    ("POST", "/factors/recovery-codes", "codes"),
    ("POST", "/factors/totp", "secret"), ("POST", "/factors/totp", "uri"),
    ("POST", "/admin/service-accounts/{id}/keys", "key"),
    // Which kinds of factor were shown, and when.
    ("POST", "/auth/authorize", "proofs"),
    // Of a failure.
    ("POST", "/auth/password-strength", "code"), ("POST", "/calls", "code"), ("GET", "/calls", "code"),
    ("GET", "/admin/calls", "code"), ("GET", "/admin/calls/{id}", "code"),
    ("GET", "/calls/{id}", "code"), ("GET", "/users/me/export", "code"), ("POST", "/calls/{id}/cancel", "code"),
];

/// The names of all fields that may be in what `schema` describes.
fn described(document: &Json, schema: &Json, seen: &mut BTreeSet<String>, names: &mut BTreeSet<String>) {
    match schema {
        Json::Object(fields) => {
            if let Some(target) = fields.get("$ref").and_then(Json::as_str)
                && seen.insert(target.to_owned())
            {
                let target = document.pointer(target.trim_start_matches('#')).unwrap();
                described(document, target, seen, names);
            }
            for (name, inner) in fields {
                if let ("properties", Some(properties)) = (name.as_str(), inner.as_object()) {
                    names.extend(properties.keys().cloned());
                    properties.values().for_each(|one| described(document, one, seen, names));
                } else if !matches!(name.as_str(), "examples" | "example" | "enum" | "required") {
                    described(document, inner, seen, names);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| described(document, item, seen, names)),
        _ => {}
    }
}

/// The names of all fields that are in `json`; what the application keeps is its own.
fn held(json: &Json, names: &mut BTreeSet<String>) {
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                names.insert(name.clone());
                if !matches!(name.as_str(), "metadata" | "detail" | "checks") {
                    held(value, names);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| held(item, names)),
        _ => {}
    }
}

/// What the answers of `row` may hold, by the document; nothing when it is not in there.
fn documented(document: &Json, row: &Row, status: u16) -> Option<BTreeSet<String>> {
    let path = row.path.trim_start_matches('~').to_owned();
    let path = if row.is_operation() { path } else { format!("{}{path}", MOUNTS[0]) };
    let route = document["paths"].get(path)?.get(row.method.to_lowercase())?;
    let answer = route["responses"].get(status.to_string())?;
    let mut names = BTreeSet::new();
    described(document, answer, &mut BTreeSet::new(), &mut names);
    Some(names)
}

/// T-54: no answer is described as holding a secret, but those that show one once.
#[tokio::test]
async fn t54_no_answer_has_a_field_for_a_secret_but_by_name() {
    let world = World::new().await;
    let document = world.stranger().get("/openapi.json").await.expect(StatusCode::OK).body;
    let mut found = BTreeSet::new();
    for row in TABLE {
        for status in [200, 201, 202] {
            for name in documented(&document, row, status).unwrap_or_default() {
                if SECRET.contains(&name.as_str()) {
                    found.insert((row.method, row.path, name));
                }
            }
        }
    }
    let shown: BTreeSet<_> =
        SHOWN.iter().map(|(method, path, name)| (*method, *path, (*name).to_owned())).collect();
    assert_eq!(found, shown);
}

/// Everything secret that the store holds, in every writing that an answer could have it in.
async fn stored(world: &World) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    use vestibule::store::{Entity, Query, Value};
    let mut secrets = Vec::new();
    let mut keep = |value: &Value| {
        if let Value::Bytes(bytes) = value
            && bytes.len() >= 8
        {
            let list = serde_json::to_string(bytes).unwrap();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            secrets.extend([list.trim_matches(['[', ']']).to_owned(), hex.to_uppercase(), hex]);
            secrets.extend([
                STANDARD.encode(bytes),
                STANDARD_NO_PAD.encode(bytes),
                URL_SAFE_NO_PAD.encode(bytes),
            ]);
        }
    };
    macro_rules! rows {
        ($($entity:ty, $index:expr);*) => {$(
            let rows = world.app.store.find(Query::<$entity>::along($index).limit(10_000)).await.unwrap().items;
            assert!(!rows.is_empty(), stringify!($entity));
            rows.iter().flat_map(|row| Entity::to_values(&**row)).for_each(|value| keep(&value));
        )*};
    }
    use vestibule::{
        calls::Call, challenges::Challenge, devices::Device, factors::Factor, messages::Message,
        sessions::Session, undo::Undo,
    };
    rows! {
        Challenge, Challenge::BY_USER; Factor, Factor::BY_USER; Message, Message::BY_USER;
        Session, Session::BY_USER; Device, Device::BY_USER; Call, Call::BY_USER; Undo, Undo::BY_USER
    }
    let factors = world.app.store.find(Query::<Factor>::along(Factor::BY_USER).limit(10_000)).await.unwrap();
    let codes: Vec<_> =
        factors.items.iter().flat_map(|factor| factor.codes.0.iter().flatten().cloned()).collect();
    assert_eq!(codes.len(), 10);
    secrets.extend(codes);
    let users = world.app.store.find(Query::<User>::along(User::BY_CREATED).limit(10_000)).await.unwrap();
    for user in users.items {
        let password = world.app.store.get::<vestibule::passwords::Password>(user.id).await.unwrap().unwrap();
        secrets.extend(password.phc.rsplit('$').take(2).map(str::to_owned));
        secrets.push(password.phc.clone());
    }
    secrets
}

/// T-54, T-66: whatever is asked, by whomever: no answer holds anything secret of what is stored, nor what was
/// shown or sent before, nor a field that the document does not list.
#[tokio::test]
async fn t54_t66_no_answer_of_any_route_holds_a_secret_or_a_field_that_is_not_documented() {
    let world = plan().build().await;
    let document = world.stranger().get("/openapi.json").await.expect(StatusCode::OK).body;
    let alice = crate::recovery::owner(&world).await;
    let admin = somebody(&world, &["admin"]).await;
    let app = alice.post("/api/v1/factors/totp", json!({})).await.expect(StatusCode::CREATED).body;
    let code = shows(app["secret"].as_str().unwrap(), world.app.clock.now().as_millis() / 30_000);
    let body = json!({"id": app["id"], "code": code});
    alice.post("/api/v1/factors/totp/confirm", body).await.expect(StatusCode::OK);
    let codes =
        alice.post("/api/v1/factors/recovery-codes", json!({})).await.expect(StatusCode::CREATED).body;
    make(&alice, Call).await;
    let change = json!({"email": "new@example.org"}).to_string().into_bytes();
    let change = alice.send("PATCH", "/api/v1/users/me", Some(("application/json", change))).await;
    let change = change.expect(StatusCode::OK).body;
    alice
        .post("/api/v1/auth/recover", json!({"identifier": alice.mobile}))
        .await
        .expect(StatusCode::ACCEPTED);
    let pending = alice.gives_password().await.expect(StatusCode::OK).body;
    let mut secrets = stored(&world).await;
    world.run_due().await;
    secrets.push(PASSWORD.to_owned());
    let plain = [
        &app["secret"],
        &change["verification"]["id"],
        &pending["challenge"]["id"],
        &json!(alice.token),
        &json!(admin.token),
    ];
    secrets.extend(plain.map(|secret| secret.as_str().unwrap().to_owned()));
    secrets.extend(codes["codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()));
    secrets.push(format!("\"{}\"", world.last_code("new@example.org").await));
    let mut looked = 0;
    for person in [&alice, &admin, &world.stranger()] {
        // What ends the session or the account comes last.
        let ends = |row: &&Row| row.method == "DELETE" || row.path.contains("password");
        for row in TABLE.iter().filter(|row| !ends(row)).chain(TABLE.iter().filter(ends)) {
            let thing = match row.of.filter(|_| person.token.is_some()) {
                Some(thing) if person.is_signed_in().await => make(person, thing).await,
                _ => made(NOT_THERE),
            };
            let path = row.paths(&thing.id).remove(0);
            let answer = row.asked_by(person, &path, &thing).await;
            let text = format!("{:?}\n{}", answer.headers, String::from_utf8_lossy(&answer.bytes));
            let shown = format!("{} {path}", row.method);
            for secret in &secrets {
                assert!(!text.contains(secret), "{shown} shows {secret}: {text}");
            }
            looked += 1;
            let mut names = BTreeSet::new();
            held(&answer.body, &mut names);
            if row.path == "/openapi.json" {
                continue;
            }
            let known = documented(&document, row, answer.status.as_u16());
            if let Some(known) = known.filter(|known| !known.is_empty()) {
                let strange: Vec<_> = names.difference(&known).collect();
                assert!(strange.is_empty(), "{shown}: {strange:?} is not in the document: {}", answer.body);
            }
        }
    }
    assert!(looked > 150, "{looked}");
}
