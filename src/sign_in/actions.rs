//! Signing in with a password.

use super::rules::{self, Outcome, Standing};
use uuid::Uuid;

use crate::accounts::{self, User, UserView};
use crate::app::Ctx;
use crate::challenges::{Ask, ChallengeView, Purpose, actions::choose, verifying};
use crate::error::{Problem, Result};
use crate::identifiers;
use crate::limits::{self, Limit, Sender};
use crate::passwords::{self, GivenPassword, Password, Verdict};
use crate::policy::{FactorKind, Gate, IdentifierKind, Proofs, after_first_factor};
use crate::secret::Token;
use crate::sessions::{Carry, Session};
use crate::store::Seen;

/// What a sign-in came to, for the door to put into words.
pub enum SignedIn {
    /// A session was opened.
    Now {
        /// Whose.
        user: Box<UserView>,
        /// Which.
        session: Box<Session>,
        /// What the client shows from now on.
        token: Token,
    },
    /// A second factor is asked for.
    Asked(Box<ChallengeView>, Token),
    /// Nothing is opened before this is verified.
    Unverified(Box<ChallengeView>, Token),
}

/// Signs in with an identifier and a password. `wanted` is the second factor that the user would like
/// to be asked for.
///
/// # Errors
/// [`Problem::CredentialsWrong`], the same for whatever is wrong; [`Problem::LimitReached`];
/// [`Problem::FactorLocked`] when no second factor takes codes any more;
/// [`Problem::Busy`] when more sign-ins wait than can be hashed in time.
pub async fn sign_in(
    ctx: &Ctx,
    identifier: &str,
    hint: Option<IdentifierKind>,
    password: GivenPassword,
    wanted: Option<FactorKind>,
    carry: Carry,
) -> Result<SignedIn> {
    limits::take_by_address(ctx, Limit::SignInAddress).await?;
    limits::take(ctx, Limit::SignInIdentifier, &identifiers::actions::key(identifier)).await?;

    let store = &ctx.app.store;
    let known = identifiers::actions::find(ctx, identifier, hint).await?;
    let user_id = known.map(|identifier| identifier.user_id);
    // Nobody's id stands in for an unknown user's, so that both make the same look-ups.
    let looked_up = user_id.unwrap_or_default();
    let user = store.get::<User>(looked_up).await?;
    let stored = store.get::<Password>(looked_up).await?;

    let checked = passwords::check(ctx, stored.as_ref(), &password).await?;
    let (Some(user), Some(stored), Verdict::Right { rehashed }) = (&user, stored, checked) else {
        return refused(ctx, user.as_ref()).await;
    };
    if !user.is_active() {
        return refused(ctx, Some(user)).await;
    }
    let (id, verified, rehashed) = (user.id, &*stored, rehashed.as_deref());
    let proofs = &Proofs::default().and(FactorKind::Password, ctx.now);
    let policy = &*ctx.policy;

    let (factors, held) = accounts::held(ctx, user).await?;
    let outcome = match after_first_factor(&policy.sign_in, &held.holder()) {
        Gate::Open => {
            let known = identifiers::actions::of_user(ctx, id).await?;
            if let Some(lacking) = identifiers::lacking(&known, &policy.sign_up.verified) {
                let (challenge, token) = verifying::verify(ctx, id, lacking.id).await?;
                return Ok(SignedIn::Unverified(Box::new(challenge), token));
            }
            ctx.decide(move |moment| async move {
                let standing = standing(ctx, id, verified, rehashed).await?;
                Ok(rules::open(&standing, proofs.clone(), carry, policy, &moment))
            })
            .await?
        }
        Gate::NoFactor => return Err(Problem::FactorLocked.into()),
        Gate::Ask(kinds) => {
            let chosen = &choose(ctx, &factors, &kinds, wanted, Sender::User(user.id)).await?;
            let kinds = kinds.as_slice();
            ctx.decide(move |moment| async move {
                let standing = standing(ctx, id, verified, rehashed).await?;
                let ask = Ask {
                    purpose: Purpose::SignIn,
                    factor: chosen.factor,
                    kind: chosen.kind,
                    offered: kinds,
                    identifier: chosen.target.as_deref(),
                    step_up: None,
                    proofs: proofs.clone(),
                    carry,
                };
                let (asked, message) = chosen.ask(ctx, ask, &moment);
                Ok(rules::ask(&standing, asked, message.as_ref(), &moment))
            })
            .await?
        }
    };
    Ok(match outcome {
        Outcome::SignedIn { user, session, token } => {
            SignedIn::Now { user: Box::new(accounts::view(ctx, &user).await?), session, token }
        }
        Outcome::Asked(asked) => {
            let view = asked.challenge.view(&asked.token, &policy.code);
            SignedIn::Asked(Box::new(view), asked.token)
        }
    })
}

/// The user and the password as they are now, when the password that was checked is still theirs.
/// What was hashed anew meanwhile, by another sign-in, is the same password.
async fn standing(ctx: &Ctx, user: Uuid, verified: &Password, rehashed: Option<&str>) -> Result<Standing> {
    let store = &ctx.app.store;
    let user = store.get::<User>(user).await?.filter(|user| user.is_active());
    let password = store.get::<Password>(verified.user_id).await?;
    let password = password.filter(|password| password.changed_at == verified.changed_at);
    let (Some(user), Some(password)) = (user, password) else {
        return Err(Problem::CredentialsWrong.into());
    };
    let renewed = rehashed.filter(|_| password.phc == verified.phc);
    let is_renewed = renewed.is_some();
    let password = match renewed {
        Some(phc) => password.with(|password| password.phc = phc.to_owned()),
        None => password,
    };
    Ok(Standing { user, password, is_renewed })
}

async fn refused(ctx: &Ctx, user: Option<&Seen<User>>) -> Result<SignedIn> {
    ctx.app.metrics.sign_in("failed");
    let refused =
        ctx.decide(move |moment| async move { Ok(rules::failed(user.map(|user| &**user), &moment)) }).await;
    match refused {
        Err(error) => Err(error),
        // A failed sign-in has no other outcome than its refusal.
        Ok(_) => Err(Problem::CredentialsWrong.into()),
    }
}
