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
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Known {
    /// When it is whole again, in microseconds.
    pub whole: i64,
    /// Whether something of that was counted here since it was noted.
    pub is_own: bool,
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
        let now = now.as_millis().saturating_mul(1_000);
        let Some(shard) = self.shard(key) else { return Err(Problem::Internal.into()) };
        let mut keys = shard.lock().unwrap_or_else(PoisonError::into_inner);
        // A budget that was whole before now is as good as none; a clock set back makes nobody rich.
        let whole = keys.get(key).map_or(now, |known| known.whole.max(now));
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
        keys.insert(key.to_owned(), Known { whole: after, is_own: true });
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

    /// Notes when the budget of `key` is whole again, when there is room for that.
    pub(super) fn remember(&self, key: &str, whole: i64, now: Timestamp) {
        let Some(shard) = self.shard(key) else { return };
        let mut keys = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS && !keys.contains_key(key) {
            let now = now.as_millis().saturating_mul(1_000);
            keys.retain(|_, known| known.whole > now);
        }
        if keys.len() < KEYS || keys.contains_key(key) {
            keys.insert(key.to_owned(), Known { whole, is_own: false });
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
