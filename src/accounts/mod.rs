//! Users: who has an account, and what they see of it.
//!
//! Always holds: a user who is not active opens no session and keeps none; sessions opened before
//! `sessions_from` are dead whatever else is stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::factors::{self, Factor, FactorView, Held};
use crate::identifiers::{self, IdentifierView};
use crate::passwords::Password;
use crate::policy::{FactorKind, IdentifierKind, SecondFactor, When};
use crate::revocations::Revocation;
use crate::store::{Change, Seen, entity, json_field, text_enum};
use crate::words::Locale;

text_enum! {
    /// Where a user stands.
    #[schemars(rename = "AccountStatus")]
    pub enum Status {
        /// May sign in.
        Active = "active",
        /// May not sign in, and has no sessions.
        Suspended = "suspended",
        /// Has deleted the account; it can be taken back until it is removed.
        Deleted = "deleted",
    }
}

/// What a user may do beyond their own account.
#[derive(Clone, Default, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Roles(pub Vec<String>);
json_field!(Roles);

/// What the application keeps with an account: the names and values of one JSON object.
#[derive(Clone, Default, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Metadata(pub serde_json::Map<String, serde_json::Value>);
json_field!(Metadata);

/// The role that may do everything that is not somebody's own.
pub const ADMIN: &str = "admin";

impl Roles {
    /// Whether `role` is among them.
    pub fn has(&self, role: &str) -> bool {
        self.0.iter().any(|one| one == role)
    }
}

entity! {
    /// A person who may sign in.
    pub struct User in "users" {
        /// Never used again, even after the account is gone.
        id: Uuid,
        /// What they like to be called.
        name: Option<String>,
        /// The language they read, as a BCP 47 tag.
        locale: Option<String>,
        /// Where they stand.
        status: Status,
        /// What they may do beyond their own account.
        roles: Roles,
        /// What the application keeps with the account.
        metadata: Metadata,
        /// Sessions opened before this instant are dead.
        sessions_from: Timestamp,
        /// When the account was made.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
        /// When everything of a deleted account is removed.
        purge_at: Option<Timestamp>,
    }
    index BY_CREATED (created_at);
    index BY_PURGE (purge_at);
    kept id;
    follows told;
}

/// What is written because the sessions of a user stand otherwise than before: whoever checks access tokens
/// offline is told.
fn told(change: &Change) -> Option<Change> {
    let (was, is, revision) = change.turn::<User>()?;
    let now = is.as_ref().and_then(User::lets_sessions_in);
    let turned = was.lets_sessions_in() != now;
    turned.then(|| Change::insert(&Revocation::of_user(was.id, revision, now)))
}

impl User {
    /// From when on their sessions count; none when no session does.
    fn lets_sessions_in(&self) -> Option<Timestamp> {
        self.is_active().then_some(self.sessions_from)
    }

    /// The language that is spoken to them, of those that are spoken here.
    pub fn language(&self) -> Locale {
        Locale::choose(self.locale.as_deref(), None)
    }

    /// Whether they may sign in and use what they opened.
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }
}

/// A user as they see themselves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserView {
    /// Their id.
    pub id: Uuid,
    /// Their username, as typed.
    pub username: Option<String>,
    /// Their e-mail address, as typed.
    pub email: Option<String>,
    /// Their mobile number in E.164.
    pub mobile: Option<String>,
    /// What they like to be called.
    pub name: Option<String>,
    /// The language they read.
    pub locale: Option<String>,
    /// What they may do beyond their own account.
    pub roles: Roles,
    /// What the application keeps with the account.
    #[serde(default)]
    pub metadata: Metadata,
    /// All identifiers, each with whether it was verified.
    pub identifiers: Vec<IdentifierView>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl UserView {
    /// The view of `user` with these identifiers.
    pub fn new(user: &User, identifiers: Vec<IdentifierView>) -> Self {
        let value = |kind: IdentifierKind| {
            // What is only asked for stands behind what is the user's own.
            let of_kind = || identifiers.iter().filter(|one| one.kind == kind);
            of_kind().find(|one| one.verified).or_else(|| of_kind().next()).map(|one| one.value.clone())
        };
        Self {
            id: user.id,
            username: value(IdentifierKind::Username),
            email: value(IdentifierKind::Email),
            mobile: value(IdentifierKind::Mobile),
            name: user.name.clone(),
            locale: user.locale.clone(),
            roles: user.roles.clone(),
            metadata: user.metadata.clone(),
            identifiers,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// A user with everything they have shown or may show.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Account {
    /// The user.
    #[serde(flatten)]
    pub user: UserView,
    /// Their factors.
    pub factors: Vec<FactorView>,
}

/// What `user` has to show, and the factors behind it: those that count.
pub async fn held(ctx: &Ctx, user: &User) -> Result<(Vec<Seen<Factor>>, Held)> {
    let mut factors = factors::of_user(ctx, user.id).await?;
    let has_password = ctx.app.store.get::<Password>(user.id).await?.is_some();
    let demanded = demanded(&ctx.policy.sign_in.second, user);
    factors.retain(|factor| factor.counts(demanded));
    let held = Held::new(factors.iter().map(|factor| &**factor), has_password, demanded, &user.roles.0);
    Ok((factors, held))
}

/// The kinds of second factor that the policy demands from `user`, asked for or not: none where it
/// leaves that to them. So a number is a factor of theirs where codes to it are on offer.
pub fn demanded<'a>(second: &'a SecondFactor, user: &User) -> &'a [FactorKind] {
    let is_demanded = match second.when {
        When::Always => true,
        When::ByRole => user.roles.0.iter().any(|role| second.roles.contains(role)),
        When::WhenEnrolled | When::Never => false,
    };
    if is_demanded { &second.factors } else { &[] }
}

/// What `user` sees of themselves.
pub async fn view(ctx: &Ctx, user: &User) -> Result<UserView> {
    let identifiers = identifiers::actions::of_user(ctx, user.id).await?;
    Ok(UserView::new(user, identifiers.iter().map(|one| (&**one).into()).collect()))
}

/// What `user` sees of their whole account.
pub async fn account(ctx: &Ctx, user: &User) -> Result<Account> {
    Ok(Account { user: view(ctx, user).await?, factors: factors(ctx, user).await? })
}

/// The factors of `user`, as they see them: those that count.
pub async fn factors(ctx: &Ctx, user: &User) -> Result<Vec<FactorView>> {
    let demanded = demanded(&ctx.policy.sign_in.second, user);
    let mut factors = factors::of_user(ctx, user.id).await?;
    factors.retain(|factor| factor.counts(demanded));
    Ok(factors.iter().map(|factor| factor.view()).collect())
}
