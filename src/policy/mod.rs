//! Policy: what each operation asks for. Read from `policies/default.toml`, over it the operator's own file.
//!
//! What is read here has been checked: a policy that contradicts itself, so that people could sign
//! up and never sign in, does not start. Nothing here looks at records, clock or chance.

mod rules;

pub use rules::{Gate, after_first_factor};

use std::time::Duration;

use serde::Deserialize;

use crate::config::{Faults, Layers, Needs, Period};
use crate::store::text_enum;

/// What each operation asks for, one struct a section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// `[sign_up]`
    pub sign_up: SignUp,
    /// `[sign_in]`
    pub sign_in: SignIn,
    /// `[password]`
    pub password: Password,
    /// `[code]`
    pub code: Code,
    /// `[session]`
    pub session: Session,
    /// `[limits]`
    pub limits: Limits,
}

/// `[sign_up]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// Whether people may sign up by themselves.
    pub open: bool,
    /// What a new user must give.
    pub required: Vec<IdentifierKind>,
}

text_enum! {
    /// What a user is known by.
    pub enum IdentifierKind {
        /// A name of the user's choice.
        Username = "username",
        /// An e-mail address.
        Email = "email",
        /// A phone number.
        Mobile = "mobile",
    }
}

/// `[sign_in]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// `[sign_in.second]`
    pub second: SecondFactor,
}

/// `[sign_in.second]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondFactor {
    /// When it is asked for.
    pub when: When,
    /// Those on offer, the preferred one first.
    pub factors: Vec<FactorKind>,
}

/// When a second factor is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// From everybody; whoever has none is not let in.
    Always,
    /// From users who have one.
    WhenEnrolled,
    /// From nobody.
    Never,
}

text_enum! {
    /// What can be shown beside a password.
    pub enum FactorKind {
        /// A code in a text message.
        Sms = "sms",
    }
}

/// `[password]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Password {
    /// Shortest, in code points (NIST SP 800-63B-4 §3.1.1.2).
    pub min_length: u32,
    /// Longest, in code points.
    pub max_length: u32,
    /// Whether widely used passwords are refused.
    pub refuse_common: bool,
}

/// `[code]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Decimal digits (NIST SP 800-63B-4 §3.1.3.2).
    pub digits: u32,
    /// How long a code is good for.
    pub lifetime: Period,
    /// Judged guesses a challenge.
    pub attempts: u32,
    /// Least time between two messages of one challenge.
    pub resend_after: Period,
    /// Messages of one challenge, the first one included.
    pub sends: u32,
}

/// `[session]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Longest life, used or not.
    pub lifetime: Period,
    /// Longest pause between two uses.
    pub idle: Period,
    /// Least time between two writes of when it was last used.
    pub seen_every: Period,
}

/// `[limits]`: the one table of numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Sign-ins tried for one identifier.
    pub sign_in_identifier: Budget,
    /// Sign-ins tried from one address.
    pub sign_in_address: Budget,
    /// Sign-ups from one address.
    pub sign_up_address: Budget,
    /// Codes tried from one address.
    pub code_try_address: Budget,
    /// Messages to one number in a short time.
    pub send_number_short: Budget,
    /// Messages to one number in a day.
    pub send_number_day: Budget,
    /// Of the messages to one number in a short time, those for which nobody has shown a password.
    pub send_stranger_short: Budget,
    /// Of the messages to one number in a day, those for which nobody has shown a password.
    pub send_stranger_day: Budget,
    /// Messages that one address causes.
    pub send_address: Budget,
    /// Messages to one number or e-mail address that tell of one kind of event.
    pub send_notice: Budget,
    /// Consecutive wrong codes before a factor must be bound anew (NIST SP 800-63B-4 §3.2.2).
    pub factor_failures: u32,
}

