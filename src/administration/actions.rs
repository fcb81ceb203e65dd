//! What an operator does for somebody who cannot help themselves.

use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::error::{Problem, Result};
use crate::factors;
use crate::identifiers;
use crate::limits;
use crate::passwords::Password;
use crate::store::{Change, answer};

/// Lets the locked factors of whoever signs in with `identifier` take guesses again, and forgives the
/// wrong passwords. Returns how many factors that were. Nothing is shown and nothing set: who helps
/// learns no secret, and whoever was let back in still has to show the factor.
///
/// # Errors
/// [`Problem::NotFound`] when nobody is known by it.
pub async fn unlock(ctx: &Ctx, identifier: &str) -> Result<usize> {
    let found = identifiers::actions::find(ctx, identifier, None).await?.ok_or(Problem::NotFound)?;
    let user = found.user_id;
    let unlocked = ctx
        .decide(move |moment| async move {
            let mut locked = factors::of_user(ctx, user).await?;
            locked.retain(|factor| factor.locked_at.is_some());
            let count = locked.len();
            let mut decision = answer(count).note(&moment, note(What::FactorUnlocked).user(user));
            for factor in locked {
                decision = decision.update(&factor.with(|factor| {
                    factor.locked_at = None;
                    factor.failures = 0;
                }));
            }
            let password = ctx.app.store.get::<Password>(user).await?;
            let password = password.filter(|password| password.failures > 0);
            let forgiven = password.map(|password| password.with(|password| password.failures = 0));
            Ok(decision.and(forgiven.as_ref().map(Change::update)))
        })
        .await?;
    limits::forgive(ctx, user).await;
    Ok(unlocked)
}
