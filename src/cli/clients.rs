//! `vestibule clients`: services that may ask what a token stands for.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Outcome, Settings, house, say};
use crate::clients;
use crate::error::Problem;
use crate::text;

/// What to do.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Register a service, and print its id and its secret. The secret is shown once.
    Add {
        /// What people call it.
        name: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// List the services that are registered.
    List(Settings),
    /// Remove a service. It is refused from then on.
    Remove {
        /// Its id.
        id: String,
        #[command(flatten)]
        settings: Settings,
    },
}

/// Works on the database that the settings name, beside a server or without one.
pub async fn run(options: &Options) -> Outcome {
    match &options.what {
        What::Add { name, settings } => {
            let name = text::name(name).map_err(|wrong| format!("--name: {}", wrong.message))?;
            let (client, secret) =
                clients::add(&house::enter(settings).await?, &name).await.map_err(house::sentence)?;
            say(&format!("client_id      {}", client.id))?;
            say(&format!("client_secret  {}", secret.reveal()))?;
            let _ = writeln!(std::io::stderr(), "Keep the secret now: only its hash is stored.");
            Ok(())
        }
        What::List(settings) => {
            let (ctx, mut after) = (house::enter(settings).await?, None);
            loop {
                let page = clients::list(&ctx, after).await.map_err(house::sentence)?;
                for client in &page.items {
                    say(&format!("{}  {}  {}", client.id, client.created_at, client.name))?;
                }
                match page.next {
                    None => return Ok(()),
                    next => after = next,
                }
            }
        }
        What::Remove { id, settings } => {
            let none = || format!("There is no client `{id}`; `vestibule clients list` shows them.");
            let parsed = id.parse().map_err(|_| none())?;
            clients::remove(&house::enter(settings).await?, parsed).await.map_err(|error| {
                match error.problem {
                    Problem::NotFound => none(),
                    _ => house::sentence(error),
                }
            })
        }
    }
}
