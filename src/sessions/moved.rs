//! Sessions that another system opened, honoured during a change-over.
//!
//! Always holds: such a session is an ordinary one, whose id and token are made of the old token's digest, and
//! its old token is put in the place of ours at the door – so that behind it there is one form and one
//! `authenticate`. The old form is read only until the change-over ends, and never where ours was
//! shown. Never: a token of less than 128 bits, or a claim of another system that nobody has looked at.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, HeaderValue, header};
use uuid::Uuid;

use super::actions::by_token;
use super::{Carry, Session, carry, session_cookie};
use crate::accounts::User;
use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::policy::{self, Proofs};
use crate::secret::{Keyring, Token, TokenKind};
use crate::store::entity;

entity! {
    /// That an old token was taken in once: what has ended here is not taken in again.
    pub struct MovedSession in "moved_sessions" {
        /// The id of the session that was made of it.
        id: Uuid,
        /// When nothing could be made of it any more, whatever end it had.
        expires_at: Timestamp,
    }
    expires expires_at;
}

/// How long it is remembered at least, from when it was opened. A change-over may be put off, and a policy may let
/// sessions last longer than it did; no browser keeps a cookie for more than 400 days (RFC 6265bis §5.5).
const REMEMBERED: Duration = Duration::from_secs(400 * 24 * 60 * 60);

impl MovedSession {
    /// That `session` was made of an old token.
    pub fn of(session: &Session, policy: &policy::Session) -> Self {
        let expires_at = session.created_at + (*policy.lifetime).max(REMEMBERED);
        Self { id: session.id, expires_at }
    }
}

/// The longest old token, in bytes: a JWT with a large key and many claims has less.
pub const LONGEST: usize = 4_096;

/// Bits of chance that a token needs: so many that its digest may be stored (see [`crate::secret`]).
const BITS: f64 = 128.0;

/// Different characters that a random token of as many bits has at least, for all that can be expected.
const DIFFERENT: usize = 8;

/// What is stored of an old token: its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OldDigest(pub [u8; 32]);

impl OldDigest {
    /// The digest of `text`, as the other system's clients send it.
    pub fn of(text: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(bytes)
    }

    /// The id of the session that is made of it: a UUID of version 8 (RFC 9562 §5.8).
    pub fn id(&self) -> Uuid {
        let hash = digest(&SHA256, &[b"vestibule moved session:".as_slice(), &self.0].concat());
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The token that is ours in its place, by each key, the first one's first. Who knows the digest and not the key
    /// cannot make it: a copy of the other system's database lets nobody in.
    fn tokens<'a>(&'a self, keyring: &'a Keyring) -> impl Iterator<Item = Token> + 'a {
        let id = self.id();
        keyring.tags("moved session", &self.0).map(move |secret| Token::of(TokenKind::Session, id, secret))
    }
}

/// Whether `text` cannot be as hard to guess as a token has to be. What it is made of gives a most: digits 3.3
/// bits, hex digits 4, letters of one case and digits 5.2, and so on. A random UUID has 122 of its 128 bits, and
/// is taken; one that is made of the time is not.
pub fn is_weak(text: &str) -> bool {
    let made_of = |class: fn(&char) -> bool| text.chars().all(|c| class(&c) || !c.is_ascii_alphanumeric());
    let bits_each: f64 = if made_of(char::is_ascii_digit) {
        3.32
    } else if made_of(char::is_ascii_hexdigit) {
        4.0
    } else if made_of(|c| !c.is_ascii_uppercase()) || made_of(|c| !c.is_ascii_lowercase()) {
        5.16
    } else {
        5.95
    };
    let counted: Vec<char> = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut different = counted.clone();
    different.sort_unstable();
    different.dedup();
    let bits: f64 = counted.iter().map(|_| bits_each).sum();
    let of_the_time = text.contains('-')
        && Uuid::parse_str(text).is_ok_and(|uuid| uuid.get_version() != Some(uuid::Version::Random));
    bits < BITS || different.len() < DIFFERENT || of_the_time
}

/// What another system knows of a session.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The digest of its token.
    pub digest: OldDigest,
    /// How its token travels: as a cookie or as a bearer token.
    pub carry: Carry,
    /// What was proved there.
    pub proofs: Proofs,
    /// When it was opened there.
    pub at: Timestamp,
    /// When it ends, when that is known.
    pub expires_at: Option<Timestamp>,
}

