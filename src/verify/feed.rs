//! What the feed has said: which sessions have ended, and how current that is. Pure.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use super::Claims;
use crate::clock::Timestamp;

/// Why a token does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// Its shape, its signature, its issuer, its audience or its time is wrong.
    #[error("the access token is not valid")]
    Invalid,
    /// Its session has ended.
    #[error("the session has ended")]
    Ended,
    /// It may be good; but whether its session has ended is not known, and neither may be its key.
    #[error("whether the session still stands is not known")]
    Stale,
}

/// Content of a JWS of type `revocations+jwt`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Batch {
    pub iss: String,
    pub now: i64,
    pub after: Option<Uuid>,
    pub cursor: Uuid,
    pub more: bool,
    pub items: Vec<Item>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Item {
    Session { sid: Uuid, until: i64 },
    User { sub: Uuid, session_from: Option<i64>, until: i64 },
}

/// What is known, and until when each of it matters.
#[derive(Default, Debug)]
pub(super) struct Known {
    cursor: Option<Uuid>,
    as_of: Option<Timestamp>,
    sessions: HashMap<Uuid, i64>,
    users: HashMap<Uuid, (Option<i64>, i64)>,
    /// When what no longer matters was last forgotten.
    swept: i64,
}

/// How often what no longer matters is forgotten, in milliseconds.
const SWEEP: i64 = 60_000;
/// How far the clock of the accounts may be ahead. Past it a batch would hold up all true ones after it.
const AHEAD: Duration = Duration::from_secs(60);

impl Known {
    pub(super) fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    pub(super) fn cursor(&self) -> Option<Uuid> {
        self.cursor
    }

    /// Whether every ending is known up to about `now`. Not when the instant lies ahead: whatever ended in between
    /// would be missing.
    pub(super) fn is_current(&self, now: Timestamp, patience: Duration) -> bool {
        self.as_of.is_some_and(|as_of| now.apart(as_of) <= patience)
    }

