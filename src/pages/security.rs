//! The password and the factors of one's own account.

use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minijinja::{Value, context};
use serde::Deserialize;
use uuid::Uuid;

use super::{Sent, leads_to, question};
use crate::accounts;
use crate::app::Ctx;
use crate::enrolment::actions as enrolment;
use crate::error::{FieldError, Problem, Result};
use crate::http::extract::Params;
use crate::http::visit::Visit;
use crate::new_password;
use crate::passwords::{self, GivenPassword};
use crate::policy::{FactorKind, IdentifierKind, operation};
use crate::secret::Secret;
use crate::sessions::Caller;
use crate::step_up::permit;

const SECURITY: &str = "/account/security";

/// `GET /account/security`
pub async fn security(ctx: Ctx, visit: Visit, caller: Caller) -> Result<Response> {
    let held = accounts::factors(&ctx, &caller.user).await?;
    let user = accounts::view(&ctx, &caller.user).await?;
    let offered = &ctx.policy.sign_in.second.factors;
    // One that is locked is bound anew by being added.
    let has = |kind| held.iter().any(|factor| factor.kind == kind && !factor.locked);
    let verified = |kind| user.identifiers.iter().any(|one| one.kind == kind && one.verified);
    let leads = |operation| leads_to(&ctx, &caller, operation);
    let (adds, removes) = (leads(operation::FACTOR_ADD), leads(operation::FACTOR_REMOVE));
    let offers =
        |kind| offered.contains(&kind) || kind == FactorKind::Sms && offered.contains(&FactorKind::Call);
    let may_add = |kind, own| adds && offers(kind) && !has(kind) && verified(own);
    let offers = context! {
        password => leads(operation::PASSWORD_CHANGE),
        totp => adds && offered.contains(&FactorKind::Totp),
        sms => may_add(FactorKind::Sms, IdentifierKind::Mobile),
        email => may_add(FactorKind::Email, IdentifierKind::Email),
        recovery_code => leads(operation::RECOVERY_CODES_MAKE)
            && offered.contains(&FactorKind::RecoveryCode)
            && held.iter().any(|factor| factor.kind != FactorKind::RecoveryCode),
    };
    let factors: Vec<Value> = held
        .iter()
        .map(|one| {
            context! {
                kind => one.kind.as_str(),
                name => one.name.clone(),
                left => one.left,
                locked => one.locked,
                created_at => one.created_at.to_string(),
                href => removes.then(|| visit.to(&format!("/account/factors/{}/remove", one.id))),
            }
        })
        .collect();
    let given = context! { factors, offers, add => context! {
        mobile => visit.to("/account/factors/add/mobile"), email => visit.to("/account/factors/add/email"),
    } };
    Ok(visit.shows("security.html", &visit.say("nav.security"), given))
}

/// `GET /account/password`
pub async fn ask_password(ctx: Ctx, visit: Visit, caller: Caller) -> Result<Response> {
    permit(&ctx, &caller, operation::PASSWORD_CHANGE).await?;
    let given = about_password(&ctx, &caller, None).await?;
    Ok(visit.shows("password.html", &visit.say("password"), given))
}

async fn about_password(ctx: &Ctx, caller: &Caller, score: Option<u8>) -> Result<Value> {
    let user = accounts::view(ctx, &caller.user).await?;
    let username = user.username.or(user.email).unwrap_or_default();
    Ok(context! { username, score, least => ctx.policy.password.min_length })
}

/// A new password.
#[derive(Deserialize)]
pub struct NewPassword {
    /// The current one.
    #[serde(default)]
    pub current_password: Secret,
    /// The new one.
    #[serde(default)]
    pub new_password: Secret,
    /// `true`: only to be told how strong it is.
    #[serde(default)]
    pub check: String,
}

/// `POST /account/password`
pub async fn set_password(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    Sent(form): Sent<NewPassword>,
) -> Result<Response> {
    let title = visit.say("password");
    if form.check == "true" {
        let user = accounts::view(&ctx, &caller.user).await?;
        let own = [&user.username, &user.email, &user.mobile, &user.name];
        let own: Vec<&str> = own.into_iter().flatten().map(String::as_str).collect();
        let (wrong, strength) = passwords::assess(&ctx, &form.new_password, &own).await?;
        let given = about_password(&ctx, &caller, Some(strength.score)).await?;
        return visit.answers(wrong.map(crate::error::Error::from), "password.html", &title, given);
    }
    let current = (!form.current_password.is_empty()).then(|| GivenPassword::new(&form.current_password));
    match new_password::actions::change(&ctx, &caller, current, &form.new_password).await {
        Ok(()) => Ok(visit.goes_saying(SECURITY, "password")),
        Err(error) if error.problem == Problem::StepUpRequired => Err(error),
        Err(mut error) => {
            if error.problem == Problem::CredentialsWrong {
                let sentence = "This is not the current password.";
                error.fields.push(FieldError::new("current_password", "wrong", sentence));
            }
            visit.shows_why(error, "password.html", &title, about_password(&ctx, &caller, None).await?)
        }
    }
}

