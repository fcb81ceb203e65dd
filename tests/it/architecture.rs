//! The shape of the house, held by a table: who may use whom, and the lists that only shrink.
//!
//! Reads the sources as text: comments and strings are blanked first, then every path that starts
//! with `crate::`, or with enough `super::` to leave its room, is a use of that room.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::place::second_round;

/// The floors, lowest first. A room uses what lies below it, and on its own floor whom it likes as
/// long as that one, or whoever it uses, does not use it back. `a::b` is a part of a room with a floor
/// of its own; `*::api` is the JSON door of every room. Tests may look up.
const FLOORS: &[&[&str]] = &[
    // Ground: knows nothing about accounts.
    &[
        "breached", "broker", "circuit", "clock", "config", "error", "hashing", "jwt", "log", "mailer",
        "metrics", "money", "outbound", "random", "secret", "shared", "store", "text", "tls", "verify",
        "words",
    ],
    &["policy", "templates"],
    &["app"],
    &["worker"],
    &["twilio"],
    // Rooms: each knows only those before it.
    &["audit"],
    &["events"],
    &["spending"],
    &["limits"],
    &["idempotency"],
    &["clients", "service_accounts"],
    &["keys"],
    &["revocations"],
    &["identifiers"],
    &["passwords"],
    &["messages"],
    &["factors"],
    &["accounts"],
    &["organizations"],
    &["undo"],
    &["notices"],
    &["sessions"],
    &["devices"],
    &["recovery"],
    &["challenges", "calls"],
    &["step_up"],
    &["enrolment", "acting", "service_accounts::actions"],
    &["organizations::actions"],
    &["sign_up", "sign_in", "recovery::actions", "new_password"],
    &["profile"],
    &["administration"],
    &["schema"],
    &["moving"],
    &["tasks", "sealing", "administration::data"],
    // Doors: what a handler reads and answers with, the handlers, and the ways in.
    &["http"],
    &["*::api", "pages"],
    &["console"],
    &["http::aliases", "http::openapi", "http::postman", "http::router", "http::server", "dev"],
    &["cli"],
];

/// How many `#[expect(…)]` there are in `src`. Lower it when one goes; raising it needs a reason.
const EXPECTS: usize = 15;

/// A file of `src` that is longer wants to be two.
const LONGEST: usize = 600;

/// Crates that must not be in the tree: one provider of TLS and cryptography, and no C library that
/// has to be installed. (`ring` is in the lock file as an option of others that nobody turns on;
/// `deny.toml` and `scripts/test` see to it that it is never built.)
const FORBIDDEN: &[&str] = &["openssl", "openssl-sys", "native-tls"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "types", "manager", "misc"];

#[test]
fn a_room_uses_only_what_lies_below_it() {
    let sources = rust_files("src");
    let files: Vec<_> = sources.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let wrong = violations(FLOORS, &files);
    assert!(wrong.is_empty(), "{}", listed(&wrong));
}

#[test]
fn the_floors_are_told_as_they_are() {
    if second_round() {
        return;
    }
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let rows = text.lines().skip_while(|line| *line != "| floor | who | what for |").skip(2);
    let rows: Vec<_> = rows.map_while(|line| line.split('|').nth(2)).collect();
    let told = |row: &&str| {
        let named = row.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
        named.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let told: Vec<_> = rows.iter().rev().map(told).collect();
    let doors = FLOORS.iter().position(|floor| floor.contains(&"http")).unwrap();
    for (floor, told) in FLOORS.iter().zip(&told).take(doors) {
        let names = floor.iter().flat_map(|name| name.split("::")).map(str::to_owned);
        assert_eq!(*told, names.collect::<BTreeSet<_>>());
    }
    assert_eq!(told.len(), FLOORS.len());
}

#[test]
fn excuses_say_why_and_only_shrink() {
    if second_round() {
        return;
    }
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for (path, text) in rust_files(folder) {
            let excused = attributes(&blank(&text), "allow");
            let ignored = attributes(&blank(&text), "ignore");
            wrong.extend((excused > 0).then(|| format!("{path}: `allow` outlives its reason; use `expect`")));
            wrong.extend((ignored > 0).then(|| format!("{path}: a test that is never run")));
        }
    }
    assert!(wrong.is_empty(), "{}", listed(&wrong));

    let counted: Vec<_> = rust_files("src")
        .into_iter()
        .map(|(path, text)| (attributes(&blank(&text), "expect"), path))
        .filter(|(count, _)| *count > 0)
        .collect();
    let sum: usize = counted.iter().map(|(count, _)| count).sum();
    let lines = counted.iter().map(|(count, path)| format!("{count} {path}")).collect::<Vec<_>>();
    assert!(sum <= EXPECTS, "more `#[expect]`s than before ({sum}, not {EXPECTS}):{}", listed(&lines));
    assert!(sum == EXPECTS, "fewer `#[expect]`s than before: set EXPECTS to {sum}");
}

