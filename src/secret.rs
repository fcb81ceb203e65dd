//! Secrets: hidden from logs, hashed or sealed at rest, compared in one place.
//!
//! What always holds: whatever has 128 bits of chance or more is stored as its SHA-256; whatever
//! must be read again is sealed with AES-256-GCM for one owner and one kind, so that moving a sealed
//! value to another row does not open it; [`same`] is the only comparison, and takes the same time
//! wherever two values differ.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{self, Error};
use crate::random::{Random, Seed};
use crate::store::{Corrupt, Field, Kind, Value};

/// Text that must not be seen: it has no `Display` and no `Serialize`, its `Debug` says nothing, and
/// it is wiped when it is dropped.
#[derive(Clone, Default, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Shows it, to whoever must see it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string"})
    }
}

/// The one comparison of secrets. How long it takes depends on their lengths and on nothing else.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// The scheme and the credential of an `Authorization` header: spaces between them, one or more (RFC 9110 §11.4).
pub fn credential(header: &str) -> Option<(&str, &str)> {
    let (scheme, credential) = header.split_once(' ')?;
    Some((scheme, credential.trim_start_matches(' ')))
}

/// What a token is for. A token of one kind is never read as another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenKind {
    /// The credential of a session.
    Session,
    /// What a session carried as JWT is renewed with.
    Refresh,
    /// The secret of a registered client.
    Client,
    /// An API key of a service account.
    Key,
    /// Names a challenge.
    Challenge,
    /// A device that a user has signed in on.
    Device,
    /// The unguessable part of a provider's callback address.
    Callback,
    /// Takes something back.
    Undo,
    /// The right to set a new password.
    Recovery,
    /// The right to join an organisation.
    Invitation,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "vs_",
            Self::Refresh => "vr_",
            Self::Client => "vx_",
            Self::Key => "vk_",
            Self::Challenge => "vc_",
            Self::Device => "vd_",
            Self::Callback => "vm_",
            Self::Undo => "vu_",
            Self::Recovery => "vp_",
            Self::Invitation => "vi_",
        }
    }
}

const SECRET: usize = 32;
const ID: usize = 16;

/// An unguessable text that names a record: a prefix for its kind, then in base64url the record's
/// id (16 bytes) and 256 bits of chance.
#[derive(Clone)]
pub struct Token {
    /// What it is for.
    pub kind: TokenKind,
    /// The record that it names.
    pub id: Uuid,
    secret: Zeroizing<[u8; SECRET]>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?} {})", self.kind, self.id)
    }
}

impl Token {
    /// A new token for the record `id`, expanded from `seed`.
    pub fn new(kind: TokenKind, id: Uuid, seed: &Seed) -> Self {
        let secret = seed.bytes(&format!("token:{}{id}", kind.prefix()));
        Self { kind, id, secret: Zeroizing::new(secret) }
    }

    /// A token whose secret part is made elsewhere.
    pub fn of(kind: TokenKind, id: Uuid, secret: [u8; SECRET]) -> Self {
        Self { kind, id, secret: Zeroizing::new(secret) }
    }

    /// Its secret part, for whoever made it by [`Token::of`].
    pub(crate) fn secret(&self) -> &[u8; SECRET] {
        &self.secret
    }

    /// Reads a token of this kind. Anything else – another prefix, length or alphabet, space around
    /// it, a spelling that is not the one we write – is none.
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let body = text.strip_prefix(kind.prefix())?;
        let mut bytes = Zeroizing::new([0_u8; ID + SECRET]);
        let length = URL_SAFE_NO_PAD.decode_slice(body, bytes.as_mut_slice()).ok()?;
        let (id, secret) = bytes.split_first_chunk::<ID>()?;
        let secret: [u8; SECRET] = secret.try_into().ok()?;
        (length == ID + SECRET).then(|| Self {
            kind,
            id: Uuid::from_bytes(*id),
            secret: Zeroizing::new(secret),
        })
    }

    /// What is stored of it.
    pub fn digest(&self) -> Vec<u8> {
        self.hash().as_ref().to_vec()
    }

    /// Whether it is the one whose digest is stored.
    pub fn matches(&self, stored: &[u8]) -> bool {
        same(self.hash().as_ref(), stored)
    }

    fn hash(&self) -> digest::Digest {
        let parts = [self.kind.prefix().as_bytes(), self.id.as_bytes(), self.secret.as_slice()];
        digest::digest(&digest::SHA256, &Zeroizing::new(parts.concat()))
    }

    /// The text to hand out.
    pub fn reveal(&self) -> String {
        let mut bytes = Zeroizing::new(self.id.as_bytes().to_vec());
        bytes.extend_from_slice(self.secret.as_slice());
        format!("{}{}", self.kind.prefix(), URL_SAFE_NO_PAD.encode(&*bytes))
    }
}

