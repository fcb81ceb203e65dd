//! Rows of other systems, read one after the other: CSV (RFC 4180) or JSON lines.
//!
//! Always holds: no more than one row is in memory, and no row is longer than [`LONGEST`], whatever the
//! file holds. A row that cannot be read is told with its line, and the next one is read all the same.

use std::io::{self, BufRead, Read};

use serde_json::{Map, Value as Json};

use crate::error::FieldError;

/// Most bytes of one row: far more than anybody's, far less than would hurt.
pub const LONGEST: usize = 256 * 1_024;

/// What a row says: the names and values of one JSON object. Of CSV, everything is text, and what is
/// empty is not there.
pub type Fields = Map<String, Json>;

/// A row, and the line on which it begins, from 1.
#[derive(Debug)]
pub struct Row {
    /// The line.
    pub line: u64,
    /// What it says, or why that cannot be read.
    pub fields: Result<Fields, FieldError>,
}

/// Lines of a bounded length.
struct Lines<R> {
    input: R,
    number: u64,
}

/// Why a file as a whole cannot be read.
pub type Unreadable = String;

enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    TooLong,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let most = u64::try_from(LONGEST + 2).unwrap_or(u64::MAX);
        if self.input.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() > LONGEST {
            self.skip_line()?;
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        Ok(Some(if bytes.len() > LONGEST { Line::TooLong } else { Line::Whole(bytes) }))
    }

    /// Leaves out what is left of a line.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (length, done) =
                (end.map_or(buffer.len(), |end| end + 1), end.is_some() || buffer.is_empty());
            self.input.consume(length);
            if done {
                return Ok(());
            }
        }
    }
}

fn fault(code: &'static str, sentence: impl Into<String>) -> FieldError {
    FieldError::new("", code, sentence.into())
}

fn too_long() -> FieldError {
    fault("too-long", format!("This row has more than {LONGEST} bytes."))
}

fn text(bytes: Vec<u8>) -> Result<String, FieldError> {
    String::from_utf8(bytes).map_err(|_| fault("encoding", "This row is not UTF-8."))
}

/// Rows of a file that holds one JSON object on each line.
pub struct JsonLines<R>(Lines<R>);

impl<R: BufRead> JsonLines<R> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self(Lines { input, number: 0 })
    }

    /// The next row.
    ///
    /// # Errors
    /// Only when the file cannot be read at all.
    pub fn read(&mut self) -> Result<Option<Row>, Unreadable> {
        loop {
            let line = match self.0.next().map_err(|error| error.to_string())? {
                None => return Ok(None),
                Some(line) => line,
            };
            let fields = match line {
                Line::TooLong => Err(too_long()),
                Line::Whole(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => continue,
                Line::Whole(bytes) => text(bytes).and_then(|text| object(&text)),
            };
            return Ok(Some(Row { line: self.0.number, fields }));
        }
    }
}

/// One row that is a JSON object.
///
/// # Errors
/// `malformed` or `too-long`.
pub fn object(text: &str) -> Result<Fields, FieldError> {
    if text.len() > LONGEST {
        return Err(too_long());
    }
    // The parser's words may quote the row, and the row holds a hash: only the place is told.
    serde_json::from_str::<Fields>(text).map_err(|error| {
        fault("malformed", format!("This is not a JSON object (column {}).", error.column()))
    })
}

/// Rows of a CSV file whose first row names the columns.
pub struct Csv<R> {
    lines: Lines<R>,
    separator: u8,
    columns: Vec<String>,
}

