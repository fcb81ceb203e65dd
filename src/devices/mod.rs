//! Devices: where a user has signed in before, and what that is worth.
//!
//! A sign-in leaves a token behind, as a cookie or in the answer. Whoever shows it again is counted in a
//! lane of their own, so that guessing from elsewhere locks nobody out; and, where the policy allows it
//! and the user has asked for it, does without the second factor for a while.
//!
//! Always holds: a device token opens nothing and proves nothing by itself. A device is known for one
//! user only, and no longer once that user has ended all sessions, which changing or recovering the
//! password does too. Trust ends with the set of factors under which it was given.

mod actions;
pub mod api;
mod rules;

pub use actions::{find, forget, is_known_place, known, list, news};
pub use rules::{Arrival, arrive, distrust, failed, keep};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::secret::Token;
use crate::store::{entity, json_field};

/// The factors under which a device was trusted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Under(pub Vec<Uuid>);
json_field!(Under);

entity! {
    /// A place where a user has signed in.
    pub struct Device in "devices" {
        /// Its id, which is no secret.
        id: Uuid,
        /// The hash of its token.
        digest: Vec<u8>,
        /// Whose.
        user_id: Uuid,
        /// What it calls itself.
        user_agent: Option<String>,
        /// The address of its newest sign-in.
        address: Option<String>,
        /// Wrong passwords in a row.
        failures: u32,
        /// Under which factors it is trusted.
        trusted_under: Under,
        /// Until when it does without the second factor.
        trusted_until: Option<Timestamp>,
        /// Its first sign-in.
        created_at: Timestamp,
        /// Its user's `sessions_from` when it was made, or when it was kept. Once that is later, it is forgotten.
        counts_from: Timestamp,
        /// Its newest sign-in.
        used_at: Timestamp,
        /// When it is known no more.
        known_until: Timestamp,
    }
    index BY_USER (user_id, created_at);
    index BY_PLACE (user_id, address, user_agent);
    expires known_until;
}

/// What a client brings to a sign-in besides what it types.
#[derive(Clone, Debug, Default)]
pub struct Brought {
    /// The token of a device.
    pub device: Option<Token>,
    /// The sessions whose cookies will be overwritten when the sign-in is by cookie.
    pub overwritten: Vec<Token>,
    /// Whether this device shall do without the second factor from now on.
    pub trust: bool,
}

/// A device as its owner sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Device")]
pub struct DeviceView {
    /// Its id.
    pub id: Uuid,
    /// Whether the session that asks was opened on it.
    pub current: bool,
    /// What it calls itself.
    pub user_agent: Option<String>,
    /// The address of its newest sign-in.
    pub ip: Option<String>,
    /// Its first sign-in.
    pub created_at: Timestamp,
    /// Its newest sign-in.
    pub last_used_at: Timestamp,
    /// When it is known no more, unless it is used before.
    pub known_until: Timestamp,
    /// Until when it does without the second factor; nothing when it does not.
    pub trusted_until: Option<Timestamp>,
}

impl Device {
    /// What its owner sees.
    pub fn view(&self, current: bool, now: Timestamp) -> DeviceView {
        DeviceView {
            id: self.id,
            current,
            user_agent: self.user_agent.clone(),
            ip: self.address.clone(),
            created_at: self.created_at,
            last_used_at: self.used_at,
            known_until: self.known_until,
            trusted_until: self.trusted_until.filter(|until| now < *until),
        }
    }
}
