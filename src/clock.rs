//! Time: one type for an instant, and the only place that reads the machine's clock.
//!
//! A request reads the clock once, at the door; from there `now` travels inward as an argument.
//! Tests hold a [`Clock::Manual`] and move it.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// Written as RFC 3339 with exactly three fractional digits, so that text order is time order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// An instant from milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How far two instants are apart. What was done at one of them is no older than that, unless the clock was
    /// set back since: then what comes from a far future is not taken for new.
    pub fn apart(self, other: Self) -> Duration {
        self.since(other).max(other.since(self))
    }

    /// The instant `by` before this one, not before the epoch.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)).max(0))
    }

    /// The later of two instants; useful where a clock may have been set back.
    pub fn latest(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Timestamp {
    /// Whole seconds since 1970, as tokens count (RFC 7519 §2).
    pub fn as_seconds(self) -> i64 {
        self.as_millis().div_euclid(1_000)
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let text = written(Offset::UTC.to_datetime(instant));
        match text.as_ref().map(|text| std::str::from_utf8(text)) {
            Some(Ok(text)) => f.write_str(text),
            _ => write!(f, "{instant:.3}"),
        }
    }
}

/// The text of an instant of the years 0 to 9999. By hand, as in [`read`]: a record holds half a dozen
/// instants, and the general way takes longer than reading it from the database.
fn written(at: DateTime) -> Option<[u8; 24]> {
    let digit = |number: i16, tens: i16| u8::try_from(number / tens % 10).ok().map(|digit| b'0' + digit);
    let two = |number: i8| Some([digit(number.into(), 10)?, digit(number.into(), 1)?]);
    let (year, millis) = (at.year(), at.millisecond());
    let years = [digit(year, 1_000)?, digit(year, 100)?, digit(year, 10)?, digit(year, 1)?];
    let ([a, b, c, d], [e, f], [g, h]) = (years, two(at.month())?, two(at.day())?);
    let ([i, j], [k, l], [m, n]) = (two(at.hour())?, two(at.minute())?, two(at.second())?);
    let [o, p, q] = [digit(millis, 100)?, digit(millis, 10)?, digit(millis, 1)?];
    Some([a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'.', o, p, q, b'Z'])
}

/// The instant that [`written`] wrote; none for whatever is written otherwise.
fn read(text: &str) -> Option<Timestamp> {
    let text = text.as_bytes();
    let &[a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'.', o, p, q, b'Z'] = text
    else {
        return None;
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i16::from(byte - b'0'));
    let two = |tens: u8, ones: u8| Some(i8::try_from(digit(tens)? * 10 + digit(ones)?).unwrap_or_default());
    let year = digit(a)? * 1_000 + digit(b)? * 100 + digit(c)? * 10 + digit(d)?;
    let millis = digit(o)? * 100 + digit(p)? * 10 + digit(q)?;
    let nanos = i32::from(millis) * 1_000_000;
    let at = DateTime::new(year, two(e, f)?, two(g, h)?, two(i, j)?, two(k, l)?, two(m, n)?, nanos).ok()?;
    Some(Timestamp(Offset::UTC.to_timestamp(at).ok()?.as_millisecond()))
}

/// The text was not an RFC 3339 instant.
#[derive(Debug, thiserror::Error)]
#[error("not an RFC 3339 instant, such as 2030-01-01T00:00:00.000Z")]
pub struct NotATimestamp;

impl std::str::FromStr for Timestamp {
    type Err = NotATimestamp;
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        if let Some(at) = read(text) {
            return Ok(at);
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| NotATimestamp)?;
        Ok(Self(instant.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time", "examples": ["2030-01-01T00:00:00.000Z"]})
    }
}

/// Where `now` comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// The machine's clock, so many milliseconds ahead: development, where waiting can be skipped.
    Ahead(Arc<AtomicI64>),
    /// A clock that stands still until it is moved: tests and simulation.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock standing at `at`.
    pub fn manual(at: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.0)))
    }

    /// The instant it is.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Timestamp {
        let machine = || {
            let since =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Timestamp(millis(since))
        };
        match self {
            Self::System => machine(),
            Self::Ahead(by) => Timestamp(machine().0.saturating_add(by.load(Ordering::SeqCst))),
            Self::Manual(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// The machine's clock, which can be moved ahead: development.
    pub fn ahead() -> Self {
        Self::Ahead(Arc::default())
    }

    /// Moves a clock that can be moved forward; the machine's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(at) | Self::Ahead(at) = self {
            at.fetch_add(millis(by), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_instant_reads_back_as_it_was_written() {
        let at = Timestamp::from_millis(1_893_456_000_007);
        assert_eq!(at.to_string(), "2030-01-01T00:00:00.007Z");
        assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
    }

    proptest! {
        #[test]
        fn by_hand_is_as_in_general(millis in -63_000_000_000_000_i64..260_000_000_000_000, cut in 0_usize..24, by in any::<u8>()) {
            let (at, general) = (Timestamp(millis), jiff::Timestamp::from_millisecond(millis));
            let Ok(general) = general else { return Ok(()) };
            prop_assert_eq!(at.to_string(), format!("{general:.3}"));
            let mut text = at.to_string().into_bytes();
            text[cut] = by;
            if let Ok(text) = String::from_utf8(text) {
                let general = text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond());
                prop_assert_eq!(text.parse::<Timestamp>().ok().map(Timestamp::as_millis), general, "{}", text);
            }
        }
    }

    #[test]
    fn a_clock_ahead_goes_on_from_where_it_was_moved_to() {
        let (real, clock) = (Clock::System, Clock::ahead());
        clock.advance(Duration::from_secs(600));
        let ahead = clock.now().since(real.now());
        assert!(ahead > Duration::from_secs(599) && ahead < Duration::from_secs(601), "{ahead:?}");
        real.advance(Duration::from_secs(600));
        assert!(real.now() < clock.now());
    }

    #[test]
    fn differences_never_go_below_zero_and_sums_never_overflow() {
        let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(i64::MAX));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late + Duration::from_secs(1), late);
    }
}
