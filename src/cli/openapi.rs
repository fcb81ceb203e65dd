//! `vestibule openapi`: the document that `/openapi.json` serves, for tools that read a file; or the same
//! as a Postman collection.

use clap::Args;

use super::{Outcome, say};
use crate::http::{openapi, postman};

/// What to print.
#[derive(Args)]
pub struct Options {
    /// A Postman collection instead, in an order in which it can be run.
    #[arg(long)]
    postman: bool,
}

/// Prints it.
pub fn run(options: &Options) -> Outcome {
    let document = openapi::document();
    let printed = if options.postman { postman::collection(&document) } else { document };
    let text = serde_json::to_string_pretty(&printed)
        .map_err(|error| format!("The document cannot be printed: {error}."))?;
    say(&text)
}