#[test]
fn files_are_short_begin_with_what_they_are_for_and_have_names_that_tell() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for (path, text) in rust_files(folder) {
            let lines = text.lines().count();
            let long = folder == "src" && lines > LONGEST;
            wrong.extend(long.then(|| format!("{path}: {lines} lines")));
            let of_tests = path.ends_with("tests.rs");
            wrong.extend((!text.starts_with("//!") && !of_tests).then(|| format!("{path}: no `//!` header")));
            let empty = EMPTY_NAMES.iter().find(|name| module(&path).iter().any(|part| part == *name));
            wrong.extend(empty.map(|name| format!("{path}: `{name}` says nothing")));
        }
    }
    assert!(wrong.is_empty(), "{}", listed(&wrong));
}

#[test]
fn what_the_lock_file_must_not_hold_is_not_there() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let held: BTreeSet<_> = lock.lines().filter_map(|line| line.strip_prefix("name = ")).collect();
    assert!(held.contains("\"rustls\""), "the lock file is not read as it should be");
    let wrong: Vec<_> = FORBIDDEN
        .iter()
        .filter(|name| held.contains(format!("\"{name}\"").as_str()))
        .map(|name| (*name).to_owned())
        .collect();
    assert!(wrong.is_empty(), "{}", listed(&wrong));
}

// The guard's own tests: that it sees what it should, and nothing else.

const SMALL: &[&[&str]] =
    &[&["clock", "error", "store"], &["users"], &["http"], &["*::api"], &["http::router"]];

fn said(files: &[(&str, &str)]) -> Vec<String> {
    violations(SMALL, files)
}

#[test]
fn a_use_from_below_is_seen_however_it_is_written() {
    for text in [
        "use crate::users::User;",
        "use crate::{clock, users::{self, User}};",
        "fn f() { crate::users::f::<u8>() }",
        "use super::users;",
        "mod tests { use super::super::users::User; }",
        "macro_rules! m { () => { $crate::users::f() } }",
        "const A: char = '\"'; use crate::users; const B: char = '\"';",
        "fn f<'a>(x: &'a str) { crate::users::f(x) }",
        "const A: &str = r#\"\"#; use crate::users;",
        "/* /* */ */ use crate::users;",
        "#[cfg(test)] mod tests { fn f() {} } use crate::users;",
        "#[cfg(test)] mod tests; use crate::users;",
    ] {
        assert_eq!(
            said(&[("src/clock.rs", text)]),
            ["clock (src/clock.rs) uses users, which lies above it"],
            "{text}"
        );
    }
}

#[test]
fn words_in_comments_and_strings_and_uses_downward_are_no_uses_upward() {
    for text in [
        "// use crate::users;\n/// [`crate::users::User`]",
        "/* crate::users::f() /* nested */ crate::users */",
        "const A: &str = \"crate::users::f() \\\" crate::users\";",
        "const A: &str = r##\"crate::users \"# crate::users\"##;",
        "const A: &[u8] = b\"crate::users\";",
        "pub(crate) fn f() {}",
        "mod tests { use super::users; }",
        "use crate::error::Error;",
        "#[cfg(test)] mod tests { use crate::users; fn f() {} }",
    ] {
        assert_eq!(said(&[("src/clock.rs", text)]), Vec::<String>::new(), "{text}");
    }
    assert_eq!(said(&[("src/users/rules.rs", "use crate::store; use super::users;")]), Vec::<String>::new());
}

#[test]
fn circles_strangers_and_side_doors_are_seen() {
    let circle = said(&[
        ("src/clock.rs", "use crate::error::Error;"),
        ("src/error.rs", "use crate::store;"),
        ("src/store/sql.rs", "use crate::clock;"),
    ]);
    assert_eq!(circle, ["in a circle: clock → error → store → clock"]);

    let stranger = said(&[("src/cellar/mod.rs", "")]);
    assert_eq!(stranger, ["src/cellar/mod.rs: not in the table of floors"]);

    let handler = ("src/users/api.rs", "use crate::http::Body; use crate::users::actions;");
    assert_eq!(said(&[handler, ("src/http/router.rs", "use crate::users::api;")]), Vec::<String>::new());
    let shortcut = said(&[handler, ("src/http/extract.rs", "use super::router;")]);
    assert_eq!(shortcut, ["http (src/http/extract.rs) uses http::router, which lies above it"]);
    let side_door = said(&[handler, ("src/http/extract.rs", "use crate::users::api;")]);
    assert_eq!(side_door, ["http (src/http/extract.rs) uses users::api, which lies above it"]);
}

