//! The one HTTP client: time-outs, no redirects, no private addresses.
//!
//! Always holds: nobody can make this server knock on doors inside its network – the address is
//! looked at when the name has been resolved, and it is that address which is connected to. What an
//! answer says of its length is not believed.

mod signature;

pub use signature::{SIGNATURE, sign, verify};

use std::collections::HashSet;
use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url, redirect};

/// What became of a request that may or may not have had an effect.
#[derive(Debug)]
pub enum Outcome {
    /// An answer came.
    Answered {
        /// Its status.
        status: u16,
        /// Its body, at most [`LARGEST`] bytes of it.
        body: Vec<u8>,
    },
    /// Nothing was sent: refused by us, no such name, nobody listening.
    NotSent(String),
    /// Something may have been sent and no whole answer came: the effect is unknown.
    Unknown(String),
}

/// Bytes of an answer that are read.
pub const LARGEST: usize = 64 * 1_024;

/// Longest time for a connection to be made, when everything may take longer.
const CONNECT: Duration = Duration::from_secs(5);

/// The client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// For public addresses alone.
    public: Client,
    /// For what is allowed, wherever it is. A connection of the one is never used by the other.
    anywhere: Client,
    allowed: Arc<RwLock<HashSet<String>>>,
}

impl Outbound {
    /// A client that may reach public addresses and, although they are private, the `host:port`s in
    /// `allowed`. It waits for as long as `patience` in all.
    ///
    /// # Errors
    /// A sentence, when TLS cannot be set up.
    pub fn new(allowed: Vec<String>, patience: Duration) -> Result<Self, String> {
        #[expect(clippy::disallowed_methods, reason = "the one place that makes an HTTP client")]
        let builder = || {
            Client::builder()
                .redirect(redirect::Policy::none())
                .no_proxy()
                .connect_timeout(patience.min(CONNECT))
                .timeout(patience)
                .user_agent(concat!("vestibule/", env!("CARGO_PKG_VERSION")))
        };
        let failed = |error| format!("the HTTP client cannot be set up: {error}");
        let public = builder().dns_resolver(PublicOnly).build().map_err(failed)?;
        let anywhere = builder().build().map_err(failed)?;
        Ok(Self { public, anywhere, allowed: Arc::new(RwLock::new(allowed.into_iter().collect())) })
    }

    /// From now on `address` may be reached too: in development, our own listener.
    pub fn allow(&self, address: SocketAddr) {
        self.allowed.write().unwrap_or_else(PoisonError::into_inner).insert(address.to_string());
    }

    /// POSTs a form, with HTTP Basic authentication when `basic` gives a user and a password.
    pub async fn post_form(
        &self,
        url: &str,
        form: &[(&str, &str)],
        headers: &[(&str, &str)],
        basic: Option<(&str, &str)>,
    ) -> Outcome {
        self.send(url, headers, basic, |client, url| client.post(url).form(form)).await
    }

    /// GETs, with HTTP Basic authentication when `basic` gives a user and a password.
    pub async fn get(&self, url: &str, basic: Option<(&str, &str)>) -> Outcome {
        self.send(url, &[], basic, |client, url| client.get(url)).await
    }

    /// POSTs a body of JSON.
    pub async fn post_json(&self, url: &str, body: String, headers: &[(&str, &str)]) -> Outcome {
        let json = ("content-type", "application/json");
        let headers: Vec<_> = std::iter::once(json).chain(headers.iter().copied()).collect();
        self.send(url, &headers, None, |client, url| client.post(url).body(body)).await
    }

    async fn send(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        basic: Option<(&str, &str)>,
        begin: impl FnOnce(&Client, Url) -> reqwest::RequestBuilder,
    ) -> Outcome {
        let url = match Url::parse(url) {
            Ok(url) => url,
            Err(error) => return Outcome::NotSent(format!("not an address: {error}")),
        };
        let client = match self.judge(&url) {
            Ok(client) => client,
            Err(reason) => return Outcome::NotSent(reason),
        };
        let mut request = begin(client, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some((user, password)) = basic {
            request = request.basic_auth(user, Some(password));
        }
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() || error.is_builder() => return Outcome::NotSent(told(&error)),
            Err(error) => return Outcome::Unknown(told(&error)),
        };
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => {
                    let room = LARGEST.saturating_sub(body.len());
                    body.extend(chunk.iter().take(room));
                    if body.len() >= LARGEST {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => return Outcome::Unknown(told(&error)),
            }
        }
        Outcome::Answered { status, body }
    }

    /// The client for `url`. A name that is not allowed is judged when it is resolved; an address in the URL
    /// never is resolved, so it is judged here.
    fn judge(&self, url: &Url) -> Result<&Client, String> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let allowed = self.allowed.read().unwrap_or_else(PoisonError::into_inner);
        if allowed.contains(&format!("{host}:{port}")) {
            return Ok(&self.anywhere);
        }
        drop(allowed);
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match literal {
            Ok(address) if !is_public(address) => Err(format!(
                "{address} is not a public address, and server.outbound_allow does not name {host}:{port}"
            )),
            _ => Ok(&self.public),
        }
    }
}

