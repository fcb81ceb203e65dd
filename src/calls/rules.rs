//! Who may be called and with what, what a worker does next, and what news means: pure.
//!
//! The transitions – [`Call::take`], [`Call::placed`], [`Call::fold`], [`Call::cancel`] – take the
//! record as it stands and may find that nothing is to be done. None of them ever lowers a status.

use std::time::Duration;

use reqwest::Url;

use super::{Call, Next, Status};
use crate::clock::Timestamp;
use crate::error::FieldError;
use crate::policy::{Callers, Calls};
use crate::twilio::errors::{Class, reason};
use crate::twilio::twiml;
use crate::twilio::voice::{Listed, News, Placed};
use crate::worker;

/// How long a worker has a call for itself. Four times what a request may take (15 s), so that only
/// a worker that died loses it.
pub const LEASE: Duration = Duration::from_secs(60);

/// What must be left of that when the provider is asked to place it.
const LEAST_LEASE: Duration = Duration::from_secs(20);

/// The pause before the second try to place a call; it doubles from there (Twilio's advice for error
/// 20429), up to half a minute.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often a call that may have been placed is looked for, and the first pause: an answer that was
/// lost is there within seconds, and who waits for a call wants to know soon.
const FINDS: u32 = 4;
const FIND_PAUSE: Duration = Duration::from_secs(5);

/// How often the provider is asked after a call of which it tells nothing, and the first pause. With
/// the longest pause this covers more than two hours; calls are bounded to less.
const FOLLOWS: u32 = 14;
const FOLLOW_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_FOLLOW: Duration = Duration::from_secs(15 * 60);

/// The first pause between two tries to end a call.
const END_PAUSE: Duration = Duration::from_secs(2);

/// How many words a history holds: twice the known statuses.
const WORDS: usize = 2 * Status::ALL.len();

/// The longest text that is said, in characters: about a minute and a half.
pub const LONGEST_TEXT: usize = 1_000;

/// The longest address of TwiML, in bytes.
const LONGEST_URL: usize = 2_000;

const TOO_LATE: &str = "It could not be placed in time.";
const UNKNOWN: &str = "Whether it was placed is not known; it is not placed again by itself.";
const SILENT: &str = "The provider never told what became of it.";

/// What a worker has to do with a call that it took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// Place it, then say what came of it.
    Place,
    /// Look for it at the provider.
    Find,
    /// Ask the provider after it.
    Follow,
    /// End it at the provider.
    End,
    /// It has ended here; keep that.
    Settled,
    /// Nothing: another worker has it, or it is not due.
    Nothing,
}

/// What the provider's word for a status means here; none when it is not known.
pub fn status(word: &str) -> Option<Status> {
    Some(match word {
        "queued" => Status::Queued,
        "initiated" => Status::Initiated,
        "ringing" => Status::Ringing,
        // The event is called `answered`, the status `in-progress`.
        "in-progress" | "answered" => Status::InProgress,
        "completed" => Status::Completed,
        "busy" => Status::Busy,
        "no-answer" => Status::NoAnswer,
        "failed" => Status::Failed,
        "canceled" => Status::Canceled,
        _ => return None,
    })
}

impl Call {
    /// A worker takes it at `now`, when it is due.
    pub fn take(&mut self, now: Timestamp) -> Taken {
        if self.due_at.is_none_or(|due| due > now) {
            return Taken::Nothing;
        }
        match self.next {
            Next::Place if self.valid_until <= now => {
                if self.error_reason.is_none() {
                    self.error_reason = Some(TOO_LATE.to_owned());
                }
                self.rise(Status::Failed, now);
                Taken::Settled
            }
            Next::Place => {
                self.go(Next::Placing, now + LEASE);
                self.attempts += 1;
                self.tried_at = Some(now);
                Taken::Place
            }
            Next::Placing => {
                // Whoever had it died: before the request, or after.
                self.doubt(now);
                self.look(FIND_PAUSE, LONGEST_FOLLOW, now);
                Taken::Find
            }
            Next::Find if self.looks >= FINDS => self.give_up(UNKNOWN, now),
            Next::Find => {
                self.look(FIND_PAUSE, LONGEST_FOLLOW, now);
                Taken::Find
            }
            Next::Follow if self.looks >= FOLLOWS => self.give_up(SILENT, now),
            Next::Follow if self.canceled_at.is_some() => {
                self.look(END_PAUSE, LONGEST_FOLLOW, now);
                Taken::End
            }
            Next::Follow => {
                self.look(FOLLOW_PAUSE, LONGEST_FOLLOW, now);
                Taken::Follow
            }
            Next::Nothing => {
                self.due_at = None;
                Taken::Settled
            }
        }
    }

