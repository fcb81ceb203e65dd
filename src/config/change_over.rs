//! `[change_over]`: how long sessions of another system are honoured; see `docs/moving-in.md`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::Layers;
use crate::clock::Timestamp;

/// How far away the end may be at most. What goes on for longer is no change-over.
pub const LONGEST: Duration = Duration::from_secs(90 * 86_400);

/// `[change_over]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeOver {
    /// Until when the old form of a session is read at all; none: never.
    #[serde(deserialize_with = "instant")]
    pub until: Option<Timestamp>,
    /// The cookie in which browsers carry it; empty: none.
    pub cookie: String,
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = (!text.is_empty()).then(|| text.parse()).transpose();
    read.map_err(|_| {
        de::Error::custom(format_args!("`{text}` is not an instant such as 2030-01-31T00:00:00Z"))
    })
}

impl ChangeOver {
    /// Whether the old form is read at `now`.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now < until && until.since(now) <= LONGEST)
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        // A token of RFC 9110 §5.6.2, as RFC 6265 §4.1.1 asks for.
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
        let ours = self.cookie.trim_start_matches("__Host-").starts_with("vestibule");
        let fits = self.cookie.len() <= 100 && self.cookie.chars().all(is_name) && !ours;
        layers.must(
            fits,
            "change_over.cookie",
            "must be the name of a cookie of the other system, such as sid",
        );
    }
}
