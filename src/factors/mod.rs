//! What a user can show besides a password, and how often it has been guessed at.
//!
//! Always holds: wrong guesses are counted on the factor itself, over all challenges, sessions and
//! addresses; past the policy's number the factor takes no more codes until it is bound anew
//! (NIST SP 800-63B-4 §3.2.2). Those of recoveries, which begin without the password, are counted by
//! themselves: they never lock a factor for signing in.

pub mod recovery_codes;
pub mod totp;

use std::ops::Deref;

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::app::{Ctx, Moment};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::identifiers::Identifier;
use crate::policy::{FactorKind, Holder, IdentifierKind, Limits};
use crate::secret::Sealed;
use crate::store::{Query, Seen, entity};
use recovery_codes::Slots;

entity! {
    /// One factor of one user.
    pub struct Factor in "factors" {
        /// Sorted by time.
        id: Uuid,
        /// Whose.
        user_id: Uuid,
        /// What kind.
        kind: FactorKind,
        /// What its owner calls it.
        name: Option<String>,
        /// The number or address that it reaches, for factors that are sent.
        identifier_id: Option<Uuid>,
        /// Whether its owner asked for it. What is sent may also be there to verify a number or an
        /// address, and is no second factor then, unless the policy makes it one.
        chosen: bool,
        /// The key of an authenticator app, sealed.
        secret: Option<Sealed>,
        /// The newest step of an authenticator app that was accepted.
        last_step: Option<i64>,
        /// The hashes of recovery codes.
        codes: Slots,
        /// Consecutive wrong guesses.
        failures: u32,
        /// Consecutive wrong guesses in recoveries.
        recovery_failures: u32,
        /// Since when it takes no more codes.
        locked_at: Option<Timestamp>,
        /// When it was begun to be bound.
        created_at: Timestamp,
        /// When it was bound; until then it is none.
        bound_at: Option<Timestamp>,
        /// When it last proved something.
        used_at: Option<Timestamp>,
    }
    index BY_USER (user_id, created_at);
}

impl Factor {
    /// A factor of this kind that is not bound yet.
    pub fn new(moment: &Moment, user_id: Uuid, kind: FactorKind) -> Self {
        Self {
            bound_at: None,
            ..Self::known(moment.uuid(&format!("factor:{kind}")), user_id, kind, moment.now)
        }
    }

    /// A factor of this kind that was bound `at`, elsewhere.
    pub fn known(id: Uuid, user_id: Uuid, kind: FactorKind, at: Timestamp) -> Self {
        Self {
            id,
            user_id,
            kind,
            name: None,
            identifier_id: None,
            chosen: !kind.is_sent(),
            secret: None,
            last_step: None,
            codes: Slots::default(),
            failures: 0,
            recovery_failures: 0,
            locked_at: None,
            created_at: at,
            bound_at: Some(at),
            used_at: None,
        }
    }

    /// The factor that goes with a mobile number or an e-mail address.
    pub fn reaching(moment: &Moment, target: &Identifier) -> Self {
        let kind = if target.kind == IdentifierKind::Email { FactorKind::Email } else { FactorKind::Sms };
        Self {
            identifier_id: Some(target.id),
            bound_at: Some(moment.now),
            ..Self::new(moment, target.user_id, kind)
        }
    }

