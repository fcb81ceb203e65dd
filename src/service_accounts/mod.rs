//! Service accounts and their API keys: programs that ask this server something by themselves.
//!
//! Always holds: a key is 256 bits of chance, shown once and stored as a hash; it is looked up at every request,
//! so one that was revoked is refused at once; it has a scope or it opens nothing, it expires, and only what a
//! line of the router admits by name lets it in. Never: a key that acts as a user.

pub mod actions;
pub mod api;
mod rules;

use std::time::Duration;

use http::{HeaderMap, header};
use uuid::Uuid;

use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::{Error, Problem, Result};
use crate::limits::{self, Limit};
use crate::secret::{Token, TokenKind, credential};
use crate::store::{Change, Query, Seen, entity, json_field, text_enum};

text_enum! {
    /// What an API key may do. Closed: what no route asks for is not here.
    #[schemars(rename = "KeyScope")]
    pub enum Scope {
        /// Follow the feed of revocations.
        RevocationsRead = "revocations.read",
        /// Read the events of all users.
        EventsRead = "events.read",
        /// Ask what a token stands for.
        Introspect = "introspect",
    }
}

/// What one key may do.
#[derive(Clone, Default, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Scopes(pub Vec<Scope>);
json_field!(Scopes);

entity! {
    /// A program that may be given keys.
    pub struct ServiceAccount in "service_accounts" {
        /// Its id.
        id: Uuid,
        /// What people call it.
        name: String,
        /// The administrator who made it; none when it was made on the command line.
        made_by: Option<Uuid>,
        /// When it was made.
        created_at: Timestamp,
    }
    index BY_CREATED (created_at);
}

entity! {
    /// A key of a service account. Revoking it is deleting its record.
    pub struct ApiKey in "api_keys" {
        /// Its id, which is no secret.
        id: Uuid,
        /// Whose.
        account_id: Uuid,
        /// What people call it.
        name: String,
        /// The hash of it.
        digest: Vec<u8>,
        /// What it may do.
        scopes: Scopes,
        /// When it was made.
        created_at: Timestamp,
        /// When it ends whatever happens.
        expires_at: Timestamp,
        /// When it was last used, give or take a minute.
        used_at: Option<Timestamp>,
    }
    index BY_ACCOUNT (account_id, created_at);
    expires expires_at;
}

/// How many keys a service account may have: enough to change each without a gap.
pub const MOST_KEYS: usize = 20;

/// How far the note of a key's last use may lag behind, so that not every request writes.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// The API key in the request's only `Authorization` header; none when it shows something else.
pub fn shown(headers: &HeaderMap) -> Option<Shown> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, text) = credential(value.to_str().ok()?)?;
    let is_key = scheme.eq_ignore_ascii_case("bearer") && text.starts_with("vk_");
    is_key.then(|| Shown(Token::parse(TokenKind::Key, text)))
}

/// What was shown as an API key, whether or not it can be one.
#[derive(Debug)]
pub struct Shown(Option<Token>);

/// The id of the key that was shown, when it counts and has `scope`. Failures are counted by address, uses by
/// key: in memory beside the other limits, so that no use waits for a disk.
///
/// # Errors
/// [`Problem::KeyUnknown`], the same for whatever is wrong with it; [`Problem::ScopeMissing`];
/// [`Problem::LimitReached`]; the store's.
pub async fn authenticate(ctx: &Ctx, shown: Shown, scope: Scope) -> Result<Uuid> {
    let found = match &shown.0 {
        Some(token) => ctx.app.store.get::<ApiKey>(token.id).await?.filter(|key| token.matches(&key.digest)),
        None => None,
    };
    let Some(key) = found.filter(|key| ctx.now < key.expires_at) else {
        limits::take_by_address(ctx, Limit::ClientFailuresAddress).await?;
        return Err(Problem::KeyUnknown.into());
    };
    let id = key.id;
    limits::take(ctx, Limit::ServiceRequests, &id.to_string()).await?;
    if !key.scopes.0.contains(&scope) {
        return Err(Error::new(Problem::ScopeMissing).detail(format!("It has no scope `{scope}`.")));
    }
    if key.used_at.is_none_or(|used| ctx.now.since(used) >= SEEN_EVERY) {
        let used = key.with(|key| key.used_at = Some(ctx.now));
        // Where another request has noted it, or the key has just been revoked, this one was there before.
        ctx.note_use(Change::update(&used)).await?;
    }
    Ok(id)
}

/// Whether the key with this id still counts.
///
/// # Errors
/// [`Problem::KeyUnknown`] when not; the store's.
pub async fn stands(ctx: &Ctx, id: Uuid) -> Result<()> {
    let key = ctx.app.store.get::<ApiKey>(id).await?.filter(|key| ctx.now < key.expires_at);
    key.map(drop).ok_or_else(|| Problem::KeyUnknown.into())
}

/// The keys of an account, the oldest first: those that have expired too, until they are swept away.
///
/// # Errors
/// The store's.
pub async fn keys_of(ctx: &Ctx, account: Uuid) -> Result<Vec<Seen<ApiKey>>> {
    let query = Query::along(ApiKey::BY_ACCOUNT).equal(account).limit(2 * MOST_KEYS);
    Ok(ctx.app.store.find(query).await?.items)
}