/// The error and what lies behind it, without the URL, which may hold a token.
fn told(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out".to_owned() } else { "failed".to_owned() };
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Resolves names by the operating system and keeps public addresses only. It is not told the port: what is
/// allowed on one has a client of its own.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let kept: Vec<SocketAddr> = found.filter(|one| is_public(one.ip())).collect();
            if kept.is_empty() {
                return Err(format!("{} has no public address", name.as_str()).into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// Whether packets to `address` leave the network that this server is in (IANA's special-purpose
/// registries, RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, _, _, _, _, g, h] = v6.segments();
    let embedded = Ipv4Addr::from((u32::from(g) << 16) | u32::from(h));
    match a {
        // 6to4 and NAT64 carry a v4 address that must be public itself.
        0x2002 => {
            let [_, b, c, ..] = v6.segments();
            is_public_v4(Ipv4Addr::from((u32::from(b) << 16) | u32::from(c)))
        }
        0x64 if b == 0xff9b => is_public_v4(embedded),
        // 2000::/3 is what is given out as global unicast; Teredo, benchmarking, ORCHID and
        // documentation in it are not.
        0x2001 => b > 0x1ff && b != 0xdb8,
        0x3fff => b > 0xfff,
        _ => (0x2000..0x4000).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "2001:db8::1",
            "2002:7f00:1::",
            "64:ff9b::a00:1",
            "2001::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["8.8.8.8", "203.0.114.1", "2606:4700::1111", "::ffff:8.8.8.8", "2a00:1450::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    fn client(allowed: Vec<String>) -> Outbound {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Outbound::new(allowed, Duration::from_millis(700)).unwrap()
    }

    /// A server that reads a request and then does as `answer` says; none: never answers.
    async fn server(answer: Option<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a server for the test")]
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 4_096];
                let _ = socket.read(&mut buffer).await;
                match answer {
                    Some(answer) => {
                        let _ = socket.write_all(answer.as_bytes()).await;
                    }
                    None => std::future::pending().await,
                }
            }
        });
        address
    }

    async fn post(client: &Outbound, url: &str) -> Outcome {
        client.post_form(url, &[("a", "b")], &[], Some(("user", "password"))).await
    }

    #[tokio::test]
    async fn private_addresses_are_refused_unless_allowed() {
        let address = server(Some("HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok")).await;
        let url = format!("http://{address}/");
        let closed = client(Vec::new());
        assert!(matches!(post(&closed, &url).await, Outcome::NotSent(_)));
        let name = format!("http://localhost:{}/", address.port());
        assert!(matches!(post(&closed, &name).await, Outcome::NotSent(_)));
        for odd in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::ffff:127.0.0.1]/",
            "nonsense",
            "ftp://example.com/",
        ] {
            assert!(matches!(post(&closed, odd).await, Outcome::NotSent(_)), "{odd}");
        }
        closed.allow(address);
        match post(&closed, &url).await {
            Outcome::Answered { status, body } => assert_eq!((status, body.as_slice()), (201, &b"ok"[..])),
            other => panic!("{other:?}"),
        }
        let other_port = server(Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
        assert!(matches!(post(&closed, &format!("http://{other_port}/")).await, Outcome::NotSent(_)));
        // By name, too.
        let named = client(vec![format!("localhost:{}", address.port())]);
        assert!(matches!(post(&named, &name).await, Outcome::Answered { status: 201, .. }));
        let other_port = format!("http://localhost:{}/", other_port.port());
        assert!(matches!(post(&named, &other_port).await, Outcome::NotSent(_)));
    }

    #[tokio::test]
    async fn what_may_have_had_an_effect_is_told_from_what_cannot() {
        let open = client(Vec::new());
        let hangs = server(None).await;
        let resets = server(Some("")).await;
        let redirects =
            server(Some("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"))
                .await;
        let cut = server(Some("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")).await;
        let gone = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        for address in [hangs, resets, redirects, cut, gone] {
            open.allow(address);
        }
        assert!(matches!(post(&open, &format!("http://{hangs}/")).await, Outcome::Unknown(_)));
        assert!(matches!(post(&open, &format!("http://{resets}/")).await, Outcome::Unknown(_)));
        assert!(matches!(post(&open, &format!("http://{cut}/")).await, Outcome::Unknown(_)));
        assert!(matches!(
            post(&open, &format!("http://{redirects}/")).await,
            Outcome::Answered { status: 302, .. }
        ));
        match post(&open, &format!("http://{gone}/secret-token")).await {
            Outcome::NotSent(reason) => assert!(!reason.contains("secret-token"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
