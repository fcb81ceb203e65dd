//! A mail server that keeps what it is given: enough SMTP (RFC 5321) for our own client, on this
//! machine only, bounded in connections, sizes and time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::phone::{Mail, Phone, Text};
use crate::app::App;

/// Connections at the same time; further ones wait.
const CONNECTIONS: usize = 16;

/// The longest mail, in bytes. Ours are a few kilobytes.
const LARGEST: usize = 256 * 1024;

/// The longest line (RFC 5321 §4.5.3.1.6), and how many people one mail goes to.
const LINE: u64 = 1_000;
const PEOPLE: usize = 10;

/// How deep parts are looked for in parts.
const DEPTH: u32 = 4;

/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes the port that mails will come to: on this machine, whichever is free.
///
/// # Errors
/// The operating system's.
pub async fn listen() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Lets mails arrive on `phone` until it is dropped.
pub(super) async fn receive(listener: TcpListener, app: Arc<App>, phone: Arc<Phone>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut talks = JoinSet::new();
    loop {
        while talks.try_join_next().is_some() {}
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (app, phone) = (app.clone(), phone.clone());
        talks.spawn(async move {
            let _place = place;
            // A client that goes away in the middle has nothing to be told.
            let _ = talk(socket, &app, &phone).await;
        });
    }
}

async fn talk(socket: TcpStream, app: &App, phone: &Phone) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let (mut from, mut people) = (false, Vec::new());
    socket.write_all(b"220 mail of development\r\n").await?;
    while let Some(line) = line(&mut socket).await? {
        let verb: String = line.chars().take(4).collect::<String>().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-development\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            "HELO" | "NOOP" => "250 fine\r\n",
            "MAIL" => {
                (from, people) = (true, Vec::new());
                "250 fine\r\n"
            }
            "RCPT" if from && people.len() < PEOPLE => {
                people.extend(
                    line.split_once('<').and_then(|(_, rest)| Some(rest.split_once('>')?.0.to_owned())),
                );
                "250 fine\r\n"
            }
            "DATA" if !people.is_empty() => {
                socket.write_all(b"354 go on\r\n").await?;
                let Some(mail) = data(&mut socket).await? else { return Ok(()) };
                for to in people.drain(..) {
                    phone.receive(read(app, to, &mail));
                }
                from = false;
                "250 kept\r\n"
            }
            "RSET" => {
                (from, people) = (false, Vec::new());
                "250 fine\r\n"
            }
            "QUIT" => {
                socket.write_all(b"221 goodbye\r\n").await?;
                return Ok(());
            }
            _ => "503 not now\r\n",
        };
        socket.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// A line without its end; none when the client has gone, is silent for too long or says too much.
