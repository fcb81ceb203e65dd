//! The password-hashing pool: as many permits as cores, reused memory, a queue bounded by time.
//!
//! Always holds: no more than `permits` hashes are computed at once, each in memory that is
//! taken once and reused; whoever would wait longer than the pool's patience is refused at
//! once; the threads yield to everything else, so that sign-ins never starve session checks.
//! Never: computing a stored hash whose parameters would cost more than the bounds of [`Cost::is_bounded`]
//! and of `foreign`; answering faster for a cheap hash of another system, or of another day, than for one
//! of today or for nobody's.

mod engine;
mod foreign;
mod phc;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use engine::Cost;
use engine::Engine;
use foreign::Foreign;
pub use foreign::{Firebase, Why};
use phc::Phc;

use crate::error::{Error, Problem};
use crate::secret::{Peppers, Secret, same};

/// What a verification came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Right, and to be left as it is: hashed with today's parameters, or longer than bcrypt looks at, so
    /// that nobody knows whether its end is right too.
    Right,
    /// Right, but hashed with other parameters, another pepper or by another system: hash it anew.
    RightButOld,
    /// Wrong, or nobody's.
    Wrong,
}

/// What goes into hashes and is kept apart from them.
#[derive(Clone, Default)]
pub struct Keys {
    /// Of our own hashes.
    pub peppers: Peppers,
    /// Of imported ones.
    pub firebase: Firebase,
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
    keys: Keys,
    permits: usize,
    patience: Duration,
    /// Jobs waiting or running.
    pending: AtomicUsize,
    /// A moving average of what one job takes, in microseconds: how long the queue is.
    micros: AtomicU64,
    /// The same of hashes with today's parameters only: what nobody's password takes.
    usual: AtomicU64,
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
    pub fn start(
        cost: Cost,
        permits: usize,
        patience: Duration,
        portable: bool,
        keys: Keys,
    ) -> Result<Self, String> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            came: Condvar::new(),
            cost,
            keys,
            permits: permits.max(1),
            patience,
            pending: AtomicUsize::new(0),
            micros: AtomicU64::new(0),
            usual: AtomicU64::new(0),
        });
        let pool = Pool(shared.clone());
        for n in 0..shared.permits {
            let mut engine = engine::engine(portable)?;
            // A small hash tells what a whole one will cost; the memory itself is only taken when the
            // first password comes, and kept from then on.
            let part = Cost { memory_kib: (cost.memory_kib / PART).max(8 * cost.lanes), ..cost };
            let began = Instant::now();
            engine.tag(part, b"warm", &[0; 16], &[])?;
            let whole = began.elapsed().saturating_mul(cost.memory_kib / part.memory_kib);
            average(&shared.micros, whole);
            average(&shared.usual, whole);
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

impl Hashing {
    /// The same as [`imported`], for the hash of a house of this kind: its pepper may be one that is known here.
    ///
    /// # Errors
    /// Why it cannot be taken; never with any of it.
    pub fn own(&self, hash: &str) -> Result<String, Why> {
        match Stored::read(hash.trim())? {
            Stored::Own(Phc { pepper: Some(id), .. }) if self.0.0.keys.peppers.named(&id).is_some() => {
                Ok(hash.trim().to_owned())
            }
            _ => imported(hash),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
        if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS) {
            tracing::debug!(%error, "hashing does not give way to the rest");
        }
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
                average(&self.micros, began.elapsed());
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
                let (pepper, secret) = self.keys.peppers.newest().unzip();
                let tag = self.today(engine, password, salt, secret.unwrap_or_default())?;
                let (pepper, salt, tag) = (pepper.map(str::to_owned), salt.to_vec(), tag.to_vec());
                Ok(Done::Hashed(Phc { cost: self.cost, pepper, salt, tag }.to_string()))
            }
            Work::Verify(stored) => {
                if let Some(text) = stored {
                    match self.verify(engine, password, text) {
                        Ok(verdict) => return Ok(Done::Verdict(verdict)),
                        Err(why) => tracing::error!("a stored password hash counts as wrong: {why}"),
                    }
                }
                self.today(engine, password, &[0; 16], &[])?;
                Ok(Done::Verdict(Verdict::Wrong))
            }
        }
    }

    /// A hash at today's cost; how long it takes is what everything else is measured by.
    fn today(
        &self,
        engine: &mut dyn Engine,
        password: &[u8],
        salt: &[u8],
        secret: &[u8],
    ) -> Result<[u8; engine::TAG], Error> {
        let began = Instant::now();
        let tag = engine.tag(self.cost, password, salt, secret).map_err(Error::internal)?;
        average(&self.usual, began.elapsed());
        Ok(tag)
    }

    /// The verdict on a stored hash, or why it cannot be computed.
    fn verify(&self, engine: &mut dyn Engine, password: &[u8], stored: &str) -> Result<Verdict, String> {
        let began = Instant::now();
        let verdict = match Stored::read(stored).map_err(|why| why.to_string())? {
            Stored::Own(stored) => {
                let pepper = stored.pepper.as_deref();
                let secret = match pepper {
                    Some(id) => self.keys.peppers.named(id).ok_or(format!("there is no pepper `{id}`"))?,
                    None => &[],
                };
                let newest = self.keys.peppers.newest().map(|(id, _)| id);
                if stored.cost == self.cost {
                    let tag = self.today(engine, password, &stored.salt, secret);
                    let tag = tag.map_err(|error| error.to_string())?;
                    return Ok(match same(&tag, &stored.tag) {
                        false => Verdict::Wrong,
                        true if pepper == newest => Verdict::Right,
                        true => Verdict::RightButOld,
                    });
                }
                let tag = engine.tag(stored.cost, password, &stored.salt, secret)?;
                if same(&tag, &stored.tag) { Verdict::RightButOld } else { Verdict::Wrong }
            }
            Stored::Foreign(stored) => match stored.matches(password, &self.keys.firebase)? {
                false => Verdict::Wrong,
                // Of a longer password nobody knows whether all of it is right: hashing it anew would turn
                // a slip past the end into the only right password.
                true if !stored.covers(password) => Verdict::Right,
                true => Verdict::RightButOld,
            },
        };
        let usual = Duration::from_micros(self.usual.load(Ordering::Relaxed));
        if let Some(cost) = padding(self.cost, began.elapsed(), usual) {
            engine.tag(cost, password, &[0; 16], &[])?;
        }
        Ok(verdict)
    }
}

