//! How many events of each kind there were in each hour and on each day: counted once, when they are sealed, so that
//! nobody who looks at figures has a million rows read.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::store::{Change, Cursor, entity, text_enum};

text_enum! {
    /// How long a span is that is counted in.
    pub enum Grain {
        /// An hour.
        Hour = "hour",
        /// A day in UTC.
        Day = "day",
    }
}

entity! {
    /// One count of one span.
    pub struct Tally in "tallies" {
        /// `name@grain@begin`.
        id: String,
        /// What is counted, such as `signed_in` or `message.sms.delivered`.
        name: String,
        /// How long the span is.
        grain: Grain,
        /// When the span begins.
        begins_at: Timestamp,
        /// How many.
        count: i64,
        /// When it is forgotten.
        expires_at: Timestamp,
    }
    index BY_TIME (grain, begins_at);
    expires expires_at;
}

entity! {
    /// How far something that counts records of another table has come.
    pub struct Position in "positions" {
        /// What counts.
        id: String,
        /// The instant of the last record that was counted.
        at: Timestamp,
        /// Its id.
        last: Uuid,
    }
}

/// How long counts are kept: to compare a month with that of the year before.
const KEPT: Duration = Duration::from_secs(800 * 24 * 60 * 60);

impl Grain {
    /// How long a span is.
    pub fn length(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(60 * 60),
            Self::Day => Duration::from_secs(24 * 60 * 60),
        }
    }

    /// The beginning of the span of `at`.
    pub fn begin(self, at: Timestamp) -> Timestamp {
        let millis = match self {
            Self::Hour => 60 * 60 * 1000,
            Self::Day => 24 * 60 * 60 * 1000,
        };
        Timestamp::from_millis(at.as_millis().div_euclid(millis) * millis)
    }
}

impl Tally {
    /// The key of the count of `name` in the span of `at`.
    pub fn key_of(name: &str, grain: Grain, at: Timestamp) -> String {
        format!("{name}@{grain}@{}", grain.begin(at))
    }

    /// The first `count` of its span.
    pub fn new(name: &str, grain: Grain, at: Timestamp, count: i64) -> Self {
        let begins_at = grain.begin(at);
        let id = Self::key_of(name, grain, at);
        Self { id, name: name.to_owned(), grain, begins_at, count, expires_at: begins_at + KEPT }
    }
}

/// The place after the record that happened at `at` and has the id `last`, along an index of time alone.
///
/// # Errors
/// Never, for what can be an instant and an id.
pub fn place_after(at: Timestamp, last: Uuid) -> Result<Cursor> {
    let place = serde_json::json!([{"at": at.as_millis()}, {"id": last}]);
    Cursor::from_json(place).map_err(Error::internal)
}

/// Adds what was counted at these instants to the counts, by hour and by day: changes for the commit in
/// which it counts as counted.
///
/// # Errors
/// The store's.
pub async fn add(ctx: &Ctx, counted: &BTreeMap<(String, Timestamp), i64>) -> Result<Vec<Change>> {
    let mut sums: BTreeMap<(&str, Grain, Timestamp), i64> = BTreeMap::new();
    for ((name, at), count) in counted {
        for grain in Grain::ALL.iter().copied() {
            *sums.entry((name, grain, grain.begin(*at))).or_default() += count;
        }
    }
    let mut changes = Vec::new();
    for ((name, grain, at), count) in sums {
        let tally = ctx.app.store.get::<Tally>(Tally::key_of(name, grain, at)).await?;
        changes.push(match tally {
            Some(tally) => {
                Change::update(&tally.with(|tally| tally.count = tally.count.saturating_add(count)))
            }
            None => Change::insert(&Tally::new(name, grain, at, count)),
        });
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_begins_at_its_first_millisecond() {
        let hour = 60 * 60 * 1000;
        let at = |grain: Grain, millis| grain.begin(Timestamp::from_millis(millis)).as_millis();
        assert_eq!([0, hour - 1, hour, -1].map(|millis| at(Grain::Hour, millis)), [0, 0, hour, -hour]);
        assert_eq!([0, 24 * hour - 1, 24 * hour].map(|millis| at(Grain::Day, millis)), [0, 0, 24 * hour]);
        let key = |millis| Tally::key_of("signed_in", Grain::Hour, Timestamp::from_millis(millis));
        assert_eq!(key(hour + 5), key(2 * hour - 1));
        assert_ne!(key(hour + 5), key(2 * hour));
    }
}
