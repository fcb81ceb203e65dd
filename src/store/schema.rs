//! Comparing the database as it is with the records as they are declared.
//!
//! The migrations are written by hand, once for each engine; this is what keeps them honest.

use super::entity::{Column, Index, Kind, Table};
use super::postgres;
use super::sqlite::Failure;
use super::{Engine, StoreError};

/// A table as the engine describes it.
#[derive(Default)]
struct Live {
    columns: Vec<LiveColumn>,
    primary: Vec<String>,
    indexes: Vec<LiveIndex>,
}

struct LiveColumn {
    name: String,
    native: String,
    nullable: bool,
    /// How its text is ordered, where the engine has more than one way.
    collation: Option<String>,
}

struct LiveIndex {
    columns: Vec<String>,
    unique: bool,
    /// Over which rows: a condition without brackets and quotes, empty when over all of them; none when it is
    /// not ready for use.
    over: Option<String>,
}

impl LiveIndex {
    /// Whether it is as `index` is declared.
    fn is(&self, index: &Index) -> bool {
        self.columns == index.columns && self.unique == index.unique && self.over == Some(over(index))
    }

    /// Whether it can be gone along by `column`, which is not Null where it is asked for.
    fn begins_with(&self, column: &str) -> bool {
        let holds = |over: &String| over.is_empty() || *over == something(column);
        self.columns.first().is_some_and(|first| first == column) && self.over.as_ref().is_some_and(holds)
    }
}

/// The condition for what is in an index, as [`LiveIndex::over`] has it.
fn over(index: &Index) -> String {
    let first = index.columns.first().filter(|_| index.sparse);
    first.map_or_else(String::new, |column| something(column))
}

fn something(column: &str) -> String {
    format!("{column} IS NOT NULL")
}

/// A condition as an engine tells it, without its brackets and quotes.
fn plain(condition: &str) -> String {
    condition.trim().replace(['(', ')', '"'], "")
}

/// What differs between the database and `tables`, a sentence each; nothing when they agree.
///
/// Indexes that nobody declared are left alone unless they are unique, which would refuse records; so
/// are columns, unless they must be given something.
///
/// # Errors
/// When the database cannot be asked.
pub async fn differences(engine: &Engine, tables: &[&Table]) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for table in tables {
        let (live, native): (_, fn(Kind) -> &'static str) = match engine {
            Engine::Sqlite(engine) => {
                (engine.read(|connection| sqlite(connection, table.name))?, sqlite_type)
            }
            Engine::Postgres(engine) => {
                let client = engine.client().await?;
                (postgres(&client, table.name).await.map_err(postgres::failure)?, postgres_type)
            }
            Engine::Memory(_) => continue,
        };
        compare(table, &live, native, &mut found);
    }
    Ok(found)
}

fn compare(table: &Table, live: &Live, native: fn(Kind) -> &'static str, found: &mut Vec<String>) {
    let name = table.name;
    let mut say = |sentence: String| found.push(format!("table {name} {sentence}"));
    if live.columns.is_empty() {
        return say("is missing".into());
    }

    let revision = Column { name: "revision", kind: Kind::Int, nullable: false, sealed: false };
    let wanted: Vec<_> = table.columns.iter().copied().chain([revision]).collect();
    for column in &wanted {
        let Some(known) = live.columns.iter().find(|known| known.name == column.name) else {
            say(format!("has no column {}", column.name));
            continue;
        };
        let expected = native(column.kind);
        if !known.native.eq_ignore_ascii_case(expected) {
            say(format!("has column {} as {}, not {expected}", column.name, known.native));
        }
        if known.nullable != column.nullable {
            let may = if column.nullable { "must be allowed to" } else { "must not" };
            say(format!("has column {}, which {may} be NULL", column.name));
        }
        let ordered = column.name == table.key().name
            || table.indexes.iter().any(|index| index.columns.contains(&column.name));
        if let Some(collation) = known.collation.as_deref()
            && ordered
            && !BY_BYTES.contains(&collation)
        {
            say(format!("has column {} in the order of {collation}, not COLLATE \"C\"", column.name));
        }
    }
    let is_known = |known: &LiveColumn| wanted.iter().any(|column| column.name == known.name);
    // One that may be left out harms nobody: a newer version has added it.
    for known in live.columns.iter().filter(|known| !known.nullable && !is_known(known)) {
        say(format!("has column {}, which no record knows", known.name));
    }

    if live.primary != [table.key().name] {
        say(format!("has the primary key ({}), not ({})", live.primary.join(", "), table.key().name));
    }
    for index in table.indexes {
        if !live.indexes.iter().any(|known| known.is(index)) {
            let kind = if index.unique { "unique index" } else { "index" };
            let only = if index.sparse { format!(" WHERE {}", over(index)) } else { String::new() };
            say(format!("has no {kind} over ({}){only}", index.columns.join(", ")));
        }
    }
    for known in live.indexes.iter().filter(|known| known.unique && known.columns != live.primary) {
        if !table.indexes.iter().any(|index| index.unique && known.columns == index.columns) {
            say(format!("has a unique index over ({}), which no record declares", known.columns.join(", ")));
        }
    }
    if let Some(column) = table.expires
        && !live.indexes.iter().any(|known| known.begins_with(column))
    {
        say(format!("has no index that begins with {column}, which sweeping needs"));
    }
}

