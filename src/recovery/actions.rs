//! Asking to get back in, and giving the code back.

use super::Recovery;
use crate::accounts::{self, User};
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::challenges::{self, Ask, ChallengeView, Chosen, Purpose, blind, choose};
use crate::clock::Timestamp;
use crate::devices;
use crate::error::{Error, Problem, Result};
use crate::factors::{self, Factor, Guess};
use crate::identifiers::{self, Identifier, Name};
use crate::limits::{self, Limit, Postage, Sender};
use crate::messages::Message;
use crate::notices::{self, About, Notice};
use crate::policy::{FactorKind, Gate, IdentifierKind, Proofs, after_first_factor};
use crate::secret::Token;
use crate::sessions::Carry;
use crate::store::{Seen, answer, refuse};
use crate::words::Locale;

/// Whether anybody gets back in by themselves here: the policy names a way, and somebody carries it.
pub fn is_offered(ctx: &Ctx) -> bool {
    ctx.policy.recovery.channels.iter().any(|kind| factors::is_carried(ctx, *kind))
}

/// Asks for a code by which whoever is known by `identifier` gets back in. The answer and what it costs
/// are the same when nobody is. On a known `device` it is counted by that alone, so that nobody elsewhere
/// keeps its owner out.
///
/// # Errors
/// [`Problem::LimitReached`]; [`Problem::NotCarried`] where it is not offered.
pub async fn begin(ctx: &Ctx, identifier: &str, device: Option<&Token>) -> Result<ChallengeView> {
    if !is_offered(ctx) {
        return Err(Problem::NotCarried.into());
    }
    let name = Name::guess(identifier, None);
    let key = identifiers::key(name.as_ref(), identifier);
    if device.is_none() {
        admit_stranger(ctx, &key).await?;
    }
    let found = identifiers::actions::find(ctx, name.as_ref()).await?;
    // Nobody's id stands in for an unknown user's, so that both make the same look-ups.
    let looked_up = found.as_ref().map(|found| found.user_id).unwrap_or_default();
    let user = ctx.app.store.get::<User>(looked_up).await?.filter(|user| user.is_active(ctx.now));
    let known = devices::known(ctx, device, user.as_deref()).await?.map(|device| device.id);
    match known {
        Some(known) => limits::take(ctx, Limit::RecoverDevice, &known.to_string()).await?,
        None if device.is_some() => admit_stranger(ctx, &key).await?,
        None => {}
    }
    let own = identifiers::actions::of_user(ctx, looked_up).await?;
    let is_theirs = found.is_some_and(|found| is_own(&found));
    let carried = ctx.policy.recovery.channels.iter().copied().filter(|kind| factors::is_carried(ctx, *kind));
    let target = target(carried, &own).filter(|_| is_theirs);
    let asked = user.as_deref().zip(target).map(|(user, (target, kind))| (user, target, kind));

    let to = asked.map_or(key.as_str(), |(_, target, _)| &target.value);
    let postage = match blind::postage(ctx, to, user.as_deref(), known).await {
        Ok(postage) => Some(postage),
        // Only somebody's budget can be used up by other names: it is not told.
        Err(error) if error.limit == Some(Limit::SendRecovery.as_str()) => None,
        // Only somebody has a number that costs: it is not told either.
        Err(error) if error.limit.is_none() && error.problem.is_no_postage() => None,
        Err(error) => return Err(error),
    };
    let postage = postage.as_ref();
    let paid = || postage.into_iter().collect();
    limits::decide(ctx, paid, move |moment| async move {
        let (challenge, token, message) = blind::ask(ctx, asked, known, postage, &moment);
        let event = note(What::RecoveryAsked);
        let event = asked.into_iter().fold(event, |event, (user, ..)| event.user(user.id));
        let view = blind::view(ctx, &challenge, &token);
        let decision = answer(view).insert(&challenge).note(&moment, event);
        Ok(message.iter().fold(decision, |decision, message| decision.insert(message)))
    })
    .await
}

/// Counts a recovery that is begun elsewhere than on a known device.
async fn admit_stranger(ctx: &Ctx, name: &str) -> Result<()> {
    let name = limits::from_here(ctx, name);
    limits::take_by_address_and(ctx, Limit::RecoverAddress, &[(Limit::RecoverIdentifier, &name)]).await
}

/// Whether an identifier is more than a claim: what was only claimed may be another's.
fn is_own(identifier: &Identifier) -> bool {
    identifier.kind == IdentifierKind::Username || identifier.verified_at.is_some()
}

