//! Finding users and seeing what is known of them.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::accounts::{self, Status, User, UserView};
use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::{Error, FieldError, Problem, Result};
use crate::factors::FactorView;
use crate::identifiers::{self, Identifier};
use crate::passwords::Password;
use crate::policy::{IdentifierKind, Rank};
use crate::store::{Cursor, Page, Query, Seen};

/// A user, as those see them who administer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ManagedUser {
    /// The user.
    #[serde(flatten)]
    pub user: UserView,
    /// Where they stand.
    pub status: Status,
    /// When a suspension ends by itself.
    pub suspended_until: Option<Timestamp>,
    /// Why they were suspended.
    pub suspended_for: Option<String>,
    /// When everything of a deleted account is removed.
    pub removed_at: Option<Timestamp>,
}

/// A user with what they sign in with, never a secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ManagedAccount {
    /// The user.
    #[serde(flatten)]
    pub user: ManagedUser,
    /// Their factors.
    pub factors: Vec<FactorView>,
    /// When they last set a password; nothing when they have none.
    pub password_changed_at: Option<Timestamp>,
}

/// Which users are looked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// How one of their identifiers begins.
    pub prefix: Option<String>,
    /// Where they stand.
    pub status: Option<Status>,
    /// Their rank.
    pub rank: Option<Rank>,
    /// Made at this instant or later.
    pub from: Option<Timestamp>,
    /// Made at this instant or before.
    pub until: Option<Timestamp>,
}

impl Filter {
    fn takes(&self, user: &User, now: Timestamp) -> bool {
        self.status.is_none_or(|status| user.status_at(now) == status)
            && self.rank.is_none_or(|rank| user.rank() == rank)
            && self.from.is_none_or(|from| user.created_at >= from)
            && self.until.is_none_or(|until| user.created_at <= until)
    }
}

/// What is looked at for one page at most: what a filter leaves out costs too.
const LOOKED_AT: usize = 1_000;

