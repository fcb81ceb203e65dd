//! The JSON door of signing up.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::actions::{self, SignedUp};
use super::rules::Wanted;
use crate::app::Ctx;
use crate::error::{Error, FieldError, Result};
use crate::http::extract::Body;
use crate::idempotency::Once;
use crate::identifiers::Name;
use crate::passwords::{self, NewPassword};
use crate::policy::IdentifierKind;
use crate::secret::Secret;
use crate::text::{called, locale};

/// The body of `POST /users`. Which of the identifiers are required is policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "username": "ada", "email": "ada@example.com", "mobile": "+12025550143", "password": "seven lanterns by the harbour",
}))]
pub struct NewUser {
    /// A name to sign in with that others may see.
    pub username: Option<String>,
    /// An e-mail address.
    pub email: Option<String>,
    /// A mobile number in E.164.
    pub mobile: Option<String>,
    /// What they like to be called; at most 200 characters.
    pub name: Option<String>,
    /// The password.
    pub password: Secret,
    /// The language they read, as a BCP 47 tag; at most 35 characters.
    pub locale: Option<String>,
    /// Whether a second factor is wanted where the policy leaves it to the user.
    #[serde(default)]
    pub is_2fa_enabled: bool,
    /// The code of an invitation to an organisation, `vi_…`, for the address that it went to.
    pub invitation: Option<Secret>,
}

/// `POST /users`
pub async fn create(
    ctx: Ctx,
    headers: HeaderMap,
    Body(ask): Body<NewUser>,
) -> Result<(StatusCode, Json<SignedUp>)> {
    actions::admit(&ctx, ask.invitation.is_some()).await?;
    let once = Once::read(&ctx, &headers, "POST /users", &ask.parts())?;
    let invitation = ask.invitation.clone();
    let (wanted, password) = read(&ctx, ask)?;
    let invitation = invitation.as_ref().map(Secret::expose);
    let made = actions::sign_up(&ctx, wanted, password, once, invitation).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

impl NewUser {
    /// What makes it this request and no other, but for the password.
    fn parts(&self) -> [&str; 7] {
        fn part(part: &Option<String>) -> &str {
            part.as_deref().unwrap_or("\0")
        }
        [
            part(&self.username),
            part(&self.email),
            part(&self.mobile),
            part(&self.name),
            part(&self.locale),
            if self.is_2fa_enabled { "2fa" } else { "" },
            self.invitation.as_ref().map_or("\0", Secret::expose),
        ]
    }
}

/// Reads every field and reports everything that is wrong at once.
///
/// # Errors
/// [`Problem::Invalid`](crate::error::Problem::Invalid).
pub fn read(ctx: &Ctx, ask: NewUser) -> Result<(Wanted, NewPassword)> {
    let mut errors = Vec::new();
    let mut keep = |error: FieldError| errors.push(error);
    let given = [
        (IdentifierKind::Username, &ask.username),
        (IdentifierKind::Email, &ask.email),
        (IdentifierKind::Mobile, &ask.mobile),
    ];
    let names: Vec<Name> = given
        .into_iter()
        .filter_map(|(kind, text)| Name::choose(kind, text.as_deref()?).map_err(&mut keep).ok())
        .collect();
    if let Some(error) = names.iter().find_map(|name| foreign(ctx, name)) {
        keep(error);
    }
    let own = [&ask.username, &ask.email, &ask.mobile, &ask.name];
    let own: Vec<&str> = own.into_iter().flatten().map(String::as_str).collect();
    let password = passwords::choose(ctx, "password", &ask.password, &own).map_err(&mut keep);
    let name = ask.name.and_then(|text| called(&text).map_err(&mut keep).ok());
    let locale = ask.locale.and_then(|text| locale(&text).map_err(&mut keep).ok());
    match password {
        Ok(password) if errors.is_empty() => {
            let wants_second_factor = ask.is_2fa_enabled;
            Ok((Wanted { names, name, locale, wants_second_factor, signs_in: false }, password))
        }
        _ => Err(Error::invalid(errors)),
    }
}

/// Why an e-mail address is not one of those that this server takes.
pub fn foreign(ctx: &Ctx, name: &Name) -> Option<FieldError> {
    let domains = &ctx.policy.sign_up.email_domains;
    let Name::Email(email) = name else { return None };
    let sentence = "Only e-mail addresses of certain domains are taken here.";
    (!domains.is_empty() && !email.is_of(domains)).then(|| FieldError::new("email", "domain", sentence))
}
