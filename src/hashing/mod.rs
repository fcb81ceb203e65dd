//! The password-hashing pool: as many permits as cores, reused memory, a queue bounded by time.
//!
//! Always holds: no more than `permits` hashes are computed at once, each in memory that is
//! taken once and reused; whoever would wait longer than the pool's patience is refused at
//! once; the threads yield to everything else, so that sign-ins never starve session checks.
//! Never: computing a stored hash whose parameters would cost more than the bounds below.

mod engine;
mod phc;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use engine::Cost;
use engine::Engine;
use phc::Phc;

use crate::error::{Error, Problem};
use crate::secret::{Secret, same};

/// What a verification came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Right, and hashed with today's parameters.
    Right,
    /// Right, but hashed with other parameters: hash it anew.
    RightButOld,
    /// Wrong, or nobody's.
    Wrong,
}

/// The pool. Cheap to clone; its threads end with the last clone.
#[derive(Clone)]
pub struct Hashing(Arc<Pool>);

enum Work {
    Hash([u8; 16]),
    Verify(Option<String>),
}

enum Done {
    Hashed(String),
    Verdict(Verdict),
}

struct Job {
    password: Secret,
    work: Work,
    since: Instant,
    reply: oneshot::Sender<Result<Done, Error>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    came: Condvar,
    cost: Cost,
    permits: usize,
    patience: Duration,
    /// Jobs waiting or running.
    pending: AtomicUsize,
    /// A moving average of what one hash takes, in microseconds.
    micros: AtomicU64,
}

struct Pool(Arc<Shared>);

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.came.notify_all();
    }
}

/// Longest password that is hashed, in bytes.
const LONGEST: usize = 1_024;

/// What part of a hash's memory the first guess at its cost is made with.
const PART: u32 = 16;

/// How much nicer than the rest of the process the threads are (`setpriority`): sign-ins give way to
/// session checks.
const NICENESS: i32 = 10;

impl Hashing {
    /// Starts `permits` threads.
    ///
    /// `patience` is the longest that a job may wait for its turn. `portable` takes RustCrypto's
    /// engine instead of the fast one.
    ///
    /// # Errors
    /// A sentence, when the engine does not compute a known answer or a thread cannot be started.
    pub fn start(cost: Cost, permits: usize, patience: Duration, portable: bool) -> Result<Self, String> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            came: Condvar::new(),
            cost,
            permits: permits.max(1),
            patience,
            pending: AtomicUsize::new(0),
            micros: AtomicU64::new(0),
        });
        let pool = Pool(shared.clone());
        for n in 0..shared.permits {
            let mut engine = engine::engine(portable)?;
            // A small hash tells what a whole one will cost; the memory itself is only taken when the
            // first password comes, and kept from then on.
            let part = Cost { memory_kib: (cost.memory_kib / PART).max(8 * cost.lanes), ..cost };
            let began = Instant::now();
            engine.tag(part, b"warm", &[0; 16])?;
            shared.took(began.elapsed().saturating_mul(cost.memory_kib / part.memory_kib));
            let shared = shared.clone();
            std::thread::Builder::new()
                .name(format!("hashing-{n}"))
                .spawn(move || shared.run(&mut *engine))
                .map_err(|error| format!("a hashing thread cannot be started: {error}"))?;
        }
        Ok(Self(Arc::new(pool)))
    }

    /// A PHC string for `password` with `salt`.
    ///
    /// # Errors
    /// [`Problem::Busy`] when it would have to wait too long.
    pub async fn hash(&self, password: Secret, salt: [u8; 16]) -> Result<String, Error> {
        match self.ask(password, Work::Hash(salt)).await? {
            Done::Hashed(phc) => Ok(phc),
            Done::Verdict(_) => Err(Problem::Internal.into()),
        }
    }

    /// Checks `password` against a PHC string. Without one a dummy is hashed with today's parameters
    /// and the password is wrong, so that nobody's password takes as long as somebody's.
    ///
    /// # Errors
    /// [`Problem::Busy`] when it would have to wait too long.
    pub async fn verify(&self, password: Secret, phc: Option<String>) -> Result<Verdict, Error> {
        match self.ask(password, Work::Verify(phc)).await? {
            Done::Verdict(verdict) => Ok(verdict),
            Done::Hashed(_) => Err(Problem::Internal.into()),
        }
    }

    /// Jobs waiting or running now.
    pub fn waiting(&self) -> usize {
        self.0.0.pending.load(Ordering::Relaxed)
    }

    async fn ask(&self, password: Secret, work: Work) -> Result<Done, Error> {
        if password.expose().len() > LONGEST {
            return match work {
                Work::Verify(_) => Ok(Done::Verdict(Verdict::Wrong)),
                Work::Hash(_) => Err(Error::internal("a password that long was not refused before")),
            };
        }
        let shared = &self.0.0;
        shared.admit()?;
        let (reply, answer) = oneshot::channel();
        shared.lock().jobs.push_back(Job { password, work, since: Instant::now(), reply });
        shared.came.notify_one();
        answer.await.map_err(|_| Error::internal("the hashing pool has ended"))?
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn took(&self, time: Duration) {
        let took = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let old = self.micros.load(Ordering::Relaxed);
        let new = if old == 0 { took } else { (old * 7 + took) / 8 };
        self.micros.store(new.max(1), Ordering::Relaxed);
    }

    /// Counts a job in, or refuses it when those before it would take longer than the patience.
    fn admit(&self) -> Result<(), Error> {
        let before = self.pending.fetch_add(1, Ordering::Relaxed);
        let turns = (before / self.permits) as u64;
        let wait = Duration::from_micros(turns.saturating_mul(self.micros.load(Ordering::Relaxed)));
        if wait > self.patience {
            self.pending.fetch_sub(1, Ordering::Relaxed);
            return Err(busy(wait));
        }
        Ok(())
    }

    fn run(&self, engine: &mut dyn Engine) {
        // Without the priority the pool works as well, only less politely.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
        loop {
            let mut queue = self.lock();
            let job = loop {
                if let Some(job) = queue.jobs.pop_front() {
                    break job;
                }
                if queue.closed {
                    return;
                }
                queue = self.came.wait(queue).unwrap_or_else(PoisonError::into_inner);
            };
            drop(queue);
            let waited = job.since.elapsed();
            let done = if job.reply.is_closed() {
                // Whoever asked has gone: no need to hash for them.
                None
            } else if waited > self.patience.saturating_mul(2) {
                Some(Err(busy(waited)))
            } else {
                let began = Instant::now();
                let done = self.work(engine, &job);
                self.took(began.elapsed());
                Some(done)
            };
            self.pending.fetch_sub(1, Ordering::Relaxed);
            if let Some(done) = done {
                let _ = job.reply.send(done);
            }
        }
    }

    fn work(&self, engine: &mut dyn Engine, job: &Job) -> Result<Done, Error> {
        let password = job.password.expose().as_bytes();
        match &job.work {
            Work::Hash(salt) => {
                let tag = engine.tag(self.cost, password, salt).map_err(Error::internal)?;
                Ok(Done::Hashed(Phc { cost: self.cost, salt: salt.to_vec(), tag: tag.to_vec() }.to_string()))
            }
            Work::Verify(stored) => {
                let stored = stored.as_deref().and_then(|text| {
                    let phc = Phc::parse(text);
                    if phc.is_none() {
                        tracing::error!(
                            "a stored password hash cannot be read or would cost too much; it counts as wrong"
                        );
                    }
                    phc
                });
                let Some(stored) = stored else {
                    engine.tag(self.cost, password, &[0; 16]).map_err(Error::internal)?;
                    return Ok(Done::Verdict(Verdict::Wrong));
                };
                let tag = engine.tag(stored.cost, password, &stored.salt).map_err(Error::internal)?;
                Ok(Done::Verdict(match same(&tag, &stored.tag) {
                    false => Verdict::Wrong,
                    true if stored.cost == self.cost => Verdict::Right,
                    true => Verdict::RightButOld,
                }))
            }
        }
    }
}

