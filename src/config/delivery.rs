//! `[delivery]`: which provider carries what, and what follows when it cannot.

use serde::Deserialize;

use super::{Config, Layers, is_country};
use crate::store::text_enum;

text_enum! {
    /// By which way a message goes.
    pub enum Channel {
        /// A text message.
        Sms = "sms",
        /// A call in which a voice says it.
        Call = "call",
        /// A mail.
        Email = "email",
    }
}

text_enum! {
    /// Who carries messages.
    pub enum Carrier {
        /// Twilio: `[twilio]`.
        Twilio = "twilio",
        /// A mail server: `[smtp]`.
        Smtp = "smtp",
        /// A provider of one's own: `[webhook]`.
        Webhook = "webhook",
    }
}

impl Carrier {
    /// Whether it can carry such a message at all.
    pub fn carries(self, channel: Channel) -> bool {
        match self {
            Self::Twilio => channel != Channel::Email,
            Self::Smtp => channel == Channel::Email,
            Self::Webhook => true,
        }
    }

    /// Whether it is configured for such a message. A call shows a number: a messaging service, a short code or a
    /// name makes none.
    pub fn is_configured(self, channel: Channel, config: &Config) -> bool {
        let shows_number = || !config.calls.senders(&config.twilio).is_empty();
        match self {
            Self::Twilio => config.twilio.is_configured() && (channel != Channel::Call || shows_number()),
            Self::Smtp => config.smtp.is_configured(),
            Self::Webhook => config.webhook.is_configured(),
        }
    }
}

/// `[delivery]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Who carries what; the first that fits counts.
    pub routes: Vec<Route>,
    /// The ways that a code takes after a text message could not be delivered.
    pub fallback: Vec<Channel>,
}

/// `sms DE 44: twilio webhook`: for a channel, and for countries when some are named, the providers
/// in the order in which they are tried.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Route {
    /// The channel.
    pub channel: Channel,
    /// Countries, by ISO 3166-1 (`DE`) or calling code (`49`); none: all.
    pub countries: Vec<String>,
    /// Providers, the first one first. Never empty.
    pub carriers: Vec<Carrier>,
}

impl TryFrom<String> for Route {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a route such as `sms: twilio` or `sms DE 44: twilio webhook`");
        let (what, who) = text.split_once(':').ok_or_else(wrong)?;
        let mut words = what.split_whitespace();
        let channel = words.next().unwrap_or_default();
        let channel = Channel::of_word(channel).ok_or_else(wrong)?;
        let countries: Vec<String> = words.map(|word| word.trim_start_matches('+').to_owned()).collect();
        let is_known = |word: &String| {
            is_country(word)
                || (1..=7).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
        };
        let carriers: Option<Vec<Carrier>> = who.split_whitespace().map(Carrier::of_word).collect();
        let carriers = carriers.filter(|carriers| !carriers.is_empty()).ok_or_else(wrong)?;
        let by_country = channel != Channel::Email || countries.is_empty();
        let each_once =
            carriers.iter().enumerate().all(|(at, one)| carriers.iter().skip(at + 1).all(|two| one != two));
        if !by_country || !each_once || !countries.iter().all(is_known) {
            return Err(wrong());
        }
        match carriers.iter().find(|carrier| !carrier.carries(channel)) {
            Some(carrier) => Err(format!("`{text}`: {carrier} does not carry {channel}")),
            None => Ok(Self { channel, countries, carriers }),
        }
    }
}

impl Delivery {
    /// Who is configured and may carry a message by `channel` to a number of `country` (ISO 3166-1),
    /// in the order in which they are tried. `to` is E.164 or an e-mail address.
    pub fn carriers(
        &self,
        config: &Config,
        channel: Channel,
        to: &str,
        country: Option<&str>,
    ) -> Vec<Carrier> {
        let digits = to.strip_prefix('+').unwrap_or_default();
        let is_there = |named: &String| {
            country == Some(named.as_str())
                || named.starts_with(|first: char| first.is_ascii_digit())
                    && digits.starts_with(named.as_str())
        };
        let fits = |route: &&Route| {
            route.channel == channel && (route.countries.is_empty() || route.countries.iter().any(is_there))
        };
        let carriers = self.routes.iter().find(fits).map(|route| route.carriers.clone()).unwrap_or_default();
        carriers.into_iter().filter(|carrier| carrier.is_configured(channel, config)).collect()
    }