    /// Whether the worker that took it has it for long enough still: past that the phone might ring twice.
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|due| due >= now + LEAST_LEASE)
    }

    /// What the attempt numbered `attempt` to place it came to. Whether anything changed.
    ///
    /// A callback may have been quicker, or the lease may be lost: then only good news still counts.
    pub fn placed(&mut self, attempt: u32, came_to: &Placed, now: Timestamp, chance: u8) -> bool {
        let is_late = self.next != Next::Placing || self.attempts != attempt;
        match came_to {
            Placed::Accepted(news) => return self.fold(news, now),
            _ if is_late => return false,
            Placed::NotProcessed(code) => {
                self.fail(*code);
                if self.canceled_at.is_some() {
                    self.end(Status::Canceled, now);
                } else {
                    self.go(Next::Place, now + worker::pause(self.attempts, PAUSE, LONGEST_PAUSE, chance));
                }
            }
            Placed::Refused(code) => {
                self.fail(*code);
                self.rise(Status::Failed, now);
            }
            Placed::Doubtful => self.doubt(now),
        }
        true
    }

    /// News from the provider, in any order and any number. Whether anything changed.
    ///
    /// The status is the greatest of all that was heard, the error belongs to it, and the duration is
    /// the longest: so neither order nor repetition can matter.
    pub fn fold(&mut self, news: &News, now: Timestamp) -> bool {
        // A word that is not known still says that the provider has it.
        let heard = status(&news.word);
        let word = heard.map_or(news.word.as_str(), |status| status.as_str());
        let mut changed = self.history.note(word, now, WORDS);
        if self.provider_ref.is_none() && news.reference.is_some() {
            self.provider_ref.clone_from(&news.reference);
            changed = true;
        }
        if matches!(self.next, Next::Place | Next::Placing | Next::Find) {
            let soon = self.canceled_at.map_or(FOLLOW_PAUSE, |_| Duration::ZERO);
            self.go(Next::Follow, now + soon);
            (self.error_code, self.error_reason) = (None, None);
            self.wipe();
            changed = true;
        }
        if news.duration > self.duration {
            self.duration = news.duration;
            changed = true;
        }
        let heard = heard.unwrap_or(Status::Queued);
        if heard > self.status {
            (self.error_code, self.error_reason) = (None, None);
            self.rise(heard, now);
            changed = true;
        }
        if heard == self.status && news.error > self.error_code {
            self.fail(news.error);
            changed = true;
        }
        changed
    }

    /// Its caller cancels it. Whether anything changed.
    ///
    /// What no worker has is canceled at once; what one has is ended at the provider.
    pub fn cancel(&mut self, now: Timestamp) -> bool {
        if self.status.is_final() || self.canceled_at.is_some() {
            return false;
        }
        self.canceled_at = Some(now);
        match self.next {
            Next::Place => self.end(Status::Canceled, now),
            Next::Follow => self.go(Next::Follow, now),
            Next::Placing | Next::Find | Next::Nothing => {}
        }
        true
    }

    fn end(&mut self, status: Status, now: Timestamp) {
        (self.error_code, self.error_reason) = (None, None);
        self.rise(status, now);
    }

    /// It may have been placed. It is not placed again: a phone that rings twice for one call is worse
    /// than one that its caller has to dial again.
    fn doubt(&mut self, now: Timestamp) {
        self.go(Next::Find, now + FIND_PAUSE);
        self.wipe();
    }

    fn give_up(&mut self, why: &str, now: Timestamp) -> Taken {
        self.error_code = None;
        self.error_reason = Some(why.to_owned());
        self.rise(Status::Failed, now);
        Taken::Settled
    }

    fn go(&mut self, next: Next, due: Timestamp) {
        self.next = next;
        self.looks = 0;
        self.due_at = Some(due);
    }

    fn look(&mut self, first: Duration, longest: Duration, now: Timestamp) {
        let doubled = 1_u32.checked_shl(self.looks).unwrap_or(u32::MAX);
        self.looks += 1;
        self.due_at = Some(now + first.saturating_mul(doubled).min(longest));
    }

    fn rise(&mut self, status: Status, now: Timestamp) {
        self.status = status;
        self.history.note(status.as_str(), now, WORDS);
        if status.is_final() {
            self.next = Next::Nothing;
            self.due_at = None;
            self.wipe();
            self.finished_at.get_or_insert(now);
        }
    }

    fn wipe(&mut self) {
        self.say = None;
        self.callback_sealed = None;
    }

    fn fail(&mut self, code: Option<i64>) {
        self.error_code = code;
        self.error_reason = Some(reason(code).to_owned());
    }

    /// What kind of failure ended it or holds it up, when one does.
    pub fn failure(&self) -> Option<Class> {
        self.error_reason.as_ref().map(|_| Class::of(self.error_code))
    }

    /// Which of the provider's calls between the same two numbers is this one: the only one that it
    /// took while we tried, and that is not known to be another. None when there are several: a wrong
    /// guess would tell somebody of a stranger's call.
    pub fn find<'a>(&self, listed: &'a [Listed], is_another: impl Fn(&str) -> bool) -> Option<&'a News> {
        let tried = self.tried_at?;
        // Their times are whole seconds, and two clocks may differ a little.
        let slack = Duration::from_secs(2);
        let mut fitting = listed.iter().filter(|call| {
            let in_time = call.created + slack >= tried && call.created <= tried + LEASE + slack;
            in_time && call.news.reference.as_deref().is_some_and(|name| !is_another(name))
        });
        match (fitting.next(), fitting.next()) {
            (Some(call), None) => Some(&call.news),
            _ => None,
        }
    }
}

