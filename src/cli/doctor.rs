//! `vestibule doctor`: looks at everything that a start depends on, and changes nothing.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings;
use super::{Outcome, Settings, house, say};
use crate::app::Origin;
use crate::breached::Breached;
use crate::broker::Broker;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, unheard, unsafe_settings};
use crate::hashing::{Hashing, Keys};
use crate::http::make_room;
use crate::mailer::Mailer;
use crate::money::Rates;
use crate::outbound::Outbound;
use crate::random::Random;
use crate::sealing;
use crate::secret::{Keyring, Peppers, Secret};
use crate::shared::Shared;
use crate::store::sealed::Holding;
use crate::store::{Engine, Store, migrations, schema};
use crate::templates::Templates;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Fine,
    Warn,
    Bad,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fine => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        })
    }
}

/// What was looked at, and what was seen.
struct Finding(Verdict, &'static str, String);

impl Finding {
    fn fine(what: &'static str, sentence: impl Into<String>) -> Self {
        Self(Verdict::Fine, what, sentence.into())
    }
    fn warn(what: &'static str, sentence: impl Into<String>) -> Self {
        Self(Verdict::Warn, what, sentence.into())
    }
    fn bad(what: &'static str, sentence: impl Into<String>) -> Self {
        Self(Verdict::Bad, what, sentence.into())
    }
}

/// Prints a line for each finding. Fails when one of them is bad.
pub async fn run(options: &Settings) -> Outcome {
    let file = options.config.as_deref();
    let mut found = Vec::new();
    match options.given().load() {
        Err(faults) => found.extend(faults.0.into_iter().map(|fault| Finding::bad("settings", fault))),
        Ok(loaded) => {
            found.extend(settings(&loaded));
            found.extend(make_room(&loaded.config).map(|sentence| Finding::warn("server", sentence)));
            found.extend(keys(&loaded.config));
            found.extend(hashing(&loaded.config).await);
            found.extend(spending(&loaded.config));
            found.extend(breached(&loaded.config));
            found.extend(files(file, &loaded.config));
            found.extend(store(&loaded.config).await);
            found.extend(shared(&loaded.config).await);
            found.extend(mail(&loaded.config).await);
            found.extend(pages(&loaded.config));
            found.extend(broker(&loaded.config));
            found.extend(outbound(&loaded.config));
        }
    }
    found.push(clock(Clock::System.now()));
    for Finding(verdict, what, sentence) in &found {
        say(&format!("{verdict:<4}  {what:<8}  {sentence}"))?;
    }
    match found.iter().filter(|finding| finding.0 == Verdict::Bad).count() {
        0 => Ok(()),
        1 => Err("1 problem must be fixed.".to_owned()),
        bad => Err(format!("{bad} problems must be fixed.")),
    }
}

fn settings(loaded: &settings::Settings) -> Vec<Finding> {
    let needs = loaded.policy.needs();
    let dangers = unsafe_settings(&loaded.config, needs);
    let mut found: Vec<Finding> =
        dangers.into_iter().map(|danger| Finding::bad("settings", danger)).collect();
    found.extend(loaded.warnings.iter().map(|warning| Finding::warn("settings", warning)));
    found
        .extend(unheard(&loaded.config, needs).into_iter().map(|warning| Finding::warn("settings", warning)));
    if found.is_empty() {
        found.push(Finding::fine("settings", "Settings and policy are sound."));
    }
    found
}

/// The host of the origin; what is wrong with that is told among the settings.
fn host(config: &Config) -> String {
    let origin = Origin::parse(&config.server.origin);
    origin.map_or_else(|_| "localhost".to_owned(), |origin| origin.host().to_owned())
}

fn pages(config: &Config) -> Option<Finding> {
    let error = Templates::configured(&config.pages, &host(config)).err()?;
    Some(Finding::bad("pages", format!("{error}.")))
}

fn broker(config: &Config) -> Option<Finding> {
    let error = Broker::configured(config.events.amqp.expose(), &config.events.exchange).err()?;
    Some(Finding::bad("events", format!("{error}.")))
}

fn outbound(config: &Config) -> Option<Finding> {
    let server = &config.server;
    let error = Outbound::new(server.outbound_allow.clone(), *server.outbound_timeout).err()?;
    Some(Finding::bad("server", format!("{error}.")))
}

async fn mail(config: &Config) -> Vec<Finding> {
    let smtp = &config.smtp;
    let place = format!("{}:{}", smtp.host, smtp.port);
    let found = match Mailer::new(smtp, &host(config)) {
        Ok(None) => return Vec::new(),
        Err(error) => Finding::bad("mail", format!("{error}.")),
        Ok(Some(mailer)) => match mailer.test().await {
            Ok(()) => Finding::fine("mail", format!("{place} lets us in.")),
            Err(error) => Finding::bad("mail", format!("{place} does not let us in: {error}.")),
        },
    };
    vec![found]
}

fn keys(config: &Config) -> Vec<Finding> {
    let keys = &config.secrets.keys;
    if keys.is_empty() {
        // Already told among the settings.
        return Vec::new();
    }
    let context = ["doctor"];
    let works = Keyring::parse(keys).map(|ring| {
        let sealed = ring.seal(&context, b"sealed", &Random::System);
        ring.open(&context, &sealed).is_some_and(|opened| opened.as_slice() == b"sealed")
    });
    vec![match works {
        Ok(true) => Finding::fine("keys", format!("{} configured; the first one seals.", keys.len())),
        Ok(false) => Finding::bad("keys", "What the first key seals cannot be opened again."),
        Err(error) => Finding::bad("keys", format!("secrets.keys: {error}.")),
    }]
}

async fn hashing(config: &Config) -> Vec<Finding> {
    let settings = &config.hashing;
    let cost = settings.cost();
    let engine = match Hashing::start(cost, 1, Duration::from_secs(60), settings.portable, Keys::default()) {
        Ok(engine) => engine,
        Err(error) => return vec![Finding::bad("hashing", format!("{error}."))],
    };
    let hashed = engine.hash(Secret::new("doctor"), Random::System.bytes()).await;
    vec![match hashed {
        Ok(_) => {
            Finding::fine("hashing", format!("The self-test passed; a hash takes {} KiB.", cost.memory_kib))
        }
        Err(error) => Finding::bad("hashing", format!("A password cannot be hashed: {error}")),
    }]
}

fn spending(config: &Config) -> Option<Finding> {
    let rates = Rates::configured(&config.spending.rates).err();
    rates
        .map(|fault| Finding::bad("spending", format!("{fault}.")))
        .or_else(|| config.spending.warning().map(|sentence| Finding::warn("spending", sentence)))
}

fn breached(config: &Config) -> Option<Finding> {
    match Breached::configured(&config.password.breached) {
        Ok(None) => None,
        Ok(Some(filter)) => {
            let (count, size) = (filter.count(), filter.megabytes());
            let sentence =
                format!("The filter knows {count} breached passwords and takes {size} MB of memory.");
            Some(Finding::fine("password", sentence))
        }
        Err(error) => Some(Finding::bad("password", format!("{error}."))),
    }
}

async fn store(config: &Config) -> Vec<Finding> {
    let bad = |sentence: String| vec![Finding::bad("store", sentence)];
    // Opening a SQLite file makes it when it is missing, and looking should leave no trace.
    if let Some(path) = house::missing(config) {
        let sentence = format!("The file {} does not exist yet; the first start makes it.", path.display());
        return vec![Finding::warn("store", sentence)];
    }
    let engine = match house::open(config) {
        Ok(engine) => engine,
        Err(error) => return bad(error),
    };
    let pending = match migrations::plan(&engine).await {
        Ok(pending) => pending,
        Err(error) => return bad(format!("{error}.")),
    };
    if !pending.is_empty() {
        let names: Vec<_> = pending.iter().map(|migration| migration.name).collect();
        let sentence = format!("Migrations are pending and run at the next start: {}.", names.join(", "));
        return vec![Finding::warn("store", sentence)];
    }
    let mut found = compared(engine.clone()).await;
    if found.iter().all(|finding| finding.0 == Verdict::Fine) {
        found.extend(sealed(config, &engine).await);
        found.extend(peppered(config, &engine).await);
    }
    found
}

/// What nobody can open any more, since its key was taken away.
async fn sealed(config: &Config, engine: &Engine) -> Vec<Finding> {
    let held = match sealing::held(engine).await {
        Ok(held) => held,
        Err(error) => {
            return vec![Finding::bad("keys", format!("What the keys hold is not known: {error}."))];
        }
    };
    let Ok(ring) = Keyring::parse(&config.secrets.keys) else { return Vec::new() };
    let lost = held.iter().filter(|one| !ring.ids().any(|id| id == one.key));
    let say = |one: &Holding| {
        format!(
            "{} in {} can be opened only with the key {}: put it back below the others in secrets.keys.",
            one.count, one.table, one.key
        )
    };
    lost.map(|one| Finding::bad("keys", say(one))).collect()
}

/// What fits nothing any more, since its pepper was taken away.
async fn peppered(config: &Config, engine: &Engine) -> Vec<Finding> {
    let held = match sealing::peppered(engine).await {
        Ok(held) => held,
        Err(error) => {
            return vec![Finding::bad("keys", format!("What the peppers went into is not known: {error}."))];
        }
    };
    let Ok(peppers) = Peppers::parse(&config.secrets.peppers) else { return Vec::new() };
    let lost = held.iter().filter(|one| peppers.named(&one.key).is_none());
    let say = |one: &Holding| {
        format!(
            "{} in {} can be right only with the pepper {}: put it back below the others in secrets.peppers.",
            one.count, one.table, one.key
        )
    };
    lost.map(|one| Finding::bad("keys", say(one))).collect()
}

async fn compared(engine: Engine) -> Vec<Finding> {
    let mut found = match schema::differences(&engine, &crate::schema::tables()).await {
        Ok(differences) => {
            differences.into_iter().map(|each| Finding::bad("store", format!("The {each}."))).collect()
        }
        Err(error) => vec![Finding::bad("store", format!("The tables cannot be compared: {error}."))],
    };
    if let Err(error) = Store::new(engine, Random::System).health().await {
        found.push(Finding::bad("store", format!("{error}.")));
    }
    if found.is_empty() {
        found.push(Finding::fine(
            "store",
            "The database answers and has the shape that this program expects.",
        ));
    }
    found
}

async fn shared(config: &Config) -> Option<Finding> {
    let found = match Shared::open(&config.shared) {
        Err(error) => Finding::bad("shared", format!("{error}.")),
        Ok(shared) => match shared.health().await? {
            Ok(()) => Finding::fine("shared", "The server of shared counters answers and counts."),
            Err(error) => {
                Finding::bad("shared", format!("{error}; each node counts its part of every limit alone."))
            }
        },
    };
    Some(found)
}

/// The day before which this program did not exist, and one that no machine of today should name.
const SANE: (i64, i64) = (1_767_225_600_000, 4_102_444_800_000);

fn clock(now: Timestamp) -> Finding {
    if (SANE.0..SANE.1).contains(&now.as_millis()) {
        Finding::fine("clock", format!("It is {now}."))
    } else {
        Finding::bad(
            "clock",
            format!("It says {now}: codes and sessions would end at the wrong time. Set it by NTP."),
        )
    }
}

fn files(config_file: Option<&Path>, config: &Config) -> Vec<Finding> {
    let mut paths: Vec<PathBuf> = config_file.map(Path::to_path_buf).into_iter().collect();
    paths.extend(config.store.sqlite_path().map(PathBuf::from));
    // The policy may be read by everybody: it is no secret.
    paths.extend(std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str().filter(|name| *name != "VESTIBULE_POLICY_FILE")?;
        (name.starts_with("VESTIBULE_") && name.ends_with("_FILE")).then(|| value.into())
    }));
    let modes =
        paths.iter().filter_map(|path| Some((path, std::fs::metadata(path).ok()?.permissions().mode())));
    let mut found: Vec<Finding> = modes.filter_map(|(path, mode)| permissions(path, mode)).collect();
    if found.is_empty() {
        found.push(Finding::fine("files", "Nobody else can read or change the files."));
    }
    found
}

