//! Handing everything out.

use std::io;

use serde_json::{Value as Json, json};

use super::native::{FORMAT, KEY, line};
use crate::accounts::User;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::factors::recovery_codes::Slots;
use crate::factors::{Factor, totp};
use crate::identifiers::Identifier;
use crate::passwords::Password;
use crate::schema;
use crate::secret::Keyring;
use crate::store::{Entity, Query};

/// How many records are read at once.
const PAGE: usize = 200;

/// What is handed out besides, to whoever asks for it.
#[derive(Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The hashes of passwords and of recovery codes.
    pub hashes: bool,
    /// The keys of authenticator apps in the clear, as far as this opens them.
    pub open: Option<&'a Keyring>,
}

/// Hands every record to `put`, a line each, and returns how many there were. What is sealed stays so, and hashes
/// stay here, but for what was `asked`.
///
/// It is no snapshot: what changes meanwhile may be told as it was or as it is. The records of one user
/// are read together.
///
/// # Errors
/// The store's, and those of `put`.
pub async fn export(
    ctx: &Ctx,
    asked: Asked<'_>,
    put: &mut dyn FnMut(&Json) -> io::Result<()>,
) -> Result<u64> {
    let mut count = 0;
    let mut give = |record: &Json| {
        count += 1;
        put(record).map_err(Error::internal)
    };
    give(&json!({
        "vestibule": "export", "format": FORMAT, "version": env!("CARGO_PKG_VERSION"), "at": ctx.now,
    }))?;
    let store = &ctx.app.store;
    let mut after = None;
    loop {
        let page = store.all(User::table(), after, PAGE).await?;
        for values in page.items {
            let user = User::from_values(values.clone()).map_err(Error::internal)?;
            give(&line(User::table(), &values))?;
            let claims = Query::<Identifier>::along(Identifier::BY_USER).equal(user.id).limit(PAGE);
            for claim in store.find(claims).await?.items {
                give(&line(Identifier::table(), &claim.to_values()))?;
            }
            if asked.hashes
                && let Some(password) = store.get::<Password>(user.id).await?
            {
                give(&line(Password::table(), &password.to_values()))?;
            }
            let factors = Query::<Factor>::along(Factor::BY_USER).equal(user.id).limit(PAGE);
            for factor in store.find(factors).await?.items {
                give(&opened(&factor, asked))?;
            }
        }
        match page.next {
            None => break,
            next => after = next,
        }
    }
    let told = [User::table().name, Identifier::table().name, Password::table().name, Factor::table().name];
    for table in schema::tables().into_iter().filter(|table| !told.contains(&table.name)) {
        let mut after = None;
        loop {
            let page = store.all(table, after, PAGE).await?;
            for values in page.items {
                give(&line(table, &values))?;
            }
            match page.next {
                None => break,
                next => after = next,
            }
        }
    }
    // Neither the first line nor this one is a record.
    let records = count - 1;
    put(&json!({"end": true, "records": records})).map_err(Error::internal)?;
    Ok(records)
}

/// A factor, with as much of its secrets as was asked for.
fn opened(factor: &Factor, asked: Asked<'_>) -> Json {
    let codes = if asked.hashes { factor.codes.clone() } else { Slots::default() };
    let mut line = line(Factor::table(), &Factor { codes, ..factor.clone() }.to_values());
    let sealed = asked.open.zip(factor.secret.as_ref());
    let key = sealed.and_then(|(open, sealed)| open.open(&Factor::context(factor.id), sealed));
    if let (Some(key), Some(record)) = (key, line.get_mut("record").and_then(Json::as_object_mut)) {
        record.insert("secret".to_owned(), Json::Null);
        record.insert(KEY.to_owned(), totp::base32(&key).into());
    }
    line
}
