//! `[smtp]`: the server that takes mails.

use std::net::SocketAddr;

use lettre::message::Mailbox;
use serde::Deserialize;

use super::{Layers, Period};
use crate::secret::Secret;

/// `[smtp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// The server; empty: mails are not configured.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// Further certificates to trust, PEM.
    pub authorities: String,
    /// Who signs in there; empty: nobody.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// Whom mails come from.
    pub from: String,
    /// Where answers go; empty: to `from`.
    pub reply_to: String,
    /// Connections that are kept open.
    pub connections: u32,
    /// Longest time for one mail.
    pub timeout: Period,
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// It begins in the clear and goes on only when TLS could be agreed (RFC 3207).
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Not at all; on this machine only.
    None,
}

impl Smtp {
    /// Whether a server is configured.
    pub fn is_configured(&self) -> bool {
        !self.host.is_empty()
    }

    /// Points at the sink that a server in development runs itself.
    pub fn sink_at(&mut self, address: SocketAddr) {
        (self.host, self.port) = (address.ip().to_string(), address.port());
        self.tls = SmtpTls::None;
        self.from = "Vestibule <accounts@vestibule.example>".to_owned();
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        layers.must(
            plain(&self.host) && !self.host.contains([':', '/', '@']),
            "smtp.host",
            "must be the name of a server such as smtp.example.com",
        );
        layers.must(self.port > 0, "smtp.port", "must be above 0");
        layers.must((1..=64).contains(&self.connections), "smtp.connections", "must be between 1 and 64");
        // Three providers after one another still end before a worker's lease of 60 s does.
        layers.must((1..=20).contains(&self.timeout.as_secs()), "smtp.timeout", "must be between 1s and 20s");
        for (path, text) in [("smtp.from", &self.from), ("smtp.reply_to", &self.reply_to)] {
            let is_mailbox = text.is_empty() || text.parse::<Mailbox>().is_ok();
            layers.must(
                is_mailbox && !text.chars().any(char::is_control),
                path,
                "must be an address such as \"Example <accounts@example.com>\"",
            );
        }
        if !self.authorities.is_empty() {
            layers.must(
                self.authorities.contains("-----BEGIN CERTIFICATE-----"),
                "smtp.authorities",
                "must hold certificates in PEM",
            );
        }
        if self.is_configured() {
            layers.must_with(
                !self.from.is_empty(),
                "smtp.from",
                "smtp.host",
                "must be set, since smtp.host is",
            );
            // What is not encrypted must not leave the machine: a name may point anywhere.
            let is_here = self.host.eq_ignore_ascii_case("localhost")
                || self
                    .host
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.to_canonical().is_loopback());
            layers.must_with(
                self.tls != SmtpTls::None || is_here,
                "smtp.tls",
                "smtp.host",
                "must be \"starttls\" or \"tls\", unless the server is on this machine (127.0.0.1)",
            );
        }
    }
}
