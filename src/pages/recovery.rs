//! Getting back into an account, page by page. What one page has led to travels in the next one's form.

use axum::http::{HeaderMap, header};
use axum::response::Response;
use minijinja::{Value, context};
use serde::Deserialize;

use super::Sent;
use super::links::Coded;
use crate::app::Ctx;
use crate::challenges::actions::answer_code;
use crate::devices::Brought;
use crate::error::{Error, Problem, Result};
use crate::http::extract::Search;
use crate::http::visit::Visit;
use crate::new_password;
use crate::recovery::actions::{begin, verify};
use crate::secret::{Secret, Token, TokenKind};
use crate::sessions::{self, device_cookie};

fn page(visit: &Visit, given: Value, error: Option<Error>) -> Result<Response> {
    let title = visit.say("page-recover.title");
    match error {
        None => Ok(visit.shows("recover.html", &title, given)),
        Some(error) => visit.shows_why(error, "recover.html", &title, given),
    }
}

/// `GET /recover`: asks for the identifier, or, by the link in the mail, whether to go on.
pub async fn ask(visit: Visit, Search(link): Search<Coded>) -> Result<Response> {
    if link.challenge.is_empty() {
        return asked(&visit, "", None);
    }
    let (challenge, code) = (link.challenge.expose(), link.code.expose());
    page(&visit, context! { step => "link", challenge, code }, None)
}

fn asked(visit: &Visit, identifier: &str, error: Option<Error>) -> Result<Response> {
    page(visit, context! { step => "ask", identifier }, error)
}

/// Who wants to get back in.
#[derive(Deserialize)]
pub struct Who {
    /// Whatever they sign in with.
    pub identifier: String,
}

/// `POST /recover`
pub async fn sent(ctx: Ctx, visit: Visit, headers: HeaderMap, Sent(who): Sent<Who>) -> Result<Response> {
    let device = sessions::device(&headers, &ctx.app.origin);
    match begin(&ctx, &who.identifier, device.as_ref()).await {
        Ok(challenge) => code(&visit, &challenge.id, None),
        Err(error) => asked(&visit, &who.identifier, Some(error)),
    }
}

fn code(visit: &Visit, challenge: &str, error: Option<Error>) -> Result<Response> {
    page(visit, context! { step => "code", challenge }, error)
}

/// `POST /recover/verify`
pub async fn proved(ctx: Ctx, visit: Visit, Sent(sent): Sent<Coded>) -> Result<Response> {
    let challenge = Token::parse(TokenKind::Challenge, sent.challenge.expose());
    match verify(&ctx, challenge.as_ref(), sent.code.expose()).await {
        Ok(proved) => match &proved.second_factor {
            Some(second) => more(&visit, &proved.token.reveal(), &second.id, None),
            None => choose(&ctx, &visit, &proved.token.reveal(), None),
        },
        Err(error) if error.problem == Problem::CodeWrong => {
            code(&visit, sent.challenge.expose(), Some(error))
        }
        Err(error) => asked(&visit, "", Some(error)),
    }
}

fn more(visit: &Visit, token: &str, challenge: &str, error: Option<Error>) -> Result<Response> {
    page(visit, context! { step => "second", token, challenge }, error)
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
pub async fn second(ctx: Ctx, visit: Visit, Sent(sent): Sent<More>) -> Result<Response> {
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
        Ok(()) => choose(&ctx, &visit, token, None),
        Err(error) if error.problem == Problem::CodeWrong => more(&visit, token, challenge, Some(error)),
        Err(error) => asked(&visit, "", Some(error)),
    }
}

fn choose(ctx: &Ctx, visit: &Visit, token: &str, error: Option<Error>) -> Result<Response> {
    page(visit, context! { step => "password", token, least => ctx.policy.password.min_length }, error)
}

/// The link that was sent with a new account.
#[derive(Deserialize)]
pub struct Named {
    /// The recovery's token.
    pub token: Secret,
}

/// `GET /recover/password`: asks for the password of an account that was made for somebody. Reading it
/// changes nothing.
pub async fn welcome(ctx: Ctx, visit: Visit, Search(link): Search<Named>) -> Result<Response> {
    choose(&ctx, &visit, link.token.expose(), None)
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
pub async fn set(ctx: Ctx, visit: Visit, Sent(sent): Sent<Chosen>) -> Result<Response> {
    let token = Token::parse(TokenKind::Recovery, sent.token.expose());
    match new_password::actions::by_recovery(&ctx, token.as_ref(), &sent.new_password).await {
        Ok(device) => {
            let mut response = visit.shows(
                "say.html",
                &visit.say("page-recover.title"),
                context! {
                    notice => visit.say("page-recover.done"),
                    links => vec![super::link(&visit, "/sign-in", "sign-in.button")],
                },
            );
            let cookie = device.map(|device| device_cookie(&ctx.app.origin, &device));
            response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
            Ok(response)
        }
        Err(error) if error.problem == Problem::Invalid => {
            choose(&ctx, &visit, sent.token.expose(), Some(error))
        }
        Err(error) => asked(&visit, "", Some(error)),
    }
}
