//! The line of an answered request. There is one for every request, so for machines it is written by hand:
//! the general way costs as much as recognising the session. To the reader it is the same line.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use super::lines::Lines;
use crate::clock::{Clock, Timestamp};

/// The target of these lines, as `log.level` may name it.
pub(super) const ACCESS: &str = "vestibule::access";

/// Where they go by hand: set when the log is for machines and its levels let these lines through.
pub(super) static BY_HAND: OnceLock<Lines> = OnceLock::new();

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Its method.
    pub method: &'a str,
    /// The template of its path: a path itself can hold a token.
    pub route: &'a str,
    /// The answer's status.
    pub status: u16,
    /// From the request's head to the answer.
    pub took: Duration,
    /// The request's id, as it is told outside.
    pub request_id: &'a str,
    /// Who asked.
    pub client: IpAddr,
}

impl Answered<'_> {
    /// Writes the line.
    pub fn note(self) {
        match BY_HAND.get() {
            Some(lines) => lines.add(self.json(Clock::System.now()).as_bytes(), false),
            None => self.told(),
        }
    }

    /// The general way.
    fn told(self) {
        let Self { method, route, status, took, request_id, client } = self;
        let ms = took.as_secs_f64() * 1e3;
        tracing::info!(target: ACCESS, method, route, status, ms, request_id, client = %client, "answered");
    }

    fn json(self, at: Timestamp) -> String {
        let Self { method, route, status, took, request_id, client } = self;
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (millis, micros) = (micros / 1_000, micros % 1_000);
        let mut line = String::with_capacity(384);
        // Writing to a string cannot fail.
        let _ =
            write!(line, "{{\"timestamp\":\"{at}\",\"level\":\"INFO\",\"message\":\"answered\",\"method\":");
        push(&mut line, method);
        line.push_str(",\"route\":");
        push(&mut line, route);
        let _ = write!(line, ",\"status\":{status},\"ms\":{millis}.{micros:03},\"request_id\":");
        push(&mut line, request_id);
        let _ = writeln!(line, ",\"client\":\"{client}\",\"target\":\"{ACCESS}\"}}");
        line
    }
}

/// The text in quotation marks.
fn push(line: &mut String, text: &str) {
    if is_plain(text) {
        line.push('"');
        line.push_str(text);
        line.push('"');
    } else {
        line.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Whether JSON writes the text as it is.
fn is_plain(text: &str) -> bool {
    let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // To look at all of it is quicker than to stop early: many bytes are looked at together.
    !text.bytes().fold(false, |found, byte| found | special(byte))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_line_is_the_one_that_the_general_way_writes() {
        let v4: IpAddr = [203, 0, 113, 9].into();
        let v6: IpAddr = "2001:db8::7".parse().unwrap();
        for (route, micros, client) in
            [("/a/{id}", 7, v4), ("a \"b\" \\ \n ü", 1_000, v6), ("unmatched", 0, v4), ("", 12_345_678, v6)]
        {
            let took = Duration::from_micros(micros);
            let request = Answered { method: "GET", route, status: 200, took, request_id: "7", client };
            let paper = Paper::default();
            let writer = paper.clone();
            let general = tracing_subscriber::fmt().json().flatten_event(true);
            let general = general.with_writer(move || writer.clone()).finish();
            tracing::subscriber::with_default(general, || request.told());
            let general = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
            let ours = request.json(Clock::System.now());
            let order = |line: &str| {
                let names = ["timestamp", "level", "message", "method", "route", "status", "ms"];
                let names = names.into_iter().chain(["request_id", "client", "target"]);
                names.map(|name| line.find(&format!("\"{name}\":"))).is_sorted()
            };
            assert!(order(&general) && order(&ours) && ours.ends_with("}\n"), "{general}{ours}");
            let read = |line: &str| {
                let mut line: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
                let at = line.remove("timestamp").unwrap();
                at.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
                // Of a time the general way writes more digits than a clock knows.
                let ms = line.remove("ms").unwrap().as_f64().unwrap();
                (line, (ms * 1e3).round())
            };
            assert_eq!(read(&general), read(&ours));
        }
    }
}
