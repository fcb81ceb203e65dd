//! `[events]`: where the application is told of what happens; see `docs/events.md`.

use reqwest::Url;
use serde::Deserialize;

use super::Layers;
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
        if !self.is_configured() {
            return;
        }
        let url = Url::parse(&self.url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        });
        layers.must(url, "events.url", "must be a URL such as https://app.example.com/events");
        layers.must_with(
            self.secret.expose().len() >= 32,
            "events.secret",
            "events.url",
            "must have at least 32 characters, since events.url is set",
        );
    }
}
