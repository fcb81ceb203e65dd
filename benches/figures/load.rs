//! The load tool: HTTP/1.1 by hand over kept-alive connections, in a closed or an open loop.
//!
//! It is light on purpose: on a machine that it shares with the server, what it spends is what the
//! server lacks. Every answer is read whole and counted by status; nothing that fails is left out.
//!
//! A *closed* loop asks again as soon as it is answered: it finds the highest rate. An *open* loop
//! asks by the clock, whatever the answers: it finds what happens above that rate, and counts the
//! time from the instant at which a request was *meant* to leave, so that waiting is not hidden.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// No answer within this time counts as none.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer is never this large; one that is, is not read on.
const LARGEST: usize = 4 << 20;

/// One request as it goes over the wire. `bearer` and `body` may be left out.
pub fn request(method: &str, path: &str, bearer: Option<&str>, body: Option<&Json>) -> Bytes {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    if let Some(token) = bearer {
        text.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    match body {
        None => text.push_str("\r\n"),
        Some(json) => {
            let json = json.to_string();
            text.push_str(&format!(
                "content-type: application/json\r\ncontent-length: {}\r\n\r\n{json}",
                json.len()
            ));
        }
    }
    Bytes::from(text)
}

/// One answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// The cookies that it sets, as a browser sends them back.
    pub cookies: String,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; Null when it is none.
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The text at a place in the JSON body, such as `/challenge/id`.
    pub fn text(&self, pointer: &str) -> Option<String> {
        self.json().pointer(pointer)?.as_str().map(str::to_owned)
    }
}

/// A kept-alive connection; opens itself when it is not open.
pub struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    /// What has arrived and is not yet read.
    buffer: Vec<u8>,
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// What the head of an answer says.
struct Head {
    status: u16,
    retry_after: Option<u64>,
    cookies: String,
    length: Option<usize>,
    chunked: bool,
    close: bool,
}

impl Head {
    /// The most lines that a head may have.
    const LINES: usize = 64;

    /// What the head says at the start of `bytes`, and its length; nothing while it is not all there.
    fn read(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut lines = [httparse::EMPTY_HEADER; Self::LINES];
        let mut answer = httparse::Response::new(&mut lines);
        let end = match answer.parse(bytes).map_err(|_| bad("the head is not HTTP"))? {
            httparse::Status::Complete(end) => end,
            httparse::Status::Partial => return Ok(None),
        };
        let mut head = Self {
            status: answer.code.ok_or_else(|| bad("no status line"))?,
            retry_after: None,
            cookies: String::new(),
            length: None,
            chunked: false,
            close: false,
        };
        for line in answer.headers.iter() {
            let is = |name: &str| line.name.eq_ignore_ascii_case(name);
            let number = || std::str::from_utf8(line.value).ok().and_then(|text| text.parse().ok());
            if is("content-length") {
                let length = number().and_then(|length| usize::try_from(length).ok());
                head.length = Some(length.ok_or_else(|| bad("content-length is no number"))?);
            } else if is("transfer-encoding") {
                head.chunked = line.value.eq_ignore_ascii_case(b"chunked");
            } else if is("retry-after") {
                head.retry_after = number();
            } else if is("set-cookie") {
                let kept = line.value.split(|byte| *byte == b';').next().unwrap_or_default();
                // One without a value is taken away.
                if !kept.ends_with(b"=") {
                    let mark = if head.cookies.is_empty() { "" } else { "; " };
                    head.cookies = format!("{}{mark}{}", head.cookies, String::from_utf8_lossy(kept));
                }
            } else if is("connection") {
                head.close = line.value.eq_ignore_ascii_case(b"close");
            }
        }
        Ok(Some((head, end)))
    }
}

impl Connection {
    /// To `address`; opened by the first request.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: Vec::with_capacity(4096) }
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection cannot be opened or breaks, the answer is not HTTP, or nothing comes in
    /// time. The next call opens a new connection; nothing is sent twice.
    pub async fn send(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send_times(request, 1).await?.pop().ok_or_else(|| bad("no answer"))
    }

