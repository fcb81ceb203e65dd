//! Changing and setting.

use std::time::Duration;

use uuid::Uuid;

use crate::accounts::User;
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::devices;
use crate::error::{Error, FieldError, Problem, Result};
use crate::identifiers::{self, Identifier, Verification};
use crate::limits::{self, Limit};
use crate::notices::{self, About, Notice, Notices};
use crate::passwords::{self, GivenPassword, Password, Verdict};
use crate::policy::{FactorKind, operation};
use crate::recovery::{self, Recovery};
use crate::secret::{Secret, Token};
use crate::sessions::Caller;
use crate::step_up;
use crate::store::{Change, Decision, Seen, answer, refuse};

/// Changes the password of a signed-in user; the session that asks goes on. The `current` one must be
/// given where the policy asks for no other proof, or for a password, and be right wherever it is given.
///
/// # Errors
/// As [`step_up::permit`]; [`Problem::CredentialsWrong`]; [`Problem::Invalid`]; [`Problem::LimitReached`].
pub async fn change(ctx: &Ctx, caller: &Caller, current: Option<GivenPassword>, new: &Secret) -> Result<()> {
    let permit = &step_up::permit(ctx, caller, operation::PASSWORD_CHANGE).await?;
    let user = &caller.user;
    let stored = ctx.app.store.get::<Password>(user.id).await?;
    // A session is at least as good as a known device.
    let takes = |stored: &Seen<Password>| stored.takes_guesses(&ctx.policy.limits, true);
    let is_guess = current.is_some();
    match current {
        Some(current) => {
            limits::take_by_device(ctx, caller.session.id).await?;
            let judged = stored.as_ref().filter(|stored| takes(stored));
            let checked = passwords::check(ctx, judged, &current).await;
            if limits::looked_at(ctx, caller.session.id, checked).await? == Verdict::Wrong {
                return wrong(ctx, caller, judged.is_some()).await;
            }
            limits::forgive_device(ctx, caller.session.id).await;
        }
        None if stored.is_some() && needs_current(ctx) => {
            let sentence = "The current password is needed as well.";
            return Err(FieldError::new("current_password", "missing", sentence).into());
        }
        None => {}
    }
    let ready = &Ready::of(ctx, user, stored, new, None).await?;
    let paid = || ready.notices.postage();
    limits::decide(ctx, paid, move |moment| async move {
        let (session, user) = permit.standing(ctx).await?;
        let session_id = session.id;
        let device = devices::find(ctx, session.device_id, &user).await?;
        let (decision, user) = ready.set(ctx, user, &moment, |stored| !is_guess || takes(stored)).await?;
        let kept = device.map(|device| devices::keep(device, user.sessions_from));
        let session = session.with(|session| session.counts_from = user.sessions_from);
        let event = note(What::PasswordChanged).user(user.id).session(session_id);
        let decision = decision.update(&user).update(&session).note(&moment, event);
        Ok(decision.and(kept.as_ref().map(Change::update)))
    })
    .await
}

/// Whether the policy leaves it to the password itself to prove who asks.
fn needs_current(ctx: &Ctx) -> bool {
    let rule = ctx.policy.operation.get(operation::PASSWORD_CHANGE);
    rule.is_none_or(|rule| !rule.proof.asks() || rule.proof.any.contains(&FactorKind::Password))
}

/// A wrong current password, counted like one at sign-in.
async fn wrong(ctx: &Ctx, caller: &Caller, is_judged: bool) -> Result<()> {
    let event = || note(What::PasswordWrong).user(caller.user.id).session(caller.session.id);
    ctx.decide(move |moment| async move {
        let stored = ctx.app.store.get::<Password>(caller.user.id).await?.filter(|_| is_judged);
        let counted = stored.map(|seen| seen.with(Password::failed));
        let refusal = refuse(Problem::CredentialsWrong).and(counted.as_ref().map(Change::update));
        Ok(refusal.note(&moment, event()))
    })
    .await
}

/// Sets a new password by right of the recovery that `token` names, once. Signs nobody in; but the device on
/// which it was begun stays known, or else whoever asks gets the token of a new one: while somebody else
/// guesses at the account, a known device is the only way in.
///
/// # Errors
/// [`Problem::CodeGone`] for a right that counts no longer or never did; [`Problem::StepUpRequired`] when
/// a second factor is still to be shown; [`Problem::Invalid`]; [`Problem::LimitReached`].
pub async fn by_recovery(ctx: &Ctx, token: Option<&Token>, new: &Secret) -> Result<Option<Token>> {
    let named = match token {
        Some(token) => ctx.app.store.get::<Recovery>(token.id).await?,
        None => None,
    };
    let named = named.filter(|named| token.is_some_and(|token| token.matches(&named.digest)));
    match named.and_then(|recovery| recovery.device_id) {
        Some(device) => limits::take(ctx, Limit::CodeTryDevice, &device.to_string()).await?,
        None => limits::take_by_address(ctx, Limit::CodeTryAddress).await?,
    }
    let token = token.ok_or(Problem::CodeGone)?;
    let Standing { recovery: begun, user, .. } = Standing::read(ctx, token).await?;
    let stored = ctx.app.store.get::<Password>(user.id).await?;
    let ready = &Ready::of(ctx, &user, stored, new, begun.identifier_id).await?;
    let paid = || ready.notices.postage();
    let device = limits::decide(ctx, paid, move |moment| async move {
        let Standing { recovery, user, shown } = Standing::read(ctx, token).await?;
        let event = note(What::Recovered).user(user.id);
        let shown = match shown {
            Some(shown) => Some(prove(ctx, shown, &moment).await?),
            None => None,
        };
        let device = devices::find(ctx, recovery.device_id, &user).await?;
        let (decision, user) = ready.set(ctx, user, &moment, |_| true).await?;
        let decision = decision.update(&user).delete(&recovery).and(shown).note(&moment, event);
        Ok(match device.map(|device| devices::keep(device, user.sessions_from)) {
            Some(kept) => decision.update(&kept).map(|()| None),
            None => {
                let made = devices::arrive(None, &user, None, &ctx.policy.devices, &moment);
                decision.and([made.change]).map(|()| made.token)
            }
        })
    })
    .await?;
    limits::forgive(ctx, user.id).await;
    Ok(device)
}

