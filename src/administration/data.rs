//! The tables as they are, for reading.
//!
//! Always holds: a column is hidden until `SHOWN` names it, so nobody shows a secret by adding one; and
//! nobody looks for rows by what is hidden, which would tell it by and by.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::app::Ctx;
use crate::error::{Error, FieldError, Problem, Result};
use crate::schema;
use crate::store::{Column, Cursor, Kind, Page, Row, Table, Value};

/// The columns that are shown, table by table. Never among them: what is sealed, hashed or a digest, codes,
/// what is compared of identifiers, what somebody else's text may hold, and what a session has proved.
#[rustfmt::skip]
const SHOWN: &[(&str, &[&str])] = &[
    ("events", &["id", "at", "what", "user_id", "actor_id", "session_id", "request_id", "address", "user_agent", "block"]),
    ("outgoing", &["id", "state", "attempts", "posted", "published", "at", "due_at", "expires_at"]),
    ("audit_blocks", &["number", "events", "first_at", "last_at", "sealed_at", "purged_at"]),
    ("tallies", &["id", "name", "grain", "begins_at", "count", "expires_at"]),
    ("positions", &["id", "at", "last"]),
    ("telling", &["id", "holder", "ends_at"]),
    ("spending", &["day", "home_known", "home_strangers", "abroad_known", "abroad_strangers", "warned_at", "stopped_at", "expires_at"]),
    ("clients", &["id", "name", "created_at"]),
    ("signing_keys", &["id", "algorithm", "number", "created_at", "active_from", "retired_at", "expires_at"]),
    ("identifiers", &["id", "user_id", "kind", "value", "verified_at", "created_at"]),
    ("passwords", &["user_id", "changed_at"]),
    ("messages", &["id", "kind", "purpose", "to", "user", "status", "attempts", "doubts", "provider", "provider_ref", "error_code", "error_reason", "history", "tries", "fallback", "polls", "look_at", "created_at", "valid_until", "due_at", "finished_at", "expires_at"]),
    ("factors", &["id", "user_id", "kind", "name", "identifier_id", "chosen", "locked_at", "created_at", "bound_at", "used_at"]),
    ("users", &["id", "name", "locale", "status", "suspended_until", "suspended_for", "roles", "rank", "sessions_from", "created_at", "updated_at", "purge_at"]),
    ("removed_users", &["id"]),
    ("organizations", &["id", "name", "created_at", "updated_at", "ended_at"]),
    ("members", &["id", "organization_id", "user_id", "role", "created_at"]),
    ("invitations", &["id", "organization_id", "email", "role", "invited_by", "counts_from", "created_at", "expires_at"]),
    ("sessions", &["id", "user_id", "carry", "device_id", "address", "user_agent", "created_at", "counts_from", "seen_at", "expires_at"]),
    ("moved_sessions", &["id", "expires_at"]),
    ("devices", &["id", "user_id", "user_agent", "address", "trusted_until", "created_at", "used_at", "known_until"]),
    ("calls", &["id", "user_id", "to", "from", "language", "status", "next", "attempts", "looks", "canceled_at", "provider", "provider_ref", "error_code", "error_reason", "duration", "history", "created_at", "valid_until", "tried_at", "due_at", "finished_at", "expires_at"]),
    ("recoveries", &["id", "user_id", "waits", "identifier_id", "device_id", "created_at", "counts_from", "expires_at"]),
    ("challenges", &["id", "user_id", "purpose", "factor", "factor_id", "offered", "identifier_id", "session_id", "device_id", "recovery_id", "operation", "carry", "attempts", "sends", "sent_at", "created_at", "counts_from", "expires_at"]),
    ("undos", &["id", "user_id", "created_at", "expires_at"]),
    ("service_accounts", &["id", "name", "made_by", "created_at"]),
    ("api_keys", &["id", "account_id", "name", "scopes", "created_at", "expires_at", "used_at"]),
    ("revocations", &["id", "user_id", "session_id", "counts_from", "shut", "number", "due_at", "expires_at"]),
    ("revocation_head", &["id", "first", "last", "number"]),
];

