//! What follows from a first factor.

use std::convert::Infallible;

use uuid::Uuid;

use crate::accounts::User;
use crate::app::Moment;
use crate::audit::{Event, Noting, What, chain, note};
use crate::challenges::Asked;
use crate::devices::Arrival;
use crate::error::Problem;
use crate::factors::Factor;
use crate::messages::Message;
use crate::passwords::Password;
use crate::policy::{Policy, Proofs};
use crate::secret::Token;
use crate::sessions::{self, Carry, Session};
use crate::store::{Change, Decision, Seen, answer, refuse};

/// A wrong password of a user, or one that was not looked at: the same refusal for both. A judged one
/// is counted with the `password`, in the commit that notes it.
pub(super) fn failed(
    user: &User,
    password: Option<Seen<Password>>,
    device: Option<Change>,
    moment: &Moment,
) -> Decision<Infallible> {
    let refusal = refuse(Problem::CredentialsWrong).note(moment, note(What::SignInFailed).user(user.id));
    let counted = password.map(|seen| seen.with(Password::failed));
    refusal.and(counted.as_ref().map(Change::update)).and(device)
}

/// The same refusal for an unknown user, noted in a row of its own or in the `slot` that rows take turns
/// in, where `before` stands.
pub(super) fn failed_unknown(
    slot: Option<Uuid>,
    before: Option<Seen<Event>>,
    moment: &Moment,
) -> Decision<Infallible> {
    let event = note(What::SignInFailed).at(moment);
    let block = if slot.is_some() { chain::NEVER } else { event.block };
    let event = Event { id: slot.unwrap_or(event.id), block, ..event };
    refuse(Problem::CredentialsWrong).upsert(before, event)
}

/// One of the ids that notes of unknown people take turns in. None of them is an id of anything else:
/// those begin with the time.
pub(super) fn slot(moment: &Moment) -> Uuid {
    let [high, low] = moment.seed.bytes("slot");
    Uuid::from_u128(u128::from(u16::from_be_bytes([high & 3, low])) + 1)
}

/// Somebody whose password was right and is still theirs.
pub(super) struct Standing {
    pub user: Seen<User>,
    /// With its new hash, when it was hashed anew, and without failures.
    pub password: Seen<Password>,
    pub is_changed: bool,
}

impl Standing {
    /// `decision`, only when nothing has changed since; and what changed of the password.
    fn bind<T>(&self, decision: Decision<T>) -> Decision<T> {
        let decision = decision.require(&self.user);
        if self.is_changed { decision.update(&self.password) } else { decision.require(&self.password) }
    }
}

/// A session that is about to be opened.
pub(super) struct Opening<'a> {
    pub proofs: Proofs,
    pub carry: Carry,
    /// On which device.
    pub arrival: Arrival,
    /// The sessions that end with it: [`sessions::making_room`].
    pub leaving: Vec<Seen<Session>>,
    /// The factors without which the device would not do without them.
    pub relied_on: &'a [Seen<Factor>],
}

/// What was opened.
pub(super) struct Opened {
    /// Whose it is, as they are at this instant.
    pub user: User,
    pub session: Session,
    pub token: Token,
    /// That of the device, when it was not known.
    pub device: Option<Token>,
}

/// No second factor is asked for.
pub(super) fn open(
    standing: &Standing,
    opening: Opening<'_>,
    policy: &Policy,
    moment: &Moment,
) -> Decision<Opened> {
    let user = &*standing.user;
    let Opening { proofs, carry, arrival, leaving, relied_on } = opening;
    let (mut session, token) = Session::open(user, proofs, carry, &policy.session, moment);
    session.device_id = Some(arrival.id);
    let event = note(What::SignedIn).user(user.id).session(session.id);
    let opened = Opened { user: user.clone(), session: session.clone(), token, device: arrival.token };
    let decision = standing.bind(answer(opened));
    let decision = decision.insert(&session).and([arrival.change]).note(moment, event);
    let decision = decision.and(relied_on.iter().map(Change::require));
    sessions::leave(decision, &leaving, moment)
}

/// A second factor is asked for; a code that is sent is on the way in the same commit.
pub(super) fn ask(
    standing: &Standing,
    asked: Asked,
    message: Option<&Message>,
    moment: &Moment,
) -> Decision<Asked> {
    let challenge = asked.challenge.clone();
    let decision = standing.bind(answer(asked).insert(&challenge));
    match message {
        Some(message) => decision.insert(message).note(moment, note(What::CodeSent).user(standing.user.id)),
        None => decision,
    }
}
