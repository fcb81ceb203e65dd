//! `vestibule keys`: the keys that seal secrets in the database, and the key that signs access tokens.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Outcome, Settings, house, say};
use crate::clock::Clock;
use crate::keys::actions::{Turn, turn as turn_keys};
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
    /// Put a new key for signing access tokens in the place of the present one.
    ///
    /// It is published at once and signs after `tokens.publish_ahead`; the old one stays published until
    /// the last token that it signed has expired.
    Rotate {
        /// The new key signs at once, and what the old ones have signed no longer counts: for a key that
        /// somebody else may know. Servers that run hear of it within 30 seconds.
        #[arg(long)]
        revoke: bool,
        #[command(flatten)]
        settings: Settings,
    },
}

/// Makes a key or lists those that are configured; never shows one that is.
pub async fn run(options: &Options) -> Outcome {
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
        What::Rotate { revoke, settings } => {
            let ctx = house::enter(settings)?;
            let turn = if *revoke { Turn::Revoking } else { Turn::Asked };
            let made = turn_keys(&ctx, turn).await.map_err(house::sentence)?;
            let made = made.ok_or("No key was made: another one was, at the same moment.")?;
            say(&format!("{}  {}  signs from {}", made.id, made.algorithm, made.active_from))
        }
    }
}

fn id_of(key: &Secret) -> &str {
    key.expose().split_once(':').map_or("?", |(id, _)| id)
}
