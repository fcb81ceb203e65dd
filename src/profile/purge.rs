//! Removing what is left of deleted accounts.

use serde_json::Value as Json;
use uuid::Uuid;

use crate::accounts::{Removed, User};
use crate::app::Ctx;
use crate::audit::Event;
use crate::calls::Call;
use crate::challenges::Challenge;
use crate::devices::Device;
use crate::error::Result;
use crate::factors::Factor;
use crate::identifiers::Identifier;
use crate::messages::Message;
use crate::organizations::{self, Member};
use crate::passwords::Password;
use crate::sessions::Session;
use crate::store::{Change, Entity, Index, Query, Seen};
use crate::undo::Undo;

/// Accounts that one run begins with, and records of one commit: few enough that nobody waits.
const AT_ONCE: usize = 10;
const PAGE: usize = 200;

/// Removes everything of the accounts whose time has come; returns how many are gone. Of what
/// happened, the events stay, with the user's id and without what tells of them; and that id as one that is not
/// taken in again. Bears being done twice, and being interrupted: the account itself goes last.
///
/// # Errors
/// The store's.
pub async fn purge_due(ctx: &Ctx) -> Result<usize> {
    let due = Query::along(User::BY_PURGE).until(ctx.now).limit(AT_ONCE);
    let mut purged = 0;
    for user in ctx.app.store.find::<User>(due).await?.items {
        if user.is_past_grace(ctx.now) {
            purged += usize::from(purge(ctx, &user).await?);
        }
    }
    Ok(purged)
}

/// Whether an account was removed, or is being: its events are emptied before the account itself goes.
///
/// # Errors
/// The store's.
pub async fn is_gone(ctx: &Ctx, user: Uuid) -> Result<bool> {
    if let Some(user) = ctx.app.store.get::<User>(user).await?
        && user.is_past_grace(ctx.app.clock.now())
    {
        return Ok(true);
    }
    // Looked for last: it is written when the account goes.
    Ok(ctx.app.store.get::<Removed>(user).await?.is_some())
}

/// Whether everything is gone; when others change the same records, the next run goes on.
async fn purge(ctx: &Ctx, user: &Seen<User>) -> Result<bool> {
    let id = user.id;
    let done = organizations::actions::end_with(ctx, id).await?
        && remove::<Undo>(ctx, Undo::BY_USER, id).await?
        && remove::<Session>(ctx, Session::BY_USER, id).await?
        && remove::<Challenge>(ctx, Challenge::BY_USER, id).await?
        && remove::<Device>(ctx, Device::BY_USER, id).await?
        && remove::<Member>(ctx, Member::BY_USER, id).await?
        && remove::<Call>(ctx, Call::BY_USER, id).await?
        && remove::<Message>(ctx, Message::BY_USER, id).await?
        && remove::<Factor>(ctx, Factor::BY_USER, id).await?
        && remove::<Identifier>(ctx, Identifier::BY_USER, id).await?
        && forget(ctx, Event::BY_USER, id).await?
        && forget(ctx, Event::BY_ACTOR, id).await?;
    if !done {
        return Ok(false);
    }
    let password = ctx.app.store.get::<Password>(id).await?;
    let password = password.as_ref().map(Change::delete);
    let last = [Change::delete(user), Change::insert(&Removed { id })];
    let last = password.into_iter().chain(last).collect();
    Ok(ctx.app.store.commit_unless_changed(last).await?)
}

/// Removes the user's records, page by page.
async fn remove<T: Entity>(ctx: &Ctx, by_user: Index, user: Uuid) -> Result<bool> {
    loop {
        let page = ctx.app.store.find(Query::<T>::along(by_user).equal(user).limit(PAGE)).await?;
        if page.items.is_empty() {
            return Ok(true);
        }
        if !ctx.app.store.commit_unless_changed(page.items.iter().map(Change::delete).collect()).await? {
            return Ok(false);
        }
    }
}

/// Empties what happened to the user, or was done by them, of what tells of them. What they did to others keeps its
/// detail, which tells of those.
async fn forget(ctx: &Ctx, along: Index, user: Uuid) -> Result<bool> {
    let mut after = None;
    loop {
        let query = Query::along(along).equal(user).after(after).limit(PAGE);
        let page = ctx.app.store.find::<Event>(query).await?;
        let own = |event: &Event| event.user_id == Some(user);
        let telling = page.items.into_iter().filter(|event| {
            let has_detail = own(event) && event.detail != Json::Null;
            has_detail || event.address.is_some() || event.user_agent.is_some()
        });
        let emptied = telling.map(|event| {
            Change::update(&event.with(|event| {
                event.address = None;
                event.user_agent = None;
                if own(event) {
                    event.detail = Json::Null;
                }
            }))
        });
        if !ctx.app.store.commit_unless_changed(emptied.collect()).await? {
            return Ok(false);
        }
        match page.next {
            None => return Ok(true),
            next => after = next,
        }
    }
}
