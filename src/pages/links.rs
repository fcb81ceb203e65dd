//! Where the links in mails lead: they show and ask; the form does.

use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::{Form, Page, Sent, locale};
use crate::app::Ctx;
use crate::challenges::Purpose;
use crate::challenges::actions::{answer_code, purpose};
use crate::devices::Brought;
use crate::error::{Problem, Result};
use crate::http::extract::Search;
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

/// `GET /verify`
pub async fn verify(headers: HeaderMap, Search(link): Search<Coded>) -> Response {
    let locale = locale(&headers);
    let form = Form::new(locale, "/verify", "page-verify.button")
        .carries("challenge", link.challenge.expose())
        .carries("code", link.code.expose());
    Page::new(locale, "page-verify.title").says("page-verify").form(form).answer(None)
}

/// `POST /verify`
pub async fn do_verify(ctx: Ctx, headers: HeaderMap, Sent(link): Sent<Coded>) -> Response {
    let page = Page::new(locale(&headers), "page-verify.title");
    match confirm(&ctx, &headers, &link).await {
        Ok(()) => page.says("page-verify.done").answer(None),
        Err(error) => page.fails(Some(&error)).answer(Some(&error)),
    }
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
pub async fn undo(headers: HeaderMap, Search(link): Search<Tokened>) -> Response {
    let locale = locale(&headers);
    let form = Form::new(locale, "/undo", "page-undo.button").carries("token", link.token.expose());
    Page::new(locale, "page-undo.title").says("page-undo").form(form).answer(None)
}

/// `POST /undo`
pub async fn do_undo(ctx: Ctx, headers: HeaderMap, Sent(link): Sent<Tokened>) -> Response {
    take_back(&ctx, &headers, &link, "page-undo").await
}

/// `GET /not-me`
pub async fn not_me(headers: HeaderMap, Search(link): Search<Tokened>) -> Response {
    let locale = locale(&headers);
    let form = Form::new(locale, "/not-me", "page-not-me.button").carries("token", link.token.expose());
    Page::new(locale, "page-not-me.title").says("page-not-me").form(form).answer(None)
}

/// `POST /not-me`
pub async fn do_not_me(ctx: Ctx, headers: HeaderMap, Sent(link): Sent<Tokened>) -> Response {
    take_back(&ctx, &headers, &link, "page-not-me").await
}

async fn take_back(ctx: &Ctx, headers: &HeaderMap, link: &Tokened, words: &str) -> Response {
    let page = Page::new(locale(headers), &format!("{words}.title"));
    let token = Token::parse(TokenKind::Undo, link.token.expose());
    match undo::actions::take(ctx, token.as_ref()).await {
        Ok(_) => page.says(&format!("{words}.done")).link("/recover", "page-recover.title").answer(None),
        Err(error) => page.fails(Some(&error)).answer(Some(&error)),
    }
}
