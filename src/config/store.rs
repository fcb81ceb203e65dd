//! `[store]`: where the records are.

use serde::Deserialize;

use super::Layers;
use crate::secret::Secret;

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `sqlite:path` or `postgres://…`; a secret, since it may hold a password.
    pub url: Secret,
    /// Connections to Postgres at most.
    pub connections: usize,
}

impl StoreSettings {
    pub(super) fn check(&self, layers: &mut Layers) {
        let url = self.url.expose();
        let known = ["sqlite:", "postgres://", "postgresql://"];
        let right =
            known.iter().any(|start| url.strip_prefix(start).is_some_and(|rest| !rest.trim().is_empty()));
        layers.must(right, "store.url", "must start with sqlite: and a path, or with postgres:// and a host");
        layers.must(
            (1..=1000).contains(&self.connections),
            "store.connections",
            "must be between 1 and 1000",
        );
    }

    /// The path of the SQLite file, when that is where the records are.
    pub fn sqlite_path(&self) -> Option<&str> {
        self.url.expose().strip_prefix("sqlite:")
    }
}