fn busy(wait: Duration) -> Error {
    Error::new(Problem::Busy).retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn right_old_wrong_and_nobody() {
        let pool = Hashing::start(CHEAP, 2, LONG, false).unwrap();
        let phc = pool.hash(Secret::new("pass word"), [7; 16]).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        let verify = async |pool: &Hashing, text: &str, phc: Option<&str>| {
            pool.verify(Secret::new(text), phc.map(str::to_owned)).await.unwrap()
        };
        assert_eq!(verify(&pool, "pass word", Some(&phc)).await, Verdict::Right);
        assert_eq!(verify(&pool, "pass word ", Some(&phc)).await, Verdict::Wrong);
        assert_eq!(verify(&pool, "pass word", None).await, Verdict::Wrong);
        assert_eq!(verify(&pool, &"x".repeat(1_025), Some(&phc)).await, Verdict::Wrong);
        assert_eq!(verify(&pool, "", Some("$argon2id$rubbish")).await, Verdict::Wrong);
        let newer = Hashing::start(Cost { passes: 2, ..CHEAP }, 1, LONG, true).unwrap();
        assert_eq!(verify(&newer, "pass word", Some(&phc)).await, Verdict::RightButOld);
        assert_eq!(newer.waiting(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_would_wait_too_long_is_refused_and_the_rest_is_served() {
        let slow = Cost { memory_kib: 8_192, passes: 2, lanes: 1 };
        let pool = Hashing::start(slow, 1, Duration::from_millis(30), false).unwrap();
        let asks = (0..200).map(|_| pool.verify(Secret::new("x"), None));
        let answers = futures_util::future::join_all(asks).await;
        let (served, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert!(!served.is_empty() && !refused.is_empty(), "{} {}", served.len(), refused.len());
        for error in refused {
            let error = error.unwrap_err();
            assert_eq!(error.problem, Problem::Busy);
            assert!(error.retry_after.is_some());
        }
        assert_eq!(pool.waiting(), 0);
        assert_eq!(pool.verify(Secret::new("x"), None).await.unwrap(), Verdict::Wrong);
    }
}
