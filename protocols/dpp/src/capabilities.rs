//! Which roles a party can take (DPP s8.1, I-capabilities and R-capabilities).

use std::fmt;

/// What a party does in configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It is configured.
    Enrollee,
    /// It configures.
    Configurator,
}

impl Role {
    /// What the peer has to be.
    pub const fn other(self) -> Self {
        match self {
            Self::Enrollee => Self::Configurator,
            Self::Configurator => Self::Enrollee,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enrollee => "enrollee",
            Self::Configurator => "configurator",
        })
    }
}

/// The roles offered. An initiator may offer both, a responder answers with exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// It can be an enrollee.
    pub enrollee: bool,
    /// It can be a configurator.
    pub configurator: bool,
}

impl Capabilities {
    const ENROLLEE: u8 = 1;
    const CONFIGURATOR: u8 = 2;

    /// Either role.
    pub const BOTH: Self = Self { enrollee: true, configurator: true };

    /// Whether `role` is among them.
    pub const fn contains(self, role: Role) -> bool {
        match role {
            Role::Enrollee => self.enrollee,
            Role::Configurator => self.configurator,
        }
    }

    /// The role, if it is exactly one.
    pub const fn single(self) -> Option<Role> {
        match (self.enrollee, self.configurator) {
            (true, false) => Some(Role::Enrollee),
            (false, true) => Some(Role::Configurator),
            _ => None,
        }
    }
}

impl From<Role> for Capabilities {
    fn from(role: Role) -> Self {
        Self { enrollee: role == Role::Enrollee, configurator: role == Role::Configurator }
    }
}

/// The other bits are reserved and not looked at.
impl From<u8> for Capabilities {
    fn from(bits: u8) -> Self {
        Self { enrollee: bits & Self::ENROLLEE != 0, configurator: bits & Self::CONFIGURATOR != 0 }
    }
}

impl From<Capabilities> for u8 {
    fn from(capabilities: Capabilities) -> u8 {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(capabilities.enrollee, Capabilities::ENROLLEE) | bit(capabilities.configurator, Capabilities::CONFIGURATOR)
    }
}
