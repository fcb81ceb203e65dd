//! The stylesheets, the script and the logo. Each has the hash of its content in its name, so that a
//! browser may keep it for good; each is compressed once, at start.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::config::Pages;
use crate::text::hex;

const STYLE: &str = include_str!("page.css");
const CONSOLE: &str = include_str!("console.css");
const LIVE: &str = include_str!("console.js");
const SCRIPT: &str = include_str!("page.js");

/// Largest logo, in bytes: it is on every page.
const LOGO: usize = 256 * 1024;

/// A file that pages use.
pub struct Asset {
    /// The last part of its address.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// As it is.
    pub plain: Bytes,
    /// Compressed with gzip.
    pub gzip: Bytes,
}

/// All of them.
pub(super) struct Assets {
    style: Asset,
    console: Asset,
    script: Asset,
    live: Asset,
    logo: Option<Asset>,
}

impl Assets {
    /// Those of the settings.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(super) fn configured(pages: &Pages) -> Result<Self, String> {
        let style = format!("{STYLE}{}", branding(pages));
        Ok(Self {
            style: Asset::new("page", "css", "text/css; charset=utf-8", style.into_bytes()),
            console: Asset::new("console", "css", "text/css; charset=utf-8", CONSOLE.as_bytes().to_vec()),
            script: Asset::new("page", "js", "text/javascript; charset=utf-8", SCRIPT.as_bytes().to_vec()),
            live: Asset::new("console", "js", "text/javascript; charset=utf-8", LIVE.as_bytes().to_vec()),
            logo: logo(&pages.logo)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Asset> {
        [&self.style, &self.console, &self.script, &self.live].into_iter().chain(&self.logo)
    }

    pub(super) fn get(&self, file: &str) -> Option<&Asset> {
        self.all().find(|asset| asset.name == file)
    }

    pub(super) fn style(&self) -> String {
        self.style.address()
    }

    pub(super) fn console(&self) -> String {
        self.console.address()
    }

    pub(super) fn script(&self) -> String {
        self.script.address()
    }

    pub(super) fn live(&self) -> String {
        self.live.address()
    }

    pub(super) fn logo(&self) -> Option<String> {
        self.logo.as_ref().map(Asset::address)
    }
}

impl Asset {
    fn new(stem: &str, ending: &str, media_type: &'static str, content: Vec<u8>) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &content);
        let hash = hex(digest.as_ref().get(..8).unwrap_or_default());
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory cannot fail.
        let gzip = packed.write_all(&content).and_then(|()| packed.finish()).unwrap_or_default();
        Self { name: format!("{stem}-{hash}.{ending}"), media_type, plain: content.into(), gzip: gzip.into() }
    }

    fn address(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

fn logo(path: &str) -> Result<Option<Asset>, String> {
    if path.is_empty() {
        return Ok(None);
    }
    let content = std::fs::read(path).map_err(|error| format!("pages.logo: `{path}`: {error}"))?;
    let is_png = content.starts_with(b"\x89PNG\r\n\x1a\n");
    let is_svg = std::str::from_utf8(&content).is_ok_and(|text| text.contains("<svg"));
    if content.len() > LOGO {
        return Err(format!("pages.logo: `{path}` has more than {LOGO} bytes"));
    }
    match (is_png, is_svg) {
        (true, _) => Ok(Some(Asset::new("logo", "png", "image/png", content))),
        (_, true) => Ok(Some(Asset::new("logo", "svg", "image/svg+xml", content))),
        _ => Err(format!("pages.logo: `{path}` is neither SVG nor PNG")),
    }
}

/// What the settings change in the stylesheet.
fn branding(pages: &Pages) -> String {
    let font = match pages.font.as_str() {
        "" => String::new(),
        font => {
            let names: Vec<_> = font.split(',').map(|name| format!("\"{}\"", name.trim())).collect();
            format!("--font:{},system-ui,sans-serif;", names.join(","))
        }
    };
    let colours = |accent: &str| format!("--accent:{accent};--on-accent:{};", readable_on(accent));
    format!(
        ":root{{{}--radius:{}px;{font}}}@media (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        colours(&pages.accent),
        pages.radius,
        colours(&pages.accent_dark)
    )
}

/// Black or white, whichever contrasts more with a colour (WCAG 2.2, relative luminance).
fn readable_on(colour: &str) -> &'static str {
    let channel = |at: usize| {
        let digits = colour.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let value = f64::from(digits.unwrap_or(0)) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
    if (1.05 / (luminance + 0.05)) >= ((luminance + 0.05) / 0.05) { "#fff" } else { "#000" }
}
