//! `[pages]`: how the pages for people look, and where they may send people back to; see `docs/pages.md`.

use reqwest::Url;
use serde::Deserialize;

use super::Layers;
use super::endpoint::is_bare;

/// `[pages]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// What the service is called at the top of every page; empty: its host.
    pub name: String,
    /// Path of a picture shown beside the name, SVG or PNG; empty: none.
    pub logo: String,
    /// The colour of buttons and links on a light ground, `#rrggbb`.
    pub accent: String,
    /// The same on a dark ground.
    pub accent_dark: String,
    /// How round corners are, in pixels.
    pub radius: u8,
    /// Names of fonts that people have, the preferred one first; empty: the system's.
    pub font: String,
    /// Path of a directory with templates of the operator's own; empty: none.
    pub templates: String,
    /// The addresses that people may be sent back to, each whole.
    pub return_to: Vec<String>,
}

impl Pages {
    pub(super) fn check(&self, layers: &mut Layers) {
        for (path, colour) in [("pages.accent", &self.accent), ("pages.accent_dark", &self.accent_dark)] {
            layers.must(is_colour(colour), path, "must be a colour such as #0a7d5a");
        }
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || " ,-_".contains(letter);
        let told = "may hold names of fonts with letters, digits, spaces and hyphens, with commas between";
        layers.must(self.font.chars().all(is_letter), "pages.font", told);
        layers.must(self.name.chars().count() <= 60, "pages.name", "may have 60 characters at most");
        let told = "must hold whole addresses as a browser writes them, with https (http only for loopback) \
                    and without a fragment, such as https://app.example.com/welcome";
        layers.must(self.return_to.iter().all(|text| is_address(text)), "pages.return_to", told);
    }

    /// The origins of [`Self::return_to`], each once.
    pub fn origins(&self) -> Vec<String> {
        let mut origins: Vec<_> = self.return_to.iter().filter_map(|text| Url::parse(text).ok()).collect();
        origins.dedup_by_key(|url| url.origin());
        let mut origins: Vec<_> = origins.iter().map(|url| url.origin().ascii_serialization()).collect();
        origins.sort();
        origins.dedup();
        origins
    }
}

/// `#rrggbb`
fn is_colour(text: &str) -> bool {
    let digits = text.strip_prefix('#');
    digits.is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a browser would read the address as it is written, and go there without asking anybody.
fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        scheme && is_bare(&url) && url.as_str() == text && !text.contains([';', ',', '\'', '"'])
    })
}
