//! What is done to somebody else's account.

use serde_json::json;
use uuid::Uuid;

use super::rules::{self, done};
use crate::accounts::{self, Roles, Status, User, UserView};
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::clock::Timestamp;
use crate::error::{Error, FieldError, Problem, Result};
use crate::factors::{self, Factor, Guess};
use crate::identifiers::{self, Identifier};
use crate::limits::{self, Postage, Sender};
use crate::messages::{self, Channel};
use crate::notices::{self, About, Notice, Notices};
use crate::passwords::Password;
use crate::policy::{FactorKind, IdentifierKind, Rank, operation};
use crate::recovery::Recovery;
use crate::sign_up::{self, Wanted};
use crate::step_up::{By, Standing};
use crate::store::{Change, Decision, Seen, answer};
use crate::undo;

pub use super::rules::Fields;

/// Lets the locked factors of whoever signs in with `identifier` take guesses again, and forgives the
/// wrong passwords. Returns how many factors that were. Nothing is shown and nothing set: who helps
/// learns no secret, and whoever was let back in still has to show the factor.
///
/// # Errors
/// [`Problem::NotFound`] when nobody is known by it.
pub async fn unlock(ctx: &Ctx, identifier: &str) -> Result<usize> {
    let user = named(ctx, identifier).await?;
    let unlocked = ctx
        .decide(move |moment| async move {
            let factors = factors::of_user(ctx, user).await?;
            let is_locked = |factor: &&Seen<Factor>| factor.is_locked(Guess::Recovery, &ctx.policy.limits);
            let locked: Vec<_> = factors.iter().filter(is_locked).collect();
            let count = locked.len();
            let mut decision = answer(count).note(&moment, note(What::FactorUnlocked).user(user));
            for factor in locked {
                let unlocked = factor.clone().with(|factor| {
                    factor.unlock();
                });
                decision = decision.update(&unlocked);
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

/// Whoever is known by `identifier`, or has that id. An address that nobody has shown to be theirs names
/// nobody: whoever claimed it first would be given what is meant for its owner.
///
/// # Errors
/// [`Problem::NotFound`] when nobody is.
pub async fn named(ctx: &Ctx, identifier: &str) -> Result<Uuid> {
    if let Ok(id) = identifier.parse::<Uuid>()
        && ctx.app.store.get::<User>(id).await?.is_some()
    {
        return Ok(id);
    }
    let found = identifiers::actions::find_owner(ctx, identifier).await?.ok_or(Problem::NotFound)?;
    Ok(found.user_id)
}

/// The user with this id.
///
/// # Errors
/// [`Problem::NotFound`].
pub async fn user(ctx: &Ctx, id: Uuid) -> Result<Seen<User>> {
    Ok(ctx.app.store.get::<User>(id).await?.ok_or(Problem::NotFound)?)
}

/// Something that is done to somebody else's account.
#[derive(Clone, Copy, Debug)]
pub enum Deed<'a> {
    /// Changes what somebody is called, the language they read, or what the application keeps of them.
    Change(&'a Fields),
    /// Gives somebody these roles in the place of those before, and ends their sessions, which were opened
    /// by what their old roles ask for.
    SetRoles(&'a Roles),
    /// Gives somebody one more role, with the same end of their sessions.
    Grant(&'a str),
    /// Takes one role away, with the same end of their sessions.
    Revoke(&'a str),
    /// Suspends somebody, until an instant or until they are restored, for a reason: whatever credential
    /// they hold is dead when it is done.
    Suspend(Option<Timestamp>, &'a str),
    /// Lets somebody in again who was suspended, or whose account was deleted and is not removed yet.
    Restore,
    /// Deletes somebody's account. It can be restored for the policy's `account.grace`.
    Delete,
    /// Ends every session of somebody, and forgets which of their devices are known.
    EndSessions,
    /// Takes somebody's authenticator apps and recovery codes away, lets their verified number and address
    /// stand in, unlocked, and ends their sessions. Never touches the password.
    ResetFactors,
}

impl Deed<'_> {
    /// The operation that it is when it is done to `user`: what was deleted is restored by whoever could delete it.
    pub fn operation(self, user: &User) -> &'static str {
        match self {
            Self::Restore if user.status == Status::Deleted => operation::ADMIN_USERS_DELETE,
            Self::Change(_) => operation::ADMIN_USERS_CHANGE,
            Self::SetRoles(_) | Self::Grant(_) | Self::Revoke(_) => operation::ADMIN_USERS_ROLES,
            Self::Suspend(..) | Self::Restore => operation::ADMIN_USERS_SUSPEND,
            Self::Delete => operation::ADMIN_USERS_DELETE,
            Self::EndSessions => operation::ADMIN_USERS_END_SESSIONS,
            Self::ResetFactors => operation::ADMIN_USERS_RESET_FACTORS,
        }
    }

    /// What the user is told of it.
    fn notice(self) -> Notice {
        match self {
            Self::Change(_) => Notice::AccountChanged,
            Self::SetRoles(_) | Self::Grant(_) | Self::Revoke(_) => Notice::RolesChanged,
            Self::Suspend(..) => Notice::Suspended,
            Self::Restore => Notice::Restored,
            Self::Delete => Notice::AccountRemoved,
            Self::EndSessions => Notice::SessionsEnded,
            Self::ResetFactors => Notice::FactorsReset,
        }
    }

    /// Whether there is nothing to do. Of an account that its owner has deleted there still is: the owner could
    /// take that back.
    async fn is_done(self, ctx: &Ctx, user: &User) -> Result<bool> {
        Ok(match self {
            Self::Restore => user.status == Status::Active,
            Self::Delete if user.status == Status::Deleted => {
                undo::actions::of_user(ctx, user.id).await?.is_empty()
            }
            _ => false,
        })
    }

    /// The roles that somebody has when it is done, where it is about those.
    fn roles(self, user: &User) -> Option<Roles> {
        let before = || user.roles.0.iter();
        Some(match self {
            Self::SetRoles(roles) => roles.clone(),
            Self::Grant(role) if before().any(|one| one == role) => user.roles.clone(),
            Self::Grant(role) => Roles(before().cloned().chain([role.to_owned()]).collect()),
            Self::Revoke(role) => Roles(before().filter(|one| *one != role).cloned().collect()),
            _ => return None,
        })
    }

    /// Why it cannot be done to anybody as it is asked for.
    fn refused(self, user: &User, now: Timestamp) -> Vec<FieldError> {
        match self {
            Self::Suspend(until, reason) => rules::suspension_refused(until, reason, now),
            _ => self.roles(user).as_ref().and_then(Roles::refused).into_iter().collect(),
        }
    }

    /// Whether whoever it is done to administers no more.
    fn loses(self, user: &User) -> bool {
        let goes = match self {
            Self::Suspend(..) | Self::Delete => true,
            _ => self.roles(user).is_some_and(|roles| Rank::of(&roles.0) != Rank::Admin),
        };
        goes && user.rank() == Rank::Admin
    }

    async fn decide(
        self,
        ctx: &Ctx,
        user: Seen<User>,
        standing: &Standing,
        moment: &Moment,
    ) -> Result<Decision<usize>> {
        let (id, now) = (user.id, moment.now);
        let event = |what| done(what, id, standing.actor());
        let (user, event) = match self {
            Self::Change(fields) => {
                let event = event(What::AccountChanged).detail(json!({"fields": fields.names()}));
                let change = |user: &mut User| {
                    fields.put(user);
                    user.updated_at = now;
                };
                (user.with(change), event)
            }
            Self::SetRoles(_) | Self::Grant(_) | Self::Revoke(_) => {
                let roles = self.roles(&user).unwrap_or_default();
                // One gives no more than one has.
                if !standing.rank().is_over(Rank::of(&roles.0)) {
                    return Err(Problem::NotAllowed.into());
                }
                let event = event(What::RolesChanged).detail(json!({"before": user.roles, "after": roles}));
                let change = |user: &mut User| {
                    user.set_roles(roles);
                    user.end_sessions(now);
                    user.updated_at = now;
                };
                (user.with(change), event)
            }
            Self::Suspend(until, reason) => {
                let reason = reason.trim();
                let event = event(What::Suspended).detail(json!({"until": until, "reason": reason}));
                (rules::suspend(user, until, reason, now)?, event)
            }
            // It is being removed: what came back would be half an account.
            Self::Restore if user.is_past_grace(now) => return Err(Problem::NotFound.into()),
            Self::Restore => (rules::restore(user, now), event(What::Restored)),
            Self::Delete => {
                // Only an administrator takes this back: no link that was sent to the owner for anything else.
                let links = undo::actions::of_user(ctx, id).await?;
                let user = rules::delete(user, *ctx.policy.account.grace, now);
                let event = event(What::AccountRemoved);
                return Ok(answer(0).update(&user).and(links.iter().map(Change::delete)).note(moment, event));
            }
            Self::EndSessions => (user.with(|user| user.end_sessions(now)), event(What::SessionsEnded)),
            Self::ResetFactors => {
                let factors = factors::of_user(ctx, id).await?;
                let own = identifiers::actions::of_user(ctx, id).await?;
                let offered = &ctx.policy.sign_in.second.factors;
                return Ok(rules::reset(factors, &own, offered, user, standing.actor(), moment));
            }
        };
        Ok(answer(0).update(&user).note(moment, event))
    }
}

/// Does `deed` to the account `id` by the right of `by`, and tells its owner. Of a reset it answers how many
/// factors were taken away.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`] for oneself, and for those of the same or a higher rank;
/// [`Problem::LastAdministrator`]; [`Problem::Invalid`]; [`Problem::Busy`]; those of [`By::standing`].
pub async fn act(ctx: &Ctx, by: &By, id: Uuid, deed: Deed<'_>) -> Result<usize> {
    let found = user(ctx, id).await?;
    let refused = deed.refused(&found, ctx.now);
    if !refused.is_empty() {
        return Err(Error::invalid(refused));
    }
    let told = &if deed.is_done(ctx, &found).await? {
        None
    } else {
        // Nobody keeps an administrator from acting by having many notices sent.
        let about = About::operation(deed.operation(&found), deed.notice()).plain().may_be_left_out();
        Some(notices::prepare(ctx, &found, about).await?)
    };
    let paid = || told.iter().flat_map(Notices::postage).collect();
    limits::decide(ctx, paid, move |moment| async move {
        let standing = by.standing(ctx).await?;
        let user = user(ctx, id).await?;
        standing.over(&user)?;
        if !by.is_for(deed.operation(&user)) {
            // They stand otherwise than when it was permitted.
            return Err(Problem::Busy.into());
        }
        if deed.is_done(ctx, &user).await? {
            return Ok(answer(0).and(standing.unchanged()));
        }
        let spare = if deed.loses(&user) { spare(ctx, &user, &standing).await? } else { None };
        let told = told.as_ref().map(|told| told.changes(ctx, &moment)).unwrap_or_default();
        let decision = deed.decide(ctx, user, &standing, &moment).await?;
        Ok(decision.and(standing.unchanged()).and(spare).and(told))
    })
    .await
}

/// That somebody is left to administer when `user` no longer does: the record to require.
async fn spare(ctx: &Ctx, user: &User, standing: &Standing) -> Result<Option<Change>> {
    let other = accounts::another_admin(ctx, user.id).await?.ok_or(Problem::LastAdministrator)?;
    // Whoever does it is required anyway.
    Ok((standing.actor() != Some(other.id)).then(|| Change::require(&other)))
}

/// An account that was made for somebody.
pub struct Made {
    /// The account.
    pub user: UserView,
    /// The path by which they set their password, for the operator who has no other way to give it.
    pub link: String,
}

/// Makes an account for somebody, without a password: by a link that is sent to their address or number
/// they set one; the operator gives it to whom nothing can be sent from here. `roles` are what they may do from the
/// beginning; only the operator gives any.
///
/// # Errors
/// [`Problem::Invalid`] for what the policy requires and is missing; [`Problem::IdentifierTaken`];
/// [`Problem::LimitReached`]; [`Problem::NotCarried`].
pub async fn create(ctx: &Ctx, by: &By, wanted: &Wanted, roles: &Roles) -> Result<Made> {
    if let Some(error) = roles.refused() {
        return Err(error.into());
    }
    if matches!(by, By::User(_)) && !roles.0.is_empty() {
        return Err(Problem::NotAllowed.into());
    }
    let mut missing = wanted.missing(&ctx.policy);
    let reached = reaching(ctx).find_map(|kind| wanted.name(kind));
    if reached.is_none() && missing.is_empty() && matches!(by, By::User(_)) {
        if wanted.names.iter().any(|name| name.kind() != IdentifierKind::Username) {
            return Err(Problem::NotCarried.into());
        }
        let sentence = "Give an e-mail address or a mobile number: the link to set a password goes there.";
        missing.push(FieldError::new("email", "missing", sentence));
    }
    if !missing.is_empty() {
        return Err(Error::invalid(missing));
    }
    let postage = &postage(ctx, reached.map(|name| name.value())).await?;
    let paid = || postage.iter().collect();
    limits::decide(ctx, paid, move |moment| async move {
        let standing = by.standing(ctx).await?;
        for name in &wanted.names {
            if identifiers::actions::owner(ctx, name).await?.is_some() {
                return Err(sign_up::taken(name.kind()));
            }
        }
        let mut made = sign_up::make(wanted, &ctx.policy, &moment);
        made.user.set_roles(roles.clone());
        let target = made.identifiers.iter().find(|one| reached.is_some_and(|name| one.kind == name.kind()));
        let (recovery, link) = opens(ctx, &made.user, target, &moment);
        let event = done(What::AccountMade, made.user.id, standing.actor());
        let view = Made { user: UserView::new(&made.user, &made.identifiers), link: link.clone() };
        let message = postage.as_ref().zip(target).map(|(postage, target)| {
            letter(ctx, postage, target, &made.user, &link, recovery.expires_at, &moment)
        });
        let decision = answer(view).and(made.changes()).insert(&recovery).and(standing.unchanged());
        Ok(decision.and(message.as_ref().map(Change::insert)).note(&moment, event))
    })
    .await
}

/// Makes the link of an account that was made for somebody anew, and sends it, while no password was set by it: what
/// was sent before ends with whatever ends sessions, with its time, and with this. Answers its path, as [`create`].
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`] for whoever has a password, cannot sign in or is not reached, for
/// oneself, and for those of the same or a higher rank; [`Problem::LimitReached`]; those of [`By::standing`].
pub async fn link(ctx: &Ctx, by: &By, id: Uuid) -> Result<String> {
    let own = identifiers::actions::of_user(ctx, id).await?;
    let target = reaching(ctx).find_map(|kind| own.iter().find(|one| one.kind == kind));
    let postage = &postage(ctx, target.map(|one| one.value.as_str())).await?;
    let paid = || postage.iter().collect();
    limits::decide(ctx, paid, move |moment| async move {
        let standing = by.standing(ctx).await?;
        let user = user(ctx, id).await?;
        standing.over(&user)?;
        let has_password = ctx.app.store.get::<Password>(id).await?.is_some();
        let is_told = target.is_some() || matches!(by, By::Operator);
        if has_password || !is_told || !user.is_active(moment.now) {
            let sentence =
                "This is for accounts that can sign in, have no password yet, and can be sent a link.";
            return Err(Error::new(Problem::NotAllowed).detail(sentence));
        }
        let user = user.with(|user| user.end_sessions(moment.now));
        let (recovery, link) = opens(ctx, &user, target.map(|one| &**one), &moment);
        let message = postage.as_ref().zip(target).map(|(postage, target)| {
            letter(ctx, postage, target, &user, &link, recovery.expires_at, &moment)
        });
        let event = done(What::LinkMade, id, standing.actor());
        let decision = answer(link).update(&user).insert(&recovery).and(standing.unchanged());
        let decision = decision.and(target.map(Change::require)).and(message.as_ref().map(Change::insert));
        Ok(decision.note(&moment, event))
    })
    .await
}

/// To what the link of an account can be sent, the preferred first. Only what was sent shows that something is theirs.
fn reaching(ctx: &Ctx) -> impl Iterator<Item = IdentifierKind> {
    let kinds = [IdentifierKind::Email, IdentifierKind::Mobile];
    kinds.into_iter().filter(|kind| factors::is_carried(ctx, way(*kind).0))
}

/// Postage for the link of an account that is made for somebody: how they get in, whoever a policy has told of what.
async fn postage(ctx: &Ctx, to: Option<&str>) -> Result<Option<Postage>> {
    let Some(to) = to else { return Ok(None) };
    limits::postage(ctx, to, Sender::Notice(Notice::AccountMade.as_str())).await.map(Some)
}

/// The right to set the first password, and the path of the page that takes it.
fn opens(ctx: &Ctx, user: &User, target: Option<&Identifier>, moment: &Moment) -> (Recovery, String) {
    let kind = target.map_or(FactorKind::Password, |one| way(one.kind).0);
    let (mut recovery, token) = Recovery::open(ctx, user, kind, false, moment);
    recovery.expires_at = moment.now + *ctx.policy.invitations.account;
    recovery.identifier_id = target.map(|one| one.id);
    (recovery, format!("/recover/password?token={}", token.reveal()))
}

/// By which factor an address or a number is reached, and by which messages.
fn way(kind: IdentifierKind) -> (FactorKind, Channel) {
    match kind {
        IdentifierKind::Email => (FactorKind::Email, Channel::Email),
        _ => (FactorKind::Sms, Channel::Sms),
    }
}

fn letter(
    ctx: &Ctx,
    postage: &Postage,
    target: &Identifier,
    user: &User,
    link: &str,
    until: Timestamp,
    moment: &Moment,
) -> messages::Message {
    let notify = messages::Notify {
        what: Notice::AccountMade,
        channel: way(target.kind).1,
        to: &target.value,
        user: Some(user.id),
        locale: user.language(),
        link: Some(link),
        until: Some(until),
    };
    messages::notice(ctx, postage, notify, moment)
}
