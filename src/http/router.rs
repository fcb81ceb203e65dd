//! The whole URL map, one line a route. A line that does not say `Public` is closed.

mod web;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use http::Method;

use super::access::Access::{self, Admin, Public, Staff, Webhook};
use super::entrance::Entrance;
use super::layers::{self, Door};
use super::listing::{List, Listing};
use super::route::{Route, Undocumented, delete, get, patch, post, put};
use super::{aliases, docs, health, openapi};
use crate::administration::api::{users as managed, views};
use crate::app::App;
use crate::config::Figures;
use crate::devices::DeviceView;
use crate::error::Problem;
use crate::factors::FactorView;
use crate::limits::{CHANGES, Limit};
use crate::organizations::api::{act as mine_act, managed as theirs, mine};
use crate::policy::operation as op;
use crate::service_accounts::Scope;
use crate::sessions::SessionView;
use crate::{
    accounts, acting, administration, calls, challenges, clients, dev, devices, enrolment, events, keys,
    messages, new_password, organizations, passwords, profile, recovery, revocations, service_accounts,
    sessions, sign_in, sign_up, step_up, undo,
};

/// Where the API answers: the version by name, and the newest version without one.
const MOUNTS: [&str; 2] = ["/api/v1", "/api"];

/// What a message on behalf of somebody who has shown a password is counted by.
const SEND: &[Limit] = &[Limit::SendNumberShort, Limit::SendNumberDay, Limit::SendAddress];
/// What a message on behalf of anybody is counted by.
const STRANGERS_SEND: &[Limit] = &[
    Limit::SendStrangerShort,
    Limit::SendStrangerDay,
    Limit::SendNumberShort,
    Limit::SendNumberDay,
    Limit::SendAddress,
    Limit::SendBlock,
    Limit::SendCountry,
    Limit::UnprovenBlock,
    Limit::UnprovenCountry,
];
/// What a notice is counted by that its operation waits for.
const NOTICE: &[Limit] = &[Limit::SendNotice, Limit::SendNumberShort, Limit::SendNumberDay];
/// What a call is counted by.
const CALL: &[Limit] = &[
    Limit::CallAddress,
    Limit::CallUser,
    Limit::CallNumber,
    Limit::SendNumberShort,
    Limit::SendNumberDay,
    Limit::SendOthersShort,
    Limit::SendOthersDay,
    Limit::SendStrangerDay,
];
/// How what is sent may be refused.
const UNPAID: [Problem; 3] = [Problem::MessagesPaused, Problem::NumberNotServed, Problem::NotCarried];
/// What a password is counted by.
const SIGN_IN: &[Limit] =
    &[Limit::SignInIdentifier, Limit::SignInDevice, Limit::SignInDeviceDay, Limit::SignInAddress];

/// Where the figures are, when they are shown.
const METRICS: &str = "/metrics";
/// How what is done to somebody may be refused who may be the last administrator.
const STAFFS: &[Problem] = &[Problem::NotAllowed, Problem::LastAdministrator];
/// How what belongs to an organisation may be refused.
const OF_OTHERS: &[Problem] = &[Problem::NotFound, Problem::NotAllowed];
/// How an operation may be refused that asks for a proof.
const STEP_UP: [Problem; 3] = [Problem::StepUpRequired, Problem::FactorMissing, Problem::OperationNever];

