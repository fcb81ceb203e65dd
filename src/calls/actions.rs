//! Asking for a call, looking at one's calls, calling one back; placing what is due, and hearing what
//! became of it.

use uuid::Uuid;

use super::rules::{self, Taken};
use super::{Call, CallView, Content, Next, Status, Wanted};
use crate::accounts::User;
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::error::{FieldError, Problem, Result};
use crate::idempotency::{Before, Once};
use crate::identifiers::{self, Mobile};
use crate::limits::{self, Sender};
use crate::policy::IdentifierKind;
use crate::secret::{Token, TokenKind};
use crate::sessions::Caller;
use crate::store::{Cursor, Decision, Page, Query, Seen, answer};
use crate::twilio::voice::{self, News, Placed};
use crate::twilio::{RETRIES, twiml};
use crate::worker::{self, Leased};

/// The path of callbacks, before the token.
pub const CALLBACK_PATH: &str = "/api/v1/webhooks/twilio/calls/";

/// How many calls are dealt with at once. Twilio begins one a second for an account.
const AT_ONCE: usize = 8;

/// As whom `caller` calls a number that they may call. Of what goes to somebody else's number its owner
/// keeps a part.
///
/// # Errors
/// [`Problem::CallNotAllowed`]; [`Problem::Invalid`] for a country that is not called.
pub async fn admit(ctx: &Ctx, caller: &Caller, to: &Mobile) -> Result<Sender> {
    let policy = &ctx.policy.calls;
    let owns = identifiers::actions::of_user(ctx, caller.user.id).await?.iter().any(|one| {
        one.kind == IdentifierKind::Mobile
            && one.verified_at.is_some()
            && one.owned.is_some()
            && one.value == to.as_str()
    });
    if !rules::may_call(policy, &caller.user.roles.0, owns) {
        return Err(Problem::CallNotAllowed.into());
    }
    if !rules::is_country_allowed(policy, to.region().as_deref()) {
        let told = "Numbers of this country are not called from here.";
        return Err(FieldError::new("to", "country", told).into());
    }
    Ok(if owns { Sender::User(caller.user.id) } else { Sender::Caller })
}

/// Records a call, once however often the same named request asks for it.
///
/// # Errors
/// [`Problem::LimitReached`], [`Problem::NumberNotServed`], [`Problem::MessagesPaused`], [`Problem::Busy`],
/// [`Problem::IdempotencyKeyReused`]; [`Problem::Unauthenticated`] when the session ends meanwhile.
pub async fn create(
    ctx: &Ctx,
    caller: &Caller,
    wanted: &Wanted,
    sender: Sender,
    once: &Option<Once>,
) -> Result<CallView> {
    let app = &ctx.app;
    let _turn = match once {
        Some(once) => Some(once.turn(ctx).await),
        None => None,
    };
    if let Some(once) = once
        && let Before::Answered(given) = once.before(ctx).await?
    {
        return Ok(given);
    }
    let postage = &limits::postage_for_call(ctx, wanted.user, &wanted.to, sender).await?;
    let paid = || vec![postage];
    limits::decide(ctx, paid, move |moment| async move {
        let stale = match once {
            None => None,
            Some(once) => match once.before(ctx).await? {
                Before::Answered(given) => return Ok(answer(given)),
                Before::Nothing(stale) => stale,
            },
        };
        let (session, user) = caller.standing(ctx).await?;
        let call = Call::new(&moment, postage, &app.keyring, &app.random, wanted);
        let view = call.view();
        let noted = note(What::CallAsked).user(wanted.user).detail(serde_json::json!({"call": call.id}));
        let decision = answer(view.clone()).insert(&call).require(&session).require(&user);
        let decision = decision.note(&moment, noted);
        Ok(match once {
            Some(once) => decision.upsert(stale, once.keep(ctx, &view, &moment)?),
            None => decision,
        })
    })
    .await
}