/// At most `limit` in each `window`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How many.
    pub limit: u32,
    /// In what time.
    pub window: Period,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Policy {
    /// The built-in policy, ready for layers above it.
    pub fn layers() -> Layers {
        Layers::new(include_str!("../../policies/default.toml"), "VESTIBULE_POLICY_", &[])
    }

    /// Reads and checks what the layers came to. What is wrong or unwise is noted in `layers`.
    pub fn read(layers: &mut Layers) -> Option<Self> {
        let policy: Self = layers.read()?;
        policy.check(layers);
        Some(policy)
    }

    /// The built-in policy with `text` (TOML) over it.
    ///
    /// # Errors
    /// All that is wrong with `text`.
    pub fn from_toml(text: &str) -> Result<Self, Faults> {
        let mut layers = Self::layers();
        layers.lay_file("policy", text);
        match Self::read(&mut layers) {
            Some(policy) if layers.faults.is_empty() => Ok(policy),
            _ => Err(Faults(layers.faults)),
        }
    }

    /// The built-in policy.
    ///
    /// # Panics
    /// Never: what is built in is read by the tests.
    #[expect(clippy::expect_used, reason = "what is built in cannot change after the tests have read it")]
    pub fn default_policy() -> Self {
        Self::from_toml("").expect("the built-in policy is sound")
    }

    /// Whether signing up or in may need a text message.
    pub fn sends_sms(&self) -> bool {
        let second = &self.sign_in.second;
        self.sign_up.required.contains(&IdentifierKind::Mobile)
            || second.when != When::Never && second.factors.contains(&FactorKind::Sms)
    }

    /// Whether signing in may need a mail.
    pub fn sends_email(&self) -> bool {
        let second = &self.sign_in.second;
        second.when != When::Never && second.factors.iter().any(|factor| factor.as_str() == "email")
    }

    /// What must be sent for it to work.
    pub fn needs(&self) -> Needs {
        Needs { sms: self.sends_sms(), email: self.sends_email() }
    }

    fn check(&self, layers: &mut Layers) {
        self.check_sign_in(layers);
        self.check_password(layers);
        self.check_code(layers);
        self.check_session(layers);
        self.limits.check(layers);
    }

    fn check_sign_in(&self, layers: &mut Layers) {
        let (required, second) = (&self.sign_up.required, &self.sign_in.second);
        layers.must(
            !required.is_empty(),
            "sign_up.required",
            "must name at least one of username, email, mobile, or nobody could sign in",
        );
        layers.must(!repeats(required), "sign_up.required", "names something twice");
        layers.must(!repeats(&second.factors), "sign_in.second.factors", "names something twice");
        if second.when != When::Never {
            layers.must_with(
                !second.factors.is_empty(),
                "sign_in.second.factors",
                "sign_in.second.when",
                "must name at least one factor, unless sign_in.second.when is \"never\"",
            );
        }
        let sms_only =
            !second.factors.is_empty() && second.factors.iter().all(|factor| *factor == FactorKind::Sms);
        if second.when == When::Always && sms_only {
            layers.must_with(
                required.contains(&IdentifierKind::Mobile),
                "sign_up.required",
                "sign_in.second.when",
                "must name mobile, since every sign-in needs a text message: who gave no number could never sign in",
            );
        }
    }

    fn check_password(&self, layers: &mut Layers) {
        let Password { min_length, max_length, .. } = self.password;
        layers.must(min_length >= 4, "password.min_length", "must be at least 4");
        layers.must((1..=1024).contains(&max_length), "password.max_length", "must be between 1 and 1024");
        layers.must_with(
            min_length <= max_length,
            "password.min_length",
            "password.max_length",
            format_args!("must not be above password.max_length, which is {max_length}"),
        );
        let alone = self.sign_in.second.when != When::Always;
        if alone && min_length < 15 {
            layers.warn(
                "password.min_length",
                format_args!(
                    "is {min_length}, and a password may stand alone here: NIST SP 800-63B-4 asks for at least 15, \
                     or for sign_in.second.when = \"always\""
                ),
            );
        } else if min_length < 8 {
            layers.warn(
                "password.min_length",
                format_args!("is {min_length}: NIST SP 800-63B-4 asks for at least 8"),
            );
        }
        if max_length < 64 {
            layers.warn(
                "password.max_length",
                format_args!("is {max_length}: NIST SP 800-63B-4 asks for at least 64"),
            );
        }
    }

    fn check_code(&self, layers: &mut Layers) {
        let code = &self.code;
        layers.must(
            (6..=10).contains(&code.digits),
            "code.digits",
            "must be between 6 and 10 (NIST SP 800-63B-4)",
        );
        let minutes = Duration::from_secs(60);
        layers.must(
            !code.lifetime.is_zero() && *code.lifetime <= minutes * 10,
            "code.lifetime",
            "must be longer than 0s and at most 10m (NIST SP 800-63B-4)",
        );
        layers.must((1..=10).contains(&code.attempts), "code.attempts", "must be between 1 and 10");
        layers.must((1..=10).contains(&code.sends), "code.sends", "must be between 1 and 10");
        layers.must_with(
            code.resend_after < code.lifetime,
            "code.resend_after",
            "code.lifetime",
            format_args!("must be shorter than code.lifetime, which is {}", code.lifetime),
        );
    }

    fn check_session(&self, layers: &mut Layers) {
        let session = &self.session;
        for (path, period) in [("session.lifetime", session.lifetime), ("session.idle", session.idle)] {
            layers.must(!period.is_zero(), path, "must be longer than 0s");
        }
        layers.must_with(
            session.idle <= session.lifetime,
            "session.idle",
            "session.lifetime",
            format_args!("must not be longer than session.lifetime, which is {}", session.lifetime),
        );
        layers.must_with(
            session.seen_every < session.idle,
            "session.seen_every",
            "session.idle",
            format_args!(
                "must be shorter than session.idle, which is {}, or a used session would end as idle",
                session.idle
            ),
        );
        let two_factors = self.sign_in.second.when == When::Always;
        let longest = if two_factors { DAY } else { DAY * 30 };
        if *session.lifetime > longest {
            layers.warn(
                "session.lifetime",
                format_args!(
                    "is {}: NIST SP 800-63B-4 recommends at most {}",
                    session.lifetime,
                    Period(longest)
                ),
            );
        }
        if two_factors && *session.idle > Duration::from_secs(60 * 60) {
            layers.warn(
                "session.idle",
                format_args!("is {}: NIST SP 800-63B-4 recommends at most 1h", session.idle),
            );
        }
    }
}

