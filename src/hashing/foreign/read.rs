//! Reading the hashes of others, as PHC, crypt(3), passlib, Django, Werkzeug, Supabase and Kratos write them.

use std::num::NonZeroU32;

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD_NO_PAD};

use super::{Bcrypt, Foreign, Prf, Scrypt, Why};
use crate::hashing::engine::{Cost, MOST_MEMORY};
use crate::text::from_hex;

/// bcrypt's own base64. Its salts end in the middle of a character; what its other bits are is nobody's
/// business, and some that made salts left them set.
const CRYPT: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// Longest text that is looked at.
const LONGEST: usize = 1_024;

/// Highest cost of bcrypt: each step doubles the time, and 14 takes about a second. The format goes on to
/// 31, which takes days.
const MOST_BCRYPT: u32 = 14;

/// Most rounds of PBKDF2 over all blocks of output: about a second. OWASP's most is 1,400,000 (SHA-1).
const MOST_ROUNDS: u64 = 5_000_000;

/// Most `N·r·p` of scrypt, which is its time: four times OWASP's 2^17·8·1, about a second.
const MOST_SCRYPT: u64 = 1 << 22;

/// Reads a hash in any form that is known.
///
/// # Errors
/// Why it cannot be taken.
pub fn read(text: &str) -> Result<Foreign, Why> {
    let text = text.trim();
    if text.len() > LONGEST {
        return Err(Why::Unknown);
    }
    // Django puts the name of its hasher in front of what others wrote.
    let argon2s = text.strip_prefix("argon2").filter(|rest| rest.starts_with("$argon2"));
    let bcrypts = || text.strip_prefix("bcrypt$").filter(|rest| rest.starts_with("$2"));
    let text = argon2s.or_else(bcrypts).unwrap_or(text);
    let phc = text.starts_with('$');
    let parts: Vec<&str> = text.strip_prefix('$').unwrap_or(text).split('$').collect();
    match (phc, parts.as_slice()) {
        (true, [kind @ ("argon2id" | "argon2i" | "argon2d"), rest @ ..]) => argon2(kind, rest),
        (true, ["2a" | "2b" | "2x" | "2y", ..]) => crypt(text, false),
        (false, ["bcrypt_sha256", ..]) => crypt(text.trim_start_matches("bcrypt_sha256$"), true),
        (true, ["scrypt", params, salt, tag]) => {
            let params = Params::new("scrypt", params)?.scrypt(&[])?;
            scrypt(params, b64("scrypt", salt)?, b64("scrypt", tag)?)
        }
        // Django: the salt is text.
        (false, ["scrypt", n, salt, r, p, tag]) => {
            let params = numbers("scrypt", [n, r, p])?;
            scrypt(power(params)?, salt.as_bytes().to_vec(), b64("scrypt", tag)?)
        }
        // lambdaworks: one number in hexadecimal.
        (true, ["s0", params, salt, tag]) => {
            let params = u32::from_str_radix(params, 16).map_err(|_| Why::Malformed("scrypt"))?;
            let log_n = u8::try_from(params >> 16).map_err(|_| Why::TooCostly("scrypt"))?;
            let params = Scrypt { log_n, r: (params >> 8) & 0xff, p: params & 0xff };
            scrypt(params, b64("scrypt", salt)?, b64("scrypt", tag)?)
        }
        (true, ["firebase-scrypt" | "fbscrypt" | "firescrypt", params, rest @ ..]) => firebase(params, rest),
        (true, [name, params, salt, tag]) if name.starts_with("pbkdf2") => {
            let name = name.strip_prefix("pbkdf2-").unwrap_or(if *name == "pbkdf2" { "sha1" } else { "" });
            let (salt, tag) = (b64("PBKDF2", salt)?, b64("PBKDF2", tag)?);
            let rounds = if params.contains('=') {
                let mut params = Params::new("PBKDF2", params)?;
                let rounds = params.number(&["i"])?;
                let length = params.take(&["l"]).map(|length| length.parse());
                if length.is_some_and(|length| length != Ok(tag.len())) {
                    return Err(Why::Malformed("PBKDF2"));
                }
                params.end()?;
                rounds
            } else {
                number("PBKDF2", params)?
            };
            pbkdf2(name, rounds, salt, tag)
        }
        // Django: the salt is text.
        (false, [name, rounds, salt, tag]) if name.starts_with("pbkdf2_") => {
            let name = name.trim_start_matches("pbkdf2_");
            pbkdf2(name, number("PBKDF2", rounds)?, salt.as_bytes().to_vec(), b64("PBKDF2", tag)?)
        }
        // Werkzeug: the salt is text, the hash hexadecimal.
        (false, [head, salt, tag]) => {
            let salt = salt.as_bytes().to_vec();
            let head: Vec<&str> = head.split(':').collect();
            match head.as_slice() {
                ["pbkdf2", prf, rounds] => {
                    let tag = from_hex(tag).ok_or(Why::Malformed("PBKDF2"))?;
                    pbkdf2(prf, number("PBKDF2", rounds)?, salt, tag)
                }
                ["scrypt", n, r, p] => {
                    let tag = from_hex(tag).ok_or(Why::Malformed("scrypt"))?;
                    scrypt(power(numbers("scrypt", [n, r, p])?)?, salt, tag)
                }
                _ => Err(Why::Unknown),
            }
        }
        _ => Err(Why::Unknown),
    }
}

