//! The factory line: its stations, and what they rejected.

use super::{BatchId, Method};
use landfall_types::{Record, Time};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The log of what was rejected, and why.
pub const REJECTS_LOG: &str = "factory-rejects";

/// The name of a station of the factory line: up to 64 letters, digits, hyphens, dots and underscores.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Station(String);

/// The text is not the name of a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a station's name is up to 64 letters, digits, hyphens, dots and underscores")]
pub struct BadStation;

impl FromStr for Station {
    type Err = BadStation;
    fn from_str(name: &str) -> Result<Self, BadStation> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        match (1..=64).contains(&name.len()) && name.chars().all(allowed) {
            true => Ok(Self(name.into())),
            false => Err(BadStation),
        }
    }
}

impl TryFrom<String> for Station {
    type Error = BadStation;
    fn try_from(name: String) -> Result<Self, BadStation> {
        name.parse()
    }
}

impl From<Station> for String {
    fn from(station: Station) -> Self {
        station.0
    }
}

impl fmt::Display for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device that was not made, or whose certificate was thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reject {
    /// What is known of the device: its serial number, or what its request says of it.
    pub device: String,
    /// How it was to get its key.
    pub method: Method,
    /// The station that rejected it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<Station>,
    /// The batch that it was to be in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// The check that it did not pass.
    pub check: String,
    /// Why not, in words.
    pub reason: String,
    /// When.
    pub at: Time,
}

/// How far somebody was told what was made: a MASA, or a supply chain service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Who.
    pub to: String,
    /// The last entry of the factory's log of which it has heard.
    pub upto: u64,
}

impl Record for Published {
    const COLLECTION: &'static str = "factory-published";

    fn key(&self) -> String {
        self.to.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stations_name_is_no_path_and_no_sentence() {
        assert_eq!("line-2.a".parse::<Station>().map(|station| station.to_string()), Ok("line-2.a".into()));
        for bad in ["", "a/b", "a b", "é", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Station>(), Err(BadStation), "{bad:?}");
            assert!(serde_json::from_value::<Station>(bad.into()).is_err());
        }
    }
}
