//! What changes, what each change asks for, and what is written. Pure.

use std::time::Duration;

use serde_json::Value as Json;

use crate::accounts::{Metadata, Status, User};
use crate::app::Moment;
use crate::audit::{Noting, What, note};
use crate::error::FieldError;
use crate::factors::{Factor, Held};
use crate::identifiers::{Identifier, Name};
use crate::policy::{self, FactorKind, IdentifierKind, Policy, operation};
use crate::sessions::Session;
use crate::store::{Decision, Seen, answer};

/// What somebody asks to be changed, every field read and found good: what is not named stays, what
/// is named as nothing goes.
#[derive(Clone, Default, Debug)]
pub struct Wanted {
    /// What they want to be known by, at most one of each kind.
    pub names: Vec<(IdentifierKind, Option<Name>)>,
    /// What they like to be called.
    pub name: Option<Option<String>>,
    /// The language they read.
    pub locale: Option<Option<String>>,
    /// What the application keeps with the account.
    pub metadata: Option<Metadata>,
}

/// What is asked to be known by in one kind, and stands there today.
pub(super) fn current(identifiers: &[Seen<Identifier>], kind: IdentifierKind) -> Option<&Seen<Identifier>> {
    let of_kind = || identifiers.iter().filter(|one| one.kind == kind);
    of_kind().find(|one| one.verified_at.is_some()).or_else(|| of_kind().next())
}

/// The operation that changes an identifier of this kind.
pub fn operation_of(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::Username => operation::USERNAME_CHANGE,
        IdentifierKind::Email => operation::EMAIL_CHANGE,
        IdentifierKind::Mobile => operation::MOBILE_CHANGE,
    }
}

impl Wanted {
    /// Only what differs from what is: the rest needs no proof, since nothing is done.
    pub(super) fn differing(mut self, user: &User, identifiers: &[Seen<Identifier>]) -> Self {
        self.names.retain(|(kind, name)| match (current(identifiers, *kind), name) {
            (None, None) => false,
            (Some(now), Some(name)) => {
                // Another spelling of a username is shown; one of an address or a number is the same.
                let shown = *kind == IdentifierKind::Username && now.value != name.value();
                now.canonical != name.canonical() || shown
            }
            _ => true,
        });
        self.name = self.name.filter(|name| *name != user.name);
        self.locale = self.locale.filter(|locale| *locale != user.locale);
        self.metadata = self.metadata.filter(|metadata| *metadata != user.metadata);
        self
    }

    /// What was asked for instead of what is wanted as it stands. It goes without a proof: nothing is opened by it.
    pub(super) fn withdrawn(&self, identifiers: &[Seen<Identifier>]) -> Vec<Seen<Identifier>> {
        let goes = |one: &&Seen<Identifier>| {
            let (now, wanted) = (current(identifiers, one.kind), self.new_of(one.kind));
            let stays = now.zip(wanted).filter(|(now, wanted)| now.canonical == wanted.canonical());
            one.verified_at.is_none() && stays.is_some_and(|(now, _)| now.id != one.id)
        };
        identifiers.iter().filter(goes).cloned().collect()
    }

    /// The fields that change, and the operation that each comes to.
    pub(super) fn operations(&self) -> Vec<(&'static str, &'static str)> {
        let names = self.names.iter().map(|(kind, _)| (kind.as_str(), operation_of(*kind)));
        let others = [
            self.name.as_ref().map(|_| ("name", operation::NAME_CHANGE)),
            self.locale.as_ref().map(|_| ("locale", operation::LOCALE_CHANGE)),
            self.metadata.as_ref().map(|_| ("metadata", operation::METADATA_CHANGE)),
        ];
        names.chain(others.into_iter().flatten()).collect()
    }

    /// The fields that the policy never lets change.
    pub(super) fn immutable(&self, policy: &Policy) -> Vec<FieldError> {
        self.operations()
            .into_iter()
            .filter(|(_, operation)| !policy.operation.is_done(operation))
            .map(|(field, _)| FieldError::new(field, "immutable", "This cannot be changed here."))
            .collect()
    }

