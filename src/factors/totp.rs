//! Time-based one-time codes (RFC 6238): what an authenticator app shows.
//!
//! SHA-1, six digits, 30 seconds: what every app understands. The key has 160 bits (NIST SP 800-63B-4
//! §3.1.4 asks for 112). A step is accepted once, and no step before it ever again.

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;

use crate::clock::Timestamp;
use crate::secret::same;

/// Bytes of a key.
pub const KEY: usize = 20;

/// Seconds that a code is shown for.
const STEP: i64 = 30;

/// Digits of a code.
const DIGITS: usize = 6;

/// The code of a step.
fn code(key: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    // RFC 4226 §5.3: the low four bits of the last byte say where to read.
    let tag = tag.as_ref();
    let at = usize::from(tag.last().copied().unwrap_or(0) & 0x0f);
    let four = tag.iter().skip(at).take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    format!("{:0DIGITS$}", (four & 0x7fff_ffff) % 1_000_000)
}

/// The step that `given` is the code of, when it is one that is accepted at `now`: the present one, or
/// the one before or after it, for clocks that are a little off and people who type slowly; and later
/// than the `last` that was accepted.
pub fn accepts(key: &[u8], given: &str, last: Option<i64>, now: Timestamp) -> Option<i64> {
    let present = now.as_millis().div_euclid(1_000).div_euclid(STEP);
    let mut found = None;
    // All three are always compared: which of them is right does not show in the time.
    for step in [present - 1, present, present + 1] {
        let right = same(code(key, step).as_bytes(), given.as_bytes());
        if right && last.is_none_or(|last| step > last) && found.is_none() {
            found = Some(step);
        }
    }
    found
}

/// Base 32 (RFC 4648 §6) without padding: how a key is shown to people and apps.
pub fn base32(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes)
}

/// Reads the key that an app was given elsewhere. None for what is no base 32 or not of 10 to 64 bytes: with an empty
/// key everybody's code would be right.
pub fn given_key(text: &str) -> Option<Vec<u8>> {
    from_base32(text).filter(|key| (10..=64).contains(&key.len()))
}

/// Reads base 32 as people and other systems write it: in either case, with spaces, dashes and padding.
fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut buffer, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for letter in text.trim().trim_end_matches('=').bytes().filter(|byte| !b" -".contains(byte)) {
        let value = match letter.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        buffer = (buffer << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(buffer >> bits).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    Some(out)
}

/// The address that an authenticator app reads from a QR code (the Key URI format).
pub fn uri(key: &[u8], issuer: &str, account: &str) -> String {
    let (issuer, account) = (escaped(issuer), escaped(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}",
        base32(key)
    )
}

fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238_appendix_b() {
        for (seconds, eight) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(code(KEY, seconds / STEP), eight[2..], "{seconds}");
        }
    }

    #[test]
    fn base_32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_uri_cannot_be_broken_by_what_stands_in_it() {
        let uri = uri(KEY, "id.example.com", "ada&secret=x/:?# é");
        assert!(
            uri.starts_with("otpauth://totp/id.example.com:ada%26secret%3Dx%2F%3A%3F%23%20%C3%A9?secret=")
        );
        assert_eq!(uri.matches("secret=").count(), 1);
    }

    proptest! {
        #[test]
        fn a_step_is_accepted_once_and_none_before_it(now in 0_i64..4_000_000_000, moves in proptest::collection::vec(-90_i64..90, 1..12)) {
            // Whatever the clock does, also backwards, the accepted steps only rise.
            let (mut now, mut last) = (now, None);
            for by in moves {
                let shown = code(KEY, now.div_euclid(STEP));
                if let Some(step) = accepts(KEY, &shown, last, at(now)) {
                    prop_assert!(last.is_none_or(|last| step > last));
                    last = Some(step);
                    prop_assert_eq!(accepts(KEY, &shown, last, at(now)), None);
                }
                now = (now + by).max(0);
            }
        }

        #[test]
        fn only_the_present_step_and_its_neighbours_count(now in 0_i64..4_000_000_000, off in 2_i64..1_000) {
            let step = now.div_euclid(STEP);
            let neighbours = [code(KEY, step - 1), code(KEY, step), code(KEY, step + 1)];
            for far in [step - off, step + off] {
                let far = code(KEY, far);
                prop_assert!(neighbours.contains(&far) || accepts(KEY, &far, None, at(now)).is_none());
            }
        }
    }
}
