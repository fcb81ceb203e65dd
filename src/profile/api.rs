//! The JSON door of one's own account.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actions;
use super::export;
pub use super::export::{EventView, Export};
use super::rules::{self, Wanted};
use crate::accounts::{self, Account, Metadata, UserView};
use crate::app::Ctx;
use crate::audit::Event;
use crate::challenges::ChallengeView;
use crate::error::{Error, FieldError, Result};
use crate::http::extract::{Body, Search, given};
use crate::http::listing::{List, Listing};
use crate::identifiers::Name;
use crate::policy::IdentifierKind;
use crate::sessions::{Caller, clear_cookie, with_cookies};
use crate::sign_up::api::foreign;
use crate::store::Seen;
use crate::text::{called, locale};

/// `GET /users/me`
pub async fn me(ctx: Ctx, caller: Caller) -> Result<Json<Account>> {
    Ok(Json(accounts::account(&ctx, &caller.user).await?))
}

/// The body of `PATCH /users/me`. What is left out stays as it is; `null` removes what may go.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"name": "Ada", "email": "ada@example.org"}))]
pub struct Change {
    /// Another name to sign in with.
    #[serde(default, deserialize_with = "given")]
    pub username: Option<Option<String>>,
    /// Another e-mail address. It takes the place of the old one by the code that is sent to it; the old one takes back
    /// what was asked for and not confirmed yet.
    #[serde(default, deserialize_with = "given")]
    pub email: Option<Option<String>>,
    /// Another mobile number, where the policy lets it change.
    #[serde(default, deserialize_with = "given")]
    pub mobile: Option<Option<String>>,
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

/// The answer of `PATCH /users/me`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangedView {
    /// The account as it is now.
    pub user: UserView,
    /// The first of `verifications`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<ChallengeView>,
    /// What is asked at a new address or number before it takes the place of the old one.
    pub verifications: Vec<ChallengeView>,
}

/// `PATCH /users/me`
pub async fn change(ctx: Ctx, caller: Caller, Body(ask): Body<Change>) -> Result<Json<ChangedView>> {
    let wanted = read(&ctx, ask)?;
    let changed = actions::change(&ctx, &caller, wanted).await?;
    Ok(Json(ChangedView {
        user: changed.user,
        verification: changed.verifications.first().cloned(),
        verifications: changed.verifications,
    }))
}

/// Reads every field and reports everything that is wrong at once.
///
/// # Errors
/// [`Problem::Invalid`](crate::error::Problem::Invalid).
pub fn read(ctx: &Ctx, ask: Change) -> Result<Wanted> {
    let mut errors: Vec<FieldError> = Vec::new();
    let mut wanted = Wanted::default();
    let names = [
        (IdentifierKind::Username, ask.username),
        (IdentifierKind::Email, ask.email),
        (IdentifierKind::Mobile, ask.mobile),
    ];
    for (kind, text) in names {
        match text {
            None => {}
            Some(None) => wanted.names.push((kind, None)),
            Some(Some(text)) => match Name::choose(kind, &text) {
                Ok(name) => {
                    errors.extend(foreign(ctx, &name));
                    wanted.names.push((kind, Some(name)));
                }
                Err(error) => errors.push(error),
            },
        }
    }
    let mut text = |field: Option<Option<String>>, read: &dyn Fn(&str) -> Result<String, FieldError>| {
        let read = field?.as_deref().map(read).transpose();
        read.map_err(|error| errors.push(error)).ok()
    };
    wanted.name = text(ask.name, &called);
    wanted.locale = text(ask.locale, &locale);
    wanted.metadata = ask.metadata.map(Option::unwrap_or_default);
    if let Some(metadata) = &wanted.metadata {
        errors.extend(rules::metadata_refused(metadata, &ctx.policy.account));
    }
    if errors.is_empty() { Ok(wanted) } else { Err(Error::invalid(errors)) }
}

/// The body of `POST /users/me/verify`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// What to verify: `email` or `mobile`.
    pub kind: IdentifierKind,
}

/// `POST /users/me/verify`
pub async fn verify(ctx: Ctx, caller: Caller, Body(ask): Body<Verify>) -> Result<Json<ChallengeView>> {
    Ok(Json(actions::verify(&ctx, &caller, ask.kind).await?))
}

/// `DELETE /users/me`
pub async fn delete(ctx: Ctx, caller: Caller) -> Result<Response> {
    actions::delete(&ctx, &caller).await?;
    Ok(with_cookies(StatusCode::NO_CONTENT.into_response(), clear_cookie(&ctx.app.origin)))
}

/// `GET /users/me/export`
pub async fn export(ctx: Ctx, caller: Caller) -> Result<Json<Export>> {
    Ok(Json(export::export(&ctx, &caller).await?))
}

/// `GET /activity`
pub async fn activity(
    ctx: Ctx,
    caller: Caller,
    Search(ask): Search<Listing>,
) -> Result<Json<List<EventView>>> {
    let page = export::activity(&ctx, &caller, ask.cursor(&ctx)?, ask.limit()?).await?;
    Ok(Json(List::of(&ctx, page, |event: Seen<Event>| EventView::from(&*event))))
}
