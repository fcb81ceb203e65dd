//! Getting back into an account, page by page. What one page has led to travels in the next one's form.

use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::{Value, context};
use serde::Deserialize;

use super::Sent;
use super::links::Coded;
use crate::app::Ctx;
use crate::challenges::actions::{answer_code, purpose, resend};
use crate::challenges::{ChallengeView, Purpose, blind};
use crate::devices::Brought;
use crate::error::{Error, Problem, Result};
use crate::http::extract::Search;
use crate::http::visit::Visit;
use crate::new_password;
use crate::recovery::actions::{begin, verify};
use crate::secret::{Secret, Token, TokenKind};
use crate::sessions::{self, device_cookie, with_cookies};

fn page(visit: &Visit, given: Value, error: Option<Error>) -> Result<Response> {
    titled(visit, "page-recover.title", given, error)
}

fn titled(visit: &Visit, key: &str, given: Value, error: Option<Error>) -> Result<Response> {
    let title = visit.say(key);
    visit.answers(error, "recover.html", &title, given)
}

/// `GET /recover`: asks for the identifier, or, by the link in the mail, whether to go on.
pub async fn ask(ctx: Ctx, visit: Visit, Search(link): Search<Coded>) -> Result<Response> {
    if link.challenge.is_empty() {
        return asked(&ctx, &visit, "", None);
    }
    let (challenge, code) = (link.challenge.expose(), link.code.expose());
    page(&visit, context! { step => "link", challenge, code }, None)
}

fn asked(ctx: &Ctx, visit: &Visit, identifier: &str, error: Option<Error>) -> Result<Response> {
    if !crate::recovery::actions::is_offered(ctx) {
        let links = vec![super::link(visit, "/sign-in", "sign-in.button")];
        let given = context! { text => visit.say("page-recover.off"), links };
        return visit.answers(error, "say.html", &visit.say("page-recover.title"), given);
    }
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
    if !crate::recovery::actions::is_offered(&ctx) {
        return asked(&ctx, &visit, "", None);
    }
    match begin(&ctx, &who.identifier, device.as_ref()).await {
        Ok(challenge) => code(&ctx, &visit, "", &challenge, None),
        Err(error) => asked(&ctx, &visit, &who.identifier, Some(error)),
    }
}

/// The page that asks for a code: for the first one, or, by right of the recovery that `token` names, for the
/// second factor.
fn code(
    ctx: &Ctx,
    visit: &Visit,
    token: &str,
    challenge: &ChallengeView,
    error: Option<Error>,
) -> Result<Response> {
    let step = if token.is_empty() { "code" } else { "second" };
    let asked = super::code::asked(ctx, challenge);
    let error = error.map(|error| super::code::at_the_code(error, challenge.factor));
    page(visit, context! { step, token, challenge => challenge.id.as_str(), asked }, error)
}

/// The same page with why the last answer did not do; the first page when nothing is asked any more.
async fn again(ctx: &Ctx, visit: &Visit, form: &Answer, error: Error) -> Result<Response> {
    let looked = match form.named() {
        Some(named) => blind::look(ctx, &named).await,
        None => Err(Problem::CodeGone.into()),
    };
    match looked {
        Ok(challenge) => code(ctx, visit, form.token.expose(), &challenge, Some(error)),
        Err(gone) if error.problem == Problem::CodeWrong => asked(ctx, visit, "", Some(gone)),
        Err(_) => asked(ctx, visit, "", Some(error)),
    }
}

/// An answer to what a recovery asks, or a wish for another way.
#[derive(Default, Deserialize)]
pub struct Answer {
    /// The recovery's token, when there is one already.
    #[serde(default)]
    pub token: Secret,
    /// The challenge.
    #[serde(default)]
    pub challenge: Secret,
    /// Its code.
    #[serde(default)]
    pub code: Secret,
    /// One of the other ways.
    #[serde(default)]
    pub factor: String,
}

impl Answer {
    fn named(&self) -> Option<Token> {
        Token::parse(TokenKind::Challenge, self.challenge.expose())
    }
}

