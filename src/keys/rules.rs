//! When a key takes another's place.

use std::time::Duration;

use super::SigningKey;
use crate::app::Moment;
use crate::clock::Timestamp;
use crate::jwt::Algorithm;
use crate::policy::LONGEST_ACCESS;
use crate::store::{Change, Decision, Seen, answer};

/// How long a key stays published after it signed last: as long as any token lives, and what clocks
/// and memories of nodes may differ by.
const AFTERGLOW: Duration = LONGEST_ACCESS.saturating_add(Duration::from_secs(300));

/// How keys follow each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How tokens are signed.
    pub algorithm: Algorithm,
    /// How long a key signs; zero for as long as nobody asks for another.
    pub rotate: Duration,
    /// How long before it signs a key is published.
    pub ahead: Duration,
}

/// How a key takes the place of those before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// When it is time.
    WhenDue,
    /// Now asked for: published at once, signing after a while.
    Asked,
    /// At once, and nothing that the others have signed counts any more.
    Revoking,
}

fn signs_at(key: &SigningKey, now: Timestamp) -> bool {
    key.active_from <= now && key.retired_at.is_none_or(|retired| now < retired)
}

fn is_old(key: &SigningKey, terms: &Terms, now: Timestamp) -> bool {
    !terms.rotate.is_zero() && now >= key.active_from + terms.rotate
}

/// Whether there is to be another key.
pub(super) fn is_due(keys: &[Seen<SigningKey>], terms: &Terms, turn: Turn, now: Timestamp) -> bool {
    let in_use = keys.iter().filter(|key| key.algorithm == terms.algorithm && key.retired_at.is_none());
    // A key whose time is to come was made before the clock was set back, when none signs until then.
    turn != Turn::WhenDue
        || in_use.map(|key| is_old(key, terms, now)).min().unwrap_or(true)
        || !keys.iter().any(|key| signs_at(key, now))
}

/// Puts `fresh` in the place of those before it. Answers from when on it signs.
pub(super) fn rotate(
    keys: Vec<Seen<SigningKey>>,
    fresh: SigningKey,
    terms: &Terms,
    turn: Turn,
    moment: &Moment,
) -> Decision<SigningKey> {
    let now = moment.now;
    let alone = !keys.iter().any(|key| signs_at(key, now));
    let number = keys.iter().filter(|key| key.algorithm == terms.algorithm).map(|key| key.number).max();
    let active_from = if alone || turn == Turn::Revoking { now } else { now + terms.ahead };
    let fresh = SigningKey {
        algorithm: terms.algorithm,
        number: number.unwrap_or(0).saturating_add(1),
        created_at: now,
        active_from,
        retired_at: None,
        expires_at: None,
        ..fresh
    };
    let before = keys.into_iter().filter_map(|key| {
        // Of another algorithm: another node may still be told to sign with it.
        let same = key.algorithm == terms.algorithm || turn != Turn::WhenDue;
        match turn {
            Turn::Revoking if key.expires_at.is_none_or(|end| now < end) => Some(key.with(|key| {
                key.retired_at =
                    Some(key.retired_at.map_or(now, |retired| if retired < now { retired } else { now }));
                key.expires_at = Some(now);
            })),
            Turn::WhenDue | Turn::Asked if same && key.retired_at.is_none() => Some(key.with(|key| {
                key.retired_at = Some(active_from);
                key.expires_at = Some(active_from + AFTERGLOW);
            })),
            _ => None,
        }
    });
    let retired: Vec<Change> = before.map(|key| Change::update(&key)).collect();
    answer(fresh.clone()).insert(&fresh).and(retired)
}

/// Takes keys out of use whose time is over and which are of another algorithm than is now used.
pub(super) fn leftover(keys: Vec<Seen<SigningKey>>, terms: &Terms, moment: &Moment) -> Decision<usize> {
    let now = moment.now;
    let covered = keys.iter().any(|key| key.algorithm == terms.algorithm && signs_at(key, now));
    let over = |key: &SigningKey| {
        covered && key.algorithm != terms.algorithm && key.retired_at.is_none() && is_old(key, terms, now)
    };
    let changes: Vec<Change> = keys
        .into_iter()
        .filter(|key| over(key))
        .map(|key| {
            Change::update(&key.with(|key| {
                key.retired_at = Some(now);
                key.expires_at = Some(now + AFTERGLOW);
            }))
        })
        .collect();
    answer(changes.len()).and(changes)
}
