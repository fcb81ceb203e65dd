//! The paths of the systems that this replaces, and how their clients say what they mean. Nothing here has
//! a rule of its own: an alias is a method and a path, and the line of the router that it means; a form or
//! an answer of old is the same request, and the same answer, in other words.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::extract::{Body, Form};
use super::problem::GRANT_TYPE;
use super::route::Route;
use crate::app::Ctx;
use crate::challenges::ChallengeView;
use crate::challenges::actions::{Answered, answer_code};
use crate::devices::Brought;
use crate::error::{Error, FieldError, Problem, Result};
use crate::policy::FactorKind;
use crate::secret::{Secret, Token};
use crate::sessions::{BEARER, Carry, Session, hand_out};
use crate::sign_in::actions::SignedIn;
use crate::sign_in::api::{Login, begin};
use crate::sign_in::begun;
use crate::sign_up;

/// Another way to reach a route.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The method, as clients of old send it.
    pub method: &'static str,
    /// The path, as clients of old send it.
    pub path: &'static str,
    /// The method and the path of the line that is meant.
    pub means: (&'static str, &'static str),
    /// Whether it is at the root, and not below the mounts.
    pub at_root: bool,
}

const fn alias(method: &'static str, path: &'static str, means: (&'static str, &'static str)) -> Alias {
    Alias { method, path, means, at_root: false }
}

/// Every alias: below `/api/v1` and `/api`, and at the root.
pub const ALIASES: &[Alias] = &[
    alias("PUT", "/users/me", ("PATCH", "/users/me")),
    alias("PUT", "/users/update", ("PATCH", "/users/me")),
    alias("POST", "/login", ("POST", "/auth/login")),
    alias("POST", "/logout", ("POST", "/auth/logout")),
    alias("PATCH", "/users/update-password", ("PUT", "/users/me/password")),
    Alias { at_root: true, ..alias("POST", "/users", ("POST", "/users")) },
];

/// The aliases of `route`.
pub fn of(route: &Route) -> impl Iterator<Item = &'static Alias> {
    let line = (route.method.to_string(), route.path);
    ALIASES.iter().filter(move |alias| alias.means == (line.0.as_str(), line.1))
}

impl Alias {
    /// Its whole path, where the API is mounted at `mount`.
    pub fn below(&self, mount: &str) -> String {
        if self.at_root { self.path.to_owned() } else { format!("{mount}{}", self.path) }
    }
}

/// `POST /users/register`: signs up and tells nothing; the user then signs in.
pub async fn register(ctx: Ctx, headers: HeaderMap, ask: Body<sign_up::api::NewUser>) -> Result<StatusCode> {
    let (_, Json(_)) = sign_up::api::create(ctx, headers, ask).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The form of `POST /login` (RFC 6749 section 4.3.2). Fields that are not known are left alone.
#[derive(Deserialize, JsonSchema)]
pub struct PasswordForm {
    /// `password`, when it is there.
    pub grant_type: Option<String>,
    /// Whatever the user signs in with.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// Whether the code is wanted by e-mail; otherwise the policy chooses.
    #[serde(default, deserialize_with = "said")]
    pub send_otp: bool,
}

/// The form of `POST /verify-2fa`.
#[derive(Deserialize, JsonSchema)]
pub struct OtpForm {
    /// What the sign-in was begun with.
    pub username: String,
    /// The code.
    pub otp_code: Secret,
}

/// What clients write in a form for yes and for no.
fn said<'de, D: Deserializer<'de>>(field: D) -> Result<bool, D::Error> {
    match String::deserialize(field)?.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" | "t" | "y" => Ok(true),
        "false" | "0" | "off" | "no" | "f" | "n" | "" => Ok(false),
        _ => Err(serde::de::Error::custom("invalid value: another word, expected `true` or `false`")),
    }
}

/// The answer of a sign-in by form.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FormSignIn {
    /// Signed in (RFC 6749 section 5.1).
    Token {
        /// The credential. Shown once.
        access_token: String,
        /// Always `bearer`.
        token_type: &'static str,
        /// Seconds for which it lasts.
        expires_in: u64,
        /// What an access token that is a JWT is renewed with, once. Shown once.
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<String>,
    },
    /// Nothing is open before this is answered.
    Asked {
        /// What it is for.
        status: Asked,
        /// What is asked.
        challenge: Box<ChallengeView>,
    },
}

