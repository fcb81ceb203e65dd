//! Everything that is held about a user, as they may have it: never a hash, a key or a code.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::accounts::{self, Status, UserView};
use crate::app::Ctx;
use crate::audit::{Event, Noting, What, note};
use crate::calls::{Call, CallView};
use crate::challenges::{Challenge, Purpose};
use crate::clock::Timestamp;
use crate::devices::{Device, DeviceView};
use crate::error::Result;
use crate::factors::{self, FactorView};
use crate::identifiers::IdentifierView;
use crate::limits::{self, Limit};
use crate::messages::{self, Message};
use crate::notices::{self, About, Notice};
use crate::organizations::{Member, Organization, Role};
use crate::passwords::Password;
use crate::policy::{FactorKind, operation};
use crate::sessions::{Caller, Session, SessionView};
use crate::step_up::permit;
use crate::store::{Cursor, Entity, Index, Page, Query, Seen, answer};
use crate::undo::{self, Undo};
use crate::words::Locale;

/// Something that happened, as the user sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct EventView {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Which kind of event, for programs.
    pub event: What,
    /// What happened, for people.
    pub what: String,
    /// Who did it, when it was not the user.
    pub actor: Option<Uuid>,
    /// In or about which session.
    pub session: Option<Uuid>,
    /// From which address.
    pub ip: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// More, by the kind of event.
    pub detail: serde_json::Value,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        // Where somebody else was when they did it, and what they noted for their colleagues, is not the user's.
        let own = event.actor_id.is_none_or(|actor| Some(actor) == event.user_id);
        let mut detail = event.detail.clone();
        if let Some(told) = detail.as_object_mut().filter(|_| event.what == What::Suspended) {
            told.remove("reason");
        }
        Self {
            id: event.id,
            at: event.at,
            event: event.what,
            what: event.what.sentence(Locale::En),
            actor: event.actor_id,
            session: event.session_id,
            ip: own.then(|| event.address.clone()).flatten(),
            user_agent: own.then(|| event.user_agent.clone()).flatten(),
            detail,
        }
    }
}

/// Something that the user did to somebody else, or to an organisation. Whom it befell, and how, is theirs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Act")]
pub struct ActView {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Which kind of event, for programs.
    pub event: What,
    /// From which address.
    pub ip: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
}

/// An organisation that the user is a member of.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Membership")]
pub struct MembershipView {
    /// The organisation.
    pub id: Uuid,
    /// What it is called; none once it has ended.
    pub name: Option<String>,
    /// What the user may do there.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// A message that was sent to the user, without its text.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "MessageSent")]
pub struct MessageView {
    /// By which way.
    pub kind: messages::Channel,
    /// What it was for.
    pub purpose: String,
    /// Where it went.
    pub to: String,
    /// How far it came.
    pub status: messages::Status,
    /// When it was decided on.
    pub created_at: Timestamp,
}

fn shown(message: &Message) -> Option<MessageView> {
    message.told_to().map(|_| MessageView {
        kind: message.kind,
        purpose: message.purpose.clone(),
        to: message.to.clone(),
        status: message.status,
        created_at: message.created_at,
    })
}

/// Something that was asked and not yet answered.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Asked")]
pub struct AskedView {
    /// What an answer is for.
    pub purpose: Purpose,
    /// Which kind of factor is asked for.
    pub factor: FactorKind,
    /// Where the code went.
    pub sent_to: Option<String>,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When no answer counts any more.
    pub expires_at: Timestamp,
}

/// Something that can be undone with a link that was sent.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Undoable")]
pub struct UndoView {
    /// What would be undone: `change`, `deletion` or `not_me`.
    pub what: &'static str,
    /// Of a change: the identifier that would be put back.
    pub before: Option<IdentifierView>,
    /// Of what one may not have done oneself: the operation.
    pub operation: Option<String>,
    /// When it was done.
    pub created_at: Timestamp,
    /// Until when it can be undone.
    pub expires_at: Timestamp,
}

/// The answer of `GET /users/me/export`: everything that is held about oneself. Not in it: hashes, keys and codes; what
/// tells of others, such as whom one invited; what the house keeps under a keyed hash, and forgets by itself, to count or
/// to answer a request a second time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Export {
    /// When it was put together.
    pub at: Timestamp,
    /// The account, with every identifier.
    pub user: UserView,
    /// Where it stands.
    pub status: Status,
    /// When the password was last changed; the password itself is not kept.
    pub password_changed_at: Option<Timestamp>,
    /// The factors, without their keys and codes.
    pub factors: Vec<FactorView>,
    /// The sessions that are on record.
    pub sessions: Vec<SessionView>,
    /// The devices that the user is known on.
    pub devices: Vec<DeviceView>,
    /// The calls that the user asked for, the newest first.
    pub calls: Vec<CallView>,
    /// The organisations that the user is a member of, the newest membership first.
    pub organizations: Vec<MembershipView>,
    /// What happened, the newest first.
    pub activity: Vec<EventView>,
    /// What the user did to others, the newest first.
    pub acts: Vec<ActView>,
    /// What was sent, the newest first; without the mails that were to show whose an address is: that one went out
    /// would tell that the address is nobody's.
    pub messages: Vec<MessageView>,
    /// What was asked and is not yet answered.
    pub challenges: Vec<AskedView>,
    /// What can be undone.
    pub undos: Vec<UndoView>,
}

