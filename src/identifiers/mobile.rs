//! Phone numbers: E.164, judged by the numbering plans of the world.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};

use super::{MAX_BYTES, wrong};
use crate::error::FieldError;
use crate::policy::IdentifierKind;

/// A phone number that a message can go to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mobile(String);

impl Mobile {
    /// Reads a number in international form. Spaces, dashes, dots and brackets between digits are
    /// left out; whatever else is there, an extension too, is refused: a message to a number that
    /// was guessed from the text would go to a stranger.
    ///
    /// # Errors
    /// `too-long` or `invalid`, with a sentence.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let refuse = |code, message| Err(wrong(IdentifierKind::Mobile, code, message));
        if text.len() > MAX_BYTES {
            return refuse("too-long", "A phone number has at most 15 digits.");
        }
        let Some(rest) = text.strip_prefix('+') else {
            return refuse(
                "invalid",
                "A phone number starts with + and the country code, such as +44 for Britain.",
            );
        };
        let filler = |c: char| matches!(c, ' ' | '-' | '.' | '(' | ')');
        let digits: String = rest.chars().filter(|c| !filler(*c)).collect();
        let framed =
            rest.starts_with(|c: char| c.is_ascii_digit()) && rest.ends_with(|c: char| c.is_ascii_digit());
        if !framed || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return refuse("invalid", "A phone number is made of + and digits, without an extension.");
        }
        // E.164 §6.2.1: at most 15 digits with the country code.
        if digits.len() > 15 {
            return refuse("too-long", "A phone number has at most 15 digits.");
        }
        let number = format!("+{digits}");
        if !is_reachable(&number) {
            return refuse(
                "invalid",
                "There is no such phone number; check the country code and the digits.",
            );
        }
        Ok(Self(number))
    }

    /// The country whose plan it belongs to, ISO 3166-1; none where several share it, as with satellites.
    pub fn country(&self) -> Option<String> {
        let util = &*PHONE_NUMBER_UTIL;
        let parsed = util.parse(&self.0, None).ok()?;
        let region = util.get_region_for_number(&parsed)?.to_string();
        (region.len() == 2).then_some(region)
    }

    /// The number in E.164: `+` and digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the number exists in its country's plan, is read as exactly these digits, and is not one
/// whose owner is paid for every message to it.
fn is_reachable(number: &str) -> bool {
    let util = &*PHONE_NUMBER_UTIL;
    let Ok(parsed) = util.parse(number, None) else { return false };
    let same = util.format(&parsed, PhoneNumberFormat::E164) == number;
    let paid =
        matches!(util.get_number_type(&parsed), PhoneNumberType::PremiumRate | PhoneNumberType::SharedCost);
    same && util.is_valid_number(&parsed) && !paid
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_kept_digit_by_digit() {
        for (typed, number) in [
            ("+12025550123", "+12025550123"),
            ("+1 (202) 555-0123", "+12025550123"),
            ("+1.202.555.0123", "+12025550123"),
            ("+44 7400 123456", "+447400123456"),
            ("+78005553535", "+78005553535"),
            ("+7 912 345-67-89", "+79123456789"),
            ("+33 6 72 82 99 16", "+33672829916"),
            ("+39 06 698 12345", "+390669812345"),
            ("+8613812345678", "+8613812345678"),
            ("+4915123456789", "+4915123456789"),
            ("+33142764978", "+33142764978"),
        ] {
            let mobile = Mobile::parse(typed).unwrap_or_else(|error| panic!("{typed}: {error:?}"));
            assert_eq!(mobile.as_str(), number, "{typed}");
        }
    }

    #[test]
    fn a_number_that_would_have_to_be_guessed_is_refused() {
        for text in [
            "",
            "+",
            "12025550123",
            "0012025550123",
            "020 7946 0018",
            "++12025550123",
            "+ 12025550123",
            "+(1)2025550123",
            "+12025550123 ",
            " +12025550123",
            "+12025550123-",
            "+1202555012",
            "+120255501234",
            "+1555010",
            "+0123456789",
            "+9991234567890",
            "+97233142764978",
            "+3367a829916",
            "+1-800-FLOWERS",
            "+12025550123 ext. 5",
            "+12025550123x5",
            "+12025550123;ext=5",
            "+12025550123#5",
            "+12025550123,5",
            "tel:+12025550123",
            "+12025550123;phone-context=+44",
            "＋12025550123",
            "+１２０２５５５０１２３",
            "+١٢٠٢٥٥٥٠١٢٣",
            "+1202\u{a0}5550123",
            "+1202\u{200b}5550123",
            "+1202\u{202e}5550123",
            "+1202\n5550123",
            "+1202\x005550123",
            "+1/2025550123",
            "+1*2025550123",
            "+😀",
            "+390669812345\u{301}",
            // The trunk zero is not part of these.
            "+4407400123456",
            "+33 (0) 672829916",
            // Premium rate.
            "+19002345678",
            "+4989900123456x",
        ] {
            assert!(Mobile::parse(text).is_err(), "{text:?}: {:?}", Mobile::parse(text));
        }
        assert!(Mobile::parse("+3367a829916").unwrap_err().message.contains("made of + and digits"));
        assert_eq!(Mobile::parse(&format!("+{}", "1".repeat(16))).unwrap_err().code, "too-long");
        assert_eq!(Mobile::parse(&format!("+{}", "1".repeat(400))).unwrap_err().code, "too-long");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), tail in "\\PC{0,20}") {
            let _ = Mobile::parse(&text);
            let _ = Mobile::parse(&format!("+{tail}"));
        }

        #[test]
        fn no_digit_is_ever_added_lost_or_moved(text in "\\+[0-9]([ ().-]{0,2}[0-9]){5,15}[ ().a-z-]{0,2}") {
            if let Ok(mobile) = Mobile::parse(&text) {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                prop_assert_eq!(mobile.as_str(), format!("+{digits}"));
                prop_assert_eq!(Mobile::parse(mobile.as_str()), Ok(mobile.clone()));
            }
        }
    }
}
