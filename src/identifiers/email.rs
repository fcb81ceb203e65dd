//! E-mail addresses: RFC 5321 with RFC 6531's letters, without the forms that only confuse.

use email_address::{EmailAddress, Options};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;
use unicode_security::GeneralSecurityProfile;

use super::wrong;
use crate::error::FieldError;
use crate::policy::IdentifierKind;

/// Longest address in bytes (RFC 5321 §4.5.3.1.3: a path of 256 with its brackets).
pub const MAX_BYTES: usize = 254;

/// An e-mail address that mail can go to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email {
    value: String,
    canonical: String,
}

impl Email {
    /// Reads an address: one unquoted `@`, no quotes, comments or address literals, a domain with a dot.
    ///
    /// # Errors
    /// `too-long` or `invalid`, with a sentence.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let refuse = |code, message| Err(wrong(IdentifierKind::Email, code, message));
        if text.len() > MAX_BYTES {
            return refuse("too-long", "An e-mail address has at most 254 characters.");
        }
        let Some((local, domain)) = text.split_once('@') else {
            return refuse("invalid", "An e-mail address has an @, such as alice@example.com.");
        };
        // These two say it better than the parsers below, which refuse them as well.
        if domain.contains('@') {
            return refuse("invalid", "An e-mail address has only one @.");
        }
        if text.contains(char::is_whitespace) {
            return refuse("invalid", "An e-mail address has no spaces.");
        }
        let local: String = local.nfc().collect();
        let lower: String = local.to_lowercase().nfc().collect();
        // Beyond ASCII only what UTS #39 lets stand in identifiers: nothing invisible, nothing that reorders.
        let seen = |c: char| c.is_ascii() || c.identifier_allowed();
        if local.is_empty() || !local.chars().chain(lower.chars()).all(seen) {
            return refuse("invalid", "The part before the @ is not one that mail can go to.");
        }
        let Some(ascii) = domain_to_ascii(domain) else {
            return refuse("invalid", "The part after the @ is not a domain that mail can go to.");
        };
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        let whole = format!("{local}@{ascii}");
        if local.starts_with('"') || EmailAddress::parse_with_options(&whole, options).is_err() {
            return refuse("invalid", "This is not an e-mail address such as alice@example.com.");
        }
        let canonical = format!("{lower}@{ascii}");
        if whole.len() > MAX_BYTES || canonical.len() > MAX_BYTES {
            return refuse("too-long", "An e-mail address has at most 254 characters.");
        }
        let value = if domain.is_ascii() { format!("{local}@{domain}") } else { whole };
        Ok(Self { value, canonical })
    }

    /// Where mail goes: the local part as it was given, in NFC; a domain of other letters in its ASCII form.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What is compared: NFC and lower case, the domain in its ASCII form.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

impl Email {
    /// Whether it is of one of `domains`, compared as DNS does and whole: not of what lies below them.
    pub fn is_of(&self, domains: &[String]) -> bool {
        // What an address is has been judged: there is one @, and the domain is in its ASCII form.
        let own = self.canonical.rsplit_once('@').map(|(_, domain)| domain);
        domains.iter().any(|domain| domain_to_ascii(domain).as_deref() == own)
    }
}

