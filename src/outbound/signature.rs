//! How requests to the operator's own addresses are signed, and what they send back.

use std::time::Duration;

use aws_lc_rs::hmac;

use crate::clock::Timestamp;
use crate::secret::{Secret, same};
use crate::text::hex;

/// The header of the signature.
pub const SIGNATURE: &str = "vestibule-signature";

/// `t=<seconds since 1970>,v1=<hex of HMAC-SHA256 over "t.body">`: with the time in it, a copy of a
/// request can be told from a fresh one.
pub fn sign(secret: &Secret, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.as_millis() / 1_000;
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()));
    signing.update(format!("{seconds}.").as_bytes());
    signing.update(body);
    format!("t={seconds},v1={}", hex(signing.sign()))
}

/// How old a signed request may be, and how far its sender's clock may be ahead.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// Whether `given` is such a signature of `body`, not older than five minutes.
pub fn verify(secret: &Secret, given: &str, now: Timestamp, body: &[u8]) -> bool {
    let seconds = given.strip_prefix("t=").and_then(|rest| rest.split(',').next());
    let Some(seconds) = seconds.and_then(|seconds| seconds.parse::<i64>().ok()) else { return false };
    let Some(sent) = seconds.checked_mul(1_000).map(Timestamp::from_millis) else { return false };
    let is_fresh = sent.since(now) <= FRESH && now.since(sent) <= FRESH;
    // An empty secret is none, and signs nothing.
    is_fresh && !secret.expose().is_empty() && same(sign(secret, sent, body).as_bytes(), given.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_in_the_documents() {
        let now = Timestamp::from_millis(1_893_456_000_999);
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        // printf '1893456000.{"id":"1"}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let known = "t=1893456000,v1=4ac4745e2f17897e0e93d42e374cf334b5929b26a4505beb6c49f26ed6899252";
        assert_eq!(sign(&secret, now, br#"{"id":"1"}"#), known);
        assert_ne!(sign(&secret, now, br#"{"id":"2"}"#), known);
    }

    #[test]
    fn a_signature_is_good_for_its_body_and_for_five_minutes() {
        let at = |seconds: i64| Timestamp::from_millis((1_893_456_000 + seconds) * 1_000);
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        let good = sign(&secret, at(0), b"{}");
        for seconds in [-300, 0, 300] {
            assert!(verify(&secret, &good, at(seconds), b"{}"), "{seconds}");
        }
        for seconds in [-301, 301] {
            assert!(!verify(&secret, &good, at(seconds), b"{}"), "{seconds}");
        }
        assert!(!verify(&secret, &good, at(0), b"{ }"));
        assert!(!verify(&Secret::new("another"), &good, at(0), b"{}"));
        assert!(!verify(&Secret::default(), &sign(&Secret::default(), at(0), b"{}"), at(0), b"{}"));
        for wrong in [
            "",
            "t=",
            "t=1893456000",
            "t=1893456000,v1=",
            "t=99999999999999999999,v1=",
            "t=9223372036854775807,v1=a",
            &good.replace("t=1", "t=+1"),
            &good.to_uppercase(),
        ] {
            assert!(!verify(&secret, wrong, at(0), b"{}"), "{wrong}");
        }
    }
}
