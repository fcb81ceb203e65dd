//! Users: who has an account, and what they see of it.
//!
//! Always holds: a user who is not active opens no session and keeps none; sessions opened before
//! `sessions_from` are dead whatever else is stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value as Json};
use uuid::Uuid;

use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::{FieldError, Result};
use crate::factors::{self, Factor, FactorView, Held};
use crate::identifiers::{self, Identifier, IdentifierView, Name};
use crate::passwords::Password;
use crate::policy::{FactorKind, IdentifierKind, Rank, SecondFactor, When};
use crate::revocations::Revocation;
use crate::store::{Change, Query, Seen, entity, json_field, text_enum};
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

/// What the application keeps with an account: the names and values of one JSON object. A whole number is an
/// integer, however it is written: JSON knows one kind of number, and databases write it as they like.
#[derive(Clone, Default, PartialEq, Eq, Debug, serde::Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Metadata(pub Map<String, Json>);
json_field!(Metadata);

impl<'de> serde::Deserialize<'de> for Metadata {
    fn deserialize<D: serde::Deserializer<'de>>(given: D) -> Result<Self, D::Error> {
        Ok(Self(Map::deserialize(given)?.into_iter().map(|(name, value)| (name, whole(value))).collect()))
    }
}

fn whole(value: Json) -> Json {
    match value {
        Json::Number(number) => Json::Number(integer(&number).unwrap_or(number)),
        Json::Array(items) => items.into_iter().map(whole).collect(),
        Json::Object(object) => object.into_iter().map(|(name, value)| (name, whole(value))).collect(),
        Json::String(_) | Json::Bool(_) | Json::Null => value,
    }
}

fn integer(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0)?;
    // A float is written out in full: what does not fit is no integer of 64 bits.
    let digits = format!("{float:.0}");
    let digits = if float == 0.0 { "0" } else { digits.as_str() };
    digits.parse::<i64>().map(Number::from).or_else(|_| digits.parse::<u64>().map(Number::from)).ok()
}

impl Metadata {
    /// About how many bytes it takes in memory: up to a hundred times those of its JSON.
    pub fn weight(&self) -> usize {
        of_object(&self.0)
    }
}

/// A node of a tree of names: room for eleven, which may be half empty.
const NODE: usize = 11 * (size_of::<String>() + size_of::<Json>());

fn of_object(object: &Map<String, Json>) -> usize {
    let held = object.iter().map(|(name, value)| name.len() + of_value(value));
    object.len().div_ceil(5) * NODE + held.sum::<usize>()
}

/// What a value holds elsewhere than in its place.
fn of_value(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len(),
        Json::Array(items) => {
            items.capacity() * size_of::<Json>() + items.iter().map(of_value).sum::<usize>()
        }
        Json::Object(object) => of_object(object),
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    }
}

impl Roles {
    /// Whether `role` is among them.
    pub fn has(&self, role: &str) -> bool {
        self.0.iter().any(|one| one == role)
    }

    /// Why these cannot be the roles of somebody, by whatever door they come: each is a word as other systems have them,
    /// and can stand in a list.
    pub fn refused(&self) -> Option<FieldError> {
        let is_word = |role: &String| {
            (1..=64).contains(&role.len())
                && role.bytes().all(|byte| byte.is_ascii_graphic() && !b",;".contains(&byte))
        };
        let others = |at: usize| self.0.iter().skip(at + 1);
        let fits = self.0.len() <= 32
            && self.0.iter().all(is_word)
            && self.0.iter().enumerate().all(|(at, role)| others(at).all(|other| other != role));
        let sentence = "At most 32 different words of letters, digits and signs other than , and ;, each of 64 characters at most.";
        (!fits).then(|| FieldError::new("roles", "invalid", sentence))
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
        /// Where they stand; see [`User::is_active`].
        status: Status,
        /// When a suspension ends by itself.
        suspended_until: Option<Timestamp>,
        /// Why they were suspended, in the words of whoever did it.
        suspended_for: Option<String>,
        /// What they may do beyond their own account; set by [`User::set_roles`].
        roles: Roles,
        /// The highest rank among the roles, to be found by. What somebody may do is asked of the roles.
        rank: Rank,
        /// What the application keeps with the account.
        metadata: Metadata,
        /// Raised by whatever ends all sessions: what was opened on an earlier one is dead. An instant, to be read
        /// by people; it is never compared with a clock.
        sessions_from: Timestamp,
        /// When the account was made.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
        /// When everything of a deleted account is removed.
        purge_at: Option<Timestamp>,
    }
    index BY_CREATED (created_at);
    index BY_STATUS (status, created_at);
    index BY_RANK (rank, created_at);
    sparse BY_PURGE (purge_at);
    sparse BY_SUSPENDED (suspended_until);
    kept id;
    follows told;
}

