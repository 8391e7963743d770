//! EAP over LANs: frames between a device and the port that it hangs at (IEEE 802.1X-2020 s11.3).

use crate::{Packet, bounds};
use landfall_types::{Fault, Refusal};

/// The EtherType of such frames (IEEE 802.1X-2020 s11.1.4).
pub const ETHERTYPE: u16 = 0x888e;
/// The group address to which both sides send: bridges do not forward it (IEEE 802.1X-2020 s11.1.1).
pub const GROUP: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x03];

/// What we write: that of 802.1X-2004, which every switch takes.
const VERSION: u8 = 2;
const SECTION: &str = "IEEE 802.1X-2020 s11.3";

/// A frame, without its Ethernet header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// EAP, either way.
    Eap(Packet),
    /// A device asks to be asked.
    Start,
    /// A device leaves.
    Logoff,
    /// Of another kind, which is left to others: keys, key agreement, announcements.
    Other(u8),
}

impl Frame {
    /// Reads a frame of any version (s11.5: later ones are read as if they were ours); what follows its end is padding.
    ///
    /// # Errors
    /// `eapol-frame` if it is shorter than it says, or `eap-packet`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = |detail: &str| Refusal::new(Fault::Malformed, "eapol-frame", SECTION, detail);
        if bytes.len() > bounds::EAPOL {
            return Err(malformed("it is longer than a frame of Ethernet"));
        }
        let (&[_, kind, high, low], rest) =
            bytes.split_first_chunk().ok_or_else(|| malformed("it is shorter than a header"))?;
        let body = rest.get(..usize::from(u16::from_be_bytes([high, low])));
        let body = body.ok_or_else(|| malformed("it is shorter than it says").field("Packet Body Length"))?;
        Ok(match kind {
            0 => Self::Eap(Packet::parse(body)?),
            1 => Self::Start,
            2 => Self::Logoff,
            other => Self::Other(other),
        })
    }

    /// Writes it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Eap(packet) => (0, packet.to_bytes()),
            Self::Start => (1, Vec::new()),
            Self::Logoff => (2, Vec::new()),
            Self::Other(kind) => (*kind, Vec::new()),
        };
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[VERSION, kind][..], &length, &body].concat()
    }
}