    /// Sends the same request so many times without waiting in between (RFC 9112, 9.3.2), and reads
    /// every answer.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_times(&mut self, request: &[u8], times: usize) -> io::Result<Vec<Answer>> {
        let answers = timeout(PATIENCE, self.exchange(request, times)).await;
        let answers = answers.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if answers.is_err() {
            self.hang_up();
        }
        answers
    }

    fn hang_up(&mut self) {
        self.stream = None;
        self.buffer.clear();
    }

    async fn exchange(&mut self, request: &[u8], times: usize) -> io::Result<Vec<Answer>> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        self.stream()?.write_all(&request.repeat(times)).await?;
        let mut answers = Vec::with_capacity(times);
        for _ in 0..times {
            answers.push(self.answer().await?);
        }
        Ok(answers)
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let (head, end) = loop {
            match Head::read(&self.buffer)? {
                Some(read) => break read,
                None => self.more().await?,
            }
        };
        self.buffer.drain(..end);
        // 204 and 304 have no body and may say nothing of its length (RFC 9112, 6.3).
        let body = match head.length {
            _ if matches!(head.status, 204 | 304) => Vec::new(),
            _ if head.chunked => self.chunks().await?,
            Some(length) => self.exactly(length).await?,
            None => return Err(bad("an answer without a length")),
        };
        if head.close {
            self.hang_up();
        }
        Ok(Answer { status: head.status, retry_after: head.retry_after, cookies: head.cookies, body })
    }

    fn stream(&mut self) -> io::Result<&mut TcpStream> {
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.buffer.len() > LARGEST {
            return Err(bad("the answer is too large"));
        }
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        match stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn until(&mut self, mark: &[u8]) -> io::Result<usize> {
        loop {
            if let Some(at) = find(&self.buffer, mark) {
                return Ok(at);
            }
            self.more().await?;
        }
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        // Copied at once: out of a drain it would come byte by byte.
        let taken = self.buffer.get(..length).ok_or_else(|| bad("less than expected"))?.to_vec();
        self.buffer.drain(..length);
        Ok(taken)
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > LARGEST {
            return Err(bad("the answer is too large"));
        }
        while self.buffer.len() < length {
            self.more().await?;
        }
        self.take(length)
    }

    /// A body in chunks (RFC 9112, 7.1), without trailers.
    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = self.until(b"\r\n").await?;
            let line = self.take(end)?;
            self.take(2)?;
            let size = std::str::from_utf8(&line).ok().and_then(|text| text.split(';').next());
            let size = size.and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
            let size = size.ok_or_else(|| bad("a chunk without a size"))?;
            body.extend(self.exactly(size).await?);
            if self.exactly(2).await? != b"\r\n" {
                return Err(bad("a chunk without an end"));
            }
            if size == 0 {
                return Ok(body);
            }
            if body.len() > LARGEST {
                return Err(bad("the answer is too large"));
            }
        }
    }
}

/// Durations, counted in buckets that grow with the duration: never more than 1/32 too long.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; Self::BUCKETS], count: 0 }
    }
}

impl Histogram {
    /// Up to 2^40 ns, a quarter of an hour; what is longer counts as that.
    const BUCKETS: usize = 35 * 32 + 64;

    fn bucket(nanos: u64) -> usize {
        let bits = u64::BITS - nanos.leading_zeros();
        let shift = bits.saturating_sub(6);
        // Below 64 each number has its bucket; above, each doubling has 32.
        let bucket = u64::from(shift) * 32 + (nanos >> shift);
        usize::try_from(bucket).map_or(Self::BUCKETS - 1, |bucket| bucket.min(Self::BUCKETS - 1))
    }

    /// The longest duration that falls into `bucket`, in nanoseconds.
    fn ceiling(bucket: usize) -> u64 {
        let bucket = bucket as u64;
        let shift = (bucket / 32).saturating_sub(1);
        ((bucket - shift * 32 + 1) << shift) - 1
    }

