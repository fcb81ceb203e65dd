//! `[shared]`: where nodes keep what they share for a moment.

use serde::{Deserialize, Deserializer};

/// `[shared]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedSettings {
    /// Where it is kept.
    pub url: SharedUrl,
}

/// Where nodes keep what they share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SharedUrl {
    /// In this process.
    Memory,
}

impl<'de> Deserialize<'de> for SharedUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not derived: that would repeat the text, and an address may hold a password.
        match String::deserialize(deserializer)?.as_str() {
            "memory" => Ok(Self::Memory),
            _ => Err(serde::de::Error::custom("only `memory` is known")),
        }
    }
}
