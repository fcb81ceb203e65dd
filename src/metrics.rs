//! The figures of `/metrics`: one registry an [`crate::app::App`], so that two in one process do not mix.
//!
//! Never: a label whose values somebody outside can choose – ids, addresses, raw paths.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::circuit::State;
use crate::shared::Standing;
use crate::store::Vitals;

type Labels = Vec<(&'static str, String)>;

/// Every figure.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Commits that had to be decided anew because others were quicker.
    pub conflicts: Counter,
    /// Connections that are open.
    pub connections: Gauge,
    /// Passwords that wait to be hashed, or are being.
    pub hashing: Gauge,
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram>,
    sign_ins: Family<Labels, Counter>,
    messages: Family<Labels, Counter>,
    provider_requests: Family<Labels, Counter>,
    circuits: Family<Labels, Gauge>,
    limits: Family<Labels, Counter>,
    tasks_failed: Family<Labels, Counter>,
    spending: Family<Labels, Gauge>,
    waiting: Family<Labels, Gauge>,
    waiting_seconds: Family<Labels, Gauge>,
    pool: Family<Labels, Gauge>,
    channel_up: Family<Labels, Gauge>,
    channel_lag: Family<Labels, Gauge<f64, AtomicU64>>,
    channel_words: Family<Labels, Counter>,
    shared_up: Family<Labels, Gauge>,
    shared_alone: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
    /// The figures of each route by method and status, once found: looking by labels costs a microsecond.
    found: RwLock<HashMap<String, Vec<Answered>>>,
}

#[derive(Debug)]
struct Answered {
    method: String,
    status: u16,
    count: Counter,
    seconds: Histogram,
}

/// Upper bounds in seconds: from a look into the store to a request that is about to time out.
const BOUNDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

/// A figure of `registry`, shown under this name.
fn figure<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    registered(registry, name, help, M::default())
}

fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, figure: M) -> M {
    registry.register(name, help, figure.clone());
    figure
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("vestibule");
        let to = &mut registry;
        Self {
            // In the order in which they are shown.
            conflicts: figure(to, "store_conflicts", "Commits decided anew because others were quicker"),
            connections: figure(to, "http_connections", "Connections that are open"),
            hashing: figure(to, "hashing_waiting", "Passwords that wait to be hashed, or are being"),
            requests: figure(to, "http_requests", "Requests answered, by route and status"),
            seconds: registered(
                to,
                "http_request_seconds",
                "Time from request to answer, by route",
                Family::new_with_constructor(|| Histogram::new(BOUNDS)),
            ),
            sign_ins: figure(to, "sign_ins", "Sign-ins, by what they came to"),
            messages: figure(to, "messages", "Messages, by kind and status"),
            provider_requests: figure(
                to,
                "provider_requests",
                "Requests to providers of messages, by what they came to",
            ),
            circuits: figure(
                to,
                "provider_circuit",
                "How the breaker of a provider stands: 1 for the state that it is in",
            ),
            limits: figure(to, "limits_reached", "Requests refused by a limit"),
            spending: figure(
                to,
                "spending",
                "The day's money for messages and calls in millionths, what is drawn and all",
            ),
            waiting: figure(
                to,
                "queue_waiting",
                "What waits to be done in the background, by queue, up to a thousand",
            ),
            waiting_seconds: figure(to, "queue_waiting_seconds", "How long the first in a queue has waited"),
            pool: figure(
                to,
                "store_connections",
                "Connections to the database: open, idle, and askers that wait for one",
            ),
            channel_up: figure(
                to,
                "channel_up",
                "Whether word of other nodes' changes surely comes in, so that what is kept counts",
            ),
            channel_lag: figure(to, "channel_lag_seconds", "Time that a word to oneself took, the last time"),
            channel_words: figure(to, "channel_words", "Words that came by the channel"),
            shared_up: figure(to, "shared_up", "Whether the server of shared counters answered last"),
            shared_alone: figure(
                to,
                "shared_counted_alone",
                "Requests counted by this node alone, with its part of each limit",
            ),
            retries: figure(to, "retries", "What was asked of a dependency again"),
            tasks_failed: figure(to, "tasks_failed", "Runs of background tasks that failed"),
            found: RwLock::default(),
            registry,
        }
    }
}

