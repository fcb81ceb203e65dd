//! Policy: what each operation asks for. Read from `policies/default.toml`, over it the operator's own file.
//!
//! What is read here has been checked: a policy that contradicts itself, so that people could sign
//! up and never sign in, does not start. Nothing here looks at records, clock or chance.

mod calls;
mod check;
pub mod explain;
mod factor;
mod limits;
pub mod operation;
mod presets;
mod rules;
mod staff;

pub use calls::{Callers, Calls};
pub use factor::{FactorKind, Proof, Proofs};
pub use limits::{Budget, Limit, Limits, Wider};
pub use operation::{Notify, Operation, Operations, ProofRule};
pub use presets::{PRESETS, preset};
pub use rules::{Gate, Holder, Need, Verdict, after_first_factor, decide};
pub use staff::{Acting, Invitations, Rank, Staff};

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
    /// `[calls]`
    pub calls: Calls,
    /// `[limits]`
    pub limits: Limits,
    /// `[recovery]`
    pub recovery: Recovery,
    /// `[account]`
    pub account: Account,
    /// `[devices]`
    pub devices: Devices,
    /// `[notices]`
    pub notices: Notices,
    /// `[staff]`
    pub staff: Staff,
    /// `[acting]`
    pub acting: Acting,
    /// `[invitations]`
    pub invitations: Invitations,
    /// `[operation."…"]`
    pub operation: Operations,
}

/// `[sign_up]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// Whether people may sign up by themselves.
    pub open: bool,
    /// What a new user must give.
    pub required: Vec<IdentifierKind>,
    /// What a user must have shown to be their own before anything is opened for them.
    pub verified: Vec<IdentifierKind>,
    /// Which kinds of identifier may be told to be taken; the others look free.
    pub tell_taken: Vec<IdentifierKind>,
    /// Domains of the e-mail addresses that may sign up; none for all.
    pub email_domains: Vec<String>,
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
    /// What may be shown first.
    pub first: Vec<FactorKind>,
    /// `[sign_in.second]`
    pub second: SecondFactor,
}

/// `[sign_in.second]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondFactor {
    /// When it is asked for.
    pub when: When,
    /// With [`When::ByRole`], from whom always.
    pub roles: Vec<String>,
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
    /// From users with one of the named roles always, from others when they have one.
    ByRole,
    /// From nobody.
    Never,
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

text_enum! {
    /// How a session's credential travels.
    pub enum Carry {
        /// In the `__Host-vestibule` cookie.
        Cookie = "cookie",
        /// As an opaque token in `Authorization: Bearer`.
        Bearer = "bearer",
        /// As a short access token (RFC 9068) in `Authorization: Bearer`, renewed with a refresh token.
        Jwt = "jwt",
    }
}

/// `[session]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// How it travels when whoever signs in does not say.
    pub carry: Carry,
    /// Longest life, used or not.
    pub lifetime: Period,
    /// Longest pause between two uses.
    pub idle: Period,
    /// How many a user may have open; one more ends the one that was used longest ago.
    pub at_most: u32,
    /// Least time between two writes of when it was last used.
    pub seen_every: Period,
    /// How long an access token lasts, where the session is carried as JWT.
    pub access: Period,
}

/// The longest that an access token may last.
pub const LONGEST_ACCESS: Duration = Duration::from_secs(60 * 60);

/// `[recovery]`: how somebody who has forgotten the password gets back in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// By which ways, the preferred one first.
    pub channels: Vec<FactorKind>,
    /// How long the right to set a new password lasts.
    pub lifetime: Period,
}

/// `[account]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// How long a deleted account can be brought back.
    pub grace: Period,
    /// How long a change can be undone by the link in its notice.
    pub undo: Period,
    /// Most bytes of the metadata of one account, as JSON.
    pub metadata_bytes: u32,
    /// Deepest nesting of the metadata.
    pub metadata_depth: u32,
}

