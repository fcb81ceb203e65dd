//! Recognising, listing and ending sessions.

use axum::http::HeaderMap;
use uuid::Uuid;

use super::carry::{Shown, shown};
use super::{Caller, Session};
use crate::accounts::User;
use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::error::{Problem, Result};
use crate::secret::Token;
use crate::store::{Change, Cursor, Page, Query, Seen, StoreError, answer};

/// Who is asking: the one place where a credential becomes a user. `None`: nobody shows anything
/// that counts.
///
/// # Errors
/// The store's failure: whoever cannot be recognised for that reason is not nobody.
pub async fn authenticate(ctx: &Ctx, headers: &HeaderMap) -> Result<Option<Caller>> {
    let Shown::Token(token, carrier) = shown(headers, &ctx.app.origin) else {
        return Ok(None);
    };
    let Some((session, user)) = recognise(ctx, &token).await? else {
        return Ok(None);
    };
    if !session.carry.travels_by(carrier) {
        return Ok(None);
    }
    let session = touch(ctx, session).await?;
    Ok(session.map(|session| Caller { session, user, carrier }))
}

/// The session that `token` names, when it stands.
async fn recognise(ctx: &Ctx, token: &Token) -> Result<Option<(Seen<Session>, Seen<User>)>> {
    let store = &ctx.app.store;
    let Some(session) = store.get::<Session>(token.id).await? else { return Ok(None) };
    if !token.matches(&session.digest) {
        return Ok(None);
    }
    let Some(user) = store.get::<User>(session.user_id).await? else { return Ok(None) };
    let stands = session.stands(&user, &ctx.policy.session, ctx.now);
    Ok(stands.then_some((session, user)))
}

/// The session whose token this is, whether or not it still counts.
///
/// # Errors
/// The store's.
pub async fn named(ctx: &Ctx, token: Option<&Token>) -> Result<Option<Seen<Session>>> {
    let Some(token) = token else { return Ok(None) };
    let session = ctx.app.store.get::<Session>(token.id).await?;
    Ok(session.filter(|session| token.matches(&session.digest)))
}

/// Remembers the use of a session, at most once in the policy's `seen_every`.
async fn touch(ctx: &Ctx, session: Seen<Session>) -> Result<Option<Seen<Session>>> {
    if !session.is_stale(&ctx.policy.session, ctx.now) {
        return Ok(Some(session));
    }
    let touched = session.clone().with(|session| session.seen_at = session.seen_at.latest(ctx.now));
    match ctx.app.store.commit(vec![Change::update(&touched)]).await {
        // Read again for its new revision. Gone in between: it has just been ended.
        Ok(()) | Err(StoreError::Conflict) => Ok(ctx.app.store.get::<Session>(session.id).await?),
        Err(other) => Err(other.into()),
    }
}

/// One's own sessions, newest first.
pub async fn list(
    ctx: &Ctx,
    caller: &Caller,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<Seen<Session>>> {
    let query = Query::<Session>::along(Session::BY_USER)
        .equal(caller.user.id)
        .descending()
        .after(after)
        .limit(limit);
    let mut page = ctx.app.store.find(query).await?;
    page.items.retain(|session| session.stands(&caller.user, &ctx.policy.session, ctx.now));
    Ok(page)
}

/// Ends one of one's own sessions.
///
/// # Errors
/// [`Problem::NotFound`] when there is none with that id among one's own.
pub async fn end(ctx: &Ctx, caller: &Caller, id: Uuid) -> Result<()> {
    ctx.decide(move |moment| async move {
        let session = ctx.app.store.get::<Session>(id).await?;
        let Some(session) = session.filter(|session| session.user_id == caller.user.id) else {
            return Err(Problem::NotFound.into());
        };
        let ended = note(What::SignedOut).user(session.user_id).session(session.id);
        Ok(answer(()).delete(&session).note(&moment, ended))
    })
    .await
}

/// Which sessions a sign-out ends.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The one that asks.
    #[default]
    This,
    /// All but the one that asks.
    Others,
    /// All.
    All,
}

/// Signs out. Nothing left to end is also a success.
///
/// The session that asks is ended last, so that whoever is interrupted can ask again. Ending all also
/// ends sign-ins that have been begun and not finished.
pub async fn end_scope(ctx: &Ctx, caller: &Caller, scope: Scope) -> Result<()> {
    if scope == Scope::All {
        ctx.decide(move |moment| async move {
            let Some(user) = ctx.app.store.get::<User>(caller.user.id).await? else { return Ok(answer(())) };
            Ok(answer(())
                .update(&user.with(|user| user.sessions_from = user.sessions_from.latest(moment.now))))
        })
        .await?;
    }
    if scope != Scope::This {
        // Page by page: how many there are is not ours to bound.
        let mut after = None;
        loop {
            let query = Query::along(Session::BY_USER).equal(caller.user.id).after(after).limit(100);
            let page = ctx.app.store.find::<Session>(query).await?;
            for session in page.items {
                if session.id != caller.session.id {
                    end_if_there(ctx, caller, session.id).await?;
                }
            }
            match page.next {
                None => break,
                next => after = next,
            }
        }
    }
    match scope {
        Scope::Others => Ok(()),
        Scope::This | Scope::All => end_if_there(ctx, caller, caller.session.id).await,
    }
}

async fn end_if_there(ctx: &Ctx, caller: &Caller, id: Uuid) -> Result<()> {
    match end(ctx, caller, id).await {
        Err(error) if error.problem == Problem::NotFound => Ok(()),
        other => other,
    }
}
