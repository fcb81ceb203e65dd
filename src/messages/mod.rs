//! Messages: recorded first, sent later.
//!
//! A message is a record in the commit that decided on it; a worker sends what is due, and the
//! provider's callbacks tell what became of it. What always holds:
//! - Nobody sends inside a request, and nothing is recorded without [`Postage`]: it was counted.
//! - What is no longer valid is never sent.
//! - What the provider has surely not processed is tried again; what it may have processed is sent
//!   once more at most, with the same text.
//! - What the provider tells only ever raises a status ([`Status`] is a lattice), in whatever order
//!   news comes, and however often.
//! - The text is sealed, and wiped as soon as nothing will send it again.
//!
//! A callback changes the record of its message. It must never verify a number or grant anything:
//! callbacks have no time in them and can be replayed for ever.

pub mod actions;
pub mod api;
pub mod letters;
mod mail;
pub mod providers;
pub mod rules;
mod spoken;
mod trouble;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app::{Ctx, Moment};
use crate::clock::Timestamp;
use crate::limits::Postage;
use crate::secret::{Keyring, Sealed, Token, TokenKind};
use crate::store::{entity, json_field, text_enum};
use crate::twilio::errors::Class;
use crate::words::Locale;

pub use crate::config::Channel;
pub use letters::{CodePurpose, Content, Letter, Notice};
pub use rules::Try;

/// How long a message's record is kept: long enough to answer a complaint or check a bill; it holds
/// a phone number, so no longer.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

text_enum! {
    /// How far a message has come. The declared order is the lattice: of two statuses the later one
    /// here is the truth, so that news may come in any order. Delivered is the last, since one copy
    /// that arrived outweighs any that did not.
    #[schemars(rename = "MessageStatus")]
    pub enum Status {
        /// Waiting for a worker.
        Queued = "queued",
        /// A worker has it.
        Sending = "sending",
        /// It may have gone out; nothing more is tried, and only a callback will tell.
        Unknown = "unknown",
        /// The provider has it.
        Accepted = "accepted",
        /// The provider has handed it on.
        Sent = "sent",
        /// Its time was over before it could be sent.
        Expired = "expired",
        /// Cancelled before it was sent.
        Canceled = "canceled",
        /// Refused, by the provider or before.
        Failed = "failed",
        /// The network could not deliver it.
        Undelivered = "undelivered",
        /// It arrived.
        Delivered = "delivered",
    }
}

impl Status {
    /// Whether it has ended: from here it can only turn out to have arrived after all.
    pub fn is_final(self) -> bool {
        self >= Self::Expired
    }

    /// Whether it is still ours to send.
    pub fn is_ours(self) -> bool {
        self <= Self::Sending
    }
}

/// One word of a message's history: a [`Status`], or a provider's word that is not known here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// When it was heard.
    pub at: Timestamp,
    /// The word.
    pub status: String,
}

/// What was heard of a message, each word once, in the order of hearing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct History(pub Vec<Step>);
json_field!(History);

impl History {
    /// Notes a word that is new, unless there are as many as there may be at `most`; whether it did.
    pub fn note(&mut self, word: &str, at: Timestamp, most: usize) -> bool {
        let is_new = self.0.len() < most && self.0.iter().all(|step| step.status != word);
        if is_new {
            self.0.push(Step { at, status: word.to_owned() });
        }
        is_new
    }
}

/// The newest requests that were made for a message, the oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tries(pub Vec<Try>);
json_field!(Tries);

/// The ways that are left, the next one first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fallback(pub Vec<Channel>);
json_field!(Fallback);

