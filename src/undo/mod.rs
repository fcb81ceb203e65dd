//! Taking back: what the link in a notice undoes.
//!
//! Always holds: a link undoes once, because undoing deletes what was seen; it undoes for as long as
//! its record says and for no longer; whatever it undoes, every session of the user and everything
//! that was asked before ends with it. What takes back something that was done makes the account what it was
//! before that: the address and the number, the factors, and no password that was set since. Whoever holds the older
//! address wins, since the newer one may be a thief's; and no link to what came later is left, nor needed. Links to
//! what came before go further back.

pub mod actions;
pub mod api;
mod rules;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::accounts::User;
use crate::app::{Ctx, Moment};
use crate::clock::Timestamp;
use crate::factors::Factor;
use crate::identifiers::Identifier;
use crate::policy::{FactorKind, IdentifierKind};
use crate::secret::{Token, TokenKind};
use crate::store::{Seen, entity, json_field};

/// What can be taken back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The e-mail address or number was changed, or somebody asked for that.
    Change {
        /// Which of them.
        kind: IdentifierKind,
        /// Whether another has taken its place.
        done: bool,
    },
    /// The account was deleted.
    Deletion,
    /// Something else was done that the user has not done. Whoever did it is signed out, the password
    /// counts no more until the account is recovered, and what was done since is gone.
    NotMe {
        /// The operation that was done, such as `password.change`.
        operation: String,
    },
}
json_field!(What);

/// What is needed to put an identifier back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// What it is.
    pub kind: IdentifierKind,
    /// As it was given.
    pub value: String,
    /// What is compared.
    pub canonical: String,
    /// When it was proved.
    pub verified_at: Timestamp,
    /// When it was claimed.
    pub created_at: Timestamp,
    /// Whether a factor reached it.
    pub reached: bool,
    /// Whether its owner had chosen that as a second factor.
    pub chosen: bool,
}

impl Claim {
    /// What puts `identifier` back as it is, whose owner has these `factors`; nothing for what was not shown to be
    /// theirs.
    fn of(identifier: &Identifier, factors: &[Seen<Factor>]) -> Option<Self> {
        let reaches =
            |factor: &&Seen<Factor>| factor.identifier_id == Some(identifier.id) && factor.bound_at.is_some();
        let mut factors = factors.iter().filter(reaches);
        Some(Self {
            kind: identifier.kind,
            value: identifier.value.clone(),
            canonical: identifier.canonical.clone(),
            verified_at: identifier.verified_at.filter(|_| identifier.takes_codes())?,
            created_at: identifier.created_at,
            reached: factors.clone().next().is_some(),
            chosen: factors.any(|factor| factor.chosen),
        })
    }

    /// The record of it, as `id`.
    fn identifier(&self, id: Uuid, user_id: Uuid) -> Identifier {
        Identifier {
            id,
            user_id,
            kind: self.kind,
            value: self.value.clone(),
            canonical: self.canonical.clone(),
            owned: Some(self.canonical.clone()),
            verified_at: Some(self.verified_at),
            created_at: self.created_at,
        }
    }

    /// As which factor it is reached.
    fn factor(&self) -> FactorKind {
        match self.kind {
            IdentifierKind::Email => FactorKind::Email,
            IdentifierKind::Mobile | IdentifierKind::Username => FactorKind::Sms,
        }
    }
}

/// What an account was when something was done to it, told by what there was and not by when: no clock of any node
/// decides what came later.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Known {
    /// The links, bound factors, addresses and numbers that there were.
    ids: Vec<Uuid>,
    /// The address and the number that were shown to be the user's own.
    claims: Vec<Claim>,
    /// When the password was set.
    password: Option<Timestamp>,
    /// Whether there was a second factor. Then a mail alone does not do away with the last one: what would be gone is
    /// locked, and whoever helps looks at who asks.
    protected: bool,
}
json_field!(Known);

impl Known {
    /// Whether this was there.
    fn has(&self, id: Uuid) -> bool {
        self.ids.contains(&id)
    }

    /// What there was of this kind.
    pub fn claim(&self, kind: IdentifierKind) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.kind == kind)
    }
}

entity! {
    /// Something that can be taken back with the link that was sent for it.
    pub struct Undo in "undos" {
        /// The public half of its token.
        id: Uuid,
        /// The hash of its token.
        digest: Vec<u8>,
        /// Whose.
        user_id: Uuid,
        /// What would be taken back.
        what: What,
        /// What the account was before.
        known: Known,
        /// When it was done.
        created_at: Timestamp,
        /// From when on it can no longer be taken back.
        expires_at: Timestamp,
    }
    index BY_USER (user_id, created_at);
    expires expires_at;
}

/// Lets `what` be taken back: the record for the commit that does it, and the token for the notice. What is `known` was
/// read by [`actions::known`] before that commit.
/// A deletion can be taken back for the policy's `account.grace`, anything else for `account.undo`.
pub fn offer(ctx: &Ctx, user: &User, what: What, known: Known, moment: &Moment) -> (Undo, Token) {
    let account = &ctx.policy.account;
    let lifetime = if what == What::Deletion { *account.grace } else { *account.undo };
    let id = moment.uuid(&format!("undo:{what:?}"));
    let token = Token::new(TokenKind::Undo, id, &moment.seed);
    let undo = Undo {
        id,
        digest: token.digest(),
        user_id: user.id,
        what,
        known,
        created_at: moment.now,
        expires_at: moment.now + lifetime,
    };
    (undo, token)
}

impl Undo {
    /// What a change would put back.
    pub fn before(&self) -> Option<&Claim> {
        self.what.kind().and_then(|kind| self.known.claim(kind))
    }

    /// The path of the page on which its `token` is used. Opening it changes nothing.
    pub fn path(&self, token: &Token) -> String {
        let page = if matches!(self.what, What::NotMe { .. }) { "not-me" } else { "undo" };
        format!("/{page}?token={}", token.reveal())
    }
}
