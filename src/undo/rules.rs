//! What taking back changes. Pure.

use uuid::Uuid;

use super::{Claim, Undo, What};
use crate::accounts::{Status, User};
use crate::app::Moment;
use crate::audit::{self, Noting, note};
use crate::error::Problem;
use crate::factors::{Factor, Held};
use crate::identifiers::Identifier;
use crate::passwords::Password;
use crate::policy::{FactorKind, IdentifierKind, operation};
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
    /// What there was and somebody else has shown meanwhile to be theirs.
    pub taken: Vec<String>,
    /// The user's password.
    pub password: Option<Seen<Password>>,
}

/// How far a link goes back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Nothing but what a thief knows: what there was news of has changed nothing itself. Whoever reads the mails
    /// could otherwise undo a second factor with an old one.
    News,
    /// What was asked for and has taken nobody's place: all that was done since was told where this was.
    Claim(IdentifierKind),
    /// That there is no account.
    Deletion,
    /// All that was done since: the account is what it was.
    All,
}

/// Takes back, once.
pub(super) fn take(case: Case, moment: &Moment) -> Decision<What> {
    let Case { undo, user, later, password, .. } = &case;
    let is_deleted = user.status == Status::Deleted;
    let stands = moment.now < undo.expires_at
        && !user.is_past_grace(moment.now)
        && match undo.what {
            What::Deletion => is_deleted,
            What::Change { kind, .. } => undo.known.claim(kind).is_some(),
            What::NotMe { .. } => true,
        };
    if !stands {
        return refuse(Problem::CodeGone);
    }
    let extent = case.extent();
    let changed = undo.what.kind();
    if extent == Extent::All && changed.is_some_and(|kind| case.is_taken(kind)) {
        return refuse(Problem::IdentifierTaken);
    }
    let event = note(audit::What::Undone).user(user.id);
    let event = event.detail(serde_json::json!({"what": undo.what.word()}));
    let user = user.clone().with(|user| {
        user.end_sessions(moment.now);
        user.updated_at = moment.now;
        // Whoever did it may have deleted the account after it, and was told of that alone.
        if is_deleted && extent != Extent::News {
            user.status = Status::Active;
            user.purge_at = None;
        }
    });
    let mut decision = answer(undo.what.clone()).update(&user).delete(undo).note(moment, event);
    for one in later.iter().filter(|one| extent.covers(&one.what)) {
        decision = decision.delete(one);
    }
    let names = Names::back(&case, extent, moment);
    let factors = Factors::back(&case, extent, &names, moment);
    // Who takes back a mistake of their own keeps the password that they have.
    let is_touched = password.as_ref().map(|password| password.changed_at) != undo.known.password
        || !factors.lost.is_empty()
        || later.iter().any(|one| one.what.goes_beyond(changed));
    let ends = match extent {
        Extent::Claim(_) | Extent::Deletion => false,
        Extent::News => true,
        Extent::All => changed.is_none() || is_touched,
    };
    if let Some(password) = password.as_ref().filter(|_| ends) {
        decision = decision.delete(password);
    }
    names.changes(factors.changes(decision, &case, moment))
}

impl Case {
    fn extent(&self) -> Extent {
        match &self.undo.what {
            What::Deletion => Extent::Deletion,
            What::NotMe { operation } if is_deed(operation) => Extent::All,
            What::NotMe { .. } => Extent::News,
            What::Change { done: true, .. } => Extent::All,
            What::Change { kind, done: false } => {
                let replaces = |one: &Seen<Undo>| one.what == What::Change { kind: *kind, done: true };
                // What came back otherwise than by the link to that change was away, and told nothing meanwhile.
                match self.standing(*kind).is_some() && !self.later.iter().any(replaces) {
                    true => Extent::Claim(*kind),
                    false => Extent::All,
                }
            }
        }
    }

    /// What there was of this `kind`, where the user still has it.
    fn standing(&self, kind: IdentifierKind) -> Option<&Seen<Identifier>> {
        let before = self.undo.known.claim(kind)?;
        let is_it = |one: &&Seen<Identifier>| {
            one.kind == kind && one.canonical == before.canonical && one.verified_at.is_some()
        };
        self.identifiers.iter().find(is_it)
    }

