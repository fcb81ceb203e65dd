//! Founding, joining, changing and leaving organisations.

use serde_json::json;
use uuid::Uuid;

use super::rules;
use super::{Invitation, InvitationView, Member, MemberView, Organization, OrganizationView, Role};
use crate::accounts::{self, User};
use crate::acting::{self, Ask};
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::error::{Error, FieldError, Problem, Result};
use crate::identifiers::{self, Email, Identifier, Name};
use crate::limits::{self, Limit, Postage, Sender};
use crate::messages::{self, Kind, Message, Notice};
use crate::policy::{IdentifierKind, operation};
use crate::secret::{Token, TokenKind};
use crate::sessions::{Caller, Session};
use crate::step_up::{By, Standing, permit, staff};
use crate::store::{Change, Cursor, Decision, Entity, Index, Page, Query, Seen, StoreError, answer};
use crate::words::Locale;

/// Who asks about an organisation: a member, or whoever may see and change them all.
#[derive(Clone, Copy, Debug)]
pub enum Asker<'a> {
    /// By their own membership.
    Member(&'a Caller),
    /// By their role in the house.
    Staff(&'a Caller),
}

/// An organisation as whoever asks may see it.
pub struct Entered {
    /// The organisation.
    pub organization: Seen<Organization>,
    /// What whoever asks may do there: as much as an owner for staff.
    pub role: Role,
    /// Their membership; none for staff.
    pub member: Option<Seen<Member>>,
}

/// What somebody is in an organisation, when they are a member.
async fn membership(ctx: &Ctx, organization: Uuid, user: Uuid) -> Result<Option<Seen<Member>>> {
    let both = Query::along(Member::BY_BOTH).equal(organization).equal(user);
    Ok(ctx.app.store.first(both).await?)
}

/// The organisation `id`, for whoever may see it: the one door to it.
///
/// # Errors
/// [`Problem::NotFound`], the same for what is not there and for what is somebody else's.
pub async fn enter(ctx: &Ctx, asker: Asker<'_>, id: Uuid) -> Result<Entered> {
    let member = match asker {
        Asker::Member(caller) => Some(membership(ctx, id, caller.user.id).await?.ok_or(Problem::NotFound)?),
        Asker::Staff(_) => None,
    };
    let organization = ctx.app.store.get::<Organization>(id).await?.ok_or(Problem::NotFound)?;
    Ok(Entered { organization, role: member.as_ref().map_or(Role::Owner, |member| member.role), member })
}

impl Entered {
    /// What whoever asks sees of it.
    pub fn view(&self) -> OrganizationView {
        OrganizationView::new(&self.organization, self.member.as_ref().map(|member| member.role))
    }

    /// That they still are what they are, and it is still there.
    fn unchanged(&self) -> Vec<Change> {
        let member = self.member.as_ref().map(Change::require);
        member.into_iter().chain([Change::require(&self.organization)]).collect()
    }
}

impl Asker<'_> {
    /// The right to see, for staff; members see by being members.
    ///
    /// # Errors
    /// Those of [`staff`].
    pub async fn reads(self, ctx: &Ctx) -> Result<()> {
        if let Self::Staff(caller) = self {
            staff(ctx, caller, operation::ADMIN_READ).await?;
        }
        Ok(())
    }

    /// The right to do `operation` in the organisation, after the look whether it is theirs at all and
    /// whether they are at least `least` there.
    async fn may(self, ctx: &Ctx, id: Uuid, operation: &str, least: Role) -> Result<By> {
        match self {
            Self::Staff(caller) => staff(ctx, caller, operation::ADMIN_ORGANIZATIONS).await,
            Self::Member(caller) => {
                rules::at_least(enter(ctx, self, id).await?.role, least)?;
                Ok(By::User(Box::new(permit(ctx, caller, operation).await?)))
            }
        }
    }
}