/// Something sealed: the key's id, the nonce, the ciphertext.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

impl Sealed {
    /// The id of the key that sealed it.
    pub fn key(&self) -> Cow<'_, str> {
        let id = self.0.split_first().and_then(|(length, rest)| rest.get(..usize::from(*length)));
        String::from_utf8_lossy(id.unwrap_or_default())
    }
}

impl Field for Sealed {
    const KIND: Kind = Kind::Bytes;
    const SEALED: bool = true;
    fn to_value(&self) -> Value {
        Value::Bytes(self.0.clone())
    }
    fn from_value(value: Value) -> Result<Self, Corrupt> {
        Vec::from_value(value).map(Self)
    }
}

#[derive(Clone)]
struct SealingKey {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
    /// What was derived from it for keyed hashes, by purpose: deriving costs five times the hash itself.
    derived: Arc<RwLock<Vec<(&'static str, hmac::Key)>>>,
}

impl SealingKey {
    /// A keyed hash of `bytes` that serves one purpose only.
    fn tag(&self, purpose: &'static str, bytes: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        let mut sign = |derived: &[(&str, hmac::Key)]| {
            let (_, key) = derived.iter().find(|(known, _)| *known == purpose)?;
            tag.copy_from_slice(hmac::sign(key, bytes).as_ref());
            Some(())
        };
        if sign(&self.derived.read().unwrap_or_else(PoisonError::into_inner)).is_none() {
            let key = Salt::new(HKDF_SHA256, b"vestibule.tag").extract(self.bytes.as_slice());
            // HKDF refuses lengths over 255 blocks; this is one.
            if let Ok(okm) = key.expand(&[purpose.as_bytes()], hmac::HMAC_SHA256) {
                let mut derived = self.derived.write().unwrap_or_else(PoisonError::into_inner);
                // Somebody may have been quicker.
                if !derived.iter().any(|(known, _)| *known == purpose) {
                    derived.push((purpose, okm.into()));
                }
                sign(&derived);
            }
        }
        tag
    }
}

/// The sealing keys. The first seals, all open: to change keys, put a new one in front.
#[derive(Clone)]
pub struct Keyring(Vec<SealingKey>);

const NONCE: usize = 12;

impl Keyring {
    /// Reads keys of the form `id:base64`, 32 bytes each; an id is 1 to 16 of `a`–`z`, `0`–`9`, `-`.
    ///
    /// # Errors
    /// A sentence that says which key cannot be used and why, without showing it.
    pub fn parse(keys: &[Secret]) -> Result<Self, String> {
        let ring = named_keys("sealing key", keys)?;
        if ring.is_empty() {
            return Err("there is no sealing key; `vestibule keys generate` prints one".into());
        }
        Ok(Self(ring))
    }

    /// A fresh key in the form that [`Keyring::parse`] reads.
    pub fn generate(id: &str, random: &Random) -> Secret {
        let mut bytes = random.bytes::<32>();
        let text = format!("{id}:{}", STANDARD.encode(bytes));
        bytes.zeroize();
        Secret(text)
    }

