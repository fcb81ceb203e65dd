//! What may be sent, when again, and what news of it means: pure.
//!
//! The three transitions – [`Message::lease`], [`Message::sent`], [`Message::fold`] – take the
//! record as it stands and may find that nothing is to be done. None of them ever lowers a status
//! that the provider has told, nor brings a wiped text back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::trouble::{Class, class, reason};
use super::{Channel, CodePurpose, Content, Letter, Message, Status};
use crate::clock::Timestamp;
use crate::store::{Change, Seen};
use crate::worker;

/// How long a worker has a message for itself. Four times what a request may take (15 s), so that
/// only a worker that died loses its lease.
pub const LEASE: Duration = Duration::from_secs(60);

/// What must be left of that when the first provider is asked: the second one may have to be, too (20 s and 15 s).
const LEAST_LEASE: Duration = Duration::from_secs(40);

/// How many attempts may have gone out without our knowing. Twilio has no idempotency key: each one
/// may be a second copy, so one resend and no more.
const DOUBTS: u32 = 2;

/// The pause before the second try; it doubles from there (Twilio's advice for error 20429).
const PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two tries, or this part of the time that is left where that is longer: a code
/// is tried again within half a minute, news of three days within twenty.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const PART_OF_THE_REST: u32 = 200;

/// The least time that a message must still be valid for to be sent, and the unit in which the
/// provider is told of it.
const LEAST_LIFE: Duration = Duration::from_secs(1);

/// How many words a history holds: twice the known statuses.
const WORDS: usize = 2 * Status::ALL.len();

/// How many requests a record remembers: as many as the words of its history.
const TRIES: usize = WORDS;

/// How long after the provider took a message it is asked what became of it, when it has told nothing
/// final by itself (Twilio promises neither order nor arrival of callbacks).
const POLLS: [Duration; 3] =
    [Duration::from_secs(2 * 60), Duration::from_secs(10 * 60), Duration::from_secs(60 * 60)];

/// The least time that a code must still be good for to be sent another way.
const LEAST_FOR_ANOTHER_WAY: Duration = Duration::from_secs(60);

/// What taking a message came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lease {
    /// Send it, then say what came of it.
    Taken,
    /// It will not be sent (again); keep that.
    Settled,
    /// Nothing to do: another worker has it.
    Nothing,
}

/// What the provider tells of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// Its name for the message.
    pub reference: Option<String>,
    /// Its word, as it came.
    pub word: String,
    /// What the word means here; none when it is not known.
    pub status: Option<Status>,
    /// Its number for what went wrong.
    pub error: Option<i64>,
}

/// What an attempt to send came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sent {
    /// The provider has it.
    Accepted(Heard),
    /// It was surely not processed, and may be later: trying again is safe.
    NotProcessed(Option<i64>),
    /// It was surely not processed, and the code says why.
    Refused(Option<i64>),
    /// Whether it was processed is not known.
    Doubtful,
}

impl Sent {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::NotProcessed(_) => "not_processed",
            Self::Refused(_) => "refused",
            Self::Doubtful => "doubtful",
        }
    }

    /// The number for what went wrong.
    pub fn code(&self) -> Option<i64> {
        match self {
            Self::Accepted(heard) => heard.error,
            Self::NotProcessed(code) | Self::Refused(code) => *code,
            Self::Doubtful => None,
        }
    }
}

/// One request to a provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Try {
    /// When its answer came, or was no longer waited for.
    pub at: Timestamp,
    /// Whom it went to.
    pub provider: String,
    /// What it came to, as [`Sent::as_str`] says it.
    pub came_to: String,
    /// The provider's number for what went wrong.
    pub code: Option<i64>,
}

/// What looking after a message that was handed over came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// Ask the provider what became of it.
    Ask,
    /// Nothing is left to be found out; keep that.
    Settled,
    /// Nothing to do.
    Nothing,
}

/// The ways that are left after `kind` for this letter, the next one first.
///
/// Only codes take another way; a call goes to the same number. A code that is to verify a number
/// never goes by mail: whoever reads the mail has not shown the number.
pub fn fallback(allowed: &[Channel], kind: Channel, letter: &Letter) -> Vec<Channel> {
    let Content::Code { purpose, .. } = &letter.content else { return Vec::new() };
    let ways = match kind {
        Channel::Sms => allowed,
        Channel::Call => allowed.split(|channel| *channel == Channel::Call).nth(1).unwrap_or_default(),
        Channel::Email => &[],
    };
    let fits = |kind: &Channel| *kind != Channel::Email || *purpose != CodePurpose::Verify;
    ways.iter().copied().filter(fits).collect()
}

