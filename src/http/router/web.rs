//! The pages: reading one changes nothing.

use super::super::access::Access::{Public, Staff};
use super::super::route::{Route, get, post};
use crate::policy::operation as op;
use crate::{console, pages};

/// The pages for people.
#[rustfmt::skip]
pub fn pages() -> Vec<Route> {
    vec![
        get("/", pages::sign_in::first).access(Public).hidden(),
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
        post("/account", pages::account::save).hidden(),
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
        get("/assets/{file}", pages::assets::serve).access(Public).hidden(),
        get("/invitation", pages::invitation::ask).access(Public).hidden(),
        post("/invitation", pages::invitation::join).access(Public).hidden(),
    ]
}

/// The console's pages.
#[rustfmt::skip]
pub fn console() -> Vec<Route> {
    vec![
        get("/console", console::overview::overview).access(Staff(op::ADMIN_READ)).hidden(),
        get("/console/messages", console::sent::messages).access(Staff(op::ADMIN_READ)).hidden(),
        get("/console/messages/{id}", console::sent::message).access(Staff(op::ADMIN_READ)).hidden(),
        get("/console/calls", console::sent::calls).access(Staff(op::ADMIN_READ)).hidden(),
        get("/console/calls/{id}", console::sent::call).access(Staff(op::ADMIN_READ)).hidden(),
        get("/console/events", console::happened::events).access(Staff(op::ADMIN_OPERATE)).hidden(),
        post("/console/events", console::happened::resend).access(Staff(op::ADMIN_OPERATE)).hidden(),
        get("/console/audit", console::happened::audit).access(Staff(op::ADMIN_AUDIT)).hidden(),
        get("/console/policy", console::house::policy).access(Staff(op::ADMIN_OPERATE)).hidden(),
        get("/console/limits", console::house::limits).access(Staff(op::ADMIN_OPERATE)).hidden(),
        get("/console/keys", console::house::keys).access(Staff(op::ADMIN_OPERATE)).hidden(),
        get("/console/data", console::tables::tables).access(Staff(op::ADMIN_DATA)).hidden(),
        get("/console/data/{table}", console::tables::rows).access(Staff(op::ADMIN_DATA)).hidden(),
    ]
}
