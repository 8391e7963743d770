//! From octets to a packet, as far as a MUD file can speak of it.

use crate::packet::{Direction, IPV4, IPV6, Ip, Mac, Packet, number};
use std::net::IpAddr;

/// Extension headers that are followed (RFC 8200 s4).
const EXTENSIONS: [u8; 4] = [0, 43, 60, 135];
const FRAGMENT: u8 = 44;
/// RFC 9293 s3.5: who begins sends SYN, and is answered by SYN and ACK.
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

impl Packet {
    /// Reads an Ethernet frame that goes that way; nothing if it is too short to be one. What is cut short inside, or is a later
    /// fragment, has no ports.
    pub fn read(direction: Direction, frame: &[u8]) -> Option<Self> {
        let (destination, rest) = frame.split_first_chunk::<6>()?;
        let (source, rest) = rest.split_first_chunk::<6>()?;
        let (ether_type, inside) = rest.split_first_chunk::<2>()?;
        let ether_type = u16::from_be_bytes(*ether_type);
        let ip = match ether_type {
            IPV4 => v4(direction, inside),
            IPV6 => v6(direction, inside),
            _ => None,
        };
        Some(Self { direction, source: Mac(*source), destination: Mac(*destination), ether_type, ip })
    }
}

fn v4(direction: Direction, packet: &[u8]) -> Option<Ip> {
    let header: &[u8; 20] = packet.first_chunk()?;
    let [first, _, _, _, _, _, high, low, _, protocol, _, _, addresses @ ..] = header;
    let length = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || length < header.len() {
        return None;
    }
    let is_later_fragment = u16::from_be_bytes([*high, *low]) & 0x1fff != 0;
    let inside = packet.get(length..).filter(|_| !is_later_fragment).unwrap_or_default();
    let (source, destination) = addresses.split_first_chunk::<4>()?;
    let destination: &[u8; 4] = destination.first_chunk()?;
    Some(ip(direction, (*source).into(), (*destination).into(), *protocol, inside))
}

fn v6(direction: Direction, packet: &[u8]) -> Option<Ip> {
    let (header, mut inside) = packet.split_first_chunk::<40>()?;
    let [first, _, _, _, _, _, next, _, addresses @ ..] = header;
    if first >> 4 != 6 {
        return None;
    }
    let (source, destination) = addresses.split_first_chunk::<16>()?;
    let destination: &[u8; 16] = destination.first_chunk()?;
    let mut protocol = *next;
    // No honest packet has more of them.
    for _ in 0..8 {
        let Some([next, length, rest @ ..]) = inside.first_chunk::<8>() else { break };
        let length = match protocol {
            FRAGMENT => {
                let [high, low, ..] = rest;
                if u16::from_be_bytes([*high, *low]) >> 3 != 0 {
                    (protocol, inside) = (*next, &[]);
                    break;
                }
                8
            }
            other if EXTENSIONS.contains(&other) => 8 + usize::from(*length) * 8,
            _ => break,
        };
        (protocol, inside) = (*next, inside.get(length..).unwrap_or_default());
    }
    Some(ip(direction, (*source).into(), (*destination).into(), protocol, inside))
}

fn ip(direction: Direction, source: IpAddr, destination: IpAddr, protocol: u8, inside: &[u8]) -> Ip {
    let mut ip = Ip { source, destination, protocol, ports: None, icmp: None, begun: None };
    match (protocol, inside) {
        (number::TCP | number::UDP, [a, b, c, d, rest @ ..]) => {
            ip.ports = Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])));
            let flags = rest.get(9).filter(|_| protocol == number::TCP).map(|flags| flags & (SYN | ACK));
            ip.begun = match (flags, direction) {
                (Some(SYN), same) => Some(same),
                (Some(both), Direction::FromDevice) if both == SYN | ACK => Some(Direction::ToDevice),
                (Some(both), Direction::ToDevice) if both == SYN | ACK => Some(Direction::FromDevice),
                _ => None,
            };
        }
        (number::ICMP | number::ICMPV6, [kind, code, ..]) => ip.icmp = Some((*kind, *code)),
        _ => {}
    }
    ip
}
