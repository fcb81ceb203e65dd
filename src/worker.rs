//! The worker: runs what is to be done again and again, such as sending what is due. Knows nothing
//! of what the tasks mean.
//!
//! Always holds: a task that heeds the bell runs soon after a commit that left something due, and each at
//! least every so often; one that fails or panics is run again after a growing pause; stopping waits for what is
//! under way, and not for all that is due. What a task does must bear being done twice: a node can die
//! in between.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use crate::app::{App, Ctx};
use crate::error::{Error, Result};

/// One run of a task.
pub type Run = Pin<Box<dyn Future<Output = Result<usize>> + Send>>;

/// Something that is done again and again.
pub struct Task {
    /// Its name, for logs and figures.
    pub name: &'static str,
    /// How often it looks for work when nothing rings.
    pub every: Duration,
    /// Whether it also looks when a commit rings: what is sent soon after it was committed.
    pub heeds: bool,
    /// Does what is due and says how much that was.
    pub run: fn(Ctx) -> Run,
}

/// Tasks that are running.
pub struct Workers {
    app: Arc<App>,
    tasks: Vec<JoinHandle<()>>,
}

/// Longest pause after runs that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Starts the tasks. Each runs at least every so often, and when a commit rings for it.
pub fn start(app: &Arc<App>, tasks: Vec<Task>) -> Workers {
    let spawn = |task: Task| {
        #[expect(clippy::disallowed_methods, reason = "workers are kept and awaited by `Workers::stop`")]
        tokio::spawn(keep_running(app.clone(), task))
    };
    Workers { tasks: tasks.into_iter().map(spawn).collect(), app: app.clone() }
}

impl Workers {
    /// Has every task begin what the last commits left it, as much as it does at once and no more, and lets
    /// it finish what it has begun for `patience`. What is then not done is dropped: its lease runs out, and
    /// whoever serves next takes it again.
    pub async fn stop(self, patience: Duration) {
        self.app.stopping.send_replace(true);
        let deadline = Instant::now() + patience;
        for mut task in self.tasks {
            if timeout_at(deadline, &mut task).await.is_err() {
                tracing::warn!("a background task was cut: it did not finish in time");
                task.abort();
            }
        }
    }
}

/// The pause after so many attempts at something: the `first` one, doubling up to the `longest`, half of it by
/// chance, so that what failed together does not come back together.
pub fn pause(attempts: u32, first: Duration, longest: Duration, chance: u8) -> Duration {
    let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    let whole = first.saturating_mul(doubled).min(longest);
    whole / 2 + whole / 2 * u32::from(chance) / 255
}

/// What was taken to be dealt with, none in place of what needs nothing after all; and why no more was.
pub type Leased<T> = (Vec<Option<T>>, Option<Error>);

/// How long what falls due may wait beside something that is still under way.
const LOOK: Duration = Duration::from_secs(1);

