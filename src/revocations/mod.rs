//! The feed of revocations: which sessions have ended, told to services that check access tokens offline.
//!
//! Always holds: an entry is written in the commit that ends the session or moves its user's
//! `sessions_from`, because the records themselves say so (`follows` in their declaration), so no operation
//! can forget it. Entries get their place in the feed afterwards, one after the other and without gaps, from
//! whichever node is first: what has a place is never preceded by something that comes later. An entry lives
//! as long as an access token may.
//!
//! Never: a word about who the user is, or why.

pub mod actions;
pub mod api;
mod rules;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::store::entity;

entity! {
    /// One entry: a session that has ended, or from when on the sessions of a user count.
    pub struct Revocation in "revocations" {
        /// Its id, and the cursor of whoever has read up to it.
        id: Uuid,
        /// Whose session or sessions.
        user_id: Uuid,
        /// The session that has ended; none when the entry is about all sessions of the user.
        session_id: Option<Uuid>,
        /// Of the user's sessions only those count that are not older. Of two entries about one user the earlier one
        /// comes first.
        counts_from: Option<Timestamp>,
        /// Whether none of the user's sessions counts.
        shut: bool,
        /// Its place in the feed, from 1; none until it was given one.
        number: Option<i64>,
        /// When it is to be given its place: at once.
        due_at: Option<Timestamp>,
        /// When no access token can be left that it is about.
        expires_at: Option<Timestamp>,
    }
    unique BY_NUMBER (number);
    sparse BY_DUE (due_at);
    expires expires_at;
    due due_at;
}

entity! {
    /// How far the feed reaches. There is one.
    pub struct Head in "revocation_head" {
        /// Always [`HEAD`].
        id: Uuid,
        /// The cursor before the first entry.
        first: Uuid,
        /// The last entry's id; `first` while there was none.
        last: Uuid,
        /// Its place.
        number: i64,
    }
}

/// The key of the one [`Head`].
pub const HEAD: Uuid = Uuid::nil();

/// Before every clock: an entry is due from the moment on at which it is committed.
const AT_ONCE: Timestamp = Timestamp::from_millis(0);

impl Revocation {
    fn due(id: Uuid, user_id: Uuid) -> Self {
        let due_at = Some(AT_ONCE);
        let (session_id, counts_from, number, expires_at) = (None, None, None, None);
        Self { id, user_id, session_id, counts_from, shut: false, number, due_at, expires_at }
    }

    /// A session has ended. It does so once.
    pub fn of_session(id: Uuid, user: Uuid) -> Self {
        Self { session_id: Some(id), ..Self::due(id, user) }
    }

    /// From now on only those sessions of `user` count that are not older than `counts_from`, or, when the user is
    /// `shut` out, none at all. `revision` is what was seen of the user's record: it is changed once.
    pub fn of_user(user: Uuid, revision: i64, counts_from: Timestamp, shut: bool) -> Self {
        let revision = u128::from(u64::from_ne_bytes(revision.to_ne_bytes()));
        let entry = Self::due(Uuid::from_u128(user.as_u128() ^ revision), user);
        Self { counts_from: Some(counts_from), shut, ..entry }
    }
}
