//! Changing, verifying and deleting one's account.

use std::time::Duration;

use super::rules::{self, Claimed, Wanted, current};
use crate::accounts::{self, User, UserView};
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::challenges::{Asked, ChallengeView, verifying};
use crate::error::{Error, FieldError, Problem, Result};
use crate::factors::{self, Factor, Held};
use crate::identifiers::{self, Identifier, Name};
use crate::limits::{self, Postage};
use crate::notices::{self, About, Notice, Notices};
use crate::organizations::{self, actions::Heirs};
use crate::policy::{FactorKind, Gate, IdentifierKind, Rank, after_first_factor, operation};
use crate::sessions::Caller;
use crate::sign_up::taken;
use crate::step_up::{self, permit};
use crate::store::{Change, Decision, Seen, answer};
use crate::undo;

/// What a change came to: the account, and what is asked to verify what is new in it.
pub struct Changed {
    /// The account as it is now.
    pub user: UserView,
    /// What is asked, one for each new address or number.
    pub verifications: Vec<ChallengeView>,
}

/// Changes one's account.
///
/// # Errors
/// [`Problem::ImmutableField`] for what the policy never lets change; [`Problem::Invalid`] for what
/// cannot be removed; those of [`permit`], for every operation that it comes to;
/// [`Problem::IdentifierTaken`] for a username; [`Problem::LimitReached`]; [`Problem::NotCarried`].
pub async fn change(ctx: &Ctx, caller: &Caller, wanted: Wanted) -> Result<Changed> {
    let known = identifiers::actions::of_user(ctx, caller.user.id).await?;
    let asked = &wanted;
    let wanted = asked.clone().differing(&caller.user, &known);
    let immutable = wanted.immutable(&ctx.policy);
    if !immutable.is_empty() {
        return Err(Error { fields: immutable, ..Error::new(Problem::ImmutableField) });
    }
    let mut needed = wanted.needed(&ctx.policy, &known);
    needed.extend(last_factor(ctx, &caller.user, &wanted, &known).await?);
    if !needed.is_empty() {
        return Err(Error::invalid(needed));
    }
    for (_, operation) in wanted.operations() {
        permit(ctx, caller, operation).await?;
    }
    // Whoever acts for somebody has no say in what they asked for themselves.
    let withdraws = caller.session.act.is_none();
    let takes_back = withdraws && !asked.withdrawn(&known).is_empty();
    if wanted.operations().is_empty() && !takes_back {
        let user = accounts::view(ctx, &caller.user).await?;
        return Ok(Changed { user, verifications: Vec::new() });
    }
    if let Some(username) = wanted.new_of(IdentifierKind::Username) {
        let owner = identifiers::actions::owner(ctx, username).await?;
        if owner.is_some_and(|owner| owner.user_id != caller.user.id) {
            return Err(taken(IdentifierKind::Username));
        }
    }
    let paid = &pay(ctx, &caller.user, &wanted, &known).await?;
    let postage = || paid.iter().flat_map(Paid::postage).collect();
    let verifications = limits::decide(ctx, postage, move |moment| async move {
        let (session, user) = caller.standing(ctx).await?;
        let mut changing = Changing::read(ctx, user, asked, paid).await?;
        changing.withdrawn.retain(|_| withdraws);
        // Whoever is in a race with themselves: nothing is done of which nobody is told.
        let is_paid = |kind| paid.iter().any(|paid| paid.kind == kind);
        if !changing.wanted.names.iter().all(|(kind, _)| is_paid(*kind)) {
            return Err(Error::new(Problem::Busy).retry_after(Duration::from_secs(1)));
        }
        // Judged again: a factor may have been bound or taken away since, and what is known of them gone.
        for (_, operation) in changing.wanted.operations() {
            step_up::permit(ctx, caller, operation).await?;
        }
        let mut needed = changing.wanted.needed(&ctx.policy, &changing.identifiers);
        needed.extend(last_factor(ctx, &changing.user, &changing.wanted, &changing.identifiers).await?);
        if !needed.is_empty() {
            return Err(Error::invalid(needed));
        }
        Ok(changing.decide(ctx, &moment).await?.require(&session))
    })
    .await?;
    let user = ctx.app.store.get::<User>(caller.user.id).await?.ok_or(Problem::Unauthenticated)?;
    Ok(Changed { user: accounts::view(ctx, &user).await?, verifications })
}

