//! Signing in with a password.

use super::rules::{self, Outcome, Standing};
use uuid::Uuid;

use crate::accounts::{self, User, UserView};
use crate::app::Ctx;
use crate::challenges::{self, Ask, ChallengeView, Purpose};
use crate::error::{Problem, Result};
use crate::factors::{self, Factor};
use crate::identifiers::{self, Identifier};
use crate::limits::{self, Limit, Sender};
use crate::passwords::{self, GivenPassword, Password, Verdict};
use crate::policy::{self, FactorKind, Gate, IdentifierKind, When, after_first_factor};
use crate::secret::Token;
use crate::sessions::{Carry, Method, Proofs, Session};
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
}

/// Signs in with an identifier and a password.
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
    let proofs = &Proofs::default().and(Method::Password, ctx.now);
    let policy = &ctx.app.policy;

    let enrolled = factors::of_user(ctx, user.id).await?;
    let kinds = shown_by(user, &enrolled, &policy.sign_in);
    let outcome = match after_first_factor(&policy.sign_in, &kinds) {
        Gate::Open => {
            ctx.decide(move |moment| async move {
                let standing = standing(ctx, id, verified, rehashed).await?;
                Ok(rules::open(&standing, proofs.clone(), carry, policy, &moment))
            })
            .await?
        }
        Gate::NoFactor => return Err(Problem::FactorLocked.into()),
        Gate::Ask(kinds) => {
            let (factor, target) = usable(ctx, &enrolled, &kinds).await?;
            let postage = limits::postage(ctx, &target.value, Sender::User(user.id)).await?;
            let (target, postage) = (&target, &postage);
            ctx.decide(move |moment| async move {
                let standing = standing(ctx, id, verified, rehashed).await?;
                let ask = Ask {
                    purpose: Purpose::SignIn,
                    factor,
                    identifier: target,
                    proofs: proofs.clone(),
                    carry,
                };
                let (asked, message) = challenges::actions::ask(ctx, ask, postage, &moment);
                Ok(rules::ask(&standing, asked, &message, &moment))
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

/// The kinds of factor that count as the user's: every number can be sent a code, but where the
/// second factor is left to the user, it is one only for those who asked.
fn shown_by(user: &User, enrolled: &[Seen<Factor>], policy: &policy::SignIn) -> Vec<FactorKind> {
    let asked = user.wants_second_factor || policy.second.when == When::Always;
    enrolled.iter().filter(|_| asked).map(|factor| factor.kind).collect()
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

/// The first factor of an allowed kind that takes codes, and where it sends them.
async fn usable<'a>(
    ctx: &Ctx,
    enrolled: &'a [Seen<Factor>],
    kinds: &[FactorKind],
) -> Result<(&'a Seen<Factor>, Seen<Identifier>)> {
    for kind in kinds {
        for factor in enrolled.iter().filter(|factor| factor.kind == *kind && factor.locked_at.is_none()) {
            if let Some(id) = factor.identifier_id
                && let Some(target) = ctx.app.store.get::<Identifier>(id).await?
            {
                return Ok((factor, target));
            }
        }
    }
    Err(Problem::FactorLocked.into())
}