entity! {
    /// A message, from the decision to send it until it is forgotten.
    pub struct Message in "messages" {
        /// Its id.
        id: Uuid,
        /// By which way it goes.
        kind: Channel,
        /// What it is for, such as `code`; for people who read the list. A code that is to show whose something is
        /// goes as `verify`.
        purpose: String,
        /// Where it goes, E.164.
        to: String,
        /// The text, sealed; gone once nothing will send it again.
        body: Option<Sealed>,
        /// Whom it concerns.
        user: Option<Uuid>,
        /// The challenge that it carries.
        challenge: Option<Uuid>,
        /// How far it has come.
        status: Status,
        /// How often a worker has taken it.
        attempts: u32,
        /// How many of these may have gone out without our knowing.
        doubts: u32,
        /// Who was asked last to carry it; empty until somebody was.
        provider: String,
        /// The provider's name for it.
        provider_ref: Option<String>,
        /// The provider's number for what went wrong.
        error_code: Option<i64>,
        /// What went wrong, in our words: a provider's own might repeat the text.
        error_reason: Option<String>,
        /// The digest of the token in the callback's path.
        callback: Vec<u8>,
        /// That token, sealed, since each attempt needs its text; gone together with the body.
        callback_sealed: Option<Sealed>,
        /// What was heard of it.
        history: History,
        /// The newest requests that were made for it.
        tries: Tries,
        /// The ways that are left when this one fails.
        fallback: Fallback,
        /// How often the provider was asked what became of it.
        polls: u32,
        /// When to ask the provider what became of it, or to wipe what no fallback needs any more.
        look_at: Option<Timestamp>,
        /// When it was decided on.
        created_at: Timestamp,
        /// From here on it is not sent.
        valid_until: Timestamp,
        /// When a worker should look at it; while it is being sent, when the lease runs out.
        due_at: Option<Timestamp>,
        /// When it ended.
        finished_at: Option<Timestamp>,
        /// When it is forgotten.
        expires_at: Timestamp,
    }
    index BY_USER (user, created_at);
    index BY_CREATED (created_at);
    // Not sparse: a decoy, which is never due, is written where a code that is due is written.
    index BY_DUE (kind, due_at);
    sparse BY_PROVIDER_REF (provider_ref);
    sparse BY_CHALLENGE (challenge);
    sparse BY_LOOK (look_at);
    expires expires_at;
    due due_at;
}

/// A code, and whom it goes to.
#[derive(Clone, Copy)]
pub struct Code<'a> {
    /// By which way it goes.
    pub channel: Channel,
    /// Where it goes: E.164, or an e-mail address.
    pub to: &'a str,
    /// Whom it concerns.
    pub user: Uuid,
    /// The challenge that it answers.
    pub challenge: Uuid,
    /// What it is good for.
    pub purpose: CodePurpose,
    /// The code itself.
    pub code: &'a str,
    /// The path of a page on which one press answers the challenge. Opening it must change nothing.
    pub link: Option<&'a str>,
    /// The language to say it in; see [`Locale::choose`].
    pub locale: Locale,
    /// From here on it is of no use, and is not sent.
    pub valid_until: Timestamp,
}

/// The message that carries a code. The caller inserts it in the commit that asks for the code.
pub fn code(ctx: &Ctx, postage: &Postage, code: Code<'_>, moment: &Moment) -> Message {
    let address = Address {
        channel: code.channel,
        purpose: if code.purpose == CodePurpose::Verify { VERIFY } else { "code" },
        to: code.to,
        user: Some(code.user),
        challenge: Some(code.challenge),
        valid_until: code.valid_until,
    };
    Message::new(ctx, postage, address, &Letter::code(&code, moment), moment)
}

/// Something that happened, and who is told.
#[derive(Clone, Copy)]
pub struct Notify<'a> {
    /// What happened. When, from which address and with what device is taken from the moment.
    pub what: Notice,
    /// By which way they are told.
    pub channel: Channel,
    /// Where it goes: E.164, or an e-mail address.
    pub to: &'a str,
    /// Whom it concerns; nobody, while nobody is known by the address.
    pub user: Option<Uuid>,
    /// The language to say it in.
    pub locale: Locale,
    /// The path of a page on which to say "that was not me", or to undo it. Opening it must change nothing.
    pub link: Option<&'a str>,
    /// Until when it can be undone, where it can.
    pub until: Option<Timestamp>,
}

/// The message that tells what has happened. The caller inserts it in the commit in which it happens,
/// with postage as [`crate::limits::Sender::Notice`].
pub fn notice(ctx: &Ctx, postage: &Postage, notify: Notify<'_>, moment: &Moment) -> Message {
    let news = moment.now + NEWS;
    let address = Address {
        channel: notify.channel,
        purpose: notify.what.as_str(),
        to: notify.to,
        user: notify.user,
        challenge: None,
        valid_until: notify.until.filter(|_| notify.what.is_a_way_in()).map_or(news, |until| until.min(news)),
    };
    Message::new(ctx, postage, address, &Letter::notice(&notify, moment), moment)
}

