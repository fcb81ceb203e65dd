//! Connections: accepted within a bound, cut when they dawdle, finished when the server stops.

mod loops;
mod room;

pub use loops::Loops;
pub use room::make_room;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tower::Service;

use super::entrance::Entrance;
use crate::app::App;
use crate::config;

/// The most bytes of a request's head that are read at all. The layers refuse less with a problem;
/// past this the connection gets a bare 431 and ends.
const HEAD_BYTES: usize = 32 * 1024;
/// How long to wait when no connection can be accepted, such as when descriptors have run out.
const BREATH: Duration = Duration::from_millis(100);

/// Serves `entrance` on `listener`, each connection on one of `loops`, until `shutdown` is done; then no
/// connection is accepted, and what is being answered has `drain_timeout` to finish before it is cut.
///
/// At most `max_connections` are open, and no more than [there is room for](make_room); others wait to be
/// accepted. A connection that does not send the head of a request within `header_timeout`, the next one on
/// a kept connection included, or does not take any of its answer for `request_timeout`, is closed. What goes wrong
/// with one connection, or with accepting it, ends nothing else.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    entrance: Entrance,
    loops: &Loops,
    shutdown: impl Future<Output = ()>,
) {
    let settings = &app.config.server;
    let mut http = http1::Builder::new();
    // Its own timer for heads would be set and taken back for every request: see `Pace`.
    http.header_read_timeout(None).max_header_size(HEAD_BYTES);
    let places = Arc::new(Semaphore::new(room::places(&app.config).min(Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    let mut open = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer, place) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = open.join_next() => continue,
            arrival = arrive(&listener, &places) => arrival,
        };
        let (runtime, room) = loops.free();
        let (app, http, entrance, watcher) =
            (Arc::clone(&app), http.clone(), entrance.clone(), graceful.watcher());
        let connected = async move {
            app.metrics.connections.inc();
            answer(&app.config.server, &http, stream, peer, entrance, watcher).await;
            app.metrics.connections.dec();
            drop((place, room));
        };
        open.spawn_on(connected, &runtime);
    }
    drop(listener);
    // Feeds have no end of their own.
    app.followers.stopping.send_replace(true);
    if timeout(*settings.drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were cut: they did not finish in time");
    }
    open.shutdown().await;
}

/// The next connection, when there is a place for it.
async fn arrive(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (std::net::TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return std::future::pending().await };
        let arrived = listener.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer)));
        match arrived {
            Ok((stream, peer)) => {
                // Answers are written whole: waiting to fill a packet would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, peer, place);
            }
            // The other end gave up while it waited.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(BREATH).await;
            }
        }
    }
}

/// Answers what is asked on a connection, until it ends or is given up.
async fn answer(
    settings: &config::Server,
    http: &http1::Builder,
    stream: std::net::TcpStream,
    peer: SocketAddr,
    entrance: Entrance,
    watcher: Watcher,
) {
    // It was accepted by another loop than the one that it is answered by.
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%error, "cannot answer a connection"),
    };
    let pace = Pace::default();
    let paced = pace.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = entrance.clone().call(request.map(Body::new));
        let pace = paced.clone();
        async move {
            let answering = pace.answering();
            let answer = answer.await?;
            Ok::<_, Infallible>(answer.map(|body| Handed { body, _answering: answering }))
        }
    });
    let stream = Patient { stream, patience: *settings.request_timeout, stuck: None, pace: pace.clone() };
    let served = watcher.watch(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        biased;
        served = served => if let Err(error) = served {
            tracing::debug!(%error, "a connection ended early");
        },
        () = pace.dawdled(*settings.header_timeout) => {
            tracing::debug!("a connection asked for nothing in time");
        }
    }
}

/// Since when a connection has been waiting for the head of a request; nothing while one is answered.
///
/// There is one timer a connection, which looks at this when it rings and is set anew only then.
#[derive(Clone)]
struct Pace(Arc<Mutex<Option<Instant>>>);

impl Default for Pace {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }
}

impl Pace {
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answering(&self) -> Answering {
        *self.since() = None;
        Answering(self.clone())
    }

    /// Something of an answer was taken that had waited for it.
    fn goes_on(&self) {
        self.since().as_mut().into_iter().for_each(|since| *since = Instant::now());
    }

