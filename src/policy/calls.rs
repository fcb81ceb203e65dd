//! `[calls]`: who may call whom, and where to.

use serde::Deserialize;

use crate::config::{Layers, is_country};

/// `[calls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// Whom users may call.
    pub users: Callers,
    /// Whoever has one of these roles may call anybody.
    pub roles: Vec<String>,
    /// Countries whose numbers may be called, as ISO 3166-1 names them.
    pub countries: Vec<String>,
}

/// Whom users may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Callers {
    /// Nobody.
    Nobody,
    /// Numbers that they have verified.
    Own,
    /// Anybody.
    Anybody,
}

impl Calls {
    pub(super) fn check(&self, layers: &mut Layers) {
        layers.must(
            self.countries.iter().all(|text| is_country(text)),
            "calls.countries",
            "must hold countries such as \"US\" (ISO 3166-1)",
        );
        if self.users == Callers::Anybody {
            layers.warn("calls.users", "is \"anybody\": whoever signs up can have strangers called");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;

    #[test]
    fn countries_have_two_capitals() {
        for text in ["calls.countries = [\"us\"]", "calls.countries = [\"USA\"]", "calls.countries = [\"*\"]"]
        {
            let faults = Policy::from_toml(text).unwrap_err().to_string();
            assert!(faults.contains("calls.countries must hold countries"), "{text}: {faults}");
        }
    }

    #[test]
    fn that_strangers_may_be_called_is_told() {
        let mut layers = Policy::layers();
        layers.lay_file("policy", "calls.users = \"anybody\"");
        assert!(Policy::read(&mut layers).is_some() && layers.faults.is_empty());
        assert!(
            layers.warnings.len() == 1 && layers.warnings[0].contains("calls.users"),
            "{:?}",
            layers.warnings
        );
    }
}
