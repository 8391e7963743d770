//! The two forms of captures: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).

/// Packets that are looked at.
const MOST: usize = 1_000_000;

/// What a capture holds.
pub(super) struct Packets<'a> {
    pub(super) packets: Vec<Packet<'a>>,
    pub(super) format: &'static str,
    /// Whether it ends in the middle of something.
    pub(super) broken: bool,
}

/// One packet, as far as it was captured.
pub(super) struct Packet<'a> {
    /// Its link type (the registry of draft-ietf-opsawg-pcaplinktype).
    pub(super) link: u32,
    pub(super) octets: &'a [u8],
}

/// Reads either form; `None` if it is neither.
pub(super) fn packets(bytes: &[u8]) -> Option<Packets<'_>> {
    match *bytes.first_chunk()? {
        [0xD4, 0xC3, 0xB2, 0xA1] | [0x4D, 0x3C, 0xB2, 0xA1] => Some(classic(bytes, Order::Little)),
        [0xA1, 0xB2, 0xC3, 0xD4] | [0xA1, 0xB2, 0x3C, 0x4D] => Some(classic(bytes, Order::Big)),
        [0x0A, 0x0D, 0x0D, 0x0A] => Some(blocks(bytes)),
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn number(self, bytes: &[u8], at: usize) -> Option<u32> {
        let octets = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(octets),
            Self::Big => u32::from_be_bytes(octets),
        })
    }

    fn short(self, bytes: &[u8], at: usize) -> Option<u16> {
        let octets = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(octets),
            Self::Big => u16::from_be_bytes(octets),
        })
    }
}

fn piece(bytes: &[u8], at: usize, len: u32) -> Option<&[u8]> {
    bytes.get(at..)?.get(..usize::try_from(len).ok()?)
}

fn classic(bytes: &[u8], order: Order) -> Packets<'_> {
    const HEADER: usize = 24;
    const RECORD: usize = 16;
    let mut packets = Vec::new();
    // The upper bits say how long checksums are.
    let link = order.number(bytes, 20).map(|link| link & 0xFFFF);
    let mut at = HEADER;
    while let (Some(link), true) = (link, at < bytes.len() && packets.len() < MOST) {
        let captured = order.number(bytes, at + 8).and_then(|len| piece(bytes, at + RECORD, len));
        let Some(octets) = captured else { break };
        packets.push(Packet { link, octets });
        at += RECORD + octets.len();
    }
    let broken = link.is_none() || at < bytes.len() && packets.len() < MOST;
    Packets { packets, format: "pcap", broken }
}

fn blocks(bytes: &[u8]) -> Packets<'_> {
    const SECTION: u32 = 0x0A0D_0D0A;
    const INTERFACE: u32 = 1;
    const SIMPLE: u32 = 3;
    const ENHANCED: u32 = 6;
    let (mut packets, mut links, mut order, mut at) = (Vec::new(), Vec::new(), Order::Little, 0);
    while at < bytes.len() && packets.len() < MOST {
        if Order::Big.number(bytes, at) == Some(SECTION) {
            // Each section says for itself in which order its octets stand.
            order = match Order::Big.number(bytes, at + 8) {
                Some(0x1A2B_3C4D) => Order::Big,
                _ => Order::Little,
            };
            links.clear();
        }
        let Some((kind, len)) = order.number(bytes, at).zip(order.number(bytes, at + 4)) else { break };
        let Some(block) = piece(bytes, at, len).filter(|block| block.len() >= 12) else { break };
        match kind {
            INTERFACE => links.extend(order.short(block, 8).map(u32::from)),
            SIMPLE => {
                let original = order.number(block, 8).unwrap_or_default();
                let room = u32::try_from(block.len().saturating_sub(16)).unwrap_or_default();
                let octets = piece(block, 12, original.min(room)).unwrap_or_default();
                packets.extend(links.first().map(|link| Packet { link: *link, octets }));
            }
            ENHANCED => {
                let interface = order.number(block, 8).and_then(|index| usize::try_from(index).ok());
                let link = interface.and_then(|index| links.get(index));
                let octets = order.number(block, 20).and_then(|len| piece(block, 28, len));
                packets.extend(link.zip(octets).map(|(link, octets)| Packet { link: *link, octets }));
            }
            _ => {}
        }
        at += block.len();
    }
    let broken = at < bytes.len() && packets.len() < MOST;
    Packets { packets, format: "pcapng", broken }
}
