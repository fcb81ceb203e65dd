//! Asking somebody to show that an address or a number is their own, and telling of what that changed.
//!
//! Always holds: a code is for the one claim that it was asked for; somebody who asks for an address
//! that is another's gets the same answer as for a free one, and the code goes nowhere: its owner is
//! told instead.

use uuid::Uuid;

use super::actions::ask;
use super::rules::{Case, Outcome, Replaced};
use super::{Ask, Asked, ChallengeView, Purpose};
use crate::accounts::User;
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::error::{Problem, Result};
use crate::factors::{self, Factor};
use crate::identifiers::{self, Identifier};
use crate::limits::{self, Postage, Sender};
use crate::messages::{self, Kind, Message, Notice};
use crate::policy::{FactorKind, IdentifierKind, Notify, Proofs, operation};
use crate::secret::Token;
use crate::sessions::Carry;
use crate::store::{Change, Decision, answer};
use crate::undo;
use crate::words::Locale;

/// Asks for the code that shows that `identifier` is the user's own. `owner` is who owns it today.
/// `factor` counts the wrong guesses; the right one binds it.
pub fn ask_to_verify(
    ctx: &Ctx,
    user: &User,
    factor: &Factor,
    identifier: &Identifier,
    owner: Option<&Identifier>,
    postage: &Postage,
    moment: &Moment,
) -> (Asked, Option<Message>) {
    let (kind, offered): (_, &[FactorKind]) = match identifier.kind {
        IdentifierKind::Email => (FactorKind::Email, &[FactorKind::Email]),
        // A call costs more than a message: only where the policy wants calls at all.
        _ if ctx.policy.sign_in.second.factors.contains(&FactorKind::Call) => {
            (FactorKind::Sms, &[FactorKind::Sms, FactorKind::Call])
        }
        _ => (FactorKind::Sms, &[FactorKind::Sms]),
    };
    let request = Ask {
        purpose: Purpose::Verify,
        factor,
        kind,
        offered,
        identifier: Some(identifier),
        step_up: None,
        proofs: Proofs::default(),
        carry: Carry::Bearer,
        locale: user.language(),
    };
    let (asked, message) = ask(ctx, request, Some(postage), moment);
    match owner.filter(|owner| is_anothers(identifier, owner)) {
        Some(owner) => (asked, Some(attempt(ctx, owner, postage, moment))),
        None => (asked, message),
    }
}

/// Whether the owner of what `claim` names is told of the claim and gets no code. Whoever types a
/// code that came to a phone holds that phone; a code in a mail is better never sent.
fn is_anothers(claim: &Identifier, owner: &Identifier) -> bool {
    claim.kind == IdentifierKind::Email && owner.user_id != claim.user_id
}

/// Whom the message of `case` tells that somebody claims what is theirs, in place of a code.
pub(super) fn owner_instead(case: &Case) -> Option<&Identifier> {
    let claim = case.identifier.as_ref().filter(|_| case.challenge.purpose == Purpose::Verify)?;
    case.owner.as_deref().filter(|owner| is_anothers(claim, owner))
}

/// The message that tells the owner of an address that somebody else claims it.
pub(super) fn attempt(ctx: &Ctx, owner: &Identifier, postage: &Postage, moment: &Moment) -> Message {
    let notify = messages::Notify {
        what: Notice::SignUpAttempt,
        channel: Kind::Email,
        to: &owner.value,
        user: owner.user_id,
        locale: Locale::En,
        link: Some("/"),
        until: None,
    };
    messages::notice(ctx, postage, notify, moment)
}

/// Sends a code to something that the user claims and has not shown to be their own.
///
/// # Errors
/// [`Problem::NotFound`] when there is no such claim, or it was verified; [`Problem::FactorLocked`];
/// [`Problem::LimitReached`].
pub async fn verify(ctx: &Ctx, user: Uuid, identifier: Uuid) -> Result<(ChallengeView, Token)> {
    let store = &ctx.app.store;
    let found = store.get::<Identifier>(identifier).await?.ok_or(Problem::NotFound)?;
    let postage = &limits::postage(ctx, &found.value, Sender::Stranger).await?;
    ctx.decide(move |moment| async move {
        let user = store.get::<User>(user).await?.filter(|user| user.is_active()).ok_or(Problem::NotFound)?;
        let claim = store.get::<Identifier>(identifier).await?.ok_or(Problem::NotFound)?;
        if claim.user_id != user.id || claim.verified_at.is_some() || !claim.takes_codes() {
            return Err(Problem::NotFound.into());
        }
        let owner = identifiers::actions::owner_of(ctx, &claim).await?;
        let reaching = factors::of_user(ctx, user.id).await?;
        let reaching = reaching.into_iter().find(|factor| factor.identifier_id == Some(claim.id));
        if reaching.as_ref().is_some_and(|factor| factor.locked_at.is_some()) {
            return Err(Problem::FactorLocked.into());
        }
        let begun = Factor { bound_at: None, ..Factor::reaching(&moment, &claim) };
        let factor = reaching.as_deref().unwrap_or(&begun);
        let (asked, message) = ask_to_verify(ctx, &user, factor, &claim, owner.as_deref(), postage, &moment);
        let challenge = asked.challenge.clone();
        let view = challenge.view(&asked.token, &ctx.policy.code);
        let decision = answer((view, asked.token)).insert(&challenge).require(&user).require(&claim);
        let decision = match &reaching {
            Some(factor) => decision.require(factor),
            None => decision.insert(&begun),
        };
        let decision = decision.note(&moment, note(What::CodeSent).user(user.id));
        Ok(match &message {
            Some(message) => decision.insert(message),
            None => decision,
        })
    })
    .await
}