/// Everything that is held about oneself.
///
/// # Errors
/// Those of [`permit`]; [`LimitReached`](crate::error::Problem::LimitReached) when the policy has the user told
/// and nobody can be; the store's.
pub async fn export(ctx: &Ctx, caller: &Caller) -> Result<Export> {
    let permit = &permit(ctx, caller, operation::EXPORT).await?;
    limits::take(ctx, Limit::ExportUser, &caller.user.id.to_string()).await?;
    let about = About::operation(operation::EXPORT, Notice::DataExported);
    let told = &notices::prepare(ctx, &caller.user, about).await?;
    let paid = || told.postage();
    limits::decide(ctx, paid, move |moment| async move {
        let (session, user) = permit.standing(ctx).await?;
        let event = note(What::Exported).user(user.id).session(session.id);
        let decision = answer(()).require(&session).require(&user).note(&moment, event);
        Ok(decision.and(told.changes(ctx, &moment)))
    })
    .await?;
    let (user, id) = (&caller.user, caller.user.id);
    let password = ctx.app.store.get::<Password>(id).await?;
    Ok(Export {
        at: ctx.now,
        user: accounts::view(ctx, user).await?,
        status: user.status,
        password_changed_at: password.map(|password| password.changed_at),
        factors: factors::of_user(ctx, id).await?.iter().map(|factor| factor.view()).collect(),
        sessions: all(ctx, Session::BY_USER, id, |one: &Session| one.view(one.id == caller.session.id))
            .await?,
        devices: all(ctx, Device::BY_USER, id, |one: &Device| {
            one.view(Some(one.id) == caller.session.device_id, ctx.now)
        })
        .await?,
        calls: all(ctx, Call::BY_USER, id, Call::view).await?,
        organizations: organizations(ctx, id).await?,
        activity: all(ctx, Event::BY_USER, id, |one: &Event| one.into()).await?,
        acts: all(ctx, Event::BY_ACTOR, id, act).await?.into_iter().flatten().collect(),
        messages: all(ctx, Message::BY_USER, id, shown).await?.into_iter().flatten().collect(),
        challenges: all(ctx, Challenge::BY_USER, id, |one: &Challenge| AskedView {
            purpose: one.purpose,
            factor: one.factor,
            sent_to: one.sent_to.clone(),
            created_at: one.created_at,
            expires_at: one.expires_at,
        })
        .await?,
        undos: all(ctx, Undo::BY_USER, id, |one: &Undo| UndoView {
            what: one.what.word(),
            before: one.before().map(|before| IdentifierView {
                kind: before.kind,
                value: before.value.clone(),
                verified: true,
            }),
            operation: match &one.what {
                undo::What::NotMe { operation } => Some(operation.clone()),
                undo::What::Change { .. } | undo::What::Deletion => None,
            },
            created_at: one.created_at,
            expires_at: one.expires_at,
        })
        .await?,
    })
}

async fn organizations(ctx: &Ctx, user: Uuid) -> Result<Vec<MembershipView>> {
    let of = |one: &Member| (one.organization_id, one.role, one.created_at);
    let mut memberships = Vec::new();
    for (id, role, joined_at) in all(ctx, Member::BY_USER, user, of).await? {
        let found = ctx.app.store.get::<Organization>(id).await?;
        let name = found.filter(|one| one.ended_at.is_none()).map(|one| one.name.clone());
        memberships.push(MembershipView { id, name, role, joined_at });
    }
    Ok(memberships)
}

fn act(event: &Event) -> Option<ActView> {
    (event.user_id != event.actor_id).then(|| ActView {
        id: event.id,
        at: event.at,
        event: event.what,
        ip: event.address.clone(),
        user_agent: event.user_agent.clone(),
    })
}

/// Every record of the user along this index, the newest first.
async fn all<T: Entity, V>(ctx: &Ctx, by_user: Index, user: Uuid, view: impl Fn(&T) -> V) -> Result<Vec<V>> {
    let (mut views, mut after) = (Vec::new(), None);
    loop {
        let query = Query::<T>::along(by_user).equal(user).descending().after(after).limit(200);
        let page = ctx.app.store.find(query).await?;
        views.extend(page.items.iter().map(|seen| view(seen)));
        match page.next {
            None => return Ok(views),
            next => after = next,
        }
        // A page of SQLite is read on this very thread: whoever else is answered here comes in between.
        tokio::task::yield_now().await;
    }
}

/// One's own events, the newest first. Whoever acts for a member of an organisation sees nothing of the member's
/// others: pages are filled with what is left, and a further one is named only when it holds something.
///
/// # Errors
/// The store's.
pub async fn activity(
    ctx: &Ctx,
    caller: &Caller,
    mut after: Option<Cursor>,
    limit: usize,
) -> Result<Page<Seen<Event>>> {
    let own = || Query::along(Event::BY_USER).equal(caller.user.id).descending();
    let Some(membership) = caller.session.acts_by() else {
        return Ok(ctx.app.store.find(own().after(after).limit(limit)).await?);
    };
    let member = ctx.app.store.get::<Member>(membership).await?;
    let inside = member.map(|member| json!(member.organization_id));
    let is_shown = |event: &Seen<Event>| {
        let named = event.detail.get("organization");
        named.is_none_or(|named| inside.as_ref() == Some(named))
    };
    let mut page = Page { items: Vec::new(), next: None };
    loop {
        let room = limit.saturating_sub(page.items.len());
        let found =
            ctx.app.store.find(own().after(after).limit(if room == 0 { limit } else { room })).await?;
        let mut shown = found.items.into_iter().filter(is_shown);
        if room == 0 && shown.next().is_some() {
            return Ok(page);
        } else if room > 0 {
            page.items.extend(shown);
            page.next.clone_from(&found.next);
        }
        match found.next {
            None => return Ok(Page { next: None, ..page }),
            next => after = next,
        }
    }
}
