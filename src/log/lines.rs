//! Lines on their way out: gathered in memory and written together by a thread of their own, so that
//! no request pays for a write.
//!
//! Always: no line is lost or cut in two. Whoever finds the room full writes it out before going on,
//! so a reader that is slower than the log slows the server down and costs a bounded amount of
//! memory. Warnings and errors, and what came before them, are out before the work goes on; so is
//! everything when the log is closed or a thread panics. Only a process that is killed can leave
//! behind the last moment's news that all was well.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long lines gather.
const GATHER: Duration = Duration::from_millis(20);

/// So many bytes are written without gathering longer.
const MANY: usize = 64 * 1024;

/// The most that waits, in bytes.
const ROOM: usize = 1024 * 1024;

/// Where lines are handed in.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    came: Condvar,
    /// Held while lines are taken and written, which keeps them in order.
    out: Mutex<Out>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    closed: bool,
}

struct Out {
    to: Box<dyn Write + Send>,
    /// What is being written; the two buffers change places.
    lines: Vec<u8>,
}

/// The thread that writes. When it is dropped, all that was handed in is out.
pub struct Writing {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.lines.0.lock().closed = true;
        self.lines.0.came.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.lines.write_out();
    }
}

impl Lines {
    /// Starts to write to `to`.
    pub(super) fn start(to: Box<dyn Write + Send>) -> io::Result<(Self, Writing)> {
        let shared = Shared {
            waiting: Mutex::default(),
            came: Condvar::new(),
            out: Mutex::new(Out { to, lines: Vec::new() }),
        };
        let lines = Self(Arc::new(shared));
        let ours = lines.clone();
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || ours.run())?;
        Ok((lines.clone(), Writing { lines, thread: Some(thread) }))
    }

    fn run(&self) {
        let shared = &*self.0;
        loop {
            let waiting = shared.lock();
            let is_idle = |waiting: &mut Waiting| waiting.lines.is_empty() && !waiting.closed;
            let waiting = shared.came.wait_while(waiting, is_idle).unwrap_or_else(PoisonError::into_inner);
            let few = |waiting: &mut Waiting| waiting.lines.len() < MANY && !waiting.closed;
            let gathered = shared.came.wait_timeout_while(waiting, GATHER, few);
            let closed = gathered.unwrap_or_else(PoisonError::into_inner).0.closed;
            self.write_out();
            if closed {
                return;
            }
        }
    }

    /// Writes all that waits.
    pub(super) fn write_out(&self) {
        let mut out = self.0.out.lock().unwrap_or_else(PoisonError::into_inner);
        let out = &mut *out;
        std::mem::swap(&mut out.lines, &mut self.0.lock().lines);
        if !out.lines.is_empty() {
            // There is nowhere to say that the log cannot be written.
            let _ = out.to.write_all(&out.lines).and_then(|()| out.to.flush());
            out.lines.clear();
        }
    }

    /// Takes a line in; an urgent one is out, with all before it, when this returns.
    pub(super) fn add(&self, line: &[u8], is_urgent: bool) {
        let mut waiting = self.0.lock();
        let (before, after) = (waiting.lines.len(), waiting.lines.len() + line.len());
        waiting.lines.extend_from_slice(line);
        let wakes = before == 0 || (before < MANY && after >= MANY);
        // Once it is closed nobody else will write it.
        let now = is_urgent || after >= ROOM || waiting.closed;
        drop(waiting);
        if now {
            self.write_out();
        } else if wakes {
            self.0.came.notify_one();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line: the formatter hands it over whole.
pub(super) struct Line<'l> {
    lines: &'l Lines,
    is_urgent: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.add(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = Line<'l>;

    fn make_writer(&'l self) -> Line<'l> {
        Line { lines: self, is_urgent: true }
    }

    fn make_writer_for(&'l self, event: &Metadata<'_>) -> Line<'l> {
        Line { lines: self, is_urgent: *event.level() <= Level::WARN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, in pieces.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().concat()).unwrap()
        }
    }

    #[test]
    fn closing_writes_everything_whole_and_in_the_order_of_each_thread() {
        let paper = Paper::default();
        let (lines, writing) = Lines::start(Box::new(paper.clone())).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let lines = &lines;
                scope.spawn(move || {
                    for n in 0..20_000 {
                        lines.add(format!("{thread} {n} {}\n", "x".repeat(80)).as_bytes(), n % 1_000 == 0);
                    }
                });
            }
        });
        drop(writing);
        lines.add(b"0 20000 after the end\n", false);
        let mut next = [0; 4];
        for line in paper.text().lines() {
            let mut parts = line.split(' ').map(str::parse::<usize>);
            let (thread, n) = (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap());
            assert_eq!(next[thread], n, "{line}");
            next[thread] += 1;
        }
        assert_eq!(next, [20_001, 20_000, 20_000, 20_000]);
        let pieces = paper.0.lock().unwrap();
        assert!(pieces.len() < 4_000, "{} writes of 80,000 lines", pieces.len());
        assert!(pieces.iter().all(|piece| piece.len() <= ROOM + 200 && piece.ends_with(b"\n")));
    }

    #[test]
    fn what_is_urgent_is_out_at_once_with_what_came_before() {
        let paper = Paper::default();
        let (lines, _writing) = Lines::start(Box::new(paper.clone())).unwrap();
        lines.add(b"one\n", false);
        lines.add(b"two\n", true);
        assert_eq!(paper.text(), "one\ntwo\n");
        lines.add(b"three\n", false);
        let asked = std::time::Instant::now();
        while paper.text() != "one\ntwo\nthree\n" {
            assert!(asked.elapsed() < Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
