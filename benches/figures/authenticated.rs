//! `GET /auth/authenticated` with a bearer token, beside a bare JSON route in a process of its own.

use std::ffi::OsStr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::bare::WORD;
use crate::load::{closed, request};
use crate::server::{Process, Res, Scratch, Second, path, token_by_code};
use crate::table::{Aim, Table, Turns, Unit, median};
use crate::{Extent, TURNS};

/// Kept-alive connections, the same on both sides.
const CONNECTIONS: usize = 32;

/// Answers a second, and the server's processor time for each.
pub(crate) async fn stretch(server: &Process, ask: &Bytes, duration: Duration) -> Res<(f64, f64)> {
    let (before, ask) = (server.cpu()?, ask.clone());
    let tally = closed(server.address, CONNECTIONS, duration, move |_| ask.clone()).await;
    if tally.with_status(200) != tally.asked() {
        return Err(format!("not all answers were 200: {:?}", tally.statuses).into());
    }
    let cpu = server.cpu()?.saturating_sub(before);
    Ok((tally.rate(200), cpu.as_secs_f64() / tally.asked() as f64))
}

/// Measures.
pub async fn measure(extent: Extent, table: &mut Table) -> Res<()> {
    let home = Scratch::new()?;
    let ours = Process::vestibule(home.path(), Second::Always, &[]).await?;
    let bare = Process::again(&[OsStr::new(WORD)], path::AUTHENTICATED, home.path()).await?;
    let token = token_by_code(&ours, "alice", "+447400123456").await?;
    let seen = ours.ask("GET", path::AUTHENTICATED, Some(&token), None).await?.must_be(200)?.json();
    if seen.get("authenticated") != Some(&Json::Bool(true)) {
        return Err(format!("the token is not accepted: {seen}").into());
    }
    // Both get the very same bytes.
    let ask = request("GET", path::AUTHENTICATED, Some(&token), None);
    for server in [&bare, &ours] {
        stretch(server, &ask, Duration::from_millis(500)).await?;
    }
    let (mut rates, mut costs) = (Turns::default(), Turns::default());
    for turn in 0..=TURNS {
        let (rate, cost) = stretch(&bare, &ask, extent.stretch).await?;
        rates.limits.push(rate);
        costs.limits.push(cost);
        if turn < TURNS {
            let (rate, cost) = stretch(&ours, &ask, extent.stretch).await?;
            rates.measured.push(rate);
            costs.measured.push(cost);
        }
    }
    let name = "authenticated ÷ bare axum JSON route";
    let (measured, limit) = (median(&rates.measured), median(&rates.limits));
    table.figure_with_ratio(name, Unit::Rate, measured, limit, rates.ratio(), Aim::AtLeast(0.60));
    // The rates share the load tool's time; the processor time of the server alone shows more.
    let (measured, limit) = (median(&costs.measured), median(&costs.limits));
    table.figure_with_ratio(
        "  its processor time each",
        Unit::Time,
        measured,
        limit,
        costs.ratio(),
        Aim::Known,
    );
    Ok(())
}
