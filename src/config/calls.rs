//! `[calls]`: what calls may show and say, and how long they ring and last.

use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Deserializer};

use super::endpoint::is_bare;
use super::server::is_private;
use super::{Layers, Period, Twilio};

/// `[calls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSettings {
    /// Numbers that calls may show besides `twilio.from`, E.164.
    pub from: Vec<String>,
    /// Where TwiML may be fetched: origin and beginning of the path.
    #[serde(deserialize_with = "urls")]
    pub twiml_urls: Vec<Url>,
    /// How long a call may ring.
    pub ring: Period,
    /// How long a call may last.
    pub longest: Period,
}

fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Url>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = |text: &String| {
        Url::parse(text).map_err(|_| serde::de::Error::custom(format_args!("`{text}` is not an address")))
    };
    texts.iter().map(read).collect()
}

impl CallSettings {
    /// The numbers that calls may show, the usual one first.
    pub fn senders<'a>(&'a self, twilio: &'a Twilio) -> Vec<&'a str> {
        let usual = Some(twilio.from.as_str()).filter(|from| is_e164(from));
        usual.into_iter().chain(self.from.iter().map(String::as_str)).collect()
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        layers.must(
            self.from.iter().all(|number| is_e164(number)),
            "calls.from",
            "must hold numbers such as +12015550123",
        );
        let plain =
            |url: &Url| url.scheme() == "https" && url.query().is_none() && is_bare(url) && !is_private(url);
        layers.must(
            self.twiml_urls.iter().all(plain),
            "calls.twiml_urls",
            "must hold public https addresses such as https://voice.example.com/twiml/",
        );
        let seconds = Duration::from_secs;
        layers.must(
            (seconds(5)..=seconds(600)).contains(&*self.ring),
            "calls.ring",
            "must be between 5s and 10m",
        );
        layers.must(
            (seconds(10)..=seconds(7_200)).contains(&*self.longest),
            "calls.longest",
            "must be between 10s and 2h",
        );
    }
}

/// `+` and 7 to 15 digits (ITU-T E.164).
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn only_public_https_may_say_something() {
        for (text, told) in [
            ("calls.twiml_urls = [\"http://voice.example.com/\"]", "calls.twiml_urls must hold public https"),
            ("calls.twiml_urls = [\"https://10.0.0.1/\"]", "calls.twiml_urls must hold public https"),
            ("calls.twiml_urls = [\"https://localhost/\"]", "calls.twiml_urls must hold public https"),
            ("calls.twiml_urls = [\"https://a.example/?x\"]", "calls.twiml_urls must hold public https"),
            ("calls.twiml_urls = [\"voice\"]", "calls.twiml_urls: `voice` is not an address"),
            ("calls.from = [\"12015550123\"]", "calls.from must hold numbers"),
            ("calls.ring = \"4s\"", "calls.ring must be"),
            ("calls.longest = \"3h\"", "calls.longest must be"),
        ] {
            let faults = Config::from_toml(text).unwrap_err().to_string();
            assert!(faults.contains(told), "{text}: {faults}");
        }
        assert!(Config::from_toml("calls.twiml_urls = [\"https://voice.example.com/twiml/\"]").is_ok());
    }
}
