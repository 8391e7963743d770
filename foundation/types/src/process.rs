//! The guide's five processes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The five processes of NIST SP 1800-36B section 4, in its order; the same word names the module, the CLI noun, the
/// tracing field `process`, the metric label and the audit event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Process {
    /// 4.1: the device is made and gets its birth credential.
    Factory,
    /// 4.2: ownership and bootstrapping information reach the owner.
    Transfer,
    /// 4.3: device and network authenticate and authorise each other, and the device gets a network credential.
    Network,
    /// 4.4: device and application service do the same.
    Application,
    /// 4.5: the device is verified continuously.
    Verification,
}

impl Process {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Factory => "factory",
            Self::Transfer => "transfer",
            Self::Network => "network",
            Self::Application => "application",
            Self::Verification => "verification",
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