impl Limits {
    fn check(&self, layers: &mut Layers) {
        for (name, budget) in [
            ("sign_in_identifier", self.sign_in_identifier),
            ("sign_in_address", self.sign_in_address),
            ("sign_up_address", self.sign_up_address),
            ("code_try_address", self.code_try_address),
            ("send_number_short", self.send_number_short),
            ("send_number_day", self.send_number_day),
            ("send_stranger_short", self.send_stranger_short),
            ("send_stranger_day", self.send_stranger_day),
            ("send_address", self.send_address),
            ("send_notice", self.send_notice),
        ] {
            layers.must(
                budget.limit > 0,
                &format!("limits.{name}.limit"),
                "must be above 0, or nobody could ever pass",
            );
            let window = !budget.window.is_zero() && *budget.window <= DAY * 30;
            layers.must(window, &format!("limits.{name}.window"), "must be longer than 0s and at most 30d");
        }
        layers.must(
            (1..=100).contains(&self.factor_failures),
            "limits.factor_failures",
            "must be between 1 and 100 (NIST SP 800-63B-4)",
        );
    }
}

fn repeats<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().any(|(at, item)| items.iter().skip(at + 1).any(|other| other == item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_policy_is_read_without_fault_or_warning() {
        let mut layers = Policy::layers();
        let policy = Policy::read(&mut layers).unwrap();
        assert_eq!((layers.faults.len(), layers.warnings.len()), (0, 0), "{:?}", layers.warnings);
        assert_eq!(policy.sign_in.second.factors, [FactorKind::Sms]);
        assert_eq!((policy.limits.send_number_day.limit, *policy.limits.send_number_day.window), (10, DAY));
        assert!(policy.sends_sms());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (text, told) in [
            ("sign_up.required = [\"username\", \"email\"]", "sign_up.required must name mobile"),
            (
                "sign_up.required = []\nsign_in.second.when = \"never\"",
                "sign_up.required must name at least one",
            ),
            ("sign_up.required = [\"mobile\", \"mobile\"]", "sign_up.required names something twice"),
            (
                "sign_up.required = [\"phone\"]",
                "sign_up.required: unknown variant `phone`, expected one of `username`, `email`, `mobile`",
            ),
            ("sign_in.second.factors = []", "sign_in.second.factors must name at least one"),
            (
                "sign_in.second.factors = [\"totp\"]",
                "sign_in.second.factors: unknown variant `totp`, expected `sms`",
            ),
            ("sign_in.second.when = \"sometimes\"", "sign_in.second.when: unknown variant `sometimes`"),
            ("password.min_length = 3", "password.min_length must be at least 4"),
            ("password.max_length = 7", "must not be above password.max_length, which is 7"),
            ("password.max_length = 1025", "password.max_length must be between"),
            ("code.digits = 5", "code.digits must be between 6 and 10"),
            ("code.digits = 11", "code.digits must be between 6 and 10"),
            ("code.lifetime = \"11m\"", "code.lifetime must be"),
            ("code.lifetime = \"0s\"", "code.lifetime must be"),
            (
                "code.resend_after = \"5m\"",
                "code.resend_after must be shorter than code.lifetime, which is 5m",
            ),
            ("code.attempts = 0", "code.attempts must be"),
            ("code.sends = 0", "code.sends must be"),
            ("session.idle = \"25h\"", "session.idle must not be longer than session.lifetime, which is 1d"),
            (
                "session.seen_every = \"1h\"",
                "session.seen_every must be shorter than session.idle, which is 1h",
            ),
            ("limits.send_address.limit = 0", "limits.send_address.limit must be above 0"),
            ("limits.send_address.window = \"0s\"", "limits.send_address.window must be"),
            ("limits.factor_failures = 101", "limits.factor_failures must be between 1 and 100"),
            (
                "limits.send_adress.limit = 1",
                "limits.send_adress is not a setting; did you mean limits.send_address?",
            ),
        ] {
            let faults = Policy::from_toml(text).unwrap_err().to_string();
            assert!(faults.contains(told) && faults.starts_with("policy line 1: "), "{text}: {faults}");
        }
    }

    #[test]
    fn what_is_unwise_is_allowed_and_told() {
        for (text, told) in [
            (
                "sign_in.second.when = \"never\"",
                "built-in default: password.min_length is 8, and a password may stand alone",
            ),
            (
                "sign_in.second.when = \"when_enrolled\"\npassword.min_length = 14",
                "policy line 2: password.min_length is 14",
            ),
            ("password.min_length = 7", "password.min_length is 7"),
            ("password.max_length = 63", "password.max_length is 63"),
            ("session.lifetime = \"25h\"", "session.lifetime is 25h"),
            ("session.idle = \"61m\"", "session.idle is 61m"),
        ] {
            let mut layers = Policy::layers();
            layers.lay_file("policy", text);
            assert!(Policy::read(&mut layers).is_some() && layers.faults.is_empty(), "{:?}", layers.faults);
            assert!(
                layers.warnings.len() == 1 && layers.warnings[0].contains(told),
                "{text}: {:?}",
                layers.warnings
            );
        }
    }

    #[test]
    fn a_long_password_may_stand_alone() {
        let text = "sign_in.second = { when = \"never\", factors = [] }\npassword.min_length = 15\nsign_up.required = [\"email\"]";
        let mut layers = Policy::layers();
        layers.lay_file("policy", text);
        let policy = Policy::read(&mut layers).unwrap();
        assert!(
            layers.faults.is_empty() && layers.warnings.is_empty(),
            "{:?} {:?}",
            layers.faults,
            layers.warnings
        );
        assert!(!policy.sends_sms());
    }
}
