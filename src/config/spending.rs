//! `[spending]`: what messages and calls may cost, and whose money it is first.

use serde::Deserialize;

use super::Layers;

/// `[spending]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spending {
    /// The country whose people this server is for, ISO 3166-1; empty: not said.
    pub home: String,
    /// Countries whose numbers are sent to; none: all. The home country always is.
    pub countries: Vec<String>,
    /// What a day may cost, in units of the table's money.
    pub day: u32,
    /// Percent of it that only numbers of the home country may cost.
    pub home_reserve: u32,
    /// Percent of it that only users may cost who have shown a password and the number before.
    pub known_reserve: u32,
    /// At how many percent the operator is warned.
    pub warn: u32,
    /// The path of a table of prices instead of the built-in one; empty: the built-in one.
    pub rates: String,
}

impl Spending {
    /// Whether numbers of this country are sent to.
    pub fn serves(&self, country: &str) -> bool {
        self.countries.is_empty() || self.home == country || self.countries.iter().any(|one| one == country)
    }

    /// Whether a number of this country is no stranger's. While nobody has said where home is, nowhere
    /// is abroad.
    pub fn is_home(&self, country: &str) -> bool {
        self.home.is_empty() || self.home == country
    }

    /// What leaves more to strangers than need be, for the operator.
    pub fn warning(&self) -> Option<&'static str> {
        let sentence = "spending.home is not set, so no share of the day's money is kept for the country of your \
             users, and messages go to every country alike: set VESTIBULE_SPENDING_HOME, such as US.";
        (self.home.is_empty() && self.countries.is_empty()).then_some(sentence)
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        layers.must(
            self.home.is_empty() || is_country(&self.home),
            "spending.home",
            "must be a country such as \"US\" (ISO 3166-1)",
        );
        layers.must(
            self.countries.iter().all(|text| is_country(text)),
            "spending.countries",
            "must hold countries such as \"US\" (ISO 3166-1)",
        );
        layers.must(self.day <= 1_000_000, "spending.day", "must be at most 1000000");
        for (name, percent) in [
            ("spending.home_reserve", self.home_reserve),
            ("spending.known_reserve", self.known_reserve),
            ("spending.warn", self.warn),
        ] {
            layers.must(percent <= 100, name, "must be at most 100, since it is percent");
        }
    }
}

/// Whether this is the shape of a country's code (ISO 3166-1): two capitals.
pub fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}