/// The tables of which nothing is shown, and why. Every table is in one of the two lists.
const HIDDEN: &[(&str, &str)] = &[
    ("sends", "Counts of what was sent, under keyed hashes of numbers and addresses."),
    ("replays", "Answers that are given again, sealed, under keyed hashes of what was asked."),
    ("begun_sign_ins", "Challenges of sign-ins by form, sealed, under keyed hashes of names."),
];

/// One column of a table.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Column")]
pub struct ColumnView {
    /// Its name.
    pub name: &'static str,
    /// What it holds: `text`, `int`, `bool`, `time`, `uuid`, `bytes` or `json`.
    pub kind: &'static str,
    /// Whether it is kept from everybody.
    pub hidden: bool,
    /// Whether rows can be looked for by it.
    pub indexed: bool,
}

/// One table.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Table")]
pub struct TableView {
    /// Its name.
    pub name: &'static str,
    /// Its columns, the key first.
    pub columns: Vec<ColumnView>,
    /// Why nothing of it is shown, when nothing is.
    pub hidden: Option<&'static str>,
}

fn shown(table: &Table) -> &'static [&'static str] {
    SHOWN.iter().find(|(name, _)| *name == table.name).map_or(&[], |(_, columns)| *columns)
}

/// The index by which rows are looked for by `column`: the key, or one that begins with it.
fn index(table: &'static Table, column: &Column) -> Option<&'static [&'static str]> {
    let first = table.columns.first()?;
    if first.name == column.name {
        return Some(std::slice::from_ref(&first.name));
    }
    let begins = |columns: &&'static [&'static str]| columns.first() == Some(&column.name);
    let found = table.indexes.iter().map(|index| index.columns).find(begins)?;
    // The order of what follows it, and the cursor, would tell of what is hidden.
    found.iter().all(|name| shown(table).contains(name)).then_some(found)
}

/// Every table, with its columns.
pub fn tables() -> Vec<TableView> {
    let view = |table: &'static Table| {
        let shown = shown(table);
        let columns = table.columns.iter().map(|column| ColumnView {
            name: column.name,
            kind: kind(column.kind),
            hidden: !shown.contains(&column.name),
            indexed: shown.contains(&column.name) && index(table, column).is_some(),
        });
        let hidden = HIDDEN.iter().find(|(name, _)| *name == table.name).map(|(_, why)| *why);
        TableView { name: table.name, columns: columns.collect(), hidden }
    };
    schema::tables().into_iter().map(view).collect()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Int => "int",
        Kind::Bool => "bool",
        Kind::Time => "time",
        Kind::Uuid => "uuid",
        Kind::Bytes => "bytes",
        Kind::Json => "json",
    }
}