    /// Whether what there was of this `kind` is somebody else's.
    fn is_taken(&self, kind: IdentifierKind) -> bool {
        self.undo.known.claim(kind).is_some_and(|before| self.taken.contains(&before.canonical))
    }
}

impl Extent {
    /// Whether nothing of `later` is left to take back.
    fn covers(self, later: &What) -> bool {
        match (self, later) {
            (Self::All, _) | (Self::Deletion, What::Deletion) => true,
            (Self::News, What::NotMe { operation }) => !is_deed(operation),
            (Self::Claim(own), What::Change { kind, done: false }) => own == *kind,
            _ => false,
        }
    }
}

/// The address and the number on their way back.
struct Names<'a> {
    /// Those that go.
    gone: Vec<&'a Seen<Identifier>>,
    /// What there was, and which record it is now.
    back: Vec<(&'a Claim, Uuid)>,
    /// The records that have to be made for that.
    made: Vec<Identifier>,
}

impl<'a> Names<'a> {
    fn back(case: &'a Case, extent: Extent, moment: &Moment) -> Self {
        let known = &case.undo.known;
        let mut names = Self { gone: Vec::new(), back: Vec::new(), made: Vec::new() };
        for kind in [IdentifierKind::Email, IdentifierKind::Mobile] {
            let (before, kept) = (known.claim(kind), case.standing(kind));
            let goes = |one: &&Seen<Identifier>| {
                let is_new = !known.has(one.id);
                let is_claim = one.verified_at.is_none();
                match extent {
                    Extent::Deletion => false,
                    Extent::News => is_new && is_claim,
                    Extent::Claim(own) => is_claim && own == kind,
                    // Nothing could be put in the place of what the user has.
                    Extent::All if case.is_taken(kind) => is_new && is_claim,
                    // What was only asked for then and is the user's now came later, unless it came with the account.
                    Extent::All => {
                        let is_first = before.is_none() && one.created_at <= case.user.created_at;
                        kept.is_none_or(|kept| kept.id != one.id) && (is_new || !is_claim && !is_first)
                    }
                }
            };
            names.gone.extend(case.identifiers.iter().filter(|one| one.kind == kind).filter(goes));
            let Some(before) = before.filter(|_| extent == Extent::All && !case.is_taken(kind)) else {
                continue;
            };
            let id = kept.map_or_else(|| moment.uuid(&format!("identifier:{kind}")), |kept| kept.id);
            names.back.push((before, id));
            if kept.is_none() {
                names.made.push(before.identifier(id, case.user.id));
            }
        }
        names
    }

    fn changes(self, decision: Decision<What>) -> Decision<What> {
        let decision = self.made.iter().fold(decision, |decision, made| decision.insert(made));
        self.gone.into_iter().fold(decision, |decision, gone| decision.delete(gone))
    }
}

/// The factors on their way back.
struct Factors<'a> {
    /// Those that stay, as they are and as they will be.
    kept: Vec<(&'a Seen<Factor>, Seen<Factor>)>,
    /// Those that are made for what is put back.
    made: Vec<Factor>,
    /// What was bound since and reaches nothing: apps and codes.
    lost: Vec<&'a Seen<Factor>>,
    /// What reaches nobody any more, or was never bound.
    gone: Vec<&'a Seen<Factor>>,
}

