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
use crate::broker::{self, Broker, Published};
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

/// Who is told. Each has a circuit of its own: while the one does not answer, the other is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Receiver {
    Webhook,
    Broker,
}

impl Receiver {
    const ALL: [Self; 2] = [Self::Webhook, Self::Broker];

    fn circuit(self) -> &'static str {
        match self {
            Self::Webhook => "events",
            Self::Broker => "events-broker",
        }
    }

    fn is_configured(self, ctx: &Ctx) -> bool {
        match self {
            Self::Webhook => ctx.app.config.events.posts(),
            Self::Broker => ctx.app.broker.is_some(),
        }
    }

    fn has(self, row: &Outgoing) -> bool {
        match self {
            Self::Webhook => row.posted,
            Self::Broker => row.published,
        }
    }

    /// Those who do not have an event yet.
    fn lacking(ctx: &Ctx, row: &Outgoing) -> Vec<Self> {
        Self::ALL.into_iter().filter(|one| one.is_configured(ctx) && !one.has(row)).collect()
    }
}

/// Tells the application of what is due; returns how much it took. The first that meets no answer ends the
/// run, and after a few of them in a row that receiver is left alone for a while: whoever does not answer is not
/// asked by a whole backlog at once. Whoever answers, and refuses one event, is told the others.
///
/// # Errors
/// The store's.
pub async fn run_due(ctx: &Ctx) -> Result<usize> {
    if !ctx.app.config.events.is_configured() {
        return Ok(0);
    }
    let all = Receiver::ALL.into_iter().filter(|one| one.is_configured(ctx)).count();
    let due = Query::<Outgoing>::along(Outgoing::BY_DUE).until(ctx.now).limit(AT_ONCE);
    let mut told = 0;
    for found in ctx.app.store.find(due).await?.items {
        // What is not told now is told after the next start.
        if *ctx.app.stopping.borrow() {
            break;
        }
        let lacking = Receiver::lacking(ctx, &found);
        let mut asked = lacking.clone();
        asked.retain(|one| ctx.app.circuits.admits(one.circuit(), ctx.app.clock.now()));
        if asked.is_empty() && lacking.len() == all {
            // Nobody is asked anything: what waits stays as it is, in its order.
            break;
        }
        match tell(ctx, found.id, &asked).await? {
            Told::Taken => told += 1,
            Told::NotAnswered => return Ok(0),
            Told::NotTaken | Told::Nothing => {}
            Told::NotOurTurn => break,
        }
    }
    Ok(told)
}

enum Told {
    Taken,
    NotTaken,
    NotAnswered,
    Nothing,
    NotOurTurn,
}

/// Tells those who are `asked`, as far as they do not have it.
async fn tell(ctx: &Ctx, id: Uuid, asked: &[Receiver]) -> Result<Told> {
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
    let mut lacking = Receiver::lacking(ctx, &row);
    let heard = match store.get::<Event>(id).await? {
        Some(event) => {
            let asked = lacking.iter().copied().filter(|one| asked.contains(one)).collect();
            tell_all(ctx, asked, &event, attempt).await
        }
        // Older than events are kept: there is nothing left to tell.
        None => {
            lacking.clear();
            Vec::new()
        }
    };
    lacking.retain(|one| !heard.contains(&(*one, None)));
    let troubles: Vec<&Trouble> = heard.iter().filter_map(|(_, trouble)| trouble.as_ref()).collect();
    let trouble = troubles.iter().map(|trouble| trouble.why.as_str()).collect::<Vec<_>>().join("; ");
    let (now, lacking, trouble) = (ctx.app.clock.now(), &lacking, trouble.as_str());
    ctx.decide(move |moment| async move {
        let turn = store.get::<Turn>(TURN).await?.filter(|turn| turn.holder == holder);
        let over = answer(()).and(turn.as_ref().map(Change::delete));
        let seen = store.get::<Outgoing>(id).await?;
        // Another worker has it, whose lease is newer.
        let Some(seen) = seen.filter(|seen| seen.attempts == attempt) else { return Ok(over) };
        if lacking.is_empty() {
            return Ok(over.delete(&seen));
        }
        let [chance] = moment.seed.bytes("pause");
        Ok(over.update(&seen.with(|row| {
            row.posted |= !lacking.contains(&Receiver::Webhook);
            row.published |= !lacking.contains(&Receiver::Broker);
            match trouble {
                "" => row.put_aside(now),
                trouble => row.not_taken(trouble, now, chance),
            }
        })))
    })
    .await?;
    Ok(if lacking.is_empty() {
        Told::Taken
    } else if troubles.iter().all(|trouble| trouble.is_answer) {
        Told::NotTaken
    } else {
        Told::NotAnswered
    })
}

/// Why somebody did not take an event.
#[derive(PartialEq, Eq)]
struct Trouble {
    /// Whether they are there, and said it of this event.
    is_answer: bool,
    why: String,
}

/// Tells them of an event, side by side, and what each said; nothing where it was taken.
async fn tell_all(
    ctx: &Ctx,
    asked: Vec<Receiver>,
    event: &Event,
    attempt: u32,
) -> Vec<(Receiver, Option<Trouble>)> {
    let body = serde_json::to_string(&EventView::from(event)).unwrap_or_default();
    let body = body.as_str();
    let each = asked.into_iter().map(|one| async move {
        let heard = match (one, &ctx.app.broker) {
            (Receiver::Webhook, _) => post(ctx, event, body, attempt).await,
            (Receiver::Broker, Some(broker)) => publish(broker, event, body).await,
            (Receiver::Broker, None) => Ok(()),
        };
        let works = heard.as_ref().err().is_none_or(|trouble| trouble.is_answer);
        ctx.app.circuits.report(one.circuit(), works, ctx.app.clock.now());
        if let Err(trouble) = &heard {
            tracing::warn!(event = %event.id, attempt, trouble = trouble.why, "an event was not taken");
        }
        (one, heard.err())
    });
    futures_util::future::join_all(each).await
}

async fn publish(broker: &Broker, event: &Event, body: &str) -> Result<(), Trouble> {
    let id = event.id.to_string();
    let message = Published { id: &id, kind: event.what.as_str(), at: event.at, body };
    broker.publish(message).await.map_err(|trouble| Trouble {
        is_answer: matches!(trouble, broker::Trouble::NoQueue(_)),
        why: trouble.to_string().chars().take(200).collect(),
    })
}

async fn post(ctx: &Ctx, event: &Event, body: &str, attempt: u32) -> Result<(), Trouble> {
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
        Outcome::Answered { status, .. } => {
            // Any other 4xx is about this request. What asks to come back later, and 3xx, is about all of them.
            let is_answer = matches!(status, 400..=499) && !matches!(status, 408 | 429);
            Err(Trouble { is_answer, why: format!("it answered {status}") })
        }
        Outcome::NotSent(why) | Outcome::Unknown(why) => {
            Err(Trouble { is_answer: false, why: why.chars().take(200).collect() })
        }
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
