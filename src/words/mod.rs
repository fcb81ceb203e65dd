//! Words for people, in seven languages: one file each, built in, in Fluent's format.
//!
//! Always holds: a key that a language lacks is said in English; nothing that came from outside is
//! read as a message, only put in the place that a message has for it. What goes into HTML is
//! escaped there, not here.

mod agent;

use std::borrow::Cow;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

use crate::store::text_enum;

pub use agent::known_as;
pub use fluent_bundle::FluentValue as Value;

/// What a language says in messages, on the pages for people, and in the console.
macro_rules! files {
    ($tag:literal) => {
        concat!(
            include_str!(concat!($tag, ".ftl")),
            include_str!(concat!("pages/", $tag, ".ftl")),
            include_str!(concat!("console/", $tag, ".ftl"))
        )
    };
}

text_enum! {
    /// A language that the house speaks (BCP 47).
    pub enum Locale {
        /// English, and what stands in where another language lacks a word.
        En = "en",
        /// Spanish.
        Es = "es",
        /// French.
        Fr = "fr",
        /// German.
        De = "de",
        /// Portuguese.
        Pt = "pt",
        /// Arabic.
        Ar = "ar",
        /// Japanese.
        Ja = "ja",
    }
}

impl Locale {
    /// The language for a user whose own choice is `user` (BCP 47) and whose browser says
    /// `accept_language` (RFC 9110 §12.5.4): the first that is spoken here, or English.
    pub fn choose(user: Option<&str>, accept_language: Option<&str>) -> Self {
        user.and_then(Self::of_tag).or_else(|| Self::accepted(accept_language?)).unwrap_or(Self::En)
    }

    /// The language of a tag such as `pt-BR`, when it is spoken here. The region does not matter.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let language = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Self::ALL.iter().copied().find(|known| known.as_str().eq_ignore_ascii_case(language))
    }

    /// The language that an `Accept-Language` header likes best of those spoken here.
    fn accepted(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        // Nobody reads more than a handful of languages; the rest is noise.
        for range in header.split(',').take(20) {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse().ok());
            let Some(weight) = weight.filter(|weight: &f32| (f32::MIN_POSITIVE..=1.0).contains(weight))
            else {
                continue;
            };
            if let Some(locale) = Self::of_tag(tag)
                && best.is_none_or(|(known, _)| weight > known)
            {
                best = Some((weight, locale));
            }
        }
        best.map(|(_, locale)| locale)
    }

    /// `rtl` or `ltr`, as HTML's `dir` says it.
    pub fn direction(self) -> &'static str {
        if self == Self::Ar { "rtl" } else { "ltr" }
    }

    /// What the language calls itself.
    pub fn own_name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Es => "Español",
            Self::Fr => "Français",
            Self::De => "Deutsch",
            Self::Pt => "Português",
            Self::Ar => "العربية",
            Self::Ja => "日本語",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::En => files!("en"),
            Self::Es => files!("es"),
            Self::Fr => files!("fr"),
            Self::De => files!("de"),
            Self::Pt => files!("pt"),
            Self::Ar => files!("ar"),
            Self::Ja => files!("ja"),
        }
    }
}

/// The text of `key` in a language; `key.attribute` for a part of it. A key that exists nowhere is
/// said as it is: better an odd word in a mail than no mail.
pub fn say(locale: Locale, key: &str, places: &[(&str, Value<'_>)]) -> String {
    let args: FluentArgs<'_> = places.iter().map(|(name, value)| (Cow::from(*name), value.clone())).collect();
    let spoken = [locale, Locale::En].into_iter().find_map(|locale| {
        let bundle = BUNDLES.iter().find(|(known, _)| *known == locale).map(|(_, bundle)| bundle)?;
        let (key, attribute) = key.split_once('.').map_or((key, None), |(key, name)| (key, Some(name)));
        let message = bundle.get_message(key)?;
        let pattern = match attribute {
            None => message.value()?,
            Some(name) => message.get_attribute(name)?.value(),
        };
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(&args), &mut errors).into_owned();
        errors.is_empty().then_some(text)
    });
    spoken.unwrap_or_else(|| key.to_owned())
}

/// `2030-01-01 00:00 UTC`, from a time as RFC 3339 writes it: read in the same way everywhere.
pub fn when(time: &str) -> String {
    let minute = time.get(..16).unwrap_or(time).replace('T', " ");
    format!("{minute} UTC")
}

/// Whether English has `key` (and so every language, which a test sees to).
pub fn has(key: &str) -> bool {
    let (key, attribute) = key.split_once('.').map_or((key, None), |(key, name)| (key, Some(name)));
    let english = BUNDLES.iter().find(|(known, _)| *known == Locale::En);
    english
        .and_then(|(_, bundle)| bundle.get_message(key))
        .is_some_and(|message| attribute.is_none_or(|name| message.get_attribute(name).is_some()))
}

static BUNDLES: LazyLock<Vec<(Locale, FluentBundle<FluentResource>)>> = LazyLock::new(|| {
    let speak = |locale: Locale| {
        let language: LanguageIdentifier = locale.as_str().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![language]);
        // The marks around what is put in would make every text message UCS-2, and twice as dear.
        bundle.set_use_isolating(false);
        // What cannot be read is left out, and a test sees to it that there is nothing of the kind.
        let resource =
            FluentResource::try_new(locale.source().to_owned()).unwrap_or_else(|(resource, _)| resource);
        let _ = bundle.add_resource(resource);
        (locale, bundle)
    };
    Locale::ALL.iter().copied().map(speak).collect()
});

#[cfg(test)]
mod tests;