/// What a message is for whose code is to show that an address or a number is the user's own.
const VERIFY: &str = "verify";

/// For how long news is worth sending, over a weekend on which a provider does not work; unless it is its link that
/// counts.
const NEWS: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// Where a letter goes, and on whose account.
#[derive(Clone, Copy)]
struct Address<'a> {
    channel: Channel,
    purpose: &'a str,
    to: &'a str,
    user: Option<Uuid>,
    challenge: Option<Uuid>,
    valid_until: Timestamp,
}

impl Message {
    /// A message, due at once. Of one moment, one for each purpose, channel and address.
    ///
    /// The postage is borrowed, since a decision may be taken anew; it pays for one message.
    fn new(ctx: &Ctx, postage: &Postage, address: Address<'_>, letter: &Letter, moment: &Moment) -> Self {
        let now = moment.now;
        let (keyring, random) = (&ctx.app.keyring, &ctx.app.random);
        let id = moment.uuid(&format!("message:{}:{}:{}", address.channel, address.purpose, address.to));
        postage.put_on(id);
        let token = Token::new(TokenKind::Callback, id, &moment.seed);
        let seal = |what: &str, plain: &str| keyring.seal(&[what, &id.to_string()], plain.as_bytes(), random);
        Self {
            id,
            kind: address.channel,
            purpose: address.purpose.to_owned(),
            to: address.to.to_owned(),
            body: Some(seal(BODY, &serde_json::to_string(letter).unwrap_or_default())),
            user: address.user,
            challenge: address.challenge,
            status: Status::Queued,
            attempts: 0,
            doubts: 0,
            provider: String::new(),
            provider_ref: None,
            error_code: None,
            error_reason: None,
            callback: token.digest(),
            callback_sealed: Some(seal(CALLBACK, &token.reveal())),
            history: History(vec![Step { at: now, status: Status::Queued.to_string() }]),
            tries: Tries::default(),
            fallback: Fallback(rules::fallback(&ctx.app.config.delivery.fallback, address.channel, letter)),
            polls: 0,
            look_at: None,
            created_at: now,
            valid_until: address.valid_until,
            due_at: Some(now),
            finished_at: None,
            expires_at: address.valid_until.latest(now) + KEPT,
        }
    }

    /// Its letter and its callback token; none once they are wiped, or when their key is missing.
    fn unseal(&self, keyring: &Keyring) -> Option<(Letter, String)> {
        let open = |what: &str, sealed: &Option<Sealed>| {
            keyring.open(&[what, &self.id.to_string()], sealed.as_ref()?)
        };
        let letter = serde_json::from_slice(&open(BODY, &self.body)?).ok()?;
        let callback = String::from_utf8(open(CALLBACK, &self.callback_sealed)?.to_vec()).ok()?;
        Some((letter, callback))
    }

    /// The message that follows a failed one: the same letter another way, `to` the same user.
    fn follow(
        &self,
        ctx: &Ctx,
        postage: &Postage,
        channel: Channel,
        to: &str,
        letter: &Letter,
        moment: &Moment,
    ) -> Self {
        let address = Address {
            channel,
            purpose: &self.purpose,
            to,
            user: self.user,
            challenge: self.challenge,
            valid_until: self.valid_until,
        };
        let mut next = Self::new(ctx, postage, address, letter, moment);
        let left = self.fallback.0.iter().skip_while(|kind| **kind != channel).skip(1);
        next.fallback = Fallback(left.copied().collect());
        next
    }

    /// Who may hear of it: the user whom it concerns. Of a mail that is to show whose an address is, nobody: where the
    /// address is another's no such mail goes out, and its owner is written to instead.
    pub fn told_to(&self) -> Option<Uuid> {
        self.user.filter(|_| self.kind != Channel::Email || self.purpose != VERIFY)
    }

    /// What kind of failure ended it or held it up last, when one did.
    pub fn failure(&self) -> Option<Class> {
        self.error_reason.as_ref().map(|_| trouble::class(self.error_code))
    }
}

const BODY: &str = "message.body";
const CALLBACK: &str = "message.callback";