/// Founds an organisation, whose owner is whoever asks.
///
/// # Errors
/// [`Problem::Invalid`]; [`Problem::LimitReached`]; those of [`permit`].
pub async fn found(ctx: &Ctx, caller: &Caller, name: &str) -> Result<OrganizationView> {
    let name = rules::name(name)?;
    let by = By::User(Box::new(permit(ctx, caller, operation::ORGANIZATION_CREATE).await?));
    limits::take(ctx, Limit::OrganizationUser, &caller.user.id.to_string()).await?;
    let made = make(ctx, &by, &name, caller.user.id).await?;
    Ok(OrganizationView::new(&made, Some(Role::Owner)))
}

/// Founds an organisation for `owner`, by the right of staff.
///
/// # Errors
/// [`Problem::Invalid`], also when there is no such user; those of [`staff`].
pub async fn found_for(ctx: &Ctx, caller: &Caller, name: &str, owner: Uuid) -> Result<OrganizationView> {
    let by = staff(ctx, caller, operation::ADMIN_ORGANIZATIONS).await?;
    let name = rules::name(name)?;
    if ctx.app.store.get::<User>(owner).await?.is_none() {
        return Err(nobody("owner"));
    }
    Ok(OrganizationView::new(&make(ctx, &by, &name, owner).await?, None))
}

fn nobody(field: &'static str) -> Error {
    Error::invalid(vec![FieldError::new(field, "unknown", "There is no such user.")])
}

async fn make(ctx: &Ctx, by: &By, name: &str, owner: Uuid) -> Result<Organization> {
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let organization = Organization {
            id: moment.uuid("organization"),
            name: name.to_owned(),
            created_at: moment.now,
            updated_at: moment.now,
        };
        let member = Member {
            id: moment.uuid("member"),
            organization_id: organization.id,
            user_id: owner,
            role: Role::Owner,
            created_at: moment.now,
        };
        let event = event(What::OrganizationMade, owner, &standing, organization.id);
        let decision = answer(organization.clone()).insert(&organization).insert(&member);
        Ok(decision.and(standing.unchanged()).note(&moment, event))
    })
    .await
}

/// Something that happened to `user` in an organisation; whoever did it is named when it was another.
fn event(what: What, user: Uuid, standing: &Standing, organization: Uuid) -> crate::audit::Note {
    let actor = standing.actor().filter(|actor| *actor != user);
    note(what).user(user).actor(actor).detail(json!({"organization": organization}))
}

/// One's own organisations, the newest first.
///
/// # Errors
/// The store's.
pub async fn own(
    ctx: &Ctx,
    caller: &Caller,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<OrganizationView>> {
    let query = Query::<Member>::along(Member::BY_USER).equal(caller.user.id).descending();
    let page = ctx.app.store.find(query.after(after).limit(limit)).await?;
    let mut items = Vec::new();
    for member in &page.items {
        let found = ctx.app.store.get::<Organization>(member.organization_id).await?;
        items.extend(found.map(|found| OrganizationView::new(&found, Some(member.role))));
    }
    Ok(Page { items, next: page.next })
}

/// Every organisation, the newest first.
///
/// # Errors
/// The store's.
pub async fn all(ctx: &Ctx, after: Option<Cursor>, limit: usize) -> Result<Page<OrganizationView>> {
    let query = Query::<Organization>::along(Organization::BY_CREATED).descending();
    let page = ctx.app.store.find(query.after(after).limit(limit)).await?;
    let items = page.items.iter().map(|one| OrganizationView::new(one, None)).collect();
    Ok(Page { items, next: page.next })
}

/// Gives an organisation another name.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`]; [`Problem::Invalid`]; those of [`permit`].
pub async fn rename(ctx: &Ctx, asker: Asker<'_>, id: Uuid, text: &str) -> Result<OrganizationView> {
    let by = &asker.may(ctx, id, operation::ORGANIZATION_CHANGE, Role::Owner).await?;
    let name = &rules::name(text)?;
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let entered = enter(ctx, asker, id).await?;
        rules::at_least(entered.role, Role::Owner)?;
        let role = entered.member.as_ref().map(|member| member.role);
        let member = entered.member.as_ref().map(Change::require);
        let organization = entered.organization.with(|organization| {
            organization.name.clone_from(name);
            organization.updated_at = moment.now;
        });
        let event =
            note(What::OrganizationChanged).actor(standing.actor()).detail(json!({"organization": id}));
        let decision = answer(OrganizationView::new(&organization, role)).update(&organization).and(member);
        Ok(decision.and(standing.unchanged()).note(&moment, event))
    })
    .await
}

