//! `[server]`: where it listens and is reached, and what a connection may cost.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use serde::{Deserialize, Deserializer};

use super::{Layers, Network, Period};

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address to listen on.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// The public origin, `https://accounts.example.com`: links, cookies and signatures are built from it and nothing else.
    pub origin: String,
    /// Where the figures are shown.
    pub metrics: Figures,
    /// Networks whose forwarded headers count.
    pub trusted_proxies: Vec<Network>,
    /// Other origins that may call with a browser (CORS).
    pub allowed_origins: Vec<String>,
    /// Largest body of a request, in bytes.
    pub body_limit: usize,
    /// Connections open at the same time.
    pub max_connections: usize,
    /// Those who follow the feed of revocations at the same time.
    pub max_followers: usize,
    /// Longest time for headers to arrive.
    pub header_timeout: Period,
    /// Longest time for a request, body and answer.
    pub request_timeout: Period,
    /// Longest time for requests in progress, and for messages on their way, when stopping.
    pub drain_timeout: Period,
    /// Longest time for an outgoing request, from the connection to the end of its answer.
    pub outbound_timeout: Period,
    /// Hosts (`host:port`) that outgoing requests may reach although they are private.
    pub outbound_allow: Vec<String>,
}

/// Where the figures are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figures {
    /// To everybody in development mode, to nobody in production.
    Auto,
    /// To nobody.
    Off,
    /// To everybody, at `/metrics` beside everything else.
    Public,
    /// At `/metrics` on an address of their own.
    At(SocketAddr),
}

impl<'de> Deserialize<'de> for Figures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong =
            || format!("`{text}` is none of auto, off, public, and no address such as 127.0.0.1:9090");
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            "public" => Ok(Self::Public),
            address => address.parse().map(Self::At).map_err(|_| serde::de::Error::custom(wrong())),
        }
    }
}

impl Server {
    pub(super) fn check(&self, layers: &mut Layers) {
        let origin = self.origin.is_empty() || is_origin(&self.origin);
        layers.must(
            origin,
            "server.origin",
            "must be an origin such as https://accounts.example.com, without a path",
        );
        let allowed = self.allowed_origins.iter().all(|origin| is_origin(origin));
        layers.must(
            allowed,
            "server.allowed_origins",
            "must hold origins such as https://app.example.com, without a path",
        );
        let hosts = self.outbound_allow.iter().all(|host| is_host_and_port(host));
        layers.must(hosts, "server.outbound_allow", "must hold host:port, such as 127.0.0.1:4010");
        layers.must(
            (1024..=16 << 20).contains(&self.body_limit),
            "server.body_limit",
            "must be between 1024 and 16777216 bytes",
        );
        layers.must(self.max_connections > 0, "server.max_connections", "must be above 0");
        for (path, period) in
            [("server.header_timeout", self.header_timeout), ("server.request_timeout", self.request_timeout)]
        {
            layers.must(!period.is_zero(), path, "must be longer than 0s, or every request would fail");
        }
        // A worker has what it sends for four times the longest, and asks one provider after the other.
        layers.must(
            (1..=15).contains(&self.outbound_timeout.as_secs()),
            "server.outbound_timeout",
            "must be between 1s and 15s",
        );
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || format!("`{text}` is not an address and port such as 127.0.0.1:8080");
    text.parse().map_err(|_| serde::de::Error::custom(wrong()))
}

/// Whether `text` is `http(s)://host[:port]` and nothing more.
fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let bare = text.trim_end_matches('/').matches('/').count() == 2 && !text.contains(['?', '#', '@']);
        bare && url.has_host() && matches!(url.scheme(), "http" | "https")
    })
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let host_is_whole =
            !host.is_empty() && (!host.contains(':') || host.starts_with('[') && host.ends_with(']'));
        host_is_whole && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// The host of a URL as an address, when it is one.
fn address_of(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// Whether the URL's host is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default().trim_end_matches('.');
    name == "localhost"
        || name.ends_with(".localhost")
        || address_of(url).is_some_and(|address| address.is_loopback())
}

/// Whether the URL's host is plainly not on the public internet.
pub(super) fn is_private(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default().trim_end_matches('.');
    is_loopback(url)
        || [".internal", ".local", ".lan", ".home.arpa"].iter().any(|end| name.ends_with(end))
        || match address_of(url) {
            Some(IpAddr::V4(v4)) => {
                let shared = matches!(v4.octets(), [100, 64..=127, ..]);
                v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared
            }
            Some(IpAddr::V6(v6)) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
            None => !name.contains('.'),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_only() {
        for right in [
            "https://accounts.example.com",
            "https://accounts.example.com/",
            "http://[::1]:8080",
            "http://localhost:1",
        ] {
            assert!(is_origin(right), "{right}");
        }
        for wrong in [
            "",
            "*",
            "example.com",
            "ftp://example.com",
            "https://a.b/c",
            "https://a.b?",
            "https://u@a.b",
            "https://",
            "null",
        ] {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }

    #[test]
    fn private_hosts_are_known_by_name_and_by_address() {
        let url = |text: &str| Url::parse(text).unwrap();
        for loopback in [
            "http://localhost",
            "http://app.localhost:1",
            "http://127.9.9.9",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
            "http://2130706433",
        ] {
            assert!(is_loopback(&url(loopback)), "{loopback}");
        }
        for private in [
            "http://10.1.1.1",
            "http://169.254.169.254",
            "http://100.64.0.1",
            "http://[fd00::1]",
            "http://[fe80::1]",
            "http://twilio",
            "http://x.internal",
            "http://0.0.0.0",
        ] {
            assert!(is_private(&url(private)) && !is_loopback(&url(private)), "{private}");
        }
        for public in [
            "https://api.twilio.com",
            "https://203.0.113.1",
            "https://[2001:db8::1]",
            "https://localhost.example.com",
        ] {
            assert!(!is_private(&url(public)), "{public}");
        }
    }

    #[test]
    fn outbound_hosts_name_their_port() {
        assert!(
            is_host_and_port("127.0.0.1:80") && is_host_and_port("[::1]:80") && is_host_and_port("mock:4010")
        );
        for wrong in ["mock", "::1:80", ":80", "mock:", "mock:0", "http://mock:80", "mock:65536"] {
            assert!(!is_host_and_port(wrong), "{wrong}");
        }
    }
}
