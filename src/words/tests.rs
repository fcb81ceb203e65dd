use std::collections::{BTreeMap, BTreeSet};

use fluent_syntax::ast;

use super::*;

#[test]
fn the_first_language_that_is_spoken_here_is_chosen() {
    for (user, header, chosen) in [
        (None, None, Locale::En),
        (Some("pt-BR"), Some("de"), Locale::Pt),
        (Some("tlh"), Some("de-AT,en;q=0.5"), Locale::De),
        (None, Some("tlh, fr;q=0.8, es;q=0.9"), Locale::Es),
        (None, Some("ja;q=0, ar;q=0.1"), Locale::Ar),
        (None, Some("ja;q=2, fr;q=NaN, *;q=0.5"), Locale::En),
        (None, Some(";;;,,q=,\u{0}"), Locale::En),
        (Some("EN_us"), Some("ja"), Locale::En),
    ] {
        assert_eq!(Locale::choose(user, header), chosen, "{user:?} {header:?}");
    }
}

/// Every key of a language, with its attributes as `key.attribute`, and the places in each.
fn keys(locale: Locale) -> BTreeMap<String, BTreeSet<String>> {
    let resource = FluentResource::try_new(locale.source().to_owned())
        .unwrap_or_else(|(_, errors)| panic!("{locale}: {errors:?}"));
    let mut keys = BTreeMap::new();
    let mut add = |key: String, pattern: &ast::Pattern<&str>| {
        let mut found = BTreeSet::new();
        places(pattern, &mut found);
        assert!(keys.insert(key.clone(), found).is_none(), "{locale}: {key} is there twice");
    };
    for entry in resource.entries() {
        if let ast::Entry::Message(message) = entry {
            add(message.id.name.to_owned(), message.value.as_ref().expect("a message has a text"));
            for attribute in &message.attributes {
                add(format!("{}.{}", message.id.name, attribute.id.name), &attribute.value);
            }
        }
    }
    keys
}

fn places(pattern: &ast::Pattern<&str>, found: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        match element {
            ast::PatternElement::Placeable { expression: ast::Expression::Inline(inline) } => {
                place(inline, found)
            }
            ast::PatternElement::Placeable { expression: ast::Expression::Select { selector, variants } } => {
                place(selector, found);
                variants.iter().for_each(|variant| places(&variant.value, found));
            }
            ast::PatternElement::TextElement { .. } => {}
        }
    }
}

fn place(inline: &ast::InlineExpression<&str>, found: &mut BTreeSet<String>) {
    match inline {
        ast::InlineExpression::VariableReference { id } => {
            found.insert(id.name.to_owned());
        }
        other => panic!("only places for variables: {other:?}"),
    }
}

#[test]
fn every_language_has_every_key_with_the_same_places() {
    let english = keys(Locale::En);
    assert!(english.len() > 50, "{}", english.len());
    for locale in Locale::ALL.iter().copied() {
        let other = keys(locale);
        for (key, places) in &english {
            assert_eq!(other.get(key), Some(places), "{locale}: {key}");
        }
        assert_eq!(other.len(), english.len(), "{locale} has keys that English has not");
    }
}

#[test]
fn every_text_is_said_in_every_language_and_none_of_it_in_english() {
    let places = [("host", "h"), ("code", "c"), ("link", "l"), ("what", "w"), ("action", "a")];
    let mut args: Vec<(&str, Value<'_>)> = places.map(|(name, text)| (name, text.into())).to_vec();
    args.extend([("to", "t".into()), ("organization", "o".into()), ("until", "u".into())]);
    args.extend(["minutes", "seconds", "count", "least"].map(|name| (name, 5.into())));
    for key in keys(Locale::En).keys() {
        let english = say(Locale::En, key, &args);
        assert_ne!(&english, key);
        for locale in Locale::ALL.iter().copied().filter(|locale| *locale != Locale::En) {
            let said = say(locale, key, &args);
            let same_everywhere = matches!(key.as_str(), "sms-notice" | "sms-notice-plain");
            assert!(said != english || same_everywhere, "{locale}: {key}");
            assert!(!said.contains(['{', '}', '\u{2068}']), "{locale}: {said}");
        }
    }
}

#[test]
fn what_a_language_lacks_is_said_in_english_and_what_all_lack_is_still_said() {
    assert_eq!(say(Locale::Ja, "no-such-key", &[]), "no-such-key");
    // A place that nothing was given for is no reason to say nothing.
    assert_eq!(say(Locale::De, "notice-intro", &[]), "notice-intro");
}

#[test]
fn numbers_take_the_form_that_their_language_has_for_them() {
    let said = |locale, minutes: u64| say(locale, "code-life", &[("minutes", minutes.into())]);
    assert!(said(Locale::En, 1).contains("1 minute,") && said(Locale::En, 2).contains("2 minutes,"));
    assert!(said(Locale::Ar, 2).contains("دقيقتين") && said(Locale::Ar, 3).contains("3 دقائق"));
    assert!(said(Locale::Ar, 11).contains("11 دقيقة") && said(Locale::Fr, 1).contains("1 minute "));
}

/// What is written in the sources of the house, templates and all.
fn written(folder: &std::path::Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("words") {
            written(&path, text);
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "html") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_key_is_used() {
    let mut text = String::new();
    written(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut text);
    // Keys that are put together: by the name of a problem, a field, a factor, an event, a message.
    let made = [
        "problem-",
        "wrong-",
        "event-",
        "said-",
        "strength-",
        "field-",
        "way-",
        "code-",
        "change-",
        "notice-",
        "page-",
        "call-",
        "sms-",
        "acting-",
        "console-users-",
        "console-user-",
        "console-organization-",
        "console-status-",
        "console-queue-",
        "console-rank-",
        "console-verdict-",
    ];
    // A question has a button by its own key.
    let asked =
        |key: &str| key.strip_suffix(".button").is_some_and(|key| text.contains(&format!("\"{key}\"")));
    let all = keys(Locale::En);
    let unused: Vec<_> = all
        .keys()
        .filter(|key| !made.iter().any(|start| key.starts_with(start)) && !asked(key))
        .filter(|key| !text.contains(&format!("\"{key}\"")) && !text.contains(&format!("'{key}'")))
        // A message needs a text of its own to carry the others.
        .filter(|key| !all.keys().any(|other| other.starts_with(&format!("{key}."))))
        .collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn every_key_in_a_template_exists() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/templates/html");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for quote in ['"', '\''] {
            for rest in text.split(&format!("t({quote}")).skip(1) {
                let (key, after) = rest.split_once(quote).unwrap();
                // What is put together is looked up by other tests, page by page.
                if !after.trim_start().starts_with('~') {
                    assert!(has(key), "{}: {key}", path.display());
                }
            }
        }
    }
}
