//! Joining an organisation: invitations, which go by mail and are good once.

use serde_json::json;
use uuid::Uuid;

use super::super::{Invitation, InvitationView, Member, Organization, OrganizationView, Role};
use super::{Asker, enter, membership, rules, standing};
use crate::accounts::User;
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::error::{Error, FieldError, Problem, Result};
use crate::identifiers::{self, Email, Identifier, Name};
use crate::limits::{self, Limit, Postage, Sender};
use crate::messages::{self, Channel, Message, Notice};
use crate::policy::operation;
use crate::secret::{Token, TokenKind};
use crate::sessions::Caller;
use crate::store::{Change, Cursor, Decision, Page, Query, Seen, answer};
use crate::words::Locale;

/// Asks somebody to join, by a mail with a link and a code that are good once. Asking again takes the place
/// of what was asked before. Nothing tells whether the address has an account.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`]; [`Problem::Invalid`]; [`Problem::LimitReached`];
/// [`Problem::NotCarried`]; those of [`permit`](crate::step_up::permit).
pub async fn invite(
    ctx: &Ctx,
    asker: Asker<'_>,
    id: Uuid,
    email: &str,
    role: Role,
) -> Result<InvitationView> {
    let by = &asker.may(ctx, id, operation::ORGANIZATION_MEMBERS, Role::Admin).await?;
    let email = &Email::parse(email)?;
    let name = &Name::Email(email.clone());
    let asks = by.actor().unwrap_or_default().to_string();
    limits::take(ctx, Limit::InvitationUser, &asks).await?;
    let sender = Sender::Notice(Notice::Invited.as_str());
    let postage = &limits::postage(ctx, email.value(), sender).await?;
    let paid = || vec![postage];
    limits::decide(ctx, paid, move |moment| async move {
        let standing = by.standing(ctx).await?;
        let entered = enter(ctx, asker, id).await?;
        rules::at_least(entered.role, Role::Admin)?;
        if !entered.role.is_over(role) {
            return Err(Problem::NotAllowed.into());
        }
        if let Some(owner) = identifiers::actions::owner(ctx, name).await? {
            asker.over(owner.user_id)?;
            // Administrators see the addresses of members, so this tells them nothing.
            if membership(ctx, id, owner.user_id).await?.is_some() {
                let sentence = "This is the address of a member.";
                return Err(FieldError::new("email", "member", sentence).into());
            }
        }
        let canonical = name.canonical();
        let address = Query::<Invitation>::along(Invitation::BY_ADDRESS).equal(id).equal(canonical.clone());
        let before = ctx.app.store.first(address).await?;
        // What somebody higher has offered is not for whoever is lower to replace.
        if let Some(before) = &before
            && !entered.role.is_over(before.role)
            && rests_on(ctx, before).await?.is_some()
        {
            return Err(Problem::NotAllowed.into());
        }
        let invitation_id = before.as_ref().map_or_else(|| moment.uuid("invitation"), |before| before.id);
        let token = Token::new(TokenKind::Invitation, invitation_id, &moment.seed);
        let invitation = Invitation {
            id: invitation_id,
            digest: token.digest(),
            organization_id: id,
            email: email.value().to_owned(),
            canonical,
            role,
            invited_by: standing.actor(),
            counts_from: standing.session().map(|session| session.counts_from),
            created_at: moment.now,
            expires_at: moment.now + *ctx.policy.invitations.organization,
        };
        let message = letter(ctx, postage, &invitation, &token, &moment);
        let event = note(What::Invited).actor(standing.actor());
        let event = event.detail(json!({"organization": id, "invitation": invitation_id, "role": role}));
        let decision = answer(InvitationView::from(&invitation)).upsert(before, invitation).insert(&message);
        Ok(decision.and(entered.unchanged()).and(standing.unchanged()).note(&moment, event))
    })
    .await
}

fn letter(ctx: &Ctx, postage: &Postage, invitation: &Invitation, token: &Token, moment: &Moment) -> Message {
    let link = format!("/invitation?token={}", token.reveal());
    let notify = messages::Notify {
        what: Notice::Invited,
        channel: Channel::Email,
        to: &invitation.email,
        // Nobody is known by the address until it is accepted.
        user: None,
        locale: Locale::choose(None, None),
        link: Some(&link),
        until: Some(invitation.expires_at),
    };
    messages::notice(ctx, postage, notify, moment)
}

