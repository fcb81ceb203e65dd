//! `vestibule service-accounts`: programs that ask this server something by themselves, and their keys.

use std::io::Write;

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::{Outcome, Settings, house, say};
use crate::error::{Error, Problem};
use crate::service_accounts::Scope;
use crate::service_accounts::actions::{self, By, KEY_DAYS, Wanted};

/// What to do.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a service account, and print its id.
    Add {
        /// What people call it.
        name: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// List service accounts with their keys.
    List(Settings),
    /// Remove a service account. Its keys are refused from then on.
    Remove {
        /// Its id.
        id: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Make an API key, and print it. It is shown once.
    Key {
        /// The id of the service account.
        id: String,
        /// What people call the key.
        name: String,
        /// What it may do: revocations.read, events.read, introspect. Several are separated by commas.
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        /// For how many days, 1 to 365.
        #[arg(long, default_value_t = KEY_DAYS)]
        days: u32,
        #[command(flatten)]
        settings: Settings,
    },
    /// Revoke an API key. It is refused from then on.
    Revoke {
        /// The id of the key, as `vestibule service-accounts list` shows it.
        id: String,
        #[command(flatten)]
        settings: Settings,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    let all = || Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
    Scope::of_word(text).ok_or_else(|| format!("There is no scope `{text}`; there are {}.", all()))
}

fn id(text: &str, what: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| missing(text, what))
}

fn missing(text: &str, what: &str) -> String {
    format!("There is no {what} `{text}`; `vestibule service-accounts list` shows them.")
}

fn sentence(error: Error, text: &str, what: &str) -> String {
    match (error.problem, error.fields.first()) {
        (Problem::NotFound, _) => missing(text, what),
        (Problem::Invalid, Some(field)) => field.message.to_string(),
        _ => house::sentence(error),
    }
}

/// Works on the database that the settings name, beside a server or without one.
pub async fn run(options: &Options) -> Outcome {
    let (account, key) = ("service account", "API key");
    match &options.what {
        What::Add { name, settings } => {
            let made = actions::make(&house::enter(settings).await?, &By::Operator, name).await;
            let made = made.map_err(|error| sentence(error, name, account))?;
            say(&made.id.to_string())
        }
        What::List(settings) => {
            let (ctx, mut after) = (house::enter(settings).await?, None);
            loop {
                let page = actions::list(&ctx, after, 50).await.map_err(house::sentence)?;
                for one in &page.items {
                    say(&format!("{}  {}  {}", one.id, one.created_at, one.name))?;
                    for key in actions::keys(&ctx, one.id).await.map_err(house::sentence)? {
                        let scopes: Vec<_> = key.scopes.0.iter().map(|scope| scope.as_str()).collect();
                        let used = key.used_at.map_or("never used".to_owned(), |at| format!("used {at}"));
                        let (id, until, name) = (key.id, key.expires_at, &key.name);
                        say(&format!("    {id}  until {until}  {used}  {}  {name}", scopes.join(",")))?;
                    }
                }
                match page.next {
                    None => return Ok(()),
                    next => after = next,
                }
            }
        }
        What::Remove { id: text, settings } => {
            let removed =
                actions::remove(&house::enter(settings).await?, &By::Operator, id(text, account)?).await;
            removed.map_err(|error| sentence(error, text, account))
        }
        What::Key { id: text, name, scopes, days, settings } => {
            let scopes = scopes.iter().map(|text| scope(text)).collect::<Result<_, _>>()?;
            let wanted = Wanted { name: name.clone(), scopes, days: *days };
            let ctx = house::enter(settings).await?;
            let made = actions::issue(&ctx, &By::Operator, id(text, account)?, wanted).await;
            let (made, token) = made.map_err(|error| sentence(error, text, account))?;
            say(&token.reveal())?;
            let told = format!(
                "Key {} lasts until {}. Keep it now: only its hash is stored.",
                made.id, made.expires_at
            );
            let _ = writeln!(std::io::stderr(), "{told}");
            Ok(())
        }
        What::Revoke { id: text, settings } => {
            let revoked =
                actions::revoke(&house::enter(settings).await?, &By::Operator, id(text, key)?).await;
            revoked.map_err(|error| sentence(error, text, key))
        }
    }
}
