//! How requests to the operator's own addresses are signed.

use aws_lc_rs::hmac;

use crate::clock::Timestamp;
use crate::secret::Secret;

/// The header of the signature.
pub const SIGNATURE: &str = "vestibule-signature";

/// `t=<seconds since 1970>,v1=<hex of HMAC-SHA256 over "t.body">`: with the time in it, a copy of a
/// request can be told from a fresh one.
pub fn sign(secret: &Secret, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.as_millis() / 1_000;
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()));
    signing.update(format!("{seconds}.").as_bytes());
    signing.update(body);
    let tag = signing.sign();
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
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
}
