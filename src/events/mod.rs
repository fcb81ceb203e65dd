//! Events out: the application is told of what happens, and can read it again.
//!
//! Always holds: what an event tells of, the event, and the row that has it told are one commit; the row
//! goes only when the application has answered 2xx, and the broker has confirmed it, where there is one. So every event is told at least once, and, since a
//! process can end between the answer and the commit, perhaps twice: the id says so. Events are told in
//! the order in which they happened, one at a time by all nodes together; one that was not taken is
//! overtaken.

pub mod api;
mod rules;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::app::Ctx;
use crate::audit::chain::NEVER;
use crate::audit::{Event, Noting, Outgoing, State, What, note};
use crate::broker::{Broker, Published};
use crate::clock::Timestamp;
use crate::error::{Problem, Result};
use crate::outbound::{Outcome, SIGNATURE, sign};
use crate::store::{Change, Cursor, Page, Query, Seen, answer, entity};
use rules::LEASE;

/// An event as the application is told of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventView {
    /// Its id, the same each time it is told. Ids sort by time.
    pub id: Uuid,
    /// What happened.
    pub r#type: What,
    /// When.
    pub at: Timestamp,
    /// To whom.
    pub user: Option<Uuid>,
    /// Who did it, when it was not the user: an administrator, or who acts for the user.
    pub actor: Option<Uuid>,
    /// In or about which session.
    pub session: Option<Uuid>,
    /// During which request.
    pub request: Option<Uuid>,
    /// From which address.
    pub address: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// More, by the kind of event.
    pub detail: Json,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id,
            r#type: event.what,
            at: event.at,
            user: event.user_id,
            actor: event.actor_id,
            session: event.session_id,
            request: event.request_id,
            address: event.address.clone(),
            user_agent: event.user_agent.clone(),
            detail: event.detail.clone(),
        }
    }
}

entity! {
    /// That an event is being told, by whichever node: so long all others wait. There is one at most.
    pub struct Turn in "telling" {
        /// Always [`TURN`].
        id: Uuid,
        /// Whose turn it is: made up anew for each event.
        holder: Uuid,
        /// When it is over, although nobody has said so.
        ends_at: Timestamp,
    }
}

/// The key of the one [`Turn`].
pub const TURN: Uuid = Uuid::nil();

/// How many events one run tells.
const AT_ONCE: usize = 100;

/// The circuit of whoever is told.
const RECEIVER: &str = "events";

/// Tells the application of what is due; returns how much it took. The first that is not taken ends the
/// run, and after a few of them in a row it is left alone for a while: whoever does not answer is not asked
/// by a whole backlog at once.
///
/// # Errors
/// The store's.
pub async fn run_due(ctx: &Ctx) -> Result<usize> {
    if !ctx.app.config.events.is_configured() {
        return Ok(0);
    }
    let due = Query::<Outgoing>::along(Outgoing::BY_DUE).until(ctx.now).limit(AT_ONCE);
    let mut told = 0;
    for found in ctx.app.store.find(due).await?.items {
        // What is not told now is told after the next start.
        if *ctx.app.stopping.borrow() || !ctx.app.circuits.admits(RECEIVER, ctx.app.clock.now()) {
            break;
        }
        let heard = tell(ctx, found.id).await?;
        if matches!(heard, Told::Taken | Told::NotTaken) {
            ctx.app.circuits.report(RECEIVER, matches!(heard, Told::Taken), ctx.app.clock.now());
        }
        match heard {
            Told::Taken => told += 1,
            Told::NotTaken => return Ok(0),
            Told::Nothing => {}
            Told::NotOurTurn => break,
        }
    }
    Ok(told)
}

enum Told {
    Taken,
    NotTaken,
    Nothing,
    NotOurTurn,
}

async fn tell(ctx: &Ctx, id: Uuid) -> Result<Told> {
    let store = &ctx.app.store;
    let now = ctx.app.clock.now();
    let leased = ctx
        .decide(move |moment| async move {
            let Some(seen) = store.get::<Outgoing>(id).await? else { return Ok(answer(Err(Told::Nothing))) };
            if !seen.is_due(now) {
                return Ok(answer(Err(Told::Nothing)));
            }
            let turn = store.get::<Turn>(TURN).await?;
            if turn.as_ref().is_some_and(|turn| turn.is_on(now)) {
                return Ok(answer(Err(Told::NotOurTurn)));
            }
            let ours = Turn { id: TURN, holder: moment.uuid("turn"), ends_at: now + LEASE };
            let seen = seen.with(|row| row.lease(now));
            let leased = (Outgoing::clone(&seen), ours.holder);
            Ok(answer(Ok(leased)).update(&seen).upsert(turn, ours))
        })
        .await?;
    let (row, holder) = match leased {
        Ok(leased) => leased,
        Err(why) => return Ok(why),
    };
    let attempt = row.attempts;
    let heard = match store.get::<Event>(id).await? {
        Some(event) => tell_all(ctx, &event, &row).await,
        // Older than events are kept: there is nothing left to tell.
        None => Heard { posted: true, published: true, trouble: None },
    };
    let (now, heard) = (ctx.app.clock.now(), &heard);
    ctx.decide(move |moment| async move {
        let turn = store.get::<Turn>(TURN).await?.filter(|turn| turn.holder == holder);
        let over = answer(()).and(turn.as_ref().map(Change::delete));
        let seen = store.get::<Outgoing>(id).await?;
        // Another worker has it, whose lease is newer.
        let Some(seen) = seen.filter(|seen| seen.attempts == attempt) else { return Ok(over) };
        let Some(trouble) = &heard.trouble else { return Ok(over.delete(&seen)) };
        let [chance] = moment.seed.bytes("pause");
        Ok(over.update(&seen.with(|row| {
            (row.posted, row.published) = (heard.posted, heard.published);
            row.not_taken(trouble, now, chance);
        })))
    })
    .await?;
    Ok(if heard.trouble.is_none() { Told::Taken } else { Told::NotTaken })
}