/// Where a code goes, and as which kind: the first of `channels` by which the user is known to be reached.
fn target(
    mut channels: impl Iterator<Item = FactorKind>,
    own: &[Seen<Identifier>],
) -> Option<(&Identifier, FactorKind)> {
    channels.find_map(|kind| {
        let reaches =
            |one: &&Seen<Identifier>| one.verified_at.is_some() && blind::way(one.kind) == Some(kind);
        own.iter().find(reaches).map(|one| (&**one, kind))
    })
}

/// The right to set a new password.
pub struct Proved {
    /// What names it.
    pub token: Token,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The second factor that must be shown first.
    pub second_factor: Option<ChallengeView>,
}

/// Gives back the code of a recovery. The second factor, if the account has one besides the way by
/// which the code came, is asked for at once.
///
/// # Errors
/// [`Problem::CodeWrong`] and [`Problem::CodeGone`], the same where there is no account;
/// [`Problem::FactorMissing`] and [`Problem::FactorLocked`] when the second factor cannot be shown;
/// [`Problem::LimitReached`].
pub async fn verify(ctx: &Ctx, token: Option<&Token>, given: &str) -> Result<Proved> {
    challenges::actions::admit(ctx, token).await?;
    let token = token.ok_or(Problem::CodeGone)?;
    let given = factors::typed(given);
    let given = given.as_str();
    let policy = &*ctx.policy;

    // Judged before the decision, which counts: what comes after a right code takes postage.
    let case = blind::case(ctx, token).await?;
    let right = case.refusal::<()>(given, policy, &ctx.moment()).is_none();
    let judged = case.judge(given).filter(|_| right);
    let (others, kinds) = match judged {
        Some((user, target)) => others(ctx, user, target).await?,
        None => (Vec::new(), None),
    };
    let sender = |user: &User| Sender::user(user.id, case.challenge.device_id.is_some());
    let prepared = match judged {
        None => None,
        Some((user, target)) => {
            let second = match kinds {
                None => None,
                Some(kinds) => Some(Second::choose(ctx, user, target, &others, kinds, sender(user)).await?),
            };
            // A second factor that is sent tells where it goes.
            let shown = Some(target.id).filter(|_| second.as_ref().and_then(Second::postage).is_none());
            let about = About::event(Notice::RecoveryStarted, policy.notices.recovery).shown(shown);
            let told = match notices::prepare(ctx, user, about).await {
                Ok(told) => told,
                Err(error) => {
                    limits::give_back(ctx, second.iter().filter_map(Second::postage).collect()).await;
                    return Err(error);
                }
            };
            Some((second, told))
        }
    };
    let prepared = prepared.as_ref();
    let paid = || {
        let Some((second, notices)) = prepared else { return Vec::new() };
        let second = second.as_ref().and_then(Second::postage);
        second.into_iter().chain(notices.postage()).collect()
    };
    limits::decide(ctx, paid, move |moment| async move {
        let case = blind::case(ctx, token).await?;
        if let Some(refusal) = case.refusal(given, policy, &moment) {
            return Ok(refusal);
        }
        let (Some((user, target)), Some((second, notices))) = (case.judge(given), prepared) else {
            return Ok(refuse(Problem::CodeGone));
        };
        let waits = second.is_some();
        let (mut recovery, right) = Recovery::open(ctx, user, case.challenge.factor, waits, &moment);
        recovery.identifier_id = Some(target.id);
        recovery.device_id = case.challenge.device_id;
        let event = note(What::RecoveryBegun).user(user.id);
        let mut decision = answer(()).delete(&case.challenge).require(user).insert(&recovery);
        decision = decision.and(notices.changes(ctx, &moment)).note(&moment, event);
        let mut second_factor = None;
        if let Some(second) = second {
            let (mut asked, message, made) = second.ask(ctx, &recovery, &moment);
            asked.challenge.device_id = case.challenge.device_id;
            second_factor = Some(asked.challenge.view(&asked.token, &policy.code));
            decision = decision.insert(&asked.challenge);
            if let Some(message) = &message {
                decision = decision.insert(message).note(&moment, note(What::CodeSent).user(user.id));
            }
            if let Some(made) = made {
                decision = decision.insert(made);
            }
        }
        Ok(decision.map(|()| Proved { token: right, expires_at: recovery.expires_at, second_factor }))
    })
    .await
}

