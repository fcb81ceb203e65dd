//! What taking back changes. Pure.

use super::{Claim, Undo, What};
use crate::accounts::{Status, User};
use crate::app::Moment;
use crate::audit::{self, Noting, note};
use crate::error::Problem;
use crate::factors::{Factor, Held};
use crate::identifiers::Identifier;
use crate::passwords::Password;
use crate::policy::{self, FactorKind, IdentifierKind};
use crate::store::{Decision, Seen, answer, refuse};

/// Everything that taking back looks at.
pub(super) struct Case {
    pub undo: Seen<Undo>,
    pub user: Seen<User>,
    /// What can be taken back and was done later.
    pub later: Vec<Seen<Undo>>,
    /// Everything that the user is known by.
    pub identifiers: Vec<Seen<Identifier>>,
    /// The user's factors.
    pub factors: Vec<Seen<Factor>>,
    /// The kinds of factor that count without being asked for.
    pub demanded: Vec<FactorKind>,
    /// Who owns today what would be put back, when somebody does.
    pub owner: Option<Seen<Identifier>>,
    /// The user's password.
    pub password: Option<Seen<Password>>,
}

/// How much is taken back, from less to more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Nothing but what a thief knows: what there was news of has changed nothing itself.
    News,
    /// What was done as well.
    Deed,
    /// What the account is known by, or that there is one.
    Change,
}

/// Takes back, once.
pub(super) fn take(case: Case, moment: &Moment) -> Decision<What> {
    let Case { undo, user, later, .. } = &case;
    let is_deleted = user.status == Status::Deleted;
    let stands = moment.now < undo.expires_at
        && !user.is_past_grace(moment.now)
        && match undo.what {
            What::Deletion => is_deleted,
            // Whoever changed the address may have deleted the account after it.
            What::Change { .. } => true,
            What::NotMe { .. } => !is_deleted,
        };
    if !stands {
        return refuse(Problem::CodeGone);
    }
    let event = note(audit::What::Undone).user(user.id);
    let event = event.detail(serde_json::json!({"what": undo.what.word()}));
    let user = user.clone().with(|user| {
        user.end_sessions(moment.now);
        user.updated_at = moment.now;
        if is_deleted {
            user.status = Status::Active;
            user.purge_at = None;
        }
    });
    let mut decision = answer(undo.what.clone()).update(&user).delete(undo).note(moment, event);
    // Who says "that was not me" may still want to take back what was changed after it.
    let first = undo.what.first();
    let is_after = |what: &What| matches!(what, What::Change { before } if Some(before.kind) == first);
    let with_it = |one: &&Seen<Undo>| one.what.weight() <= undo.what.weight() || is_after(&one.what);
    for one in later.iter().filter(with_it) {
        decision = decision.delete(one);
    }
    let disowned = match &undo.what {
        What::Deletion => None,
        What::NotMe { .. } => Some(&undo.what),
        // Of what was done after it, whoever has the newer address was told, and maybe nobody else: no link but
        // this one takes it back.
        What::Change { .. } => later.iter().map(|one| &one.what).find(|what| what.weight() == Weight::Deed),
    };
    if let Some(What::NotMe { protected, .. }) = disowned {
        decision = disown(decision, &case, *protected, moment);
    }
    let What::Change { before } = &undo.what else { return decision };
    if case.owner.as_ref().is_some_and(|owner| owner.user_id != user.id) {
        return refuse(Problem::IdentifierTaken);
    }
    put_back(decision, before, &case, moment)
}