/// Who has an event, and why somebody has it not.
struct Heard {
    posted: bool,
    published: bool,
    trouble: Option<String>,
}

/// Tells everybody of an event who does not have it yet.
async fn tell_all(ctx: &Ctx, event: &Event, row: &Outgoing) -> Heard {
    let (posts, broker) = (ctx.app.config.events.posts(), ctx.app.broker.as_ref());
    let body = serde_json::to_string(&EventView::from(event)).unwrap_or_default();
    let (posted, published) = tokio::join!(
        async { if posts && !row.posted { post(ctx, event, &body, row.attempts).await } else { Ok(()) } },
        async {
            match broker.filter(|_| !row.published) {
                Some(broker) => publish(broker, event, &body).await,
                None => Ok(()),
            }
        }
    );
    let is_taken = (posted.is_ok(), published.is_ok());
    let trouble: Option<String> =
        posted.err().into_iter().chain(published.err()).reduce(|one, other| format!("{one}; {other}"));
    if let Some(trouble) = &trouble {
        tracing::warn!(event = %event.id, attempt = row.attempts, trouble, "an event was not taken");
    }
    Heard { posted: is_taken.0, published: is_taken.1, trouble }
}

async fn publish(broker: &Broker, event: &Event, body: &str) -> Result<(), String> {
    let id = event.id.to_string();
    let message = Published { id: &id, kind: event.what.as_str(), at: event.at, body };
    broker.publish(message).await.map_err(|why| why.chars().take(200).collect())
}

async fn post(ctx: &Ctx, event: &Event, body: &str, attempt: u32) -> Result<(), String> {
    let settings = &ctx.app.config.events;
    let signature = sign(&settings.secret, ctx.app.clock.now(), body.as_bytes());
    let (id, attempt) = (event.id.to_string(), attempt.to_string());
    let headers = [
        (SIGNATURE, signature.as_str()),
        ("idempotency-key", id.as_str()),
        ("vestibule-attempt", attempt.as_str()),
    ];
    match ctx.app.outbound.post_json(&settings.url, body.to_owned(), &headers).await {
        Outcome::Answered { status: 200..=299, .. } => Ok(()),
        Outcome::Answered { status, .. } => Err(format!("it answered {status}")),
        Outcome::NotSent(why) | Outcome::Unknown(why) => Err(why.chars().take(200).collect()),
    }
}

/// What was tried too often, the newest first.
///
/// # Errors
/// The store's.
pub async fn dead(ctx: &Ctx, after: Option<Cursor>, limit: usize) -> Result<Page<Seen<Outgoing>>> {
    let query = Query::along(Outgoing::BY_STATE).equal(State::Dead).descending();
    Ok(ctx.app.store.find(query.after(after).limit(limit)).await?)
}

/// Has an event told again from the beginning, since `by` asks for it: a dead one, one that waits, or one that was taken long ago.
///
/// # Errors
/// [`Problem::NotFound`] when there is no such event any more, or events are told to nobody.
pub async fn resend(ctx: &Ctx, by: Option<Uuid>, id: Uuid) -> Result<()> {
    if !ctx.app.config.events.is_configured() {
        return Err(Problem::NotFound.into());
    }
    ctx.decide(move |moment| async move {
        let event = ctx.app.store.get::<Event>(id).await?.ok_or(Problem::NotFound)?;
        let seen = ctx.app.store.get::<Outgoing>(id).await?;
        let asked = note(What::EventResent).actor(by).detail(json!({"event": id}));
        let decision = answer(()).upsert(seen, Outgoing::again(&event, moment.now));
        Ok(decision.note(&moment, asked))
    })
    .await
}

/// The events after the one named, at most `limit`, in the order in which they were sealed.
///
/// A block is there only after the block before it, whole. So nothing appears before what was read already,
/// however late it is committed, and whatever time it names. What is not sealed yet has nothing after it.
///
/// # Errors
/// [`Problem::NotFound`] for an event that is not kept any more, or is never sealed.
pub async fn feed(ctx: &Ctx, after: Option<Uuid>, limit: usize) -> Result<Vec<EventView>> {
    let store = &ctx.app.store;
    let last = match after {
        Some(id) => {
            let last = store.get::<Event>(id).await?.filter(|last| last.block != NEVER);
            Some(last.ok_or(Problem::NotFound)?)
        }
        None => None,
    };
    if last.as_ref().is_some_and(|last| last.block == 0) {
        return Ok(Vec::new());
    }
    let sealed = Query::<Event>::along(Event::BY_BLOCK).from(1_i64).behind(last.as_deref()).limit(limit);
    Ok(store.find(sealed).await?.items.iter().map(|event| EventView::from(&**event)).collect())
}
