//! From nothing to the first 200, memory when idle, size of the binary.

use std::ffi::OsStr;
use std::time::Duration;

use crate::bare::WORD;
use crate::server::{Process, Res, Scratch, Second, path};
use crate::table::{Aim, Table, Unit, median_time};

const STARTS: usize = 20;
/// What was aimed for: 100 ms, 30 MiB, 30 MiB.
const START_AIM: f64 = 0.1;
const MEMORY_AIM: f64 = 30.0;
const SIZE_AIM: f64 = 30.0;

const MIB: f64 = 1024.0 * 1024.0;

/// Measures.
pub async fn measure(table: &mut Table) -> Res<()> {
    let (mut fresh, mut again, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let old = Scratch::new()?;
    for _ in 0..STARTS {
        let new = Scratch::new()?;
        fresh.push(Process::vestibule(new.path(), Second::Never, &[]).await?.ready_after);
        again.push(Process::vestibule(old.path(), Second::Never, &[]).await?.ready_after);
        bare.push(Process::again(&[OsStr::new(WORD)], path::AUTHENTICATED, new.path()).await?.ready_after);
    }
    let (fresh, again, bare) = (median_time(&fresh), median_time(&again), median_time(&bare));
    table.figure("start, no data yet ÷ 100 ms", Unit::Time, fresh, START_AIM, Aim::AtMost(1.0));
    table.figure("start, with data ÷ 100 ms", Unit::Time, again, START_AIM, Aim::AtMost(1.0));
    table.figure("  with data ÷ bare route's start", Unit::Time, again, bare, Aim::Known);

    let ours = Process::vestibule(old.path(), Second::Never, &[]).await?;
    let other = Process::again(&[OsStr::new(WORD)], path::AUTHENTICATED, old.path()).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let [idle, bare] = [ours.memory_kib("VmRSS")?, other.memory_kib("VmRSS")?].map(|kib| kib as f64 / 1024.0);
    table.figure("idle memory ÷ 30 MiB", Unit::Memory, idle, MEMORY_AIM, Aim::AtMost(1.0));
    table.figure("  idle memory ÷ bare route's", Unit::Memory, idle, bare, Aim::Known);

    let size = std::fs::metadata(env!("CARGO_BIN_EXE_vestibule"))?.len() as f64 / MIB;
    table.figure("binary ÷ 30 MiB", Unit::Memory, size, SIZE_AIM, Aim::AtMost(1.0));
    Ok(())
}
