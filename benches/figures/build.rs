//! A clean release build: every crate from its sources, into a folder that is gone afterwards. Minutes, so only
//! when it is asked for by name.

use std::process::Command;
use std::time::Instant;

use crate::cores;
use crate::server::{Res, Scratch};
use crate::table::Table;

/// Measures. Offline: what has to be fetched says more of the network.
pub fn measure(table: &mut Table) -> Res<()> {
    let home = Scratch::new()?;
    let start = Instant::now();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--locked", "--offline", "--quiet", "--target-dir"]).arg(home.path());
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status()?;
    let took = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err("it does not build".into());
    }
    table.note(format!("A clean release build on {} cores takes {took:.0} s.", cores()));
    Ok(())
}
