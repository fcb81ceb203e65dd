//! What a policy must not say: contradictions are refused at start with a sentence, and what is
//! unwise is warned of.

use std::time::Duration;

use super::{FactorKind, IdentifierKind, LONGEST_ACCESS, Password, Policy, When, operation};
use crate::config::{Layers, Period};

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Policy {
    pub(super) fn check(&self, layers: &mut Layers) {
        self.check_sign_in(layers);
        self.check_recovery(layers);
        self.check_password(layers);
        self.check_code(layers);
        self.check_session(layers);
        self.check_operations(layers);
        self.calls.check(layers);
        self.staff.check(layers);
        self.acting.check(layers);
        self.invitations.check(layers);
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
        layers.must(!self.sign_in.first.is_empty(), "sign_in.first", "must name at least one factor");
        layers.must(
            self.sign_in.first.iter().all(|factor| *factor == FactorKind::Password),
            "sign_in.first",
            "may only name password",
        );
        layers.must(
            !second.factors.contains(&FactorKind::Password),
            "sign_in.second.factors",
            "must not name password, which is the first factor",
        );
        let at_sign_up = second.factors.iter().any(|factor| self.comes_with_sign_up(*factor));
        if second.when == When::Always {
            let offers = "sign_in.second.factors";
            let other = if layers.is_said(offers) { offers } else { "sign_in.second.when" };
            let kinds = [IdentifierKind::Mobile, IdentifierKind::Email].into_iter();
            let reached =
                |kind: &IdentifierKind| second.factors.iter().any(|one| reaches(*one) == Some(*kind));
            let kinds: Vec<&str> = kinds.filter(reached).map(IdentifierKind::as_str).collect();
            layers.must_with(
                second.factors.is_empty() || !kinds.is_empty(),
                offers,
                "sign_in.second.when",
                "must name sms, call or email besides, since every sign-in needs a second factor and no other \
                 comes with signing up: who is new could never sign in",
            );
            layers.must_with(
                kinds.is_empty() || at_sign_up,
                "sign_up.required",
                other,
                format_args!(
                    "must name {}, since every sign-in needs a second factor and no other comes with signing up: \
                     who gave none could never sign in",
                    kinds.join(" or ")
                ),
            );
        }
        layers.must_with(
            second.when != When::ByRole || !second.roles.is_empty(),
            "sign_in.second.roles",
            "sign_in.second.when",
            "must name at least one role, since sign_in.second.when is \"by_role\"",
        );
        if second.when == When::ByRole && !at_sign_up {
            layers.warn(
                "sign_in.second.factors",
                "names none that comes with signing up: who is given one of sign_in.second.roles and has not added \
                 one before cannot sign in",
            );
        }
        let verified = &self.sign_up.verified;
        layers.must(
            verified.iter().all(|kind| *kind != IdentifierKind::Username && required.contains(kind)),
            "sign_up.verified",
            "may only name email and mobile, and only what sign_up.required names too",
        );
        layers.must(
            self.sign_up.tell_taken.contains(&IdentifierKind::Username),
            "sign_up.tell_taken",
            "must name username, since whoever takes a name has it at once",
        );
        let domains = &self.sign_up.email_domains;
        let shaped = |domain: &String| {
            domain.contains('.') && !domain.contains(|c: char| c == '@' || c == '*' || c.is_whitespace())
        };
        layers.must(
            domains.iter().all(shaped),
            "sign_up.email_domains",
            "must name whole domains such as \"example.com\"",
        );
        if !domains.is_empty() && !verified.contains(&IdentifierKind::Email) {
            layers.warn(
                "sign_up.email_domains",
                "says little while sign_up.verified does not name email: nobody has shown that an address is theirs",
            );
        }
    }

    fn check_recovery(&self, layers: &mut Layers) {
        let channels = &self.recovery.channels;
        let known = |factor: &FactorKind| matches!(factor, FactorKind::Email | FactorKind::Sms);
        layers.must(channels.iter().all(known), "recovery.channels", "may only name email and sms");
        let minutes = Duration::from_secs(60);
        layers.must(
            *self.recovery.lifetime >= minutes && *self.recovery.lifetime <= minutes * 60,
            "recovery.lifetime",
            "must be between 1m and 1h",
        );
        let Some(first) = channels.iter().find(|channel| self.comes_with_sign_up(**channel)) else {
            if !channels.is_empty() {
                layers.warn(
                    "recovery.channels",
                    "names no way to what sign_up.required asks for: who gave no more than that never gets back in",
                );
            }
            return;
        };
        // The second proof of a recovery: a factor that is reached elsewhere, or the address beside the number.
        let elsewhere =
            |factor: &FactorKind| reaches(*factor) != reaches(*first) && self.comes_with_sign_up(*factor);
        let has_second = self.sign_in.second.factors.iter().chain([&FactorKind::Email]).any(elsewhere);
        if self.sign_in.second.when == When::Always && !has_second {
            layers.warn(
                "recovery.channels",
                "leads back in only those who have added a second factor: sign_in.second.when is \"always\", and \
                 whoever has shown the first of these is sent no code to another place",
            );
        }
    }

    /// Whether whoever signs up can be sent codes for this factor without doing anything more.
    fn comes_with_sign_up(&self, factor: FactorKind) -> bool {
        reaches(factor).is_some_and(|kind| self.sign_up.required.contains(&kind))
    }

    /// Whether somebody can have this factor without adding it: what is sent is one where it is demanded, and where
    /// whoever signs up may ask for one.
    fn is_had_at_once(&self, factor: FactorKind) -> bool {
        let second = &self.sign_in.second;
        factor == FactorKind::Password
            || second.when != When::Never && self.comes_with_sign_up(factor) && self.offers(factor)
    }

    /// Whether this factor, or another one that reaches the same place, is on offer.
    fn offers(&self, factor: FactorKind) -> bool {
        let is_same = |other: &FactorKind| {
            *other == factor || reaches(factor).is_some() && reaches(*other) == reaches(factor)
        };
        self.sign_in.second.factors.iter().any(is_same)
    }

    /// Whether anybody can ever show this factor for the operation `name`.
    fn can_be_had(&self, factor: FactorKind, name: &str) -> bool {
        let own = match name {
            operation::MOBILE_CHANGE => Some(IdentifierKind::Mobile),
            operation::EMAIL_CHANGE => Some(IdentifierKind::Email),
            _ => None,
        };
        // Who has no number to be sent a code to gives none where that asks for such a code.
        let is_circle = own.is_some() && reaches(factor) == own && !self.comes_with_sign_up(factor);
        factor == FactorKind::Password
            || (self.sign_in.second.when == When::Never || self.offers(factor)) && !is_circle
    }

    fn check_operations(&self, layers: &mut Layers) {
        for (name, rule) in self.operation.iter() {
            let path = format!("operation.{name}");
            let shaped = name.len() <= 100
                && name.split('.').all(|part| {
                    !part.is_empty()
                        && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
                });
            layers.must(
                shaped,
                &format!("{path}.never"),
                "is about an operation whose name is not made of parts such as payments.transfer",
            );
            if let Some(near) = operation::meant(name) {
                let parts = ["never", "notify", "proof.any", "proof.highest", "proof.max_age"];
                let said = parts.map(|part| format!("{path}.{part}"));
                let said = said.iter().find(|part| layers.is_said(part)).unwrap_or(&path);
                layers.must_with(
                    false,
                    &path,
                    said,
                    format_args!("is no operation of this server; did you mean operation.{near}?"),
                );
                continue;
            }
            let tells = operation::tells(name);
            let whom: Vec<&str> = tells.iter().map(|one| one.as_str()).collect();
            layers.must(
                rule.notify.iter().all(|one| tells.contains(one)),
                &format!("{path}.notify"),
                match tells {
                    [] if operation::OWN.contains(&name) => {
                        "must be empty: no message tells of this".to_owned()
                    }
                    [] => "must be empty: what the application does, the application tells".to_owned(),
                    _ => format!("may only name {}", whom.join(", ")),
                },
            );
            layers.must(
                *rule.proof.max_age <= DAY * 30,
                &format!("{path}.proof.max_age"),
                "must be at most 30d",
            );
            let any = &rule.proof.any;
            let could = |has: &dyn Fn(FactorKind) -> bool| {
                rule.never || rule.proof.highest || any.is_empty() || any.iter().any(|kind| has(*kind))
            };
            if name == operation::FACTOR_ADD {
                layers.must(
                    could(&|kind| self.is_had_at_once(kind)),
                    &format!("{path}.proof.any"),
                    "only names factors that nobody could ever add, since adding one asks for them",
                );
                let always = |kind| kind == FactorKind::Password || self.sign_in.second.when == When::Always;
                if could(&|kind| self.is_had_at_once(kind)) && !could(&always) {
                    layers.warn(
                        &format!("{path}.proof.any"),
                        "only names factors that not everybody has: who has none of them can never add one",
                    );
                }
            } else if !could(&|kind| self.can_be_had(kind, name)) {
                layers.warn(
                    &format!("{path}.proof.any"),
                    "only names factors that nobody has who does not have them before: it is refused to everybody \
                     else for ever",
                );
            }
        }
        for name in operation::OWN {
            if self.operation.get(name).is_none() {
                layers.faults.push(format!("built-in default: operation.{name} is missing."));
            }
        }
        let account = &self.account;
        layers.must(
            (1..=65_536).contains(&account.metadata_bytes),
            "account.metadata_bytes",
            "must be between 1 and 65536",
        );
        layers.must(
            (1..=16).contains(&account.metadata_depth),
            "account.metadata_depth",
            "must be between 1 and 16",
        );
    }

    fn check_password(&self, layers: &mut Layers) {
        let Password { min_length, max_length, refuse_common } = self.password;
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
        if !refuse_common {
            layers.warn(
                "password.refuse_common",
                "is false: NIST SP 800-63B-4 asks to refuse what is widely used. What stands in its place are the \
                 limits on guessing and, when it is set, the list of stolen passwords (setting password.breached)",
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
        layers.must((1..=1000).contains(&session.at_most), "session.at_most", "must be between 1 and 1000");
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
        layers.must(
            *session.access >= Duration::from_secs(10) && *session.access <= LONGEST_ACCESS,
            "session.access",
            "must be between 10s and 1h: elsewhere, a token counts until it expires",
        );
        layers.must_with(
            session.access < session.idle,
            "session.access",
            "session.idle",
            format_args!(
                "must be shorter than session.idle, which is {}, or a session would end between two refreshes",
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

fn repeats<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().any(|(at, item)| items.iter().skip(at + 1).any(|other| other == item))
}

/// What a code for this factor is sent to.
fn reaches(factor: FactorKind) -> Option<IdentifierKind> {
    match factor {
        FactorKind::Sms | FactorKind::Call => Some(IdentifierKind::Mobile),
        FactorKind::Email => Some(IdentifierKind::Email),
        FactorKind::Password | FactorKind::Totp | FactorKind::RecoveryCode => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{Policy, preset};

    /// What is said of `text` over the built-in policy, or over a preset: faults and warnings.
    fn told(below: &str, text: &str) -> (String, String) {
        let mut layers = Policy::layers();
        layers.lay_file("preset", preset(below).unwrap_or_default());
        layers.lay_file("policy", text);
        Policy::read(&mut layers).unwrap();
        let own = |said: Vec<String>| said.into_iter().filter(|one| one.starts_with("policy line")).collect();
        (own(layers.faults), own(layers.warnings))
    }

    #[test]
    fn nobody_is_kept_out_for_good_without_a_word() {
        for (text, warning) in [
            (
                "recovery.channels = [\"email\"]\nsign_up.required = [\"username\", \"mobile\"]",
                "no way to what",
            ),
            ("recovery.channels = [\"sms\"]\nsign_up.required = [\"mobile\"]", "who have added"),
            ("recovery.channels = [\"email\"]\nsign_in.second.factors = [\"email\"]", "who have added"),
        ] {
            let (faults, warnings) = told("", text);
            assert!(faults.is_empty() && warnings.contains(warning), "{text}: {faults}{warnings}");
        }
        for sound in [
            "recovery.channels = []",
            "recovery.channels = [\"sms\"]",
            "recovery.channels = [\"email\"]",
            "recovery.channels = [\"sms\"]\nsign_in.second = { when = \"never\" }\nsign_up.required = [\"mobile\"]",
        ] {
            assert_eq!(told("", sound), Default::default(), "{sound}");
        }
        let names =
            "sign_in.second.factors = [\"sms\", \"email\", \"call\"]\nsign_up.required = [\"username\"]";
        assert!(told("", names).0.contains("must name mobile or email, since"));
        assert!(told("", "recovery.channels = [\"call\"]").0.contains("may only name email and sms"));
    }

    #[test]
    fn a_role_that_would_shut_its_holder_out_is_told() {
        let by_role = "sign_in.second = { when = \"by_role\", roles = [\"admin\"], factors = [\"totp\"] }";
        assert!(told("", by_role).1.contains("cannot sign in"));
        assert_eq!(told("", &by_role.replace("totp", "sms")).1, "");
    }

    #[test]
    fn a_proof_that_nobody_could_ever_show_is_told() {
        let only = |name: &str, kind: &str| {
            format!("operation.\"{name}\".proof = {{ any = [\"{kind}\"], highest = false }}")
        };
        let mobile = "sign_up.required = [\"email\", \"mobile\"]\n";
        for (below, text) in [
            ("sessions", format!("sign_in.second.when = \"never\"\n{mobile}{}", only("factor.add", "sms"))),
            ("", only("factor.add", "email")),
        ] {
            assert!(told(below, &text).0.contains("nobody could ever add"), "{text}");
        }
        assert_eq!(told("", &only("factor.add", "sms")), Default::default());
        // Who asks for a second factor at sign-up has it, and who is given a role that demands one.
        let by_role = "sign_in.second = { when = \"by_role\", roles = [\"admin\"], factors = [\"sms\"] }\n";
        for (below, text) in [
            ("optional-otp", only("factor.add", "email")),
            ("sessions", format!("{mobile}{}", only("factor.add", "sms"))),
            ("", format!("{by_role}{}", only("factor.add", "sms"))),
        ] {
            let (faults, warnings) = told(below, &text);
            assert!(faults.is_empty() && warnings.contains("not everybody"), "{text}: {faults}{warnings}");
        }
        let number = "operation.\"user.mobile.change\".never = false";
        for (below, text) in
            [("", only("payments.transfer", "email")), ("optional-otp", only("own.act", "sms"))]
        {
            let (faults, warnings) = told(below, &text);
            assert!(faults.is_empty() && warnings.contains("for ever"), "{text}: {faults}{warnings}");
        }
        let mut layers = Policy::layers();
        layers.lay_file("preset", preset("bearer").unwrap());
        layers.lay_file("policy", number);
        Policy::read(&mut layers).unwrap();
        let about = "operation.user.mobile.change.proof.any";
        assert!(layers.warnings.iter().any(|one| one.contains(about)), "{:?}", layers.warnings);
        assert_eq!(told("", number), Default::default());
        assert_eq!(told("", &only("payments.transfer", "totp")), Default::default());
        assert_eq!(told("", &only("payments.transfer", "call")), Default::default());
    }

    #[test]
    fn what_comes_with_signing_up_is_named_as_it_is() {
        let always = |factors: &str, required: &str| {
            told("", &format!("sign_in.second.factors = [{factors}]\nsign_up.required = [{required}]")).0
        };
        assert!(
            always("\"totp\"", "\"mobile\"").contains("sign_in.second.factors must name sms, call or email")
        );
        assert!(
            always("\"email\"", "\"username\", \"mobile\"").contains("sign_up.required must name email,")
        );
        assert_eq!(always("\"email\", \"totp\"", "\"email\""), "");
    }

    #[test]
    fn an_account_that_closes_before_anybody_waits_is_told() {
        let (faults, warnings) = told("", "limits.password_failures = 80\nlimits.device_failures = 20");
        assert!(faults.is_empty() && warnings.contains("limits.sign_in_account_month.limit"), "{warnings}");
        assert_eq!(told("", "limits.password_failures = 81"), Default::default());
    }
}
