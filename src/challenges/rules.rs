//! Asking, guessing, answering: the specification.

use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Challenge, Offered, Purpose};
use crate::accounts::User;
use crate::app::Moment;
use crate::audit::{Noting, What, note};
use crate::clock::Timestamp;
use crate::devices::{self, Device};
use crate::error::{Error, Problem};
use crate::factors::{Factor, Guess, totp};
use crate::identifiers::{self, Identifier, Verification};
use crate::messages::{self, Message};
use crate::policy::{FactorKind, IdentifierKind, Policy, Proofs};
use crate::recovery::Recovery;
use crate::secret::{Sealed, Token, TokenKind, same};
use crate::sessions::{self, Carry, Session};
use crate::store::{Decision, Seen, answer as answered, refuse};
use crate::words::Locale;

/// What is about to be asked.
pub struct Ask<'a> {
    /// What an answer is for.
    pub purpose: Purpose,
    /// The factor to prove.
    pub factor: &'a Factor,
    /// As which kind.
    pub kind: FactorKind,
    /// The kinds that would do.
    pub offered: &'a [FactorKind],
    /// Where the code goes, when one is sent.
    pub identifier: Option<&'a Identifier>,
    /// The session that asks, and the operation that it asks for.
    pub step_up: Option<(Uuid, &'a str)>,
    /// What has been proved before.
    pub proofs: Proofs,
    /// How the session that an answer opens will travel.
    pub carry: Carry,
    /// The `sessions_from` of whoever is asked.
    pub counts_from: Timestamp,
    /// The language of the message that carries the code.
    pub locale: Locale,
}

/// What was asked: the record, the token that names it, and the code to send.
pub struct Asked {
    /// The record.
    pub challenge: Challenge,
    /// Its token, shown once.
    pub token: Token,
    /// What to send, when something is.
    pub sending: Option<Sending>,
}

/// A code on its way.
pub struct Sending {
    /// The code.
    pub code: Zeroizing<String>,
    /// Where it goes.
    pub to: String,
}

impl Ask<'_> {
    /// Makes the challenge. `fixed` is the code when it is not drawn by chance, which is so for test
    /// identities in development alone; `seal` seals a code for the challenge with that id.
    pub fn make(
        self,
        policy: &Policy,
        moment: &Moment,
        fixed: impl FnOnce(&str) -> Option<String>,
        seal: impl FnOnce(Uuid, &str) -> Sealed,
    ) -> Asked {
        let id = moment.uuid(&format!("challenge:{}", self.factor.id));
        let token = Token::new(TokenKind::Challenge, id, &moment.seed);
        let sending = self.identifier.map(|identifier| Sending {
            code: Zeroizing::new(
                fixed(&identifier.value)
                    .unwrap_or_else(|| moment.seed.code(&format!("code:{id}"), policy.code.digits)),
            ),
            to: identifier.value.clone(),
        });
        let challenge = Challenge {
            id,
            digest: token.digest(),
            purpose: self.purpose,
            user_id: self.factor.user_id,
            factor_id: self.factor.id,
            factor: self.kind,
            offered: Offered(self.offered.to_vec()),
            identifier_id: self.identifier.map(|identifier| identifier.id),
            sent_to: self.identifier.map(|identifier| identifier.value.clone()),
            code: sending.as_ref().map(|sending| seal(id, &sending.code)),
            session_id: self.step_up.map(|(session, _)| session),
            device_id: None,
            recovery_id: None,
            operation: self.step_up.map(|(_, operation)| operation.to_owned()),
            proofs: self.proofs,
            carry: self.carry,
            attempts: 0,
            sends: u32::from(sending.is_some()),
            sent_at: moment.now,
            created_at: moment.now,
            counts_from: self.counts_from,
            expires_at: moment.now + *policy.code.lifetime,
        };
        Asked { challenge, token, sending }
    }
}

