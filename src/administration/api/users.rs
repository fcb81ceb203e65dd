//! The JSON door to other people's accounts.

use axum::Json;
use axum::http::HeaderMap;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::accounts::{Metadata, Roles, Status};
use crate::acting::{self, ActingFor};
use crate::administration::actions::{self, Deed, Fields};
use crate::administration::users::{self, Filter, ManagedAccount, ManagedUser};
use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::devices::{Device, DeviceView};
use crate::error::{Error, FieldError, Result};
use crate::http::extract::{Body, Params, Search, given};
use crate::http::listing::{List, Listing};
use crate::identifiers::Name;
use crate::policy::{IdentifierKind, Rank, operation};
use crate::profile;
use crate::sessions::{self, Caller, Session, SessionView};
use crate::sign_up::Wanted;
use crate::step_up::staff;
use crate::store::{Page, Query, Seen};
use crate::text::{called, locale};

/// The query of `GET /admin/users`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UserSearch")]
pub struct Find {
    /// How a username, an e-mail address or a mobile number of theirs begins.
    pub q: Option<String>,
    /// Only those who stand so.
    pub status: Option<Status>,
    /// Only those whose highest role is this; `user` for those who have neither.
    pub role: Option<Rank>,
    /// Only accounts made at this instant or later.
    pub from: Option<Timestamp>,
    /// Only accounts made at this instant or before.
    pub until: Option<Timestamp>,
    /// How many, 1 to 200; 50 when left out. A page may hold fewer, and there be more.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<usize>,
    /// Where the page before ended: its `next`.
    pub after: Option<String>,
}

/// `GET /admin/users`
pub async fn find(ctx: Ctx, caller: Caller, Search(ask): Search<Find>) -> Result<Json<List<ManagedUser>>> {
    staff(&ctx, &caller, operation::ADMIN_READ).await?;
    let place = Listing { limit: ask.limit, after: ask.after };
    let filter =
        Filter { prefix: ask.q, status: ask.status, rank: ask.role, from: ask.from, until: ask.until };
    let page = users::find(&ctx, &filter, place.cursor(&ctx)?, place.limit()?).await?;
    let mut items = Vec::new();
    for user in &page.items {
        items.push(users::view(&ctx, user).await?);
    }
    Ok(Json(List::of(&ctx, Page { items, next: page.next }, |view| view)))
}

/// The body of `POST /admin/users`. Which of the identifiers are required is policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MakeUser", example = serde_json::json!({"username": "ada", "email": "ada@example.com", "mobile": "+12025550143"}))]
pub struct Make {
    /// A name to sign in with that others may see.
    pub username: Option<String>,
    /// An e-mail address: the link to set a password goes there.
    pub email: Option<String>,
    /// A mobile number in E.164: the link goes there when there is no address.
    pub mobile: Option<String>,
    /// What they like to be called; at most 200 characters.
    pub name: Option<String>,
    /// The language they read, as a BCP 47 tag; at most 35 characters.
    pub locale: Option<String>,
}

/// Reads what somebody is to be known by, and reports everything that is wrong at once.
///
/// # Errors
/// [`crate::error::Problem::Invalid`].
pub fn read(ask: Make) -> Result<Wanted> {
    let mut errors: Vec<FieldError> = Vec::new();
    let asked = [
        (IdentifierKind::Username, ask.username),
        (IdentifierKind::Email, ask.email),
        (IdentifierKind::Mobile, ask.mobile),
    ];
    let mut names = Vec::new();
    for (kind, text) in asked {
        match text.map(|text| Name::choose(kind, &text)) {
            None => {}
            Some(Ok(name)) => names.push(name),
            Some(Err(error)) => errors.push(error),
        }
    }
    let mut keep = |error: FieldError| errors.push(error);
    let name = ask.name.and_then(|text| called(&text).map_err(&mut keep).ok());
    let locale = ask.locale.and_then(|text| locale(&text).map_err(&mut keep).ok());
    if errors.is_empty() {
        Ok(Wanted { names, name, locale, wants_second_factor: false, signs_in: false })
    } else {
        Err(Error::invalid(errors))
    }
}

