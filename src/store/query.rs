//! Looking along one declared index.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};

use super::entity::{Entity, Field, Index, Kind, Row, Table, Value};
use super::{Corrupt, StoreError};

/// Some records, and where to go on.
#[derive(Debug)]
pub struct Page<T> {
    /// The records.
    pub items: Vec<T>,
    /// Where the next page starts, when there is one.
    pub next: Option<Cursor>,
}

/// The place after the last record of a page: its index values beyond the equal ones, and its key.
#[derive(Clone, PartialEq, Debug)]
pub struct Cursor(pub(super) Vec<Value>);

impl Cursor {
    /// As JSON, for sealing into an opaque text.
    pub fn to_json(&self) -> Json {
        let one = |value: &Value| match value {
            Value::Null => Json::Null,
            Value::Text(text) => json!({"t": text}),
            Value::Int(number) => json!({"i": number}),
            Value::Bool(yes) => json!({"b": yes}),
            Value::Time(at) => json!({"at": at.as_millis()}),
            Value::Uuid(id) => json!({"id": id}),
            Value::Bytes(bytes) => json!({"x": bytes}),
            Value::Json(inner) => json!({"j": inner}),
        };
        Json::Array(self.0.iter().map(one).collect())
    }

    /// Reads back what [`Cursor::to_json`] wrote.
    pub fn from_json(json: Json) -> Result<Self, Corrupt> {
        let bad = || Corrupt("not a cursor".into());
        let one = |json: Json| -> Result<Value, Corrupt> {
            let Json::Object(object) = json else {
                return if json.is_null() { Ok(Value::Null) } else { Err(bad()) };
            };
            let (tag, inner) = object.into_iter().next().ok_or_else(bad)?;
            Ok(match tag.as_str() {
                "t" => Value::Text(inner.as_str().ok_or_else(bad)?.to_owned()),
                "i" => Value::Int(inner.as_i64().ok_or_else(bad)?),
                "b" => Value::Bool(inner.as_bool().ok_or_else(bad)?),
                "at" => Value::Time(crate::clock::Timestamp::from_millis(inner.as_i64().ok_or_else(bad)?)),
                "id" => Value::Uuid(serde_json::from_value(inner).map_err(|_| bad())?),
                "x" => Value::Bytes(serde_json::from_value(inner).map_err(|_| bad())?),
                "j" => Value::Json(inner),
                _ => return Err(bad()),
            })
        };
        match json {
            Json::Array(values) => Ok(Self(values.into_iter().map(one).collect::<Result<_, _>>()?)),
            _ => Err(bad()),
        }
    }
}

/// What to look for: an index, values that its first columns equal, a range on the next one.
#[derive(Clone, Debug)]
pub struct Query<T> {
    select: Select,
    entity: PhantomData<fn() -> T>,
}

/// A query without its type, as engines see it.
#[derive(Clone, Debug)]
pub struct Select {
    /// Where.
    pub table: &'static Table,
    /// Along which index.
    pub index: Index,
    /// The values of the index's first columns.
    pub equal: Vec<Value>,
    /// The least value of the next column.
    pub low: Option<Value>,
    /// The greatest value of the next column.
    pub high: Option<Value>,
    /// Backwards.
    pub descending: bool,
    /// Strictly after this place, in the direction of travel.
    pub after: Option<Cursor>,
    /// How many are left out before that.
    pub skip: usize,
    /// How many the caller wants. Engines return up to one more, which tells that there is more.
    pub limit: usize,
}

impl<T: Entity> Query<T> {
    /// Everything along `index`, 50 a page.
    pub fn along(index: Index) -> Self {
        let select = Select {
            table: T::table(),
            index,
            equal: Vec::new(),
            low: None,
            high: None,
            descending: false,
            after: None,
            skip: 0,
            limit: 50,
        };
        Self { select, entity: PhantomData }
    }

    /// The index's next column equals `value`.
    #[must_use]
    pub fn equal(mut self, value: impl Field) -> Self {
        self.select.equal.push(value.to_value());
        self
    }

    /// The column after the equal ones is at least `value`.
    #[must_use]
    pub fn from(mut self, value: impl Field) -> Self {
        self.select.low = Some(value.to_value().clamped());
        self
    }

    /// The column after the equal ones is at most `value`.
    #[must_use]
    pub fn until(mut self, value: impl Field) -> Self {
        self.select.high = Some(value.to_value().clamped());
        self
    }

