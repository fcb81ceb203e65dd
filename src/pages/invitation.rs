//! Where the link of an invitation leads: it shows and asks; the form accepts, for whoever is signed
//! in, and shows all others the ways in.

use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::context;

use super::links::{Tokened, asks, told};
use super::{Sent, link, question};
use crate::app::Ctx;
use crate::error::{Error, Problem, Result};
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
    match joined(&ctx, &headers, &sent).await {
        Err(error) if error.problem == Problem::Unauthenticated => keeps(&visit, error, &sent),
        done => told(&visit, "page-invitation", done, vec![link(&visit, "/account", "nav")]),
    }
}

/// The same page again for whoever is not signed in: it keeps the invitation, and signing up takes it along.
fn keeps(visit: &Visit, error: Error, sent: &Tokened) -> Result<Response> {
    let token = sent.token.expose();
    let form = question(visit, "page-invitation", "/invitation", &[("token", token)], false);
    let sign_up = visit.with("/sign-up", &[("invitation", token)]);
    let sign_up = context! { href => sign_up, text => visit.say("sign-in.create") };
    let links = vec![link(visit, "/sign-in", "sign-in.button"), sign_up];
    let given = context! { text => visit.say("page-invitation"), links, ..form };
    visit.shows_why(error, "say.html", &visit.say("page-invitation.title"), given)
}

async fn joined(ctx: &Ctx, headers: &HeaderMap, sent: &Tokened) -> Result<()> {
    let caller = authenticate(ctx, headers).await?.ok_or(Problem::Unauthenticated)?;
    accept(ctx, &caller, sent.token.expose()).await.map(drop)
}