/// Everything that judging an answer looks at.
pub(super) struct Case {
    pub challenge: Seen<Challenge>,
    pub user: Seen<User>,
    pub factor: Seen<Factor>,
    pub identifier: Option<Seen<Identifier>>,
    /// Who owns the identifier already, when somebody does.
    pub owner: Option<Seen<Identifier>>,
    /// Everything that the user is known by, where the answer may depend on it.
    pub identifiers: Vec<Seen<Identifier>>,
    /// The user's factors, where the answer may depend on them.
    pub factors: Vec<Seen<Factor>>,
    /// The session that asked, when one did and it is still there.
    pub session: Option<Seen<Session>>,
    /// The recovery that asked, when one did and it is still there.
    pub recovery: Option<Seen<Recovery>>,
    /// The messages that carry the code, where it may have gone another way than it was asked for.
    pub sent: Vec<Seen<Message>>,
    /// What the answer is compared with.
    pub secret: Expected,
}

/// What the right answer is.
#[derive(Clone)]
pub(super) enum Expected {
    /// The code that was sent.
    Code(Zeroizing<Vec<u8>>),
    /// What one of these apps shows: whoever has two of them is not asked which.
    Totp(Vec<App>),
    /// A recovery code; judged beforehand, since that costs a hash: the slot and the hash that matched.
    Recovery(Option<(usize, String)>),
}

/// An authenticator app that takes guesses, and its key.
#[derive(Clone)]
pub(super) struct App {
    pub factor: Seen<Factor>,
    pub key: Zeroizing<Vec<u8>>,
}

impl Case {
    /// The factors that a guess is tried at.
    fn tried(&self) -> Vec<Seen<Factor>> {
        match &self.secret {
            Expected::Totp(apps) => apps.iter().map(|app| app.factor.clone()).collect(),
            _ => vec![self.factor.clone()],
        }
    }

    /// What the right answer shows: the way by which the code really went. One that went by mail, because no
    /// text message got through, shows that a mail was read and no more.
    fn shows(&self) -> FactorKind {
        let was_mailed = self.sent.iter().any(|message| message.kind == messages::Channel::Email);
        if was_mailed { FactorKind::Email } else { self.challenge.factor }
    }

    /// By whom it is guessed at.
    fn guess(&self) -> Guess {
        guess(self.challenge.purpose)
    }

    /// Whether `given` is wrong and the last such guess that a factor takes: the notice of that goes out in
    /// the same commit.
    pub(super) fn locks(&self, given: &str, policy: &Policy, moment: &Moment) -> bool {
        let (guess, limits) = (self.guess(), &policy.limits);
        let tried = self.tried();
        let takes = tried.iter().any(|factor| !factor.is_locked(guess, limits));
        let locks = |mut factor: Factor| {
            factor.failed(guess, limits, moment.now);
            factor.is_locked(guess, limits)
        };
        !self.is_gone(policy, moment)
            && takes
            && self.judge(given, moment).is_none()
            && tried.into_iter().any(|factor| locks(factor.into_inner()))
    }

    /// Whether nothing is asked any more.
    fn is_gone(&self, policy: &Policy, moment: &Moment) -> bool {
        let Self { challenge, user, factor, identifier, session, recovery, .. } = self;
        let stands = |session: &Seen<Session>| session.stands(user, &policy.session, moment.now);
        let waits = |recovery: &Seen<Recovery>| recovery.waits && recovery.stands(user, moment.now);
        challenge.is_over(&policy.code, moment.now)
            || !user.is_active(moment.now)
            || challenge.counts_from < user.sessions_from && challenge.session_id.is_none()
            || factor.user_id != user.id
            // What is being verified is bound by the right answer.
            || factor.bound_at.is_none() && challenge.purpose != Purpose::Verify
            || challenge.identifier_id.is_some() && identifier.is_none()
            || identifier.as_ref().is_some_and(|identifier| identifier.user_id != user.id)
            || challenge.session_id.is_some() && !session.as_ref().is_some_and(stands)
            || challenge.purpose == Purpose::Recover && !recovery.as_ref().is_some_and(waits)
    }