/// `POST /recover/verify`
pub async fn proved(ctx: Ctx, visit: Visit, Sent(sent): Sent<Coded>) -> Result<Response> {
    let form = Answer { challenge: sent.challenge, code: sent.code, ..Answer::default() };
    match verify(&ctx, form.named().as_ref(), form.code.expose()).await {
        Ok(proved) => match &proved.second_factor {
            Some(second) => code(&ctx, &visit, &proved.token.reveal(), second, None),
            None => choose(&ctx, &visit, &proved.token.reveal(), false, None),
        },
        Err(error) => again(&ctx, &visit, &form, error).await,
    }
}

/// `POST /recover/second`
pub async fn second(ctx: Ctx, visit: Visit, Sent(form): Sent<Answer>) -> Result<Response> {
    match shown(&ctx, &form).await {
        Ok(()) => choose(&ctx, &visit, form.token.expose(), false, None),
        Err(error) => again(&ctx, &visit, &form, error).await,
    }
}

async fn shown(ctx: &Ctx, form: &Answer) -> Result<()> {
    // Only what belongs to a recovery: a sign-in is not finished where nobody keeps what it opens.
    let named = form.named().ok_or(Problem::CodeGone)?;
    if purpose(ctx, &named).await? != Purpose::Recover {
        return Err(Problem::CodeGone.into());
    }
    answer_code(ctx, None, Some(&named), form.code.expose(), &Brought::default()).await.map(drop)
}

/// `POST /recover/resend`
pub async fn once_more(ctx: Ctx, visit: Visit, Sent(form): Sent<Answer>) -> Result<Response> {
    match sent_again(&ctx, &form).await {
        Ok(challenge) => code(&ctx, &visit, form.token.expose(), &challenge, None),
        Err(error) => again(&ctx, &visit, &form, error).await,
    }
}

async fn sent_again(ctx: &Ctx, form: &Answer) -> Result<ChallengeView> {
    let named = form.named().ok_or(Problem::CodeGone)?;
    if purpose(ctx, &named).await? != Purpose::Recover {
        return Err(Problem::CodeGone.into());
    }
    resend(ctx, None, Some(&named), super::code::wanted(&form.factor)?).await
}

/// The page that asks for the new password; or for the first one, of an account that was made for somebody.
fn choose(ctx: &Ctx, visit: &Visit, token: &str, is_first: bool, error: Option<Error>) -> Result<Response> {
    let least = ctx.policy.password.min_length;
    let key = if is_first { "page-welcome" } else { "page-recover.title" };
    titled(visit, key, context! { step => "password", token, least, is_first }, error)
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
    choose(&ctx, &visit, link.token.expose(), true, None)
}

/// The new password.
#[derive(Deserialize)]
pub struct Chosen {
    /// The recovery's token.
    pub token: Secret,
    /// The password.
    pub new_password: Secret,
    /// `true`: it is the account's first.
    #[serde(default)]
    pub first: String,
}

/// `POST /recover/password`
pub async fn set(ctx: Ctx, visit: Visit, Sent(sent): Sent<Chosen>) -> Result<Response> {
    let token = Token::parse(TokenKind::Recovery, sent.token.expose());
    let is_first = sent.first == "true";
    let (title, done) = match is_first {
        true => ("page-welcome", "page-welcome.done"),
        false => ("page-recover.title", "page-recover.done"),
    };
    match new_password::actions::by_recovery(&ctx, token.as_ref(), &sent.new_password).await {
        Ok(device) => {
            let response = visit.shows(
                "say.html",
                &visit.say(title),
                context! {
                    notice => visit.say(done),
                    links => vec![super::link(&visit, "/sign-in", "sign-in.button")],
                },
            );
            let cookie = device.map(|device| device_cookie(&ctx.app.origin, &device));
            Ok(with_cookies(response, cookie))
        }
        Err(error) if matches!(error.problem, Problem::CodeGone | Problem::StepUpRequired) => {
            asked(&ctx, &visit, "", Some(error))
        }
        // The right to set one still counts: what did not do, or came too early, is sent again.
        Err(error) => choose(&ctx, &visit, sent.token.expose(), is_first, Some(error)),
    }
}