entity! {
    /// That there was a user, and that everything of theirs was removed: they do not come back, not by a file that was
    /// written before either.
    pub struct Removed in "removed_users" {
        /// Their id, and nothing else.
        id: Uuid,
    }
}

/// What is written because the sessions of a user stand otherwise than before: whoever checks access tokens
/// offline is told.
fn told(change: &Change) -> Option<Change> {
    let (was, is, revision) = change.turn::<User>()?;
    let now = is.as_ref().and_then(User::lets_sessions_in);
    let turned = was.lets_sessions_in() != now;
    // To shut somebody out is an end as well, and later than what was told before it.
    let least = was.sessions_from + std::time::Duration::from_millis(1);
    let from = now.unwrap_or_else(|| is.map_or(least, |is| is.sessions_from.latest(least)));
    turned.then(|| Change::insert(&Revocation::of_user(was.id, revision, from, now.is_none())))
}

impl User {
    /// From when on their sessions count; none when no session does. A suspension that has ended by itself
    /// counts here until it is noted.
    fn lets_sessions_in(&self) -> Option<Timestamp> {
        (self.status == Status::Active).then_some(self.sessions_from)
    }

    /// The language that is spoken to them, of those that are spoken here.
    pub fn language(&self) -> Locale {
        Locale::choose(self.locale.as_deref(), None)
    }

    /// Somebody of whom nothing is known, from `now` on.
    pub fn new(id: Uuid, now: Timestamp) -> Self {
        Self {
            id,
            name: None,
            locale: None,
            status: Status::Active,
            suspended_until: None,
            suspended_for: None,
            roles: Roles::default(),
            rank: Rank::User,
            metadata: Metadata::default(),
            sessions_from: now,
            created_at: now,
            updated_at: now,
            purge_at: None,
        }
    }

    /// Where they stand at `now`: a suspension ends at its time, whether or not anybody has noted it.
    pub fn status_at(&self, now: Timestamp) -> Status {
        match self.status {
            Status::Suspended if self.suspended_until.is_some_and(|until| until <= now) => Status::Active,
            status => status,
        }
    }