/// What the recovery's token was sent to is shown to be the user's own by using it; it must still be theirs.
async fn prove(ctx: &Ctx, claim: Seen<Identifier>, moment: &Moment) -> Result<Change> {
    if claim.verified_at.is_some() {
        return Ok(Change::require(&claim));
    }
    let owner = identifiers::actions::owner_of(ctx, &claim).await?;
    let unchanged = Change::require(&claim);
    Ok(match identifiers::verify(claim, owner.as_ref(), moment.now) {
        Verification::Verified(claim) => Change::update(&claim),
        Verification::TakenByAnother => unchanged,
    })
}

/// A recovery that counts.
struct Standing {
    recovery: Seen<Recovery>,
    /// Whose it is.
    user: Seen<User>,
    /// What was shown for it.
    shown: Option<Seen<Identifier>>,
}

impl Standing {
    /// The recovery that `token` names.
    async fn read(ctx: &Ctx, token: &Token) -> Result<Self> {
        let found = recovery::find(ctx, token.id).await?;
        let found = found.filter(|(recovery, _)| token.matches(&recovery.digest));
        let (recovery, shown) = found.ok_or(Problem::CodeGone)?;
        let user = ctx.app.store.get::<User>(recovery.user_id).await?.ok_or(Problem::CodeGone)?;
        if !recovery.stands(&user, ctx.now) {
            return Err(Problem::CodeGone.into());
        }
        if recovery.waits {
            let sentence = "Answer the second factor's challenge first.";
            return Err(Error::new(Problem::StepUpRequired).detail(sentence));
        }
        Ok(Self { recovery, user, shown })
    }
}

/// A new password that is found good, hashed, and what goes with it.
struct Ready {
    stored: Option<Seen<Password>>,
    phc: String,
    notices: Notices,
}

impl Ready {
    /// `shown` is what was shown instead of the password that is `stored`.
    async fn of(
        ctx: &Ctx,
        user: &User,
        stored: Option<Seen<Password>>,
        new: &Secret,
        shown: Option<Uuid>,
    ) -> Result<Self> {
        let own = identifiers::actions::of_user(ctx, user.id).await?;
        let own: Vec<&str> = own.iter().map(|one| one.value.as_str()).collect();
        let new = passwords::choose(ctx, "new_password", new, &own)?;
        if stored.is_some()
            && passwords::check(ctx, stored.as_ref(), &new.as_given()).await? != Verdict::Wrong
        {
            let sentence = "This is the password that you have.";
            return Err(FieldError::new("new_password", "same", sentence).into());
        }
        let phc = passwords::prepare(ctx, &new).await?;
        let about = About::operation(operation::PASSWORD_CHANGE, Notice::PasswordChanged);
        let about = about.shown(shown);
        let notices = notices::prepare(ctx, user, about).await?;
        Ok(Self { stored, phc, notices })
    }

    /// Sets it, and ends whatever was opened or begun before; the user is still to be written. A password that was
    /// guessed and, seen anew, `takes` no guesses any more was not guessed.
    async fn set(
        &self,
        ctx: &Ctx,
        user: Seen<User>,
        moment: &Moment,
        takes: impl Fn(&Seen<Password>) -> bool,
    ) -> Result<(Decision<()>, Seen<User>)> {
        let stored = match moment.again {
            false => self.stored.clone(),
            true => self.still(ctx, &user).await?,
        };
        if !stored.as_ref().is_none_or(takes) {
            return Err(Problem::CredentialsWrong.into());
        }
        let password = Password::chosen(user.id, self.phc.clone(), moment.now);
        let user = user.with(|user| {
            user.end_sessions(moment.now);
            user.updated_at = moment.now;
        });
        // What was checked must still stand: another change since would be overwritten.
        let decision = answer(()).upsert(stored, password);
        Ok((decision.and(self.notices.changes(ctx, moment)), user))
    }

    /// The password that was checked, as it is now: wrong guesses at it are counted meanwhile, and a sign-in
    /// may hash it anew.
    async fn still(&self, ctx: &Ctx, user: &User) -> Result<Option<Seen<Password>>> {
        let now = ctx.app.store.get::<Password>(user.id).await?;
        let changed_at = |stored: &Option<Seen<Password>>| stored.as_ref().map(|stored| stored.changed_at);
        match changed_at(&now) == changed_at(&self.stored) {
            true => Ok(now),
            false => Err(Error::new(Problem::Busy).retry_after(Duration::from_secs(1))),
        }
    }
}
