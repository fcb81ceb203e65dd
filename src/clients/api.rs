//! The form door for registered clients: introspection (RFC 7662) and revocation (RFC 7009).

use axum::Json;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::RegisteredClient;
use crate::app::Ctx;
use crate::error::Result;
use crate::http::extract::Form;
use crate::secret::Secret;
use crate::sessions::FIRST_PARTY;
use crate::sessions::inspect::{self, Inspected, Named};

/// The form of both. Fields that are not known are left alone, as both RFCs ask.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenForm")]
pub struct Ask {
    /// The token.
    pub token: Secret,
    /// What kind it may be; not needed, since each kind shows what it is.
    #[serde(rename = "token_type_hint")]
    pub _hint: Option<String>,
}

/// What a token stands for. Of one that does not count nothing is told but that.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "Introspection")]
pub struct IntrospectionView {
    /// Whether it counts.
    active: bool,
    /// `Bearer` for what opens doors; `refresh_token` for what nobody else may accept.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<Uuid>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    /// For whom an access token is.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// By way of which client it was given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'static str>,
    /// The name of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
    /// When it was issued, in seconds since 1970; of other tokens than access tokens, when their session was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// When it expires at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// When the user last showed a factor to sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    /// The authenticator assurance level that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    aal: Option<u32>,
    /// The methods that were shown to sign in (RFC 8176).
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<Vec<&'static str>>,
    /// Who acts for the user, when it is not the user (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<ActClaim>,
}

/// Who acts: the claim `act` (RFC 8693 §4.1).
#[derive(Debug, Serialize, JsonSchema)]
struct ActClaim {
    /// Their id, as in `sub`.
    sub: Uuid,
}

/// `POST /oauth2/introspect`
pub async fn introspect(ctx: Ctx, Form(ask): Form<Ask>) -> Result<Json<IntrospectionView>> {
    let inspected = inspect::inspect(&ctx, ask.token.expose()).await?;
    Ok(Json(inspected.map_or_else(IntrospectionView::default, |inspected| tell(&ctx, inspected))))
}

fn tell(ctx: &Ctx, Inspected { session, named, .. }: Inspected) -> IntrospectionView {
    let of_session = IntrospectionView {
        active: true,
        token_type: Some(if matches!(named, Named::Refresh) { "refresh_token" } else { "Bearer" }),
        iss: Some(ctx.app.origin.as_str().to_owned()),
        sub: Some(session.user_id),
        sid: Some(session.id),
        client_id: Some(FIRST_PARTY),
        iat: Some(session.created_at.as_seconds()),
        exp: Some(session.ends_at(&ctx.policy.session).as_seconds()),
        auth_time: Some(session.proved_at().as_seconds()),
        aal: Some(session.proofs.level()),
        amr: Some(session.proofs.of_sign_in().map(|proof| proof.factor.amr()).collect()),
        act: session.actor().map(|sub| ActClaim { sub }),
        ..IntrospectionView::default()
    };
    match named {
        Named::Opaque | Named::Refresh => of_session,
        Named::Access(claims) => IntrospectionView {
            aud: Some(claims.aud),
            jti: Some(claims.jti),
            iat: Some(claims.iat),
            exp: Some(claims.exp),
            ..of_session
        },
    }
}

/// `POST /oauth2/revoke`: 200 also for what is no token, or ended long ago.
pub async fn revoke(ctx: Ctx, client: RegisteredClient, Form(ask): Form<Ask>) -> Result<StatusCode> {
    inspect::revoke(&ctx, &client, ask.token.expose()).await?;
    Ok(StatusCode::OK)
}