/// Ends an organisation: its members and invitations go with it; the users stay.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`]; those of [`permit`].
pub async fn end(ctx: &Ctx, asker: Asker<'_>, id: Uuid) -> Result<()> {
    let by = &asker.may(ctx, id, operation::ORGANIZATION_CHANGE, Role::Owner).await?;
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let entered = enter(ctx, asker, id).await?;
        rules::at_least(entered.role, Role::Owner)?;
        let member = entered.member.as_ref().map(Change::require);
        let event = note(What::OrganizationEnded).actor(standing.actor()).detail(json!({"organization": id}));
        let decision = answer(()).delete(&entered.organization).and(member).and(standing.unchanged());
        Ok(decision.note(&moment, event))
    })
    .await?;
    remove::<Invitation>(ctx, Invitation::BY_ORGANIZATION, id).await?;
    remove::<Member>(ctx, Member::BY_ORGANIZATION, id).await
}

/// Removes what belonged to an organisation that is gone, page by page. Without the organisation none of it
/// means anything.
async fn remove<T: Entity>(ctx: &Ctx, index: Index, organization: Uuid) -> Result<()> {
    loop {
        let page = ctx.app.store.find(Query::<T>::along(index).equal(organization).limit(200)).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        match ctx.app.store.commit(page.items.iter().map(Change::delete).collect()).await {
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

/// The members, the newest first. Their addresses are for administrators.
///
/// # Errors
/// [`Problem::NotFound`].
pub async fn members(
    ctx: &Ctx,
    asker: Asker<'_>,
    id: Uuid,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<MemberView>> {
    let entered = enter(ctx, asker, id).await?;
    let query = Query::<Member>::along(Member::BY_ORGANIZATION).equal(id).descending();
    let page = ctx.app.store.find(query.after(after).limit(limit)).await?;
    let mut items = Vec::new();
    for member in &page.items {
        let Some(user) = ctx.app.store.get::<User>(member.user_id).await? else { continue };
        let view = accounts::view(ctx, &user).await?;
        let verified = view.identifiers.iter().any(|one| one.verified && one.kind == IdentifierKind::Email);
        items.push(MemberView {
            user: user.id,
            username: view.username,
            name: view.name,
            email: view.email.filter(|_| verified && entered.role >= Role::Admin),
            role: member.role,
            joined_at: member.created_at,
        });
    }
    Ok(Page { items, next: page.next })
}

/// That an owner is left when `member` is one no more: the record to require.
async fn spare(ctx: &Ctx, member: &Member, own: Option<&Seen<Member>>) -> Result<Option<Change>> {
    let owners = Query::<Member>::along(Member::BY_ROLE).equal(member.organization_id).equal(Role::Owner);
    let owners = ctx.app.store.find(owners.limit(2)).await?.items;
    let other = owners.into_iter().find(|one| one.id != member.id).ok_or(Problem::LastAdministrator)?;
    // Whoever asks is required anyway.
    Ok((own.map(|own| own.id) != Some(other.id)).then(|| Change::require(&other)))
}

/// Gives a member another role.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`]; [`Problem::LastAdministrator`]; those of [`permit`].
pub async fn set_role(ctx: &Ctx, asker: Asker<'_>, id: Uuid, user: Uuid, role: Role) -> Result<()> {
    let by = &asker.may(ctx, id, operation::ORGANIZATION_MEMBERS, Role::Admin).await?;
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let entered = enter(ctx, asker, id).await?;
        let member = membership(ctx, id, user).await?.ok_or(Problem::NotFound)?;
        rules::may_change(entered.role, &member, role)?;
        let loses = member.role == Role::Owner && role != Role::Owner;
        let spare = if loses { spare(ctx, &member, entered.member.as_ref()).await? } else { None };
        let detail = json!({"organization": id, "before": member.role, "after": role});
        let event = event(What::MemberChanged, user, &standing, id).detail(detail);
        let is_self = entered.member.as_ref().is_some_and(|own| own.id == member.id);
        let unchanged =
            if is_self { vec![Change::require(&entered.organization)] } else { entered.unchanged() };
        let member = member.with(|member| member.role = role);
        let decision = answer(()).update(&member).and(unchanged).and(spare).and(standing.unchanged());
        Ok(decision.note(&moment, event))
    })
    .await
}

/// Takes a member out of an organisation; everybody may leave by themselves.
///
/// # Errors
/// As [`set_role`].
pub async fn remove_member(ctx: &Ctx, asker: Asker<'_>, id: Uuid, user: Uuid) -> Result<()> {
    let is_self = matches!(asker, Asker::Member(caller) if caller.user.id == user);
    let least = if is_self { Role::Member } else { Role::Admin };
    let by = &asker.may(ctx, id, operation::ORGANIZATION_MEMBERS, least).await?;
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let entered = enter(ctx, asker, id).await?;
        let member = membership(ctx, id, user).await?.ok_or(Problem::NotFound)?;
        rules::may_remove(entered.role, &member, is_self)?;
        let spare = match member.role {
            Role::Owner => spare(ctx, &member, entered.member.as_ref()).await?,
            _ => None,
        };
        let event = event(What::MemberRemoved, user, &standing, id);
        let unchanged =
            if is_self { vec![Change::require(&entered.organization)] } else { entered.unchanged() };
        let decision = answer(()).delete(&member).and(unchanged).and(spare).and(standing.unchanged());
        Ok(decision.note(&moment, event))
    })
    .await
}

