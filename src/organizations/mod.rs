//! Organisations: groups of users with owners and administrators of their own.
//!
//! Always holds: whoever is not a member sees nothing of an organisation, not even that it is there; an
//! administrator of one sees and changes that one and nothing else; nobody changes who stands as high as
//! themselves or higher; an organisation has an owner for as long as it stands. An invitation is used by
//! deleting what was seen, only by whoever has shown that the address is theirs, and only while whoever made it
//! could make it now.
//!
//! The records lie below the sessions, which look at memberships when somebody acts for a member; what is
//! done with them lies above.

pub mod actions;
pub mod api;
mod rules;

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::store::{entity, text_enum};

text_enum! {
    /// What a member may do. The declared order is the order of ranks.
    #[schemars(rename = "MemberRole")]
    pub enum Role {
        /// See the organisation and its members.
        Member = "member",
        /// Also invite, change and remove members.
        Admin = "admin",
        /// Also name administrators and owners, rename the organisation, and end it.
        Owner = "owner",
    }
}

entity! {
    /// A group of users.
    pub struct Organization in "organizations" {
        /// Its id.
        id: Uuid,
        /// What it is called.
        name: String,
        /// When it was founded.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
        /// When it ended: it is nobody's from then on, and removed with what belonged to it.
        ended_at: Option<Timestamp>,
    }
    index BY_CREATED (created_at);
    sparse BY_ENDED (ended_at);
    kept id;
}

entity! {
    /// One user in one organisation.
    pub struct Member in "members" {
        /// Its id.
        id: Uuid,
        /// Of which organisation.
        organization_id: Uuid,
        /// Who.
        user_id: Uuid,
        /// What they may do there.
        role: Role,
        /// Since when.
        created_at: Timestamp,
    }
    unique BY_BOTH (organization_id, user_id);
    index BY_ORGANIZATION (organization_id, created_at);
    index BY_ROLE (organization_id, role);
    index BY_USER (user_id, created_at);
    kept id;
}

entity! {
    /// Somebody who was asked to join an organisation and has not yet.
    pub struct Invitation in "invitations" {
        /// The public half of its token.
        id: Uuid,
        /// The hash of its token.
        digest: Vec<u8>,
        /// To which organisation.
        organization_id: Uuid,
        /// The e-mail address, as it was given.
        email: String,
        /// What is compared.
        canonical: String,
        /// What they will be there.
        role: Role,
        /// Who invites; nobody, when the operator does.
        invited_by: Option<Uuid>,
        /// The `sessions_from` of whoever invites, then. Once theirs is later, it is over.
        counts_from: Option<Timestamp>,
        /// When.
        created_at: Timestamp,
        /// From when on it can no longer be accepted.
        expires_at: Timestamp,
    }
    unique BY_ADDRESS (organization_id, canonical);
    index BY_ORGANIZATION (organization_id, created_at);
    expires expires_at;
}

impl Role {
    /// Whether whoever has this role may change, remove or stand in for a member of role `other`, or give
    /// it: an owner everybody, an administrator those below.
    pub fn is_over(self, other: Self) -> bool {
        self == Self::Owner || self > other
    }

    /// Whether whoever has this role may invite somebody to be `other`.
    pub fn offers(self, other: Self) -> bool {
        self >= Self::Admin && self.is_over(other)
    }
}

impl Member {
    /// Whether this member may change, remove or act for `other`.
    pub fn is_over(&self, other: &Self) -> bool {
        self.organization_id == other.organization_id
            && self.role >= Role::Admin
            && self.role.is_over(other.role)
    }
}

/// An organisation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Organization")]
pub struct OrganizationView {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// What the asker is there, when they are a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// When it was founded.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl OrganizationView {
    /// The view of somebody who is a member with `role`, or of staff.
    pub fn new(organization: &Organization, role: Option<Role>) -> Self {
        let Organization { id, name, created_at, updated_at, .. } = organization.clone();
        Self { id, name, role, created_at, updated_at }
    }
}

/// A member, as other members see them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Member")]
pub struct MemberView {
    /// The user.
    pub user: Uuid,
    /// Their username.
    pub username: Option<String>,
    /// What they like to be called.
    pub name: Option<String>,
    /// Their e-mail address, for administrators of the organisation.
    pub email: Option<String>,
    /// What they may do there.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// An invitation that was not accepted yet.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Invitation")]
pub struct InvitationView {
    /// Its id, which opens nothing.
    pub id: Uuid,
    /// Whom it went to.
    pub email: String,
    /// What they will be there.
    pub role: Role,
    /// Who invites; nobody, when the operator does.
    pub invited_by: Option<Uuid>,
    /// When.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

impl From<&Invitation> for InvitationView {
    fn from(invitation: &Invitation) -> Self {
        Self {
            id: invitation.id,
            email: invitation.email.clone(),
            role: invitation.role,
            invited_by: invitation.invited_by,
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_over_everybody_and_administrators_over_members() {
        use Role::{Admin, Member, Owner};
        let over = |one: Role| [Member, Admin, Owner].map(|other| one.is_over(other));
        assert_eq!(over(Member), [false, false, false]);
        assert_eq!(over(Admin), [true, false, false]);
        assert_eq!(over(Owner), [true, true, true]);
    }
}
