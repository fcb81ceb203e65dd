//! Where the link of an invitation leads: it shows and asks; the form accepts, for whoever is signed in.

use axum::http::HeaderMap;
use axum::response::Response;

use super::links::{Tokened, asks, told};
use super::{Sent, link};
use crate::app::Ctx;
use crate::error::{Problem, Result};
use crate::http::extract::Search;
use crate::http::visit::Visit;
use crate::organizations::actions::accept;
use crate::sessions::authenticate;

/// `GET /invitation`
pub async fn ask(visit: Visit, Search(link): Search<Tokened>) -> Response {
    asks(&visit, "page-invitation", "/invitation", &[("token", link.token.expose())])
}

/// `POST /invitation`
pub async fn join(ctx: Ctx, visit: Visit, headers: HeaderMap, Sent(sent): Sent<Tokened>) -> Result<Response> {
    let done = joined(&ctx, &headers, &sent).await;
    told(&visit, "page-invitation", done, vec![link(&visit, "/account", "nav")])
}

async fn joined(ctx: &Ctx, headers: &HeaderMap, sent: &Tokened) -> Result<()> {
    let caller = authenticate(ctx, headers).await?.ok_or(Problem::Unauthenticated)?;
    accept(ctx, &caller, sent.token.expose()).await.map(drop)
}