fn argon2(kind: &str, rest: &[&str]) -> Result<Foreign, Why> {
    const NAME: &str = "Argon2";
    let kind = kind.parse().map_err(|_| Why::Malformed(NAME))?;
    // Without a version it is the one before there were versions.
    let (version, rest) = match rest {
        ["v=19", rest @ ..] => (argon2::Version::V0x13, rest),
        ["v=16", rest @ ..] => (argon2::Version::V0x10, rest),
        rest => (argon2::Version::V0x10, rest),
    };
    let [params, salt, tag] = rest else { return Err(Why::Malformed(NAME)) };
    let mut params = Params::new(NAME, params)?;
    let cost = Cost {
        memory_kib: params.number(&["m"])?,
        passes: params.number(&["t"])?,
        lanes: params.number(&["p"])?,
    };
    if params.take(&["keyid"]).or_else(|| params.take(&["data"])).is_some() {
        return Err(Why::Keyed(NAME));
    }
    params.end()?;
    let (salt, tag) = whole(NAME, b64(NAME, salt)?, b64(NAME, tag)?)?;
    if salt.len() < argon2::MIN_SALT_LEN {
        return Err(Why::Malformed(NAME));
    }
    if !cost.is_bounded() {
        return Err(Why::TooCostly(NAME));
    }
    Ok(Foreign::Argon2 { kind, version, cost, salt, tag })
}

fn crypt(text: &str, sha256: bool) -> Result<Foreign, Why> {
    const NAME: &str = "bcrypt";
    let read = || {
        let (version, rest) = text.strip_prefix("$2")?.split_once('$')?;
        let version = match version {
            "a" => Bcrypt::A,
            "b" => Bcrypt::B,
            "x" => Bcrypt::X,
            "y" => Bcrypt::Y,
            _ => return None,
        };
        let (cost, rest) = rest.split_once('$')?;
        let cost = (cost.len() == 2).then(|| number(NAME, cost).ok())?.filter(|cost| *cost >= 4)?;
        let (salt, tag) = rest.split_at_checked(22)?;
        let salt = CRYPT.decode(salt).ok()?.try_into().ok()?;
        let tag = CRYPT.decode(tag).ok().filter(|tag| tag.len() == 23)?;
        Some((version, cost, salt, tag))
    };
    let (version, cost, salt, tag) = read().ok_or(Why::Malformed(NAME))?;
    if cost > MOST_BCRYPT {
        return Err(Why::TooCostly(NAME));
    }
    Ok(Foreign::Bcrypt { version, sha256, cost, salt, tag })
}

fn scrypt(params: Scrypt, salt: Vec<u8>, tag: Vec<u8>) -> Result<Foreign, Why> {
    let (salt, tag) = whole("scrypt", salt, tag)?;
    bounded("scrypt", params)?;
    Ok(Foreign::Scrypt { params, salt, tag })
}

fn bounded(name: &'static str, params: Scrypt) -> Result<(), Why> {
    let Scrypt { log_n, r, p } = params;
    if log_n == 0 || r == 0 || p == 0 {
        return Err(Why::Malformed(name));
    }
    let n = 1_u64.checked_shl(u32::from(log_n)).unwrap_or(u64::MAX);
    let blocks = n.saturating_mul(u64::from(r));
    let memory = blocks.saturating_mul(128);
    if memory > u64::from(MOST_MEMORY) * 1_024 || blocks.saturating_mul(u64::from(p)) > MOST_SCRYPT {
        return Err(Why::TooCostly(name));
    }
    Ok(())
}

fn pbkdf2(prf: &str, rounds: u32, salt: Vec<u8>, tag: Vec<u8>) -> Result<Foreign, Why> {
    let prf = Prf::named(prf).ok_or(Why::Unknown)?;
    let (salt, tag) = whole("PBKDF2", salt, tag)?;
    let rounds = NonZeroU32::new(rounds).ok_or(Why::Malformed("PBKDF2"))?;
    let blocks = tag.len().div_ceil(prf.block()) as u64;
    if u64::from(rounds.get()) * blocks > MOST_ROUNDS {
        return Err(Why::TooCostly("PBKDF2"));
    }
    Ok(Foreign::Pbkdf2 { prf, rounds, salt, tag })
}