/// `[devices]`: what is remembered about where a user signed in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    /// How long a device is known after its last sign-in.
    pub known: Period,
    /// Whether a user may let a device do without the second factor.
    pub trust: bool,
    /// For how long.
    pub trusted: Period,
}

/// `[notices]`: what users are told beside what operations notify of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notices {
    /// Of a sign-in from a device that is not known.
    pub new_device: bool,
    /// Of a recovery that was begun.
    pub recovery: bool,
    /// Of a factor that takes no more codes, since there were too many wrong ones.
    pub factor_locked: bool,
}

impl Policy {
    /// The built-in policy, ready for layers above it.
    pub fn layers() -> Layers {
        let mut layers = Layers::new(include_str!("../../policies/default.toml"), "VESTIBULE_POLICY_", &[]);
        Operations::open(&mut layers);
        layers
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

    /// Whether staff of `rank` are shown the way to `operation`: it is theirs, and is ever done.
    pub fn shows_staff(&self, rank: Rank, operation: &str) -> bool {
        self.operation.is_done(operation) && self.staff.may(rank, operation)
    }

    /// What must be sent for it to work: a text message or a code by mail to sign up or in, a call where no text
    /// message would do, either to get back in, a mail also to change an address, and a notice of anything at all.
    pub fn needs(&self) -> Needs {
        let (second, required) = (&self.sign_in.second, &self.sign_up.required);
        let offers = |kind| second.when != When::Never && second.factors.contains(&kind);
        let changes = self.operation.get(operation::EMAIL_CHANGE).is_none_or(|rule| !rule.never);
        let Notices { new_device, recovery, factor_locked } = self.notices;
        Needs {
            sms: required.contains(&IdentifierKind::Mobile)
                || offers(FactorKind::Sms)
                || self.recovery.channels == [FactorKind::Sms],
            call: offers(FactorKind::Call) && !offers(FactorKind::Sms),
            email: required.contains(&IdentifierKind::Email)
                || offers(FactorKind::Email)
                || self.recovery.channels.contains(&FactorKind::Email)
                || changes,
            notices: new_device
                || recovery
                || factor_locked
                || self.operation.iter().any(|(_, rule)| !rule.notify.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check::DAY;
    use super::*;

    #[test]
    fn the_built_in_policy_is_read_without_fault_or_warning() {
        let mut layers = Policy::layers();
        let policy = Policy::read(&mut layers).unwrap();
        assert_eq!((layers.faults.len(), layers.warnings.len()), (0, 0), "{:?}", layers.warnings);
        assert_eq!(policy.sign_in.second.factors.first(), Some(&FactorKind::Totp));
        assert_eq!((policy.limits.send_number_day.limit, *policy.limits.send_number_day.window), (10, DAY));
        assert!(policy.needs().sms);
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
                "sign_in.second.factors = [\"otp\"]",
                "sign_in.second.factors: unknown variant `otp`, expected one of `password`, `sms`",
            ),
            ("sign_in.second.factors = [\"totp\"]", "sign_in.second.factors must name sms, call or"),
            (
                "sign_in.second.factors = [\"sms\", \"password\"]",
                "sign_in.second.factors must not name password",
            ),
            ("sign_in.second.when = \"by_role\"", "sign_in.second.roles must name at least one role"),
            ("sign_up.verified = [\"username\"]", "sign_up.verified may only name"),
            ("sign_up.tell_taken = [\"email\"]", "sign_up.tell_taken must name username"),
            ("sign_up.email_domains = [\"@example.com\"]", "sign_up.email_domains must name whole domains"),
            ("sign_up.email_domains = [\"*.example.com\"]", "sign_up.email_domains must name whole domains"),
            ("recovery.channels = [\"totp\"]", "recovery.channels may only name"),
            (
                "operation.\"factor.add\".proof = { any = [\"totp\"], highest = false }",
                "nobody could ever add",
            ),
            (
                "operation.\"own.act\".proof = { any = [\"otp\"] }",
                "operation.own.act.proof.any: unknown variant `otp`",
            ),
            ("operation.\"Own Act\".never = true", "is about an operation whose name"),
            (
                "operation.\"own.act\".proof = { max_age = \"31d\" }",
                "operation.own.act.proof.max_age must be at most 30d",
            ),
            ("operation.\"own.act\".prof = { any = [] }", "operation.own.act.prof.any is not a setting"),
            ("operation.act = 7", "operation.act is not a setting"),
            (
                "operation.\"own.act\".proof.ani = [\"totp\"]",
                "operation.own.act.proof.ani is not a setting; did you mean operation.own.act.proof.any?",
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
            ("session.access = \"5s\"", "session.access must be between 10s and 1h"),
            ("session.access = \"61m\"", "session.access must be between 10s and 1h"),
            ("session.access = \"1h\"", "session.access must be shorter than session.idle, which is 1h"),
            ("limits.send_address.limit = 0", "limits.send_address.limit must be above 0"),
            ("limits.send_address.window = \"0s\"", "limits.send_address.window must be"),
            ("limits.factor_failures = 101", "limits.factor_failures must be between 1 and 100"),
            ("limits.recovery_failures = 81", "together with limits.factor_failures at most 100"),
            ("limits.password_failures = 101", "limits.password_failures must be between 1 and 100"),
            ("limits.device_failures = 100", "must be below limits.password_failures, which is 100"),
            ("limits.wider.ipv4_24 = 0", "limits.wider.ipv4_24 must be above 0"),
            ("limits.wider.ipv6_56 = 17", "must not be above limits.wider.ipv6_48, which is 16"),
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
    fn what_is_said_of_an_operation_is_no_name_of_one() {
        for (line, name, word) in [
            ("\"shop.notify\".proof = { any = [\"totp\"] }", "shop.notify", "notify"),
            ("\"card.proof\".never = true", "card.proof", "proof"),
            ("\"card.proof.check\".never = true", "card.proof.check", "proof"),
            ("\"say.never\" = {}", "say.never", "never"),
            ("notify.never = true", "notify", "notify"),
            ("\"shop.sell\".never = true\n\"shop.notify\".never = true", "shop.notify", "notify"),
        ] {
            let faults = Policy::from_toml(&format!("[operation]\n{line}")).unwrap_err().to_string();
            let told = format!(": operation.{name} cannot be called so: `{word}` says something about what");
            assert!(faults.contains(&told) && faults.lines().count() == 1, "{line}: {faults}");
        }
        for own in ["shop.notify_all", "shop.any", "card.max_age", "proofs"] {
            assert!(Policy::from_toml(&format!("operation.\"{own}\".never = true")).is_ok(), "{own}");
        }
    }

    #[test]
    fn the_application_names_operations_of_its_own() {
        let policy = Policy::from_toml(
            "[operation.\"payments.transfer\"]\nproof = { any = [\"totp\"], max_age = \"2m\" }\n\
             [operation.reports.read]\n[operation.\"user.mobile.change\"]\nnever = false\n",
        );
        let policy = policy.unwrap();
        let own = policy.operation.get("payments.transfer").unwrap();
        assert_eq!((own.proof.any.as_slice(), own.never), ([FactorKind::Totp].as_slice(), false));
        assert!(!policy.operation.get("reports.read").unwrap().proof.asks());
        assert!(!policy.operation.get("user.mobile.change").unwrap().never);
        assert_eq!(policy.operation.iter().count(), operation::OWN.len() + 2);
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
            ("sign_up.email_domains = [\"example.com\"]", "sign_up.email_domains says little"),
            ("password.min_length = 7", "password.min_length is 7"),
            ("password.max_length = 63", "password.max_length is 63"),
            ("password.refuse_common = false", "password.refuse_common is false"),
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
        assert!(!policy.needs().sms);
    }
}
