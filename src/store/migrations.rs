//! Bringing a database to the shape that the program expects.
//!
//! Each migration runs once and whole, in a transaction of its own, however many nodes start
//! together: PostgreSQL holds the others back with an advisory lock, SQLite with its write lock. A
//! migration that has been applied never changes; its checksum is compared at every start.
//!
//! A release runs beside the one before it on the same database: what is new is added first
//! (*expand*), and what nobody uses any more is taken away in a later release (*contract*). Each
//! migration says which one a program must know at least to work on what it leaves behind; that
//! number is kept with it, so an older program knows whether it may start.

use std::time::Duration;

use aws_lc_rs::digest;
use deadpool_postgres::Object;

use super::postgres::{self, Postgres};
use super::sqlite::{self, Failure, Sqlite};
use super::{Engine, StoreError};
use crate::text::hex;

/// One step of the schema.
#[derive(Debug)]
pub struct Migration {
    /// Its place in the order, from 1.
    pub version: i64,
    /// Its file's name without the ending.
    pub name: &'static str,
    /// The newest migration that a program must know to work on the database after this one. Less than
    /// `version` when it only adds what older programs need not know: tables, columns that may be
    /// NULL, indexes that are not unique.
    pub needs: i64,
    /// The statements. No `BEGIN` or `COMMIT`: each migration is one transaction.
    pub text: &'static str,
}

/// The same steps for both engines.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// For SQLite.
    pub sqlite: &'static [Migration],
    /// For PostgreSQL.
    pub postgres: &'static [Migration],
}

macro_rules! embedded {
    ($($version:literal $name:literal needs $needs:literal;)+) => {
        /// What the program was built with: `migrations/{sqlite,postgres}/NNNN_name.sql`.
        pub const EMBEDDED: Migrations = Migrations {
            sqlite: &[$(Migration {
                version: $version,
                name: $name,
                needs: $needs,
                text: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            }),+],
            postgres: &[$(Migration {
                version: $version,
                name: $name,
                needs: $needs,
                text: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
            }),+],
        };
    };
}

embedded! {
    1 "0001_ground" needs 1;
}

/// Why the schema was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// An applied migration is not the one that the program knows.
    #[error(
        "migration {0} has been changed since it was applied to this database; restore it, and put the change into a new migration"
    )]
    Changed(String),
    /// The database has been migrated by a newer program, to a shape in which this one cannot work.
    #[error(
        "the database has migration {name}, after which programs must know migration {needs}, and this one knows \
         {knows} at most: start the newer version, or restore the backup from before"
    )]
    Newer {
        /// The migration.
        name: String,
        /// What it takes to work after it.
        needs: i64,
        /// What this program knows.
        knows: i64,
    },
    /// A migration could not be applied; nothing of it remains.
    #[error("migration {0} failed: {1}")]
    Failed(&'static str, #[source] StoreError),
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The migrations that the program brings and the database does not have.
///
/// # Errors
/// A [`Refusal`] when what has been applied does not belong to this program.
pub async fn plan(engine: &Engine) -> Result<Vec<&'static Migration>, Refusal> {
    EMBEDDED.plan(engine).await
}

/// Applies what is pending, in order, and returns it. Others that start at the same time wait.
///
/// # Errors
/// A [`Refusal`]; what was applied before it stays.
pub async fn apply(engine: &Engine) -> Result<Vec<&'static Migration>, Refusal> {
    EMBEDDED.apply(engine).await
}

