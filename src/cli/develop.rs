//! `vestibule` alone: development mode. Nothing to prepare, nothing that leaves this machine.
//!
//! Every code is shown to whoever asks, so it never listens on anything but loopback.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::settings::Given;
use super::{Outcome, Settings, house, say};
use crate::clock::Clock;
use crate::config::{Config, Period};
use crate::dev::{Dev, mail};
use crate::policy::{Carry, IdentifierKind, Policy, When};
use crate::random::Random;
use crate::secret::{Keyring, Secret};
use crate::{http, log};

/// How to develop.
#[derive(Args)]
pub struct Options {
    /// Address to listen on, on this machine [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Directory for everything that is kept: database and sealing key.
    #[arg(long, value_name = "DIRECTORY", default_value = "./vestibule-data")]
    data: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

/// Serves this machine until told to stop.
pub async fn run(options: &Options) -> Outcome {
    let (directory, key) = prepare(&options.data, &Random::System)?;
    let given = Given {
        mode: vec![
            ("store.url", format!("sqlite:{}", database(&directory))),
            ("secrets.keys", key.expose().to_owned()),
        ],
        dotenv: Some(Path::new(".env")),
        ..options.settings.given()
    };
    let given = given.listen(options.listen.as_deref());
    let mut settings = given.clone().load().map_err(|faults| faults.to_string())?;
    let _log = log::start(&settings.config.log)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    only_here(settings.config.server.listen)?;
    let doors = house::listen(&settings.config.server).await?;
    let address =
        doors.front.local_addr().map_err(|error| format!("The listener has no address: {error}."))?;
    settings.config.develop_at(address, &Random::System);
    let (mails, sink) =
        mail::listen().await.map_err(|error| format!("There is no port for mails to arrive at: {error}."))?;
    if !settings.config.smtp.is_configured() {
        settings.config.smtp.sink_at(sink);
    }
    // An open phone page always waits for its next message: Ctrl-C should not wait for it.
    let drain = &mut settings.config.server.drain_timeout;
    *drain = (*drain).min(Period(Duration::from_secs(1)));
    let engine = house::open(&settings.config)?;
    let _alone = house::alone(&settings.config)?;
    house::migrate(&engine).await?;
    let app = house::build(settings, engine, Clock::ahead())?;
    say(&greeting(address, &kept(&app.config, &directory), &app.policy()))?;
    let dev = Dev::default();
    dev.receive_mail(&app, mails);
    let entrance = http::router::development(&app, dev)?;
    house::serve(app, doors, entrance, &given).await
}

fn only_here(address: SocketAddr) -> Outcome {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "Development mode shows every code to whoever asks, so it listens on this machine only and not on {address}: \
         use --listen 127.0.0.1:{}, or `vestibule serve` for everybody else.",
        address.port()
    ))
}

/// Makes the directory and the sealing key when they are missing; both for this user alone.
pub(super) fn prepare(data: &Path, random: &Random) -> Result<(String, Secret), String> {
    let shown = data.display();
    let failed = |error| format!("The directory {shown} cannot be used: {error}.");
    let Some(directory) = data.to_str() else {
        return Err(format!(
            "The directory {shown} has a name that is not UTF-8: choose another one with --data."
        ));
    };
    if !data.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed)?;
    }
    let path = data.join("secret.key");
    let known = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("The file {} cannot be read: {error}.", path.display())),
    };
    // An empty file is a start that was cut short: nothing can have been sealed with it.
    if !known.is_empty() {
        return Ok((directory.to_owned(), Secret::new(known)));
    }
    let key = Keyring::generate("dev", random);
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).and_then(
            |mut file| {
                writeln!(file, "{}", key.expose())?;
                file.sync_all()
            },
        );
    written.map_err(|error| format!("The file {} cannot be written: {error}.", path.display()))?;
    Ok((directory.to_owned(), key))
}

fn database(directory: &str) -> String {
    format!("{directory}/vestibule.db")
}

/// Where the records are, unless that may tell a password, and how to be rid of them.
fn kept(config: &Config, directory: &str) -> String {
    match config.store.sqlite_path() {
        Some(path) if path == database(directory) => format!("{directory}   delete it to start afresh"),
        Some(path) => path.to_owned(),
        None => "on the server that store.url names".to_owned(),
    }
}

