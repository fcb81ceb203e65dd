//! Sessions: open, recognise, list, end. One session, carried as a cookie, as an opaque token, or as a
//! short access token (JWT) and a refresh token.
//!
//! Always holds: a session is opened only with the proofs that were shown; its token is stored only
//! as a hash; a session counts for as long as its record stands, its user is active, and neither
//! its lifetime nor its idle time has run out – each looked at on every request, never by a
//! clean-up job. Ending a session is deleting its record.

mod access;
mod acting;
pub mod actions;
pub mod api;
mod aside;
mod carry;
mod hand_out;
pub mod inspect;
pub mod moved;
mod refresh;
mod rules;

pub use access::{Claims, FIRST_PARTY};
pub use acting::{Act, ActingView, Membership, stands};
pub use actions::{authenticate, making_room};
pub use aside::{end_aside, laid_aside};
pub use carry::{
    aside_cookie, clear_aside, clear_cookie, cookies, device, device_cookie, has_aside, in_cookie,
    invitation, invitation_cookie, overwritten, pending, pending_cookie, session_cookie, sets_session, shows,
    with_cookies,
};
pub use hand_out::{BEARER, Credential, Tokens, hand_out};
pub use rules::leave;

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::accounts::User;
use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::{Problem, Result};
pub use crate::policy::Carry;
use crate::policy::Proofs;
use crate::store::{Seen, entity};

entity! {
    /// One sign-in that has not ended.
    pub struct Session in "sessions" {
        /// Its id, which is no secret.
        id: Uuid,
        /// Whose.
        user_id: Uuid,
        /// The hash of its token.
        digest: Vec<u8>,
        /// How its token travels.
        carry: Carry,
        /// On which device it was opened.
        device_id: Option<Uuid>,
        /// Who acts by it for the user, when it is not the user's own.
        act: Option<Act>,
        /// What was proved.
        proofs: Proofs,
        /// From which address it was opened.
        address: Option<String>,
        /// With what.
        user_agent: Option<String>,
        /// When it was opened.
        created_at: Timestamp,
        /// Its user's `sessions_from` when it was opened, or when its user ended all the others. Once that is later,
        /// it is dead.
        counts_from: Timestamp,
        /// When it was last used, give or take the policy's `seen_every`.
        seen_at: Timestamp,
        /// When it ends whatever happens.
        expires_at: Timestamp,
        /// How often its refresh token has been renewed.
        generation: u32,
        /// When that was last, or when it was opened.
        rotated_at: Timestamp,
    }
    index BY_USER (user_id, created_at);
    expires expires_at;
    kept id;
    follows rules::told;
}

/// Who is asking: a session that stands, and its user.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The session.
    pub session: Seen<Session>,
    /// The user.
    pub user: Seen<User>,
}

impl Caller {
    /// The session and the user as they are now. Called inside of `decide`, which then requires or
    /// changes both, so that nothing is done for a session that ended meanwhile.
    ///
    /// # Errors
    /// [`Problem::Unauthenticated`] when the session no longer stands.
    pub async fn standing(&self, ctx: &Ctx) -> Result<(Seen<Session>, Seen<User>)> {
        let session = ctx.app.store.get::<Session>(self.session.id).await?;
        let user = ctx.app.store.get::<User>(self.user.id).await?;
        match session.zip(user) {
            Some((session, user)) if stands(ctx, &session, &user).await? => Ok((session, user)),
            _ => Err(Problem::Unauthenticated.into()),
        }
    }
}

/// A session as its owner sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct SessionView {
    /// Its id.
    pub id: Uuid,
    /// Whether it is the one that asks.
    pub current: bool,
    /// The address it was opened from.
    pub ip: Option<String>,
    /// What it was opened with.
    pub user_agent: Option<String>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// The authenticator assurance level that was reached.
    pub aal: u32,
    /// The methods that were shown to sign in (RFC 8176, where that has a name).
    pub amr: Vec<&'static str>,
    /// Who acts by it for the user, when it is not the user's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acting: Option<ActingView>,
}

impl Session {
    /// What its owner sees.
    pub fn view(&self, current: bool) -> SessionView {
        SessionView {
            id: self.id,
            current,
            // Where somebody who acts is, is theirs.
            ip: self.address.clone().filter(|_| self.act.is_none()),
            user_agent: self.user_agent.clone().filter(|_| self.act.is_none()),
            created_at: self.created_at,
            last_seen_at: self.seen_at,
            expires_at: self.expires_at,
            aal: self.proofs.level(),
            amr: self.proofs.of_sign_in().map(|proof| proof.factor.amr()).collect(),
            acting: self.act.as_ref().map(ActingView::from),
        }
    }

    /// Who acts by it for its user, when somebody does.
    pub fn actor(&self) -> Option<Uuid> {
        self.act.as_ref().map(|act| act.actor)
    }

    /// By which membership of its user an administrator of an organisation acts, when one does.
    pub fn acts_by(&self) -> Option<Uuid> {
        self.act.as_ref().and_then(|act| act.members).map(|[_, theirs]| theirs.id)
    }
}
