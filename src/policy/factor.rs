//! Factors and proofs: what can be shown, and what has been.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::Channel;
use crate::store::{json_field, text_enum};

text_enum! {
    /// What somebody can show to prove who they are.
    pub enum FactorKind {
        /// A password.
        Password = "password",
        /// A code in a text message.
        Sms = "sms",
        /// A code that is spoken in a call.
        Call = "call",
        /// A code in an e-mail.
        Email = "email",
        /// A code of an authenticator app (RFC 6238).
        Totp = "totp",
        /// One of the codes that are kept for a bad day.
        RecoveryCode = "recovery_code",
    }
}

impl FactorKind {
    /// Its name as a method (RFC 8176, where that has one).
    pub fn amr(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::Sms => "sms",
            Self::Call => "tel",
            Self::Email => "email",
            Self::Totp => "otp",
            Self::RecoveryCode => "recovery_code",
        }
    }

    /// Whether showing it shows that one has something, and not only that one knows something. An
    /// e-mail account is opened by a password itself: it is no such thing (NIST SP 800-63B-4 §3.1.3.1).
    pub fn is_possession(self) -> bool {
        matches!(self, Self::Sms | Self::Call | Self::Totp | Self::RecoveryCode)
    }

    /// By which way its code is sent, where one is.
    pub fn channel(self) -> Option<Channel> {
        match self {
            Self::Sms => Some(Channel::Sms),
            Self::Call => Some(Channel::Call),
            Self::Email => Some(Channel::Email),
            Self::Password | Self::Totp | Self::RecoveryCode => None,
        }
    }

    /// Whether a code is sent to somewhere.
    pub fn is_sent(self) -> bool {
        self.channel().is_some()
    }

    /// How much it says; only the order counts.
    pub(super) fn strength(self) -> u8 {
        match self {
            Self::Totp | Self::Sms | Self::Call | Self::RecoveryCode => 2,
            Self::Email => 1,
            Self::Password => 0,
        }
    }
}

/// One factor that was shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// Which.
    pub factor: FactorKind,
    /// When.
    pub at: Timestamp,
    /// For which operation, when it was asked for one; none when it was shown to sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

impl Proof {
    /// Whether it is no older than `max_age`, which is zero for any age. One that lies ahead was shown before the clock
    /// was set back, and may be as old as the step.
    pub fn is_fresh(&self, max_age: Duration, now: Timestamp) -> bool {
        max_age.is_zero() || now.apart(self.at) <= max_age
    }
}

/// What has been proved, in the order in which it was.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Proofs(pub Vec<Proof>);
json_field!(Proofs);

/// Proofs for operations that a session keeps. Older ones go first; they have gone stale anyway.
const KEPT: usize = 16;

impl Proofs {
    /// These proofs and one more, shown to sign in.
    #[must_use]
    pub fn and(self, factor: FactorKind, at: Timestamp) -> Self {
        self.and_for(None, factor, at)
    }

    /// These proofs and one more, shown for `operation`. The newest of its kind is kept.
    #[must_use]
    pub fn and_for(mut self, operation: Option<&str>, factor: FactorKind, at: Timestamp) -> Self {
        self.0.retain(|proof| proof.factor != factor || proof.operation.as_deref() != operation);
        let extra = |proof: &Proof| proof.operation.is_some();
        if operation.is_some()
            && self.0.iter().filter(|proof| extra(proof)).count() >= KEPT
            && let Some(oldest) = self.0.iter().position(extra)
        {
            self.0.remove(oldest);
        }
        self.0.push(Proof { factor, at, operation: operation.map(str::to_owned) });
        self
    }

    /// What was shown to sign in.
    pub fn of_sign_in(&self) -> impl Iterator<Item = &Proof> {
        self.0.iter().filter(|proof| proof.operation.is_none())
    }

    /// The authenticator assurance level: something known and something had are level 2 (NIST SP
    /// 800-63B-4 §2.2.1). What was shown for one operation raises nothing else.
    pub fn level(&self) -> u32 {
        let knows = self.of_sign_in().any(|proof| proof.factor == FactorKind::Password);
        let has = self.of_sign_in().any(|proof| proof.factor.is_possession());
        1 + u32::from(knows && has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_two_only_for_something_known_with_something_had() {
        let at = Timestamp::from_millis(0);
        // Every set of factors.
        for set in 0_u32..1 << FactorKind::ALL.len() {
            let shown = FactorKind::ALL.iter().enumerate().filter(|(bit, _)| set & (1 << bit) != 0);
            let shown: Vec<FactorKind> = shown.map(|(_, factor)| *factor).collect();
            let sign_in = shown.iter().fold(Proofs::default(), |proofs, factor| proofs.and(*factor, at));
            let had = [FactorKind::Sms, FactorKind::Call, FactorKind::Totp, FactorKind::RecoveryCode];
            let two = shown.contains(&FactorKind::Password) && had.iter().any(|one| shown.contains(one));
            assert_eq!(sign_in.level(), if two { 2 } else { 1 }, "{shown:?}");
            let for_one = shown
                .iter()
                .fold(Proofs::default(), |proofs, factor| proofs.and_for(Some("a.b"), *factor, at));
            assert_eq!(for_one.level(), 1, "{shown:?}");
        }
    }

    #[test]
    fn a_session_keeps_a_bounded_number_of_proofs() {
        let at = Timestamp::from_millis(0);
        let proofs = (0..100).fold(Proofs::default().and(FactorKind::Password, at), |proofs, number| {
            proofs.and_for(Some(&format!("own.{number}")), FactorKind::Sms, at)
        });
        assert_eq!(proofs.0.len(), KEPT + 1);
        assert_eq!(proofs.of_sign_in().count(), 1);
    }
}
