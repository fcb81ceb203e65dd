//! `[events]`: where the application is told of what happens; see `docs/events.md`.

use serde::Deserialize;

use super::{Layers, endpoint};
use crate::broker;
use crate::secret::Secret;

/// `[events]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Where events are posted; empty: nowhere.
    pub url: String,
    /// What signs them.
    pub secret: Secret,
    /// The message broker that events are published to, with its password; empty: none.
    pub amqp: Secret,
    /// The topic exchange there.
    pub exchange: String,
}

impl Events {
    /// Whether anybody is told.
    pub fn is_configured(&self) -> bool {
        self.posts() || self.publishes()
    }

    /// Whether events are posted.
    pub fn posts(&self) -> bool {
        !self.url.is_empty()
    }

    /// Whether events are published to a broker.
    pub fn publishes(&self) -> bool {
        !self.amqp.expose().is_empty()
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        if self.posts() {
            endpoint::check(layers, "events", &self.url, &self.secret, "https://app.example.com/events");
        }
        if self.publishes() {
            let is_address = broker::is_address(self.amqp.expose());
            layers.must(
                is_address,
                "events.amqp",
                "must be a URL such as amqps://user:password@mq.example.com/vhost",
            );
        }
        layers.must(
            broker::is_exchange(&self.exchange),
            "events.exchange",
            "must have 1 to 255 bytes, and not begin with `amq.`, which are the broker's own",
        );
    }
}