    /// Returns when no head has come for `patience`.
    async fn dawdled(&self, patience: Duration) {
        loop {
            let since = *self.since();
            let now = Instant::now();
            let until = since.unwrap_or(now) + patience;
            if until <= now {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// A request is answered for as long as this is there.
struct Answering(Pace);

impl Drop for Answering {
    fn drop(&mut self) {
        *self.0.since() = Some(Instant::now());
    }
}

/// The body of an answer. Until the last of it was handed on, no other head is waited for: a stream has no end
/// of its own, and what it says is taken at once.
struct Handed {
    body: Body,
    _answering: Answering,
}

impl hyper::body::Body for Handed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that is given up when the other end takes nothing of what is written for too long.
struct Patient {
    stream: TcpStream,
    patience: Duration,
    stuck: Option<Pin<Box<Sleep>>>,
    pace: Pace,
}

impl Patient {
    fn judge<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            // A long answer is not finished while somebody goes on taking it.
            if self.stuck.take().is_some() {
                self.pace.goes_on();
            }
            return written;
        }
        let until = Instant::now() + self.patience;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(cx, written)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(cx, written)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{app, app_with, door, server};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    struct Running {
        address: SocketAddr,
        stop: Option<oneshot::Sender<()>>,
        served: JoinHandle<()>,
    }

    #[expect(clippy::disallowed_methods, reason = "the server runs beside the test")]
    async fn start(app: Arc<App>) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = door(&app);
        let served = tokio::spawn(async move {
            let stop = async { drop(stopped.await) };
            serve(app, listener, router, &Loops::here(), stop).await;
        });
        Running { address, stop: Some(stop), served }
    }

    impl Running {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }
        /// What comes back until the server closes.
        async fn send(&self, request: &[u8]) -> String {
            let mut stream = self.connect().await;
            // The server may close before it has read everything.
            let _ = stream.write_all(request).await;
            rest(&mut stream).await
        }
    }

    async fn rest(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        let read = async { while matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {} };
        timeout(Duration::from_secs(5), read).await.expect("the server closes");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn some(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 4096];
        let count =
            timeout(Duration::from_secs(5), stream.read(&mut bytes)).await.expect("something comes").unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    const ASK: &[u8] = b"GET /api/v1/me HTTP/1.1\r\nhost: a\r\n\r\n";
    const LAST: &[u8] = b"GET /api/v1/me HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn connections_are_kept_and_the_peer_is_known() {
        let running = start(app()).await;
        let mut stream = running.connect().await;
        for _ in 0..3 {
            stream.write_all(ASK).await.unwrap();
            let answer = some(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("127.0.0.1 "), "{answer}");
            assert!(!answer.to_lowercase().contains("\nserver:"), "{answer}");
        }
    }

    #[tokio::test]
    async fn who_dawdles_with_the_head_is_cut() {
        let running = start(app()).await;
        for head in [&b""[..], b"GET / HT", b"GET / HTTP/1.1\r\nhost: a\r\n"] {
            let started = Instant::now();
            running.send(head).await;
            assert!(
                (Duration::from_millis(200)..Duration::from_secs(2)).contains(&started.elapsed()),
                "{:?}",
                started.elapsed()
            );
        }
        // A header now and then is no way around it.
        let mut stream = running.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let started = Instant::now();
        while stream.write_all(b"x-a: b\r\n").await.is_ok() && started.elapsed() < Duration::from_secs(3) {
            sleep(Duration::from_millis(20)).await;
        }
        assert!(started.elapsed() < Duration::from_secs(2));
        // Nor is a kept connection.
        let started = Instant::now();
        assert!(running.send(ASK).await.starts_with("HTTP/1.1 200"));
        assert!(started.elapsed() < Duration::from_secs(2));
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_does_not_dawdle() {
        let running = start(app()).await;
        // It takes longer than a head may.
        let answer =
            running.send(b"GET /api/v1/stuck HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }

    #[tokio::test]
    async fn an_answer_that_comes_little_by_little_is_not_cut() {
        let running = start(app()).await;
        let started = Instant::now();
        let answer = running.send(b"GET /api/v1/drips HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(answer.contains("7 ") && answer.ends_with("0\r\n\r\n"), "{answer}");
        // Then it is the next head that is waited for.
        let waited = started.elapsed();
        assert!((Duration::from_millis(1_000)..Duration::from_secs(3)).contains(&waited), "{waited:?}");
    }

    #[test]
    fn time_runs_from_the_last_of_an_answer_and_never_during_one() {
        let pace = Pace::default();
        let answering = pace.answering();
        pace.goes_on();
        assert!(pace.since().is_none());
        drop(answering);
        let then = *pace.since();
        assert!(then.is_some());
        pace.goes_on();
        assert!(*pace.since() >= then);
    }

    #[tokio::test]
    async fn who_dawdles_with_the_body_hears_408() {
        let running = start(app()).await;
        let head = b"POST /api/v1/things HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{";
        let answer = running.send(head).await;
        assert!(
            answer.starts_with("HTTP/1.1 408") && answer.contains("/problems/request-timeout"),
            "{answer}"
        );
        let mut stream = running.connect().await;
        stream
            .write_all(b"POST /api/v1/things HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
            .await
            .unwrap();
        let (mut read, mut write) = stream.split();
        let drip = async {
            while write.write_all(b"1\r\na\r\n").await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let mut bytes = [0; 12];
        tokio::select! {
            () = drip => panic!("cut without an answer"),
            answer = timeout(Duration::from_secs(5), read.read_exact(&mut bytes)) => { answer.expect("an answer").unwrap(); }
        }
        assert_eq!(&bytes, b"HTTP/1.1 408");
    }

    #[tokio::test]
    async fn what_is_too_large_or_unreadable_is_refused() {
        let running = start(app()).await;
        let post = |more: &str| {
            format!("POST /api/v1/things HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{more}")
        };
        let told = running.send(post("content-length: 1025\r\n\r\n").as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 413") && told.contains("/problems/body-too-large"), "{told}");
        let chunks = format!(
            "transfer-encoding: chunked\r\n\r\n{}",
            format!("100\r\n{}\r\n", "x".repeat(256)).repeat(5)
        );
        let told = running.send(post(&chunks).as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 413"), "{told}");
        let waiting =
            running.send(post("content-length: 1025\r\nexpect: 100-continue\r\n\r\n").as_bytes()).await;
        assert!(waiting.starts_with("HTTP/1.1 413"), "{waiting}");

        let many = |count: usize| {
            format!("GET /api/v1/me HTTP/1.1\r\n{}connection: close\r\n\r\n", "x-a: b\r\n".repeat(count))
        };
        let told = running.send(many(80).as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 431") && told.contains("/problems/headers-too-large"), "{told}");
        assert!(running.send(many(200).as_bytes()).await.starts_with("HTTP/1.1 431"));
        let long = format!("GET /api/v1/me HTTP/1.1\r\nx-a: {}\r\n\r\n", "x".repeat(HEAD_BYTES));
        let told = running.send(long.as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 431") && !told.contains("/problems/"), "not even read: {told}");
        for line in [
            "nonsense\r\n\r\n",
            "GET  HTTP/1.1\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "GET / HTTP/1.1\r\nbad header\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        ] {
            let told = running.send(line.as_bytes()).await;
            assert!(told.starts_with("HTTP/1.1 400"), "{line} {told}");
        }
    }

    #[tokio::test]
    async fn a_panic_ends_neither_the_connection_nor_the_server() {
        let running = start(app()).await;
        let mut stream = running.connect().await;
        stream.write_all(b"GET /api/v1/panics HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(some(&mut stream).await.starts_with("HTTP/1.1 500"));
        stream.write_all(LAST).await.unwrap();
        assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn past_the_bound_connections_wait() {
        let app = app_with(crate::config::Server {
            max_connections: 1,
            header_timeout: crate::config::Period(Duration::from_secs(5)),
            ..server()
        });
        let running = start(Arc::clone(&app)).await;
        let mut first = running.connect().await;
        first.write_all(ASK).await.unwrap();
        some(&mut first).await;
        let mut second = running.connect().await;
        second.write_all(LAST).await.unwrap();
        let early = timeout(Duration::from_millis(200), second.readable()).await;
        assert!(early.is_err(), "the second waits");
        assert_eq!(app.metrics.connections.get(), 1);
        drop(first);
        assert!(rest(&mut second).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn stopping_finishes_what_is_being_answered_and_takes_nothing_new() {
        let mut running = start(app()).await;
        let mut idle = running.connect().await;
        idle.write_all(ASK).await.unwrap();
        some(&mut idle).await;
        let mut busy = running.connect().await;
        busy.write_all(b"GET /api/v1/slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        sleep(Duration::from_millis(80)).await;
        running.stop.take().unwrap().send(()).unwrap();
        assert_eq!(rest(&mut idle).await, "", "an idle connection is closed at once");
        assert!(TcpStream::connect(running.address).await.is_err());
        let answer = rest(&mut busy).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        timeout(Duration::from_millis(500), running.served).await.expect("stopped").unwrap();
    }

    #[tokio::test]
    async fn what_does_not_finish_is_cut_when_stopping() {
        let patient = crate::config::Period(Duration::from_secs(60));
        let mut running =
            start(app_with(crate::config::Server { request_timeout: patient, ..server() })).await;
        let mut stuck = running.connect().await;
        stuck.write_all(b"GET /api/v1/stuck HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        sleep(Duration::from_millis(80)).await;
        let started = Instant::now();
        running.stop.take().unwrap().send(()).unwrap();
        timeout(Duration::from_secs(3), running.served).await.expect("stopped").unwrap();
        assert!(started.elapsed() >= Duration::from_millis(600));
        assert_eq!(rest(&mut stuck).await, "");
    }

    #[tokio::test]
    async fn who_does_not_take_the_answer_is_cut() {
        let app = app();
        let running = start(Arc::clone(&app)).await;
        let mut stream = running.connect().await;
        // Far more than the buffers between the two ends hold.
        let request = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nhost: a\r\n\r\n".repeat(40);
        stream.write_all(&request).await.unwrap();
        let started = Instant::now();
        while app.metrics.connections.get() > 0 || started.elapsed() < Duration::from_millis(100) {
            assert!(started.elapsed() < Duration::from_secs(20), "still open");
            sleep(Duration::from_millis(50)).await;
        }
    }
}
