//! How often: every limit by name, with its number from the policy's one table.
//!
//! Always holds: what is counted is stored under a keyed hash, never as typed; what cannot be
//! counted is refused, never let through. A message cannot be made without [`Postage`], and
//! postage is only had by counting it against the budgets of its number and of its asker.

use uuid::Uuid;

use crate::app::Ctx;
use crate::error::{Error, Problem, Result};
use crate::policy::{Budget, Limits};
use crate::store::text_enum;

text_enum! {
    /// Every limit.
    pub enum Limit {
        /// Sign-ins tried for one identifier, whoever tries and however it is spelt.
        SignInIdentifier = "sign-in-identifier",
        /// Sign-ins tried from one address.
        SignInAddress = "sign-in-address",
        /// Accounts made from one address.
        SignUpAddress = "sign-up-address",
        /// Codes tried from one address.
        CodeTryAddress = "code-try-address",
        /// Messages to one number in a short time.
        SendNumberShort = "send-number-short",
        /// Messages to one number in a day.
        SendNumberDay = "send-number-day",
        /// Messages to one number in a short time for which nobody has shown a password.
        SendStrangerShort = "send-stranger-short",
        /// Messages to one number in a day for which nobody has shown a password.
        SendStrangerDay = "send-stranger-day",
        /// Messages asked for from one address.
        SendAddress = "send-address",
        /// Messages to one address or number in a day that tell of one kind of event.
        SendNotice = "send-notice",
        /// Recoveries asked for with one identifier.
        RecoverIdentifier = "recover-identifier",
        /// Recoveries asked for from one address.
        RecoverAddress = "recover-address",
        /// Recovery codes to one number or address.
        SendRecovery = "send-recovery",
    }
}

impl Limit {
    /// Its number in the policy.
    pub fn budget(self, limits: &Limits) -> Budget {
        match self {
            Self::SignInIdentifier => limits.sign_in_identifier,
            Self::SignInAddress => limits.sign_in_address,
            Self::SignUpAddress => limits.sign_up_address,
            Self::CodeTryAddress => limits.code_try_address,
            Self::SendNumberShort => limits.send_number_short,
            Self::SendNumberDay => limits.send_number_day,
            Self::SendStrangerShort => limits.send_stranger_short,
            Self::SendStrangerDay => limits.send_stranger_day,
            Self::SendAddress => limits.send_address,
            Self::SendNotice => limits.send_notice,
            Self::RecoverIdentifier => limits.recover_identifier,
            Self::RecoverAddress => limits.recover_address,
            Self::SendRecovery => limits.send_recovery,
        }
    }
}

/// Takes one from the budget that `limit` keeps for `of`.
///
/// # Errors
/// [`Problem::LimitReached`] with the time to wait; the store's failure when nothing can be counted.
pub async fn take(ctx: &Ctx, limit: Limit, of: &str) -> Result<()> {
    let app = &ctx.app;
    let budget = limit.budget(&ctx.policy.limits);
    let tag = app.keyring.tag("limit", format!("{limit}\0{of}").as_bytes());
    let key: String = tag.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let taken = app.shared.take(&key, budget.limit, *budget.window, ctx.now).await?;
    if taken.allowed {
        return Ok(());
    }
    app.metrics.limit_reached(limit.as_str());
    Err(Error { limit: Some(limit.as_str()), ..Error::new(Problem::LimitReached).retry_after(taken.wait) })
}

/// Takes one from the budget that `limit` keeps for the asker's address.
pub async fn take_by_address(ctx: &Ctx, limit: Limit) -> Result<()> {
    match &ctx.client {
        Some(client) => take(ctx, limit, &client.network()).await,
        None => Ok(()),
    }
}

/// Proof that a message was counted against the budgets of its number and of its asker.
#[derive(Debug)]
pub struct Postage(());

/// On whose behalf a message goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    /// Somebody who has shown this user's password.
    User(Uuid),
    /// Anybody: they share a part of the number's budget, so that nobody who only knows a number can
    /// use up what its owner needs to sign in.
    Stranger,
    /// The house itself, telling its user of a kind of event. Each kind has a budget of its own, which
    /// no codes use up, and nobody else's network: so nobody can keep a user from being told of one
    /// thing by causing others.
    Notice(&'static str),
    /// Somebody who wants to get back into an account. A budget of its own, so that it neither uses up
    /// what the owner needs to sign in nor shows in what others may still send.
    Recovery,
}

/// Postage for one message to `to`, a number (E.164) or an e-mail address.
///
/// # Errors
/// [`Problem::LimitReached`]. A notice without postage is left out; what it tells of goes on.
pub async fn postage(ctx: &Ctx, to: &str, sender: Sender) -> Result<Postage> {
    if let Sender::Notice(what) = sender {
        take(ctx, Limit::SendNotice, &format!("{what}\0{to}")).await?;
        return Ok(Postage(()));
    }
    take_by_address(ctx, Limit::SendAddress).await?;
    if sender == Sender::Recovery {
        take(ctx, Limit::SendRecovery, to).await?;
        return Ok(Postage(()));
    }
    if sender == Sender::Stranger {
        take(ctx, Limit::SendStrangerShort, to).await?;
        take(ctx, Limit::SendStrangerDay, to).await?;
    }
    take(ctx, Limit::SendNumberShort, to).await?;
    take(ctx, Limit::SendNumberDay, to).await?;
    Ok(Postage(()))
}