    /// The kinds that it can be shown as: a number can be texted and called.
    pub fn kinds(&self) -> &'static [FactorKind] {
        match self.kind {
            FactorKind::Sms | FactorKind::Call => &[FactorKind::Sms, FactorKind::Call],
            FactorKind::Email => &[FactorKind::Email],
            FactorKind::Totp => &[FactorKind::Totp],
            FactorKind::RecoveryCode => &[FactorKind::RecoveryCode],
            FactorKind::Password => &[],
        }
    }

    /// Whether it is one of the factors of its owner: it is bound, and what is sent was asked for, by
    /// its owner or by the policy, which demands one of the kinds `demanded`.
    pub fn counts(&self, demanded: &[FactorKind]) -> bool {
        let is_demanded = self.kinds().iter().any(|kind| demanded.contains(kind));
        self.bound_at.is_some() && (!self.kind.is_sent() || is_demanded || self.chosen)
    }

    /// Whether it takes guesses now.
    pub fn is_able(&self) -> bool {
        let spent = self.kind == FactorKind::RecoveryCode && self.codes.left() == 0;
        self.bound_at.is_some() && self.locked_at.is_none() && !spent
    }

    /// Whether it takes such a guess now.
    pub fn takes(&self, guess: Guess, limits: &Limits) -> bool {
        self.is_able() && !self.is_locked(guess, limits)
    }

    /// What its key is sealed under.
    pub fn context(id: Uuid) -> [String; 2] {
        ["factor.secret".to_owned(), id.to_string()]
    }

    /// Whether it is locked for whoever guesses at it like this.
    pub fn is_locked(&self, guess: Guess, limits: &Limits) -> bool {
        let spent = guess == Guess::Recovery && self.recovery_failures >= limits.recovery_failures;
        self.locked_at.is_some() || spent
    }

    /// Remembers a wrong guess; at the limit, the factor takes no more like it. One in a recovery leaves
    /// signing in as it was.
    pub fn failed(&mut self, guess: Guess, limits: &Limits, now: Timestamp) {
        match guess {
            Guess::Recovery => self.recovery_failures = self.recovery_failures.saturating_add(1),
            Guess::Usual => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= limits.factor_failures && self.locked_at.is_none() {
                    self.locked_at = Some(now);
                }
            }
        }
    }

    /// Remembers that it proved something.
    pub fn succeeded(&mut self, now: Timestamp) {
        self.failures = 0;
        self.recovery_failures = 0;
        self.used_at = Some(now);
    }

    /// Lets it take guesses again, all of them. Whether there was anything to forgive.
    pub fn unlock(&mut self) -> bool {
        let before = (self.failures, self.recovery_failures, self.locked_at);
        (self.failures, self.recovery_failures, self.locked_at) = (0, 0, None);
        before != (0, 0, None)
    }

    /// What its owner sees.
    pub fn view(&self) -> FactorView {
        FactorView {
            id: self.id,
            kind: self.kind,
            name: self.name.clone(),
            left: (self.kind == FactorKind::RecoveryCode).then(|| self.codes.left()),
            locked: self.locked_at.is_some(),
            created_at: self.created_at,
            used_at: self.used_at,
        }
    }
}

/// By whom a factor is guessed at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guess {
    /// Whoever has shown the password, or is signed in.
    Usual,
    /// Whoever has shown that a code reaches them, and no password.
    Recovery,
}

/// A factor as its owner sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Factor")]
pub struct FactorView {
    /// Its id.
    pub id: Uuid,
    /// What kind.
    pub kind: FactorKind,
    /// What its owner calls it.
    pub name: Option<String>,
    /// Of recovery codes, how many are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<usize>,
    /// Whether it was guessed at too often and takes no more codes.
    pub locked: bool,
    /// When it was bound.
    pub created_at: Timestamp,
    /// When it last proved something.
    pub used_at: Option<Timestamp>,
}

/// What a user has to show, in the words of the policy.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Held {
    /// The kinds that are bound to the account, the password included.
    pub enrolled: Vec<FactorKind>,
    /// Those among them that take guesses now.
    pub able: Vec<FactorKind>,
    /// What the user may do beyond their own account.
    pub roles: Vec<String>,
}

impl Held {
    /// What somebody holds who has these factors, as far as they [count](Factor::counts).
    pub fn new<'a>(
        factors: impl IntoIterator<Item = &'a Factor>,
        has_password: bool,
        demanded: &[FactorKind],
        roles: &[String],
    ) -> Self {
        let mut held = Self { roles: roles.to_vec(), ..Self::default() };
        if has_password {
            held.enrolled.push(FactorKind::Password);
            held.able.push(FactorKind::Password);
        }
        for factor in counting(factors, demanded) {
            for kind in factor.kinds() {
                if !held.enrolled.contains(kind) {
                    held.enrolled.push(*kind);
                }
                if factor.is_able() && !held.able.contains(kind) {
                    held.able.push(*kind);
                }
            }
        }
        held
    }

    /// Whether there is a second factor among them. Recovery codes stand in for one, and are none by
    /// themselves: they come to an end.
    pub fn has_second(&self) -> bool {
        self.enrolled.iter().any(|kind| !matches!(kind, FactorKind::Password | FactorKind::RecoveryCode))
    }

    /// Whether nothing else is bound than the password, locked or not.
    pub fn has_only_password(&self) -> bool {
        self.enrolled.iter().all(|kind| *kind == FactorKind::Password)
    }

    /// The same for the policy to judge.
    pub fn holder(&self) -> Holder<'_> {
        Holder { enrolled: &self.enrolled, able: &self.able, roles: &self.roles }
    }
}

