//! Where the link of an invitation leads: it shows and asks; the form accepts, for whoever is signed
//! in, and shows all others the ways in. Signing in takes the invitation along in a cookie that no
//! script reads, so that its token stands in no other address.

use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::{Value, context};

use super::links::{Tokened, told};
use super::{Sent, link, question};
use crate::app::Ctx;
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::extract::Search;
use crate::http::visit::{INVITATION, Visit};
use crate::organizations::actions::{accept, named_by};
use crate::secret::{Token, TokenKind};
use crate::sessions::{authenticate, invitation, invitation_cookie, with_cookies};

/// For how long a browser keeps an invitation: as long as anybody takes who signs in.
const SECONDS: u64 = 60 * 60;

/// `GET /invitation`
pub async fn ask(
    ctx: Ctx,
    visit: Visit,
    headers: HeaderMap,
    Search(link): Search<Tokened>,
) -> Result<Response> {
    let kept = invitation(&headers, &ctx.app.origin).filter(|_| link.token.is_empty());
    let token = kept.map_or_else(|| link.token.expose().to_owned(), |kept| kept.reveal());
    let is_signed_in = authenticate(&ctx, &headers).await?.is_some();
    asked(&ctx, &visit, &token, is_signed_in, None).await
}

/// The page for the invitation that `token` names, with why it was not accepted.
async fn asked(
    ctx: &Ctx,
    visit: &Visit,
    token: &str,
    is_signed_in: bool,
    error: Option<Error>,
) -> Result<Response> {
    let title = visit.say("page-invitation.title");
    let organization = match named_by(ctx, token).await {
        Ok(offer) => offer.organization,
        Err(gone) if gone.problem == Problem::CodeGone => {
            let problem = context! { text => visit.say("problem-code-gone") };
            let given = context! { problem, text => visit.say("page-invitation.gone"), links => on(visit) };
            return Ok(visit.shows("say.html", &title, given));
        }
        Err(error) => return Err(error),
    };
    let text = visit.say_of("page-invitation", &[("organization", organization.name.as_str().into())]);
    if is_signed_in {
        let form = question(visit, "page-invitation", INVITATION, &[("token", token)], false);
        return Ok(visit.shows("say.html", &title, context! { text, ..form }));
    }
    let way = |path: &str, more: (&str, &str), key: &str| context! { href => visit.with(path, &[more]), text => visit.say(key) };
    let links = vec![
        way("/sign-in", ("then", INVITATION), "sign-in.button"),
        way("/sign-up", ("invitation", token), "sign-in.create"),
    ];
    let text = format!("{text} {}", visit.say("page-invitation.sign-in"));
    let given = context! { text, links };
    let response = visit.answers(error, "say.html", &title, given)?;
    let token = Token::parse(TokenKind::Invitation, token);
    Ok(keeps(ctx, response, token.as_ref()))
}

fn keeps(ctx: &Ctx, response: Response, token: Option<&Token>) -> Response {
    with_cookies(response, [invitation_cookie(&ctx.app.origin, token, SECONDS)])
}

/// Where whoever is done goes on.
fn on(visit: &Visit) -> Vec<Value> {
    vec![link(visit, "/account", "nav")]
}

/// `POST /invitation`
pub async fn join(ctx: Ctx, visit: Visit, headers: HeaderMap, Sent(sent): Sent<Tokened>) -> Result<Response> {
    let token = sent.token.expose();
    let Some(caller) = authenticate(&ctx, &headers).await? else {
        // The same page again: it keeps the invitation, and signing up takes it along.
        return asked(&ctx, &visit, token, false, Some(Problem::Unauthenticated.into())).await;
    };
    match accept(&ctx, &caller, token).await {
        Ok(joined) => {
            let places = [("organization", joined.name.as_str().into())];
            let notice = visit.say_of("page-invitation.done", &places);
            let given = context! { notice, links => on(&visit) };
            let response = visit.shows("say.html", &visit.say("page-invitation.title"), given);
            Ok(keeps(&ctx, response, None))
        }
        Err(mut error) if error.problem == Problem::NotAllowed => {
            let sentence = "This invitation went to another address.";
            error.fields.push(FieldError::new("invitation", "other-address", sentence));
            let links = vec![link(&visit, "/sign-out", "sign-out.button"), link(&visit, "/account", "nav")];
            visit.shows_why(error, "say.html", &visit.say("page-invitation.title"), context! { links })
        }
        Err(error) => told(&visit, "page-invitation", Err(error), on(&visit), |key| visit.say(key)),
    }
}
