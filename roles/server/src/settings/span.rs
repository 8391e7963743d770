//! Lengths of time as people write them: `30s`, `20m`, `12h`, `90d`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr, time::Duration};

/// A length of time in a settings file: a whole number and one of `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    /// From whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// From whole days.
    pub const fn days(days: u64) -> Self {
        Self::seconds(days * 86_400)
    }

    /// The same for programs.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// The text is not a length of time.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} is not a length of time; write a number and a unit: 30s, 20m, 12h or 90d")]
pub struct NotASpan(String);

impl FromStr for Span {
    type Err = NotASpan;
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let bad = || NotASpan(text.chars().take(40).collect());
        let (_, scale) = UNITS.iter().find(|(unit, _)| text.ends_with(*unit)).ok_or_else(bad)?;
        let number: u64 = text.get(..text.len() - 1).and_then(|digits| digits.trim().parse().ok()).ok_or_else(bad)?;
        number.checked_mul(*scale).map(Self::seconds).ok_or_else(bad)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (unit, scale) =
            UNITS.iter().find(|(_, scale)| seconds >= *scale && seconds.is_multiple_of(*scale)).unwrap_or(&('s', 1));
        write!(f, "{}{unit}", seconds / scale)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_both_ways() {
        for text in ["30s", "20m", "12h", "90d", "90s", "0s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["", "d", "5", "-1d", "1w", "1.5h", "99999999999999999999d", "18446744073709551615d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
