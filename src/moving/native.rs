//! The format in which everything is handed out: one JSON object on each line.
//!
//! The first line says what it is, the last one that it is whole. Between them, every record of every
//! table is a line `{"table": …, "record": {…}}` with the columns by name; the records of one user that
//! make them up follow their own line. Instants are RFC 3339, bytes are base64.

use std::io::BufRead;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::rows::{Fields, JsonLines, Row, Unreadable};
use super::{Newcomer, Reading};
use crate::accounts::{Status, User};
use crate::app::App;
use crate::error::FieldError;
use crate::factors::{Factor, totp};
use crate::identifiers::{Identifier, Name};
use crate::passwords::Password;
use crate::policy::{FactorKind, IdentifierKind};
use crate::store::{Column, Corrupt, Entity, Kind, Table, Value};

/// The format's number: it changes when an older program would misread a line.
pub const FORMAT: u64 = 1;

/// The field in which an authenticator's key stands when it was asked for in the clear.
pub const KEY: &str = "secret_base32";

/// A record as it is handed out.
pub fn line(table: &Table, values: &[Value]) -> Json {
    let fields =
        table.columns.iter().zip(values).map(|(column, value)| (column.name.to_owned(), json(value)));
    json!({"table": table.name, "record": fields.collect::<Map<_, _>>()})
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => Json::String(text.clone()),
        Value::Int(number) => (*number).into(),
        Value::Bool(yes) => (*yes).into(),
        Value::Time(at) => Json::String(at.to_string()),
        Value::Uuid(id) => Json::String(id.to_string()),
        Value::Bytes(bytes) => Json::String(STANDARD.encode(bytes)),
        Value::Json(inner) => inner.clone(),
    }
}

fn value(column: &Column, json: &Json) -> Option<Value> {
    if json.is_null() && column.nullable && column.kind != Kind::Json {
        return Some(Value::Null);
    }
    Some(match column.kind {
        Kind::Text => Value::Text(json.as_str()?.to_owned()),
        Kind::Int => Value::Int(json.as_i64()?),
        Kind::Bool => Value::Bool(json.as_bool()?),
        Kind::Time => Value::Time(json.as_str()?.parse().ok()?),
        Kind::Uuid => Value::Uuid(json.as_str()?.parse().ok()?),
        Kind::Bytes => Value::Bytes(STANDARD.decode(json.as_str()?).ok()?),
        Kind::Json => Value::Json(json.clone()),
    })
}

/// Reads a record back. A column that is not there is empty.
fn record<T: Entity>(fields: &Fields) -> Result<T, Corrupt> {
    let read = |column: &Column| {
        let json = fields.get(column.name).unwrap_or(&Json::Null);
        value(column, json).ok_or_else(|| Corrupt(format!("{} is missing or malformed", column.name)))
    };
    T::from_values(T::table().columns.iter().map(read).collect::<Result<_, _>>()?)
}

/// Whether a first row says that this format follows.
pub fn announces(row: &Row) -> bool {
    let said = row.fields.as_ref().ok().and_then(|fields| fields.get("vestibule"));
    said.is_some_and(|said| said == "export")
}

/// The users among the lines of an export.
pub struct Native<R> {
    lines: JsonLines<R>,
    /// The line that begins the next user, read already.
    ahead: Option<Row>,
    /// Records that were passed over: those of other tables.
    pub passed: u64,
    /// Whether the last line was there.
    pub whole: bool,
}

/// The lines of one user.
#[derive(Debug)]
pub struct Person {
    /// The line on which they begin.
    pub line: u64,
    /// The user's id, as far as it can be read.
    pub id: String,
    /// Their records by table, or why a line cannot be read.
    records: Result<Vec<(String, Fields)>, FieldError>,
}

impl<R: BufRead> Native<R> {
    /// What follows the first line, which is `first`.
    ///
    /// # Errors
    /// When the format is of a newer program.
    pub fn new(lines: JsonLines<R>, first: &Row) -> Result<Self, Unreadable> {
        let format = first.fields.as_ref().ok().and_then(|fields| fields.get("format")?.as_u64());
        if format != Some(FORMAT) {
            return Err(format!(
                "This export is not of format {FORMAT}, which is the one that is known here."
            ));
        }
        Ok(Self { lines, ahead: None, passed: 0, whole: false })
    }