/// The removals after which nobody could sign in any more for want of a second factor.
async fn last_factor(
    ctx: &Ctx,
    user: &User,
    wanted: &Wanted,
    known: &[Seen<Identifier>],
) -> Result<Vec<FieldError>> {
    let going: Vec<_> =
        wanted.names.iter().filter(|(_, name)| name.is_none()).map(|(kind, _)| *kind).collect();
    if going.is_empty() {
        return Ok(Vec::new());
    }
    let (factors, held) = accounts::held(ctx, user).await?;
    let reaches = |factor: &Factor| {
        known.iter().any(|one| going.contains(&one.kind) && factor.identifier_id == Some(one.id))
    };
    // Recovery codes come to an end: they are nothing to be left with.
    let stays = |factor: &&Factor| !reaches(factor) && factor.kind != FactorKind::RecoveryCode;
    let left = factors.iter().map(|factor| &**factor).filter(stays);
    let has_password = held.enrolled.contains(&FactorKind::Password);
    let demanded = accounts::demanded(&ctx.policy.sign_in.second, user);
    let left = Held::new(left, has_password, demanded, &held.roles);
    if after_first_factor(&ctx.policy.sign_in, &left.holder()) != Gate::NoFactor {
        return Ok(Vec::new());
    }
    let sentence = "You could not sign in without this: add another factor first.";
    Ok(going.iter().map(|kind| FieldError::new(kind.as_str(), "in-use", sentence)).collect())
}

/// What one changed name, address or number makes go out.
struct Paid {
    kind: IdentifierKind,
    /// For the code, to the new one.
    code: Option<Postage>,
    told: Option<Notices>,
}

impl Paid {
    async fn pay(
        &mut self,
        ctx: &Ctx,
        user: &User,
        name: Option<&Name>,
        about: Option<About<'_>>,
    ) -> Result<()> {
        if let Some(about) = about {
            self.told = Some(notices::prepare(ctx, user, about).await?);
        }
        if let Some(name) = name.filter(|_| self.kind != IdentifierKind::Username) {
            self.code = Some(verifying::postage(ctx, self.kind, name.value()).await?);
        }
        Ok(())
    }

    fn postage(&self) -> Vec<&Postage> {
        self.code.iter().chain(self.told.iter().flat_map(Notices::postage)).collect()
    }
}

/// Counts every message. One that cannot be counted refuses the change: nobody's address goes untold.
async fn pay(ctx: &Ctx, user: &User, wanted: &Wanted, known: &[Seen<Identifier>]) -> Result<Vec<Paid>> {
    let mut all = Vec::new();
    for (kind, name) in &wanted.names {
        let mut paid = Paid { kind: *kind, code: None, told: None };
        let about = about(*kind, name.is_none(), known);
        let outcome = paid.pay(ctx, user, name.as_ref(), about).await;
        all.push(paid);
        if let Err(error) = outcome {
            limits::give_back(ctx, all.iter().flat_map(Paid::postage).collect()).await;
            return Err(error);
        }
    }
    Ok(all)
}

/// What is told of a change of this kind. A new number is told of once it is confirmed: the code of
/// the step-up has just come to the old one.
fn about<'a>(kind: IdentifierKind, is_removal: bool, known: &'a [Seen<Identifier>]) -> Option<About<'a>> {
    let what = match (kind, is_removal) {
        (IdentifierKind::Username, _) => Notice::UsernameChanged,
        (IdentifierKind::Email, false) => Notice::EmailChangeAsked,
        (IdentifierKind::Email, true) => Notice::EmailChanged,
        (IdentifierKind::Mobile, true) => Notice::MobileChanged,
        (IdentifierKind::Mobile, false) => return None,
    };
    let about = About::operation(rules::operation_of(kind), what);
    if kind == IdentifierKind::Username {
        return Some(about);
    }
    // What was never shown to be the user's own is nothing that anybody would want back.
    let old = current(known, kind).filter(|one| one.verified_at.is_some())?;
    Some(about.change(Some(old), None).undo(undo::What::Change { kind, done: is_removal }))
}

