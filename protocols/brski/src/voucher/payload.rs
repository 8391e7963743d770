//! What can stand in an artefact.

use super::{VoucherError, fields::Fields};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How the MASA knows that the owner is the owner (RFC 8366 s5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assertion {
    /// The ownership was verified, by a record of the sale for example.
    Verified,
    /// Issued after little verification, and logged so that misuse is found out.
    Logged,
    /// The pledge itself has said which registrar it sees (RFC 8995 s5.5.5), and it is the one that asks.
    Proximity,
    /// A trusted agent saw the pledge (RFC 8366bis, for BRSKI-PRM).
    AgentProximity,
}

impl Assertion {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Verified, Self::Logged, Self::Proximity, Self::AgentProximity];

    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Logged => "logged",
            Self::Proximity => "proximity",
            Self::AgentProximity => "agent-proximity",
        }
    }

    /// Its number in CBOR.
    pub const fn number(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Logged => 1,
            Self::Proximity => 2,
            Self::AgentProximity => 3,
        }
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A voucher or a voucher request: the two things that can be signed here.
pub trait Payload: Sized + sealed::Fielded {
    /// Checks what the YANG modules demand of the fields together (RFC 8366 s5.3, RFC 8995 s3.4).
    fn check(&self) -> Result<(), VoucherError>;

    /// As JSON, unsigned (RFC 7951).
    fn to_json(&self) -> Vec<u8> {
        super::json::encode::<Self>(&self.to_fields())
    }

    /// From JSON, unsigned.
    fn from_json(json: &[u8]) -> Result<Self, VoucherError> {
        Self::from_fields(super::json::decode::<Self>(json)?)
    }

    /// As CBOR with SIDs, unsigned (RFC 9254).
    fn to_cbor(&self) -> Result<Vec<u8>, VoucherError> {
        super::cbor::encode::<Self>(&self.to_fields())
    }

    /// From CBOR with SIDs, unsigned.
    fn from_cbor(cbor: &[u8]) -> Result<Self, VoucherError> {
        Self::from_fields(super::cbor::decode::<Self>(cbor)?)
    }
}

pub(super) mod sealed {
    use super::{Fields, VoucherError};

    /// How a payload is written down; nobody else needs to know.
    pub trait Fielded: Sized {
        /// The name at the top in JSON.
        const NAME: &'static str;
        /// Names that others put at the top.
        const OTHER_NAMES: &'static [&'static str] = &[];
        /// The SID at the top in CBOR.
        const SID: i128;
        /// Each field's name and how far its SID is from the top's.
        const FIELDS: &'static [(&'static str, i128)];

        fn to_fields(&self) -> Fields;
        fn from_fields(fields: Fields) -> Result<Self, VoucherError>;
    }
}
