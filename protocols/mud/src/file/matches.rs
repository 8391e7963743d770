//! Which packets an entry means (RFC 8519 s4.1 and s4.2, RFC 8520 s4 and s8).

use super::{
    acl::AclKind,
    object::{Object, Text, text},
    tls::{self, TlsProfile},
};
use crate::{
    packet::{Direction, IPV4, IPV6, Mac, Prefix, number},
    policy::Class,
    report::{At, Report},
};
use serde_json::Value;
use std::net::IpAddr;

/// Which packets an entry means: those that are as everything here says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    /// What the frame is.
    pub ether: EtherMatch,
    /// Which version of IP is in it, if it has to be IP.
    pub family: Option<Family>,
    /// What the packet in it is.
    pub ip: IpMatch,
    /// What is in the packet.
    pub l4: Option<L4>,
    /// Groups to which the other end belongs, all of them.
    pub classes: Vec<Class>,
    /// How TLS is spoken, one of these ways.
    pub tls: Vec<TlsProfile>,
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EtherMatch {
    /// Whose, with the bits that count.
    pub source: Option<(Mac, Mac)>,
    /// For whom, with the bits that count.
    pub destination: Option<(Mac, Mac)>,
    /// Of which type.
    pub kind: Option<u16>,
}

/// What a packet is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpMatch {
    /// The protocol of its payload.
    pub protocol: Option<u8>,
    /// From where.
    pub source: Option<Prefix>,
    /// To where.
    pub destination: Option<Prefix>,
    /// From a host of that name.
    pub source_name: Option<String>,
    /// To a host of that name.
    pub destination_name: Option<String>,
}

/// What is in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L4 {
    /// TCP, and who began the connection.
    Tcp(Ports, Ports, Option<Direction>),
    /// UDP.
    Udp(Ports, Ports),
    /// ICMP of the packet's version: type and code.
    Icmp(Option<u8>, Option<u8>),
}

/// Ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// Any.
    #[default]
    Any,
    /// From one to another, both included.
    Range(u16, u16),
    /// Any but this one.
    Not(u16),
}

impl Family {
    /// Ethernet's type of it.
    pub const fn ether_type(self) -> u16 {
        match self {
            Self::V4 => IPV4,
            Self::V6 => IPV6,
        }
    }

    const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl Ports {
    /// Whether that one is among them.
    pub const fn have(self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Range(least, most) => least <= port && port <= most,
            Self::Not(not) => port != not,
        }
    }
}

impl Matches {
    /// Whatever a list of that kind can mean.
    pub(super) fn of(kind: AclKind) -> Self {
        let family = match kind {
            AclKind::Ip(family) => Some(family),
            AclKind::Ether | AclKind::Mixed(_) => None,
        };
        Self { family, ..Self::default() }
    }

    /// Whether nothing is asked for but the version of IP.
    pub(super) fn is_everything(&self) -> bool {
        *self == Self { family: self.family, ..Self::default() }
    }
}

/// What RFC 8519 has and nothing here looks at: leaving it out would let more through.
const NOT_LOOKED_AT: [&str; 16] = [
    "dscp",
    "ecn",
    "length",
    "ttl",
    "ihl",
    "flags",
    "offset",
    "identification",
    "flow-label",
    "sequence-number",
    "acknowledgement-number",
    "data-offset",
    "window-size",
    "urgent-pointer",
    "options",
    "rest-of-header",
];

/// Reads the matches; also what stands among them and should stand beside them.
pub(super) fn read<'v>(mut object: Object<'v, '_>, kind: AclKind, report: &mut Report) -> (Matches, Option<&'v Value>) {
    let mut matches = Matches::of(kind);
    let at = object.at();
    if let Some(mut eth) = inner(&mut object, &at, "eth", report) {
        ether(&mut eth, &mut matches.ether, report);
        if let AclKind::Ip(_) = kind {
            report.mended(&eth.at(), "RFC 8519 s4.1", "the type of its list should be a mixed one");
        }
        not_looked_at(&eth, report);
    }
    for (name, family) in [("ipv4", Family::V4), ("ipv6", Family::V6)] {
        let Some(mut object) = inner(&mut object, &at, name, report) else { continue };
        let fits = match kind {
            AclKind::Ip(of) | AclKind::Mixed(Some(of)) => of == family,
            // RFC 8519 s4.1: one of the two in an entry.
            AclKind::Mixed(None) => matches.family.is_none(),
            AclKind::Ether => false,
        };
        if !fits {
            report.wrong(&object.at(), "RFC 8519 s4.1", "it does not go with the rest of its entry or its list");
        }
        matches.family = Some(family);
        ip(&mut object, family, &mut matches.ip, report);
        not_looked_at(&object, report);
    }
    l4(&mut object, &mut matches, report);
    if let Some(value) = object.take_or("ietf-mud:mud", &["mud"], "RFC 7951 s4", report)
        && let Some(mut object) = Object::of(value, at.name("ietf-mud:mud"), "RFC 8520 s4", report)
    {
        classes(&mut object, &mut matches.classes, report);
        not_looked_at(&object, report);
    }
    matches.tls = tls::profiles(&mut object, report);
    consistent(&mut matches, &object, report);
    let actions = object.take("actions");
    not_looked_at(&object, report);
    (matches, actions)
}