    /// The factor as it is after this guess, when the guess is right.
    pub(super) fn judge(&self, given: &str, moment: &Moment) -> Option<Seen<Factor>> {
        let factor = || self.factor.clone();
        match &self.secret {
            Expected::Code(code) => same(given.as_bytes(), code).then(factor),
            Expected::Totp(apps) => apps.iter().find_map(|App { factor, key }| {
                let step = totp::accepts(key, given, factor.last_step, moment.now)?;
                Some(factor.clone().with(|factor| factor.last_step = Some(step)))
            }),
            Expected::Recovery(matched) => {
                let (slot, phc) = matched.as_ref()?;
                let stands = self.factor.codes.get(*slot) == Some(phc.as_str());
                stands.then(|| factor().with(|factor| factor.codes.spend(*slot)))
            }
        }
    }
}

/// What a finished sign-in leaves behind besides its session.
#[derive(Default)]
pub(super) struct Arriving {
    /// The known device on which it began.
    pub device: Option<Seen<Device>>,
    /// Under which factors the device shall be trusted, when it shall.
    pub trust: Option<Vec<Seen<Factor>>>,
    /// The sessions that end with it: [`sessions::making_room`].
    pub leaving: Vec<Seen<Session>>,
}

/// What an answer came to.
pub(super) enum Outcome {
    /// A session, and its token to hand out.
    SignedIn { user: Box<User>, session: Box<Session>, token: Token, device: Option<Token> },
    /// The identifier is shown to be the user's own; whether it was not before.
    Verified { is_new: bool },
    /// All that was asked has been shown, but nothing is opened before this is verified.
    Unverified { user: Box<User>, identifier: Box<Identifier>, carry: Carry },
    /// The session has shown what the operation asks for.
    SteppedUp { operation: String, factor: FactorKind },
}

/// Judges one guess. Whatever it comes to, what it changes makes the same guess impossible to
/// repeat unseen: a right one takes the challenge away, a wrong one is counted.
pub(super) fn answer(
    case: Case,
    given: &str,
    arriving: Arriving,
    policy: &Policy,
    moment: &Moment,
) -> Decision<Outcome> {
    if case.is_gone(policy, moment) {
        return refuse(Problem::CodeGone);
    }
    let tried = case.tried();
    if tried.iter().all(|factor| factor.is_locked(case.guess(), &policy.limits)) {
        return refuse(Problem::FactorLocked);
    }
    let Some(proved) = case.judge(given, moment) else {
        return wrong(case.challenge, tried, policy, moment);
    };
    let shows = case.shows();
    let proved = proved.with(|factor| factor.succeeded(moment.now));
    let Case { challenge, user, identifier, owner, session, recovery, identifiers, factors, sent, .. } = case;
    let withdrawn = messages::rules::withdrawn(sent, moment.now);
    // A code that was read in a mail shows no number.
    let is_shown = |one: &Seen<Identifier>| shows != FactorKind::Email || one.kind == IdentifierKind::Email;
    let verified = match identifier.filter(|one| one.verified_at.is_none() && is_shown(one)) {
        None => None,
        Some(identifier) => match identifiers::verify(identifier, owner.as_ref(), moment.now) {
            Verification::Verified(identifier) => Some(identifier),
            // Whoever typed the code holds the number, so being told that another account has it is no
            // leak. For signing in it proves possession all the same; it just is no name of this user.
            Verification::TakenByAnother if challenge.purpose == Purpose::Verify => {
                return refuse(Problem::IdentifierTaken).delete(&challenge).and(withdrawn);
            }
            Verification::TakenByAnother => None,
        },
    };
    let decision = match challenge.purpose {
        Purpose::Verify => {
            let Some(verified) = verified else {
                let decision = answered(Outcome::Verified { is_new: false });
                return decision.delete(&challenge).require(&user).update(&proved).and(withdrawn);
            };
            let event = note(What::IdentifierVerified).user(user.id);
            // The user is written although nothing of theirs changes: what is offered to be taken back with it is
            // seen by whoever takes such offers away.
            let decision = replace(verified, identifiers, proved, factors, moment);
            return decision.delete(&challenge).update(&user).and(withdrawn).note(moment, event);
        }
        Purpose::SignIn if unverified(&identifiers, verified.as_ref(), policy).is_some() => {
            let lacking = unverified(&identifiers, verified.as_ref(), policy);
            let Some(identifier) = lacking else { return refuse(Problem::CodeGone) };
            answered(Outcome::Unverified {
                user: Box::new((*user).clone()),
                identifier: Box::new(identifier.clone()),
                carry: challenge.carry,
            })
        }
        Purpose::SignIn => {
            let proofs = challenge.proofs.clone().and(shows, moment.now);
            let (mut session, token) = Session::open(&user, proofs, challenge.carry, &policy.session, moment);
            let Arriving { device, trust, leaving } = arriving;
            let arrival = devices::arrive(device, &user, trust.as_deref(), &policy.devices, moment);
            session.device_id = Some(arrival.id);
            let event = note(What::SignedIn).user(user.id).session(session.id);
            let outcome = Outcome::SignedIn {
                user: Box::new((*user).clone()),
                session: Box::new(session.clone()),
                token,
                device: arrival.token,
            };
            let decision = answered(outcome).insert(&session).and([arrival.change]).note(moment, event);
            sessions::leave(decision, &leaving, moment)
        }
        Purpose::StepUp => {
            let (Some(session), Some(operation)) = (session, challenge.operation.clone()) else {
                return refuse(Problem::CodeGone);
            };
            let session = session.with(|session| {
                session.proofs = session.proofs.clone().and_for(Some(&operation), shows, moment.now);
            });
            let event = note(What::SteppedUp).user(user.id).session(session.id);
            let event = event.detail(serde_json::json!({"operation": operation, "factor": shows}));
            answered(Outcome::SteppedUp { operation, factor: shows }).update(&session).note(moment, event)
        }
        Purpose::Recover => {
            let Some(recovery) = recovery else { return refuse(Problem::CodeGone) };
            let shown = recovery.with(|one| one.show(shows, moment.now));
            answered(Outcome::Verified { is_new: false }).update(&shown)
        }
    };
    let decision = decision.delete(&challenge).require(&user).update(&proved).and(withdrawn);
    match verified {
        Some(identifier) => {
            let event = note(What::IdentifierVerified).user(user.id);
            decision.update(&identifier).note(moment, event)
        }
        None => decision,
    }
}