/// Rows of the table `name` as objects without what is hidden, the greatest key first; with `by`, those
/// whose column of that name is `is`.
///
/// # Errors
/// [`Problem::NotFound`] when there is no such table; [`Problem::Invalid`] for a column that is hidden or
/// has no index, and for a value that it cannot hold.
pub async fn rows(
    ctx: &Ctx,
    name: &str,
    by: Option<(&str, &str)>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<Map<String, Json>>> {
    let table = schema::tables().into_iter().find(|table| table.name == name).ok_or(Problem::NotFound)?;
    let (along, equal) = match by {
        None => {
            let key = table.columns.first().filter(|key| shown(table).contains(&key.name));
            match key.and_then(|key| index(table, key)) {
                Some(key) => (key, Vec::new()),
                // Where even the key is hidden there is nothing to go by.
                None => return Ok(Page { items: Vec::new(), next: None }),
            }
        }
        Some((column, text)) => {
            let column = table.columns.iter().find(|one| one.name == column);
            let column = column.filter(|one| shown(table).contains(&one.name));
            let found = column.and_then(|column| Some((column, index(table, column)?)));
            let (column, along) = found.ok_or_else(|| {
                let sentence = "Rows are not looked for by this: choose a column that says `indexed`.";
                Error::from(FieldError::new("by", "unknown", sentence))
            })?;
            (along, vec![read(column.kind, text)?])
        }
    };
    let page = ctx.app.store.look(table, along, equal, after, limit).await?;
    Ok(Page { items: page.items.iter().map(|row| view(table, row)).collect(), next: page.next })
}

fn read(kind: Kind, text: &str) -> Result<Value> {
    let value = match kind {
        Kind::Text => Some(Value::Text(text.to_owned())),
        Kind::Int => text.parse().ok().map(Value::Int),
        Kind::Bool => text.parse().ok().map(Value::Bool),
        Kind::Time => text.parse().ok().map(Value::Time),
        Kind::Uuid => text.parse().ok().map(Value::Uuid),
        Kind::Bytes | Kind::Json => None,
    };
    value.ok_or_else(|| {
        Error::from(FieldError::new("is", "wrong-value", "This column holds nothing of the kind."))
    })
}

fn view(table: &Table, row: &Row) -> Map<String, Json> {
    let shown = shown(table);
    let mut object = Map::new();
    for (column, value) in table.columns.iter().zip(&row.values) {
        if shown.contains(&column.name) {
            object.insert(column.name.to_owned(), plain(value));
        }
    }
    object
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => Json::from(text.as_str()),
        Value::Int(number) => Json::from(*number),
        Value::Bool(yes) => Json::from(*yes),
        Value::Time(at) => Json::from(at.to_string()),
        Value::Uuid(id) => Json::from(id.to_string()),
        Value::Bytes(bytes) => Json::from(STANDARD.encode(bytes)),
        Value::Json(json) => json.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_there_and_nothing_of_it_is_made_to_be_secret() {
        let tables = schema::tables();
        for (name, columns) in SHOWN {
            let table = tables.iter().find(|table| table.name == *name).unwrap_or_else(|| panic!("{name}"));
            for column in *columns {
                let at = table.position(column).unwrap_or_else(|| panic!("{name}.{column}"));
                // Digests and what is sealed are bytes; hashes and codes have names of their own.
                assert_ne!(table.columns[at].kind, Kind::Bytes, "{name}.{column}");
                let secret = [
                    "phc",
                    "secret",
                    "codes",
                    "digest",
                    "body",
                    "say",
                    "canonical",
                    "owned",
                    "proofs",
                    "detail",
                    "act",
                    "request",
                    "answer",
                ];
                assert!(!secret.contains(column), "{name}.{column}");
            }
        }
    }

    #[test]
    fn every_table_is_shown_or_hidden_with_a_reason() {
        let tables = schema::tables();
        for table in &tables {
            let is_shown = SHOWN.iter().filter(|(name, _)| *name == table.name).count();
            let hidden: Vec<_> = HIDDEN.iter().filter(|(name, _)| *name == table.name).collect();
            assert_eq!(
                is_shown + hidden.len(),
                1,
                "{}: name the columns that are shown in SHOWN, or the table in HIDDEN with a reason",
                table.name
            );
            assert!(hidden.iter().all(|(_, why)| why.len() > 20), "{}", table.name);
            if let Some((_, columns)) = SHOWN.iter().find(|(name, _)| *name == table.name) {
                assert_eq!(
                    columns.first(),
                    Some(&table.columns[0].name),
                    "{}: its rows are listed by its key",
                    table.name
                );
            }
        }
        assert_eq!(SHOWN.len() + HIDDEN.len(), tables.len(), "a list names a table that there is not");
    }

    #[test]
    fn a_table_that_nobody_has_declared_shows_nothing() {
        static UNKNOWN: Table = Table {
            name: "unknown",
            columns: &[Column { name: "id", kind: Kind::Text, nullable: false, sealed: false }],
            indexes: &[],
            expires: None,
            due: None,
            kept: None,
            follows: None,
        };
        let row = Row { revision: 1, values: vec![Value::Text("secret".to_owned())] };
        assert_eq!(view(&UNKNOWN, &row), Map::new());
    }
}
