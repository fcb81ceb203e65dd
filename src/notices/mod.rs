//! Notices: telling users what has happened in their account (NIST SP 800-63B-4 §4.6).
//!
//! A notice goes out in the commit that makes true what it tells, to addresses that were shown to be
//! the user's own, and says what happened, when, from where, and how to say "that was not me". Who is
//! told is policy: each operation's `notify`, and `[notices]`.
//!
//! Always holds: an operation of which users are told is not done untold. Who is told is looked up,
//! and the messages are counted, before the decision; one that cannot be counted refuses it. What may happen only
//! once is told once however many try at once: whoever comes too late gives back what was counted
//! ([`limits::decide`]).
//!
//! ```ignore
//! let told = notices::prepare(ctx, &user, About::operation(operation::FACTOR_ADD, Notice::FactorAdded)).await?;
//! limits::decide(ctx, || told.postage(), move |moment| async move {
//!     Ok(answer(()).insert(&factor).and(told.changes(ctx, &moment)))
//! })
//! ```

use uuid::Uuid;

use crate::accounts::User;
use crate::app::{Ctx, Moment};
use crate::error::{Problem, Result};
use crate::identifiers::{self, Identifier};
use crate::limits::{self, Postage, Sender};
use crate::messages::{self, Channel};
use crate::policy::operation::tells;
use crate::policy::{IdentifierKind, Notify};
use crate::store::{Change, Seen};
use crate::undo;

pub use crate::messages::Notice;

/// What happened, and who is to be told of it.
#[derive(Clone, Debug)]
pub struct About<'a> {
    what: Notice,
    told: Told<'a>,
    old: Option<&'a Identifier>,
    new: Option<&'a Identifier>,
    undo: undo::What,
    /// Whether there is nothing to object to.
    plain: bool,
    may_be_left_out: bool,
    /// An identifier by which the user is told only where there is no other.
    besides: Option<Uuid>,
    /// What whoever does it has shown to read: the user is told by another one as well.
    shown: Option<Uuid>,
    /// Whether it cannot happen again before somebody has done something about it.
    once: bool,
}

#[derive(Clone, Copy, Debug)]
enum Told<'a> {
    /// Whoever the policy names for this operation.
    Operation(&'a str),
    /// The user, when this is set.
    When(bool),
}

impl<'a> About<'a> {
    /// An operation was done; the policy's `notify` for it says who is told.
    pub fn operation(operation: &'a str, what: Notice) -> Self {
        debug_assert!(!tells(operation).is_empty(), "a policy must be able to ask for this");
        let undo = undo::What::NotMe { operation: operation.to_owned() };
        Self::new(what, Told::Operation(operation), undo)
    }

    /// Something else happened that the user is told of, when `told`: a setting of `[notices]`.
    pub fn event(what: Notice, told: bool) -> Self {
        let undo = undo::What::NotMe { operation: what.as_str().to_owned() };
        Self::new(what, Told::When(told), undo)
    }

    fn new(what: Notice, told: Told<'a>, undo: undo::What) -> Self {
        Self {
            what,
            told,
            old: None,
            new: None,
            undo,
            plain: false,
            may_be_left_out: false,
            besides: None,
            shown: None,
            once: false,
        }
    }

    /// An address or a number changes from `old` to `new`.
    #[must_use]
    pub fn change(self, old: Option<&'a Identifier>, new: Option<&'a Identifier>) -> Self {
        Self { old, new, ..self }
    }

    /// Something that whoever did it had the right to: nothing takes it back.
    #[must_use]
    pub fn plain(self) -> Self {
        Self { plain: true, ..self }
    }

    /// What the link in the notice takes back; without it, it says "that was not me".
    #[must_use]
    pub fn undo(self, undo: undo::What) -> Self {
        Self { undo, ..self }
    }

    /// The user is told by another way than this identifier, where there is one.
    #[must_use]
    pub fn besides(self, identifier: Option<Uuid>) -> Self {
        Self { besides: identifier, ..self }
    }

    /// It is done by right of a code or link to this identifier: whoever reads there may not be the user, who is told
    /// by another way as well, where there is one and it takes messages.
    #[must_use]
    pub fn shown(self, identifier: Option<Uuid>) -> Self {
        Self { shown: identifier, ..self }
    }

    /// It happens once and not again before its user or an administrator has done something about it. So
    /// no tries, however many at once, use up the mails that tell of it.
    #[must_use]
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// What it tells does not wait for it: a message that cannot be counted any more, since so many
    /// others were sent, is left out.
    #[must_use]
    pub fn may_be_left_out(self) -> Self {
        Self { may_be_left_out: true, ..self }
    }
}

/// Notices that are addressed and paid for.
#[derive(Debug)]
pub struct Notices {
    user: User,
    what: Notice,
    undo: undo::What,
    known: undo::Known,
    addressed: Vec<(Addressee, Postage)>,
}

/// Whom a notice goes to.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Addressee {
    channel: Channel,
    to: String,
    /// Whether they may say "that was not me": not at an address that is only about to be the user's.
    may_object: bool,
    /// Whether somebody else may be who is told otherwise; nothing waits for it.
    is_second: bool,
}

/// Whether there is anybody to be told.
///
/// # Errors
/// The store's.
pub async fn is_told(ctx: &Ctx, user: &User, about: &About<'_>) -> Result<bool> {
    Ok(!whom(ctx, user, about).await?.is_empty())
}

