//! What each sealing key holds, and what each pepper went into, counted where it lies. Nothing is opened.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use deadpool_postgres::Object;

use super::entity::Table;
use super::postgres;
use super::sql::quoted;
use super::{Engine, StoreError};

/// What one key holds in one table, or one pepper went into there.
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
            let column = quoted(column.name);
            // A sealed value begins with the length of its key's id and the id itself.
            let named = Named {
                is_there: format!("length({column}) > 0"),
                sqlite: format!("substr({column}, 2, unicode(CAST(substr({column}, 1, 1) AS TEXT)))"),
                postgres: format!("substring({column} FROM 2 FOR get_byte({column}, 0))"),
            };
            for (key, count) in counted(engine, table, &named).await? {
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

/// What each pepper went into, in these `places`: tables, and the column in each that holds password hashes. Of a
/// record that has several the first one counts, since they were made together.
///
/// # Errors
/// When the database cannot be asked.
pub async fn peppered(
    engine: &Engine,
    places: &[(&'static Table, &'static str)],
) -> Result<Vec<Holding>, StoreError> {
    let mut found = Vec::new();
    for (table, column) in places {
        let column = quoted(column);
        // `…,keyid=ID$…`
        let rest = format!("substr({column}, instr({column}, ',keyid=') + 7)");
        let named = Named {
            is_there: format!("CAST({column} AS text) LIKE '%,keyid=%'"),
            sqlite: format!("CAST(substr({rest}, 1, instr({rest}, '$') - 1) AS BLOB)"),
            postgres: format!(
                "convert_to(split_part(split_part(CAST({column} AS text), ',keyid=', 2), '$', 1), 'UTF8')"
            ),
        };
        for (id, count) in counted(engine, table, &named).await? {
            let key = STANDARD_NO_PAD.decode(&id).unwrap_or(id);
            let key = String::from_utf8_lossy(&key).into_owned();
            found.push(Holding { key, table: table.name, count });
        }
    }
    Ok(found)
}

/// Where a row names a key, in the words of each engine.
struct Named {
    /// Whether it does.
    is_there: String,
    sqlite: String,
    postgres: String,
}

async fn counted(engine: &Engine, table: &Table, named: &Named) -> Result<Vec<(Vec<u8>, i64)>, StoreError> {
    let (table, is_there) = (quoted(table.name), &named.is_there);
    let by = |id: &str| format!("SELECT {id}, count(*) FROM {table} WHERE {is_there} GROUP BY 1 ORDER BY 1");
    match engine {
        Engine::Sqlite(engine) => engine.read(|connection| {
            let mut statement = connection.prepare(&by(&named.sqlite))?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        }),
        Engine::Postgres(engine) => {
            // It may take long; the connection ends with it, and with what was set for it.
            let client = Object::take(engine.client().await?);
            client.batch_execute("SET statement_timeout = 0").await.map_err(postgres::failure)?;
            let rows = client.query(&by(&named.postgres), &[]).await.map_err(postgres::failure)?;
            let read = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?));
            rows.iter().map(read).collect::<Result<_, _>>().map_err(postgres::failure)
        }
        Engine::Memory(_) => Ok(Vec::new()),
    }
}
