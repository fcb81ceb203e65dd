//! What happened, to whom, from where: one row an event, written in the commit that made it true.
//!
//! Always holds: an event is in the same commit as what it tells of. Never: a password, a code, a
//! token, or what an unknown person typed (people type passwords into the wrong field).

pub mod chain;
mod outgoing;
mod tallies;

pub use outgoing::{Outgoing, State};
pub use tallies::{Grain, Position, Tally, add, place_after};

use serde_json::Value as Json;
use uuid::Uuid;

use crate::app::Moment;
use crate::clock::Timestamp;
use crate::store::{Decision, entity, text_enum};
use crate::words::{Locale, say};

text_enum! {
    /// What happened.
    pub enum What {
        /// An account was made.
        SignedUp = "signed_up",
        /// The first factor was wrong, or there is no such user, or the user may not sign in.
        SignInFailed = "sign_in_failed",
        /// A signed-in user gave a wrong password.
        PasswordWrong = "password_wrong",
        /// A code was asked for and sent.
        CodeSent = "code_sent",
        /// A guess at a code was wrong.
        CodeWrong = "code_wrong",
        /// A factor was guessed at too often and takes no more codes.
        FactorLocked = "factor_locked",
        /// A factor was guessed at too often in recoveries and cannot be shown in one any more.
        RecoveryLocked = "recovery_locked",
        /// An operator let locked factors take guesses again.
        FactorUnlocked = "factor_unlocked",
        /// A factor was bound.
        FactorAdded = "factor_added",
        /// A factor was taken away.
        FactorRemoved = "factor_removed",
        /// A factor was given another name.
        FactorRenamed = "factor_renamed",
        /// Recovery codes were made, which ended those before.
        RecoveryCodesMade = "recovery_codes_made",
        /// An identifier was shown to be the user's own.
        IdentifierVerified = "identifier_verified",
        /// A call was asked for.
        CallAsked = "call_asked",
        /// A session was opened.
        SignedIn = "signed_in",
        /// A session was shown what an operation asks for.
        SteppedUp = "stepped_up",
        /// A refresh token was shown after its successor had been used: somebody has a copy. The session
        /// was ended.
        RefreshReused = "refresh_reused",
        /// A session was ended by its owner.
        SignedOut = "signed_out",
        /// A device was forgotten by its owner.
        DeviceForgotten = "device_forgotten",
        /// Something in the account was changed, or a new address or number was asked for.
        ProfileChanged = "profile_changed",
        /// The account was deleted by its owner.
        AccountDeleted = "account_deleted",
        /// Everything that is held about the user was taken by them.
        Exported = "exported",
        /// Something was taken back with the link in its notice.
        Undone = "undone",
        /// The password was changed by its owner.
        PasswordChanged = "password_changed",
        /// Somebody asked to get back into an account; nobody is known to have.
        RecoveryAsked = "recovery_asked",
        /// Somebody showed by a code that an address or a number of the account is theirs.
        RecoveryBegun = "recovery_begun",
        /// A new password was set by right of a recovery.
        Recovered = "recovered",
        /// A message could not be delivered, for all that is known.
        MessageFailed = "message_failed",
        /// A call has come to its end.
        CallEnded = "call_ended",
        /// The application is told of an event again, since an administrator asked for it.
        EventResent = "event_resent",
        /// Most of the day's money for messages is spent.
        SpendingWarned = "spending_warned",
        /// Something was not sent since the day's money for it is spent; the first time on that day.
        SpendingStopped = "spending_stopped",
        /// A service account was made.
        ServiceAccountMade = "service_account_made",
        /// A service account was removed, and all its keys with it.
        ServiceAccountRemoved = "service_account_removed",
        /// An API key was made.
        ApiKeyMade = "api_key_made",
        /// An API key was revoked.
        ApiKeyRevoked = "api_key_revoked",
        /// Users of another system were taken in; how many is in the detail.
        UsersImported = "users_imported",
        /// Sessions of another system were taken in; how many is in the detail.
        SessionsImported = "sessions_imported",
        /// An account was made by an administrator.
        AccountMade = "account_made",
        /// The link by which the first password of an account is set was made anew.
        LinkMade = "link_made",
        /// An administrator changed an account.
        AccountChanged = "account_changed",
        /// What a user may do beyond their own account was changed.
        RolesChanged = "roles_changed",
        /// A user was suspended.
        Suspended = "suspended",
        /// A suspended or deleted user was let in again.
        Restored = "restored",
        /// An account was deleted by an administrator.
        AccountRemoved = "account_removed",
        /// Every session of a user was ended by somebody else.
        SessionsEnded = "sessions_ended",
        /// A user's authenticator apps and recovery codes were taken away, and the rest unlocked.
        FactorsReset = "factors_reset",
        /// Somebody began to act for a user.
        ActingBegan = "acting_began",
        /// An organisation was founded.
        OrganizationMade = "organization_made",
        /// An organisation was renamed.
        OrganizationChanged = "organization_changed",
        /// An organisation was ended.
        OrganizationEnded = "organization_ended",
        /// Somebody was invited to an organisation.
        Invited = "invited",
        /// An invitation was taken back.
        InvitationEnded = "invitation_ended",
        /// Somebody joined an organisation.
        MemberJoined = "member_joined",
        /// A member of an organisation has another role.
        MemberChanged = "member_changed",
        /// A member of an organisation is one no more.
        MemberRemoved = "member_removed",
    }
}

