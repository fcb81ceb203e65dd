//! One signing key: made, parsed once, signing, checking, shown as a JWK.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{self, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::random;
use crate::store::text_enum;

text_enum! {
    /// How tokens are signed (RFC 7518 §3.1, RFC 8037). Never `none`, and nothing symmetric.
    pub enum Algorithm {
        /// ECDSA on P-256 with SHA-256: short and quick to sign.
        Es256 = "ES256",
        /// Ed25519: shorter still, not known to every client.
        EdDsa = "EdDSA",
        /// RSA with 2048 bits, PKCS #1 v1.5, SHA-256: known to every client, slow to sign.
        Rs256 = "RS256",
    }
}

text_enum! {
    /// What a token is for: its `typ`. What is signed for one purpose is never taken for another
    /// (RFC 8725 §3.11).
    pub enum Purpose {
        /// An access token (RFC 9068 §2.1).
        Access = "at+jwt",
        /// What the feed of revocations says.
        Revocations = "revocations+jwt",
    }
}

/// The coordinates of a point on P-256.
const COORDINATE: usize = 32;

/// A key that was just made.
pub struct Generated {
    /// PKCS #8.
    pub private: Zeroizing<Vec<u8>>,
    /// The public half as a JWK, without its name.
    pub public: Json,
}

enum Signer {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<rsa::KeyPair>),
}

/// A signing key, parsed.
pub struct Key {
    /// How it signs.
    pub algorithm: Algorithm,
    /// The header of its access tokens, in base64url.
    pub header: String,
    /// The header of what it signs for the feed, in base64url.
    feed_header: String,
    pub(super) jwk: Json,
    /// None when the private half cannot be opened here.
    signer: Option<Signer>,
    public: ParsedPublicKey,
    /// From when until when it signs.
    signs: (Timestamp, Option<Timestamp>),
    /// When what it signed no longer counts.
    ends: Option<Timestamp>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {:?})", self.algorithm, self.jwk.get("kid"))
    }
}

/// Makes a key. The randomness is the crypto library's own, from the operating system.
///
/// # Errors
/// When the library cannot: nothing that asking again would change.
pub fn generate(algorithm: Algorithm) -> Result<Generated, aws_lc_rs::error::Unspecified> {
    let (private, public) = match algorithm {
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
            (pair.to_pkcs8v1()?.as_ref().to_vec(), of_point(pair.public_key().as_ref()))
        }
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate()?;
            let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
            (pair.to_pkcs8()?.as_ref().to_vec(), Some(json!({"kty": "OKP", "crv": "Ed25519", "x": x})))
        }
        Algorithm::Rs256 => {
            let pair = rsa::KeyPair::generate(KeySize::Rsa2048)?;
            let private = AsDer::<Pkcs8V1Der<'static>>::as_der(&pair)?.as_ref().to_vec();
            (private, of_rsa(pair.public_key().as_ref()))
        }
    };
    Ok(Generated { private: private.into(), public: public.ok_or(aws_lc_rs::error::Unspecified)? })
}

/// The JWK of an uncompressed point (SEC 1 §2.3.3; RFC 7518 §6.2).
fn of_point(point: &[u8]) -> Option<Json> {
    let (x, y) = point.strip_prefix(&[4])?.split_at_checked(COORDINATE)?;
    let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    Some(json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)}))
}

/// The JWK of an `RSAPublicKey` (RFC 8017 §A.1.1): a sequence of two integers, in DER.
fn of_rsa(der: &[u8]) -> Option<Json> {
    let (sequence, _) = element(der, 0x30)?;
    let (n, rest) = element(sequence, 0x02)?;
    let (e, _) = element(rest, 0x02)?;
    // An integer whose first bit is set has a zero before it.
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes.strip_prefix(&[0]).unwrap_or(bytes));
    Some(json!({"kty": "RSA", "n": text(n), "e": text(e)}))
}

/// The content of the first element of `der`, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        _ => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (
                length
                    .iter()
                    .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?,
                rest,
            )
        }
    };
    rest.split_at_checked(length)
}

fn bytes(jwk: &Json, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok()
}

