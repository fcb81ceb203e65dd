//! Doing a thing once although it is asked for twice: `Idempotency-Key`.
//!
//! Always holds: the answer is kept in the commit that did the thing, sealed, for a day; the same
//! key with another request is refused. A key is kept only as a keyed hash.

use std::time::Duration;

use axum::http::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::app::{Ctx, Moment};
use crate::clock::Timestamp;
use crate::error::{Error, Problem, Result};
use crate::secret::{Sealed, same};
use crate::store::{Seen, entity};
use crate::text::hex;

/// How long an answer is kept: the contract of the header.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

entity! {
    /// An answer that was given and would be given again.
    pub struct Replay in "replays" {
        /// The keyed hash of route and key.
        id: Vec<u8>,
        /// The keyed hash of the request.
        request: Vec<u8>,
        /// The answer.
        answer: Sealed,
        /// When it was given.
        created_at: Timestamp,
        /// Until when it is given again.
        expires_at: Timestamp,
    }
    expires expires_at;
}

/// What was kept for a key.
pub enum Before<T> {
    /// This answer was given to this very request.
    Answered(T),
    /// Nothing that still counts; the record that no longer does, when there is one.
    Nothing(Option<Seen<Replay>>),
}

/// A request that names itself.
#[derive(Clone, Debug)]
pub struct Once {
    id: [u8; 32],
    request: [u8; 32],
}

impl Once {
    /// Reads the header; `None` when the request does not name itself. `request` is everything that
    /// makes it this request and no other.
    ///
    /// # Errors
    /// [`Problem::MalformedRequest`] for a key that is not 1–255 visible ASCII characters.
    pub fn read(ctx: &Ctx, headers: &HeaderMap, route: &str, request: &[&str]) -> Result<Option<Self>> {
        let mut given = headers.get_all("idempotency-key").iter();
        let Some(key) = given.next() else { return Ok(None) };
        let good = (1..=255).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
        if !good || given.next().is_some() {
            let detail = "An Idempotency-Key is one value of 1 to 255 visible ASCII characters.";
            return Err(Error::new(Problem::MalformedRequest).detail(detail));
        }
        let keyring = &ctx.app.keyring;
        let name = [route.as_bytes(), b"\0", key.as_bytes()].concat();
        // The length before each part keeps two different requests from reading the same.
        let request: Vec<u8> = request
            .iter()
            .flat_map(|part| [part.len().to_be_bytes().as_slice(), part.as_bytes()].concat())
            .collect();
        Ok(Some(Self {
            id: keyring.tag("idempotency.key", &name),
            request: keyring.tag("idempotency.request", &request),
        }))
    }

    /// Waits for others on this node that ask the same: who comes second finds what the first was given, and has
    /// paid for nothing. It lasts for as long as what is returned.
    pub async fn turn(&self, ctx: &Ctx) -> OwnedMutexGuard<()> {
        let id = self.id.first_chunk().copied().map(Uuid::from_bytes);
        ctx.app.turns.take(id.unwrap_or_default()).await
    }

    /// What was kept for this key before.
    ///
    /// # Errors
    /// [`Problem::IdempotencyKeyReused`] when the key belongs to another request.
    pub async fn before<T: DeserializeOwned>(&self, ctx: &Ctx) -> Result<Before<T>> {
        let found = ctx.app.store.get::<Replay>(self.id.to_vec()).await?;
        let Some(found) = found else { return Ok(Before::Nothing(None)) };
        if ctx.now >= found.expires_at {
            return Ok(Before::Nothing(Some(found)));
        }
        if !same(&found.request, &self.request) {
            return Err(Problem::IdempotencyKeyReused.into());
        }
        let plain = ctx.app.keyring.open(&["replay", &hex(self.id)], &found.answer);
        let plain = plain.ok_or_else(|| Error::internal("a kept answer does not open"))?;
        serde_json::from_slice(&plain).map(Before::Answered).map_err(Error::internal)
    }

    /// The record that keeps `answer`, for the commit that does the thing.
    pub fn keep(&self, ctx: &Ctx, answer: &impl Serialize, moment: &Moment) -> Result<Replay> {
        let plain = serde_json::to_vec(answer).map_err(Error::internal)?;
        Ok(Replay {
            id: self.id.to_vec(),
            request: self.request.to_vec(),
            answer: ctx.app.keyring.seal(&["replay", &hex(self.id)], &plain, &ctx.app.random),
            created_at: moment.now,
            expires_at: moment.now + KEPT,
        })
    }
}
