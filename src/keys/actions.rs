//! Keys in memory and in the store.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::SigningKey;
pub use super::rules::Turn;
use super::rules::{self, Terms};
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::jwt::{self, Key, Purpose, Refusal, Ring};
use crate::store::{Query, Seen, answer};

/// How long keys in memory are used before they are read again: so long at most goes on signing or
/// counting here what another process has taken out of use.
const FRESH: Duration = Duration::from_secs(30);

/// Least time between two readings because of a token that wears a header nobody knows.
const PAUSE: Duration = Duration::from_secs(1);

/// All keys that are kept; far more than there can be at a time.
const ALL: usize = 100;

fn terms(ctx: &Ctx) -> Terms {
    let tokens = &ctx.app.config.tokens;
    Terms { algorithm: tokens.algorithm, rotate: *tokens.rotate, ahead: *tokens.publish_ahead }
}

async fn stored(ctx: &Ctx) -> Result<Vec<Seen<SigningKey>>> {
    Ok(ctx.app.store.find(Query::along(SigningKey::BY_NUMBER).limit(ALL)).await?.items)
}

/// The keys, read anew when that was long ago.
///
/// # Errors
/// The store's.
pub async fn ring(ctx: &Ctx) -> Result<Arc<Ring>> {
    let ring = ctx.app.signing.get();
    if ctx.now.apart(ring.read_at) < FRESH { Ok(ring) } else { read(ctx).await }
}

async fn read(ctx: &Ctx) -> Result<Arc<Ring>> {
    let mut records = stored(ctx).await?;
    records.sort_by_key(|key| std::cmp::Reverse((key.active_from, key.number)));
    let parse = |record: &Seen<SigningKey>| {
        let private = ctx.app.keyring.open(&SigningKey::context(record.id), &record.private);
        if private.is_none() {
            let (kid, sealing) = (record.id, record.private.key());
            tracing::error!(%kid, %sealing, "a signing key cannot be opened: its sealing key is missing");
        }
        let (signs, ends) = ((record.active_from, record.retired_at), record.expires_at);
        Key::parse(
            record.id,
            record.algorithm,
            private.as_deref().map(Vec::as_slice),
            &record.public,
            signs,
            ends,
        )
    };
    let keys = records.iter().filter_map(parse).collect();
    Ok(ctx.app.signing.set(Ring::new(keys, ctx.now)))
}

/// A token for `purpose` with this content, signed with the key whose turn it is. The first one is made
/// here when nobody has made it yet.
///
/// # Errors
/// The store's; an internal one when the only keys were sealed with a key that is gone.
pub async fn sign(ctx: &Ctx, purpose: Purpose, payload: &[u8]) -> Result<String> {
    let algorithm = ctx.app.config.tokens.algorithm;
    let ring = ring(ctx).await?;
    let signed = |ring: &Ring| ring.signer(algorithm, ctx.now).and_then(|key| key.sign_for(purpose, payload));
    if let Some(token) = signed(&ring) {
        return Ok(token);
    }
    tend(ctx).await?;
    let ring = read(ctx).await?;
    let missing = "no signing key can be used; `vestibule keys rotate --revoke` makes a new one";
    signed(&ring).ok_or_else(|| Error::internal(missing))
}

/// The content of a token that one of our keys has signed.
///
/// # Errors
/// The store's.
pub async fn open(ctx: &Ctx, token: &str) -> Result<Option<Vec<u8>>> {
    let ring = ring(ctx).await?;
    match ring.open(token, ctx.now) {
        Ok(payload) => Ok(Some(payload)),
        Err(Refusal::Wrong) => Ok(None),
        // Made by another node a moment ago, perhaps.
        Err(Refusal::UnknownKey) if ctx.now.apart(ring.read_at) < PAUSE => Ok(None),
        Err(Refusal::UnknownKey) => Ok(read(ctx).await?.open(token, ctx.now).ok()),
    }
}

/// Sees to it that there is a key, and that it is not too old; says how many were made or taken out
/// of use.
///
/// # Errors
/// The store's.
pub async fn tend(ctx: &Ctx) -> Result<usize> {
    let made = usize::from(turn(ctx, Turn::WhenDue).await?.is_some());
    let terms = &terms(ctx);
    let over = ctx
        .decide(move |moment| async move { Ok(rules::leftover(stored(ctx).await?, terms, &moment)) })
        .await?;
    if made + over > 0 {
        read(ctx).await?;
    }
    Ok(made + over)
}

/// Puts a new key in the place of the present one, when it is its turn.
///
/// # Errors
/// The store's; an internal one when no key can be made.
pub async fn turn(ctx: &Ctx, turn: Turn) -> Result<Option<SigningKey>> {
    let terms = &terms(ctx);
    if !rules::is_due(&stored(ctx).await?, terms, turn, ctx.now) {
        return Ok(None);
    }
    let generated =
        jwt::generate(terms.algorithm).map_err(|_| Error::internal("a signing key cannot be made"))?;
    let id: Uuid = ctx.moment().uuid("signing-key");
    let fresh = &SigningKey {
        id,
        algorithm: terms.algorithm,
        number: 0,
        private: ctx.app.keyring.seal(&SigningKey::context(id), &generated.private, &ctx.app.random),
        public: generated.public,
        created_at: ctx.now,
        active_from: ctx.now,
        retired_at: None,
        expires_at: None,
    };
    ctx.decide(move |moment| async move {
        let keys = stored(ctx).await?;
        // Another node was quicker, and did the same.
        if !rules::is_due(&keys, terms, turn, moment.now) {
            return Ok(answer(None));
        }
        Ok(rules::rotate(keys, fresh.clone(), terms, turn, &moment).map(Some))
    })
    .await
}
