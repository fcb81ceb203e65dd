//! Calls: people call people. Recorded first, placed later.
//!
//! A call is a record in the commit that decided on it; a worker places what is due, and the
//! provider's callbacks tell what became of it. What always holds:
//! - Nobody dials inside a request, and nothing is recorded without having been allowed and counted.
//! - A phone never rings twice for one call. What was surely not processed is tried again; what the
//!   provider may have is not: it is looked for among the provider's calls, and given up when it is
//!   not there. Whoever asked can dial again; a phone that rang cannot unring.
//! - What the provider tells only ever raises a status ([`Status`] is a lattice), in whatever order
//!   news comes, and however often. When no news comes, it is asked.
//! - What is said is sealed, and wiped as soon as nothing will place the call again.
//!
//! A callback changes the record of its call. It must never grant anything: callbacks can be replayed
//! for ever.

pub mod actions;
pub mod api;
pub mod rules;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app::Moment;
use crate::clock::Timestamp;
use crate::limits::Postage;
use crate::messages::{History, Step};
use crate::random::Random;
use crate::secret::{Keyring, Sealed, Token, TokenKind};
use crate::store::{entity, text_enum};
use crate::twilio;

/// How long a call's record is kept: long enough to answer a complaint or check a bill; it holds a
/// phone number, so no longer.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long a call may wait to be placed. One that rings later is a surprise.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

text_enum! {
    /// How far a call has come. The declared order is the lattice: of two statuses the later one here
    /// is the truth, so that news may come in any order. What the provider says of the end outweighs
    /// that we gave up, and a call that was answered outweighs everything.
    #[schemars(rename = "CallStatus")]
    pub enum Status {
        /// Waiting to be dialled.
        Queued = "queued",
        /// The provider dials.
        Initiated = "initiated",
        /// It rings.
        Ringing = "ringing",
        /// Somebody has answered.
        InProgress = "in_progress",
        /// It could not be placed, or nobody can tell whether it was.
        Failed = "failed",
        /// Cancelled before it was answered.
        Canceled = "canceled",
        /// Nobody answered.
        NoAnswer = "no_answer",
        /// The line was busy, or the call declined.
        Busy = "busy",
        /// It was answered and has ended.
        Completed = "completed",
    }
}

impl Status {
    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        self >= Self::Failed
    }
}

text_enum! {
    /// What a worker has to do with a call when it is due.
    pub enum Next {
        /// Place it.
        Place = "place",
        /// A worker is placing it: when this is due, that worker died.
        Placing = "placing",
        /// Look for it among the provider's calls: it may have been placed.
        Find = "find",
        /// Ask the provider after it, or, when it was cancelled, end it there.
        Follow = "follow",
        /// Nothing.
        Nothing = "nothing",
    }
}

entity! {
    /// A call, from the decision to place it until it is forgotten.
    pub struct Call in "calls" {
        /// Its id.
        id: Uuid,
        /// Who calls.
        user_id: Uuid,
        /// Whom, E.164.
        to: String,
        /// The number that is shown, E.164.
        from: String,
        /// What is said, sealed; gone once nothing will place the call again.
        say: Option<Sealed>,
        /// Instead of it, where the provider fetches what to say.
        twiml_url: Option<String>,
        /// The language of what is said, as the provider names it.
        language: String,
        /// How far it has come.
        status: Status,
        /// What a worker has to do with it.
        next: Next,
        /// How often a worker tried to place it.
        attempts: u32,
        /// How often the provider was asked since `next` became what it is.
        looks: u32,
        /// When its caller called it back.
        canceled_at: Option<Timestamp>,
        /// Who carries it.
        provider: String,
        /// The provider's name for it.
        provider_ref: Option<String>,
        /// The provider's number for what went wrong.
        error_code: Option<i64>,
        /// What went wrong, in our words.
        error_reason: Option<String>,
        /// How long was spoken, in seconds.
        duration: Option<u32>,
        /// The digest of the token in the callback's path.
        callback: Vec<u8>,
        /// That token, sealed; gone together with what is said.
        callback_sealed: Option<Sealed>,
        /// What was heard of it.
        history: History,
        /// When it was asked for.
        created_at: Timestamp,
        /// From here on it is not placed.
        valid_until: Timestamp,
        /// When the newest attempt to place it began.
        tried_at: Option<Timestamp>,
        /// When a worker should look at it.
        due_at: Option<Timestamp>,
        /// When it ended.
        finished_at: Option<Timestamp>,
        /// When it is forgotten.
        expires_at: Timestamp,
    }
    index BY_USER (user_id, created_at);
    index BY_CREATED (created_at);
    index BY_USER_STATUS (user_id, status, created_at);
    sparse BY_PROVIDER_REF (provider_ref);
    sparse BY_DUE (due_at);
    expires expires_at;
    due due_at;
}

