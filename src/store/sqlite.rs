//! The engine in a file: SQLite, for one machine.
//!
//! Readers run on the thread that asks, each thread with a connection of its own that can only
//! read. One writer thread owns the only connection that writes. It takes every commit that waits,
//! applies each alone – one that conflicts leaves no trace – and pays one fsync for all of them.
//! While a crowd has announced that it will commit, the first of a batch waits some milliseconds for others.
//!
//! Always: an answer leaves only after the `COMMIT` that it speaks of has reached the disk. Never:
//! a caller left waiting; when the writer is gone, its channel is closed, and that is an answer.

mod coming;
mod values;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::oneshot;

use super::entity::{Row, Table, Value};
use super::kept::{Marks, Others, places};
use super::query::Select;
use super::{Change, StoreError, sql};
use crate::clock::Timestamp;
pub use coming::Announced;
use coming::Coming;
pub(super) use values::Failure;
use values::{prepare, read_row};

/// The most commits that share one fsync: bounds how long the first of them waits for the last.
const BATCH: usize = 256;

/// How often the writer lets others run before it stops waiting for a batch as large as the last one.
const PATIENCE: usize = 40;

/// How long a commit waits for others while a crowd of them is coming: about as long as a password's hash takes.
const COMPANY: Duration = Duration::from_millis(8);

/// How long another process may hold the file before that is an error.
const BUSY: Duration = Duration::from_secs(5);

/// Prepared statements kept by each connection: some six per table and a few searches.
const STATEMENTS: usize = 512;

/// What the writer keeps of the file, in KiB. What it does not keep, the kernel does; a reader keeps SQLite's
/// usual 2 MiB, since every commit of another connection throws it away.
const CACHE: u32 = 8_192;

/// Pages that the write-ahead log gathers before they are moved into the file: 16 MB. Moving costs two
/// fsyncs, so rarer is faster; more makes the log slower to read.
const CHECKPOINT: u32 = 4_000;

/// Records in a SQLite file.
#[derive(Clone)]
pub struct Sqlite {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    jobs: Option<Sender<Job>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    marks: Arc<Marks>,
    coming: Arc<Coming>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sqlite").field(&self.inner.path).finish()
    }
}

thread_local! {
    /// This thread's reading connections, one for each open store.
    static READERS: RefCell<Vec<(Weak<Inner>, Connection)>> = const { RefCell::new(Vec::new()) };
}

impl Sqlite {
    /// Opens the file at `path`; makes it (mode 0600) and its folder when they are missing.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        create(path).map_err(StoreError::unavailable)?;
        // An absolute path still names the same file when the process changes its directory.
        let path = path.canonicalize().map_err(StoreError::unavailable)?;
        let connection = connect(&path, false)?;
        let (jobs, waiting) = mpsc::channel();
        let (marks, coming) = (Marks::new(Others::noticed()), Coming::new());
        let writer = Writer {
            connection,
            jobs: waiting,
            expected: 1,
            marks: marks.clone(),
            coming: coming.clone(),
            seen: None,
        };
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run())
            .map_err(StoreError::unavailable)?;
        let writer = Mutex::new(Some(writer));
        Ok(Self { inner: Arc::new(Inner { path, jobs: Some(jobs), writer, marks, coming }) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.inner.marks
    }

    pub(super) fn announce(&self) -> Announced {
        self.inner.coming.announce()
    }

    /// Has the writer look soon whether another process has written. Nobody waits for it.
    pub(super) fn look(&self) {
        let (reply, _) = oneshot::channel();
        if let Some(jobs) = &self.inner.jobs {
            // A writer that is gone looks no more, and then nothing that is kept counts.
            let _ = jobs.send(Job { work: Work::Look, reply });
        }
    }

    pub(super) async fn get(&self, table: &'static Table, key: &Value) -> Result<Option<Row>, StoreError> {
        self.read(|connection| {
            let mut statement = prepare(connection, &sql::of(table).get, [key])?;
            let mut rows = statement.raw_query();
            rows.next()?.map(|row| read_row(row, table)).transpose()
        })
    }

    pub(super) async fn find(&self, select: &Select) -> Result<Vec<Row>, StoreError> {
        self.read(|connection| {
            let window: Vec<_> = sql::window(select).collect();
            let parameters = sql::parameters(select).chain(&window);
            let mut statement = prepare(connection, sql::find(select), parameters)?;
            let mut rows = statement.raw_query();
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read_row(row, select.table)?);
            }
            Ok(found)
        })
    }

    pub(super) async fn commit(&self, changes: Vec<Change>, revision: i64) -> Result<(), StoreError> {
        self.write(Work::Commit { changes, revision }).await.map(drop)
    }

    pub(super) async fn sweep(
        &self,
        table: &'static Table,
        before: Timestamp,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.write(Work::Sweep { table, before, limit }).await
    }

    pub(super) async fn health(&self) -> Result<(), StoreError> {
        self.read(|connection| Ok(connection.execute_batch("SELECT 1")?))?;
        self.write(Work::Nothing).await.map(drop)
    }

    /// Reads on this very thread: a read by key takes some microseconds, less than handing it over.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        READERS.with_borrow_mut(|readers| {
            let mine = Arc::as_ptr(&self.inner);
            if !readers.iter().any(|(store, _)| std::ptr::eq(store.as_ptr(), mine)) {
                readers.retain(|(store, _)| store.strong_count() > 0);
                readers.push((Arc::downgrade(&self.inner), connect(&self.inner.path, true)?));
            }
            match readers.iter().find(|(store, _)| std::ptr::eq(store.as_ptr(), mine)) {
                Some((_, connection)) => Ok(work(connection)?),
                None => Err(gone()),
            }
        })
    }

    async fn write(&self, work: Work) -> Result<u64, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.inner.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job { work, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs = None;
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has nothing more to say; its callers have been told.
            let _ = writer.join();
        }
    }
}

