//! Twilio's error codes as data. Twilio changes them, and warns against logic on them: whatever is
//! not in the table is [`Class::Unknown`], and the class alone decides.

/// What a failure means for what happens next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// It passes: try again.
    Temporary,
    /// This number cannot be reached: stop, and offer another way.
    Number,
    /// The sender or the text is not accepted: stop, and tell the operator.
    Sender,
    /// Somebody earns by our messages: stop, and never fall back to a call by itself.
    Fraud,
    /// The account does not work: tell the operator.
    Account,
    /// Our own callback address does not work: tell the operator.
    Endpoint,
    /// Not in the table: one more try.
    Unknown,
}

use Class::{Account, Endpoint, Fraud, Number, Sender, Temporary, Unknown};

const CODES: &[(i64, Class, &str)] = &[
    (11200, Endpoint, "Our callback address could not be read."),
    (11205, Endpoint, "Our callback address could not be reached."),
    (12100, Sender, "What was to be said could not be read."),
    (13224, Number, "The number cannot be called."),
    (13225, Sender, "The account may not call this number."),
    (13227, Sender, "The account may not call this country."),
    (20003, Account, "The provider does not accept our credentials."),
    (20429, Temporary, "The provider asks for fewer requests."),
    (20500, Temporary, "The provider failed."),
    (21201, Number, "The number is missing."),
    (21205, Sender, "The address of what is to be said is not valid."),
    (21210, Sender, "The caller's number is not verified at the provider."),
    (21211, Number, "The number is not valid."),
    (21212, Sender, "The sender is not valid."),
    (21213, Sender, "The caller's number is missing."),
    (21214, Number, "The number cannot be reached by phone."),
    (21215, Sender, "The account may not call this country."),
    (21216, Number, "The provider does not call this number."),
    (21217, Number, "The number is not valid."),
    (21219, Account, "A trial account calls verified numbers only."),
    (21408, Sender, "The account may not send to this country."),
    (21602, Sender, "The text is missing."),
    (21603, Sender, "The sender is missing."),
    (21604, Number, "The number is missing."),
    (21606, Sender, "The sender cannot send text messages."),
    (21608, Account, "A trial account sends to verified numbers only."),
    (21609, Endpoint, "Our callback address is not valid."),
    (21610, Number, "The number's owner wants no messages (STOP)."),
    (21611, Temporary, "The sender's queue is full."),
    (21612, Sender, "This sender cannot reach this number."),
    (21614, Number, "The number cannot receive text messages."),
    (21617, Sender, "The text is too long."),
    (30001, Temporary, "The sender's queue was full."),
    (30002, Account, "The account is suspended."),
    (30003, Temporary, "The handset could not be reached."),
    (30004, Number, "The number is blocked."),
    (30005, Number, "The number does not exist."),
    (30006, Number, "The number is a landline or cannot be reached."),
    (30007, Sender, "The message was filtered."),
    (30008, Temporary, "The network does not say what went wrong."),
    (30034, Sender, "The sender is not registered for this network (A2P 10DLC)."),
    (30450, Fraud, "Stopped as SMS pumping."),
    (57012, Endpoint, "Our callback address does not work."),
    (60410, Fraud, "The number's prefix is blocked because of fraud."),
    (60605, Fraud, "The country is blocked."),
];

impl Class {
    /// The class of a code; [`Class::Unknown`] without one.
    pub fn of(code: Option<i64>) -> Self {
        row(code).map_or(Unknown, |(_, class, _)| *class)
    }

    /// Whether an operator has to do something before the next message can go.
    pub fn needs_operator(self) -> bool {
        matches!(self, Sender | Account | Endpoint)
    }
}

/// A code in our words.
pub fn reason(code: Option<i64>) -> &'static str {
    row(code).map_or("The provider did not take it.", |(_, _, reason)| reason)
}

fn row(code: Option<i64>) -> Option<&'static (i64, Class, &'static str)> {
    CODES.iter().find(|(known, ..)| Some(*known) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_each_is_there_once() {
        assert!(CODES.is_sorted_by(|one, next| one.0 < next.0));
    }

    #[test]
    fn what_is_not_in_the_table_is_unknown() {
        assert_eq!(Class::of(Some(30450)), Fraud);
        assert_eq!(Class::of(Some(99_999)), Unknown);
        assert_eq!(Class::of(None), Unknown);
    }
}
