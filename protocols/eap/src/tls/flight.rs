//! TLS flights in fragments (RFC 5216 s2.1.5, s3.1).

use crate::bounds;
use landfall_types::{Fault, Refusal};

/// What a fragment says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The length of the whole flight, if it is told: with the first of several fragments it must be.
    pub length: Option<u32>,
    /// Whether more follow.
    pub more: bool,
    /// Whether this is the start, which only servers send.
    pub start: bool,
}

/// One fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// What it says of itself.
    pub flags: Flags,
    /// The piece of the flight.
    pub data: &'a [u8],
}

const LENGTH: u8 = 0x80;
const MORE: u8 = 0x40;
const START: u8 = 0x20;

impl<'a> Fragment<'a> {
    /// Reads what stands in an EAP message behind its type. Reserved bits are ignored (RFC 5216 s3.1).
    ///
    /// # Errors
    /// `eap-tls-fragment`: it ends within its flags.
    pub fn parse(data: &'a [u8]) -> Result<Self, Refusal> {
        let (&flags, rest) = data.split_first().ok_or_else(|| malformed("it has no flags").field("Flags"))?;
        let (length, data) = match flags & LENGTH {
            0 => (None, rest),
            _ => {
                let (length, data) = rest
                    .split_first_chunk()
                    .ok_or_else(|| malformed("it ends within the length").field("TLS Message Length"))?;
                (Some(u32::from_be_bytes(*length)), data)
            }
        };
        Ok(Self { flags: Flags { length, more: flags & MORE != 0, start: flags & START != 0 }, data })
    }

    /// Writes it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Flags { length, more, start } = self.flags;
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let mut bytes = vec![bit(length.is_some(), LENGTH) | bit(more, MORE) | bit(start, START)];
        bytes.extend(length.iter().flat_map(|length| length.to_be_bytes()));
        bytes.extend_from_slice(self.data);
        bytes
    }

    /// Whether it says nothing: that the other side may go on.
    pub fn is_acknowledgement(&self) -> bool {
        self.flags == Flags::default() && self.data.is_empty()
    }
}

/// A flight that leaves in fragments.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    bytes: Vec<u8>,
    sent: usize,
}

impl Leaving {
    /// A new flight.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, sent: 0 }
    }

    /// Whether all of it was sent.
    pub(super) fn is_sent(&self) -> bool {
        self.sent >= self.bytes.len()
    }

    /// The next fragment, in an EAP packet of at most `largest` octets.
    pub(super) fn next(&mut self, largest: usize) -> Vec<u8> {
        // Header and type of the EAP packet, flags, length.
        let room = largest.saturating_sub(5 + 1 + 4).max(1);
        let rest = self.bytes.get(self.sent..).unwrap_or_default();
        let data = rest.get(..room).unwrap_or(rest);
        let more = data.len() < rest.len();
        let total = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let length = (self.sent == 0 && more).then_some(total);
        self.sent += data.len();
        Fragment { flags: Flags { length, more, start: false }, data }.to_bytes()
    }
}

/// A flight that comes in fragments.
#[derive(Debug, Default)]
pub(super) struct Coming {
    bytes: Vec<u8>,
    total: Option<usize>,
}

impl Coming {
    /// Takes a fragment: the flight, if that was its last.
    ///
    /// # Errors
    /// `eap-tls-flight`: the flight is too long, or longer or shorter than was said.
    pub(super) fn take(&mut self, fragment: &Fragment<'_>) -> Result<Option<Vec<u8>>, Refusal> {
        let wrong = |detail: String| Refusal::new(Fault::Peer, "eap-tls-flight", "RFC 5216 s2.1.5", detail);
        if let Some(length) = fragment.flags.length {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            // It may be said with every fragment, but must not change.
            if self.total.is_some_and(|total| total != length) {
                return Err(wrong("the length of the flight changes within it".into()).field("TLS Message Length"));
            }
            self.total = Some(length);
        }
        let limit = self.total.unwrap_or(bounds::FLIGHT);
        if limit > bounds::FLIGHT {
            return Err(wrong(format!("a flight of {limit} octets is too long")).field("TLS Message Length"));
        }
        if self.bytes.len() + fragment.data.len() > limit {
            return Err(wrong(format!("more than the {limit} octets of the flight came")));
        }
        if fragment.flags.more && fragment.data.is_empty() {
            return Err(wrong("a fragment of nothing, and more to follow".into()));
        }
        self.bytes.extend_from_slice(fragment.data);
        if fragment.flags.more {
            return Ok(None);
        }
        let (bytes, total) = (std::mem::take(&mut self.bytes), self.total.take());
        match total {
            Some(total) if bytes.len() != total => {
                Err(wrong(format!("{} octets came of a flight of {total}", bytes.len())).field("TLS Message Length"))
            }
            _ => Ok(Some(bytes)),
        }
    }
}

fn malformed(detail: &str) -> Refusal {
    Refusal::new(Fault::Malformed, "eap-tls-fragment", "RFC 5216 s3.1", detail)
}
