//! Hashing a new password and checking a given one: the only two ways into the pool.

use super::{GivenPassword, NewPassword, Password};
use crate::app::Ctx;
use crate::error::Result;
use crate::hashing;
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

/// The PHC string of a new password. Call it before `decide`: it costs a whole hash.
///
/// # Errors
/// 503 busy when the pool's queue is too long.
pub async fn prepare(ctx: &Ctx, new: &NewPassword) -> Result<String> {
    let salt = ctx.moment().seed.bytes("password salt");
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