/// The domain as DNS knows it (UTS #46 with STD3 rules), when it is one of a mail server's: with a dot,
/// and without a last label of digits alone, which would be an IPv4 address.
fn domain_to_ascii(domain: &str) -> Option<String> {
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify)
        .ok()?;
    let (_, last) = ascii.rsplit_once('.')?;
    (!last.bytes().all(|byte| byte.is_ascii_digit())).then(|| ascii.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_compared_in_lower_case_and_kept_as_given() {
        for (typed, value, canonical) in [
            ("alice@example.com", "alice@example.com", "alice@example.com"),
            ("Alice.B+tag@Example.COM", "Alice.B+tag@Example.COM", "alice.b+tag@example.com"),
            ("JO\u{308}RG@bücher.example", "JÖRG@xn--bcher-kva.example", "jörg@xn--bcher-kva.example"),
            ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
            ("a@example。com", "a@example.com", "a@example.com"),
            ("a@ｅxample.com", "a@example.com", "a@example.com"),
            // The Kelvin sign is canonically the letter K: the very same mailbox.
            ("mi\u{212a}e@example.com", "miKe@example.com", "mike@example.com"),
        ] {
            let email = Email::parse(typed).unwrap_or_else(|error| panic!("{typed}: {error:?}"));
            assert_eq!((email.value(), email.canonical()), (value, canonical), "{typed}");
        }
    }

    #[test]
    fn letters_that_only_meet_in_another_case_stay_apart() {
        let canonical = |text: &str| Email::parse(text).map(|email| email.canonical);
        for (one, other) in [
            ("mıke@example.org", "mike@example.org"),
            ("mİke@example.org", "mike@example.org"),
            ("ſam@example.org", "sam@example.org"),
            ("straße@example.org", "strasse@example.org"),
            ("p\u{430}ypal@example.org", "paypal@example.org"),
            ("mike@ex\u{430}mple.org", "mike@example.org"),
            ("mike@gıthub.example", "mike@github.example"),
        ] {
            assert_ne!(canonical(one), canonical(other), "{one}");
        }
    }

    #[test]
    fn a_domain_is_compared_whole_and_in_one_form() {
        let of = |text: &str, domain: &str| Email::parse(text).unwrap().is_of(&[domain.to_owned()]);
        for (text, domain) in [
            ("a@example.org", "example.org"),
            ("a@EXAMPLE.org", "Example.ORG"),
            ("a@b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("a@xn--bcher-kva.example", "b\u{fc}cher.example"),
        ] {
            assert!(of(text, domain), "{text} {domain}");
        }
        for (text, domain) in [
            ("a@example.org", "example.com"),
            ("a@sub.example.org", "example.org"),
            ("a@badexample.org", "example.org"),
            ("a@example.org", "sub.example.org"),
            ("example.org@example.com", "example.org"),
            ("a@example.org", ""),
            ("a@example.org", "xn--example-.org"),
        ] {
            assert!(!of(text, domain), "{text} {domain}");
        }
    }

    #[test]
    fn what_mail_cannot_go_to_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let label = format!("a@{}.com", "b".repeat(64));
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b.org",
            "a@b",
            "a@b.",
            "a@.b",
            "a@b..c",
            "a@b.c.",
            ".a@b.org",
            "a.@b.org",
            "a..b@c.org",
            "a@b.org@c.org",
            "a@evil.org,b@c.org",
            "\"a@b\"@c.org",
            "\"a\"@c.org",
            "\"a b\"@c.org",
            "a(b)@c.org",
            "Alice <a@c.org>",
            "<a@c.org>",
            "a@c.org>",
            "a@[127.0.0.1]",
            "a@[IPv6:::1]",
            "a@127.0.0.1",
            "a@1.2",
            "a b@c.org",
            "a@c .org",
            " a@c.org",
            "a@c.org ",
            "a\u{a0}b@c.org",
            "a\0@c.org",
            "a@c\0.org",
            "a\r\nBcc: x@c.org",
            "a\n@c.org",
            "a\u{7f}@c.org",
            "a@-b.org",
            "a@b-.org",
            "a@b_c.org",
            "a@b!.org",
            "a@b%2e.org",
            "a@b/c.org",
            "a@b:25.org",
            "a@xn--example-.org",
            "a@xn--.org",
            "a@xn--a.org",
            "a@xn--\u{fc}.org",
            "a@ab--cd.org",
            "victim＠example.com@evil.org",
            "a＠b.org",
            "a@b\u{2024}\u{2024}org",
            "a\u{202e}b@c.org",
            "a\u{200b}b@c.org",
            "a\u{3164}b@c.org",
            "😀@c.org",
            "a@😀\u{200d}.org",
            "ａ@c.org",
            "\u{10cd}@c.org",
            &long,
            &label,
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}: {:?}", Email::parse(text));
        }
        let message = |text| Email::parse(text).unwrap_err().message;
        assert!(message("a@b.org@c.org").contains("only one @") && message("a b@c.org").contains("spaces"));
        assert_eq!(Email::parse(&format!("a@{}", "b.".repeat(200))).unwrap_err().code, "too-long");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), head in "\\PC{0,20}", tail in "\\PC{0,20}") {
            let _ = Email::parse(&text);
            let _ = Email::parse(&format!("{head}@{tail}.org"));
        }

        #[test]
        fn an_address_read_again_is_the_same(text in "[\\pL0-9.+İıſKß-]{1,12}@[\\pL0-9ß-]{1,12}\\.(org|рф)") {
            if let Ok(email) = Email::parse(&text) {
                for again in [email.canonical(), email.value()] {
                    let again = Email::parse(again).unwrap();
                    prop_assert_eq!(again.canonical(), email.canonical());
                }
                prop_assert_eq!(email.value().matches('@').count(), 1);
                let (_, domain) = email.canonical().split_once('@').unwrap();
                prop_assert!(domain.is_ascii() && domain.contains('.'));
            }
        }
    }
}
