//! The engine on a server: PostgreSQL, when one machine is not enough.
//!
//! A commit is one round trip: `BEGIN`, every change and `COMMIT` are sent before any answer is
//! awaited, and a change that hits no row raises an error, so that the `COMMIT` behind it ends as a
//! rollback. Only revisions decide who was first; the one lock that is asked for (`FOR SHARE`)
//! keeps what was required from changing until the commit.
//!
//! A server that does not answer costs each asker a bounded time, and no more than one connection;
//! what failed before anything was sent, and reads, are tried again, shortly and not often. One that
//! follows another is not asked at all: it knows less, and cannot write.
//!
//! Always: sessions are read-only outside of the `BEGIN READ WRITE` of a commit, so a change whose
//! `BEGIN` failed cannot take effect by itself. Never: a connection with an open transaction in the
//! pool; everything up to the `COMMIT` is handed over in one step that cannot be interrupted.

use std::future::poll_fn;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Config, Error, NoTls, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::channel::{self, Channel, ChannelState};
use super::entity::{Kind, Row, Table, Value};
use super::kept::{Marks, Others, places};
use super::query::Select;
use super::{Change, Corrupt, StoreError, sql};
use crate::clock::Timestamp;
use crate::tls;

/// How long to wait for a connection, whether for a free one or for a new one, tries again included.
const CONNECT: Duration = Duration::from_secs(5);

/// How long to go on trying when the server takes no connections: as long as it takes to restart.
const BRIDGE: Duration = Duration::from_millis(1_500);

/// How long one verb may take. Longer than the server's own limit, so that usually the server says no.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long the channel may take to prove itself to whoever wants to know how it is.
const PROOF: Duration = Duration::from_millis(400);

/// What every session is told once. A commit must be durable when it is answered, so
/// `synchronous_commit` may be stricter than `on`, but not off. Answers why the server is of no use, or
/// nothing.
const SESSION: &str = "SET statement_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '10s'; \
    SET default_transaction_isolation = 'read committed'; \
    SET default_transaction_read_only = on; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') IN ('off', 'local'); \
    SELECT CASE WHEN pg_is_in_recovery() THEN 'the server only follows another one' \
    WHEN current_setting('server_encoding') <> 'UTF8' THEN 'the database is encoded as ' || \
    current_setting('server_encoding') || ', and names need UTF8' END";

/// Records in PostgreSQL.
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: Pool,
    marks: Arc<Marks>,
    channel: Arc<Channel>,
    care: Arc<Care>,
}

/// What was learned of the server.
#[derive(Debug)]
struct Care {
    /// When a connection was last of no use: silent for too long, or led where nothing can be written.
    /// Those that were made before may be the same without knowing it.
    useless: Mutex<Option<Instant>>,
    /// What was tried again.
    retries: AtomicU64,
}

/// How the connections to the server are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vitals {
    /// Connections that are open.
    pub connections: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// Askers that wait for one.
    pub waiting: usize,
    /// What was tried again so far.
    pub retries: u64,
    /// How word of changes by other nodes comes in.
    pub channel: ChannelState,
}

