//! The audit log of a device as a MASA sends it: who has had vouchers for it (RFC 8995 s5.8.1).

use crate::{telemetry::number, voucher::Assertion};
use landfall_types::{DomainId, Time, json};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;
use std::collections::BTreeSet;

/// The version that is spoken here; a higher one tells more and nothing less (s5.8.1).
pub const VERSION: u64 = 1;
/// The longest log that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Truncation is not counted beyond this (s5.8.1).
const MAX_TRUNCATED: u64 = 1024;

/// An audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLog {
    /// The version of the format.
    #[serde(deserialize_with = "uint")]
    pub version: u64,
    /// The vouchers issued, the latest first.
    pub events: Vec<Event>,
    /// What was left out.
    #[serde(default, skip_serializing_if = "Truncation::is_none")]
    pub truncation: Truncation,
}

/// One voucher that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub date: Time,
    /// To which domain.
    #[serde(rename = "domainID")]
    pub domain: DomainId,
    /// Its nonce as text, or nothing for a nonceless voucher.
    #[serde(default)]
    pub nonce: Option<String>,
    /// How the owner was verified.
    pub assertion: Assertion,
    /// How many earlier events of the same domain were left out in its favour.
    #[serde(default, skip_serializing_if = "is_zero", deserialize_with = "uint")]
    pub truncated: u64,
}

/// How many events were left out, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Truncation {
    /// Earlier events of a domain that had a nonce.
    #[serde(rename = "nonced duplicates", deserialize_with = "uint")]
    pub nonced_duplicates: u64,
    /// Earlier events of a domain that had none.
    #[serde(rename = "nonceless duplicates", deserialize_with = "uint")]
    pub nonceless_duplicates: u64,
    /// Others, for length.
    #[serde(deserialize_with = "uint")]
    pub arbitrary: u64,
}

impl Truncation {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// RFC 8995's own example has strings where its CDDL has numbers; both are read.
fn uint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    number(&Value::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not an unsigned number"))
}

/// Why a log was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditLogError {
    /// It is longer than anything that is read.
    #[error("{0} bytes are more than the {MAX_BYTES} that are read")]
    TooLarge(usize),
    /// It is no audit log.
    #[error("no audit log: {0}")]
    Malformed(String),
}

impl AuditLog {
    /// A log of `events`, the latest first, of at most `most` of them.
    ///
    /// Where they are too many, earlier events of a domain go first, then the oldest (s5.8.1); each is counted.
    pub fn new(events: Vec<Event>, most: usize) -> Self {
        let mut log = Self { version: VERSION, events, truncation: Truncation::default() };
        if log.events.len() > most {
            log.drop_duplicates();
        }
        let excess = log.events.len().saturating_sub(most);
        log.events.truncate(most);
        log.truncation.arbitrary = count(excess);
        log
    }

    /// Keeps, of each domain, the latest event with a nonce and the latest without.
    fn drop_duplicates(&mut self) {
        let mut kept: Vec<Event> = Vec::new();
        let mut seen = BTreeSet::new();
        for event in self.events.drain(..) {
            let nonced = event.nonce.is_some();
            if seen.insert((event.domain.clone(), nonced)) {
                kept.push(event);
                continue;
            }
            let counter = match nonced {
                true => &mut self.truncation.nonced_duplicates,
                false => &mut self.truncation.nonceless_duplicates,
            };
            *counter = (*counter + 1).min(MAX_TRUNCATED);
            let latest = kept.iter_mut().find(|k| k.domain == event.domain && k.nonce.is_some() == nonced);
            if let Some(latest) = latest {
                latest.truncated = (latest.truncated + 1).min(MAX_TRUNCATED);
            }
        }
        self.events = kept;
    }

    /// From JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, AuditLogError> {
        if bytes.len() > MAX_BYTES {
            return Err(AuditLogError::TooLarge(bytes.len()));
        }
        let malformed = |e: String| AuditLogError::Malformed(e);
        let value = json::parse(bytes).map_err(|e| malformed(e.to_string()))?;
        serde_json::from_value(value).map_err(|e| malformed(e.to_string()))
    }

    /// As JSON.
    pub fn encode(&self) -> Vec<u8> {
        // Nothing in it can fail to be written; an empty body is refused by every reader.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(MAX_TRUNCATED).min(MAX_TRUNCATED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seconds: i64, domain: u8, nonce: Option<&str>) -> Event {
        Event {
            date: Time::from_unix(seconds),
            domain: DomainId(vec![domain; 20]),
            nonce: nonce.map(Into::into),
            assertion: Assertion::Logged,
            truncated: 0,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let log = AuditLog::new(vec![event(2, 1, Some("f4G6Vi1t8nKo/FieCVgpBg==")), event(1, 2, None)], 10);
        let json = String::from_utf8(log.encode()).unwrap();
        assert!(json.contains(r#""nonce":null"#), "{json}");
        assert!(json.contains(r#""version":1"#), "{json}");
        assert_eq!(AuditLog::parse(json.as_bytes()), Ok(log));
    }

    /// The shape of RFC 8995 figure 18: strings where its CDDL has numbers.
    #[test]
    fn numbers_may_be_strings() {
        let log = AuditLog::parse(
            br#"{"version":"1","events":[{"date":"2019-05-15T17:25:55.644-04:00","domainID":"BduJhdHPpfhQLyponf48JzXSGZ8=",
            "nonce":"VOUFT-WwrEv0NuAQEHoV7Q","assertion":"proximity","truncated":"0"}],
            "truncation":{"nonced duplicates":"0","nonceless duplicates":"1","arbitrary":"2"}}"#,
        )
        .unwrap();
        assert_eq!((log.version, log.events.len(), log.truncation.arbitrary), (1, 1, 2));
        assert_eq!(log.truncation.nonceless_duplicates, 1);
    }

    #[test]
    fn a_log_that_is_too_long_says_what_it_leaves_out() {
        let events = vec![event(5, 1, Some("a")), event(4, 1, Some("b")), event(3, 1, None), event(2, 2, None)];
        let log = AuditLog::new(events, 2);
        assert_eq!(log.events.iter().map(|e| e.date.as_unix()).collect::<Vec<_>>(), [5, 3]);
        assert_eq!(log.truncation, Truncation { nonced_duplicates: 1, nonceless_duplicates: 0, arbitrary: 1 });
        assert_eq!(log.events[0].truncated, 1);
    }

    #[test]
    fn what_is_no_log_is_refused() {
        for bad in [r#"{"version":1}"#, r#"{"version":1,"events":[{}]}"#, r#"{"version":-1,"events":[]}"#, "[]", "{"] {
            assert!(matches!(AuditLog::parse(bad.as_bytes()), Err(AuditLogError::Malformed(_))), "{bad}");
        }
        let twice = br#"{"version":1,"version":1,"events":[]}"#;
        assert!(matches!(AuditLog::parse(twice), Err(AuditLogError::Malformed(_))));
        assert_eq!(AuditLog::parse(&vec![b' '; MAX_BYTES + 1]), Err(AuditLogError::TooLarge(MAX_BYTES + 1)));
    }
}
