//! How identifiers are shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Identifier;
use crate::policy::IdentifierKind;

/// What a user is known by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IdentifierView {
    /// What it is.
    pub kind: IdentifierKind,
    /// As it was given.
    pub value: String,
    /// Whether the user has proved to receive what is sent there.
    pub verified: bool,
}

impl From<&Identifier> for IdentifierView {
    fn from(identifier: &Identifier) -> Self {
        Self {
            kind: identifier.kind,
            value: identifier.value.clone(),
            verified: identifier.verified_at.is_some(),
        }
    }
}
