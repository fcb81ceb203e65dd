//! Getting back into an account, page by page. What one page has led to travels in the next one's form.

use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::links::Coded;
use super::{Form, Page, Sent, locale};
use crate::app::Ctx;
use crate::challenges::actions::answer_code;
use crate::devices::Brought;
use crate::error::{Error, Problem};
use crate::http::extract::Search;
use crate::new_password;
use crate::recovery::actions::{begin, verify};
use crate::secret::{Secret, Token, TokenKind};
use crate::words::Locale;

const CODE: [&str; 2] = ["text", "one-time-code"];

fn page(locale: Locale) -> Page {
    Page::new(locale, "page-recover.title")
}

/// `GET /recover`: asks for the identifier, or, by the link in the mail, whether to go on.
pub async fn ask(headers: HeaderMap, Search(link): Search<Coded>) -> Response {
    let locale = locale(&headers);
    if link.challenge.is_empty() {
        return asked(locale, None);
    }
    let form = Form::new(locale, "/recover/verify", "code-link-label")
        .carries("challenge", link.challenge.expose())
        .carries("code", link.code.expose());
    page(locale).form(form).answer(None)
}

fn asked(locale: Locale, error: Option<&Error>) -> Response {
    let form = Form::new(locale, "/recover", "page-recover.button");
    let form = form.asks(locale, "identifier", "page-recover.identifier", ["text", "username"]);
    page(locale).fails(error).says("page-recover").form(form).answer(error)
}

/// Who wants to get back in.
#[derive(Deserialize)]
pub struct Who {
    /// Whatever they sign in with.
    pub identifier: String,
}

/// `POST /recover`
pub async fn sent(ctx: Ctx, headers: HeaderMap, Sent(who): Sent<Who>) -> Response {
    let locale = locale(&headers);
    match begin(&ctx, &who.identifier).await {
        Ok(challenge) => code(locale, &challenge.id, None),
        Err(error) => asked(locale, Some(&error)),
    }
}

fn code(locale: Locale, challenge: &str, error: Option<&Error>) -> Response {
    let form = Form::new(locale, "/recover/verify", "code-link-label").carries("challenge", challenge);
    let form = form.asks(locale, "code", "page-recover.code", CODE);
    page(locale).fails(error).says("page-recover.asked").form(form).answer(error)
}

/// `POST /recover/verify`
pub async fn proved(ctx: Ctx, headers: HeaderMap, Sent(sent): Sent<Coded>) -> Response {
    let locale = locale(&headers);
    let challenge = Token::parse(TokenKind::Challenge, sent.challenge.expose());
    match verify(&ctx, challenge.as_ref(), sent.code.expose()).await {
        Ok(proved) => match &proved.second_factor {
            Some(second) => more(locale, &proved.token.reveal(), &second.id, None),
            None => choose(locale, &proved.token.reveal(), None),
        },
        Err(error) if error.problem == Problem::CodeWrong => {
            code(locale, sent.challenge.expose(), Some(&error))
        }
        Err(error) => asked(locale, Some(&error)),
    }
}

fn more(locale: Locale, token: &str, challenge: &str, error: Option<&Error>) -> Response {
    let form = Form::new(locale, "/recover/second", "code-link-label")
        .carries("token", token)
        .carries("challenge", challenge)
        .asks(locale, "code", "page-recover.code", CODE);
    page(locale).fails(error).says("page-recover.second").form(form).answer(error)
}

/// The second factor of a recovery.
#[derive(Deserialize)]
pub struct More {
    /// The recovery's token.
    pub token: Secret,
    /// The challenge.
    pub challenge: Secret,
    /// Its code.
    pub code: Secret,
}

/// `POST /recover/second`
pub async fn second(ctx: Ctx, headers: HeaderMap, Sent(sent): Sent<More>) -> Response {
    let locale = locale(&headers);
    let (token, challenge) = (sent.token.expose(), sent.challenge.expose());
    // Only what belongs to a recovery: a sign-in is not finished where nobody keeps what it opens.
    let named = Token::parse(TokenKind::Challenge, challenge);
    let purpose = match &named {
        Some(named) => crate::challenges::actions::purpose(&ctx, named).await,
        None => Err(Problem::CodeGone.into()),
    };
    let answered = match purpose {
        Ok(crate::challenges::Purpose::Recover) => {
            answer_code(&ctx, None, named.as_ref(), sent.code.expose(), &Brought::default()).await.map(drop)
        }
        Ok(_) => Err(Problem::CodeGone.into()),
        Err(error) => Err(error),
    };
    match answered {
        Ok(()) => choose(locale, token, None),
        Err(error) if error.problem == Problem::CodeWrong => more(locale, token, challenge, Some(&error)),
        Err(error) => asked(locale, Some(&error)),
    }
}

fn choose(locale: Locale, token: &str, error: Option<&Error>) -> Response {
    let form = Form::new(locale, "/recover/password", "page-recover.set").carries("token", token);
    let form = form.asks(locale, "new_password", "page-recover.password", ["password", "new-password"]);
    page(locale).fails(error).form(form).answer(error)
}

/// The link that was sent with a new account.
#[derive(Deserialize)]
pub struct Named {
    /// The recovery's token.
    pub token: Secret,
}

/// `GET /recover/password`: asks for the password of an account that was made for somebody. Reading it
/// changes nothing.
pub async fn welcome(headers: HeaderMap, Search(link): Search<Named>) -> Response {
    choose(locale(&headers), link.token.expose(), None)
}

/// The new password.
#[derive(Deserialize)]
pub struct Chosen {
    /// The recovery's token.
    pub token: Secret,
    /// The password.
    pub new_password: Secret,
}

/// `POST /recover/password`
pub async fn set(ctx: Ctx, headers: HeaderMap, Sent(sent): Sent<Chosen>) -> Response {
    let locale = locale(&headers);
    let token = Token::parse(TokenKind::Recovery, sent.token.expose());
    match new_password::actions::by_recovery(&ctx, token.as_ref(), &sent.new_password).await {
        Ok(()) => page(locale).says("page-recover.done").answer(None),
        Err(error) if error.problem == Problem::Invalid => choose(locale, sent.token.expose(), Some(&error)),
        Err(error) => asked(locale, Some(&error)),
    }
}