    /// The next user, with the line on which they begin.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub fn read(&mut self) -> Result<Option<Person>, Unreadable> {
        let mut person: Option<Person> = None;
        loop {
            let row = match self.ahead.take() {
                Some(row) => Some(row),
                None => self.lines.read()?,
            };
            let Some(row) = row else { return Ok(person) };
            let named = row.fields.as_ref().ok().and_then(|fields| fields.get("table")?.as_str());
            let table = named.unwrap_or_default().to_owned();
            match (&mut person, table.as_str()) {
                (Some(_), "users") => {
                    self.ahead = Some(row);
                    return Ok(person);
                }
                (None, "users") => {
                    let fields = of(row.fields);
                    let id = fields.as_ref().ok().and_then(|fields| fields.get("id")?.as_str());
                    let id = id.unwrap_or_default().to_owned();
                    person = Some(Person {
                        line: row.line,
                        id,
                        records: fields.map(|fields| vec![(table, fields)]),
                    });
                }
                (Some(Person { records, .. }), "identifiers" | "passwords" | "factors") => {
                    let added = of(row.fields).map(|fields| (table, fields));
                    match (records, added) {
                        (Ok(records), Ok(added)) if records.len() < 200 => records.push(added),
                        (records @ Ok(_), Err(fault)) => *records = Err(fault),
                        _ => {}
                    }
                }
                (Some(Person { records, .. }), "") if row.fields.is_err() => {
                    *records = Err(row.fields.err().unwrap_or_else(|| bad("", "unreadable")));
                }
                _ if row.fields.as_ref().is_ok_and(|fields| fields.contains_key("end")) => self.whole = true,
                _ => self.passed += 1,
            }
        }
    }
}

fn of(line: Result<Fields, FieldError>) -> Result<Fields, FieldError> {
    match line?.remove("record") {
        Some(Json::Object(fields)) => Ok(fields),
        _ => Err(bad("", "This line has no record.")),
    }
}

fn bad(field: &'static str, sentence: impl Into<String>) -> FieldError {
    FieldError::new(field, "malformed", sentence.into())
}

fn twice(table: &str) -> FieldError {
    FieldError::new("", "duplicate", format!("{table}: a record of this user is there twice."))
}

fn are_different<T: Ord>(list: &mut [T]) -> bool {
    list.sort_unstable();
    list.windows(2).all(|two| two.first() != two.last())
}

