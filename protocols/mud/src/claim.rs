//! MUD URLs that devices tell their network in the clear: by DHCP (RFC 8520 s10) and by LLDP (RFC 8520 s12).
//!
//! Whoever can send a frame can say anything here, so it is a claim: it never counts more than what a certificate says.

use crate::{
    packet::{IPV4, IPV6, Mac},
    url::MudUrl,
};
use landfall_types::{Fault, Refusal};
use std::fmt;

/// How a device told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Option 161 of DHCP.
    Dhcp4,
    /// Option 112 of DHCP for IPv6.
    Dhcp6,
    /// A neighbour's TLV of IANA's.
    Lldp,
}

/// What a device said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its interface.
    pub mac: Mac,
    /// Where its file is.
    pub url: MudUrl,
    /// How it told.
    pub way: Way,
}

/// RFC 8520 s17.3 and s17.4.
const OPTION_4: u8 = 161;
const OPTION_6: u16 = 112;
/// RFC 8520 s12: IANA's OUI and the subtype of MUD.
const ORGANIZATION: [u8; 4] = [0x00, 0x00, 0x5e, 0x01];
/// No option of DHCP and no TLV has room for more (RFC 8520 s10 and s12).
const LONGEST: usize = 255;

const LLDP: u16 = 0x88cc;
const UDP: u8 = 17;
/// RFC 2131 s2 and s3: what comes before the options, and how they begin.
const BOOTP: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Messages of clients that may tell what they are: Solicit, Request, Confirm, Renew, Rebind, Information-request (RFC 8415 s7.3).
const ASKING_6: [u8; 6] = [1, 3, 4, 5, 6, 11];

