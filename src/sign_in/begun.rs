//! Sign-ins that are finished by name: who began one with a form gives the same name again with the code,
//! and not the challenge, of which the old form knows nothing.
//!
//! Always holds: only from the address from which the right password came, so that nobody who merely
//! knows a name can guess at its codes, or use up its guesses. What finishes it is the challenge, which
//! is answered like any other; this only finds it again, and keeps it sealed.

use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::identifiers::{self, Name};
use crate::limits;
use crate::secret::{Sealed, Token, TokenKind};
use crate::store::{answer, entity};
use crate::text::hex;

entity! {
    /// A sign-in that somebody has begun by name.
    pub struct Begun in "begun_sign_ins" {
        /// The keyed hash of name and address.
        id: Vec<u8>,
        /// The token of its newest challenge.
        challenge: Sealed,
        /// When that is answered no more.
        expires_at: Timestamp,
    }
    expires expires_at;
}

/// What it is sealed under.
const CONTEXT: &str = "begun.challenge";

/// One id for all spellings of one name, known or not.
fn id(ctx: &Ctx, name: &str) -> [u8; 32] {
    let parts =
        [identifiers::key(Name::guess(name, None).as_ref(), name), limits::asker(ctx).unwrap_or_default()];
    ctx.app.keyring.tag("begun.name", parts.join("\0").as_bytes())
}

/// Remembers until `until` what `name` is asked at this address. What was asked before is forgotten.
///
/// # Errors
/// The store's.
pub async fn remember(ctx: &Ctx, name: &str, challenge: &Token, until: Timestamp) -> Result<()> {
    let id = &id(ctx, name);
    let plain = challenge.reveal();
    let sealed = &ctx.app.keyring.seal(&[CONTEXT, &hex(id)], plain.as_bytes(), &ctx.app.random);
    ctx.decide(move |_| async move {
        let before = ctx.app.store.get::<Begun>(id.to_vec()).await?;
        let begun = Begun { id: id.to_vec(), challenge: sealed.clone(), expires_at: until };
        Ok(answer(()).upsert(before, begun))
    })
    .await
}

/// What `name` was asked last at this address. Whether it still counts, the challenge says.
///
/// # Errors
/// The store's.
pub async fn recall(ctx: &Ctx, name: &str) -> Result<Option<Token>> {
    let id = id(ctx, name);
    let Some(begun) = ctx.app.store.get::<Begun>(id.to_vec()).await? else { return Ok(None) };
    let plain = ctx.app.keyring.open(&[CONTEXT, &hex(id)], &begun.challenge);
    let text = plain.as_deref().and_then(|plain| std::str::from_utf8(plain).ok());
    Ok(text.and_then(|text| Token::parse(TokenKind::Challenge, text)))
}
