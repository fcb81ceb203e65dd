//! `[shared]`: where nodes keep what they share for a moment.

use serde::Deserialize;

use super::Layers;
use crate::secret::Secret;

/// `[shared]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedSettings {
    /// `memory`, or `redis://…`; a secret, since it may hold a password.
    pub url: Secret,
    /// How many nodes there are, at most.
    pub nodes: u32,
}

impl SharedSettings {
    /// Whether it is kept in this process.
    pub fn is_memory(&self) -> bool {
        self.url.expose() == "memory"
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        let url = self.url.expose();
        let known = ["redis://", "rediss://"];
        let right =
            known.iter().any(|start| url.strip_prefix(start).is_some_and(|rest| !rest.trim().is_empty()));
        layers.must(
            right || self.is_memory(),
            "shared.url",
            "must be memory, or start with redis:// or rediss:// and a host",
        );
        layers.must((1..=1000).contains(&self.nodes), "shared.nodes", "must be between 1 and 1000");
    }
}