impl<R: BufRead> Csv<R> {
    /// Reads the names of the columns from `input`.
    ///
    /// # Errors
    /// Without names, with one twice, or when the file cannot be read.
    pub fn new(input: R, separator: u8) -> Result<Self, Unreadable> {
        let mut csv = Self { lines: Lines { input, number: 0 }, separator, columns: Vec::new() };
        let first = csv.record()?.ok_or("The file is empty: its first line names the columns.")?;
        let columns = first.values.map_err(|error| format!("The names of the columns: {}", error.message))?;
        csv.columns = columns.iter().map(|name| name.trim().to_owned()).collect();
        for (at, name) in csv.columns.iter().enumerate() {
            if name.is_empty() || csv.columns.iter().take(at).any(|other| other == name) {
                return Err(format!(
                    "Column {} has no name, or one that is there already: `{name}`.",
                    at + 1
                ));
            }
        }
        Ok(csv)
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next row.
    ///
    /// # Errors
    /// Only when the file cannot be read at all.
    pub fn read(&mut self) -> Result<Option<Row>, Unreadable> {
        let Some(Record { line, values }) = self.record()? else { return Ok(None) };
        let fields = values.and_then(|values| {
            if values.len() != self.columns.len() {
                let (has, wants) = (values.len(), self.columns.len());
                return Err(fault("columns", format!("This row has {has} columns, the first line {wants}.")));
            }
            let pairs = self.columns.iter().cloned().zip(values);
            Ok(pairs
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name, Json::String(value)))
                .collect())
        });
        Ok(Some(Row { line, fields }))
    }

    /// The next record, which may go over several lines.
    fn record(&mut self) -> Result<Option<Record>, Unreadable> {
        let (mut line, mut whole, mut at) = (0, Vec::new(), At::Start);
        let ended = |line, why| Ok(Some(Record { line, values: Err(why) }));
        loop {
            let next = match self.lines.next().map_err(|error| error.to_string())? {
                None if line == 0 => return Ok(None),
                None => return ended(line, fault("malformed", "A quote in this row is never closed.")),
                Some(next) => next,
            };
            match next {
                Line::Whole(bytes) if line == 0 && bytes.is_empty() => continue,
                Line::Whole(bytes) if whole.len() + bytes.len() <= LONGEST => {
                    line = if line == 0 { self.lines.number } else { line };
                    let Some(place) = bytes.iter().try_fold(at, |at, byte| at.then(*byte, self.separator))
                    else {
                        return ended(line, misquoted());
                    };
                    whole.extend(bytes);
                    if place != At::Quoted {
                        let values = text(whole).and_then(|text| split(&text, char::from(self.separator)));
                        return Ok(Some(Record { line, values }));
                    }
                    whole.push(b'\n');
                    at = place;
                }
                // What an open quote swallows is bounded by this; the next line begins anew.
                Line::Whole(_) | Line::TooLong => {
                    return ended(if line == 0 { self.lines.number } else { line }, too_long());
                }
            }
        }
    }
}

struct Record {
    line: u64,
    values: Result<Vec<String>, FieldError>,
}

/// Where in a record one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Plain,
    Quoted,
    /// Behind a quote that closes, or is the first half of a doubled one.
    Closed,
}

impl At {
    /// Behind one more byte; nowhere when a quote stands where none may.
    fn then(self, byte: u8, separator: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Start | Self::Closed, b'"') => Self::Quoted,
            (Self::Quoted, b'"') => Self::Closed,
            (Self::Plain, b'"') => return None,
            (Self::Quoted, _) => Self::Quoted,
            (_, byte) if byte == separator => Self::Start,
            (Self::Closed, _) => return None,
            (Self::Start | Self::Plain, _) => Self::Plain,
        })
    }
}

fn misquoted() -> FieldError {
    fault("malformed", "A quote in this row stands in the middle of a value.")
}

