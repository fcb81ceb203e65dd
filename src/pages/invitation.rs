//! Where the link of an invitation leads: it shows and asks; the form accepts, for whoever is signed in.

use axum::http::HeaderMap;
use axum::response::Response;

use super::links::Tokened;
use super::{Form, Page, Sent, locale};
use crate::app::Ctx;
use crate::error::{Problem, Result};
use crate::http::extract::Search;
use crate::organizations::actions::accept;
use crate::sessions::authenticate;

/// `GET /invitation`
pub async fn ask(headers: HeaderMap, Search(link): Search<Tokened>) -> Response {
    let locale = locale(&headers);
    let form =
        Form::new(locale, "/invitation", "page-invitation.button").carries("token", link.token.expose());
    Page::new(locale, "page-invitation.title").says("page-invitation").form(form).answer(None)
}

/// `POST /invitation`
pub async fn join(ctx: Ctx, headers: HeaderMap, Sent(link): Sent<Tokened>) -> Response {
    let page = Page::new(locale(&headers), "page-invitation.title");
    match joined(&ctx, &headers, &link).await {
        Ok(()) => page.says("page-invitation.done").answer(None),
        Err(error) => page.fails(Some(&error)).answer(Some(&error)),
    }
}

async fn joined(ctx: &Ctx, headers: &HeaderMap, link: &Tokened) -> Result<()> {
    let caller = authenticate(ctx, headers).await?.ok_or(Problem::Unauthenticated)?;
    accept(ctx, &caller, link.token.expose()).await.map(drop)
}
