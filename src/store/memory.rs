//! The engine for simulation: maps in memory that keep nothing, and fail as they are told to.
//!
//! It gives the answers that the other engines give – the contract suite holds it to that – and,
//! when asked, the failures that they may give.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entity::{Index, Row, Table, Value};
use super::kept::{Marks, Others, places};
use super::query::Select;
use super::{Change, StoreError};
use crate::clock::Timestamp;
use crate::random::Random;

/// How often what goes wrong, as probabilities between 0 and 1; repeatable by its seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Which sequence of failures.
    pub seed: u64,
    /// Refused before anything happened, reads too.
    pub refuse: f64,
    /// Committed, but the answer is lost.
    pub lose: f64,
    /// A conflict although nothing has changed.
    pub conflict: f64,
}

/// Records in memory.
#[derive(Clone, Debug)]
pub struct Memory {
    data: Arc<Mutex<Data>>,
    faults: Faults,
    chance: Random,
    marks: Arc<Marks>,
}

#[derive(Debug, Default)]
struct Data {
    tables: BTreeMap<&'static str, Records>,
}

#[derive(Debug, Default)]
struct Records {
    rows: BTreeMap<Ordered, Row>,
    /// For each index: its columns' values, then the key.
    indexes: BTreeMap<&'static [&'static str], BTreeSet<Vec<Ordered>>>,
}

/// A value in the order of the SQL engines: Null after everything else.
#[derive(Clone, Debug)]
enum Ordered {
    Value(Value),
    /// After every value, Null too: the end of a range.
    Top,
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, two) = match (self, other) {
            (Self::Top, Self::Top) => return Ordering::Equal,
            (Self::Top, _) => return Ordering::Greater,
            (_, Self::Top) => return Ordering::Less,
            (Self::Value(one), Self::Value(two)) => (one, two),
        };
        match (one, two) {
            (Value::Text(one), Value::Text(two)) => one.cmp(two),
            (Value::Int(one), Value::Int(two)) => one.cmp(two),
            (Value::Bool(one), Value::Bool(two)) => one.cmp(two),
            (Value::Time(one), Value::Time(two)) => one.cmp(two),
            (Value::Uuid(one), Value::Uuid(two)) => one.cmp(two),
            (Value::Bytes(one), Value::Bytes(two)) => one.cmp(two),
            (Value::Json(one), Value::Json(two)) => one.to_string().cmp(&two.to_string()),
            // Of one column, only Null is of another kind.
            (one, two) => (one == &Value::Null).cmp(&(two == &Value::Null)),
        }
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ordered {}

