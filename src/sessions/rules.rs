//! When a session counts.

use uuid::Uuid;

use super::{Carry, Session};
use crate::accounts::User;
use crate::app::Moment;
use crate::audit::{Noting, What, note};
use crate::clock::Timestamp;
use crate::policy::{self, Proofs};
use crate::revocations::Revocation;
use crate::secret::{Token, TokenKind};
use crate::store::{Change, Decision, Seen};

/// `decision`, with which these sessions end.
pub fn leave<T>(decision: Decision<T>, leaving: &[Seen<Session>], moment: &Moment) -> Decision<T> {
    leaving.iter().fold(decision, |decision, before| {
        let ended = note(What::SignedOut).user(before.user_id).session(before.id);
        decision.delete(before).note(moment, ended)
    })
}

impl Session {
    /// Opens a session for what was proved. The token is shown once and kept only as a hash; where the
    /// session is carried as JWT it is never shown, and its hash is the session's part of what its
    /// refresh tokens are made with. [`super::hand_out()`] knows which.
    pub fn open(
        user: &User,
        proofs: Proofs,
        carry: Carry,
        policy: &policy::Session,
        moment: &Moment,
    ) -> (Self, Token) {
        let id: Uuid = moment.uuid("session");
        let token = Token::new(TokenKind::Session, id, &moment.seed);
        let client = moment.client.as_ref();
        let session = Self {
            id,
            user_id: user.id,
            digest: token.digest(),
            carry,
            device_id: None,
            act: None,
            proofs,
            address: client.map(|client| client.address.to_string()),
            user_agent: client.and_then(|client| client.user_agent.clone()),
            created_at: moment.now,
            counts_from: user.sessions_from,
            seen_at: moment.now,
            expires_at: moment.now + *policy.lifetime,
            generation: 0,
            rotated_at: moment.now,
        };
        (session, token)
    }

    /// Whether it counts at `now` for `user`, who opened it. One by which somebody else acts for the user
    /// counts by [`super::stands`], which also looks at whoever acts.
    pub fn stands(&self, user: &User, policy: &policy::Session, now: Timestamp) -> bool {
        self.act.is_none() && self.lasts(user, policy, now)
    }

    /// Whether neither its own end nor that of its user's sessions has come.
    pub(super) fn lasts(&self, user: &User, policy: &policy::Session, now: Timestamp) -> bool {
        self.user_id == user.id
            && user.is_active(now)
            && self.counts_from >= user.sessions_from
            && now < self.ends_at(policy)
            && now.since(self.seen_at) < *policy.idle
    }

    /// When it ends by itself at the latest: a lifetime that is shorter by now counts for it too.
    pub fn ends_at(&self, policy: &policy::Session) -> Timestamp {
        self.expires_at.min(self.created_at + *policy.lifetime)
    }

    /// When its user last showed a factor to sign in.
    pub fn proved_at(&self) -> Timestamp {
        self.proofs.of_sign_in().map(|proof| proof.at).max().unwrap_or(self.created_at)
    }

    /// Whether its last use is old enough to be worth a write.
    pub fn is_stale(&self, policy: &policy::Session, now: Timestamp) -> bool {
        now.since(self.seen_at) >= *policy.seen_every
    }
}

/// What is written because a session ends: whoever checks its access tokens offline is told. A session that is
/// carried otherwise is recognised nowhere else. One that is swept away has outlived its last access token.
pub(super) fn told(change: &Change) -> Option<Change> {
    // Not read at all when it goes on: each refresh and each use passes here.
    let Change::Delete { .. } = change else { return None };
    let (was, ..) = change.turn::<Session>()?;
    (was.carry == Carry::Jwt).then(|| Change::insert(&Revocation::of_session(was.id, was.user_id)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::accounts::Status;
    use crate::config::Period;
    use crate::random::Random;

    fn user(now: Timestamp) -> User {
        User::new(Uuid::from_u128(7), now)
    }

    #[test]
    fn a_session_counts_until_its_first_end() {
        let now = Timestamp::from_millis(1_000_000_000_000);
        let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
        let policy = policy::Session {
            carry: Carry::Bearer,
            lifetime: Period(day),
            idle: Period(hour),
            at_most: 100,
            seen_every: Period(Duration::from_secs(60)),
            access: Period(Duration::from_secs(300)),
        };
        let moment = Moment::new(now, Random::seeded(1).seed());
        let owner = user(now);
        let (session, token) = Session::open(&owner, Proofs::default(), Carry::Bearer, &policy, &moment);
        let ms = Duration::from_millis(1);

        assert!(token.matches(&session.digest));
        assert!(session.stands(&owner, &policy, now));
        assert!(session.stands(&owner, &policy, now + hour - ms));
        assert!(!session.stands(&owner, &policy, now + hour), "idle");
        let used = Session { seen_at: now + day - ms, ..session.clone() };
        assert!(used.stands(&owner, &policy, now + day - ms));
        assert!(!used.stands(&owner, &policy, now + day), "lifetime");
        let suspended = User { status: Status::Suspended, ..user(now) };
        assert!(!session.stands(&suspended, &policy, now));
        let ends = User { suspended_until: Some(now + hour - ms), ..suspended };
        assert!(!session.stands(&ends, &policy, now + hour - ms - ms));
        assert!(session.stands(&ends, &policy, now + hour - ms), "a suspension ends by itself");
        let cut = User { sessions_from: now + ms, ..user(now) };
        assert!(!session.stands(&cut, &policy, now));
        let other = User { id: Uuid::from_u128(8), ..user(now) };
        assert!(!session.stands(&other, &policy, now));
    }
}