fn greeting(address: SocketAddr, kept: &str, policy: &Policy) -> String {
    let (told, steps) = journey(address, policy);
    format!(
        r#"
Vestibule {version} in development mode, for this machine only. Stop it with Ctrl-C.

  API    http://{address}/api/v1
  docs   http://{address}/docs
  phone  http://{address}/dev/phone   codes and mails arrive here unless a provider is configured
  data   {kept}

{told}

{steps}"#,
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// What to try first under this policy, in words and as commands.
fn journey(address: SocketAddr, policy: &Policy) -> (&'static str, String) {
    let request = |path: &str, body: &str| {
        format!(
            "  curl http://{address}/api/v1{path} -H 'content-type: application/json' -d '\n    {{{body}}}'\n"
        )
    };
    let value = |kind: &IdentifierKind| match kind {
        IdentifierKind::Username => "alice",
        IdentifierKind::Email => "alice@example.com",
        IdentifierKind::Mobile => "+12015550123",
    };
    let (required, verified) = (&policy.sign_up.required, &policy.sign_up.verified);
    // A number that nobody has shown to be theirs names nobody.
    let by = required.iter().find(|kind| **kind != IdentifierKind::Mobile);
    let password = r#""password": "violet kettle forty moons""#;
    let names: String = required.iter().map(|kind| format!(r#""{kind}": "{}", "#, value(kind))).collect();
    // A cookie needs a page.
    let carry = if policy.session.carry == Carry::Cookie { r#", "session": "bearer""# } else { "" };
    let identifier = by.map_or("+12015550123", value);
    let sign_up = request("/users", &format!("{names}{password}"));
    let sign_in = request("/auth/login", &format!(r#""identifier": "{identifier}", {password}{carry}"#));
    let code = request("/auth/verify-code", r#""challenge": "…", "code": "…""#);
    if by.is_none() || !verified.is_empty() {
        let told = "Sign up: the answer holds a challenge, and the phone its code. Then sign in.";
        let again = if policy.sign_in.second.when == When::Always { code.as_str() } else { "" };
        return (told, format!("{sign_up}{code}{sign_in}{again}"));
    }
    match policy.sign_in.second.when {
        When::Always => {
            let told = "Sign up, then sign in: the answer holds a challenge, and the phone its code.";
            (told, format!("{sign_up}{sign_in}{code}"))
        }
        _ => ("Sign up, then sign in: the answer holds the token.", format!("{sign_up}{sign_in}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_listens_on_this_machine_only() {
        for here in ["127.0.0.1:8080", "127.1.2.3:1", "[::1]:8080", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(only_here(here.parse().unwrap()), Ok(()), "{here}");
        }
        for open in ["0.0.0.0:8080", "[::]:8080", "192.168.1.5:80", "203.0.113.1:80"] {
            let told = only_here(open.parse().unwrap()).unwrap_err();
            assert!(told.contains("this machine only"), "{told}");
        }
    }

    #[test]
    fn the_key_is_made_once_and_for_this_user_alone() {
        let root = std::env::temp_dir().join(format!("vestibule-develop-{}", std::process::id()));
        let data = root.join("a/b");
        let (directory, first) = prepare(&data, &Random::seeded(1)).unwrap();
        let (_, second) = prepare(&data, &Random::seeded(2)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let modes = (mode(&data), mode(&data.join("secret.key")));
        std::fs::write(data.join("secret.key"), "").unwrap();
        let (_, third) = prepare(&data, &Random::seeded(3)).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(directory, data.to_str().unwrap());
        assert_eq!(first.expose(), second.expose());
        assert_ne!(first.expose(), third.expose());
        assert_eq!(modes, (0o700, 0o600));
        assert!(Keyring::parse(&[third]).is_ok());
    }

    #[test]
    fn the_greeting_says_where_to_look() {
        let told = greeting("127.0.0.1:9".parse().unwrap(), "./data", &Policy::default_policy());
        for place in ["http://127.0.0.1:9/docs", "http://127.0.0.1:9/dev/phone", "/api/v1/users", "./data"] {
            assert!(told.contains(place), "{place}: {told}");
        }
    }

    #[test]
    fn nobody_is_told_to_delete_what_does_not_hold_the_records() {
        let of = |url: &str| kept(&Config::from_toml(&format!("store.url = \"{url}\"")).unwrap(), "./data");
        assert_eq!(of("sqlite:./data/vestibule.db"), "./data   delete it to start afresh");
        assert_eq!(of("sqlite:other.db"), "other.db");
        assert_eq!(of("postgres://me:secret@host/name"), "on the server that store.url names");
    }

    #[test]
    fn the_greeting_is_that_of_the_policy() {
        let of = |text: &str| {
            greeting("127.0.0.1:9".parse().unwrap(), "./data", &Policy::from_toml(text).unwrap())
        };
        let count = |told: &str| told.matches("/auth/verify-code").count();
        let preset = |name: &str| of(crate::policy::preset(name).unwrap());
        assert_eq!((count(&of("")), of("").contains("the answer holds a challenge")), (1, true));
        assert!(!of("").contains("\"session\""));
        let sms = preset("sms-2fa");
        assert!(count(&sms) == 1 && sms.contains("\"session\": \"bearer\""), "{sms}");
        for name in ["bearer", "calls", "optional-otp"] {
            let told = preset(name);
            assert!(count(&told) == 0 && told.contains("the answer holds the token"), "{told}");
            assert!(!told.contains("\"mobile\""), "{told}");
        }
        // The address first, then the sign-in; no second factor.
        let told = preset("sessions");
        let at = |text: &str| told.find(text).unwrap();
        assert!(count(&told) == 1 && at("/auth/verify-code") < at("/auth/login"), "{told}");
        let told = of("sign_up.required = [\"mobile\"]");
        assert_eq!(count(&told), 2, "{told}");
    }
}
