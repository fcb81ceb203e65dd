//! Counters in this process.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Taken, step};
use crate::clock::Timestamp;
use crate::error::{Error, Problem, Result};

const SHARDS: usize = 64;

/// Keys a shard holds at most; about a million in all, some 100 MB when an attacker fills them.
const KEYS: usize = 16_384;

/// What is known of a budget.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Known {
    /// When it is whole again, in microseconds.
    pub whole: i64,
    /// When something of that was last counted here, in microseconds, if that was since it was noted.
    own: Option<i64>,
}

impl Known {
    /// How many microseconds ago something of it was last counted here; below zero when nothing was.
    pub(super) fn age(&self, now: Timestamp) -> i64 {
        self.own.map_or(-1, |at| micros(now).saturating_sub(at).max(0))
    }
}

fn micros(at: Timestamp) -> i64 {
    at.as_millis().saturating_mul(1_000)
}

type Shard = Mutex<HashMap<String, Known>>;

/// Sharded maps from a key to what is known of its budget.
#[derive(Clone, Debug)]
pub struct Memory(Arc<[Shard]>);

impl Default for Memory {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Memory {
    /// The generic cell rate algorithm: one number a key. In microseconds, so that a limit of
    /// thousands a second still has a whole number between two.
    pub(super) fn take(&self, key: &str, limit: u32, window: Duration, now: Timestamp) -> Result<Taken> {
        let step = step(limit, window);
        let now = micros(now);
        let Some(shard) = self.shard(key) else { return Err(Problem::Internal.into()) };
        let mut keys = shard.lock().unwrap_or_else(PoisonError::into_inner);
        // A budget that was whole before now is as good as none; a clock set back makes nobody rich, and
        // has nobody wait for longer than it takes to fill up.
        let latest = now.saturating_add(i64::try_from(window.as_micros()).unwrap_or(i64::MAX));
        let whole = keys.get_mut(key).map_or(now, |known| {
            known.whole = known.whole.min(latest);
            known.whole.max(now)
        });
        let after = whole.saturating_add(step);
        let full = step.saturating_mul(i64::from(limit));
        let over = after - now - full;
        if limit == 0 || over > 0 {
            return Ok(Taken::refused(over));
        }
        if keys.len() >= KEYS && !keys.contains_key(key) {
            keys.retain(|_, known| known.whole > now);
            if keys.len() >= KEYS {
                return Err(Error::new(Problem::Busy).retry_after(Duration::from_secs(1)));
            }
        }
        keys.insert(key.to_owned(), Known { whole: after, own: Some(now) });
        Ok(Taken::allowed(over, step))
    }

    pub(super) fn put_back(&self, key: &str, limit: u32, window: Duration) {
        let Some(shard) = self.shard(key) else { return };
        let mut keys = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = keys.get_mut(key) {
            // A key that is whole already is dropped once room is needed.
            known.whole = known.whole.saturating_sub(step(limit, window));
        }
    }