impl Postgres {
    /// Prepares up to `connections` connections to `url`; none is made yet.
    ///
    /// With `sslmode=require` or `prefer` (the default, which goes without TLS when the server has
    /// none), the server's certificate is always verified against the machine's authorities.
    pub fn open(url: &str, connections: usize) -> Result<Self, StoreError> {
        // Verification is never left out, so the stricter words of other clients mean the same here.
        let url = url
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        let mut config = Config::from_str(&url).map_err(|error| {
            StoreError::Misuse(format!("the address of the database cannot be read: {error}"))
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("vestibule");
        }
        config.tcp_user_timeout(PATIENCE);

        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(tls::client().map_err(StoreError::unavailable)?)),
        };
        let marks = Marks::new(Others::noticed());
        let channel = Arc::new(Channel::new(config.clone(), tls.clone(), marks.clone()));
        let manager = match tls {
            None => Manager::from_config(config, NoTls, recycling),
            Some(tls) => Manager::from_config(config, tls, recycling),
        };
        let prepare = Hook::async_fn(|client, _| {
            Box::pin(async move {
                let said = client.simple_query(SESSION).await.map_err(HookError::Backend)?;
                // Also where an address leads while one server takes over from another.
                refusal(&said).map_or(Ok(()), |why| Err(HookError::message(why)))
            })
        });
        let care = Arc::new(Care { useless: Mutex::default(), retries: AtomicU64::default() });
        let doubted = care.clone();
        let doubt = Hook::sync_fn(move |_, metrics| {
            let useless = *doubted.useless.lock().unwrap_or_else(PoisonError::into_inner);
            match useless {
                Some(useless) if metrics.created <= useless => Err(HookError::message("it may be dead")),
                _ => Ok(()),
            }
        });
        let pool = Pool::builder(manager)
            .max_size(connections.max(1))
            .runtime(Runtime::Tokio1)
            .post_create(prepare)
            .pre_recycle(doubt)
            .build()
            .map_err(StoreError::unavailable)?;
        Ok(Self { pool, marks, channel, care })
    }

    /// A connection of one's own until it is dropped. Nobody who has one asks for another, so the pool
    /// cannot be starved by those who wait.
    pub(super) async fn client(&self) -> Result<Object, StoreError> {
        let begun = Instant::now();
        let get = async {
            let mut pause = Duration::from_millis(20);
            loop {
                let error = match self.pool.get().await {
                    Ok(client) => return Ok(client),
                    Err(PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error))) => {
                        error
                    }
                    Err(other) => return Err(StoreError::unavailable(other)),
                };
                if !is_passing(&error) || begun.elapsed() + pause > BRIDGE {
                    return Err(failure(error));
                }
                self.care.retries.fetch_add(1, Ordering::Relaxed);
                sleep(pause).await;
                pause *= 2;
            }
        };
        timeout(CONNECT, get).await.map_err(StoreError::unavailable)?
    }

    /// Has the channel prove itself soon.
    pub(super) fn look(&self) {
        self.channel.ask();
    }

    /// How the connections are. The channel proves itself first: while nobody looks anything up it is not
    /// asked to, and then nothing is known of it.
    pub(super) async fn vitals(&self) -> Vitals {
        let proves_itself = async {
            self.channel.ask();
            while !self.channel.state().trusted {
                sleep(PROOF / 20).await;
            }
        };
        // When it does not, that is what is to be told.
        let _ = timeout(PROOF, proves_itself).await;
        let pool = self.pool.status();
        Vitals {
            connections: pool.size,
            idle: pool.available,
            waiting: pool.waiting,
            retries: self.care.retries.load(Ordering::Relaxed),
            channel: self.channel.state(),
        }
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(super) async fn get(&self, table: &'static Table, key: &Value) -> Result<Option<Row>, StoreError> {
        let rows = self.query(&sql::of(table).get, &[key]).await?;
        rows.first().map(|row| read_row(row, table)).transpose()
    }

    pub(super) async fn find(&self, select: &Select) -> Result<Vec<Row>, StoreError> {
        let window: Vec<_> = sql::window(select).collect();
        let parameters: Vec<_> =
            sql::parameters(select).chain(&window).map(|value| value as &(dyn ToSql + Sync)).collect();
        let rows = self.query(sql::find(select), &parameters).await?;
        rows.iter().map(|row| read_row(row, select.table)).collect()
    }

    /// Asks; once more when the connection turns out to be gone.
    async fn query(
        &self,
        text: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let mut again = true;
        loop {
            let client = self.client().await?;
            let answer = timeout(PATIENCE, async {
                let statement = client.prepare_cached(text).await?;
                client.query(&statement, parameters).await
            });
            match answer.await {
                Ok(Err(error)) if again && is_passing(&error) => again = self.once_more(client),
                answer => return self.settle(client, answer),
            }
        }
    }

    /// Lets a connection go that is gone. Never a third time.
    fn once_more(&self, client: Object) -> bool {
        drop(Object::take(client));
        self.care.retries.fetch_add(1, Ordering::Relaxed);
        false
    }

    pub(super) async fn commit(&self, changes: Vec<Change>, revision: i64) -> Result<(), StoreError> {
        let places = places(&changes);
        let word = channel::word(&changes);
        let mut work: Vec<_> = changes.into_iter().map(|change| guarded(change, revision)).collect();
        work.extend(word.map(|word| (channel::TELL.to_owned(), vec![Value::Text(word)])));
        let outcome = self.transaction(work).await.map(drop);
        // Not reached when the caller goes away: then nobody was told of the commit, and the word that
        // it sends comes here, too.
        self.marks.forget(&places);
        outcome
    }

    pub(super) async fn sweep(
        &self,
        table: &'static Table,
        before: Timestamp,
        limit: usize,
    ) -> Result<u64, StoreError> {
        let limit = Value::Int(i64::try_from(limit).unwrap_or(i64::MAX));
        let text = sql::of(table).sweep.clone();
        self.transaction(vec![(text, vec![Value::Time(before), limit])]).await
    }

    pub(super) async fn health(&self) -> Result<(), StoreError> {
        self.transaction(Vec::new()).await.map(drop)
    }

    /// Runs `work` in one transaction and returns how many rows it touched. Tried again only while
    /// nothing of it was sent.
    async fn transaction(&self, work: Vec<(String, Vec<Value>)>) -> Result<u64, StoreError> {
        let mut again = true;
        loop {
            let client = self.client().await?;
            let mut sent = false;
            let answer = timeout(PATIENCE, async {
                let mut prepared = Vec::with_capacity(work.len());
                for (text, values) in &work {
                    prepared.push((client.prepare_cached(text).await?, values));
                }
                sent = true;
                pipelined(&client, &prepared).await
            });
            match answer.await {
                Ok(Err(error)) if again && !sent && is_passing(&error) => again = self.once_more(client),
                answer => return self.settle(client, answer),
            }
        }
    }

    /// Gives the connection back, unless it did not answer in time or is of no use: then nobody shall wait
    /// for it again, nor for another one of its age.
    fn settle<T>(&self, client: Object, answer: Result<Result<T, Error>, Elapsed>) -> Result<T, StoreError> {
        let is_useless = match &answer {
            Ok(answer) => answer.as_ref().is_err_and(is_useless),
            Err(_) => true,
        };
        if is_useless {
            drop(Object::take(client));
            *self.care.useless.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        answer.map_err(StoreError::unavailable)?.map_err(failure)
    }
}

/// Why the server is of no use, by its answer to [`SESSION`].
fn refusal(said: &[SimpleQueryMessage]) -> Option<String> {
    // What was set may be answered as well: the last row alone is about the server.
    let last = said.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.try_get(0).ok().flatten()),
        _ => None,
    });
    last.flatten().map(str::to_owned)
}

