//! `vestibule health`: whether the server on this machine can serve, for probes that have no HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Outcome, Settings, say};

/// What to ask.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    settings: Settings,
    /// Address of the server instead of the configured one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

/// How long the server has: its own checks give up before.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const LONGEST: u64 = 16 * 1024;

/// Asks `/health/ready` and prints what it says. Fails unless the server can serve. What is wrong with the settings
/// meanwhile is the next start's affair: the server goes on with those that it has.
pub async fn run(options: &Options) -> Outcome {
    if let Some(listen) = &options.listen {
        let at = listen.parse();
        return asked(
            at.map_err(|_| format!("`{listen}` is not an address and port such as 127.0.0.1:8080."))?,
        )
        .await;
    }
    let (listen, faults) = options.settings.given().peek();
    let asked = match listen {
        Some(listen) => asked(listen).await,
        None => Err("The settings do not tell where the server listens; name it with --listen.".to_owned()),
    };
    asked.map_err(|sentence| [&[sentence], faults.as_slice()].concat().join("\n"))
}

async fn asked(listen: SocketAddr) -> Outcome {
    let at = reached(listen);
    let answer = timeout(PATIENCE, ask(at)).await;
    let answer = answer.map_err(|_| format!("{at} did not answer within {} s.", PATIENCE.as_secs()))?;
    let answer = answer.map_err(|error| format!("{at} cannot be asked: {error}."))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        return say(body);
    }
    Err(format!("{at} cannot serve: {}", if body.is_empty() { head } else { body }))
}

/// Whoever listens everywhere is reached here.
fn reached(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(at: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(at).await?;
    let request = format!("GET /health/ready HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_reached_here() {
        for (listen, at) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:81", "[::1]:81"), ("10.0.0.7:82", "10.0.0.7:82")]
        {
            assert_eq!(reached(listen.parse().unwrap()), at.parse().unwrap());
        }
    }
}
