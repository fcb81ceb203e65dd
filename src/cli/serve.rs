//! `vestibule serve`: production. What is not safe does not start.

use clap::Args;

use super::{Outcome, Settings, house};
use crate::clock::Clock;
use crate::config::{unheard, unsafe_settings};
use crate::{http, log};

/// How to serve.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    settings: Settings,
    /// Address to listen on instead of the configured one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

/// Serves people until told to stop.
pub async fn run(options: &Options) -> Outcome {
    let given = options.settings.given().listen(options.listen.as_deref());
    let settings = given.clone().load().map_err(|faults| faults.to_string())?;
    let needs = settings.policy.needs();
    let found = unsafe_settings(&settings.config, needs);
    if !found.is_empty() {
        return Err(format!(
            "This would not be safe in production, so it does not start. To try it on this machine, run `vestibule` \
             alone.\n{}",
            found.join("\n")
        ));
    }
    let _log = log::start(&settings.config.log)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    for warning in unheard(&settings.config, needs) {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = settings.config.spending.warning() {
        tracing::warn!("{warning}");
    }
    let doors = house::listen(&settings.config.server).await?;
    let engine = house::open(&settings.config)?;
    let _alone = house::alone(&settings.config)?;
    for name in house::migrate(&engine).await? {
        tracing::info!(migration = name, "the database was migrated");
    }
    let app = house::build(settings, engine, Clock::System)?;
    let address =
        doors.front.local_addr().map_err(|error| format!("The listener has no address: {error}."))?;
    tracing::info!(listen = %address, origin = app.origin.as_str(), "serving");
    let entrance = http::router::production(&app)?;
    house::serve(app, doors, entrance, &given).await
}
