//! Registered clients: services that may ask what a token that they were shown stands for.
//!
//! Always holds: a client's secret is 256 bits of chance, shown once and stored as a hash; a client is
//! looked up at every request, so one that was removed is refused at once.

pub mod api;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::{Problem, Result};
use crate::limits::{self, Limit};
use crate::secret::{Token, TokenKind, credential};
use crate::store::{Cursor, Page, Query, Seen, answer, entity};

entity! {
    /// A service that may ask about tokens.
    pub struct RegisteredClient in "clients" {
        /// Its `client_id`.
        id: Uuid,
        /// What people call it.
        name: String,
        /// The hash of its secret.
        digest: Vec<u8>,
        /// When it was registered.
        created_at: Timestamp,
    }
    index BY_CREATED (created_at);
}

/// Registers a client. Its secret is shown once.
///
/// # Errors
/// The store's.
pub async fn add(ctx: &Ctx, name: &str) -> Result<(RegisteredClient, Token)> {
    ctx.decide(move |moment| async move {
        let id = moment.uuid("client");
        let secret = Token::new(TokenKind::Client, id, &moment.seed);
        let client =
            RegisteredClient { id, name: name.to_owned(), digest: secret.digest(), created_at: moment.now };
        Ok(answer((client.clone(), secret)).insert(&client))
    })
    .await
}

/// Those that are registered, the oldest first.
///
/// # Errors
/// The store's.
pub async fn list(ctx: &Ctx, after: Option<Cursor>) -> Result<Page<Seen<RegisteredClient>>> {
    Ok(ctx.app.store.find(Query::along(RegisteredClient::BY_CREATED).after(after)).await?)
}

/// Removes a client.
///
/// # Errors
/// [`Problem::NotFound`] when there is none with that id; the store's.
pub async fn remove(ctx: &Ctx, id: Uuid) -> Result<()> {
    ctx.decide(move |_| async move {
        match ctx.app.store.get::<RegisteredClient>(id).await? {
            Some(client) => Ok(answer(()).delete(&client)),
            None => Err(Problem::NotFound.into()),
        }
    })
    .await
}

/// The client that the request's HTTP Basic header names (RFC 6749 §2.3.1). Failures are counted by
/// address, uses by client.
///
/// # Errors
/// [`Problem::ClientUnknown`], the same for whatever is wrong; [`Problem::LimitReached`]; the store's.
pub async fn authenticate(ctx: &Ctx, headers: &HeaderMap) -> Result<RegisteredClient> {
    if let Some(secret) = shown(headers)
        && let Some(client) = ctx.app.store.get::<RegisteredClient>(secret.id).await?
        && secret.matches(&client.digest)
    {
        limits::take(ctx, Limit::ServiceRequests, &client.id.to_string()).await?;
        return Ok(client.into_inner());
    }
    limits::take_by_address(ctx, Limit::ClientFailuresAddress).await?;
    Err(Problem::ClientUnknown.into())
}

/// The secret that the only `Authorization` header holds, when it is of the client that the header names.
/// Ids and secrets have only characters that form encoding leaves alone.
fn shown(headers: &HeaderMap) -> Option<Token> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, text) = credential(value.to_str().ok()?)?;
    let text = Zeroizing::new(STANDARD.decode(text).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?);
    let (id, secret) = std::str::from_utf8(&text).ok()?.split_once(':')?;
    let secret = Token::parse(TokenKind::Client, secret)?;
    (id.parse() == Ok(secret.id)).then_some(secret)
}
