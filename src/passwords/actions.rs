//! Judging a password that somebody chooses; hashing it, and checking a given one: the only two ways into
//! the pool.

use super::rules::{self, Judge, Strength};
use super::{GivenPassword, NewPassword, Password};
use crate::app::Ctx;
use crate::error::{FieldError, Result};
use crate::hashing;
use crate::limits::{self, Limit};
use crate::secret::Secret;
use crate::store::Seen;

/// What checking a password came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is the user's.
    Right {
        /// Its hash with today's parameters, to be stored in place of the old one when there is one.
        rehashed: Option<String>,
    },
    /// It is not, or there is no such user.
    Wrong,
}

/// Judges a password that somebody chooses for themselves: the one way to a [`NewPassword`]. `field` is where
/// it was given; `own` is what they are known by, as far as it is known: username, e-mail address, mobile
/// number, name.
///
/// # Errors
/// `too-short`, `too-long`, `invalid`, `common`, `context` or `breached`, with the reason in a sentence.
pub fn choose(ctx: &Ctx, field: &'static str, raw: &Secret, own: &[&str]) -> Result<NewPassword, FieldError> {
    NewPassword::parse(field, raw, judge(ctx), own)
}

fn judge(ctx: &Ctx) -> Judge<'_> {
    let app = &ctx.app;
    Judge { policy: &ctx.policy.password, host: app.origin.host(), breached: app.breached.as_ref() }
}

/// What would be said of a password if it were chosen, and how strong it is. Stores and logs nothing of it.
///
/// # Errors
/// [`Problem::LimitReached`](crate::error::Problem::LimitReached).
pub async fn assess(ctx: &Ctx, raw: &Secret, own: &[&str]) -> Result<(Option<FieldError>, Strength)> {
    limits::take_by_address(ctx, Limit::PasswordStrengthAddress).await?;
    let error = choose(ctx, "password", raw, own).err();
    let mut strength = rules::strength(raw, ctx.app.origin.host(), own);
    // What is on a list is guessed at once, whatever it looks like.
    if error.as_ref().is_some_and(|error| matches!(&*error.code, "common" | "context" | "breached")) {
        strength.score = 0;
    }
    Ok((error, strength))
}

/// The PHC string of a new password. Call it before `decide`: it costs a whole hash.
///
/// # Errors
/// 503 busy when the pool's queue is too long.
pub async fn prepare(ctx: &Ctx, new: &NewPassword) -> Result<String> {
    let salt = ctx.moment().seed.bytes("password salt");
    let _announced = ctx.app.store.announce();
    ctx.app.hashing.hash(new.secret(), salt).await
}

/// Whether `given` is the password behind `stored`; without one it is wrong after the same time.
///
/// # Errors
/// 503 busy when the pool's queue is too long.
pub async fn check(ctx: &Ctx, stored: Option<&Seen<Password>>, given: &GivenPassword) -> Result<Verdict> {
    // Too long to be anybody's: says nothing about any user, so it need not cost a hash.
    let Some(secret) = given.secret() else { return Ok(Verdict::Wrong) };
    let phc = stored.map(|password| password.phc.clone());
    let _announced = ctx.app.store.announce();
    Ok(match ctx.app.hashing.verify(secret.clone(), phc).await? {
        hashing::Verdict::Wrong => Verdict::Wrong,
        hashing::Verdict::Right => Verdict::Right { rehashed: None },
        hashing::Verdict::RightButOld => {
            let salt = ctx.moment().seed.bytes("password salt");
            // A busy pool only puts the better hash off to the next sign-in.
            Verdict::Right { rehashed: ctx.app.hashing.hash(secret, salt).await.ok() }
        }
    })
}
