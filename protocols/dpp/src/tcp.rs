//! Frames over TCP: the length in four octets, highest first, then the frame without its category (DPP s12).

use crate::{
    bounds,
    frame::{Frame, FrameError},
};
use std::fmt;

/// The port of controllers and relays.
pub const PORT: u16 = 8908;

/// The octets of the length.
const PREFIX: usize = 4;

/// Writes a frame with its length. No frame that is sent comes near the bound.
pub fn encode(frame: &Frame) -> Vec<u8> {
    let frame = frame.encode();
    let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    [len.to_be_bytes().as_slice(), &frame].concat()
}

/// Cuts what a connection brings into frames.
#[derive(Clone, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// How much of `buffer` was cut already.
    taken: usize,
}

impl Decoder {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), taken: 0 }
    }

    /// Takes what was read. The caller drains [`Self::next`] before it reads more, so what is kept stays below one frame.
    pub fn push(&mut self, octets: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.is_empty() {
            // A long frame of the past is not paid for by an idle connection.
            self.buffer = Vec::new();
        }
        self.buffer.extend(octets);
    }

    /// The next frame, if it is whole.
    ///
    /// # Errors
    /// If a length is zero or too large, which ends the connection since nobody knows where the next frame begins; or if
    /// a frame is not one of DPP, which is passed over: the next call goes on behind it.
    #[expect(clippy::should_implement_trait, reason = "it resumes after None")]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        self.next_within(bounds::TCP_FRAME)
    }

    /// The same from somebody who is not trusted with more than `max` octets.
    ///
    /// # Errors
    /// As [`Self::next`]; a longer frame is too large.
    pub fn next_within(&mut self, max: usize) -> Result<Option<Frame>, FrameError> {
        let max = max.min(bounds::TCP_FRAME);
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((len, rest)) = rest.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
        if len == 0 {
            return Err(FrameError::Truncated("the frame"));
        }
        if len > max {
            return Err(FrameError::TooLarge { part: "frame", len, max });
        }
        let Some(frame) = rest.get(..len) else { return Ok(None) };
        let frame = Frame::parse(frame);
        self.taken += PREFIX + len;
        frame.map(Some)
    }

    /// How many octets wait for the rest of their frame.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.taken
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoder({} octets)", self.pending())
    }
}