impl Person {
    /// All records of this user, held to the rules of this house: names are normalised anew, and what is
    /// owned is only what was proved.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(&self, app: &App, reading: &Reading) -> Result<Newcomer, Vec<FieldError>> {
        self.newcomer(app, reading).map_err(|fault| vec![fault])
    }

    fn newcomer(&self, app: &App, reading: &Reading) -> Result<Newcomer, FieldError> {
        let records = self.records.as_ref().map_err(Clone::clone)?;
        let corrupt = |table: &str, why: Corrupt| bad("", format!("{table}: {why}."));
        let own = |field, hash: &str| {
            let taken = app.hashing.own(hash);
            taken.map_err(|why| FieldError::new(field, "hash", format!("It cannot be taken: {why}.")))
        };
        let (mut user, mut identifiers, mut password) = (None, Vec::new(), None);
        let (mut factors, mut keys) = (Vec::new(), Vec::new());
        for (table, fields) in records {
            match table.as_str() {
                "users" => user = Some(record::<User>(fields).map_err(|why| corrupt(table, why))?),
                "identifiers" => {
                    identifiers.push(claim(record(fields).map_err(|why| corrupt(table, why))?)?);
                }
                "passwords" => {
                    let one: Password = record(fields).map_err(|why| corrupt(table, why))?;
                    if password.replace(Password { phc: own("password", &one.phc)?, ..one }).is_some() {
                        return Err(twice("passwords"));
                    }
                }
                _ => {
                    let mut one: Factor = record(fields).map_err(|why| corrupt(table, why))?;
                    keys.extend(key(app, &mut one, fields)?);
                    for code in one.codes.0.iter_mut().flatten() {
                        *code = own("codes", code)?;
                    }
                    factors.push(one);
                }
            }
        }
        let mut user = user.ok_or_else(|| bad("", "There is no user in these lines."))?;
        let id: Uuid = user.id;
        // Who is to be removed is looked for by this alone: nobody else may have it, or stand before those.
        user.purge_at = match user.status {
            Status::Deleted => user.purge_at.or_else(|| Some(app.clock.now() + *app.policy().account.grace)),
            Status::Active | Status::Suspended => None,
        };
        let theirs = identifiers.iter().all(|one| one.user_id == id)
            && factors.iter().all(|one| one.user_id == id)
            && password.as_ref().is_none_or(|one| one.user_id == id);
        let reaches = |factor: &Factor| {
            factor.identifier_id.is_none_or(|id| identifiers.iter().any(|claim: &Identifier| claim.id == id))
        };
        if !theirs || !factors.iter().all(reaches) {
            return Err(bad("", "These lines belong to several users."));
        }
        // One commit would hold two changes to one record, or of two owners of one name, and all who are in it would
        // stay outside.
        let mut owned: Vec<_> = identifiers.iter().filter_map(|one| one.owned.as_deref()).collect();
        if !are_different(&mut owned)
            || !are_different(&mut identifiers.iter().map(|one| one.id).collect::<Vec<_>>())
        {
            return Err(twice("identifiers"));
        }
        if !are_different(&mut factors.iter().map(|one| one.id).collect::<Vec<_>>()) {
            return Err(twice("factors"));
        }
        if identifiers.is_empty() {
            return Err(FieldError::new(
                "identifier",
                "missing",
                "There is nothing to recognise this user by.",
            ));
        }
        if let Some(fault) = user.roles.refused() {
            return Err(fault);
        }
        if !user.roles.0.is_empty() && !reading.roles {
            return Err(FieldError::new(
                "roles",
                "roles",
                "This user has roles, which nobody asked to take.",
            ));
        }
        Ok(Newcomer { user, identifiers, password, factors, keys, ids_given: true })
    }
}

fn claim(one: Identifier) -> Result<Identifier, FieldError> {
    let name = Name::parse(one.kind, &one.value)?;
    let owns = one.kind == IdentifierKind::Username || one.verified_at.is_some();
    Ok(Identifier {
        value: name.value().to_owned(),
        canonical: name.canonical(),
        owned: owns.then(|| name.owned_key()),
        ..one
    })
}

/// The key of an authenticator, to be sealed anew: it was given in the clear, or a key of this house opens it.
fn key(app: &App, factor: &mut Factor, fields: &Fields) -> Result<Option<(Uuid, Vec<u8>)>, FieldError> {
    let wrong = |code, sentence: &str| FieldError::new("secret", code, sentence.to_owned());
    let sealed = factor.secret.take();
    if let Some(text) = fields.get(KEY).and_then(Json::as_str) {
        let sentence = "This is not a key in base 32 of 10 to 64 bytes.";
        let key = totp::given_key(text).ok_or_else(|| wrong("invalid", sentence))?;
        return Ok(Some((factor.id, key)));
    }
    let Some(sealed) = sealed else {
        let asks = factor.kind == FactorKind::Totp && factor.bound_at.is_some();
        let sentence = "The key of this user's authenticator app is missing: nobody could sign in with it.";
        return if asks { Err(wrong("missing", sentence)) } else { Ok(None) };
    };
    match app.keyring.open(&Factor::context(factor.id), &sealed) {
        Some(key) => Ok(Some((factor.id, key.to_vec()))),
        None => Err(wrong(
            "sealed",
            "The key of this user's authenticator app was sealed by another house: add that house's key to \
             secrets.keys, behind this one's, or export with --open-with.",
        )),
    }
}
