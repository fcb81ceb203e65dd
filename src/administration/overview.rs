//! Figures for those who look after the house: what happened by hour and by day, what waits, what is
//! counted. Nothing here reads more than a page for each figure: events are counted when they are sealed,
//! messages an hour after they were asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::accounts::{Status, User};
use crate::app::Ctx;
use crate::audit::{self, Grain, Noting, Outgoing, Position, State, Tally, What, note};
use crate::calls::Call;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::limits::Limit;
use crate::messages::{Channel, Message};
use crate::spending::{self, Day};
use crate::store::{Change, Entity, Query, answer};

/// What is looked after every minute: suspensions that have ended are noted, messages counted; returns how
/// many.
///
/// # Errors
/// The store's.
pub async fn tend(ctx: &Ctx) -> Result<usize> {
    Ok(lift(ctx).await? + count(ctx).await?)
}

/// How many users or messages one run looks at.
const AT_ONCE: usize = 200;

/// Notes that suspensions have ended. They have ended by themselves; this is for the lists.
async fn lift(ctx: &Ctx) -> Result<usize> {
    let ended = Query::<User>::along(User::BY_SUSPENDED).until(ctx.now).limit(AT_ONCE);
    let mut lifted = 0;
    for found in ctx.app.store.find(ended).await?.items {
        let id = found.id;
        lifted += ctx
            .decide(move |moment| async move {
                let Some(user) = ctx.app.store.get::<User>(id).await? else { return Ok(answer(0)) };
                let is_ended = user.suspended_until.is_some_and(|until| until <= moment.now);
                if !is_ended {
                    return Ok(answer(0));
                }
                let was_suspended = user.status == Status::Suspended;
                let user = user.with(|user| {
                    if was_suspended {
                        user.status = Status::Active;
                        user.suspended_for = None;
                        user.updated_at = moment.now;
                    }
                    user.suspended_until = None;
                });
                let decision = answer(1).update(&user);
                Ok(if was_suspended {
                    decision.note(&moment, note(What::Restored).user(id))
                } else {
                    decision
                })
            })
            .await?;
    }
    Ok(lifted)
}

/// How old a message is when it is counted: nearly all have ended by then.
const SETTLED: Duration = Duration::from_secs(60 * 60);

const COUNTER: &str = "messages";

/// Counts messages that were asked for an hour ago, each once.
async fn count(ctx: &Ctx) -> Result<usize> {
    let store = &ctx.app.store;
    let position = store.get::<Position>(COUNTER.to_owned()).await?;
    let (at, last) = position.as_ref().map_or((None, Uuid::nil()), |seen| (Some(seen.at), seen.last));
    let query = Query::<Message>::along(Message::BY_CREATED).until(ctx.now - SETTLED).limit(AT_ONCE);
    let query = at.into_iter().fold(query, Query::from);
    let query = query.after(match at {
        Some(at) => Some(audit::place_after(at, last)?),
        None => None,
    });
    let page = store.find(query).await?.items;
    let Some(newest) = page.last() else { return Ok(0) };
    let next = Position { id: COUNTER.to_owned(), at: newest.created_at, last: newest.id };
    let mut counts: BTreeMap<(String, Timestamp), i64> = BTreeMap::new();
    for message in &page {
        let name = format!("message.{}.{}", message.kind, message.status);
        *counts.entry((name, Grain::Hour.begin(message.created_at))).or_default() += 1;
    }
    let mut changes = audit::add(ctx, &counts).await?;
    changes.push(match position {
        Some(seen) => Change::update(&seen.with(|position| *position = next)),
        None => Change::insert(&next),
    });
    // Or else another node has counted them.
    let is_counted = store.commit_unless_changed(changes).await?;
    Ok(if is_counted { page.len() } else { 0 })
}

/// One span of time, with what happened in it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Span {
    /// When it begins.
    pub at: Timestamp,
    /// Accounts made.
    pub sign_ups: i64,
    /// Sessions opened.
    pub sign_ins: i64,
    /// Wrong passwords and wrong codes.
    pub failed: i64,
    /// Messages by their way and what became of them, such as `sms.delivered`; counted after an hour.
    pub messages: BTreeMap<String, i64>,
    /// Every count by its name, such as `factor_added`.
    pub counts: BTreeMap<String, i64>,
    /// What was drawn from the day's money for messages and calls, in millionths; of days only.
    pub spent: Option<i64>,
}

/// What happened, by hour or by day.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Overview {
    /// `hour` or `day`.
    pub by: Grain,
    /// When the first span begins that was asked for, whether or not anything happened in it.
    pub from: Timestamp,
    /// When the last one begins: the one that is now.
    pub until: Timestamp,
    /// The spans in which anything happened, the oldest first.
    pub spans: Vec<Span>,
}

/// How many rows of counts one look reads at most.
const ROWS: usize = 20_000;

