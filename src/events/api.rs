//! The JSON door of events.

use axum::{Extension, Json};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::EventView;
use crate::app::Ctx;
use crate::audit::Outgoing;
use crate::clock::Timestamp;
use crate::error::{Problem, Result};
use crate::http::extract::{Asker, Params, Search};
use crate::http::listing::{List, Listing};
use crate::policy::operation;
use crate::sessions::Caller;
use crate::step_up::staff;

/// The query of `GET /events`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// The id of the last event that was read; from the oldest one when left out.
    pub after: Option<Uuid>,
    /// How many, 1 to 200; 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<usize>,
}

/// Events, in the order in which they were sealed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Events {
    /// The events; none when there is nothing new. The last one's id is the next `after`.
    pub items: Vec<EventView>,
}

/// `GET /events`: for an API key, and for whoever may see the same by `GET /admin/audit`.
pub async fn feed(
    ctx: Ctx,
    key: Option<Extension<Asker>>,
    caller: Option<Extension<Caller>>,
    Search(ask): Search<Feed>,
) -> Result<Json<Events>> {
    if key.is_none() {
        let Extension(caller) = caller.ok_or(Problem::Unauthenticated)?;
        staff(&ctx, &caller, operation::ADMIN_AUDIT).await?;
    }
    let limit = Listing { limit: ask.limit, after: None }.limit()?;
    Ok(Json(Events { items: super::feed(&ctx, ask.after, limit).await? }))
}

/// An event of which the application could not be told.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeadView {
    /// The event's id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// What came of the last try.
    pub trouble: Option<String>,
}

/// `GET /admin/events/dead`
pub async fn dead(ctx: Ctx, caller: Caller, Search(place): Search<Listing>) -> Result<Json<List<DeadView>>> {
    staff(&ctx, &caller, operation::ADMIN_OPERATE).await?;
    let page = super::dead(&ctx, place.cursor(&ctx)?, place.limit()?).await?;
    Ok(Json(List::of(&ctx, page, |row: crate::store::Seen<Outgoing>| DeadView {
        id: row.id,
        at: row.at,
        attempts: row.attempts,
        trouble: row.trouble.clone(),
    })))
}

/// `POST /admin/events/{id}/resend`
pub async fn resend(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
    let by = staff(&ctx, &caller, operation::ADMIN_OPERATE).await?;
    super::resend(&ctx, by.actor(), id).await?;
    Ok(StatusCode::ACCEPTED)
}
