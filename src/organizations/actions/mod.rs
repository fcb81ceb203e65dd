//! Founding, changing and leaving organisations, and ending them.

mod joining;

pub use joining::{Offer, accept, invitations, invite, invited, named_by, uninvite};

use serde_json::json;
use uuid::Uuid;

use super::rules;
use super::{Invitation, Member, MemberView, Organization, OrganizationView, Role};
use crate::accounts::{self, User};
use crate::acting::{self, Ask};
use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::error::{Error, FieldError, Problem, Result};
use crate::limits::{self, Limit};
use crate::policy::{IdentifierKind, operation};
use crate::secret::Token;
use crate::sessions::{Caller, Session};
use crate::step_up::{By, Standing, permit, staff};
use crate::store::{Change, Cursor, Entity, Index, Page, Query, Seen, answer};
use crate::text;

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

/// Whether `caller` goes by this membership: whoever acts for a member of an organisation sees that one and
/// none of the member's others.
fn goes_by(caller: &Caller, member: &Member) -> bool {
    caller.session.acts_by().is_none_or(|theirs| theirs == member.id)
}

/// The organisation `id`, unless it has ended.
async fn standing(ctx: &Ctx, id: Uuid) -> Result<Option<Seen<Organization>>> {
    Ok(ctx.app.store.get::<Organization>(id).await?.filter(|found| found.ended_at.is_none()))
}

/// The organisation `id`, for whoever may see it: the one door to it.
///
/// # Errors
/// [`Problem::NotFound`], the same for what is not there and for what is somebody else's.
pub async fn enter(ctx: &Ctx, asker: Asker<'_>, id: Uuid) -> Result<Entered> {
    let member = match asker {
        Asker::Member(caller) => {
            let member = membership(ctx, id, caller.user.id).await?;
            Some(member.filter(|member| goes_by(caller, member)).ok_or(Problem::NotFound)?)
        }
        Asker::Staff(_) => None,
    };
    let organization = standing(ctx, id).await?.ok_or(Problem::NotFound)?;
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

    /// Refuses what staff would do to themselves: that is done in one's own account, and by the right of a member.
    fn over(self, user: Uuid) -> Result<()> {
        match self {
            Self::Staff(caller) if caller.user.id == user => Err(Problem::NotAllowed.into()),
            Self::Staff(_) | Self::Member(_) => Ok(()),
        }
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
    let name = text::name(name)?;
    let by = By::User(Box::new(permit(ctx, caller, operation::ORGANIZATION_CREATE).await?));
    limits::take(ctx, Limit::OrganizationUser, &caller.user.id.to_string()).await?;
    let made = make(ctx, &by, &name, caller.user.id).await?;
    Ok(OrganizationView::new(&made, Some(Role::Owner)))
}

/// Founds an organisation for `owner`, by the right of staff.
///
/// # Errors
/// [`Problem::Invalid`], also when there is no such user; [`Problem::NotAllowed`] for oneself; those of
/// [`staff`].
pub async fn found_for(ctx: &Ctx, caller: &Caller, name: &str, owner: Uuid) -> Result<OrganizationView> {
    let by = staff(ctx, caller, operation::ADMIN_ORGANIZATIONS).await?;
    Asker::Staff(caller).over(owner)?;
    let name = text::name(name)?;
    Ok(OrganizationView::new(&make(ctx, &by, &name, owner).await?, None))
}

async fn make(ctx: &Ctx, by: &By, name: &str, owner: Uuid) -> Result<Organization> {
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let user = ctx.app.store.get::<User>(owner).await?.filter(|user| user.is_active(moment.now));
        let user =
            user.ok_or_else(|| Error::from(FieldError::new("owner", "unknown", "There is no such user.")))?;
        let organization = Organization {
            id: moment.uuid("organization"),
            name: name.to_owned(),
            created_at: moment.now,
            updated_at: moment.now,
            ended_at: None,
        };
        let member = Member {
            id: moment.uuid("member"),
            organization_id: organization.id,
            user_id: owner,
            role: Role::Owner,
            created_at: moment.now,
        };
        let event = event(What::OrganizationMade, owner, &standing, organization.id);
        // Whoever founds it for themselves is required anyway.
        let user = (standing.actor() != Some(owner)).then(|| Change::require(&user));
        let decision = answer(organization.clone()).insert(&organization).insert(&member).and(user);
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
    let page = match caller.session.acts_by() {
        // Not even a further page tells of the others.
        Some(theirs) => {
            let member = ctx.app.store.get::<Member>(theirs).await?;
            Page { items: member.into_iter().collect(), next: None }
        }
        None => {
            let query = Query::<Member>::along(Member::BY_USER).equal(caller.user.id).descending();
            ctx.app.store.find(query.after(after).limit(limit)).await?
        }
    };
    let mut items = Vec::new();
    for member in page.items.iter().filter(|member| member.user_id == caller.user.id) {
        let found = standing(ctx, member.organization_id).await?;
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
    let stands = page.items.iter().filter(|one| one.ended_at.is_none());
    let items = stands.map(|one| OrganizationView::new(one, None)).collect();
    Ok(Page { items, next: page.next })
}

/// Gives an organisation another name.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`]; [`Problem::Invalid`]; those of [`permit`].
pub async fn rename(ctx: &Ctx, asker: Asker<'_>, id: Uuid, text: &str) -> Result<OrganizationView> {
    let by = &asker.may(ctx, id, operation::ORGANIZATION_CHANGE, Role::Owner).await?;
    let name = &text::name(text)?;
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let entered = enter(ctx, asker, id).await?;
        rules::at_least(entered.role, Role::Owner)?;
        if entered.organization.name == *name {
            return Ok(answer(entered.view()).and(entered.unchanged()).and(standing.unchanged()));
        }
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

/// Ends an organisation: from then on it is nobody's. Its members and invitations go with it, at once or,
/// when whoever asked does not wait, a little later; the users stay.
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
        let ended = entered.organization.with(|organization| organization.ended_at = Some(moment.now));
        let decision = answer(()).update(&ended).and(member).and(standing.unchanged());
        Ok(decision.note(&moment, event))
    })
    .await?;
    remove(ctx, id).await
}

