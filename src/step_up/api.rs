//! The JSON door of proof on demand.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actions::{self, Begun};
use crate::app::Ctx;
use crate::challenges::ChallengeView;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::extract::Body;
use crate::passwords::GivenPassword;
use crate::policy::FactorKind;
use crate::secret::Secret;
use crate::sessions::Caller;

/// The body of `POST /auth/step-up`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"operation": "user.email.change"}))]
pub struct StepUp {
    /// The operation, as the refusal named it.
    pub operation: String,
    /// Which of the factors that would do to ask for; the first when left out.
    pub factor: Option<FactorKind>,
    /// The password, where that would do: then nothing else is asked.
    pub password: Option<Secret>,
}

/// The answer of `POST /auth/step-up`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum StepUpView {
    /// What is asked; answer it by `verify-code`, then call the operation again.
    Asked(Box<ChallengeView>),
    /// Nothing more is asked: call the operation.
    Verified {
        /// Always `verified`.
        status: Verified,
        /// The operation that can now be called.
        operation: String,
    },
}

/// The word `verified`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Verified {
    /// Done.
    Verified,
}

/// `POST /auth/step-up`
pub async fn step_up(ctx: Ctx, caller: Caller, Body(ask): Body<StepUp>) -> Result<Json<StepUpView>> {
    let password = ask.password.as_ref().map(GivenPassword::new);
    Ok(Json(match actions::begin(&ctx, &caller, &ask.operation, ask.factor, password).await? {
        Begun::Asked(challenge) => StepUpView::Asked(challenge),
        Begun::Done => StepUpView::Verified { status: Verified::Verified, operation: ask.operation },
    }))
}

/// The body of `POST /auth/authorize`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"operation": "payments.transfer"}))]
pub struct Authorize {
    /// The operation: one of this server's, or one of the application's own that the policy names.
    pub operation: String,
}

/// The answer of `POST /auth/authorize`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Authorized {
    /// Always true: what is not allowed is refused.
    pub allowed: bool,
    /// The operation.
    pub operation: String,
    /// What the session has shown that counts for it.
    pub proofs: Vec<ProofView>,
}

/// One factor that was shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Proof")]
pub struct ProofView {
    /// Which.
    pub factor: FactorKind,
    /// When.
    pub at: Timestamp,
}

/// `POST /auth/authorize`
pub async fn authorize(ctx: Ctx, caller: Caller, Body(ask): Body<Authorize>) -> Result<Json<Authorized>> {
    let permit = actions::permit(&ctx, &caller, &ask.operation).await?;
    let proofs = actions::shown(&ctx, &caller, permit.operation());
    let view = |proof: crate::policy::Proof| ProofView { factor: proof.factor, at: proof.at };
    Ok(Json(Authorized {
        allowed: true,
        operation: ask.operation,
        proofs: proofs.into_iter().map(view).collect(),
    }))
}
