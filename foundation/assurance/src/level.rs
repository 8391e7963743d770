//! What a device may do, from nothing to all that its place is for.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How far a device is let in; a better one is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Not at all.
    #[default]
    Blocked,
    /// Apart from everything and everyone.
    Quarantine,
    /// To where it is mended, and nowhere else.
    Remediation,
    /// To what its manufacturer says that it needs (RFC 8520), and nowhere else.
    Limited,
    /// To all that its place is for.
    Full,
}

impl Level {
    /// All of them, the best first.
    pub const ALL: [Self; 5] = [Self::Full, Self::Limited, Self::Remediation, Self::Quarantine, Self::Blocked];

    /// The word for it, also in policies: `Level::"full"`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Quarantine => "quarantine",
            Self::Remediation => "remediation",
            Self::Limited => "limited",
            Self::Full => "full",
        }
    }

    /// Whether a device with it can still do what it is for.
    pub fn is_working(self) -> bool {
        self >= Self::Limited
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such level.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there is no level {0:?}; levels are full, limited, remediation, quarantine and blocked")]
pub struct UnknownLevel(String);

impl FromStr for Level {
    type Err = UnknownLevel;
    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let found = Self::ALL.into_iter().find(|level| level.as_str() == text);
        found.ok_or_else(|| UnknownLevel(text.chars().take(40).collect()))
    }
}