    pub(super) fn clear(&self, key: &str) {
        if let Some(shard) = self.shard(key) {
            shard.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
    }

    /// What is known here of the budget of `key`; that it has always been whole, when nothing is.
    pub(super) fn known(&self, key: &str) -> Known {
        let keys = self.shard(key).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        keys.and_then(|keys| keys.get(key).copied()).unwrap_or_default()
    }

    /// Notes when the budget of `key` is whole again, when there is room for that: what somebody said who was
    /// told that here was `known`. What was counted here since then they do not know of.
    pub(super) fn remember(&self, key: &str, known: Known, whole: i64, now: Timestamp) {
        let Some(shard) = self.shard(key) else { return };
        let mut keys = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = keys.get_mut(key) {
            let is_told = here.own.is_none() || *here == known;
            *here = if is_told {
                Known { whole, own: None }
            } else {
                Known { whole: here.whole.max(whole), own: here.own }
            };
            return;
        }
        if keys.len() >= KEYS {
            keys.retain(|_, known| known.whole > micros(now));
        }
        if keys.len() < KEYS {
            keys.insert(key.to_owned(), Known { whole, own: None });
        }
    }

    fn shard(&self, key: &str) -> Option<&Shard> {
        let mut hash = DefaultHasher::new();
        key.hash(&mut hash);
        self.0.get(usize::try_from(hash.finish() % SHARDS as u64).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_900_000_000_000 + millis)
    }

    #[test]
    fn a_budget_is_taken_exactly_however_many_take_at_once() {
        let memory = Memory::default();
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..125).filter(|_| memory.take("k", 37, WINDOW, at(0)).unwrap().allowed).count()
                    })
                })
                .collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(taken, 37);
        assert!(memory.take("other", 1, WINDOW, at(0)).unwrap().allowed);
    }

    #[test]
    fn waiting_as_long_as_told_is_enough_and_a_millisecond_less_is_not() {
        let memory = Memory::default();
        for _ in 0..3 {
            assert!(memory.take("k", 3, WINDOW, at(0)).unwrap().allowed);
        }
        let refused = memory.take("k", 3, WINDOW, at(0)).unwrap();
        assert_eq!((refused.allowed, refused.wait), (false, Duration::from_secs(20)));
        assert!(!memory.take("k", 3, WINDOW, at(19_999)).unwrap().allowed);
        assert!(memory.take("k", 3, WINDOW, at(20_000)).unwrap().allowed);
        assert!(!memory.take("none", 0, WINDOW, at(0)).unwrap().allowed);
    }

    #[test]
    fn what_is_put_back_can_be_taken_again_and_a_cleared_budget_is_whole() {
        let memory = Memory::default();
        let take = |key: &str| memory.take(key, 3, WINDOW, at(0)).unwrap().allowed;
        assert!((0..3).all(|_| take("k")) && !take("k"));
        memory.put_back("k", 3, WINDOW);
        assert!(take("k") && !take("k"), "one and no more");
        memory.clear("k");
        assert!((0..3).all(|_| take("k")) && !take("k"));
        // Nothing is saved up by putting back what was never taken.
        (0..9).for_each(|_| memory.put_back("new", 3, WINDOW));
        assert!((0..3).all(|_| take("new")) && !take("new"));
        assert!(take("old"));
        (0..9).for_each(|_| memory.put_back("old", 3, WINDOW));
        assert!((0..3).all(|_| take("old")) && !take("old"));
    }

    #[test]
    fn what_is_told_takes_away_no_mark_of_what_was_counted_since_it_was_asked_for() {
        let memory = Memory::default();
        let whole = |steps: i64| micros(at(0)) + 20_000_000 * steps;
        assert!(memory.take("k", 3, WINDOW, at(0)).unwrap().allowed);
        let asked = memory.known("k");
        assert!(memory.take("k", 3, WINDOW, at(5)).unwrap().allowed);
        memory.remember("k", asked, whole(1), at(10));
        assert_eq!((memory.known("k").whole, memory.known("k").age(at(10))), (whole(2), 5_000));
        memory.remember("k", memory.known("k"), whole(1), at(10));
        assert_eq!((memory.known("k").whole, memory.known("k").age(at(10))), (whole(1), -1));
    }

    #[test]
    fn memory_is_bounded_and_spent_keys_make_room() {
        let memory = Memory::default();
        let mut refused = 0;
        for n in 0..SHARDS * KEYS * 11 / 10 {
            refused += usize::from(memory.take(&n.to_string(), 5, WINDOW, at(0)).is_err());
        }
        assert!(refused > 0);
        for n in 0..100 {
            assert!(memory.take(&format!("new{n}"), 5, WINDOW, at(60_001)).unwrap().allowed);
        }
    }

    proptest! {
        /// In any stretch of one window, at most the limit at once and the limit that filled up.
        #[test]
        fn never_more_than_twice_the_limit_in_a_window(pauses in prop::collection::vec(0_i64..30_000, 1..200), limit in 1_u32..10) {
            let memory = Memory::default();
            let mut now = 0;
            let mut allowed = Vec::new();
            for pause in pauses {
                now += pause;
                if memory.take("k", limit, WINDOW, at(now)).unwrap().allowed {
                    allowed.push(now);
                }
            }
            for start in &allowed {
                let within = allowed.iter().filter(|then| (*start..*start + 60_000).contains(*then)).count();
                prop_assert!(within <= 2 * limit as usize, "{within} in one window of {limit}");
            }
        }
    }
}