/// The changes that withdraw `sent`, for the decision after which their code counts no more.
pub fn withdrawn(sent: Vec<Seen<Message>>, now: Timestamp) -> Vec<Change> {
    sent.into_iter().map(|seen| Change::update(&seen.with(|message| message.withdraw(now)))).collect()
}

impl Message {
    /// A worker takes it at `now`, when it is due and still worth sending.
    pub fn lease(&mut self, now: Timestamp) -> Lease {
        if self.due_at.is_none_or(|due| due > now) {
            return Lease::Nothing;
        }
        if !self.status.is_ours() {
            self.close();
            return Lease::Settled;
        }
        if self.status == Status::Sending {
            // Whoever had it died: before the request, or after.
            self.doubts += 1;
        }
        if self.doubts >= DOUBTS {
            self.rise(Status::Unknown, now);
            return Lease::Settled;
        }
        if !self.is_worth_sending(now) {
            self.rise(if self.doubts > 0 { Status::Unknown } else { Status::Expired }, now);
            return Lease::Settled;
        }
        self.status = Status::Sending;
        self.history.note(Status::Sending.as_str(), now, WORDS);
        self.attempts += 1;
        self.due_at = Some(now + LEASE);
        Lease::Taken
    }

    /// Whether there is time enough left for it to be of use.
    pub fn is_worth_sending(&self, now: Timestamp) -> bool {
        self.valid_until >= now + LEAST_LIFE
    }

