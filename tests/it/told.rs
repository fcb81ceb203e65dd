//! What tests tell besides whether they hold: figures, and what could not be tried here.
//!
//! What a test prints is swallowed when it passes. So `scripts/test` names a file, shows at its end what is in it, and
//! fails where `CI` is true and something was left out.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;

/// A line with what was counted or timed.
pub fn figure(what: impl Display) {
    tell(&what.to_string());
}

/// A line that says why a test shows nothing here.
pub fn left_out(why: impl Display) {
    tell(&format!("LEFT OUT: {why}"));
}

fn tell(line: &str) {
    assert!(!line.contains('\n'), "{line:?} is more than one line");
    let Some(file) = std::env::var_os("VESTIBULE_TEST_TOLD") else {
        println!("{line}");
        return;
    };
    let engine = std::env::var("VESTIBULE_TEST_STORE").unwrap_or_else(|_| "sqlite".to_owned());
    // Whole or not at all, however many tests tell something at once.
    let line = format!("{engine:<8}  {line}\n");
    OpenOptions::new().create(true).append(true).open(file).unwrap().write_all(line.as_bytes()).unwrap();
}
