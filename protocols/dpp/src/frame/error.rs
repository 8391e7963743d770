//! What can be wrong with a frame.

use crate::frame::AttributeId;
use landfall_types::{Fault, Refusal};

/// Why a frame was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is longer than anything that is read.
    #[error("{part} has {len} octets, of which at most {max} are read")]
    TooLarge {
        /// What.
        part: &'static str,
        /// Its length.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// The octets end too early.
    #[error("{0} is cut short")]
    Truncated(&'static str),
    /// There are octets too many.
    #[error("octets follow {0}")]
    Trailing(&'static str),
    /// It is a frame of something else.
    #[error("not a DPP frame: {0}")]
    NotDpp(&'static str),
    /// A crypto suite other than the one there is.
    #[error("crypto suite {0} is not spoken")]
    CryptoSuite(u8),
    /// A frame type that has no meaning.
    #[error("frame type {0} is not one of DPP")]
    FrameType(u8),
    /// An attribute that must be there is not.
    #[error("{0} is missing")]
    Missing(AttributeId),
    /// An attribute stands twice.
    #[error("{0} stands twice")]
    Duplicate(AttributeId),
    /// An attribute has an impossible length.
    #[error("{id} has {len} octets")]
    Length {
        /// Which.
        id: AttributeId,
        /// Its length.
        len: usize,
    },
    /// An attribute has an impossible value.
    #[error("{id} {why}")]
    Value {
        /// Which.
        id: AttributeId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A fragment is out of order.
    #[error("fragment {found} came where {expected} was due")]
    Fragment {
        /// The number that was due.
        expected: u8,
        /// The number that came.
        found: u8,
    },
}

impl FrameError {
    /// The name of the check, whose fault it is, where it is specified and the field.
    fn row(&self) -> (&'static str, Fault, &'static str, &'static str) {
        use Fault::{Incompatible, Malformed, Peer};
        match self {
            Self::TooLarge { part, .. } => ("dpp-frame-size", Malformed, "DPP s8", part),
            Self::Truncated(part) | Self::Trailing(part) => ("dpp-frame-length", Malformed, "DPP s8", part),
            Self::NotDpp(part) => ("dpp-frame-header", Malformed, "DPP s8.2.1", part),
            Self::CryptoSuite(_) => ("dpp-crypto-suite", Incompatible, "DPP s8.2.1", "Crypto Suite"),
            Self::FrameType(_) => ("dpp-frame-type", Incompatible, "DPP s8.2.1", "DPP Frame Type"),
            Self::Missing(id) => ("dpp-attribute-missing", Malformed, "DPP s8.2", id.name()),
            Self::Duplicate(id) => ("dpp-attribute-duplicate", Malformed, "DPP s8.1", id.name()),
            Self::Length { id, .. } => ("dpp-attribute-length", Malformed, "DPP s8.1", id.name()),
            Self::Value { id, .. } => ("dpp-attribute-value", Malformed, "DPP s8.1", id.name()),
            Self::Fragment { .. } => {
                ("dpp-gas-fragment", Peer, "IEEE 802.11 s9.4.1.34", "GAS Query Response Fragment ID")
            }
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.row().1
    }

    /// The same as a refusal.
    pub fn refusal(&self) -> Refusal {
        let (check, fault, section, field) = self.row();
        Refusal::new(fault, check, section, self.to_string()).field(field)
    }
}

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Self {
        error.refusal()
    }
}