impl Metrics {
    /// A request was answered. `route` is the template, never the path.
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let count = |found: &HashMap<String, Vec<Answered>>| {
            let mut figures = found.get(route)?.iter();
            let answered = figures.find(|one| one.status == status && one.method == method)?;
            answered.count.inc();
            answered.seconds.observe(took.as_secs_f64());
            Some(())
        };
        if count(&self.found.read().unwrap_or_else(PoisonError::into_inner)).is_some() {
            return;
        }
        let mut found = self.found.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have been quicker.
        if count(&found).is_none() {
            let (at, by) = (("route", route.to_owned()), ("method", method.to_owned()));
            let with = ("status", status.to_string());
            found.entry(route.to_owned()).or_default().push(Answered {
                method: method.to_owned(),
                status,
                count: self.requests.get_or_create(&vec![by, at.clone(), with]).clone(),
                seconds: self.seconds.get_or_create(&vec![at]).clone(),
            });
            count(&found);
        }
    }

    /// A sign-in came to this.
    pub fn sign_in(&self, outcome: &str) {
        self.sign_ins.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }

    /// A message came to this.
    pub fn message(&self, kind: &str, status: &str) {
        self.messages.get_or_create(&vec![("kind", kind.to_owned()), ("status", status.to_owned())]).inc();
    }

    /// A provider was asked; its breaker now stands like this.
    pub fn provider(&self, provider: &str, outcome: &str, circuit: State) {
        let provider = ("provider", provider.to_owned());
        let outcome = vec![provider.clone(), ("outcome", outcome.to_owned())];
        self.provider_requests.get_or_create(&outcome).inc();
        for state in State::ALL {
            let labels = vec![provider.clone(), ("state", state.to_string())];
            self.circuits.get_or_create(&labels).set(i64::from(*state == circuit));
        }
    }

    /// A limit refused a request.
    pub fn limit_reached(&self, limit: &str) {
        self.limits.get_or_create(&vec![("limit", limit.to_owned())]).inc();
    }

    /// How often this limit refused a request since the process began.
    pub fn refused(&self, limit: &str) -> u64 {
        self.limits.get_or_create(&vec![("limit", limit.to_owned())]).get()
    }

    /// So much of the day's money is drawn, in millionths.
    pub fn spent(&self, drawn: i64, all: i64) {
        for (what, amount) in [("drawn", drawn), ("all", all)] {
            self.spending.get_or_create(&vec![("what", what.to_owned())]).set(amount);
        }
    }

    /// So much waits in this queue, the first of it so long.
    pub fn waits(&self, queue: &str, count: usize, longest: Duration) {
        let queue = vec![("queue", queue.to_owned())];
        self.waiting.get_or_create(&queue).set(i64::try_from(count).unwrap_or(i64::MAX));
        let seconds = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
        self.waiting_seconds.get_or_create(&queue).set(seconds);
    }

    /// How the servers are that this one needs, when it needs any.
    pub fn dependencies(&self, store: Option<Vitals>, shared: Option<Standing>) {
        let none = Labels::new;
        let of = |dependency: &str| vec![("dependency", dependency.to_owned())];
        let at_least = |counter: &Counter, sum: u64| {
            counter.inner().fetch_max(sum, Ordering::Relaxed);
        };
        if let Some(Vitals { connections, idle, waiting, retries, channel }) = store {
            for (state, count) in [("open", connections), ("idle", idle), ("waiting", waiting)] {
                let gauge = self.pool.get_or_create(&vec![("state", state.to_owned())]).clone();
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            at_least(&self.retries.get_or_create(&of("store")), retries);
            self.channel_up.get_or_create(&none()).set(i64::from(channel.trusted));
            self.channel_lag.get_or_create(&none()).set(channel.lag.as_secs_f64());
            at_least(&self.channel_words.get_or_create(&none()), channel.words);
        }
        if let Some(Standing { up, alone, retries }) = shared {
            self.shared_up.get_or_create(&none()).set(i64::from(up));
            at_least(&self.shared_alone.get_or_create(&none()), alone);
            at_least(&self.retries.get_or_create(&of("shared")), retries);
        }
    }

    /// A background task failed.
    pub fn task_failed(&self, task: &str) {
        self.tasks_failed.get_or_create(&vec![("task", task.to_owned())]).inc();
    }

    /// All figures in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rendered_with_their_labels_and_kept_apart() {
        let (one, two) = (Metrics::default(), Metrics::default());
        for _ in 0..3 {
            one.request("GET", "/users/me", 200, Duration::from_millis(2));
        }
        one.request("GET", "/users/me", 401, Duration::from_millis(2));
        one.sign_in("signed_in");
        let text = one.render();
        assert!(
            text.contains(r#"vestibule_http_requests_total{method="GET",route="/users/me",status="200"} 3"#),
            "{text}"
        );
        assert!(text.contains(r#"route="/users/me",status="401"} 1"#), "{text}");
        assert!(text.contains(r#"http_request_seconds_count{route="/users/me"} 4"#), "{text}");
        assert!(text.contains(r#"vestibule_sign_ins_total{outcome="signed_in"} 1"#), "{text}");
        assert!(!two.render().contains("/users/me"));
    }
}