/// Organisations that one run of the worker begins with.
const ENDED_AT_ONCE: usize = 10;

/// Removes what is left of organisations that have ended; returns how many are gone.
///
/// # Errors
/// The store's.
pub async fn remove_ended(ctx: &Ctx) -> Result<usize> {
    let ended = Query::<Organization>::along(Organization::BY_ENDED).until(ctx.now).limit(ENDED_AT_ONCE);
    let ended = ctx.app.store.find(ended).await?.items;
    for organization in &ended {
        remove(ctx, organization.id).await?;
    }
    Ok(ended.len())
}

/// Removes an organisation that has ended and what belonged to it, page by page; itself last.
async fn remove(ctx: &Ctx, id: Uuid) -> Result<()> {
    remove_all::<Invitation>(ctx, Invitation::BY_ORGANIZATION, id).await?;
    remove_all::<Member>(ctx, Member::BY_ORGANIZATION, id).await?;
    if let Some(ended) = ctx.app.store.get::<Organization>(id).await? {
        ctx.app.store.commit_unless_changed(vec![Change::delete(&ended)]).await?;
    }
    Ok(())
}

async fn remove_all<T: Entity>(ctx: &Ctx, index: Index, organization: Uuid) -> Result<()> {
    loop {
        let page = ctx.app.store.find(Query::<T>::along(index).equal(organization).limit(200)).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        ctx.app.store.commit_unless_changed(page.items.iter().map(Change::delete).collect()).await?;
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
        items.extend(shown(ctx, &entered, member).await?);
    }
    Ok(Page { items, next: page.next })
}

