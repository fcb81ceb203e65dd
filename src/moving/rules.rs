//! What a row makes of a user: pure. Everything that is wrong with a row is told at once, and never
//! shows what the row says.

use std::collections::HashSet;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::columns::plain;
use super::rows::Fields;
use crate::accounts::{Metadata, Roles, Status, User};
use crate::clock::Timestamp;
use crate::error::FieldError;
use crate::factors::{Factor, totp};
use crate::hashing;
use crate::identifiers::{Identifier, Name};
use crate::passwords::Password;
use crate::policy::{self, FactorKind, IdentifierKind};
use crate::profile::metadata_refused;
use crate::text::{called, locale};

/// How rows are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Where they come from: a part of every id that is made here, and kept in `metadata.imported`.
    pub source: String,
    /// Whether roles are taken; a row that has some is refused otherwise.
    pub roles: bool,
    /// Whether ids that are UUIDs are kept as they are.
    pub keep_ids: bool,
}

/// Somebody who moves in: all the records there will be.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// The user.
    pub user: User,
    /// What they are known by.
    pub identifiers: Vec<Identifier>,
    /// Their password; without one they come in by recovery.
    pub password: Option<Password>,
    /// What they can show besides.
    pub factors: Vec<Factor>,
    /// Keys of factors, not sealed yet.
    pub keys: Vec<(Uuid, Vec<u8>)>,
    /// Whether ids of other records than the user came along, and may be somebody's here.
    pub ids_given: bool,
}

