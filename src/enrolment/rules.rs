//! What may be bound and taken away, and what comes with it.

use uuid::Uuid;

use super::{MOST, PENDING};
use crate::accounts::User;
use crate::app::Moment;
use crate::audit::{Note, Noting, What, note};
use crate::devices::{self, Device};
use crate::error::{Error, FieldError, Problem};
use crate::factors::recovery_codes::Slots;
use crate::factors::{Factor, FactorView, Held};
use crate::identifiers::Identifier;
use crate::policy::{FactorKind, Gate, IdentifierKind, Policy, When, after_first_factor};
use crate::sessions::Session;
use crate::store::{Change, Decision, Seen, answer, refuse};

/// What a change to somebody's factors looks at.
pub(super) struct Case {
    /// The session that asks.
    pub session: Seen<Session>,
    /// Whose factors.
    pub user: Seen<User>,
    /// All of them, also those that do not count.
    pub factors: Vec<Seen<Factor>>,
    /// The kinds that count without being asked for.
    pub demanded: Vec<FactorKind>,
    /// Whether there is a password.
    pub has_password: bool,
    /// The device in use, where its user is known on it.
    pub device: Option<Seen<Device>>,
}

impl Case {
    /// What the user has to show, `except` for one factor.
    fn held(&self, except: impl Fn(&Factor) -> bool) -> Held {
        let factors = self.factors.iter().map(|factor| &**factor).filter(|factor| !except(factor));
        Held::new(factors, self.has_password, &self.demanded, &self.user.roles.0)
    }

    /// One of the user's factors.
    fn own(&self, id: Uuid) -> Option<Seen<Factor>> {
        let own = |factor: &&Seen<Factor>| factor.id == id && factor.counts(&self.demanded);
        self.factors.iter().find(own).cloned()
    }

    /// The recovery codes.
    fn codes(&self) -> impl Iterator<Item = &Seen<Factor>> {
        self.factors.iter().filter(|factor| factor.kind == FactorKind::RecoveryCode)
    }

    /// Apps that were begun to be bound and are not.
    fn pending(&self) -> impl Iterator<Item = &Seen<Factor>> {
        let is_app = |factor: &&Seen<Factor>| factor.kind == FactorKind::Totp;
        self.factors.iter().filter(|factor| factor.bound_at.is_none()).filter(is_app)
    }

    /// Whether one more such factor may be bound.
    pub fn may_bind(&self, factor: &Factor, policy: &Policy) -> Result<(), Error> {
        let second = &policy.sign_in.second;
        let offered = factor.kinds().iter().any(|kind| second.factors.contains(kind));
        // What cannot be shown at sign-in would lock its owner out: whoever has a second factor is asked.
        if second.when != When::Never && !offered {
            let sentence = "The policy of this server does not offer this factor.";
            return Err(FieldError::new("kind", "not-offered", sentence).into());
        }
        if factor.kind == FactorKind::RecoveryCode {
            let why = "Recovery codes stand in for a second factor: add one first.";
            return if self.has_second() {
                Ok(())
            } else {
                let fields = vec![FieldError::new("kind", "alone", why)];
                Err(Error { fields, ..Error::new(Problem::FactorRequired).detail(why) })
            };
        }
        if self.factors.iter().filter(|factor| factor.counts(&self.demanded)).count() >= MOST {
            let sentence = "This account has as many factors as it may have: remove one first.";
            return Err(FieldError::new("kind", "too-many", sentence).into());
        }
        Ok(())
    }

    /// `decision`, only while all this still stands. The user is written even where nothing of theirs
    /// changes: so of two changes to somebody's factors one sees the other, and so does a sign-in.
    fn stands<T>(&self, decision: Decision<T>) -> Decision<T> {
        decision.update(&self.user).require(&self.session)
    }

    fn event(&self, what: What, factor: &Factor) -> Note {
        let detail = serde_json::json!({"factor": factor.kind, "id": factor.id});
        note(what).user(self.user.id).session(self.session.id).detail(detail)
    }

    /// `factor` is bound. With the first second factor all other sessions end: they were opened
    /// without it.
    fn bound(&self, factor: &Factor, told: Vec<Change>, moment: &Moment) -> Decision<FactorView> {
        let decision = answer(factor.view()).and(told);
        let decision = decision.note(moment, self.event(What::FactorAdded, factor));
        if self.has_second() {
            return self.stands(decision);
        }
        let user = self.user.clone().with(|user| user.end_sessions(moment.now));
        let session = self.session.clone().with(|session| session.counts_from = user.sessions_from);
        let device = self.device.clone().map(|device| devices::keep(device, user.sessions_from));
        decision.update(&user).update(&session).and(device.as_ref().map(Change::update))
    }

    /// Whether there is a second factor already.
    pub fn has_second(&self) -> bool {
        self.held(|_| false).has_second()
    }
}

/// Begins to bind an authenticator app; what was begun before is forgotten.
pub(super) fn begin(case: &Case, factor: &Factor, policy: &Policy) -> Decision<()> {
    if let Err(refusal) = case.may_bind(factor, policy) {
        return refuse(refusal);
    }
    let decision = case.pending().fold(answer(()), |decision, old| decision.delete(old));
    case.stands(decision.insert(factor))
}

