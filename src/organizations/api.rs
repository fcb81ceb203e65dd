//! The JSON door of organisations: one's own, and, for staff, all of them.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::Response;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::actions::{self, Asker};
use super::{InvitationView, MemberView, OrganizationView, Role};
use crate::acting::{ActingFor, Ask};
use crate::app::Ctx;
use crate::error::Result;
use crate::http::extract::{Body, Params, Search};
use crate::http::listing::{List, Listing};
use crate::policy::operation;
use crate::secret::Secret;
use crate::sessions::Caller;
use crate::step_up::staff;

/// The body of `POST /organizations` and of `PATCH /organizations/{id}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrganizationName", example = serde_json::json!({"name": "Harbour Lights"}))]
pub struct Called {
    /// What it is called; at most 100 characters.
    pub name: String,
}

/// The body of `POST /admin/organizations`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MakeOrganization", example = serde_json::json!({"name": "Harbour Lights", "owner": "00000000-0000-7000-8000-000000000000"}))]
pub struct Found {
    /// What it is called; at most 100 characters.
    pub name: String,
    /// The user who owns it.
    pub owner: Uuid,
}

/// The body of `PUT /organizations/{id}/members/{user}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"role": "admin"}))]
pub struct SetRole {
    /// What they may do there from now on.
    pub role: Role,
}

/// The body of `POST /organizations/{id}/invitations`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"email": "grace@example.com", "role": "member"}))]
pub struct Invite {
    /// Who is asked to join.
    pub email: String,
    /// What they will be there.
    pub role: Role,
}

/// The body of `POST /organizations/accept`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The code of the invitation, `vi_…`, as the mail's link has it.
    pub invitation: Secret,
}

/// `POST /organizations`
pub async fn found(
    ctx: Ctx,
    caller: Caller,
    Body(ask): Body<Called>,
) -> Result<(StatusCode, Json<OrganizationView>)> {
    Ok((StatusCode::CREATED, Json(actions::found(&ctx, &caller, &ask.name).await?)))
}

/// `GET /organizations`
pub async fn own(
    ctx: Ctx,
    caller: Caller,
    Search(place): Search<Listing>,
) -> Result<Json<List<OrganizationView>>> {
    let page = actions::own(&ctx, &caller, place.cursor(&ctx)?, place.limit()?).await?;
    Ok(Json(List::of(&ctx, page, |view| view)))
}

/// `POST /organizations/accept`
pub async fn accept(ctx: Ctx, caller: Caller, Body(ask): Body<Accept>) -> Result<Json<OrganizationView>> {
    Ok(Json(actions::accept(&ctx, &caller, ask.invitation.expose()).await?))
}

/// `POST /organizations/{id}/members/{user}/act`
pub async fn act(
    ctx: Ctx,
    caller: Caller,
    headers: HeaderMap,
    Params((id, user)): Params<(Uuid, Uuid)>,
    Body(ask): Body<Ask>,
) -> Result<Response> {
    let (session, token) = actions::act(&ctx, &caller, id, user, &ask).await?;
    ActingFor::answer(&ctx, &headers, &session, &token).await
}

/// `POST /admin/organizations`
pub async fn found_for(
    ctx: Ctx,
    caller: Caller,
    Body(ask): Body<Found>,
) -> Result<(StatusCode, Json<OrganizationView>)> {
    Ok((StatusCode::CREATED, Json(actions::found_for(&ctx, &caller, &ask.name, ask.owner).await?)))
}

/// `GET /admin/organizations`
pub async fn all(
    ctx: Ctx,
    caller: Caller,
    Search(place): Search<Listing>,
) -> Result<Json<List<OrganizationView>>> {
    staff(&ctx, &caller, operation::ADMIN_READ).await?;
    let page = actions::all(&ctx, place.cursor(&ctx)?, place.limit()?).await?;
    Ok(Json(List::of(&ctx, page, |view| view)))
}