/// An id that is always the same for the same `parts`: a UUID of version 8 (RFC 9562 §5.8). Each part
/// is preceded by its length, so that no two lists of parts look the same. What has the same `place`
/// lies side by side in the store, so that a commit touches few pages.
pub fn id(place: Option<[u8; 6]>, parts: &[&str]) -> Uuid {
    let text: String = parts.iter().map(|part| format!("{}:{part};", part.len())).collect();
    let hash = digest(&SHA256, text.as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    if let Some(place) = place {
        bytes.iter_mut().zip(place).for_each(|(to, from)| *to = from);
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The id of the user whom `source` knows as `old`. Ids that count up, and UUIDs, keep their order.
pub fn user_id(source: &str, old: &str) -> Uuid {
    let place = match old.parse::<u64>() {
        Ok(number) => number.to_be_bytes().last_chunk().copied(),
        Err(_) => Uuid::parse_str(old).ok().and_then(|old| old.as_bytes().first_chunk().copied()),
    };
    id(place, &["vestibule import", source, "id", old])
}

/// The id here of the user whom the source knows as `old`; none for what should be kept as it is and is no UUID.
pub(super) fn old_id(reading: &Reading, old: &str) -> Option<Uuid> {
    if reading.keep_ids { Uuid::parse_str(old).ok() } else { Some(user_id(&reading.source, old)) }
}

/// The id of a record of `user` that is the only one with this `label`.
fn record_id(user: Uuid, label: &str) -> Uuid {
    id(user.as_bytes().first_chunk().copied(), &["vestibule import", "of user", &user.to_string(), label])
}

/// Reads one row.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(
    row: &Fields,
    reading: &Reading,
    policy: &policy::Account,
    now: Timestamp,
) -> Result<Newcomer, Vec<FieldError>> {
    let mut reader = Reader { row, now, faults: Vec::new() };
    let newcomer = reader.newcomer(reading, policy);
    match newcomer {
        Some(newcomer) if reader.faults.is_empty() => Ok(newcomer),
        _ => Err(reader.faults),
    }
}

/// One row while it is read, and what is wrong with it so far.
pub(super) struct Reader<'a> {
    pub(super) row: &'a Fields,
    pub(super) now: Timestamp,
    pub(super) faults: Vec<FieldError>,
}

impl Reader<'_> {
    pub(super) fn fault(&mut self, field: &'static str, code: &'static str, sentence: impl Into<String>) {
        self.faults.push(FieldError::new(field, code, sentence.into()));
    }

    fn keep<T>(&mut self, read: Result<T, FieldError>) -> Option<T> {
        read.map_err(|fault| self.faults.push(fault)).ok()
    }

    pub(super) fn text(&mut self, field: &'static str) -> Option<String> {
        let text = plain(self.row.get(field)?);
        if text.is_none() {
            self.fault(field, "invalid", "This is neither text nor a number.");
        }
        text
    }

    pub(super) fn instant(&mut self, field: &'static str) -> Option<Timestamp> {
        let value = self.row.get(field)?;
        let at = instant(value).filter(|at| at.as_millis() >= 0 && *at <= self.now);
        if at.is_none() {
            let sentence = "This is not an instant between 1970 and now, such as 2024-05-01T12:00:00Z.";
            self.fault(field, "invalid", sentence);
        }
        at
    }

    fn truth(&mut self, field: &'static str) -> Option<bool> {
        let truth = truth(self.row.get(field)?);
        if truth.is_none() {
            self.fault(field, "invalid", "This is neither true nor false.");
        }
        truth
    }

    /// When it was verified, if it was: true or false, or the instant.
    fn verified(&mut self, field: &'static str, created: Timestamp) -> Option<Timestamp> {
        match self.row.get(field).and_then(truth) {
            Some(yes) => yes.then_some(created),
            None => self.instant(field),
        }
    }

    fn names(&mut self) -> Vec<Name> {
        let mut names = Vec::new();
        for (kind, field) in [
            (IdentifierKind::Username, "username"),
            (IdentifierKind::Email, "email"),
            (IdentifierKind::Mobile, "mobile"),
        ] {
            let Some(text) = self.text(field) else { continue };
            let read = Name::choose(kind, text.trim());
            names.extend(self.keep(read));
        }
        if names.is_empty() && self.faults.is_empty() {
            let sentence = "There is no username, e-mail address or mobile number to recognise this user by.";
            self.fault("identifier", "missing", sentence);
        }
        names
    }

    fn password(&mut self) -> Option<String> {
        let text = self.text("password")?;
        let read = hashing::imported(&text);
        self.keep(
            read.map_err(|why| FieldError::new("password", "hash", format!("It cannot be taken: {why}."))),
        )
    }

    fn roles(&mut self, taken: bool) -> Roles {
        let roles: Option<Vec<String>> = match self.row.get("roles") {
            None => return Roles::default(),
            Some(Json::Array(roles)) => roles.iter().map(|role| role.as_str().map(str::to_owned)).collect(),
            Some(Json::String(text)) => {
                let words = text.split([',', ' ', ';']).filter(|word| !word.is_empty());
                Some(words.map(str::to_owned).collect())
            }
            Some(_) => None,
        };
        let Some(mut roles) = roles else {
            self.fault("roles", "invalid", "These are not names of roles, separated by commas.");
            return Roles::default();
        };
        // Where they are gathered from several places, one comes twice.
        let mut known = HashSet::new();
        roles.retain(|role| known.insert(role.clone()));
        let roles = Roles(roles);
        if let Some(fault) = roles.refused() {
            self.faults.push(fault);
        } else if !roles.0.is_empty() && !taken {
            self.fault("roles", "roles", "This row gives roles, which nobody asked to take.");
        }
        roles
    }

    fn metadata(&mut self, reading: &Reading, old: Option<&str>, policy: &policy::Account) -> Metadata {
        let mut metadata = match self.row.get("metadata") {
            None => Metadata::default(),
            Some(Json::Object(object)) => Metadata(object.clone()),
            Some(Json::String(text)) if let Ok(object) = serde_json::from_str(text) => Metadata(object),
            Some(_) => {
                self.fault("metadata", "invalid", "This is not a JSON object.");
                Metadata::default()
            }
        };
        for (field, value) in self.row {
            if let Some(name) = field.strip_prefix("metadata.") {
                metadata.0.insert(name.to_owned(), value.clone());
            }
        }
        let mut imported = json!({"source": reading.source});
        if let (Some(old), Some(imported)) = (old, imported.as_object_mut()) {
            imported.insert("id".to_owned(), old.into());
        }
        metadata.0.insert("imported".to_owned(), imported);
        self.faults.extend(metadata_refused(&metadata, policy));
        metadata
    }

    fn id(&mut self, reading: &Reading, old: Option<&str>, names: &[Name]) -> Option<Uuid> {
        match old {
            Some(old) => {
                let id = old_id(reading, old);
                if id.is_none() {
                    self.fault("id", "invalid", "This is not a UUID, and ids are to be kept.");
                }
                id
            }
            None => {
                Some(id(None, &["vestibule import", &reading.source, "name", &names.first()?.canonical()]))
            }
        }
    }

    fn newcomer(&mut self, reading: &Reading, policy: &policy::Account) -> Option<Newcomer> {
        let old = self.text("id").map(|old| old.trim().to_owned());
        if old.as_ref().is_some_and(|old| old.len() > 256) {
            self.fault("id", "too-long", "This has more than 256 bytes.");
        }
        let names = self.names();
        let created = self.instant("created_at").unwrap_or(self.now);
        let name = self.text("name").and_then(|text| {
            let read = called(&text);
            self.keep(read)
        });
        // Many systems write `en_US`.
        let locale = self.text("locale").and_then(|text| {
            let read = locale(&text.trim().replace('_', "-"));
            self.keep(read)
        });
        let status = self.text("status").map(|text| text.trim().to_lowercase());
        let status = match status.as_deref() {
            None | Some("active") => Status::Active,
            Some("suspended") => Status::Suspended,
            Some(_) => {
                self.fault("status", "invalid", "This is neither `active` nor `suspended`.");
                Status::Suspended
            }
        };
        let phc = self.password();
        let password_changed = self.instant("password_changed_at").unwrap_or(created);
        let email_verified = self.verified("email_verified", created);
        let mobile_verified = self.verified("mobile_verified", created);
        let wants_second = self.truth("second_factor").unwrap_or(false);
        let key = self.text("totp_secret").and_then(|text| {
            let read = totp::given_key(&text);
            if read.is_none() {
                self.fault("totp_secret", "invalid", "This is not a key in base 32 of 10 to 64 bytes.");
            }
            read
        });
        let mut user = User {
            name,
            locale,
            status,
            metadata: self.metadata(reading, old.as_deref(), policy),
            // Sessions from there may come along; and somebody who was somewhere before is not new.
            sessions_from: created + Duration::from_millis(1),
            updated_at: self.instant("updated_at").unwrap_or(created),
            ..User::new(self.id(reading, old.as_deref(), &names)?, created)
        };
        user.set_roles(self.roles(reading.roles));
        let made = |label: &str| record_id(user.id, label);
        let verified = |kind| match kind {
            IdentifierKind::Username => None,
            IdentifierKind::Email => email_verified,
            IdentifierKind::Mobile => mobile_verified,
        };
        let claim = |name: &Name| {
            let claim = Identifier::new(made(name.kind().as_str()), user.id, name, created);
            match verified(name.kind()) {
                Some(at) => Identifier { verified_at: Some(at), owned: Some(name.owned_key()), ..claim },
                None => claim,
            }
        };
        let identifiers: Vec<Identifier> = names.iter().map(claim).collect();
        let factor =
            |kind: FactorKind| Factor::known(made(&format!("factor:{kind}")), user.id, kind, created);
        let mut factors: Vec<Factor> = Vec::new();
        for claim in identifiers.iter().filter(|claim| claim.takes_codes()) {
            let kind = if claim.kind == IdentifierKind::Email { FactorKind::Email } else { FactorKind::Sms };
            // Whoever wanted a second factor meant their phone where they had one.
            let chosen = wants_second
                && (kind == FactorKind::Sms || names.iter().all(|one| one.kind() != IdentifierKind::Mobile));
            factors.push(Factor { identifier_id: Some(claim.id), chosen, ..factor(kind) });
        }
        let mut keys = Vec::new();
        if let Some(key) = key {
            let factor = factor(FactorKind::Totp);
            keys.push((factor.id, key));
            factors.push(factor);
        }
        if wants_second && factors.is_empty() {
            self.fault(
                "second_factor",
                "missing",
                "A second factor needs a mobile number, an e-mail address or a key.",
            );
        }
        let password =
            phc.map(|phc| Password { user_id: user.id, phc, changed_at: password_changed, failures: 0 });
        Some(Newcomer { user, identifiers, password, factors, keys, ids_given: false })
    }
}

