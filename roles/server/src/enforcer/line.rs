//! What is asked of a frame: what it is, by which it is led to the rules for it, and whatever else.

use super::{
    intent::Groups,
    order::Asked,
    plan::{ARP, NEIGHBOURS_HEAR, NEIGHBOURS_SAY, TAGS, matches, payload},
};
use landfall_mud::{
    Class, Direction,
    file::{Family, Ports},
    packet::{IPV4, IPV6, Mac, Prefix, number},
};
use serde_json::{Value, json};
use std::net::IpAddr;

/// One rule of a chain.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The version of IP in the frame, or none; nothing if it does not matter.
    pub(super) inside: Option<Inside>,
    /// The protocol.
    pub(super) protocol: Option<u8>,
    /// The other end's port, if it can be only one.
    pub(super) port: Option<u16>,
    /// What else is asked.
    pub(super) rest: Vec<Value>,
    /// Whether a frame that is so comes through, or ends.
    pub(super) allow: bool,
}

/// A packet's version of IP, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    Ip(Family),
    Other,
}

/// By what a packet is led.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) family: Family,
    pub(super) protocol: u8,
    pub(super) port: u16,
}

impl Line {
    /// Frames of any kind.
    fn any(rest: Vec<Value>, allow: bool) -> Self {
        Self { inside: None, protocol: None, port: None, rest, allow }
    }

    /// Frames in which something else is than IP.
    fn other(rest: Vec<Value>, allow: bool) -> Self {
        Self { inside: Some(Inside::Other), ..Self::any(rest, allow) }
    }

    /// Packets with that port at the other end.
    pub(super) fn of_port(inside: Option<Inside>, protocol: u8, port: u16, rest: Vec<Value>, allow: bool) -> Self {
        Self { inside, protocol: Some(protocol), port: Some(port), rest, allow }
    }

    /// The keys that all its packets have, if they can be led by any.
    pub(super) fn keys(&self) -> Vec<Key> {
        let (Some(protocol @ (number::TCP | number::UDP)), Some(port)) = (self.protocol, self.port) else {
            return Vec::new();
        };
        let families = [Family::V4, Family::V6].into_iter().filter(|family| self.has(*family));
        families.map(|family| Key { family, protocol, port }).collect()
    }

    /// Whether a packet with that key may be meant.
    pub(super) fn may_be(&self, key: &Key) -> bool {
        self.has(key.family)
            && self.protocol.is_none_or(|protocol| protocol == key.protocol)
            && self.port.is_none_or(|port| port == key.port)
    }

    fn has(&self, family: Family) -> bool {
        self.inside.is_none_or(|inside| inside == Inside::Ip(family))
    }

    /// All that is asked of a frame by which nobody has looked yet.
    pub(super) fn whole(&self, direction: Direction) -> Vec<Value> {
        let mut whole = Vec::new();
        if let Some(Inside::Ip(family)) = self.inside {
            whole.push(matches("==", &payload("ether", "type"), json!(family.ether_type())));
        }
        whole
            .extend(self.protocol.map(|number| matches("==", &json!({ "meta": { "key": "l4proto" } }), json!(number))));
        let side = if direction == Direction::FromDevice { "dport" } else { "sport" };
        whole.extend(self.port.map(|port| matches("==", &payload(transport(self.protocol), side), json!(port))));
        whole.extend(self.rest.iter().cloned());
        whole
    }
}

/// What no device may write, and what every one may say and hear that has an address, whatever else it may: ARP, its neighbours of IPv6,
/// and DHCP.
pub(super) fn belonging(direction: Direction) -> Vec<Line> {
    let is_from = direction == Direction::FromDevice;
    let ether_type = payload("ether", "type");
    let (types, side) =
        if is_from { (NEIGHBOURS_SAY.as_slice(), "sport") } else { (NEIGHBOURS_HEAR.as_slice(), "dport") };
    let mut lines = Vec::new();
    if is_from {
        lines.push(Line::other(vec![matches("==", &ether_type, json!({ "set": TAGS }))], false));
    }
    lines.push(Line::other(vec![matches("==", &ether_type, json!(ARP))], true));
    lines.push(Line::any(vec![matches("==", &payload("icmpv6", "type"), json!({ "set": types }))], true));
    let client = || vec![matches("==", &payload("udp", side), json!({ "set": [68, 546] }))];
    lines.extend([67, 547].map(|port| Line::of_port(None, number::UDP, port, client(), true)));
    lines
}

/// What a rule asks of a frame. One that speaks of groups without a version of IP needs a line for each kind of packet.
pub(super) fn lines(asked: &Asked<'_>, direction: Direction, groups: &Groups<'_>) -> Vec<Line> {
    let rule = asked.rule;
    let of_version = |network: &Prefix| if network.is_ipv4() { Family::V4 } else { Family::V6 };
    let family = rule.family.or_else(|| rule.remote.as_ref().or(rule.device.as_ref()).map(of_version));
    let line = |inside| line(asked, direction, inside, groups);
    match family {
        Some(family) => line(Some(Inside::Ip(family))).into_iter().collect(),
        None if rule.classes.is_empty() => line(None).into_iter().collect(),
        None => [Inside::Ip(Family::V4), Inside::Ip(Family::V6), Inside::Other]
            .into_iter()
            .filter_map(|inside| line(Some(inside)))
            .collect(),
    }
}