/// The API.
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    vec![
        // signing up and in
        post("/users", sign_up::api::create).access(Public).about("Sign up")
            .takes::<sign_up::api::NewUser>().answers::<sign_up::actions::SignedUp>(201, "The account, and what is asked to verify its mobile number")
            .may(&[Problem::SignUpClosed, Problem::IdentifierTaken, Problem::IdempotencyKeyReused])
            .may(&[Problem::CodeGone]).counted(&[Limit::SignUpAddress, Limit::CodeTryAddress]).counted(STRANGERS_SEND).may(&UNPAID),
        post("/users/register", aliases::register).access(Public).about("Sign up; the answer is an empty 204")
            .takes::<sign_up::api::NewUser>().answers_nothing(204, "The account is there; the user signs in next")
            .may(&[Problem::SignUpClosed, Problem::IdentifierTaken, Problem::IdempotencyKeyReused])
            .may(&[Problem::CodeGone]).counted(&[Limit::SignUpAddress, Limit::CodeTryAddress]).counted(STRANGERS_SEND).may(&UNPAID),
        post("/auth/login", sign_in::api::login).access(Public).about("Sign in with a password")
            .takes::<sign_in::api::Login>().answers::<sign_in::api::SignIn>(200, "Signed in, or what is asked for as a second factor")
            .may(&[Problem::CredentialsWrong, Problem::FactorMissing, Problem::FactorLocked])
            .counted(SIGN_IN).counted(SEND).may(&UNPAID),
        post("/auth/verify-code", challenges::api::verify_code).access(Public).recognises().about("Answer a challenge with its code")
            .takes::<challenges::api::VerifyCode>().answers::<challenges::api::VerifiedView>(200, "Signed in, or verified")
            .may(&[Problem::CodeWrong, Problem::CodeGone, Problem::FactorLocked, Problem::IdentifierTaken, Problem::Unauthenticated])
            .counted(&[Limit::CodeTryAddress, Limit::CodeTryDevice]).counted(STRANGERS_SEND).counted(NOTICE).may(&UNPAID),
        post("/auth/resend-code", challenges::api::resend_code).access(Public).recognises().about("Send the code of a challenge again")
            .takes::<challenges::api::ResendCode>().answers::<challenges::ChallengeView>(200, "The challenge; the same code, or a new one when another factor is asked for")
            .may(&[Problem::CodeGone, Problem::FactorMissing, Problem::FactorLocked, Problem::Unauthenticated])
            .counted(&[Limit::CodeTryAddress, Limit::CodeTryDevice]).counted(STRANGERS_SEND).may(&UNPAID),
        post("/auth/password-strength", passwords::api::strength).access(Public).about("Whether a password would be accepted, and how strong it is")
            .takes::<passwords::api::AskStrength>().answers::<passwords::api::PasswordStrength>(200, "The judgement, and what would make it better")
            .counted(&[Limit::PasswordStrengthAddress]),
        post("/auth/recover", recovery::api::recover).access(Public).about("Ask for a code to get back into an account")
            .takes::<recovery::api::Recover>().answers::<recovery::api::RecoveryAsked>(202, "The same whether or not there is such an account")
            .may(&[Problem::NotCarried])
            .counted(&[Limit::RecoverAddress, Limit::RecoverIdentifier, Limit::RecoverDevice, Limit::SendRecovery, Limit::SendRecoveryKnown]),
        post("/auth/recover/verify", recovery::api::verify).access(Public).about("Answer a recovery with its code")
            .takes::<recovery::api::VerifyRecovery>().answers::<recovery::api::RecoveryProved>(200, "The right to set a new password, and the second factor to show before")
            .may(&[Problem::CodeWrong, Problem::CodeGone, Problem::FactorMissing, Problem::FactorLocked])
            .counted(&[Limit::CodeTryAddress, Limit::CodeTryDevice]).counted(SEND).may(&UNPAID),
        post("/auth/logout", sessions::api::logout).access(Public).recognises().about("Sign out")
            .may_take::<sessions::api::Logout>().answers_nothing(204, "Signed out, also when there was nothing left to end"),
        get("/auth/authenticated", sessions::api::authenticated).access(Public).recognises().about("Whether the credential is valid")
            .answers::<sessions::api::AuthenticatedView>(200, "Whose it is, or that it is nobody's"),
        post("/auth/refresh", sessions::api::refresh).access(Public).about("Renew an access token")
            .takes::<sessions::api::Refresh>().answers::<sessions::Tokens>(200, "A new access token and the next refresh token")
            .may(&[Problem::RefreshRefused]).counted(&[Limit::RefreshAddress]),
        post("/auth/step-up", step_up::api::step_up).about("Begin to show what an operation asks for")
            .takes::<step_up::api::StepUp>().answers::<step_up::api::StepUpView>(200, "What is asked, or that nothing more is")
            .may(&[Problem::CredentialsWrong, Problem::StepUpRequired, Problem::FactorMissing, Problem::FactorLocked, Problem::OperationNever])
            .counted(&[Limit::SignInDevice, Limit::SignInDeviceDay]).counted(SEND).may(&UNPAID),
        post("/auth/authorize", step_up::api::authorize).acting().asks().about("Whether an operation may be done now")
            .takes::<step_up::api::Authorize>().answers::<step_up::api::Authorized>(200, "It may")
            .may(&[Problem::StepUpRequired, Problem::FactorMissing, Problem::OperationNever]),
        post("/auth/undo", undo::api::undo).access(Public).about("Undo a change with the token of its notice")
            .takes::<undo::api::TakeBack>().answers::<undo::api::Undone>(200, "It is undone, and every session has ended")
            .may(&[Problem::CodeGone, Problem::IdentifierTaken]).counted(&[Limit::CodeTryAddress]),
        // one's own account
        get("/users/me", profile::api::me).about("One's own account").answers::<accounts::Account>(200, "The account"),
        patch("/users/me", profile::api::change).acting().about("Change one's account")
            .takes::<profile::api::Change>().answers::<profile::api::ChangedView>(200, "The account, and what is asked at a new address or number")
            .may(&[Problem::ImmutableField, Problem::IdentifierTaken, Problem::StepUpRequired, Problem::FactorMissing])
            .counted(STRANGERS_SEND).counted(NOTICE).may(&UNPAID),
        post("/users/me/verify", profile::api::verify).about("Send a code to one's own address or number that is not verified yet")
            .takes::<profile::api::Verify>().answers::<challenges::ChallengeView>(200, "What is asked")
            .may(&[Problem::NotFound, Problem::FactorLocked]).counted(STRANGERS_SEND).may(&UNPAID),
        delete("/users/me", profile::api::delete).about("Delete one's account")
            .answers_nothing(204, "It is deleted, and every session has ended")
            .may(&STEP_UP).may(&[Problem::LastAdministrator]).counted(NOTICE),
        get("/users/me/export", profile::api::export).about("Everything that is held about oneself")
            .answers::<profile::api::Export>(200, "One document")
            .may(&STEP_UP).may(&[Problem::ActingNever]).counted(&[Limit::ExportUser]).counted(NOTICE),
        get("/activity", profile::api::activity).about("What happened in one's account, newest first")
            .searches::<Listing>().answers::<List<profile::api::EventView>>(200, "A page of events"),
        get("/factors", enrolment::api::list).about("One's own factors")
            .answers::<enrolment::api::Factors>(200, "All of them"),
        post("/factors", enrolment::api::add).about("Make a second factor of one's verified number or address")
            .takes::<enrolment::api::NewFactor>().answers::<FactorView>(200, "It is bound")
            .may(&STEP_UP),
        post("/factors/totp", enrolment::api::begin_totp).about("Begin to bind an authenticator app")
            .may_take::<enrolment::api::NewTotp>().answers::<enrolment::actions::Begun>(201, "Its key, shown once; it is bound when it is confirmed")
            .may(&STEP_UP),
        post("/factors/totp/confirm", enrolment::api::confirm_totp).about("Bind an authenticator app by a code that it shows")
            .takes::<enrolment::api::ConfirmTotp>().answers::<FactorView>(200, "It is bound")
            .may(&STEP_UP).may(&[Problem::CodeWrong, Problem::NotFound]).counted(&[Limit::CodeTryAddress]).counted(NOTICE),
        post("/factors/recovery-codes", enrolment::api::make_codes).about("Make ten recovery codes, which end those before")
            .answers::<enrolment::actions::Codes>(201, "The codes, shown once")
            .may(&STEP_UP).may(&[Problem::FactorRequired]).counted(&[Limit::SignInDevice, Limit::SignInDeviceDay]).counted(NOTICE),
        patch("/factors/{id}", enrolment::api::rename).about("Give a factor another name")
            .takes::<enrolment::api::Rename>().answers::<FactorView>(200, "The factor")
            .may(&STEP_UP).may(&[Problem::NotFound]),
        delete("/factors/{id}", enrolment::api::remove).about("Take a factor away")
            .answers_nothing(204, "It is gone").may(&STEP_UP).may(&[Problem::NotFound, Problem::FactorRequired]),
        put("/users/me/password", new_password::api::set).access(Public).recognises().about("Set a new password, signed in or by right of a recovery")
            .takes::<new_password::api::SetPassword>().answers_nothing(204, "It is set; every other session has ended")
            .answers::<new_password::api::DeviceMade>(200, "The same, where a program recovered on a device that was not known")
            .may(&[Problem::Unauthenticated, Problem::CredentialsWrong, Problem::CodeGone]).may(&STEP_UP).may(&[Problem::ActingNever])
            .counted(&[Limit::SignInDevice, Limit::SignInDeviceDay, Limit::CodeTryAddress, Limit::CodeTryDevice]).counted(&CHANGES).counted(NOTICE),
        get("/sessions", sessions::api::list).about("One's own sessions, newest first")
            .searches::<Listing>().answers::<List<SessionView>>(200, "A page of sessions"),
        delete("/sessions/{id}", sessions::api::end).about("End one of one's own sessions")
            .answers_nothing(204, "It has ended").may(&[Problem::NotFound]),
        get("/devices", devices::api::list).about("Where one has signed in, newest first")
            .searches::<Listing>().answers::<List<DeviceView>>(200, "A page of devices"),
        delete("/devices/{id}", devices::api::forget).about("Forget a device, and that it was trusted")
            .answers_nothing(204, "It is known no more").may(&[Problem::NotFound]),
        // administration
        get("/admin/policy", administration::api::policy).access(Staff(op::ADMIN_OPERATE)).about("The policy in force")
            .answers::<administration::api::PolicyView>(200, "What each operation asks for"),
        post("/admin/policy/simulate", administration::api::simulate).access(Staff(op::ADMIN_OPERATE)).about("What would become of an operation, and why")
            .takes::<administration::api::Simulate>().answers::<administration::api::Simulated>(200, "The verdict, with its reasons")
            .may(&[Problem::NotFound]),
        get("/admin/service-accounts", service_accounts::api::list).access(Admin).about("Service accounts, the oldest first")
            .searches::<Listing>().answers::<List<service_accounts::api::AccountView>>(200, "A page of them"),
        post("/admin/service-accounts", service_accounts::api::create).access(Admin).about("Make a service account")
            .takes::<service_accounts::api::NewAccount>().answers::<service_accounts::api::AccountView>(201, "It has no key yet").may(&STEP_UP),
        delete("/admin/service-accounts/{id}", service_accounts::api::remove).access(Admin).about("Remove a service account, with all its keys")
            .answers_nothing(204, "It is gone, and its keys are refused").may(&STEP_UP).may(&[Problem::NotFound]),
        get("/admin/service-accounts/{id}/keys", service_accounts::api::keys).access(Admin).about("The API keys of a service account")
            .answers::<service_accounts::api::Keys>(200, "All of them").may(&[Problem::NotFound]),
        post("/admin/service-accounts/{id}/keys", service_accounts::api::issue).access(Admin).about("Make an API key")
            .takes::<service_accounts::api::NewKey>().answers::<service_accounts::api::IssuedView>(201, "The key, shown once").may(&STEP_UP).may(&[Problem::NotFound]),
        delete("/admin/api-keys/{id}", service_accounts::api::revoke).access(Admin).about("Revoke an API key")
            .answers_nothing(204, "It is refused from now on").may(&STEP_UP).may(&[Problem::NotFound]),
        get("/admin/users", managed::find).access(Staff(op::ADMIN_READ)).about("Find users, by how an identifier of theirs begins, or the newest first")
            .searches::<managed::Find>().answers::<List<administration::users::ManagedUser>>(200, "A page of users"),
        post("/admin/users", managed::create).access(Staff(op::ADMIN_USERS_CREATE)).about("Make an account; its owner is sent a link to set a password")
            .takes::<managed::Make>().answers::<administration::users::ManagedUser>(201, "The account").may(&[Problem::IdentifierTaken]).counted(NOTICE).may(&UNPAID),
        post("/admin/users/{id}/link", managed::link).access(Staff(op::ADMIN_USERS_CREATE)).about("Send whoever has no password yet a new link to set one")
            .answers_nothing(204, "It is sent; those before count no more").may(&[Problem::NotAllowed]).counted(NOTICE).may(&UNPAID),
        get("/admin/users/{id}", managed::get).access(Staff(op::ADMIN_READ)).about("One user, with identifiers and factors")
            .answers::<administration::users::ManagedAccount>(200, "The account"),
        patch("/admin/users/{id}", managed::change).access(Staff(op::ADMIN_USERS_CHANGE)).about("Change what somebody is called, their language or metadata")
            .takes::<managed::Change>().answers::<administration::users::ManagedAccount>(200, "The account").may(&[Problem::NotAllowed]),
        delete("/admin/users/{id}", managed::delete).access(Staff(op::ADMIN_USERS_DELETE)).about("Delete an account; it can be restored for a while")
            .answers_nothing(204, "It is deleted, and every session has ended").may(STAFFS),
        put("/admin/users/{id}/roles", managed::set_roles).access(Staff(op::ADMIN_USERS_ROLES)).about("Set what somebody may do beyond their own account")
            .takes::<managed::SetRoles>().answers_nothing(204, "They have these roles, and their sessions have ended").may(STAFFS),
        post("/admin/users/{id}/suspend", managed::suspend).access(Staff(op::ADMIN_USERS_SUSPEND)).about("Suspend somebody, until an instant or until they are restored")
            .takes::<managed::Suspend>().answers_nothing(204, "Every credential of theirs is dead").may(STAFFS),
        post("/admin/users/{id}/restore", managed::restore).access(Staff(op::ADMIN_USERS_SUSPEND)).about("Let somebody in again who was suspended or deleted")
            .answers_nothing(204, "They can sign in").may(&[Problem::NotAllowed]),
        post("/admin/users/{id}/end-sessions", managed::end_sessions).access(Staff(op::ADMIN_USERS_END_SESSIONS)).about("Sign somebody out everywhere")
            .answers_nothing(204, "Every session of theirs has ended").may(&[Problem::NotAllowed]),
        post("/admin/users/{id}/reset-factors", managed::reset_factors).access(Staff(op::ADMIN_USERS_RESET_FACTORS)).about("Take authenticator apps and recovery codes away and unlock the rest; never the password")
            .answers::<managed::Reset>(200, "How many were taken away").may(&[Problem::NotAllowed]),
        post("/admin/users/{id}/act", managed::act).access(Staff(op::ADMIN_USERS_ACT)).about("Act for somebody for some minutes, read-only unless asked otherwise")
            .takes::<acting::Ask>().answers::<acting::ActingFor>(201, "A session of the user's that says who acts").may(&[Problem::NotAllowed]).counted(NOTICE).may(&UNPAID),
        get("/admin/users/{id}/sessions", managed::list_sessions).access(Staff(op::ADMIN_READ)).about("Somebody's sessions, newest first")
            .searches::<Listing>().answers::<List<SessionView>>(200, "A page of sessions"),
        get("/admin/users/{id}/devices", managed::list_devices).access(Staff(op::ADMIN_READ)).about("Where somebody has signed in, newest first")
            .searches::<Listing>().answers::<List<DeviceView>>(200, "A page of devices"),
        get("/admin/messages", views::messages).access(Staff(op::ADMIN_READ)).about("Messages with every attempt, newest first; never their text")
            .searches::<views::OfUser>().answers::<List<views::ManagedMessage>>(200, "A page of messages"),
        get("/admin/messages/{id}", views::message).access(Staff(op::ADMIN_READ)).about("One message with every attempt; never its text")
            .answers::<views::ManagedMessage>(200, "The message"),
        get("/admin/calls", views::calls).access(Staff(op::ADMIN_READ)).about("Calls with their history, newest first; never what is said")
            .searches::<views::OfUser>().answers::<List<views::ManagedCall>>(200, "A page of calls"),
        get("/admin/calls/{id}", views::call).access(Staff(op::ADMIN_READ)).about("One call with its history; never what is said")
            .answers::<views::ManagedCall>(200, "The call"),
        get("/admin/audit", views::audit).access(Staff(op::ADMIN_AUDIT)).about("What happened, newest first, by user, actor, kind and time")
            .searches::<views::Audit>().answers::<List<events::EventView>>(200, "A page of events"),
        get("/admin/audit/chain", views::chain).access(Staff(op::ADMIN_AUDIT)).about("How far the chain over what happened reaches")
            .answers::<views::ChainView>(200, "Its length, and what waits for its seal"),
        get("/admin/overview", views::overview).access(Staff(op::ADMIN_READ)).about("What happened by hour or by day")
            .searches::<views::Since>().answers::<administration::overview::Overview>(200, "The counts"),
        get("/admin/limits", views::limits).access(Staff(op::ADMIN_OPERATE)).about("Every limit, and how often it refused")
            .answers::<views::All<administration::overview::LimitView>>(200, "All of them"),
        get("/admin/queues", views::queues).access(Staff(op::ADMIN_OPERATE)).about("What waits to be done")
            .answers::<views::All<administration::overview::QueueView>>(200, "All of them"),
        get("/admin/keys", views::keys).access(Staff(op::ADMIN_OPERATE)).about("The keys by name; never what is secret of them")
            .answers::<views::KeysView>(200, "All of them"),
        get("/admin/data", views::tables).access(Staff(op::ADMIN_DATA)).about("The tables and their columns")
            .answers::<views::All<administration::data::TableView>>(200, "All of them"),
        get("/admin/data/{table}", views::rows).access(Staff(op::ADMIN_DATA)).about("Rows of a table as they are, without what is secret")
            .searches::<views::Rows>().answers::<List<views::RowView>>(200, "A page of rows"),
        // organisations
        get("/organizations", organizations::api::own).about("One's own organisations, newest first")
            .searches::<Listing>().answers::<List<organizations::OrganizationView>>(200, "A page of organisations"),
        post("/organizations", organizations::api::found).about("Found an organisation")
            .takes::<organizations::api::Called>().answers::<organizations::OrganizationView>(201, "The organisation; one owns it")
            .may(&STEP_UP).counted(&[Limit::OrganizationUser]),
        post("/organizations/accept", organizations::api::accept).about("Accept an invitation with its code, by whoever has the address that it went to")
            .takes::<organizations::api::Accept>().answers::<organizations::OrganizationView>(200, "The organisation that one has joined")
            .may(&[Problem::CodeGone, Problem::NotAllowed]).counted(&[Limit::CodeTryAddress]),
        get("/organizations/{id}", mine::get).about("One of one's own organisations")
            .answers::<organizations::OrganizationView>(200, "The organisation").may(&[Problem::NotFound]),
        patch("/organizations/{id}", mine::rename).about("Give an organisation that one owns another name")
            .takes::<organizations::api::Called>().answers::<organizations::OrganizationView>(200, "The organisation").may(&STEP_UP).may(OF_OTHERS),
        delete("/organizations/{id}", mine::end).about("End an organisation that one owns")
            .answers_nothing(204, "It is gone, and the memberships with it").may(&STEP_UP).may(OF_OTHERS),
        get("/organizations/{id}/members", mine::members).about("Its members, newest first")
            .searches::<Listing>().answers::<List<organizations::MemberView>>(200, "A page of members").may(&[Problem::NotFound]),
        put("/organizations/{id}/members/{user}", mine::set_role).about("Give a member another role")
            .takes::<organizations::api::SetRole>().answers_nothing(204, "They have it").may(&STEP_UP).may(OF_OTHERS).may(STAFFS),
        delete("/organizations/{id}/members/{user}", mine::remove_member).about("Take a member out, or leave")
            .answers_nothing(204, "They are no member any more").may(&STEP_UP).may(OF_OTHERS).may(STAFFS),
        post("/organizations/{id}/members/{user}/act", mine_act).about("Act for a member, where the policy lets administrators of organisations do that")
            .takes::<acting::Ask>().answers::<acting::ActingFor>(201, "A session of the user's that says who acts")
            .may(&STEP_UP).may(OF_OTHERS).counted(NOTICE).may(&UNPAID),
        get("/organizations/{id}/invitations", mine::invitations).about("Invitations that were not accepted yet, newest first")
            .searches::<Listing>().answers::<List<organizations::InvitationView>>(200, "A page of invitations").may(OF_OTHERS),
        post("/organizations/{id}/invitations", mine::invite).about("Ask somebody to join, by mail")
            .takes::<organizations::api::Invite>().answers::<organizations::InvitationView>(201, "The invitation; its code is in the mail alone")
            .may(&STEP_UP).may(OF_OTHERS).counted(&[Limit::InvitationUser]).counted(NOTICE).may(&UNPAID),
        delete("/organizations/{id}/invitations/{invitation}", mine::uninvite).about("Withdraw an invitation")
            .answers_nothing(204, "It is no longer valid").may(&STEP_UP).may(OF_OTHERS),
        get("/admin/organizations", organizations::api::all).access(Staff(op::ADMIN_READ)).about("Every organisation, newest first")
            .searches::<Listing>().answers::<List<organizations::OrganizationView>>(200, "A page of organisations"),
        post("/admin/organizations", organizations::api::found_for).access(Staff(op::ADMIN_ORGANIZATIONS)).about("Found an organisation for somebody")
            .takes::<organizations::api::Found>().answers::<organizations::OrganizationView>(201, "The organisation"),
        get("/admin/organizations/{id}", theirs::get).access(Staff(op::ADMIN_READ)).about("One organisation")
            .answers::<organizations::OrganizationView>(200, "The organisation"),
        patch("/admin/organizations/{id}", theirs::rename).access(Staff(op::ADMIN_ORGANIZATIONS)).about("Give an organisation another name")
            .takes::<organizations::api::Called>().answers::<organizations::OrganizationView>(200, "The organisation"),
        delete("/admin/organizations/{id}", theirs::end).access(Staff(op::ADMIN_ORGANIZATIONS)).about("End an organisation")
            .answers_nothing(204, "It is gone, and the memberships with it"),
        get("/admin/organizations/{id}/members", theirs::members).access(Staff(op::ADMIN_READ)).about("Its members, newest first")
            .searches::<Listing>().answers::<List<organizations::MemberView>>(200, "A page of members"),
        put("/admin/organizations/{id}/members/{user}", theirs::set_role).access(Staff(op::ADMIN_ORGANIZATIONS)).about("Give a member another role")
            .takes::<organizations::api::SetRole>().answers_nothing(204, "They have it").may(STAFFS),
        delete("/admin/organizations/{id}/members/{user}", theirs::remove_member).access(Staff(op::ADMIN_ORGANIZATIONS)).about("Take a member out")
            .answers_nothing(204, "They are no member any more").may(STAFFS),
        get("/admin/organizations/{id}/invitations", theirs::invitations).access(Staff(op::ADMIN_READ)).about("Invitations that were not accepted yet, newest first")
            .searches::<Listing>().answers::<List<organizations::InvitationView>>(200, "A page of invitations"),
        post("/admin/organizations/{id}/invitations", theirs::invite).access(Staff(op::ADMIN_ORGANIZATIONS)).about("Ask somebody to join, by mail")
            .takes::<organizations::api::Invite>().answers::<organizations::InvitationView>(201, "The invitation; its code is in the mail alone")
            .counted(&[Limit::InvitationUser]).counted(NOTICE).may(&UNPAID),
        delete("/admin/organizations/{id}/invitations/{invitation}", theirs::uninvite).access(Staff(op::ADMIN_ORGANIZATIONS)).about("Withdraw an invitation")
            .answers_nothing(204, "It is no longer valid"),
        // events
        get("/events", events::api::feed).access(Staff(op::ADMIN_AUDIT)).about("What happened, in the order in which it was sealed")
            .searches::<events::api::Feed>().answers::<events::api::Events>(200, "Events after the one named").may(&[Problem::NotFound])
            .admits(Scope::EventsRead),
        get("/revocations", revocations::api::follow).access(Access::Client).about("Which sessions have ended, for services that check access tokens offline")
            .searches::<revocations::api::Follow>().answers_in(200, revocations::api::JOSE, "A signed batch; a stream of them for whoever accepts `text/event-stream`")
            .may(&[Problem::Busy, Problem::MalformedRequest]).admits(Scope::RevocationsRead),
        get("/admin/events/dead", events::api::dead).access(Staff(op::ADMIN_OPERATE)).about("Events of which the application could not be told")
            .searches::<crate::http::listing::Listing>().answers::<List<events::api::DeadView>>(200, "A page of them"),
        post("/admin/events/{id}/resend", events::api::resend).access(Staff(op::ADMIN_OPERATE)).about("Tell the application of an event again")
            .answers_nothing(202, "It is told soon").may(&[Problem::NotFound]),
        // calls
        post("/calls", calls::api::create).about("Call somebody")
            .takes::<calls::api::NewCall>().answers::<calls::CallView>(202, "The call, which is placed soon")
            .may(&[Problem::CallNotAllowed, Problem::IdempotencyKeyReused])
            .counted(CALL).may(&UNPAID),
        get("/calls", calls::api::list).about("One's own calls, newest first")
            .searches::<calls::api::Filter>().answers::<List<calls::CallView>>(200, "A page of calls"),
        get("/calls/{id}", calls::api::get).about("One of one's own calls, with its history")
            .answers::<calls::CallView>(200, "The call").may(&[Problem::NotFound]),
        post("/calls/{id}/cancel", calls::api::cancel).about("Cancel a call")
            .answers::<calls::CallView>(200, "The call: canceled, on its way to an end, or ended before").may(&[Problem::NotFound]),
        // providers
        post("/webhooks/twilio/calls/{token}", calls::api::twilio_status).access(Webhook)
            .about("What became of a call, told by Twilio")
            .answers_nothing(204, "Heard").may(&[Problem::SignatureWrong, Problem::NotFound]).hidden(),
        post("/webhooks/twilio/voice/{sealed}", messages::api::twilio_voice).access(Webhook)
            .about("What a call says when a key is pressed, asked by Twilio")
            .answers_in(200, "text/xml", "TwiML").may(&[Problem::SignatureWrong, Problem::NotFound]).hidden(),
        post("/webhooks/messages/{token}", messages::api::delivery).access(Webhook)
            .about("What became of a message, told by a provider of one's own")
            .answers_nothing(204, "Heard").may(&[Problem::SignatureWrong, Problem::NotFound, Problem::MalformedBody]).hidden(),
        post("/webhooks/twilio/messages/{token}", messages::api::twilio_status).access(Webhook)
            .about("What became of a message, told by Twilio")
            .answers_nothing(204, "Heard").may(&[Problem::SignatureWrong, Problem::NotFound]).hidden(),
    ]
}

