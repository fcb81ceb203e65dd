//! Taking back.

use uuid::Uuid;

use super::rules::{self, Case};
use super::{Known, Undo, What};
use crate::accounts::{self, User};
use crate::app::Ctx;
use crate::error::{Problem, Result};
use crate::factors;
use crate::identifiers::{self, Identifier};
use crate::limits::{self, Limit};
use crate::passwords::Password;
use crate::secret::Token;
use crate::store::{Query, Seen};

/// Takes back what `token` was sent for, and says what that was.
///
/// # Errors
/// [`Problem::CodeGone`] for a token that counts no longer or never did, the same for all;
/// [`Problem::IdentifierTaken`] when somebody else has shown meanwhile that what would be put back is
/// theirs; [`Problem::LimitReached`].
pub async fn take(ctx: &Ctx, token: Option<&Token>) -> Result<What> {
    limits::take_by_address(ctx, Limit::CodeTryAddress).await?;
    let token = token.ok_or(Problem::CodeGone)?;
    ctx.decide(move |moment| async move { Ok(rules::take(case(ctx, token).await?, &moment)) }).await
}

async fn case(ctx: &Ctx, token: &Token) -> Result<Case> {
    let store = &ctx.app.store;
    let undo = store.get::<Undo>(token.id).await?.filter(|undo| token.matches(&undo.digest));
    let undo = undo.ok_or(Problem::CodeGone)?;
    let user = store.get::<User>(undo.user_id).await?.ok_or(Problem::CodeGone)?;
    let mut later = of_user(ctx, user.id).await?;
    later.retain(|one| one.id != undo.id && !undo.known.has(one.id));
    let identifiers = identifiers::actions::of_user(ctx, user.id).await?;
    let factors = factors::of_user(ctx, user.id).await?;
    let owner = match &undo.what {
        What::Change { before } => {
            store.first(Query::along(Identifier::BY_OWNED).equal(before.canonical.clone())).await?
        }
        What::Deletion | What::NotMe { .. } => None,
    };
    let password = store.get::<Password>(user.id).await?;
    let demanded = accounts::demanded(&ctx.policy.sign_in.second, &user).to_vec();
    Ok(Case { undo, user, later, identifiers, factors, demanded, owner, password })
}

/// What there is of the user `id` now. What comes while it is read, or after it, came later.
///
/// # Errors
/// The store's.
pub async fn known(ctx: &Ctx, id: Uuid) -> Result<Known> {
    let identifiers = identifiers::actions::of_user(ctx, id).await?;
    let factors = factors::of_user(ctx, id).await?;
    // The links last: each of them came with what it takes away, or before whoever it was sent to could be told more.
    let undos = of_user(ctx, id).await?;
    let pending = identifiers.iter().filter(|one| one.verified_at.is_none()).map(|one| one.id);
    let bound = factors.iter().filter(|factor| factor.bound_at.is_some()).map(|factor| factor.id);
    Ok(Known(pending.chain(bound).chain(undos.iter().map(|undo| undo.id)).collect()))
}

/// What can be taken back of what was done to the user `id`.
///
/// # Errors
/// The store's.
pub async fn of_user(ctx: &Ctx, id: Uuid) -> Result<Vec<Seen<Undo>>> {
    Ok(ctx.app.store.find_all(Query::along(Undo::BY_USER).equal(id).limit(100)).await?)
}
