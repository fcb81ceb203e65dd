//! The JSON door of sessions.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::actions::{self, Scope};
use super::{Caller, SessionView, Tokens, authenticate, clear_cookie, end_aside, inspect, with_cookies};
use crate::accounts::{self, UserView};
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::http::extract::{Body, Params, Search};
use crate::http::listing::{List, Listing};
use crate::secret::Secret;

/// The answer of `GET /auth/authenticated`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Authenticated")]
pub struct AuthenticatedView {
    /// Whether the credential is valid.
    pub authenticated: bool,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserView>,
    /// The session that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionView>,
}

/// `GET /auth/authenticated`
pub async fn authenticated(ctx: Ctx, request: Request) -> Result<Response> {
    let Some(known) = actions::recognise(&ctx, request.headers()).await? else {
        let nobody = AuthenticatedView { authenticated: false, user: None, session: None };
        return Ok(Json(nobody).into_response());
    };
    let answer = match known.answer.get() {
        Some(answer) => answer.clone(),
        None => {
            let view = AuthenticatedView {
                authenticated: true,
                user: Some(accounts::view(&ctx, &known.user).await?),
                session: Some(known.session.view(true)),
            };
            let answer = Bytes::from(serde_json::to_vec(&view).map_err(Error::internal)?);
            known.answer.get_or_init(|| answer).clone()
        }
    };
    Ok(([(header::CONTENT_TYPE, JSON)], answer).into_response())
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The body of `POST /auth/logout`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    /// Which sessions to end; `this` when left out.
    #[serde(default)]
    pub scope: Scope,
    /// For a session carried as JWT: ends it also when its access token has expired, and beside the session of a
    /// cookie that comes along. Where only the others end, which those are is said by the other credential, if any.
    pub refresh_token: Option<Secret>,
}

/// `POST /auth/logout`: 204 also when there is nothing left to end.
pub async fn logout(ctx: Ctx, headers: HeaderMap, ask: Option<Body<Logout>>) -> Result<Response> {
    let ask = ask.map(|Body(ask)| ask).unwrap_or_default();
    let caller = authenticate(&ctx, &headers).await?;
    if let Some(caller) = &caller {
        actions::end_scope(&ctx, caller, ask.scope).await?;
    }
    // A cookie of the pages may come along with the token of an application: both are signed out of.
    if let Some(token) = ask.refresh_token.filter(|_| caller.is_none() || ask.scope != Scope::Others)
        && let Some(named) = inspect::by_refresh(&ctx, token.expose()).await?
    {
        actions::end_scope(&ctx, &named, ask.scope).await?;
    }
    let response = StatusCode::NO_CONTENT.into_response();
    if ask.scope == Scope::Others {
        return Ok(response);
    }
    end_aside(&ctx, &headers).await?;
    Ok(with_cookies(response, clear_cookie(&ctx.app.origin)))
}

/// The body of `POST /auth/refresh`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The refresh token. It is good for one use.
    pub refresh_token: Secret,
}

/// `POST /auth/refresh`
pub async fn refresh(ctx: Ctx, Body(ask): Body<Refresh>) -> Result<Json<Tokens>> {
    actions::refresh(&ctx, ask.refresh_token.expose()).await.map(Json)
}

/// `GET /sessions`
pub async fn list(ctx: Ctx, caller: Caller, Search(ask): Search<Listing>) -> Result<Json<List<SessionView>>> {
    let page = actions::list(&ctx, &caller, ask.cursor(&ctx)?, ask.limit()?).await?;
    let view = |session: crate::store::Seen<super::Session>| session.view(session.id == caller.session.id);
    Ok(Json(List::of(&ctx, page, view)))
}

/// `DELETE /sessions/{id}`
pub async fn end(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<StatusCode> {
    actions::end(&ctx, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
