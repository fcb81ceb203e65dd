//! `vestibule migrate`: the database's shape.

use clap::{Args, Subcommand};

use super::{Outcome, Settings, house, say};
use crate::store::migrations;

/// What to do.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum What {
    /// Print what would be done, as SQL, and do nothing.
    Plan(Settings),
}

/// Applies what is pending, or prints it.
pub async fn run(options: &Options) -> Outcome {
    let (settings, plan_only) = match &options.what {
        Some(What::Plan(settings)) => (settings, true),
        None => (&options.settings, false),
    };
    let loaded = settings.given().load().map_err(|faults| faults.to_string())?;
    if plan_only {
        // Looking leaves no trace: a file that is not there lacks everything.
        let pending = match house::missing(&loaded.config) {
            Some(_) => migrations::EMBEDDED.sqlite.iter().collect(),
            None => migrations::plan(&house::open(&loaded.config)?)
                .await
                .map_err(|error| format!("The database: {error}."))?,
        };
        for migration in &pending {
            say(&format!("-- {}\n{}", migration.name, migration.text.trim_end()))?;
        }
        if pending.is_empty() {
            say("-- Nothing to do.")?;
        }
        return Ok(());
    }
    let applied = house::migrate(&house::open(&loaded.config)?).await?;
    for name in &applied {
        say(&format!("applied {name}"))?;
    }
    if applied.is_empty() { say("Nothing to do.") } else { Ok(()) }
}
