//! `vestibule keys`: the keys that seal secrets in the database.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Outcome, Settings, say};
use crate::clock::Clock;
use crate::random::Random;
use crate::secret::{Keyring, Secret};

/// What to do.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Print a new key. Nothing else learns of it.
    Generate {
        /// Its name: 1 to 16 of a-z, 0-9 and -. By default the date.
        #[arg(long)]
        id: Option<String>,
    },
    /// List the configured keys by name.
    List(Settings),
}

/// Makes a key or lists those that are configured; never shows one that is.
pub fn run(options: &Options) -> Outcome {
    match &options.what {
        What::Generate { id } => {
            let today = Clock::System.now().to_string();
            let id = id.as_deref().or_else(|| today.get(..10)).unwrap_or("new");
            let key = Keyring::generate(id, &Random::System);
            // What cannot be read back must not be handed out.
            Keyring::parse(std::slice::from_ref(&key))?;
            say(key.expose())?;
            let advice = "Put it first in the file that VESTIBULE_SECRETS_KEYS_FILE names, one key on a line, and keep \
                          the older keys below it: they still open what they sealed.";
            let _ = writeln!(std::io::stderr(), "{advice}");
            Ok(())
        }
        What::List(settings) => {
            let loaded = settings.given().load().map_err(|faults| faults.to_string())?;
            let keys = &loaded.config.secrets.keys;
            if keys.is_empty() {
                return Err("secrets.keys is empty: `vestibule keys generate` prints a key.".to_owned());
            }
            for (at, key) in keys.iter().enumerate() {
                say(&format!("{}  {}", id_of(key), if at == 0 { "seals and opens" } else { "opens" }))?;
            }
            Ok(())
        }
    }
}

fn id_of(key: &Secret) -> &str {
    key.expose().split_once(':').map_or("?", |(id, _)| id)
}
