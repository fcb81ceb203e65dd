//! The JSON door of passwords.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actions;
use crate::app::Ctx;
use crate::error::{FieldError, Result};
use crate::http::extract::Body;
use crate::secret::Secret;

/// The body of `POST /auth/password-strength`. Besides the password only what is known yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"password": "alice2030", "username": "alice"}))]
pub struct AskStrength {
    /// The password that somebody thinks of choosing.
    pub password: Secret,
    /// The username that goes with it.
    pub username: Option<String>,
    /// The e-mail address that goes with it.
    pub email: Option<String>,
    /// The mobile number that goes with it, in E.164.
    pub mobile: Option<String>,
    /// The name that goes with it.
    pub name: Option<String>,
}

/// Whether a password would be accepted, and how strong it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PasswordStrength {
    /// Whether it would be accepted.
    pub acceptable: bool,
    /// How hard it is to guess: 0 at once, 1 soon, 2 with some effort, 3 hardly, 4 not in practice. Whether it
    /// is accepted does not depend on it.
    #[schemars(range(max = 4))]
    pub score: u8,
    /// Why it would not be accepted.
    pub errors: Vec<FieldError>,
    /// What is weak about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What would make it better.
    pub suggestions: Vec<String>,
}

/// `POST /auth/password-strength`
pub async fn strength(ctx: Ctx, Body(ask): Body<AskStrength>) -> Result<Json<PasswordStrength>> {
    let own = [&ask.username, &ask.email, &ask.mobile, &ask.name];
    let own: Vec<&str> = own.into_iter().flatten().map(String::as_str).collect();
    let (error, strength) = actions::assess(&ctx, &ask.password, &own).await?;
    Ok(Json(PasswordStrength {
        acceptable: error.is_none(),
        score: strength.score,
        errors: error.into_iter().collect(),
        warning: strength.warning,
        suggestions: strength.suggestions,
    }))
}
