//! `vestibule seed`: people for the database that development mode keeps.

use std::path::PathBuf;

use clap::Args;

use super::{Outcome, Settings, develop, house, say};
use crate::app::Ctx;
use crate::clock::Clock;
use crate::moving::seed::{self, Lives};
use crate::random::Random;

/// How many people, and where.
#[derive(Args)]
pub struct Options {
    /// How many people.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=seed::MOST))]
    users: u64,
    /// Which people: the same number makes the same ones.
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Only the people, with their names and factors: no sessions, messages, calls or organisations.
    #[arg(long)]
    people_only: bool,
    /// Directory of development mode.
    #[arg(long, value_name = "DIRECTORY", default_value = "./vestibule-data")]
    data: PathBuf,
    /// Also when there are users already.
    #[arg(long)]
    add: bool,
    /// Also in a database that the settings name and that is not that of development mode.
    #[arg(long)]
    anywhere: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Fills the database, when it is one to play with.
pub async fn run(options: &Options) -> Outcome {
    let (directory, key) = develop::prepare(&options.data, &Random::System)?;
    let own = format!("sqlite:{directory}/vestibule.db");
    let mut given = options.settings.given();
    given.mode = vec![("store.url", own.clone()), ("secrets.keys", key.expose().to_owned())];
    let mut settings = given.load().map_err(|faults| faults.to_string())?;
    let is_own = matches!(settings.config.store.url.expose().strip_prefix(own.as_str()), Some(""));
    if !is_own && !options.anywhere {
        return Err(
            "The settings name a database that is not development mode's: people who never were do not \
                    belong among others. --anywhere puts them there all the same."
                .to_owned(),
        );
    }
    if settings.config.server.origin.is_empty() {
        settings.config.server.origin = "http://localhost".to_owned();
    }
    let engine = house::open(&settings.config)?;
    house::migrate(&engine).await?;
    let ctx = Ctx::new(house::build(settings, engine, Clock::System)?, None);
    if !options.add && !seed::is_empty(&ctx).await.map_err(house::sentence)? {
        return Err(
            "There are users in this database already: --add puts more beside them, with another --seed."
                .into(),
        );
    }
    let lives = if options.people_only { Lives::Bare } else { Lives::Whole };
    let seed = u64::from(options.seed);
    let made = seed::fill(&ctx, options.users, seed, lives).await.map_err(house::sentence)?;
    let made = made.ok_or(
        "These people are in this database already, or somebody has a name or number of theirs: another --seed makes \
         others. Those before the first of whom it is so are there.",
    )?;
    say(&format!(
        "{} users, {} sessions, {} messages, {} calls, {} organisations with {} open invitations.\n\
         The first one is {}, an administrator, who owns the first organisation. Everybody's password: {}\n\
         Every authenticator app's key: {}. Codes by text message arrive at /dev/phone.",
        made.users,
        made.sessions,
        made.messages,
        made.calls,
        made.organizations,
        made.invitations,
        seed::admin(seed),
        seed::PASSWORD,
        seed::TOTP_KEY
    ))
}
