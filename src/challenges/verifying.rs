//! Asking somebody to show that an address or a number is their own, and telling of what that changed.
//!
//! Always holds: a code is for the one claim that it was asked for; somebody who asks for an address
//! that is another's gets the same answer as for a free one, and the code goes nowhere: its owner is
//! told instead.

use uuid::Uuid;

use super::rules::Case;
use super::{Ask, Asked, ChallengeView, Purpose, ask};
use crate::accounts::User;
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::error::{Problem, Result};
use crate::factors::{self, Factor};
use crate::identifiers::{self, Identifier};
use crate::limits::{self, Postage, Sender};
use crate::messages::{self, Channel, Message};
use crate::money::Way;
use crate::notices::{self, About, Notice, Notices};
use crate::policy::{FactorKind, IdentifierKind, Proofs, operation};
use crate::secret::Token;
use crate::sessions::Carry;
use crate::store::{Change, Seen, answer};
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
    let (kind, offered) = ways(ctx, identifier.kind);
    let request = Ask {
        purpose: Purpose::Verify,
        factor,
        kind,
        offered,
        identifier: Some(identifier),
        step_up: None,
        proofs: Proofs::default(),
        carry: Carry::Bearer,
        counts_from: user.sessions_from,
        locale: user.language(),
    };
    let (asked, message) = ask(ctx, request, Some(postage), moment);
    match owner.filter(|owner| is_anothers(identifier, owner)) {
        Some(owner) => (asked, Some(attempt(ctx, owner, postage, moment))),
        None => (asked, message),
    }
}

/// By which way the code goes first that shows what is of this `kind` to be somebody's own, and all that would do.
fn ways(ctx: &Ctx, kind: IdentifierKind) -> (FactorKind, &'static [FactorKind]) {
    // A call costs more than a message: only where the policy wants calls at all.
    let calls = ctx.policy.sign_in.second.factors.contains(&FactorKind::Call);
    match kind {
        IdentifierKind::Email => (FactorKind::Email, &[FactorKind::Email]),
        _ if calls && !factors::is_carried(ctx, FactorKind::Sms) => (FactorKind::Call, &[FactorKind::Call]),
        _ if calls => (FactorKind::Sms, &[FactorKind::Sms, FactorKind::Call]),
        _ => (FactorKind::Sms, &[FactorKind::Sms]),
    }
}

/// Postage for the code that is to show `to`, which is of this `kind`, to be somebody's own.
///
/// # Errors
/// Those of [`limits::postage_by`].
pub async fn postage(ctx: &Ctx, kind: IdentifierKind, to: &str) -> Result<Postage> {
    let way = if ways(ctx, kind).0 == FactorKind::Call { Way::Call } else { Way::Text };
    limits::postage_by(ctx, to, way, Sender::Stranger).await
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
        channel: Channel::Email,
        to: &owner.value,
        user: Some(owner.user_id),
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
/// those of [`postage`].
pub async fn verify(ctx: &Ctx, user: Uuid, identifier: Uuid) -> Result<(ChallengeView, Token)> {
    let store = &ctx.app.store;
    let found = store.get::<Identifier>(identifier).await?.ok_or(Problem::NotFound)?;
    let postage = &postage(ctx, found.kind, &found.value).await?;
    let paid = || vec![postage];
    limits::decide(ctx, paid, move |moment| async move {
        let user =
            store.get::<User>(user).await?.filter(|user| user.is_active(ctx.now)).ok_or(Problem::NotFound)?;
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
        Ok(decision.and(message.as_ref().map(Change::insert)))
    })
    .await
}

/// Prepares telling of what the right answer to `case` changes; wrong answers must not use up the
/// messages. What cannot be counted is left out: the change was announced when it was asked for. The first
/// address or number was not: it is told by another, which from then on may be told of nothing.
///
/// # Errors
/// [`Problem::LimitReached`] and [`Problem::MessagesPaused`], when the first one cannot be told; the store's.
pub(super) async fn notices(ctx: &Ctx, case: &Case, given: &str) -> Result<Option<Notices>> {
    let is_right = case.challenge.purpose == Purpose::Verify && case.judge(given, &ctx.moment()).is_some();
    let Some(claim) = case.identifier.as_deref().filter(|_| is_right) else { return Ok(None) };
    let Some((name, what)) = change_of(claim.kind) else { return Ok(None) };
    let about = About::operation(name, what);
    let mut others = case.identifiers.iter().filter(|one| one.kind == claim.kind && one.id != claim.id);
    let about = match others.find(|one| one.verified_at.is_some()) {
        Some(old) => {
            let about = about.change(Some(old), Some(claim)).may_be_left_out();
            about.undo(undo::What::Change { kind: claim.kind, done: true })
        }
        // What was given at sign-up is confirmed, and changes nothing.
        None if claim.created_at <= case.user.created_at => return Ok(None),
        None => match elsewhere(&case.identifiers, claim.kind) {
            Some(other) => about.change(Some(other), Some(claim)),
            None => return Ok(None),
        },
    };
    notices::prepare(ctx, &case.user, about).await.map(Some)
}

/// Where a user is told of the first address or number of its `kind`: at one of another kind that was shown
/// to be theirs.
fn elsewhere(known: &[Seen<Identifier>], kind: IdentifierKind) -> Option<&Identifier> {
    let other = |one: &&Seen<Identifier>| one.kind != kind && one.takes_codes() && one.verified_at.is_some();
    known.iter().find(other).map(|one| &**one)
}

/// The operation that changes this kind, and what it is called in a notice.
fn change_of(kind: IdentifierKind) -> Option<(&'static str, Notice)> {
    match kind {
        IdentifierKind::Email => Some((operation::EMAIL_CHANGE, Notice::EmailChanged)),
        IdentifierKind::Mobile => Some((operation::MOBILE_CHANGE, Notice::MobileChanged)),
        IdentifierKind::Username => None,
    }
}
