//! The log: for people on a terminal, one JSON object a line for machines.
//!
//! It goes to standard error, so that what a command prints can be piped. No secret is ever in it:
//! the types that hold secrets do not show them at any level.

mod access;
mod lines;
mod request;

pub use access::Answered;
pub use lines::Writing;
pub use request::of_request;

use std::fmt;
use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::Clock;
use crate::config::{Log, LogFormat};
use access::{ACCESS, BY_HAND};
use lines::Lines;
use request::Named;

/// Starts the log of the process, which goes on until what is returned is dropped.
///
/// # Errors
/// A sentence, when the filter cannot be read or a log has been started before.
pub fn start(settings: &Log) -> Result<Writing, String> {
    let levels: Targets = settings.level.parse().map_err(|error| format!("log.level: {error}."))?;
    let terminal = std::io::stderr().is_terminal();
    let failed = |error: &dyn std::fmt::Display| format!("The log cannot be started: {error}.");
    let (lines, writing) = Lines::start(Box::new(std::io::stderr())).map_err(|error| failed(&error))?;
    let log = tracing_subscriber::fmt::layer().with_writer(lines.clone()).with_timer(Utc);
    let is_human = is_human(settings.format, terminal);
    let by_hand = !is_human && levels.would_enable(ACCESS, &Level::INFO);
    let levels = tracing_subscriber::registry().with(levels);
    let started = if is_human {
        let log = log.with_target(false).with_ansi(terminal);
        levels.with(log.map_event_format(|line| Named::human(line.with_ansi(terminal)))).try_init()
    } else {
        levels.with(log.json().flatten_event(true).map_event_format(Named::json)).try_init()
    };
    started.map_err(|error| failed(&error))?;
    if by_hand {
        // The first log of the process, as the one that has just been started.
        BY_HAND.get_or_init(|| lines.clone());
    }
    // What led to a panic is told before the panic is.
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        lines.write_out();
        told(panic);
    }));
    Ok(writing)
}

/// The machine's time, as the house writes every instant.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        write!(to, "{}", Clock::System.now())
    }
}

fn is_human(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_the_terminal_and_the_others_do_not() {
        assert!(is_human(LogFormat::Auto, true) && !is_human(LogFormat::Auto, false));
        assert!(is_human(LogFormat::Human, false) && !is_human(LogFormat::Json, true));
    }
}
