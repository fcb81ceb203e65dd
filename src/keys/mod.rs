//! The keys that sign access tokens: made, published, taken out of use.
//!
//! Always holds: a key is published before it signs, and stays so until the last token that it signed
//! has expired; the private half is stored sealed for its own record. Ten nodes that start together
//! make one first key: each key has a number, and a number is given once.

pub mod actions;
pub mod api;
mod rules;

pub use actions::{open, ring, sign};

use serde_json::Value as Json;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::jwt::Algorithm;
use crate::secret::Sealed;
use crate::store::entity;

entity! {
    /// A key that signs access tokens, will sign them, or has signed them.
    pub struct SigningKey in "signing_keys" {
        /// Its name in tokens and in the published set (`kid`).
        id: Uuid,
        /// How it signs.
        algorithm: Algorithm,
        /// Which one of its algorithm, from 1.
        number: u32,
        /// PKCS #8, sealed.
        private: Sealed,
        /// The public half as a JWK.
        public: Json,
        /// When it was made, and published.
        created_at: Timestamp,
        /// From when on it signs.
        active_from: Timestamp,
        /// From when on it no longer signs.
        retired_at: Option<Timestamp>,
        /// When the last token that it signed has expired: from then on nothing that it signed counts.
        expires_at: Option<Timestamp>,
    }
    unique BY_NUMBER (algorithm, number);
    expires expires_at;
}

impl SigningKey {
    /// What its private half is sealed under.
    pub fn context(id: Uuid) -> [String; 2] {
        ["signing-key".to_owned(), id.to_string()]
    }
}