    /// The ids of the keys, the sealing one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Seals `plain` so that it opens only for the same `context`.
    pub fn seal(&self, context: &[impl AsRef<str>], plain: &[u8], random: &Random) -> Sealed {
        let nonce: [u8; NONCE] = random.bytes();
        // A keyring is never empty, and a key of 32 bytes is always one of AES-256.
        let Some(key) = self.0.first() else { return Sealed(Vec::new()) };
        let mut text = plain.to_vec();
        if let Some(cipher) = cipher(key)
            && cipher
                .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound(context), &mut text)
                .is_ok()
        {
            let id = key.id.as_bytes();
            let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
            return Sealed([&[length], id, &nonce, text.as_slice()].concat());
        }
        text.zeroize();
        Sealed(Vec::new())
    }

    /// Opens it; none for another context, an unknown key or an altered text.
    pub fn open(&self, context: &[impl AsRef<str>], sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let (length, rest) = sealed.0.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(*length))?;
        let (nonce, text) = rest.split_first_chunk::<NONCE>()?;
        let key = self.0.iter().find(|key| key.id.as_bytes() == id)?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = cipher(key)?.open_in_place(nonce, bound(context), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }

    /// Opens what nothing can be done without.
    ///
    /// # Errors
    /// An internal one that names the key, when it does not open.
    pub fn must_open(
        &self,
        context: &[impl AsRef<str>],
        sealed: &Sealed,
    ) -> error::Result<Zeroizing<Vec<u8>>> {
        self.open(context, sealed).ok_or_else(|| {
            let key = sealed.key();
            Error::internal(format!("secrets.keys opens nothing that was sealed under the key `{key}`"))
        })
    }

    /// The same under the first key; none when it is so already, or does not open.
    pub fn reseal(&self, context: &[impl AsRef<str>], sealed: &Sealed, random: &Random) -> Option<Sealed> {
        let is_newest = self.ids().next().is_some_and(|first| sealed.key() == first);
        let plain = if is_newest { None } else { self.open(context, sealed) };
        plain.map(|plain| self.seal(context, &plain, random))
    }

    /// A keyed hash for names of things that must not be stored plain: limit keys, cursors.
    ///
    /// Made with the *last*, that is the oldest key, so that a new key in front changes no name;
    /// dropping the oldest key renames everything, which only empties counters.
    pub fn tag(&self, purpose: &'static str, bytes: &[u8]) -> [u8; 32] {
        self.0.last().map_or([0; 32], |key| key.tag(purpose, bytes))
    }

    /// A keyed hash by each key, the first one's first: for what is handed out under the first key and
    /// recognised, without being stored, under all of them.
    pub fn tags<'a>(&'a self, purpose: &'static str, bytes: &'a [u8]) -> impl Iterator<Item = [u8; 32]> + 'a {
        self.0.iter().map(move |key| key.tag(purpose, bytes))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

fn named_keys(what: &str, keys: &[Secret]) -> Result<Vec<SealingKey>, String> {
    let mut ring: Vec<SealingKey> = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        let at = at + 1;
        let (id, text) = key.expose().trim().split_once(':').ok_or_else(|| {
            format!("{what} {at} is not of the form id:base64, as `vestibule keys generate` prints it")
        })?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=16).contains(&id.len()) || !id.bytes().all(plain) {
            return Err(format!("the id of {what} {at} is not 1 to 16 of a-z, 0-9 and -"));
        }
        if ring.iter().any(|known| known.id == id) {
            return Err(format!("two {what}s have the id {id}"));
        }
        let decoded = Zeroizing::new(STANDARD.decode(text).unwrap_or_default());
        let bytes: [u8; 32] = decoded.as_slice().try_into().map_err(|_| {
            format!("{what} {id} is not 32 bytes in base64, as `vestibule keys generate` prints it")
        })?;
        ring.push(SealingKey { id: id.to_owned(), bytes: Zeroizing::new(bytes), derived: Arc::default() });
    }
    Ok(ring)
}

/// Secrets that go into password hashes and are kept apart from them (NIST SP 800-63B-4 §3.1.1.2). The
/// first is for new hashes, all of them check. There may be none.
#[derive(Clone, Default)]
pub struct Peppers(Vec<SealingKey>);

impl Peppers {
    /// Reads peppers of the form that [`Keyring::generate`] prints.
    ///
    /// # Errors
    /// A sentence that says which one cannot be used and why, without showing it.
    pub fn parse(keys: &[Secret]) -> Result<Self, String> {
        named_keys("pepper", keys).map(Self)
    }

    /// The one for new hashes, and its name.
    pub fn newest(&self) -> Option<(&str, &[u8])> {
        self.0.first().map(|key| (key.id.as_str(), key.bytes.as_slice()))
    }

    /// The one of this name.
    pub fn named(&self, id: &str) -> Option<&[u8]> {
        self.0.iter().find(|key| key.id == id).map(|key| key.bytes.as_slice())
    }
}

fn cipher(key: &SealingKey) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key.bytes.as_slice()).ok().map(LessSafeKey::new)
}

