//! What works and is still not safe where strangers can reach it.

use reqwest::Url;

use super::server::{is_loopback, is_private};
use super::{Channel, Config};

/// What the policy needs sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Needs {
    /// Text messages.
    pub sms: bool,
    /// Calls, where no text message would do.
    pub call: bool,
    /// Mails that somebody waits for: with a code or a link.
    pub email: bool,
    /// Notices of what happened, which go by mail to whoever has shown an address to be theirs.
    pub notices: bool,
}

/// What a production server may do without although the policy asks for it, a sentence each.
pub fn unheard(config: &Config, needs: Needs) -> Vec<&'static str> {
    let mut found = Vec::new();
    if needs.notices && !needs.email && !config.delivery.serves(config, Channel::Email) {
        found.push(
            "smtp.host is not set: users who are reached by e-mail alone are told nothing of what happens in their \
             account.",
        );
    }
    let costs = needs.sms || needs.call;
    if costs && config.spending.day == 0 {
        found.push(
            "spending.day is 0: no text message and no call goes to anybody, and the policy needs them.",
        );
    } else if costs && config.spending.known_reserve >= 100 {
        found.push(
            "spending.known_reserve is 100: no text message and no call goes to anybody who is new, and the policy \
             needs them.",
        );
    }
    found
}

/// Everything for which a production server refuses to start: the setting, why, and what to set.
pub fn unsafe_settings(config: &Config, needs: Needs) -> Vec<String> {
    let mut found = Vec::new();
    origin(config, &mut found);
    if config.secrets.keys.is_empty() {
        found.push(
            "secrets.keys is empty, so nothing could be sealed: run `vestibule keys generate` and name the file \
             that holds the key in VESTIBULE_SECRETS_KEYS_FILE."
                .to_owned(),
        );
    }
    let least = config.hashing.recommended_kib();
    if config.hashing.memory_kib < least {
        found.push(format!(
            "hashing.memory_kib is {}, which makes stolen hashes cheap to guess: with {} passes set at least {least} (OWASP).",
            config.hashing.memory_kib, config.hashing.passes
        ));
    }
    if config.server.trusted_proxies.iter().any(super::Network::is_everybody) {
        found.push(
            "server.trusted_proxies holds every address, so anybody could claim any address: name only the networks \
             of your proxies."
                .to_owned(),
        );
    }
    if config.development.has_identities() {
        found.push(
            "development.identities holds codes that never change: take them out; they are for development mode."
                .to_owned(),
        );
    }
    providers(config, needs, &mut found);
    base_url(config, &mut found);
    webhook(config, &mut found);
    found
}

fn origin(config: &Config, found: &mut Vec<String>) {
    let server = &config.server;
    let is_sealed = Url::parse(&server.origin).is_ok_and(|url| url.scheme() == "https");
    if is_sealed && server.trusted_proxies.is_empty() {
        found.push(
            "server.trusted_proxies is empty although TLS ends in a proxy, so everybody would count as one client, \
             and one stranger could use up everybody's limits: name the addresses of your proxies."
                .to_owned(),
        );
    }
    if server.origin.is_empty() {
        found.push(
            "server.origin is not set, and links, cookies and signatures are built from it: set VESTIBULE_ORIGIN to \
             the address that people use, such as https://accounts.example.com."
                .to_owned(),
        );
    } else if is_plain(&server.origin) {
        // What never leaves the machine needs no TLS; a loopback origin on an open port does leave it.
        let stays_here = Url::parse(&server.origin).is_ok_and(|url| is_loopback(&url));
        if !(stays_here && server.listen.ip().to_canonical().is_loopback()) {
            found.push(format!(
                "server.origin is {}, so passwords and cookies would cross the network in the clear: put TLS in front \
                 and set the origin to https://….",
                server.origin
            ));
        }
    }
    for origin in server.allowed_origins.iter().filter(|origin| is_plain(origin)) {
        if !Url::parse(origin).is_ok_and(|url| is_loopback(&url)) {
            found.push(format!(
                "server.allowed_origins holds {origin}, whose pages anybody on the way can change: use its https:// origin."
            ));
        }
    }
}

