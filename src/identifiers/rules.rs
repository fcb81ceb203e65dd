//! Which identifier a text is, and who may own it. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use unicode_normalization::UnicodeNormalization;

use super::{Email, Identifier, MAX_BYTES, Mobile, Username, wrong};
use crate::clock::Timestamp;
use crate::error::FieldError;
use crate::policy::IdentifierKind;
use crate::store::Seen;
use crate::text::hex;

/// An identifier that is well formed, of any kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Name {
    /// A username.
    Username(Username),
    /// An e-mail address.
    Email(Email),
    /// A phone number.
    Mobile(Mobile),
}

impl Name {
    /// Reads an identifier of this kind.
    ///
    /// # Errors
    /// Those of the kind's own `parse`, with the kind's word as the field.
    pub fn parse(kind: IdentifierKind, text: &str) -> Result<Self, FieldError> {
        match kind {
            IdentifierKind::Username => Username::parse(text).map(Self::Username),
            IdentifierKind::Email => Email::parse(text).map(Self::Email),
            IdentifierKind::Mobile => Mobile::parse(text).map(Self::Mobile),
        }
    }

    /// Reads an identifier that somebody chooses: as [`Self::parse`], without the service's own names.
    ///
    /// # Errors
    /// Also `reserved`.
    pub fn choose(kind: IdentifierKind, text: &str) -> Result<Self, FieldError> {
        match Self::parse(kind, text)? {
            Self::Username(username) if username.is_reserved() => {
                Err(wrong(kind, "reserved", "This name is kept for the service itself."))
            }
            name => Ok(name),
        }
    }

    /// Reads what a person typed at sign-in, surrounding space aside; what it is meant to be shows
    /// in its characters unless `hint` says so.
    pub fn guess(raw: &str, hint: Option<IdentifierKind>) -> Option<Self> {
        if raw.len() > MAX_BYTES {
            return None;
        }
        let text = raw.trim();
        let kind = hint.unwrap_or(match text {
            _ if text.contains('@') => IdentifierKind::Email,
            _ if text.starts_with('+') => IdentifierKind::Mobile,
            _ => IdentifierKind::Username,
        });
        Self::parse(kind, text).ok()
    }

    /// What it is.
    pub fn kind(&self) -> IdentifierKind {
        match self {
            Self::Username(_) => IdentifierKind::Username,
            Self::Email(_) => IdentifierKind::Email,
            Self::Mobile(_) => IdentifierKind::Mobile,
        }
    }

    /// What is shown and where messages go.
    pub fn value(&self) -> &str {
        match self {
            Self::Username(username) => username.value(),
            Self::Email(email) => email.value(),
            Self::Mobile(mobile) => mobile.as_str(),
        }
    }

    /// `kind:canonical`: what is compared, over all kinds.
    pub fn canonical(&self) -> String {
        let canonical = match self {
            Self::Username(username) => username.canonical(),
            Self::Email(email) => email.canonical(),
            Self::Mobile(mobile) => mobile.as_str(),
        };
        format!("{}:{canonical}", self.kind())
    }

    /// What only one user can have: for a username the same as for all that look like it.
    pub fn owned_key(&self) -> String {
        match self {
            Self::Username(username) => username.owned_key(),
            Self::Email(_) | Self::Mobile(_) => self.canonical(),
        }
    }
}

/// What tries at `name`, read from `raw`, are counted under: one key for all spellings of one identifier,
/// known or not, well formed or not. What is not well formed is hashed: it is as long as the sender likes,
/// and may be a password in the wrong field.
pub fn key(name: Option<&Name>, raw: &str) -> String {
    if let Some(name) = name {
        return name.canonical();
    }
    let hash = if raw.len() > MAX_BYTES {
        digest(&SHA256, raw.as_bytes())
    } else {
        let folded: String = raw.trim().nfkc().collect::<String>().to_lowercase();
        digest(&SHA256, folded.as_bytes())
    };
    format!("other:{}", hex(hash))
}

/// Among what a user is known by, the first that must be shown to be their own before anything is
/// opened for them, and has not been. Whoever has nothing of a kind has nothing to show.
pub fn lacking<'a>(
    identifiers: &'a [Seen<Identifier>],
    verified: &[IdentifierKind],
) -> Option<&'a Identifier> {
    verified.iter().find_map(|kind| {
        let of_kind = || identifiers.iter().filter(|one| one.kind == *kind);
        if of_kind().any(|one| one.verified_at.is_some()) { None } else { of_kind().next().map(|one| &**one) }
    })
}

/// What proving an identifier came to.
#[derive(Clone, Debug)]
pub enum Verification {
    /// It is the user's own; the claim as it is to be written.
    Verified(Seen<Identifier>),
    /// Another claim was proved before: the first to verify owns it.
    TakenByAnother,
}