/// What is at the root: what operators, services and people reading about the API use, and the pages.
pub fn operations() -> Vec<Route> {
    let mut all = own_operations();
    all.extend(web::pages());
    all.extend(web::console());
    all
}

#[rustfmt::skip]
fn own_operations() -> Vec<Route> {
    vec![
        get("/health", health::ready).access(Public).about("Whether this server can serve")
            .answers::<health::Health>(200, "It can").answers::<health::Health>(503, "It cannot: a dependency fails"),
        get("/health/live", health::live).access(Public).about("Whether this process runs")
            .answers::<health::Health>(200, "It runs"),
        get("/health/ready", health::ready).access(Public).about("Whether this server can serve, with each dependency")
            .answers::<health::Health>(200, "It can").answers::<health::Health>(503, "It cannot: a dependency fails"),
        get(METRICS, health::metrics).access(Public).about("Metrics for Prometheus")
            .answers_in(200, "application/openmetrics-text", "The metrics"),
        get("/.well-known/jwks.json", keys::api::jwks).access(Public).about("The public keys of access tokens")
            .answers_in(200, "application/json", "A JWK set (RFC 7517)"),
        post("/oauth2/introspect", clients::api::introspect).access(Access::Client).oauth().about("What a token stands for (RFC 7662)")
            .takes_form::<clients::api::Ask>().answers::<clients::api::IntrospectionView>(200, "What it stands for, or that it is not valid")
            .admits(Scope::Introspect),
        post("/oauth2/revoke", clients::api::revoke).access(Access::Client).oauth().about("End the session of a token (RFC 7009)")
            .takes_form::<clients::api::Ask>().answers_nothing(200, "It is no longer valid, or never was")
            .counted(&[Limit::ClientFailuresAddress, Limit::ServiceRequests]),
        get("/openapi.json", openapi::serve).access(Public).about("This description")
            .answers_in(200, "application/json", "OpenAPI 3.1"),
        get("/problems", docs::problems).access(Public).about("Every failure by name")
            .answers_in(200, "text/html", "A page"),
        get("/problems/{slug}", docs::problem).access(Public).about("What a failure means and what to do about it")
            .answers_in(200, "text/html", "A page").may(&[Problem::NotFound]),
        // forms of old clients
        post("/login", aliases::login).access(Public).oauth().about("Sign in with a password, as an OAuth 2.0 form")
            .takes_form::<aliases::PasswordForm>().answers::<aliases::FormSignIn>(200, "Signed in, or what is asked for as a second factor")
            .may(&[Problem::CredentialsWrong, Problem::FactorMissing, Problem::FactorLocked])
            .counted(SIGN_IN).counted(SEND).may(&UNPAID),
        post("/verify-2fa", aliases::verify_2fa).access(Public).oauth().about("Finish a sign-in by form with its code")
            .takes_form::<aliases::OtpForm>().answers::<aliases::FormSignIn>(200, "Signed in")
            .may(&[Problem::CodeWrong, Problem::CodeGone, Problem::FactorLocked])
            .counted(&[Limit::CodeTryAddress, Limit::CodeTryDevice]),
        get("/docs", docs::page).access(Public).hidden(),
        get("/api-docs", docs::page).access(Public).hidden(),
        get("/docs/assets/{file}", docs::asset).access(Public).hidden(),
    ]
}

