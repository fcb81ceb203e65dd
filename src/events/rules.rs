//! When to tell again, and when to give up: pure.

use std::time::Duration;

use super::Turn;
use crate::audit::{Event, Outgoing, State};
use crate::clock::Timestamp;
use crate::worker;

/// How long a worker has an event for itself, and all others wait: four times what a request may take.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// How often an event is tried: with the pauses below, for five to ten hours.
const MOST: u32 = 22;

/// The pause before the second try; it doubles from there.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The shortest pause of what waits for a receiver that is left alone: about as long as that is.
const ASIDE: Duration = Duration::from_secs(30);

impl Turn {
    /// Whether all others wait. Not for one that ends later than a clock which is a little ahead could have
    /// said: whoever took it and died must not silence all others until their clocks are there.
    pub(super) fn is_on(&self, now: Timestamp) -> bool {
        now < self.ends_at && self.ends_at <= now + 2 * LEASE
    }
}

impl Outgoing {
    /// Whether it is to be told now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.state == State::Waiting && self.due_at.is_some_and(|due| due <= now)
    }

    /// A worker takes it.
    pub(super) fn lease(&mut self, now: Timestamp) {
        self.attempts = self.attempts.saturating_add(1);
        self.due_at = Some(now + LEASE);
    }

    /// It was not taken, for this reason.
    pub(super) fn not_taken(&mut self, trouble: &str, now: Timestamp, chance: u8) {
        self.trouble = Some(trouble.to_owned());
        if self.attempts >= MOST {
            (self.state, self.due_at) = (State::Dead, None);
        } else {
            self.due_at = Some(now + worker::pause(self.attempts, FIRST, LONGEST, chance));
        }
    }

    /// Whoever does not have it yet is left alone and was not asked: that was no try. It waits half as long as it
    /// has waited already, so that a backlog for the one does not keep the other waiting.
    pub(super) fn put_aside(&mut self, now: Timestamp) {
        self.attempts = self.attempts.saturating_sub(1);
        self.due_at = Some(now + (now.apart(self.at) / 2).clamp(ASIDE, LONGEST));
    }

    /// From the beginning, at once.
    pub(super) fn again(event: &Event, now: Timestamp) -> Self {
        Self {
            due_at: Some(now),
            expires_at: now + Duration::from_secs(30 * 24 * 60 * 60),
            ..Self::of(event)
        }
    }
}