fn public(algorithm: Algorithm, jwk: &Json) -> Option<ParsedPublicKey> {
    match algorithm {
        Algorithm::Es256 => {
            let point = [&[4_u8][..], &bytes(jwk, "x")?, &bytes(jwk, "y")?].concat();
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()
        }
        Algorithm::EdDsa => ParsedPublicKey::new(&ED25519, bytes(jwk, "x")?).ok(),
        Algorithm::Rs256 => PublicKeyComponents { n: bytes(jwk, "n")?, e: bytes(jwk, "e")? }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .ok(),
    }
}

fn signer(algorithm: Algorithm, private: &[u8]) -> Option<Signer> {
    match algorithm {
        Algorithm::Es256 => {
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).ok().map(Signer::Es256)
        }
        Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(private).ok().map(Signer::EdDsa),
        Algorithm::Rs256 => rsa::KeyPair::from_pkcs8(private).ok().map(|pair| Signer::Rs256(Box::new(pair))),
    }
}

impl Key {
    /// A key from its stored halves; the private one may be missing. None when the public one cannot be read.
    pub fn parse(
        id: Uuid,
        algorithm: Algorithm,
        private: Option<&[u8]>,
        public_half: &Json,
        signs: (Timestamp, Option<Timestamp>),
        ends: Option<Timestamp>,
    ) -> Option<Self> {
        let mut jwk = public_half.clone();
        let named = jwk.as_object_mut()?;
        named.insert("kid".to_owned(), id.to_string().into());
        named.insert("alg".to_owned(), algorithm.as_str().into());
        named.insert("use".to_owned(), "sig".into());
        let header = |purpose: Purpose| {
            URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":"{purpose}","kid":"{id}"}}"#))
        };
        Some(Self {
            algorithm,
            header: header(Purpose::Access),
            feed_header: header(Purpose::Revocations),
            signer: private.and_then(|private| signer(algorithm, private)),
            public: public(algorithm, public_half)?,
            jwk,
            signs,
            ends,
        })
    }

    /// A key as it is published (RFC 7517): it checks and does not sign. None for a key of another kind.
    pub fn published(jwk: &Json) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Json::as_str);
        let algorithm = Algorithm::ALL.iter().find(|known| Some(known.as_str()) == text("alg"))?;
        let id = Uuid::parse_str(text("kid")?).ok()?;
        Self::parse(id, *algorithm, None, jwk, (Timestamp::from_millis(0), None), None)
    }

    /// The header of what it signs for `purpose`, in base64url.
    pub fn header_for(&self, purpose: Purpose) -> &str {
        match purpose {
            Purpose::Access => &self.header,
            Purpose::Revocations => &self.feed_header,
        }
    }

    pub(super) fn signs_at(&self, now: Timestamp) -> bool {
        let (from, until) = self.signs;
        self.signer.is_some() && from <= now && until.is_none_or(|until| now < until) && self.counts_at(now)
    }

    pub(super) fn counts_at(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|end| now < end)
    }

    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(signed, signature).is_ok()
    }

    /// An access token with this content. None without the private half.
    pub fn sign(&self, payload: &[u8]) -> Option<String> {
        self.sign_for(Purpose::Access, payload)
    }

    /// A token for `purpose` with this content. None without the private half.
    pub fn sign_for(&self, purpose: Purpose, payload: &[u8]) -> Option<String> {
        let mut token = format!("{}.{}", self.header_for(purpose), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }

    /// The signature of these bytes (RFC 7515 §5.1). None without the private half.
    pub fn signature(&self, signed: &[u8]) -> Option<Vec<u8>> {
        let random = random::system();
        match self.signer.as_ref()? {
            Signer::Es256(pair) => {
                pair.sign(&random, signed).ok().map(|signature| signature.as_ref().to_vec())
            }
            Signer::EdDsa(pair) => Some(pair.sign(signed).as_ref().to_vec()),
            Signer::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &'static dyn signature::RsaEncoding = &RSA_PKCS1_SHA256;
                pair.sign(padding, &random, signed, &mut signature).ok().map(|()| signature)
            }
        }
    }
}
