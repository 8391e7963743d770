//! From a captured packet to what may be DPP in it: the body of a management frame, or a segment of TCP.

use landfall_dpp::tcp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const NULL: u32 = 0;
const ETHERNET: u32 = 1;
const RAW: u32 = 101;
const IEEE802_11: u32 = 105;
const LINUX_SLL: u32 = 113;
const RADIOTAP: u32 = 127;
const LINUX_SLL2: u32 = 276;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86DD;
const VLAN: u16 = 0x8100;
const TCP: u8 = 6;

/// What may be DPP.
pub(super) enum Carried<'a> {
    /// A management frame of a kind that carries actions.
    Air {
        /// Its body.
        body: &'a [u8],
        /// From whom to whom.
        who: String,
        /// How many octets at the end may be a checksum.
        spare: usize,
    },
    /// A segment to or from the port of DPP.
    Tcp(Segment<'a>),
}

/// A segment of TCP.
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    /// Whether it begins a connection.
    pub(super) begins: bool,
    pub(super) data: &'a [u8],
}

impl Segment<'_> {
    pub(super) fn who(&self) -> String {
        format!("{} to {}", self.from, self.to)
    }
}

/// What a packet on that link carries.
pub(super) fn carried(link: u32, octets: &[u8]) -> Option<Carried<'_>> {
    match link {
        IEEE802_11 => air(octets, 4),
        RADIOTAP => {
            let (header, checksum) = radiotap(octets)?;
            air(octets.get(header..)?, checksum)
        }
        NULL => ip(octets.get(4..)?),
        RAW => ip(octets),
        ETHERNET => {
            let (kind, rest) = short(octets.get(12..)?)?;
            match kind {
                VLAN => ethertype(short(rest.get(2..)?)?),
                _ => ethertype((kind, rest)),
            }
        }
        LINUX_SLL => ethertype(short(octets.get(14..)?)?),
        LINUX_SLL2 => ethertype((short(octets)?.0, octets.get(20..)?)),
        _ => None,
    }
}

fn short(octets: &[u8]) -> Option<(u16, &[u8])> {
    octets.split_first_chunk().map(|(number, rest)| (u16::from_be_bytes(*number), rest))
}

fn ethertype((kind, rest): (u16, &[u8])) -> Option<Carried<'_>> {
    match kind {
        IPV4 | IPV6 => ip(rest),
        _ => None,
    }
}

/// The length of a radiotap header, and of the checksum behind the frame: field 1, Flags, says whether there is one.
fn radiotap(octets: &[u8]) -> Option<(usize, usize)> {
    const MORE_WORDS: u32 = 1 << 31;
    const TIMESTAMP: u32 = 1;
    const FLAGS: u32 = 2;
    const CHECKSUM: u8 = 0x10;
    let len = u16::from_le_bytes(*octets.get(2..)?.first_chunk()?);
    let word = |index: usize| octets.get(4 + 4 * index..)?.first_chunk().map(|word| u32::from_le_bytes(*word));
    let present = word(0)?;
    let words = 1 + (0..32).take_while(|index| word(*index).is_some_and(|word| word & MORE_WORDS != 0)).count();
    let mut at = 4 + 4 * words;
    if present & TIMESTAMP != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    let flags = (present & FLAGS != 0).then(|| octets.get(at)).flatten();
    Some((len.into(), if flags.is_some_and(|flags| flags & CHECKSUM != 0) { 4 } else { 0 }))
}

/// IEEE 802.11 s9.3.3: management frames of subtype Action or Action No Ack.
fn air(frame: &[u8], spare: usize) -> Option<Carried<'_>> {
    const HEADER: usize = 24;
    const PROTECTED: u8 = 0x40;
    const ORDER: u8 = 0x80;
    let [kind, flags] = *frame.first_chunk()?;
    if !matches!(kind, 0xD0 | 0xE0) || flags & PROTECTED != 0 {
        return None;
    }
    let header = if flags & ORDER != 0 { HEADER + 4 } else { HEADER };
    let address = |at: usize| {
        let octets: [u8; 6] = *frame.get(at..)?.first_chunk()?;
        Some(octets.map(|octet| format!("{octet:02x}")).join(":"))
    };
    let who = format!("{} to {}", address(10)?, address(4)?);
    Some(Carried::Air { body: frame.get(header..)?, who, spare })
}

fn ip(packet: &[u8]) -> Option<Carried<'_>> {
    match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet.first()? & 0x0F) * 4;
            let total = usize::from(short(packet.get(2..)?)?.0);
            let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?)));
            let fragment = short(packet.get(6..)?)?.0 & 0x3FFF;
            if *packet.get(9)? != TCP || fragment != 0 {
                return None;
            }
            // Behind a short packet an Ethernet frame is padded.
            let total = if total == 0 { packet.len() } else { total.min(packet.len()) };
            tcp(packet.get(header..total)?, address(12)?, address(16)?)
        }
        6 => {
            const HEADER: usize = 40;
            let payload = usize::from(short(packet.get(4..)?)?.0);
            let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?)));
            if *packet.get(6)? != TCP {
                return None;
            }
            let end = if payload == 0 { packet.len() } else { packet.len().min(HEADER + payload) };
            tcp(packet.get(HEADER..end)?, address(8)?, address(24)?)
        }
        _ => None,
    }
}

fn tcp(segment: &[u8], from: IpAddr, to: IpAddr) -> Option<Carried<'_>> {
    const SYN: u8 = 0x02;
    let (source, rest) = short(segment)?;
    let (destination, rest) = short(rest)?;
    if source != tcp::PORT && destination != tcp::PORT {
        return None;
    }
    let sequence = u32::from_be_bytes(*rest.first_chunk()?);
    let header = usize::from(segment.get(12)? >> 4) * 4;
    Some(Carried::Tcp(Segment {
        from: (from, source).into(),
        to: (to, destination).into(),
        sequence,
        begins: segment.get(13)? & SYN != 0,
        data: segment.get(header..)?,
    }))
}
