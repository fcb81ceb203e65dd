//! Whose request a line belongs to: the id travels with the work, and every line written meanwhile
//! names it. (A span would do the same, and cost as much as recognising the session.)

use std::fmt;
use std::sync::Arc;

use tokio::task::futures::TaskLocalFuture;
use tokio::task_local;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

task_local! {
    static REQUEST: Arc<str>;
}

/// `work` as a part of answering the request `id`: what it logs names the request.
pub fn of_request<F: Future>(id: Arc<str>, work: F) -> TaskLocalFuture<Arc<str>, F> {
    REQUEST.scope(id, work)
}

/// Lines as `line` writes them, with the request's id where there is one.
pub(super) struct Named<F> {
    line: F,
    /// What a line ends with, before which the id is put in.
    end: &'static str,
    name: fn(&str) -> String,
}

impl<F> Named<F> {
    /// Lines for people.
    pub(super) fn human(line: F) -> Self {
        Self { line, end: "\n", name: |id| format!(" request_id={id}") }
    }

    /// One JSON object a line.
    pub(super) fn json(line: F) -> Self {
        Self { line, end: "}\n", name: |id| format!(",\"request_id\":{}", serde_json::Value::from(id)) }
    }
}

impl<S, N, F> FormatEvent<S, N> for Named<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Ok(name) = REQUEST.try_with(|id| (self.name)(id)) else {
            return self.line.format_event(ctx, to, event);
        };
        let mut line = String::new();
        self.line.format_event(ctx, Writer::new(&mut line), event)?;
        let (start, end) = match line.strip_suffix(self.end) {
            Some(start) => (start, self.end),
            None => (line.as_str(), ""),
        };
        [start, &name, end].iter().try_for_each(|part| to.write_str(part))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use serde_json::Value as Json;
    use tracing::instrument::WithSubscriber;
    use tracing_subscriber::fmt::MakeWriter;

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

    impl<'w> MakeWriter<'w> for Paper {
        type Writer = Self;
        fn make_writer(&'w self) -> Self {
            self.clone()
        }
    }

    async fn said() {
        tracing::info!("before");
        let one = of_request("one".into(), async {
            tokio::task::yield_now().await;
            tracing::warn!(why = "a \"reason\"", "inside");
        });
        let two = of_request("two".into(), async { tracing::info!("too") });
        tokio::join!(one, two);
        tracing::info!("after");
    }

    #[tokio::test]
    async fn a_line_names_the_request_that_it_belongs_to_and_no_other() {
        let (human, json) = (Paper::default(), Paper::default());
        let log = || tracing_subscriber::fmt().with_ansi(false);
        let for_people = log().with_writer(human.clone()).map_event_format(Named::human).finish();
        let for_machines = log().json().flatten_event(true).with_writer(json.clone());
        let for_machines = for_machines.map_event_format(Named::json).finish();
        said().with_subscriber(for_people).await;
        said().with_subscriber(for_machines).await;
        let text = |paper: &Paper| String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let (human, json) = (text(&human), text(&json));
        let ends = |line: &str| line.split(": ").last().unwrap().to_owned();
        let lines: Vec<_> = human.lines().map(ends).collect();
        let inside = "inside why=\"a \\\"reason\\\"\" request_id=one";
        assert_eq!(lines, ["before", "too request_id=two", inside, "after"]);
        let named: Vec<_> = json
            .lines()
            .map(|line| serde_json::from_str::<Json>(line).unwrap()["request_id"].take())
            .collect();
        assert_eq!(named, [Json::Null, "two".into(), "one".into(), Json::Null]);
    }
}
