//! `vestibule audit`: looks at the chain over what happened.

use clap::{Args, Subcommand};

use super::{Outcome, Settings, house, say};
use crate::audit::chain;
use crate::profile;

/// What to do.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Look at every block and every event: says which was altered, removed or put in.
    Verify {
        /// Number and digest of a block, as this command printed them before: it must still be there.
        #[arg(long, value_name = "NUMBER:DIGEST")]
        head: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
}

/// Looks, and fails when anything is not as it was sealed.
pub async fn run(options: &Options) -> Outcome {
    let What::Verify { head, settings } = &options.what;
    let ctx = &house::enter(settings).await?;
    let known = head.as_deref().map(|text| {
        let (number, digest) = text.split_once(':')?;
        Some((number.parse().ok()?, digest))
    });
    let known = match known {
        Some(None) => return Err("--head is a number and a digest, such as 12:9f86d0….".to_owned()),
        Some(known) => known,
        None => None,
    };
    let report = chain::verify(ctx, known, async |user| profile::is_gone(ctx, user).await)
        .await
        .map_err(house::sentence)?;
    say(&format!(
        "Blocks: {}, of which {} have lost their events to `audit.keep`. Events sealed: {}, waiting: {}.",
        report.blocks, report.purged, report.events, report.waiting
    ))?;
    for (key, blocks) in &report.keys {
        say(&format!("Sealed under the key {key}: {blocks}."))?;
    }
    if report.late > 0 {
        say(&format!(
            "{} events say that they happened more than an hour before the block before theirs was sealed.",
            report.late
        ))?;
    }
    if let Some((number, digest)) = &report.head {
        say(&format!("Keep this somewhere else: --head {number}:{digest}"))?;
    }
    if report.faults.is_empty() {
        return say("Everything is as it was sealed.");
    }
    let faults = report.faults.iter().map(|fault| format!("Block {} {}.", fault.block, fault.what));
    Err(faults.collect::<Vec<_>>().join("\n"))
}