/// What a frame of a device says of where its file is; nothing if it is about something else.
///
/// # Errors
/// By name: `mud-claim-form` (a message that ends too early or says it twice), `mud-claim-url` (what is said is no MUD URL),
/// `mud-claim-other` (said on behalf of another interface).
pub fn read(frame: &[u8]) -> Result<Option<Claim>, Refusal> {
    let Some((_, source, ether_type, inside)) = ethernet(frame) else { return Ok(None) };
    let (url, way) = match ether_type {
        LLDP => (lldp(inside)?, Way::Lldp),
        IPV4 => match datagram_4(inside) {
            Some((68, 67, message)) => (dhcp_4(message, source)?, Way::Dhcp4),
            _ => return Ok(None),
        },
        IPV6 => match datagram_6(inside) {
            Some((546, 547, message)) => (dhcp_6(message)?, Way::Dhcp6),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(url.map(|url| Claim { mac: source, url, way }))
}

/// What the options of a message to a DHCP server say (RFC 2131).
fn dhcp_4(message: &[u8], from: Mac) -> Result<Option<MudUrl>, Refusal> {
    const SECTION: &str = "RFC 8520 s10";
    let (Some(head), Some(options)) = (message.get(..BOOTP), message.get(BOOTP..)) else { return Ok(None) };
    let Some(mut rest) = options.strip_prefix(&COOKIE) else { return Ok(None) };
    // RFC 2131 s2: from a client, on Ethernet.
    if head.get(..3) != Some(&[1, 1, 6]) {
        return Ok(None);
    }
    let mut found = None;
    // RFC 2132 s3: one byte of padding, and one that ends it all; the others say how long they are.
    while let [code, after @ ..] = rest {
        match code {
            0 => rest = after,
            255 => break,
            _ => {
                let value = after.split_first().and_then(|(length, after)| after.split_at_checked((*length).into()));
                let (value, after) = value.ok_or_else(|| form(SECTION, "an option is longer than its message"))?;
                if *code == OPTION_4 && found.replace(value).is_some() {
                    return Err(form(SECTION, "it is there twice"));
                }
                rest = after;
            }
        }
    }
    let Some(text) = found else { return Ok(None) };
    if head.get(28..34) != Some(&from.0) {
        let why = "the message is not about the interface that sent it";
        return Err(Refusal::new(Fault::Peer, "mud-claim-other", SECTION, why));
    }
    url(text, SECTION).map(Some)
}

/// The same of a message to a DHCP server for IPv6 (RFC 8415 s8 and s21.1).
fn dhcp_6(message: &[u8]) -> Result<Option<MudUrl>, Refusal> {
    const SECTION: &str = "RFC 8520 s10";
    let Some(([kind, _, _, _], mut rest)) = message.split_first_chunk() else { return Ok(None) };
    if !ASKING_6.contains(kind) {
        return Ok(None);
    }
    let mut found = None;
    while let Some(([a, b, c, d], after)) = rest.split_first_chunk() {
        let value = after.split_at_checked(u16::from_be_bytes([*c, *d]).into());
        let (value, after) = value.ok_or_else(|| form(SECTION, "an option is longer than its message"))?;
        if u16::from_be_bytes([*a, *b]) == OPTION_6 && found.replace(value).is_some() {
            return Err(form(SECTION, "it is there twice"));
        }
        rest = after;
    }
    found.map(|text| url(text, SECTION)).transpose()
}

/// The same of what a device says to its neighbour (IEEE 802.1AB-2016 s8.4 and s8.6).
fn lldp(pdu: &[u8]) -> Result<Option<MudUrl>, Refusal> {
    const SECTION: &str = "RFC 8520 s12";
    const END: u16 = 0;
    const ORGANIZATIONS: u16 = 127;
    let (mut rest, mut found) = (pdu, None);
    while let Some((head, after)) = rest.split_first_chunk() {
        let head = u16::from_be_bytes(*head);
        let value = after.split_at_checked((head & 0x1ff).into());
        let (value, after) = value.ok_or_else(|| form(SECTION, "a TLV is longer than its frame"))?;
        match head >> 9 {
            END => break,
            ORGANIZATIONS => {
                let text = value.strip_prefix(&ORGANIZATION);
                if text.is_some_and(|text| found.replace(text).is_some()) {
                    return Err(form(SECTION, "it is there twice"));
                }
            }
            _ => {}
        }
        rest = after;
    }
    found.map(|text| url(text, SECTION)).transpose()
}

/// RFC 8520 s10: the URL, and perhaps a space and something that nobody understands yet.
fn url(text: &[u8], section: &'static str) -> Result<MudUrl, Refusal> {
    let refuse = |why: String| Refusal::new(Fault::Peer, "mud-claim-url", section, why);
    if text.len() > LONGEST {
        return Err(refuse(format!("it has more than {LONGEST} bytes")));
    }
    let text = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| refuse("it is no text".into()))?;
    text.parse().map_err(|why: crate::url::NotAMudUrl| refuse(why.to_string()))
}

fn form(section: &'static str, why: &str) -> Refusal {
    Refusal::new(Fault::Malformed, "mud-claim-form", section, why.to_owned())
}

/// Destination, source, type, and what is in it. A device has no business to write tags.
fn ethernet(frame: &[u8]) -> Option<(Mac, Mac, u16, &[u8])> {
    let (destination, rest) = frame.split_first_chunk()?;
    let (source, rest) = rest.split_first_chunk()?;
    let (kind, inside) = rest.split_first_chunk()?;
    Some((Mac(*destination), Mac(*source), u16::from_be_bytes(*kind), inside))
}

/// Ports and payload of the datagram of UDP in a frame, if there is a whole one.
pub(crate) fn datagram(frame: &[u8]) -> Option<(u16, u16, &[u8])> {
    match ethernet(frame)? {
        (_, _, IPV4, packet) => datagram_4(packet),
        (_, _, IPV6, packet) => datagram_6(packet),
        _ => None,
    }
}

/// The same of IPv4 (RFC 791 s3.1, RFC 768).
fn datagram_4(packet: &[u8]) -> Option<(u16, u16, &[u8])> {
    let head = packet.first_chunk::<20>()?;
    let [first, _, long, short, _, _, flags, offset, _, protocol, ..] = *head;
    let words = usize::from(first & 0x0f);
    let is_whole = u16::from_be_bytes([flags, offset]) & 0x3fff == 0;
    let packet = packet.get(..u16::from_be_bytes([long, short]).into())?;
    let is_udp = first >> 4 == 4 && words >= 5 && is_whole && protocol == UDP;
    udp(packet.get(words * 4..).filter(|_| is_udp)?)
}

/// The same of IPv6, without extension headers (RFC 8200 s3).
fn datagram_6(packet: &[u8]) -> Option<(u16, u16, &[u8])> {
    let (head, rest) = packet.split_first_chunk::<40>()?;
    let [first, _, _, _, long, short, next, ..] = *head;
    let is_udp = first >> 4 == 6 && next == UDP;
    udp(rest.get(..u16::from_be_bytes([long, short]).into()).filter(|_| is_udp)?)
}

fn udp(bytes: &[u8]) -> Option<(u16, u16, &[u8])> {
    let ([a, b, c, d, long, short, _, _], _) = bytes.split_first_chunk()?;
    let message = bytes.get(8..u16::from_be_bytes([*long, *short]).into())?;
    Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]), message))
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dhcp4 => "DHCP option 161",
            Self::Dhcp6 => "DHCPv6 option 112",
            Self::Lldp => "LLDP",
        })
    }
}