/// A stored hash.
enum Stored {
    Own(Phc),
    Foreign(Foreign),
}

impl Stored {
    fn read(text: &str) -> Result<Self, Why> {
        match Phc::parse(text) {
            Some(own) => Ok(Self::Own(own)),
            None => foreign::read(text).map(Self::Foreign),
        }
    }
}

/// The form in which a hash that another system made is stored: one that [`Hashing::verify`] reads.
///
/// Takes Argon2id, -i and -d, bcrypt, scrypt, PBKDF2 and Firebase's scrypt, as PHC strings or as passlib,
/// Django, Werkzeug, Supabase and Kratos write them. Pure; computes no hash.
///
/// # Errors
/// Why it cannot be taken; never with any of it.
pub fn imported(hash: &str) -> Result<String, Why> {
    let text = hash.trim();
    Ok(match Stored::read(text)? {
        Stored::Own(Phc { pepper: Some(_), .. }) => return Err(Why::Keyed("Argon2")),
        Stored::Own(own) => own.to_string(),
        Stored::Foreign(foreign) => foreign.to_string(),
    })
}

fn average(of: &AtomicU64, time: Duration) {
    let took = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let old = of.load(Ordering::Relaxed);
    let new = if old == 0 { took } else { old.saturating_mul(7).saturating_add(took) / 8 };
    of.store(new.max(1), Ordering::Relaxed);
}

