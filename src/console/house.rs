//! How the house runs: its keys.

use axum::Json;
use axum::response::Response;
use minijinja::context;
use minijinja::value::{Serde, Value};

use super::Desk;
use crate::administration::api::views;
use crate::error::Result;

/// `GET /console/keys`
pub async fn keys(desk: Desk) -> Result<Response> {
    let Json(keys) = views::keys(desk.ctx.clone(), desk.caller.clone()).await?;
    let title = desk.visit.say("console-keys");
    Ok(desk.shows("console-keys.html", &title, context! { ..Value::from(Serde(&keys)) }))
}
