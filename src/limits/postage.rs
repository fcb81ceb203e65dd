//! Postage: that something was counted and paid for, and how that is given back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::window::{Sent, Share};
use super::{Limit, Sends, put_back, take_send};
use crate::app::{Ctx, Moment};
use crate::error::{Problem, Result};
use crate::spending::{self, Destination};
use crate::store::{Change, Decision, Value, answer};

/// Proof that a message or a call was counted against the budgets of its number and of its asker, and
/// paid for from the day's money. What [`decide`] does not use of it is given back.
#[derive(Debug)]
pub struct Postage {
    taken: Taken,
    stuck: Mutex<Stuck>,
}

/// What one message or call has taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// From whose budgets. What counts an asker's address is none of them: they have asked.
    budgets: Vec<(Limit, String)>,
    /// Of what may be sent to one number or address.
    send: Option<(String, Sent)>,
    /// Of the day's money, for a known user or not.
    money: Option<(Destination, bool)>,
}

/// On what it was put.
#[derive(Debug, Default)]
struct Stuck {
    /// The record that it pays for.
    on: Option<Uuid>,
    /// Whether what was decided last records that.
    is_used: bool,
}

impl Postage {
    pub(super) fn new(taken: Taken) -> Self {
        Self { taken, stuck: Mutex::default() }
    }

    /// Puts it on the message or call that is recorded as `id`.
    pub fn put_on(&self, id: Uuid) {
        self.stuck().on = Some(id);
    }

    fn stuck(&self) -> MutexGuard<'_, Stuck> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `changes` record what it pays for.
    fn look(&self, changes: &[Change]) {
        let mut stuck = self.stuck();
        let records = |change: &Change| {
            matches!(change, Change::Insert { .. })
                && stuck.on.is_some_and(|id| *change.key() == Value::Uuid(id))
        };
        stuck.is_used = changes.iter().any(records);
    }
}

impl Taken {
    /// One from each of these budgets, and nothing else yet.
    pub(super) fn of(budgets: Vec<(Limit, String)>) -> Self {
        Self { budgets, ..Self::default() }
    }

    /// Pays, where it costs something, and takes one of what may be sent to `to`.
    pub(super) async fn send(
        &mut self,
        ctx: &Ctx,
        to: &str,
        at: Option<Destination>,
        share: Share,
        known: bool,
    ) -> Result<()> {
        if let Some(at) = at {
            spending::pay(ctx, &at, known).await?;
            self.money = Some((at, known));
        }
        self.send = Some(take_send(ctx, to, share).await?);
        Ok(())
    }

    /// Gives all of it back. What cannot be, counts as sent.
    pub(super) async fn give_back(&self, ctx: &Ctx) {
        let Self { budgets, send, money } = self;
        for (limit, of) in budgets {
            put_back(ctx, *limit, of).await;
        }
        if let Some((to, known)) = money {
            spending::give_back(ctx, to, *known).await;
        }
        let Some((of, sent)) = send else { return };
        let returned = ctx.decide(async |_| {
            let Some(seen) = ctx.app.store.get::<Sends>(of.clone()).await? else { return Ok(answer(())) };
            Ok(answer(()).update(&seen.with(|sends| sends.log.put_back(sent))))
        });
        if let Err(error) = returned.await {
            tracing::warn!(problem = ?error.problem, "what was not sent counts as sent");
        }
    }
}

/// Gives back what was `paid` for something that is not done: what else it takes could not be had.
pub async fn give_back(ctx: &Ctx, paid: Vec<&Postage>) {
    for postage in paid {
        postage.taken.give_back(ctx).await;
    }
}

/// [`Ctx::decide`] about what is sent with the postage that was `paid`: what the decision does not use is given
/// back. So of many who ask for the same at once, those who come too late have used up nothing.
///
/// # Errors
/// Those of [`Ctx::decide`].
pub async fn decide<'p, T, F>(
    ctx: &Ctx,
    paid: impl Fn() -> Vec<&'p Postage>,
    attempt: impl Fn(Moment) -> F,
) -> Result<T>
where
    F: Future<Output = Result<Decision<T>>>,
{
    let outcome = ctx
        .decide(async |moment| {
            let decision = attempt(moment).await;
            look(&paid(), decision.as_ref().map_or(&[][..], |decision| &decision.changes));
            decision
        })
        .await;
    // Others were quicker each time: nothing was written.
    let in_vain = outcome.as_ref().is_err_and(|error| error.problem == Problem::Busy);
    let unused = paid().into_iter().filter(|postage| in_vain || !postage.stuck().is_used).collect();
    Box::pin(give_back(ctx, unused)).await;
    outcome
}

fn look(paid: &[&Postage], changes: &[Change]) {
    paid.iter().for_each(|postage| postage.look(changes));
}