fn inner<'v, 'p>(
    object: &mut Object<'v, '_>,
    at: &'p At<'p>,
    name: &'static str,
    report: &mut Report,
) -> Option<Object<'v, 'p>> {
    Object::of(object.take(name)?, at.name(name), "RFC 8519 s4.1", report)
}

/// What is left in an object of matches narrows them, known or not: the entry cannot be kept without it.
fn not_looked_at(object: &Object<'_, '_>, report: &mut Report) {
    for name in object.others() {
        match NOT_LOOKED_AT.contains(&name) {
            true => report.unsupported(&object.at().name(name), "RFC 8519 s4.2", "nothing here looks at it"),
            false => report.wrong(&object.at().name(name), "RFC 8520 s3.9", "it is not understood"),
        }
    }
}

fn ether(object: &mut Object<'_, '_>, ether: &mut EtherMatch, report: &mut Report) {
    const SECTION: &str = "RFC 8519 s4.2";
    let at = object.at();
    let mut mac = |name: &str, report: &mut Report| {
        let value = object.take(name)?;
        let mac = value.as_str().and_then(|text| text.parse::<Mac>().ok());
        if mac.is_none() {
            report.wrong(&at.name(name), SECTION, "it is no address of an interface");
        }
        mac
    };
    const ALL: Mac = Mac([0xff; 6]);
    for (side, name, mask) in [
        (&mut ether.source, "source-mac-address", "source-mac-address-mask"),
        (&mut ether.destination, "destination-mac-address", "destination-mac-address-mask"),
    ] {
        let (address, mask) = (mac(name, report), mac(mask, report));
        *side = address.map(|address| (address, mask.unwrap_or(ALL)));
        if address.is_none() && mask.is_some() {
            report.wrong(&at, SECTION, format!("there is a mask, but no {name}"));
        }
    }
    let at = at.name("ethertype");
    let Some(value) = object.take("ethertype") else { return };
    let kind = match value {
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::String(text) => match (text.strip_prefix("0x"), ETHER_TYPES.iter().find(|(name, _)| name == text)) {
            (_, Some((_, kind))) => Some(*kind),
            (Some(digits), None) if !digits.starts_with('+') => u16::from_str_radix(digits, 16).ok().inspect(|kind| {
                report.mended(&at, SECTION, format!("it should be the number {kind}"));
            }),
            _ => None,
        },
        _ => None,
    };
    // IEEE 802.3 s3.2.6: below 1536 it is a length.
    match kind.filter(|kind| *kind >= 1536) {
        Some(kind) => ether.kind = Some(kind),
        None => report.wrong(&at, SECTION, "it is no type of Ethernet"),
    }
}

/// Names of Ethernet's types (RFC 8519 appendix B) that a device could have to do with.
const ETHER_TYPES: [(&str, u16); 4] = [("ipv4", IPV4), ("ipv6", IPV6), ("arp", 0x0806), ("rarp", 0x8035)];

fn ip(object: &mut Object<'_, '_>, family: Family, ip: &mut IpMatch, report: &mut Report) {
    ip.protocol = object.octet("protocol", "RFC 8519 s4.2", report);
    let (source, destination) = match family {
        Family::V4 => ("source-ipv4-network", "destination-ipv4-network"),
        Family::V6 => ("source-ipv6-network", "destination-ipv6-network"),
    };
    ip.source = prefix(object, source, family, report);
    ip.destination = prefix(object, destination, family, report);
    let mut name = |name: &'static str, bare| {
        let value = object.take_or(name, &[bare], "RFC 7951 s4", report)?;
        host(value, &object.at().name(name), report)
    };
    ip.source_name = name("ietf-acldns:src-dnsname", "src-dnsname");
    ip.destination_name = name("ietf-acldns:dst-dnsname", "dst-dnsname");
}

