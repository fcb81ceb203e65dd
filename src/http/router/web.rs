//! The pages: reading one changes nothing.

use super::super::access::Access::{Public, Staff};
use super::super::route::{Route, get, post};
use crate::console::{organizations, people};
use crate::policy::operation as op;
use crate::{console, pages};

/// The pages for people.
#[rustfmt::skip]
pub fn pages() -> Vec<Route> {
    vec![
        get("/verify", pages::links::verify).access(Public).hidden(),
        post("/verify", pages::links::do_verify).access(Public).hidden(),
        get("/undo", pages::links::undo).access(Public).hidden(),
        post("/undo", pages::links::do_undo).access(Public).hidden(),
        get("/not-me", pages::links::not_me).access(Public).hidden(),
        post("/not-me", pages::links::do_not_me).access(Public).hidden(),
        get("/recover", pages::recovery::ask).access(Public).hidden(),
        post("/recover", pages::recovery::sent).access(Public).hidden(),
        post("/recover/verify", pages::recovery::proved).access(Public).hidden(),
        post("/recover/second", pages::recovery::second).access(Public).hidden(),
        get("/recover/password", pages::recovery::welcome).access(Public).hidden(),
        post("/recover/password", pages::recovery::set).access(Public).hidden(),
        get("/sign-in", pages::sign_in::ask).access(Public).hidden(),
        post("/sign-in", pages::sign_in::sent).access(Public).hidden(),
        get("/sign-up", pages::sign_up::ask).access(Public).hidden(),
        post("/sign-up", pages::sign_up::sent).access(Public).hidden(),
        get("/code", pages::code::ask).access(Public).hidden(),
        post("/code", pages::code::sent).access(Public).hidden(),
        post("/code/resend", pages::code::once_more).access(Public).hidden(),
        get("/sign-out", pages::sign_in::ask_out).access(Public).hidden(),
        post("/sign-out", pages::sign_in::out).access(Public).hidden(),
        get("/step-up", pages::step_up::ask).hidden(),
        post("/step-up", pages::step_up::sent).hidden(),
        get("/account", pages::account::profile).hidden(),
        post("/account", pages::account::save).acting().hidden(),
        get("/account/change/{kind}", pages::account::ask_change).hidden(),
        post("/account/change/{kind}", pages::account::change).hidden(),
        post("/account/verify", pages::account::verify).hidden(),
        get("/account/devices", pages::account::devices).hidden(),
        post("/account/sessions", pages::account::end_sessions).hidden(),
        get("/account/activity", pages::account::activity).hidden(),
        get("/account/data", pages::account::data).hidden(),
        get("/account/export", pages::account::ask_export).hidden(),
        post("/account/export", pages::account::export_all).hidden(),
        get("/account/delete", pages::account::ask_delete).hidden(),
        post("/account/delete", pages::account::delete).hidden(),
        get("/account/security", pages::security::security).hidden(),
        get("/account/password", pages::security::ask_password).hidden(),
        post("/account/password", pages::security::set_password).hidden(),
        get("/account/factors/add/{kind}", pages::security::ask_add).hidden(),
        post("/account/factors/add/{kind}", pages::security::add).hidden(),
        get("/account/factors/{id}/remove", pages::security::ask_remove).hidden(),
        post("/account/factors/{id}/remove", pages::security::remove).hidden(),
        get("/account/totp", pages::security::ask_totp).hidden(),
        post("/account/totp", pages::security::totp).hidden(),
        get("/account/recovery-codes", pages::security::ask_codes).hidden(),
        post("/account/recovery-codes", pages::security::codes).hidden(),
        get("/acting", pages::acting::ask).access(Public).hidden(),
        post("/acting", pages::acting::stop).access(Public).hidden(),
        get("/account/organizations", pages::organizations::list).hidden(),
        post("/account/organizations", pages::organizations::found).hidden(),
        get("/account/organizations/{id}", pages::organizations::show).hidden(),
        post("/account/organizations/{id}", pages::organizations::change).hidden(),
        get("/account/organizations/{id}/members/{user}/act", pages::organizations::ask_act).hidden(),
        post("/account/organizations/{id}/members/{user}/act", pages::organizations::act).hidden(),
        get("/assets/{file}", pages::assets::serve).access(Public).hidden(),
        get("/invitation", pages::invitation::ask).access(Public).hidden(),
        post("/invitation", pages::invitation::join).access(Public).hidden(),
    ]
}

/// The console's pages.
#[rustfmt::skip]
pub fn console() -> Vec<Route> {
    vec![
        get("/console/users", people::list).access(Staff(op::ADMIN_READ)).hidden(),
        get("/console/users/new", people::ask_new).access(Staff(op::ADMIN_USERS_CREATE)).hidden(),
        post("/console/users/new", people::make).access(Staff(op::ADMIN_USERS_CREATE)).hidden(),
        get("/console/users/{id}", people::show).access(Staff(op::ADMIN_READ)).hidden(),
        get("/console/users/{id}/act", people::ask).access(Staff(op::ADMIN_USERS_ACT)).hidden(),
        post("/console/users/{id}/act", people::act).access(Staff(op::ADMIN_USERS_ACT)).hidden(),
        get("/console/users/{id}/profile", people::ask).access(Staff(op::ADMIN_USERS_CHANGE)).hidden(),
        post("/console/users/{id}/profile", people::done).access(Staff(op::ADMIN_USERS_CHANGE)).hidden(),
        get("/console/users/{id}/roles", people::ask).access(Staff(op::ADMIN_USERS_ROLES)).hidden(),
        post("/console/users/{id}/roles", people::done).access(Staff(op::ADMIN_USERS_ROLES)).hidden(),
        get("/console/users/{id}/end-sessions", people::ask).access(Staff(op::ADMIN_USERS_END_SESSIONS)).hidden(),
        post("/console/users/{id}/end-sessions", people::done).access(Staff(op::ADMIN_USERS_END_SESSIONS)).hidden(),
        get("/console/users/{id}/reset-factors", people::ask).access(Staff(op::ADMIN_USERS_RESET_FACTORS)).hidden(),
        post("/console/users/{id}/reset-factors", people::done).access(Staff(op::ADMIN_USERS_RESET_FACTORS)).hidden(),
        get("/console/users/{id}/suspend", people::ask).access(Staff(op::ADMIN_USERS_SUSPEND)).hidden(),
        post("/console/users/{id}/suspend", people::done).access(Staff(op::ADMIN_USERS_SUSPEND)).hidden(),
        get("/console/users/{id}/restore", people::ask).access(Staff(op::ADMIN_USERS_SUSPEND)).hidden(),
        post("/console/users/{id}/restore", people::done).access(Staff(op::ADMIN_USERS_SUSPEND)).hidden(),
        get("/console/users/{id}/delete", people::ask).access(Staff(op::ADMIN_USERS_DELETE)).hidden(),
        post("/console/users/{id}/delete", people::done).access(Staff(op::ADMIN_USERS_DELETE)).hidden(),
        get("/console/organizations", organizations::list).access(Staff(op::ADMIN_READ)).hidden(),
        post("/console/organizations", organizations::found).access(Staff(op::ADMIN_ORGANIZATIONS)).hidden(),
        get("/console/organizations/{id}", organizations::show).access(Staff(op::ADMIN_READ)).hidden(),
        post("/console/organizations/{id}", organizations::change).access(Staff(op::ADMIN_ORGANIZATIONS)).hidden(),
        get("/console/keys", console::house::keys).access(Staff(op::ADMIN_OPERATE)).hidden(),
    ]
}
