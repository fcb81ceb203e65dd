//! Taking back: what the link in a notice undoes.
//!
//! Always holds: a link undoes once, because undoing deletes what was seen; it undoes for as long as
//! its record says and for no longer; whatever it undoes, every session of the user and everything
//! that was asked before ends with it. Taking back a change takes back what could be undone after it,
//! and does what "that was not me" to it would have done: whoever holds the older address wins, since the
//! newer one may be a thief's.

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
use crate::policy::IdentifierKind;
use crate::secret::{Token, TokenKind};
use crate::store::{Seen, entity, json_field};

/// What can be taken back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The e-mail address or number was changed, or somebody asked for that.
    Change {
        /// What it was before.
        before: Claim,
    },
    /// The account was deleted.
    Deletion,
    /// Something else was done that the user has not done. Whoever did it is signed out, the password
    /// counts no more until the account is recovered, and factors that were bound since are gone.
    NotMe {
        /// The operation that was done, such as `password.change`.
        operation: String,
        /// Whether there was a second factor before. Then a mail alone does not do away with the last one: what
        /// would be gone is locked, and whoever helps looks at who asks.
        protected: bool,
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
    pub verified_at: Option<Timestamp>,
    /// When it was claimed.
    pub created_at: Timestamp,
    /// Whether its owner had chosen it as a second factor.
    pub chosen: bool,
}

impl Claim {
    /// What puts `identifier` back as it is, whose owner has these `factors`.
    pub fn of(identifier: &Identifier, factors: &[Seen<Factor>]) -> Self {
        let is_chosen = |factor: &Seen<Factor>| factor.chosen && factor.identifier_id == Some(identifier.id);
        Self {
            kind: identifier.kind,
            value: identifier.value.clone(),
            canonical: identifier.canonical.clone(),
            verified_at: identifier.verified_at,
            created_at: identifier.created_at,
            chosen: factors.iter().any(is_chosen),
        }
    }
}

/// What there was of a user's when something was done: links, bound factors, addresses and numbers asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(Vec<Uuid>);
json_field!(Known);

impl Known {
    /// Whether this was there.
    fn has(&self, id: Uuid) -> bool {
        self.0.contains(&id)
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
        /// What was there already. All else came later, whatever any clock said.
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
    /// The path of the page on which its `token` is used. Opening it changes nothing.
    pub fn path(&self, token: &Token) -> String {
        let page = if matches!(self.what, What::NotMe { .. }) { "not-me" } else { "undo" };
        format!("/{page}?token={}", token.reveal())
    }
}
