//! What becomes of the certificates that the domain's CA issued.

use landfall_types::Time;
use serde::{Deserialize, Serialize};

/// When and why a certificate was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Revocation {
    /// When.
    pub at: Time,
    /// Who did it.
    pub by: String,
    /// Why, in that one's words.
    pub why: String,
}
