//! Where the links in mails lead: they show and ask; the form does.

use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::context;
use serde::Deserialize;

use super::{Sent, link, question};
use crate::app::Ctx;
use crate::challenges::Purpose;
use crate::challenges::actions::{answer_code, purpose};
use crate::devices::Brought;
use crate::error::{Problem, Result};
use crate::http::extract::Search;
use crate::http::visit::Visit;
use crate::secret::{Secret, Token, TokenKind};
use crate::sessions::authenticate;
use crate::undo;

/// What the link of a code carries.
#[derive(Deserialize)]
pub struct Coded {
    /// The challenge.
    #[serde(default)]
    pub challenge: Secret,
    /// Its code.
    #[serde(default)]
    pub code: Secret,
}

/// What the link of a notice carries.
#[derive(Deserialize)]
pub struct Tokened {
    /// The token.
    #[serde(default)]
    pub token: Secret,
}

/// A page that asks whether to do what a link is for.
fn asks(visit: &Visit, key: &str, text: &str, action: &str, hidden: &[(&str, &str)]) -> Response {
    let given = context! { text, ..question(visit, key, action, hidden, false) };
    visit.shows("say.html", &visit.say(&format!("{key}.title")), given)
}

/// A page that says what became of it, in the words that `say` has.
pub(super) fn told(
    visit: &Visit,
    key: &str,
    done: Result<()>,
    links: Vec<minijinja::Value>,
    say: impl Fn(&str) -> String,
) -> Result<Response> {
    let title = visit.say(&format!("{key}.title"));
    match done {
        Ok(()) => {
            let given = context! { notice => say(&format!("{key}.done")), links };
            Ok(visit.shows("say.html", &title, given))
        }
        Err(error) => {
            // Somebody has pressed the button before, most often they themselves.
            let gone = (error.problem == Problem::CodeGone).then(|| say(&format!("{key}.gone")));
            visit.shows_why(error, "say.html", &title, context! { text => gone, links })
        }
    }
}

/// `GET /verify`
pub async fn verify(visit: Visit, Search(link): Search<Coded>) -> Response {
    let hidden = [("challenge", link.challenge.expose()), ("code", link.code.expose())];
    asks(&visit, "page-verify", &visit.say("page-verify"), "/verify", &hidden)
}

/// `POST /verify`
pub async fn do_verify(
    ctx: Ctx,
    visit: Visit,
    headers: HeaderMap,
    Sent(sent): Sent<Coded>,
) -> Result<Response> {
    let done = confirm(&ctx, &headers, &sent).await;
    told(&visit, "page-verify", done, vec![link(&visit, "/account", "nav")], |key| visit.say(key))
}

/// Answers a challenge that shows an address to be one's own, and no other: a sign-in is not finished
/// where nobody keeps what it opens.
async fn confirm(ctx: &Ctx, headers: &HeaderMap, link: &Coded) -> Result<()> {
    let token = Token::parse(TokenKind::Challenge, link.challenge.expose()).ok_or(Problem::CodeGone)?;
    if purpose(ctx, &token).await? != Purpose::Verify {
        return Err(Problem::CodeGone.into());
    }
    let caller = authenticate(ctx, headers).await?;
    answer_code(ctx, caller.as_ref(), Some(&token), link.code.expose(), &Brought::default()).await.map(drop)
}

/// `GET /undo`
pub async fn undo(ctx: Ctx, visit: Visit, Search(link): Search<Tokened>) -> Response {
    asks_back(&ctx, &visit, &link, "page-undo")
}

/// `POST /undo`
pub async fn do_undo(ctx: Ctx, visit: Visit, Sent(link): Sent<Tokened>) -> Result<Response> {
    take_back(&ctx, &visit, &link, "page-undo").await
}

/// `GET /not-me`
pub async fn not_me(ctx: Ctx, visit: Visit, Search(link): Search<Tokened>) -> Response {
    asks_back(&ctx, &visit, &link, "page-not-me")
}

/// `POST /not-me`
pub async fn do_not_me(ctx: Ctx, visit: Visit, Sent(link): Sent<Tokened>) -> Result<Response> {
    take_back(&ctx, &visit, &link, "page-not-me").await
}

fn asks_back(ctx: &Ctx, visit: &Visit, link: &Tokened, key: &str) -> Response {
    asks(visit, key, &say_back(ctx, visit, key), &visit.path, &[("token", link.token.expose())])
}

/// The words of `key`; and whom whoever needs another password then has to ask, where recovery is off.
fn say_back(ctx: &Ctx, visit: &Visit, key: &str) -> String {
    let text = visit.say(key);
    // What was undone may have left the password as it was.
    if crate::recovery::actions::is_offered(ctx) || key == "page-undo.done" {
        return text;
    }
    format!("{text} {}", visit.say("page-recover.off"))
}

async fn take_back(ctx: &Ctx, visit: &Visit, sent: &Tokened, key: &str) -> Result<Response> {
    let token = Token::parse(TokenKind::Undo, sent.token.expose());
    let done = undo::actions::take(ctx, token.as_ref()).await.map(drop);
    let mut links = vec![link(visit, "/sign-in", "sign-in.button")];
    if crate::recovery::actions::is_offered(ctx) {
        links.push(link(visit, "/recover", "page-recover.title"));
    }
    told(visit, key, done, links, |key| say_back(ctx, visit, key))
}