/// The context as associated data; the length before each part keeps two contexts from reading alike.
fn bound(context: &[impl AsRef<str>]) -> Aad<Vec<u8>> {
    let part = |text: &str| [&text.len().to_be_bytes(), text.as_bytes()].concat();
    Aad::from(context.iter().flat_map(|text| part(text.as_ref())).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(ids: &[(&str, u64)]) -> Keyring {
        let keys: Vec<_> =
            ids.iter().map(|(id, seed)| Keyring::generate(id, &Random::seeded(*seed))).collect();
        Keyring::parse(&keys).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_context_only_and_under_an_old_key_too() {
        let random = Random::seeded(9);
        let old = ring(&[("one", 1)]);
        let sealed = old.seal(&["code", "a"], b"123456", &random);
        assert_eq!(old.open(&["code", "a"], &sealed).unwrap().as_slice(), b"123456");
        let rotated = ring(&[("two", 2), ("one", 1)]);
        assert_eq!(rotated.open(&["code", "a"], &sealed).unwrap().as_slice(), b"123456");
        let anew = rotated.reseal(&["code", "a"], &sealed, &random).unwrap();
        assert_eq!((sealed.key(), anew.key()), ("one".into(), "two".into()));
        assert_eq!(ring(&[("two", 2)]).open(&["code", "a"], &anew).unwrap().as_slice(), b"123456");
        assert!(rotated.reseal(&["code", "a"], &anew, &random).is_none(), "it is so already");
        assert!(rotated.reseal(&["code", "b"], &sealed, &random).is_none(), "it is another's");
        assert_eq!(rotated.tag("limit", b"x"), old.tag("limit", b"x"));
        assert_ne!(rotated.tag("limit", b"x"), old.tag("cursor", b"x"));
        for other in [&["code", "b"][..], &["codea", ""], &["code"], &[]] {
            assert!(old.open(other, &sealed).is_none(), "{other:?}");
        }
        assert!(ring(&[("two", 2)]).open(&["code", "a"], &sealed).is_none());
        assert!(ring(&[("one", 3)]).open(&["code", "a"], &sealed).is_none());
        for at in 0..sealed.0.len() {
            let mut altered = sealed.clone();
            altered.0[at] ^= 1;
            assert!(old.open(&["code", "a"], &altered).is_none(), "byte {at}");
            assert!(old.open(&["code", "a"], &Sealed(sealed.0[..at].to_vec())).is_none());
        }
        assert_ne!(old.seal(&["code", "a"], b"123456", &random), sealed, "a nonce is used once");
    }

    #[test]
    fn no_kind_of_token_reads_as_another() {
        use TokenKind::{
            Callback, Challenge, Client, Device, Invitation, Key, Recovery, Refresh, Session, Undo,
        };
        let kinds = [Session, Refresh, Client, Key, Challenge, Device, Callback, Undo, Recovery, Invitation];
        for kind in kinds {
            let text = Token::new(kind, Uuid::nil(), &Random::seeded(1).seed()).reveal();
            for other in kinds {
                assert_eq!(Token::parse(other, &text).is_some(), kind == other, "{kind:?} {other:?}");
            }
        }
    }

    #[test]
    fn keys_that_cannot_be_used_are_refused_without_being_shown() {
        let good = Keyring::generate("k", &Random::seeded(1));
        for (keys, word) in [
            (vec![], "no sealing key"),
            (vec![Secret::new("nokey")], "form"),
            (vec![Secret::new("UP:AAAA")], "id"),
            (vec![Secret::new("k:c2hvcnQ=")], "32 bytes"),
            (vec![good.clone(), good.clone()], "two sealing keys"),
        ] {
            let sentence = Keyring::parse(&keys).unwrap_err();
            assert!(sentence.contains(word), "{sentence}");
            assert!(!sentence.contains("c2hvcnQ"), "{sentence}");
        }
    }

    #[test]
    fn nothing_shows_in_debug_output() {
        let token = Token::new(TokenKind::Session, Uuid::nil(), &Random::seeded(1).seed());
        let shown = format!("{token:?} {:?} {:?}", Secret::new("hush"), ring(&[("one", 1)]));
        assert!(!shown.contains("hush") && !shown.contains(&token.reveal()[30..]), "{shown}");
    }

    proptest! {
        #[test]
        fn only_the_very_text_of_a_token_counts(seed in any::<u64>(), at in 0_usize..67, byte in any::<u8>(), cut in 0_usize..67) {
            let token = Token::new(TokenKind::Session, Uuid::from_u128(5), &Random::seeded(seed).seed());
            let text = token.reveal();
            let stored = token.digest();
            let counts = |text: &str| Token::parse(TokenKind::Session, text).is_some_and(|read| read.matches(&stored));
            prop_assert_eq!(text.len(), 67);
            prop_assert!(counts(&text));
            let swapped = text.replacen("vs_", "vc_", 1);
            prop_assert!(!counts(&swapped));
            prop_assert!(Token::parse(TokenKind::Challenge, &swapped).is_some_and(|read| !read.matches(&stored)));
            prop_assert!(!counts(&text[..cut]) && !counts(&text[cut + 1..]));
            for around in [format!("{text}="), format!("{text}A"), format!(" {text}"), format!("{text}\n")] {
                prop_assert!(!counts(&around));
            }
            let mut bytes = text.clone().into_bytes();
            bytes[at] = byte;
            if let Ok(altered) = String::from_utf8(bytes) {
                prop_assert_eq!(counts(&altered), altered == text);
            }
        }
    }
}
