//! The JSON door of calls, and the provider's door: callbacks.

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use http::{HeaderMap, StatusCode, Uri};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::actions;
use super::rules;
use super::{CallView, Content, Status, Wanted};
use crate::app::Ctx;
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::extract::{Body, Params, Search};
use crate::http::listing::{List, Listing};
use crate::idempotency::Once;
use crate::identifiers::Mobile;
use crate::sessions::Caller;
use crate::store::Seen;
use crate::twilio::{self, twiml};

/// The body of `POST /calls`: one of `say` and `twiml_url`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"to": "+12025550143", "say": "Your table is ready."}))]
pub struct NewCall {
    /// The number to call, E.164. Whom one may call is policy.
    pub to: String,
    /// What is said, on one line of at most 1000 characters, in the language of the caller's account.
    pub say: Option<String>,
    /// Instead: where the provider fetches TwiML, below one of the addresses that the settings allow.
    pub twiml_url: Option<String>,
    /// The number that is shown: one that the settings allow; the first of them when left out.
    pub from: Option<String>,
}

/// `POST /calls`
pub async fn create(
    ctx: Ctx,
    caller: Caller,
    headers: HeaderMap,
    Body(ask): Body<NewCall>,
) -> Result<(StatusCode, Json<CallView>)> {
    fn part(part: &Option<String>) -> &str {
        part.as_deref().unwrap_or("\0")
    }
    let parts = [ask.to.as_str(), part(&ask.say), part(&ask.twiml_url), part(&ask.from)];
    // A key counts for its user alone.
    let once = Once::read(&ctx, &headers, &format!("POST /calls {}", caller.user.id), &parts)?;
    let (to, wanted) = read(&ctx, &caller, &ask)?;
    let sender = actions::admit(&ctx, &caller, &to).await?;
    let call = actions::create(&ctx, &caller, &wanted, sender, &once).await?;
    Ok((StatusCode::ACCEPTED, Json(call)))
}

/// Reads every field and reports everything that is wrong at once.
fn read(ctx: &Ctx, caller: &Caller, ask: &NewCall) -> Result<(Mobile, Wanted)> {
    let language = twiml::language(caller.user.locale.as_deref());
    let settings = &ctx.app.config.calls;
    let mut errors = Vec::new();
    let to = Mobile::parse(&ask.to).map_err(|error| errors.push(FieldError { field: "to".into(), ..error }));
    let content = match (&ask.say, &ask.twiml_url) {
        (Some(text), None) => rules::text(text, language).map(Content::Say),
        (None, Some(url)) => rules::twiml_url(url, &settings.twiml_urls).map(Content::Url),
        (None, None) => Err(FieldError::new("say", "missing", "Give what is said, or `twiml_url`.")),
        (Some(_), Some(_)) => {
            Err(FieldError::new("twiml_url", "exclusive", "Give one of `say` and `twiml_url`, not both."))
        }
    };
    let content = content.map_err(|error| errors.push(error));
    let allowed = settings.senders(&ctx.app.config.twilio);
    let from = match &ask.from {
        None => allowed.first().copied(),
        Some(given) => {
            let known = allowed.iter().copied().find(|number| number == given);
            if known.is_none() {
                let told = "This number is not one that calls may show.";
                errors.push(FieldError::new("from", "not-allowed", told));
            }
            known
        }
    };
    match (to, content, from) {
        (Ok(to), Ok(content), Some(from)) if errors.is_empty() => {
            let (number, from) = (to.as_str().to_owned(), from.to_owned());
            Ok((to, Wanted { user: caller.user.id, to: number, from, content, language }))
        }
        _ if errors.is_empty() => {
            Err(Error::new(Problem::CallNotAllowed).detail("No number to call from is configured."))
        }
        _ => Err(Error::invalid(errors)),
    }
}

/// The query of `GET /calls`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only calls that have come exactly so far.
    pub status: Option<Status>,
    /// How many, 1 to 200; 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<usize>,
    /// Where the page before ended: its `next`.
    pub after: Option<String>,
}

/// `GET /calls`
pub async fn list(ctx: Ctx, caller: Caller, Search(ask): Search<Filter>) -> Result<Json<List<CallView>>> {
    let place = Listing { limit: ask.limit, after: ask.after };
    let page = actions::list(&ctx, &caller, ask.status, place.cursor(&ctx)?, place.limit()?).await?;
    Ok(Json(List::of(&ctx, page, |call: Seen<super::Call>| call.view())))
}

/// `GET /calls/{id}`
pub async fn get(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<Json<CallView>> {
    Ok(Json(actions::get(&ctx, &caller, id).await?.view()))
}

/// `POST /calls/{id}/cancel`
pub async fn cancel(ctx: Ctx, caller: Caller, Params(id): Params<Uuid>) -> Result<Json<CallView>> {
    Ok(Json(actions::cancel(&ctx, &caller, id).await?))
}

/// `POST /webhooks/twilio/calls/{token}`
///
/// Whoever cannot sign is told the same about every token.
pub async fn twilio_status(
    ctx: Ctx,
    uri: Uri,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode> {
    let params = twilio::signed(&ctx.app, &uri, &headers, &body)?;
    actions::callback(&ctx, &token, &params).await?;
    Ok(StatusCode::NO_CONTENT)
}