/// A change, and everything that it looks at.
struct Changing<'a> {
    user: Seen<User>,
    wanted: Wanted,
    paid: &'a [Paid],
    identifiers: Vec<Seen<Identifier>>,
    factors: Vec<Seen<Factor>>,
    withdrawn: Vec<Seen<Identifier>>,
}

impl<'a> Changing<'a> {
    async fn read(ctx: &Ctx, user: Seen<User>, wanted: &Wanted, paid: &'a [Paid]) -> Result<Self> {
        let identifiers = identifiers::actions::of_user(ctx, user.id).await?;
        let factors = factors::of_user(ctx, user.id).await?;
        let withdrawn = wanted.withdrawn(&identifiers);
        // What the same request has done meanwhile is not done again.
        let wanted = wanted.clone().differing(&user, &identifiers);
        Ok(Self { user, wanted, paid, identifiers, factors, withdrawn })
    }

    async fn decide(self, ctx: &Ctx, moment: &Moment) -> Result<Decision<Vec<ChallengeView>>> {
        let changed = self.wanted.operations().into_iter().map(|(field, _)| field);
        let mut fields: Vec<_> = changed.chain(self.withdrawn.iter().map(|one| one.kind.as_str())).collect();
        fields.dedup();
        let event = note(What::ProfileChanged).user(self.user.id);
        let event = event.detail(serde_json::json!({"fields": fields}));
        let user = rules::changed(self.user.clone(), &self.wanted, moment);
        let decision = answer(()).update(&user).note(moment, event);
        let mut decision = rules::take_away(decision, &self.withdrawn, &self.factors);
        let (mut verifications, mut removed) = (Vec::new(), Vec::new());
        for (kind, name) in &self.wanted.names {
            let now = current(&self.identifiers, *kind);
            match name {
                Some(name) if *kind == IdentifierKind::Username => {
                    let owner = identifiers::actions::owner(ctx, name).await?;
                    if owner.is_some_and(|owner| owner.user_id != user.id) {
                        return Err(taken(IdentifierKind::Username));
                    }
                    decision = rules::rename(decision, name, &user, now, moment);
                }
                Some(name) => {
                    let claimed = rules::claim(name, &user, &self.identifiers, &self.factors, moment);
                    let owner = identifiers::actions::owner_of(ctx, &claimed.claim).await?;
                    let (changes, asked) = self.ask(ctx, claimed, owner.as_deref(), moment);
                    decision = decision.and(changes);
                    verifications
                        .extend(asked.map(|asked| asked.challenge.view(&asked.token, &ctx.policy.code)));
                }
                None => {
                    let gone = self.identifiers.iter().filter(|one| one.kind == *kind).cloned();
                    let gone: Vec<_> = gone.collect();
                    decision = rules::take_away(decision, &gone, &self.factors);
                    removed.extend(gone);
                }
            }
            decision = decision.and(self.announce(ctx, *kind, moment));
        }
        let demanded = accounts::demanded(&ctx.policy.sign_in.second, &user);
        let alone = rules::left_alone(&self.factors, &removed, demanded);
        Ok(decision.and(alone.map(Change::delete)).map(|()| verifications))
    }

