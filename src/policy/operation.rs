//! Operations: what can be asked of a signed-in user, and what each asks for in return.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::FactorKind;
use crate::config::{Layers, Period};
use crate::store::text_enum;

/// Names the operations of the house, so that none is spelt twice.
macro_rules! own {
    ($($(#[$doc:meta])+ $name:ident = $text:literal;)+) => {
        $($(#[$doc])+ pub const $name: &str = $text;)+
        /// Every operation of the house. The application may name others in its policy.
        pub const OWN: &[&str] = &[$($text),+];
    };
}

own! {
    /// Change one's username.
    USERNAME_CHANGE = "user.username.change";
    /// Change what one likes to be called.
    NAME_CHANGE = "user.name.change";
    /// Change the language one reads.
    LOCALE_CHANGE = "user.locale.change";
    /// Change what the application keeps with one's account.
    METADATA_CHANGE = "user.metadata.change";
    /// Change one's e-mail address.
    EMAIL_CHANGE = "user.email.change";
    /// Change one's mobile number.
    MOBILE_CHANGE = "user.mobile.change";
    /// Delete one's account.
    DELETE = "user.delete";
    /// Take everything that is held about oneself.
    EXPORT = "user.export";
    /// Change one's password.
    PASSWORD_CHANGE = "password.change";
    /// Bind a factor.
    FACTOR_ADD = "factor.add";
    /// Give a factor another name.
    FACTOR_RENAME = "factor.rename";
    /// Take a factor away.
    FACTOR_REMOVE = "factor.remove";
    /// Make new recovery codes, which ends the old ones.
    RECOVERY_CODES_MAKE = "recovery_codes.make";
    /// Make or remove service accounts and their API keys, as an administrator.
    SERVICE_ACCOUNTS_MANAGE = "service_accounts.manage";
    /// Found an organisation.
    ORGANIZATION_CREATE = "organization.create";
    /// Rename or end an organisation that one administers.
    ORGANIZATION_CHANGE = "organization.change";
    /// Invite, change and remove members of an organisation that one administers.
    ORGANIZATION_MEMBERS = "organization.members";
    /// Act for a member of an organisation that one administers.
    ORGANIZATION_ACT = "organization.act";
    /// See users, organisations, messages and calls.
    ADMIN_READ = "admin.read";
    /// See what happened to everybody.
    ADMIN_AUDIT = "admin.audit";
    /// See the tables as they are.
    ADMIN_DATA = "admin.data";
    /// See keys, limits, queues and policy, and have events told again.
    ADMIN_OPERATE = "admin.operate";
    /// Make an account for somebody.
    ADMIN_USERS_CREATE = "admin.users.create";
    /// Change somebody's name, language or metadata.
    ADMIN_USERS_CHANGE = "admin.users.change";
    /// Change what somebody may do beyond their own account.
    ADMIN_USERS_ROLES = "admin.users.roles";
    /// Suspend somebody, or let them in again.
    ADMIN_USERS_SUSPEND = "admin.users.suspend";
    /// Delete somebody's account.
    ADMIN_USERS_DELETE = "admin.users.delete";
    /// End somebody's sessions.
    ADMIN_USERS_END_SESSIONS = "admin.users.end_sessions";
    /// Take somebody's authenticator apps and recovery codes away, and unlock the rest.
    ADMIN_USERS_RESET_FACTORS = "admin.users.reset_factors";
    /// Act for somebody.
    ADMIN_USERS_ACT = "admin.users.act";
    /// Change any organisation.
    ADMIN_ORGANIZATIONS = "admin.organizations";
}

/// How every operation for others begins.
const FOR_OTHERS: &str = "admin.";

/// Whom a message can reach that tells of the operation `name`: what a policy may say in its `notify`.
pub fn tells(name: &str) -> &'static [Notify] {
    match name {
        EMAIL_CHANGE | MOBILE_CHANGE => &[Notify::User, Notify::Old, Notify::New],
        USERNAME_CHANGE
        | DELETE
        | EXPORT
        | PASSWORD_CHANGE
        | FACTOR_ADD
        | FACTOR_REMOVE
        | RECOVERY_CODES_MAKE
        | ORGANIZATION_ACT
        | ADMIN_USERS_CHANGE
        | ADMIN_USERS_ROLES
        | ADMIN_USERS_SUSPEND
        | ADMIN_USERS_DELETE
        | ADMIN_USERS_END_SESSIONS
        | ADMIN_USERS_RESET_FACTORS
        | ADMIN_USERS_ACT => &[Notify::User],
        _ => &[],
    }
}

/// Of a name that begins like those of the house and is none of them: the one that was meant.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let first = |name: &str| name.split('.').next().map(str::to_owned);
    let is_ours = OWN.iter().any(|own| first(own) == first(name));
    let near = OWN.iter().copied().min_by_key(|own| strsim::osa_distance(own, name));
    near.filter(|_| is_ours && !OWN.contains(&name))
}

/// Whether `name` is done for others, by those with a role.
pub fn is_for_staff(name: &str) -> bool {
    name.starts_with(FOR_OTHERS)
}

/// What one operation asks for.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Whether it is never done, whatever is shown.
    pub never: bool,
    /// What must have been shown.
    pub proof: ProofRule,
    /// Who is told.
    pub notify: Vec<Notify>,
}

/// What must have been shown, and how lately. Nothing at all: being signed in is enough.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofRule {
    /// One of these.
    pub any: Vec<FactorKind>,
    /// One of the strongest that the user has; together with `any`, only for users who have none of
    /// those.
    pub highest: bool,
    /// How long ago at most; zero for any time in this session.
    pub max_age: Period,
}

