//! Signing up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{self, Wanted};
use crate::accounts::UserView;
use crate::app::Ctx;
use crate::challenges::{self, Ask, ChallengeView, Purpose};
use crate::error::{Error, Problem, Result};
use crate::idempotency::{Before, Once};
use crate::identifiers;
use crate::limits::{self, Limit, Sender};
use crate::passwords::{self, NewPassword, Password, Verdict};
use crate::policy::{FactorKind, IdentifierKind, Proofs};
use crate::sessions::Carry;
use crate::store::answer;

/// An account that was made.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NewUserMade")]
pub struct SignedUp {
    /// The account.
    pub user: UserView,
    /// What is asked to verify the mobile number, when one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<ChallengeView>,
}

/// Lets somebody try to sign up: before anything of theirs is looked at, which costs time.
///
/// # Errors
/// [`Problem::SignUpClosed`], [`Problem::LimitReached`].
pub async fn admit(ctx: &Ctx) -> Result<()> {
    if !ctx.policy.sign_up.open {
        return Err(Problem::SignUpClosed.into());
    }
    limits::take_by_address(ctx, Limit::SignUpAddress).await
}

/// Makes an account, once however often the same named request asks for it.
///
/// # Errors
/// [`Problem::Invalid`] for what the policy requires and is missing,
/// [`Problem::IdentifierTaken`] for a username, [`Problem::LimitReached`], [`Problem::Busy`].
pub async fn sign_up(
    ctx: &Ctx,
    wanted: Wanted,
    password: NewPassword,
    once: Option<Once>,
) -> Result<SignedUp> {
    if let Some(given) = earlier(ctx, &once, &password).await? {
        return Ok(given);
    }
    let policy = &*ctx.policy;
    let missing = wanted.missing(policy);
    if !missing.is_empty() {
        return Err(Error::invalid(missing));
    }
    // Before postage is taken: nobody's number pays for a name that is taken.
    if username_taken(ctx, &wanted).await? {
        return earlier(ctx, &once, &password).await?.ok_or_else(rules::taken);
    }
    let postage = match wanted.name(IdentifierKind::Mobile) {
        Some(mobile) => Some(limits::postage(ctx, mobile.value(), Sender::Stranger).await?),
        None => None,
    };
    let phc = passwords::prepare(ctx, &password).await?;
    let (wanted, password, postage, phc, once) = (&wanted, &password, &postage, &phc, &once);
    ctx.decide(move |moment| async move {
        let stale = match once {
            None => None,
            Some(once) => match once.before(ctx).await? {
                Before::Answered(given) => return Ok(answer(again(ctx, given, password).await?)),
                Before::Nothing(stale) => stale,
            },
        };
        let taken = username_taken(ctx, wanted).await?;
        // By the same request, perhaps, a moment ago.
        if taken && let Some(given) = earlier(ctx, once, password).await? {
            return Ok(answer(given));
        }
        let made = rules::make(wanted, &moment);
        let verification = match (&made.factor, &made.mobile, postage) {
            (Some(factor), Some(mobile), Some(postage)) => {
                let ask = Ask {
                    purpose: Purpose::Verify,
                    factor,
                    kind: FactorKind::Sms,
                    offered: &[FactorKind::Sms, FactorKind::Call],
                    identifier: Some(mobile),
                    step_up: None,
                    proofs: Proofs::default(),
                    carry: Carry::Bearer,
                };
                Some(challenges::actions::ask(ctx, ask, Some(postage), &moment))
            }
            _ => None,
        };
        let decision = rules::sign_up(&made, phc.clone(), verification, taken, &moment);
        let identifiers = made.identifiers.iter().map(Into::into).collect();
        let decision = decision.map(|asked| SignedUp {
            user: UserView::new(&made.user, identifiers),
            verification: asked.map(|asked| asked.challenge.view(&asked.token, &policy.code)),
        });
        Ok(match (once, &decision.outcome) {
            (Some(once), Ok(made)) => {
                let kept = once.keep(ctx, made, &moment)?;
                decision.upsert(stale, kept)
            }
            _ => decision,
        })
    })
    .await
}

async fn username_taken(ctx: &Ctx, wanted: &Wanted) -> Result<bool> {
    match wanted.name(IdentifierKind::Username) {
        Some(username) => Ok(identifiers::actions::owner(ctx, username).await?.is_some()),
        None => Ok(false),
    }
}

/// The answer that this very request was given before.
async fn earlier(ctx: &Ctx, once: &Option<Once>, password: &NewPassword) -> Result<Option<SignedUp>> {
    match once {
        Some(once) => match once.before(ctx).await? {
            Before::Answered(given) => again(ctx, given, password).await.map(Some),
            Before::Nothing(_) => Ok(None),
        },
        None => Ok(None),
    }
}

/// The answer that was given before, for whoever knows the password that was given with it. The
/// password itself is no part of what names the request: that would be a fast hash of it.
async fn again(ctx: &Ctx, given: SignedUp, password: &NewPassword) -> Result<SignedUp> {
    let stored = ctx.app.store.get::<Password>(given.user.id).await?;
    match passwords::check(ctx, stored.as_ref(), &password.as_given()).await? {
        Verdict::Right { .. } => Ok(given),
        Verdict::Wrong => Err(Problem::IdempotencyKeyReused.into()),
    }
}
