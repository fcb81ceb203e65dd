//! What may become a password. Pure.

use unicode_normalization::UnicodeNormalization;
use zxcvbn::zxcvbn;

use super::MAX_BYTES;
use super::context::{self, is_derived};
use crate::breached::Breached;
use crate::error::FieldError;
use crate::policy;
use crate::secret::Secret;

/// How many guesses a common password withstands. The whole list of common passwords that is searched
/// has 30,000 entries in the order in which they are tried, so every one of them falls within; so do
/// words, runs of keys, dates and repetitions that are tried as early.
const COMMON_GUESSES: u64 = 30_000;

/// How many code points are searched for. The longest entry of the list has 20, and the search grows
/// with the cube of the length; past it only a repetition can be common.
const SEARCHED: usize = 32;

/// The marks that stand for letters when a password is written in marks. The search tries every way
/// of reading them, which grows exponentially with how many different ones there are; no entry of the
/// list has more than one, so that a password with more than [`MIXED`] is on no list.
const MARKS: &str = "@({[<!|$+%";

/// See [`MARKS`]. With these bounds the search costs less than a hash.
const MIXED: usize = 2;

/// What a password is judged by, besides itself and whose it is.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub policy: &'a policy::Password,
    /// This server's host.
    pub host: &'a str,
    pub breached: Option<&'a Breached>,
}

/// A password that may be stored, in NFC.
#[derive(Clone, Debug)]
pub struct NewPassword(Secret);

impl NewPassword {
    /// Judges a password that a user chose. `field` is where it was given; `own` is what the user is known
    /// by.
    ///
    /// # Errors
    /// `too-short`, `too-long`, `invalid`, `common`, `context` or `breached`, with the reason in a sentence.
    pub(super) fn parse(
        field: &'static str,
        raw: &Secret,
        judge: Judge<'_>,
        own: &[&str],
    ) -> Result<Self, FieldError> {
        let Judge { policy, host, breached } = judge;
        let refuse = |code: &'static str, message: String| Err(FieldError::new(field, code, message));
        let too_long = || refuse("too-long", format!("A password has at most {MAX_BYTES} bytes."));
        if raw.expose().len() > MAX_BYTES {
            return too_long();
        }
        let secret = Secret::new(raw.expose().nfc().collect::<String>());
        let text = secret.expose();
        // NFC takes some signs apart: notes of music become three times as long.
        if text.len() > MAX_BYTES {
            return too_long();
        }
        let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        if length < policy.min_length {
            return refuse(
                "too-short",
                format!(
                    "A password has at least {} characters; several words make a good one.",
                    policy.min_length
                ),
            );
        }
        if length > policy.max_length {
            return refuse("too-long", format!("A password has at most {} characters.", policy.max_length));
        }
        if text.contains(char::is_control) {
            return refuse(
                "invalid",
                "A password has no tabs, line breaks or other control characters.".into(),
            );
        }
        if is_derived(text, host, own) {
            return refuse(
                "context",
                "This password is made of your own name, your address or the name of this service.".into(),
            );
        }
        if policy.refuse_common && is_common(text) {
            return refuse("common", "This password is one of the first that others would try.".into());
        }
        if breached.is_some_and(|breached| breached.contains(text)) {
            return refuse(
                "breached",
                "This password was stolen from another service, so others will try it. Choose one that you use \
                 nowhere else; several words make a good one."
                    .into(),
            );
        }
        Ok(Self(secret))
    }

    /// The same password, to be checked.
    pub fn as_given(&self) -> GivenPassword {
        GivenPassword(Some(self.0.clone()))
    }

    pub(super) fn secret(&self) -> Secret {
        self.0.clone()
    }
}

/// A password that somebody gave as theirs, in NFC.
#[derive(Clone, Debug)]
pub struct GivenPassword(Option<Secret>);