/// What a call should be; allowed, counted, and read by the rules.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Who calls.
    pub user: Uuid,
    /// Whom, E.164.
    pub to: String,
    /// The number that is shown, E.164.
    pub from: String,
    /// What is said.
    pub content: Content,
    /// The language of what is said, as the provider names it.
    pub language: &'static str,
}

/// What a call says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// This text.
    Say(String),
    /// The TwiML at this address, which the settings allow.
    Url(String),
}

impl Call {
    /// A call that is due at once. The postage is borrowed, since a decision may be taken anew; it pays
    /// for one call.
    pub fn new(
        moment: &Moment,
        postage: &Postage,
        keyring: &Keyring,
        random: &Random,
        wanted: &Wanted,
    ) -> Self {
        let now = moment.now;
        let id = moment.uuid("call");
        postage.put_on(id);
        let token = Token::new(TokenKind::Callback, id, &moment.seed);
        let seal = |what: &str, plain: &str| keyring.seal(&[what, &id.to_string()], plain.as_bytes(), random);
        let (say, twiml_url) = match &wanted.content {
            Content::Say(text) => (Some(seal(SAY, text)), None),
            Content::Url(url) => (None, Some(url.clone())),
        };
        Self {
            id,
            user_id: wanted.user,
            to: wanted.to.clone(),
            from: wanted.from.clone(),
            say,
            twiml_url,
            language: wanted.language.to_owned(),
            status: Status::Queued,
            next: Next::Place,
            attempts: 0,
            looks: 0,
            canceled_at: None,
            provider: twilio::NAME.to_owned(),
            provider_ref: None,
            error_code: None,
            error_reason: None,
            duration: None,
            callback: token.digest(),
            callback_sealed: Some(seal(CALLBACK, &token.reveal())),
            history: History(vec![Step { at: now, status: Status::Queued.to_string() }]),
            created_at: now,
            valid_until: now + PATIENCE,
            tried_at: None,
            due_at: Some(now),
            finished_at: None,
            expires_at: now + KEPT,
        }
    }

    /// What it says, and its callback token; none once they are wiped, or when their key is missing.
    fn unseal(&self, keyring: &Keyring) -> Option<(Content, String)> {
        let open = |what: &str, sealed: &Option<Sealed>| {
            let plain = keyring.open(&[what, &self.id.to_string()], sealed.as_ref()?)?;
            String::from_utf8(plain.to_vec()).ok()
        };
        let content = match &self.twiml_url {
            Some(url) => Content::Url(url.clone()),
            None => Content::Say(open(SAY, &self.say)?),
        };
        Some((content, open(CALLBACK, &self.callback_sealed)?))
    }
}

const SAY: &str = "call.say";
const CALLBACK: &str = "call.callback";

/// A call as its caller sees it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Call")]
pub struct CallView {
    /// Its id.
    pub id: Uuid,
    /// Whom, E.164.
    pub to: String,
    /// The number that is shown, E.164.
    pub from: String,
    /// How far it has come.
    pub status: Status,
    /// Whether it was cancelled and has not ended yet.
    pub canceling: bool,
    /// What went wrong, when something did.
    pub error: Option<CallError>,
    /// How long was spoken, in seconds, once it has ended.
    pub duration: Option<u32>,
    /// How often it was given to the provider.
    pub attempts: u32,
    /// Who carries it.
    pub provider: String,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
    /// What was heard of it, each word once, in the order of hearing: a status, or a word of the
    /// provider's that is not known here.
    pub history: History,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// What went wrong with a call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CallError {
    /// The provider's number for it.
    pub code: Option<i64>,
    /// What it means.
    pub message: String,
}

impl Call {
    /// What its caller sees.
    pub fn view(&self) -> CallView {
        CallView {
            id: self.id,
            to: self.to.clone(),
            from: self.from.clone(),
            status: self.status,
            canceling: self.canceled_at.is_some() && !self.status.is_final(),
            error: self.error_reason.clone().map(|message| CallError { code: self.error_code, message }),
            duration: self.duration,
            attempts: self.attempts,
            provider: self.provider.clone(),
            provider_ref: self.provider_ref.clone(),
            history: self.history.clone(),
            created_at: self.created_at,
            finished_at: self.finished_at,
        }
    }
}
