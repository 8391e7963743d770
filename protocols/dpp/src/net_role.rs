//! What a device is in a network (DPP s4.3.3, netRole).

use std::fmt;

/// A network role.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NetRole {
    /// A station.
    Sta,
    /// An access point.
    Ap,
    /// A configurator.
    Configurator,
    /// One that other specifications define, such as those of EasyMesh.
    Other(String),
}

impl NetRole {
    /// Its name in JSON.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sta => "sta",
            Self::Ap => "ap",
            Self::Configurator => "configurator",
            Self::Other(name) => name,
        }
    }

    /// Whether two devices with these roles can be introduced to each other.
    pub fn complements(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Sta, Self::Ap) | (Self::Ap, Self::Sta))
    }
}

impl From<String> for NetRole {
    fn from(name: String) -> Self {
        match name.as_str() {
            "sta" => Self::Sta,
            "ap" => Self::Ap,
            "configurator" => Self::Configurator,
            _ => Self::Other(name),
        }
    }
}

impl fmt::Display for NetRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
