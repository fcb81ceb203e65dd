//! Passwords that were stolen elsewhere: a filter that says of a password whether it is among them.
//!
//! The filter is 256 binary fuse filters with 16-bit fingerprints (Graf and Lemire, 2022), one for each
//! first byte of the password's SHA-1. It forgets nothing: every password of the list is found. Of others
//! one in 65,536 is found too, and its owner is asked for another. It takes about 18 bits a password: a
//! million takes 2.3 MB, a thousand million 2.3 GB.
//!
//! SHA-1 is no protection here, only the name by which such lists are handed out. Nothing leaves this
//! machine, and no password can be had back from the filter.

mod build;
mod file;

pub use build::{Built, build};

use std::path::Path;

use aws_lc_rs::digest;
use unicode_normalization::UnicodeNormalization;
use xorf::{BinaryFuse16, Filter};

/// Filters, by the first byte of the key.
const SHARDS: usize = 256;

/// The filter, in memory.
pub struct Breached {
    shards: Vec<Option<BinaryFuse16>>,
    count: u64,
    bytes: u64,
}

impl Breached {
    /// The filter that the setting names; none when it is empty.
    ///
    /// # Errors
    /// As [`Breached::load`].
    pub fn configured(path: &str) -> Result<Option<Self>, String> {
        if path.is_empty() {
            return Ok(None);
        }
        let filter = Self::load(Path::new(path))?;
        tracing::info!("password.breached: {} passwords, {} MB", filter.count, filter.megabytes());
        Ok(Some(filter))
    }

    /// Reads and checks a filter.
    ///
    /// # Errors
    /// A sentence for the operator: the file cannot be read, is no filter, or is spoilt.
    pub fn load(path: &Path) -> Result<Self, String> {
        file::load(path).map_err(|error| {
            let path = path.display();
            format!("password.breached: the filter {path} cannot be used: {error}; make it with `vestibule passwords filter`")
        })
    }

    /// Whether the password is in the list; and, once in 65,536 times, when it is not. `password` is in NFC.
    pub fn contains(&self, password: &str) -> bool {
        let key = key_of(password.as_bytes());
        self.shards.get(shard(key)).and_then(Option::as_ref).is_some_and(|filter| filter.contains(&key))
    }

    /// How many passwords it knows.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How much memory it takes, in megabytes, rounded up.
    pub fn megabytes(&self) -> u64 {
        self.bytes.div_ceil(1_000_000)
    }
}

impl std::fmt::Debug for Breached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Breached({})", self.count)
    }
}

/// The first eight bytes of the SHA-1.
fn key_of(password: &[u8]) -> u64 {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password);
    hash.as_ref().iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// The key of a line of a list: passwords are compared in NFC.
fn key_of_line(line: &[u8]) -> u64 {
    match std::str::from_utf8(line) {
        Ok(text) if !text.is_ascii() => key_of(text.nfc().collect::<String>().as_bytes()),
        _ => key_of(line),
    }
}

fn shard(key: u64) -> usize {
    usize::from(key.to_be_bytes()[0])
}

#[cfg(test)]
mod tests;