/// Whom the policy has told, where they are reached.
async fn whom(ctx: &Ctx, user: &User, about: &About<'_>) -> Result<Vec<Addressee>> {
    let told = match about.told {
        Told::Operation(name) => {
            ctx.policy.operation.get(name).map(|rule| rule.notify.clone()).unwrap_or_default()
        }
        Told::When(true) => vec![Notify::User],
        Told::When(false) => Vec::new(),
    };
    let own = if told.contains(&Notify::User) {
        identifiers::actions::of_user(ctx, user.id).await?
    } else {
        Vec::new()
    };
    let config = &ctx.app.config;
    Ok(addressees(&told, &own, about, |kind| config.delivery.serves(config, kind)))
}

/// Looks up who is told, and counts the messages. Call it before the decision that makes it true.
///
/// # Errors
/// [`LimitReached`](crate::error::Problem::LimitReached): so much of the same happened that no more of it
/// can be told; not for what [may be left out](About::may_be_left_out).
pub async fn prepare(ctx: &Ctx, user: &User, about: About<'_>) -> Result<Notices> {
    let mut addressed = Vec::new();
    let sender = if about.once { Sender::Once } else { Sender::Notice(about.what.as_str()) };
    for mut addressee in whom(ctx, user, &about).await? {
        addressee.may_object &= !about.plain;
        match limits::postage(ctx, &addressee.to, sender).await {
            Ok(postage) => addressed.push((addressee, postage)),
            // Nothing is ever sent there: whoever has no other address is somebody who cannot be told.
            Err(error) if matches!(error.problem, Problem::NumberNotServed | Problem::NotCarried) => {}
            Err(error) if (about.may_be_left_out || addressee.is_second) && error.problem.is_no_postage() => {
            }
            Err(error) => {
                limits::give_back(ctx, addressed.iter().map(|(_, postage)| postage).collect()).await;
                return Err(error);
            }
        }
    }
    let may_object = addressed.iter().any(|(addressee, _)| addressee.may_object);
    let known = if may_object { undo::actions::known(ctx, user).await? } else { undo::Known::default() };
    Ok(Notices { user: user.clone(), what: about.what, undo: about.undo, known, addressed })
}

/// Who is told, each address once. The user is told by e-mail, or, without an address that is
/// known to be theirs, by text message; nobody by what is not `carried`.
fn addressees(
    told: &[Notify],
    own: &[Seen<Identifier>],
    about: &About<'_>,
    carried: impl Fn(Channel) -> bool,
) -> Vec<Addressee> {
    let channel = |one: &Identifier| way(one.kind).filter(|channel| carried(*channel));
    let is_theirs = |one: &Identifier| one.verified_at.is_some() && channel(one).is_some();
    let reaches = |kind| own.iter().filter(move |one| one.kind == kind && is_theirs(one));
    let mut by = reaches(IdentifierKind::Email).chain(reaches(IdentifierKind::Mobile));
    let first = by.clone().next();
    let user = by.find(|one| Some(one.id) != about.besides).or(first);
    let is_shown = user.is_some_and(|user| about.shown.is_some_and(|shown| user.id == shown));
    let second = by.find(|_| is_shown);
    let mut all: Vec<Addressee> = Vec::new();
    for notify in told {
        let found = match notify {
            Notify::User => user.map(|one| &**one),
            // What was never shown to be the user's own may be a stranger's.
            Notify::Old => about.old.filter(|one| one.verified_at.is_some()),
            Notify::New => about.new,
        };
        let second = second.filter(|_| *notify == Notify::User).map(|one| (&**one, true));
        for (found, is_second) in found.map(|found| (found, false)).into_iter().chain(second) {
            let Some(channel) = channel(found) else { continue };
            if all.iter().all(|one| one.to != found.value) {
                let may_object = *notify != Notify::New;
                all.push(Addressee { channel, to: found.value.clone(), may_object, is_second });
            }
        }
    }
    all
}

/// By which way what is of this `kind` is told.
fn way(kind: IdentifierKind) -> Option<Channel> {
    match kind {
        IdentifierKind::Email => Some(Channel::Email),
        IdentifierKind::Mobile => Some(Channel::Sms),
        IdentifierKind::Username => None,
    }
}

impl Notices {
    /// What was paid for them, for [`limits::decide`].
    pub fn postage(&self) -> Vec<&Postage> {
        self.addressed.iter().map(|(_, postage)| postage).collect()
    }

    /// The messages, and what their link takes back, for the commit that makes true what they tell.
    pub fn changes(&self, ctx: &Ctx, moment: &Moment) -> Vec<Change> {
        let (undo, token) = undo::offer(ctx, &self.user, self.undo.clone(), self.known.clone(), moment);
        let path = undo.path(&token);
        let mut changes = Vec::new();
        for (addressee, postage) in &self.addressed {
            let notify = messages::Notify {
                what: self.what,
                channel: addressee.channel,
                to: &addressee.to,
                user: Some(self.user.id),
                locale: self.user.language(),
                link: addressee.may_object.then_some(path.as_str()),
                until: addressee.may_object.then_some(undo.expires_at),
            };
            changes.push(Change::insert(&messages::notice(ctx, postage, notify, moment)));
        }
        if self.addressed.iter().any(|(addressee, _)| addressee.may_object) {
            changes.push(Change::insert(&undo));
        }
        changes
    }
}
