//! Random changes, of the kinds that break parsers of lengths and structures.

use landfall_testkit::Rng;

/// Values that sit on the edges of DER and CBOR lengths and of UTF-8.
const EDGES: [u8; 16] =
    [0x00, 0x01, 0x02, 0x1f, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x9f, 0xa0, 0xbf, 0xfe, 0xff];

/// `input` with one to four changes; `other` gives material.
pub(crate) fn mutated(rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=rng.below(4) {
        change(rng, &mut bytes, other);
    }
    bytes
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = place(rng, bytes.len());
    match rng.below(7) {
        0 => bytes.truncate(at),
        1 => {
            let byte = rng.next() as u8;
            bytes.insert(at, byte);
        }
        2 => {
            let end = (at + place(rng, 16)).min(bytes.len());
            bytes.drain(at..end);
        }
        3 => {
            // A part of it once more, as with duplicate fields.
            let end = at + place(rng, bytes.len() - at);
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        4 => {
            let from = place(rng, other.len());
            let to = from + place(rng, other.len() - from);
            bytes.splice(at..at, other[from..to].iter().copied());
        }
        kind => {
            let Some(byte) = bytes.get_mut(at) else { return };
            *byte = match kind {
                5 => *byte ^ (1 << rng.below(8)),
                _ => EDGES[rng.below(EDGES.len() as u64) as usize],
            };
        }
    }
}

fn place(rng: &mut Rng, length: usize) -> usize {
    rng.below(length as u64 + 1) as usize
}
