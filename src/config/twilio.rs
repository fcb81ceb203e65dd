//! `[twilio]`: who carries messages.

use std::net::SocketAddr;

use reqwest::Url;
use serde::Deserialize;

use super::Layers;
use crate::random::Random;
use crate::secret::Secret;

/// `[twilio]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twilio {
    /// The account; empty: messages are not configured.
    pub account_sid: String,
    /// Its primary token.
    pub auth_token: Secret,
    /// The token before, accepted on callbacks while tokens are changed.
    pub previous_auth_token: Secret,
    /// Twilio's address, without a slash at the end.
    pub base_url: String,
    /// The number that messages come from.
    pub from: String,
    /// Instead of it, a messaging service.
    pub messaging_service_sid: String,
}

impl Twilio {
    /// Whether an account is configured.
    pub fn is_configured(&self) -> bool {
        !self.account_sid.is_empty()
    }

    /// Points at the look-alike that a server in development offers at `address`, with an account of chance.
    pub(super) fn look_alike(&mut self, address: SocketAddr, random: &Random) {
        let hex = || format!("{:032x}", u128::from_le_bytes(random.bytes()));
        self.account_sid = format!("AC{}", hex());
        self.auth_token = Secret::new(hex());
        self.base_url = format!("http://{address}/dev/twilio");
        // The number that Twilio itself keeps for tests.
        self.from = "+15005550006".to_owned();
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        let sid = |text: &str, kind| is_sid(text, kind) || text.is_empty();
        layers.must(
            sid(&self.account_sid, "AC"),
            "twilio.account_sid",
            "must be AC and the 32 characters after it",
        );
        layers.must(
            sid(&self.messaging_service_sid, "MG"),
            "twilio.messaging_service_sid",
            "must be MG and the 32 characters after it",
        );
        let url = Url::parse(&self.base_url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && !self.base_url.contains(['?', '#'])
                && !self.base_url.ends_with('/')
        });
        layers.must(
            url,
            "twilio.base_url",
            "must be a URL such as https://api.twilio.com, without a slash at the end",
        );
        let from = self.from.is_empty() || is_sender(&self.from);
        layers.must(
            from,
            "twilio.from",
            "must be a number such as +12015550123, a short code or a name of at most 11 letters",
        );
        if self.is_configured() {
            let token = !self.auth_token.expose().is_empty();
            layers.must_with(
                token,
                "twilio.auth_token",
                "twilio.account_sid",
                "must be set, since twilio.account_sid is",
            );
            let sender = !self.from.is_empty() || !self.messaging_service_sid.is_empty();
            layers.must_with(
                sender,
                "twilio.from",
                "twilio.account_sid",
                "or twilio.messaging_service_sid must be set, since twilio.account_sid is",
            );
        }
    }
}

/// It becomes a part of paths, so nothing but letters and digits.
fn is_sid(text: &str, kind: &str) -> bool {
    text.strip_prefix(kind)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// E.164 (at most 15 digits), a short code, or an alphanumeric sender.
fn is_sender(text: &str) -> bool {
    let digits = |text: &str, least, most| {
        (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let name = text.len() <= 11
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
    text.strip_prefix('+').is_some_and(|number| digits(number, 7, 15)) || digits(text, 3, 8) || name
}
