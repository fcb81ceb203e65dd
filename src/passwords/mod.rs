//! Passwords: what may become one, what is stored of it, and whether one is right.
//!
//! A password is normalised to NFC and otherwise taken as it is: no composition rules, no truncation,
//! no case folding (NIST SP 800-63B-4 §3.1.1.2). Its size in bytes is looked at before anything else,
//! so that nobody's long text costs time. What is stored is a PHC string and nothing more.
//!
//! It may be the hash of another system ([`crate::hashing::imported`]), until its user first signs in with it.
//!
//! What always holds: a check takes at least as long for a user who is there as for one who is not; just as long
//! once they have signed in since the parameters last changed. A password
//! is never in an answer, a log or an error.

pub mod actions;
pub mod api;
mod context;
mod rules;

pub use actions::{Verdict, assess, check, choose, prepare};
pub use rules::{GivenPassword, NewPassword, Strength};

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::policy::Limits;
use crate::store::entity;

/// Most bytes of a password as it is sent. 256 code points of four bytes, the default's most; past
/// it hashing would be a lever for others' time.
pub const MAX_BYTES: usize = 1_024;

entity! {
    /// A user's password, as its hash.
    pub struct Password in "passwords" {
        /// Whose it is.
        user_id: Uuid,
        /// The hash with its parameters and salt, in PHC format.
        phc: String,
        /// When the user last chose it; hashing it anew leaves this as it is.
        changed_at: Timestamp,
        /// Wrong guesses since it was last right, wherever they came from (NIST SP 800-63B-4 §3.2.2).
        failures: u32,
    }
}

impl Password {
    /// A password as its user has just chosen it.
    pub fn chosen(user_id: Uuid, phc: String, now: Timestamp) -> Self {
        Self { user_id, phc, changed_at: now, failures: 0 }
    }

    /// A guess was wrong.
    pub fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Whether a guess is looked at at all: a known device has the last of them to itself.
    pub fn takes_guesses(&self, limits: &Limits, from_known_device: bool) -> bool {
        let kept = if from_known_device { 0 } else { limits.device_failures };
        self.failures < limits.password_failures.saturating_sub(kept)
    }
}