/// The invitations that were not accepted yet, the newest first: for administrators.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`].
pub async fn invitations(
    ctx: &Ctx,
    asker: Asker<'_>,
    id: Uuid,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<Seen<Invitation>>> {
    rules::at_least(enter(ctx, asker, id).await?.role, Role::Admin)?;
    let query = Query::<Invitation>::along(Invitation::BY_ORGANIZATION).equal(id).descending();
    let page = ctx.app.store.find(query.after(after).limit(limit)).await?;
    let mut items = Vec::new();
    for invitation in page.items {
        if rests_on(ctx, &invitation).await?.is_some() {
            items.push(invitation);
        }
    }
    Ok(Page { items, next: page.next })
}

/// Takes an invitation back.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`]; those of [`permit`](crate::step_up::permit).
pub async fn uninvite(ctx: &Ctx, asker: Asker<'_>, id: Uuid, invitation: Uuid) -> Result<()> {
    let by = &asker.may(ctx, id, operation::ORGANIZATION_MEMBERS, Role::Admin).await?;
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let entered = enter(ctx, asker, id).await?;
        rules::at_least(entered.role, Role::Admin)?;
        let found = ctx.app.store.get::<Invitation>(invitation).await?;
        let found = found.filter(|one| one.organization_id == id).ok_or(Problem::NotFound)?;
        if !entered.role.is_over(found.role) {
            return Err(Problem::NotAllowed.into());
        }
        let event = note(What::InvitationEnded).actor(standing.actor());
        let event = event.detail(json!({"organization": id, "invitation": invitation}));
        let decision = answer(()).delete(&found).and(entered.unchanged()).and(standing.unchanged());
        Ok(decision.note(&moment, event))
    })
    .await
}

/// An invitation that can be accepted.
pub struct Offer {
    /// The invitation.
    pub invitation: Seen<Invitation>,
    /// The organisation that it leads into.
    pub organization: Seen<Organization>,
    /// What must still be so when it is used.
    inviter: Vec<Change>,
}

impl Offer {
    /// `decision`, which uses it up: only while it can be accepted.
    pub fn used<T>(&self, decision: Decision<T>) -> Decision<T> {
        self.spent(decision).require(&self.organization)
    }

    fn spent<T>(&self, decision: Decision<T>) -> Decision<T> {
        decision.delete(&self.invitation).and(self.inviter.iter().cloned())
    }

    /// The same, by which `user` becomes a member. The organisation is written although nothing of it changes: so
    /// whoever has seen that nobody else is in it sees that somebody is.
    pub fn joins<T>(&self, decision: Decision<T>, user: Uuid, moment: &Moment) -> Decision<T> {
        let Invitation { organization_id, role, .. } = *self.invitation;
        let member = Member {
            id: moment.uuid("member"),
            organization_id,
            user_id: user,
            role,
            created_at: moment.now,
        };
        let detail = json!({"organization": organization_id, "role": role});
        let joined = note(What::MemberJoined).user(user).detail(detail);
        self.spent(decision).update(&self.organization).insert(&member).note(moment, joined)
    }
}

/// The invitation that `text` names, when it can be accepted.
///
/// # Errors
/// [`Problem::CodeGone`] for whatever cannot; [`Problem::LimitReached`].
pub async fn invited(ctx: &Ctx, text: &str) -> Result<Offer> {
    limits::take_by_address(ctx, Limit::CodeTryAddress).await?;
    named_by(ctx, text).await
}

/// The same without counting, where it is decided.
///
/// # Errors
/// [`Problem::CodeGone`].
pub async fn named_by(ctx: &Ctx, text: &str) -> Result<Offer> {
    let token = Token::parse(TokenKind::Invitation, text).ok_or(Problem::CodeGone)?;
    let found = ctx.app.store.get::<Invitation>(token.id).await?;
    let invitation = found.filter(|one| token.matches(&one.digest)).ok_or(Problem::CodeGone)?;
    let inviter = rests_on(ctx, &invitation).await?.ok_or(Problem::CodeGone)?;
    let organization = standing(ctx, invitation.organization_id).await?.ok_or(Problem::CodeGone)?;
    Ok(Offer { invitation, organization, inviter })
}