/// A page of users: by prefix along their identifiers, otherwise the newest first. A page may hold fewer
/// than asked for, or none, and there be more.
///
/// # Errors
/// [`Problem::Invalid`] for a prefix of nothing; [`Problem::MalformedRequest`] for another list's cursor.
pub async fn find(
    ctx: &Ctx,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<Seen<User>>> {
    if let Some(prefix) = &filter.prefix {
        return search(ctx, prefix, filter, after, limit).await;
    }
    let query = match (filter.rank, filter.status) {
        // Nobody has a rank but a few.
        (Some(rank), _) if rank != Rank::User => Query::along(User::BY_RANK).equal(rank),
        (_, Some(status)) => Query::along(User::BY_STATUS).equal(status),
        _ => Query::<User>::along(User::BY_CREATED),
    };
    let query = filter.from.into_iter().fold(query, Query::from);
    let query = filter.until.into_iter().fold(query, Query::until);
    let mut page = ctx.app.store.find(query.descending().after(after).limit(limit)).await?;
    page.items.retain(|user| filter.takes(user, ctx.now));
    Ok(page)
}

/// How the canonical form of an identifier begins that was typed as far as `text`, of each kind that it
/// may be.
fn prefixes(text: &str) -> Vec<String> {
    let text = text.trim();
    let lower = text.to_lowercase();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_number = !digits.is_empty() && text.chars().all(|c| c.is_ascii_digit() || "+ -().".contains(c));
    let name = |kind: IdentifierKind| format!("{kind}:{lower}");
    let mut all = Vec::new();
    if !text.starts_with('+') {
        if !text.contains('@') {
            all.push(name(IdentifierKind::Username));
        }
        all.push(name(IdentifierKind::Email));
    }
    if is_number {
        all.push(format!("{}:+{digits}", IdentifierKind::Mobile));
    }
    all
}

/// Greater than every character that an identifier has.
const LAST: char = '\u{10ffff}';

async fn search(
    ctx: &Ctx,
    text: &str,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<Seen<User>>> {
    let prefixes = prefixes(text);
    if text.trim().is_empty() || text.len() > identifiers::MAX_BYTES || text.contains('\0') {
        let sentence = "Give the beginning of a username, an e-mail address or a mobile number.";
        return Err(FieldError::new("q", "invalid", sentence).into());
    }
    let (start, mut place) = after.map_or(Ok((0, None)), opened)?;
    let (mut items, mut looked) = (Vec::new(), 0);
    for (kind, prefix) in prefixes.iter().enumerate().skip(start) {
        loop {
            let query = Query::<Identifier>::along(Identifier::BY_CANONICAL)
                .from(prefix.clone())
                .until(format!("{prefix}{LAST}"))
                .after(place.take())
                .limit(limit);
            let page = ctx.app.store.find(query).await?;
            for found in &page.items {
                looked += 1;
                if let Some(user) = first_hit(ctx, found, &prefixes).await?
                    && filter.takes(&user, ctx.now)
                {
                    items.push(user);
                }
                if items.len() >= limit || looked >= LOOKED_AT {
                    return Ok(Page { items, next: Some(closed(kind, found)?) });
                }
            }
            match page.next {
                None => break,
                next => place = next,
            }
        }
    }
    Ok(Page { items, next: None })
}

/// The user whose identifier was found, when it is the first of theirs that is found: somebody is known by
/// several that begin alike, and is listed once.
async fn first_hit(ctx: &Ctx, found: &Identifier, prefixes: &[String]) -> Result<Option<Seen<User>>> {
    let own = identifiers::actions::of_user(ctx, found.user_id).await?;
    let rank = |one: &Identifier| {
        let kind = prefixes.iter().position(|prefix| one.canonical.starts_with(prefix.as_str()))?;
        Some((kind, one.canonical.clone(), one.created_at, one.id))
    };
    let first = own.iter().filter_map(|one| rank(one)).min();
    if first.is_some_and(|first| first.3 == found.id) {
        return Ok(ctx.app.store.get::<User>(found.user_id).await?);
    }
    Ok(None)
}

/// The place after `found`, which was found by the prefix of that number.
fn closed(kind: usize, found: &Identifier) -> Result<Cursor> {
    let place = json!([
        {"i": kind}, {"t": found.canonical}, {"at": found.created_at.as_millis()}, {"id": found.id},
    ]);
    Cursor::from_json(place).map_err(Error::internal)
}

fn opened(cursor: Cursor) -> Result<(usize, Option<Cursor>)> {
    let refused = || Error::new(Problem::MalformedRequest).detail("`after` is not a cursor of this list.");
    let serde_json::Value::Array(mut parts) = cursor.to_json() else { return Err(refused()) };
    if parts.len() != 4 {
        return Err(refused());
    }
    let kind = parts
        .remove(0)
        .get("i")
        .and_then(serde_json::Value::as_u64)
        .and_then(|kind| usize::try_from(kind).ok())
        .ok_or_else(refused)?;
    Ok((kind, Some(Cursor::from_json(parts.into()).map_err(|_| refused())?)))
}

/// What those see of `user` who administer.
///
/// # Errors
/// The store's.
pub async fn view(ctx: &Ctx, user: &User) -> Result<ManagedUser> {
    Ok(ManagedUser {
        user: accounts::view(ctx, user).await?,
        status: user.status_at(ctx.now),
        suspended_until: user.suspended_until,
        suspended_for: user.suspended_for.clone(),
        removed_at: user.purge_at,
    })
}

/// The whole account of the user with this id.
///
/// # Errors
/// [`Problem::NotFound`].
pub async fn account(ctx: &Ctx, id: Uuid) -> Result<ManagedAccount> {
    let user = super::actions::user(ctx, id).await?;
    Ok(ManagedAccount {
        user: view(ctx, &user).await?,
        factors: accounts::factors(ctx, &user).await?,
        password_changed_at: ctx.app.store.get::<Password>(id).await?.map(|password| password.changed_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_looked_for_as_whatever_it_may_be() {
        assert_eq!(prefixes(" Ada"), ["username:ada", "email:ada"]);
        assert_eq!(prefixes("ada@Exa"), ["email:ada@exa"]);
        assert_eq!(prefixes("+1 (202) 5"), ["mobile:+12025"]);
        assert_eq!(prefixes("120"), ["username:120", "email:120", "mobile:+120"]);
        assert_eq!(prefixes("+x"), Vec::<String>::new());
    }
}
