//! Whose fault an error is.

use serde::{Deserialize, Serialize};

/// Every error kind of every protocol belongs to exactly one of these; one table per protocol maps kinds to the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The peer broke the protocol: a wrong signature, a replay, a step out of order.
    Peer,
    /// The bytes are not what they claim to be.
    Malformed,
    /// Well formed, yet of a version, format or algorithm that is not spoken here.
    Incompatible,
    /// Understood and authenticated, and refused by policy.
    Denied,
    /// Something on our own side failed: storage, an element, a server that we depend on.
    Backend,
    /// The caller used the interface wrongly, or the configuration is wrong.
    Misuse,
}
