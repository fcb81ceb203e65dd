//! `vestibule admin`: for emergencies, on the machine that has the database.

use clap::{Args, Subcommand};

use super::{Outcome, Settings, house, say};
use crate::administration::actions;
use crate::error::Problem;

/// What to do.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Let the locked factors of a user take guesses again.
    Unlock {
        /// The username, e-mail address or mobile number that they sign in with.
        identifier: String,
        #[command(flatten)]
        settings: Settings,
    },
}

/// Works on the database that the settings name, beside a server or without one.
pub async fn run(options: &Options) -> Outcome {
    let What::Unlock { identifier, settings } = &options.what;
    let unlocked = actions::unlock(&house::enter(settings)?, identifier).await;
    match unlocked {
        Ok(count) => say(&format!("Factors unlocked: {count}.")),
        Err(error) if error.problem == Problem::NotFound => Err("Nobody signs in with that.".to_owned()),
        Err(error) => Err(house::sentence(error)),
    }
}