#[test]
fn attributes_are_counted_and_calls_are_not() {
    let text = "#![expect(a)] #[expect(b, reason = \"#[expect(c)]\")] x.expect(d); // #[expect(e)]";
    assert_eq!(attributes(&blank(text), "expect"), 2);
}

// How it is read.

/// What is wrong between rooms, a sentence each. `files` are paths from the root, and contents.
fn violations(floors: &[&[&str]], files: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in files {
        let module = module(path);
        if module.is_empty() || matches!(module.last().map(String::as_str), Some("tests" | "testing")) {
            continue;
        }
        let Some((user, floor)) = place(floors, &module) else {
            wrong.insert(format!("{path}: not in the table of floors"));
            continue;
        };
        for used in paths(&blank(text), &module) {
            let Some((used, height)) = place(floors, &used) else { continue };
            let room = |name: &str| name.split("::").next().map(str::to_owned);
            if height > floor {
                wrong.insert(format!("{user} ({path}) uses {used}, which lies above it"));
            } else if height == floor && room(&used) != room(&user) {
                uses.entry(user.clone()).or_default().insert(used);
            }
        }
    }
    let mut seen = BTreeSet::new();
    for start in uses.keys() {
        wrong.extend(circle(&uses, &mut vec![start.clone()], &mut seen));
    }
    wrong.into_iter().collect()
}

/// The first circle below the end of `way`, told once.
fn circle(
    uses: &BTreeMap<String, BTreeSet<String>>,
    way: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
) -> Option<String> {
    let here = way.last()?.clone();
    if !seen.insert(here.clone()) {
        return None;
    }
    for next in uses.get(&here).into_iter().flatten() {
        way.push(next.clone());
        if let Some(start) = way.iter().position(|room| room == next).filter(|at| at + 1 < way.len()) {
            return Some(format!("in a circle: {}", way[start..].join(" → ")));
        }
        if let Some(found) = circle(uses, way, seen) {
            return Some(found);
        }
        way.pop();
    }
    None
}

/// The entry of the table that a module belongs to, as a name, and its floor.
fn place(floors: &[&[&str]], module: &[String]) -> Option<(String, usize)> {
    let [room, rest @ ..] = module else { return None };
    let on = |name: &str| floors.iter().position(|floor| floor.contains(&name));
    if let Some(part) = rest.first() {
        let full = format!("{room}::{part}");
        if let Some(floor) = on(&full) {
            return Some((full, floor));
        }
        if let Some(floor) = on(&format!("*::{part}")).filter(|_| on(room).is_some()) {
            return Some((full, floor));
        }
    }
    Some((room.clone(), on(room)?))
}

/// `src/store/sql.rs` is `["store", "sql"]`; the root is empty.
fn module(path: &str) -> Vec<String> {
    let inside = path.split_once('/').map_or(path, |(_, inside)| inside).trim_end_matches(".rs");
    let parts = inside.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main"));
    parts.map(str::to_owned).collect()
}

/// How a module of unit tests begins.
const TESTS: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];

/// The place after the block, or the `;`, that comes next.
fn past_block(tokens: &[&str], from: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match *token {
            "{" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Every path in `text` that starts at the root of the crate, by whatever way it gets there.
fn paths(text: &str, module: &[String]) -> Vec<Vec<String>> {
    let tokens = tokens(text);
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| *token == word);
    let mut found = Vec::new();
    let mut inner: Vec<(usize, &str)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match *token {
            "#" if tokens.get(at..at + 8).is_some_and(|next| next == TESTS) => {
                at = past_block(&tokens, at);
                continue;
            }
            "{" => {
                depth += 1;
                if at >= 2 && is(at - 2, "mod") {
                    inner.push((depth, tokens[at - 1]));
                }
            }
            "}" => {
                inner.retain(|(opened, _)| *opened < depth);
                depth -= 1;
            }
            "crate" if is(at + 1, "::") => tree(&tokens, at + 2, Vec::new(), &mut found),
            "super" if is(at + 1, "::") && (at == 0 || !is(at - 1, "::")) => {
                let mut base = module.to_vec();
                base.extend(inner.iter().map(|(_, name)| (*name).to_owned()));
                let mut next = at;
                while is(next, "super") {
                    base.pop();
                    next += 2;
                }
                tree(&tokens, next, base, &mut found);
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// One path or tree of paths (`a::{b, c::d}`) from `at` on.
fn tree(tokens: &[&str], mut at: usize, mut path: Vec<String>, found: &mut Vec<Vec<String>>) {
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                let mut depth = 0;
                let mut fresh = true;
                while let Some(token) = tokens.get(at) {
                    match *token {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ if fresh && depth == 1 => tree(tokens, at, path.clone(), found),
                        _ => {}
                    }
                    fresh = matches!(*token, "{" | ",");
                    if depth == 0 {
                        return;
                    }
                    at += 1;
                }
                return;
            }
            Some(word) if *word != "self" && word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                path.push((*word).to_owned());
            }
            _ => break,
        }
        if tokens.get(at + 1) != Some(&"::") {
            break;
        }
        at += 2;
    }
    found.push(path);
}

