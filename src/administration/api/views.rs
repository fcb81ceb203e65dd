//! The JSON door to what happened, what was sent, what waits, and the tables.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::administration::data::{self, TableView};
use crate::administration::overview::{self, LimitView, Overview, QueueView};
use crate::app::Ctx;
use crate::audit::{Event, Grain, What, chain};
use crate::calls::{Call, CallView};
use crate::clock::Timestamp;
use crate::error::{FieldError, Problem, Result};
use crate::events::EventView;
use crate::http::extract::{Params, Search};
use crate::http::listing::{List, Listing};
use crate::jwt::Algorithm;
use crate::keys::SigningKey;
use crate::messages::{Channel, History, Message, Status};
use crate::policy::operation;
use crate::sessions::Caller;
use crate::step_up::staff;
use crate::store::{Query, Seen};

/// A message with every attempt, never its text or a code.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ManagedMessage {
    /// Its id.
    pub id: Uuid,
    /// By which way it goes.
    pub kind: Channel,
    /// What it is for.
    pub purpose: String,
    /// Where it goes.
    pub to: String,
    /// Whom it concerns.
    pub user: Option<Uuid>,
    /// How far it has come.
    pub status: Status,
    /// How often a worker has taken it.
    pub attempts: u32,
    /// Who was asked last to carry it.
    pub provider: String,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
    /// The provider's number for what went wrong.
    pub error: Option<i64>,
    /// What went wrong, in our words.
    pub error_reason: Option<String>,
    /// What was heard of it.
    pub history: History,
    /// The newest requests that were made for it.
    pub tries: Vec<TryView>,
    /// When it was decided on.
    pub created_at: Timestamp,
    /// When it is tried next.
    pub due_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// One request that was made for a message.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Try")]
pub struct TryView {
    /// When its answer came, or was no longer waited for.
    pub at: Timestamp,
    /// Whom it went to.
    pub provider: String,
    /// What it came to.
    pub came_to: String,
    /// The provider's number for what went wrong.
    pub error: Option<i64>,
}

impl From<&Message> for ManagedMessage {
    fn from(message: &Message) -> Self {
        let tries = message.tries.0.iter().map(|one| TryView {
            at: one.at,
            provider: one.provider.clone(),
            came_to: one.came_to.clone(),
            error: one.code,
        });
        Self {
            id: message.id,
            kind: message.kind,
            purpose: message.purpose.clone(),
            to: message.to.clone(),
            user: message.user,
            status: message.status,
            attempts: message.attempts,
            provider: message.provider.clone(),
            provider_ref: message.provider_ref.clone(),
            error: message.error_code,
            error_reason: message.error_reason.clone(),
            history: message.history.clone(),
            tries: tries.collect(),
            created_at: message.created_at,
            due_at: message.due_at,
            finished_at: message.finished_at,
        }
    }
}

/// The query of `GET /admin/messages` and `GET /admin/calls`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OfUser")]
pub struct OfUser {
    /// Only those of this user.
    pub user: Option<Uuid>,
    /// How many, 1 to 200; 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<usize>,
    /// Where the page before ended: its `next`.
    pub after: Option<String>,
}

/// `GET /admin/messages`
pub async fn messages(
    ctx: Ctx,
    caller: Caller,
    Search(ask): Search<OfUser>,
) -> Result<Json<List<ManagedMessage>>> {
    staff(&ctx, &caller, operation::ADMIN_READ).await?;
    let place = Listing { limit: ask.limit, after: ask.after };
    let query = match ask.user {
        Some(user) => Query::<Message>::along(Message::BY_USER).equal(Some(user)),
        None => Query::along(Message::BY_CREATED),
    };
    let query = query.descending().after(place.cursor(&ctx)?).limit(place.limit()?);
    let page = ctx.app.store.find(query).await?;
    Ok(Json(List::of(&ctx, page, |message: Seen<Message>| (&*message).into())))
}

/// `GET /admin/messages/{id}`
pub async fn message(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<Json<ManagedMessage>> {
    staff(&ctx, &caller, operation::ADMIN_READ).await?;
    let message = ctx.app.store.get::<Message>(id).await?.ok_or(Problem::NotFound)?;
    Ok(Json((&*message).into()))
}

/// A call with its caller, never what is said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ManagedCall {
    /// Who calls.
    pub user: Uuid,
    /// The call.
    #[serde(flatten)]
    pub call: CallView,
}

