//! Event loops, each on a thread of its own, that answer the connections they were given.
//!
//! What a connection waits for wakes its loop and nobody else. Threads that share their work also wake each other
//! to look for some, and where all cores are busy hashing, each such wake costs more than reading a record does.

use std::io;
use std::sync::Arc;
use std::thread::{JoinHandle, available_parallelism};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Where connections are answered.
pub struct Loops(Vec<Loop>);

struct Loop {
    runtime: Handle,
    /// Held once by the loop, and once by each of its connections.
    place: Arc<()>,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Loops {
    /// One for each core.
    ///
    /// # Errors
    /// When a thread or its loop cannot be started.
    pub fn start() -> io::Result<Self> {
        let count = available_parallelism().map_or(1, usize::from);
        (0..count).map(Loop::start).collect::<io::Result<_>>().map(Self)
    }

    /// None but the one that serves.
    pub fn here() -> Self {
        Self(Vec::new())
    }

    /// The loop with the fewest connections, and a place there. To be called within a loop.
    pub(super) fn free(&self) -> (Handle, Arc<()>) {
        match self.0.iter().min_by_key(|one| Arc::strong_count(&one.place)) {
            Some(free) => (free.runtime.clone(), Arc::clone(&free.place)),
            None => (Handle::current(), Arc::default()),
        }
    }
}

impl Loop {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("loop-{number}"));
        let thread = thread.spawn(move || drop(runtime.block_on(ended)))?;
        Ok(Self { runtime: handle, place: Arc::default(), end, thread })
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        // All are told before the first is waited for.
        let threads: Vec<_> = self.0.drain(..).map(|one| (drop(one.end), one.thread)).collect();
        // One that panicked has ended too.
        threads.into_iter().for_each(|(_, thread)| drop(thread.join()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn connections_go_where_the_fewest_are_and_what_is_left_ends_with_its_loop() {
        let loops = Loops(vec![Loop::start(0).unwrap(), Loop::start(1).unwrap()]);
        let (tell, told) = mpsc::channel();
        let connect = || {
            let (runtime, place) = loops.free();
            let (tell, held) = (tell.clone(), Arc::downgrade(&place));
            runtime.spawn(async move {
                tell.send(std::thread::current().name().unwrap().to_owned()).unwrap();
                std::future::pending::<()>().await;
                drop(place);
            });
            (told.recv().unwrap(), held)
        };
        let mut connected = [connect(), connect(), connect(), connect()];
        connected.sort_by(|(one, _), (other, _)| one.cmp(other));
        assert_eq!(
            connected.each_ref().map(|(name, _)| name.as_str()),
            ["loop-0", "loop-0", "loop-1", "loop-1"]
        );
        assert!(connected.iter().all(|(_, held)| held.upgrade().is_some()));
        drop(loops);
        assert!(connected.iter().all(|(_, held)| held.upgrade().is_none()));
    }
}