    /// The claim, the code on its way to it, and the factor that counts the guesses.
    fn ask(
        &self,
        ctx: &Ctx,
        claimed: Claimed,
        owner: Option<&Identifier>,
        moment: &Moment,
    ) -> (Vec<Change>, Option<Asked>) {
        let Claimed { claim, is_new, factor, gone } = claimed;
        let paid = self.paid.iter().find(|paid| paid.kind == claim.kind);
        let Some(postage) = paid.and_then(|paid| paid.code.as_ref()) else { return (Vec::new(), None) };
        let begun = Factor { bound_at: None, ..Factor::reaching(moment, &claim) };
        let counting = factor.as_deref().unwrap_or(&begun);
        let (asked, message) =
            verifying::ask_to_verify(ctx, &self.user, counting, &claim, owner, postage, moment);
        let mut decision = answer(()).insert(&asked.challenge);
        if is_new {
            decision = decision.insert(&claim);
        }
        if factor.is_none() {
            decision = decision.insert(&begun);
        }
        if let Some(message) = &message {
            decision = decision.insert(message);
        }
        let decision = rules::take_away(decision, &gone, &self.factors);
        (decision.changes, Some(asked))
    }

    /// Tells of it, with a link that takes it back.
    fn announce(&self, ctx: &Ctx, kind: IdentifierKind, moment: &Moment) -> Vec<Change> {
        let told = self.paid.iter().find(|paid| paid.kind == kind).and_then(|paid| paid.told.as_ref());
        told.map(|told| told.changes(ctx, moment)).unwrap_or_default()
    }
}

/// Sends a code to one's own address or number that is not verified yet: of several, the newest.
///
/// # Errors
/// [`Problem::NotFound`] when there is none of this kind; [`Problem::Invalid`] when it is verified, or
/// no codes can be sent to its kind; those of [`permit`] where it would take the place of another that is;
/// [`Problem::FactorLocked`]; [`Problem::LimitReached`]; [`Problem::NotCarried`].
pub async fn verify(ctx: &Ctx, caller: &Caller, kind: IdentifierKind) -> Result<ChallengeView> {
    let known = identifiers::actions::of_user(ctx, caller.user.id).await?;
    let mut of_kind = known.iter().filter(|one| one.kind == kind && one.takes_codes());
    let Some(claim) = of_kind.clone().rfind(|one| one.verified_at.is_none()) else {
        if of_kind.next().is_some() || kind == IdentifierKind::Username {
            let sentence = "There is nothing to verify.";
            return Err(FieldError::new("kind", "verified", sentence).into());
        }
        return Err(Problem::NotFound.into());
    };
    if of_kind.any(|one| one.verified_at.is_some()) {
        // It ends as a change, and what was begun outlives the proof that it was begun by.
        permit(ctx, caller, rules::operation_of(kind)).await?;
    }
    Ok(verifying::verify(ctx, caller.user.id, claim.id).await?.0)
}

fn deletion() -> About<'static> {
    About::operation(operation::DELETE, Notice::AccountDeleted).undo(undo::What::Deletion)
}

/// Whether whoever deletes their account is sent the link that takes it back.
///
/// # Errors
/// The store's.
pub async fn has_way_back(ctx: &Ctx, caller: &Caller) -> Result<bool> {
    notices::is_told(ctx, &caller.user, &deletion()).await
}

/// Deletes one's account, and says whether the link that takes it back was sent.
///
/// # Errors
/// Those of [`permit`]; [`Problem::LimitReached`] when nobody can be told; [`Problem::LastAdministrator`].
pub async fn delete(ctx: &Ctx, caller: &Caller) -> Result<bool> {
    let permit = &permit(ctx, caller, operation::DELETE).await?;
    let told = &notices::prepare(ctx, &caller.user, deletion()).await?;
    let grace = *ctx.policy.account.grace;
    let paid = || told.postage();
    limits::decide(ctx, paid, move |moment| async move {
        let (session, user) = permit.standing(ctx).await?;
        let Heirs { users: mut heirs, unchanged } = organizations::actions::heirs(ctx, user.id).await?;
        if user.rank() == Rank::Admin {
            heirs.push(accounts::another_admin(ctx, user.id).await?.ok_or(Problem::LastAdministrator)?);
        }
        heirs.sort_by_key(|heir| heir.id);
        heirs.dedup_by_key(|heir| heir.id);
        let decision = rules::delete(&session, user, grace, &moment).and(told.changes(ctx, &moment));
        Ok(decision.and(heirs.iter().map(Change::require)).and(unchanged))
    })
    .await?;
    Ok(!told.postage().is_empty())
}