/// Whether somebody with these roles may call a number, `own` when it is one that they have verified.
pub fn may_call(policy: &Calls, roles: &[String], own: bool) -> bool {
    policy.roles.iter().any(|role| roles.contains(role))
        || match policy.users {
            Callers::Nobody => false,
            Callers::Own => own,
            Callers::Anybody => true,
        }
}

/// Whether numbers of `region` (ISO 3166-1) may be called.
pub fn is_country_allowed(policy: &Calls, region: Option<&str>) -> bool {
    region.is_some_and(|region| policy.countries.iter().any(|country| country == region))
}

/// Reads what is to be said: some text on one line, short enough for the provider in whatever
/// characters.
///
/// # Errors
/// `too-short`, `too-long` or `invalid`, with a sentence.
pub fn text(given: &str, language: &str) -> Result<String, FieldError> {
    let text = given.trim();
    let wrong = |code: &'static str, message: String| Err(FieldError::new("say", code, message));
    if text.is_empty() {
        return wrong("too-short", "There is nothing to say.".to_owned());
    }
    if text.chars().count() > LONGEST_TEXT {
        return wrong("too-long", format!("A text to be said has at most {LONGEST_TEXT} characters."));
    }
    if !text.chars().all(twiml::is_sayable) {
        return wrong("invalid", "Control characters cannot be said; put it on one line.".to_owned());
    }
    if twiml::say(text, language).chars().count() > twiml::LONGEST {
        return wrong(
            "too-long",
            "With its special characters this is longer than the provider takes.".to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// Reads an address of TwiML: below one of `allowed`, judged on the parsed address, so that no way of
/// writing it leads elsewhere.
///
/// # Errors
/// `invalid` or `not-allowed`, with a sentence.
pub fn twiml_url(given: &str, allowed: &[Url]) -> Result<String, FieldError> {
    let wrong = |code: &'static str, message: &'static str| Err(FieldError::new("twiml_url", code, message));
    let parsed = if given.len() <= LONGEST_URL { Url::parse(given).ok() } else { None };
    let Some(url) = parsed else { return wrong("invalid", "This is not an address.") };
    let lower = given.to_ascii_lowercase();
    // What another reader may take apart in another way.
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && !lower.contains('\\')
        && !lower.chars().any(|letter| letter.is_control() || letter.is_whitespace())
        && !["%2f", "%5c", "%2e", "%00", "/../", "/./"].iter().any(|odd| lower.contains(odd));
    if !is_plain || !matches!(url.scheme(), "http" | "https") {
        return wrong("invalid", "An address is https://host/path, without a user, a fragment or detours.");
    }
    let below = |base: &Url| {
        let (base_path, path) = (base.path(), url.path());
        let rest = path.strip_prefix(base_path);
        let inside =
            rest.is_some_and(|rest| rest.is_empty() || base_path.ends_with('/') || rest.starts_with('/'));
        url.origin() == base.origin() && inside
    };
    if !allowed.iter().any(below) {
        return wrong("not-allowed", "What is said comes only from addresses that the settings allow.");
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests;