/// The values of one record.
fn split(record: &str, separator: char) -> Result<Vec<String>, FieldError> {
    let (mut values, mut value) = (Vec::new(), String::new());
    let mut letters = record.chars().peekable();
    loop {
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next() {
                    Some('"') if letters.next_if_eq(&'"').is_some() => value.push('"'),
                    Some('"') => break,
                    Some(letter) => value.push(letter),
                    None => return Err(misquoted()),
                }
            }
        } else {
            while let Some(letter) = letters.next_if(|letter| *letter != separator) {
                if letter == '"' {
                    return Err(misquoted());
                }
                value.push(letter);
            }
        }
        values.push(std::mem::take(&mut value));
        match letters.next() {
            None => return Ok(values),
            Some(letter) if letter == separator => {}
            Some(_) => return Err(misquoted()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(bytes: &[u8]) -> Vec<(u64, Result<Vec<String>, String>)> {
        let mut csv = Csv::new(bytes, b',').unwrap();
        let mut rows = Vec::new();
        while let Some(row) = csv.read().unwrap() {
            let values =
                |fields: Fields| fields.values().map(|value| value.as_str().unwrap().to_owned()).collect();
            rows.push((row.line, row.fields.map(values).map_err(|error| error.code.into_owned())));
        }
        rows
    }

    fn good(line: u64, values: &[&str]) -> (u64, Result<Vec<String>, String>) {
        (line, Ok(values.iter().map(|value| (*value).to_owned()).collect()))
    }

    #[test]
    fn csv_as_it_comes() {
        let text = b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n\"x, \"\"y\"\"\",\"two\r\nlines\"\n,only\nlast,line";
        let found = rows(text);
        assert_eq!(
            found,
            [
                good(2, &["1", "2"]),
                good(4, &["x, \"y\"", "two\nlines"]),
                good(6, &["only"]),
                good(7, &["last", "line"])
            ]
        );
    }

    #[test]
    fn a_bad_row_is_told_and_the_next_one_read() {
        let long = "x".repeat(LONGEST + 1);
        let text =
            [b"a,b\n1\n\xff,1\nx\"yz,1\n\"q\"z,1\n".as_slice(), long.as_bytes(), b",1\n1,2\n\"open,1\n"]
                .concat();
        let codes: Vec<_> = rows(&text).into_iter().map(|(line, row)| (line, row.err())).collect();
        let bad = |line, code: &str| (line, Some(code.to_owned()));
        assert_eq!(
            codes,
            [
                bad(2, "columns"),
                bad(3, "encoding"),
                bad(4, "malformed"),
                bad(5, "malformed"),
                bad(6, "too-long"),
                (7, None),
                bad(8, "malformed")
            ]
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_swallows_a_bounded_part() {
        let text = format!("a\n\"open\n{}", "1234567890\n".repeat(100_000));
        let found = rows(text.as_bytes());
        assert_eq!(found[0].1, Err("too-long".to_owned()));
        assert!(found.len() > 70_000, "{}", found.len());
    }

    #[test]
    fn names_of_columns_are_there_once() {
        for text in ["", "a,a\n", "a,\n", "\"a\n"] {
            assert!(Csv::new(text.as_bytes(), b',').is_err(), "{text}");
        }
    }

    #[test]
    fn json_lines_as_they_come() {
        let text = b"\xef\xbb\xbf{\"a\": 1}\r\n\n{\"a\"\n[]\n\xff\n{\"b\": \"\xc3\xa9\"}";
        let mut lines = JsonLines::new(text.as_slice());
        let mut found = Vec::new();
        while let Some(row) = lines.read().unwrap() {
            found.push((
                row.line,
                row.fields.map_err(|error| error.code.into_owned()).map(|fields| fields.len()),
            ));
        }
        let bad = |line, code: &str| (line, Err(code.to_owned()));
        assert_eq!(
            found,
            [(1, Ok(1)), bad(3, "malformed"), bad(4, "malformed"), bad(5, "encoding"), (6, Ok(1))]
        );
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(values in proptest::collection::vec("[^\r\0]{1,12}", 1..5)) {
            let quoted: Vec<_> = values.iter().map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect();
            let names: Vec<_> = (0..values.len()).map(|at| format!("c{at}")).collect();
            let text = format!("{}\n{}\n", names.join(","), quoted.join(","));
            let mut csv = Csv::new(text.as_bytes(), b',').unwrap();
            let fields = csv.read().unwrap().unwrap().fields.unwrap();
            let read: Vec<_> = names.iter().map(|name| fields[name].as_str().unwrap().to_owned()).collect();
            prop_assert_eq!(read, values);
            prop_assert!(csv.read().unwrap().is_none());
        }

        #[test]
        fn nothing_makes_it_panic_or_run_on(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(mut csv) = Csv::new(bytes.as_slice(), b',') {
                let mut rows = 0;
                while csv.read().unwrap().is_some() { rows += 1; }
                prop_assert!(rows <= bytes.len());
            }
        }
    }
}
