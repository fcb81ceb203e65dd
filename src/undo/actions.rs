//! Taking back.

use uuid::Uuid;

use super::rules::{self, Case};
use super::{Claim, Known, Undo, What};
use crate::accounts::{self, User};
use crate::app::Ctx;
use crate::error::{Problem, Result};
use crate::factors::{self, Held};
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
    let mut taken = Vec::new();
    for before in &undo.known.claims {
        let owner = Query::<Identifier>::along(Identifier::BY_OWNED).equal(before.canonical.clone());
        if store.first(owner).await?.is_some_and(|owner| owner.user_id != user.id) {
            taken.push(before.canonical.clone());
        }
    }
    let password = store.get::<Password>(user.id).await?;
    let demanded = accounts::demanded(&ctx.policy.sign_in.second, &user).to_vec();
    Ok(Case { undo, user, later, identifiers, factors, demanded, taken, password })
}

/// What the account of `user` is now. What comes while it is read, or after it, came later.
///
/// # Errors
/// The store's.
pub async fn known(ctx: &Ctx, user: &User) -> Result<Known> {
    let password = ctx.app.store.get::<Password>(user.id).await?;
    let identifiers = identifiers::actions::of_user(ctx, user.id).await?;
    let factors = factors::of_user(ctx, user.id).await?;
    // The links last: each of them came with what it takes away, or before whoever it was sent to could be told more.
    let undos = of_user(ctx, user.id).await?;
    let demanded = accounts::demanded(&ctx.policy.sign_in.second, user);
    let bound = factors.iter().filter(|factor| factor.bound_at.is_some()).map(|factor| factor.id);
    let ids = identifiers.iter().map(|one| one.id).chain(bound).chain(undos.iter().map(|undo| undo.id));
    Ok(Known {
        ids: ids.collect(),
        claims: identifiers.iter().filter_map(|one| Claim::of(one, &factors)).collect(),
        password: password.map(|password| password.changed_at),
        protected: Held::new(factors.iter().map(|factor| &**factor), false, demanded, &user.roles.0)
            .has_second(),
    })
}

/// What can be taken back of what was done to the user `id`.
///
/// # Errors
/// The store's.
pub async fn of_user(ctx: &Ctx, id: Uuid) -> Result<Vec<Seen<Undo>>> {
    Ok(ctx.app.store.find_all(Query::along(Undo::BY_USER).equal(id).limit(100)).await?)
}
