//! What SQLite is handed and what it hands back, in the store's terms.

use rusqlite::types::{ToSqlOutput, Value as Raw, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ToSql, ffi};

use super::super::entity::{Kind, Row, Table, Value};
use super::super::{Corrupt, StoreError};

pub(super) fn prepare<'c, 'v>(
    connection: &'c Connection,
    text: &str,
    parameters: impl IntoIterator<Item = &'v Value>,
) -> Result<CachedStatement<'c>, Failure> {
    let mut statement = connection.prepare_cached(text)?;
    for (at, value) in parameters.into_iter().enumerate() {
        statement.raw_bind_parameter(at + 1, value)?;
    }
    Ok(statement)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Self::Bool(yes) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*yes))),
            Self::Time(at) => ToSqlOutput::Owned(Raw::Text(at.to_string())),
            Self::Uuid(id) => ToSqlOutput::Owned(Raw::Text(id.to_string())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Json(json) => ToSqlOutput::Owned(Raw::Text(json.to_string())),
        })
    }
}

pub(super) fn read_row(row: &rusqlite::Row<'_>, table: &Table) -> Result<Row, Failure> {
    let revision = row.get(0)?;
    let values = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            read_value(row.get_ref(at + 1)?, column.kind).map_err(|found| {
                let place = format!("{}.{}", table.name, column.name);
                Failure(Corrupt(format!("{place}: expected {}, found {found}", column.kind)).into())
            })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(Row { revision, values })
}

fn read_value(raw: ValueRef<'_>, kind: Kind) -> Result<Value, &'static str> {
    let text = || raw.as_str().map_err(|_| "something that is not text");
    Ok(match (kind, raw) {
        (_, ValueRef::Null) => Value::Null,
        (Kind::Int, ValueRef::Integer(number)) => Value::Int(number),
        (Kind::Bool, ValueRef::Integer(number @ (0 | 1))) => Value::Bool(number == 1),
        (Kind::Bytes, ValueRef::Blob(bytes)) => Value::Bytes(bytes.to_vec()),
        (Kind::Text, _) => Value::Text(text()?.to_owned()),
        (Kind::Time, _) => Value::Time(text()?.parse().map_err(|_| "other text")?),
        (Kind::Uuid, _) => Value::Uuid(text()?.parse().map_err(|_| "other text")?),
        (Kind::Json, _) => Value::Json(serde_json::from_str(text()?).map_err(|_| "other text")?),
        _ => return Err("something else"),
    })
}

/// A [`StoreError`] that SQLite's own errors turn into.
pub(in crate::store) struct Failure(pub(super) StoreError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<Failure> for StoreError {
    fn from(Failure(error): Failure) -> Self {
        error
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let code = match &error {
            rusqlite::Error::SqliteFailure(code, _) => Some(*code),
            rusqlite::Error::SqlInputError { error, .. } => Some(*error),
            _ => None,
        };
        Self(match code {
            Some(code)
                if matches!(
                    code.extended_code,
                    ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                        | ffi::SQLITE_CONSTRAINT_UNIQUE
                        | ffi::SQLITE_CONSTRAINT_ROWID
                ) =>
            {
                StoreError::Conflict
            }
            Some(code)
                if !matches!(
                    code.code,
                    ErrorCode::Unknown
                        | ErrorCode::ConstraintViolation
                        | ErrorCode::TypeMismatch
                        | ErrorCode::TooBig
                ) =>
            {
                StoreError::unavailable(error)
            }
            _ => StoreError::Misuse(error.to_string()),
        })
    }
}