/// What a thief has done since counts no more; the owner gets back in by recovery. Whether the account was
/// `protected` by a second factor.
fn disown(mut decision: Decision<What>, case: &Case, protected: bool, moment: &Moment) -> Decision<What> {
    let Case { undo, user, identifiers, factors, demanded, password, .. } = case;
    // News of a sign-in or a recovery takes nothing away that was bound since: whoever reads the mails could
    // otherwise undo a second factor with an old one.
    let takes_factors = undo.what.weight() > Weight::News;
    // Those of its kind go with whatever takes its place.
    let replaced = match &undo.what {
        What::Change { before } => Some(before.kind),
        What::Deletion | What::NotMe { .. } => None,
    };
    // An address that is only being changed to is nobody's, and the first of its kind is the thief's.
    let first = undo.what.first();
    let pending = |one: &&Seen<Identifier>| {
        one.kind != IdentifierKind::Username
            && Some(one.kind) != replaced
            && match one.verified_at {
                None => !undo.known.has(one.id),
                // By the same commit as this link, or after it.
                Some(at) => Some(one.kind) == first && at >= undo.created_at,
            }
    };
    let pending: Vec<_> = identifiers.iter().filter(pending).collect();
    let bound = |factor: &&Seen<Factor>| match factor.identifier_id {
        Some(reached) => pending.iter().any(|one| one.id == reached),
        None => takes_factors && !undo.known.has(factor.id),
    };
    let (gone, left): (Vec<_>, Vec<_>) = factors.iter().partition(bound);
    let left = Held::new(left.into_iter().map(|factor| &**factor), false, demanded, &user.roles.0);
    // What was protected by two does not fall back to one: whoever merely reads the mails would be let in.
    let locks = protected && !left.has_second();
    for factor in gone {
        let is_locked = locks && factor.bound_at.is_some() && factor.identifier_id.is_none();
        decision = match is_locked {
            true => decision.update(&factor.clone().with(|factor| factor.locked_at = Some(moment.now))),
            false => decision.delete(factor),
        };
    }
    decision = password.iter().fold(decision, |decision, password| decision.delete(password));
    pending.into_iter().fold(decision, |decision, one| decision.delete(one))
}

/// Puts the claim back in the place of every other of its kind; what reached those reaches it.
fn put_back(mut decision: Decision<What>, before: &Claim, case: &Case, moment: &Moment) -> Decision<What> {
    let Case { user, identifiers, factors, .. } = case;
    let of_kind = identifiers.iter().filter(|one| one.kind == before.kind);
    let (kept, gone): (Vec<_>, Vec<_>) = of_kind.partition(|one| {
        one.canonical == before.canonical && (one.verified_at.is_some() || before.verified_at.is_none())
    });
    let restored = match kept.first() {
        Some(kept) => kept.id,
        None => {
            let claim = Identifier {
                id: moment.uuid("identifier"),
                user_id: user.id,
                kind: before.kind,
                value: before.value.clone(),
                canonical: before.canonical.clone(),
                owned: before.verified_at.map(|_| before.canonical.clone()),
                verified_at: before.verified_at,
                created_at: before.created_at,
            };
            decision = decision.insert(&claim);
            claim.id
        }
    };
    let is_reached = |factor: &Seen<Factor>| {
        let reaches = |id| factor.identifier_id == Some(id);
        factor.bound_at.is_some() && (reaches(restored) || gone.iter().any(|gone| reaches(gone.id)))
    };
    if let (None, false) = (kept.first(), factors.iter().any(is_reached)) {
        // Removed together with what it reached.
        let kind = if before.kind == IdentifierKind::Email { FactorKind::Email } else { FactorKind::Sms };
        let factor = Factor::new(moment, user.id, kind);
        let bound_at = Some(moment.now);
        decision = decision.insert(&Factor {
            identifier_id: Some(restored),
            chosen: before.chosen,
            bound_at,
            ..factor
        });
    }
    for factor in factors {
        let reaches = gone.iter().any(|gone| factor.identifier_id == Some(gone.id));
        decision = match (reaches, factor.bound_at) {
            (false, _) => decision,
            (true, None) => decision.delete(factor),
            (true, Some(_)) => decision.update(&factor.clone().with(|factor| {
                factor.identifier_id = Some(restored);
                // What was guessed at the other address says nothing of this one.
                factor.unlock();
            })),
        };
    }
    gone.iter().fold(decision, |decision, gone| decision.delete(gone))
}

impl What {
    /// The kind of which the user had nothing before somebody gave an address or a number that was not theirs:
    /// there is none to put back.
    fn first(&self) -> Option<IdentifierKind> {
        let Self::NotMe { operation, .. } = self else { return None };
        match operation.as_str() {
            policy::operation::EMAIL_CHANGE => Some(IdentifierKind::Email),
            policy::operation::MOBILE_CHANGE => Some(IdentifierKind::Mobile),
            _ => None,
        }
    }

    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Change { .. } => "change",
            Self::Deletion => "deletion",
            Self::NotMe { .. } => "not_me",
        }
    }

    fn weight(&self) -> Weight {
        match self {
            Self::NotMe { operation, .. } if policy::operation::OWN.contains(&operation.as_str()) => {
                Weight::Deed
            }
            Self::NotMe { .. } => Weight::News,
            Self::Change { .. } | Self::Deletion => Weight::Change,
        }
    }
}
