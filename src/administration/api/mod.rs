//! The JSON door of administration.

pub mod users;
pub mod views;

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::accounts::{self, User};
use crate::app::Ctx;
use crate::error::{Error, FieldError, Problem, Result};
use crate::factors::Held;
use crate::http::extract::Body;
use crate::policy::{FactorKind, Proofs, Rank, Verdict, explain, operation};
use crate::sessions::Caller;
use crate::step_up::staff;

/// The policy in force.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Policy")]
pub struct PolicyView {
    /// What follows a right password, in words.
    pub sign_in: String,
    /// Every operation, by name.
    pub operations: Vec<OperationView>,
    /// What is wrong with the newest policy file, when it could not take the place of this one.
    pub faults: Option<String>,
}

/// What one operation asks for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Operation")]
pub struct OperationView {
    /// Its name.
    pub name: String,
    /// Who may ask for it: users for themselves, or those with one of these ranks for others.
    pub who: Vec<Rank>,
    /// What it asks for, in words.
    pub asks: String,
    /// Who is told, in words.
    pub tells: String,
    /// Whether it is never done.
    pub never: bool,
    /// One of these factors must have been shown.
    pub any: Vec<FactorKind>,
    /// One of the strongest factors of the account must have been shown.
    pub highest: bool,
    /// How many seconds ago at most; 0 for any time in the session.
    pub max_age: u64,
}

/// `GET /admin/policy`
pub async fn policy(ctx: Ctx, caller: Caller) -> Result<Json<PolicyView>> {
    staff(&ctx, &caller, operation::ADMIN_OPERATE).await?;
    let may = |name: &str| match operation::is_for_staff(name) {
        true => Rank::ALL.iter().copied().filter(|rank| ctx.policy.staff.may(*rank, name)).collect(),
        false => vec![Rank::User],
    };
    let operations = ctx.policy.operation.iter().map(|(name, rule)| OperationView {
        name: name.to_owned(),
        who: may(name),
        asks: explain::asks(rule),
        tells: explain::tells(rule),
        never: rule.never,
        any: rule.proof.any.clone(),
        highest: rule.proof.highest,
        max_age: rule.proof.max_age.as_secs(),
    });
    Ok(Json(PolicyView {
        sign_in: explain::second(&ctx.policy),
        operations: operations.collect(),
        faults: ctx.app.policy_faults(),
    }))
}

/// The body of `POST /admin/policy/simulate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "operation": "password.change", "has": ["password", "sms"], "shown": [{"factor": "password", "seconds_ago": 60}],
}))]
pub struct Simulate {
    /// The operation.
    pub operation: String,
    /// The user whose factors and roles count; or nobody, and `has`, `locked` and `roles` say.
    pub user: Option<Uuid>,
    /// Factors of the account.
    #[serde(default)]
    pub has: Vec<FactorKind>,
    /// Those among them that are locked.
    #[serde(default)]
    pub locked: Vec<FactorKind>,
    /// Roles of the user.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What the session has shown.
    #[serde(default)]
    pub shown: Vec<Shown>,
}

/// One factor that was shown.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Which.
    pub factor: FactorKind,
    /// How long ago.
    pub seconds_ago: u32,
    /// For which operation, when not to sign in.
    pub operation: Option<String>,
}

/// What would become of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Simulated {
    /// `allow`, `need`, `unable` or `never`.
    pub verdict: &'static str,
    /// Why, a sentence each.
    pub because: Vec<String>,
    /// The factors that would be asked for.
    pub need: Vec<FactorKind>,
}

/// `POST /admin/policy/simulate`
pub async fn simulate(ctx: Ctx, caller: Caller, Body(ask): Body<Simulate>) -> Result<Json<Simulated>> {
    staff(&ctx, &caller, operation::ADMIN_OPERATE).await?;
    let rule = ctx.policy.operation.get(&ask.operation).ok_or_else(|| {
        let sentence = "The policy of this server names no such operation.";
        Error::from(FieldError::new("operation", "unknown", sentence))
    })?;
    let held = match ask.user {
        Some(id) => {
            let user = ctx.app.store.get::<User>(id).await?.ok_or(Problem::NotFound)?;
            accounts::held(&ctx, &user).await?.1
        }
        None => {
            let able = ask.has.iter().copied().filter(|kind| !ask.locked.contains(kind)).collect();
            Held { enrolled: ask.has, able, roles: ask.roles }
        }
    };
    let proofs = ask.shown.iter().fold(Proofs::default(), |proofs, shown| {
        let age = std::time::Duration::from_secs(shown.seconds_ago.into());
        proofs.and_for(shown.operation.as_deref(), shown.factor, ctx.now.before(age))
    });
    let (verdict, because) = explain::why(&ask.operation, rule, &proofs, &held.holder(), ctx.now);
    let (verdict, need) = match verdict {
        Verdict::Allow => ("allow", Vec::new()),
        Verdict::Need(need) => ("need", need.factors),
        Verdict::Unable => ("unable", Vec::new()),
        Verdict::Never => ("never", Vec::new()),
    };
    Ok(Json(Simulated { verdict, because, need }))
}