/// A route as the test suite sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteInfo {
    /// The method.
    pub method: Method,
    /// The whole path, with its `{…}`.
    pub path: String,
    /// Whom it lets in.
    pub access: Access,
    /// The scope of API keys that it lets in besides.
    pub scope: Option<Scope>,
    /// Whether the OpenAPI document lists it: not for pages, and not for aliases.
    pub documented: bool,
}

/// Every route once: the API and its aliases below `/api/v1`, then the operations.
pub fn all() -> Vec<RouteInfo> {
    let [mount, _] = MOUNTS;
    let lines = routes().into_iter().flat_map(|route| addresses(&route, mount));
    let operations = operations().into_iter().flat_map(|route| addresses(&route, ""));
    lines.chain(operations).collect()
}

/// Under which methods and paths a line answers below `mount`: its own, and its aliases.
fn addresses(route: &Route, mount: &str) -> Vec<RouteInfo> {
    let (access, scope) = (route.access, route.scope);
    let own = RouteInfo {
        method: route.method.clone(),
        path: format!("{mount}{}", route.path),
        access,
        scope,
        documented: !route.doc.hidden,
    };
    let [first, _] = MOUNTS;
    let here = |alias: &&aliases::Alias| !mount.is_empty() && (!alias.at_root || mount == first);
    let others = aliases::of(route).filter(here).filter_map(|alias| {
        let method = Method::from_bytes(alias.method.as_bytes()).ok()?;
        Some(RouteInfo { method, path: alias.below(mount), access, scope, documented: false })
    });
    std::iter::once(own).chain(others).collect()
}

