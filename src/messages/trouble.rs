//! What a failure means for what happens next, whoever told it: Twilio's codes, a mail server's reply
//! codes, and the words of a provider of one's own.
//!
//! Three number spaces that do not meet: below 100 our own, three digits SMTP (RFC 5321 §4.2.3), five
//! digits Twilio's.

pub use crate::twilio::errors::Class;

use Class::{Account, Fraud, Number, Sender, Temporary};

/// Ours: the provider asks us to try later.
pub const LATER: i64 = 1;
/// Ours: the address or number cannot be reached.
pub const UNREACHABLE: i64 = 2;
/// Ours: the sender or the text is not accepted.
pub const NOT_ACCEPTED: i64 = 3;
/// Ours: the provider sees fraud.
pub const FRAUD: i64 = 4;
/// Ours: we are not let in.
pub const NOT_LET_IN: i64 = 5;
/// Ours: nobody who is configured carries it.
pub const NOBODY: i64 = 6;

const CODES: &[(i64, Class, &str)] = &[
    (LATER, Temporary, "The provider asks to try later."),
    (UNREACHABLE, Number, "The provider cannot reach it."),
    (NOT_ACCEPTED, Sender, "The provider does not accept the sender or the text."),
    (FRAUD, Fraud, "The provider stopped it because of fraud."),
    (NOT_LET_IN, Account, "The provider does not let us in: no trusted TLS, or the credentials are wrong."),
    (NOBODY, Account, "No provider for it is configured."),
    (530, Account, "The mail server wants us to sign in."),
    (534, Account, "The mail server does not accept how we sign in."),
    (535, Account, "The mail server does not accept our credentials."),
    (550, Number, "The mailbox does not exist or takes no mail."),
    (551, Number, "The mailbox is elsewhere."),
    (552, Number, "The mailbox is full."),
    (553, Number, "The mail server cannot use the address."),
    (554, Sender, "The mail server refused the mail."),
];

/// The class of a code.
pub fn class(code: Option<i64>) -> Class {
    match row(code) {
        Some((_, class, _)) => *class,
        None => match code {
            Some(400..=499) => Temporary,
            Some(500..=599) => Sender,
            _ => Class::of(code),
        },
    }
}

/// Whether a mail server that works says so of one mail: a mailbox that is busy, or a stranger who shall come
/// back. Only 421 and 454 (RFC 3207, RFC 4954) are about the server itself. What it says before a mail is
/// begun is never told by its code here.
pub fn is_about_one_mail(code: Option<i64>) -> bool {
    matches!(code, Some(400..=499)) && !matches!(code, Some(421 | 454))
}

/// A code in our words.
pub(super) fn reason(code: Option<i64>) -> &'static str {
    match row(code) {
        Some((_, _, reason)) => reason,
        None => match code {
            Some(400..=499) => "The mail server cannot take it now.",
            Some(500..=599) => "The mail server refused the mail.",
            _ => crate::twilio::errors::reason(code),
        },
    }
}

fn row(code: Option<i64>) -> Option<&'static (i64, Class, &'static str)> {
    CODES.iter().find(|(known, ..)| Some(*known) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_class_whoever_told_it() {
        assert!(CODES.is_sorted_by(|one, next| one.0 < next.0));
        for (code, wanted) in [
            (Some(451), Temporary),
            (Some(535), Account),
            (Some(550), Number),
            (Some(571), Sender),
            (Some(30450), Fraud),
            (Some(FRAUD), Fraud),
            (Some(77), Class::Unknown),
            (None, Class::Unknown),
        ] {
            assert_eq!(class(code), wanted, "{code:?}");
        }
    }
}
