//! The JSON door of one's own factors.

use axum::Json;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::actions::{self, Begun, Codes};
use crate::accounts;
use crate::app::Ctx;
use crate::error::Result;
use crate::factors::FactorView;
use crate::http::extract::{Body, Params};
use crate::policy::IdentifierKind;
use crate::secret::Secret;
use crate::sessions::Caller;
use crate::text::line;

/// Longest name of a factor, in characters.
const NAME: usize = 64;

/// The answer of `GET /factors`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Factors {
    /// One's own factors, oldest first. There are few: this is all of them.
    pub items: Vec<FactorView>,
}

/// `GET /factors`
pub async fn list(ctx: Ctx, caller: Caller) -> Result<Json<Factors>> {
    Ok(Json(Factors { items: accounts::factors(&ctx, &caller.user).await? }))
}

/// What a code is sent by.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// Text messages, and calls where they are offered, to one's mobile number.
    Sms,
    /// E-mails to one's address.
    Email,
}

/// The body of `POST /factors`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"kind": "sms"}))]
pub struct NewFactor {
    /// Which of one's verified identifiers becomes a second factor.
    pub kind: Sent,
}

/// `POST /factors`
pub async fn add(ctx: Ctx, caller: Caller, Body(ask): Body<NewFactor>) -> Result<Json<FactorView>> {
    let kind = match ask.kind {
        Sent::Sms => IdentifierKind::Mobile,
        Sent::Email => IdentifierKind::Email,
    };
    Ok(Json(actions::reach(&ctx, &caller, kind).await?))
}

/// The body of `POST /factors/totp`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTotp {
    /// What its owner calls it.
    pub name: Option<String>,
}

/// `POST /factors/totp`
pub async fn begin_totp(
    ctx: Ctx,
    caller: Caller,
    ask: Option<Body<NewTotp>>,
) -> Result<(StatusCode, Json<Begun>)> {
    let name = ask.and_then(|Body(ask)| ask.name).as_deref().map(named).transpose()?;
    Ok((StatusCode::CREATED, Json(actions::begin_totp(&ctx, &caller, name).await?)))
}

/// The body of `POST /factors/totp/confirm`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTotp {
    /// What `POST /factors/totp` called it.
    pub id: Uuid,
    /// The code that the app shows.
    pub code: Secret,
}

/// `POST /factors/totp/confirm`
pub async fn confirm_totp(
    ctx: Ctx,
    caller: Caller,
    Body(ask): Body<ConfirmTotp>,
) -> Result<Json<FactorView>> {
    Ok(Json(actions::confirm_totp(&ctx, &caller, ask.id, ask.code.expose()).await?))
}

/// `POST /factors/recovery-codes`
pub async fn make_codes(ctx: Ctx, caller: Caller) -> Result<(StatusCode, Json<Codes>)> {
    Ok((StatusCode::CREATED, Json(actions::make_codes(&ctx, &caller).await?)))
}

/// The body of `PATCH /factors/{id}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// What its owner calls it.
    pub name: String,
}

/// `PATCH /factors/{id}`
pub async fn rename(
    ctx: Ctx,
    caller: Caller,
    Params(id): Params<Uuid>,
    Body(ask): Body<Rename>,
) -> Result<Json<FactorView>> {
    let name = named(&ask.name)?;
    Ok(Json(actions::rename(&ctx, &caller, id, name).await?))
}

/// `DELETE /factors/{id}`
pub async fn remove(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
    actions::remove(&ctx, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn named(text: &str) -> Result<String> {
    Ok(line("name", text, NAME)?)
}
