//! The statements, written once for both SQL engines.
//!
//! Placeholders are `$1`, `$2` and so on, numbered by first use, which SQLite and PostgreSQL read
//! alike. Values only ever travel as parameters; names come from `entity!` and are quoted.
//!
//! Order is the same everywhere: ascending, with Null after everything else; descending is the
//! exact reverse. Text compares by bytes, so PostgreSQL's indexed text columns are `COLLATE "C"`.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use super::entity::{Table, Value};
use super::query::Select;

/// What one table is asked, as text.
pub(super) struct Statements {
    /// By key: revision, then the fields.
    pub get: String,
    /// The fields, then the revision.
    pub insert: String,
    /// The key and the revision that was seen.
    pub delete: String,
    /// The key and the revision that was seen.
    pub require: String,
    /// The instant and how many; empty when records of this kind do not expire.
    pub sweep: String,
    /// Updates by what they change: a bit for each field.
    update: RwLock<HashMap<u64, &'static str>>,
    /// Searches by their shape.
    find: RwLock<HashMap<Shape, &'static str>>,
}

/// Everything about a search that its text depends on.
#[derive(PartialEq, Eq, Hash)]
struct Shape {
    index: &'static [&'static str],
    low: bool,
    high: bool,
    descending: bool,
    skips: bool,
    equal: u64,
    after: u64,
}

/// The statements of `table`: written at its first use, and kept as long as the table, forever.
pub(super) fn of(table: &'static Table) -> &'static Statements {
    static KNOWN: RwLock<Option<HashMap<usize, &'static Statements>>> = RwLock::new(None);
    // By address, not by name: two programs' ideas of one table must not share a text.
    let place = std::ptr::from_ref(table).addr();
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.as_ref().and_then(|known| known.get(&place)) {
        return found;
    }
    drop(known);
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known
        .get_or_insert_default()
        .entry(place)
        .or_insert_with(|| Box::leak(Box::new(Statements::write(table))))
}

/// The text of an update of what `was` to `values`, and the content of the fields that it changes. Its
/// parameters are those, the revision, the key, the revision that was seen.
///
/// Names no other field: SQLite writes every index anew of which a column is named, whatever is in it.
pub(super) fn update<'v>(
    table: &'static Table,
    values: &'v [Value],
    was: Option<&[Value]>,
) -> (&'static str, impl Iterator<Item = &'v Value>) {
    let pairs = values.iter().zip(was.unwrap_or_default()).enumerate();
    let changed = pairs.fold(0_u64, |bits, (at, (new, old))| bits | u64::from(new != old) << at);
    let contents = values.iter().enumerate().filter(move |(at, _)| changed >> at & 1 == 1);
    (
        write_once(&of(table).update, changed, || write_update(table, changed)),
        contents.map(|(_, value)| value),
    )
}

/// The text of a search. Its parameters are what [`parameters`] gives.
pub(super) fn find(select: &Select) -> &'static str {
    // How many values there are and which of them are Null: a leading one, then a bit for each.
    let nulls =
        |values: &[Value]| values.iter().fold(1, |bits, value| bits << 1 | u64::from(*value == Value::Null));
    let shape = Shape {
        index: select.index.columns,
        low: select.low.is_some(),
        high: select.high.is_some(),
        descending: select.descending,
        skips: select.skip > 0,
        equal: nulls(&select.equal),
        after: select.after.as_ref().map_or(0, |cursor| nulls(&cursor.0)),
    };
    write_once(&of(select.table).find, shape, || write_find(select))
}

/// The text that is `known` by `shape`: written at its first use, and kept forever.
fn write_once<S: Eq + Hash>(
    known: &RwLock<HashMap<S, &'static str>>,
    shape: S,
    write: impl FnOnce() -> String,
) -> &'static str {
    if let Some(text) = known.read().unwrap_or_else(PoisonError::into_inner).get(&shape) {
        return text;
    }
    let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
    known.entry(shape).or_insert_with(|| Box::leak(write().into_boxed_str()))
}

/// The parameters of a search, without its [`window`], which comes last.
pub(super) fn parameters(select: &Select) -> impl Iterator<Item = &Value> {
    let after = select.after.iter().flat_map(|cursor| &cursor.0);
    let all = select.equal.iter().chain(&select.low).chain(&select.high).chain(after);
    all.filter(|value| **value != Value::Null)
}

/// The search's limit: one more than wanted, which tells that there is more. Then what is skipped, if
/// anything is.
pub(super) fn window(select: &Select) -> impl Iterator<Item = Value> + use<> {
    let int = |number: usize| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let skip = (select.skip > 0).then(|| int(select.skip));
    std::iter::once(int(select.limit.saturating_add(1))).chain(skip)
}