impl Migrations {
    /// See [`plan`].
    pub async fn plan(&self, engine: &Engine) -> Result<Vec<&'static Migration>, Refusal> {
        match engine {
            Engine::Sqlite(engine) => pending(self.sqlite, &engine.read(sqlite_applied)?),
            Engine::Postgres(engine) => {
                let client = engine.client().await?;
                pending(self.postgres, &postgres_applied(&client).await?)
            }
            Engine::Memory(_) => Ok(Vec::new()),
        }
    }

    /// See [`apply`].
    pub async fn apply(&self, engine: &Engine) -> Result<Vec<&'static Migration>, Refusal> {
        // Whoever only serves need not be allowed to change the schema.
        if self.plan(engine).await?.is_empty() {
            return Ok(Vec::new());
        }
        match engine {
            Engine::Sqlite(engine) => self.apply_sqlite(engine),
            Engine::Postgres(engine) => self.apply_postgres(engine).await,
            Engine::Memory(_) => Ok(Vec::new()),
        }
    }

    fn apply_sqlite(&self, engine: &Sqlite) -> Result<Vec<&'static Migration>, Refusal> {
        // A connection of its own: dropped halfway, it takes its transaction back.
        let connection = sqlite::connect(engine.path(), false)?;
        let run = |text: &str| {
            connection.execute_batch(text).map_err(|error| StoreError::from(Failure::from(error)))
        };
        connection.busy_timeout(OTHERS).map_err(Failure::from).map_err(StoreError::from)?;
        // Rebuilding a table must not cascade; what the references say is checked before each commit.
        run("PRAGMA foreign_keys = OFF")?;
        let mut applied = Vec::new();
        loop {
            run("BEGIN IMMEDIATE")?;
            run("CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY NOT NULL, \
                 name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL, \
                 needs INTEGER NOT NULL) STRICT")?;
            let known = sqlite_applied(&connection).map_err(StoreError::from)?;
            let Some(next) = pending(self.sqlite, &known)?.first().copied() else {
                run("COMMIT")?;
                return Ok(applied);
            };
            let step = || -> Result<(), Failure> {
                connection.execute_batch(next.text)?;
                if connection.prepare("PRAGMA foreign_key_check")?.exists([])? {
                    return Err(StoreError::Misuse("a reference leads nowhere".into()).into());
                }
                connection.execute(
                    "INSERT INTO schema_migrations (version, name, checksum, applied_at, needs) \
                     VALUES ($1, $2, $3, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), $4)",
                    (next.version, next.name, checksum(next.text), next.needs),
                )?;
                Ok(())
            };
            step().map_err(|failure| Refusal::Failed(next.name, failure.into()))?;
            run("COMMIT")?;
            applied.push(next);
        }
    }

    async fn apply_postgres(&self, engine: &Postgres) -> Result<Vec<&'static Migration>, Refusal> {
        // Out of the pool for good: whatever happens here, its transaction ends with the connection.
        let client = Object::take(engine.client().await?);
        let mut applied = Vec::new();
        loop {
            // One lock for one schema; the transaction's end lets go of it.
            let begin = "BEGIN READ WRITE; SET LOCAL statement_timeout = 0; \
                SELECT pg_advisory_xact_lock(hashtextextended('schema_migrations ' || current_schema(), 0)); \
                CREATE TABLE IF NOT EXISTS schema_migrations (version bigint PRIMARY KEY, \
                name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), \
                needs bigint NOT NULL)";
            client.batch_execute(begin).await.map_err(postgres::failure)?;
            let known = postgres_applied(&client).await?;
            let Some(next) = pending(self.postgres, &known)?.first().copied() else {
                client.batch_execute("COMMIT").await.map_err(postgres::failure)?;
                return Ok(applied);
            };
            let step = async {
                client.batch_execute(next.text).await?;
                let insert =
                    "INSERT INTO schema_migrations (version, name, checksum, needs) VALUES ($1, $2, $3, $4)";
                client
                    .execute(insert, &[&next.version, &next.name, &checksum(next.text), &next.needs])
                    .await?;
                client.batch_execute("COMMIT").await
            };
            step.await.map_err(|error| Refusal::Failed(next.name, postgres::failure(error)))?;
            applied.push(next);
        }
    }
}

/// How long to wait for another process that migrates the same file.
const OTHERS: Duration = Duration::from_secs(60);

/// Version, name and checksum of what has been applied, and what it takes to work after it.
type Applied = (i64, String, String, i64);

const LIST: &str = "SELECT version, name, checksum, needs FROM schema_migrations ORDER BY version";

fn sqlite_applied(connection: &rusqlite::Connection) -> Result<Vec<Applied>, Failure> {
    let there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'";
    if !connection.prepare(there)?.exists([])? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(LIST)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

async fn postgres_applied(client: &tokio_postgres::Client) -> Result<Vec<Applied>, StoreError> {
    let there = "SELECT to_regclass('schema_migrations') IS NOT NULL";
    if !client.query_one_scalar::<bool, _>(there, &[]).await.map_err(postgres::failure)? {
        return Ok(Vec::new());
    }
    let rows = client.query(LIST, &[]).await.map_err(postgres::failure)?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)))
        .collect::<Result<_, _>>()
        .map_err(postgres::failure)
}

fn pending(known: &'static [Migration], applied: &[Applied]) -> Result<Vec<&'static Migration>, Refusal> {
    let knows = known.last().map_or(0, |migration| migration.version);
    for (version, name, sum, needs) in applied {
        match known.iter().find(|migration| migration.version == *version) {
            None if *needs <= knows => {
                tracing::warn!(
                    migration = name,
                    "a newer version has migrated the database; this one can still work on it"
                );
            }
            None => return Err(Refusal::Newer { name: name.clone(), needs: *needs, knows }),
            Some(migration) if checksum(migration.text) != *sum => {
                return Err(Refusal::Changed(name.clone()));
            }
            Some(_) => {}
        }
    }
    Ok(known
        .iter()
        .filter(|migration| !applied.iter().any(|(version, ..)| *version == migration.version))
        .collect())
}

/// SHA-256 in hexadecimal digits.
fn checksum(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_the_same_steps_in_order() {
        let steps = |list: &[Migration]| list.iter().map(|one| (one.version, one.name)).collect::<Vec<_>>();
        assert_eq!(steps(EMBEDDED.sqlite), steps(EMBEDDED.postgres));
        for (at, migration) in EMBEDDED.sqlite.iter().enumerate() {
            assert_eq!(usize::try_from(migration.version).unwrap(), at + 1);
            assert!(migration.name.starts_with(&format!("{:04}_", migration.version)), "{}", migration.name);
            assert!((1..=migration.version).contains(&migration.needs), "{}", migration.name);
        }
    }
}
