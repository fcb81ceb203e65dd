//! Counters in Valkey or Redis: one script, one round trip, the server's clock.
//!
//! Each node remembers of every budget that it touched when that will be whole again. So when the
//! server has forgotten (`FLUSHALL`, a restart without its data, another server in its place), the
//! first node that asks brings back what it knows; and while the server is away, each node goes on
//! counting by itself from there, with its part of each limit: the limit divided by the number of
//! nodes, at least one. So all of them together let through no more than the limit, or than one each.
//! What a node has counted by itself it brings back too, also to a server that has kept its own number:
//! the greater one counts. Unless the budget was made whole on purpose since then, which the server knows
//! for as long as any node might remember something of before.
//!
//! Time is the server's: nodes whose clocks differ would each see another budget.
//!
//! Never: a request that waits for a server which is known to be away. One asks whether it is back,
//! the others count here meanwhile.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError, Script, ScriptInvocation};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::memory::Memory;
use super::{Claim, Taken, step};
use crate::clock::Timestamp;
use crate::error::Result;

/// How long the server may take, connecting included.
const PATIENCE: Duration = Duration::from_millis(250);

/// For so long after a failure nobody asks again.
const PAUSE: Duration = Duration::from_secs(1);

/// Before each key's name.
const PREFIX: &str = "vestibule:limit:";

/// The generic cell rate algorithm for each key in turn, until one is refused. Five arguments a key:
/// its limit, microseconds for one more, the window, what the node remembers, and how many microseconds ago
/// it counted the last of that by itself, below zero when the server has it all. Answers with three numbers a
/// key: whether it was allowed, by how much the budget is over, when it is whole.
///
/// What is kept of a key is when it is whole, and when it was last made so on purpose, or zero.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local answer = {}
        for at, key in ipairs(KEYS) do
            local limit, step = tonumber(ARGV[5 * at - 4]), tonumber(ARGV[5 * at - 3])
            local window, known = tonumber(ARGV[5 * at - 2]), tonumber(ARGV[5 * at - 1])
            local age = tonumber(ARGV[5 * at])
            local kept, cleared = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
            kept, cleared = tonumber(kept), tonumber(cleared or 0)
            -- Otherwise a smaller number is newer: something was put back, or cleared. An age needs no clock
            -- that is right: what was counted before a clearing is part of what was forgiven.
            local brought = not kept or age >= 0 and now - age > cleared and known > kept
            local whole = brought and known or kept
            whole = math.min(math.max(whole, now), now + window)
            local over = whole + step - now - step * limit
            local allowed = limit > 0 and over <= 0
            if allowed then whole = whole + step end
            -- Refused or not: what the node has brought back, the next one need not know.
            if allowed or brought and whole > now then
                local life = math.max(whole, cleared > 0 and cleared + window or 0) - now
                local value = string.format('%.0f %.0f', whole, cleared)
                redis.call('SET', key, value, 'PX', math.max(1, math.ceil(life / 1000)))
            end
            answer[#answer + 1] = allowed and 1 or 0
            answer[#answer + 1] = over
            answer[#answer + 1] = whole
            if not allowed then break end
        end
        return answer",
    )
});

/// What was taken is given back; zero when the key is not known.
static PUT_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local whole, cleared = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
        if not whole then return 0 end
        whole = whole - ARGV[1]
        redis.call('SET', KEYS[1], string.format('%.0f ', whole) .. cleared, 'KEEPTTL')
        return whole",
    )
});

/// Makes a budget whole. The key stays for a window, in milliseconds: so long a node might remember another
/// number, also one that it counted by itself and has not told yet.
static CLEAR: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        redis.call('SET', KEYS[1], string.format('%.0f %.0f', now, now), 'PX', ARGV[1])
        return now",
    )
});

/// Why the server does not count.
#[derive(Debug, thiserror::Error)]
pub enum Away {
    /// It did not answer in time, or failed a moment ago.
    #[error("the server of shared counters does not answer")]
    Silent,
    /// It answered that it cannot, or could not be reached.
    #[error("the server of shared counters fails: {0}")]
    Failed(#[from] RedisError),
}

/// How the server has been.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Whether it answered last.
    pub up: bool,
    /// Takes that were counted by this node alone.
    pub alone: u64,
    /// What was tried again.
    pub retries: u64,
}

/// Counters in a server.
#[derive(Clone)]
pub struct Valkey(Arc<Inner>);

struct Inner {
    client: Client,
    held: Mutex<Option<MultiplexedConnection>>,
    /// Among how many nodes a limit is divided while the server is away.
    nodes: u32,
    local: Memory,
    began: Instant,
    /// Milliseconds since the beginning, until which nobody asks; zero while all is well.
    away: AtomicU64,
    alone: AtomicU64,
    retries: AtomicU64,
}

impl fmt::Debug for Valkey {
    // The client's own would show the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Valkey").field("standing", &self.standing()).finish_non_exhaustive()
    }
}

impl Valkey {
    pub(super) fn open(url: &str, nodes: u32) -> Result<Self, String> {
        let client = Client::open(url).map_err(|error| {
            let why = error.detail().filter(|detail| !detail.contains(url)).unwrap_or("it is not an address");
            format!("shared.url cannot be used: {why}")
        })?;
        Ok(Self(Arc::new(Inner {
            client,
            held: Mutex::default(),
            nodes: nodes.max(1),
            local: Memory::default(),
            began: Instant::now(),
            away: AtomicU64::default(),
            alone: AtomicU64::default(),
            retries: AtomicU64::default(),
        })))
    }