    /// Takes what follows on what is known.
    ///
    /// # Errors
    /// Why nothing is taken.
    pub(super) fn take(&mut self, issuer: &str, batch: Batch, now: Timestamp) -> Result<(), &'static str> {
        let said_at = Timestamp::from_millis(batch.now);
        if batch.iss != issuer {
            return Err("it is of another issuer");
        }
        if batch.after.is_some() && batch.after != self.cursor {
            return Err("something before it is missing");
        }
        if self.as_of.is_some_and(|as_of| said_at < as_of) {
            return Err("it is older than what is known");
        }
        if said_at.since(now) > AHEAD {
            return Err("it comes from the future: the clocks differ");
        }
        for item in batch.items {
            match item {
                Item::Session { sid, until } => {
                    self.sessions.insert(sid, until);
                }
                Item::User { sub, session_from, until } => {
                    self.users.insert(sub, (session_from, until));
                }
            }
        }
        self.cursor = Some(batch.cursor);
        if !batch.more {
            self.as_of = Some(said_at);
        }
        // What expires is held to the clock here: neither of the two may forget what still counts by the other.
        let past = said_at.min(now).as_millis();
        if past.saturating_sub(self.swept) > SWEEP {
            self.swept = past;
            self.sessions.retain(|_, until| *until > past);
            self.users.retain(|_, (_, until)| *until > past);
        }
        Ok(())
    }

    pub(super) fn has_ended(&self, claims: &Claims) -> bool {
        let of_user = self.users.get(&claims.sub);
        self.sessions.contains_key(&claims.sid)
            || of_user.is_some_and(|(from, _)| from.is_none_or(|from| claims.session_from < from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: Uuid = Uuid::from_u128(1);

    fn batch(after: Option<u128>, cursor: u128, now: i64, items: serde_json::Value) -> Batch {
        let json = serde_json::json!({
            "iss": "a", "now": now, "after": after.map(Uuid::from_u128), "cursor": Uuid::from_u128(cursor),
            "more": false, "items": items,
        });
        serde_json::from_value(json).unwrap()
    }

    /// At the instant at which it was said.
    fn take(known: &mut Known, batch: Batch) -> bool {
        let now = Timestamp::from_millis(batch.now);
        known.take("a", batch, now).is_ok()
    }

    fn token(sid: u128, session_from: i64) -> Claims {
        let (sid, jti) = (Uuid::from_u128(sid), Uuid::nil());
        let (iss, aud, client_id) = ("a".to_owned(), "a".to_owned(), "c".to_owned());
        let (iat, exp, auth_time, aal, amr) = (0, 300, 0, 1, Vec::new());
        Claims { iss, sub: SUB, aud, client_id, sid, session_from, jti, iat, exp, auth_time, aal, amr }
    }

    #[test]
    fn the_last_word_about_a_user_counts() {
        let mut known = Known::default();
        let about =
            |from: Option<i64>| serde_json::json!([{"sub": SUB, "session_from": from, "until": 99_999}]);
        let mut said = |after, cursor, from| assert!(take(&mut known, batch(after, cursor, 1, about(from))));
        said(None, 5, Some(100));
        let ended = |known: &Known| [99, 100].map(|from| known.has_ended(&token(9, from)));
        assert_eq!(ended(&known), [true, false]);
        let mut said = |after, cursor, from| assert!(take(&mut known, batch(after, cursor, 1, about(from))));
        said(Some(5), 6, None);
        assert_eq!(ended(&known), [true, true], "suspended");
        let mut said = |after, cursor, from| assert!(take(&mut known, batch(after, cursor, 1, about(from))));
        said(Some(6), 7, Some(100));
        assert_eq!(ended(&known), [true, false], "and let in again");
    }

    #[test]
    fn what_does_not_follow_on_is_not_taken() {
        let mut known = Known::default();
        let ends = |sid: u128| serde_json::json!([{"sid": Uuid::from_u128(sid), "until": 99_999}]);
        assert!(
            !take(&mut known, Batch { iss: "b".to_owned(), ..batch(None, 1, 10, ends(1)) }),
            "another issuer"
        );
        assert!(!take(&mut known, batch(Some(1), 2, 10, ends(2))), "nothing was read before");
        assert!(take(&mut known, batch(None, 1, 10, ends(1))));
        assert!(!take(&mut known, batch(Some(2), 3, 11, ends(3))), "one is missing");
        assert!(!take(&mut known, batch(Some(1), 1, 9, ends(3))), "said before");
        assert!(take(&mut known, batch(Some(1), 1, 12, serde_json::json!([]))));
        assert_eq!(
            (known.as_of(), known.cursor()),
            (Some(Timestamp::from_millis(12)), Some(Uuid::from_u128(1)))
        );
        let ended = [1, 2, 3].map(|sid| known.has_ended(&token(sid, 0)));
        assert_eq!(ended, [true, false, false]);
        let part = Batch { more: true, ..batch(Some(1), 2, 20, ends(2)) };
        assert!(take(&mut known, part));
        assert_eq!(known.as_of(), Some(Timestamp::from_millis(12)), "not current before all is read");
    }

    #[test]
    fn what_no_longer_matters_is_forgotten() {
        let mut known = Known::default();
        let ends = serde_json::json!([
            {"sid": Uuid::from_u128(1), "until": 100_000}, {"sub": SUB, "session_from": null, "until": 100_000},
        ]);
        assert!(take(&mut known, batch(None, 1, 70_000, ends)));
        assert!(known.has_ended(&token(1, 0)) && known.has_ended(&token(2, 0)));
        assert!(take(&mut known, batch(Some(1), 1, 140_000, serde_json::json!([]))));
        assert!(!known.has_ended(&token(1, 0)) && !known.has_ended(&token(2, 0)));
    }

    #[test]
    fn a_clock_that_is_ahead_neither_stops_the_feed_nor_makes_it_current() {
        let now = Timestamp::from_millis(1_000_000);
        let said = |after, ahead: i64, items| batch(after, 1, now.as_millis() + ahead, items);
        let nothing = || serde_json::json!([]);
        let patience = Duration::from_secs(15);
        let mut known = Known::default();
        assert!(known.take("a", said(None, 60_001, nothing()), now).is_err());
        assert_eq!((known.as_of(), known.cursor()), (None, None));
        assert!(known.take("a", said(None, 0, nothing()), now).is_ok());
        assert!(known.is_current(now + patience, patience));
        let ends = serde_json::json!([{"sid": Uuid::from_u128(1), "until": now.as_millis() + 50_000}]);
        assert!(known.take("a", said(Some(1), 60_000, ends), now).is_ok());
        assert!(!known.is_current(now, patience), "what ends until then is not known");
        assert!(known.has_ended(&token(1, 0)), "nor forgotten before its time");
    }
}
