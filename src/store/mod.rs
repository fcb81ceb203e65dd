//! The store: the narrow waist of the house.
//!
//! A decision is a value: a list of [`Change`]s that is committed whole or not at all. Every record
//! carries the revision of the commit that wrote it; updating, deleting or requiring a record names
//! the revision that was seen, and is a conflict when the record has changed since. So whatever may
//! be used once – a code, a link, a refresh token – is used by *changing what was seen*, and cannot
//! be used twice. Nothing in the house writes in any other way.
//!
//! Five verbs: [`Store::get`], [`Store::find`], [`Store::commit`], [`Store::sweep`],
//! [`Store::health`]. One file an engine; one contract suite for all.

mod change;
mod channel;
mod entity;
mod kept;
mod memory;
pub mod migrations;
mod postgres;
mod query;
mod reading;
pub mod schema;
pub mod sealed;
mod sql;
mod sqlite;

pub use change::{Change, Decision, Seen, answer, refuse};
pub use channel::ChannelState;
pub use entity::{Column, Corrupt, Entity, Field, Follows, Index, Kind, Row, Table, Value};
pub(crate) use entity::{entity, json_field, text_enum};
pub use kept::{Marks, Place, Tracked};
pub use memory::{Faults, Memory};
pub use postgres::{Postgres, Vitals};
pub use query::{Cursor, Page, Query, Select};
pub use reading::Reading;
pub use sqlite::{Announced, Sqlite};

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Problem};
use crate::random::Random;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something that the commit had seen has changed since, or something that it inserts exists.
    #[error("a record has changed since it was read")]
    Conflict,
    /// The engine did not answer, or not in time. Whether a commit took effect is not known.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored row does not have the shape of its entity.
    #[error("a stored record cannot be read: {0}")]
    Corrupt(#[from] Corrupt),
    /// The cursor was made by another list.
    #[error("the cursor belongs to another list")]
    ForeignCursor,
    /// The caller's mistake, such as two changes to one record in one commit.
    #[error("the store was asked for something impossible: {0}")]
    Misuse(String),
}

impl StoreError {
    pub(crate) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let wait = Duration::from_secs(1);
        match error {
            StoreError::Conflict => Self::new(Problem::Busy).retry_after(wait).because(error),
            StoreError::Unavailable(_) => Self::new(Problem::Unavailable).retry_after(wait).because(error),
            StoreError::ForeignCursor => {
                Self::new(Problem::MalformedRequest).detail("`after` is not a cursor of this list.")
            }
            StoreError::Corrupt(_) | StoreError::Misuse(_) => Self::internal(error),
        }
    }
}

/// The engine that holds the records.
#[derive(Clone, Debug)]
pub enum Engine {
    /// A file beside the binary.
    Sqlite(Sqlite),
    /// A server, when one machine is not enough.
    Postgres(Postgres),
    /// A map with fault injection: simulation only.
    Memory(Memory),
}

impl Engine {
    /// Opens `sqlite:path` or `postgres://…`; `connections` is how many a server may be asked for.
    ///
    /// A SQLite file and its folder are made when they are missing. A server is first spoken to when
    /// it is first needed.
    ///
    /// # Errors
    /// [`StoreError::Misuse`] for an address of no known form, [`StoreError::Unavailable`] for a file
    /// that cannot be opened.
    pub fn open(url: &str, connections: usize) -> Result<Self, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Sqlite::open(path.as_ref()).map(Self::Sqlite);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Postgres::open(url, connections).map(Self::Postgres);
        }
        Err(StoreError::Misuse("a database is named as `sqlite:path` or `postgres://…`".into()))
    }
}

/// Every record of the house, behind five verbs.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
    random: Random,
    kept: kept::Kept,
}

macro_rules! each_engine {
    ($store:expr, $engine:ident => $call:expr) => {
        match &$store.engine {
            Engine::Sqlite($engine) => $call,
            Engine::Postgres($engine) => $call,
            Engine::Memory($engine) => $call,
        }
    };
}

impl Store {
    /// A store over `engine`; `random` numbers the commits.
    pub fn new(engine: Engine, random: Random) -> Self {
        Self { engine, random, kept: kept::Kept::default() }
    }

    /// The engine underneath, for migrations and diagnosis.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Which records have changed, as far as this process knows.
    pub fn marks(&self) -> &Marks {
        each_engine!(self, engine => engine.marks())
    }