/// Whether it is the connection that cannot do what was asked. Nothing is asked that servers do not
/// support; what a connection does not is writing to a server that has begun to follow another, or what
/// it prepared before a table was changed.
fn is_useless(error: &Error) -> bool {
    error.as_db_error().is_some_and(|server| ["0A000", "25006"].contains(&server.code().code()))
}

/// Whether a server that restarts, or one that takes over, says so: nothing is known to be wrong with
/// what was asked.
fn is_passing(error: &Error) -> bool {
    match error.as_db_error() {
        // Shutting down, crashed, starting; too many connections.
        Some(server) => ["57P01", "57P02", "57P03", "53300"].contains(&server.code().code()),
        None => {
            error.is_closed()
                || std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>())
        }
    }
}

/// One message on its way and, sooner or later, its answer.
enum Sent<'c> {
    Waiting(Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'c>>),
    Answered(Result<u64, Error>),
}

impl<'c> Sent<'c> {
    fn new(message: impl Future<Output = Result<u64, Error>> + Send + 'c) -> Self {
        Self::Waiting(Box::pin(message))
    }

    /// The driver hands a message to the connection when its future is first polled.
    fn hand_over(&mut self, context: &mut Context<'_>) {
        if let Self::Waiting(message) = self
            && let Poll::Ready(answer) = message.as_mut().poll(context)
        {
            *self = Self::Answered(answer);
        }
    }

    async fn answer(self) -> Result<u64, Error> {
        match self {
            Self::Waiting(message) => message.await,
            Self::Answered(answer) => answer,
        }
    }
}

/// Sends a whole transaction, then waits for all of its answers.
///
/// Everything is handed over in a single poll: a caller that goes away has sent either nothing or
/// also the end, and whoever uses the connection next queues up behind it. When a message could not
/// even be handed over, the end is a rollback. When every part has succeeded, so has the `COMMIT`:
/// the server turns it into a rollback only after an error in one of them.
async fn pipelined(client: &Object, work: &[(Statement, &Vec<Value>)]) -> Result<u64, Error> {
    let simple = |text: &'static str| Sent::new(async move { client.batch_execute(text).await.map(|()| 0) });
    let mut sent = Vec::with_capacity(work.len() + 2);
    sent.push(simple("BEGIN READ WRITE"));
    for (statement, values) in work {
        sent.push(Sent::new(client.execute_raw(statement, values.iter())));
    }
    poll_fn(|context| {
        for message in &mut sent {
            message.hand_over(context);
        }
        let failed = sent.iter().any(|message| matches!(message, Sent::Answered(Err(_))));
        let mut end = simple(if failed { "ROLLBACK" } else { "COMMIT" });
        end.hand_over(context);
        sent.push(end);
        Poll::Ready(())
    })
    .await;

    // The first error is the cause; those after it only say that the transaction is lost.
    let mut outcome = Ok(0);
    for message in sent {
        let answer = message.answer().await;
        outcome = outcome.and_then(|sum| answer.map(|count| sum + count));
    }
    outcome
}

