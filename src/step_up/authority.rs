//! By whose right something is done to somebody else.

use uuid::Uuid;

use super::{Permit, permit};
use crate::accounts::User;
use crate::app::Ctx;
use crate::error::{Problem, Result};
use crate::policy::{Rank, operation};
use crate::sessions::{Caller, Session};
use crate::store::{Change, Seen};

/// By whose right.
#[derive(Clone, Debug)]
pub enum By {
    /// Whoever can write to the database anyway: the command line.
    Operator,
    /// Somebody who is signed in, with the permit for it.
    User(Box<Permit>),
}

/// Whose right it is, read anew where it is decided.
pub struct Standing(Option<(Seen<Session>, Seen<User>)>);

/// The right of `caller` to do `operation` for others: by their role, and with the proof that the policy
/// asks for.
///
/// # Errors
/// [`Problem::NotFound`] when their role does not have it; those of [`permit`].
pub async fn staff(ctx: &Ctx, caller: &Caller, operation: &str) -> Result<By> {
    let acts = caller.session.act.is_some();
    if acts || !ctx.policy.staff.may(caller.user.rank(), operation) {
        return Err(Problem::NotFound.into());
    }
    Ok(By::User(Box::new(permit(ctx, caller, operation).await?)))
}

impl By {
    /// Who it is; nobody for the operator.
    pub fn actor(&self) -> Option<Uuid> {
        match self {
            Self::Operator => None,
            Self::User(permit) => Some(permit.caller().user.id),
        }
    }

    /// Whether it is the right to do `operation`: the operator has every one.
    pub fn is_for(&self, operation: &str) -> bool {
        match self {
            Self::Operator => true,
            Self::User(permit) => permit.operation() == operation,
        }
    }

    /// The same right as it is now. Called inside of `decide`, with [`Standing::unchanged`] among the
    /// changes, so that nothing is done by a right that ended meanwhile.
    ///
    /// # Errors
    /// [`Problem::Unauthenticated`] when the session no longer stands; [`Problem::NotFound`] when the role
    /// is gone.
    pub async fn standing(&self, ctx: &Ctx) -> Result<Standing> {
        let Self::User(permit) = self else { return Ok(Standing(None)) };
        let (session, user) = permit.standing(ctx).await?;
        let name = permit.operation();
        if operation::is_for_staff(name) && !ctx.policy.staff.may(user.rank(), name) {
            return Err(Problem::NotFound.into());
        }
        Ok(Standing(Some((session, user))))
    }
}

impl Standing {
    /// How far it reaches.
    pub fn rank(&self) -> Rank {
        self.0.as_ref().map_or(Rank::Admin, |(_, user)| user.rank())
    }

    /// Who it is; nobody for the operator.
    pub fn actor(&self) -> Option<Uuid> {
        self.0.as_ref().map(|(_, user)| user.id)
    }

    /// Their session; none for the operator.
    pub fn session(&self) -> Option<&Seen<Session>> {
        self.0.as_ref().map(|(session, _)| session)
    }

    /// That both still stand.
    pub fn unchanged(&self) -> Vec<Change> {
        self.0.iter().flat_map(|(session, user)| [Change::require(session), Change::require(user)]).collect()
    }

    /// Refuses what may not be done to `user`: to oneself, which is done in one's own account, and to
    /// somebody of the same or a higher rank.
    ///
    /// # Errors
    /// [`Problem::NotAllowed`].
    pub fn over(&self, user: &User) -> Result<()> {
        let is_over = self.actor() != Some(user.id) && self.rank().is_over(user.rank());
        if is_over { Ok(()) } else { Err(Problem::NotAllowed.into()) }
    }
}
