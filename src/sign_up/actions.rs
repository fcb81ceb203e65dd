//! Signing up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{self, Made, Wanted};
use crate::accounts::{self, UserView};
use crate::app::{Ctx, Moment};
use crate::challenges::{Asked, ChallengeView, verifying};
use crate::error::{Error, FieldError, Problem, Result};
use crate::idempotency::{Before, Once};
use crate::identifiers::{self, Name};
use crate::limits::{self, Limit, Postage};
use crate::organizations;
use crate::passwords::{self, NewPassword, Password, Verdict};
use crate::policy::{FactorKind, IdentifierKind, When};
use crate::store::answer;

/// An account that was made.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NewUserMade")]
pub struct SignedUp {
    /// The account.
    pub user: UserView,
    /// The first of `verifications`: that of the mobile number, when one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<ChallengeView>,
    /// What is asked to verify the mobile number and the e-mail address; nothing of what no message goes to from here.
    #[serde(default)]
    pub verifications: Vec<ChallengeView>,
}

/// Lets somebody try to sign up: before anything of theirs is looked at, which costs time.
///
/// # Errors
/// [`Problem::SignUpClosed`], [`Problem::LimitReached`].
pub async fn admit(ctx: &Ctx, is_invited: bool) -> Result<()> {
    if !ctx.policy.sign_up.open && !is_invited {
        return Err(Problem::SignUpClosed.into());
    }
    limits::take_by_address(ctx, Limit::SignUpAddress).await
}