    /// Reads whose result can be kept: [`Tracked::keep`].
    pub fn tracked(&self) -> Tracked<'_> {
        Tracked::new(self)
    }

    /// What was kept under `id`, when nothing that it was made from has changed since: by this
    /// process up to now, by others up to half a second ago. Nothing while it is not known what
    /// others have changed.
    pub fn recall<V: Any + Send + Sync>(&self, id: Uuid) -> Option<Arc<V>> {
        let marks = self.marks();
        let trusted = match &self.engine {
            Engine::Sqlite(engine) => marks.are_trusted(|| engine.look()),
            Engine::Postgres(engine) => marks.are_trusted(|| engine.look()),
            Engine::Memory(_) => marks.are_trusted(|| {}),
        };
        if trusted { self.kept.recall(id, marks) } else { None }
    }

    /// How the connections to a server are; nothing of a file.
    pub async fn vitals(&self) -> Option<Vitals> {
        match &self.engine {
            Engine::Postgres(engine) => Some(engine.vitals().await),
            Engine::Sqlite(_) | Engine::Memory(_) => None,
        }
    }

    /// The record with this key, and the revision that was seen.
    pub async fn get<T: Entity>(&self, key: T::Key) -> Result<Option<Seen<T>>, StoreError> {
        let key = key.to_value();
        if !key.is_storable() {
            return Ok(None);
        }
        let row = each_engine!(self, engine => engine.get(T::table(), &key).await)?;
        row.map(Seen::from_row).transpose()
    }

    /// Records along one declared index.
    pub async fn find<T: Entity>(&self, query: Query<T>) -> Result<Page<Seen<T>>, StoreError> {
        let select = query.into_select();
        select.check()?;
        if select.is_hopeless() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let rows = each_engine!(self, engine => engine.find(&select).await)?;
        let next = select.cursor_after(&rows)?;
        let items = rows.into_iter().take(select.limit).map(Seen::from_row).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    /// Everything that `query` finds, page by page: for what must be seen whole.
    ///
    /// # Errors
    /// The engine's.
    pub async fn find_all<T: Entity + Clone>(&self, query: Query<T>) -> Result<Vec<Seen<T>>, StoreError> {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let page = self.find(query.clone().after(after)).await?;
            items.extend(page.items);
            match page.next {
                None => return Ok(items),
                next => after = next,
            }
        }
    }

    /// Records of any table in the order of their keys, for taking everything along.
    ///
    /// # Errors
    /// [`StoreError::Misuse`] over the engine for simulation, which has no such order.
    pub async fn all(
        &self,
        table: &'static Table,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Vec<Value>>, StoreError> {
        let index = Index { columns: &[], unique: false, sparse: false };
        let (equal, low, high, descending) = (Vec::new(), None, None, false);
        let select = Select { table, index, equal, low, high, descending, after, skip: 0, limit };
        let rows = match &self.engine {
            Engine::Sqlite(engine) => engine.find(&select).await?,
            Engine::Postgres(engine) => engine.find(&select).await?,
            Engine::Memory(_) => return Err(StoreError::Misuse("a map has no order of keys".into())),
        };
        let next = select.cursor_after(&rows)?;
        Ok(Page { items: rows.into_iter().take(limit).map(|row| row.values).collect(), next })
    }

    /// Rows of a table as they are, the greatest first, by an index or by the key: for those who look at the
    /// tables, and for nobody who decides by what is in them.
    pub async fn look(
        &self,
        table: &'static Table,
        by: &'static [&'static str],
        equal: Vec<Value>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Row>, StoreError> {
        let index = Index { columns: by, unique: false, sparse: false };
        let is_key = by == [table.key().name];
        let (low, high, descending, skip) = (None, None, true, 0);
        let select = Select { table, index, equal, low, high, descending, after, skip, limit };
        select.check_all(is_key)?;
        if select.is_hopeless() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let mut rows = each_engine!(self, engine => engine.find(&select).await)?;
        let next = select.cursor_after(&rows)?;
        rows.truncate(limit);
        Ok(Page { items: rows, next })
    }

    /// The first record that `query` finds.
    pub async fn first<T: Entity>(&self, query: Query<T>) -> Result<Option<Seen<T>>, StoreError> {
        Ok(self.find(query.limit(1)).await?.items.into_iter().next())
    }

    /// Writes all of `changes` and what follows from them, or none and says [`StoreError::Conflict`]. Durable
    /// when it returns.
    pub async fn commit(&self, mut changes: Vec<Change>) -> Result<(), StoreError> {
        let following: Vec<_> = changes.iter().filter_map(Change::follows).collect();
        changes.extend(following);
        let changes = change::in_order(changes)?;
        if changes.is_empty() {
            return Ok(());
        }
        let revision = self.random.number();
        each_engine!(self, engine => engine.commit(changes, revision).await)
    }

    /// Like [`Store::commit`], where somebody else may be at the same work: whether it was written; not when what
    /// was seen has changed, so that it is theirs by now or is found again.
    pub async fn commit_unless_changed(&self, changes: Vec<Change>) -> Result<bool, StoreError> {
        match self.commit(changes).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Deletes what expired before `before`, at most `limit` records; returns how many.
    ///
    /// Only housekeeping: whoever reads a record looks at its expiry itself.
    pub async fn sweep(
        &self,
        table: &'static Table,
        before: Timestamp,
        limit: usize,
    ) -> Result<u64, StoreError> {
        if table.expires.is_none() {
            return Ok(0);
        }
        let Value::Time(before) = Value::Time(before).clamped() else { return Ok(0) };
        each_engine!(self, engine => engine.sweep(table, before, limit).await)
    }

    /// Says that the caller is busy with something now, such as a password's hash, and will commit after it: to be
    /// held until then. While a crowd has said so, commits wait some milliseconds for each other, and what they
    /// save by that goes to the crowd. Nothing on engines that do not wait.
    pub fn announce(&self) -> Option<Announced> {
        match &self.engine {
            Engine::Sqlite(engine) => Some(engine.announce()),
            Engine::Postgres(_) | Engine::Memory(_) => None,
        }
    }

    /// Whether the engine answers and can commit.
    pub async fn health(&self) -> Result<(), StoreError> {
        each_engine!(self, engine => engine.health().await)
    }
}
