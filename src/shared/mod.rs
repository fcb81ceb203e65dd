//! What several nodes share for a moment: the counters of limits. In memory for one node, in Valkey or
//! Redis for several.
//!
//! Always holds: a budget never lets more through than its limit at once, and no more than its
//! limit again in any window after that; counting is exact under any number of parallel takers.
//! Never: a budget that is open because its counter is away or has forgotten.

mod memory;
mod valkey;

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::SharedSettings;
use crate::error::Result;
use memory::Memory;
use valkey::Valkey;
pub use valkey::{Away, Standing};

/// Counters with windows.
#[derive(Clone, Debug)]
pub enum Shared {
    /// In this process.
    Memory(Memory),
    /// In a server beside the nodes, and in this process while it is away.
    Valkey(Valkey),
}

/// One that is to be taken from a budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Whose budget.
    pub key: String,
    /// How many it holds.
    pub limit: u32,
    /// In what time it fills up, evenly.
    pub window: Duration,
}

/// What taking one came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Whether it was there to take.
    pub allowed: bool,
    /// How many are left at once.
    pub remaining: u32,
    /// Until there is one more to take; nothing when there is one now.
    pub wait: Duration,
}

impl Taken {
    /// A budget is `over` by so many microseconds.
    fn refused(over: i64) -> Self {
        let wait = Duration::from_micros(u64::try_from(over.max(1)).unwrap_or(u64::MAX));
        Self { allowed: false, remaining: 0, wait }
    }

    /// A budget that gets one more each `step` has still minus `over` microseconds.
    fn allowed(over: i64, step: i64) -> Self {
        let remaining = u32::try_from(-over / step).unwrap_or(u32::MAX);
        let wait = if remaining == 0 {
            Duration::from_micros(u64::try_from(over + step).unwrap_or(0))
        } else {
            Duration::ZERO
        };
        Self { allowed: true, remaining, wait }
    }
}

/// Microseconds in which a budget gets one more.
fn step(limit: u32, window: Duration) -> i64 {
    let window = i64::try_from(window.as_micros()).unwrap_or(i64::MAX / 4);
    (window / i64::from(limit.max(1))).max(1)
}

impl Shared {
    /// Counters in this process.
    pub fn memory() -> Self {
        Self::Memory(Memory::default())
    }

    /// Counters where the settings say. A server is first spoken to when it is needed.
    ///
    /// # Errors
    /// A sentence when the address cannot be used; it never repeats the address, which may hold a password.
    pub fn open(settings: &SharedSettings) -> Result<Self, String> {
        if settings.is_memory() {
            return Ok(Self::memory());
        }
        Valkey::open(settings.url.expose(), settings.nodes).map(Self::Valkey)
    }

    /// Takes one for each of `claims`, in order, and ends with the first that is not there to take: the
    /// last of what is returned, when it is not allowed. One round trip, however many.
    ///
    /// # Errors
    /// [`crate::error::Problem::Busy`] when there is no room to count another key: what cannot be counted
    /// is refused.
    pub async fn take_each(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Taken>> {
        match self {
            Self::Memory(memory) => {
                let mut taken = Vec::with_capacity(claims.len());
                for Claim { key, limit, window } in claims {
                    let one = memory.take(key, *limit, *window, now)?;
                    taken.push(one);
                    if !one.allowed {
                        break;
                    }
                }
                Ok(taken)
            }
            Self::Valkey(valkey) => valkey.take_each(claims, now).await,
        }
    }

    /// Puts one back into the budget of `key`: what was taken turned out not to count.
    pub async fn put_back(&self, key: &str, limit: u32, window: Duration) {
        match self {
            Self::Memory(memory) => memory.put_back(key, limit, window),
            Self::Valkey(valkey) => valkey.put_back(key, limit, window).await,
        }
    }

    /// Makes the budget of `key`, which fills up in `window`, whole again.
    pub async fn clear(&self, key: &str, window: Duration) {
        match self {
            Self::Memory(memory) => memory.clear(key),
            Self::Valkey(valkey) => valkey.clear(key, window).await,
        }
    }

    /// Whether the server answers and counts; nothing where there is none.
    pub async fn health(&self) -> Option<Result<(), Away>> {
        match self {
            Self::Memory(_) => None,
            Self::Valkey(valkey) => Some(valkey.health().await),
        }
    }

    /// How it has been; nothing where there is no server.
    pub fn standing(&self) -> Option<Standing> {
        match self {
            Self::Memory(_) => None,
            Self::Valkey(valkey) => Some(valkey.standing()),
        }
    }
}