    /// Whether they may sign in and use what they opened.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.status_at(now) == Status::Active
    }

    /// Whether they were deleted and can no longer be brought back.
    pub fn is_past_grace(&self, now: Timestamp) -> bool {
        self.status == Status::Deleted && self.purge_at.is_some_and(|at| at <= now)
    }

    /// How far they may act beyond their own account.
    pub fn rank(&self) -> Rank {
        Rank::of(&self.roles.0)
    }

    /// Gives them these roles in the place of those before.
    pub fn set_roles(&mut self, roles: Roles) {
        self.rank = Rank::of(&roles.0);
        self.roles = roles;
    }

    /// Ends every session, and whatever else was opened or begun before the commit that writes this: it keeps the
    /// `sessions_from` that its user had, so it does not matter how long either took, nor by which clock.
    pub fn end_sessions(&mut self, now: Timestamp) {
        self.sessions_from = self.sessions_from.latest(now) + std::time::Duration::from_millis(1);
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
    pub fn new<'a>(user: &User, identifiers: impl IntoIterator<Item = &'a Identifier>) -> Self {
        let identifiers: Vec<IdentifierView> = identifiers.into_iter().map(Into::into).collect();
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

    /// What others call them: by what they sign in with, since what they like to be called proves nothing.
    pub fn known_as(&self) -> String {
        let known = [&self.username, &self.email, &self.mobile].into_iter().flatten().next();
        known.cloned().unwrap_or_else(|| self.id.to_string())
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

/// An administrator who may sign in at this instant, other than `user`; the one who is left when `user`
/// is lost. Whoever takes an administrator away requires this record in the same commit, so that of two
/// administrators who remove each other one stays.
///
/// # Errors
/// The store's.
pub async fn another_admin(ctx: &Ctx, user: Uuid) -> Result<Option<Seen<User>>> {
    let mut after = None;
    loop {
        let query = Query::<User>::along(User::BY_RANK).equal(Rank::Admin).after(after);
        let page = ctx.app.store.find(query).await?;
        let stays = |one: &Seen<User>| one.id != user && one.is_active(ctx.now) && one.rank() == Rank::Admin;
        match (page.items.into_iter().find(stays), page.next) {
            (None, Some(next)) => after = Some(next),
            (found, _) => return Ok(found),
        }
    }
}

/// Whose the oldest claim to `name` is among accounts that are not deleted.
///
/// # Errors
/// The store's.
pub async fn first_living(ctx: &Ctx, name: &Name) -> Result<Option<Seen<User>>> {
    for claim in identifiers::actions::claims(ctx, name).await? {
        let user = ctx.app.store.get::<User>(claim.user_id).await?;
        if let Some(user) = user.filter(|user| user.status != Status::Deleted) {
            return Ok(Some(user));
        }
    }
    Ok(None)
}

/// What `user` has to show, and the factors behind it: those that count.
pub async fn held(ctx: &Ctx, user: &User) -> Result<(Vec<Seen<Factor>>, Held)> {
    let has_password = ctx.app.store.get::<Password>(user.id).await?.is_some();
    held_with(ctx, user, has_password).await
}

/// The same of somebody of whom it is known whether they have a password.
pub async fn held_with(ctx: &Ctx, user: &User, has_password: bool) -> Result<(Vec<Seen<Factor>>, Held)> {
    let demanded = demanded(&ctx.policy.sign_in.second, user);
    let factors = factors::counting(factors::of_user(ctx, user.id).await?, demanded);
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
    Ok(UserView::new(user, identifiers.iter().map(|one| &**one)))
}

/// What `user` sees of their whole account.
pub async fn account(ctx: &Ctx, user: &User) -> Result<Account> {
    Ok(Account { user: view(ctx, user).await?, factors: factors(ctx, user).await? })
}

/// The factors of `user`, as they see them: those that count.
pub async fn factors(ctx: &Ctx, user: &User) -> Result<Vec<FactorView>> {
    let demanded = demanded(&ctx.policy.sign_in.second, user);
    let factors = factors::counting(factors::of_user(ctx, user.id).await?, demanded);
    Ok(factors.iter().map(|factor| factor.view()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        let read = |text: &str| serde_json::from_str::<Metadata>(text).map(|it| serde_json::to_string(&it));
        let written =
            r#"{"a":[1.0,-0.0,1e16,-2E3,{"b":9223372036854775808.0}],"c":0.5,"d":1e300,"e":-1e30,"f":"1.0"}"#;
        let kept = r#"{"a":[1,0,10000000000000000,-2000,{"b":9223372036854775808}],"c":0.5,"d":1e+300,"e":-1e+30,"f":"1.0"}"#;
        assert_eq!(read(written).unwrap().unwrap(), kept);
        assert_eq!(read(kept).unwrap().unwrap(), kept);
    }

    #[test]
    fn roles_are_a_few_short_words() {
        let refused =
            |roles: &[&str]| Roles(roles.iter().map(|role| (*role).to_owned()).collect()).refused().is_some();
        assert!(!refused(&[]) && !refused(&["admin", "Editor", "billing:read", "a-b_c.1"]));
        assert!(!refused(&[&"a".repeat(64)]) && refused(&[&"a".repeat(65)]));
        for role in ["", "a b", "a,b", "a;b", "\0", "admin ", "\u{e9}"] {
            assert!(refused(&[role]), "{role:?}");
        }
        assert!(refused(&["a", "b", "a"]));
        let many = |count| Roles((0..count).map(|n| format!("r{n}")).collect());
        assert!(many(32).refused().is_none() && many(33).refused().is_some());
    }
}