/// The door of production.
///
/// # Errors
/// A sentence for the operator about a setting that cannot be used.
pub fn production(app: &Arc<App>) -> Result<Entrance, String> {
    router(app.clone(), Vec::new())
}

/// The door of development: the phone and the look-alike beside the map.
///
/// # Errors
/// A sentence for the operator about a setting that cannot be used.
pub fn development(app: &Arc<App>, dev: dev::Dev) -> Result<Entrance, String> {
    router(app.clone(), dev::routes(dev))
}

/// Everything that the server answers, behind the layers, with `more` beside the map: the pages of
/// development.
///
/// # Errors
/// A sentence for the operator about a setting that cannot be used.
fn router(app: Arc<App>, more: Vec<Undocumented>) -> Result<Entrance, String> {
    let figures = app.config.server.metrics == Figures::Public;
    let mut operations = operations();
    // Where development has a page of its own, that is the one.
    let is_free = |path: &str| more.iter().all(|(other, _)| *other != path);
    operations.retain(|route| (figures || route.path != METRICS) && is_free(route.path));
    build(app, &routes(), &operations, more)
}

/// The figures alone, for a listener of their own.
pub fn figures(app: &Arc<App>) -> Entrance {
    let map = Router::new().route(METRICS, axum::routing::get(health::metrics));
    Entrance::bare(map.with_state(Arc::clone(app)))
}

