//! Decisions and the changes that they write.

use std::ops::Deref;

use super::StoreError;
use super::entity::{Entity, Row, Table, Value};
use crate::error::Error;

/// A record and the revision that was seen: what a change is made from.
#[derive(Clone, Debug)]
pub struct Seen<T> {
    record: T,
    revision: i64,
    /// The fields as they were seen, once they were changed.
    was: Option<Vec<Value>>,
}

impl<T> Deref for Seen<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.record
    }
}

impl<T: Entity> Seen<T> {
    pub(super) fn from_row(row: Row) -> Result<Self, StoreError> {
        Ok(Self { record: T::from_values(row.values)?, revision: row.revision, was: None })
    }

    /// The record as it should be, still remembering what was seen.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut T)) -> Self {
        self.was.get_or_insert_with(|| self.record.to_values());
        change(&mut self.record);
        self
    }

    /// Whether nobody wrote this record between the two looks at it.
    pub fn is_unchanged_since(&self, before: &Self) -> bool {
        self.revision == before.revision
    }

    /// The commit that wrote it, for a record that remembers what it rests on.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The record alone.
    pub fn into_inner(self) -> T {
        self.record
    }
}

/// One thing that a commit does.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new record; a conflict when its key or a unique value exists.
    Insert {
        /// Where.
        table: &'static Table,
        /// The fields, the key first.
        values: Vec<Value>,
    },
    /// New content for what was seen. An engine may leave alone what is as it was.
    Update {
        /// Where.
        table: &'static Table,
        /// The revision that was seen.
        revision: i64,
        /// The fields, the key first.
        values: Vec<Value>,
        /// The fields as they were seen; none when nothing was changed.
        was: Option<Vec<Value>>,
    },
    /// The end of what was seen.
    Delete {
        /// Where.
        table: &'static Table,
        /// Which.
        key: Value,
        /// The revision that was seen.
        revision: i64,
        /// The fields as they were seen.
        values: Vec<Value>,
    },
    /// What was seen must still stand.
    Require {
        /// Where.
        table: &'static Table,
        /// Which.
        key: Value,
        /// The revision that was seen.
        revision: i64,
    },
}

impl Change {
    /// A new record.
    pub fn insert<T: Entity>(record: &T) -> Self {
        Self::Insert { table: T::table(), values: record.to_values() }
    }

    /// New content for what was seen.
    pub fn update<T: Entity>(seen: &Seen<T>) -> Self {
        let was = seen.was.clone();
        Self::Update { table: T::table(), revision: seen.revision, values: seen.to_values(), was }
    }

    /// The end of what was seen.
    pub fn delete<T: Entity>(seen: &Seen<T>) -> Self {
        Self::Delete { table: T::table(), key: seen.key(), revision: seen.revision, values: seen.to_values() }
    }

    /// What was seen must still stand.
    pub fn require<T: Entity>(seen: &Seen<T>) -> Self {
        Self::Require { table: T::table(), key: seen.key(), revision: seen.revision }
    }

    /// What else is to be written because of it.
    pub fn follows(&self) -> Option<Self> {
        self.table().follows.and_then(|follows| follows(self))
    }

    /// What became of a record: as it was, as it is unless it is gone, and the revision that was seen. None for
    /// what is new, only required, or as it was.
    pub fn turn<T: Entity>(&self) -> Option<(T, Option<T>, i64)> {
        let read = |values: &Vec<Value>| T::from_values(values.clone()).ok();
        match self {
            Self::Update { values, was, revision, .. } => {
                Some((read(was.as_ref()?)?, Some(read(values)?), *revision))
            }
            Self::Delete { values, revision, .. } => Some((read(values)?, None, *revision)),
            Self::Insert { .. } | Self::Require { .. } => None,
        }
    }

    /// The table it touches.
    pub fn table(&self) -> &'static Table {
        match self {
            Self::Insert { table, .. }
            | Self::Update { table, .. }
            | Self::Delete { table, .. }
            | Self::Require { table, .. } => table,
        }
    }

    /// The key of the record it touches.
    pub fn key(&self) -> &Value {
        match self {
            Self::Insert { values, .. } | Self::Update { values, .. } => {
                values.first().unwrap_or(&Value::Null)
            }
            Self::Delete { key, .. } | Self::Require { key, .. } => key,
        }
    }
}

/// Sorts changes by table and key, so that two commits never wait for each other in a circle;
/// refuses two changes to one record, and values that some engine could not hold.
pub(super) fn in_order(mut changes: Vec<Change>) -> Result<Vec<Change>, StoreError> {
    for change in &changes {
        if let Change::Insert { table, values } | Change::Update { table, values, .. } = change
            && let Some((column, _)) =
                table.columns.iter().zip(values).find(|(_, value)| !value.is_storable())
        {
            return Err(StoreError::Misuse(format!(
                "{}.{} cannot hold such a value",
                table.name, column.name
            )));
        }
    }
    let place = |change: &Change| (change.table().name, format!("{:?}", change.key()));
    if changes.len() > 1 {
        changes.sort_by_cached_key(place);
        for pair in changes.windows(2) {
            if let [one, two] = pair
                && one.table().name == two.table().name
                && one.key() == two.key()
            {
                let table = one.table().name;
                return Err(StoreError::Misuse(format!("two changes to one record of {table}")));
            }
        }
    }
    Ok(changes)
}

/// What a rule came to: an answer or a refusal, and what is to be written either way.
///
/// A refusal may carry changes: a wrong guess is kept although the request fails.
#[must_use = "a decision does nothing until it is committed"]
#[derive(Debug)]
pub struct Decision<T> {
    /// What the asker is told.
    pub outcome: Result<T, Error>,
    /// What is written before the asker is told.
    pub changes: Vec<Change>,
}

/// The asker gets `value`.
pub fn answer<T>(value: T) -> Decision<T> {
    Decision { outcome: Ok(value), changes: Vec::new() }
}

/// The asker is refused.
pub fn refuse<T>(error: impl Into<Error>) -> Decision<T> {
    Decision { outcome: Err(error.into()), changes: Vec::new() }
}

impl<T> Decision<T> {
    /// Also writes a new record.
    pub fn insert<E: Entity>(mut self, record: &E) -> Self {
        self.changes.push(Change::insert(record));
        self
    }

    /// Also writes what was seen, changed.
    pub fn update<E: Entity>(mut self, seen: &Seen<E>) -> Self {
        self.changes.push(Change::update(seen));
        self
    }

    /// Also ends what was seen.
    pub fn delete<E: Entity>(mut self, seen: &Seen<E>) -> Self {
        self.changes.push(Change::delete(seen));
        self
    }

    /// Only when what was seen still stands.
    pub fn require<E: Entity>(mut self, seen: &Seen<E>) -> Self {
        self.changes.push(Change::require(seen));
        self
    }

    /// Writes `record`, or, when one was seen, its replacement.
    pub fn upsert<E: Entity>(self, seen: Option<Seen<E>>, record: E) -> Self {
        match seen {
            Some(seen) => self.update(&seen.with(|old| *old = record)),
            None => self.insert(&record),
        }
    }

    /// Also writes all of `changes`.
    pub fn and(mut self, changes: impl IntoIterator<Item = Change>) -> Self {
        self.changes.extend(changes);
        self
    }

    /// The same writes with another answer.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Decision<U> {
        Decision { outcome: self.outcome.map(change), changes: self.changes }
    }
}