/// `POST /admin/users`
pub async fn create(
    ctx: Ctx,
    caller: Caller,
    Body(ask): Body<Make>,
) -> Result<(StatusCode, Json<ManagedUser>)> {
    let by = staff(&ctx, &caller, operation::ADMIN_USERS_CREATE).await?;
    let wanted = read(ask)?;
    let made = actions::create(&ctx, &by, &wanted, &Roles::default()).await?;
    let user = actions::user(&ctx, made.user.id).await?;
    Ok((StatusCode::CREATED, Json(users::view(&ctx, &user).await?)))
}

/// `POST /admin/users/{id}/link`
pub async fn link(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
    let by = staff(&ctx, &caller, operation::ADMIN_USERS_CREATE).await?;
    actions::link(&ctx, &by, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /admin/users/{id}`
pub async fn get(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<Json<ManagedAccount>> {
    staff(&ctx, &caller, operation::ADMIN_READ).await?;
    Ok(Json(users::account(&ctx, id).await?))
}

/// The body of `PATCH /admin/users/{id}`. What is left out stays as it is; `null` removes it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangeUser", example = serde_json::json!({"name": "Ada"}))]
pub struct Change {
    /// What they like to be called; at most 200 characters.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<Option<String>>,
    /// The language they read, as a BCP 47 tag; at most 35 characters.
    #[serde(default, deserialize_with = "given")]
    pub locale: Option<Option<String>>,
    /// What the application keeps with the account: one JSON object, put in the place of the old one.
    #[serde(default, deserialize_with = "given")]
    pub metadata: Option<Option<Metadata>>,
}

/// `PATCH /admin/users/{id}`
pub async fn change(
    ctx: Ctx,
    caller: Caller,
    Params(id): Params<Uuid>,
    Body(ask): Body<Change>,
) -> Result<Json<ManagedAccount>> {
    let by = staff(&ctx, &caller, operation::ADMIN_USERS_CHANGE).await?;
    let mut errors: Vec<FieldError> = Vec::new();
    let mut text = |field: Option<Option<String>>, read: &dyn Fn(&str) -> Result<String, FieldError>| {
        field?.as_deref().map(read).transpose().map_err(|error| errors.push(error)).ok()
    };
    let fields = Fields {
        name: text(ask.name, &called),
        locale: text(ask.locale, &locale),
        metadata: ask.metadata.map(Option::unwrap_or_default),
    };
    let refused =
        fields.metadata.as_ref().and_then(|one| profile::metadata_refused(one, &ctx.policy.account));
    errors.extend(refused);
    if !errors.is_empty() {
        return Err(Error::invalid(errors));
    }
    actions::act(&ctx, &by, id, Deed::Change(&fields)).await?;
    Ok(Json(users::account(&ctx, id).await?))
}

/// The body of `PUT /admin/users/{id}/roles`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"roles": ["support"]}))]
pub struct SetRoles {
    /// All roles that they have from now on: `admin`, `support`, and words of the application's own; 32 different ones at
    /// most, each of 1 to 64 letters, digits and signs other than `,` and `;`.
    pub roles: Roles,
}

/// `PUT /admin/users/{id}/roles`
pub async fn set_roles(
    ctx: Ctx,
    caller: Caller,
    Params(id): Params<Uuid>,
    Body(ask): Body<SetRoles>,
) -> Result<StatusCode> {
    done(&ctx, &caller, id, Deed::SetRoles(&ask.roles)).await
}

/// The body of `POST /admin/users/{id}/suspend`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"reason": "Ticket 4711", "until": "2030-02-01T00:00:00Z"}))]
pub struct Suspend {
    /// When it ends by itself; not before they are restored when left out.
    pub until: Option<Timestamp>,
    /// Why, for other administrators; 3 to 200 characters.
    pub reason: String,
}

/// `POST /admin/users/{id}/suspend`
pub async fn suspend(
    ctx: Ctx,
    caller: Caller,
    Params(id): Params<Uuid>,
    Body(ask): Body<Suspend>,
) -> Result<StatusCode> {
    done(&ctx, &caller, id, Deed::Suspend(ask.until, &ask.reason)).await
}

/// What is done without an answer.
async fn done(ctx: &Ctx, caller: &Caller, id: Uuid, deed: Deed<'_>) -> Result<StatusCode> {
    let user = actions::user(ctx, id).await?;
    let by = staff(ctx, caller, deed.operation(&user)).await?;
    actions::act(ctx, &by, id, deed).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /admin/users/{id}/restore`
pub async fn restore(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
    done(&ctx, &caller, id, Deed::Restore).await
}

/// `DELETE /admin/users/{id}`
pub async fn delete(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
    done(&ctx, &caller, id, Deed::Delete).await
}

/// `POST /admin/users/{id}/end-sessions`
pub async fn end_sessions(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
    done(&ctx, &caller, id, Deed::EndSessions).await
}

/// What a reset came to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reset {
    /// How many factors were taken away.
    pub removed: usize,
}

/// `POST /admin/users/{id}/reset-factors`
pub async fn reset_factors(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<Json<Reset>> {
    let by = staff(&ctx, &caller, operation::ADMIN_USERS_RESET_FACTORS).await?;
    Ok(Json(Reset { removed: actions::act(&ctx, &by, id, Deed::ResetFactors).await? }))
}

/// `POST /admin/users/{id}/act`
pub async fn act(
    ctx: Ctx,
    caller: Caller,
    headers: HeaderMap,
    Params(id): Params<Uuid>,
    Body(ask): Body<acting::Ask>,
) -> Result<axum::response::Response> {
    let operation = operation::ADMIN_USERS_ACT;
    let by = staff(&ctx, &caller, operation).await?;
    let (session, token) = acting::begin(&ctx, &by, operation, id, &ask, None).await?;
    ActingFor::answer(&ctx, &headers, &session, &token).await
}

/// `GET /admin/users/{id}/sessions`
pub async fn list_sessions(
    ctx: Ctx,
    caller: Caller,
    Params(id): Params<Uuid>,
    Search(place): Search<Listing>,
) -> Result<Json<List<SessionView>>> {
    staff(&ctx, &caller, operation::ADMIN_READ).await?;
    let user = actions::user(&ctx, id).await?;
    let query = Query::<Session>::along(Session::BY_USER).equal(id).descending();
    let page = ctx.app.store.find(query.after(place.cursor(&ctx)?).limit(place.limit()?)).await?;
    let mut items = Vec::new();
    for session in page.items {
        if sessions::stands(&ctx, &session, &user).await? {
            items.push(session.view(false));
        }
    }
    Ok(Json(List::of(&ctx, Page { items, next: page.next }, |view| view)))
}

/// `GET /admin/users/{id}/devices`
pub async fn list_devices(
    ctx: Ctx,
    caller: Caller,
    Params(id): Params<Uuid>,
    Search(place): Search<Listing>,
) -> Result<Json<List<DeviceView>>> {
    staff(&ctx, &caller, operation::ADMIN_READ).await?;
    let user = actions::user(&ctx, id).await?;
    let query = Query::<Device>::along(Device::BY_USER).equal(user.id).descending();
    let mut page = ctx.app.store.find(query.after(place.cursor(&ctx)?).limit(place.limit()?)).await?;
    page.items.retain(|device| device.known_until > ctx.now && device.counts_from >= user.sessions_from);
    Ok(Json(List::of(&ctx, page, |device: Seen<Device>| device.view(false, ctx.now))))
}
