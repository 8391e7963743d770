//! The six curves of DPP, and what each brings with it (Wi-Fi Easy Connect s3.2, table 1).

mod arithmetic;
mod bp512;
mod encoding;
mod private;
mod public;
mod recover;

pub use private::PrivateKey;
pub use public::{KeyError, PublicKey};
pub use recover::full_point;

use serde::{Deserialize, Serialize};
use std::fmt;

/// A curve. It decides the hash, the key lengths and the signature algorithm of whatever is done on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Curve {
    /// NIST P-256, which every device has to have.
    #[default]
    #[serde(rename = "P-256")]
    P256,
    /// NIST P-384.
    #[serde(rename = "P-384")]
    P384,
    /// NIST P-521.
    #[serde(rename = "P-521")]
    P521,
    /// brainpoolP256r1 (RFC 5639 s3.4).
    #[serde(rename = "BP-256")]
    Bp256,
    /// brainpoolP384r1 (RFC 5639 s3.6).
    #[serde(rename = "BP-384")]
    Bp384,
    /// brainpoolP512r1 (RFC 5639 s3.7).
    #[serde(rename = "BP-512")]
    Bp512,
}

impl Curve {
    /// All of them, in the order of their bits in a bootstrapping URI.
    pub const ALL: [Self; 6] = [Self::P256, Self::P384, Self::P521, Self::Bp256, Self::Bp384, Self::Bp512];

    /// The name in a JSON Web Key's `crv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Bp256 => "BP-256",
            Self::Bp384 => "BP-384",
            Self::Bp512 => "BP-512",
        }
    }

    /// The curve of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    /// The number in a Finite Cyclic Group attribute (IANA's IKE group registry).
    pub const fn group(self) -> u16 {
        match self {
            Self::P256 => 19,
            Self::P384 => 20,
            Self::P521 => 21,
            Self::Bp256 => 28,
            Self::Bp384 => 29,
            Self::Bp512 => 30,
        }
    }

    /// The curve of that group.
    pub fn of_group(group: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.group() == group)
    }

    /// The length in octets of a coordinate and of a scalar.
    pub const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 | Self::Bp256 => 32,
            Self::P384 | Self::Bp384 => 48,
            Self::P521 => 66,
            Self::Bp512 => 64,
        }
    }

    /// The length in octets of the curve's hash, which is that of the AES-SIV keys too.
    pub const fn hash_len(self) -> usize {
        match self {
            Self::P256 | Self::Bp256 => 32,
            Self::P384 | Self::Bp384 => 48,
            Self::P521 | Self::Bp512 => 64,
        }
    }

    /// The length in octets of a nonce.
    pub const fn nonce_len(self) -> usize {
        self.hash_len() / 2
    }

    /// The algorithm of JSON Web Signatures on it.
    pub const fn jws_algorithm(self) -> &'static str {
        match self {
            Self::P256 => "ES256",
            Self::P384 => "ES384",
            Self::P521 => "ES512",
            Self::Bp256 => "BS256",
            Self::Bp384 => "BS384",
            Self::Bp512 => "BS512",
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
