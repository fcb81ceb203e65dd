//! The JSON door of service accounts.

use axum::Json;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::actions::{self, By, KEY_DAYS, Wanted};
use super::{ApiKey, Scope, ServiceAccount};
use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::extract::{Body, Params, Search};
use crate::http::listing::{List, Listing};
use crate::sessions::Caller;
use crate::store::Seen;

/// A service account.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ServiceAccount")]
pub struct AccountView {
    /// Its id.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// The administrator who made it; none when it was made on the command line.
    pub made_by: Option<Uuid>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<&ServiceAccount> for AccountView {
    fn from(account: &ServiceAccount) -> Self {
        let ServiceAccount { id, made_by, created_at, .. } = *account;
        Self { id, name: account.name.clone(), made_by, created_at }
    }
}

/// An API key, without the key itself.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub struct KeyView {
    /// Its id.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub last_used_at: Option<Timestamp>,
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            scopes: key.scopes.0.clone(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.used_at,
        }
    }
}

/// The keys of a service account: at most twenty that count.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKeys")]
pub struct Keys {
    /// The keys, the oldest first.
    pub items: Vec<KeyView>,
}

/// A key that was just made.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IssuedApiKey")]
pub struct IssuedView {
    /// To be sent as `Authorization: Bearer`. It is shown this once; only its hash is stored.
    pub key: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub view: KeyView,
}

/// The body of `POST /admin/service-accounts`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewServiceAccount")]
pub struct NewAccount {
    /// What people call it, 1 to 100 characters.
    pub name: String,
}

/// The body of `POST /admin/service-accounts/{id}/keys`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApiKey")]
pub struct NewKey {
    /// What people call it, 1 to 100 characters.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// For how many days, 1 to 365; 90 when left out.
    pub days: Option<u32>,
}

/// `GET /admin/service-accounts`
pub async fn list(ctx: Ctx, Search(ask): Search<Listing>) -> Result<Json<List<AccountView>>> {
    let page = actions::list(&ctx, ask.cursor(&ctx)?, ask.limit()?).await?;
    Ok(Json(List::of(&ctx, page, |account: Seen<ServiceAccount>| AccountView::from(&*account))))
}

/// `POST /admin/service-accounts`
pub async fn create(
    ctx: Ctx,
    caller: Caller,
    Body(ask): Body<NewAccount>,
) -> Result<(StatusCode, Json<AccountView>)> {
    let by = By::admin(&ctx, &caller).await?;
    let account = actions::make(&ctx, &by, &ask.name).await?;
    Ok((StatusCode::CREATED, Json(AccountView::from(&account))))
}

/// `DELETE /admin/service-accounts/{id}`
pub async fn remove(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
    actions::remove(&ctx, &By::admin(&ctx, &caller).await?, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /admin/service-accounts/{id}/keys`
pub async fn keys(ctx: Ctx, Params(id): Params<Uuid>) -> Result<Json<Keys>> {
    let keys = actions::keys(&ctx, id).await?;
    Ok(Json(Keys { items: keys.iter().map(|key| KeyView::from(&**key)).collect() }))
}

/// `POST /admin/service-accounts/{id}/keys`
pub async fn issue(
    ctx: Ctx,
    caller: Caller,
    Params(id): Params<Uuid>,
    Body(ask): Body<NewKey>,
) -> Result<(StatusCode, Json<IssuedView>)> {
    let by = By::admin(&ctx, &caller).await?;
    let wanted = Wanted { name: ask.name, scopes: ask.scopes, days: ask.days.unwrap_or(KEY_DAYS) };
    let (key, token) = actions::issue(&ctx, &by, id, wanted).await?;
    Ok((StatusCode::CREATED, Json(IssuedView { key: token.reveal(), view: KeyView::from(&key) })))
}

/// `DELETE /admin/api-keys/{id}`
pub async fn revoke(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
    actions::revoke(&ctx, &By::admin(&ctx, &caller).await?, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