    /// Greatest first.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.select.descending = true;
        self
    }

    /// Goes on where a page ended.
    #[must_use]
    pub fn after(mut self, cursor: Option<Cursor>) -> Self {
        self.select.after = cursor;
        self
    }

    /// Goes on behind `record`, as where a page ended with it; from the beginning without one.
    #[must_use]
    pub fn behind(mut self, record: Option<&T>) -> Self {
        // An index of columns that there are not is refused when it is searched along.
        self.select.after = record.and_then(|record| self.select.place(&record.to_values()).ok());
        self
    }

    /// Without the first `skip` records: engines step over them in the index and do not read them. For what
    /// is bounded; pages go on by [`after`](Self::after).
    #[must_use]
    pub fn skip(mut self, skip: usize) -> Self {
        self.select.skip = skip;
        self
    }

    /// At most `limit` records.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.select.limit = limit;
        self
    }

    pub(super) fn into_select(self) -> Select {
        self.select
    }
}

impl Select {
    /// The columns that order the result: the index's columns beyond the equal ones, then the key.
    pub fn order(&self) -> Vec<&'static str> {
        let mut order: Vec<_> = self.index.columns.iter().copied().skip(self.equal.len()).collect();
        let key = self.table.key().name;
        if !order.contains(&key) {
            order.push(key);
        }
        order
    }

    /// The range column, when there is one beyond the equal ones.
    pub fn range_column(&self) -> Option<&'static str> {
        self.index.columns.get(self.equal.len()).copied()
    }

    /// The kind of a column of this table.
    pub fn kind(&self, column: &str) -> Kind {
        self.table.position(column).and_then(|at| self.table.columns.get(at)).map_or(Kind::Text, |c| c.kind)
    }

    /// Refuses what the engines would understand each in its own way.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.check_all(false)
    }

    /// The same, where the key alone is as good as an index.
    pub(super) fn check_all(&self, by_key: bool) -> Result<(), StoreError> {
        let wrong = |what: &str| Err(StoreError::Misuse(format!("a search in {}: {what}", self.table.name)));
        let fits = |column: &str, value: &Value| value.kind().is_none_or(|kind| kind == self.kind(column));
        let declared = self.table.indexes.iter().find(|index| index.columns == self.index.columns);
        if !by_key && declared.is_none() {
            return wrong("the index is not declared");
        }
        let named = self.equal.first().or(self.low.as_ref()).or(self.high.as_ref());
        if declared.is_some_and(|index| index.sparse) && named.is_none_or(|value| *value == Value::Null) {
            return wrong("the index leaves out what has nothing in its first column");
        }
        if self.equal.len() > self.index.columns.len() {
            return wrong("more equal values than the index has columns");
        }
        if !self.index.columns.iter().zip(&self.equal).all(|(column, value)| fits(column, value)) {
            return wrong("an equal value is of another kind than its column");
        }
        for bound in self.low.iter().chain(&self.high) {
            match self.range_column() {
                Some(column) if fits(column, bound) && *bound != Value::Null => {}
                _ => return wrong("a bound does not fit the index"),
            }
        }
        if let Some(cursor) = &self.after {
            let order = self.order();
            if order.len() != cursor.0.len()
                || !order.iter().zip(&cursor.0).all(|(column, value)| fits(column, value))
            {
                return Err(StoreError::ForeignCursor);
            }
        }
        Ok(())
    }

    /// Whether no stored record can match, because a value is asked for that none can hold.
    pub(super) fn is_hopeless(&self) -> bool {
        !self.equal.iter().all(Value::is_storable)
    }

    pub(super) fn cursor_after(&self, rows: &[Row]) -> Result<Option<Cursor>, StoreError> {
        if rows.len() <= self.limit || self.limit == 0 {
            return Ok(None);
        }
        rows.get(self.limit - 1).map(|last| self.place(&last.values)).transpose()
    }

    /// Where a record with these fields stands.
    fn place(&self, values: &[Value]) -> Result<Cursor, StoreError> {
        let place = |column: &str| {
            let at = self.table.position(column);
            at.and_then(|at| values.get(at))
                .cloned()
                .ok_or_else(|| StoreError::Misuse(format!("{} has no column {column}", self.table.name)))
        };
        Ok(Cursor(self.order().into_iter().map(place).collect::<Result<_, _>>()?))
    }
}
