//! `vestibule openapi`: the contract, as the server prints it.

use super::{Outcome, say};
use crate::http;

/// Prints the OpenAPI document.
pub fn run() -> Outcome {
    let document = serde_json::to_string_pretty(&http::openapi::document())
        .map_err(|error| format!("The document cannot be printed: {error}."))?;
    say(&document)
}