impl ProofRule {
    /// Whether anything is asked for.
    pub fn asks(&self) -> bool {
        self.highest || !self.any.is_empty()
    }
}

text_enum! {
    /// Who is told of an operation.
    pub enum Notify {
        /// The user, where messages reach them.
        User = "user",
        /// The address or number that was the user's before.
        Old = "old",
        /// The address or number that is the user's now.
        New = "new",
    }
}

/// Every operation by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operations(BTreeMap<String, Operation>);

/// The section of a policy that operations stand in.
pub(super) const SECTION: &str = "operation";

/// What an operation of the application's own starts from: nothing is asked for until the policy says it.
const BLANK: &str = r#"
never = false
notify = []
proof = { any = [], highest = false, max_age = "5m" }
"#;

impl Operations {
    /// Lets a policy name operations of the application's own.
    pub(super) fn open(layers: &mut Layers) {
        layers.open(SECTION, BLANK);
    }

    /// What the operation `name` asks for; none when there is no such operation.
    pub fn get(&self, name: &str) -> Option<&Operation> {
        self.0.get(name)
    }

    /// Whether there is such an operation, and it is not one that is never done.
    pub fn is_done(&self, name: &str) -> bool {
        self.get(name).is_some_and(|rule| !rule.never)
    }

    /// Every operation, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Operation)> {
        self.0.iter().map(|(name, rule)| (name.as_str(), rule))
    }

    /// Changes what the operation `name` asks for; for tests and tools that try a policy out.
    pub fn set(&mut self, name: &str, rule: Operation) {
        self.0.insert(name.to_owned(), rule);
    }
}

impl<'de> Deserialize<'de> for Operations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut operations = BTreeMap::new();
        Gather { name: "", into: &mut operations }.deserialize(deserializer)?;
        Ok(Self(operations))
    }
}

/// Reads the tables below one name. The parts of a name nest as tables do; a name ends where
/// something is said about it.
struct Gather<'a> {
    name: &'a str,
    into: &'a mut BTreeMap<String, Operation>,
}

impl<'de> DeserializeSeed<'de> for Gather<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Gather<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut never, mut notify, mut proof) = (None, None, None);
        while let Some(part) = map.next_key::<String>()? {
            match part.as_str() {
                "never" => never = Some(map.next_value()?),
                "notify" => notify = Some(map.next_value()?),
                "proof" => proof = Some(map.next_value()?),
                part => {
                    let name =
                        if self.name.is_empty() { part.to_owned() } else { format!("{}.{part}", self.name) };
                    map.next_value_seed(Gather { name: &name, into: &mut *self.into })?;
                }
            }
        }
        if let (Some(never), Some(notify), Some(proof)) = (never, notify, proof) {
            self.into.insert(self.name.to_owned(), Operation { never, proof, notify });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;

    #[test]
    fn a_name_among_the_houses_own_is_one_of_them() {
        for (line, near) in [
            ("\"user.emial.change\".never = true", "user.email.change"),
            ("\"user.delet\" = { never = true }", "user.delete"),
            ("\"admin.user.suspend\".proof = { any = [\"totp\"] }", "admin.users.suspend"),
            ("\"password.chnage\".notify = [\"user\"]", "password.change"),
            ("\"factor.add.now\".proof.max_age = \"1m\"", "factor.add"),
        ] {
            let name = line.split('"').nth(1).unwrap();
            let faults = Policy::from_toml(&format!("[operation]\n{line}")).unwrap_err().to_string();
            let told = format!(
                "policy line 2: operation.{name} is no operation of this server; did you mean operation.{near}?"
            );
            assert!(faults.starts_with(&told) && faults.lines().count() == 1, "{faults}");
        }
        for own in ["payments.transfer", "reports.read", "users.export", "sign_up.close"] {
            assert!(Policy::from_toml(&format!("operation.\"{own}\".never = true")).is_ok(), "{own}");
        }
    }

    #[test]
    fn nobody_is_named_whom_no_message_can_reach() {
        for (line, told) in [
            ("\"user.name.change\".notify = [\"user\"]", "must be empty: no message tells of this."),
            (
                "\"payments.transfer\".notify = [\"user\"]",
                "what the application does, the application tells.",
            ),
            ("\"user.delete\".notify = [\"user\", \"old\"]", "may only name user."),
        ] {
            let faults = Policy::from_toml(&format!("[operation]\n{line}")).unwrap_err().to_string();
            assert!(faults.starts_with("policy line 2: ") && faults.ends_with(told), "{faults}");
        }
        let all = "operation.\"user.email.change\".notify = [\"user\", \"old\", \"new\"]";
        assert!(Policy::from_toml(all).is_ok());
    }
}