/// What must still be hashed so that a check which took `spent` takes at least the `usual` time: nothing, or
/// so much of today's memory as the time that is missing.
fn padding(today: Cost, spent: Duration, usual: Duration) -> Option<Cost> {
    let missing = usual.checked_sub(spent).filter(|missing| !missing.is_zero())?;
    let memory = u128::from(today.memory_kib) * missing.as_micros();
    let memory = u32::try_from(memory.div_ceil(usual.as_micros().max(1))).unwrap_or(today.memory_kib);
    Some(Cost { memory_kib: memory.clamp(8 * today.lanes, today.memory_kib), ..today })
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
        let pool = Hashing::start(CHEAP, 2, LONG, false, Keys::default()).unwrap();
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
        let newer = Hashing::start(Cost { passes: 2, ..CHEAP }, 1, LONG, true, Keys::default()).unwrap();
        assert_eq!(verify(&newer, "pass word", Some(&phc)).await, Verdict::RightButOld);
        assert_eq!(newer.waiting(), 0);
    }

    fn peppers(ids: &[&str]) -> Keys {
        let keys: Vec<_> = ids
            .iter()
            .map(|id| {
                let seed = id.bytes().map(u64::from).sum();
                crate::secret::Keyring::generate(id, &crate::random::Random::seeded(seed))
            })
            .collect();
        Keys { peppers: Peppers::parse(&keys).unwrap(), firebase: Firebase::default() }
    }

    #[tokio::test]
    async fn a_pepper_is_needed_named_and_replaced() {
        let pool = |ids: &[&str]| Hashing::start(CHEAP, 1, LONG, false, peppers(ids)).unwrap();
        let (without, one) = (pool(&[]), pool(&["one"]));
        let (both, two) = (pool(&["two", "one"]), pool(&["two"]));
        let secret = || Secret::new("pass word");
        let plain = without.hash(secret(), [7; 16]).await.unwrap();
        let hot = one.hash(secret(), [7; 16]).await.unwrap();
        assert!(hot.contains(",keyid=b25l$"), "{hot}");
        assert_ne!(plain.rsplit('$').next(), hot.rsplit('$').next());
        for (pool, phc, verdict) in [
            (&one, &hot, Verdict::Right),
            (&one, &plain, Verdict::RightButOld),
            (&both, &hot, Verdict::RightButOld),
            (&two, &hot, Verdict::Wrong),
            (&without, &hot, Verdict::Wrong),
        ] {
            assert_eq!(pool.verify(secret(), Some(phc.clone())).await.unwrap(), verdict);
        }
        assert_eq!(one.verify(Secret::new("pass word "), Some(hot)).await.unwrap(), Verdict::Wrong);
        let newest = both.hash(secret(), [7; 16]).await.unwrap();
        assert_eq!(two.verify(secret(), Some(newest)).await.unwrap(), Verdict::Right);
    }

    #[tokio::test]
    async fn a_password_that_bcrypt_cuts_off_is_let_in_and_not_hashed_anew() {
        let pool = Hashing::start(CHEAP, 1, LONG, false, Keys::default()).unwrap();
        let hash = "$2b$04$hx5Tw9u6p5743cSeYK28Hu0kSe6cNiDd10Sl6wJjczpahd5GV6JgS";
        for (length, verdict) in [(71, Verdict::Wrong), (72, Verdict::RightButOld), (73, Verdict::Right)] {
            let password = Secret::new("a".repeat(length));
            assert_eq!(pool.verify(password, Some(hash.into())).await.unwrap(), verdict, "{length}");
        }
    }

    /// Counts what is computed, and computes nothing.
    struct Counting(Vec<Cost>);

    impl Engine for Counting {
        fn tag(&mut self, cost: Cost, _: &[u8], _: &[u8], _: &[u8]) -> Result<[u8; engine::TAG], String> {
            self.0.push(cost);
            std::thread::sleep(Duration::from_micros(u64::from(cost.memory_kib) * 20));
            Ok([0; engine::TAG])
        }
    }

    #[test]
    fn what_is_cheaper_than_today_is_filled_up_to_it() {
        let today = Cost { memory_kib: 1_000, passes: 2, lanes: 1 };
        let usual = Duration::from_millis(10);
        let memory = |spent| padding(today, Duration::from_micros(spent), usual).map(|cost| cost.memory_kib);
        assert_eq!(memory(0), Some(1_000));
        assert_eq!(memory(2_500), Some(750));
        assert_eq!(memory(9_999), Some(8));
        assert_eq!((memory(10_000), memory(90_000)), (None, None));
        assert_eq!(padding(today, Duration::ZERO, Duration::ZERO), None);

        let queue = Shared {
            queue: Mutex::default(),
            came: Condvar::new(),
            cost: today,
            keys: Keys::default(),
            permits: 1,
            patience: LONG,
            pending: AtomicUsize::new(0),
            micros: AtomicU64::new(0),
            usual: AtomicU64::new(0),
        };
        let mut engine = Counting(Vec::new());
        queue.today(&mut engine, b"x", &[0; 16], &[]).unwrap();
        for stored in [
            "$2b$04$bxRvLzE76cJgOidBl0zaueLUFekObD7MGWuEFtttolCE9Z0tuZIfW",
            "$pbkdf2-sha256$i=1$c2FsdHNhbHQ$xhzwYv2FcvB2RQ7cqeRzMATXENfybQBsOoD8sXFWt3I",
            "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$a6YfbKHWd5y0qx35qRBbRhrGt8+sIAwzafC+Oi5R0XM",
            "rubbish",
        ] {
            engine.0.clear();
            let password = Secret::new("wrong");
            let (reply, _) = oneshot::channel();
            let work = Work::Verify(Some(stored.to_owned()));
            let began = Instant::now();
            let done = queue.work(&mut engine, &Job { password, work, since: began, reply });
            assert!(matches!(done, Ok(Done::Verdict(Verdict::Wrong))));
            assert!(began.elapsed() >= Duration::from_millis(18), "{stored} {:?}", began.elapsed());
            assert!(engine.0.last().is_some_and(|cost| cost.passes == 2), "{stored} {:?}", engine.0);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_would_wait_too_long_is_refused_and_the_rest_is_served() {
        let slow = Cost { memory_kib: 8_192, passes: 2, lanes: 1 };
        let pool = Hashing::start(slow, 1, Duration::from_millis(30), false, Keys::default()).unwrap();
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
