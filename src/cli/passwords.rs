//! `vestibule passwords`: the filter of breached passwords.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Outcome, say};
use crate::breached;

/// What to do.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a filter of breached passwords from a list, for the setting password.breached.
    ///
    /// The list is read once and may be of any size: memory holds a 256th of it at a time, at 40 bytes a
    /// line, and the folder of FILE needs 8 bytes a line meanwhile. The filter takes about 2.3 bytes a
    /// password, on the disk and in the server's memory. It finds every password of the list, and one in
    /// 65,536 of the others.
    Filter {
        /// Passwords, one a line; or lines of SHA1 or SHA1:COUNT, as Have I Been Pwned gives them. -: standard input.
        list: PathBuf,
        /// Where the filter goes. One that is there is replaced when the new one is whole.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Makes a filter.
pub fn run(options: &Options) -> Outcome {
    let What::Filter { list, out } = &options.what;
    let source: Box<dyn Read> = if list == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(list)
            .map_err(|error| format!("The list {} cannot be read: {error}.", list.display()))?;
        Box::new(file)
    };
    let tell = |text: &str| {
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    let built = breached::build(source, out, &mut |lines| tell(&format!("{lines} lines read …")))
        .map_err(|error| format!("The filter cannot be made: {error}."))?;
    let kind = if built.hashes { "SHA-1 hashes" } else { "passwords" };
    let shown = out.display();
    say(&format!(
        "{shown}: {} different passwords from {} lines of {kind} ({} skipped), {} bytes.",
        built.count, built.lines, built.skipped, built.bytes
    ))?;
    tell(&format!(
        "Set VESTIBULE_PASSWORD_BREACHED={shown}, or breached = \"{shown}\" in [password], and restart."
    ));
    Ok(())
}
