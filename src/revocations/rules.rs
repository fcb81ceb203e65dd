//! Which place an entry gets: pure.

use std::time::Duration;

use super::{HEAD, Head, Revocation};
use crate::app::Moment;
use crate::policy::LONGEST_ACCESS;
use crate::store::{Decision, Seen, answer};

/// How much longer an entry is told than the longest access token lasts: how far clocks may differ.
const SLACK: Duration = Duration::from_secs(60);

/// Gives each of `due` the next place; answers the head as it is then, and how many there were.
///
/// Whoever does so at the same time meets a head that has changed, and begins anew: so places have no
/// gaps, and whoever has read up to one has read everything before it.
pub(super) fn number(
    head: Option<Seen<Head>>,
    mut due: Vec<Seen<Revocation>>,
    moment: &Moment,
) -> Decision<(Head, usize)> {
    // What was committed between two looks has no order but the one in which a user's sessions ended; and whoever is
    // let in again was shut out before. The last one is believed.
    due.sort_by_key(|entry| (entry.counts_from, !entry.shut));
    let mut reach = match &head {
        Some(head) => Head::clone(head),
        None => {
            let first = moment.uuid("revocations");
            Head { id: HEAD, first, last: first, number: 0 }
        }
    };
    let count = due.len();
    let mut changes = answer(());
    for entry in due {
        reach.number = reach.number.saturating_add(1);
        reach.last = entry.id;
        changes = changes.update(&entry.with(|entry| {
            entry.number = Some(reach.number);
            entry.due_at = None;
            entry.expires_at = Some(moment.now + LONGEST_ACCESS + SLACK);
        }));
    }
    match head {
        Some(_) if count == 0 => answer((reach, 0)),
        head => changes.upsert(head, reach.clone()).map(|()| (reach, count)),
    }
}
