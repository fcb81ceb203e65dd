//! Settings: documented defaults < file < environment < flags.
//!
//! `defaults.toml` is the whole list and its documentation. What is read here has been checked: a
//! value that cannot work never reaches the rest of the house. What would work and is not safe in
//! production is told by [`unsafe_settings`]. This room knows nothing of policies or records, and
//! never shows the value of a secret.

mod audit;
mod calls;
mod change_over;
mod delivery;
mod development;
mod dotenv;
mod endpoint;
mod events;
mod hashing;
mod layers;
mod log;
mod network;
mod pages;
mod password;
mod period;
mod safety;
mod secrets;
mod server;
mod shared;
mod smtp;
mod spending;
mod store;
mod tokens;
mod twilio;
mod variables;
mod webhook;

pub use audit::Audit;
pub use calls::CallSettings;
pub use change_over::{ChangeOver, LONGEST as LONGEST_CHANGE_OVER};
pub use delivery::{Carrier, Channel, Delivery, Route};
pub use development::Development;
pub use dotenv::parse as parse_dotenv;
pub use events::Events;
pub use hashing::HashingSettings;
pub use layers::{Faults, Layers, Source};
pub use log::{Log, LogFormat};
pub use network::Network;
pub use pages::Pages;
pub use password::PasswordSettings;
pub use period::Period;
pub use safety::{Needs, unheard, unsafe_settings};
pub use secrets::Secrets;
pub use server::{Figures, Server};
pub use shared::SharedSettings;
pub use smtp::{Smtp, SmtpTls};
pub use spending::{Spending, is_country};
pub use store::StoreSettings;
pub use tokens::Tokens;
pub use twilio::Twilio;
pub use variables::{Assignment, Variable, assignments};
pub use webhook::Webhook;

use std::net::SocketAddr;

use serde::Deserialize;

use crate::random::Random;

/// All settings, one struct a section, as `defaults.toml` documents them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[store]`
    pub store: StoreSettings,
    /// `[shared]`
    pub shared: SharedSettings,
    /// `[secrets]`
    pub secrets: Secrets,
    /// `[password]`
    pub password: PasswordSettings,
    /// `[hashing]`
    pub hashing: HashingSettings,
    /// `[tokens]`
    pub tokens: Tokens,
    /// `[twilio]`
    pub twilio: Twilio,
    /// `[smtp]`
    pub smtp: Smtp,
    /// `[webhook]`
    pub webhook: Webhook,
    /// `[delivery]`
    pub delivery: Delivery,
    /// `[events]`
    pub events: Events,
    /// `[spending]`
    pub spending: Spending,
    /// `[calls]`
    pub calls: CallSettings,
    /// `[development]`
    pub development: Development,
    /// `[log]`
    pub log: Log,
    /// `[audit]`
    pub audit: Audit,
    /// `[pages]`
    pub pages: Pages,
    /// `[change_over]`
    pub change_over: ChangeOver,
    /// Path of a policy file over the built-in policy; empty: none.
    pub policy: String,
    /// Name of a shipped policy between the built-in policy and the file; empty: none.
    pub preset: String,
}

/// Variables with a shorter name than their setting's path gives.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("VESTIBULE_LISTEN", "server.listen"),
    ("VESTIBULE_ORIGIN", "server.origin"),
    ("VESTIBULE_STORE", "store.url"),
    ("VESTIBULE_SHARED", "shared.url"),
    // What everybody means by it: the file's path, and not a file that holds the path.
    ("VESTIBULE_POLICY_FILE", "policy"),
];

impl Config {
    /// The documented defaults, ready for layers above them.
    pub fn layers() -> Layers {
        Layers::new(include_str!("defaults.toml"), "VESTIBULE_", SHORT_NAMES)
    }

    /// Reads and checks what the layers came to. What is wrong is noted in `layers`.
    pub fn read(layers: &mut Layers) -> Option<Self> {
        let config: Self = layers.read()?;
        config.server.check(layers);
        config.store.check(layers);
        config.shared.check(layers);
        config.secrets.check(layers);
        config.hashing.check(layers);
        config.tokens.check(layers);
        config.twilio.check(layers);
        config.smtp.check(layers);
        config.webhook.check(layers);
        config.delivery.check(layers);
        config.events.check(layers);
        config.spending.check(layers);
        config.calls.check(layers);
        config.development.check(layers);
        config.log.check(layers);
        config.audit.check(layers);
        config.pages.check(layers);
        config.change_over.check(layers);
        Some(config)
    }