/// True or false, in the words of databases and people.
fn truth(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(truth) => Some(*truth),
        Json::Number(number) => number.as_u64().filter(|number| *number <= 1).map(|number| number == 1),
        Json::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// An instant: RFC 3339, as databases write it (a space instead of `T`, no zone for UTC), a date, or
/// seconds or milliseconds since 1970.
pub(super) fn instant(value: &Json) -> Option<Timestamp> {
    // Seconds until the year 5138, milliseconds from 1973 on.
    let counted = |number: i64| {
        let seconds = number.abs() < 100_000_000_000;
        Timestamp::from_millis(if seconds { number.saturating_mul(1_000) } else { number })
    };
    let text = match value {
        Json::Number(number) => return number.as_i64().map(counted),
        Json::String(text) => text.trim(),
        _ => return None,
    };
    if let Ok(number) = text.parse() {
        return Some(counted(number));
    }
    let tries = [text.to_owned(), format!("{text}Z"), format!("{text}T00:00:00Z")];
    tries.iter().find_map(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuuGpJ1sSsrXkKZL9lAKDJHbFrqH5VDZKC";

    fn now() -> Timestamp {
        "2030-01-01T00:00:00Z".parse().unwrap()
    }

    fn reading() -> Reading {
        Reading { source: "old".into(), roles: false, keep_ids: false }
    }

    fn row(value: Json, reading: &Reading) -> Result<Newcomer, Vec<String>> {
        read(value.as_object().unwrap(), reading, &Policy::default_policy().account, now())
            .map_err(|faults| faults.iter().map(|fault| format!("{}: {}", fault.field, fault.code)).collect())
    }

    #[test]
    fn a_whole_row() {
        let newcomer = row(
            json!({
                "id": 17, "username": "Ada", "email": "Ada@Example.com", "email_verified": "t", "mobile": "+1 202-555-0143",
                "mobile_verified": "2024-05-01 10:00:00", "name": "Ada L.", "locale": "en_GB", "password": BCRYPT,
                "created_at": 1_700_000_000, "second_factor": 1, "metadata": "{\"plan\": 3}", "metadata.city": "London",
            }),
            &reading(),
        )
        .unwrap();
        let created: Timestamp = "2023-11-14T22:13:20Z".parse().unwrap();
        assert_eq!(newcomer.user.created_at, created);
        assert_eq!(newcomer.user.locale.as_deref(), Some("en-GB"));
        assert_eq!(newcomer.user.id, user_id("old", "17"));
        assert_eq!(newcomer.user.id.get_version_num(), 8);
        let metadata = json!({"plan": 3, "city": "London", "imported": {"source": "old", "id": "17"}});
        assert_eq!(Json::Object(newcomer.user.metadata.0), metadata);
        let owned: Vec<_> =
            newcomer.identifiers.iter().map(|one| (one.owned.is_some(), one.verified_at)).collect();
        let verified: Timestamp = "2024-05-01T10:00:00Z".parse().unwrap();
        assert_eq!(owned, [(true, None), (true, Some(created)), (true, Some(verified))]);
        let chosen: Vec<_> = newcomer.factors.iter().map(|one| (one.kind, one.chosen)).collect();
        assert_eq!(chosen, [(FactorKind::Email, false), (FactorKind::Sms, true)]);
        assert_eq!(newcomer.password.unwrap().phc, BCRYPT);
    }

    #[test]
    fn the_same_row_makes_the_same_ids_and_another_source_others() {
        let value = || json!({"id": "x", "email": "a@example.com"});
        let ids = |reading: &Reading| {
            let newcomer = row(value(), reading).unwrap();
            (newcomer.user.id, newcomer.identifiers[0].id, newcomer.factors[0].id)
        };
        assert_eq!(ids(&reading()), ids(&reading()));
        assert_ne!(ids(&reading()), ids(&Reading { source: "other".into(), ..reading() }));
        let nameless = |email: &str| row(json!({"email": email}), &reading()).unwrap().user.id;
        assert_eq!(nameless("A@example.com"), nameless("a@example.com"));
        assert_ne!(id(None, &["ab", "c"]), id(None, &["a", "bc"]));
        // In their old order, so that those who came together lie together.
        assert!(user_id("old", "9") < user_id("old", "10") && user_id("old", "10") < user_id("old", "11"));
        let kept = Reading { keep_ids: true, ..reading() };
        let own = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(row(json!({"id": own, "username": "a.b.c"}), &kept).unwrap().user.id.to_string(), own);
        assert_eq!(row(json!({"id": "17", "username": "a.b.c"}), &kept).unwrap_err(), ["id: invalid"]);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let told = row(
            json!({
                "username": "admin", "email": "nowhere", "mobile": "12", "name": "a\u{7}", "locale": "?", "password": "5f4dcc3b",
                "created_at": "2031-01-01", "status": "gone", "roles": "admin", "email_verified": "perhaps",
                "second_factor": "perhaps", "totp_secret": "1", "metadata": "[]",
            }),
            &reading(),
        );
        assert_eq!(
            told.unwrap_err(),
            [
                "username: reserved",
                "email: invalid",
                "mobile: invalid",
                "created_at: invalid",
                "name: invalid",
                "locale: invalid",
                "status: invalid",
                "password: hash",
                "email_verified: invalid",
                "second_factor: invalid",
                "totp_secret: invalid",
                "metadata: invalid",
            ]
        );
        assert_eq!(row(json!({"name": "Nobody"}), &reading()).unwrap_err(), ["identifier: missing"]);
        assert_eq!(row(json!({"email": {}}), &reading()).unwrap_err()[0], "email: invalid");
    }

    #[test]
    fn roles_are_taken_only_when_asked() {
        let value = || json!({"username": "ada", "roles": "admin, support"});
        assert_eq!(row(value(), &reading()).unwrap_err(), ["roles: roles"]);
        let taken = row(value(), &Reading { roles: true, ..reading() }).unwrap();
        assert_eq!(taken.user.roles, Roles(vec!["admin".into(), "support".into()]));
        let roles = |roles: Json| {
            let row = row(json!({"username": "ada", "roles": roles}), &Reading { roles: true, ..reading() });
            row.map(|newcomer| newcomer.user.roles.0)
        };
        assert_eq!(roles(json!("Editor;admin Editor")).unwrap(), ["Editor", "admin"]);
        assert_eq!(roles(json!(["a,b"])).unwrap_err(), ["roles: invalid"]);
        assert_eq!(roles(json!(7)).unwrap_err(), ["roles: invalid"]);
        assert!(row(json!({"username": "ada", "roles": []}), &reading()).is_ok());
    }

    #[test]
    fn instants_as_databases_write_them() {
        for text in [
            "2024-05-01T12:00:00Z",
            "2024-05-01 12:00:00",
            "2024-05-01 14:00:00+02",
            "1714564800",
            "1714564800000",
        ] {
            let at = instant(&json!(text)).unwrap();
            assert_eq!(at.to_string(), "2024-05-01T12:00:00.000Z", "{text}");
        }
        assert_eq!(instant(&json!("2024-05-01")).unwrap().to_string(), "2024-05-01T00:00:00.000Z");
        assert!(instant(&json!("yesterday")).is_none() && instant(&json!(true)).is_none());
    }
}
