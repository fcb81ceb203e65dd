//! The worker: runs what is to be done again and again, such as sending what is due. Knows nothing
//! of what the tasks mean.
//!
//! Always holds: a task runs soon after a commit that left something due, and at least every so
//! often; one that fails or panics is run again after a growing pause; stopping waits for what is
//! under way. What a task does must bear being done twice: a node can die in between.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

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
    /// Does what is due and says how much that was.
    pub run: fn(Ctx) -> Run,
}

/// Tasks that are running.
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Longest pause after runs that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Starts the tasks. Each runs when a commit rings, and at least every so often.
pub fn start(app: &Arc<App>, tasks: Vec<Task>) -> Workers {
    let (stop, stopped) = watch::channel(false);
    let spawn = |task: Task| {
        let (app, stopped) = (app.clone(), stopped.clone());
        #[expect(clippy::disallowed_methods, reason = "workers are kept and awaited by `Workers::stop`")]
        tokio::spawn(keep_running(app, task, stopped))
    };
    Workers { tasks: tasks.into_iter().map(spawn).collect(), stop }
}

impl Workers {
    /// Lets every task finish what it is doing, and ends it.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// What was taken to be dealt with, none in place of what needs nothing after all; and why no more was.
pub type Leased<T> = (Vec<Option<T>>, Option<Error>);

/// How long what falls due may wait beside something that is still under way.
const LOOK: Duration = Duration::from_secs(1);

/// Deals with everything that is due, and with what falls due meanwhile, so many pieces `at_once`; returns
/// how many it took. `lease` takes up to as many as it is told to.
///
/// What is slow holds up nothing else: whatever is free goes on. On a failure of the store nothing more is
/// begun, but what is on its way is waited for and recorded.
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
    loop {
        // Marked before looking, so that what is committed in between is not missed.
        rings.borrow_and_update();
        let free = at_once - under_way.len();
        if free > 0 && failure.is_none() {
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

async fn keep_running(app: Arc<App>, task: Task, mut stopped: watch::Receiver<bool>) {
    let mut rings = app.bell.subscribe();
    let mut failures = 0_u32;
    while !*stopped.borrow() {
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
        let pause = match outcome {
            Ok(0) => {
                failures = 0;
                task.every
            }
            Ok(_) => {
                failures = 0;
                continue;
            }
            Err(cause) => {
                failures = failures.saturating_add(1);
                app.metrics.task_failed(task.name);
                tracing::error!(task = task.name, failures, cause, "a background task failed");
                let pause = Duration::from_millis(100).saturating_mul(1 << failures.min(10));
                tokio::select! {
                    () = tokio::time::sleep(pause.min(LONGEST_PAUSE)) => continue,
                    _ = stopped.changed() => break,
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = rings.changed() => {}
            _ = stopped.changed() => break,
        }
    }
}
