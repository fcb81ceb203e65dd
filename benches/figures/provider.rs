//! What askers notice of a provider of messages that is in trouble: nothing, since nobody sends in a request.
//!
//! Each sign-in records a code that goes to a real server on loopback. It takes the message, refuses it,
//! takes the connection and never answers, or takes the request and resets the connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::load::{Tally, open, request};
use crate::server::{PASSWORD, Process, Res, Scratch, Second, path, sign_in_body};
use crate::table::{Aim, Table, Unit};
use crate::{Extent, TURNS};

/// Users with a telephone: each is asked for again after a while, as people are.
const USERS: usize = 64;
/// Sign-ins a second: well below what the hashes allow, so that the provider alone makes the difference.
const RATE: f64 = 20.0;

/// What the provider does with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Healthy,
    /// Answers at once with this status.
    Refuses(u16),
    /// Never answers.
    Hangs,
    /// Reads the request and resets the connection.
    Resets,
}

const MOODS: [(&str, Mood); 4] = [
    ("answers 500", Mood::Refuses(500)),
    ("answers 429", Mood::Refuses(429)),
    ("hangs", Mood::Hangs),
    ("accepts, then resets", Mood::Resets),
];

struct Provider {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Provider {
    async fn start(mood: Mood) -> Res<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // A client that goes away is as good as served.
                    let _ = serve(BufReader::new(socket), mood).await;
                });
            }
        });
        Ok(Self { address, serving })
    }
}

async fn serve(mut socket: BufReader<TcpStream>, mood: Mood) -> std::io::Result<()> {
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await?;
        let (status, text) = match mood {
            Mood::Healthy => (201, r#"{"sid":"SM0","status":"queued"}"#),
            Mood::Refuses(status) => (status, "{}"),
            Mood::Hangs => return std::future::pending().await,
            Mood::Resets => return socket.get_ref().set_zero_linger(),
        };
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        socket.write_all(answer.as_bytes()).await?;
    }
}

/// A server with people who have a telephone, whose codes go to a provider of this mood.
struct House {
    server: Process,
    names: Arc<Vec<String>>,
    _provider: Provider,
    _home: Scratch,
}

impl House {
    async fn build(mood: Mood) -> Res<Self> {
        let (home, provider) = (Scratch::new()?, Provider::start(mood).await?);
        let url = format!("http://{}", provider.address);
        let allowed = provider.address.to_string();
        let settings = [
            ("VESTIBULE_TWILIO_BASE_URL", url.as_str()),
            ("VESTIBULE_SERVER_OUTBOUND_ALLOW", allowed.as_str()),
            ("VESTIBULE_SPENDING_DAY", "1000000"),
        ];
        let server = Process::vestibule(home.path(), Second::Always, &settings).await?;
        let mut names = Vec::with_capacity(USERS);
        for number in 0..USERS {
            let name = format!("load{number:05}");
            let body =
                json!({"username": name, "mobile": format!("+1202555{number:04}"), "password": PASSWORD});
            server.ask("POST", path::SIGN_UP, None, Some(&body)).await?.must_be(201)?;
            names.push(name);
        }
        Ok(Self { server, names: Arc::new(names), _provider: provider, _home: home })
    }

    async fn sign_ins(&self, duration: Duration) -> Tally {
        let names = self.names.clone();
        let fresh = move |number: u64| {
            let at = usize::try_from(number).unwrap_or(0) % names.len();
            let name = names.get(at).map_or("", String::as_str);
            request("POST", path::SIGN_IN, None, Some(&sign_in_body(name)))
        };
        open(self.server.address, 32, duration, RATE, fresh).await
    }
}

/// Measures.
pub async fn measure(extent: Extent, table: &mut Table) -> Res<()> {
    let healthy = House::build(Mood::Healthy).await?;
    for (name, mood) in MOODS {
        let troubled = House::build(mood).await?;
        let (mut normal, mut in_trouble) = (Tally::default(), Tally::default());
        // In turns, so that a machine that slows down for a while slows both.
        for _ in 0..TURNS {
            normal.merge(&healthy.sign_ins(extent.stretch).await);
            in_trouble.merge(&troubled.sign_ins(extent.stretch).await);
        }
        for (part, share) in [("p50", 0.50), ("p99", 0.99)] {
            let [now, usual] = [&in_trouble, &normal].map(|one| one.latency.percentile(share).as_secs_f64());
            let name = format!("sign-in {part}, provider {name} ÷ healthy");
            table.figure(&name, Unit::Time, now, usual, Aim::AtMost(1.5));
        }
        for (whose, tally) in [("healthy", &normal), (name, &in_trouble)] {
            if tally.with_status(200) != tally.asked() {
                table.note(format!("provider {whose}: not all were asked for a code: {:?}", tally.statuses));
            }
        }
    }
    Ok(())
}
