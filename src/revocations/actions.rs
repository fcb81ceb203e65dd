//! Giving entries their place, and reading on from one.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{AT_ONCE, HEAD, Head, Revocation, rules};
use crate::app::{Ctx, Reach};
use crate::error::{Error, Result};
use crate::jwt::Purpose;
use crate::keys;
use crate::store::{Query, Seen};

/// How many entries get their place in one commit, and how many are told at once.
const MOST: usize = 500;

/// How long what another node has committed may go unseen here. What this one commits rings.
pub const POLL: Duration = Duration::from_millis(200);

/// What the feed says at a time: the content of a JWS of type `revocations+jwt`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Batch {
    /// Who says so: the origin.
    pub iss: String,
    /// When, in milliseconds since 1970: nothing that ended before is missing once all is read.
    pub now: i64,
    /// The entry after which this goes on; none when it begins with the oldest that is kept.
    pub after: Option<Uuid>,
    /// The last entry of this, or the one before it when there is none: where to go on.
    pub cursor: Uuid,
    /// Whether there is more right now.
    pub more: bool,
    /// The entries, in order.
    pub items: Vec<Item>,
}

/// One entry as it is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// A session has ended.
    Session {
        /// The session.
        sid: Uuid,
        /// When it may be forgotten, in milliseconds since 1970.
        until: i64,
    },
    /// From when on the sessions of a user count.
    User {
        /// The user.
        sub: Uuid,
        /// In milliseconds since 1970; none when no session counts.
        session_from: Option<i64>,
        /// When it may be forgotten, in milliseconds since 1970.
        until: i64,
    },
}

impl From<&Revocation> for Item {
    fn from(entry: &Revocation) -> Self {
        let until = entry.expires_at.map_or(i64::MAX, |end| end.as_millis());
        match entry.session_id {
            Some(sid) => Self::Session { sid, until },
            None => {
                let session_from = entry.counts_from.filter(|_| !entry.shut).map(|from| from.as_millis());
                Self::User { sub: entry.user_id, session_from, until }
            }
        }
    }
}

/// Gives a place to what waits for one; says how much that was.
///
/// # Errors
/// The store's.
pub async fn tend(ctx: &Ctx) -> Result<usize> {
    Ok(look(ctx, &mut *ctx.app.followers.reach.lock().await).await?.1)
}

async fn look(ctx: &Ctx, known: &mut Option<Reach>) -> Result<(Reach, usize)> {
    // Before anything is read: what is committed later may be missing, and is not told to be there.
    let (now, looked, rings) = (ctx.app.clock.now(), Instant::now(), *ctx.app.bell.borrow());
    let mut all = 0;
    loop {
        let (head, count) = ctx
            .decide(|moment| async move {
                let store = &ctx.app.store;
                let due = Query::<Revocation>::along(Revocation::BY_DUE).until(AT_ONCE).limit(MOST);
                let head = store.get::<Head>(HEAD).await?;
                Ok(rules::number(head, store.find(due).await?.items, &moment))
            })
            .await?;
        all += count;
        if count < MOST {
            let reach = Reach { first: head.first, last: head.last, now, looked, rings };
            *known = Some(reach);
            return Ok((reach, all));
        }
    }
}

/// How far the feed reaches. All who follow it here look once between them.
async fn reach(ctx: &Ctx) -> Result<Reach> {
    let mut known = ctx.app.followers.reach.lock().await;
    let rings = *ctx.app.bell.borrow();
    match *known {
        Some(reach) if reach.rings == rings && reach.looked.elapsed() < POLL => Ok(reach),
        _ => Ok(look(ctx, &mut known).await?.0),
    }
}

/// What comes after `after`. A cursor that is not known any more begins with the oldest entry that is kept:
/// everything that still matters.
///
/// # Errors
/// The store's.
pub async fn read(ctx: &Ctx, after: Option<Uuid>) -> Result<Batch> {
    let reach = reach(ctx).await?;
    let batch = |after, cursor, more, items| Batch {
        iss: ctx.app.origin.as_str().to_owned(),
        now: reach.now.as_millis(),
        after,
        cursor,
        more,
        items,
    };
    if after == Some(reach.last) {
        return Ok(batch(after, reach.last, false, Vec::new()));
    }
    let store = &ctx.app.store;
    let place = match after {
        Some(id) if id == reach.first => Some(0),
        Some(id) => store.get::<Revocation>(id).await?.and_then(|entry| entry.number),
        None => None,
    };
    let after = after.filter(|_| place.is_some());
    let next = place.unwrap_or(0).saturating_add(1);
    let query = Query::<Revocation>::along(Revocation::BY_NUMBER).from(next).limit(MOST);
    let page = store.find(query).await?;
    // Never back: what was read may be newer than how far the feed reached when that was last looked at.
    let cursor = page.items.last().map_or(after.unwrap_or(reach.last), |last| last.id);
    let items = page.items.iter().map(|entry: &Seen<Revocation>| Item::from(&**entry)).collect();
    Ok(batch(after, cursor, page.next.is_some(), items))
}

/// The batch, signed.
///
/// # Errors
/// As [`keys::sign`].
pub async fn signed(ctx: &Ctx, batch: &Batch) -> Result<String> {
    let payload = serde_json::to_vec(batch).map_err(Error::internal)?;
    keys::sign(ctx, Purpose::Revocations, &payload).await
}
