//! Finding identifiers.

use uuid::Uuid;

use super::Identifier;
use super::rules::Name;
use crate::app::Ctx;
use crate::error::Result;
use crate::policy::IdentifierKind;
use crate::store::{Query, Seen};

/// Whom a person means who typed `name` at sign-in; nobody when it cannot be read, just as when it is
/// not known.
///
/// An address or a number means its owner; an address that has none means whoever claimed it first, or, where
/// they are gone, the next (`accounts::first_living`).
///
/// # Errors
/// The store's.
pub async fn find(ctx: &Ctx, name: Option<&Name>) -> Result<Option<Seen<Identifier>>> {
    let Some(name) = name else { return Ok(None) };
    let first = first_claim(ctx, name);
    if name.kind() == IdentifierKind::Username {
        return first.await;
    }
    // Always both: a second look for the unknown alone would show in the time.
    let (owner, first) = tokio::try_join!(owner(ctx, name), first)?;
    // A number is a name only for whoever has shown that it is theirs. With an address somebody comes
    // in who has not, or they could never ask for another code (decision 0015).
    Ok(if name.kind() == IdentifierKind::Mobile { owner } else { owner.or(first) })
}

/// Whose `raw` is beyond doubt: as [`find`], without those who claim an address and have not shown that it is
/// theirs. For whoever gives something to somebody by name.
///
/// # Errors
/// The store's.
pub async fn find_owner(ctx: &Ctx, raw: &str) -> Result<Option<Seen<Identifier>>> {
    Ok(find(ctx, Name::guess(raw, None).as_ref()).await?.filter(|claim| claim.owned.is_some()))
}

/// The claim that owns `name`, for a username also that of a look-alike.
///
/// # Errors
/// The store's.
pub async fn owner(ctx: &Ctx, name: &Name) -> Result<Option<Seen<Identifier>>> {
    Ok(ctx.app.store.first(Query::along(Identifier::BY_OWNED).equal(name.owned_key())).await?)
}

/// The claim that owns what `claim` is about, if any: what [`super::verify`] asks for.
///
/// # Errors
/// The store's.
pub async fn owner_of(ctx: &Ctx, claim: &Identifier) -> Result<Option<Seen<Identifier>>> {
    let owned = claim.owned.clone().unwrap_or_else(|| claim.canonical.clone());
    Ok(ctx.app.store.first(Query::along(Identifier::BY_OWNED).equal(owned)).await?)
}

/// Anybody's claim to what `claim` is about: the one that owns it, or the first.
///
/// # Errors
/// The store's.
pub async fn claimed(ctx: &Ctx, claim: &Identifier) -> Result<Option<Seen<Identifier>>> {
    let first = Query::along(Identifier::BY_CANONICAL).equal(claim.canonical.clone());
    let (owner, first) =
        tokio::try_join!(owner_of(ctx, claim), async { Ok(ctx.app.store.first(first).await?) })?;
    Ok(owner.or(first))
}

/// Everything that `user_id` is known by, oldest first. One page: a user has a handful.
///
/// # Errors
/// The store's.
pub async fn of_user(ctx: &Ctx, user_id: Uuid) -> Result<Vec<Seen<Identifier>>> {
    Ok(ctx.app.store.find(Query::along(Identifier::BY_USER).equal(user_id)).await?.items)
}

/// Every claim to `name`, oldest first. One page.
///
/// # Errors
/// The store's.
pub async fn claims(ctx: &Ctx, name: &Name) -> Result<Vec<Seen<Identifier>>> {
    let claims = Query::along(Identifier::BY_CANONICAL).equal(name.canonical());
    Ok(ctx.app.store.find(claims).await?.items)
}

async fn first_claim(ctx: &Ctx, name: &Name) -> Result<Option<Seen<Identifier>>> {
    let claims = Query::along(Identifier::BY_CANONICAL).equal(name.canonical());
    Ok(ctx.app.store.first(claims).await?)
}