/// The factors that the code itself did not come by, and the kinds of second factor that would do; none
/// when none is asked for.
async fn others(
    ctx: &Ctx,
    user: &User,
    target: &Identifier,
) -> Result<(Vec<Seen<Factor>>, Option<Vec<FactorKind>>)> {
    let (factors, held) = accounts::held(ctx, user).await?;
    let kinds = match after_first_factor(&ctx.policy.sign_in, &held.holder()) {
        Gate::Open => None,
        // Whoever has none at all has nothing that a recovery could go past.
        Gate::NoFactor if held.has_only_password() => None,
        Gate::NoFactor => return Err(Problem::FactorLocked.into()),
        Gate::Ask(kinds) => Some(kinds),
    };
    let others = factors.into_iter().filter(|factor| factor.identifier_id != Some(target.id));
    Ok((others.collect(), kinds))
}

/// The second factor of a recovery: any but the one that the code itself came by.
struct Second<'a> {
    by: By<'a>,
    kinds: Vec<FactorKind>,
    locale: Locale,
}

enum By<'a> {
    /// One of the account's factors.
    Held(Chosen<'a>),
    /// A code to the e-mail address, where the number is all else that there is.
    Email {
        /// What counts its wrong guesses.
        factor: Factor,
        /// Whether it had to be made.
        is_new: bool,
        to: Identifier,
        postage: Postage,
    },
}

impl<'a> Second<'a> {
    async fn choose(
        ctx: &Ctx,
        user: &User,
        target: &Identifier,
        others: &'a [Seen<Factor>],
        mut kinds: Vec<FactorKind>,
        sender: Sender,
    ) -> Result<Self> {
        kinds.retain(|kind| {
            others.iter().any(|factor| factor.bound_at.is_some() && factor.kinds().contains(kind))
        });
        let locale = user.language();
        if !kinds.is_empty() {
            let by = By::Held(choose(ctx, others, &kinds, None, Guess::Recovery, sender).await?);
            return Ok(Self { by, kinds, locale });
        }
        let own = identifiers::actions::of_user(ctx, user.id).await?;
        let is_other = |one: &&Seen<Identifier>| {
            one.kind == IdentifierKind::Email && one.verified_at.is_some() && one.id != target.id
        };
        let Some(email) = own.iter().find(is_other) else {
            let sentence = "A code to one place is not enough for this account, and it has no other.";
            return Err(Error::new(Problem::FactorMissing).detail(sentence));
        };
        // One that an earlier recovery has made counts the wrong guesses of this one, too.
        let made = factors::of_user(ctx, user.id).await?;
        let made =
            made.iter().find(|factor| factor.identifier_id == Some(email.id) && factor.bound_at.is_some());
        if made.is_some_and(|factor| factor.is_locked(Guess::Recovery, &ctx.policy.limits)) {
            return Err(Problem::FactorLocked.into());
        }
        let postage = limits::postage(ctx, &email.value, sender).await?;
        let factor = made.map_or_else(|| Factor::reaching(&ctx.moment(), email), |made| (**made).clone());
        let by = By::Email { factor, is_new: made.is_none(), to: (**email).clone(), postage };
        Ok(Self { by, kinds: vec![FactorKind::Email], locale })
    }

    /// For the message that carries its code, when one does.
    fn postage(&self) -> Option<&Postage> {
        match &self.by {
            By::Held(chosen) => chosen.postage.as_ref(),
            By::Email { postage, .. } => Some(postage),
        }
    }

    /// Asks for it; also the factor that had to be made for that.
    fn ask(
        &self,
        ctx: &Ctx,
        recovery: &Recovery,
        moment: &Moment,
    ) -> (challenges::Asked, Option<Message>, Option<&Factor>) {
        let (factor, kind, identifier) = match &self.by {
            By::Held(chosen) => (&**chosen.factor, chosen.kind, chosen.target.as_deref()),
            By::Email { factor, to, .. } => (factor, FactorKind::Email, Some(to)),
        };
        let ask = Ask {
            purpose: Purpose::Recover,
            factor,
            kind,
            offered: &self.kinds,
            identifier,
            step_up: None,
            proofs: Proofs::default(),
            carry: Carry::Bearer,
            counts_from: recovery.counts_from,
            locale: self.locale,
        };
        let (mut asked, message, made) = match &self.by {
            By::Held(chosen) => {
                let (asked, message) = chosen.ask(ctx, ask, moment);
                (asked, message, None)
            }
            By::Email { factor, is_new, postage, .. } => {
                let (asked, message) = challenges::ask(ctx, ask, Some(postage), moment);
                (asked, message, Some(factor).filter(|_| *is_new))
            }
        };
        asked.challenge.recovery_id = Some(recovery.id);
        (asked, message, made)
    }
}