fn prefix(object: &mut Object<'_, '_>, name: &'static str, family: Family, report: &mut Report) -> Option<Prefix> {
    const SECTION: &str = "RFC 8519 s4.2";
    let value = object.take(name)?;
    let at = object.at();
    let at = at.name(name);
    let text = value.as_str().unwrap_or_default();
    let prefix = text.parse::<Prefix>().ok().or_else(|| {
        let address = text.parse::<IpAddr>().ok()?;
        report.mended(&at, SECTION, "it should say how many bits count: all of them");
        Some(Prefix::host(address))
    });
    match prefix {
        Some(prefix) if Family::of(prefix.first()) == family => return Some(prefix),
        Some(_) => report.wrong(&at, SECTION, "it is an address of the other version of IP"),
        None => report.wrong(&at, SECTION, "it is no network"),
    }
    None
}

/// A name of a host in small letters.
fn host(value: &Value, at: &At<'_>, report: &mut Report) -> Option<String> {
    let name = text(value, at, "RFC 8520 s8", Text::Free, report)?;
    if name.parse::<IpAddr>().is_ok() {
        report.unsupported(at, "RFC 8520 s8", "it is an address: write it as a network");
        return None;
    }
    if is_host_name(name) {
        return Some(name.trim_end_matches('.').to_ascii_lowercase());
    }
    report.wrong(at, "RFC 8520 s8", "it is no name of a host");
    None
}

/// RFC 6991 s4 (domain-name), with at least one letter, so that it is no address that someone else would read as one.
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253
        && name.split('.').all(is_label)
        && name.rsplit('.').next().is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

fn l4(object: &mut Object<'_, '_>, matches: &mut Matches, report: &mut Report) {
    let at = object.at();
    for name in ["tcp", "udp", "icmp"] {
        let Some(mut inside) = inner(object, &at, name, report) else { continue };
        let l4 = match name {
            "tcp" => {
                let (source, destination) = both_ports(&mut inside, report);
                L4::Tcp(source, destination, begun(&mut inside, report))
            }
            "udp" => {
                let (source, destination) = both_ports(&mut inside, report);
                L4::Udp(source, destination)
            }
            _ => L4::Icmp(inside.octet("type", "RFC 8519 s4.2", report), inside.octet("code", "RFC 8519 s4.2", report)),
        };
        not_looked_at(&inside, report);
        if matches.l4.replace(l4).is_some() {
            report.wrong(&at, "RFC 8519 s4.1", "only one of tcp, udp and icmp can be in a packet");
        }
    }
}

fn both_ports(object: &mut Object<'_, '_>, report: &mut Report) -> (Ports, Ports) {
    (ports(object, "source-port", report), ports(object, "destination-port", report))
}

fn ports(object: &mut Object<'_, '_>, name: &'static str, report: &mut Report) -> Ports {
    const SECTION: &str = "RFC 8519 s4.2";
    let at = object.at();
    let at = at.name(name);
    let Some(value) = object.take(name) else { return Ports::Any };
    let Some(mut object) = Object::of(value, at, SECTION, report) else { return Ports::Any };
    let (is_range, is_port) = (object.has("lower-port") || object.has("upper-port"), object.has("port"));
    let mut port = |object: &mut Object<'_, '_>, name| {
        let number = object.number(name, SECTION, 0, 65535, report);
        if number.is_none() && !object.has(name) {
            report.wrong(&at, SECTION, format!("{name} is missing"));
        }
        number.and_then(|number| u16::try_from(number).ok())
    };
    let ports = match (is_range, is_port) {
        (true, false) => {
            let (least, most) = (port(&mut object, "lower-port"), port(&mut object, "upper-port"));
            // A range needs no operator; one that only says again what it is does no harm.
            match object.take("operator").map(|value| value.as_str().unwrap_or_default()) {
                None => {}
                Some("eq" | "range") => report.mended(&at.name("operator"), SECTION, "a range has no operator"),
                Some(_) => report.wrong(&at.name("operator"), SECTION, "a range has no operator"),
            }
            match (least, most) {
                (Some(least), Some(most)) if least > most => {
                    report.wrong(&at, SECTION, "it ends before it begins");
                    Ports::Any
                }
                (Some(least), Some(most)) => Ports::Range(least, most),
                _ => Ports::Any,
            }
        }
        (false, true) => {
            let port = port(&mut object, "port");
            let operator = object.take("operator").map_or("eq", |value| value.as_str().unwrap_or_default());
            match (operator, port) {
                ("eq", Some(port)) => Ports::Range(port, port),
                ("lte", Some(port)) => Ports::Range(0, port),
                ("gte", Some(port)) => Ports::Range(port, u16::MAX),
                ("neq", Some(port)) => Ports::Not(port),
                (_, None) => Ports::Any,
                _ => {
                    report.wrong(&at.name("operator"), SECTION, "it is none of eq, neq, lte and gte");
                    Ports::Any
                }
            }
        }
        (true, true) => {
            report.wrong(&at, SECTION, "it is a range and a single port");
            Ports::Any
        }
        (false, false) => {
            report.wrong(&at, SECTION, "it says no port");
            Ports::Any
        }
    };
    not_looked_at(&object, report);
    ports
}

