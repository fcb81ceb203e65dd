//! Recognising, listing and ending sessions.

use std::sync::{Arc, OnceLock};

use axum::http::HeaderMap;
use bytes::Bytes;
use uuid::Uuid;

use super::acting::Actor;
use super::carry::{Shown, shown};
use super::refresh::Turn;
use super::{Caller, Carry, Claims, Session, Tokens, access, hand_out, refresh, stands};
use crate::accounts::User;
use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::error::{Error, Problem, Result};
use crate::identifiers::Identifier;
use crate::limits::{self, Limit};
use crate::notices::{self, About, Notice, Notices};
use crate::secret::{Token, TokenKind};
use crate::store::{Change, Cursor, Page, Query, Seen, answer, refuse};

/// Who is asking: the one place where a credential becomes a user. `None`: nobody shows anything
/// that counts.
///
/// # Errors
/// The store's failure: whoever cannot be recognised for that reason is not nobody.
pub async fn authenticate(ctx: &Ctx, headers: &HeaderMap) -> Result<Option<Caller>> {
    let known = recognise(ctx, headers).await?;
    Ok(known.map(|known| Caller { session: known.session.clone(), user: known.user.clone() }))
}

/// A session and its user as they are, and what was made of them.
pub(super) struct Known {
    pub session: Seen<Session>,
    pub user: Seen<User>,
    /// Who acts by the session, when it is not the user's own.
    pub actor: Option<Actor>,
    /// The answer of `GET /auth/authenticated`, once it has been asked for. It is made of the session,
    /// the user and their identifiers, and of nothing else.
    pub answer: OnceLock<Bytes>,
}

/// The session that the request's credential names, when it stands.
pub(super) async fn recognise(ctx: &Ctx, headers: &HeaderMap) -> Result<Option<Arc<Known>>> {
    match shown(headers, &ctx.app.origin) {
        Shown::Token(token, carry) => by_token(ctx, &token, carry).await,
        Shown::Jwt(text) => match Box::pin(access::read(ctx, &text)).await? {
            Some(claims) => by_claims(ctx, &claims).await,
            None => Ok(None),
        },
        Shown::Nothing | Shown::Rubbish => Ok(None),
    }
}

/// The session that an opaque token names.
pub(super) async fn by_token(ctx: &Ctx, token: &Token, carry: Carry) -> Result<Option<Arc<Known>>> {
    standing(ctx, token.id, carry, |session| token.matches(&session.digest)).await
}

/// The session that an access token names. Its signature says who was let in; whether they still are is
/// asked of the session.
pub(super) async fn by_claims(ctx: &Ctx, claims: &Claims) -> Result<Option<Arc<Known>>> {
    standing(ctx, claims.sid, Carry::Jwt, |session| session.user_id == claims.sub).await
}

/// The session with this id, when `right` says that it is meant and it stands; its use is remembered.
async fn standing(
    ctx: &Ctx,
    id: Uuid,
    carry: Carry,
    right: impl Fn(&Session) -> bool,
) -> Result<Option<Arc<Known>>> {
    let judge = |known: Option<Arc<Known>>| {
        known.filter(|known: &Arc<Known>| {
            let Known { session, user, actor, .. } = &**known;
            right(session)
                && session.carry == carry
                && session.counts(user, actor.as_ref(), &ctx.policy, ctx.now)
        })
    };
    let Some(found) = judge(known(ctx, id).await?) else { return Ok(None) };
    if !found.session.is_stale(&ctx.policy.session, ctx.now) {
        return Ok(Some(found));
    }
    // Boxed, as what is read below: who is known would carry the room for it through every request.
    if !Box::pin(touch(ctx, &found.session)).await? {
        return Ok(Some(found));
    }
    // Anew, with its new revision. Gone in between: it has just been ended.
    Ok(judge(known(ctx, id).await?))
}

/// The session with this id and its user, as they are in the store.
pub(super) async fn current(ctx: &Ctx, id: Uuid) -> Result<Option<(Seen<Session>, Seen<User>)>> {
    let store = &ctx.app.store;
    let Some(session) = store.get::<Session>(id).await? else { return Ok(None) };
    let user = store.get::<User>(session.user_id).await?;
    Ok(user.map(|user| (session, user)))
}

/// What the user is told when somebody has a copy of a refresh token. The session ends whether or not they
/// can be told: an end never waits for a message.
async fn reused(ctx: &Ctx, user: &User) -> Option<Notices> {
    let about = About::event(Notice::RefreshReused, true);
    let prepared = notices::prepare(ctx, user, about).await;
    let untold = |error: &Error| {
        tracing::warn!(problem = ?error.problem, "a user is not told that a refresh token was reused");
    };
    prepared.inspect_err(untold).ok()
}

