//! What a user can show besides a password, and how often it has been guessed at.
//!
//! Always holds: wrong guesses are counted on the factor itself, over all challenges, sessions and
//! addresses; past the policy's number the factor takes no more codes until it is bound anew
//! (NIST SP 800-63B-4 §3.2.2).

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::app::{Ctx, Moment};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::identifiers::Identifier;
use crate::policy::FactorKind;
use crate::store::{Query, Seen, entity};

entity! {
    /// One factor of one user.
    pub struct Factor in "factors" {
        /// Sorted by time.
        id: Uuid,
        /// Whose.
        user_id: Uuid,
        /// What kind.
        kind: FactorKind,
        /// The number or address that it reaches, for factors that are sent.
        identifier_id: Option<Uuid>,
        /// Consecutive wrong guesses.
        failures: u32,
        /// Since when it takes no more codes.
        locked_at: Option<Timestamp>,
        /// When it was bound.
        created_at: Timestamp,
        /// When it last proved something.
        used_at: Option<Timestamp>,
    }
    index BY_USER (user_id, created_at);
}

impl Factor {
    /// The SMS factor that goes with a mobile number.
    pub fn sms(moment: &Moment, mobile: &Identifier) -> Self {
        Self {
            id: moment.uuid("factor:sms"),
            user_id: mobile.user_id,
            kind: FactorKind::Sms,
            identifier_id: Some(mobile.id),
            failures: 0,
            locked_at: None,
            created_at: moment.now,
            used_at: None,
        }
    }

    /// Remembers a wrong guess; locks at `most`.
    pub fn failed(&mut self, most: u32, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= most && self.locked_at.is_none() {
            self.locked_at = Some(now);
        }
    }

    /// Remembers that it proved something.
    pub fn succeeded(&mut self, now: Timestamp) {
        self.failures = 0;
        self.used_at = Some(now);
    }

    /// What its owner sees.
    pub fn view(&self) -> FactorView {
        FactorView {
            id: self.id,
            kind: self.kind,
            locked: self.locked_at.is_some(),
            created_at: self.created_at,
            used_at: self.used_at,
        }
    }
}

/// A factor as its owner sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Factor")]
pub struct FactorView {
    /// Its id.
    pub id: Uuid,
    /// What kind.
    pub kind: FactorKind,
    /// Whether it was guessed at too often and takes no more codes.
    pub locked: bool,
    /// When it was bound.
    pub created_at: Timestamp,
    /// When it last proved something.
    pub used_at: Option<Timestamp>,
}

/// A user's factors, oldest first. A user has few: one page holds them all.
pub async fn of_user(ctx: &Ctx, user: Uuid) -> Result<Vec<Seen<Factor>>> {
    Ok(ctx.app.store.find(Query::along(Factor::BY_USER).equal(user).limit(100)).await?.items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_allowed_failure_locks_and_success_forgives_the_ones_before() {
        let at = Timestamp::from_millis(1_000);
        let mut factor = Factor {
            id: Uuid::nil(),
            user_id: Uuid::nil(),
            kind: FactorKind::Sms,
            identifier_id: None,
            failures: 0,
            locked_at: None,
            created_at: at,
            used_at: None,
        };
        for _ in 0..2 {
            factor.failed(3, at);
        }
        assert_eq!(factor.locked_at, None);
        factor.succeeded(at);
        for _ in 0..3 {
            assert_eq!(factor.locked_at, None);
            factor.failed(3, at);
        }
        assert_eq!(factor.locked_at, Some(at));
    }
}