/// Those of a user's factors that [count](Factor::counts). Recovery codes count beside another: alone they
/// would come to an end, and with them every way in. Only where the policy demands a second factor anyway
/// are they better than none.
pub fn counting<F: Deref<Target = Factor>>(
    factors: impl IntoIterator<Item = F>,
    demanded: &[FactorKind],
) -> Vec<F> {
    let mut all: Vec<F> = factors.into_iter().filter(|factor| factor.counts(demanded)).collect();
    let is_code = |factor: &F| factor.kind == FactorKind::RecoveryCode;
    if demanded.is_empty() && all.iter().all(is_code) {
        all.clear();
    }
    all
}

/// Whether somebody carries what is sent for a factor of such a `kind`, where something is.
pub fn is_carried(ctx: &Ctx, kind: FactorKind) -> bool {
    let config = &ctx.app.config;
    kind.channel().is_none_or(|channel| config.delivery.serves(config, channel))
}

/// A code without what people put into it so that it reads better.
pub fn typed(given: &str) -> String {
    given.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect()
}

/// A user's factors, oldest first. A user has few: one page holds them all.
pub async fn of_user(ctx: &Ctx, user: Uuid) -> Result<Vec<Seen<Factor>>> {
    let mut factors: Vec<Seen<Factor>> =
        ctx.app.store.find(Query::along(Factor::BY_USER).equal(user).limit(100)).await?.items;
    // Those that came with signing up came at once.
    factors.sort_by_key(|factor| (factor.created_at, factor.kind));
    Ok(factors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_last_allowed_failure_locks_and_success_forgives_the_ones_before() {
        let at = Timestamp::from_millis(1_000);
        let moment = Moment::new(at, Random::seeded(1).seed());
        let mut factor = Factor::new(&moment, Uuid::nil(), FactorKind::Sms);
        let limits = limits(3, 2);
        for _ in 0..2 {
            factor.failed(Guess::Usual, &limits, at);
        }
        assert_eq!(factor.locked_at, None);
        factor.succeeded(at);
        for _ in 0..3 {
            assert_eq!(factor.locked_at, None);
            factor.failed(Guess::Usual, &limits, at);
        }
        assert_eq!(factor.locked_at, Some(at));
        assert!(factor.is_locked(Guess::Usual, &limits) && factor.is_locked(Guess::Recovery, &limits));
        assert!(factor.unlock() && !factor.unlock());
        assert!(!factor.is_locked(Guess::Usual, &limits));
    }

    #[test]
    fn guesses_in_recoveries_close_recovery_alone_until_the_factor_is_shown() {
        let at = Timestamp::from_millis(1_000);
        let moment = Moment::new(at, Random::seeded(1).seed());
        let mut factor = Factor::new(&moment, Uuid::nil(), FactorKind::Totp);
        let limits = limits(3, 2);
        for _ in 0..50 {
            factor.failed(Guess::Recovery, &limits, at);
        }
        assert!(factor.is_locked(Guess::Recovery, &limits) && !factor.is_locked(Guess::Usual, &limits));
        assert_eq!((factor.failures, factor.locked_at), (0, None));
        factor.succeeded(at);
        assert!(!factor.is_locked(Guess::Recovery, &limits));
    }

    fn limits(factor_failures: u32, recovery_failures: u32) -> Limits {
        let limits = crate::policy::Policy::from_toml("").unwrap().limits;
        Limits { factor_failures, recovery_failures, ..limits }
    }
}
