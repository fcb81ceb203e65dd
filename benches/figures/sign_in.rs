//! Sign-ins a second, each with its password hash and its durable session, beside bare hashing.

use std::sync::Arc;

use tokio::task::block_in_place;

use crate::bare::Engine;
use crate::load::{closed, request};
use crate::server::{Process, Res, Scratch, Second, path, sign_in_body, sign_up_many};
use crate::table::{Aim, Table, Turns, Unit, median};
use crate::{Extent, TURNS};

/// Enough askers that the hashing threads never wait for the next, few enough that nobody is refused.
const ASKERS_PER_CORE: usize = 8;

/// So many that nobody signs in more often than people do: a user who has as many sessions as the policy
/// allows costs more, since one of them ends.
const USERS: usize = 1_024;

/// Measures.
pub async fn measure(extent: Extent, table: &mut Table) -> Res<()> {
    let home = Scratch::new()?;
    let server = Process::vestibule(home.path(), Second::Never, &[]).await?;
    let names = Arc::new(sign_up_many(&server, USERS).await?);
    let engine = block_in_place(|| Engine::fastest(extent.stretch / 2))?;
    let bare = || block_in_place(|| engine.rate(extent.stretch));
    let mut turns = Turns::default();
    turns.limits.push(bare()?);
    for _ in 0..TURNS {
        let names = names.clone();
        let fresh = move |number: u64| {
            let at = usize::try_from(number).unwrap_or(0) % names.len();
            let name = names.get(at).map_or("", String::as_str);
            request("POST", path::SIGN_IN, None, Some(&sign_in_body(name)))
        };
        let tally = closed(server.address, ASKERS_PER_CORE * crate::cores(), extent.stretch, fresh).await;
        if tally.with_status(200) != tally.asked() {
            table.note(format!("sign-in: not all were let in: {:?}", tally.statuses));
        }
        turns.measured.push(tally.rate(200));
        turns.limits.push(bare()?);
    }
    let name = "sign-ins ÷ bare argon2id";
    let (measured, limit) = (median(&turns.measured), median(&turns.limits));
    table.figure_with_ratio(name, Unit::Rate, measured, limit, turns.ratio(), Aim::AtLeast(0.90));
    table.note(format!("sign-in: the fastest bare engine was {engine:?}, on {} threads.", crate::cores()));
    Ok(())
}
