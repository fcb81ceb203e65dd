//! Identifiers: usernames, e-mail addresses and phone numbers; what people are known by.
//!
//! Text becomes a [`Username`], an [`Email`] or a [`Mobile`] in one place each, or is refused with a
//! sentence; behind that place nobody validates again. Each has a *value*, which is shown and which
//! messages go to, and a *canonical* form, which is compared.
//!
//! What always holds: an identifier has at most one owner, because `owned` is unique. A username is
//! owned when it is taken; an address or a number by the first who verifies it. An unverified claim
//! never blocks and never joins the true owner. Messages go to the value that is stored with the
//! claim, never to what somebody typed later.
//!
//! It must never say to the outside whether an identifier is known.

pub mod actions;
mod api;
mod email;
mod mobile;
mod rules;
mod username;

pub use api::IdentifierView;
pub use email::Email;
pub use mobile::Mobile;
pub use rules::{Name, Verification, key, lacking, verify};
pub use username::Username;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::FieldError;
use crate::policy::IdentifierKind;
use crate::store::entity;

/// Longest input that is looked at at all, in bytes: an address of RFC 5321 §4.5.3.1 in its longest
/// form (64 + 1 + 255). What is longer is refused before anything expensive sees it.
pub const MAX_BYTES: usize = 320;

entity! {
    /// Somebody's claim to be known by something.
    pub struct Identifier in "identifiers" {
        /// Its id.
        id: Uuid,
        /// Who claims it.
        user_id: Uuid,
        /// What it is.
        kind: IdentifierKind,
        /// As it was given, tidied: what is shown and where messages go.
        value: String,
        /// `kind:canonical`: what is compared.
        canonical: String,
        /// What only one user can have; none while an address or a number is unverified.
        owned: Option<String>,
        /// When it was proved.
        verified_at: Option<Timestamp>,
        /// When it was claimed.
        created_at: Timestamp,
    }
    unique BY_OWNED (owned);
    index BY_CANONICAL (canonical, created_at);
    index BY_USER (user_id, created_at);
    kept user_id;
}

impl Identifier {
    /// Whether it may be shown to be its user's own by a code that is sent there.
    pub fn takes_codes(&self) -> bool {
        self.kind != IdentifierKind::Username
    }

    /// The claim of `user_id` to `name`: a username is owned by it at once, the others once verified.
    pub fn new(id: Uuid, user_id: Uuid, name: &Name, now: Timestamp) -> Self {
        Self {
            id,
            user_id,
            kind: name.kind(),
            value: name.value().to_owned(),
            canonical: name.canonical(),
            owned: (name.kind() == IdentifierKind::Username).then(|| name.owned_key()),
            verified_at: None,
            created_at: now,
        }
    }
}

/// Why `kind` cannot be accepted.
fn wrong(kind: IdentifierKind, code: &'static str, message: &'static str) -> FieldError {
    FieldError::new(kind.as_str(), code, message)
}
