//! Usernames: PRECIS UsernameCaseMapped (RFC 8265 §3.3) within the identifier profile of UTS #39.

use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::{UsernameCaseMapped, UsernameCasePreserved};
use unicode_security::{RestrictionLevel, RestrictionLevelDetection, skeleton};

use super::{MAX_BYTES, wrong};
use crate::error::FieldError;
use crate::policy::IdentifierKind;

/// Fewest code points. One and two are too few to go round, and their look-alikes too many.
pub const MIN_LENGTH: usize = 3;

/// Most code points. What fits on one line of a page, a message and a log.
pub const MAX_LENGTH: usize = 32;

/// Names under which a stranger could pass for the service: the mailbox roles of RFC 2142 that
/// people trust, and what software calls its own users.
const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "anonymous",
    "api",
    "help",
    "hostmaster",
    "info",
    "moderator",
    "null",
    "official",
    "operator",
    "postmaster",
    "root",
    "security",
    "staff",
    "superuser",
    "support",
    "sysadmin",
    "system",
    "undefined",
    "vestibule",
    "webmaster",
];

/// A username that is well formed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Username {
    value: String,
    canonical: String,
}

impl Username {
    /// Reads a username, one of [`Self::is_reserved`] included.
    ///
    /// # Errors
    /// `too-short`, `too-long` or `invalid`, with a sentence.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let refuse = |code, message| Err(wrong(IdentifierKind::Username, code, message));
        if text.len() > MAX_BYTES {
            return refuse("too-long", "A username has at most 32 characters.");
        }
        // These two say it better than the rule of characters below, which refuses them as well.
        if text.contains('@') {
            return refuse("invalid", "A username has no @; an e-mail address has a field of its own.");
        }
        if text.contains(char::is_whitespace) {
            return refuse("invalid", "A username has no spaces.");
        }
        if text.chars().count() < MIN_LENGTH {
            return refuse("too-short", "A username has at least 3 characters.");
        }
        let mapped = UsernameCaseMapped::enforce(text).and_then(|canonical| {
            let typed = UsernameCasePreserved::enforce(text)?;
            Ok((typed.into_owned(), canonical.into_owned()))
        });
        let Ok((typed, canonical)) = mapped else {
            return refuse("invalid", "A username is made of letters, digits and . - _ only.");
        };
        let length = canonical.chars().count();
        if length < MIN_LENGTH {
            return refuse("too-short", "A username has at least 3 characters.");
        }
        if length > MAX_LENGTH {
            return refuse("too-long", "A username has at most 32 characters.");
        }
        // A colon would end the name in HTTP's Basic scheme (RFC 7617 §2).
        let plain = |c: char| c.is_alphanumeric() || !c.is_ascii() || matches!(c, '.' | '-' | '_' | '\'');
        if !canonical.chars().all(plain) {
            return refuse("invalid", "A username is made of letters, digits and . - _ only.");
        }
        // Without a letter it would pass for a phone number or for nothing at all.
        if !canonical.chars().any(char::is_alphabetic) {
            return refuse("invalid", "A username has at least one letter.");
        }
        let level = canonical.as_str().detect_restriction_level();
        if level > RestrictionLevel::HighlyRestrictive {
            return refuse(
                "invalid",
                "A username keeps to one script and to characters that cannot be mistaken.",
            );
        }
        // `PaypaI` with a capital i is the name `paypai`; its own capitals must not hide that.
        let value = if look(&typed) == look(&canonical) { typed } else { canonical.clone() };
        Ok(Self { value, canonical })
    }

    /// As it was given, in its own capitals.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What is compared.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// What only one user can have: the same for all names that look alike (UTS #39 §4).
    pub fn owned_key(&self) -> String {
        format!("{}:{}", IdentifierKind::Username, look(&self.canonical))
    }

    /// Whether it would pass for the service itself, also by look.
    pub fn is_reserved(&self) -> bool {
        let own = look(&self.canonical);
        RESERVED.iter().any(|reserved| look(reserved) == own)
    }
}

