//! Signing up. Whoever has signed up goes on to sign in at once: the one code that is asked for then
//! also shows that the number is theirs.

use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::context;
use serde::Deserialize;

use super::{Sent, asks, filled, sign_in};
use crate::app::Ctx;
use crate::error::{Error, Problem, Result};
use crate::http::extract::Search;
use crate::http::visit::Visit;
use crate::passwords;
use crate::secret::Secret;
use crate::sign_in::actions::Whom;
use crate::sign_up::actions::{SignedUp, admit, sign_up};
use crate::sign_up::api::{NewUser, read};

/// Who wants an account.
#[derive(Default, Deserialize)]
pub struct SignUp {
    /// A name to sign in with.
    #[serde(default)]
    pub username: String,
    /// An e-mail address.
    #[serde(default)]
    pub email: String,
    /// A mobile number.
    #[serde(default)]
    pub mobile: String,
    /// The password.
    #[serde(default)]
    pub password: Secret,
    /// `true`: how strong is the password? Nobody signs up.
    #[serde(default)]
    pub check: String,
    /// The code of an invitation.
    #[serde(default)]
    pub invitation: Secret,
}

/// Who was led here by an invitation.
#[derive(Deserialize)]
pub struct Invited {
    /// Its code.
    #[serde(default)]
    pub invitation: Secret,
}

/// `GET /sign-up`
pub async fn ask(ctx: Ctx, visit: Visit, Search(invited): Search<Invited>) -> Result<Response> {
    let form = SignUp { invitation: invited.invitation, ..SignUp::default() };
    if !ctx.policy.sign_up.open && invitation(&form).is_none() {
        return Err(Problem::SignUpClosed.into());
    }
    asked(&ctx, &visit, &form, None, None)
}

fn invitation(form: &SignUp) -> Option<&str> {
    Some(form.invitation.expose()).filter(|text| !text.is_empty())
}

fn asked(
    ctx: &Ctx,
    visit: &Visit,
    form: &SignUp,
    score: Option<u8>,
    error: Option<Error>,
) -> Result<Response> {
    let required: Vec<_> = ctx.policy.sign_up.required.iter().map(|kind| kind.as_str()).collect();
    let filled_in = context! {
        username => form.username.as_str(), email => form.email.as_str(), mobile => form.mobile.as_str(),
    };
    let invitation = invitation(form);
    let given =
        context! { given => filled_in, invitation, required, score, least => ctx.policy.password.min_length };
    let title = visit.say("sign-up");
    visit.answers(error, "sign-up.html", &title, given)
}

/// `POST /sign-up`
pub async fn sent(ctx: Ctx, visit: Visit, headers: HeaderMap, Sent(form): Sent<SignUp>) -> Result<Response> {
    if form.check == "true" {
        let given = [&form.username, &form.email, &form.mobile];
        let own: Vec<&str> =
            given.into_iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        return match passwords::assess(&ctx, &form.password, &own).await {
            Err(error) => asked(&ctx, &visit, &form, None, Some(error)),
            Ok((wrong, strength)) => {
                let error = wrong.map(Error::from);
                asked(&ctx, &visit, &form, Some(strength.score), error)
            }
        };
    }
    match made(&ctx, &visit, &form).await {
        Err(error) => asked(&ctx, &visit, &form, None, Some(error)),
        Ok((made, signs_in)) => {
            if signs_in {
                let whom = Whom::New(made.user.id);
                let begun = sign_in::begin(&ctx, &visit, &headers, whom, &form.password).await;
                if begun.is_ok() {
                    return begun;
                }
            }
            // The account is there, whatever keeps its owner out for the moment.
            Ok(match made.verification {
                Some(challenge) => asks(&ctx, &visit, &challenge),
                None => visit.goes_saying("/sign-in", "made"),
            })
        }
    }
}

/// Makes the account, and tells whether its owner signs in at once.
async fn made(ctx: &Ctx, visit: &Visit, form: &SignUp) -> Result<(SignedUp, bool)> {
    let invitation = invitation(form);
    admit(ctx, invitation.is_some()).await?;
    let ask = NewUser {
        username: filled(&form.username),
        email: filled(&form.email),
        // People write numbers with spaces, hyphens and brackets.
        mobile: filled(&form.mobile)
            .map(|text| text.chars().filter(|letter| !" -().".contains(*letter)).collect()),
        name: None,
        password: form.password.clone(),
        locale: Some(visit.locale.as_str().to_owned()),
        is_2fa_enabled: false,
        invitation: invitation.map(Secret::new),
    };
    let signs_in = ask.username.is_some() || ask.email.is_some();
    let (mut wanted, password) = read(ctx, ask)?;
    wanted.signs_in = signs_in;
    Ok((sign_up(ctx, wanted, password, None, invitation).await?, signs_in))
}