impl GivenPassword {
    /// Takes whatever was given; what is too long to be a password is kept as being wrong.
    pub fn new(raw: &Secret) -> Self {
        let raw = raw.expose();
        Self((raw.len() <= MAX_BYTES).then(|| Secret::new(raw.nfc().collect::<String>())))
    }

    pub(super) fn secret(&self) -> Option<Secret> {
        self.0.clone()
    }
}

/// Whether the password as a whole is among the first that are tried, in any capitals.
fn is_common(text: &str) -> bool {
    let folded: Vec<char> = text.to_lowercase().chars().collect();
    let repeats =
        |period: usize| folded.iter().zip(folded.iter().skip(period)).all(|(one, next)| one == next);
    if folded.len() > SEARCHED && !(1..=SEARCHED / 2).any(repeats) {
        return false;
    }
    let head: String = folded.iter().take(SEARCHED).collect();
    if MARKS.chars().filter(|mark| head.contains(*mark)).count() > MIXED {
        return false;
    }
    zxcvbn(&head, &[]).guesses() <= COMMON_GUESSES
}

/// How hard a password is to guess, by zxcvbn.
pub struct Strength {
    /// 0 (at once) to 4 (not in a lifetime).
    pub score: u8,
    /// What is weak about it.
    pub warning: Option<String>,
    /// What would make it better.
    pub suggestions: Vec<String>,
}