impl What {
    /// What happened, in a sentence for the person whom it concerns.
    pub fn sentence(self, locale: Locale) -> String {
        say(locale, &format!("event-{self}"), &[])
    }
}

entity! {
    /// One event.
    pub struct Event in "events" {
        /// Sorted by time.
        id: Uuid,
        /// When.
        at: Timestamp,
        /// What.
        what: What,
        /// To whom; none when nobody is known.
        user_id: Option<Uuid>,
        /// Who did it, when it was not the user: an administrator, or who acts for the user.
        actor_id: Option<Uuid>,
        /// In or about which session.
        session_id: Option<Uuid>,
        /// During which request.
        request_id: Option<Uuid>,
        /// From which address.
        address: Option<String>,
        /// With what.
        user_agent: Option<String>,
        /// More, by the kind of event.
        detail: Json,
        /// In which block of the chain it is sealed; 0 while it is not.
        block: i64,
        /// Two keyed hashes, of where it came from and of the detail, made when it was sealed: either may be
        /// forgotten later, and the seal still be looked at.
        personal: Option<Vec<u8>>,
    }
    index BY_USER (user_id, at);
    index BY_WHAT (what, at);
    index BY_TIME (at);
    index BY_BLOCK (block);
    sparse BY_ACTOR (actor_id, at);
}

/// An event about to be noted.
#[derive(Debug)]
pub struct Note {
    what: What,
    user: Option<Uuid>,
    actor: Option<Uuid>,
    session: Option<Uuid>,
    detail: Json,
}

/// Something happened.
pub fn note(what: What) -> Note {
    Note { what, user: None, actor: None, session: None, detail: Json::Null }
}

impl Note {
    /// To this user.
    #[must_use]
    pub fn user(mut self, id: Uuid) -> Self {
        self.user = Some(id);
        self
    }

    /// Done by somebody else than the user. Whoever acts for a user is noted without this.
    #[must_use]
    pub fn actor(mut self, id: Option<Uuid>) -> Self {
        self.actor = id;
        self
    }

    /// In or about this session.
    #[must_use]
    pub fn session(mut self, id: Uuid) -> Self {
        self.session = Some(id);
        self
    }

    /// With more to tell; never a secret.
    #[must_use]
    pub fn detail(mut self, detail: Json) -> Self {
        self.detail = detail;
        self
    }

    /// The row.
    pub fn at(self, moment: &Moment) -> Event {
        let client = moment.client.as_ref();
        Event {
            id: moment.uuid(&format!("event:{}:{:?}", self.what, self.session)),
            at: moment.now,
            what: self.what,
            user_id: self.user,
            actor_id: self.actor.or_else(|| client.and_then(|client| client.actor)),
            session_id: self.session,
            request_id: client.map(|client| client.request_id),
            address: client.map(|client| client.address.to_string()),
            user_agent: client.and_then(|client| client.user_agent.clone()),
            detail: self.detail,
            block: 0,
            personal: None,
        }
    }
}

/// Lets a decision note an event among its changes.
pub trait Noting {
    /// Also notes that this happened.
    #[must_use]
    fn note(self, moment: &Moment, note: Note) -> Self;
}

impl<T> Noting for Decision<T> {
    fn note(self, moment: &Moment, note: Note) -> Self {
        let event = note.at(moment);
        let decision = self.insert(&event);
        if moment.publishes { decision.insert(&Outgoing::of(&event)) } else { decision }
    }
}