impl Memory {
    /// An empty store that fails as `faults` say.
    pub fn new(faults: Faults) -> Self {
        Self {
            data: Arc::default(),
            faults,
            chance: Random::seeded(faults.seed),
            marks: Marks::new(Others::None),
        }
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(super) async fn get(&self, table: &'static Table, key: &Value) -> Result<Option<Row>, StoreError> {
        self.refusal()?;
        let data = self.data();
        let records = data.tables.get(table.name);
        Ok(records.and_then(|records| records.rows.get(&Ordered::Value(key.clone()))).cloned())
    }

    pub(super) async fn find(&self, select: &Select) -> Result<Vec<Row>, StoreError> {
        self.refusal()?;
        let data = self.data();
        let Some(records) = data.tables.get(select.table.name) else { return Ok(Vec::new()) };
        let Some(index) = records.indexes.get(select.index.columns) else { return Ok(Vec::new()) };

        let start = |bound: &Option<Value>| place(select.equal.iter().chain(bound));
        let mut low = start(&select.low);
        let mut high = start(&select.high);
        if select.low.is_some() && select.high.is_none() {
            // A bound leaves no Null: stop just before it.
            high.push(Ordered::Value(Value::Null));
        } else {
            high.push(Ordered::Top);
        }
        if let Some(cursor) = &select.after {
            let mut at = place(select.equal.iter().chain(&cursor.0));
            if select.descending {
                high = high.min(at);
            } else {
                at.push(Ordered::Top);
                low = low.max(at);
            }
        }
        if low > high {
            return Ok(Vec::new());
        }
        let entries = index.range(low..high);
        let take = select.limit.saturating_add(1);
        let row = |entry: &Vec<Ordered>| entry.last().and_then(|key| records.rows.get(key)).cloned();
        Ok(if select.descending {
            entries.rev().filter_map(row).skip(select.skip).take(take).collect()
        } else {
            entries.filter_map(row).skip(select.skip).take(take).collect()
        })
    }

    pub(super) async fn commit(&self, changes: Vec<Change>, revision: i64) -> Result<(), StoreError> {
        self.refusal()?;
        if self.happens(self.faults.conflict) {
            return Err(StoreError::Conflict);
        }
        let mut data = self.data();
        let mut undo = Vec::new();
        let places = places(&changes);
        for change in changes {
            let table = change.table();
            let records = data.tables.entry(table.name).or_default();
            if let Err(error) = records.apply(table, change, revision, &mut undo) {
                for (table, key, before) in undo.into_iter().rev() {
                    data.tables.entry(table.name).or_default().put(table, key, before);
                }
                return Err(error);
            }
        }
        drop(data);
        self.marks.forget(&places);
        if self.happens(self.faults.lose) {
            return Err(StoreError::unavailable("the answer was lost, as asked"));
        }
        Ok(())
    }

    pub(super) async fn sweep(
        &self,
        table: &'static Table,
        before: Timestamp,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.refusal()?;
        let mut data = self.data();
        let Some(records) = data.tables.get_mut(table.name) else { return Ok(0) };
        let Some(at) = table.expires.and_then(|column| table.position(column)) else { return Ok(0) };
        let instant = |row: &Row| match row.values.get(at) {
            Some(Value::Time(expires)) if *expires < before => Some(*expires),
            _ => None,
        };
        let mut gone: Vec<_> =
            records.rows.iter().filter_map(|(key, row)| Some((instant(row)?, key.clone()))).collect();
        gone.sort_unstable();
        gone.truncate(limit);
        let count = gone.len();
        for (_, key) in gone {
            records.put(table, key, None);
        }
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    pub(super) async fn health(&self) -> Result<(), StoreError> {
        self.refusal()
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        // A plain lock: nothing awaits while it is held.
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal(&self) -> Result<(), StoreError> {
        if self.happens(self.faults.refuse) {
            return Err(StoreError::unavailable("refused, as asked"));
        }
        Ok(())
    }

    fn happens(&self, probability: f64) -> bool {
        if probability <= 0.0 {
            return false;
        }
        let [high, low] = self.chance.bytes();
        f64::from(u16::from_be_bytes([high, low])) < probability * 65_536.0
    }
}

/// What a key held before a change.
type Before = (&'static Table, Ordered, Option<Row>);

impl Records {
    fn apply(
        &mut self,
        table: &'static Table,
        change: Change,
        new: i64,
        undo: &mut Vec<Before>,
    ) -> Result<(), StoreError> {
        let key = Ordered::Value(change.key().clone());
        let seen = self.rows.get(&key);
        let stands = match &change {
            Change::Insert { .. } => seen.is_none(),
            Change::Update { revision, .. }
            | Change::Delete { revision, .. }
            | Change::Require { revision, .. } => seen.is_some_and(|row| row.revision == *revision),
        };
        if !stands {
            return Err(StoreError::Conflict);
        }
        let after = match change {
            Change::Require { .. } => return Ok(()),
            Change::Delete { .. } => None,
            Change::Insert { values, .. } | Change::Update { values, .. } => {
                Some(Row { revision: new, values })
            }
        };
        if let Some(row) = &after {
            for index in table.indexes.iter().filter(|index| index.unique) {
                if self.is_taken(table, index, &key, row) {
                    return Err(StoreError::Conflict);
                }
            }
        }
        undo.push((table, key.clone(), seen.cloned()));
        self.put(table, key, after);
        Ok(())
    }

    /// Whether another record has these values. Two Nulls never collide.
    fn is_taken(&self, table: &Table, index: &Index, key: &Ordered, row: &Row) -> bool {
        let values = columns(table, index.columns, row);
        if values.contains(&Ordered::Value(Value::Null)) {
            return false;
        }
        let mut end = values.clone();
        end.push(Ordered::Top);
        let known = self.indexes.get(index.columns);
        known.is_some_and(|known| known.range(values..end).any(|entry| entry.last() != Some(key)))
    }

    /// Makes `row` what the key holds, and keeps the indexes true.
    fn put(&mut self, table: &'static Table, key: Ordered, row: Option<Row>) {
        let old = match &row {
            Some(row) => self.rows.insert(key.clone(), row.clone()),
            None => self.rows.remove(&key),
        };
        for index in table.indexes {
            let entries = self.indexes.entry(index.columns).or_default();
            let entry = |row: &Row| {
                let mut entry = columns(table, index.columns, row);
                entry.push(key.clone());
                entry
            };
            if let Some(old) = &old {
                entries.remove(&entry(old));
            }
            if let Some(row) = &row {
                entries.insert(entry(row));
            }
        }
    }
}

fn place<'v>(values: impl Iterator<Item = &'v Value>) -> Vec<Ordered> {
    values.cloned().map(Ordered::Value).collect()
}

fn columns(table: &Table, names: &[&str], row: &Row) -> Vec<Ordered> {
    let value = |name: &&str| table.position(name).and_then(|at| row.values.get(at)).cloned();
    names.iter().map(|name| Ordered::Value(value(name).unwrap_or(Value::Null))).collect()
}