/// Renews what a session carried as JWT is shown with.
///
/// # Errors
/// [`Problem::RefreshRefused`] for whatever does not count, without a word why; [`Problem::LimitReached`]; the store's.
pub async fn refresh(ctx: &Ctx, text: &str) -> Result<Tokens> {
    let Some((token, seen)) = genuine(ctx, text).await? else {
        limits::take_by_address(ctx, Limit::RefreshAddress).await?;
        return Err(Problem::RefreshRefused.into());
    };
    // What others make up uses up nothing of a session that there is.
    limits::take(ctx, Limit::RefreshAddress, &token.id.to_string()).await?;
    if let Some(session) = renew(ctx, &token, &seen, None).await? {
        return hand_out::tokens(ctx, &session).await;
    }
    // Of many uses at once only the one that ends the session takes what telling of it costs, and has it.
    let _turn = ctx.app.turns.take(token.id).await;
    let seen = current(ctx, token.id).await?.ok_or(Problem::RefreshRefused)?;
    let told = reused(ctx, &seen.1).await;
    let session = renew(ctx, &token, &seen, Some(&told)).await?.ok_or(Problem::RefreshRefused)?;
    hand_out::tokens(ctx, &session).await
}

/// Takes the turn that `token` comes to for what was `seen`. Nothing is done yet, and none answered, when it was used
/// before and nothing is prepared to be `told` of that.
async fn renew(
    ctx: &Ctx,
    token: &Token,
    seen: &(Seen<Session>, Seen<User>),
    told: Option<&Option<Notices>>,
) -> Result<Option<Seen<Session>>> {
    let notices = told.and_then(Option::as_ref);
    let paid = || notices.map(Notices::postage).unwrap_or_default();
    let renewed = limits::decide(ctx, paid, move |moment| async move {
        let found = if moment.again { current(ctx, token.id).await? } else { Some(seen.clone()) };
        let Some((session, user)) = found else {
            return Ok(refuse(Problem::RefreshRefused));
        };
        let Some(shown) = refresh::generation(&ctx.app.keyring, &session, token) else {
            return Ok(refuse(Problem::RefreshRefused));
        };
        let counts = stands(ctx, &session, &user).await?;
        let turn = refresh::turn(&session, counts, shown, moment.now);
        if turn == Turn::Reused && told.is_none() {
            return Ok(answer(None));
        }
        let reused = notices.filter(|_| turn == Turn::Reused);
        let changes = reused.map(|notices| notices.changes(ctx, &moment)).unwrap_or_default();
        Ok(refresh::refresh(turn, session, &user, &moment).map(Some).and(changes))
    });
    renewed.await
}

/// The refresh token that `text` is, when it ever was one, with its session and user.
async fn genuine(ctx: &Ctx, text: &str) -> Result<Option<(Token, (Seen<Session>, Seen<User>))>> {
    let Some(token) = Token::parse(TokenKind::Refresh, text) else { return Ok(None) };
    let Some(seen) = current(ctx, token.id).await? else { return Ok(None) };
    let is_genuine = refresh::generation(&ctx.app.keyring, &seen.0, &token).is_some();
    Ok(is_genuine.then_some((token, seen)))
}

/// The records, from memory while they are unchanged.
async fn known(ctx: &Ctx, id: Uuid) -> Result<Option<Arc<Known>>> {
    match ctx.app.store.recall(id) {
        Some(known) => Ok(Some(known)),
        None => Box::pin(read(ctx, id)).await,
    }
}

async fn read(ctx: &Ctx, id: Uuid) -> Result<Option<Arc<Known>>> {
    let mut look = ctx.app.store.tracked();
    let Some(session) = look.get::<Session>(id).await? else { return Ok(None) };
    look.depends_on::<Identifier>(session.user_id);
    let Some(user) = look.get::<User>(session.user_id).await? else { return Ok(None) };
    let actor = Actor::read(&mut look, &session).await?;
    // Once in the record, and once in the answer that is made of it; whoever acts is in no answer.
    let more = 2 * user.metadata.weight() + actor.as_ref().map_or(0, Actor::weight);
    Ok(Some(look.keep(id, Known { session, user, actor, answer: OnceLock::new() }, more)))
}

/// How many of a user's sessions may be too many for one sign-in to set right.
const SURPLUS: usize = 50;