    /// The new one of this kind, when one is wanted.
    pub(super) fn new_of(&self, kind: IdentifierKind) -> Option<&Name> {
        self.names.iter().find(|(of, _)| *of == kind).and_then(|(_, name)| name.as_ref())
    }

    /// What is asked to go although it is needed.
    pub(super) fn needed(&self, policy: &Policy, identifiers: &[Seen<Identifier>]) -> Vec<FieldError> {
        let going = |kind| self.names.iter().any(|(of, name)| *of == kind && name.is_none());
        let mut errors = Vec::new();
        for kind in IdentifierKind::ALL.iter().copied().filter(|kind| going(*kind)) {
            let domains = kind == IdentifierKind::Email && !policy.sign_up.email_domains.is_empty();
            if policy.sign_up.required.contains(&kind) || domains {
                errors.push(FieldError::new(kind.as_str(), "required", "This cannot be removed here."));
            }
        }
        let rest = identifiers.iter().filter(|one| !going(one.kind)).count();
        if errors.is_empty() && rest == 0 && self.names.iter().all(|(_, name)| name.is_none()) {
            let going = self.names.iter().map(|(kind, _)| {
                FieldError::new(kind.as_str(), "last", "Something must be left to recognise you by.")
            });
            errors.extend(going);
        }
        errors
    }
}

/// Why this cannot be kept with an account, when it cannot.
pub fn metadata_refused(metadata: &Metadata, policy: &policy::Account) -> Option<FieldError> {
    let error = |code: &'static str, sentence: String| Some(FieldError::new("metadata", code, sentence));
    let values = || metadata.0.values();
    let depth = 1 + values().map(depth).max().unwrap_or(0);
    if depth > policy.metadata_depth {
        return error("too-deep", format!("This may nest {} levels at most.", policy.metadata_depth));
    }
    let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |text| text.len());
    if u32::try_from(bytes).unwrap_or(u32::MAX) > policy.metadata_bytes {
        return error("too-large", format!("This may have {} bytes of JSON at most.", policy.metadata_bytes));
    }
    if metadata.0.keys().any(|name| name.contains('\0')) || values().any(has_nul) {
        return error("invalid", "The character U+0000 is not allowed here.".to_owned());
    }
    None
}

