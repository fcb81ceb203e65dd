//! What runs in the background: sending what is due, sweeping away what has expired.

use std::time::Duration;

use crate::app::Ctx;
use crate::audit::chain;
use crate::error::Result;
use crate::messages::Channel;
use crate::worker::Task;
use crate::{administration, calls, events, keys, messages, organizations, profile, revocations, schema};

/// Every background task of the house.
pub fn all() -> Vec<Task> {
    vec![
        Task {
            name: "messages-sms",
            every: Duration::from_secs(1),
            heeds: true,
            run: |ctx| Box::pin(async move { messages::actions::run_due(&ctx, Channel::Sms).await }),
        },
        Task {
            name: "messages-call",
            every: Duration::from_secs(1),
            heeds: true,
            run: |ctx| Box::pin(async move { messages::actions::run_due(&ctx, Channel::Call).await }),
        },
        Task {
            name: "messages-email",
            every: Duration::from_secs(1),
            heeds: true,
            run: |ctx| Box::pin(async move { messages::actions::run_due(&ctx, Channel::Email).await }),
        },
        Task {
            name: "messages-look-after",
            every: Duration::from_secs(15),
            heeds: false,
            run: |ctx| Box::pin(async move { messages::actions::look_after(&ctx).await }),
        },
        Task {
            name: "purge",
            every: Duration::from_secs(300),
            heeds: false,
            run: |ctx| Box::pin(async move { profile::purge_due(&ctx).await }),
        },
        Task {
            name: "organizations",
            every: Duration::from_secs(300),
            heeds: false,
            run: |ctx| Box::pin(async move { organizations::actions::remove_ended(&ctx).await }),
        },
        Task {
            name: "calls",
            every: Duration::from_secs(1),
            heeds: true,
            run: |ctx| Box::pin(async move { calls::actions::run_due(&ctx).await }),
        },
        Task {
            name: "keys",
            every: Duration::from_secs(60),
            heeds: false,
            run: |ctx| Box::pin(async move { keys::actions::tend(&ctx).await }),
        },
        Task {
            name: "events",
            every: Duration::from_secs(1),
            heeds: true,
            run: |ctx| Box::pin(async move { events::run_due(&ctx).await }),
        },
        Task {
            name: "revocations",
            every: Duration::from_secs(5),
            heeds: true,
            run: |ctx| Box::pin(async move { revocations::actions::tend(&ctx).await }),
        },
        Task {
            name: "audit",
            every: Duration::from_secs(5),
            heeds: false,
            run: |ctx| Box::pin(async move { chain::seal(&ctx).await }),
        },
        Task {
            name: "administration",
            every: Duration::from_secs(60),
            heeds: false,
            run: |ctx| Box::pin(async move { administration::tend(&ctx).await }),
        },
        Task {
            name: "figures",
            every: Duration::from_secs(15),
            heeds: false,
            run: |ctx| Box::pin(async move { administration::overview::show(&ctx).await }),
        },
        Task {
            name: "sweep",
            every: Duration::from_secs(60),
            heeds: false,
            run: |ctx| Box::pin(async move { sweep(&ctx).await }),
        },
    ]
}

/// Rows of one table that are deleted in one commit: few enough that nobody waits behind them.
const AT_ONCE: usize = 500;

/// Commits for one table in one sweep: a thousand rows a second, more than strangers can make.
const ROUNDS: usize = 120;

/// Deletes what has expired; returns how much that was. Only housekeeping: whoever reads a record
/// looks at its expiry itself.
///
/// # Errors
/// The store's.
pub async fn sweep(ctx: &Ctx) -> Result<usize> {
    // Events go by whole blocks of their chain, and none that is not in it.
    chain::seal_all(ctx).await?;
    let mut swept = chain::purge(ctx, ctx.now - *ctx.app.config.audit.keep).await?;
    for table in schema::tables() {
        for _ in 0..ROUNDS {
            let gone = ctx.app.store.sweep(table, ctx.now, AT_ONCE).await?;
            let gone = usize::try_from(gone).unwrap_or(usize::MAX);
            swept += gone;
            if gone < AT_ONCE {
                break;
            }
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_has_sent_what_is_due_and_nobody_cleans_the_house() {
        let heeding: Vec<_> = all().iter().filter(|task| task.heeds).map(|task| task.name).collect();
        assert_eq!(
            heeding,
            ["messages-sms", "messages-call", "messages-email", "calls", "events", "revocations"]
        );
    }
}
