//! Lengths of time as people write them.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A length of time written as a whole number and its unit: `250ms`, `30s`, `5m`, `24h`, `30d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Period(pub Duration);

/// Units and their milliseconds, the longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// About a thousand years: a longer one is a slip of the hand, and sums with instants stay far from their limit.
const LONGEST: u64 = 365_000 * 86_400_000;

impl Deref for Period {
    type Target = Duration;
    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl FromStr for Period {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        text.split_at_checked(digits)
            .and_then(|(number, unit)| {
                let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
                number.parse::<u64>().ok()?.checked_mul(*millis)
            })
            .filter(|millis| *millis <= LONGEST)
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| format!("`{text}` is not a period such as 250ms, 30s, 5m, 24h or 30d"))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let whole = UNITS.iter().find(|(_, unit)| millis != 0 && millis % unit == 0);
        match whole {
            Some((name, unit)) => write!(f, "{}{name}", millis / unit),
            None => f.write_str("0s"),
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_reads_back_as_it_was_written() {
        for text in ["250ms", "30s", "5m", "24h", "30d", "0s", "90s", "36h"] {
            let period: Period = text.parse().unwrap();
            let shown = period.to_string();
            assert_eq!(shown.parse::<Period>().unwrap(), period, "{text} is shown as {shown}");
        }
        assert_eq!("5m".parse::<Period>().unwrap().as_secs(), 300);
        assert_eq!(Period(Duration::from_secs(86_400)).to_string(), "1d");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "m",
            "-5m",
            "+5m",
            "5 m",
            "5M",
            "1.5h",
            "5min",
            "99999999999999999999s",
            "18446744073709551615d",
            "365001d",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