fn sqlite_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Time | Kind::Uuid | Kind::Json => "TEXT",
        Kind::Int | Kind::Bool => "INTEGER",
        Kind::Bytes => "BLOB",
    }
}

fn postgres_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Int => "bigint",
        Kind::Bool => "boolean",
        Kind::Time => "timestamp with time zone",
        Kind::Uuid => "uuid",
        Kind::Bytes => "bytea",
        Kind::Json => "jsonb",
    }
}

/// Collations that compare UTF-8 text by its bytes, as SQLite and Rust do.
const BY_BYTES: &[&str] = &["C", "POSIX", "C.UTF-8", "C.utf8", "ucs_basic", "pg_c_utf8"];

fn sqlite(connection: &rusqlite::Connection, table: &str) -> Result<Live, Failure> {
    let mut live = Live::default();
    let mut primary = Vec::new();
    let mut statement =
        connection.prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_info($1)")?;
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let place: i64 = row.get(3)?;
        if place > 0 {
            primary.push((place, name.clone()));
        }
        live.columns.push(LiveColumn {
            name,
            native: row.get(1)?,
            nullable: !row.get::<_, bool>(2)?,
            collation: None,
        });
    }
    primary.sort_unstable();
    live.primary = primary.into_iter().map(|(_, name)| name).collect();

    // Of a condition only the statement tells that made the index.
    let mut statement = connection.prepare(
        "SELECT l.name, l.\"unique\", CASE WHEN l.partial THEN m.sql END FROM pragma_index_list($1) l \
         LEFT JOIN sqlite_schema m ON m.type = 'index' AND m.name = l.name",
    )?;
    let mut columns =
        connection.prepare("SELECT coalesce(name, '') FROM pragma_index_info($1) ORDER BY seqno")?;
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let names = columns.query_map([row.get::<_, String>(0)?], |row| row.get(0))?;
        live.indexes.push(LiveIndex {
            columns: names.collect::<Result<_, _>>()?,
            unique: row.get(1)?,
            over: Some(match row.get::<_, Option<String>>(2)? {
                Some(text) => text.split_once(" WHERE ").map_or(text.clone(), |(_, rest)| plain(rest)),
                None => String::new(),
            }),
        });
    }
    Ok(live)
}

async fn postgres(client: &tokio_postgres::Client, table: &str) -> Result<Live, tokio_postgres::Error> {
    // 100 is the database's own collation.
    let columns = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, \
        CASE WHEN a.attcollation = 100 \
             THEN (SELECT datcollate::text FROM pg_database WHERE datname = current_database()) \
             ELSE (SELECT collname::text FROM pg_collation c WHERE c.oid = a.attcollation) END \
        FROM pg_attribute a WHERE a.attrelid = to_regclass(quote_ident($1)) \
        AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let indexes = "SELECT ARRAY(SELECT coalesce(a.attname::text, '') \
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place) \
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
             WHERE k.place <= i.indnkeyatts ORDER BY k.place), \
        i.indisunique, CASE WHEN i.indisvalid THEN coalesce(pg_get_expr(i.indpred, i.indrelid), '') END, \
        i.indisprimary \
        FROM pg_index i WHERE i.indrelid = to_regclass(quote_ident($1))";
    let mut live = Live::default();
    for row in client.query(columns, &[&table]).await? {
        live.columns.push(LiveColumn {
            name: row.try_get(0)?,
            native: row.try_get(1)?,
            nullable: row.try_get(2)?,
            collation: row.try_get(3)?,
        });
    }
    for row in client.query(indexes, &[&table]).await? {
        let columns: Vec<String> = row.try_get(0)?;
        if row.try_get(3)? {
            live.primary.clone_from(&columns);
        }
        let over: Option<String> = row.try_get(2)?;
        live.indexes.push(LiveIndex { columns, unique: row.try_get(1)?, over: over.as_deref().map(plain) });
    }
    Ok(live)
}
