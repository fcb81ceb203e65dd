//! What follows from a first factor.

use crate::accounts::User;
use crate::app::Moment;
use crate::audit::{Noting, What, note};
use crate::challenges::Asked;
use crate::error::Problem;
use crate::messages::Message;
use crate::passwords::Password;
use crate::policy::{Policy, Proofs};
use crate::secret::Token;
use crate::sessions::{Carry, Session};
use crate::store::{Decision, Seen, answer, refuse};

/// What a first factor came to.
pub(super) enum Outcome {
    /// It was enough.
    SignedIn { user: Box<User>, session: Box<Session>, token: Token },
    /// A second factor is asked for.
    Asked(Box<Asked>),
}

/// The same refusal for an unknown user, a wrong password and a suspended user.
pub(super) fn failed(user: Option<&User>, moment: &Moment) -> Decision<Outcome> {
    let event = note(What::SignInFailed);
    let event = match user {
        Some(user) => event.user(user.id),
        None => event,
    };
    refuse(Problem::CredentialsWrong).note(moment, event)
}

/// Somebody whose password was right and is still theirs.
pub(super) struct Standing {
    pub user: Seen<User>,
    /// With its new hash, when it was hashed anew.
    pub password: Seen<Password>,
    pub is_renewed: bool,
}

impl Standing {
    /// `decision`, only when nothing has changed since; and the new hash, when there is one.
    fn bind<T>(&self, decision: Decision<T>) -> Decision<T> {
        let decision = decision.require(&self.user);
        if self.is_renewed { decision.update(&self.password) } else { decision.require(&self.password) }
    }
}

/// No second factor is asked for.
pub(super) fn open(
    standing: &Standing,
    proofs: Proofs,
    carry: Carry,
    policy: &Policy,
    moment: &Moment,
) -> Decision<Outcome> {
    let user = &*standing.user;
    let (session, token) = Session::open(user, proofs, carry, &policy.session, moment);
    let event = note(What::SignedIn).user(user.id).session(session.id);
    let outcome =
        Outcome::SignedIn { user: Box::new(user.clone()), session: Box::new(session.clone()), token };
    standing.bind(answer(outcome).insert(&session).note(moment, event))
}

/// A second factor is asked for; a code that is sent is on the way in the same commit.
pub(super) fn ask(
    standing: &Standing,
    mut asked: Asked,
    message: Option<&Message>,
    moment: &Moment,
) -> Decision<Outcome> {
    asked.challenge.created_at = asked.challenge.created_at.latest(standing.user.sessions_from);
    let challenge = asked.challenge.clone();
    let decision = standing.bind(answer(Outcome::Asked(Box::new(asked))).insert(&challenge));
    match message {
        Some(message) => decision.insert(message).note(moment, note(What::CodeSent).user(standing.user.id)),
        None => decision,
    }
}