/// The sessions that end when `user` opens another: those whose `cookies` the new one takes (ASVS 5.0,
/// 7.2.4), and those used longest ago, when there would be more than the policy allows (7.1.2).
///
/// Two that open one at the same instant may both find room; the next one sets that right.
///
/// # Errors
/// The store's.
pub async fn making_room(
    ctx: &Ctx,
    user: Uuid,
    carry: Carry,
    cookies: &[Token],
) -> Result<Vec<Seen<Session>>> {
    let mut taken = Vec::new();
    for token in cookies.iter().filter(|_| carry == Carry::Cookie) {
        taken.extend(named(ctx, token).await?);
    }
    let at_most = usize::try_from(ctx.policy.session.at_most).unwrap_or(usize::MAX);
    let of_user = || Query::<Session>::along(Session::BY_USER).equal(user);
    // Nearly always there is room; to see that, no session has to be read.
    if ctx.app.store.first(of_user().descending().skip(at_most.saturating_sub(1))).await?.is_none() {
        return Ok(taken);
    }
    let mut open = ctx.app.store.find(of_user().limit(at_most.saturating_add(SURPLUS))).await?.items;
    open.retain(|session| taken.iter().all(|taken| taken.id != session.id));
    open.sort_by_key(|session| session.seen_at);
    open.truncate((open.len() + 1).saturating_sub(at_most));
    open.extend(taken);
    Ok(open)
}

/// The session whose token this is, whether or not it still counts.
async fn named(ctx: &Ctx, token: &Token) -> Result<Option<Seen<Session>>> {
    let session = ctx.app.store.get::<Session>(token.id).await?;
    Ok(session.filter(|session| token.matches(&session.digest)))
}

/// Remembers the use of a session, at most once in the policy's `seen_every`; whether that was done: without
/// the note it is idle a little sooner, and no more.
async fn touch(ctx: &Ctx, session: &Seen<Session>) -> Result<bool> {
    let touched = session.clone().with(|session| session.seen_at = session.seen_at.latest(ctx.now));
    ctx.note_use(Change::update(&touched)).await
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
    let page = ctx.app.store.find(query).await?;
    let mut items = Vec::new();
    for session in page.items {
        if stands(ctx, &session, &caller.user).await? {
            items.push(session);
        }
    }
    Ok(Page { items, next: page.next })
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
        let ended = ended.actor(caller.session.actor());
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
    // Whoever acts for a user ends that, and nothing of the user's own.
    let scope = if caller.session.act.is_some() { Scope::This } else { scope };
    if scope == Scope::All {
        ctx.decide(move |moment| async move {
            let Some(user) = ctx.app.store.get::<User>(caller.user.id).await? else { return Ok(answer(())) };
            Ok(answer(()).update(&user.with(|user| user.end_sessions(moment.now))))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::http::testing;
    use crate::policy::Proofs;
    use crate::sessions::acting::Act;

    #[tokio::test]
    async fn what_is_known_is_kept_by_its_weight() {
        let app = testing::app();
        let ctx = Ctx::new(Arc::clone(&app), None);
        // All of so many bytes of JSON, from what takes least room in memory to what takes most.
        let texts =
            ["x".repeat(4_000).into(), vec![json!(0); 2_000].into(), vec![json!({"": 0}); 500].into()];
        let weights = texts.map(|value: Json| {
            let mut user = User::new(Uuid::from_u128(1), ctx.now);
            user.metadata.0.insert("x".to_owned(), value);
            user.metadata.weight()
        });
        assert!(weights[0] > 4_000 && weights[1] > 64_000 && weights[2] > 300_000, "{weights:?}");
        let somebody = |nth, count| {
            let mut user = User::new(Uuid::from_u128(nth), ctx.now);
            user.metadata.0.insert("x".to_owned(), vec![json!(0); count].into());
            let (session, _) =
                Session::open(&user, Proofs::default(), Carry::Bearer, &ctx.policy.session, &ctx.moment());
            (user, session)
        };
        // Of the user, and of whoever acts, if somebody does.
        for (nth, counts, is_kept) in [
            (2, (200, None), true),
            (4, (2_000, None), false),
            (6, (0, Some(400)), true),
            (8, (0, Some(2_000)), false),
        ] {
            let (user, mut session) = somebody(nth, counts.0);
            if let Some(count) = counts.1 {
                let (actor, own) = somebody(nth + 1, count);
                let (actor_id, reason) = (actor.id, String::new());
                let act = Act { actor: actor_id, session: own.id, reason, read_only: true, members: None };
                session.act = Some(act);
                app.store.commit(vec![Change::insert(&actor), Change::insert(&own)]).await.unwrap();
            }
            app.store.commit(vec![Change::insert(&user), Change::insert(&session)]).await.unwrap();
            assert!(known(&ctx, session.id).await.unwrap().is_some());
            assert_eq!(app.store.recall::<Known>(session.id).is_some(), is_kept, "{counts:?} numbers");
        }
    }
}
