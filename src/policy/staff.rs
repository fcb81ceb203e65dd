//! Who may do what for others: ranks, what each may do, and what acting for a user allows.

use std::time::Duration;

use serde::Deserialize;

use super::operation;
use crate::config::{Layers, Period};
use crate::store::text_enum;

text_enum! {
    /// How far somebody may act beyond their own account. The declared order is the order of ranks.
    pub enum Rank {
        /// Not at all: other roles are the application's own, and mean nothing here.
        User = "user",
        /// As far as the policy's `staff.support` says.
        Support = "support",
        /// As far as there is anything to do.
        Admin = "admin",
    }
}

impl Rank {
    /// The highest rank among `roles`.
    pub fn of(roles: &[String]) -> Self {
        roles.iter().filter_map(|role| Self::of_word(role)).max().unwrap_or(Self::User)
    }

    /// Whether whoever has this rank may do anything to somebody of rank `other`: an administrator to
    /// everybody, support to those who have no rank.
    pub fn is_over(self, other: Self) -> bool {
        self == Self::Admin || self > other
    }
}

/// `[staff]`: what each rank may do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staff {
    /// The operations of those with the role `support`.
    pub support: Vec<String>,
}

/// What nobody but an administrator does: with any of these, support could raise itself. Whoever has all
/// organisations could make an account of theirs an owner beside anybody, and act for them where the policy lets
/// owners do that.
const ADMINS_OWN: [&str; 5] = [
    operation::ADMIN_USERS_ROLES,
    operation::ADMIN_USERS_CREATE,
    operation::ADMIN_USERS_DELETE,
    operation::ADMIN_ORGANIZATIONS,
    operation::ADMIN_OPERATE,
];

impl Staff {
    /// Whether whoever has `rank` may do `operation`: the one place where that is decided.
    pub fn may(&self, rank: Rank, operation: &str) -> bool {
        match rank {
            Rank::Admin => true,
            Rank::Support => {
                !ADMINS_OWN.contains(&operation) && self.support.iter().any(|name| name == operation)
            }
            Rank::User => false,
        }
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        let known = |name: &String| {
            operation::is_for_staff(name)
                && operation::OWN.contains(&name.as_str())
                && !ADMINS_OWN.contains(&name.as_str())
        };
        layers.must(
            self.support.iter().all(known),
            "staff.support",
            "may only name operations such as admin.read, and none that only administrators do: \
             admin.users.roles, admin.users.create, admin.users.delete, admin.organizations, admin.operate",
        );
    }
}

/// `[acting]`: acting for a user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acting {
    /// For how long at a time.
    pub longest: Period,
    /// What may be done for the user, besides reading.
    pub operations: Vec<String>,
}

/// What is never done for a user: whoever could do it would be the user from then on.
const NEVER_FOR: [&str; 12] = [
    operation::USERNAME_CHANGE,
    operation::EMAIL_CHANGE,
    operation::MOBILE_CHANGE,
    operation::DELETE,
    operation::EXPORT,
    operation::PASSWORD_CHANGE,
    operation::FACTOR_ADD,
    operation::FACTOR_RENAME,
    operation::FACTOR_REMOVE,
    operation::RECOVERY_CODES_MAKE,
    operation::ORGANIZATION_ACT,
    operation::SERVICE_ACCOUNTS_MANAGE,
];

impl Acting {
    /// Whether whoever acts for a user may do `operation` for them.
    pub fn may(&self, operation: &str) -> bool {
        !is_never(operation) && self.operations.iter().any(|name| name == operation)
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        let minute = Duration::from_secs(60);
        layers.must(
            (minute..=minute * 60 * 8).contains(&*self.longest),
            "acting.longest",
            "must be between 1m and 8h",
        );
        layers.must(
            !self.operations.iter().any(|name| is_never(name)),
            "acting.operations",
            "must not name what would make somebody else of the user: passwords, factors, identifiers, \
             deletion, export, roles, organisations",
        );
    }
}

fn is_never(operation: &str) -> bool {
    NEVER_FOR.contains(&operation)
        || operation::is_for_staff(operation)
        || operation.starts_with("organization.")
}

/// `[invitations]`: how long links count that let somebody in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitations {
    /// Into an organisation.
    pub organization: Period,
    /// Into an account that an administrator made.
    pub account: Period,
}

impl Invitations {
    pub(super) fn check(&self, layers: &mut Layers) {
        let (hour, day) = (Duration::from_secs(3_600), super::check::DAY);
        for (value, path) in
            [(&self.organization, "invitations.organization"), (&self.account, "invitations.account")]
        {
            layers.must((hour..=day * 30).contains(&**value), path, "must be between 1h and 30d");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn roles(roles: &[&str]) -> Vec<String> {
        roles.iter().map(|role| (*role).to_owned()).collect()
    }

    #[test]
    fn only_two_words_are_ranks() {
        assert_eq!(Rank::of(&roles(&[])), Rank::User);
        assert_eq!(Rank::of(&roles(&["Admin", "admin ", "administrator", "editor", "user"])), Rank::User);
        assert_eq!(Rank::of(&roles(&["editor", "support"])), Rank::Support);
        assert_eq!(Rank::of(&roles(&["support", "admin"])), Rank::Admin);
    }

    #[test]
    fn nobody_is_over_themselves_but_an_administrator() {
        use Rank::{Admin, Support, User};
        let over = |one: Rank| [User, Support, Admin].map(|other| one.is_over(other));
        assert_eq!(over(User), [false, false, false]);
        assert_eq!(over(Support), [true, false, false]);
        assert_eq!(over(Admin), [true, true, true]);
    }

    #[test]
    fn support_does_what_the_policy_names_and_never_what_would_raise_it() {
        let mut staff = Policy::default_policy().staff;
        assert!(staff.may(Rank::Support, operation::ADMIN_READ));
        assert!(!staff.may(Rank::Support, operation::ADMIN_USERS_SUSPEND));
        assert!(!staff.may(Rank::User, operation::ADMIN_READ));
        staff.support = operation::OWN.iter().map(|name| (*name).to_owned()).collect();
        for own in ADMINS_OWN {
            assert!(!staff.may(Rank::Support, own), "{own}");
            assert!(staff.may(Rank::Admin, own));
            let text = format!("staff.support = [\"{own}\"]");
            assert!(Policy::from_toml(&text).unwrap_err().to_string().contains("staff.support"), "{own}");
        }
        assert!(Policy::from_toml("staff.support = [\"user.delete\"]").is_err());
        assert!(Policy::from_toml("staff.support = [\"admin.users.suspend\"]").is_ok());
    }

    #[test]
    fn whoever_acts_for_a_user_never_becomes_the_user() {
        let mut acting = Policy::default_policy().acting;
        assert!(acting.may(operation::NAME_CHANGE) && !acting.may("own.transfer"));
        acting.operations = operation::OWN.iter().map(|name| (*name).to_owned()).collect();
        acting.operations.push("own.transfer".to_owned());
        let may: Vec<_> = acting.operations.iter().filter(|name| acting.may(name)).collect();
        assert_eq!(may, ["user.name.change", "user.locale.change", "user.metadata.change", "own.transfer"]);
        for never in NEVER_FOR {
            let text = format!("acting.operations = [\"{never}\"]");
            assert!(
                Policy::from_toml(&text).unwrap_err().to_string().contains("acting.operations"),
                "{never}"
            );
        }
    }
}