fn permissions(path: &Path, mode: u32) -> Option<Finding> {
    let path = path.display();
    if mode & 0o002 != 0 {
        Some(Finding::bad(
            "files",
            format!("{path} can be changed by everybody on this machine: chmod 600 {path}."),
        ))
    } else if mode & 0o004 != 0 {
        Some(Finding::warn(
            "files",
            format!("{path} can be read by everybody on this machine: chmod 600 {path}."),
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_others_can_read_or_change_are_told() {
        let verdict = |mode| permissions(Path::new("x"), mode).map(|finding| finding.0);
        assert_eq!(verdict(0o100_600), None);
        assert_eq!(verdict(0o100_640), None, "a group may be meant");
        assert_eq!(verdict(0o100_644), Some(Verdict::Warn));
        assert_eq!(verdict(0o100_602), Some(Verdict::Bad));
    }

    #[test]
    fn a_clock_that_was_never_set_is_told() {
        assert_eq!(clock(Timestamp::from_millis(0)).0, Verdict::Bad);
        assert_eq!(clock("2030-01-01T00:00:00Z".parse().unwrap()).0, Verdict::Fine);
        assert_eq!(clock("2100-01-01T00:00:00Z".parse().unwrap()).0, Verdict::Bad);
    }

    #[test]
    fn a_filter_that_cannot_be_used_is_told() {
        let with = |path: &str| {
            let mut config = Config::from_toml("").unwrap();
            config.password.breached = path.to_owned();
            breached(&config).map(|finding| (finding.0, finding.2))
        };
        assert_eq!(with(""), None);
        for path in ["/nowhere/at/all", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            let (verdict, sentence) = with(path).unwrap();
            assert_eq!(verdict, Verdict::Bad);
            assert!(sentence.contains(path), "{sentence}");
        }
    }

    #[test]
    fn verdicts_stand_in_a_column() {
        assert_eq!(format!("{:<4}|", Verdict::Fine), "ok  |");
    }
}
