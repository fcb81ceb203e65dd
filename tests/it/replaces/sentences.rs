//! `docs/replaces/README.md` is held to the suite: every sentence of it names tests that are there, and
//! every journey is named by a sentence.

use std::collections::{BTreeMap, BTreeSet};

use vestibule::policy::PRESETS;

use crate::architecture::{root, rust_files};
use crate::incidents::tests_in;

/// The rows of the document by preset: the sentence, and the names of its tests.
fn rows() -> BTreeMap<String, Vec<(String, BTreeSet<String>)>> {
    let text = std::fs::read_to_string(root().join("docs/replaces/README.md")).unwrap();
    let mut rows: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let mut preset = String::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            preset = title.trim_matches('`').to_owned();
        }
        let cells = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |"));
        let Some(cells) = cells.filter(|_| !preset.is_empty()) else { continue };
        let cells: Vec<_> = cells.split(" | ").collect();
        let [sentence, tests] = cells[..] else { panic!("two cells: {line}") };
        if sentence != "What it does" {
            let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            rows.entry(preset.clone()).or_default().push((sentence.to_owned(), tests));
        }
    }
    rows
}

#[test]
fn every_sentence_about_what_is_replaced_has_a_test_that_is_there() {
    let tests = tests_in(&[rust_files("src"), rust_files("tests")].concat());
    let rows = rows();
    let presets: BTreeSet<_> = PRESETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), presets);
    let mut named = BTreeSet::new();
    for (preset, rows) in rows {
        assert!(rows.len() >= 8, "{preset}: {}", rows.len());
        for (sentence, names) in rows {
            assert!(!names.is_empty(), "{preset}: nothing shows that: {sentence}");
            for name in names {
                assert!(tests.contains(&name), "{preset}: there is no test `{name}`");
                named.insert(name);
            }
        }
        let page = root().join(format!("docs/replaces/{preset}.md"));
        let page =
            std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("there is no {}", page.display()));
        for title in ["## What is the same", "## What is safer", "## How to move over"] {
            assert!(page.contains(title), "{preset}: its page does not say {title}");
        }
    }
    let journeys = rust_files("tests").into_iter().filter(|(path, _)| path.contains("/replaces/"));
    let journeys =
        tests_in(&journeys.filter(|(path, _)| !path.ends_with("sentences.rs")).collect::<Vec<_>>());
    let silent: Vec<_> = journeys.difference(&named).collect();
    assert!(journeys.len() >= 25 && silent.is_empty(), "no sentence for {silent:?}");
}