/// What must be verified before a session is opened, beside what this answer has just verified.
fn unverified<'a>(
    identifiers: &'a [Seen<Identifier>],
    verified: Option<&Seen<Identifier>>,
    policy: &Policy,
) -> Option<&'a Identifier> {
    let shown = verified.map(|verified| verified.kind);
    let kinds: Vec<_> = policy.sign_up.verified.iter().copied().filter(|kind| Some(*kind) != shown).collect();
    identifiers::lacking(identifiers, &kinds)
}

/// A claim that was verified takes the place of all others of its kind: a user has one address, one
/// number. What reached the others reaches it; what was asked at the others is gone with them.
fn replace(
    verified: Seen<Identifier>,
    identifiers: Vec<Seen<Identifier>>,
    proved: Seen<Factor>,
    factors: Vec<Seen<Factor>>,
    moment: &Moment,
) -> Decision<Outcome> {
    let others = identifiers.into_iter().filter(|one| one.kind == verified.kind && one.id != verified.id);
    let others: Vec<_> = others.collect();
    let mut decision = answered(Outcome::Verified { is_new: true }).update(&verified);
    for other in &others {
        decision = decision.delete(other);
    }
    let reached = factors.into_iter().filter(|factor| {
        factor.id != proved.id && others.iter().any(|other| factor.identifier_id == Some(other.id))
    });
    let (bound, begun): (Vec<_>, Vec<_>) = reached.partition(|factor| factor.bound_at.is_some());
    for factor in begun {
        decision = decision.delete(&factor);
    }
    let mut bound = bound.into_iter();
    let kept = if proved.bound_at.is_none() { bound.next() } else { None };
    match kept {
        Some(factor) => {
            // Bound anew, to what was just shown: what was guessed at the old one no longer counts.
            let factor = factor.with(|factor| {
                factor.identifier_id = Some(verified.id);
                factor.unlock();
                factor.succeeded(moment.now);
            });
            decision = decision.update(&factor).delete(&proved);
        }
        None => {
            decision = decision.update(&proved.with(|factor| {
                factor.bound_at.get_or_insert(moment.now);
            }));
        }
    }
    bound.fold(decision, |decision, factor| decision.delete(&factor))
}