/// One member of an organisation.
///
/// # Errors
/// [`Problem::NotFound`], also for whoever is no member.
pub async fn member(ctx: &Ctx, asker: Asker<'_>, id: Uuid, user: Uuid) -> Result<MemberView> {
    let entered = enter(ctx, asker, id).await?;
    let member = membership(ctx, id, user).await?.ok_or(Problem::NotFound)?;
    shown(ctx, &entered, &member).await?.ok_or(Problem::NotFound.into())
}

/// A member, as whoever has entered sees them; nothing when there is no such user any more.
async fn shown(ctx: &Ctx, entered: &Entered, member: &Member) -> Result<Option<MemberView>> {
    let Some(user) = ctx.app.store.get::<User>(member.user_id).await? else { return Ok(None) };
    let view = accounts::view(ctx, &user).await?;
    let verified = view.identifiers.iter().any(|one| one.verified && one.kind == IdentifierKind::Email);
    Ok(Some(MemberView {
        user: user.id,
        username: view.username,
        name: view.name,
        email: view.email.filter(|_| verified && entered.role >= Role::Admin),
        role: member.role,
        joined_at: member.created_at,
    }))
}

/// An owner beside `member` who can sign in, and their membership.
async fn another_owner(ctx: &Ctx, member: &Member) -> Result<Option<(Seen<User>, Seen<Member>)>> {
    let mut after = None;
    loop {
        let owners = Query::<Member>::along(Member::BY_ROLE).equal(member.organization_id).equal(Role::Owner);
        let page = ctx.app.store.find(owners.after(after).limit(50)).await?;
        for other in page.items.into_iter().filter(|other| other.id != member.id) {
            let user = ctx.app.store.get::<User>(other.user_id).await?;
            if let Some(user) = user.filter(|user| user.is_active(ctx.now)) {
                return Ok(Some((user, other)));
            }
        }
        match page.next {
            None => return Ok(None),
            next => after = next,
        }
    }
}

/// That an owner is left when `member` is one no more: what to require. Whoever asks is required anyway.
async fn spare(ctx: &Ctx, member: &Member, own: Option<&Seen<Member>>, by: &Standing) -> Result<Vec<Change>> {
    let (user, other) = another_owner(ctx, member).await?.ok_or(Problem::LastAdministrator)?;
    let user = (by.actor() != Some(user.id)).then(|| Change::require(&user));
    let other = (own.map(|own| own.id) != Some(other.id)).then(|| Change::require(&other));
    Ok(user.into_iter().chain(other).collect())
}

/// What `user` owns and stands: each organisation, and the membership.
async fn owned(ctx: &Ctx, user: Uuid) -> Result<Vec<(Seen<Organization>, Seen<Member>)>> {
    let mut owned = Vec::new();
    let members = Query::<Member>::along(Member::BY_USER).equal(user).limit(200);
    for member in ctx.app.store.find_all(members).await? {
        if member.role == Role::Owner {
            owned.extend(standing(ctx, member.organization_id).await?.map(|found| (found, member)));
        }
    }
    Ok(owned)
}

/// On what it rests that `user` may go.
#[derive(Default)]
pub struct Heirs {
    /// Those who own, beside `user`, what `user` owns: they must still be there.
    pub users: Vec<Seen<User>>,
    /// By which they own it, and that nobody has come to where `user` is alone.
    pub unchanged: Vec<Change>,
}