/// Postage for telling of a change of address or number, taken once the answer is right: wrong ones
/// must not use it up.
#[derive(Default)]
pub(super) struct Notices {
    old: Option<Postage>,
    new: Option<Postage>,
}

/// Counts the messages that tell of what the right answer to `case` changes. What cannot be counted
/// is left out: the change was announced when it was asked for.
///
/// # Errors
/// The store's.
pub(super) async fn notices(ctx: &Ctx, case: &Case, given: &str) -> Result<Notices> {
    let is_right = case.challenge.purpose == Purpose::Verify && case.judge(given, &ctx.moment()).is_some();
    let Some(claim) = case.identifier.as_ref().filter(|_| is_right) else { return Ok(Notices::default()) };
    let mut others = case.identifiers.iter().filter(|one| one.kind == claim.kind && one.id != claim.id);
    let old = others.find(|one| one.verified_at.is_some());
    let Some((old, (what, notify))) = old.zip(change_of(ctx, claim.kind)) else {
        return Ok(Notices::default());
    };
    let pay = async |to: &str, is_told: bool| -> Result<Option<Postage>> {
        if !is_told {
            return Ok(None);
        }
        match limits::postage(ctx, to, Sender::Notice(what.as_str())).await {
            Ok(postage) => Ok(Some(postage)),
            Err(error) if error.problem.is_no_postage() => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok(Notices {
        old: pay(&old.value, notify.contains(&Notify::Old) || notify.contains(&Notify::User)).await?,
        new: pay(&claim.value, notify.contains(&Notify::New)).await?,
    })
}

/// What changing this kind is called in a notice, and who is told.
fn change_of(ctx: &Ctx, kind: IdentifierKind) -> Option<(Notice, Vec<Notify>)> {
    let (what, name) = match kind {
        IdentifierKind::Email => (Notice::EmailChanged, operation::EMAIL_CHANGE),
        IdentifierKind::Mobile => (Notice::MobileChanged, operation::MOBILE_CHANGE),
        IdentifierKind::Username => return None,
    };
    Some((what, ctx.policy.operation.get(name)?.notify.clone()))
}

/// The records that tell of what `decision` replaces, and let the old address take it back.
pub(super) fn told(
    ctx: &Ctx,
    notices: &Notices,
    user: &User,
    decision: &Decision<Outcome>,
    moment: &Moment,
) -> Vec<Change> {
    let Ok(Outcome::Verified(replaced)) = &decision.outcome else { return Vec::new() };
    let Replaced { old: Some(old), new: Some(new) } = &**replaced else { return Vec::new() };
    let Some((what, _)) = change_of(ctx, new.kind) else { return Vec::new() };
    let channel = if new.kind == IdentifierKind::Email { Kind::Email } else { Kind::Sms };
    let locale = Locale::choose(user.locale.as_deref(), None);
    let notify = messages::Notify { what, channel, to: "", user: user.id, locale, link: None, until: None };
    let mut changes = Vec::new();
    if let Some(postage) = &notices.old {
        let (undo, token) = undo::offer(ctx, user, undo::What::Change { before: old.into() }, moment);
        let path = undo.path(&token);
        let until = Some(undo.expires_at);
        let notify = messages::Notify { to: &old.value, link: Some(&path), until, ..notify };
        changes.push(Change::insert(&messages::notice(ctx, postage, notify, moment)));
        changes.push(Change::insert(&undo));
    }
    if let Some(postage) = &notices.new {
        let notify = messages::Notify { to: &new.value, ..notify };
        changes.push(Change::insert(&messages::notice(ctx, postage, notify, moment)));
    }
    changes
}