/// What happened since `from`, in spans of `by`: at most a week of hours, or three months of days.
///
/// # Errors
/// The store's.
pub async fn overview(ctx: &Ctx, by: Grain, from: Option<Timestamp>) -> Result<Overview> {
    let day = Duration::from_secs(24 * 60 * 60);
    let longest = if by == Grain::Hour { day * 7 } else { day * 92 };
    let shown = if by == Grain::Hour { day } else { day * 30 };
    let from = from.unwrap_or(ctx.now - shown).latest(ctx.now - longest);
    let (from, until) = (by.begin(from), by.begin(ctx.now));
    let query = Query::<Tally>::along(Tally::BY_TIME).equal(by).from(from).limit(ROWS);
    let mut spans: BTreeMap<Timestamp, BTreeMap<String, i64>> = BTreeMap::new();
    for tally in ctx.app.store.find(query).await?.items {
        spans.entry(tally.begins_at).or_default().insert(tally.name.clone(), tally.count);
    }
    let mut all = Vec::new();
    for (at, counts) in spans {
        let of = |names: &[What]| names.iter().filter_map(|name| counts.get(name.as_str())).sum();
        let message =
            |(name, count): (&String, &i64)| Some((name.strip_prefix("message.")?.to_owned(), *count));
        let spent = match by {
            Grain::Hour => None,
            Grain::Day => spent(ctx, at).await?,
        };
        all.push(Span {
            at,
            sign_ups: of(&[What::SignedUp, What::AccountMade]),
            sign_ins: of(&[What::SignedIn]),
            failed: of(&[What::SignInFailed, What::PasswordWrong, What::CodeWrong]),
            messages: counts.iter().filter_map(message).collect(),
            counts,
            spent,
        });
    }
    Ok(Overview { by, from, until, spans: all })
}

async fn spent(ctx: &Ctx, day: Timestamp) -> Result<Option<i64>> {
    let name: String = day.to_string().chars().take(10).collect();
    let day = ctx.app.store.get::<Day>(name).await?;
    let sum =
        |day: &Day| [day.home_known, day.home_strangers, day.abroad_known, day.abroad_strangers].iter().sum();
    Ok(day.map(|day| sum(&day)))
}

/// So many are counted of what waits.
const COUNTED: usize = 1_000;

/// Something that waits to be done.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Queue")]
pub struct QueueView {
    /// What.
    pub name: &'static str,
    /// How many; counted up to 1,000.
    pub waiting: usize,
    /// Whether there are more than that.
    pub more: bool,
    /// Since when the first waits, where that is known.
    pub since: Option<Timestamp>,
}

/// What waits, as of now.
///
/// # Errors
/// The store's.
pub async fn queues(ctx: &Ctx) -> Result<Vec<QueueView>> {
    let now = ctx.now;
    let calls = Query::<Call>::along(Call::BY_DUE).until(now);
    let events = Query::<Outgoing>::along(Outgoing::BY_STATE).equal(State::Waiting);
    let dead = Query::<Outgoing>::along(Outgoing::BY_STATE).equal(State::Dead);
    let sealing = Query::<audit::Event>::along(audit::Event::BY_BLOCK).equal(0_i64);
    let removal = Query::<User>::along(User::BY_PURGE).until(now);
    let mut messages = QueueView { name: "messages", waiting: 0, more: false, since: None };
    for kind in Channel::ALL.iter().copied() {
        let due = Query::<Message>::along(Message::BY_DUE).equal(kind).until(now);
        let of_kind = waiting(ctx, "messages", due, |one| one.due_at).await?;
        let sum = messages.waiting + of_kind.waiting;
        messages.more |= of_kind.more || sum > COUNTED;
        messages.waiting = sum.min(COUNTED);
        messages.since = messages.since.into_iter().chain(of_kind.since).min();
    }
    Ok(vec![
        messages,
        waiting(ctx, "calls", calls, |one| one.due_at).await?,
        waiting(ctx, "events", events, |one| Some(one.at)).await?,
        waiting(ctx, "dead-events", dead, |one| Some(one.at)).await?,
        waiting(ctx, "sealing", sealing, |one| Some(one.at)).await?,
        waiting(ctx, "removal", removal, |one| one.purge_at).await?,
    ])
}

/// Shows the figures what waits and what is spent: also what nobody does anything about changes them.
///
/// # Errors
/// The store's.
pub async fn show(ctx: &Ctx) -> Result<usize> {
    for queue in queues(ctx).await? {
        let longest = queue.since.map(|since| ctx.now.since(since)).unwrap_or_default();
        ctx.app.metrics.waits(queue.name, queue.waiting, longest);
    }
    spending::show(ctx).await?;
    Ok(0)
}

async fn waiting<T: Entity>(
    ctx: &Ctx,
    name: &'static str,
    query: Query<T>,
    since: impl Fn(&T) -> Option<Timestamp>,
) -> Result<QueueView> {
    let page = ctx.app.store.find(query.limit(COUNTED)).await?;
    let since = page.items.first().and_then(|first| since(first));
    Ok(QueueView { name, waiting: page.items.len(), more: page.next.is_some(), since })
}

/// A limit, with its number and how often it refused.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Limit")]
pub struct LimitView {
    /// Its name.
    pub name: Limit,
    /// How many are let through.
    pub limit: u32,
    /// In how many seconds.
    pub window: u64,
    /// How often it refused on this server, since it was started.
    pub refused: u64,
}

/// Every limit.
pub fn limits(ctx: &Ctx) -> Vec<LimitView> {
    let view = |limit: &Limit| {
        let budget = limit.budget(&ctx.policy.limits);
        LimitView {
            name: *limit,
            limit: budget.limit,
            window: budget.window.as_secs(),
            refused: ctx.app.metrics.refused(limit.as_str()),
        }
    };
    Limit::ALL.iter().map(view).collect()
}
