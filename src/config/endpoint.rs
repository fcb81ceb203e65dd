//! Addresses that signed requests are posted to.

use reqwest::Url;

use super::Layers;
use crate::secret::Secret;

/// Shortest secret, in characters: as many bits as the hash has (RFC 2104 §3) are 32 bytes.
const SHORTEST: usize = 32;

/// Whether an address has no user, no password and no fragment.
pub(super) fn is_bare(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

/// Notes what is wrong with `section.url` and `section.secret`; `example` is an address as it should be.
pub(super) fn check(layers: &mut Layers, section: &str, url: &str, secret: &Secret, example: &str) {
    let is_address = Url::parse(url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare(&url));
    let (url, secret_path) = (format!("{section}.url"), format!("{section}.secret"));
    layers.must(is_address, &url, format_args!("must be a URL such as {example}"));
    layers.must_with(
        secret.expose().len() >= SHORTEST,
        &secret_path,
        &url,
        format_args!("must have at least {SHORTEST} characters, since {url} is set"),
    );
}
