//! Segments of TCP put in their order, and frames cut out of them.

use super::link::Segment;
use landfall_dpp::{
    frame::{Frame, FrameError},
    tcp::Decoder,
};
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};

/// Directions of connections that are followed, and segments of one that wait for an earlier one.
const MOST: usize = 10_000;

#[derive(Default)]
pub(super) struct Streams(HashMap<(SocketAddr, SocketAddr), Stream>);

/// One direction of a connection.
struct Stream {
    next: u32,
    waiting: BTreeMap<u32, Vec<u8>>,
    decoder: Decoder,
    over: bool,
}

impl Streams {
    /// Takes a segment, and returns the frames that are whole with it.
    pub(super) fn push(&mut self, segment: &Segment<'_>) -> Vec<Result<Frame, FrameError>> {
        let way = (segment.from, segment.to);
        if segment.begins || (!self.0.contains_key(&way) && self.0.len() < MOST) {
            let next = segment.sequence.wrapping_add(u32::from(segment.begins));
            let stream = Stream { next, waiting: BTreeMap::new(), decoder: Decoder::new(), over: false };
            self.0.insert(way, stream);
        }
        match self.0.get_mut(&way) {
            Some(stream) if !segment.begins => stream.push(segment.sequence, segment.data),
            _ => Vec::new(),
        }
    }

    /// The directions in which something is missing.
    pub(super) fn lost(&self) -> Vec<String> {
        let gaps = self.0.iter().filter(|(_, stream)| !stream.waiting.is_empty());
        let mut lost: Vec<_> = gaps.map(|((from, to), _)| format!("{from} to {to}")).collect();
        lost.sort();
        lost
    }
}

impl Stream {
    fn push(&mut self, sequence: u32, data: &[u8]) -> Vec<Result<Frame, FrameError>> {
        if data.is_empty() || self.over || self.waiting.len() >= MOST {
            return Vec::new();
        }
        self.waiting.insert(sequence, data.to_vec());
        let mut frames = Vec::new();
        while let Some((skip, data)) = self.due() {
            let fresh = data.get(skip..).unwrap_or_default();
            self.next = self.next.wrapping_add(u32::try_from(fresh.len()).unwrap_or_default());
            self.decoder.push(fresh);
            frames.extend(self.drain());
        }
        frames
    }

    /// A segment that begins at what is due or before, and how much of it is known already.
    fn due(&mut self) -> Option<(usize, Vec<u8>)> {
        let at = self.waiting.keys().copied().find(|at| self.next.wrapping_sub(*at) < 1 << 31)?;
        let data = self.waiting.remove(&at)?;
        let skip = usize::try_from(self.next.wrapping_sub(at)).unwrap_or(usize::MAX);
        Some((skip.min(data.len()), data))
    }

    fn drain(&mut self) -> Vec<Result<Frame, FrameError>> {
        let mut frames = Vec::new();
        while !self.over {
            let before = self.decoder.pending();
            match self.decoder.next() {
                Ok(None) => break,
                Ok(Some(frame)) => frames.push(Ok(frame)),
                Err(why) => {
                    // Without a length nobody knows where the next frame begins.
                    self.over = self.decoder.pending() == before;
                    frames.push(Err(why));
                }
            }
        }
        frames
    }
}
