//! Those who will commit shortly, so that a commit can wait for its company while processors are what is short.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many have announced a commit.
#[derive(Debug)]
pub(super) struct Coming {
    announced: AtomicUsize,
    /// With more than so many the processors are busy for longer than a commit waits.
    enough: usize,
}

impl Coming {
    pub(super) fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self { announced: AtomicUsize::new(0), enough: 2 * cores })
    }

    pub(super) fn is_crowd(&self) -> bool {
        self.announced.load(Ordering::Relaxed) > self.enough
    }

    pub(super) fn announce(self: &Arc<Self>) -> Announced {
        self.announced.fetch_add(1, Ordering::Relaxed);
        Announced(self.clone())
    }
}

/// Somebody who will commit shortly, for as long as it is held: see [`super::super::Store::announce`].
#[derive(Debug)]
#[must_use]
pub struct Announced(Arc<Coming>);

impl Drop for Announced {
    fn drop(&mut self) {
        self.0.announced.fetch_sub(1, Ordering::Relaxed);
    }
}
