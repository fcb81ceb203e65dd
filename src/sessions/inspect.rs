//! What others are told of a token that they were shown, and ending its session on their word.

use super::access::{self, Claims};
use std::sync::Arc;

use super::actions::{Known, by_claims, by_token, current};
use super::{Caller, Carry, Session, moved, refresh, stands};
use crate::accounts::User;
use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::clients::RegisteredClient;
use crate::error::Result;
use crate::secret::{Token, TokenKind};
use crate::store::{Seen, answer};

/// A token that counts, by its kind.
pub enum Named {
    /// An opaque token.
    Opaque,
    /// An access token.
    Access(Claims),
    /// The newest refresh token.
    Refresh,
}

/// What a token that counts stands for.
pub struct Inspected {
    /// The session.
    pub session: Seen<Session>,
    /// Its user.
    pub user: Seen<User>,
    /// Which kind of token it was.
    pub named: Named,
}

/// What `text` stands for; none for whatever does not count now. Looking at an opaque token or an access
/// token is a use of its session, since whoever asks was shown it; looking at a refresh token is none.
///
/// # Errors
/// The store's: what cannot be looked up is not told to be inactive.
pub async fn inspect(ctx: &Ctx, text: &str) -> Result<Option<Inspected>> {
    let opaque = |known: Arc<Known>| Inspected {
        session: known.session.clone(),
        user: known.user.clone(),
        named: Named::Opaque,
    };
    if let Some(token) = Token::parse(TokenKind::Session, text) {
        let known = by_token(ctx, &token, Carry::Bearer).await?;
        return Ok(known.map(opaque));
    }
    if let Some(token) = Token::parse(TokenKind::Refresh, text) {
        let Some((session, user, generation)) = genuine(ctx, &token).await? else { return Ok(None) };
        let newest = generation == session.generation && stands(ctx, &session, &user).await?;
        return Ok(newest.then_some(Inspected { session, user, named: Named::Refresh }));
    }
    if let Some((token, _)) = moved::recognised(ctx, text, Carry::Bearer).await? {
        let known = by_token(ctx, &token, Carry::Bearer).await?;
        return Ok(known.map(opaque));
    }
    let Some(claims) = access::read(ctx, text).await? else { return Ok(None) };
    let known = by_claims(ctx, &claims).await?;
    Ok(known.map(|known| Inspected {
        session: known.session.clone(),
        user: known.user.clone(),
        named: Named::Access(claims),
    }))
}

async fn genuine(ctx: &Ctx, token: &Token) -> Result<Option<(Seen<Session>, Seen<User>, u32)>> {
    let Some((session, user)) = current(ctx, token.id).await? else { return Ok(None) };
    let generation = refresh::generation(&ctx.app.keyring, &session, token);
    Ok(generation.map(|generation| (session, user, generation)))
}

/// Whose refresh token it is, to sign out with: of a session that stands. That it was used before is no
/// reason to keep its session.
///
/// # Errors
/// The store's.
pub(super) async fn by_refresh(ctx: &Ctx, text: &str) -> Result<Option<Caller>> {
    let Some(token) = Token::parse(TokenKind::Refresh, text) else { return Ok(None) };
    let Some((session, user, _)) = genuine(ctx, &token).await? else { return Ok(None) };
    let counts = stands(ctx, &session, &user).await?;
    Ok(counts.then_some(Caller { session, user }))
}

/// Ends the session that `text` names, when it names one. With one token all tokens of its session end,
/// and a refresh token names its session even when it was used before.
///
/// # Errors
/// The store's: what was not ended is not told to be.
pub async fn revoke(ctx: &Ctx, client: &RegisteredClient, text: &str) -> Result<()> {
    let id = match Token::parse(TokenKind::Refresh, text) {
        Some(token) => genuine(ctx, &token).await?.map(|(session, ..)| session.id),
        None => inspect(ctx, text).await?.map(|inspected| inspected.session.id),
    };
    let Some(id) = id else { return Ok(()) };
    ctx.decide(move |moment| async move {
        let Some(session) = ctx.app.store.get::<Session>(id).await? else { return Ok(answer(())) };
        let told = serde_json::json!({"client": client.id});
        let ended = note(What::SignedOut).user(session.user_id).session(id).detail(told);
        Ok(answer(()).delete(&session).note(&moment, ended))
    })
    .await
}
