//! Challenges: what has been asked and not yet answered, and the one way to answer.
//!
//! Always holds: a challenge is answered at most once, because answering it deletes what was seen;
//! every wrong guess is durable before it is told; a code belongs to one challenge, one user and one
//! address, and is sealed at rest under that challenge's id.

pub mod actions;
pub mod api;
mod asking;
pub mod blind;
mod rules;
mod telling;
pub mod verifying;

pub use asking::{Chosen, ask, choose};
pub use rules::{Ask, Asked, Sending};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::policy::{self, FactorKind, Proofs};
use crate::secret::{Sealed, Token};
use crate::sessions::{Caller, Carry};
use crate::store::{entity, json_field, text_enum};

text_enum! {
    /// What an answer is for.
    pub enum Purpose {
        /// To finish a sign-in.
        SignIn = "sign_in",
        /// To show that an identifier is one's own.
        Verify = "verify",
        /// To show a session what an operation asks for.
        StepUp = "step_up",
        /// To get back into an account.
        Recover = "recover",
    }
}

/// Kinds of factor, the preferred one first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offered(pub Vec<FactorKind>);
json_field!(Offered);

entity! {
    /// Something asked and not yet answered.
    pub struct Challenge in "challenges" {
        /// The public half of its token.
        id: Uuid,
        /// The hash of its token.
        digest: Vec<u8>,
        /// What an answer is for.
        purpose: Purpose,
        /// Who is asked.
        user_id: Uuid,
        /// Which factor would be proved.
        factor_id: Uuid,
        /// As which kind it would be proved.
        factor: FactorKind,
        /// The kinds that would do, this one among them.
        offered: Offered,
        /// Which identifier the code goes to, when one is sent.
        identifier_id: Option<Uuid>,
        /// Where the code goes: fixed when it is first sent.
        sent_to: Option<String>,
        /// The code, which a resend repeats; none when none was sent.
        code: Option<Sealed>,
        /// The session that asked, when one did: an answer counts for no other.
        session_id: Option<Uuid>,
        /// The known device on which the sign-in or the recovery began.
        device_id: Option<Uuid>,
        /// The recovery that asked for a second factor, when one did.
        recovery_id: Option<Uuid>,
        /// The operation that an answer is for, when it is for one.
        operation: Option<String>,
        /// What had been proved before.
        proofs: Proofs,
        /// How the session that an answer opens will travel.
        carry: Carry,
        /// Wrong guesses.
        attempts: u32,
        /// Messages sent.
        sends: u32,
        /// When the newest message was asked for.
        sent_at: Timestamp,
        /// When it was asked.
        created_at: Timestamp,
        /// Its user's `sessions_from` when it was asked. Once that is later, no answer counts, but to the session
        /// that asked.
        counts_from: Timestamp,
        /// When no answer counts any more.
        expires_at: Timestamp,
    }
    index BY_USER (user_id, created_at);
    expires expires_at;
}

impl Challenge {
    /// Whether nobody may learn from it whether there is somebody to answer it: see [`blind`].
    pub fn is_blind(&self) -> bool {
        self.purpose == Purpose::Recover && self.recovery_id.is_none()
    }

    /// Whether no answer counts any more.
    pub fn is_over(&self, policy: &policy::Code, now: Timestamp) -> bool {
        now >= self.expires_at || self.attempts >= policy.attempts
    }

    /// Whether `caller` may answer: what a session asked for is answered by that session and no other.
    pub fn is_for(&self, caller: Option<&Caller>) -> bool {
        self.session_id.is_none() || self.session_id == caller.map(|caller| caller.session.id)
    }

    /// What its code is sealed under.
    pub fn context(id: Uuid) -> [String; 2] {
        ["challenge.code".to_owned(), id.to_string()]
    }

    /// What the asked person is told. `token` is the one that names it.
    pub fn view(&self, token: &Token, policy: &policy::Code) -> ChallengeView {
        ChallengeView {
            id: token.reveal(),
            purpose: self.purpose,
            factor: self.factor,
            sent_to: self.sent_to.as_deref().map(masked),
            expires_at: self.expires_at,
            resend_after: (self.factor.is_sent() && self.sends < policy.sends)
                .then(|| self.sent_at + *policy.resend_after),
            attempts_left: policy.attempts.saturating_sub(self.attempts),
            alternatives: self.offered.0.iter().copied().filter(|kind| *kind != self.factor).collect(),
        }
    }
}

/// A challenge as the asked person sees it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Challenge")]
pub struct ChallengeView {
    /// Names the challenge, and is itself a secret.
    pub id: String,
    /// What an answer is for.
    pub purpose: Purpose,
    /// Which kind of factor is asked for.
    pub factor: FactorKind,
    /// Where the code went, masked; nothing when none was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_to: Option<String>,
    /// When no answer counts any more.
    pub expires_at: Timestamp,
    /// When the code may be sent again; nothing when it may not.
    pub resend_after: Option<Timestamp>,
    /// Guesses left.
    pub attempts_left: u32,
    /// Other factors that would do: ask for one of them by `resend-code`.
    pub alternatives: Vec<FactorKind>,
}

/// A number with all but its first and last two characters hidden, or an address with all but the
/// first letter of its local part: enough to recognise one's own.
fn masked(sent_to: &str) -> String {
    if let Some((local, domain)) = sent_to.rsplit_once('@') {
        return format!("{}•••@{domain}", local.chars().next().unwrap_or('•'));
    }
    let digits: Vec<char> = sent_to.chars().collect();
    match digits.as_slice() {
        [plus, first, .., a, b] => format!("{plus}{first} ••• ••{a}{b}"),
        _ => "•••".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_masked_number_shows_its_ends_only() {
        assert_eq!(super::masked("+12025550167"), "+1 ••• ••67");
        assert_eq!(super::masked("+1"), "•••");
        assert_eq!(super::masked("ada.lovelace@example.com"), "a•••@example.com");
    }
}