/// A change as a statement that raises when it does not hit exactly what was seen.
fn guarded(change: Change, new: i64) -> (String, Vec<Value>) {
    let statements = sql::of(change.table());
    // Division by zero is an error that every server of this family knows, without any extension.
    let hit = |text: &str, end: &str| format!("WITH hit AS ({text} {end}) SELECT 1 / count(*) FROM hit");
    let new = Value::Int(new);
    match change {
        Change::Insert { mut values, .. } => {
            values.push(new);
            (statements.insert.clone(), values)
        }
        Change::Update { table, ref values, revision, ref was } => {
            let (text, contents) = sql::update(table, values, was.as_deref());
            let parameters = contents.chain([&new, change.key(), &Value::Int(revision)]).cloned().collect();
            (hit(text, "RETURNING 1"), parameters)
        }
        Change::Delete { key, revision, .. } => {
            (hit(&statements.delete, "RETURNING 1"), vec![key, Value::Int(revision)])
        }
        Change::Require { key, revision, .. } => {
            (hit(&statements.require, "FOR SHARE"), vec![key, Value::Int(revision)])
        }
    }
}

/// What an error of the driver or the server means. The server's details may quote records, so only
/// its code and its message are kept.
pub(super) fn failure(error: Error) -> StoreError {
    let Some(server) = error.as_db_error() else {
        let local = std::error::Error::source(&error).is_some_and(|cause| cause.is::<Unfit>());
        return if local { StoreError::Misuse(error.to_string()) } else { StoreError::unavailable(error) };
    };
    let code = server.code().code();
    let said = format!("{} ({code})", server.message());
    match code {
        // Division by zero (a guard), unique violation, serialization failure, deadlock.
        "22012" | "23505" | "40001" | "40P01" => StoreError::Conflict,
        // Data exception, integrity constraint, syntax or access rule.
        _ if ["22", "23", "42"].iter().any(|class| code.starts_with(class)) => StoreError::Misuse(said),
        _ => StoreError::unavailable(said),
    }
}

// ---- values ----

/// A value that its column cannot take.
#[derive(Debug, thiserror::Error)]
#[error("a value of kind {0:?} for a column of type {1}")]
struct Unfit(Option<Kind>, Type);

/// `timestamptz`: microseconds since 2000-01-01.
const EPOCH_MILLIS: i64 = 946_684_800_000;

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Text(text) if <&str as ToSql>::accepts(ty) => text.to_sql(ty, out),
            Self::Int(number) if *ty == Type::INT8 => number.to_sql(ty, out),
            Self::Bool(yes) if *ty == Type::BOOL => yes.to_sql(ty, out),
            Self::Time(at) if *ty == Type::TIMESTAMPTZ => {
                let micros = at.as_millis().saturating_sub(EPOCH_MILLIS).saturating_mul(1_000);
                micros.to_sql(&Type::INT8, out)
            }
            Self::Uuid(id) if *ty == Type::UUID => id.to_sql(ty, out),
            Self::Bytes(bytes) if *ty == Type::BYTEA => bytes.to_sql(ty, out),
            Self::Json(json) if *ty == Type::JSONB || *ty == Type::JSON => json.to_sql(ty, out),
            other => Err(Box::new(Unfit(other.kind(), ty.clone()))),
        }
    }

    // Which types fit depends on the value.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// An instant as the server sends it.
struct At(Timestamp);

impl<'a> FromSql<'a> for At {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let micros = i64::from_sql(&Type::INT8, raw)?;
        Ok(Self(Timestamp::from_millis(micros.div_euclid(1_000).saturating_add(EPOCH_MILLIS))))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

fn read_row(row: &tokio_postgres::Row, table: &Table) -> Result<Row, StoreError> {
    fn one<'r, T: FromSql<'r>>(
        row: &'r tokio_postgres::Row,
        at: usize,
        wrap: impl FnOnce(T) -> Value,
    ) -> Result<Value, Error> {
        Ok(row.try_get::<_, Option<T>>(at)?.map_or(Value::Null, wrap))
    }
    let value = |at: usize, kind: Kind| match kind {
        Kind::Text => one(row, at, Value::Text),
        Kind::Int => one(row, at, Value::Int),
        Kind::Bool => one(row, at, Value::Bool),
        Kind::Time => one(row, at, |At(instant)| Value::Time(instant)),
        Kind::Uuid => one(row, at, Value::Uuid),
        Kind::Bytes => one(row, at, Value::Bytes),
        Kind::Json => one(row, at, Value::Json),
    };
    let corrupt = |place: &str, error: Error| Corrupt(format!("{}.{place}: {error}", table.name));
    let revision = row.try_get(0).map_err(|error| corrupt("revision", error))?;
    let values = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| value(at + 1, column.kind).map_err(|error| corrupt(column.name, error)))
        .collect::<Result<_, _>>()?;
    Ok(Row { revision, values })
}
