//! `[hashing]`: what a password hash costs.

use serde::Deserialize;

use super::{Layers, Period};
use crate::hashing::Cost;

/// `[hashing]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashingSettings {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes (RFC 9106).
    pub lanes: u32,
    /// Hashes at the same time; 0: as many as cores.
    pub permits: usize,
    /// How long a hash may wait for its turn.
    pub patience: Period,
    /// RustCrypto's engine instead of the fast one.
    pub portable: bool,
}

/// OWASP's parameters of equal strength for Argon2id (Password Storage Cheat Sheet): passes, least KiB.
const OWASP: [(u32, u32); 5] = [(1, 47_104), (2, 19_456), (3, 12_288), (4, 9_216), (5, 7_168)];

impl HashingSettings {
    pub(super) fn check(&self, layers: &mut Layers) {
        layers.must((1..=32).contains(&self.passes), "hashing.passes", "must be between 1 and 32");
        layers.must((1..=16).contains(&self.lanes), "hashing.lanes", "must be between 1 and 16");
        // RFC 9106 §3.1: at least 8 KiB a lane. What is dearer than the most is not computed when it is
        // found in the database either.
        let least = self.lanes.saturating_mul(8);
        layers.must(
            (least..=256 << 10).contains(&self.memory_kib),
            "hashing.memory_kib",
            format_args!("must be between {least} and {} KiB", 256 << 10),
        );
        let one_by_one = Cost { memory_kib: self.memory_kib, passes: 1, lanes: self.lanes };
        layers.must(
            self.cost().is_bounded() || !one_by_one.is_bounded() || self.passes > 32,
            "hashing.passes",
            "times hashing.memory_kib must be at most 4194304 KiB, or a sign-in would take seconds",
        );
        layers.must(self.permits <= 1024, "hashing.permits", "must be at most 1024");
        layers.must(
            !self.patience.is_zero(),
            "hashing.patience",
            "must be longer than 0s, or no sign-in could wait",
        );
    }

    /// What a hash of today costs.
    pub fn cost(&self) -> Cost {
        Cost { memory_kib: self.memory_kib, passes: self.passes, lanes: self.lanes }
    }

    /// The least memory in KiB that OWASP recommends with this many passes.
    pub fn recommended_kib(&self) -> u32 {
        OWASP.iter().rfind(|(passes, _)| *passes <= self.passes).map_or(47_104, |(_, kib)| *kib)
    }
}
