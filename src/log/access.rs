//! The line of an answered request, written by hand: there is one for every request, and the general
//! way to write it costs several times as much. To the reader it is the same line.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Utc;

/// The target of these lines.
pub const ACCESS: &str = "vestibule::access";

/// JSON: these lines by hand, all others as `.0` writes them.
pub(super) struct ByHand<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for ByHand<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() != ACCESS || ctx.lookup_current().is_some() {
            return self.0.format_event(ctx, to, event);
        }
        let mut line = Line(String::with_capacity(384));
        line.0.push_str("{\"timestamp\":\"");
        Utc.format_time(&mut Writer::new(&mut line.0))?;
        line.0.push_str("\",\"level\":\"");
        line.0.push_str(event.metadata().level().as_str());
        line.0.push('"');
        event.record(&mut line);
        line.name("target");
        line.text(ACCESS);
        line.0.push_str("}\n");
        to.write_str(&line.0)
    }
}

struct Line(String);

impl Line {
    fn name(&mut self, name: &str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn text(&mut self, text: &str) {
        if is_plain(text) {
            self.0.push('"');
            self.0.push_str(text);
            self.0.push('"');
        } else {
            self.json(text);
        }
    }

    fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        self.0.push_str(&serde_json::to_string(value).unwrap_or_default());
    }
}

/// Whether JSON writes the text as it is.
fn is_plain(text: &str) -> bool {
    let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // To look at all of it is quicker than to stop early: many bytes are looked at together.
    !text.bytes().fold(false, |found, byte| found | special(byte))
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field.name());
        let start = self.0.len();
        // Writing to a string cannot fail.
        let _ = write!(self.0, "\"{value:?}\"");
        let written = self.0.get(start + 1..self.0.len() - 1).unwrap_or_default();
        if !is_plain(written) {
            let written = written.to_owned();
            self.0.truncate(start);
            self.json(&written);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field.name());
        self.text(value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.name(field.name());
        self.json(&value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field.name());
        let _ = write!(self.0, "{value}");
    }
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

    fn said() {
        let client: std::net::IpAddr = [203, 0, 113, 9].into();
        for (route, ms) in
            [("/a/{id}", 0.00684), ("a \"b\" \\ \n ü", 1.0), ("unmatched", 1e-9), ("", 12345.678)]
        {
            tracing::info!(target: ACCESS, method = "GET", route, status = 200_u16, ms, request_id = "7", %client, "answered");
        }
        tracing::info!(target: "vestibule::other", route = "/x", "something else");
        let _inside = tracing::info_span!("request", id = "9").entered();
        tracing::warn!(target: ACCESS, route = "/x", "inside of a span");
    }

    #[test]
    fn the_line_is_the_one_that_the_general_way_writes() {
        let (plain, ours) = (Paper::default(), Paper::default());
        let (to_plain, to_ours) = (plain.clone(), ours.clone());
        let json = || tracing_subscriber::fmt().json().flatten_event(true);
        let general = json().with_writer(move || to_plain.clone()).finish();
        tracing::subscriber::with_default(general, said);
        let by_hand = json().map_event_format(ByHand).with_writer(move || to_ours.clone()).finish();
        tracing::subscriber::with_default(by_hand, said);
        let lines = |paper: &Paper| -> Vec<String> {
            let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
            let rest = |line: &str| line.split_once("\",\"level\"").unwrap().1.to_owned();
            assert!(
                text.lines()
                    .all(|line| line.starts_with("{\"timestamp\":\"20") && line.contains("Z\",\"level\""))
            );
            text.lines().map(rest).collect()
        };
        assert_eq!(lines(&plain), lines(&ours));
        assert_eq!(lines(&ours).len(), 6);
    }
}