    /// Whether somebody who is configured carries `channel` where no country is named.
    pub fn serves(&self, config: &Config, channel: Channel) -> bool {
        let named = |route: &Route| {
            route.channel == channel
                && route.carriers.iter().any(|carrier| carrier.is_configured(channel, config))
        };
        self.routes.iter().any(named)
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        layers.must(
            !self.fallback.contains(&Channel::Sms),
            "delivery.fallback",
            "names sms, which is what it stands in for",
        );
        let twice =
            self.fallback.first().is_some_and(|one| self.fallback.iter().skip(1).any(|two| one == two));
        layers.must(!twice, "delivery.fallback", "names something twice");
        for (at, route) in self.routes.iter().enumerate() {
            let is_hidden =
                |earlier: &Route| earlier.channel == route.channel && earlier.countries.is_empty();
            layers.must(
                !self.routes.iter().take(at).any(is_hidden),
                "delivery.routes",
                format_args!(
                    "has a route for {} behind one for all countries, which is never reached",
                    route.channel
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_read_or_refused_with_a_sentence() {
        let route = Route::try_from("sms DE +44: twilio  webhook".to_owned()).unwrap();
        assert_eq!(route.countries, ["DE", "44"]);
        assert_eq!(route.carriers, [Carrier::Twilio, Carrier::Webhook]);
        for wrong in [
            "",
            "sms",
            "sms:",
            "fax: twilio",
            "sms de: twilio",
            "sms: nobody",
            "sms: twilio twilio",
            "email DE: smtp",
            "sms 12345678: twilio",
        ] {
            assert!(Route::try_from(wrong.to_owned()).unwrap_err().contains("is not a route"), "{wrong}");
        }
        assert!(Route::try_from("sms: smtp".to_owned()).unwrap_err().contains("smtp does not carry sms"));
    }

    #[test]
    fn the_first_route_that_fits_counts() {
        let text = "[delivery]\nroutes = [\"sms DE: webhook twilio\", \"sms 1202 44: webhook\", \"sms: twilio\"]\n\
            [webhook]\nurl = \"https://sms.example\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
            [twilio]\naccount_sid = \"AC1\"\nauth_token = \"t\"\nfrom = \"+12015550123\"";
        let mut config = Config::from_toml(text).unwrap();
        let asked = |config: &Config, to: &str, country: &str| {
            config.delivery.carriers(config, Channel::Sms, to, Some(country))
        };
        assert_eq!(asked(&config, "+4915112345678", "DE"), [Carrier::Webhook, Carrier::Twilio]);
        assert_eq!(asked(&config, "+12025550123", "US"), [Carrier::Webhook]);
        assert_eq!(asked(&config, "+12015550123", "US"), [Carrier::Twilio]);
        config.webhook.url.clear();
        assert_eq!(
            asked(&config, "+4915112345678", "DE"),
            [Carrier::Twilio],
            "who is not configured is left out"
        );
        assert_eq!(config.delivery.carriers(&config, Channel::Email, "a@example.com", None), []);
        assert!(
            config.delivery.serves(&config, Channel::Sms) && !config.delivery.serves(&config, Channel::Email)
        );
    }

    #[test]
    fn twilio_carries_calls_only_with_a_number_to_show() {
        let read = |sender: &str| {
            let text = format!("[twilio]\naccount_sid = \"AC1\"\nauth_token = \"t\"\n{sender}");
            Config::from_toml(&text).unwrap()
        };
        for (sender, calls) in [
            ("from = \"+12015550123\"", true),
            ("from = \"12345\"", false),
            ("from = \"Example\"", false),
            ("messaging_service_sid = \"MG1\"", false),
            ("messaging_service_sid = \"MG1\"\n[calls]\nfrom = [\"+12015550123\"]", true),
        ] {
            let config = read(sender);
            let serves = |channel| config.delivery.serves(&config, channel);
            assert_eq!((serves(Channel::Sms), serves(Channel::Call)), (true, calls), "{sender}");
            let carriers = config.delivery.carriers(&config, Channel::Call, "+12025550123", Some("US"));
            assert_eq!(carriers.is_empty(), !calls, "{sender}");
        }
    }

    #[test]
    fn a_route_that_is_never_reached_is_told() {
        let faults =
            Config::from_toml("delivery.routes = [\"sms: twilio\", \"sms DE: webhook\"]").unwrap_err();
        assert!(faults.to_string().contains("never reached"), "{faults}");
        let faults = Config::from_toml("delivery.fallback = [\"sms\"]").unwrap_err();
        assert!(faults.to_string().contains("delivery.fallback"), "{faults}");
    }
}
