//! `vestibule export`: everything, for leaving or for looking.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value as Json;

use super::{Outcome, Settings, house};
use crate::moving::export::{self, Asked};
use crate::secret::{Keyring, Secret};

/// Where to, and what in the clear.
#[derive(Args)]
pub struct Options {
    /// A new file, for this user alone; standard output without it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// File with a sealing key, as `secrets.keys` has it: what it opens of the keys of authenticator apps is
    /// handed out in the clear.
    #[arg(long, value_name = "FILE")]
    open_with: Option<PathBuf>,
    /// Also the hashes of passwords and of recovery codes, for moving to another server.
    #[arg(long)]
    with_hashes: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Works beside a server or without one.
pub async fn run(options: &Options) -> Outcome {
    let key = match &options.open_with {
        None => None,
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("The file {} cannot be read: {error}.", file.display()))?;
            let keys: Vec<Secret> = text.split_whitespace().map(Secret::new).collect();
            Some(Keyring::parse(&keys).map_err(|fault| format!("--open-with: {fault}."))?)
        }
    };
    let ctx = house::enter(&options.settings).await?;
    let out: Box<dyn Write> = match &options.out {
        None => Box::new(io::stdout().lock()),
        Some(file) => {
            let opened = File::options().write(true).create_new(true).mode(0o600).open(file);
            Box::new(opened.map_err(|error| format!("The file {} cannot be made: {error}.", file.display()))?)
        }
    };
    let mut out = BufWriter::new(out);
    let asked = Asked { hashes: options.with_hashes, open: key.as_ref() };
    let records = export::export(&ctx, asked, &mut |line: &Json| writeln!(out, "{line}"))
        .await
        .map_err(house::sentence)?;
    out.flush().map_err(|error| format!("The export cannot be written: {error}."))?;
    let _ = writeln!(io::stderr(), "{records} records.");
    Ok(())
}
