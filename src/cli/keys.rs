//! `vestibule keys`: the keys that seal secrets in the database, and the key that signs access tokens.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Outcome, Settings, house, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::keys::actions::{Turn, turn as turn_keys};
use crate::random::Random;
use crate::sealing;
use crate::secret::{Keyring, Secret};
use crate::store::sealed::Holding;

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
    /// List the sealing keys by name, and what each of them still holds.
    List(Settings),
    /// Seal anew under the first key what lasts, so that older keys may go.
    ///
    /// Every server must have the new key by then. It may run beside them, and again.
    Reseal(Settings),
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
                          the older keys below it: they still open what they sealed, until `vestibule keys reseal` \
                          and `vestibule keys list` say that they hold nothing any more.";
            let _ = writeln!(std::io::stderr(), "{advice}");
            Ok(())
        }
        What::List(settings) => {
            let loaded = settings.given().load().map_err(|faults| faults.to_string())?;
            let keys = &loaded.config.secrets.keys;
            if keys.is_empty() {
                return Err("secrets.keys is empty: `vestibule keys generate` prints a key.".to_owned());
            }
            let held = held(&loaded.config).await;
            let lines = lines(&keys.iter().map(id_of).collect::<Vec<_>>(), held.as_deref().ok());
            lines.iter().try_for_each(|line| say(line))?;
            held.map(drop)
        }
        What::Reseal(settings) => {
            let ctx = house::enter(settings).await?;
            let count = sealing::reseal(&ctx).await.map_err(house::sentence)?;
            say(&format!("Sealed anew: {count}. `vestibule keys list` shows what is left."))
        }
        What::Rotate { revoke, settings } => {
            let ctx = house::enter(settings).await?;
            let turn = if *revoke { Turn::Revoking } else { Turn::Asked };
            let made = turn_keys(&ctx, turn).await.map_err(house::sentence)?;
            let made = made.ok_or("No key was made: another one was, at the same moment.")?;
            say(&format!("{}  {}  signs from {}", made.id, made.algorithm, made.active_from))
        }
    }
}

async fn held(config: &Config) -> Result<Vec<Holding>, String> {
    let engine =
        house::found(config).await.map_err(|why| format!("What the keys hold is not known. {why}"))?;
    sealing::held(&engine).await.map_err(|error| format!("What the keys hold is not known: {error}."))
}

/// A line for each key that is configured, and for each that is not and holds something. Without `held`, what
/// they hold is not known.
fn lines(configured: &[&str], held: Option<&[Holding]>) -> Vec<String> {
    let mut ids = configured.to_vec();
    for one in held.unwrap_or_default() {
        if !ids.contains(&one.key.as_str()) {
            ids.push(&one.key);
        }
    }
    let line = |(at, id): (usize, &&str)| {
        let does = match at {
            0 => "seals and opens",
            at if at < configured.len() => "opens",
            _ => "is not configured",
        };
        let Some(held) = held else { return format!("{id}  {does}") };
        let parts = held.iter().filter(|one| one.key == *id);
        let parts: Vec<_> = parts.map(|one| format!("{} in {}", one.count, one.table)).collect();
        let holds = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
        format!("{id}  {does:<17}  holds {holds}")
    };
    ids.iter().enumerate().map(line).collect()
}

fn id_of(key: &Secret) -> &str {
    key.expose().split_once(':').map_or("?", |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_holds_something_has_a_line() {
        let one = |key: &str, table, count| Holding { key: key.to_owned(), table, count };
        let held = [one("old", "factors", 3), one("gone", "factors", 1), one("old", "messages", 2)];
        assert_eq!(
            lines(&["new", "old"], Some(&held)),
            [
                "new  seals and opens    holds nothing",
                "old  opens              holds 3 in factors, 2 in messages",
                "gone  is not configured  holds 1 in factors",
            ]
        );
        assert_eq!(lines(&["new", "old"], None), ["new  seals and opens", "old  opens"]);
    }
}
