//! The session that somebody has laid aside in their browser while they act for a user there.
//!
//! Always holds: it travels in a cookie of its own, which no request is recognised by. It is looked at when
//! acting ends, to be taken up again or ended as well, and at no other time.

use axum::http::HeaderMap;

use super::actions::{Scope, by_token, end_scope};
use super::{Caller, Carry, carry};
use crate::app::Ctx;
use crate::error::Result;
use crate::secret::Token;

/// Whose session was laid aside, when it still counts, and its token.
///
/// # Errors
/// The store's.
pub async fn laid_aside(ctx: &Ctx, headers: &HeaderMap) -> Result<Option<(Caller, Token)>> {
    let Some(token) = carry::aside(headers, &ctx.app.origin) else { return Ok(None) };
    let known = by_token(ctx, &token, Carry::Cookie).await?;
    let known = known.filter(|known| known.session.act.is_none());
    Ok(known.map(|known| (Caller { session: known.session.clone(), user: known.user.clone() }, token)))
}

/// Ends what was laid aside: whoever signs out while they act for somebody leaves altogether.
///
/// # Errors
/// The store's.
pub async fn end_aside(ctx: &Ctx, headers: &HeaderMap) -> Result<()> {
    match laid_aside(ctx, headers).await? {
        Some((own, _)) => end_scope(ctx, &own, Scope::This).await,
        None => Ok(()),
    }
}