/// Asks somebody to join, by a mail with a link and a code that are good once. Asking again takes the place
/// of what was asked before. Nothing tells whether the address has an account.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`]; [`Problem::Invalid`]; [`Problem::LimitReached`]; those of
/// [`permit`].
pub async fn invite(
    ctx: &Ctx,
    asker: Asker<'_>,
    id: Uuid,
    email: &str,
    role: Role,
) -> Result<InvitationView> {
    let by = &asker.may(ctx, id, operation::ORGANIZATION_MEMBERS, Role::Admin).await?;
    let email = &Email::parse(email).map_err(|error| Error::invalid(vec![error]))?;
    let asks = by.actor().unwrap_or_default().to_string();
    limits::take(ctx, Limit::InvitationUser, &asks).await?;
    let sender = Sender::Notice(Notice::Invited.as_str());
    let postage = &limits::postage(ctx, email.value(), sender).await?;
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let entered = enter(ctx, asker, id).await?;
        rules::at_least(entered.role, Role::Admin)?;
        if !entered.role.is_over(role) {
            return Err(Problem::NotAllowed.into());
        }
        let canonical = Name::Email(email.clone()).canonical();
        let address = Query::<Invitation>::along(Invitation::BY_ADDRESS).equal(id).equal(canonical.clone());
        let before = ctx.app.store.first(address).await?;
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
        channel: Kind::Email,
        to: &invitation.email,
        // Nobody is known by the address until it is accepted.
        user: Uuid::nil(),
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
    let mut page = ctx.app.store.find(query.after(after).limit(limit)).await?;
    page.items.retain(|invitation| ctx.now < invitation.expires_at);
    Ok(page)
}

/// Takes an invitation back.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`]; those of [`permit`].
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

