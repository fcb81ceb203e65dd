//! What the commands share: opening the database, taking the port, running until told to stop.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::Outcome;
use super::reload;
use super::settings::{Given, Settings};
use crate::app::{App, Ctx};
use crate::clock::Clock;
use crate::config::{Config, Figures, Server};
use crate::error::Error;
use crate::http::Loops;
use crate::http::entrance::Entrance;
use crate::random::Random;
use crate::store::{Engine, migrations};
use crate::{http, tasks, worker};

/// Opens the database that the settings name. A server is first spoken to when it is needed.
pub fn open(config: &Config) -> Result<Engine, String> {
    let store = &config.store;
    Engine::open(store.url.expose(), store.connections).map_err(|error| format!("store.url: {error}."))
}

/// Holds the SQLite file for this server alone, until what is returned is dropped or the process ends, however it does:
/// limits are counted in its memory, and beside another one they would count twice. Commands work beside it. The file of
/// the database itself cannot be locked: whoever closes it loses the locks of SQLite.
pub fn alone(config: &Config) -> Result<Option<File>, String> {
    let Some(path) = config.store.sqlite_path() else { return Ok(None) };
    // The same file under whatever name.
    let path = Path::new(path).canonicalize().map_err(|error| format!("store.url: {path}: {error}."))?;
    let mut lock = path.clone().into_os_string();
    lock.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&lock);
    let locked = file.map_err(TryLockError::Error).and_then(|file| file.try_lock().map(|()| file));
    match locked {
        Ok(file) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(format!(
            "{} is served by another process, and a SQLite file has one server: stop that one, or choose another database.",
            path.display()
        )),
        Err(TryLockError::Error(error)) => Err(format!("{} cannot be locked: {error}.", lock.display())),
    }
}

/// The file of the database, when it is not there. Opening it would make it.
pub fn missing(config: &Config) -> Option<PathBuf> {
    let path = Path::new(config.store.sqlite_path()?);
    (!path.exists()).then(|| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// Opens the database, which must be there and in the shape that this program expects: for what looks at a house or
/// changes something in it, and makes none.
pub async fn found(config: &Config) -> Result<Engine, String> {
    if let Some(path) = missing(config) {
        return Err(format!(
            "There is no database at {}: name it with --config or VESTIBULE_STORE, or make one with `vestibule migrate`.",
            path.display()
        ));
    }
    let engine = open(config)?;
    let pending = migrations::plan(&engine).await.map_err(|error| format!("The database: {error}."))?;
    let names: Vec<_> = pending.iter().map(|migration| migration.name).collect();
    if names.is_empty() {
        return Ok(engine);
    }
    Err(format!(
        "The database is not in the shape that this program expects; {} is missing. Is it the right one (--config, \
         VESTIBULE_STORE)? `vestibule migrate` brings it to that shape.",
        names.join(", ")
    ))
}

/// Brings the database to the shape that this program expects, and says what was done.
pub async fn migrate(engine: &Engine) -> Result<Vec<&'static str>, String> {
    let applied = migrations::apply(engine)
        .await
        .map_err(|error| format!("The database was not migrated: {error}."))?;
    Ok(applied.into_iter().map(|migration| migration.name).collect())
}

/// Where people come in, and where the figures are shown when that is a place of its own.
pub struct Doors {
    /// For people.
    pub front: TcpListener,
    /// For whoever gathers the figures.
    figures: Option<TcpListener>,
}

/// Takes the ports.
pub async fn listen(server: &Server) -> Result<Doors, String> {
    let (address, bound) = (server.listen, TcpListener::bind(server.listen).await);
    let front = bound.map_err(|error| refused(address, error.kind(), &error.to_string()))?;
    let figures = match server.metrics {
        Figures::At(address) => {
            let bound = TcpListener::bind(address).await;
            Some(
                bound
                    .map_err(|error| format!("server.metrics: {address} cannot be listened on: {error}."))?,
            )
        }
        _ => None,
    };
    Ok(Doors { front, figures })
}

fn refused(address: SocketAddr, kind: ErrorKind, reason: &str) -> String {
    match kind {
        ErrorKind::AddrInUse => {
            let next = SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8080));
            format!(
                "{address} is taken by another program: stop that one, or choose another port with --listen {next}."
            )
        }
        ErrorKind::PermissionDenied => {
            format!(
                "{address} is reserved: choose a port from 1024 on with --listen, and let the proxy in front have {}.",
                address.port()
            )
        }
        ErrorKind::AddrNotAvailable => {
            format!(
                "{address} is not an address of this machine: choose one that is with --listen, or 0.0.0.0 for all."
            )
        }
        _ => format!("{address} cannot be listened on: {reason}."),
    }
}

