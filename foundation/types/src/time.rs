//! Points in time, handed to the cores by whoever drives them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, ops, str::FromStr, time::Duration};
use time::{OffsetDateTime, UtcDateTime, format_description::well_known::Rfc3339};

/// A point in time: milliseconds since the Unix epoch, UTC. Written as RFC 3339 (`yang:date-and-time`, RFC 6991 s3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(i64);

impl Time {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31T23:59:59Z, which RFC 5280 s4.1.2.5 uses for "no well-defined expiry".
    pub const FOREVER: Self = Self(253_402_300_799_000);

    /// From whole seconds since the Unix epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_unix(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_unix_millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time on the machine's clock. Only adapters, roles and the binary call this; cores are handed the time.
    pub fn now() -> Self {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Err(_) => Self::EPOCH,
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl ops::Add<Duration> for Time {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl ops::Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = UtcDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).map_err(|_| fmt::Error)?;
        f.write_str(&at.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

/// The text is not an RFC 3339 date and time.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 date and time such as 2026-11-22T09:30:00Z")]
pub struct NotATime(String);

impl FromStr for Time {
    type Err = NotATime;
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NotATime(text.chars().take(40).collect()))?;
        let millis = at.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(millis).map(Self).map_err(|_| NotATime(text.into()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_both_ways() {
        let at: Time = "2017-10-07T15:31:59-04:00".parse().unwrap();
        assert_eq!(at.to_string(), "2017-10-07T19:31:59Z");
        assert_eq!(Time::FOREVER.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!("2019-05-15T17:25:55.644-04:00".parse::<Time>().unwrap().to_string(), "2019-05-15T21:25:55.644Z");
        assert!("yesterday".parse::<Time>().is_err());
    }

    #[test]
    fn differences_saturate() {
        let (a, b) = (Time::from_unix(10), Time::from_unix(12));
        assert_eq!(b.since(a), Duration::from_secs(2));
        assert_eq!(a.since(b), Duration::ZERO);
    }
}