/// The same routes twice: for members, and for staff.
macro_rules! both {
    ($module:ident, $asker:ident, $mount:literal) => {
        #[doc = concat!("What is below `", $mount, "/{id}`.")]
        pub mod $module {
            use super::*;

            #[doc = concat!("`GET ", $mount, "/{id}`")]
            pub async fn get(
                ctx: Ctx,
                caller: Caller,
                Params(id): Params<Uuid>,
            ) -> Result<Json<OrganizationView>> {
                let asker = Asker::$asker(&caller);
                asker.reads(&ctx).await?;
                Ok(Json(actions::enter(&ctx, asker, id).await?.view()))
            }

            #[doc = concat!("`PATCH ", $mount, "/{id}`")]
            pub async fn rename(
                ctx: Ctx,
                caller: Caller,
                Params(id): Params<Uuid>,
                Body(ask): Body<Called>,
            ) -> Result<Json<OrganizationView>> {
                Ok(Json(actions::rename(&ctx, Asker::$asker(&caller), id, &ask.name).await?))
            }

            #[doc = concat!("`DELETE ", $mount, "/{id}`")]
            pub async fn end(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
                actions::end(&ctx, Asker::$asker(&caller), id).await?;
                Ok(StatusCode::NO_CONTENT)
            }

            #[doc = concat!("`GET ", $mount, "/{id}/members`")]
            pub async fn members(
                ctx: Ctx,
                caller: Caller,
                Params(id): Params<Uuid>,
                Search(place): Search<Listing>,
            ) -> Result<Json<List<MemberView>>> {
                let asker = Asker::$asker(&caller);
                asker.reads(&ctx).await?;
                let page = actions::members(&ctx, asker, id, place.cursor(&ctx)?, place.limit()?).await?;
                Ok(Json(List::of(&ctx, page, |view| view)))
            }

            #[doc = concat!("`PUT ", $mount, "/{id}/members/{user}`")]
            pub async fn set_role(
                ctx: Ctx,
                caller: Caller,
                Params((id, user)): Params<(Uuid, Uuid)>,
                Body(ask): Body<SetRole>,
            ) -> Result<StatusCode> {
                actions::set_role(&ctx, Asker::$asker(&caller), id, user, ask.role).await?;
                Ok(StatusCode::NO_CONTENT)
            }

            #[doc = concat!("`DELETE ", $mount, "/{id}/members/{user}`")]
            pub async fn remove_member(
                ctx: Ctx,
                caller: Caller,
                Params((id, user)): Params<(Uuid, Uuid)>,
            ) -> Result<StatusCode> {
                actions::remove_member(&ctx, Asker::$asker(&caller), id, user).await?;
                Ok(StatusCode::NO_CONTENT)
            }

            #[doc = concat!("`GET ", $mount, "/{id}/invitations`")]
            pub async fn invitations(
                ctx: Ctx,
                caller: Caller,
                Params(id): Params<Uuid>,
                Search(place): Search<Listing>,
            ) -> Result<Json<List<InvitationView>>> {
                let asker = Asker::$asker(&caller);
                asker.reads(&ctx).await?;
                let page = actions::invitations(&ctx, asker, id, place.cursor(&ctx)?, place.limit()?).await?;
                Ok(Json(List::of(&ctx, page, |invitation| InvitationView::from(&*invitation))))
            }

            #[doc = concat!("`POST ", $mount, "/{id}/invitations`")]
            pub async fn invite(
                ctx: Ctx,
                caller: Caller,
                Params(id): Params<Uuid>,
                Body(ask): Body<Invite>,
            ) -> Result<(StatusCode, Json<InvitationView>)> {
                let asker = Asker::$asker(&caller);
                let made = actions::invite(&ctx, asker, id, &ask.email, ask.role).await?;
                Ok((StatusCode::CREATED, Json(made)))
            }

            #[doc = concat!("`DELETE ", $mount, "/{id}/invitations/{invitation}`")]
            pub async fn uninvite(
                ctx: Ctx,
                caller: Caller,
                Params((id, invitation)): Params<(Uuid, Uuid)>,
            ) -> Result<StatusCode> {
                actions::uninvite(&ctx, Asker::$asker(&caller), id, invitation).await?;
                Ok(StatusCode::NO_CONTENT)
            }
        }
    };
}

both!(mine, Member, "/organizations");
both!(managed, Staff, "/admin/organizations");
