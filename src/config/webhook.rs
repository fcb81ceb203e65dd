//! `[webhook]`: a provider of one's own, reached by signed requests; see `docs/providers.md`.

use reqwest::Url;
use serde::Deserialize;

use super::Layers;
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
        layers.must(url, "webhook.url", "must be a URL such as https://sms.example.com/messages");
        // As many bits as the hash has (RFC 2104 §3); 32 characters at least.
        layers.must_with(
            self.secret.expose().len() >= 32,
            "webhook.secret",
            "webhook.url",
            "must have at least 32 characters, since webhook.url is set",
        );
    }
}
