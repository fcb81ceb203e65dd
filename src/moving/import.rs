//! Taking users in, so many in a commit.

use std::collections::{HashMap, HashSet};

use futures_util::future::try_join_all;
use serde_json::json;
use uuid::Uuid;

use super::Newcomer;
use crate::accounts::{self, Removed, User};
use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::error::{FieldError, Result};
use crate::factors::{Factor, Held};
use crate::identifiers::Identifier;
use crate::identifiers::actions::{claimed, of_user};
use crate::policy::IdentifierKind;
use crate::store::{Decision, answer};

/// How many rows are decided on together: one commit pays for all of them.
pub const BATCH: usize = 200;

/// What came of one row.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// It is a user now.
    Stored,
    /// It has been one since an earlier run.
    Already,
    /// Nothing of it was stored, for these reasons.
    Refused(Vec<FieldError>),
}

/// What keys and ids the rows before have: those of the same commit, and what a dry run knows instead of a store.
#[derive(Default, Debug)]
pub struct Tried {
    /// Ids, and who has which identifier: keys as 64 bits, so that millions of rows fit.
    ids: HashMap<Uuid, u64>,
    names: HashSet<u64>,
    /// The ids of what came with ids of its own.
    records: HashSet<u64>,
}

/// Takes in what can be taken of `rows`, in their order, and says what came of each. With `tried`
/// nothing is stored.
///
/// # Errors
/// The store's; then nothing of `rows` was stored, or all of it that could be.
pub async fn take(
    ctx: &Ctx,
    rows: &[Newcomer],
    source: &str,
    tried: Option<&mut Tried>,
) -> Result<Vec<Outcome>> {
    if let Some(tried) = tried {
        return judge(ctx, rows, Some(tried)).await;
    }
    ctx.decide(move |moment| async move {
        let outcomes = judge(ctx, rows, None).await?;
        let new = || rows.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::Stored);
        let mut decision = answer(());
        for (newcomer, _) in new() {
            decision = store(ctx, newcomer, decision);
        }
        let stored = new().count();
        if stored > 0 {
            let event = note(What::UsersImported).detail(json!({"source": source, "count": stored}));
            decision = decision.note(&moment, event);
        }
        Ok(decision.map(|()| outcomes))
    })
    .await
}

/// All records of a newcomer, in the commit of the others.
fn store(ctx: &Ctx, newcomer: &Newcomer, decision: Decision<()>) -> Decision<()> {
    let mut decision = decision.insert(&newcomer.user);
    for identifier in &newcomer.identifiers {
        decision = decision.insert(identifier);
    }
    if let Some(password) = &newcomer.password {
        decision = decision.insert(password);
    }
    for factor in &newcomer.factors {
        let key = newcomer.keys.iter().find(|(id, _)| *id == factor.id);
        let secret = key.map(|(id, key)| ctx.app.keyring.seal(&Factor::context(*id), key, &ctx.app.random));
        decision = decision.insert(&Factor { secret, ..factor.clone() });
    }
    decision
}

/// What is to become of each row, by what is stored and by the rows before it.
async fn judge(ctx: &Ctx, rows: &[Newcomer], mut tried: Option<&mut Tried>) -> Result<Vec<Outcome>> {
    let known = try_join_all(rows.iter().map(|newcomer| known(ctx, newcomer))).await?;
    let mut before = Tried::default();
    let mut outcomes = Vec::with_capacity(rows.len());
    for (newcomer, known) in rows.iter().zip(known) {
        let earlier = tried.as_deref_mut().unwrap_or(&mut before);
        outcomes.push(match known {
            Some(outcome) => outcome,
            None => earlier.judge(newcomer),
        });
    }
    Ok(outcomes)
}

/// What is to become of a row that meets what is stored; none when it meets nothing.
async fn known(ctx: &Ctx, newcomer: &Newcomer) -> Result<Option<Outcome>> {
    if ctx.app.store.get::<User>(newcomer.user.id).await?.is_some() {
        let there = of_user(ctx, newcomer.user.id).await?;
        let canonical = |one: &Identifier| one.canonical.clone();
        let mut there: Vec<_> = there.iter().map(|one| canonical(one)).collect();
        let mut here: Vec<_> = newcomer.identifiers.iter().map(canonical).collect();
        there.sort();
        here.sort();
        return Ok(Some(if there == here { Outcome::Already } else { other_names() }));
    }
    // Looked for behind the account: it is written when that goes.
    if ctx.app.store.get::<Removed>(newcomer.user.id).await?.is_some() {
        let sentence = "This user was here and deleted the account, or somebody did: it stays removed.";
        return Ok(Some(Outcome::Refused(vec![FieldError::new("id", "removed", sentence)])));
    }
    let mut faults = Vec::new();
    for claim in &newcomer.identifiers {
        if claimed(ctx, claim).await?.is_some() {
            faults.push(taken(claim.kind));
        }
    }
    if faults.is_empty() && newcomer.ids_given && has_others_ids(ctx, newcomer).await? {
        faults.push(others_id());
    }
    Ok((!faults.is_empty()).then_some(Outcome::Refused(faults)))
}