/// Estimates a password that may be anything, in bounded time: by its first [`SEARCHED`] code points, and
/// with no more than [`MIXED`] different marks taken for letters. What it says of a longer one is true of
/// its beginning, and the whole is no easier to guess.
pub(super) fn strength(raw: &Secret, host: &str, own: &[&str]) -> Strength {
    // Four times as many bytes hold them in any form; normalising all of a long text would take time.
    let head: String = raw.expose().chars().take(4 * SEARCHED).nfc().take(SEARCHED).collect();
    let mut kept = String::new();
    let head: String = head
        .chars()
        .map(|c| match c {
            mark if MARKS.contains(mark) && !kept.contains(mark) => {
                if kept.len() >= MIXED {
                    return '_';
                }
                kept.push(mark);
                mark
            }
            c => c,
        })
        .collect();
    let head = Secret::new(head);
    let words = context::words(host, own);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let estimate = zxcvbn(head.expose(), &words);
    let feedback = estimate.feedback();
    Strength {
        score: u8::from(estimate.score()),
        warning: feedback.and_then(|feedback| feedback.warning()).map(|warning| warning.to_string()),
        suggestions: feedback
            .map(|feedback| feedback.suggestions().iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first 3,500 of the list of zxcvbn that are long enough for a policy of eight.
    const SAMPLE: &str = include_str!("common_sample.txt");

    fn policy(min_length: u32) -> policy::Password {
        policy::Password { min_length, max_length: 256, refuse_common: true }
    }

    fn by(policy: &policy::Password) -> Judge<'_> {
        Judge { policy, host: "accounts.example.com", breached: None }
    }

    fn judge(min_length: u32, text: &str, own: &[&str]) -> String {
        let policy = policy(min_length);
        let new = NewPassword::parse("password", &Secret::new(text), by(&policy), own);
        new.map_or_else(|error| error.code.into_owned(), |_| "good".into())
    }

    #[test]
    fn length_is_counted_in_code_points_after_nfc() {
        let text = "tq8#vL2xnW5zRk0pYd7mGhB3c";
        for (length, expected) in [(7, "too-short"), (8, "good")] {
            assert_eq!(judge(8, &text[..length], &[]), expected);
        }
        for (length, expected) in [(14, "too-short"), (15, "good")] {
            assert_eq!(judge(15, &text[..length], &[]), expected);
        }
        let marks = "a\u{308}o\u{308}u\u{308}e\u{301}a\u{308}o\u{308}u\u{308}";
        assert_eq!(judge(8, marks, &[]), "too-short", "seven letters, fourteen code points before NFC");
        assert_eq!(judge(8, "äöüéäöüx\u{1f600}", &[]), "good");
        let long: String = text.chars().cycle().take(256).collect();
        assert_eq!(judge(15, &long, &[]), "good");
        assert_eq!(judge(15, &format!("{long}x"), &[]), "too-long");
        assert_eq!(judge(15, &"😀🎲".repeat(128), &[]), "common", "1,024 bytes, 256 code points");
        assert_eq!(judge(15, &"z".repeat(1_025), &[]), "too-long");
        assert_eq!(judge(15, &"\0".repeat(10_000_000), &[]), "too-long");
        let endless = policy::Password { max_length: u32::MAX, ..policy(15) };
        let long = Secret::new(text.repeat(1_000));
        assert_eq!(NewPassword::parse("password", &long, by(&endless), &[]).unwrap_err().code, "too-long");
        let notes: String = ('\u{1d15e}'..='\u{1d163}').cycle().step_by(5).take(100).collect();
        let grows = NewPassword::parse("password", &Secret::new(notes), by(&endless), &[]);
        assert_eq!(grows.unwrap_err().code, "too-long", "400 bytes, and more than 1,024 in NFC");
    }

    #[test]
    fn whatever_can_be_typed_may_be_in_it_and_nothing_must_be() {
        for text in [
            "correct horse battery",
            "       lots of spaces      ",
            "ただしい うま でんち ほちきす",
            "zebra‍👩‍👩‍👧 gravel lantern",
            "qmzpwlxoekcnrtb",
            "8305176294016358",
        ] {
            assert_eq!(judge(15, text, &[]), "good", "{text}");
        }
        for text in [
            "correct horse\0battery",
            "correct horse\tbattery",
            "correct horse battery\n",
            "correct horse\u{85}battery",
        ] {
            assert_eq!(judge(15, text, &[]), "invalid", "{text:?}");
        }
    }

    #[test]
    fn three_thousand_common_passwords_are_refused() {
        let mut count = 0;
        for text in SAMPLE.lines() {
            assert_eq!(judge(8, text, &[]), "common", "{text}");
            let mixed: String = text
                .char_indices()
                .map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c })
                .collect();
            assert_eq!(judge(8, &mixed, &[]), "common", "{mixed}");
            count += 1;
        }
        assert!(count >= 3_000);
    }

    #[test]
    fn common_is_judged_in_any_capitals_and_by_the_whole() {
        for text in [
            "PassWord1",
            "ILOVEYOU",
            "drowssap",
            "aaaaaaaaaaaaaaaa",
            "passwordpassword",
            "abcdefghijklmnop",
            "qwertyuiopasdfgh",
        ] {
            assert_eq!(judge(8, text, &[]), "common", "{text}");
        }
        for length in [32, 33, 200] {
            assert_eq!(judge(15, &"a".repeat(length), &[]), "common", "{length}");
        }
        for text in ["password of a quiet giraffe", "xx12345678 lantern moss"] {
            assert_eq!(judge(15, text, &[]), "good", "{text}");
        }
        let lenient = policy::Password { refuse_common: false, ..policy(8) };
        assert!(NewPassword::parse("password", &Secret::new("iloveyou"), by(&lenient), &[]).is_ok());
    }

    #[test]
    fn no_password_makes_the_search_long() {
        // Without the bound on marks each of the first costs about a tenth of a second. The quickest of
        // many counts: on a busy machine others take their share of the rest.
        for text in ["4@8({[<3691!|705$+%2x4@8({[<3691", "48369170522@|z48369170522@|z4836"] {
            let quickest = (0..30).map(|_| {
                let start = std::time::Instant::now();
                let _ = judge(8, text, &[]);
                start.elapsed()
            });
            let quickest = quickest.min().unwrap();
            assert!(quickest < std::time::Duration::from_millis(60), "{quickest:?}");
        }
    }

    #[test]
    fn strength_is_told_in_bounded_time() {
        let score = |text: &str, own: &[&str]| strength(&Secret::new(text), "accounts.example.com", own);
        let weak = score("password", &[]);
        assert_eq!(weak.score, 0);
        assert!(weak.warning.is_some() && !weak.suggestions.is_empty());
        let strong = score("violet kettle forty moons", &[]);
        assert_eq!((strong.score, strong.warning), (4, None));
        assert!(score("zquigleyfarb", &["zquigleyfarb"]).score < score("zquigleyfarb", &[]).score);
        assert!(score("", &[]).score == 0 && score(&"a".repeat(500), &[]).score <= 1);
        let long = "4@8({[<3691!|705$+%2x".repeat(3_000);
        let decomposed = "a\u{301}\u{302}\u{303}".repeat(20_000);
        for text in ["4@8({[<3691!|705$+%2x4@8({[<3691", &long, &decomposed] {
            let quickest = (0..20).map(|_| {
                let start = std::time::Instant::now();
                score(text, &[&long, &decomposed]);
                start.elapsed()
            });
            let quickest = quickest.min().unwrap();
            assert!(quickest < std::time::Duration::from_millis(60), "{quickest:?}");
        }
    }

    #[test]
    fn what_stands_close_to_the_user_is_refused() {
        let own = ["Alice.Liddell", "alice@wonderland.example", "+12025550123"];
        for text in [
            "vestibule-2030!",
            "Vestibule Vestibule",
            "accounts.example.com",
            "example_accounts",
            "alice.liddell1865",
            "ALICE@wonderland.example",
            "alicealicealice",
            "alice+vestibule!!",
            "12025550123!",
            "+12025550123-2030",
        ] {
            assert_eq!(judge(8, text, &own), "context", "{text}");
        }
        for text in
            ["alice through the looking glass", "gravel moss 12025550123", "wonderful example of mine"]
        {
            assert_eq!(judge(8, text, &own), "good", "{text}");
        }
    }

    #[test]
    fn an_error_never_shows_the_password() {
        let secret = Secret::new("iloveyou");
        let error = NewPassword::parse("new_password", &secret, by(&policy(8)), &[]).unwrap_err();
        assert_eq!(error.field, "new_password");
        assert!(!format!("{error:?}").contains("iloveyou"));
        assert!(!format!("{:?}", GivenPassword::new(&secret)).contains("iloveyou"));
    }

    #[test]
    fn a_given_password_is_normalised_and_otherwise_left_alone() {
        let given = |text: &str| {
            GivenPassword::new(&Secret::new(text)).secret().map(|secret| secret.expose().to_owned())
        };
        assert_eq!(given("Cafe\u{301} "), Some("Café ".into()));
        assert_eq!(given("\t\0"), Some("\t\0".into()));
        assert_eq!(given(&"x".repeat(1_024)).map(|text| text.len()), Some(1_024));
        assert_eq!(given(&"x".repeat(1_025)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_is_judged(text in any::<String>(), own in any::<String>(), host in "\\PC{0,20}") {
            let (policy, secret) = (policy(1), Secret::new(text));
            let judge = Judge { policy: &policy, host: &host, breached: None };
            let _ = NewPassword::parse("password", &secret, judge, &[&own, &host]);
            prop_assert!(strength(&secret, &host, &[&own]).score <= 4);
        }

        #[test]
        fn what_was_chosen_is_right_in_either_form(text in "[\\pL\\pM\\pN ]{8,40}") {
            if let Ok(new) = NewPassword::parse("password", &Secret::new(&text), by(&policy(8)), &[]) {
                let decomposed: String = text.nfd().collect();
                let given = GivenPassword::new(&Secret::new(decomposed)).secret();
                let secret = new.secret();
                prop_assert_eq!(given.as_ref().map(Secret::expose), Some(secret.expose()));
            }
        }
    }
}