fn providers(config: &Config, needs: Needs, found: &mut Vec<String>) {
    let serves = |channel| config.delivery.serves(config, channel);
    if needs.sms && !serves(Channel::Sms) {
        found.push(
            "twilio.account_sid is not set, and the policy needs text messages: set VESTIBULE_TWILIO_ACCOUNT_SID, \
             VESTIBULE_TWILIO_AUTH_TOKEN and VESTIBULE_TWILIO_FROM, or another provider in delivery.routes."
                .to_owned(),
        );
    }
    if needs.call && !serves(Channel::Call) {
        found.push(
            "calls.from is empty, and the policy needs calls: set VESTIBULE_CALLS_FROM to a number that the \
             provider knows, or another provider in delivery.routes."
                .to_owned(),
        );
    }
    if needs.email && !serves(Channel::Email) {
        found.push(
            "smtp.host is not set, and the policy needs mails: set VESTIBULE_SMTP_HOST, VESTIBULE_SMTP_USERNAME, \
             VESTIBULE_SMTP_PASSWORD_FILE and VESTIBULE_SMTP_FROM, or have none in the policy: not in \
             sign_up.required, sign_in.second.factors and recovery.channels, and user.email.change never."
                .to_owned(),
        );
    }
    for channel in config.delivery.fallback.iter().filter(|channel| !serves(**channel)) {
        found.push(format!(
            "delivery.fallback names {channel}, which nobody carries: configure a provider for it, or leave it out."
        ));
    }
}

fn webhook(config: &Config, found: &mut Vec<String>) {
    for (name, text, what) in
        [("webhook.url", &config.webhook.url, "codes"), ("events.url", &config.events.url, "what people do")]
    {
        let Ok(url) = Url::parse(text) else { continue };
        if is_private(&url) && !is_named(config, &url) {
            found.push(format!(
                "{name} is {text}, a private address that outgoing requests never reach: name its host:port in \
                 server.outbound_allow when it is meant."
            ));
        } else if url.scheme() != "https" && !is_loopback(&url) {
            found.push(format!(
                "{name} is {text}, so {what} would cross the network in the clear: use https://."
            ));
        }
    }
}

/// Whether outgoing requests may go there although the address is private.
fn is_named(config: &Config, url: &Url) -> bool {
    let port = url.port_or_known_default().unwrap_or_default();
    let place = format!("{}:{port}", url.host_str().unwrap_or_default());
    config.server.outbound_allow.contains(&place)
}

fn base_url(config: &Config, found: &mut Vec<String>) {
    let twilio = &config.twilio;
    let Ok(url) = Url::parse(&twilio.base_url) else { return };
    if is_private(&url) && !is_named(config, &url) {
        found.push(format!(
            "twilio.base_url is {}, a private address that outgoing requests never reach: leave it out, or name its \
             host:port in server.outbound_allow when it is meant.",
            twilio.base_url
        ));
    } else if url.scheme() != "https" && !is_loopback(&url) {
        found.push(format!(
            "twilio.base_url is {}, so codes would cross the network in the clear: use https://.",
            twilio.base_url
        ));
    }
}