impl Session {
    /// The session that `opened` is here, for `user`, at `now`. It lasts no longer than one of ours that was opened
    /// then; and one whose old token is all that its client will ever have, no longer than the change-over.
    pub fn moved(
        user: &User,
        opened: &Opened,
        policy: &policy::Session,
        keyring: &Keyring,
        change_over: Timestamp,
        now: Timestamp,
    ) -> Option<Self> {
        let token = opened.digest.tokens(keyring).next()?;
        let ends = [
            Some(opened.at + *policy.lifetime),
            opened.expires_at,
            (opened.carry != Carry::Cookie).then_some(change_over),
        ];
        Some(Self {
            id: token.id,
            user_id: user.id,
            digest: token.digest(),
            carry: opened.carry,
            device_id: None,
            act: None,
            proofs: opened.proofs.clone(),
            address: None,
            user_agent: None,
            created_at: opened.at,
            counts_from: user.sessions_from,
            seen_at: now,
            expires_at: ends.into_iter().flatten().min()?,
            generation: 0,
            rotated_at: opened.at,
        })
    }
}

/// The token of ours in the place of the old one that is shown as `text`, and until when its session lasts; none
/// when that does not stand.
///
/// # Errors
/// The store's.
pub(super) async fn recognised(ctx: &Ctx, text: &str, carry: Carry) -> Result<Option<(Token, Timestamp)>> {
    if !ctx.app.config.change_over.is_on(ctx.now) || is_weak(text) {
        return Ok(None);
    }
    let digest = OldDigest::of(text);
    for token in digest.tokens(&ctx.app.keyring) {
        if let Some(known) = by_token(ctx, &token, carry).await? {
            return Ok(Some((token, known.session.expires_at)));
        }
    }
    Ok(None)
}

/// Puts our token in the place of the old one that a request shows, when it shows one that counts and none of
/// ours. For a browser, the cookies that do the same there.
///
/// # Errors
/// The store's.
pub async fn translate(ctx: &Ctx, headers: &mut HeaderMap) -> Result<Vec<HeaderValue>> {
    let (app, old) = (&ctx.app, ctx.app.config.change_over.cookie.as_str());
    let Some((text, by)) = carry::of_before(headers, &app.origin, old) else { return Ok(Vec::new()) };
    let Some((token, until)) = recognised(ctx, text, by).await? else { return Ok(Vec::new()) };
    let put = |text: String| {
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    };
    if by == Carry::Bearer {
        if let Some(value) = put(format!("Bearer {}", token.reveal())) {
            headers.insert(header::AUTHORIZATION, value);
        }
        return Ok(Vec::new());
    }
    let ours = session_cookie(&app.origin, &token, ctx.now, until);
    let pair = ours.to_str().ok().and_then(|text| text.split(';').next()).map(str::to_owned);
    if let Some(value) = pair.and_then(put) {
        headers.append(header::COOKIE, value);
    }
    Ok([Some(ours), carry::taken_away(&app.origin, old)].into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_token_is_weak_when_it_cannot_hold_128_bits() {
        for strong in [
            "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "9f86d081884c7d659a2feaa0c55ad015",
            "s%3Aqk1lTzX0mEv8bW3uYpNcR7sJhGdFa2Lo.5kZ",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "314159265358979323846264338327950288419",
        ] {
            assert!(!is_weak(strong), "{strong}");
        }
        for weak in [
            "",
            "12345",
            "session-1",
            "9f86d081884c7d659a2feaa0c55ad01",
            "00000000000000000000000000000000",
            "abababababababababababababababababababab",
            "----------------------------------------",
            // Made of the time: versions 1 and 7.
            "c232ab00-9414-11ec-b3c8-9f6bdeced846",
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        ] {
            assert!(is_weak(weak), "{weak}");
        }
    }

    #[test]
    fn ids_and_tokens_follow_from_the_digest_and_the_key() {
        let key = |seed: u64| Keyring::generate(&format!("k{seed}"), &Random::seeded(seed));
        let ring =
            |seeds: &[u64]| Keyring::parse(&seeds.iter().map(|seed| key(*seed)).collect::<Vec<_>>()).unwrap();
        let (one, other) = (OldDigest::of("a"), OldDigest::of("b"));
        assert_ne!(one.id(), other.id());
        let reveal = |seeds| one.tokens(&ring(seeds)).map(|token| token.reveal()).collect::<Vec<_>>();
        assert_ne!(reveal(&[1]), reveal(&[2]), "nobody without the key makes it");
        assert_eq!(
            reveal(&[2, 1]),
            [reveal(&[2]), reveal(&[1])].concat(),
            "under all keys, the newest first"
        );
    }
}
