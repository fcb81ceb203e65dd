//! What each sealing key holds, counted where it lies. Nothing is opened.

use deadpool_postgres::Object;

use super::entity::{Column, Table};
use super::postgres;
use super::sql::quoted;
use super::{Engine, StoreError};

/// What one key holds in one table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holding {
    /// The key's id.
    pub key: String,
    /// Where.
    pub table: &'static str,
    /// How many values.
    pub count: i64,
}

/// What is sealed in `tables`, by key.
///
/// # Errors
/// When the database cannot be asked.
pub async fn holdings(engine: &Engine, tables: &[&'static Table]) -> Result<Vec<Holding>, StoreError> {
    let mut found: Vec<Holding> = Vec::new();
    for table in tables {
        for column in table.columns.iter().filter(|column| column.sealed) {
            for (key, count) in counted(engine, table, column).await? {
                let key = String::from_utf8_lossy(&key).into_owned();
                match found.iter_mut().find(|known| known.table == table.name && known.key == key) {
                    Some(known) => known.count += count,
                    None => found.push(Holding { key, table: table.name, count }),
                }
            }
        }
    }
    Ok(found)
}

/// A sealed value begins with the length of its key's id and the id itself.
async fn counted(engine: &Engine, table: &Table, column: &Column) -> Result<Vec<(Vec<u8>, i64)>, StoreError> {
    let (table, column) = (quoted(table.name), quoted(column.name));
    let by = |id: &str| {
        format!("SELECT {id}, count(*) FROM {table} WHERE length({column}) > 0 GROUP BY 1 ORDER BY 1")
    };
    match engine {
        Engine::Sqlite(engine) => engine.read(|connection| {
            let id = format!("substr({column}, 2, unicode(CAST(substr({column}, 1, 1) AS TEXT)))");
            let mut statement = connection.prepare(&by(&id))?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        }),
        Engine::Postgres(engine) => {
            // It may take long; the connection ends with it, and with what was set for it.
            let client = Object::take(engine.client().await?);
            client.batch_execute("SET statement_timeout = 0").await.map_err(postgres::failure)?;
            let id = format!("substring({column} FROM 2 FOR get_byte({column}, 0))");
            let rows = client.query(&by(&id), &[]).await.map_err(postgres::failure)?;
            let read = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?));
            rows.iter().map(read).collect::<Result<_, _>>().map_err(postgres::failure)
        }
        Engine::Memory(_) => Ok(Vec::new()),
    }
}