/// The user has proved `identifier`; `owner` is the claim that owns the same canonical form today.
///
/// Two proofs at one instant are parted by the unique index: the second commit conflicts, and its
/// decision is taken anew with the first as `owner`.
pub fn verify(
    identifier: Seen<Identifier>,
    owner: Option<&Seen<Identifier>>,
    now: Timestamp,
) -> Verification {
    if is_taken(&identifier, owner.map(|owner| &**owner)) {
        return Verification::TakenByAnother;
    }
    Verification::Verified(identifier.with(|claim| prove(claim, now)))
}

fn is_taken(claim: &Identifier, owner: Option<&Identifier>) -> bool {
    owner.is_some_and(|owner| owner.id != claim.id)
}

fn prove(claim: &mut Identifier, now: Timestamp) {
    claim.prove(now);
}

impl Identifier {
    /// It is its user's own from `now` on. Whether it is somebody else's is to be asked before; of two at
    /// one instant the store parts them.
    pub fn prove(&mut self, now: Timestamp) {
        self.verified_at.get_or_insert(now);
        self.owned.get_or_insert_with(|| self.canonical.clone());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_893_456_000_000);

    fn key(raw: &str) -> String {
        super::key(Name::guess(raw, None).as_ref(), raw)
    }

    fn claim(user: u128, kind: IdentifierKind, text: &str) -> Identifier {
        Identifier::new(Uuid::from_u128(user), Uuid::from_u128(user), &Name::parse(kind, text).unwrap(), NOW)
    }

    #[test]
    fn what_was_typed_shows_what_it_is() {
        let canonical = |raw, hint| Name::guess(raw, hint).map(|name| name.canonical());
        let guess = |raw| canonical(raw, None);
        assert_eq!(guess(" Alice ").as_deref(), Some("username:alice"));
        assert_eq!(guess("Alice@Example.com\n").as_deref(), Some("email:alice@example.com"));
        assert_eq!(guess("+1 (202) 555-0123").as_deref(), Some("mobile:+12025550123"));
        for raw in ["", "@", "+", "a b", "12025550123", "+1 202", "a@b@c.org", "\0"] {
            assert_eq!(guess(raw), None, "{raw:?}");
        }
        assert_eq!(canonical("alice", Some(IdentifierKind::Email)), None);
        assert_eq!(canonical("a@b.org", Some(IdentifierKind::Username)), None);
    }

    #[test]
    fn only_strangers_are_kept_from_the_names_of_the_service() {
        let error = Name::choose(IdentifierKind::Username, "Root").unwrap_err();
        assert_eq!((&*error.field, &*error.code), ("username", "reserved"));
        assert!(Name::parse(IdentifierKind::Username, "root").is_ok());
        assert!(Name::choose(IdentifierKind::Username, "alice").is_ok());
        assert!(Name::choose(IdentifierKind::Email, "root@example.com").is_ok());
    }

    #[test]
    fn spellings_are_counted_together() {
        assert_eq!(key("ALICE@example.COM"), key(" alice@Example.com"));
        assert_eq!(key("+1 202-555-0123"), key("+12025550123"));
        assert_eq!(key("ALICE"), "username:alice");
        assert_eq!(key("No Such Name"), key(" no such ｎame "));
        assert_ne!(key("no such name"), key("no such names"));
        assert!(!key("my secret pass phrase").contains("secret"));
    }

    #[test]
    fn a_username_is_owned_at_once_the_others_when_verified() {
        use IdentifierKind::{Email, Mobile, Username};
        assert_eq!(claim(1, Username, "B0B").owned.as_deref(), Some("username:bob"));
        assert_eq!(claim(1, Email, "a@b.org").owned, None);
        assert_eq!(claim(1, Mobile, "+12025550123").owned, None);
    }

    #[test]
    fn the_first_to_verify_owns_it() {
        let (mut first, second) =
            (claim(1, IdentifierKind::Email, "a@b.org"), claim(2, IdentifierKind::Email, "A@B.org"));
        assert_eq!(first.canonical, second.canonical);
        assert!(!is_taken(&second, None), "an unverified claim never blocks");

        prove(&mut first, NOW);
        assert_eq!((first.owned.as_deref(), first.verified_at), (Some("email:a@b.org"), Some(NOW)));
        assert!(is_taken(&second, Some(&first)));
        assert!(!is_taken(&first, Some(&first)), "proving again is no harm");

        let before = first.clone();
        prove(&mut first, NOW + std::time::Duration::from_secs(9));
        assert_eq!((first.owned, first.verified_at), (before.owned, before.verified_at));
    }

    proptest! {
        #[test]
        fn every_text_has_a_short_key(raw in any::<String>(), times in 1_usize..50) {
            for raw in [raw.clone(), raw.repeat(times)] {
                prop_assert!(key(&raw).len() <= 2 * MAX_BYTES);
                prop_assert_eq!(key(&raw), key(&raw));
            }
        }
    }
}
