//! The two ways to compute Argon2id (RFC 9106), behind one trait: a fast one on the hot path, and
//! RustCrypto's, which is the oracle of the suite and the fall-back.

use argon2::Block;
use argon2_rust::params::{Memory, TagLen};
use argon2_rust::{Algorithm, Argon2, Hasher, Params, Version};

/// Argon2id cost (RFC 9106).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes; more than one buys nothing on a busy server.
    pub lanes: u32,
}

/// Most memory that a hash may ask for, in KiB: a row that somebody altered must not make a sign-in cost
/// a gigabyte.
pub(super) const MOST_MEMORY: u32 = 256 * 1_024;
const MOST_PASSES: u32 = 32;
const MOST_LANES: u32 = 16;
/// Most work, in KiB times passes: about a second.
const MOST_WORK: u64 = 4 * 1_024 * 1_024;

impl Cost {
    /// Whether a hash of this cost is ever computed: one at least that RFC 9106 §3.1 allows, and at most
    /// 256 MiB, 32 passes, 16 lanes, 4 GiB over all passes.
    pub fn is_bounded(self) -> bool {
        (1..=MOST_LANES).contains(&self.lanes)
            && (8 * self.lanes..=MOST_MEMORY).contains(&self.memory_kib)
            && (1..=MOST_PASSES).contains(&self.passes)
            && u64::from(self.memory_kib) * u64::from(self.passes) <= MOST_WORK
    }
}

/// Bytes of a tag.
pub(super) const TAG: usize = 32;

/// Computes Argon2id, version 0x13, into memory that is kept between hashes.
pub(super) trait Engine: Send {
    /// The tag, or a sentence about parameters that cannot be. `secret` is the `K` of RFC 9106 §3.1, and
    /// empty without one.
    fn tag(&mut self, cost: Cost, password: &[u8], salt: &[u8], secret: &[u8]) -> Result<[u8; TAG], String>;
}

/// `argon2-rust`: SIMD chosen at run time, memory reused.
#[derive(Default)]
pub(super) struct Fast(Option<(Cost, Hasher)>);

impl Engine for Fast {
    fn tag(&mut self, cost: Cost, password: &[u8], salt: &[u8], secret: &[u8]) -> Result<[u8; TAG], String> {
        let mut tag = [0; TAG];
        let argon2 = || -> Result<Argon2, String> {
            let params = Params::builder()
                .memory(Memory::kib(u64::from(cost.memory_kib)))
                .passes(cost.passes)
                .lanes(cost.lanes)
                .threads(1)
                .tag_len(TagLen::bytes(TAG as u64))
                .build()
                .map_err(|error| error.to_string())?;
            Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
        };
        let hasher = match &mut self.0 {
            Some((known, hasher)) => {
                if *known != cost {
                    hasher.set_argon2(argon2()?);
                    *known = cost;
                }
                hasher
            }
            none => &mut none.insert((cost, argon2()?.hasher())).1,
        };
        hasher.hash_into_with_ad(password, salt, secret, &[], &mut tag).map_err(|error| error.to_string())?;
        Ok(tag)
    }
}

/// RustCrypto's `argon2`, memory reused.
#[derive(Default)]
pub(super) struct Portable(Vec<Block>);

impl Engine for Portable {
    fn tag(&mut self, cost: Cost, password: &[u8], salt: &[u8], secret: &[u8]) -> Result<[u8; TAG], String> {
        let mut tag = [0; TAG];
        let params = argon2::Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(TAG))
            .map_err(|error| error.to_string())?;
        let blocks = params.block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::default());
        }
        let (kind, version) = (argon2::Algorithm::Argon2id, argon2::Version::V0x13);
        let argon2 = argon2::Argon2::new_with_secret(secret, kind, version, params)
            .map_err(|error| error.to_string())?;
        argon2
            .hash_password_into_with_memory(password, salt, &mut tag, &mut self.0)
            .map_err(|error| error.to_string())?;
        Ok(tag)
    }
}

/// The engine that the settings ask for, after it has shown that it computes what it should.
pub(super) fn engine(portable: bool) -> Result<Box<dyn Engine>, String> {
    let mut engine: Box<dyn Engine> =
        if portable { Box::<Portable>::default() } else { Box::<Fast>::default() };
    let cost = Cost { memory_kib: 64, passes: 2, lanes: 1 };
    if engine.tag(cost, b"password", b"somesaltsomesalt", b"")? != KNOWN {
        return Err("the password-hashing engine does not compute Argon2id on this machine; set hashing.portable = true".into());
    }
    Ok(engine)
}

/// Argon2id of `password` with `somesaltsomesalt`, 64 KiB, two passes, one lane, as the reference
/// implementation computes it.
const KNOWN: [u8; TAG] = [
    0x1a, 0x98, 0xfb, 0xa8, 0xe6, 0x39, 0x44, 0x25, 0xc9, 0xbd, 0xc3, 0x33, 0xa9, 0xc7, 0x50, 0xaa, 0xf8,
    0x11, 0xdf, 0x07, 0x0f, 0x5f, 0xb4, 0xa5, 0x78, 0x8e, 0x1c, 0xf4, 0xdb, 0x57, 0x93, 0xa1,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn both_engines_compute_the_same(
            password in prop::collection::vec(any::<u8>(), 0..200),
            salt in prop::collection::vec(any::<u8>(), 8..40),
            secret in prop::collection::vec(any::<u8>(), 0..40),
            memory_kib in 8_u32..300,
            passes in 1_u32..4,
            lanes in 1_u32..3,
        ) {
            let cost = Cost { memory_kib: memory_kib.max(8 * lanes), passes, lanes };
            let (mut fast, mut portable) = (Fast::default(), Portable::default());
            for _ in 0..2 {
                let tag = fast.tag(cost, &password, &salt, &secret).unwrap();
                prop_assert_eq!(tag, portable.tag(cost, &password, &salt, &secret).unwrap());
            }
        }
    }

    #[test]
    fn memory_of_another_size_is_taken_in_stride() {
        let (mut fast, mut portable) = (Fast::default(), Portable::default());
        for memory_kib in [64, 1_024, 32, 256] {
            let cost = Cost { memory_kib, passes: 1, lanes: 1 };
            let tag = fast.tag(cost, b"p", b"somesalt", b"").unwrap();
            assert_eq!(tag, portable.tag(cost, b"p", b"somesalt", b"").unwrap());
        }
    }
}