impl From<&Call> for ManagedCall {
    fn from(call: &Call) -> Self {
        Self { user: call.user_id, call: call.view() }
    }
}

/// `GET /admin/calls`
pub async fn calls(ctx: Ctx, caller: Caller, Search(ask): Search<OfUser>) -> Result<Json<List<ManagedCall>>> {
    staff(&ctx, &caller, operation::ADMIN_READ).await?;
    let place = Listing { limit: ask.limit, after: ask.after };
    let query = match ask.user {
        Some(user) => Query::<Call>::along(Call::BY_USER).equal(user),
        None => Query::along(Call::BY_CREATED),
    };
    let query = query.descending().after(place.cursor(&ctx)?).limit(place.limit()?);
    let page = ctx.app.store.find(query).await?;
    Ok(Json(List::of(&ctx, page, |call: Seen<Call>| (&*call).into())))
}

/// `GET /admin/calls/{id}`
pub async fn call(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<Json<ManagedCall>> {
    staff(&ctx, &caller, operation::ADMIN_READ).await?;
    let call = ctx.app.store.get::<Call>(id).await?.ok_or(Problem::NotFound)?;
    Ok(Json((&*call).into()))
}

/// The query of `GET /admin/audit`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AuditSearch")]
pub struct Audit {
    /// Only what happened to this user.
    pub user: Option<Uuid>,
    /// Only what this administrator did, or whoever acted for a user.
    pub actor: Option<Uuid>,
    /// Only events of this kind.
    pub what: Option<What>,
    /// Only at this instant or later.
    pub from: Option<Timestamp>,
    /// Only at this instant or before.
    pub until: Option<Timestamp>,
    /// How many, 1 to 200; 50 when left out. A page may hold fewer, and there be more.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<usize>,
    /// Where the page before ended: its `next`.
    pub after: Option<String>,
}

/// `GET /admin/audit`: what happened, the newest first.
pub async fn audit(ctx: Ctx, caller: Caller, Search(ask): Search<Audit>) -> Result<Json<List<EventView>>> {
    staff(&ctx, &caller, operation::ADMIN_AUDIT).await?;
    let place = Listing { limit: ask.limit, after: ask.after };
    let query = match (ask.user, ask.actor, ask.what) {
        (Some(user), ..) => Query::<Event>::along(Event::BY_USER).equal(Some(user)),
        (None, Some(actor), _) => Query::along(Event::BY_ACTOR).equal(Some(actor)),
        (None, None, Some(what)) => Query::along(Event::BY_WHAT).equal(what),
        (None, None, None) => Query::along(Event::BY_TIME),
    };
    let query = ask.from.into_iter().fold(query, Query::from);
    let query = ask.until.into_iter().fold(query, Query::until);
    let query = query.descending().after(place.cursor(&ctx)?).limit(place.limit()?);
    let mut page = ctx.app.store.find(query).await?;
    page.items.retain(|event| {
        ask.actor.is_none_or(|actor| event.actor_id == Some(actor))
            && ask.what.is_none_or(|what| event.what == what)
    });
    Ok(Json(List::of(&ctx, page, |event: Seen<Event>| EventView::from(&*event))))
}

/// How far the chain over what happened reaches.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Chain")]
pub struct ChainView {
    /// How many blocks were sealed.
    pub blocks: i64,
    /// When the newest event in them happened.
    pub until: Option<Timestamp>,
    /// How many events wait for their seal, counted up to 256.
    pub waiting: usize,
}

/// `GET /admin/audit/chain`: how far it reaches; `vestibule audit verify` tells whether it is whole.
pub async fn chain(ctx: Ctx, caller: Caller) -> Result<Json<ChainView>> {
    staff(&ctx, &caller, operation::ADMIN_AUDIT).await?;
    let reach = chain::reach(&ctx).await?;
    let (blocks, until) = reach.sealed.map_or((0, None), |(number, at)| (number, Some(at)));
    Ok(Json(ChainView { blocks, until, waiting: reach.waiting }))
}

/// The query of `GET /admin/overview`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OverviewSearch")]
pub struct Since {
    /// `hour`, or `day` when left out.
    pub by: Option<Grain>,
    /// Since when: at most a week ago by hour, 92 days ago by day.
    pub from: Option<Timestamp>,
}

/// `GET /admin/overview`
pub async fn overview(ctx: Ctx, caller: Caller, Search(ask): Search<Since>) -> Result<Json<Overview>> {
    staff(&ctx, &caller, operation::ADMIN_READ).await?;
    Ok(Json(overview::overview(&ctx, ask.by.unwrap_or(Grain::Day), ask.from).await?))
}

/// All that is there, in one list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}All")]
pub struct All<T> {
    /// The items.
    pub items: Vec<T>,
}

/// `GET /admin/limits`
pub async fn limits(ctx: Ctx, caller: Caller) -> Result<Json<All<LimitView>>> {
    staff(&ctx, &caller, operation::ADMIN_OPERATE).await?;
    Ok(Json(All { items: overview::limits(&ctx) }))
}

/// `GET /admin/queues`
pub async fn queues(ctx: Ctx, caller: Caller) -> Result<Json<All<QueueView>>> {
    staff(&ctx, &caller, operation::ADMIN_OPERATE).await?;
    Ok(Json(All { items: overview::queues(&ctx).await? }))
}

/// A key that signs access tokens, without its private half.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SigningKey")]
pub struct KeyView {
    /// Its name in tokens (`kid`).
    pub id: Uuid,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Which one of its algorithm.
    pub number: u32,
    /// When it was made, and published.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub active_from: Timestamp,
    /// From when on it no longer signs.
    pub retired_at: Option<Timestamp>,
    /// When nothing that it signed counts any more.
    pub expires_at: Option<Timestamp>,
}

/// The keys of this server, by name.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Keys")]
pub struct KeysView {
    /// Those that sign access tokens.
    pub signing: Vec<KeyView>,
    /// The names of those that seal secrets in the database, the one that seals first.
    pub sealing: Vec<String>,
}

/// `GET /admin/keys`
pub async fn keys(ctx: Ctx, caller: Caller) -> Result<Json<KeysView>> {
    staff(&ctx, &caller, operation::ADMIN_OPERATE).await?;
    let found = ctx.app.store.find(Query::<SigningKey>::along(SigningKey::BY_NUMBER).limit(100)).await?;
    let view = |key: &Seen<SigningKey>| KeyView {
        id: key.id,
        algorithm: key.algorithm,
        number: key.number,
        created_at: key.created_at,
        active_from: key.active_from,
        retired_at: key.retired_at,
        expires_at: key.expires_at,
    };
    Ok(Json(KeysView {
        signing: found.items.iter().map(view).collect(),
        sealing: ctx.app.keyring.ids().map(str::to_owned).collect(),
    }))
}

/// `GET /admin/data`
pub async fn tables(ctx: Ctx, caller: Caller) -> Result<Json<All<TableView>>> {
    staff(&ctx, &caller, operation::ADMIN_DATA).await?;
    Ok(Json(All { items: data::tables() }))
}

/// The query of `GET /admin/data/{table}`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RowSearch")]
pub struct Rows {
    /// By which column rows are looked for: one that says `indexed`.
    pub by: Option<String>,
    /// What it holds.
    pub is: Option<String>,
    /// How many, 1 to 200; 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<usize>,
    /// Where the page before ended: its `next`.
    pub after: Option<String>,
}

/// A row as an object, without what is hidden.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Row")]
pub struct RowView(pub serde_json::Map<String, serde_json::Value>);

/// `GET /admin/data/{table}`
pub async fn rows(
    ctx: Ctx,
    caller: Caller,
    Params(table): Params<String>,
    Search(ask): Search<Rows>,
) -> Result<Json<List<RowView>>> {
    staff(&ctx, &caller, operation::ADMIN_DATA).await?;
    let place = Listing { limit: ask.limit, after: ask.after };
    let by = match (&ask.by, &ask.is) {
        (Some(by), Some(is)) => Some((by.as_str(), is.as_str())),
        (None, None) => None,
        _ => {
            let sentence = "Give both `by` and `is`, or neither.";
            return Err(FieldError::new("by", "both", sentence).into());
        }
    };
    let page = data::rows(&ctx, &table, by, place.cursor(&ctx)?, place.limit()?).await?;
    Ok(Json(List::of(&ctx, page, RowView)))
}