/// Deals with everything that is due, and with what falls due meanwhile, so many pieces `at_once`; returns
/// how many it took. `lease` takes up to as many as it is told to.
///
/// What is slow holds up nothing else: whatever is free goes on. Once the server stops, it is looked once more
/// for what the last commits left, and after that, as on a failure of the store, nothing more is begun, but
/// what is on its way is waited for and recorded.
///
/// # Errors
/// What `lease` failed with.
pub async fn keep_up<T, L, D>(
    ctx: &Ctx,
    at_once: usize,
    lease: impl Fn(Ctx, usize) -> L,
    deal: impl Fn(Ctx, T) -> D,
) -> Result<usize>
where
    L: Future<Output = Leased<T>>,
    D: Future<Output = ()> + Send + 'static,
{
    let app = &ctx.app;
    let mut rings = app.bell.subscribe();
    let mut under_way = JoinSet::new();
    let mut taken = 0;
    let mut failure = None;
    let mut may_look_again = true;
    loop {
        // Marked before looking, so that what is committed in between is not missed.
        rings.borrow_and_update();
        let free = at_once - under_way.len();
        let stops = *app.stopping.borrow();
        if free > 0 && failure.is_none() && (!stops || may_look_again) {
            // A look that begins after the stop finds all that there will be; more of them would go on for as
            // long as there is a backlog.
            may_look_again = !stops;
            // What was leased before the trouble is dealt with all the same: its lease is committed.
            let (leased, trouble) = lease(Ctx::new(app.clone(), None), free).await;
            failure = trouble;
            taken += leased.len();
            let more = leased.len() == free;
            for one in leased.into_iter().flatten() {
                under_way.spawn(deal(ctx.clone(), one));
            }
            if more {
                continue;
            }
        }
        if under_way.is_empty() {
            // It stopped while this looked.
            if failure.is_none() && may_look_again && *app.stopping.borrow() {
                continue;
            }
            return failure.map_or(Ok(taken), Err);
        }
        tokio::select! {
            Some(ended) = under_way.join_next() => if let Err(error) = ended {
                // Its lease runs out, and it is taken again.
                tracing::error!(%error, "something was dropped while it was dealt with");
            },
            _ = rings.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn keep_running(app: Arc<App>, task: Task) {
    let (mut rings, mut stopping) = (app.bell.subscribe(), app.stopping.subscribe());
    let mut failures = 0_u32;
    loop {
        // Marked before the run: what rings while it runs is looked at afterwards.
        rings.borrow_and_update();
        // On a task of its own, so that a panic ends this run and not the worker.
        let mut run = JoinSet::new();
        run.spawn((task.run)(Ctx::new(app.clone(), None)));
        let outcome = match run.join_next().await {
            Some(Ok(outcome)) => outcome.map_err(|error| format!("{error}: {:?}", error.cause)),
            Some(Err(panic)) => Err(panic.to_string()),
            None => Ok(0),
        };
        let (pause, heeds) = match outcome {
            Ok(done) => {
                failures = 0;
                let pause = if done > 0 { Duration::ZERO } else { task.every };
                (pause, task.heeds)
            }
            Err(cause) => {
                failures = failures.saturating_add(1);
                app.metrics.task_failed(task.name);
                tracing::error!(task = task.name, failures, cause, "a background task failed");
                let pause = Duration::from_millis(100).saturating_mul(1 << failures.min(10));
                (pause.min(LONGEST_PAUSE), false)
            }
        };
        if *stopping.borrow() {
            break;
        }
        tokio::select! {
            // What rang before the stop is looked at before the end.
            biased;
            _ = rings.changed(), if heeds => {}
            _ = stopping.changed() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::timeout;

    use super::*;
    use crate::http::testing;

    /// Longer than any of these tests takes, and than any pause of a worker.
    const LONG: Duration = Duration::from_secs(3_600);

    /// How long to wait for what must not take long.
    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn half_of_a_pause_is_chance() {
        let pause =
            |attempts, chance| pause(attempts, Duration::from_millis(100), Duration::from_secs(30), chance);
        assert_eq!(pause(3, 0), Duration::from_millis(200));
        assert_eq!(pause(3, 255), Duration::from_millis(400));
        assert_eq!(pause(u32::MAX, 255), Duration::from_secs(30));
    }

    async fn until(is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, waiting).await.unwrap();
    }

    #[tokio::test]
    async fn a_stop_waits_for_what_is_under_way_and_not_for_all_that_is_due() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        static ENDED: AtomicUsize = AtomicUsize::new(0);
        async fn deal() {
            BEGUN.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            ENDED.fetch_add(1, Ordering::SeqCst);
        }
        let endless = Task {
            name: "endless",
            every: LONG,
            heeds: true,
            run: |ctx| {
                Box::pin(async move {
                    let lease = |_, free| async move { (vec![Some(()); free], None) };
                    keep_up(&ctx, 2, lease, |_, ()| deal()).await
                })
            },
        };
        let workers = start(&testing::app(), vec![endless]);
        until(|| ENDED.load(Ordering::SeqCst) > 4).await;
        timeout(SOON, workers.stop(LONG)).await.expect("a backlog has no end");
        assert_eq!(BEGUN.load(Ordering::SeqCst), ENDED.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn what_rang_before_the_stop_is_begun_before_the_end() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        let mut expected = 0;
        for _ in 0..20 {
            let app = testing::app();
            let run: fn(Ctx) -> Run = |ctx| {
                Box::pin(async move {
                    let lease = |_, _| async { (vec![Some(())], None) };
                    let deal = |_, ()| async {
                        BEGUN.fetch_add(1, Ordering::SeqCst);
                    };
                    // With one place alone a lease is followed by another one, unless the server stops.
                    let stops = *ctx.app.stopping.borrow();
                    if stops { keep_up(&ctx, 2, lease, deal).await } else { Ok(0) }
                })
            };
            let workers = start(&app, vec![Task { name: "rung", every: LONG, heeds: true, run }]);
            // The first run is over once the worker waits for the bell.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            app.bell.send_modify(|rings| *rings += 1);
            timeout(SOON, workers.stop(LONG)).await.unwrap();
            expected += 1;
            assert_eq!(BEGUN.load(Ordering::SeqCst), expected);
        }
    }

    #[tokio::test]
    async fn what_rang_while_the_last_look_was_under_way_is_begun_too() {
        static LEFT: AtomicUsize = AtomicUsize::new(0);
        static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        static LOOKS: AtomicUsize = AtomicUsize::new(0);
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        static HELD: AtomicUsize = AtomicUsize::new(0);
        let run: fn(Ctx) -> Run = |ctx| {
            Box::pin(async move {
                let lease = |_, free| async move {
                    let found = LEFT.swap(0, Ordering::SeqCst).min(free);
                    LOOKS.fetch_add(1, Ordering::SeqCst);
                    until(|| HELD.load(Ordering::SeqCst) == 0).await;
                    (vec![Some(()); found], None)
                };
                let deal = |_, ()| async {
                    BEGUN.fetch_add(1, Ordering::SeqCst);
                };
                keep_up(&ctx, AT_ONCE.load(Ordering::SeqCst), lease, deal).await
            })
        };
        // With nothing to deal with at the first look, with something, and with all places taken by it.
        for (first, at_once) in [(0, 2), (1, 2), (1, 1)] {
            let app = testing::app();
            LEFT.store(first, Ordering::SeqCst);
            AT_ONCE.store(at_once, Ordering::SeqCst);
            HELD.store(1, Ordering::SeqCst);
            let (looks, begun) = (LOOKS.load(Ordering::SeqCst), BEGUN.load(Ordering::SeqCst));
            let workers = start(&app, vec![Task { name: "held", every: LONG, heeds: true, run }]);
            until(|| LOOKS.load(Ordering::SeqCst) > looks).await;
            LEFT.store(1, Ordering::SeqCst);
            app.bell.send_modify(|rings| *rings += 1);
            let releases = async {
                until(|| *app.stopping.borrow()).await;
                HELD.store(0, Ordering::SeqCst);
            };
            timeout(SOON, async { tokio::join!(workers.stop(LONG), releases) }).await.unwrap();
            assert_eq!(BEGUN.load(Ordering::SeqCst), begun + first + 1, "{first} first, {at_once} at once");
        }
    }

    #[tokio::test]
    async fn only_what_heeds_the_bell_runs_when_it_rings() {
        static RUNS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let app = testing::app();
        let heeding: fn(Ctx) -> Run = |_| {
            RUNS[0].fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(0) })
        };
        let deaf: fn(Ctx) -> Run = |_| {
            RUNS[1].fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(0) })
        };
        let tasks = [("deaf", false, deaf), ("heeding", true, heeding)];
        let tasks = tasks.map(|(name, heeds, run)| Task { name, every: LONG, heeds, run });
        let workers = start(&app, tasks.into());
        for runs in 1..=5 {
            until(|| RUNS[0].load(Ordering::SeqCst) == runs).await;
            // It may be counted before it waits for the bell again: what rings meanwhile counts, too.
            app.bell.send_modify(|rings| *rings += 1);
        }
        until(|| RUNS[0].load(Ordering::SeqCst) == 6).await;
        workers.stop(LONG).await;
        assert_eq!(RUNS[1].load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_does_not_end_is_cut() {
        let stuck = Task {
            name: "stuck",
            every: LONG,
            heeds: true,
            run: |_| Box::pin(std::future::pending::<Result<usize>>()),
        };
        let workers = start(&testing::app(), vec![stuck]);
        timeout(SOON, workers.stop(Duration::from_millis(50))).await.expect("patience has an end");
    }
}