/// One's own calls, newest first.
///
/// # Errors
/// The store's.
pub async fn list(
    ctx: &Ctx,
    caller: &Caller,
    status: Option<Status>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<Seen<Call>>> {
    let query = match status {
        None => Query::along(Call::BY_USER).equal(caller.user.id),
        Some(status) => Query::along(Call::BY_USER_STATUS).equal(caller.user.id).equal(status),
    };
    Ok(ctx.app.store.find(query.descending().after(after).limit(limit)).await?)
}

/// One of one's own calls.
///
/// # Errors
/// [`Problem::NotFound`], also for those of others.
pub async fn get(ctx: &Ctx, caller: &Caller, id: Uuid) -> Result<Seen<Call>> {
    let found = ctx.app.store.get::<Call>(id).await?;
    found.filter(|call| call.user_id == caller.user.id).ok_or_else(|| Problem::NotFound.into())
}

/// Calls one back: at once when nobody has dialled yet, or else by way of the provider. One that has
/// ended stays as it is.
///
/// # Errors
/// [`Problem::NotFound`], also for those of others.
pub async fn cancel(ctx: &Ctx, caller: &Caller, id: Uuid) -> Result<CallView> {
    let (view, news) = ctx
        .decide(async |moment| {
            let seen = get(ctx, caller, id).await?;
            let view = seen.view();
            Ok(change(seen, &moment, |call| call.cancel(moment.now)).map(|news: Option<Turn>| {
                let view = news.as_ref().map_or(view, |news| news.call.view());
                (view, news)
            }))
        })
        .await?;
    tell(ctx, news);
    Ok(view)
}

/// Deals with every call that is due, and with what falls due meanwhile; returns how many it took.
///
/// # Errors
/// The store's.
pub async fn run_due(ctx: &Ctx) -> Result<usize> {
    worker::keep_up(ctx, AT_ONCE, lease, |ctx, (call, what)| act(ctx, call, what)).await
}

/// Takes up to `limit` due calls.
async fn lease(ctx: Ctx, limit: usize) -> Leased<(Call, Taken)> {
    let due = match ctx.app.store.find(Query::<Call>::along(Call::BY_DUE).until(ctx.now).limit(limit)).await {
        Ok(due) => due,
        Err(error) => return (Vec::new(), Some(error.into())),
    };
    let mut leased = Vec::with_capacity(due.items.len());
    for found in due.items {
        // A lease begins when it is taken, however long the ones before it took.
        let ctx = &Ctx::new(ctx.app.clone(), None);
        let taken = ctx
            .decide(async |moment| {
                let seen = ctx.app.store.get::<Call>(found.id).await?;
                let Some(seen) = seen else { return Ok(answer((Taken::Nothing, None))) };
                let user = ctx.app.store.get::<User>(seen.user_id).await?;
                let is_out = user.is_some_and(|user| !user.is_active(ctx.now));
                let mut what = Taken::Nothing;
                let decision = change(seen, &moment, |call| {
                    // Nobody calls who may not sign in by now; what rings already goes on.
                    if call.next == Next::Place && is_out {
                        return call.cancel(ctx.now);
                    }
                    what = call.take(ctx.now);
                    what != Taken::Nothing
                });
                Ok(decision.map(|news| (what, news)))
            })
            .await;
        match taken {
            Ok((what, Some(news))) => {
                leased.push(Some((news.call.clone(), what)));
                tell(ctx, Some(news));
            }
            // Another worker was quicker: it is out of this one's way.
            Ok((_, None)) => {}
            Err(error) => return (leased, Some(error)),
        }
    }
    (leased, None)
}

async fn act(ctx: Ctx, call: Call, what: Taken) {
    let app = &ctx.app;
    let reference = call.provider_ref.as_deref().unwrap_or_default();
    let done = match what {
        Taken::Place => place(&ctx, &call).await,
        Taken::Find => find(&ctx, &call).await,
        Taken::Follow => hear(&ctx, call.id, voice::fetch(app, reference).await).await,
        Taken::End => {
            let is_answered = call.status >= Status::InProgress;
            let mut told = voice::end(app, reference, is_answered).await;
            if told.is_none() {
                // It may have ended by itself just now, which cannot be ended again.
                told = voice::fetch(app, reference).await;
            }
            hear(&ctx, call.id, told).await
        }
        Taken::Settled | Taken::Nothing => Ok(()),
    };
    if let Err(error) = done {
        // Its time comes again; one that was placed is then looked for.
        tracing::error!(call = %call.id, ?error, "what became of a call could not be recorded");
    }
}

async fn place(ctx: &Ctx, call: &Call) -> Result<()> {
    let app = &ctx.app;
    let came_to = match call.unseal(&app.keyring) {
        Some(_) if !call.is_held(app.clock.now()) => Placed::NotProcessed(None),
        Some((content, callback)) => {
            let callback = app.origin.link(&format!("{CALLBACK_PATH}{callback}{RETRIES}"));
            let document;
            let content = match &content {
                Content::Say(text) => {
                    document = twiml::say(text, &call.language);
                    voice::Content::Twiml(&document)
                }
                Content::Url(url) => voice::Content::Url(url),
            };
            let settings = &app.config.calls;
            let (ring, longest) = (settings.ring.as_secs(), settings.longest.as_secs());
            let order =
                voice::Order { to: &call.to, from: &call.from, content, callback: &callback, ring, longest };
            voice::place(app, &order).await
        }
        None => {
            tracing::error!(call = %call.id, "what is said is sealed under a key that is not in secrets.keys");
            Placed::NotProcessed(None)
        }
    };
    let ctx = Ctx::new(app.clone(), None);
    let news = ctx
        .decide(async |moment| {
            let Some(seen) = ctx.app.store.get::<Call>(call.id).await? else { return Ok(answer(None)) };
            let [chance] = moment.seed.bytes("pause");
            Ok(change(seen, &moment, |now| now.placed(call.attempts, &came_to, moment.now, chance)))
        })
        .await?;
    tell(&ctx, news);
    Ok(())
}

/// Looks for a call that may have been placed.
async fn find(ctx: &Ctx, call: &Call) -> Result<()> {
    let Some(listed) = voice::list(&ctx.app, &call.to, &call.from).await else { return Ok(()) };
    let mut others = Vec::new();
    for name in listed.iter().filter_map(|listed| listed.news.reference.clone()) {
        let known = ctx.app.store.first::<Call>(Query::along(Call::BY_PROVIDER_REF).equal(name.clone()));
        if known.await?.is_some_and(|known| known.id != call.id) {
            others.push(name);
        }
    }
    let found = call.find(&listed, |name| others.iter().any(|other| other == name)).cloned();
    hear(ctx, call.id, found).await
}

async fn hear(ctx: &Ctx, id: Uuid, told: Option<News>) -> Result<()> {
    let Some(told) = told else { return Ok(()) };
    let ctx = Ctx::new(ctx.app.clone(), None);
    let news = ctx
        .decide(async |moment| {
            let Some(seen) = ctx.app.store.get::<Call>(id).await? else { return Ok(answer(None)) };
            Ok(change(seen, &moment, |call| call.fold(&told, moment.now)))
        })
        .await?;
    tell(&ctx, news);
    Ok(())
}

/// What the provider tells by a callback whose signature was found right; grants nothing.
///
/// # Errors
/// [`Problem::NotFound`] for a token that belongs to no call.
pub async fn callback(ctx: &Ctx, token: &str, params: &[(String, String)]) -> Result<()> {
    let token = Token::parse(TokenKind::Callback, token).ok_or(Problem::NotFound)?;
    let told = voice::callback(params);
    // What is noted is about the user, who is not where the provider is.
    let ctx = &Ctx::new(ctx.app.clone(), None);
    let news = ctx
        .decide(async |moment| {
            let seen = ctx.app.store.get::<Call>(token.id).await?.ok_or(Problem::NotFound)?;
            if !token.matches(&seen.callback) {
                return Err(Problem::NotFound.into());
            }
            let Some(told) = &told else { return Ok(answer(None)) };
            Ok(change(seen, &moment, |call| call.fold(told, moment.now)))
        })
        .await?;
    match &told {
        None => tracing::warn!(call = %token.id, "a callback without a status"),
        Some(told) if rules::status(&told.word).is_none() => {
            tracing::warn!(call = %token.id, status = told.word, "a callback with a status that is not known");
        }
        Some(_) => {}
    }
    tell(ctx, news);
    Ok(())
}

/// Writes what a rule made of a call, when it made something of it.
fn change(seen: Seen<Call>, moment: &Moment, rule: impl FnOnce(&mut Call) -> bool) -> Decision<Option<Turn>> {
    let before = seen.status;
    let mut changed = false;
    let seen = seen.with(|call| changed = rule(call));
    if !changed {
        return answer(None);
    }
    let decision = answer(Some(Turn { before, call: seen.clone().into_inner() })).update(&seen);
    if before.is_final() || !seen.status.is_final() {
        return decision;
    }
    let detail = serde_json::json!({"call": seen.id, "status": seen.status, "code": seen.error_code});
    decision.note(moment, note(What::CallEnded).user(seen.user_id).detail(detail))
}

/// A call that changed, and what it was before.
struct Turn {
    before: Status,
    call: Call,
}

/// Logs and counts a new status. Never the number, never what is said.
fn tell(ctx: &Ctx, news: Option<Turn>) {
    let Some(Turn { before, call }) = news else { return };
    let (id, status, attempts, code) = (call.id, call.status, call.attempts, call.error_code);
    if status == before {
        return;
    }
    ctx.app.metrics.message("call", status.as_str());
    let reason = call.error_reason.as_deref();
    match call.failure() {
        None => tracing::debug!(call = %id, %status, attempts, "call"),
        Some(class) if class.needs_operator() => {
            tracing::error!(call = %id, %status, attempts, code, reason, "calls need an operator");
        }
        Some(_) => tracing::warn!(call = %id, %status, attempts, code, reason, "call in trouble"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::calls::Next;
    use crate::calls::rules::LEASE;
    use crate::http::testing;
    use crate::limits::Postage;

    #[tokio::test]
    async fn a_lease_begins_when_it_is_taken_and_what_little_is_left_of_one_is_not_used() {
        let mut app = testing::app();
        // Nobody answers there: had it been placed, it would be in doubt.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        Arc::get_mut(&mut app).unwrap().config.twilio.base_url = format!("http://{address}");
        app.outbound.allow(address);
        let wanted = &Wanted {
            user: Uuid::from_u128(7),
            to: "+12025550123".to_owned(),
            from: "+12025550199".to_owned(),
            content: Content::Say("Your table is ready.".to_owned()),
            language: "en-US",
        };
        let ctx = &Ctx::new(app.clone(), None);
        let made = ctx.decide(async |moment| {
            let call = Call::new(&moment, &Postage::of_a_test(), &ctx.app.keyring, &ctx.app.random, wanted);
            Ok(answer(()).insert(&call))
        });
        made.await.unwrap();
        // As if those before it had taken so long.
        app.clock.advance(LEASE);
        let (leased, trouble) = lease(ctx.clone(), 1).await;
        assert!(trouble.is_none());
        let (call, what) = leased.into_iter().flatten().next().unwrap();
        assert_eq!((what, call.due_at), (Taken::Place, Some(app.clock.now() + LEASE)));
        app.clock.advance(LEASE - Duration::from_secs(15));
        let id = call.id;
        act(ctx.clone(), call, what).await;
        let left = app.store.get::<Call>(id).await.unwrap().unwrap();
        assert_eq!((left.next, left.status), (Next::Place, Status::Queued));
    }
}
