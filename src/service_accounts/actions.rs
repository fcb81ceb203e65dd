//! Making, listing and ending service accounts and keys.

use uuid::Uuid;

use super::rules;
use super::{ApiKey, ServiceAccount, keys_of};
use crate::accounts::User;
use crate::app::Ctx;
use crate::error::{Problem, Result};
use crate::policy::{Rank, operation};
use crate::secret::Token;
use crate::sessions::{Caller, Session};
use crate::step_up::{self, Permit};
use crate::store::{Cursor, Decision, Page, Query, Seen};
use crate::text;

pub use super::rules::{KEY_DAYS, Wanted};

/// Who does it.
#[derive(Debug)]
pub enum By {
    /// Whoever works on the database beside the server.
    Operator,
    /// An administrator who has shown what the policy asks for.
    Admin(Box<Permit>),
}

/// Who does it, as they are now.
type Standing = Option<(Seen<Session>, Seen<User>)>;

impl By {
    /// An administrator, when the policy permits it.
    ///
    /// # Errors
    /// As [`step_up::permit`].
    pub async fn admin(ctx: &Ctx, caller: &Caller) -> Result<Self> {
        let permit = step_up::permit(ctx, caller, operation::SERVICE_ACCOUNTS_MANAGE).await?;
        Ok(Self::Admin(Box::new(permit)))
    }

    async fn standing(&self, ctx: &Ctx) -> Result<Standing> {
        let Self::Admin(permit) = self else { return Ok(None) };
        let (session, user) = permit.standing(ctx).await?;
        if user.rank() != Rank::Admin {
            return Err(Problem::NotFound.into());
        }
        Ok(Some((session, user)))
    }
}

/// `decision`, only while whoever decides still may.
fn while_they_may<T>(decision: Decision<T>, by: &Standing) -> Decision<T> {
    match by {
        Some((session, user)) => decision.require(session).require(user),
        None => decision,
    }
}

fn who(by: &Standing) -> Option<Uuid> {
    by.as_ref().map(|(_, user)| user.id)
}

async fn account(ctx: &Ctx, id: Uuid) -> Result<Seen<ServiceAccount>> {
    Ok(ctx.app.store.get::<ServiceAccount>(id).await?.ok_or(Problem::NotFound)?)
}

/// Makes a service account.
///
/// # Errors
/// [`Problem::Invalid`] for a name that is none; the store's.
pub async fn make(ctx: &Ctx, by: &By, name: &str) -> Result<ServiceAccount> {
    let name = &text::name(name)?;
    ctx.decide(move |moment| async move {
        let by = by.standing(ctx).await?;
        Ok(while_they_may(rules::make(name, who(&by), &moment), &by))
    })
    .await
}

/// Service accounts, the oldest first.
///
/// # Errors
/// The store's.
pub async fn list(ctx: &Ctx, after: Option<Cursor>, limit: usize) -> Result<Page<Seen<ServiceAccount>>> {
    let query = Query::along(ServiceAccount::BY_CREATED).after(after).limit(limit);
    Ok(ctx.app.store.find(query).await?)
}

/// The keys of a service account.
///
/// # Errors
/// [`Problem::NotFound`] when there is no such account; the store's.
pub async fn keys(ctx: &Ctx, id: Uuid) -> Result<Vec<Seen<ApiKey>>> {
    keys_of(ctx, account(ctx, id).await?.id).await
}

/// Makes a key, which is shown once.
///
/// # Errors
/// [`Problem::NotFound`] when there is no such account; [`Problem::Invalid`]; the store's.
pub async fn issue(ctx: &Ctx, by: &By, id: Uuid, wanted: Wanted) -> Result<(ApiKey, Token)> {
    let wanted = &rules::wanted(wanted)?;
    ctx.decide(move |moment| async move {
        let by = by.standing(ctx).await?;
        let account = account(ctx, id).await?;
        let keys = keys_of(ctx, id).await?;
        Ok(while_they_may(rules::issue(&account, &keys, wanted, who(&by), &moment), &by))
    })
    .await
}

/// Ends a key at once.
///
/// # Errors
/// [`Problem::NotFound`] when there is none with that id; the store's.
pub async fn revoke(ctx: &Ctx, by: &By, id: Uuid) -> Result<()> {
    ctx.decide(move |moment| async move {
        let by = by.standing(ctx).await?;
        let key = ctx.app.store.get::<ApiKey>(id).await?.ok_or(Problem::NotFound)?;
        Ok(while_they_may(rules::revoke(&key, who(&by), &moment), &by))
    })
    .await
}

/// Ends a service account and all its keys at once.
///
/// # Errors
/// [`Problem::NotFound`] when there is none with that id; the store's.
pub async fn remove(ctx: &Ctx, by: &By, id: Uuid) -> Result<()> {
    ctx.decide(move |moment| async move {
        let by = by.standing(ctx).await?;
        let account = account(ctx, id).await?;
        let keys = keys_of(ctx, id).await?;
        Ok(while_they_may(rules::remove(&account, &keys, who(&by), &moment), &by))
    })
    .await
}
