//! What becomes of service accounts and keys: pure.

use std::time::Duration;

use uuid::Uuid;

use super::{ApiKey, MOST_KEYS, Scope, Scopes, ServiceAccount};
use crate::app::Moment;
use crate::audit::{Note, Noting, What, note};
use crate::error::{Error, FieldError};
use crate::secret::{Token, TokenKind};
use crate::store::{Decision, Seen, answer, refuse};
use crate::text;

/// How long a key lasts when nothing is said.
pub const KEY_DAYS: u32 = 90;
/// The longest that a key may last: somebody has to think of it once a year.
const LONGEST_KEY_DAYS: u32 = 365;

/// A key as it is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// For how many days.
    pub days: u32,
}

fn wrong(field: &'static str, code: &'static str, sentence: &'static str) -> Error {
    Error::from(FieldError::new(field, code, sentence))
}

/// A key as it may be asked for.
pub(super) fn wanted(mut wanted: Wanted) -> Result<Wanted, Error> {
    wanted.name = text::name(&wanted.name)?;
    wanted.scopes.sort_unstable();
    wanted.scopes.dedup();
    if wanted.scopes.is_empty() {
        return Err(wrong("scopes", "missing", "A key without a scope opens nothing: name one or more."));
    }
    if !(1..=LONGEST_KEY_DAYS).contains(&wanted.days) {
        return Err(wrong("days", "wrong-value", "A key lasts 1 to 365 days."));
    }
    Ok(wanted)
}

pub(super) fn make(name: &str, by: Option<Uuid>, at: &Moment) -> Decision<ServiceAccount> {
    let id = at.uuid("service-account");
    let account = ServiceAccount { id, name: name.to_owned(), made_by: by, created_at: at.now };
    let made = told(What::ServiceAccountMade, by, &account);
    answer(account.clone()).insert(&account).note(at, made)
}

fn told(what: What, by: Option<Uuid>, account: &ServiceAccount) -> Note {
    let detail = serde_json::json!({"service_account": account.id, "name": account.name});
    note(what).actor(by).detail(detail)
}

fn of_key(what: What, by: Option<Uuid>, key: &ApiKey) -> Note {
    let detail = serde_json::json!({
        "service_account": key.account_id, "api_key": key.id, "name": key.name, "scopes": key.scopes,
    });
    note(what).actor(by).detail(detail)
}

/// The account is written with each key that is made, so that of a key and the end of its account made at
/// once one sees the other, and so do two keys that would be one too many.
pub(super) fn issue(
    account: &Seen<ServiceAccount>,
    keys: &[Seen<ApiKey>],
    wanted: &Wanted,
    by: Option<Uuid>,
    at: &Moment,
) -> Decision<(ApiKey, Token)> {
    if keys.iter().filter(|key| at.now < key.expires_at).count() >= MOST_KEYS {
        return refuse(wrong("name", "too-many", "This service account has 20 keys: revoke one first."));
    }
    let id = at.uuid("api-key");
    let token = Token::new(TokenKind::Key, id, &at.seed);
    let lasts = Duration::from_secs(u64::from(wanted.days) * 24 * 60 * 60);
    let key = ApiKey {
        id,
        account_id: account.id,
        name: wanted.name.clone(),
        digest: token.digest(),
        scopes: Scopes(wanted.scopes.clone()),
        created_at: at.now,
        expires_at: at.now + lasts,
        used_at: None,
    };
    let made = of_key(What::ApiKeyMade, by, &key);
    answer((key.clone(), token)).insert(&key).update(account).note(at, made)
}

pub(super) fn revoke(key: &Seen<ApiKey>, by: Option<Uuid>, at: &Moment) -> Decision<()> {
    answer(()).delete(key).note(at, of_key(What::ApiKeyRevoked, by, key))
}

/// All keys end in the commit that ends the account.
pub(super) fn remove(
    account: &Seen<ServiceAccount>,
    keys: &[Seen<ApiKey>],
    by: Option<Uuid>,
    at: &Moment,
) -> Decision<()> {
    let ended = keys.iter().fold(answer(()), |decision, key| decision.delete(key));
    ended.delete(account).note(at, told(What::ServiceAccountRemoved, by, account))
}