fn wrong(
    challenge: Seen<Challenge>,
    tried: Vec<Seen<Factor>>,
    policy: &Policy,
    moment: &Moment,
) -> Decision<Outcome> {
    let (user, guess) = (challenge.user_id, guess(challenge.purpose));
    let challenge = challenge.with(|challenge| challenge.attempts += 1);
    let refusal = refuse(wrong_code(&challenge, policy))
        .update(&challenge)
        .note(moment, note(What::CodeWrong).user(user));
    let mut locked = false;
    let refusal = tried.into_iter().fold(refusal, |refusal, factor| {
        let factor = factor.with(|factor| factor.failed(guess, &policy.limits, moment.now));
        locked |= factor.is_locked(guess, &policy.limits);
        refusal.update(&factor)
    });
    match (locked, guess) {
        (false, _) => refusal,
        (true, Guess::Usual) => refusal.note(moment, note(What::FactorLocked).user(user)),
        (true, Guess::Recovery) => refusal.note(moment, note(What::RecoveryLocked).user(user)),
    }
}

/// By whom what serves this purpose is guessed at.
pub(super) fn guess(purpose: Purpose) -> Guess {
    match purpose {
        Purpose::Recover => Guess::Recovery,
        Purpose::SignIn | Purpose::Verify | Purpose::StepUp => Guess::Usual,
    }
}

/// Judges whether a code may be sent, or another factor be asked for, and remembers that it was.
/// `next` is the factor to ask for and the kind to ask for it as.
pub(super) fn resend(
    case: &Case,
    next: &Next,
    policy: &Policy,
    moment: &Moment,
) -> Result<Seen<Challenge>, Error> {
    let challenge = case.challenge.clone();
    if case.is_gone(policy, moment) {
        return Err(Problem::CodeGone.into());
    }
    if next.factor.is_locked(case.guess(), &policy.limits) {
        return Err(Problem::FactorLocked.into());
    }
    // A code proves the way that it came by: whoever asks for another way gets another code.
    let challenge = challenge.with(|challenge| {
        if challenge.factor != next.kind {
            challenge.code = None;
        }
    });
    if !next.kind.is_sent() {
        return Ok(challenge.with(|challenge| {
            challenge.factor_id = next.factor.id;
            challenge.factor = next.kind;
            challenge.identifier_id = None;
            challenge.sent_to = None;
        }));
    }
    may_send(&challenge, policy, moment)?;
    Ok(challenge.with(|challenge| {
        challenge.factor_id = next.factor.id;
        challenge.factor = next.kind;
        challenge.identifier_id = next.target.as_ref().map(|target| target.id);
        challenge.sent_to = next.target.as_ref().map(|target| target.value.clone());
        challenge.sends += 1;
        challenge.sent_at = moment.now;
    }))
}

/// Whether a message may be sent now for `challenge`.
pub(super) fn may_send(challenge: &Challenge, policy: &Policy, moment: &Moment) -> Result<(), Error> {
    if challenge.sends >= policy.code.sends {
        return Err(Error::new(Problem::LimitReached)
            .detail("This code was sent as often as it may be. Start again for a new one.")
            .retry_after(challenge.expires_at.since(moment.now)));
    }
    let again = challenge.sent_at + *policy.code.resend_after;
    if challenge.sends > 0 && moment.now < again {
        return Err(Error::new(Problem::LimitReached)
            .detail("The code was sent a moment ago.")
            .retry_after(again.since(moment.now)));
    }
    Ok(())
}

/// The refusal of a wrong guess at `challenge`, in which it is counted already.
pub(super) fn wrong_code(challenge: &Challenge, policy: &Policy) -> Error {
    let detail = match policy.code.attempts.saturating_sub(challenge.attempts) {
        0 => "That was the last try with this code. Start again.".to_owned(),
        1 => "One try is left.".to_owned(),
        left => format!("{left} tries are left."),
    };
    Error::new(Problem::CodeWrong).detail(detail)
}

/// What is asked for next.
#[derive(Clone)]
pub(super) struct Next {
    pub factor: Factor,
    pub kind: FactorKind,
    pub target: Option<Identifier>,
}
