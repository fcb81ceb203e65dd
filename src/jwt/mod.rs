//! Signed tokens of our own making (RFC 7515, RFC 7519): keys, writing, checking. Knows nothing of sessions.
//!
//! Always holds: what a token says of itself decides nothing. Its header must be, byte for byte, the
//! one that we write for one of our keys; so there is no algorithm to choose, and no key that a token
//! could bring along or point to (RFC 8725 §3.1, §3.11). Nothing is read of a token before its
//! signature is right.

mod key;

pub use key::{Algorithm, Generated, Key, Purpose, generate};

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};

use crate::clock::Timestamp;

/// The longest token that is looked at. Ours have some 700 bytes, with RS256 some 950.
pub const LONGEST: usize = 2_048;

/// Why a token is not ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Its shape, its spelling or its signature is wrong.
    Wrong,
    /// No key is known whose header it wears.
    UnknownKey,
}

/// The keys as they were read.
#[derive(Debug)]
pub struct Ring {
    keys: Vec<Key>,
    /// When.
    pub read_at: Timestamp,
}

impl Ring {
    /// These keys, the newest first.
    pub fn new(keys: Vec<Key>, read_at: Timestamp) -> Self {
        Self { keys, read_at }
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key that signs at `now`: the newest of this algorithm; while there is none, the newest of another.
    pub fn signer(&self, algorithm: Algorithm, now: Timestamp) -> Option<&Key> {
        let able = || self.keys.iter().filter(|key| key.signs_at(now));
        able().find(|key| key.algorithm == algorithm).or_else(|| able().next())
    }

    /// The content of the access token `token`, when its signature is right.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn open(&self, token: &str, now: Timestamp) -> Result<Vec<u8>, Refusal> {
        if token.len() > LONGEST { Err(Refusal::Wrong) } else { self.open_for(Purpose::Access, token, now) }
    }

    /// The content of what was signed for `purpose`, when its signature is right. How long it may be is for
    /// the caller to say.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn open_for(&self, purpose: Purpose, token: &str, now: Timestamp) -> Result<Vec<u8>, Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Wrong)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Wrong)?;
        let key = self.keys.iter().find(|key| key.header_for(purpose) == header && key.counts_at(now));
        let key = key.ok_or(Refusal::UnknownKey)?;
        // Without padding and without bits to spare: each content has one spelling.
        let read = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Wrong);
        let signature = read(signature)?;
        if !key.verifies(signed.as_bytes(), &signature) {
            return Err(Refusal::Wrong);
        }
        read(payload)
    }

    /// The public keys (RFC 7517 §5): of all that sign, will sign, or have signed what may still count.
    pub fn published(&self, now: Timestamp) -> Json {
        let keys: Vec<&Json> =
            self.keys.iter().filter(|key| key.counts_at(now)).map(|key| &key.jwk).collect();
        json!({"keys": keys})
    }
}

/// Where a process keeps its keys.
#[derive(Debug)]
pub struct Held(RwLock<Arc<Ring>>);

impl Default for Held {
    /// No keys, read long ago.
    fn default() -> Self {
        Self(RwLock::new(Arc::new(Ring::new(Vec::new(), Timestamp::from_millis(0)))))
    }
}

impl Held {
    /// The keys as they were last read.
    pub fn get(&self) -> Arc<Ring> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps what was read.
    pub fn set(&self, ring: Ring) -> Arc<Ring> {
        let ring = Arc::new(ring);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&ring);
        ring
    }
}