    /// Counts `duration`.
    pub fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.buckets.get_mut(Self::bucket(nanos)) {
            *count += 1;
            self.count += 1;
        }
    }

    /// Counts what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (sum, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += count;
        }
        self.count += other.count;
    }

    /// The duration that the share `part` (0 to 1) did not exceed; zero when nothing was counted.
    pub fn percentile(&self, part: f64) -> Duration {
        let wanted = (self.count as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(Self::ceiling(bucket));
            }
        }
        Duration::ZERO
    }
}

/// What came of a load.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Answers by status; under 0 what got no answer.
    pub statuses: BTreeMap<u16, u64>,
    /// 429 and 503 that did not say when to come back.
    pub unhinted: u64,
    /// Time to the answer, whatever it was.
    pub latency: Histogram,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Tally {
    fn count(&mut self, answer: &io::Result<Answer>, waited: Duration) {
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        *self.statuses.entry(status).or_default() += 1;
        if let Ok(answer) = answer
            && matches!(answer.status, 429 | 503)
            && answer.retry_after.is_none()
        {
            self.unhinted += 1;
        }
        self.latency.add(waited);
    }

    /// Counts what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.unhinted += other.unhinted;
        self.latency.merge(&other.latency);
    }

    /// How many got this status.
    pub fn with_status(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// How many were asked.
    pub fn asked(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Answers with `status` a second.
    pub fn rate(&self, status: u16) -> f64 {
        self.with_status(status) as f64 / self.elapsed.as_secs_f64()
    }
}

/// A fresh request for each number, counted from 0.
pub trait Fresh: Fn(u64) -> Bytes + Send + Sync + 'static {}
impl<T: Fn(u64) -> Bytes + Send + Sync + 'static> Fresh for T {}

/// When a loop sends.
#[derive(Clone, Copy)]
enum Pace {
    /// As soon as the last answer is there.
    Closed,
    /// So many a second.
    Open(f64),
}

/// As fast as `connections` askers are answered, for `duration`.
pub async fn closed(address: SocketAddr, connections: usize, duration: Duration, fresh: impl Fresh) -> Tally {
    run(address, connections, duration, Pace::Closed, fresh).await
}

/// `rate` requests a second over at most `connections` connections, for `duration`.
///
/// When all connections wait for an answer, a request leaves late, and its wait counts.
pub async fn open(
    address: SocketAddr,
    connections: usize,
    duration: Duration,
    rate: f64,
    fresh: impl Fresh,
) -> Tally {
    run(address, connections, duration, Pace::Open(rate), fresh).await
}

async fn run(
    address: SocketAddr,
    connections: usize,
    duration: Duration,
    pace: Pace,
    fresh: impl Fresh,
) -> Tally {
    let (number, fresh) = (Arc::new(AtomicU64::new(0)), Arc::new(fresh));
    let start = Instant::now();
    let end = start + duration;
    let mut askers = JoinSet::new();
    for _ in 0..connections {
        let (number, fresh) = (number.clone(), fresh.clone());
        askers.spawn(async move {
            let mut connection = Connection::new(address);
            let mut tally = Tally::default();
            loop {
                let ticket = number.fetch_add(1, Ordering::Relaxed);
                let at = match pace {
                    Pace::Closed => Instant::now(),
                    Pace::Open(rate) => start + Duration::from_secs_f64(ticket as f64 / rate),
                };
                // Past the end nobody starts, also when it is late for its turn.
                if at >= end || Instant::now() >= end {
                    return tally;
                }
                if matches!(pace, Pace::Open(_)) {
                    sleep_until(at.into()).await;
                }
                let answer = connection.send(&fresh(ticket)).await;
                tally.count(&answer, at.elapsed());
                if answer.is_err() {
                    // A server that is gone must not be asked a million times a second.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        });
    }
    let mut total = Tally::default();
    while let Some(done) = askers.join_next().await {
        if let Ok(tally) = done {
            total.merge(&tally);
        }
    }
    total.elapsed = start.elapsed();
    total
}