    /// The defaults with `text` (TOML) over them, and nothing from the environment.
    ///
    /// # Errors
    /// All that is wrong with `text`.
    pub fn from_toml(text: &str) -> Result<Self, Faults> {
        let mut layers = Self::layers();
        layers.lay_file("settings", text);
        match Self::read(&mut layers) {
            Some(config) if layers.faults.is_empty() => Ok(config),
            _ => Err(Faults(layers.faults)),
        }
    }

    /// The defaults, for a server in development mode that listens on `address`. Sealing keys are left to the caller.
    ///
    /// # Errors
    /// Never, while the defaults are sound.
    pub fn development(address: SocketAddr) -> Result<Self, Faults> {
        let mut config = Self::from_toml("")?;
        config.develop_at(address, &Random::System);
        Ok(config)
    }

    /// Fills what development mode needs once the listener has its `address`: the origin, the figures for
    /// everybody, and an account at the look-alike of Twilio that the server itself offers. What the operator has set stays.
    pub fn develop_at(&mut self, address: SocketAddr, random: &Random) {
        self.server.listen = address;
        self.development.turn_on();
        if self.server.origin.is_empty() {
            self.server.origin = format!("http://{address}");
        }
        if self.server.metrics == Figures::Auto {
            self.server.metrics = Figures::Public;
        }
        if !self.twilio.is_configured() {
            self.twilio.look_alike(address, random);
            self.server.outbound_allow.push(address.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        Config::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_read_without_a_fault() {
        let config = Config::from_toml("").unwrap();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.hashing.memory_kib, 19_456);
    }

    #[test]
    fn development_talks_to_itself_unless_an_account_is_set() {
        let address = "127.0.0.1:4000".parse().unwrap();
        let config = Config::development(address).unwrap();
        assert_eq!(config.server.origin, "http://127.0.0.1:4000");
        assert_eq!(config.twilio.base_url, "http://127.0.0.1:4000/dev/twilio");
        assert_eq!(config.server.outbound_allow, ["127.0.0.1:4000"]);
        assert_eq!((config.twilio.account_sid.len(), config.twilio.auth_token.expose().len()), (34, 32));
        let other = Config::development(address).unwrap();
        assert_ne!(config.twilio.auth_token.expose(), other.twilio.auth_token.expose());

        let text = "server.origin = \"https://tunnel.example\"\n[twilio]\naccount_sid = \"AC1\"\nauth_token = \"t\"\nfrom = \"+12015550123\"";
        let mut real = Config::from_toml(text).unwrap();
        real.develop_at(address, &Random::seeded(1));
        assert_eq!(real.server.origin, "https://tunnel.example");
        assert_eq!(
            (real.twilio.account_sid.as_str(), real.twilio.base_url.as_str()),
            ("AC1", "https://api.twilio.com")
        );
        assert!(real.server.outbound_allow.is_empty());
    }

    #[test]
    fn every_setting_is_documented_right_above_it() {
        for (file, text) in [
            ("defaults.toml", include_str!("defaults.toml")),
            ("default.toml", include_str!("../../policies/default.toml")),
        ] {
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2) {
                let setting = pair[1].contains(" = ") && !pair[1].starts_with('#');
                assert!(!setting || pair[0].starts_with("# "), "{file}: `{}` has no comment", pair[1]);
            }
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_sentence() {
        for (text, told) in [
            (
                "server.listen = \"8080\"",
                "server.listen: `8080` is not an address and port such as 127.0.0.1:8080",
            ),
            ("server.origin = \"accounts.example.com\"", "server.origin must be an origin"),
            ("server.origin = \"https://example.com/path\"", "server.origin must be an origin"),
            (
                "server.trusted_proxies = [\"10.0.0.1/8\"]",
                "server.trusted_proxies: `10.0.0.1/8` names a host inside",
            ),
            ("server.allowed_origins = [\"*\"]", "server.allowed_origins must hold origins"),
            ("server.body_limit = 0", "server.body_limit must be"),
            ("server.max_connections = 0", "server.max_connections must be"),
            ("server.metrics = \"9090\"", "server.metrics: `9090` is none of auto, off, public"),
            ("audit.keep = \"23h\"", "audit.keep must be at least 1d"),
            ("server.header_timeout = \"0s\"", "server.header_timeout must be"),
            ("server.outbound_timeout = \"16s\"", "server.outbound_timeout must be"),
            ("server.outbound_allow = [\"localhost\"]", "server.outbound_allow must hold host:port"),
            ("store.url = \"mysql://x\"", "store.url must start with"),
            ("store.url = \"sqlite:\"", "store.url must start with"),
            ("store.connections = 0", "store.connections must be"),
            ("shared.url = \"memcached://x\"", "shared.url must be memory, or start with redis://"),
            ("hashing.passes = 0", "hashing.passes must be"),
            ("hashing.lanes = 0", "hashing.lanes must be"),
            ("hashing.memory_kib = 4", "hashing.memory_kib must be"),
            ("hashing.patience = \"soon\"", "hashing.patience: `soon` is not a period"),
            ("twilio.account_sid = \"12\"", "twilio.account_sid must be"),
            ("twilio.account_sid = \"AC12\"", "twilio.auth_token must be set"),
            ("twilio.base_url = \"api.twilio.com\"", "twilio.base_url must be"),
            ("twilio.base_url = \"https://api.twilio.com/?x=1\"", "twilio.base_url must be"),
            ("twilio.from = \"+1 201\"", "twilio.from must be"),
            ("smtp.host = \"smtp.example.com:25\"", "smtp.host must be"),
            ("smtp.host = \"smtp.example.com\"", "smtp.from must be set"),
            ("smtp = { host = \"10.0.0.1\", from = \"a@example.com\", tls = \"none\" }", "smtp.tls must be"),
            ("smtp.from = \"nobody\"", "smtp.from must be"),
            ("smtp.reply_to = \"a@example.com\\r\\nBcc: b@example.com\"", "smtp.reply_to must be"),
            ("smtp.timeout = \"1m\"", "smtp.timeout must be"),
            ("smtp.authorities = \"x\"", "smtp.authorities must hold"),
            ("webhook.url = \"sms.example\"", "webhook.url must be"),
            ("webhook.url = \"https://sms.example\"", "webhook.secret must have"),
            ("delivery.routes = [\"sms\"]", "`sms` is not a route"),
            ("tokens.algorithm = \"HS256\"", "tokens.algorithm: unknown variant `HS256`"),
            ("tokens.algorithm = \"none\"", "tokens.algorithm: unknown variant `none`"),
            ("tokens.audience = \"a b\"", "tokens.audience must be"),
            ("tokens.publish_ahead = \"5m\"", "tokens.publish_ahead must be"),
            ("tokens.rotate = \"90m\"", "tokens.rotate must be 0s or at least twice"),
            ("events.url = \"app.example\"", "events.url must be"),
            ("events.url = \"https://app.example\"", "events.secret must have"),
            ("spending.home = \"USA\"", "spending.home must be"),
            ("spending.countries = [\"de\"]", "spending.countries must hold"),
            ("spending.warn = 101", "spending.warn must be"),
            ("change_over.until = \"soon\"", "change_over.until: `soon` is not an instant"),
            ("change_over.cookie = \"a=b\"", "change_over.cookie must be"),
            ("change_over.cookie = \"__Host-vestibule\"", "change_over.cookie must be"),
            ("log.format = \"xml\"", "log.format: unknown variant `xml`"),
            ("log.level = \"inof\"", "log.level must be"),
            ("log.level = \"vestibule=loud\"", "log.level must be"),
            ("unknown = true", "unknown is not a setting"),
        ] {
            let faults = faults(text);
            assert!(faults.contains(told), "{text}: {faults}");
            assert!(faults.lines().all(|fault| fault.starts_with("settings line 1: ")), "{text}: {faults}");
        }
    }
}