/// How many attributes of this name there are.
fn attributes(text: &str, name: &str) -> usize {
    let tokens = tokens(text);
    let opens = |window: &[&str]| matches!(window, ["#", "[", word] if *word == name);
    let opens_inside = |window: &[&str]| matches!(window, ["#", "!", "[", word] if *word == name);
    tokens.windows(3).filter(|window| opens(window)).count()
        + tokens.windows(4).filter(|window| opens_inside(window)).count()
}

/// Words, `::`, and every other sign alone.
fn tokens(text: &str) -> Vec<&str> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if word(first) {
            rest.find(|c| !word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// The text without its comments and without what stands in quotes.
pub fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let starts_word = !(before.is_alphanumeric() || before == '_');
        let length = quoted(rest, starts_word).unwrap_or(0);
        if length == 0 {
            out.push(first);
            before = first;
            rest = from(rest, first.len_utf8());
        } else {
            out.push(' ');
            before = ' ';
            rest = from(rest, length);
        }
    }
    out
}

/// The length of the comment, string or character that `rest` starts with.
fn quoted(rest: &str, starts_word: bool) -> Option<usize> {
    let end = |start: usize, mark: &str| {
        from(rest, start).find(mark).map_or(rest.len(), |at| start + at + mark.len())
    };
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        let mut depth = 0_usize;
        let mut at = 0;
        while at < rest.len() {
            match &rest.as_bytes()[at..] {
                [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
                [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
                _ => at += 1,
            }
            if depth == 0 {
                return Some(at);
            }
        }
        return Some(rest.len());
    }
    let prefix = ["br", "cr", "r", "b", "c"].into_iter().find(|prefix| {
        let after = rest.strip_prefix(prefix).unwrap_or_default();
        let raw = prefix.ends_with('r');
        starts_word && (after.starts_with('"') || raw && after.trim_start_matches('#').starts_with('"'))
    });
    let start = prefix.map_or(0, str::len);
    if prefix.is_some_and(|prefix| prefix.ends_with('r')) {
        let hashes = from(rest, start).bytes().take_while(|byte| *byte == b'#').count();
        return Some(end(start + hashes + 1, &format!("\"{}", "#".repeat(hashes))));
    }
    if from(rest, start).starts_with('"') {
        return Some(closed(rest, start + 1, '"'));
    }
    // `'a'` and `'\n'` are characters; `'a` is a lifetime.
    let mut signs = rest.strip_prefix('\'')?.chars();
    match (signs.next()?, signs.next()?) {
        ('\\', _) => Some(closed(rest, 1, '\'')),
        (sign, '\'') => Some(2 + sign.len_utf8()),
        _ => None,
    }
}

/// Where what opened before `from` is closed, past its escapes.
fn closed(rest: &str, from: usize, mark: char) -> usize {
    let mut escaped = false;
    for (at, sign) in rest.char_indices().skip_while(|(at, _)| *at < from) {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            sign if sign == mark => return at + mark.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn from(text: &str, start: usize) -> &str {
    text.split_at(start).1
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A line of the log as JSON has its sentence as `message`: a field of that name would be there twice.
#[test]
fn no_field_of_the_log_is_called_message() {
    let mut found = Vec::new();
    for (name, text) in rust_files("src") {
        for (at, _) in text.match_indices("tracing::") {
            let call: String = text[at..].chars().take_while(|letter| *letter != ';').collect();
            let is_call = ["error!(", "warn!(", "info!(", "debug!(", "trace!("]
                .iter()
                .any(|level| call["tracing::".len()..].starts_with(level));
            if is_call && call.split(['(', ',']).any(|part| part.trim_start().starts_with("message =")) {
                found.push(format!("{name}: {call}"));
            }
        }
    }
    assert!(found.is_empty(), "a field `message` stands beside the sentence:{}", listed(&found));
}

/// Every Rust file below `folder`: its path from the root, and its content.
pub fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut waiting: Vec<PathBuf> = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    files.sort();
    files
}

fn listed(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut list, line| {
        let _ = write!(list, "\n  {line}");
        list
    })
}