fn is_plain(origin: &str) -> bool {
    Url::parse(origin).is_ok_and(|url| url.scheme() == "http")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const SMS: Needs = Needs { sms: true, ..NONE };
    const NONE: Needs = Needs { sms: false, call: false, email: false, notices: false };

    fn safe() -> Config {
        let mut config = Config::from_toml("server.origin = \"https://accounts.example.com\"").unwrap();
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.secrets.keys = vec![Secret::new("a:b")];
        config.twilio.account_sid = "AC1".into();
        config
    }

    fn told(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = safe();
        change(&mut config);
        unsafe_settings(&config, SMS)
    }

    #[test]
    fn a_sound_production_server_starts() {
        assert_eq!(unsafe_settings(&safe(), SMS), Vec::<String>::new());
        assert!(told(|config| config.server.listen = "0.0.0.0:80".parse().unwrap()).is_empty());
    }

    #[test]
    fn the_defaults_alone_are_not_for_production() {
        let found = unsafe_settings(&Config::from_toml("").unwrap(), SMS);
        let keys: Vec<_> = found.iter().map(|sentence| sentence.split(' ').next().unwrap()).collect();
        assert_eq!(keys, ["server.origin", "secrets.keys", "twilio.account_sid"]);
    }

    #[test]
    fn each_danger_is_told() {
        type Spoil = fn(&mut Config);
        let dangers: [(&str, Spoil); 16] = [
            ("events.url", |config| config.events.url = "http://app.example.com".into()),
            ("twilio.account_sid", |config| config.delivery.routes.clear()),
            ("delivery.fallback", |config| config.delivery.fallback = vec![Channel::Email]),
            ("webhook.url", |config| config.webhook.url = "http://sms.example.com".into()),
            ("webhook.url", |config| config.webhook.url = "https://10.0.0.1".into()),
            ("server.origin", |config| config.server.origin.clear()),
            ("server.origin", |config| config.server.origin = "http://accounts.example.com".into()),
            ("server.origin", |config| {
                config.server.origin = "http://localhost:8080".into();
                config.server.listen = "0.0.0.0:8080".parse().unwrap();
            }),
            ("secrets.keys", |config| config.secrets.keys.clear()),
            ("hashing.memory_kib", |config| config.hashing.memory_kib = 19_455),
            ("server.trusted_proxies", |config| config.server.trusted_proxies.clear()),
            ("server.trusted_proxies", |config| {
                config.server.origin = "HTTPS://accounts.example.com".into();
                config.server.trusted_proxies.clear();
            }),
            ("server.trusted_proxies", |config| {
                config.server.trusted_proxies = vec!["::/0".parse().unwrap()]
            }),
            ("server.allowed_origins", |config| {
                config.server.allowed_origins = vec!["http://app.example.com".into()]
            }),
            ("twilio.account_sid", |config| config.twilio.account_sid.clear()),
            ("twilio.base_url", |config| config.twilio.base_url = "http://api.twilio.com".into()),
        ];
        for (key, change) in dangers {
            let found = told(change);
            assert!(found.len() == 1 && found[0].starts_with(key), "{key}: {found:?}");
        }
    }

    #[test]
    fn a_private_provider_must_be_meant() {
        for private in ["http://127.0.0.1:4010", "https://10.0.0.1", "https://twilio.internal"] {
            assert_eq!(told(|config| config.twilio.base_url = private.into()).len(), 1, "{private}");
        }
        assert!(
            told(|config| {
                config.twilio.base_url = "http://127.0.0.1:4010".into();
                config.server.outbound_allow = vec!["127.0.0.1:4010".into()];
            })
            .is_empty()
        );
        // Named or not: outside this machine only over TLS.
        assert_eq!(
            told(|config| {
                config.twilio.base_url = "http://10.0.0.1:4010".into();
                config.server.outbound_allow = vec!["10.0.0.1:4010".into()];
            })
            .len(),
            1
        );
    }

    #[test]
    fn plain_http_is_fine_while_it_stays_on_this_machine() {
        assert!(told(|config| config.server.origin = "http://localhost:8080".into()).is_empty());
        let config = Config { twilio: Config::from_toml("").unwrap().twilio, ..safe() };
        assert!(unsafe_settings(&config, NONE).is_empty(), "without messages no account is needed");
        for (needs, key) in [
            (Needs { email: true, ..SMS }, "smtp.host"),
            // The account alone has no number to call from.
            (Needs { call: true, ..SMS }, "calls.from"),
        ] {
            let found = unsafe_settings(&safe(), needs);
            assert!(found.len() == 1 && found[0].starts_with(key), "{found:?}");
        }
        let told = |needs| !unheard(&safe(), needs).is_empty();
        assert!(told(Needs { notices: true, ..SMS }) && !told(SMS));
        assert!(!told(Needs { notices: true, email: true, ..SMS }), "it does not start at all");
        for (setting, change) in [
            ("spending.day", (|config| config.spending.day = 0) as fn(&mut Config)),
            ("spending.known_reserve", |config| config.spending.known_reserve = 100),
        ] {
            let mut config = safe();
            change(&mut config);
            let found = unheard(&config, SMS);
            assert!(found.len() == 1 && found[0].starts_with(setting), "{found:?}");
            assert!(unheard(&config, NONE).is_empty());
        }
    }
}