/// How deep a value nests: zero for what holds nothing. The reader has bounded it.
fn depth(value: &Json) -> u32 {
    match value {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn has_nul(value: &Json) -> bool {
    match value {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(has_nul),
        Json::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// How many claims of one kind may be asked for at the same time; older ones go.
const ASKED_FOR: usize = 3;

/// What asking for a new address or number comes to.
pub(super) struct Claimed {
    /// The claim, and whether it is new.
    pub claim: Identifier,
    pub is_new: bool,
    /// The factor that counts the guesses, when the claim has one already.
    pub factor: Option<Seen<Factor>>,
    /// What goes for it.
    pub gone: Vec<Seen<Identifier>>,
}

/// Claims `name` beside the `current` one of its kind, until a code shows that it is the user's own.
pub(super) fn claim(
    name: &Name,
    user: &User,
    identifiers: &[Seen<Identifier>],
    factors: &[Seen<Factor>],
    moment: &Moment,
) -> Claimed {
    let kind = name.kind();
    let now = current(identifiers, kind).map(|now| now.id);
    let others = identifiers.iter().filter(|one| one.kind == kind && Some(one.id) != now);
    let (same, others): (Vec<_>, Vec<_>) = others.cloned().partition(|one| one.canonical == name.canonical());
    let too_many = (others.len() + 1).saturating_sub(ASKED_FOR);
    let gone = others.into_iter().take(too_many).collect();
    match same.into_iter().next() {
        Some(claim) => {
            let factor = factors.iter().find(|factor| factor.identifier_id == Some(claim.id)).cloned();
            Claimed { claim: claim.into_inner(), is_new: false, factor, gone }
        }
        None => {
            let id = moment.uuid(&format!("identifier:{kind}"));
            let claim = Identifier::new(id, user.id, name, moment.now);
            Claimed { claim, is_new: true, factor: None, gone }
        }
    }
}

/// Takes `gone` away, and the factors that reach them.
pub(super) fn take_away<T>(
    decision: Decision<T>,
    gone: &[Seen<Identifier>],
    factors: &[Seen<Factor>],
) -> Decision<T> {
    let decision = gone.iter().fold(decision, |decision, one| decision.delete(one));
    factors
        .iter()
        .filter(|factor| gone.iter().any(|one| factor.identifier_id == Some(one.id)))
        .fold(decision, |decision, factor| decision.delete(factor))
}

/// The recovery codes, where the last second factor goes with what is `removed`.
pub(super) fn left_alone<'a>(
    factors: &'a [Seen<Factor>],
    removed: &[Seen<Identifier>],
    demanded: &[FactorKind],
) -> impl Iterator<Item = &'a Seen<Factor>> {
    let has_second =
        |factors: &[&Factor]| Held::new(factors.iter().copied(), false, demanded, &[]).has_second();
    let all: Vec<&Factor> = factors.iter().map(|factor| &**factor).collect();
    let stays = |factor: &&Factor| removed.iter().all(|one| factor.identifier_id != Some(one.id));
    let left: Vec<&Factor> = all.iter().copied().filter(stays).collect();
    let is_last = has_second(&all) && !has_second(&left);
    factors.iter().filter(move |factor| is_last && factor.kind == FactorKind::RecoveryCode)
}

/// The username in the place of the one before; what only one user can have is judged by the store.
pub(super) fn rename<T>(
    decision: Decision<T>,
    name: &Name,
    user: &User,
    now: Option<&Seen<Identifier>>,
    moment: &Moment,
) -> Decision<T> {
    let claim = Identifier::new(moment.uuid("identifier:username"), user.id, name, moment.now);
    match now {
        None => decision.insert(&claim),
        Some(now) => decision.update(&now.clone().with(|one| {
            one.value = claim.value;
            one.canonical = claim.canonical;
            one.owned = claim.owned;
        })),
    }
}

/// The user as they will be.
pub(super) fn changed(user: Seen<User>, wanted: &Wanted, moment: &Moment) -> Seen<User> {
    user.with(|user| {
        if let Some(name) = &wanted.name {
            user.name.clone_from(name);
        }
        if let Some(locale) = &wanted.locale {
            user.locale.clone_from(locale);
        }
        if let Some(metadata) = &wanted.metadata {
            user.metadata.clone_from(metadata);
        }
        user.updated_at = moment.now;
    })
}

/// Deletes the account: from here on nobody is signed in and nobody can sign in, and after `grace`
/// everything of it is removed.
pub(super) fn delete(
    session: &Seen<Session>,
    user: Seen<User>,
    grace: Duration,
    moment: &Moment,
) -> Decision<()> {
    let deleted = note(What::AccountDeleted).user(user.id).session(session.id);
    let user = user.with(|user| {
        user.status = Status::Deleted;
        user.purge_at = Some(moment.now + grace);
        user.end_sessions(moment.now);
        user.updated_at = moment.now;
    });
    answer(()).update(&user).delete(session).note(moment, deleted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_is_bounded_in_size_and_depth() {
        let policy =
            policy::Account { metadata_bytes: 40, metadata_depth: 3, ..Policy::default_policy().account };
        let refused = |value: Json| {
            let metadata = Metadata(value.as_object().unwrap().clone());
            metadata_refused(&metadata, &policy).map(|error| error.code.into_owned())
        };
        assert_eq!(refused(json!({})), None);
        assert_eq!(refused(json!({"a": {"b": {}}})), None);
        assert_eq!(refused(json!({"a": {"b": [[]]}})).as_deref(), Some("too-deep"));
        assert_eq!(refused(json!({"a": "x".repeat(31)})), None, "39 bytes");
        assert_eq!(refused(json!({"a": "x".repeat(33)})).as_deref(), Some("too-large"));
        for nul in [json!({"a": "\0"}), json!({"\0": 1}), json!({"a": ["\0"]}), json!({"a": {"\0": 1}})] {
            assert_eq!(refused(nul).as_deref(), Some("invalid"));
        }
    }
}