/// The invitation that `token` names, when it can be accepted.
///
/// # Errors
/// [`Problem::CodeGone`] for whatever cannot; [`Problem::LimitReached`].
pub async fn invited(ctx: &Ctx, text: &str) -> Result<Seen<Invitation>> {
    limits::take_by_address(ctx, Limit::CodeTryAddress).await?;
    let token = Token::parse(TokenKind::Invitation, text).ok_or(Problem::CodeGone)?;
    named(ctx, &token).await
}

/// The same without counting, where it is decided.
///
/// # Errors
/// [`Problem::CodeGone`].
pub async fn named_by(ctx: &Ctx, text: &str) -> Result<Seen<Invitation>> {
    named(ctx, &Token::parse(TokenKind::Invitation, text).ok_or(Problem::CodeGone)?).await
}

async fn named(ctx: &Ctx, token: &Token) -> Result<Seen<Invitation>> {
    let found = ctx.app.store.get::<Invitation>(token.id).await?;
    let stands = |one: &Seen<Invitation>| token.matches(&one.digest) && ctx.now < one.expires_at;
    Ok(found.filter(stands).ok_or(Problem::CodeGone)?)
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
    let token = &Token::parse(TokenKind::Invitation, text).ok_or(Problem::CodeGone)?;
    ctx.decide(move |moment| async move {
        let invitation = named(ctx, token).await?;
        let user = ctx.app.store.get::<User>(caller.user.id).await?.ok_or(Problem::Unauthenticated)?;
        let session =
            ctx.app.store.get::<Session>(caller.session.id).await?.ok_or(Problem::Unauthenticated)?;
        let own = identifiers::actions::of_user(ctx, user.id).await?;
        let is_theirs =
            |one: &&Seen<Identifier>| one.verified_at.is_some() && one.canonical == invitation.canonical;
        let Some(address) = own.iter().find(is_theirs) else {
            let sentence = "This invitation went to another address. Verify it as yours first.";
            return Err(Error::new(Problem::NotAllowed).detail(sentence));
        };
        let organization = ctx.app.store.get::<Organization>(invitation.organization_id).await?;
        let organization = organization.ok_or(Problem::CodeGone)?;
        let before = membership(ctx, organization.id, user.id).await?;
        let role = before.as_ref().map_or(invitation.role, |before| before.role);
        let decision = answer(OrganizationView::new(&organization, Some(role)))
            .delete(&invitation)
            .require(&organization)
            .require(address)
            .require(&session)
            .require(&user);
        Ok(match before {
            // Who is a member stays what they are.
            Some(before) => decision.require(&before),
            None => joins(decision, &invitation, user.id, &moment),
        })
    })
    .await
}

/// The user becomes a member by the invitation, which the decision deletes.
pub fn joins<T>(decision: Decision<T>, invitation: &Invitation, user: Uuid, moment: &Moment) -> Decision<T> {
    let member = Member {
        id: moment.uuid("member"),
        organization_id: invitation.organization_id,
        user_id: user,
        role: invitation.role,
        created_at: moment.now,
    };
    let detail = json!({"organization": invitation.organization_id, "role": invitation.role});
    decision.insert(&member).note(moment, note(What::MemberJoined).user(user).detail(detail))
}

/// Begins to act for a member, where the policy lets administrators of organisations do that.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`]; those of [`acting::begin`] and [`permit`].
pub async fn act(
    ctx: &Ctx,
    caller: &Caller,
    id: Uuid,
    user: Uuid,
    ask: &Ask,
) -> Result<(Seen<Session>, Token)> {
    let entered = enter(ctx, Asker::Member(caller), id).await?;
    let member = membership(ctx, id, user).await?.ok_or(Problem::NotFound)?;
    let own = entered.member.ok_or(Problem::NotFound)?;
    if !own.is_over(&member) {
        return Err(Problem::NotAllowed.into());
    }
    let by = By::User(Box::new(permit(ctx, caller, operation::ORGANIZATION_ACT).await?));
    acting::begin(ctx, &by, operation::ORGANIZATION_ACT, user, ask, Some(&[own, member])).await
}
