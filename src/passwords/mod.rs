//! Passwords: what may become one, what is stored of it, and whether one is right.
//!
//! A password is normalised to NFC and otherwise taken as it is: no composition rules, no truncation,
//! no case folding (NIST SP 800-63B-4 §3.1.1.2). Its size in bytes is looked at before anything else,
//! so that nobody's long text costs time. What is stored is a PHC string and nothing more.
//!
//! It may be the hash of another system ([`imported`]), until its user first signs in with it.
//!
//! What always holds: a check takes at least as long for a user who is there as for one who is not; just as long
//! once they have signed in since the parameters last changed. A password
//! is never in an answer, a log or an error.

pub mod actions;
pub mod api;
mod context;
mod rules;

pub use crate::hashing::{Why, imported};
pub use actions::{Verdict, check, choose, prepare};
pub use rules::{GivenPassword, NewPassword};

use uuid::Uuid;

use crate::clock::Timestamp;
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
    }
}
