//! The log: for people on a terminal, one JSON object a line for machines.
//!
//! It goes to standard error, so that what a command prints can be piped. No secret is ever in it:
//! the types that hold secrets do not show them at any level.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts the log of the process.
///
/// # Errors
/// A sentence, when the filter cannot be read or a log has been started before.
pub fn start(settings: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.level).map_err(|error| format!("log.level: {error}."))?;
    let terminal = std::io::stderr().is_terminal();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal);
    let started = if is_human(settings.format, terminal) {
        log.with_target(false).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    started.map_err(|error| format!("The log cannot be started: {error}."))
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