/// Builds the house over a database in shape.
pub fn build(settings: Settings, engine: Engine, clock: Clock) -> Result<Arc<App>, String> {
    App::build(settings.config, settings.policy, engine, clock, Random::System)
}

/// The house as a command enters it that works on the records beside a server.
pub async fn enter(settings: &super::Settings) -> Result<Ctx, String> {
    let mut loaded = settings.given().load().map_err(|faults| faults.to_string())?;
    // Where development mode shows itself, which alone may leave it out: links are made from here as well.
    if loaded.config.server.origin.is_empty() {
        loaded.config.server.origin = format!("http://{}", loaded.config.server.listen);
    }
    let engine = found(&loaded.config).await?;
    Ok(Ctx::new(build(loaded, engine, Clock::System)?, None))
}

/// A failure of the house, for the operator.
pub fn sentence(error: Error) -> String {
    let told = error.detail.as_deref().unwrap_or(error.problem.title());
    match &error.cause {
        Some(cause) => format!("{told} {cause}."),
        None => told.to_owned(),
    }
}

/// The least that what the workers have begun gets to finish, when requests have used up `drain_timeout`.
const AT_LEAST: Duration = Duration::from_secs(5);

/// Serves until the process is told to stop (SIGINT or SIGTERM), then lets requests in progress finish, and what
/// the workers have begun.
/// Meanwhile a policy that changes in the files that `given` names takes the place of the old one.
pub async fn serve(app: Arc<App>, doors: Doors, entrance: Entrance, given: &Given<'_>) -> Outcome {
    let told = |kind| signal(kind).map_err(|error| format!("Signals cannot be received: {error}."));
    let (mut interrupt, mut terminate) = (told(SignalKind::interrupt())?, told(SignalKind::terminate())?);
    let (stopping, stopped) = watch::channel(false);
    let told_at = &OnceLock::new();
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        told_at.get_or_init(Instant::now);
        stopping.send_replace(true);
    };
    if let Some(warning) = http::make_room(&app.config) {
        tracing::warn!("{warning}");
    }
    // Kept until the workers have stopped: what a request has begun to hold open, others go on using.
    let loops =
        Loops::start().map_err(|error| format!("The server's threads cannot be started: {error}."))?;
    let workers = worker::start(&app, tasks::all());
    let figures = show(Arc::clone(&app), doors.figures, stopped);
    let serving = http::serve(Arc::clone(&app), doors.front, entrance, &loops, stop);
    let serving = async { _ = tokio::join!(serving, figures) };
    tokio::select! {
        () = serving => {}
        never = reload::keep(&app, &app.config.policy, given, reload::EVERY) => match never {},
    }
    // After the last request, so that what it left to do is begun before the next start.
    let spent = told_at.get().map_or(Duration::ZERO, Instant::elapsed);
    workers.stop(app.config.server.drain_timeout.saturating_sub(spent).max(AT_LEAST)).await;
    Ok(())
}

/// Shows the figures on a listener of their own, when there is one, until `stopped`.
async fn show(app: Arc<App>, listener: Option<TcpListener>, mut stopped: watch::Receiver<bool>) {
    let Some(listener) = listener else { return };
    let entrance = http::router::figures(&app);
    let stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
    http::serve(app, listener, entrance, &Loops::here(), stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;

    #[test]
    fn what_is_said_of_this_very_case_is_told() {
        let error = || Error::new(Problem::NotAllowed);
        assert_eq!(sentence(error().detail("There is a password.")), "There is a password.");
        assert_eq!(sentence(error()), Problem::NotAllowed.title());
    }

    #[tokio::test]
    async fn a_taken_port_is_told_with_a_way_out() {
        let mut server = Config::from_toml("server.listen = \"127.0.0.1:0\"").unwrap().server;
        let first = listen(&server).await.unwrap();
        let address = first.front.local_addr().unwrap();
        server.listen = address;
        let told = listen(&server).await.err().unwrap();
        assert!(
            told.starts_with(&format!("{address} is taken by another program"))
                && told.contains("--listen 127.0.0.1:"),
            "{told}"
        );
    }

    #[test]
    fn other_refusals_are_told_too() {
        let told = |kind| refused(([127, 0, 0, 1], 80).into(), kind, "reason");
        assert!(told(ErrorKind::PermissionDenied).contains("a port from 1024 on"));
        assert!(told(ErrorKind::AddrNotAvailable).contains("not an address of this machine"));
        assert_eq!(told(ErrorKind::Other), "127.0.0.1:80 cannot be listened on: reason.");
    }
}