/// Makes an account, once however often the same named request asks for it; by an `invitation` also where
/// sign-up is closed, and as a member of the organisation that it came from.
///
/// # Errors
/// [`Problem::Invalid`] for what the policy requires and is missing,
/// [`Problem::IdentifierTaken`] for a username and whatever else may be told to be taken, [`Problem::LimitReached`], [`Problem::Busy`].
pub async fn sign_up(
    ctx: &Ctx,
    wanted: Wanted,
    password: NewPassword,
    once: Option<Once>,
    invitation: Option<&str>,
) -> Result<SignedUp> {
    let _turn = match &once {
        Some(once) => Some(once.turn(ctx).await),
        None => None,
    };
    if let Some(given) = earlier(ctx, &once, &password).await? {
        return Ok(given);
    }
    let policy = &*ctx.policy;
    let missing = wanted.missing(policy);
    if !missing.is_empty() {
        return Err(Error::invalid(missing));
    }
    let address = wanted.name(IdentifierKind::Email).map(Name::canonical);
    if let Some(text) = invitation {
        let offer = organizations::actions::invited(ctx, text).await?;
        if address.as_ref() != Some(&offer.invitation.canonical) {
            let sentence = "Sign up with the address that the invitation went to.";
            return Err(FieldError::new("email", "not-invited", sentence).into());
        }
    }
    // Before postage is taken: nobody's number pays for a name that is taken.
    let is_invited = invitation.is_some();
    if let Some(kind) = told_taken(ctx, &wanted, is_invited).await? {
        return earlier(ctx, &once, &password).await?.ok_or_else(|| rules::taken(kind));
    }
    let postage = postage(ctx, &wanted).await?;
    let phc = passwords::prepare(ctx, &password).await?;
    let (wanted, password, postage, phc, once) = (&wanted, &password, &postage, &phc, &once);
    let paid = || postage.iter().map(|(_, postage)| postage).collect();
    limits::decide(ctx, paid, move |moment| async move {
        let stale = match once {
            None => None,
            Some(once) => match once.before(ctx).await? {
                Before::Answered(given) => return Ok(answer(again(ctx, given, password).await?)),
                Before::Nothing(stale) => stale,
            },
        };
        let taken = told_taken(ctx, wanted, is_invited).await?;
        // By the same request, perhaps, a moment ago.
        if taken.is_some()
            && let Some(given) = earlier(ctx, once, password).await?
        {
            return Ok(answer(given));
        }
        let mut made = rules::make(wanted, policy, &moment);
        let offer = match invitation {
            Some(text) => Some(organizations::actions::named_by(ctx, text).await?),
            None => None,
        };
        if offer.is_some() {
            prove(ctx, &mut made, &moment).await?;
        }
        let mut verifications = Vec::new();
        for (kind, postage) in postage {
            let claim = made.identifiers.iter().find(|one| one.kind == *kind);
            let factor = made.factors.iter().find(|one| one.identifier_id == claim.map(|claim| claim.id));
            let (Some(claim), Some(factor)) = (claim, factor) else { continue };
            if claim.verified_at.is_some() {
                continue;
            }
            let owner = identifiers::actions::owner_of(ctx, claim).await?;
            let owner = owner.as_deref();
            verifications
                .push(verifying::ask_to_verify(ctx, &made.user, factor, claim, owner, postage, &moment));
        }
        let decision = rules::sign_up(&made, phc.clone(), verifications, taken, &moment);
        let decision = match &offer {
            Some(offer) if decision.outcome.is_ok() => offer.joins(decision, made.user.id, &moment),
            _ => decision,
        };
        let user = UserView::new(&made.user, &made.identifiers);
        let decision = decision.map(|asked| {
            let view = |one: &Asked| one.challenge.view(&one.token, &policy.code);
            let verifications: Vec<ChallengeView> = asked.iter().map(view).collect();
            SignedUp { user, verification: verifications.first().cloned(), verifications }
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

/// Whoever shows an invitation has shown that they read what comes to its address: it is theirs, unless it
/// is somebody's already.
async fn prove(ctx: &Ctx, made: &mut Made, moment: &Moment) -> Result<()> {
    for claim in made.identifiers.iter_mut().filter(|one| one.kind == IdentifierKind::Email) {
        if identifiers::actions::owner_of(ctx, claim).await?.is_none() {
            claim.prove(moment.now);
        }
    }
    Ok(())
}

/// What is taken among what is wanted, as far as that may be told: a username always, since whoever
/// takes a name has it at once. So has whoever claims an address first, where one signs in by it that was not
/// verified: another account with it could not be reached. Who is invited has shown that it is theirs.
async fn told_taken(ctx: &Ctx, wanted: &Wanted, is_invited: bool) -> Result<Option<IdentifierKind>> {
    let policy = &ctx.policy.sign_up;
    for name in &wanted.names {
        let kind = name.kind();
        let told = kind == IdentifierKind::Username || policy.tell_taken.contains(&kind);
        if told && identifiers::actions::owner(ctx, name).await?.is_some() {
            return Ok(Some(kind));
        }
        let opens = kind == IdentifierKind::Email && !is_invited && !policy.verified.contains(&kind);
        if told && opens && accounts::first_living(ctx, name).await?.is_some() {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}

/// Postage for the codes, the mobile number's first. The account can do without the mail, which can
/// be asked for again, and without what nobody carries, which nobody is promised; whether the text message can go
/// out decides about everything.
async fn postage(ctx: &Ctx, wanted: &Wanted) -> Result<Vec<(IdentifierKind, Postage)>> {
    let mut all = Vec::new();
    for kind in [IdentifierKind::Mobile, IdentifierKind::Email] {
        let Some(name) = wanted.name(kind) else { continue };
        if wanted.signs_in && is_shown_by_sign_in(ctx, wanted, kind) {
            continue;
        }
        match verifying::postage(ctx, kind, name.value()).await {
            Ok(postage) => all.push((kind, postage)),
            Err(error) if error.problem == Problem::NotCarried => {}
            Err(error) if kind == IdentifierKind::Email && error.problem == Problem::LimitReached => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Whether signing in will ask for a code that goes to what is wanted of this `kind`: two would go there
/// otherwise, of which only one counts. Whose it is makes no difference, or what this costs would tell.
fn is_shown_by_sign_in(ctx: &Ctx, wanted: &Wanted, kind: IdentifierKind) -> bool {
    let second = &ctx.policy.sign_in.second;
    match second.when {
        When::Always => kind == IdentifierKind::Mobile && second.factors.contains(&FactorKind::Sms),
        // Nobody who is new has a second factor: the first is asked for of what must be verified.
        When::WhenEnrolled | When::ByRole | When::Never => {
            let mut verified = ctx.policy.sign_up.verified.iter();
            verified.find(|kind| wanted.name(**kind).is_some()) == Some(&kind)
        }
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