/// `$firebase-scrypt$ln=14,r=8,p=1[,ss=…][,sk=…]$salt$hash`; Supabase's `$fbscrypt$v=1,n=14,…` names its
/// parts otherwise, Kratos's `$firescrypt$ln=14,r=8,p=1$salt$hash$separator$signer` puts them elsewhere.
fn firebase(params: &str, rest: &[&str]) -> Result<Foreign, Why> {
    const NAME: &str = "Firebase";
    let mut params = Params::new(NAME, params)?;
    if params.take(&["v"]).is_some_and(|version| version != "1") {
        return Err(Why::Unknown);
    }
    let mut separator = params.take(&["ss"]).map(|text| b64(NAME, text)).transpose()?;
    let mut signer = params.take(&["sk"]).map(|text| b64(NAME, text)).transpose()?;
    let scrypt = params.scrypt(&["n"])?;
    let (salt, tag) = match rest {
        [salt, tag] => (salt, tag),
        [salt, tag, last @ .., key] if last.len() == 1 && separator.is_none() && signer.is_none() => {
            separator = last.first().map(|text| b64(NAME, text)).transpose()?;
            signer = Some(b64(NAME, key)?);
            (salt, tag)
        }
        _ => return Err(Why::Malformed(NAME)),
    };
    let (salt, tag) = whole(NAME, b64(NAME, salt)?, b64(NAME, tag)?)?;
    bounded(NAME, scrypt)?;
    // The hash is the signer key, encrypted.
    if signer.as_ref().is_some_and(|signer| signer.len() != tag.len()) {
        return Err(Why::Malformed(NAME));
    }
    Ok(Foreign::Firebase { params: scrypt, separator, signer, salt, tag })
}

/// `name=value,…`: each once, and none that nobody asked for.
struct Params<'a> {
    of: &'static str,
    left: Vec<(&'a str, &'a str)>,
}

impl<'a> Params<'a> {
    fn new(of: &'static str, text: &'a str) -> Result<Self, Why> {
        let left: Option<Vec<_>> = text.split(',').map(|part| part.split_once('=')).collect();
        Ok(Self { of, left: left.ok_or(Why::Malformed(of))? })
    }

    fn take(&mut self, names: &[&str]) -> Option<&'a str> {
        let at = self.left.iter().position(|(name, _)| names.contains(name))?;
        Some(self.left.remove(at).1)
    }

    fn number(&mut self, names: &[&str]) -> Result<u32, Why> {
        number(self.of, self.take(names).ok_or(Why::Malformed(self.of))?)
    }

    /// The three of scrypt; `also` is another name for `ln`.
    fn scrypt(mut self, also: &[&str]) -> Result<Scrypt, Why> {
        let log_n = self.number(&[&["ln"], also].concat())?;
        let log_n = u8::try_from(log_n).map_err(|_| Why::TooCostly(self.of))?;
        let params = Scrypt { log_n, r: self.number(&["r"])?, p: self.number(&["p"])? };
        self.end()?;
        Ok(params)
    }

    fn end(&self) -> Result<(), Why> {
        if self.left.is_empty() { Ok(()) } else { Err(Why::Malformed(self.of)) }
    }
}

/// A salt and a hash of bearable length.
fn whole(name: &'static str, salt: Vec<u8>, tag: Vec<u8>) -> Result<(Vec<u8>, Vec<u8>), Why> {
    if !(1..=128).contains(&salt.len()) {
        return Err(Why::Salt(name));
    }
    if !(16..=128).contains(&tag.len()) {
        return Err(Why::Length(name));
    }
    Ok((salt, tag))
}

/// `N`, `r`, `p` where `N` is written out; it must be a power of two (RFC 7914 §2).
fn power([n, r, p]: [u32; 3]) -> Result<Scrypt, Why> {
    let log_n = n.is_power_of_two().then(|| n.ilog2()).and_then(|log_n| u8::try_from(log_n).ok());
    Ok(Scrypt { log_n: log_n.ok_or(Why::Malformed("scrypt"))?, r, p })
}

fn number(name: &'static str, text: &str) -> Result<u32, Why> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Why::Malformed(name));
    }
    // All digits, and yet not a number that fits: absurdly large.
    text.parse().map_err(|_| Why::TooCostly(name))
}

fn numbers<const N: usize>(name: &'static str, texts: [&str; N]) -> Result<[u32; N], Why> {
    let mut out = [0; N];
    for (to, text) in out.iter_mut().zip(texts) {
        *to = number(name, text)?;
    }
    Ok(out)
}

fn b64(name: &'static str, text: &str) -> Result<Vec<u8>, Why> {
    base64(text).ok_or(Why::Malformed(name))
}

/// Base64 as others write it: with or without padding, `+/`, `-_` or passlib's `./`.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let plain = |c: char| match c {
        '.' | '-' => '+',
        '_' => '/',
        c => c,
    };
    STANDARD_NO_PAD.decode(text.trim_end_matches('=').chars().map(plain).collect::<String>()).ok()
}
