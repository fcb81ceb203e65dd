//! The JSON door of devices.

use axum::Json;
use axum::http::StatusCode;
use uuid::Uuid;

use super::{Device, DeviceView};
use crate::app::Ctx;
use crate::error::Result;
use crate::http::extract::{Params, Search};
use crate::http::listing::{List, Listing};
use crate::sessions::Caller;
use crate::store::Seen;

/// `GET /devices`
pub async fn list(ctx: Ctx, caller: Caller, Search(ask): Search<Listing>) -> Result<Json<List<DeviceView>>> {
    let page = super::list(&ctx, &caller, ask.cursor(&ctx)?, ask.limit()?).await?;
    let current = caller.session.device_id;
    let view = |device: Seen<Device>| device.view(current == Some(device.id), ctx.now);
    Ok(Json(List::of(&ctx, page, view)))
}

/// `DELETE /devices/{id}`
pub async fn forget(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
    super::forget(&ctx, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