impl<'a> Factors<'a> {
    fn back(case: &'a Case, extent: Extent, names: &Names<'_>, moment: &Moment) -> Self {
        let mut all = Self { kept: Vec::new(), made: Vec::new(), lost: Vec::new(), gone: Vec::new() };
        for factor in &case.factors {
            let gone = names.gone.iter().find(|gone| factor.identifier_id == Some(gone.id));
            let is_its = |(before, id): &&(&Claim, Uuid)| {
                factor.identifier_id == Some(*id) || gone.is_some_and(|gone| gone.kind == before.kind)
            };
            let back = names.back.iter().find(is_its).filter(|_| factor.bound_at.is_some());
            let is_new = factor.identifier_id.is_none() && !case.undo.known.has(factor.id);
            match (gone, back) {
                (_, Some((before, id))) => all.kept.push((factor, points_back(factor, before, *id))),
                (Some(_), None) => all.gone.push(factor),
                (None, None) if is_new && extent == Extent::All => match factor.bound_at {
                    Some(_) => all.lost.push(factor),
                    None => all.gone.push(factor),
                },
                (None, None) => all.kept.push((factor, factor.clone())),
            }
        }
        for (before, id) in &names.back {
            let reaches = |kept: &Factor| kept.identifier_id == Some(*id) && kept.bound_at.is_some();
            // Taken away since, by itself or together with what it reached.
            if before.reached && !all.kept.iter().any(|(_, kept)| reaches(kept)) {
                let factor = Factor::new(moment, case.user.id, before.factor());
                let (identifier_id, bound_at) = (Some(*id), Some(moment.now));
                all.made.push(Factor { identifier_id, chosen: before.chosen, bound_at, ..factor });
            }
        }
        all
    }

    fn changes(self, mut decision: Decision<What>, case: &Case, moment: &Moment) -> Decision<What> {
        let left = self.kept.iter().map(|(_, kept)| &**kept).chain(&self.made);
        let left = Held::new(left, false, &case.demanded, &case.user.roles.0);
        // What was protected by two does not fall back to one: whoever merely reads the mails would be let in. What
        // would be gone is locked, and says until somebody helps that there was one.
        let locks = case.undo.known.protected && !left.has_second();
        let counts = |factor: &Factor| factor.bound_at.is_some() && factor.counts(&case.demanded);
        let lock = |factor: &mut Factor| factor.locked_at = Some(moment.now);
        for lost in self.lost {
            decision = match locks {
                true => decision.update(&lost.clone().with(lock)),
                false => decision.delete(lost),
            };
        }
        for gone in self.gone {
            let reaches_nobody = |factor: &mut Factor| {
                factor.identifier_id = None;
                lock(factor);
            };
            decision = match locks && counts(gone) {
                true => decision.update(&gone.clone().with(reaches_nobody)),
                false => decision.delete(gone),
            };
        }
        decision = self.made.iter().fold(decision, |decision, made| decision.insert(made));
        for (old, new) in self.kept {
            let falls = |factor: &mut Factor| {
                factor.chosen = true;
                lock(factor);
            };
            let new = if locks && counts(old) && !counts(&new) { new.with(falls) } else { new };
            let is = |factor: &Factor| (factor.identifier_id, factor.chosen, factor.locked_at);
            if is(old) != is(&new) {
                decision = decision.update(&new);
            }
        }
        decision
    }
}

/// The factor that reaches what is there again as `id`.
fn points_back(factor: &Seen<Factor>, before: &Claim, id: Uuid) -> Seen<Factor> {
    let is_moved = factor.identifier_id != Some(id);
    factor.clone().with(|factor| {
        (factor.identifier_id, factor.chosen) = (Some(id), before.chosen);
        if is_moved {
            // What was guessed at the other address says nothing of this one.
            factor.unlock();
        }
    })
}

/// Whether an operation of ours was done, and not only somebody was there.
fn is_deed(operation: &str) -> bool {
    operation::OWN.contains(&operation)
}

impl What {
    /// The kind that was changed, or asked to be.
    pub(super) fn kind(&self) -> Option<IdentifierKind> {
        match self {
            Self::Change { kind, .. } => Some(*kind),
            Self::Deletion | Self::NotMe { .. } => None,
        }
    }

    /// Whether this is more than another change of the kind that was `changed`.
    fn goes_beyond(&self, changed: Option<IdentifierKind>) -> bool {
        match self {
            Self::Change { kind, done } => *done && Some(*kind) != changed,
            Self::Deletion => false,
            Self::NotMe { operation } => is_deed(operation),
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
}
