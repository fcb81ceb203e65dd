//! Rows of somebody else's PostgreSQL, for moving in.

use deadpool_postgres::{ClientWrapper, Object};

use super::postgres::{Postgres, failure};
use super::{StoreError, sql};

/// What reads is not hurried: the rows are worked on between two looks.
const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

const CURSOR: &str = "vestibule_import";

/// The rows of one query, as JSON objects in text, through a cursor: a few are in memory at a time. It is
/// one transaction that can only read, so what it sees does not change, and nothing there is changed.
pub struct Reading {
    // Not the pool's any more: it ends with this, and its transaction with it.
    client: ClientWrapper,
}

impl Reading {
    /// Begins to read what `query` finds in the database at `url`: one `SELECT`, without a semicolon.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] without that server, [`StoreError::Misuse`] with what it says of a query
    /// that it does not take.
    pub async fn begin(url: &str, query: &str) -> Result<Self, StoreError> {
        let client = Object::take(Postgres::open(url, 1)?.client().await?);
        client.batch_execute(BEGIN).await.map_err(failure)?;
        let query = query.trim().trim_end_matches(';');
        // One statement, by the protocol: no second one can hide behind it.
        let declare = format!(
            "DECLARE {CURSOR} NO SCROLL CURSOR FOR SELECT row_to_json(row)::text FROM ({query}\n) AS row"
        );
        client.execute(&declare, &[]).await.map_err(failure)?;
        Ok(Self { client })
    }

    /// The next rows, at most `limit`; none when there are no more.
    ///
    /// # Errors
    /// The server's failure.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<String>, StoreError> {
        let fetch = format!("FETCH {limit} FROM {}", sql::quoted(CURSOR));
        let rows = self.client.query(&fetch, &[]).await.map_err(failure)?;
        rows.iter().map(|row| row.try_get(0).map_err(failure)).collect()
    }
}
