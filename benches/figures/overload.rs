//! Ten times more sign-ins than the cores can hash: memory stays bounded, the surplus is told when
//! to come back, and those who are signed in hardly notice.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::block_in_place;

use crate::bare::{Engine, MEMORY_KIB};
use crate::load::{Tally, open, request};
use crate::server::{Process, Res, Scratch, Second, path, sign_in_body, sign_up_many};
use crate::table::{Aim, Table, Unit};
use crate::{Extent, cores};

/// Offered sign-ins ÷ what bare hashing can do.
const FACTOR: f64 = 10.0;
/// Enough that those who wait for a hash do not keep the others from asking.
const CONNECTIONS: usize = 1_000;
/// Asks of one who is signed in, a second.
const PROBES: f64 = 50.0;
/// What the server may need beside idle and hashing memory, in MiB.
const ALLOWANCE: f64 = 64.0;

/// Somebody who is signed in asks at a steady pace whether this is so.
async fn probe(server: &Process, token: &str, duration: Duration) -> Tally {
    let ask = request("GET", path::AUTHENTICATED, Some(token), None);
    open(server.address, 8, duration, PROBES, move |_| ask.clone()).await
}

/// Measures.
pub async fn measure(extent: Extent, table: &mut Table) -> Res<()> {
    let home = Scratch::new()?;
    let server = Process::vestibule(home.path(), Second::Never, &[]).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let idle_kib = server.memory_kib("VmRSS")?;
    let names = Arc::new(sign_up_many(&server, 64).await?);
    let first = names.first().map_or("", String::as_str);
    let signed_in =
        server.ask("POST", path::SIGN_IN, None, Some(&sign_in_body(first))).await?.must_be(200)?;
    let token = signed_in.text("/token").ok_or("no token")?;
    let calm = probe(&server, &token, (extent.whole / 6).max(Duration::from_secs(2))).await;

    let quick = extent.stretch;
    let ceiling = block_in_place(|| Engine::fastest(quick / 2)?.rate(quick))?;
    let fresh = move |number: u64| {
        let at = usize::try_from(number).unwrap_or(0) % names.len();
        let name = names.get(at).map_or("", String::as_str);
        request("POST", path::SIGN_IN, None, Some(&sign_in_body(name)))
    };
    let offered = ceiling * FACTOR;
    let (stormy, flood) = tokio::join!(
        probe(&server, &token, extent.whole),
        open(server.address, CONNECTIONS, extent.whole, offered, fresh),
    );
    // The kernel's own high-water mark: sampling could miss the peak.
    let peak = server.memory_kib("VmHWM")? as f64 / 1024.0;
    let idle = idle_kib as f64 / 1024.0;
    // As many hash at once as there are cores: the default of `hashing.permits`.
    let most = idle + cores() as f64 * f64::from(MEMORY_KIB) / 1024.0 + ALLOWANCE;

    let asked = flood.asked() as f64;
    let intended = offered * extent.whole.as_secs_f64();
    table.figure("overload: memory ÷ idle + hashing + 64 MiB", Unit::Memory, peak, most, Aim::AtMost(1.0));
    table.figure("  asked ÷ meant to be asked", Unit::Count, asked, intended, Aim::AtLeast(0.95));
    table.figure("  let in ÷ bare argon2id", Unit::Rate, flood.rate(200), ceiling, Aim::Known);
    let surplus = flood.with_status(503);
    let hinted = surplus.saturating_sub(flood.unhinted);
    table.figure(
        "  surplus told when to come back",
        Unit::Count,
        hinted as f64,
        surplus as f64,
        Aim::AtLeast(1.0),
    );
    let proper = (flood.with_status(200) + surplus) as f64;
    table.figure("  answered 200 or 503", Unit::Count, proper, asked, Aim::AtLeast(1.0));
    let steady = stormy.with_status(200) as f64;
    table.figure(
        "  authenticated: answered 200",
        Unit::Count,
        steady,
        stormy.asked() as f64,
        Aim::AtLeast(1.0),
    );
    for (name, part) in [("p50", 0.50), ("p99", 0.99)] {
        let [during, before] = [&stormy, &calm].map(|tally| tally.latency.percentile(part).as_secs_f64());
        table.figure(&format!("  authenticated: {name} ÷ idle"), Unit::Time, during, before, Aim::Known);
    }
    table.note(format!(
        "overload: {:.0} s, idle {idle:.1} MiB, answers {:?} (0: none), sign-in p50 {:.0?} p99 {:.0?}.",
        extent.whole.as_secs_f64(),
        flood.statuses,
        flood.latency.percentile(0.50),
        flood.latency.percentile(0.99),
    ));
    if stormy.with_status(200) != stormy.asked() {
        table.note(format!("overload: authenticated got {:?}", stormy.statuses));
    }
    Ok(())
}