/// What stands between a password and a session.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// The second factor: to be answered by `POST /verify-2fa`.
    SecondFactorRequired,
    /// An address or a number must be shown to be the user's own; sign in again once it is.
    VerificationRequired,
}

/// `POST /login`
pub async fn login(ctx: Ctx, headers: HeaderMap, Form(form): Form<PasswordForm>) -> Result<Json<FormSignIn>> {
    sign_in(&ctx, &headers, form).await.map(Json)
}

async fn sign_in(ctx: &Ctx, headers: &HeaderMap, form: PasswordForm) -> Result<FormSignIn> {
    if form.grant_type.is_some_and(|grant| grant != "password") {
        return Err(FieldError::new(GRANT_TYPE, "wrong-value", "Expected `password`.").into());
    }
    let name = form.username.clone();
    let carry = match ctx.policy.session.carry {
        Carry::Jwt => Carry::Jwt,
        Carry::Bearer | Carry::Cookie => Carry::Bearer,
    };
    let by_mail = form.send_otp && ctx.policy.sign_in.second.factors.contains(&FactorKind::Email);
    let mut ask = Login {
        identifier: Some(form.username),
        username: None,
        email: None,
        mobile: None,
        password: form.password,
        session: Some(carry),
        factor: by_mail.then_some(FactorKind::Email),
        device: None,
    };
    let mut signed_in = begin(ctx, headers, &ask, carry).await;
    // A wish: where no mail is among the second factors of this user, another one does.
    if by_mail && signed_in.as_ref().is_err_and(|error| error.problem == Problem::FactorMissing) {
        ask.factor = None;
        signed_in = begin(ctx, headers, &ask, carry).await;
    }
    match signed_in? {
        SignedIn::Now { session, token, .. } => token_of(ctx, &session, &token).await,
        SignedIn::Asked(challenge, token) => {
            begun::remember(ctx, &name, &token, challenge.expires_at).await?;
            Ok(FormSignIn::Asked { status: Asked::SecondFactorRequired, challenge })
        }
        SignedIn::Unverified(challenge, _) => {
            Ok(FormSignIn::Asked { status: Asked::VerificationRequired, challenge })
        }
    }
}

/// `POST /verify-2fa`
pub async fn verify_2fa(ctx: Ctx, Form(form): Form<OtpForm>) -> Result<Json<FormSignIn>> {
    verify(&ctx, form).await.map(Json)
}

async fn verify(ctx: &Ctx, form: OtpForm) -> Result<FormSignIn> {
    let asked = begun::recall(ctx, &form.username).await?;
    match answer_code(ctx, None, asked.as_ref(), form.otp_code.expose(), &Brought::default()).await? {
        Answered::SignedIn { session, token, .. } => token_of(ctx, &session, &token).await,
        Answered::Unverified { challenge, .. } => {
            Ok(FormSignIn::Asked { status: Asked::VerificationRequired, challenge })
        }
        // What is remembered by name is a sign-in.
        Answered::Verified | Answered::SteppedUp { .. } => Err(Problem::CodeGone.into()),
    }
}

async fn token_of(ctx: &Ctx, session: &Session, token: &Token) -> Result<FormSignIn> {
    let credential = hand_out(ctx, session, token).await?;
    ctx.app.metrics.sign_in("signed_in");
    let (access_token, refresh_token) = match (credential.token, credential.pair) {
        (Some(token), _) => (token, None),
        (None, Some((access, refresh))) => (access, Some(refresh)),
        (None, None) => return Err(Error::internal("a form gets no cookie")),
    };
    Ok(FormSignIn::Token {
        access_token,
        token_type: BEARER,
        expires_in: credential.expires_in,
        refresh_token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::router::{operations, routes};

    #[test]
    fn no_alias_hides_a_route_or_another_alias() {
        let mount = "/api/v1";
        let own = |mount: &str, route: &Route| (route.method.to_string(), format!("{mount}{}", route.path));
        let mut taken: Vec<_> = routes().iter().map(|route| own(mount, route)).collect();
        taken.extend(operations().iter().map(|route| own("", route)));
        taken.extend(ALIASES.iter().map(|alias| (alias.method.to_owned(), alias.below(mount))));
        let count = taken.len();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), count);
    }

    #[test]
    fn every_alias_means_a_route() {
        for alias in ALIASES {
            assert!(
                routes().iter().any(|route| of(route).any(|other| other.path == alias.path)),
                "{alias:?}"
            );
        }
    }
}