/// `GET /account/factors/add/{kind}`
pub async fn ask_add(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    Params(kind): Params<String>,
) -> Result<Response> {
    let key = added(&kind)?.1;
    permit(&ctx, &caller, operation::FACTOR_ADD).await?;
    let links = vec![super::link(&visit, SECURITY, "cancel")];
    let form = question(&visit, "factor-add", &visit.path, &[], false);
    let given = context! { text => visit.say("factor-add.text"), links, ..form };
    Ok(visit.shows("say.html", &visit.say(key), given))
}

fn added(kind: &str) -> Result<(IdentifierKind, &'static str)> {
    match kind {
        "mobile" => Ok((IdentifierKind::Mobile, "security.add-sms")),
        "email" => Ok((IdentifierKind::Email, "security.add-email")),
        _ => Err(Problem::NotFound.into()),
    }
}

/// `POST /account/factors/add/{kind}`
pub async fn add(ctx: Ctx, visit: Visit, caller: Caller, Params(kind): Params<String>) -> Result<Response> {
    enrolment::reach(&ctx, &caller, added(&kind)?.0).await?;
    Ok(visit.goes_saying(SECURITY, "factor"))
}

/// `GET /account/factors/{id}/remove`
pub async fn ask_remove(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    Params(id): Params<Uuid>,
) -> Result<Response> {
    permit(&ctx, &caller, operation::FACTOR_REMOVE).await?;
    let held = accounts::factors(&ctx, &caller.user).await?;
    let factor = held.iter().find(|factor| factor.id == id).ok_or(Problem::NotFound)?;
    let links = vec![super::link(&visit, SECURITY, "cancel")];
    let form = question(&visit, "factor-remove", &visit.path, &[], true);
    let name = factor.name.clone().unwrap_or_else(|| visit.say(&format!("way-{}", factor.kind)));
    let given = context! { text => format!("{name}: {}", visit.say("factor-remove.text")), links, ..form };
    Ok(visit.shows("say.html", &visit.say("factor-remove"), given))
}

/// `POST /account/factors/{id}/remove`
pub async fn remove(ctx: Ctx, visit: Visit, caller: Caller, Params(id): Params<Uuid>) -> Result<Response> {
    enrolment::remove(&ctx, &caller, id).await?;
    Ok(visit.goes_saying(SECURITY, "removed"))
}

/// `GET /account/totp`
pub async fn ask_totp(ctx: Ctx, visit: Visit, caller: Caller) -> Result<Response> {
    permit(&ctx, &caller, operation::FACTOR_ADD).await?;
    let links = vec![super::link(&visit, SECURITY, "cancel")];
    let form = question(&visit, "totp-begin", "/account/totp", &[], false);
    let given = context! { text => visit.say("totp-begin"), links, ..form };
    Ok(visit.shows("say.html", &visit.say("totp"), given))
}

/// What an app shows; nothing yet when it is only begun.
#[derive(Deserialize)]
pub struct Totp {
    /// Which one.
    #[serde(default)]
    pub id: String,
    /// The code that it shows.
    #[serde(default)]
    pub code: Secret,
}

/// `POST /account/totp`
pub async fn totp(ctx: Ctx, visit: Visit, caller: Caller, Sent(form): Sent<Totp>) -> Result<Response> {
    let title = visit.say("totp");
    if form.id.is_empty() {
        let begun = enrolment::begin_totp(&ctx, &caller, None).await?;
        let qr = format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(&begun.qr));
        let given = context! { id => begun.id.to_string(), secret => begun.secret, qr };
        return Ok(visit.shows("totp.html", &title, given));
    }
    let id: Uuid = form.id.parse().map_err(|_| Problem::NotFound)?;
    match enrolment::confirm_totp(&ctx, &caller, id, form.code.expose()).await {
        Ok(_) => Ok(visit.goes_saying(SECURITY, "factor")),
        Err(error) if error.problem == Problem::StepUpRequired => Err(error),
        Err(error) => {
            let error = super::code::at_the_code(error, FactorKind::Totp);
            visit.shows_why(error, "totp.html", &title, context! { id => id.to_string() })
        }
    }
}

/// `GET /account/recovery-codes`
pub async fn ask_codes(ctx: Ctx, visit: Visit, caller: Caller) -> Result<Response> {
    permit(&ctx, &caller, operation::RECOVERY_CODES_MAKE).await?;
    let links = vec![super::link(&visit, SECURITY, "cancel")];
    let form = question(&visit, "codes-make", "/account/recovery-codes", &[], false);
    let given = context! { text => visit.say("codes-make.text"), links, ..form };
    Ok(visit.shows("say.html", &visit.say("codes-make"), given))
}

/// `POST /account/recovery-codes`
pub async fn codes(ctx: Ctx, visit: Visit, caller: Caller) -> Result<Response> {
    let codes = enrolment::make_codes(&ctx, &caller).await?.codes;
    let file = format!("data:text/plain;base64,{}", BASE64_STANDARD.encode(codes.join("\n")));
    Ok(visit.shows("recovery-codes.html", &visit.say("codes"), context! { codes, file }))
}
