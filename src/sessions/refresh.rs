//! Refresh tokens: each good for one use, and every one that ever was recognised without being stored.
//!
//! A session carried as JWT counts its generations. The refresh token of generation *n* is the session's
//! id, *n*, and a keyed hash of both and of the session's own secret, which never leaves the store. So
//! whoever shows an old one shows that it is genuine and that it was used before; and what is made up
//! ends nothing. The key is in the keyring and the secret in the database: neither alone makes a token.

use std::time::Duration;

use super::{Carry, Session};
use crate::accounts::User;
use crate::app::Moment;
use crate::audit::{Noting, What, note};
use crate::clock::Timestamp;
use crate::error::Problem;
use crate::secret::{Keyring, Token, TokenKind, same};
use crate::store::{Decision, Seen, answer, refuse};

/// How long the token before the newest still gives the newest: for whoever asked twice at once, or
/// never got the answer.
pub const GRACE: Duration = Duration::from_secs(30);

/// Of the 32 bytes: the generation, and 224 bits of keyed hash.
const NUMBER: usize = 4;

fn named(session: &Session, generation: u32) -> Vec<u8> {
    [session.id.as_bytes().as_slice(), &session.digest, &generation.to_be_bytes()].concat()
}

fn secret(tag: [u8; 32], generation: u32) -> [u8; 32] {
    let mut secret = tag;
    for (to, from) in secret.iter_mut().zip(generation.to_be_bytes()) {
        *to = from;
    }
    secret
}

/// The refresh token of the session's newest generation. None when it is not carried as JWT.
pub(super) fn token(keyring: &Keyring, session: &Session) -> Option<Token> {
    let generation = session.generation;
    let tag = keyring.tags("refresh", &named(session, generation)).next()?;
    (session.carry == Carry::Jwt).then(|| Token::of(TokenKind::Refresh, session.id, secret(tag, generation)))
}

/// Which generation of `session` the token is of; none when it is not genuine.
pub(super) fn generation(keyring: &Keyring, session: &Session, token: &Token) -> Option<u32> {
    let shown = token.secret();
    let number: [u8; NUMBER] = *shown.first_chunk()?;
    let generation = u32::from_be_bytes(number);
    let genuine = token.kind == TokenKind::Refresh
        && token.id == session.id
        && session.carry == Carry::Jwt
        && keyring
            .tags("refresh", &named(session, generation))
            .any(|tag| same(&secret(tag, generation), shown));
    genuine.then_some(generation)
}

/// What showing a genuine refresh token comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It is the newest: another one takes its place.
    Next,
    /// It is the one before, a moment after its successor was made: that one is handed out again.
    Again,
    /// It was used before: somebody has a copy.
    Reused,
    /// It does not count.
    Refused,
}

/// What becomes of showing generation `shown` of the session's refresh tokens; whether the session `counts`.
pub(super) fn turn(session: &Session, counts: bool, shown: u32, now: Timestamp) -> Turn {
    let before = shown.checked_add(1) == Some(session.generation);
    if !counts {
        Turn::Refused
    } else if shown == session.generation {
        Turn::Next
    } else if before && now.apart(session.rotated_at) < GRACE {
        Turn::Again
    } else if shown < session.generation {
        Turn::Reused
    } else {
        // Of a time that the store knows nothing of: it was restored. Nobody's fault.
        Turn::Refused
    }
}

/// Answers the session as it is after this turn; its token is the newest.
pub(super) fn refresh(
    turn: Turn,
    session: Seen<Session>,
    user: &Seen<User>,
    moment: &Moment,
) -> Decision<Seen<Session>> {
    let now = moment.now;
    match turn {
        Turn::Next => {
            let next = session.with(|session| {
                session.generation = session.generation.saturating_add(1);
                session.rotated_at = now;
                session.seen_at = session.seen_at.latest(now);
            });
            answer(next.clone()).update(&next).require(user)
        }
        Turn::Again => answer(session),
        Turn::Reused => {
            let reused = note(What::RefreshReused).user(session.user_id).session(session.id);
            refuse(Problem::RefreshRefused).delete(&session).note(moment, reused)
        }
        Turn::Refused => refuse(Problem::RefreshRefused),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::policy::{Policy, Proofs};
    use crate::random::Random;

    #[test]
    fn the_token_before_is_good_for_a_moment_whatever_the_clock_does() {
        let moment = Moment::new(Timestamp::from_millis(1_000_000_000_000), Random::seeded(1).seed());
        let user = User::new(Uuid::from_u128(7), moment.now);
        let policy = Policy::default_policy().session;
        let (session, _) = Session::open(&user, Proofs::default(), Carry::Jwt, &policy, &moment);
        let session = Session { generation: 1, ..session };
        let now = moment.now;
        for (at, expected) in [
            (now, Turn::Again),
            (now + GRACE, Turn::Reused),
            (now.before(Duration::from_secs(1)), Turn::Again),
            (now.before(GRACE), Turn::Reused),
        ] {
            assert_eq!(turn(&session, true, 0, at), expected, "{at}");
        }
    }
}
