//! Recovery: getting back into an account without its password.
//!
//! A code goes to an address or a number that was shown to be the user's own; whoever gives it back
//! may set a new password, once, when they also show a second factor that the account has. A code that
//! came to a number says nothing more when that number is the second factor (NIST SP 800-63B-4
//! §4.2.2.2).
//!
//! Always holds: nothing tells whether an account exists before its code was given back – the same
//! answers, the same rows, the same limits for nobody's account; a recovery that is only begun changes
//! nothing and locks nobody out; it ends with the address or number that was shown for it; it signs nobody
//! in. [`Recovery`] lies below the challenges, which write down that the second factor was shown; the flow
//! itself lies above them.

pub mod actions;
pub mod api;

use uuid::Uuid;

use crate::accounts::User;
use crate::app::{Ctx, Moment};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::identifiers::Identifier;
use crate::policy::{FactorKind, Proofs};
use crate::secret::{Token, TokenKind};
use crate::store::{Seen, entity};

entity! {
    /// The right to set a new password once, without the old one.
    pub struct Recovery in "recoveries" {
        /// The public half of its token.
        id: Uuid,
        /// The hash of its token.
        digest: Vec<u8>,
        /// Whose password.
        user_id: Uuid,
        /// What was shown for it.
        proofs: Proofs,
        /// Whether a second factor is still to be shown.
        waits: bool,
        /// The address or number that the token itself, or the code for it, was sent to: whoever shows it shows that too.
        identifier_id: Option<Uuid>,
        /// The known device on which it was begun.
        device_id: Option<Uuid>,
        /// When its code was given back.
        created_at: Timestamp,
        /// Its user's `sessions_from` then. Once that is later, it is over.
        counts_from: Timestamp,
        /// When it ends.
        expires_at: Timestamp,
    }
    expires expires_at;
}

impl Recovery {
    /// The recovery of `user`, to whom a code came by `kind`; whether it `waits` for a second factor.
    pub fn open(ctx: &Ctx, user: &User, kind: FactorKind, waits: bool, moment: &Moment) -> (Self, Token) {
        let id = moment.uuid("recovery");
        let token = Token::new(TokenKind::Recovery, id, &moment.seed);
        let recovery = Self {
            id,
            digest: token.digest(),
            user_id: user.id,
            proofs: Proofs::default().and(kind, moment.now),
            waits,
            identifier_id: None,
            device_id: None,
            created_at: moment.now,
            counts_from: user.sessions_from,
            expires_at: moment.now + *ctx.policy.recovery.lifetime,
        };
        (recovery, token)
    }

    /// Whether it counts at `now` for `user`. Whatever ends all sessions ends it as well.
    pub fn stands(&self, user: &User, now: Timestamp) -> bool {
        self.user_id == user.id
            && user.is_active(now)
            && self.counts_from >= user.sessions_from
            && now < self.expires_at
    }

    /// The second factor was shown.
    pub fn show(&mut self, kind: FactorKind, now: Timestamp) {
        self.proofs = std::mem::take(&mut self.proofs).and(kind, now);
        self.waits = false;
    }
}

/// The recovery with this `id`, and the address or number that was shown for it; none once that is its user's no
/// longer: whoever reads there may have nothing to do with the account any more.
///
/// # Errors
/// The store's.
pub async fn find(ctx: &Ctx, id: Uuid) -> Result<Option<(Seen<Recovery>, Option<Seen<Identifier>>)>> {
    let Some(recovery) = ctx.app.store.get::<Recovery>(id).await? else { return Ok(None) };
    let Some(shown) = recovery.identifier_id else { return Ok(Some((recovery, None))) };
    let shown = ctx.app.store.get::<Identifier>(shown).await?;
    let shown = shown.filter(|shown| shown.user_id == recovery.user_id);
    Ok(shown.map(|shown| (recovery, Some(shown))))
}
