//! Chance, handed in: the operating system's generator, or a seeded one that makes tests repeatable.
//!
//! A request draws one seed at the door ([`Random::seed`]); what it needs afterwards – ids, codes,
//! tokens – is expanded from that seed by label ([`Seed`]). So a rule that needs chance stays a
//! pure function: the chance is one of its arguments.

use std::sync::{Arc, Mutex};

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::{digest, hmac};
use uuid::Uuid;

use crate::clock::Timestamp;

/// A source of unpredictable bytes.
#[derive(Clone, Debug)]
pub enum Random {
    /// The operating system's generator, by way of the crypto library.
    System,
    /// A repeatable sequence: tests and simulation only.
    Seeded(Arc<Mutex<(u64, u64)>>),
}

/// The operating system's generator, for a signature that wants to be handed one.
pub fn system() -> SystemRandom {
    SystemRandom::default()
}

impl Random {
    /// The sequence that belongs to `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new((seed, 0))))
    }

    /// `N` unpredictable bytes.
    ///
    /// # Panics
    /// When the operating system cannot give random bytes: nothing safe can be done then.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        match self {
            Self::System => {
                #[expect(clippy::expect_used, reason = "without randomness every secret would be guessable")]
                system().fill(&mut out).expect("the operating system gives random bytes");
            }
            Self::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                for chunk in out.chunks_mut(digest::SHA256_OUTPUT_LEN) {
                    let (seed, counter) = *state;
                    state.1 = counter.wrapping_add(1);
                    let block = [seed.to_le_bytes(), counter.to_le_bytes()].concat();
                    let block = digest::digest(&digest::SHA256, &block);
                    for (to, from) in chunk.iter_mut().zip(block.as_ref()) {
                        *to = *from;
                    }
                }
            }
        }
        out
    }

    /// A seed from which one request's ids, codes and tokens are expanded.
    pub fn seed(&self) -> Seed {
        Seed(self.bytes())
    }

    /// A positive number that no other call is likely to return (62 bits).
    pub fn number(&self) -> i64 {
        i64::from_le_bytes(self.bytes()) & (i64::MAX >> 1)
    }
}

/// 256 bits of chance, expanded by label. The same label gives the same value.
#[derive(Clone)]
pub struct Seed([u8; 32]);

struct Length(usize);
impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Seed {
    /// `N` bytes for `label` (HKDF-Expand, RFC 5869).
    pub fn bytes<const N: usize>(&self, label: &str) -> [u8; N] {
        let mut out = [0; N];
        let prk = Prk::new_less_safe(HKDF_SHA256, &self.0);
        let info = [label.as_bytes()];
        // HKDF only refuses lengths over 255 blocks, which no caller of a fixed N comes near.
        if let Ok(okm) = prk.expand(&info, Length(N)) {
            let _ = okm.fill(&mut out);
        }
        out
    }

    /// A UUIDv7 (RFC 9562): sorted by time, so that new rows land on one hot page.
    pub fn uuid(&self, label: &str, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes(label)).into_uuid()
    }

    /// A decimal code of `digits` digits, each value equally likely.
    pub fn code(&self, label: &str, digits: u32) -> String {
        let bound = 10_u64.saturating_pow(digits);
        // Values past the last whole multiple of `bound` would make low codes likelier: draw again.
        let fair = u64::MAX - u64::MAX % bound;
        let mut round = 0_u32;
        loop {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
            let tag = hmac::sign(&key, format!("code:{label}:{round}").as_bytes());
            let head = tag.as_ref().iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
            if head < fair {
                return format!("{:0width$}", head % bound, width = digits as usize);
            }
            round += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_sequence_repeats_and_another_seed_differs() {
        let draw = |seed| Random::seeded(seed).bytes::<40>();
        assert_eq!(draw(42), draw(42));
        assert_ne!(draw(42), draw(43));
        assert_ne!(Random::System.bytes::<32>(), Random::System.bytes::<32>());
    }

    #[test]
    fn codes_have_their_digits_and_use_them_all_evenly() {
        let random = Random::seeded(7);
        let mut seen = [0_u32; 10];
        for _ in 0..2_000 {
            let code = random.seed().code("code", 6);
            assert_eq!(code.len(), 6);
            for digit in code.bytes() {
                seen[usize::from(digit - b'0')] += 1;
            }
        }
        assert!(seen.iter().all(|count| (1_000..1_400).contains(count)), "{seen:?}");
    }

    #[test]
    fn labels_are_independent() {
        let seed = Random::seeded(1).seed();
        assert_eq!(seed.bytes::<16>("a"), seed.bytes::<16>("a"));
        assert_ne!(seed.bytes::<16>("a"), seed.bytes::<16>("b"));
    }
}
