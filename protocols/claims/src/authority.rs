//! Who may assert what.

use crate::credential::ClaimKind;
use landfall_types::Fingerprint;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What an authority is to the owner of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The owner of the network, who may assert everything, and take back what others have asserted.
    Owner,
    /// A person whom the owner trusts with devices.
    User,
    /// A manufacturer, who speaks of its own devices.
    Manufacturer,
    /// Somebody who tests devices.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Owner, Self::User, Self::Manufacturer, Self::Auditor];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::User => "user",
            Self::Manufacturer => "manufacturer",
            Self::Auditor => "auditor",
        }
    }

    /// Whether it may assert that.
    pub const fn may(self, kind: ClaimKind) -> bool {
        match self {
            Self::Owner => true,
            Self::User => matches!(kind, ClaimKind::DeviceTrust | ClaimKind::TypeBinding | ClaimKind::Retraction),
            Self::Manufacturer => matches!(
                kind,
                ClaimKind::TypeBinding | ClaimKind::Ownership | ClaimKind::Vulnerability | ClaimKind::Retraction
            ),
            Self::Auditor => {
                matches!(kind, ClaimKind::TestResult | ClaimKind::Vulnerability | ClaimKind::Retraction)
            }
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or("it is none of owner, user, manufacturer, auditor")
    }
}

/// A key that may assert something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Authority {
    /// The SHA-256 of its SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// What it is.
    pub role: Role,
    /// Of whose devices it may speak; of all if none is named, which a manufacturer may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// What the operator calls it.
    #[serde(default)]
    pub name: String,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorities(pub Vec<Authority>);

impl Authorities {
    /// What that key may assert, in each of its roles.
    pub fn of(&self, key: Fingerprint) -> impl Iterator<Item = &Authority> {
        self.0.iter().filter(move |authority| authority.key == key)
    }
}

impl Authority {
    /// Whether it may speak of devices of that vendor; None is one that is not known.
    pub fn is_over(&self, vendor: Option<&str>) -> bool {
        match (&self.vendor, self.role) {
            (Some(own), _) => vendor == Some(own),
            (None, Role::Manufacturer) => false,
            (None, _) => true,
        }
    }
}