fn begun(object: &mut Object<'_, '_>, report: &mut Report) -> Option<Direction> {
    const NAME: &str = "ietf-mud:direction-initiated";
    let value = object.take_or(NAME, &["direction-initiated"], "RFC 7951 s4", report)?;
    match value.as_str() {
        Some("from-device") => Some(Direction::FromDevice),
        Some("to-device") => Some(Direction::ToDevice),
        _ => {
            report.wrong(&object.at().name(NAME), "RFC 8520 s4.8", "it is neither from-device nor to-device");
            None
        }
    }
}

fn classes(object: &mut Object<'_, '_>, classes: &mut Vec<Class>, report: &mut Report) {
    let at = object.at();
    if let Some(value) = object.take("manufacturer")
        && let Some(name) = text(value, &at.name("manufacturer"), "RFC 8520 s4.1", Text::Free, report)
    {
        match is_authority(name) {
            true => classes.push(Class::Manufacturer(name.to_ascii_lowercase())),
            false => report.wrong(&at.name("manufacturer"), "RFC 8520 s4.1", "it is no authority of a URL"),
        }
    }
    if object.empty("same-manufacturer", "RFC 8520 s4.2", report) {
        classes.push(Class::SameManufacturer);
    }
    if let Some(model) = object.text("model", "RFC 8520 s4.4", Text::Uri(&["https"]), report) {
        classes.push(Class::Model(model));
    }
    if object.empty("local-networks", "RFC 8520 s4.5", report) {
        classes.push(Class::LocalNetworks);
    }
    if let Some(uri) = object.text("controller", "RFC 8520 s4.6", Text::Uri(&["urn", "https", "http"]), report) {
        // RFC 8520 s17.7: two names are registered.
        let registered = ["urn:ietf:params:mud:dns", "urn:ietf:params:mud:ntp"];
        if uri.starts_with("urn:ietf:params:mud:") && !registered.contains(&uri.as_str()) {
            report.mended(
                &at.name("controller"),
                "RFC 8520 s17.7",
                "the name is not registered; it is taken as a class of its own",
            );
        }
        classes.push(Class::Controller(uri));
    }
    if object.empty("my-controller", "RFC 8520 s4.7", report) {
        classes.push(Class::MyController);
    }
    if classes.is_empty() && object.others().next().is_none() {
        report.wrong(&at, "RFC 8520 s4", "it names no group");
    }
}

/// A host, perhaps with a port: what stands in a MUD URL.
fn is_authority(name: &str) -> bool {
    let (host, port) = name.split_once(':').unwrap_or((name, "443"));
    is_host_name(host) && port.parse::<u16>().is_ok()
}

/// What an entry says in several places must go together; otherwise no packet can be meant.
fn consistent(matches: &mut Matches, object: &Object<'_, '_>, report: &mut Report) {
    let at = object.at();
    let protocol = match (&matches.l4, matches.family) {
        (None, _) => return,
        (Some(L4::Tcp(..)), _) => number::TCP,
        (Some(L4::Udp(..)), _) => number::UDP,
        (Some(L4::Icmp(..)), Some(Family::V4)) => number::ICMP,
        (Some(L4::Icmp(..)), Some(Family::V6)) => number::ICMPV6,
        // RFC 8519 s4.2: the numbers mean something else in either version.
        (Some(L4::Icmp(..)), None) => {
            return report.wrong(&at, "RFC 8519 s4.2", "it does not say of which version of IP the ICMP is");
        }
    };
    if matches.ip.protocol.is_some_and(|said| said != protocol) {
        report.wrong(&at, "RFC 8519 s4.1", "its protocol is not the one whose fields are matched");
    }
    matches.ip.protocol = Some(protocol);
}
