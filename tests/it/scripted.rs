//! A provider that does as it is told: answers by a script, and remembers what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What it does with a request that it has read to the end.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// Answers.
    Answer(u16, String),
    /// Answers with this status once it is told to.
    WhenTold(Told, u16),
    /// Takes it and ends the connection without a word.
    Silence,
    /// Takes it and says nothing for as long as it is waited for.
    Hang,
    /// Takes it and breaks the connection off (RST).
    Reset,
}

/// Tells it to.
#[derive(Clone, Debug, Default)]
pub struct Told(pub Arc<Notify>);

impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: String,
    pub body: String,
    /// What was done with it.
    pub reply: Option<Reply>,
}

/// The provider. When its script is at its end, the last reply goes on.
pub struct Scripted {
    pub address: SocketAddr,
    script: Script,
    requests: Arc<Mutex<Vec<Request>>>,
    serving: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Scripted {
    pub async fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let serving = serve(listener, script.clone(), requests.clone());
        Self { address, script, requests, serving }
    }

    /// Is gone: who knocks is refused.
    pub async fn goes(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }

    /// Is back at its address.
    pub async fn is_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = serve(listener, self.script.clone(), self.requests.clone());
    }

    pub fn now_does(&self, reply: Reply) {
        *self.script.lock().unwrap() = VecDeque::from([reply]);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

type Script = Arc<Mutex<VecDeque<Reply>>>;

fn serve(listener: TcpListener, script: Script, requests: Arc<Mutex<Vec<Request>>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (script, requests) = (script.clone(), requests.clone());
            tokio::spawn(async move { answer_one(BufReader::new(socket), &script, &requests).await });
        }
    })
}

async fn answer_one(mut socket: BufReader<TcpStream>, script: &Script, requests: &Mutex<Vec<Request>>) {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.unwrap();
    let body = String::from_utf8(body).unwrap();
    let reply = {
        let mut script = script.lock().unwrap();
        if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
    };
    requests.lock().unwrap().push(Request { head, body, reply: reply.clone() });
    let reply = match reply {
        Some(Reply::WhenTold(told, status)) => {
            told.0.notified().await;
            Some(answer(status, ""))
        }
        other => other,
    };
    match reply {
        Some(Reply::Answer(status, text)) => {
            let answer = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                text.len()
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
        // Until whoever asks has hung up.
        Some(Reply::Hang) => drop(socket.read_u8().await),
        Some(Reply::Reset) => socket.get_ref().set_zero_linger().unwrap(),
        Some(Reply::Silence | Reply::WhenTold(..)) | None => {}
    }
}

pub fn taken() -> Reply {
    Reply::Answer(200, r#"{"reference":"r1"}"#.to_owned())
}

pub fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(status, body.to_owned())
}
