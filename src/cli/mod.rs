//! The command line: one file a command, and no rule of its own.
//!
//! Results go to standard output, everything else to standard error. What goes wrong is told in
//! sentences, without a backtrace. Exit codes: 0 done, 1 it failed, 2 it was called wrongly.

mod admin;
mod audit;
mod clients;
mod develop;
mod doctor;
mod export;
mod health;
mod house;
mod import;
mod keys;
mod migrate;
mod openapi;
mod passwords;
mod policy;
mod reload;
mod seed;
mod serve;
mod service_accounts;
mod settings;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use settings::Given;

/// Accounts backend: sign-up, sign-in, sessions. Without a command: development mode, on this machine only.
#[derive(Parser)]
#[command(name = "vestibule", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    develop: develop::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server in production.
    Serve(serve::Options),
    /// Bring the database to the shape that this program expects.
    Migrate(migrate::Options),
    /// Look for what is wrong with settings, database, keys, clock and files.
    Doctor(Settings),
    /// Say whether the server on this machine can serve, and fail when it cannot: for probes.
    Health(health::Options),
    /// Print the OpenAPI document.
    Openapi(openapi::Options),
    /// Take in the users of another system, with their password hashes.
    Import(Box<import::Options>),
    /// Hand out everything that is stored, one JSON object on each line.
    Export(export::Options),
    /// Fill a database for development with people who never were.
    Seed(seed::Options),
    /// Make the first administrator; suspend, restore and help users.
    Admin(admin::Options),
    /// Verify that the audit log was not altered.
    Audit(audit::Options),
    /// Check, explain and try out the policy.
    Policy(policy::Options),
    /// Make, list and change the keys that seal secrets in the database; change the key that signs access tokens.
    Keys(keys::Options),
    /// Services that may ask what a token stands for.
    Clients(clients::Options),
    /// Programs that ask this server something by themselves, and their API keys.
    ServiceAccounts(service_accounts::Options),
    /// Make a filter of passwords that were stolen elsewhere.
    Passwords(passwords::Options),
}

/// Where the settings come from.
#[derive(Args)]
struct Settings {
    /// File with settings; the environment wins over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Shipped policy: sms-2fa, bearer, sessions, optional-otp or calls.
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
}

impl Settings {
    /// The layers that this command line and the environment name.
    fn given(&self) -> Given<'_> {
        Given::new(self.config.as_deref()).preset(self.preset.as_deref())
    }
}

/// What became of a command: done, or sentences about why not, one a line.
type Outcome = Result<(), String>;

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and the version come this way too, and are no mistake.
            let _ = usage.print();
            return ExitCode::from(if usage.use_stderr() { 2 } else { 0 });
        }
    };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("The runtime cannot be started: {error}."))
        .and_then(|runtime| runtime.block_on(execute(cli)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentences) => {
            let _ = writeln!(std::io::stderr(), "{sentences}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(cli: Cli) -> Outcome {
    match cli.command {
        None => develop::run(&cli.develop).await,
        Some(Command::Serve(options)) => serve::run(&options).await,
        Some(Command::Migrate(options)) => migrate::run(&options).await,
        Some(Command::Doctor(options)) => doctor::run(&options).await,
        Some(Command::Health(options)) => health::run(&options).await,
        Some(Command::Openapi(options)) => openapi::run(&options),
        Some(Command::Import(options)) => import::run(&options).await,
        Some(Command::Export(options)) => export::run(&options).await,
        Some(Command::Seed(options)) => seed::run(&options).await,
        Some(Command::Admin(options)) => admin::run(&options).await,
        Some(Command::Audit(options)) => audit::run(&options).await,
        Some(Command::Policy(options)) => policy::run(&options),
        Some(Command::Keys(options)) => keys::run(&options).await,
        Some(Command::Clients(options)) => clients::run(&options).await,
        Some(Command::ServiceAccounts(options)) => service_accounts::run(&options).await,
        Some(Command::Passwords(options)) => passwords::run(&options),
    }
}

/// Prints a line of result. A reader that has gone away has seen enough.
fn say(line: &str) -> Outcome {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("The result cannot be printed: {error}."))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_understood() {
        for line in [
            "vestibule",
            "vestibule --listen 127.0.0.1:9000 --data /tmp/x --config x.toml",
            "vestibule serve --config vestibule.toml --listen 0.0.0.0:80",
            "vestibule migrate --config x.toml",
            "vestibule migrate plan --config x.toml",
            "vestibule doctor --config x.toml",
            "vestibule openapi",
            "vestibule health --listen 127.0.0.1:8080",
            "vestibule openapi --postman",
            "vestibule import --csv users.csv --map email=mail --set email_verified=true --dry-run",
            "vestibule import --json - --source old --config x.toml",
            "vestibule import --from-postgres @url --query @users.sql --with-roles",
            "vestibule import sessions --csv sessions.csv --source old --keep-ids --dry-run --config x.toml",
            "vestibule export --out all.jsonl --with-hashes --open-with key --config x.toml",
            "vestibule seed --users 100 --seed 7 --data x",
            "vestibule --preset bearer",
            "vestibule policy check --preset sms-2fa",
            "vestibule policy explain user.email.change --config x.toml",
            "vestibule policy simulate password.change --has password,sms --locked totp --shown password@5m --role admin",
            "vestibule policy table",
            "vestibule admin unlock ada --config x.toml",
            "vestibule admin create --username ada --email ada@example.com --mobile +12025550143 --role admin --config x.toml",
            "vestibule admin grant ada admin --config x.toml",
            "vestibule admin revoke ada admin",
            "vestibule admin suspend ada --reason spam --for 7d --config x.toml",
            "vestibule admin restore ada",
            "vestibule admin end-sessions ada",
            "vestibule admin list",
            "vestibule audit verify --head 12:9f86 --config x.toml",
            "vestibule keys generate --id next",
            "vestibule passwords filter list.txt --out breached.filter",
            "vestibule keys list --config x.toml",
            "vestibule keys reseal --config x.toml",
            "vestibule keys rotate --revoke --config x.toml",
            "vestibule clients add orders --config x.toml",
            "vestibule clients list --config x.toml",
            "vestibule clients remove 0194 --config x.toml",
            "vestibule service-accounts add orders --config x.toml",
            "vestibule service-accounts list --config x.toml",
            "vestibule service-accounts key 0194 first --scopes revocations.read,introspect --days 30",
            "vestibule service-accounts revoke 0194",
            "vestibule service-accounts remove 0194",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "vestibule import",
            "vestibule import --csv a --json b",
            "vestibule import --from-postgres postgres://x",
            "vestibule server",
            "vestibule --port 1",
            "vestibule --data x serve",
            "vestibule keys",
        ] {
            assert!(
                Cli::try_parse_from(line.split(' ')).is_err_and(|error| error.exit_code() == 2),
                "{line}"
            );
        }
    }
}