/// The app that is being bound under `id`, while there is time.
pub(super) fn begun(case: &Case, id: Uuid, moment: &Moment) -> Option<Seen<Factor>> {
    let open = |factor: &&Seen<Factor>| factor.id == id && moment.now < factor.created_at + PENDING;
    case.pending().find(open).cloned()
}

/// Binds the app that showed the code of `step`, which counts as used.
pub(super) fn confirm(
    case: &Case,
    pending: Seen<Factor>,
    step: Option<i64>,
    told: Vec<Change>,
    policy: &Policy,
    moment: &Moment,
) -> Decision<FactorView> {
    if let Err(refusal) = case.may_bind(&pending, policy) {
        return refuse(refusal);
    }
    let Some(step) = step else {
        let hint = "Type the code that the app shows now. Its clock must be right.";
        return refuse(Error::new(Problem::CodeWrong).detail(hint));
    };
    let factor = pending.with(|factor| {
        factor.last_step = Some(step);
        factor.bound_at = Some(moment.now);
        factor.used_at = Some(moment.now);
    });
    case.bound(&factor, told, moment).update(&factor)
}

/// Makes a second factor of a number or an address that was shown to be the user's own. One that is
/// locked is bound anew: its owner has just shown another.
pub(super) fn reach(
    case: &Case,
    target: &Seen<Identifier>,
    told: Vec<Change>,
    policy: &Policy,
    moment: &Moment,
) -> Decision<FactorView> {
    let fresh = Factor { chosen: true, ..Factor::reaching(moment, target) };
    let mut known = case.factors.iter().filter(|factor| factor.identifier_id == Some(target.id));
    let known = known.find(|factor| factor.kind == fresh.kind);
    let able = known.filter(|factor| factor.is_able());
    let able = able.map(|factor| factor.clone().with(|factor| factor.chosen = true));
    if let (Some(known), Some(able)) = (known, &able)
        && known.counts(&case.demanded)
    {
        return case.stands(answer(able.view()).update(able));
    }
    if let Err(refusal) = case.may_bind(&fresh, policy) {
        return refuse(refusal);
    }
    match (able, known) {
        (Some(able), _) => case.bound(&able, told, moment).update(&able),
        (None, Some(locked)) => case.bound(&fresh, told, moment).insert(&fresh).delete(locked),
        (None, None) => case.bound(&fresh, told, moment).insert(&fresh),
    }
    .require(target)
}

/// Puts new recovery codes, hashed, in the place of those before.
pub(super) fn make_codes(
    case: &Case,
    hashed: Vec<String>,
    told: Vec<Change>,
    policy: &Policy,
    moment: &Moment,
) -> Decision<FactorView> {
    let codes = Factor {
        codes: Slots(hashed.into_iter().map(Some).collect()),
        bound_at: Some(moment.now),
        ..Factor::new(moment, case.user.id, FactorKind::RecoveryCode)
    };
    if let Err(refusal) = case.may_bind(&codes, policy) {
        return refuse(refusal);
    }
    let decision = case.codes().fold(answer(codes.view()), |decision, old| decision.delete(old));
    let event = note(What::RecoveryCodesMade).user(case.user.id).session(case.session.id);
    case.stands(decision.insert(&codes).and(told)).note(moment, event)
}

/// Gives a factor another name.
pub(super) fn rename(case: &Case, id: Uuid, name: String, moment: &Moment) -> Decision<FactorView> {
    let Some(factor) = case.own(id) else { return refuse(Problem::NotFound) };
    let factor = factor.with(|factor| factor.name = Some(name));
    let decision = answer(factor.view()).update(&factor);
    case.stands(decision.note(moment, case.event(What::FactorRenamed, &factor)))
}

/// Takes a factor away. Not the last that its owner could sign in with where a second one is asked for.
/// With the last second factor the recovery codes go too: they would be a second factor that comes to
/// an end.
pub(super) fn remove(
    case: &Case,
    id: Uuid,
    told: Vec<Change>,
    policy: &Policy,
    moment: &Moment,
) -> Decision<()> {
    let Some(factor) = case.own(id) else { return refuse(Problem::NotFound) };
    let is_code = |other: &Factor| other.kind == FactorKind::RecoveryCode;
    let mut decision = answer(()).delete(&factor).and(told);
    // What reaches a number or an address stays, to count again should the policy demand it one day; as
    // another record, since what was asked by this factor is over.
    let another = moment.uuid(&format!("factor:{}", factor.kind));
    let unchosen = Factor { id: another, chosen: false, name: None, ..(*factor).clone() };
    if unchosen.kind.is_sent() && !unchosen.counts(&case.demanded) {
        decision = decision.insert(&unchosen);
    }
    if !is_code(&factor) {
        let left = case.held(|other| other.id == id || is_code(other));
        if after_first_factor(&policy.sign_in, &left.holder()) == Gate::NoFactor {
            let why = "It is the last that you could sign in with, and a second factor is asked for.";
            return refuse(Error::new(Problem::FactorRequired).detail(why));
        }
        if !left.has_second() {
            decision = case.codes().fold(decision, |decision, codes| decision.delete(codes));
        }
    }
    case.stands(decision.note(moment, case.event(What::FactorRemoved, &factor)))
}

/// There is no number or address of this kind that was shown to be the user's own.
pub(super) fn unverified(kind: IdentifierKind) -> Error {
    let sentence = "This account has none that was shown to be its own: verify one first.";
    Error::from(FieldError::new(kind.as_str(), "unverified", sentence))
}