/// What a rule asks of a frame with such a packet in it; nothing if no such frame can be meant.
fn line(asked: &Asked<'_>, direction: Direction, inside: Option<Inside>, groups: &Groups<'_>) -> Option<Line> {
    let rule = asked.rule;
    let is_from = direction == Direction::FromDevice;
    let (own, other) = if is_from { ("saddr", "daddr") } else { ("daddr", "saddr") };
    let (own_port, other_port) = if is_from { ("sport", "dport") } else { ("dport", "sport") };
    let mut rest = Vec::new();
    rest.extend(rule.ether.source.map(|side| interface("saddr", side)));
    rest.extend(rule.ether.destination.map(|side| interface("daddr", side)));
    let ether_type = payload("ether", "type");
    match (inside, rule.ether.kind) {
        (Some(Inside::Ip(family)), kind) if kind.is_none_or(|kind| kind == family.ether_type()) => {}
        (Some(Inside::Ip(_)), _) | (Some(Inside::Other), Some(IPV4 | IPV6)) => return None,
        (Some(Inside::Other), _) if rule.protocol.is_some() => return None,
        (Some(Inside::Other), None) => rest.push(matches("!=", &ether_type, json!({ "set": [IPV4, IPV6] }))),
        (_, kind) => rest.extend(kind.map(|kind| matches("==", &ether_type, json!(kind)))),
    }
    let layer = match inside {
        Some(Inside::Ip(Family::V4)) => "ip",
        _ => "ip6",
    };
    for (network, side) in [(rule.device, own), (rule.remote, other)] {
        rest.extend(network.map(|network| matches("==", &payload(layer, side), prefix(&network))));
    }
    let transport = transport(rule.protocol);
    rest.extend(port(transport, own_port, rule.device_ports));
    let only = match rule.remote_ports {
        Ports::Range(one, same) if one == same => Some(one),
        several => {
            rest.extend(port(transport, other_port, several));
            None
        }
    };
    let icmp = if rule.protocol == Some(number::ICMPV6) { "icmpv6" } else { "icmp" };
    for (value, field) in [(rule.icmp.0, "type"), (rule.icmp.1, "code")] {
        rest.extend(value.map(|value| matches("==", &payload(icmp, field), json!(value))));
    }
    // RFC 9293 s3.5: who begins sends SYN, and is answered by SYN and ACK.
    const SYN_AND_ACK: u8 = 0x12;
    let not = rule.begun.map(|begun| if begun == direction { SYN_AND_ACK } else { 0x02 });
    rest.extend(not.map(|not| matches("!=", &json!({ "&": [payload("tcp", "flags"), SYN_AND_ACK] }), json!(not))));
    for class in &rule.classes {
        // What is not IP does not leave the link.
        if *class == Class::LocalNetworks && inside == Some(Inside::Other) {
            continue;
        }
        let (set, key) = match class {
            Class::Name(_) => {
                let Some(Inside::Ip(family)) = inside else { return None };
                let port = json!({ "meta": { "key": if is_from { "iifname" } else { "oifname" } } });
                (groups.told(&asked.names, family)?, json!({ "concat": [port, payload(layer, other)] }))
            }
            Class::Manufacturer(_) | Class::Model(_) | Class::SameManufacturer => {
                (groups.set(class, inside?)?, payload("ether", other))
            }
            _ => (groups.set(class, inside?)?, payload(layer, other)),
        };
        rest.push(matches("==", &key, json!(format!("@{set}"))));
    }
    Some(Line { inside, protocol: rule.protocol, port: only, rest, allow: rule.allow })
}

fn transport(protocol: Option<u8>) -> &'static str {
    if protocol == Some(number::TCP) { "tcp" } else { "udp" }
}

fn interface(side: &str, (address, mask): (Mac, Mac)) -> Value {
    if mask == Mac([0xff; 6]) {
        return matches("==", &payload("ether", side), json!(address.to_string()));
    }
    let common = address.0.iter().zip(mask.0).map(|(octet, mask)| format!("{:02x}", octet & mask));
    let common = common.collect::<Vec<_>>().join(":");
    matches("==", &json!({ "&": [payload("ether", side), mask.to_string()] }), json!(common))
}

fn port(transport: &str, side: &str, ports: Ports) -> Option<Value> {
    let key = payload(transport, side);
    match ports {
        Ports::Any | Ports::Range(0, u16::MAX) => None,
        Ports::Range(one, same) if one == same => Some(matches("==", &key, json!(one))),
        Ports::Range(least, most) => Some(matches("==", &key, json!({ "range": [least, most] }))),
        Ports::Not(not) => Some(matches("!=", &key, json!(not))),
    }
}

pub(super) fn prefix(network: &Prefix) -> Value {
    match (network.first(), network.bits()) {
        (IpAddr::V4(first), 32) => json!(first),
        (IpAddr::V6(first), 128) => json!(first),
        (first, bits) => json!({ "prefix": { "addr": first, "len": bits } }),
    }
}