    pub(super) async fn take_each(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Taken>> {
        let local = &self.0.local;
        let known: Vec<_> = claims.iter().map(|claim| local.known(&claim.key)).collect();
        let mut script = TAKE.prepare_invoke();
        for (Claim { key, limit, window }, known) in claims.iter().zip(&known) {
            let step = step(*limit, *window);
            script.key(format!("{PREFIX}{key}")).arg(*limit).arg(step);
            script.arg(step.saturating_mul(i64::from(*limit))).arg(known.whole).arg(known.age(now));
        }
        let Ok(answer) = self.ask::<Vec<i64>>(&script).await else { return self.alone(claims, now) };
        let mut taken = Vec::with_capacity(claims.len());
        let asked = claims.iter().zip(known);
        for ((Claim { key, limit, window }, known), told) in asked.zip(answer.chunks_exact(3)) {
            let [allowed, over, whole] = told else { break };
            local.remember(key, known, *whole, now);
            taken.push(match allowed {
                0 => Taken::refused(*over),
                _ => Taken::allowed(*over, step(*limit, *window)),
            });
        }
        Ok(taken)
    }

    /// Counts here, with this node's part of each limit.
    fn alone(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Taken>> {
        self.0.alone.fetch_add(1, Ordering::Relaxed);
        let mut taken = Vec::with_capacity(claims.len());
        for Claim { key, limit, window } in claims {
            let one = self.0.local.take(key, self.part(*limit), *window, now)?;
            taken.push(one);
            if !one.allowed {
                break;
            }
        }
        Ok(taken)
    }

    fn part(&self, limit: u32) -> u32 {
        if limit == 0 { 0 } else { (limit / self.0.nodes).max(1) }
    }

    pub(super) async fn put_back(&self, key: &str, limit: u32, window: Duration) {
        let mut script = PUT_BACK.key(format!("{PREFIX}{key}"));
        script.arg(step(limit, window));
        match self.ask::<i64>(&script).await {
            Ok(_) => self.0.local.put_back(key, limit, window),
            Err(_) => self.0.local.put_back(key, self.part(limit), window),
        }
    }

    pub(super) async fn clear(&self, key: &str, window: Duration) {
        let mut script = CLEAR.key(format!("{PREFIX}{key}"));
        script.arg(i64::try_from(window.as_millis()).unwrap_or(i64::MAX / 4).max(1));
        // A server that is away keeps its number: whoever is let in again waits until it is whole.
        let _ = self.ask::<i64>(&script).await;
        self.0.local.clear(key);
    }

    pub(super) async fn health(&self) -> Result<(), Away> {
        let mut script = TAKE.prepare_invoke();
        script.key(format!("{PREFIX}health")).arg(1_000).arg(1_000).arg(1_000_000).arg(0).arg(-1);
        self.tried::<Vec<i64>>(&script).await.map(drop)
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            up: self.0.away.load(Ordering::SeqCst) == 0,
            alone: self.0.alone.load(Ordering::Relaxed),
            retries: self.0.retries.load(Ordering::Relaxed),
        }
    }

    fn clock(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Asks the server, unless it has just failed. Of those who come when it may be back, one asks.
    async fn ask<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Away> {
        let away = self.0.away.load(Ordering::SeqCst);
        if away != 0 {
            let (now, pause) = (self.clock(), PAUSE + PATIENCE);
            let until = now.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
            let mine = || self.0.away.compare_exchange(away, until, Ordering::SeqCst, Ordering::SeqCst);
            if now < away || mine().is_err() {
                return Err(Away::Silent);
            }
        }
        self.tried(script).await
    }

    /// Asks the server; once more when the connection turns out to be gone.
    async fn tried<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Away> {
        let answer = timeout(PATIENCE, async {
            let mut again = true;
            loop {
                let mut connection = self.connection().await?;
                match script.invoke_async::<T>(&mut connection).await {
                    Err(error) if again && (error.is_io_error() || error.is_connection_dropped()) => {
                        again = false;
                        *self.0.held.lock().await = None;
                        self.0.retries.fetch_add(1, Ordering::Relaxed);
                    }
                    answer => return answer,
                }
            }
        });
        let outcome = match answer.await {
            Ok(Ok(answer)) => {
                if self.0.away.swap(0, Ordering::SeqCst) != 0 {
                    tracing::info!("the server of shared counters is back");
                }
                return Ok(answer);
            }
            Ok(Err(error)) => Away::Failed(error),
            Err(_) => Away::Silent,
        };
        // What is silent now may stay so: the next one makes a connection of its own.
        if let Ok(mut held) = self.0.held.try_lock() {
            *held = None;
        }
        let until = self.clock().saturating_add(u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX)).max(1);
        if self.0.away.swap(until, Ordering::SeqCst) == 0 {
            tracing::warn!(error = %outcome, nodes = self.0.nodes, "each node counts its part of every limit");
        }
        Err(outcome)
    }

    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut held = self.0.held.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection = self.0.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(held.insert(connection).clone())
    }
}
