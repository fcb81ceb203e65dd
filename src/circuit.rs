//! Circuit breakers: whoever fails again and again is left alone for a while, so that what could go
//! another way does not wait for it first.
//!
//! In this process only: each node learns for itself, within a few requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::text_enum;

text_enum! {
    /// How a circuit stands.
    pub enum State {
        /// It is used.
        Closed = "closed",
        /// One request finds out whether it works again.
        HalfOpen = "half_open",
        /// It is left alone.
        Open = "open",
    }
}

/// How long it is left alone, and how long the one that probes has to come back.
const PAUSE: Duration = Duration::from_secs(30);

/// So many failures in a row open it: the last five bits.
const ROW: u32 = 0b1_1111;

/// Of the last twenty outcomes, this many failures open it too.
const WINDOW: u32 = 0xf_ffff;
const MOST: u32 = 10;

#[derive(Clone, Copy, Debug, Default)]
struct Circuit {
    /// The latest outcomes, the newest in the lowest bit; one: a failure.
    recent: u32,
    /// Until when it is left alone.
    open_until: Option<Timestamp>,
    /// Until when the one that probes is waited for.
    probing_until: Option<Timestamp>,
}

/// Breakers by name. Names are a few constants: nothing here is ever forgotten.
#[derive(Debug, Default)]
pub struct Circuits(Mutex<BTreeMap<&'static str, Circuit>>);

impl Circuits {
    /// Whether a request may be tried now. Whoever is told yes reports what came of it.
    pub fn admits(&self, name: &'static str, now: Timestamp) -> bool {
        let mut circuits = self.circuits();
        let circuit = circuits.entry(name).or_default();
        let Some(until) = circuit.open_until else { return true };
        if is_ahead(until, now) || circuit.probing_until.is_some_and(|until| is_ahead(until, now)) {
            return false;
        }
        circuit.probing_until = Some(now + PAUSE);
        true
    }

    /// A request worked, or failed in a way that says something about the other side.
    pub fn report(&self, name: &'static str, worked: bool, now: Timestamp) {
        let mut circuits = self.circuits();
        let circuit = circuits.entry(name).or_default();
        let was_open = circuit.open_until.is_some();
        if worked && was_open {
            *circuit = Circuit::default();
            return;
        }
        circuit.recent = (circuit.recent << 1) | u32::from(!worked);
        let opens = circuit.recent & ROW == ROW || (circuit.recent & WINDOW).count_ones() >= MOST;
        if !worked && (was_open || opens) {
            circuit.open_until = Some(now + PAUSE);
            circuit.probing_until = None;
        }
    }

    /// It failed in a way that leaves no doubt: it is left alone from now on. Whether it was used until now.
    pub fn open(&self, name: &'static str, now: Timestamp) -> bool {
        let mut circuits = self.circuits();
        let circuit = circuits.entry(name).or_default();
        circuit.probing_until = None;
        circuit.open_until.replace(now + PAUSE).is_none()
    }

    /// How it stands.
    pub fn state(&self, name: &'static str, now: Timestamp) -> State {
        match self.circuits().get(name).and_then(|circuit| circuit.open_until) {
            None => State::Closed,
            Some(until) if is_ahead(until, now) => State::Open,
            Some(_) => State::HalfOpen,
        }
    }

    fn circuits(&self) -> MutexGuard<'_, BTreeMap<&'static str, Circuit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `until` is yet to come; not when it is so far off that the clock was set back since. Requests do not come
/// here in the order in which they looked at the clock.
fn is_ahead(until: Timestamp, now: Timestamp) -> bool {
    until > now && until <= now + PAUSE * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_893_456_000_000 + seconds * 1_000)
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_probe_closes_it() {
        let circuits = Circuits::default();
        for _ in 0..4 {
            circuits.report("a", false, at(0));
        }
        circuits.report("a", true, at(0));
        for _ in 0..4 {
            circuits.report("a", false, at(0));
        }
        assert!(circuits.admits("a", at(0)));
        circuits.report("a", false, at(0));
        assert!(!circuits.admits("a", at(29)) && circuits.state("a", at(29)) == State::Open);
        assert!(circuits.admits("b", at(0)), "others are not concerned");

        assert!(circuits.admits("a", at(30)), "one may find out");
        assert_eq!(circuits.state("a", at(30)), State::HalfOpen);
        assert!(!circuits.admits("a", at(31)), "and only one");
        assert!(!circuits.admits("a", at(29)), "whenever it looked at the clock");
        circuits.report("a", false, at(32));
        assert!(!circuits.admits("a", at(61)));
        assert!(circuits.admits("a", at(62)));
        circuits.report("a", true, at(63));
        assert_eq!(circuits.state("a", at(63)), State::Closed);
        assert!(circuits.admits("a", at(63)) && circuits.admits("a", at(63)));
    }

    #[test]
    fn a_probe_that_never_comes_back_is_not_waited_for_for_ever() {
        let circuits = Circuits::default();
        (0..5).for_each(|_| circuits.report("a", false, at(0)));
        assert!(circuits.admits("a", at(30)));
        assert!(!circuits.admits("a", at(59)));
        assert!(circuits.admits("a", at(60)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let circuits = Circuits::default();
        circuits.open("a", at(10_000));
        assert!(!circuits.admits("a", at(10_000)));
        assert!(circuits.admits("a", at(0)), "one may find out");
        assert!(!circuits.admits("a", at(1)), "and only one");
        circuits.report("a", true, at(1));
        assert_eq!(circuits.state("a", at(1)), State::Closed);
    }

    #[test]
    fn half_of_twenty_failures_open_it_too() {
        let circuits = Circuits::default();
        for turn in 0..19 {
            circuits.report("a", turn % 2 == 0, at(0));
            assert!(circuits.admits("a", at(0)), "{turn}");
        }
        circuits.report("a", false, at(0));
        assert!(!circuits.admits("a", at(0)));
    }
}
