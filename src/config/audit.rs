//! `[audit]`: how long events are kept.

use serde::Deserialize;

use super::{Layers, Period};

/// `[audit]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// How long an event is kept.
    pub keep: Period,
}

impl Audit {
    pub(super) fn check(self, layers: &mut Layers) {
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        layers.must(
            *self.keep >= day,
            "audit.keep",
            "must be at least 1d, or nobody could look into anything",
        );
    }
}
