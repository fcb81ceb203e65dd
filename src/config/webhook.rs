//! `[webhook]`: a provider of one's own, reached by signed requests; see `docs/providers.md`.

use serde::Deserialize;

use super::{Layers, endpoint};
use crate::secret::Secret;

/// `[webhook]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where messages are posted; empty: not configured.
    pub url: String,
    /// What signs them.
    pub secret: Secret,
    /// Whom messages come from, handed on as it is.
    pub from: String,
}

impl Webhook {
    /// Whether an address is configured.
    pub fn is_configured(&self) -> bool {
        !self.url.is_empty()
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        if self.is_configured() {
            endpoint::check(layers, "webhook", &self.url, &self.secret, "https://sms.example.com/messages");
        }
    }
}