async fn line(socket: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = timeout(PATIENCE, (&mut *socket).take(LINE).read_until(b'\n', &mut line)).await;
    if read.is_err() || !line.ends_with(b"\n") {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
}

/// A mail up to the dot that ends it, without the dots that hid others (RFC 5321 §4.5.2).
async fn data(socket: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut mail = String::new();
    while let Some(line) = line(socket).await? {
        if line == "." {
            return Ok(Some(mail));
        }
        if mail.len() + line.len() > LARGEST {
            return Ok(None);
        }
        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
        mail.push_str("\r\n");
    }
    Ok(None)
}

fn read(app: &App, to: String, mail: &str) -> Text {
    let now = app.clock.now();
    let (headers, body) = mail.split_once("\r\n\r\n").unwrap_or((mail, ""));
    let parts = parts(headers, body, DEPTH);
    let find =
        |kind: &str| parts.iter().find(|(found, _)| found.starts_with(kind)).map(|(_, text)| text.clone());
    let text = find("text/plain").unwrap_or_default();
    Text {
        id: app.random.seed().uuid("phone", now),
        kind: "email",
        to,
        code: code_in(&text),
        body: text,
        mail: Some(Mail {
            subject: words(&header(headers, "subject").unwrap_or_default()),
            html: find("text/html").unwrap_or_default(),
            source: mail.to_owned(),
        }),
        status: "delivered",
        at: now,
    }
}

/// The code of a mail stands on a line of its own.
fn code_in(text: &str) -> Option<String> {
    let is_code =
        |line: &&str| (4..=10).contains(&line.len()) && line.bytes().all(|byte| byte.is_ascii_digit());
    text.lines().map(str::trim).find(is_code).map(str::to_owned)
}

/// A header's value, its lines joined.
fn header(headers: &str, name: &str) -> Option<String> {
    let unfolded = headers.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// The kinds and texts of a mail's parts, those in parts of it too.
fn parts(headers: &str, body: &str, depth: u32) -> Vec<(String, String)> {
    let kind = header(headers, "content-type").unwrap_or_else(|| "text/plain".to_owned());
    let boundary = kind.split_once("boundary=").map(|(_, rest)| rest.trim_matches('"').to_owned());
    if let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty() && depth > 0) {
        let mark = format!("--{boundary}");
        let inside = body.split(&mark).skip(1).filter(|part| !part.starts_with("--"));
        let inside = inside.filter_map(|part| part.trim_start_matches("\r\n").split_once("\r\n\r\n"));
        return inside.flat_map(|(headers, body)| parts(headers, body, depth - 1)).collect();
    }
    let bytes = match header(headers, "content-transfer-encoding")
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "base64" => STANDARD.decode(body.split_whitespace().collect::<String>()).unwrap_or_default(),
        "quoted-printable" => unquote(&body.replace("=\r\n", "")),
        _ => body.as_bytes().to_vec(),
    };
    vec![(
        kind.to_ascii_lowercase(),
        String::from_utf8_lossy(&bytes).replace("\r\n", "\n").trim_end().to_owned(),
    )]
}

/// `=3D` is a byte (RFC 2045 §6.7).
fn unquote(text: &str) -> Vec<u8> {
    let mut pieces = text.split('=');
    let mut out = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        match piece.split_at_checked(2).map(|(hex, rest)| (u8::from_str_radix(hex, 16), rest)) {
            Some((Ok(byte), rest)) => {
                out.push(byte);
                out.extend_from_slice(rest.as_bytes());
            }
            _ => out.extend_from_slice(piece.as_bytes()),
        }
    }
    out
}

/// Encoded words (RFC 2047): `=?utf-8?b?…?=`, with nothing between two of them.
fn words(text: &str) -> String {
    let mut out = String::new();
    let mut was_encoded = false;
    for word in text.split(' ') {
        let inside = word.strip_prefix("=?").and_then(|rest| rest.strip_suffix("?="));
        let decoded = inside.and_then(|inside| {
            let mut fields = inside.splitn(3, '?');
            let (_, how, what) = (fields.next()?, fields.next()?, fields.next()?);
            let bytes = match how {
                "b" | "B" => STANDARD.decode(what).ok()?,
                _ => unquote(&what.replace('_', " ")),
            };
            Some(String::from_utf8_lossy(&bytes).into_owned())
        });
        if !(out.is_empty() || was_encoded && decoded.is_some()) {
            out.push(' ');
        }
        was_encoded = decoded.is_some();
        out.push_str(decoded.as_deref().unwrap_or(word));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_taken_apart() {
        let headers = "Subject: =?utf-8?b?TsO8?= =?utf-8?q?chtern=21?= now\r\nContent-Type: multipart/alternative;\r\n \
            boundary=\"x\"";
        let body = "--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            caf=C3=A9 =\r\nopen\r\n--x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n--x--\r\n";
        assert_eq!(words(&header(headers, "SUBJECT").unwrap()), "Nüchtern! now");
        let found = parts(headers, body, DEPTH);
        assert_eq!(found[0], ("text/plain; charset=utf-8".to_owned(), "café open".to_owned()));
        assert_eq!(found[1], ("text/html".to_owned(), "<b>".to_owned()));
    }

    #[test]
    fn the_code_stands_alone_on_its_line() {
        assert_eq!(code_in("In 2030:\n\n    123456\n\nbye").as_deref(), Some("123456"));
        assert_eq!(code_in("In 2030."), None);
    }
}