/// The router of these lines.
pub(super) fn build(
    app: Arc<App>,
    routes: &[Route],
    operations: &[Route],
    more: Vec<Undocumented>,
) -> Result<Entrance, String> {
    let mounted = MOUNTS.into_iter().flat_map(|mount| routes.iter().map(move |route| (mount, route)));
    let mounted = mounted.chain(operations.iter().map(|route| ("", route)));
    let paths = mounted.clone().flat_map(|(mount, route)| {
        let place = |one: RouteInfo| layers::Place { path: one.path, oauth: route.oauth };
        addresses(route, mount).into_iter().map(place)
    });
    let paths =
        paths.chain(more.iter().map(|(path, _)| layers::Place { path: (*path).to_owned(), oauth: false }));
    let door = Arc::new(Door::new(Arc::clone(&app), paths)?);
    let mut router = more.into_iter().fold(Router::new(), |router, (path, line)| router.route(path, line));
    for (mount, route) in mounted {
        for address in addresses(route, mount) {
            let mut handler = route.handler(&address.method)?;
            if !layers::is_open(route.access, &address.method) {
                let line = layers::Line {
                    door: Arc::clone(&door),
                    access: route.access,
                    scope: route.scope,
                    acting: route.acting,
                    counts: route.counts_as_change(&address.method),
                };
                handler = handler.route_layer(from_fn_with_state(line, layers::admit));
            }
            router = router.route(&address.path, handler);
        }
    }
    Ok(Entrance::new(door, router.with_state(app)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_can_be_built() {
        assert!(production(&crate::http::testing::app()).is_ok());
    }
}
