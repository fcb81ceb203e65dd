//! What each change comes to. Pure.

use std::time::Duration;

use uuid::Uuid;

use crate::accounts::{Metadata, Status, User};
use crate::acting;
use crate::app::Moment;
use crate::audit::{self, Note, Noting, note};
use crate::clock::Timestamp;
use crate::error::{Error, FieldError};
use crate::factors::Factor;
use crate::identifiers::Identifier;
use crate::policy::FactorKind;
use crate::store::{Decision, Seen, answer};

/// What is noted of something that `actor` did to `user`.
pub(super) fn done(what: audit::What, user: Uuid, actor: Option<Uuid>) -> Note {
    note(what).user(user).actor(actor)
}

/// Why somebody cannot be suspended until then, for this reason.
pub(super) fn suspension_refused(until: Option<Timestamp>, reason: &str, now: Timestamp) -> Vec<FieldError> {
    let mut errors: Vec<_> = acting::reason(reason).err().into_iter().collect();
    if until.is_some_and(|until| until <= now) {
        errors.push(FieldError::new("until", "past", "This is not in the future."));
    }
    errors
}

/// The user as they are while suspended.
pub(super) fn suspend(
    user: Seen<User>,
    until: Option<Timestamp>,
    reason: &str,
    now: Timestamp,
) -> Result<Seen<User>, Error> {
    if user.status == Status::Deleted {
        let sentence = "This account is deleted; restore it first.";
        return Err(FieldError::new("id", "deleted", sentence).into());
    }
    Ok(user.with(|user| {
        user.status = Status::Suspended;
        user.suspended_until = until;
        user.suspended_for = Some(reason.to_owned());
        user.end_sessions(now);
        user.updated_at = now;
    }))
}

/// The user as they are when they are let in again.
pub(super) fn restore(user: Seen<User>, now: Timestamp) -> Seen<User> {
    user.with(|user| {
        user.status = Status::Active;
        user.suspended_until = None;
        user.suspended_for = None;
        user.purge_at = None;
        user.updated_at = now;
    })
}

/// The user as they are between deletion and removal.
pub(super) fn delete(user: Seen<User>, grace: Duration, now: Timestamp) -> Seen<User> {
    user.with(|user| {
        user.status = Status::Deleted;
        user.suspended_until = None;
        user.suspended_for = None;
        user.purge_at = user.purge_at.or(Some(now + grace));
        user.end_sessions(now);
        user.updated_at = now;
    })
}

/// What an administrator changes of an account; what is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// What they like to be called.
    pub name: Option<Option<String>>,
    /// The language they read.
    pub locale: Option<Option<String>>,
    /// What the application keeps with the account.
    pub metadata: Option<Metadata>,
}

impl Fields {
    /// The names of those that are given.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let given = [
            ("name", self.name.is_some()),
            ("locale", self.locale.is_some()),
            ("metadata", self.metadata.is_some()),
        ];
        given.into_iter().filter_map(|(name, given)| given.then_some(name)).collect()
    }

    pub(super) fn put(&self, user: &mut User) {
        if let Some(name) = &self.name {
            user.name.clone_from(name);
        }
        if let Some(locale) = &self.locale {
            user.locale.clone_from(locale);
        }
        if let Some(metadata) = &self.metadata {
            user.metadata.clone_from(metadata);
        }
    }
}

/// Takes away what the user has bound, and lets what reaches their own number or address stand as it did
/// when that was verified: with that they sign in, and bind anew what they lost. What was chosen and is
/// not among those `offered` any more is no longer chosen: nobody could show it. Answers how many were
/// taken away.
pub(super) fn reset(
    factors: Vec<Seen<Factor>>,
    identifiers: &[Seen<Identifier>],
    offered: &[FactorKind],
    user: Seen<User>,
    actor: Option<Uuid>,
    at: &Moment,
) -> Decision<usize> {
    // What reaches nobody any more was locked when its address or number was taken back.
    let is_sent = |factor: &Seen<Factor>| factor.kind.is_sent() && factor.identifier_id.is_some();
    let (sent, own): (Vec<_>, Vec<_>) = factors.into_iter().partition(is_sent);
    let kinds: Vec<FactorKind> = own.iter().map(|factor| factor.kind).collect();
    let event = done(audit::What::FactorsReset, user.id, actor).detail(serde_json::json!({"factors": kinds}));
    let user = user.with(|user| {
        user.end_sessions(at.now);
        user.updated_at = at.now;
    });
    let mut decision = answer(own.len()).update(&user).note(at, event);
    for factor in &own {
        decision = decision.delete(factor);
    }
    let reaches = |one: &Identifier| {
        sent.iter().any(|factor| factor.identifier_id == Some(one.id) && factor.bound_at.is_some())
    };
    for bare in identifiers.iter().filter(|one| one.takes_codes() && one.verified_at.is_some()) {
        if !reaches(bare) {
            decision = decision.insert(&Factor::reaching(at, bare)).require(bare);
        }
    }
    for factor in sent {
        let is_stuck = factor.chosen && !factor.kinds().iter().any(|kind| offered.contains(kind));
        let mut had_failed = false;
        let unlocked = factor.with(|factor| {
            had_failed = factor.unlock();
            factor.chosen &= !is_stuck;
        });
        if had_failed || is_stuck {
            decision = decision.update(&unlocked);
        }
    }
    decision
}
