//! Frames and what stands in them (DPP s8).

mod action;
mod attribute;
mod error;

pub use action::{Action, FrameType};
pub use attribute::{AttributeId, AttributeWriter, Attributes};
pub use error::FrameError;

pub(crate) use action::{OUI, VENDOR_SPECIFIC};

use crate::gas::{self, Gas};

/// The category of Public Action frames (IEEE 802.11 s9.4.1.11), which TCP leaves out.
const PUBLIC: u8 = 0x04;

/// A frame of either sort that DPP uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One of its own.
    Action(Action),
    /// A generic advertisement frame, which carries configuration.
    Gas(Gas),
}

impl Frame {
    /// Reads a frame that begins with the action code, as TCP carries it.
    ///
    /// # Errors
    /// If it is not a frame of DPP, or not whole.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        match bytes.first() {
            Some(&VENDOR_SPECIFIC) => Action::parse(bytes).map(Self::Action),
            Some(&(gas::FIRST..=gas::LAST)) => Gas::parse(bytes).map(Self::Gas),
            Some(_) => Err(FrameError::NotDpp("Action")),
            None => Err(FrameError::Truncated("the header")),
        }
    }

    /// The name in the specification.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Action(action) => action.kind.name(),
            Self::Gas(gas) => gas.name(),
        }
    }

    /// Writes it, beginning with the action code.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Action(action) => action.encode(),
            Self::Gas(gas) => gas.encode(),
        }
    }
}

impl From<Action> for Frame {
    fn from(action: Action) -> Self {
        Self::Action(action)
    }
}

impl From<Gas> for Frame {
    fn from(gas: Gas) -> Self {
        Self::Gas(gas)
    }
}

/// The body of the management frame that carries `frame` over the air.
pub fn over_the_air(frame: &Frame) -> Vec<u8> {
    [&[PUBLIC], frame.encode().as_slice()].concat()
}

/// Reads the body of a management frame.
///
/// # Errors
/// If it is not a Public Action frame of DPP, or not whole.
pub fn from_the_air(body: &[u8]) -> Result<Frame, FrameError> {
    Frame::parse(body.strip_prefix(&[PUBLIC]).ok_or(FrameError::NotDpp("Category"))?)
}
