//! `[development]`: what only development mode does.

use serde::Deserialize;

use super::Layers;
use crate::secret::Secret;

/// `[development]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Development {
    /// Numbers with a code that is always the same: `number=code`.
    identities: Vec<Secret>,
    /// Whether this is development mode. No setting says so: [`super::Config::develop_at`] does.
    #[serde(skip)]
    is_on: bool,
}

impl Development {
    pub(super) fn turn_on(&mut self) {
        self.is_on = true;
    }

    /// Whether any identity is set.
    pub(super) fn has_identities(&self) -> bool {
        !self.identities.is_empty()
    }

    /// The code that is always sent to `number`, which is then exempt from the limits of numbers. None
    /// outside of development mode, whatever is set.
    pub fn code_of(&self, number: &str) -> Option<&str> {
        let pairs = self.identities.iter().filter(|_| self.is_on);
        pairs
            .filter_map(|pair| pair.expose().split_once('='))
            .find_map(|(known, code)| (known == number).then_some(code))
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        let is_pair = |text: &str| {
            text.split_once('=').is_some_and(|(number, code)| {
                let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                number.strip_prefix('+').is_some_and(digits) && digits(code) && (4..=10).contains(&code.len())
            })
        };
        layers.must(
            self.identities.iter().all(|pair| is_pair(pair.expose())),
            "development.identities",
            "must hold pairs such as +12025550100=123456",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Needs, unsafe_settings};
    use crate::random::Random;

    #[test]
    fn a_fixed_code_is_there_in_development_alone() {
        let text = "development.identities = [\"+12025550100=123456\"]";
        let mut config = Config::from_toml(text).unwrap();
        assert_eq!(config.development.code_of("+12025550100"), None, "production, even when it is set");
        assert!(
            unsafe_settings(&config, Needs { sms: false, call: false, email: false, notices: false })
                .iter()
                .any(|told| told.contains("development.identities"))
        );
        config.develop_at("127.0.0.1:1".parse().unwrap(), &Random::seeded(1));
        assert_eq!(config.development.code_of("+12025550100"), Some("123456"));
        assert_eq!(config.development.code_of("+12025550101"), None);
        for wrong in ["+12025550100", "12025550100=1234", "+12025550100=12ab", "+1=12345678901"] {
            let told = Config::from_toml(&format!("development.identities = [\"{wrong}\"]")).unwrap_err();
            assert!(told.to_string().contains("development.identities must hold"), "{told}");
        }
    }
}
