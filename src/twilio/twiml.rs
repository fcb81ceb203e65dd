//! TwiML: what a call says, as XML. Every text passes [`escape`]; nothing else makes a document.

use crate::text::escape;

/// The longest document that Twilio takes as `Twiml`, in characters.
pub const LONGEST: usize = 4_000;

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

/// A document that says `text` in `language`.
pub fn say(text: &str, language: &str) -> String {
    format!("{HEAD}<Response>{}</Response>", verb(text, language))
}

/// A document that says `text` and then `again`, listens for a key meanwhile and for a few seconds
/// after, and asks `action` what to say when one is pressed.
pub fn say_again(text: &str, again: &str, language: &str, action: &str) -> String {
    format!(
        r#"{HEAD}<Response><Gather numDigits="1" timeout="8" method="POST" action="{}"><Pause length="1"/>{}<Pause length="1"/>{}</Gather></Response>"#,
        escape(action),
        verb(text, language),
        verb(again, language)
    )
}

/// A document that says nothing, which ends the call.
pub fn nothing() -> String {
    format!("{HEAD}<Response/>")
}

fn verb(text: &str, language: &str) -> String {
    format!(r#"<Say language="{}">{}</Say>"#, escape(language), escape(text))
}

/// The language of `<Say>` for people who read `locale` (BCP 47): the nearest that Twilio speaks by
/// itself, English when there is none.
pub fn language(locale: Option<&str>) -> &'static str {
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    match locale.as_str() {
        "en-gb" => return "en-GB",
        "es-mx" => return "es-MX",
        "fr-ca" => return "fr-CA",
        "pt-br" => return "pt-BR",
        _ => {}
    }
    match locale.split('-').next().unwrap_or_default() {
        "es" => "es-ES",
        "fr" => "fr-FR",
        "de" => "de-DE",
        "pt" => "pt-PT",
        // Modern Standard Arabic by its own code (ISO 639-3), as Twilio names it.
        "ar" => "arb",
        "ja" => "ja-JP",
        _ => "en-US",
    }
}

/// Whether XML 1.0 can hold `letter` at all (§2.2), and it is none that controls something.
pub fn is_sayable(letter: char) -> bool {
    !letter.is_control() && !matches!(letter, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_said_is_text_and_nothing_else() {
        let text = r#"</Say><Dial>+19002345678</Dial><Say a="&'"#;
        let document = say(text, "en-US");
        assert_eq!(document.matches('<').count(), 5, "{document}");
        assert!(document.contains("&lt;/Say&gt;&lt;Dial&gt;+19002345678"), "{document}");
        assert!(document.ends_with("a=&quot;&amp;&#39;</Say></Response>"), "{document}");
    }

    #[test]
    fn the_language_is_the_nearest_that_is_spoken() {
        for (locale, spoken) in [
            (None, "en-US"),
            (Some("en"), "en-US"),
            (Some("en-GB"), "en-GB"),
            (Some("de-CH"), "de-DE"),
            (Some("pt"), "pt-PT"),
            (Some("pt-BR"), "pt-BR"),
            (Some("PT-pt"), "pt-PT"),
            (Some("ar-EG"), "arb"),
            (Some("ja"), "ja-JP"),
            (Some("tlh"), "en-US"),
        ] {
            assert_eq!(language(locale), spoken, "{locale:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_adds_a_tag(text in any::<String>()) {
            let document = say(&text, "en-US");
            prop_assert_eq!(document.matches('<').count(), 5);
            prop_assert_eq!(document.matches('>').count(), 5);
        }
    }
}
