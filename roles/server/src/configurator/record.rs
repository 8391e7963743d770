//! What a configurator keeps of its keys.

use landfall_lifecycle::transfer::Bootstrapping;
use landfall_types::{KeyUri, OwnerId, Record, Time};
use serde::{Deserialize, Serialize};

/// A long-lived key of a tenant's configurator: where it is, or itself, sealed by the element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfiguratorKey {
    /// Whose.
    pub tenant: OwnerId,
    /// What for.
    pub purpose: Purpose,
    /// The name of its curve.
    pub curve: String,
    /// Which one it is, from 1; the last one counts, those before are still believed.
    pub number: u32,
    /// When it was made.
    pub made: Time,
    /// Where it is.
    pub place: Place,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Devices know the configurator by it (DPP s5.1).
    Bootstrap,
    /// It signs connectors (DPP s4.2).
    Csign,
    /// It hides devices from others while they ask to be reconfigured (DPP s6.6).
    Privacy,
}

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In the element.
    Element(KeyUri),
    /// Here, in PKCS#8 sealed by the element and in base64: elements hold no keys on such a curve.
    Sealed(String),
}

impl Purpose {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Csign => "csign",
            Self::Privacy => "privacy",
        }
    }
}

impl Record for ConfiguratorKey {
    const COLLECTION: &'static str = "configurator-key";

    fn key(&self) -> String {
        let keys = Bootstrapping::keys_of(&self.tenant);
        format!("{keys}{}/{}/{:04}", self.purpose.as_str(), self.curve, self.number)
    }
}
