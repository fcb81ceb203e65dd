//! `[secrets]`: what is kept apart from the database.

use serde::Deserialize;

use super::Layers;
use crate::hashing::Firebase;
use crate::secret::{Keyring, Peppers, Secret};

/// `[secrets]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// `id:base64` each; the first seals, all open.
    pub keys: Vec<Secret>,
    /// `id:base64` each; the first goes into new password hashes, all of them check.
    pub peppers: Vec<Secret>,
    /// The signer key of imported Firebase hashes, base64.
    pub firebase_signer_key: Secret,
    /// Their salt separator, base64.
    pub firebase_salt_separator: String,
}

impl Secrets {
    pub(super) fn check(&self, layers: &mut Layers) {
        if !self.keys.is_empty()
            && let Err(sentence) = Keyring::parse(&self.keys)
        {
            layers.fault("secrets.keys", format_args!("cannot be used: {}", sentence.trim_end_matches('.')));
        }
        if let Err(sentence) = Peppers::parse(&self.peppers) {
            layers.fault("secrets.peppers", format_args!("cannot be used: {sentence}"));
        }
        let signer = Firebase::parse(&self.firebase_signer_key, "").is_ok();
        layers.must(signer, "secrets.firebase_signer_key", "is not base64");
        let separator = Firebase::parse(&Secret::default(), &self.firebase_salt_separator).is_ok();
        layers.must(separator, "secrets.firebase_salt_separator", "is not base64");
    }

    /// What imported Firebase hashes share.
    ///
    /// # Errors
    /// A sentence about what cannot be read.
    pub fn firebase(&self) -> Result<Firebase, String> {
        Firebase::parse(&self.firebase_signer_key, &self.firebase_salt_separator)
    }
}
