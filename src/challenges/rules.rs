//! Asking, guessing, answering: the specification.

use uuid::Uuid;

use super::{Challenge, Purpose};
use crate::accounts::User;
use crate::app::Moment;
use crate::audit::{Noting, What, note};
use crate::error::{Error, Problem};
use crate::factors::Factor;
use crate::identifiers::{self, Identifier, Verification};
use crate::policy::Policy;
use crate::secret::{Sealed, Token, TokenKind, same};
use crate::sessions::{Carry, Method, Proofs, Session};
use crate::store::{Decision, Seen, answer as answered, refuse};

/// What is about to be asked.
pub struct Ask<'a> {
    /// What an answer is for.
    pub purpose: Purpose,
    /// The factor to prove.
    pub factor: &'a Factor,
    /// Where the code goes.
    pub identifier: &'a Identifier,
    /// What has been proved before.
    pub proofs: Proofs,
    /// How the session that an answer opens will travel.
    pub carry: Carry,
}

/// What was asked: the record, the token that names it, and the code to send.
pub struct Asked {
    /// The record.
    pub challenge: Challenge,
    /// Its token, shown once.
    pub token: Token,
    /// The code, for the message.
    pub code: String,
}

impl Ask<'_> {
    /// Makes the challenge. `seal` seals a code for the challenge with that id.
    pub fn make(self, policy: &Policy, moment: &Moment, seal: impl FnOnce(Uuid, &str) -> Sealed) -> Asked {
        let id = moment.uuid("challenge");
        let token = Token::new(TokenKind::Challenge, id, &moment.seed);
        let code = moment.seed.code("code", policy.code.digits);
        let challenge = Challenge {
            id,
            digest: token.digest(),
            purpose: self.purpose,
            user_id: self.factor.user_id,
            factor_id: self.factor.id,
            factor: self.factor.kind,
            identifier_id: self.identifier.id,
            sent_to: self.identifier.value.clone(),
            code: seal(id, &code),
            proofs: self.proofs,
            carry: self.carry,
            attempts: 0,
            sends: 1,
            sent_at: moment.now,
            created_at: moment.now,
            expires_at: moment.now + *policy.code.lifetime,
        };
        Asked { challenge, token, code }
    }
}

/// Everything that judging an answer looks at.
pub(super) struct Case {
    pub challenge: Seen<Challenge>,
    pub user: Seen<User>,
    pub factor: Seen<Factor>,
    pub identifier: Seen<Identifier>,
    /// Who owns the identifier already, when somebody does.
    pub owner: Option<Seen<Identifier>>,
    /// The code that was sent.
    pub code: zeroize::Zeroizing<Vec<u8>>,
}

/// What an answer came to.
pub(super) enum Outcome {
    /// A session, and its token to hand out.
    SignedIn { user: Box<User>, session: Box<Session>, token: Token },
    /// The identifier is shown to be the user's own.
    Verified,
}

/// Judges one guess. Whatever it comes to, what it changes makes the same guess impossible to
/// repeat unseen: a right one takes the challenge away, a wrong one is counted.
pub(super) fn answer(case: Case, given: &str, policy: &Policy, moment: &Moment) -> Decision<Outcome> {
    let Case { challenge, user, factor, identifier, owner, code } = case;
    if moment.now >= challenge.expires_at
        || challenge.attempts >= policy.code.attempts
        || !user.is_active()
        || challenge.created_at < user.sessions_from
        || identifier.user_id != user.id
        || factor.user_id != user.id
    {
        return refuse(Problem::CodeGone);
    }
    if factor.locked_at.is_some() {
        return refuse(Problem::FactorLocked);
    }
    if !same(given.as_bytes(), &code) {
        return wrong(challenge, factor, policy, moment);
    }
    let proved = factor.with(|factor| factor.succeeded(moment.now));
    let was_verified = identifier.verified_at.is_some();
    let verified = match identifiers::verify(identifier, owner.as_ref(), moment.now) {
        _ if was_verified => None,
        Verification::Verified(identifier) => Some(identifier),
        // Whoever typed the code holds the number, so being told that another account has it is no
        // leak. For signing in it proves possession all the same; it just is no name of this user.
        Verification::TakenByAnother if challenge.purpose == Purpose::Verify => {
            return refuse(Problem::IdentifierTaken).delete(&challenge);
        }
        Verification::TakenByAnother => None,
    };
    let decision = match challenge.purpose {
        Purpose::Verify => answered(Outcome::Verified),
        Purpose::SignIn => {
            let proofs = challenge.proofs.clone().and(Method::Sms, moment.now);
            let (session, token) = Session::open(&user, proofs, challenge.carry, &policy.session, moment);
            let event = note(What::SignedIn).user(user.id).session(session.id);
            let outcome = Outcome::SignedIn {
                user: Box::new((*user).clone()),
                session: Box::new(session.clone()),
                token,
            };
            answered(outcome).insert(&session).note(moment, event)
        }
    };
    let decision = decision.delete(&challenge).require(&user).update(&proved);
    match verified {
        Some(identifier) => {
            let event = note(What::IdentifierVerified).user(user.id);
            decision.update(&identifier).note(moment, event)
        }
        None => decision,
    }
}

fn wrong(
    challenge: Seen<Challenge>,
    factor: Seen<Factor>,
    policy: &Policy,
    moment: &Moment,
) -> Decision<Outcome> {
    let user = challenge.user_id;
    let challenge = challenge.with(|challenge| challenge.attempts += 1);
    let factor = factor.with(|factor| factor.failed(policy.limits.factor_failures, moment.now));
    let left = policy.code.attempts.saturating_sub(challenge.attempts);
    let detail = match left {
        0 => "That was the last try with this code. Start again.".to_owned(),
        1 => "One try is left.".to_owned(),
        left => format!("{left} tries are left."),
    };
    let refusal = refuse(Error::new(Problem::CodeWrong).detail(detail))
        .update(&challenge)
        .update(&factor)
        .note(moment, note(What::CodeWrong).user(user));
    if factor.locked_at.is_some() {
        refusal.note(moment, note(What::FactorLocked).user(user))
    } else {
        refusal
    }
}

/// Judges whether the code may be sent again, and remembers that it was.
pub(super) fn resend(
    challenge: Seen<Challenge>,
    user: &User,
    factor: &Factor,
    policy: &Policy,
    moment: &Moment,
) -> Result<Seen<Challenge>, Error> {
    let ended = !user.is_active() || challenge.created_at < user.sessions_from;
    if ended || moment.now >= challenge.expires_at || challenge.attempts >= policy.code.attempts {
        return Err(Problem::CodeGone.into());
    }
    if factor.locked_at.is_some() {
        return Err(Problem::FactorLocked.into());
    }
    if challenge.sends >= policy.code.sends {
        return Err(Error::new(Problem::LimitReached)
            .detail("This code was sent as often as it may be. Start again for a new one.")
            .retry_after(challenge.expires_at.since(moment.now)));
    }
    let next = challenge.sent_at + *policy.code.resend_after;
    if moment.now < next {
        return Err(Error::new(Problem::LimitReached)
            .detail("The code was sent a moment ago.")
            .retry_after(next.since(moment.now)));
    }
    Ok(challenge.with(|challenge| {
        challenge.sends += 1;
        challenge.sent_at = moment.now;
    }))
}