/// What an invitation rests on, to be required where it is used: whoever made it could make it now, and none of
/// what ends their sessions has happened since. Nothing when that is not so, or its time is over.
async fn rests_on(ctx: &Ctx, invitation: &Invitation) -> Result<Option<Vec<Change>>> {
    if ctx.now >= invitation.expires_at {
        return Ok(None);
    }
    let Some(by) = invitation.invited_by else { return Ok(Some(Vec::new())) };
    let stands =
        |user: &Seen<User>| user.is_active(ctx.now) && invitation.counts_from >= Some(user.sessions_from);
    let Some(user) = ctx.app.store.get::<User>(by).await?.filter(stands) else { return Ok(None) };
    if ctx.policy.staff.may(user.rank(), operation::ADMIN_ORGANIZATIONS) {
        return Ok(Some(vec![Change::require(&user)]));
    }
    let member = membership(ctx, invitation.organization_id, by).await?;
    let member = member.filter(|member| member.role.offers(invitation.role));
    Ok(member.map(|member| vec![Change::require(&user), Change::require(&member)]))
}

/// The invitations that end once `user` is `still` this, or no member: those that they made and could make no
/// more, and those by which they would become again what they are no more.
pub(super) async fn ended_with(
    ctx: &Ctx,
    organization: Uuid,
    user: Uuid,
    still: Option<Role>,
) -> Result<Vec<Change>> {
    let own = identifiers::actions::of_user(ctx, user).await?;
    let ends = |one: &&Seen<Invitation>| {
        let lacks = one.invited_by == Some(user) && !still.is_some_and(|role| role.offers(one.role));
        lacks || still.is_none_or(|role| one.role > role) && own.iter().any(|own| goes_to(one, own))
    };
    let query = Query::<Invitation>::along(Invitation::BY_ORGANIZATION).equal(organization).limit(200);
    Ok(ctx.app.store.find_all(query).await?.iter().filter(ends).map(Change::delete).collect())
}

/// Whether `invitation` went to `address`, and that was shown to be its owner's.
fn goes_to(invitation: &Invitation, address: &Identifier) -> bool {
    address.verified_at.is_some() && address.canonical == invitation.canonical
}

/// Accepts an invitation as the user who is signed in, whose verified address must be the one that it went
/// to. Good once: of many at the same time one joins.
///
/// # Errors
/// [`Problem::CodeGone`]; [`Problem::NotAllowed`] when it went to another address; [`Problem::ActingNever`].
pub async fn accept(ctx: &Ctx, caller: &Caller, text: &str) -> Result<OrganizationView> {
    if caller.session.act.is_some() {
        return Err(Problem::ActingNever.into());
    }
    invited(ctx, text).await?;
    ctx.decide(move |moment| async move {
        let offer = named_by(ctx, text).await?;
        let Offer { invitation, organization, .. } = &offer;
        if invitation.invited_by == Some(caller.user.id) {
            let sentence = "Nobody accepts what they have offered themselves.";
            return Err(Error::new(Problem::NotAllowed).detail(sentence));
        }
        let (session, user) = caller.standing(ctx).await?;
        let own = identifiers::actions::of_user(ctx, user.id).await?;
        let Some(address) = own.iter().find(|own| goes_to(invitation, own)) else {
            let sentence = "This invitation went to another address. Verify it as yours first.";
            return Err(Error::new(Problem::NotAllowed).detail(sentence));
        };
        let before = membership(ctx, organization.id, user.id).await?;
        let role = before.as_ref().map_or(invitation.role, |before| before.role);
        let decision = answer(OrganizationView::new(organization, Some(role)))
            .require(address)
            .require(&session)
            .require(&user);
        Ok(match before {
            // Who is a member stays what they are.
            Some(before) => offer.used(decision).require(&before),
            None => offer.joins(decision, user.id, &moment),
        })
    })
    .await
}
