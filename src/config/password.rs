//! `[password]`: what passwords are compared with. What they must be is policy.

use serde::Deserialize;

/// `[password]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordSettings {
    /// Path of the filter of breached passwords; empty: none.
    pub breached: String,
}
