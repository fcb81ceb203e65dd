//! `[tokens]`: how access tokens are signed.

use std::time::Duration;

use serde::Deserialize;

use super::{Layers, Period};
use crate::jwt::Algorithm;

/// `[tokens]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// How they are signed.
    pub algorithm: Algorithm,
    /// For whom they are (`aud`); empty for the origin.
    pub audience: String,
    /// How long a key signs; zero for as long as nobody asks for another.
    pub rotate: Period,
    /// How long before it signs a key is published.
    pub publish_ahead: Period,
}

impl Tokens {
    pub(super) fn check(&self, layers: &mut Layers) {
        let audience = self.audience.len() <= 200 && self.audience.chars().all(|c| c.is_ascii_graphic());
        layers.must(audience, "tokens.audience", "must be at most 200 visible ASCII characters");
        let ahead = *self.publish_ahead;
        layers.must(
            ahead >= Duration::from_secs(600) && ahead <= Duration::from_secs(7 * 86_400),
            "tokens.publish_ahead",
            "must be between 10m and 7d: others keep the published keys for 5m",
        );
        layers.must_with(
            self.rotate.is_zero() || *self.rotate >= ahead * 2,
            "tokens.rotate",
            "tokens.publish_ahead",
            format_args!(
                "must be 0s or at least twice tokens.publish_ahead, which is {}",
                self.publish_ahead
            ),
        );
    }
}
