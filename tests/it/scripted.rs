//! A provider that does as it is told: answers by a script, and remembers what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// What it does with a request that it has read to the end.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers.
    Answer(u16, String),
    /// Takes it and ends the connection without a word.
    Silence,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: String,
    pub body: String,
}

/// The provider. When its script is at its end, the last reply goes on.
pub struct Scripted {
    pub address: SocketAddr,
    script: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<Request>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Scripted {
    pub async fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let serving = tokio::spawn({
            let (script, requests) = (script.clone(), requests.clone());
            async move {
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    let (script, requests) = (script.clone(), requests.clone());
                    tokio::spawn(async move {
                        let mut socket = BufReader::new(socket);
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
                        requests.lock().unwrap().push(Request { head, body });
                        let reply = {
                            let mut script = script.lock().unwrap();
                            if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
                        };
                        if let Some(Reply::Answer(status, text)) = reply {
                            let answer = format!(
                                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                                text.len()
                            );
                            let _ = socket.write_all(answer.as_bytes()).await;
                        }
                    });
                }
            }
        });
        Self { address, script, requests, serving }
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

pub fn taken() -> Reply {
    Reply::Answer(200, r#"{"reference":"r1"}"#.to_owned())
}

pub fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(status, body.to_owned())
}