fn others_id() -> FieldError {
    FieldError::new("id", "conflict", "An id among this user's records is somebody else's here.")
}

async fn has_others_ids(ctx: &Ctx, newcomer: &Newcomer) -> Result<bool> {
    let store = &ctx.app.store;
    for claim in &newcomer.identifiers {
        if store.get::<Identifier>(claim.id).await?.is_some() {
            return Ok(true);
        }
    }
    for factor in &newcomer.factors {
        if store.get::<Factor>(factor.id).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn other_names() -> Outcome {
    let sentence = "A user with this id is here already and is known by other names. Was it changed here, is \
                    the id given to two users, or is this another system (--source)?";
    Outcome::Refused(vec![FieldError::new("id", "conflict", sentence)])
}

fn taken(kind: IdentifierKind) -> FieldError {
    let sentence = match kind {
        IdentifierKind::Username => "Somebody has this username, or one that looks like it.",
        IdentifierKind::Email => "Somebody has this e-mail address, or asks for it.",
        IdentifierKind::Mobile => "Somebody has this number, or asks for it.",
    };
    FieldError::new(kind.as_str(), "taken", sentence)
}

impl Tried {
    fn judge(&mut self, newcomer: &Newcomer) -> Outcome {
        let names: Vec<u64> = newcomer.identifiers.iter().map(short).collect();
        let sum = names.iter().fold(0, |sum: u64, name| sum.wrapping_add(*name));
        match self.ids.get(&newcomer.user.id) {
            Some(same) if *same == sum => return Outcome::Already,
            Some(_) => return other_names(),
            None => {}
        }
        let taken: Vec<_> = newcomer
            .identifiers
            .iter()
            .zip(&names)
            .filter(|(_, name)| self.names.contains(*name))
            .map(|(claim, _)| taken(claim.kind))
            .collect();
        if !taken.is_empty() {
            return Outcome::Refused(taken);
        }
        if newcomer.ids_given {
            let claims = newcomer.identifiers.iter().map(|one| one.id);
            let records = claims.chain(newcomer.factors.iter().map(|one| one.id));
            let records: Vec<u64> =
                records.map(|id| id.as_u64_pair()).map(|(high, low)| high ^ low).collect();
            if records.iter().any(|id| self.records.contains(id)) {
                return Outcome::Refused(vec![others_id()]);
            }
            self.records.extend(records);
        }
        self.ids.insert(newcomer.user.id, sum);
        self.names.extend(names);
        Outcome::Stored
    }
}

/// What only one user can have, in 64 bits.
fn short(claim: &Identifier) -> u64 {
    let key = claim.owned.as_ref().unwrap_or(&claim.canonical);
    super::rules::id(None, &[key]).as_u64_pair().0
}

/// What will keep a newcomer from signing in by themselves under the policy in force: to be told, and no
/// reason to leave them out.
pub fn hindrance(ctx: &Ctx, newcomer: &Newcomer) -> Option<&'static str> {
    let demanded = accounts::demanded(&ctx.policy.sign_in.second, &newcomer.user);
    let has_password = newcomer.password.is_some();
    let held = Held::new(&newcomer.factors, has_password, demanded, &newcomer.user.roles.0);
    if !demanded.is_empty() && !demanded.iter().any(|kind| held.enrolled.contains(kind)) {
        return Some("This user has none of the second factors that the policy asks of everybody.");
    }
    let reachable = newcomer.identifiers.iter().any(|one| one.verified_at.is_some());
    (!has_password && !reachable)
        .then_some("This user has no password and nothing verified to recover the account by.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moving::{Reading, read};
    use crate::policy::Policy;

    #[test]
    fn rows_before_are_remembered_where_nothing_is_stored() {
        let reading = Reading { source: "old".into(), roles: false, keep_ids: false };
        let newcomer = |id: &str, username: &str, email: &str| {
            let row = json!({"id": id, "username": username, "email": email});
            let now = "2030-01-01T00:00:00Z".parse().unwrap();
            read(row.as_object().unwrap(), &reading, &Policy::default_policy().account, now).unwrap()
        };
        let mut tried = Tried::default();
        let mut judge = |id, username, email| match tried.judge(&newcomer(id, username, email)) {
            Outcome::Refused(faults) => faults.iter().map(|fault| fault.field.to_string()).collect(),
            other => vec![format!("{other:?}")],
        };
        assert_eq!(judge("1", "ada", "ada@example.com"), ["Stored"]);
        assert_eq!(judge("1", "ada", "ada@example.com"), ["Already"]);
        assert_eq!(judge("1", "eve", "ada@example.com"), ["id"]);
        assert_eq!(judge("2", "Ada", "ADA@example.com"), ["username", "email"]);
        assert_eq!(judge("3", "eve", "eve@example.com"), ["Stored"]);
    }
}
