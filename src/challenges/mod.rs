//! Challenges: what has been asked and not yet answered, and the one way to answer.
//!
//! Always holds: a challenge is answered at most once, because answering it deletes what was seen;
//! every wrong guess is durable before it is told; a code belongs to one challenge, one user and one
//! address, and is sealed at rest under that challenge's id.

pub mod actions;
pub mod api;
mod rules;

pub use rules::{Ask, Asked};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::policy::{self, FactorKind};
use crate::secret::{Sealed, Token};
use crate::sessions::{Carry, Proofs};
use crate::store::{entity, text_enum};

text_enum! {
    /// What an answer is for.
    pub enum Purpose {
        /// To finish a sign-in.
        SignIn = "sign_in",
        /// To show that an identifier is one's own.
        Verify = "verify",
    }
}

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
        /// Which kind of factor that is.
        factor: FactorKind,
        /// Which identifier the code goes to.
        identifier_id: Uuid,
        /// Where the code goes: fixed when the challenge is made.
        sent_to: String,
        /// The code, which a resend repeats.
        code: Sealed,
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
        /// When no answer counts any more.
        expires_at: Timestamp,
    }
    index BY_USER (user_id, created_at);
    expires expires_at;
}

impl Challenge {
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
            sent_to: masked(&self.sent_to),
            expires_at: self.expires_at,
            resend_after: (self.sends < policy.sends).then(|| self.sent_at + *policy.resend_after),
            attempts_left: policy.attempts.saturating_sub(self.attempts),
            alternatives: Vec::new(),
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
    /// Where the code went, masked.
    pub sent_to: String,
    /// When no answer counts any more.
    pub expires_at: Timestamp,
    /// When the code may be sent again; nothing when it may not.
    pub resend_after: Option<Timestamp>,
    /// Guesses left.
    pub attempts_left: u32,
    /// Other factors that would do.
    pub alternatives: Vec<FactorKind>,
}

/// A number with all but its first and last two characters hidden: enough to recognise one's own.
fn masked(number: &str) -> String {
    let digits: Vec<char> = number.chars().collect();
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
    }
}
