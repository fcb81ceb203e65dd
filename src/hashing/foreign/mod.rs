//! Hashes that other systems made: what they are, how they are written here, whether a password is theirs.
//!
//! Only what [`read`] lets through is computed: its bounds keep any stored row below about a second and
//! 256 MiB. Hashes without a slow function (MD5, a bare SHA) are not taken at all.

mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{digest, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::engine::Cost;
use crate::secret::{Secret, same};
use crate::text::hex;

pub(super) use read::read;

/// Why a hash cannot be taken. Never shows any of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Why {
    /// No format that is known.
    #[error("this is none of Argon2, bcrypt, scrypt, PBKDF2 and Firebase's scrypt in a form that is known")]
    Unknown,
    /// A known format, with something missing or spoilt.
    #[error("this {0} hash is malformed")]
    Malformed(&'static str),
    /// More than a sign-in may cost.
    #[error("this {0} hash asks for more time or memory than a sign-in may take")]
    TooCostly(&'static str),
    /// So short a hash is that of many passwords.
    #[error("this {0} hash has fewer than 16 bytes or more than 128")]
    Length(&'static str),
    /// A salt that is missing, or longer than 128 bytes.
    #[error("this {0} hash has no salt, or one of more than 128 bytes")]
    Salt(&'static str),
    /// Hashed with a secret of the other system.
    #[error("this {0} hash was made with a secret key that is not in it")]
    Keyed(&'static str),
}

/// The hash of another system.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Foreign {
    Argon2 {
        kind: argon2::Algorithm,
        version: argon2::Version,
        cost: Cost,
        salt: Vec<u8>,
        tag: Vec<u8>,
    },
    Bcrypt {
        version: Bcrypt,
        sha256: bool,
        cost: u32,
        salt: [u8; 16],
        tag: Vec<u8>,
    },
    Scrypt {
        params: Scrypt,
        salt: Vec<u8>,
        tag: Vec<u8>,
    },
    Pbkdf2 {
        prf: Prf,
        rounds: NonZeroU32,
        salt: Vec<u8>,
        tag: Vec<u8>,
    },
    Firebase {
        params: Scrypt,
        separator: Option<Vec<u8>>,
        signer: Option<Vec<u8>>,
        salt: Vec<u8>,
        tag: Vec<u8>,
    },
}

/// The letter of `$2b$`. They differ in bugs that were mended, see [`Foreign::matches`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bcrypt {
    A,
    B,
    X,
    Y,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Scrypt {
    pub log_n: u8,
    pub r: u32,
    pub p: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prf {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// What bcrypt looks at of a password, in bytes.
const BCRYPT_READS: usize = 72;

/// What all of an installation's Firebase hashes share (the project's hash parameters); wiped when
/// dropped.
#[derive(Clone, Default)]
pub struct Firebase {
    signer: Zeroizing<Vec<u8>>,
    separator: Vec<u8>,
}

impl Firebase {
    /// Reads the project's `base64_signer_key` and `base64_salt_separator`; empty: not known.
    ///
    /// # Errors
    /// A sentence that does not show them.
    pub fn parse(signer: &Secret, separator: &str) -> Result<Self, String> {
        let decode =
            |name: &str, text: &str| read::base64(text.trim()).ok_or(format!("{name} is not base64"));
        let signer = Zeroizing::new(decode("secrets.firebase_signer_key", signer.expose())?);
        Ok(Self { signer, separator: decode("secrets.firebase_salt_separator", separator)? })
    }
}

impl Foreign {
    /// Whether it is the hash of `password`.
    ///
    /// A password with a zero byte in it is nobody's here: bcrypt takes `ab` for `ab\0ab`, and HMAC
    /// (thus PBKDF2 and scrypt) `ab` for `ab\0`.
    ///
    /// # Errors
    /// A sentence for the operator, when something is missing to compute it.
    pub fn matches(&self, password: &[u8], project: &Firebase) -> Result<bool, String> {
        let right = match self {
            Self::Argon2 { kind, version, cost, salt, tag } => {
                let params = argon2::Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(tag.len()))
                    .map_err(|error| error.to_string())?;
                let mut computed = Zeroizing::new(vec![0; tag.len()]);
                argon2::Argon2::new(*kind, *version, params)
                    .hash_password_into(password, salt, &mut computed)
                    .map_err(|error| error.to_string())?;
                same(&computed, tag)
            }
            Self::Bcrypt { version, sha256, cost, salt, tag } => {
                let hashed: Zeroizing<Vec<u8>>;
                let given = if *sha256 {
                    hashed = Zeroizing::new(hex(digest::digest(&digest::SHA256, password)).into_bytes());
                    hashed.as_slice()
                } else {
                    password
                };
                let mut key = Zeroizing::new(Vec::with_capacity(BCRYPT_READS));
                key.extend(given.iter().take(BCRYPT_READS));
                if key.len() < BCRYPT_READS {
                    key.push(0);
                }
                let computed = bcrypt::bcrypt(*cost, *salt, &key);
                // `$2x$` marks hashes of crypt_blowfish before 1.1, which read bytes above 127 wrongly, so
                // that many passwords share a hash. Those with ASCII only were always right.
                let trusted = *version != Bcrypt::X || password.is_ascii();
                // The last byte of the 24 is never stored.
                trusted && computed.split_last().is_some_and(|(_, computed)| same(computed, tag))
            }
            Self::Scrypt { params, salt, tag } => same(&params.derive(password, salt, tag.len())?, tag),
            Self::Pbkdf2 { prf, rounds, salt, tag } => {
                let mut computed = Zeroizing::new(vec![0; tag.len()]);
                pbkdf2::derive(prf.algorithm(), *rounds, salt, password, &mut computed);
                same(&computed, tag)
            }
            Self::Firebase { params, separator, signer, salt, tag } => {
                let signer = signer.as_deref().unwrap_or(&project.signer);
                if signer.is_empty() {
                    return Err("a Firebase hash needs secrets.firebase_signer_key".into());
                }
                let separator = separator.as_deref().unwrap_or(&project.separator);
                let key = params.derive(password, &[salt, separator].concat(), 32)?;
                same(&aes_ctr(&key, signer).ok_or("AES-256-CTR failed")?, tag)
            }
        };
        Ok(right && !password.contains(&0))
    }

    /// Whether it is the hash of all of `password`. bcrypt's is that of the first 72 bytes.
    pub fn covers(&self, password: &[u8]) -> bool {
        !matches!(self, Self::Bcrypt { sha256: false, .. }) || password.len() <= BCRYPT_READS
    }
}

impl Scrypt {
    fn derive(self, password: &[u8], salt: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, String> {
        let params = scrypt::Params::new(self.log_n, self.r, self.p).map_err(|error| error.to_string())?;
        let mut key = Zeroizing::new(vec![0; length]);
        scrypt::scrypt(password, salt, &params, &mut key).map_err(|error| error.to_string())?;
        Ok(key)
    }
}

impl Prf {
    fn algorithm(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha384 => pbkdf2::PBKDF2_HMAC_SHA384,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    /// Bytes of one block of output.
    fn block(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|prf| prf.name() == name)
    }
}

/// Firebase's last step: the signer key, encrypted under the derived key with a counter from zero.
fn aes_ctr(key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let mut out = text.to_vec();
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    key.less_safe_encrypt(&mut out, EncryptionContext::Iv128(FixedLength::from([0; 16]))).ok()?;
    Some(out)
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b64 = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
        match self {
            Self::Argon2 { kind, version, cost, salt, tag } => {
                let (kind, version) = (kind.as_str(), u32::from(*version));
                let Cost { memory_kib, passes, lanes } = cost;
                let (salt, tag) = (b64(salt), b64(tag));
                write!(f, "${kind}$v={version}$m={memory_kib},t={passes},p={lanes}${salt}${tag}")
            }
            Self::Bcrypt { version, sha256, cost, salt, tag } => {
                let letter = match version {
                    Bcrypt::A => 'a',
                    Bcrypt::B => 'b',
                    Bcrypt::X => 'x',
                    Bcrypt::Y => 'y',
                };
                let before = if *sha256 { "bcrypt_sha256$" } else { "" };
                let (salt, tag) = (bcrypt::BASE_64.encode(salt), bcrypt::BASE_64.encode(tag));
                write!(f, "{before}$2{letter}${cost:02}${salt}{tag}")
            }
            Self::Scrypt { params: Scrypt { log_n, r, p }, salt, tag } => {
                write!(f, "$scrypt$ln={log_n},r={r},p={p}${}${}", b64(salt), b64(tag))
            }
            Self::Pbkdf2 { prf, rounds, salt, tag } => {
                write!(f, "$pbkdf2-{}$i={rounds}${}${}", prf.name(), b64(salt), b64(tag))
            }
            Self::Firebase { params: Scrypt { log_n, r, p }, separator, signer, salt, tag } => {
                write!(f, "$firebase-scrypt$ln={log_n},r={r},p={p}")?;
                for (name, value) in [("ss", separator), ("sk", signer)] {
                    if let Some(value) = value {
                        write!(f, ",{name}={}", b64(value))?;
                    }
                }
                write!(f, "${}${}", b64(salt), b64(tag))
            }
        }
    }
}
