//! Word of what other nodes have changed: PostgreSQL's `LISTEN` and `NOTIFY`.
//!
//! A commit that touches records which may be kept sends their places with `NOTIFY` in its own
//! transaction: the word is out if and only if the commit is, whoever is killed in between. Each
//! node listens on a connection of its own and moves the marks that are named.
//!
//! Silence proves nothing, so the channel is asked to prove itself: a *beat* is a word to oneself.
//! The server delivers words in the order of their commits, so when a beat comes back, everything
//! that was committed before it was sent has come, too. What is kept counts for half a second after
//! the last beat that came back was sent ([`super::kept`]); the first look after that asks for
//! another. Nothing beats while nobody asks.
//!
//! Always: on a new connection everything is forgotten before anything is trusted. Never: trust in a
//! pooler that keeps no session, since no beat comes back through it.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls, Notification, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Change;
use super::kept::{Marks, Place, told};

/// Sends `$1` to every node. The channel's name is that of the schema, so that several houses may
/// live in one database, as a hash, so that it fits.
pub(super) const TELL: &str = "SELECT pg_notify('vestibule_' || md5(current_schema()), $1)";

/// Begins to listen; answers with the number of the server's process, which names one's own beats.
const LISTEN: &str = "DO $$ BEGIN EXECUTE 'LISTEN vestibule_' || md5(current_schema()); \
    EXECUTE 'LISTEN vestibule_beat_' || pg_backend_pid(); END $$";

/// A word to oneself. Nothing is written, so nothing waits for a disk.
const BEAT: &str = "SELECT pg_notify('vestibule_beat_' || pg_backend_pid(), $1)";

/// What is said when the places are too many, or nobody knows them.
const ALL: &str = "all";

/// The server takes words of up to 8,000 bytes; a place is five.
const PLACES: usize = 1_500;

/// How long the server may take to connect, or to give a beat back, before the connection is given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between tries to connect: at first, and at most.
const PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(500)];

/// After so long everything is read again: what somebody changes by hand, past this program, tells
/// nobody.
const BY_HAND: Duration = Duration::from_secs(10);

/// The channel as one node sees it.
#[derive(Debug)]
pub(super) struct Channel {
    shared: Arc<Shared>,
    /// The one task that listens; ended with the channel.
    listener: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    tls: Option<Tls>,
    marks: Arc<Marks>,
    /// Somebody would like to use what is kept.
    asked: Notify,
    /// Microseconds that the last beat took to come back.
    lag: AtomicU64,
    /// Words from others and from oneself.
    words: AtomicU64,
    /// Connections made so far.
    connects: AtomicU64,
}

#[derive(Clone)]
struct Tls(MakeRustlsConnect);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// How the channel is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChannelState {
    /// Whether what is kept may be used at this moment.
    pub trusted: bool,
    /// How long the last beat took to come back.
    pub lag: Duration,
    /// Words that came.
    pub words: u64,
    /// Connections that were made.
    pub connects: u64,
}