    /// Whether the worker that took it has it for long enough still: past that it might go out twice.
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|due| due >= now + LEAST_LEASE)
    }

    /// Nobody needs it any more.
    ///
    /// What a worker has on its way cannot be called back, but is not sent again.
    pub fn cancel(&mut self, now: Timestamp) {
        match self.status {
            Status::Queued if self.doubts > 0 => self.rise(Status::Unknown, now),
            Status::Queued => self.rise(Status::Canceled, now),
            Status::Sending if self.valid_until > now => self.valid_until = now,
            Status::Sending => {}
            _ => {
                self.close();
                self.plan(now);
            }
        }
    }

    /// Its code counts no more: the challenge was answered, or has another code now. It is the challenge's
    /// message no longer, and takes no other way.
    fn withdraw(&mut self, now: Timestamp) {
        self.challenge = None;
        self.fallback.0.clear();
        self.cancel(now);
    }

    /// What the attempt numbered `attempt` came to. Whether anything changed.
    ///
    /// A callback, or another worker after a lost lease, may have been quicker: then only good news
    /// still counts.
    pub fn sent(&mut self, attempt: u32, came_to: &Sent, now: Timestamp, chance: u8) -> bool {
        let is_late = self.status != Status::Sending || self.attempts != attempt;
        match *came_to {
            Sent::Accepted(ref heard) => return self.fold(heard, now),
            _ if is_late => return false,
            Sent::NotProcessed(code) => {
                self.fail(code);
                self.again(now, chance);
            }
            Sent::Refused(code) => {
                let again = class(code) == Class::Unknown && self.failure() != Some(Class::Unknown);
                self.fail(code);
                if again {
                    self.again(now, chance);
                } else {
                    // An earlier attempt that may have gone out is not undone by this refusal.
                    self.rise(if self.doubts > 0 { Status::Unknown } else { Status::Failed }, now);
                }
            }
            Sent::Doubtful => {
                self.doubts += 1;
                if self.doubts >= DOUBTS {
                    self.rise(Status::Unknown, now);
                } else {
                    self.again(now, chance);
                }
            }
        }
        true
    }

    /// Remembers the requests that an attempt made.
    pub fn tried(&mut self, tries: &[Try]) -> bool {
        if let Some(last) = tries.last() {
            self.provider.clone_from(&last.provider);
        }
        let known = &mut self.tries.0;
        known.extend_from_slice(tries);
        known.drain(..known.len().saturating_sub(TRIES));
        !tries.is_empty()
    }

    /// A worker looks after it at `now`, once it was handed over.
    pub fn look(&mut self, now: Timestamp) -> Look {
        if self.look_at.is_none_or(|at| at > now) {
            return Look::Nothing;
        }
        if self.valid_until <= now {
            // No other way is worth taking any more.
            self.wipe();
        }
        let asks = !self.status.is_final() && self.provider_ref.is_some();
        if asks && POLLS.get(self.polls as usize).is_some() {
            self.polls += 1;
            self.plan(now);
            return Look::Ask;
        }
        self.polls = u32::try_from(POLLS.len()).unwrap_or(u32::MAX);
        self.plan(now);
        Look::Settled
    }

    /// Whether it has failed, for a reason that another way need not share, while its code is still
    /// good. Never after a sign of fraud, and never while a copy may be on its way.
    pub fn wants_another_way(&self, now: Timestamp) -> bool {
        let smells = self.failure() == Some(Class::Fraud)
            || self.tries.0.iter().any(|one| class(one.code) == Class::Fraud);
        matches!(self.status, Status::Failed | Status::Undelivered)
            && self.doubts == 0
            && !self.fallback.0.is_empty()
            && !smells
            && self.valid_until >= now + LEAST_FOR_ANOTHER_WAY
    }

    /// News from the provider, in any order and any number. Whether anything changed.
    ///
    /// The status is the greatest of all that was heard, and the error belongs to it: so neither
    /// order nor repetition can matter.
    pub fn fold(&mut self, heard: &Heard, now: Timestamp) -> bool {
        let mut changed = self.history.note(&heard.word, now, WORDS);
        if self.provider_ref.is_none() && heard.reference.is_some() {
            self.provider_ref.clone_from(&heard.reference);
            self.plan(now);
            changed = true;
        }
        // A word that is not known still says that the provider has it.
        let status = heard.status.unwrap_or(Status::Accepted);
        if status > self.status {
            (self.error_code, self.error_reason) = (None, None);
            self.rise(status, now);
            changed = true;
        }
        if status == self.status && heard.error > self.error_code {
            self.fail(heard.error);
            changed = true;
        }
        changed
    }

    /// Whole seconds for which it is still worth delivering, at least one.
    pub fn life(&self, now: Timestamp) -> u64 {
        self.valid_until.since(now).as_secs().max(1)
    }

    fn rise(&mut self, status: Status, now: Timestamp) {
        self.status = status;
        self.history.note(status.as_str(), now, WORDS);
        self.close();
        if status.is_final() {
            self.finished_at.get_or_insert(now);
        }
        self.plan(now);
    }

    /// Nothing sends it again. The text is wiped with that, unless another way may still need it.
    fn close(&mut self) {
        self.due_at = None;
        if self.fallback.0.is_empty() || self.status.is_final() {
            self.wipe();
        }
    }

    fn wipe(&mut self) {
        self.body = None;
        self.callback_sealed = None;
    }

    /// When to look after it next: to ask the provider, or to wipe a text that was kept.
    fn plan(&mut self, now: Timestamp) {
        let pause = POLLS.get(self.polls as usize).filter(|_| self.provider_ref.is_some());
        let ask = pause.map(|pause| now + *pause);
        let wipe = self.body.is_some().then_some(self.valid_until);
        self.look_at = match (self.status.is_final() || self.status.is_ours(), ask, wipe) {
            (true, ..) => None,
            (false, Some(ask), Some(wipe)) => Some(if ask < wipe { ask } else { wipe }),
            (false, ask, wipe) => ask.or(wipe),
        };
    }

    fn again(&mut self, now: Timestamp, chance: u8) {
        self.status = Status::Queued;
        let longest = LONGEST_PAUSE.max(self.valid_until.since(now) / PART_OF_THE_REST);
        self.due_at = Some(now + worker::pause(self.attempts, PAUSE, longest, chance));
    }

    fn fail(&mut self, code: Option<i64>) {
        self.error_code = code;
        self.error_reason = Some(reason(code).to_owned());
    }
}

/// How many characters of GSM-7 one text message holds (3GPP TS 23.040: 140 octets).
pub const SEGMENT: usize = 160;

/// The length of `text` in the GSM 7-bit alphabet, or none when it has other characters and would
/// be sent as UCS-2, 70 characters a message (3GPP TS 23.038 §6.2.1).
pub fn septets(text: &str) -> Option<usize> {
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡\
        ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENDED: &str = "\u{c}^{}\\[~]|€";
    text.chars().try_fold(0, |sum, letter| {
        if BASIC.contains(letter) { Some(sum + 1) } else { EXTENDED.contains(letter).then_some(sum + 2) }
    })
}

/// How many text messages `text` is sent as. A part of several loses 7 septets, or 3 units, to the
/// header that joins them (3GPP TS 23.040 §9.2.3.24.1).
pub fn segments(text: &str) -> usize {
    let (length, one, part) = match septets(text) {
        Some(length) => (length, SEGMENT, SEGMENT - 7),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if length <= one { 1 } else { length.div_ceil(part) }
}

#[cfg(test)]
mod tests;
