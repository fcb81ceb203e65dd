//! `[log]`: how and how much is logged.

use serde::Deserialize;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::Layers;

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// For whom.
    pub format: LogFormat,
    /// A filter such as `info` or `info,vestibule::store=debug`.
    pub level: String,
}

/// For whom the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// For machines, one object a line.
    Json,
}

impl Log {
    pub(super) fn check(&self, layers: &mut Layers) {
        // The filter's own reader takes `inof` for the name of a part and would log nothing of the rest.
        let levels = self.level.split(',').all(|part| {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            level.trim().parse::<LevelFilter>().is_ok() && !level.trim().is_empty()
        });
        let right = levels && self.level.parse::<Targets>().is_ok();
        layers.must(
            right,
            "log.level",
            "must be off, error, warn, info, debug or trace, or parts such as info,vestibule=debug",
        );
    }
}
