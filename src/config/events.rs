//! `[events]`: where the application is told of what happens; see `docs/events.md`.

use serde::Deserialize;

use super::{Layers, endpoint};
use crate::secret::Secret;

/// `[events]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Where events are posted; empty: nowhere.
    pub url: String,
    /// What signs them.
    pub secret: Secret,
}

impl Events {
    /// Whether an address is configured.
    pub fn is_configured(&self) -> bool {
        !self.url.is_empty()
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        if self.is_configured() {
            endpoint::check(layers, "events", &self.url, &self.secret, "https://app.example.com/events");
        }
    }
}
