//! Sessions carried as JWT: recognised beside opaque tokens, and refreshed beside one fsync each.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::authenticated::stretch;
use crate::load::{Connection, request};
use crate::server::{Process, Res, Scratch, Second, path, signed_in_by_code};
use crate::table::{Aim, Table, Turns, Unit, median};
use crate::{Extent, TURNS, bare, commits};

/// Clients that refresh at once, each a session of its own.
const CLIENTS: usize = 64;

/// Measures both.
pub async fn measure(extent: Extent, table: &mut Table) -> Res<()> {
    let home = Scratch::new()?;
    let settings = [
        ("VESTIBULE_POLICY_LIMITS_REFRESH_ADDRESS_LIMIT", "100000000"),
        ("VESTIBULE_POLICY_LIMITS_SEND_ADDRESS_LIMIT", "100000"),
        ("VESTIBULE_POLICY_LIMITS_SIGN_UP_ADDRESS_LIMIT", "100000"),
    ];
    let server = Process::vestibule(home.path(), Second::Always, &settings).await?;
    let mut refresh = Vec::new();
    let mut access = String::new();
    for client in 0..CLIENTS {
        let (name, mobile) = (format!("client{client}"), format!("+1202555{:04}", 100 + client));
        let answer = signed_in_by_code(&server, &name, &mobile, "jwt").await?;
        let text = |pointer: &str| answer.text(pointer).ok_or("no tokens");
        access = text("/access_token")?;
        refresh.push(text("/refresh_token")?);
    }
    let opaque = signed_in_by_code(&server, "opaque", "+12025550199", "bearer").await?;
    let opaque = opaque.text("/token").ok_or("no token")?;
    recognised(&server, &opaque, &access, extent, table).await?;

    // What one fsync each allows, and what as many writers reach who share theirs and do nothing else.
    let (mut single, mut grouped) = (Turns::default(), Turns::default());
    let store = commits::open(home.path())?;
    let fsyncs = || tokio::task::block_in_place(|| bare::fsyncs(home.path(), extent.stretch / 2));
    let commits = || commits::rate(&store, CLIENTS, extent.stretch / 2);
    single.limits.push(fsyncs()?);
    grouped.limits.push(commits().await?);
    for _ in 0..TURNS {
        let rotated = rotations(&server, &mut refresh, extent.stretch).await?;
        single.measured.push(rotated);
        grouped.measured.push(rotated);
        single.limits.push(fsyncs()?);
        grouped.limits.push(commits().await?);
    }
    for (of, turns) in [("bare fsyncs", single), ("bare commits of as many writers", grouped)] {
        let (measured, limit) = (median(&turns.measured), median(&turns.limits));
        let name = format!("refreshes of {CLIENTS} clients ÷ {of}");
        table.figure_with_ratio(&name, Unit::Rate, measured, limit, turns.ratio(), Aim::Known);
    }
    Ok(())
}

async fn recognised(
    server: &Process,
    opaque: &str,
    access: &str,
    extent: Extent,
    table: &mut Table,
) -> Res<()> {
    let [opaque, access] =
        [opaque, access].map(|token| request("GET", path::AUTHENTICATED, Some(token), None));
    for ask in [&opaque, &access] {
        stretch(server, ask, Duration::from_millis(500)).await?;
    }
    let (mut rates, mut costs) = (Turns::default(), Turns::default());
    for turn in 0..=TURNS {
        let (rate, cost) = stretch(server, &opaque, extent.stretch).await?;
        rates.limits.push(rate);
        costs.limits.push(cost);
        if turn < TURNS {
            let (rate, cost) = stretch(server, &access, extent.stretch).await?;
            rates.measured.push(rate);
            costs.measured.push(cost);
        }
    }
    let (measured, limit) = (median(&rates.measured), median(&rates.limits));
    let name = "authenticated with JWT ÷ with opaque token";
    table.figure_with_ratio(name, Unit::Rate, measured, limit, rates.ratio(), Aim::Known);
    let (measured, limit) = (median(&costs.measured), median(&costs.limits));
    let name = "  its processor time each";
    table.figure_with_ratio(name, Unit::Time, measured, limit, costs.ratio(), Aim::Known);
    Ok(())
}

/// Refreshes a second; each client goes on with the token that it was given last.
async fn rotations(server: &Process, tokens: &mut Vec<String>, duration: Duration) -> Res<f64> {
    let (start, address) = (Instant::now(), server.address);
    let mut clients = JoinSet::new();
    for mut token in tokens.drain(..) {
        clients.spawn(async move {
            let (mut connection, mut count) = (Connection::new(address), 0_u64);
            while start.elapsed() < duration {
                let ask = request("POST", path::REFRESH, None, Some(&json!({"refresh_token": token})));
                let answer = connection.send(&ask).await?;
                token = answer.text("/refresh_token").ok_or_else(|| format!("refused: {}", answer.status))?;
                count += 1;
            }
            Res::Ok((token, count))
        });
    }
    let mut sum = 0;
    while let Some(done) = clients.join_next().await {
        let (token, count) = done??;
        tokens.push(token);
        sum += count;
    }
    Ok(sum as f64 / start.elapsed().as_secs_f64())
}