/// The skeleton of UTS #39 §4, in lower case: names are shown in either case, and `0` is a capital `O`'s double.
fn look(name: &str) -> String {
    skeleton(name).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> String {
        Username::parse(text).map_or_else(|error| error.code.into_owned(), |name| name.canonical)
    }

    #[test]
    fn names_are_mapped_and_shown_as_given() {
        for (typed, canonical) in [
            ("alice", "alice"),
            ("Alice_01", "alice_01"),
            ("o'brien", "o'brien"),
            ("ＡＬＩＣＥ", "alice"),
            ("JÜRGEN", "jürgen"),
            ("Ju\u{308}rgen", "jürgen"),
            ("Юлия", "юлия"),
            ("佐藤はな子", "佐藤はな子"),
            ("דוד", "דוד"),
        ] {
            assert_eq!(code(typed), canonical, "{typed}");
        }
        assert_eq!(Username::parse("Alice").unwrap().value(), "Alice");
        assert_eq!(Username::parse("PaypaI").unwrap().value(), "paypai");
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        for (text, expected) in [
            ("", "too-short"),
            ("al", "too-short"),
            ("\u{200d}\u{200d}\u{200d}", "invalid"),
            ("a b c", "invalid"),
            ("alice ", "invalid"),
            ("alice\u{a0}", "invalid"),
            ("alice@example", "invalid"),
            ("alice＠example", "invalid"),
            ("+alice", "invalid"),
            ("+12025550123", "invalid"),
            ("12025550123", "invalid"),
            ("1202-555-0123", "invalid"),
            ("٣٤٥٦٧٨٩", "invalid"),
            ("alice:bob", "invalid"),
            ("alice/bob", "invalid"),
            ("<alice>", "invalid"),
            ("ali\0ce", "invalid"),
            ("ali\u{7f}ce", "invalid"),
            ("ali\u{200b}ce", "invalid"),
            ("\u{202e}ecila", "invalid"),
            ("alice😀", "invalid"),
            ("aliceדוד", "invalid"),
            ("p\u{430}ypal", "invalid"),
            ("\u{1d51e}\u{1d529}\u{1d526}\u{1d520}\u{1d522}", "invalid"),
        ] {
            assert_eq!(code(text), expected, "{text:?}");
        }
        let message = |text| Username::parse(text).unwrap_err().message;
        assert!(message("alice@example").contains('@') && message("alice b").contains("space"));
        assert_eq!(code(&"a".repeat(32)), "a".repeat(32));
        assert_eq!(code(&"a".repeat(33)), "too-long");
        assert_eq!(code(&"a".repeat(321)), "too-long");
    }

    #[test]
    fn names_that_look_alike_have_one_owner() {
        let key = |text: &str| Username::parse(text).unwrap().owned_key();
        assert_eq!(key("paypal"), "username:paypal");
        for (one, other) in
            [("paypal", "PAYPAL"), ("paypal", "paypa1"), ("coco", "сосо"), ("b0b", "bob"), ("mike", "rnike")]
        {
            assert_eq!(key(one), key(other), "{one} {other}");
        }
        for (one, other) in [("paypal", "paypai"), ("alice", "alice_"), ("alice1", "alice2")] {
            assert_ne!(key(one), key(other), "{one} {other}");
        }
    }

    #[test]
    fn names_of_the_service_are_reserved_in_every_spelling() {
        for text in ["admin", "Admin", "r00t", "R\u{ff4f}ot", "systern"] {
            assert!(Username::parse(text).unwrap().is_reserved(), "{text}");
        }
        assert!(!Username::parse("alice").unwrap().is_reserved());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = Username::parse(&text);
        }

        #[test]
        fn a_name_read_again_is_the_same(text in "\\PC{3,40}|[A-Za-z0-9._'ßİıſKÅΣσς-]{3,40}") {
            if let Ok(name) = Username::parse(&text) {
                for again in [name.canonical(), name.value()] {
                    let again = Username::parse(again).unwrap();
                    prop_assert_eq!(again.canonical(), name.canonical());
                    prop_assert_eq!(again.owned_key(), name.owned_key());
                }
                prop_assert!(!name.canonical().contains(['@', ' ', ':', '\0', '+']));
            }
        }
    }
}