fn gone() -> StoreError {
    StoreError::unavailable("the writer has stopped")
}

fn create(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // SQLite gives its log files the same mode.
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A connection to an existing file, set up as every connection is.
pub(super) fn connect(path: &Path, read_only: bool) -> Result<Connection, StoreError> {
    let open = || -> Result<Connection, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Otherwise a bound LIMIT makes SQLite plan a cached statement anew at every use.
        connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        if read_only {
            connection.execute_batch("PRAGMA query_only = ON;")?;
            return Ok(connection);
        }
        write_ahead(&connection)?;
        connection.execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; \
             PRAGMA cache_size = -{CACHE}; PRAGMA journal_size_limit = 67108864; \
             PRAGMA wal_autocheckpoint = {CHECKPOINT};"
        ))?;
        Ok(connection)
    };
    open().map_err(StoreError::from)
}

/// Turns the write-ahead log on. SQLite does not wait here when several open a new file together.
fn write_ahead(connection: &Connection) -> Result<(), Failure> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(StoreError::unavailable(format!("the file's journal stays {mode}")).into());
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && waited < BUSY => {
                waited += PAUSE;
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

// ---- the writer ----

enum Work {
    Commit { changes: Vec<Change>, revision: i64 },
    Sweep { table: &'static Table, before: Timestamp, limit: usize },
    Nothing,
    Look,
}

struct Job {
    work: Work,
    reply: oneshot::Sender<Result<u64, StoreError>>,
}

struct Writer {
    connection: Connection,
    jobs: Receiver<Job>,
    /// How many came together last time.
    expected: usize,
    marks: Arc<Marks>,
    coming: Arc<Coming>,
    /// SQLite's number for the file's content, which only other connections' commits change.
    seen: Option<i64>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            match first.work {
                Work::Look => self.look(),
                _ => self.batch(first),
            }
        }
        // Best effort: what is in the log is as durable as what is in the file.
        let _ = self.connection.execute_batch("PRAGMA busy_timeout = 500; PRAGMA wal_checkpoint(TRUNCATE);");
    }

    /// Forgets what is kept when others have written since the last look.
    fn look(&mut self) {
        let clock = self.marks.clock();
        let version = prepare(&self.connection, "PRAGMA data_version", []).and_then(|mut statement| {
            let mut rows = statement.raw_query();
            Ok(rows.next()?.map(|row| row.get::<_, i64>(0)).transpose()?)
        });
        // When it cannot be told, the last look counts no longer, and soon nothing is trusted.
        let Ok(Some(version)) = version else { return };
        if self.seen.replace(version) != Some(version) {
            self.marks.forget_all();
        }
        self.marks.looked(clock);
    }

    /// Applies `first` and all that wait with it in one transaction, then tells each what came of it.
    fn batch(&mut self, first: Job) {
        if matches!(first.work, Work::Commit { .. }) && self.coming.is_crowd() {
            std::thread::sleep(COMPANY);
        }
        let mut done: Vec<(Job, Result<u64, StoreError>)> = Vec::with_capacity(self.expected);
        let mut applied = 0;
        let mut next = Some(first);
        let mut broken = None;
        while let Some(job) = next.take().or_else(|| self.next(done.len())) {
            if matches!(job.work, Work::Look) {
                self.look();
                continue;
            }
            // Nobody waits for it any more: it has not begun, so it never happened.
            if job.reply.is_closed() {
                continue;
            }
            if let Err(Failure(error)) = self.begin() {
                broken = Some(error);
                // Whoever came meanwhile has waited for the same other process: not each as long once more.
                let waiting = std::iter::from_fn(|| self.jobs.try_recv().ok());
                let waiting = waiting.filter(|job| !matches!(job.work, Work::Look));
                done.extend(std::iter::once(job).chain(waiting).map(|job| (job, Ok(0))));
                break;
            }
            match self.apply(&job.work, applied > 0) {
                Ok(count) => {
                    applied += 1;
                    done.push((job, Ok(count)));
                }
                Err(Failure(error @ StoreError::Unavailable(_))) => {
                    broken = Some(error);
                    done.push((job, Ok(0)));
                    break;
                }
                Err(Failure(error)) => done.push((job, Err(error))),
            }
        }
        self.expected = done.len().max(1);

        let ended = match broken {
            None if self.connection.is_autocommit() => Ok(()),
            None => self.execute("COMMIT").map_err(|Failure(error)| error),
            Some(error) => Err(error),
        };
        match ended {
            Ok(()) => {}
            // A check that SQLite keeps for the end, such as a deferred foreign key, says no to one
            // of them: each must answer for itself.
            Err(StoreError::Misuse(_) | StoreError::Conflict) => {
                self.roll_back();
                for (job, outcome) in done.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
                    *outcome = self.alone(&job.work);
                }
            }
            Err(error) => {
                self.roll_back();
                tracing::error!(%error, commits = done.len(), "the store could not write");
                for (_, outcome) in done.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
                    *outcome = Err(StoreError::unavailable(error.to_string()));
                }
            }
        }
        for (job, _) in &done {
            if let Work::Commit { changes, .. } = &job.work {
                self.marks.forget(&places(changes));
            }
        }
        for (job, outcome) in done {
            let _ = job.reply.send(outcome);
        }
    }

    /// Another job for the running transaction. Those that were answered together come back
    /// together: to wait a moment for them is cheaper than a second fsync.
    fn next(&self, taken: usize) -> Option<Job> {
        if taken >= BATCH {
            return None;
        }
        for _ in 0..PATIENCE {
            if let Ok(job) = self.jobs.try_recv() {
                return Some(job);
            }
            if taken >= self.expected {
                return None;
            }
            std::thread::yield_now();
        }
        None
    }

    /// Begins a transaction, unless one is under way.
    fn begin(&self) -> Result<(), Failure> {
        if self.connection.is_autocommit() { self.execute("BEGIN IMMEDIATE") } else { Ok(()) }
    }

    /// Applies one piece of work inside the batch's transaction; when it fails, nothing of it stays.
    fn apply(&self, work: &Work, in_company: bool) -> Result<u64, Failure> {
        self.begin()?;
        // A statement that fails undoes itself, and the first of a batch can take all of it back.
        let several = matches!(work, Work::Commit { changes, .. } if changes.len() > 1);
        let guarded = several && in_company;
        if guarded {
            self.execute("SAVEPOINT one")?;
        }
        let outcome = self.perform(work);
        match &outcome {
            Ok(_) if guarded => self.execute("RELEASE one")?,
            // Some failures end the whole transaction, and what follows must not run outside of it.
            Err(_) if self.connection.is_autocommit() => {
                return Err(StoreError::unavailable("the database gave the transaction up").into());
            }
            Err(_) if guarded => {
                self.execute("ROLLBACK TO one").and_then(|()| self.execute("RELEASE one"))?
            }
            Err(_) if !in_company => self.execute("ROLLBACK")?,
            _ => {}
        }
        outcome
    }

    /// One piece of work in a transaction of its own.
    fn alone(&self, work: &Work) -> Result<u64, StoreError> {
        let outcome = self.apply(work, false).and_then(|count| self.execute("COMMIT").map(|()| count));
        if outcome.is_err() {
            self.roll_back();
        }
        Ok(outcome?)
    }

    fn perform(&self, work: &Work) -> Result<u64, Failure> {
        match work {
            Work::Nothing | Work::Look => Ok(0),
            Work::Sweep { table, before, limit } => {
                let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
                let parameters = [Value::Time(*before), Value::Int(limit)];
                let count = prepare(&self.connection, &sql::of(table).sweep, &parameters)?.raw_execute()?;
                Ok(u64::try_from(count).unwrap_or(u64::MAX))
            }
            Work::Commit { changes, revision } => {
                for change in changes {
                    self.change(change, *revision)?;
                }
                Ok(0)
            }
        }
    }

    fn change(&self, change: &Change, new: i64) -> Result<(), Failure> {
        let statements = sql::of(change.table());
        let new = Value::Int(new);
        let hit = match change {
            Change::Insert { values, .. } => {
                prepare(&self.connection, &statements.insert, values.iter().chain([&new]))?.raw_execute()?
                    == 1
            }
            Change::Update { table, values, revision, was } => {
                let seen = Value::Int(*revision);
                let (text, contents) = sql::update(table, values, was.as_deref());
                let parameters = contents.chain([&new, change.key(), &seen]);
                prepare(&self.connection, text, parameters)?.raw_execute()? == 1
            }
            Change::Delete { key, revision, .. } => {
                let seen = Value::Int(*revision);
                prepare(&self.connection, &statements.delete, [key, &seen])?.raw_execute()? == 1
            }
            Change::Require { key, revision, .. } => {
                let seen = Value::Int(*revision);
                let mut statement = prepare(&self.connection, &statements.require, [key, &seen])?;
                statement.raw_query().next()?.is_some()
            }
        };
        if hit { Ok(()) } else { Err(StoreError::Conflict.into()) }
    }

    fn execute(&self, text: &str) -> Result<(), Failure> {
        self.connection.prepare_cached(text)?.raw_execute()?;
        Ok(())
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(Failure(error)) = self.execute("ROLLBACK")
        {
            tracing::error!(%error, "the store could not roll back");
        }
    }
}

#[cfg(test)]
mod tests;
