//! Every record of the house: what the migrations must make, and what is swept when it has expired.

use crate::store::{Entity, Table};
use crate::{
    accounts, audit, calls, challenges, clients, devices, events, factors, idempotency, identifiers, keys,
    limits, messages, organizations, passwords, recovery, revocations, service_accounts, sessions, sign_in,
    spending, undo,
};

/// Every table, in the order of the floors.
pub fn tables() -> Vec<&'static Table> {
    vec![
        audit::Event::table(),
        audit::Outgoing::table(),
        audit::chain::Block::table(),
        audit::Tally::table(),
        audit::Position::table(),
        events::Turn::table(),
        spending::Day::table(),
        limits::Sends::table(),
        idempotency::Replay::table(),
        clients::RegisteredClient::table(),
        service_accounts::ServiceAccount::table(),
        service_accounts::ApiKey::table(),
        keys::SigningKey::table(),
        revocations::Revocation::table(),
        revocations::Head::table(),
        identifiers::Identifier::table(),
        passwords::Password::table(),
        messages::Message::table(),
        factors::Factor::table(),
        accounts::User::table(),
        accounts::Removed::table(),
        organizations::Organization::table(),
        organizations::Member::table(),
        organizations::Invitation::table(),
        sessions::Session::table(),
        sessions::moved::MovedSession::table(),
        devices::Device::table(),
        calls::Call::table(),
        recovery::Recovery::table(),
        challenges::Challenge::table(),
        undo::Undo::table(),
        sign_in::begun::Begun::table(),
    ]
}