/// Who has what `user` owns when `user` goes.
///
/// # Errors
/// [`Problem::LastAdministrator`] when others would be left in an organisation that nobody owns.
pub async fn heirs(ctx: &Ctx, user: Uuid) -> Result<Heirs> {
    let mut heirs = Heirs::default();
    // The organisation was read before who is in it: whoever joins writes it.
    for (organization, member) in owned(ctx, user).await? {
        match another_owner(ctx, &member).await? {
            Some((user, member)) => {
                heirs.users.push(user);
                heirs.unchanged.push(Change::require(&member));
            }
            None if is_alone(ctx, &member).await? => heirs.unchanged.push(Change::require(&organization)),
            None => {
                let sentence = "You alone own an organisation that has other members. Make one of them an owner, \
                                or end it, first.";
                return Err(Error::new(Problem::LastAdministrator).detail(sentence));
            }
        }
    }
    Ok(heirs)
}

/// Ends what `user` owned and nobody else is in: their account is removed. Whether all of that has ended; not
/// when others change it at the same time.
///
/// # Errors
/// The store's.
pub async fn end_with(ctx: &Ctx, user: Uuid) -> Result<bool> {
    for (organization, member) in owned(ctx, user).await? {
        if is_alone(ctx, &member).await? {
            let ended = organization.with(|organization| organization.ended_at = Some(ctx.now));
            let event = note(What::OrganizationEnded).detail(json!({"organization": ended.id}));
            let decision = answer(()).update(&ended).require(&member).note(&ctx.moment(), event);
            if !ctx.app.store.commit_unless_changed(decision.changes).await? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn is_alone(ctx: &Ctx, member: &Member) -> Result<bool> {
    let query = Query::<Member>::along(Member::BY_ORGANIZATION).equal(member.organization_id).limit(2);
    Ok(ctx.app.store.find(query).await?.items.iter().all(|one| one.id == member.id))
}

/// Gives a member another role.
///
/// # Errors
/// [`Problem::NotFound`]; [`Problem::NotAllowed`]; [`Problem::LastAdministrator`]; those of [`permit`].
pub async fn set_role(ctx: &Ctx, asker: Asker<'_>, id: Uuid, user: Uuid, role: Role) -> Result<()> {
    let by = &asker.may(ctx, id, operation::ORGANIZATION_MEMBERS, Role::Admin).await?;
    asker.over(user)?;
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let entered = enter(ctx, asker, id).await?;
        let member = membership(ctx, id, user).await?.ok_or(Problem::NotFound)?;
        rules::may_change(entered.role, &member, role)?;
        if member.role == role {
            return Ok(answer(()).and(standing.unchanged()));
        }
        let spare = match member.role {
            Role::Owner => spare(ctx, &member, entered.member.as_ref(), &standing).await?,
            _ => Vec::new(),
        };
        let ended = joining::ended_with(ctx, id, user, Some(role)).await?;
        let detail = json!({"organization": id, "before": member.role, "after": role});
        let event = event(What::MemberChanged, user, &standing, id).detail(detail);
        let is_self = entered.member.as_ref().is_some_and(|own| own.id == member.id);
        let unchanged =
            if is_self { vec![Change::require(&entered.organization)] } else { entered.unchanged() };
        let member = member.with(|member| member.role = role);
        let decision = answer(()).update(&member).and(unchanged).and(spare).and(ended);
        let decision = decision.and(standing.unchanged());
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
    asker.over(user)?;
    ctx.decide(move |moment| async move {
        let standing = by.standing(ctx).await?;
        let entered = enter(ctx, asker, id).await?;
        let member = membership(ctx, id, user).await?.ok_or(Problem::NotFound)?;
        rules::may_remove(entered.role, &member, is_self)?;
        let spare = match member.role {
            Role::Owner => spare(ctx, &member, entered.member.as_ref(), &standing).await?,
            _ => Vec::new(),
        };
        let ended = joining::ended_with(ctx, id, user, None).await?;
        let event = event(What::MemberRemoved, user, &standing, id);
        let unchanged =
            if is_self { vec![Change::require(&entered.organization)] } else { entered.unchanged() };
        let decision = answer(()).delete(&member).and(unchanged).and(spare).and(ended);
        let decision = decision.and(standing.unchanged());
        Ok(decision.note(&moment, event))
    })
    .await
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
