//! The JSON door of one's own account.

use axum::Json;

use super::Account;
use crate::app::Ctx;
use crate::error::Result;
use crate::sessions::Caller;

/// `GET /users/me`
pub async fn me(ctx: Ctx, caller: Caller) -> Result<Json<Account>> {
    Ok(Json(super::account(&ctx, &caller.user).await?))
}
