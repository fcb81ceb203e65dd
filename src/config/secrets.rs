//! `[secrets]`: the sealing keys.

use serde::Deserialize;

use super::Layers;
use crate::secret::{Keyring, Secret};

/// `[secrets]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// `id:base64` each; the first seals, all open.
    pub keys: Vec<Secret>,
}

impl Secrets {
    pub(super) fn check(&self, layers: &mut Layers) {
        if !self.keys.is_empty()
            && let Err(sentence) = Keyring::parse(&self.keys)
        {
            layers.fault("secrets.keys", format_args!("cannot be used: {}", sentence.trim_end_matches('.')));
        }
    }
}
