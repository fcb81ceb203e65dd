//! Settings in layers: documented defaults < file < environment < flags.
//!
//! The defaults are the whole truth about which settings exist and of which type each is; every
//! later layer may only say another value for one of them. All mistakes are collected, each as one
//! sentence that names where it was made, so that an operator mends a file once and not ten times.
//! Values are never repeated in a sentence before their type is known to be harmless: a secret that
//! stands where a number should must not end up in a log.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use toml::de::DeTable;
use toml::{Table, Value};

/// Where a value was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// In the defaults that are built in.
    Default,
    /// In a file.
    Line {
        /// The file as the operator named it.
        file: String,
        /// Counted from one.
        line: usize,
    },
    /// Under a name of its own: a variable, a flag, a mode.
    Named(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::Line { file, line } => write!(f, "{file} line {line}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// Everything that is wrong with the settings, one sentence each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Faults {}

struct Leaf {
    default: Value,
    value: Value,
    source: Source,
}

/// Layers of settings over one file of defaults.
pub struct Layers {
    pub(super) prefix: &'static str,
    shorts: &'static [(&'static str, &'static str)],
    leaves: BTreeMap<String, Leaf>,
    /// A section in which a file may make entries of its own, and what such an entry starts from.
    open: Option<(&'static str, Table)>,
    /// Paths that mean nothing here and something in another file, and the sentence that says in which.
    elsewhere: (Vec<String>, &'static str),
    /// Whether a file could not be read, so that nobody knows what it says.
    pub lacks_file: bool,
    /// Sentences about what cannot be accepted.
    pub faults: Vec<String>,
    /// Sentences about what is allowed and unwise.
    pub warnings: Vec<String>,
}

impl Layers {
    /// The lowest layer. A setting's variable is `prefix` and its path in capitals with `_` for `.`;
    /// `shorts` are further variables, each with the path that it stands for.
    pub fn new(
        defaults: &str,
        prefix: &'static str,
        shorts: &'static [(&'static str, &'static str)],
    ) -> Self {
        let mut layers = Self {
            prefix,
            shorts,
            leaves: BTreeMap::new(),
            open: None,
            elsewhere: Default::default(),
            lacks_file: false,
            faults: Vec::new(),
            warnings: Vec::new(),
        };
        match defaults.parse::<Table>() {
            Ok(table) => layers.plant("", table),
            Err(error) => layers.faults.push(format!("built-in defaults: {}.", error.message())),
        }
        layers
    }

    fn plant(&mut self, above: &str, table: Table) {
        for (key, value) in table {
            let path = join(above, &key);
            match value {
                Value::Table(table) => self.plant(&path, table),
                value => {
                    let leaf = Leaf { default: value.clone(), value, source: Source::Default };
                    self.leaves.insert(path, leaf);
                }
            }
        }
    }

    /// Lets a file make entries of its own in `section`: tables, at any depth, that say something for
    /// a key of `blank`, from which they start.
    pub fn open(&mut self, section: &'static str, blank: &str) {
        match blank.parse::<Table>() {
            Ok(blank) => self.open = Some((section, blank)),
            Err(error) => self.faults.push(format!("built-in defaults: {}.", error.message())),
        }
    }

    /// Makes room for what a file says at `path`, when it may. Whether it may.
    fn make_room(&mut self, path: &str, value: &Value) -> bool {
        let (Some((section, blank)), Value::Table(table)) = (&self.open, value) else { return false };
        if self.word_in(path).is_some() {
            return false;
        }
        let inside = path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
        if inside && (table.is_empty() || table.keys().any(|key| blank.contains_key(key))) {
            let blank = blank.clone();
            self.plant(path, blank);
        }
        inside
    }

    /// In a path inside the open section, what ends with a word that says something about an entry. No entry has one
    /// in its name: who reads the name would take the rest of it for what is said.
    fn word_in<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (section, blank) = self.open.as_ref()?;
        let inside = path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
        let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
        let mut begun = ends.filter_map(|end| path.get(..end));
        begun.find(|begun| inside && blank.contains_key(last(begun)))
    }

    /// Every setting's path.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.leaves.keys().map(String::as_str)
    }

    /// Every variable and the path of the setting that it sets.
    pub fn variables(&self) -> Vec<(String, String)> {
        let by_path = self.paths().map(|path| {
            (format!("{}{}", self.prefix, path.replace('.', "_").to_uppercase()), path.to_owned())
        });
        by_path
            .chain(self.shorts.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())))
            .collect()
    }

    /// Lays the TOML `text` of `file` over what is there.
    pub fn lay_file(&mut self, file: &str, text: &str) {
        let (spans, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            self.lacks_file = true;
            // Only the words of the reader and never the line itself: it may hold a secret.
            let mut last = 0;
            for error in errors {
                let line = line_of(text, error.span().map_or(0, |span| span.start));
                if line != last {
                    self.faults.push(format!(
                        "{file} line {line}: this is not TOML: {}.",
                        one_line(error.message())
                    ));
                }
                last = line;
            }
            return;
        }
        match text.parse::<Table>() {
            Ok(table) => self.lay_table("", &table, spans.get_ref(), file, text),
            Err(error) => {
                self.lacks_file = true;
                self.faults.push(format!("{file}: this is not TOML: {}.", one_line(error.message())));
            }
        }
    }

    fn lay_table(&mut self, above: &str, table: &Table, spans: &DeTable<'_>, file: &str, text: &str) {
        for (key, span) in spans {
            let Some(value) = table.get(key.get_ref().as_ref()) else { continue };
            let path = join(above, key.get_ref());
            let source = Source::Line { file: file.to_owned(), line: line_of(text, key.span().start) };
            if self.leaves.contains_key(&path) {
                self.lay(&path, value.clone(), source);
            } else if !self.is_section(&path) && !self.make_room(&path, value) {
                let sentence = self.unknown(&path);
                self.faults.push(format!("{source}: {sentence}"));
            } else if let (Value::Table(inner), Some(spans)) = (value, span.get_ref().as_table()) {
                self.lay_table(&path, inner, spans, file, text);
            } else {
                self.faults.push(format!("{source}: {path} is a section and has no value of its own."));
            }
        }
    }

    fn is_section(&self, path: &str) -> bool {
        let inside = format!("{path}.");
        self.paths().any(|leaf| leaf.starts_with(&inside))
    }

    fn lay(&mut self, path: &str, value: Value, source: Source) {
        let Some(leaf) = self.leaves.get_mut(path) else { return };
        let fits = match (&leaf.default, &value) {
            (Value::Array(_), Value::Array(items)) => items.iter().all(Value::is_str),
            (default, value) => default.same_type(value),
        };
        let negative = matches!(value, Value::Integer(number) if number < 0);
        if fits && !negative {
            (leaf.value, leaf.source) = (value, source);
            return;
        }
        let wanted = match &leaf.default {
            Value::String(example) if !example.is_empty() => format!("text such as \"{example}\""),
            Value::Array(_) => "a list of texts such as [\"one\", \"two\"]".to_owned(),
            Value::Integer(_) => "a whole number, not below 0".to_owned(),
            other => kind(other).to_owned(),
        };
        self.faults.push(format!("{source}: {path} must be {wanted}, not {}.", kind(&value)));
    }

    /// Sets one setting from plain text, as a variable or a flag gives it. Lists are separated by commas or lines.
    pub fn set(&mut self, path: &str, text: &str, source: Source) {
        let Some(leaf) = self.leaves.get(path) else {
            let sentence = self.unknown(path);
            self.faults.push(format!("{source}: {sentence}"));
            return;
        };
        let value = match &leaf.default {
            Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
            Value::Boolean(_) => text.trim().parse().ok().map(Value::Boolean),
            Value::Array(_) => {
                let items = text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.map(Value::from).collect()))
            }
            _ => None,
        };
        self.lay(path, value.unwrap_or_else(|| Value::from(text)), source);
    }

    /// The text of a setting before all of them are read as one.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.leaves.get(path)?.value.as_str()
    }

    /// Reads all settings as one value. A setting that cannot be read is a fault, and its default
    /// stands in, so that the faults behind it come to light as well.
    pub fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        for _ in 0..=self.leaves.len() {
            let error = match serde_path_to_error::deserialize(self.nested()) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let path = error.path().to_string();
            let sentence = one_line(error.inner().message());
            let mended = self.leaves.iter_mut().find(|(leaf, _)| {
                path.strip_prefix(leaf.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
            });
            let Some((name, leaf)) = mended.filter(|(_, leaf)| leaf.source != Source::Default) else {
                self.faults.push(format!("built-in default: {path}: {sentence}."));
                return None;
            };
            self.faults.push(format!("{}: {name}: {sentence}.", leaf.source));
            (leaf.value, leaf.source) = (leaf.default.clone(), Source::Default);
        }
        None
    }

    fn nested(&self) -> Value {
        let mut root = Table::new();
        for (path, leaf) in &self.leaves {
            insert(&mut root, path, leaf.value.clone());
        }
        Value::Table(root)
    }

    /// Notes that the value of `path` cannot be accepted: `sentence` goes on after the path, without a full stop.
    pub fn fault(&mut self, path: &str, sentence: impl fmt::Display) {
        let sentence = self.about(path, sentence);
        self.faults.push(sentence);
    }

    /// Notes that the value of `path` is allowed and unwise.
    pub fn warn(&mut self, path: &str, sentence: impl fmt::Display) {
        let sentence = self.about(path, sentence);
        self.warnings.push(sentence);
    }

    /// Notes a fault unless `holds`.
    pub fn must(&mut self, holds: bool, path: &str, sentence: impl fmt::Display) {
        if !holds {
            self.fault(path, sentence);
        }
    }

    /// Notes a fault unless `holds`, which is about `path` together with `other`: when `path` is as
    /// it was by default, the mistake was made where `other` was said.
    pub fn must_with(&mut self, holds: bool, path: &str, other: &str, sentence: impl fmt::Display) {
        if !holds {
            let source = Some(self.source(path)).filter(|source| **source != Source::Default);
            let source = source.unwrap_or_else(|| self.source(other));
            self.faults.push(format!("{source}: {path} {sentence}."));
        }
    }

    /// Whether somebody set `path`, and not only the defaults.
    pub fn is_said(&self, path: &str) -> bool {
        *self.source(path) != Source::Default
    }

    fn about(&self, path: &str, sentence: impl fmt::Display) -> String {
        format!("{}: {path} {sentence}.", self.source(path))
    }

    fn source(&self, path: &str) -> &Source {
        self.leaves.get(path).map_or(&Source::Default, |leaf| &leaf.source)
    }

    /// Whoever says here what belongs to `other` is told so by `sentence`, which goes on after the path.
    pub fn beside(&mut self, other: &Self, sentence: &'static str) {
        self.elsewhere = (other.paths().map(str::to_owned).collect(), sentence);
    }

    fn unknown(&self, path: &str) -> String {
        let (there, sentence) = &self.elsewhere;
        let inside = format!("{path}.");
        if there.iter().any(|one| one == path || one.starts_with(&inside)) {
            return format!("{path} {sentence}.");
        }
        let is_known = |begun: &&str| self.leaves.contains_key(*begun) || self.is_section(begun);
        if let Some(word) = self.word_in(path).filter(|begun| !is_known(begun)).map(last) {
            return format!(
                "{path} cannot be called so: `{word}` says something about what is named before it, and is part \
                 of no name."
            );
        }
        format!("{path} is not a setting; did you mean {}?", self.nearest_path(path))
    }

    fn nearest_path(&self, wrong: &str) -> String {
        let mut known: Vec<&str> = self.paths().collect();
        known.extend(self.paths().filter_map(|path| Some(path.rsplit_once('.')?.0)));
        // A right name in the wrong section is as near as one wrong letter.
        let distance = |path: &&str| {
            let (end, wrong_end) = (last(path), last(wrong));
            strsim::osa_distance(path, wrong).min(1 + 2 * strsim::osa_distance(end, wrong_end))
        };
        known.into_iter().min_by_key(distance).unwrap_or_default().to_owned()
    }
}

fn join(above: &str, key: &str) -> String {
    if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn insert(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(number) if *number < 0 => "a number below 0",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a decimal number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list of something else",
        Value::Table(_) => "a section",
    }
}

#[cfg(test)]
mod tests;