/// What the other nodes are told of `changes`; nothing when nobody keeps records of their kind.
pub(super) fn word(changes: &[Change]) -> Option<String> {
    let places = told(changes);
    if places.len() > PLACES {
        return Some(ALL.to_owned());
    }
    let words: Vec<_> = places.iter().map(|place| format!("{place:x}")).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Does what a word says. What nobody understands may mean anything: a newer node may say more.
fn heed(marks: &Marks, word: &str) {
    let places: Result<Vec<Place>, _> = word.split(' ').map(|part| Place::from_str_radix(part, 16)).collect();
    match places {
        Ok(places) => marks.forget(&places),
        Err(_) => marks.forget_all(),
    }
}

impl Channel {
    pub(super) fn new(config: Config, tls: Option<MakeRustlsConnect>, marks: Arc<Marks>) -> Self {
        let shared = Shared {
            config,
            tls: tls.map(Tls),
            marks,
            asked: Notify::new(),
            lag: AtomicU64::default(),
            words: AtomicU64::default(),
            connects: AtomicU64::default(),
        };
        Self { shared: Arc::new(shared), listener: Mutex::default() }
    }

    /// Has the channel prove itself soon. Nobody waits for it. The first call begins to listen.
    pub(super) fn ask(&self) {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        // Ended: with the runtime that it ran in.
        while listener.try_join_next().is_some() {}
        if listener.is_empty() {
            listener.spawn(listen(Arc::clone(&self.shared)));
        }
        self.shared.asked.notify_one();
    }

    pub(super) fn state(&self) -> ChannelState {
        let shared = &self.shared;
        ChannelState {
            trusted: shared.marks.are_trusted_now(),
            lag: Duration::from_micros(shared.lag.load(Ordering::Relaxed)),
            words: shared.words.load(Ordering::Relaxed),
            connects: shared.connects.load(Ordering::Relaxed),
        }
    }
}

async fn listen(shared: Arc<Shared>) {
    let [mut pause, longest] = PAUSE;
    loop {
        let begun = Instant::now();
        let ended = shared.connected().await;
        // At once, not when the last beat is too old: from here on nothing would be told.
        shared.marks.distrust();
        if let Err(error) = ended {
            tracing::warn!(%error, "no word from other nodes: nothing that is kept in memory is used");
        }
        if begun.elapsed() > longest {
            [pause, _] = PAUSE;
        }
        sleep(pause).await;
        pause = longest.min(pause * 2);
    }
}

/// Why a connection was given up.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the server does not answer")]
    Silent,
    #[error("the server has closed the connection")]
    Closed,
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Shared {
    /// Connects and listens until the connection is lost.
    async fn connected(&self) -> Result<(), Lost> {
        let silent = |_| Lost::Silent;
        match (&self.tls, self.config.get_ssl_mode()) {
            (Some(Tls(tls)), mode) if mode != SslMode::Disable => {
                let connect = timeout(PATIENCE, self.config.connect(tls.clone()));
                let (client, connection) = connect.await.map_err(silent)??;
                self.over(client, connection).await
            }
            _ => {
                let (client, connection) =
                    timeout(PATIENCE, self.config.connect(NoTls)).await.map_err(silent)??;
                self.over(client, connection).await
            }
        }
    }

    async fn over<S>(&self, client: Client, mut connection: Connection<Socket, S>) -> Result<(), Lost>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let hears = async {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(word))) => self.hear(&word),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(Lost::Failed(error)),
                    None => return Err(Lost::Closed),
                }
            }
        };
        tokio::select! {
            lost = hears => lost,
            lost = self.beats(&client) => lost,
        }
    }

    fn hear(&self, word: &Notification) {
        // Only one's own beats come on a channel of that name.
        if word.channel().starts_with("vestibule_beat_") {
            if let Ok(clock) = word.payload().parse() {
                self.marks.looked(clock);
            }
            return;
        }
        self.words.fetch_add(1, Ordering::Relaxed);
        heed(&self.marks, word.payload());
    }

    async fn beats(&self, client: &Client) -> Result<(), Lost> {
        let silent = |_| Lost::Silent;
        timeout(PATIENCE, client.batch_execute(LISTEN)).await.map_err(silent)??;
        self.connects.fetch_add(1, Ordering::Relaxed);
        self.marks.forget_all();
        let mut forgot = Instant::now();
        let beat = timeout(PATIENCE, client.prepare(BEAT)).await.map_err(silent)??;
        loop {
            let (began, clock) = (Instant::now(), self.marks.clock().to_string());
            timeout(PATIENCE, client.execute(&beat, &[&clock])).await.map_err(silent)??;
            let lag = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.lag.store(lag, Ordering::Relaxed);
            if forgot.elapsed() >= BY_HAND {
                forgot = Instant::now();
                self.marks.forget_all();
            }
            self.asked.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::Others;
    use super::*;

    #[test]
    fn a_word_moves_what_it_names_and_one_that_is_not_understood_moves_everything() {
        let marks = Marks::new(Others::noticed());
        let before = marks.snapshot(&[0x1a, 0x2b, 0x3c]);
        heed(&marks, "1a 3c");
        let after = marks.snapshot(&[0x1a, 0x2b, 0x3c]);
        assert_ne!(before.1[0], after.1[0]);
        assert_eq!(before.1[1], after.1[1]);
        assert_ne!(before.1[2], after.1[2]);
        assert_eq!(before.0, after.0);
        for strange in [ALL, "", "1a zz", "10000", "1a  3c"] {
            let all = marks.snapshot(&[]).0;
            heed(&marks, strange);
            assert_ne!(all, marks.snapshot(&[]).0, "{strange:?}");
        }
    }
}