impl Statements {
    fn write(table: &Table) -> Self {
        let (name, key) = (quoted(table.name), quoted(table.key().name));
        let columns: Vec<_> = table.columns.iter().map(|column| quoted(column.name)).collect();
        let count = columns.len();
        let list = columns.join(", ");
        let places: Vec<_> = (1..=count + 1).map(|at| format!("${at}")).collect();
        // The outer condition looks again: a record may be given more time while its lock is awaited.
        let sweep = table.expires.map_or_else(String::new, |at| {
            let at = quoted(at);
            format!(
                "DELETE FROM {name} WHERE {at} < $1 AND {key} IN \
                 (SELECT {key} FROM {name} WHERE {at} < $1 ORDER BY {at} LIMIT $2)"
            )
        });
        Self {
            get: format!("SELECT revision, {list} FROM {name} WHERE {key} = $1"),
            insert: format!("INSERT INTO {name} ({list}, revision) VALUES ({})", places.join(", ")),
            delete: format!("DELETE FROM {name} WHERE {key} = $1 AND revision = $2"),
            require: format!("SELECT 1 FROM {name} WHERE {key} = $1 AND revision = $2"),
            sweep,
            update: RwLock::default(),
            find: RwLock::default(),
        }
    }
}

/// A name as an SQL identifier, whatever words an engine reserves.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn write_update(table: &Table, changed: u64) -> String {
    let mut text = format!("UPDATE {} SET ", quoted(table.name));
    let named = table.columns.iter().enumerate().filter(|(at, _)| changed >> at & 1 == 1);
    let mut used = 0;
    for (_, column) in named {
        used += 1;
        let _ = write!(text, "{} = ${used}, ", quoted(column.name));
    }
    let key = quoted(table.key().name);
    let _ = write!(text, "revision = ${} WHERE {key} = ${} AND revision = ${}", used + 1, used + 2, used + 3);
    text
}

fn write_find(select: &Select) -> String {
    let table = select.table;
    let order = select.order();
    let bounded = select.low.is_some() || select.high.is_some();
    // A bound leaves no Null in its column.
    let nullable = |column: &str| {
        let declared = table.columns.iter().any(|known| known.name == column && known.nullable);
        declared && !(bounded && select.range_column() == Some(column))
    };
    let mut used = 0;
    let mut place = || {
        used += 1;
        format!("${used}")
    };

    let mut conditions = Vec::new();
    for (column, value) in select.index.columns.iter().zip(&select.equal) {
        conditions.push(match value {
            Value::Null => format!("{} IS NULL", quoted(column)),
            _ => format!("{} = {}", quoted(column), place()),
        });
    }
    if let Some(column) = select.range_column() {
        for (bound, sign) in [(&select.low, ">="), (&select.high, "<=")] {
            if bound.is_some() {
                conditions.push(format!("{} {sign} {}", quoted(column), place()));
            }
        }
    }
    if let Some(cursor) = &select.after {
        if order.iter().any(|column| nullable(column)) {
            let steps: Vec<_> = order
                .iter()
                .zip(&cursor.0)
                .map(|(column, value)| (*column, (*value != Value::Null).then(&mut place), nullable(column)))
                .collect();
            conditions.push(beyond(&steps, select.descending));
        } else {
            let columns: Vec<_> = order.iter().map(|column| quoted(column)).collect();
            let places: Vec<_> = cursor.0.iter().map(|_| place()).collect();
            let sign = if select.descending { '<' } else { '>' };
            conditions.push(format!("({}) {sign} ({})", columns.join(", "), places.join(", ")));
        }
    }

    let columns: Vec<_> = table.columns.iter().map(|column| quoted(column.name)).collect();
    let mut text = format!("SELECT revision, {} FROM {}", columns.join(", "), quoted(table.name));
    if !conditions.is_empty() {
        let _ = write!(text, " WHERE {}", conditions.join(" AND "));
    }
    let ways: Vec<_> = order
        .iter()
        .map(|column| {
            let way = if select.descending { " DESC" } else { "" };
            let nulls = match (nullable(column), select.descending) {
                (false, _) => "",
                (true, false) => " NULLS LAST",
                (true, true) => " NULLS FIRST",
            };
            format!("{}{way}{nulls}", quoted(column))
        })
        .collect();
    let _ = write!(text, " ORDER BY {} LIMIT {}", ways.join(", "), place());
    if select.skip > 0 {
        let _ = write!(text, " OFFSET {}", place());
    }
    text
}

/// Strictly after a place, column by column, because a row comparison does not order Nulls.
fn beyond(steps: &[(&str, Option<String>, bool)], descending: bool) -> String {
    let Some(((column, place, nullable), rest)) = steps.split_first() else { return "FALSE".into() };
    let column = quoted(column);
    let (later, same) = match (place, descending) {
        (Some(place), false) if *nullable => {
            (format!("{column} > {place} OR {column} IS NULL"), format!("{column} = {place}"))
        }
        (Some(place), false) => (format!("{column} > {place}"), format!("{column} = {place}")),
        (Some(place), true) => (format!("{column} < {place}"), format!("{column} = {place}")),
        (None, false) => ("FALSE".into(), format!("{column} IS NULL")),
        (None, true) => (format!("{column} IS NOT NULL"), format!("{column} IS NULL")),
    };
    format!("({later} OR ({same} AND {}))", beyond(rest, descending))
}
