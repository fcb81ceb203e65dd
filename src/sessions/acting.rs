//! Sessions by which somebody acts for a user (delegation, RFC 8693 §1.1): they are the user's, and say
//! who acts.
//!
//! Always holds: such a session counts only while whoever acts could still begin it: their own session
//! stands, they may still do it, and the user is nobody of rank. It holds no proof, so it can do nothing
//! that asks for one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Session;
use crate::accounts::User;
use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::organizations::{Member, Organization};
use crate::policy::{Policy, Rank, operation};
use crate::store::{Seen, Tracked, json_field};

/// Who acts, and by what right.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Act {
    /// Who.
    pub actor: Uuid,
    /// Their own session.
    pub session: Uuid,
    /// What for, in their words.
    pub reason: String,
    /// Whether nothing may be changed.
    pub read_only: bool,
    /// In an organisation: the actor's membership, and the user's.
    pub members: Option<[Membership; 2]>,
}
json_field!(Act);

/// A membership as it was when somebody began to act by it. Any change to it ends that, also one that is
/// changed back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Membership {
    /// Which.
    pub id: Uuid,
    revision: i64,
}

impl From<&Seen<Member>> for Membership {
    fn from(member: &Seen<Member>) -> Self {
        Self { id: member.id, revision: member.revision() }
    }
}

impl Membership {
    async fn read(self, look: &mut Tracked<'_>) -> Result<Option<Seen<Member>>> {
        let found = look.get::<Member>(self.id).await?;
        Ok(found.filter(|member| member.revision() == self.revision))
    }
}

/// Who acts by a session, as its user sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Acting")]
pub struct ActingView {
    /// Who.
    pub by: Uuid,
    /// What for, in their words.
    pub reason: String,
    /// Whether nothing can be changed.
    pub read_only: bool,
}

impl From<&Act> for ActingView {
    fn from(act: &Act) -> Self {
        Self { by: act.actor, reason: act.reason.clone(), read_only: act.read_only }
    }
}

/// Whoever acts, as they are now.
pub(super) struct Actor {
    session: Seen<Session>,
    user: Seen<User>,
    members: Option<[Seen<Member>; 2]>,
}

impl Actor {
    /// Reads whoever acts by `session`; none when something of theirs is gone, or it is the user's own.
    pub(super) async fn read(look: &mut Tracked<'_>, session: &Session) -> Result<Option<Self>> {
        let Some(act) = &session.act else { return Ok(None) };
        let Some(own) = look.get::<Session>(act.session).await? else { return Ok(None) };
        let Some(user) = look.get::<User>(act.actor).await? else { return Ok(None) };
        let members = match act.members {
            None => None,
            Some([actor, theirs]) => {
                let actor = actor.read(look).await?;
                let theirs = theirs.read(look).await?;
                let Some((actor, theirs)) = actor.zip(theirs) else { return Ok(None) };
                let organization = look.get::<Organization>(actor.organization_id).await?;
                if organization.is_none_or(|organization| organization.ended_at.is_some()) {
                    return Ok(None);
                }
                Some([actor, theirs])
            }
        };
        Ok(Some(Self { session: own, user, members }))
    }

    /// About how many bytes it holds beyond what is the same for all.
    pub(super) fn weight(&self) -> usize {
        self.user.metadata.weight()
    }

    /// Whether they may go on acting for `user`.
    pub(super) fn stands(&self, user: &User, policy: &Policy, now: Timestamp) -> bool {
        let by = match &self.members {
            None => operation::ADMIN_USERS_ACT,
            Some(_) => operation::ORGANIZATION_ACT,
        };
        let may = match &self.members {
            None => policy.staff.may(self.user.rank(), by),
            Some([actor, theirs]) => {
                actor.user_id == self.user.id && theirs.user_id == user.id && actor.is_over(theirs)
            }
        };
        may && policy.operation.is_done(by)
            && user.rank() == Rank::User
            && self.session.stands(&self.user, &policy.session, now)
    }
}

impl Session {
    /// Whether it counts for `user`, whoever opened it; `actor` is whoever acts by it, when somebody does and all of
    /// theirs is there.
    pub(super) fn counts(&self, user: &User, actor: Option<&Actor>, policy: &Policy, now: Timestamp) -> bool {
        self.lasts(user, &policy.session, now)
            && (self.act.is_none() || actor.is_some_and(|actor| actor.stands(user, policy, now)))
    }
}

/// Whether `session` counts for `user` at this instant, whoever opened it.
///
/// # Errors
/// The store's.
pub async fn stands(ctx: &Ctx, session: &Session, user: &User) -> Result<bool> {
    let actor = Actor::read(&mut ctx.app.store.tracked(), session).await?;
    Ok(session.counts(user, actor.as_ref(), &ctx.policy, ctx.now))
}
