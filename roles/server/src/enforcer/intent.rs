//! From what a manufacturer says of a device (RFC 8520) to chains and sets of the bridges' table.
//!
//! A kind of device has two chains, `from-mud-N` and `to-mud-N`, however many devices there are of it, and a frame finds them by
//! the maps that it has to look into anyway: it costs no more with ten thousand devices than with one. Groups are sets. Those of the
//! network, `class-K-4` and `class-K-6`, stay; who is of a manufacturer or a model, `kin-K`, changes with who is behind which port, and
//! so do the addresses that a device was told for a name, `name-K-4` and `name-K-6`, which hold ports and addresses, so that one device's
//! answers open nothing to another.
//!
//! No frame comes through because of one before it. Who began a TCP connection is seen from its first two packets: the one that
//! begins it does not go in the wrong direction, and neither does the one that answers. UDP has nothing of the kind.

use super::{
    names::RESOLVERS,
    picture::Picture,
    plan::{self, accept, add, matches, payload, rule, stopped},
};
use landfall_mud::{
    Class, Direction,
    file::{Family, Ports},
    packet::{IPV4, IPV6, Mac, Prefix},
    policy::Rule,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr};

/// The sets of groups, by their place among all groups that any policy speaks of.
#[derive(Debug)]
pub(super) struct Groups<'a>(BTreeMap<&'a Class, usize>);

/// A packet's version of IP, or none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Ip(Family),
    Other,
}

impl<'a> Groups<'a> {
    pub(super) fn of(picture: &'a Picture) -> Self {
        let mut groups: Vec<&Class> = picture.intents.iter().flat_map(|policy| policy.classes()).collect();
        groups.sort();
        groups.dedup();
        Self(groups.into_iter().enumerate().map(|(index, class)| (class, index)).collect())
    }

    /// The set of a group, for packets of that kind; nothing if no such packet can belong to it.
    fn set(&self, class: &Class, inside: Inside) -> Option<String> {
        let index = self.0.get(class)?;
        match (class, inside) {
            (Class::Manufacturer(_) | Class::Model(_) | Class::SameManufacturer, _) => Some(format!("kin-{index}")),
            (Class::Name(_), Inside::Ip(family)) => Some(format!("name-{index}-{}", digit(family))),
            (_, Inside::Ip(family)) => Some(format!("class-{index}-{}", digit(family))),
            (_, Inside::Other) => None,
        }
    }

    /// The sets that devices come into and leave, with those who are in them.
    pub(super) fn members(&self, picture: &Picture) -> Vec<(String, Vec<String>)> {
        let mut members = Vec::new();
        for (_, occupant, policy) in picture.policies() {
            for class in [Class::Manufacturer(policy.url.authority()), Class::Model(policy.url.as_str().to_owned())] {
                let set = self.set(&class, Inside::Other);
                members.extend(set.map(|set| (set, vec![occupant.mac.to_string()])));
            }
        }
        for ((port, name), addresses) in picture.names.iter().filter(|((port, _), _)| picture.policy_of(port).is_some())
        {
            let class = Class::Name(name.clone());
            for address in addresses {
                let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
                let set = self.set(&class, Inside::Ip(family));
                members.extend(set.map(|set| (set, vec![port.to_string(), address.to_string()])));
            }
        }
        members
    }
}

/// The set in which an address stands that was told for a name.
pub(super) fn set_of(picture: &Picture, name: &str, address: IpAddr) -> Option<String> {
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    Groups::of(picture).set(&Class::Name(name.to_owned()), Inside::Ip(family))
}

/// Whether members of a set of that name come and go.
pub(super) fn is_of_members(name: &str) -> bool {
    name.starts_with("kin-") || name.starts_with("name-")
}

const fn digit(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}

/// Chains and sets of every policy in the picture.
pub(super) fn frame(picture: &Picture) -> Vec<Value> {
    let groups = Groups::of(picture);
    let mut commands = Vec::new();
    for (class, index) in &groups.0 {
        commands.extend(sets(class, *index, picture));
    }
    for (family, kind) in [(Family::V4, "ipv4_addr"), (Family::V6, "ipv6_addr")] {
        let own = picture.resolvers.as_ref().map(|resolvers| resolvers.own.as_slice());
        for (name, addresses) in [(OWN, own.unwrap_or_default()), (WORLDS, resolvers(picture))] {
            let of_family = addresses.iter().filter(|one| one.is_ipv4() == (family == Family::V4));
            let addresses: Vec<&IpAddr> = of_family.collect();
            if picture.resolvers.is_some() && !addresses.is_empty() {
                let name = format!("{name}-{}", digit(family));
                commands.push(add("set", json!({ "name": name, "type": kind, "elem": addresses })));
            }
        }
    }
    for (number, policy) in picture.intents.iter().enumerate() {
        for (direction, word) in [(Direction::FromDevice, "from"), (Direction::ToDevice, "to")] {
            let chain = format!("{word}-mud-{number}");
            commands.push(add("chain", json!({ "name": chain })));
            for expression in plan::belonging(direction) {
                commands.push(rule(&chain, expression));
            }
            if direction == Direction::FromDevice {
                commands.extend(other_resolvers(picture).into_iter().map(|expression| rule(&chain, expression)));
            }
            for one in policy.rules(direction) {
                for mut expression in expressions(one, direction, &groups) {
                    expression.push(if one.allow { accept() } else { stopped(direction) });
                    commands.push(rule(&chain, expression));
                }
            }
            commands.push(rule(&chain, vec![stopped(direction)]));
        }
    }
    commands
}

/// The resolvers that devices are to ask, and those that they are not.
const OWN: &str = "resolvers";
const WORLDS: &str = "other-resolvers";
/// RFC 7858 s3.1, RFC 9250 s4.1.1.
const DNS_IN_TLS: u16 = 853;

fn resolvers(picture: &Picture) -> &[IpAddr] {
    let others = picture.resolvers.as_ref().filter(|resolvers| !resolvers.others).is_some();
    if others { &RESOLVERS } else { &[] }
}

/// RFC 9726 s6.4: whose names are to be known asks nobody but the network's resolver, in whatever way.
fn other_resolvers(picture: &Picture) -> Vec<Vec<Value>> {
    let Some(own) = picture.resolvers.as_ref().filter(|resolvers| !resolvers.others).map(|resolvers| &resolvers.own)
    else {
        return Vec::new();
    };
    let transport = matches("==", &json!({ "meta": { "key": "l4proto" } }), json!({ "set": [6, 17] }));
    let port = |port: u16| matches("==", &payload("th", "dport"), json!(port));
    let stop = || stopped(Direction::FromDevice);
    let mut all = vec![vec![transport.clone(), port(DNS_IN_TLS), stop()]];
    for family in [Family::V4, Family::V6] {
        let has = |addresses: &[IpAddr]| addresses.iter().any(|one| one.is_ipv4() == (family == Family::V4));
        let layer = if family == Family::V4 { "ip" } else { "ip6" };
        let version = matches("==", &payload("ether", "type"), json!(family.ether_type()));
        let is = |op, set| matches(op, &payload(layer, "daddr"), json!(format!("@{set}-{}", digit(family))));
        let mut other = vec![version, transport.clone(), port(53)];
        other.extend(has(own).then(|| is("!=", OWN)));
        all.push(other.into_iter().chain([stop()]).collect());
        if has(&RESOLVERS) {
            all.push(vec![is("==", WORLDS), transport.clone(), port(443), stop()]);
        }
    }
    all
}

fn sets(class: &Class, index: usize, picture: &Picture) -> Vec<Value> {
    match class {
        Class::Manufacturer(_) | Class::Model(_) | Class::SameManufacturer => {
            vec![add("set", json!({ "name": format!("kin-{index}"), "type": "ether_addr" }))]
        }
        Class::Name(_) => [(4, "ipv4_addr"), (6, "ipv6_addr")]
            .map(|(digit, kind)| {
                // Counted, so that what is in use is not taken away.
                let set = json!({ "name": format!("name-{index}-{digit}"), "type": ["ifname", kind], "stmt": [{ "counter": null }] });
                add("set", set)
            })
            .into(),
        Class::LocalNetworks | Class::Controller(_) | Class::ControllerOf(_) | Class::MyController => {
            let networks = picture.known.members(class).map(|members| members.networks.as_slice()).unwrap_or_default();
            [(Family::V4, "ipv4_addr"), (Family::V6, "ipv6_addr")]
                .map(|(family, kind)| {
                    let name = format!("class-{index}-{}", digit(family));
                    let mut set = json!({ "name": name, "type": kind, "flags": ["interval"] });
                    let elements = outermost(networks, family);
                    if let (Some(set), false) = (set.as_object_mut(), elements.is_empty()) {
                        set.insert("elem".into(), elements.into());
                    }
                    add("set", set)
                })
                .into()
        }
    }
}

/// Networks of one version that are in no other: an interval stands in a set once.
fn outermost(networks: &[Prefix], family: Family) -> Vec<Value> {
    let is_of = |network: &&Prefix| network.is_ipv4() == (family == Family::V4);
    let mut all: Vec<&Prefix> = networks.iter().filter(is_of).collect();
    all.sort();
    all.dedup();
    let is_outermost = |one: &&&Prefix| !all.iter().any(|other| other.bits() < one.bits() && other.has(one.first()));
    all.iter().filter(is_outermost).map(|network| prefix(network)).collect()
}

fn prefix(network: &Prefix) -> Value {
    match (network.first(), network.bits()) {
        (IpAddr::V4(first), 32) => json!(first),
        (IpAddr::V6(first), 128) => json!(first),
        (first, bits) => json!({ "prefix": { "addr": first, "len": bits } }),
    }
}

/// What a rule asks of a frame. One that speaks of groups without a version of IP needs an expression for each kind of packet.
fn expressions(rule: &Rule, direction: Direction, groups: &Groups<'_>) -> Vec<Vec<Value>> {
    let of_version = |network: &Prefix| if network.is_ipv4() { Family::V4 } else { Family::V6 };
    let family = rule.family.or_else(|| rule.remote.as_ref().or(rule.device.as_ref()).map(of_version));
    match family {
        Some(family) => expression(rule, direction, Some(Inside::Ip(family)), groups).into_iter().collect(),
        None if rule.classes.is_empty() => expression(rule, direction, None, groups).into_iter().collect(),
        None => [Inside::Ip(Family::V4), Inside::Ip(Family::V6), Inside::Other]
            .into_iter()
            .filter_map(|inside| expression(rule, direction, Some(inside), groups))
            .collect(),
    }
}

/// What a rule asks of a frame with such a packet in it; nothing if no such frame can be meant.
fn expression(rule: &Rule, direction: Direction, inside: Option<Inside>, groups: &Groups<'_>) -> Option<Vec<Value>> {
    let is_from = direction == Direction::FromDevice;
    let (own, other) = if is_from { ("saddr", "daddr") } else { ("daddr", "saddr") };
    let (own_port, other_port) = if is_from { ("sport", "dport") } else { ("dport", "sport") };
    let mut expression = Vec::new();
    expression.extend(rule.ether.source.map(|side| interface("saddr", side)));
    expression.extend(rule.ether.destination.map(|side| interface("daddr", side)));
    let ether_type = payload("ether", "type");
    let mut kind = rule.ether.kind;
    match inside {
        Some(Inside::Ip(family)) if kind.is_none_or(|kind| kind == family.ether_type()) => {
            kind = Some(family.ether_type())
        }
        Some(Inside::Ip(_)) => return None,
        Some(Inside::Other) if kind == Some(IPV4) || kind == Some(IPV6) || rule.protocol.is_some() => return None,
        Some(Inside::Other) if kind.is_none() => {
            expression.push(matches("!=", &ether_type, json!({ "set": [IPV4, IPV6] })));
        }
        _ => {}
    }
    expression.extend(kind.map(|kind| matches("==", &ether_type, json!(kind))));
    let layer = match inside {
        Some(Inside::Ip(Family::V4)) => "ip",
        _ => "ip6",
    };
    for (network, side) in [(rule.device, own), (rule.remote, other)] {
        expression.extend(network.map(|network| matches("==", &payload(layer, side), prefix(&network))));
    }
    for class in &rule.classes {
        // What is not IP does not leave the link.
        if *class == Class::LocalNetworks && inside == Some(Inside::Other) {
            continue;
        }
        let set = groups.set(class, inside?)?;
        let key = match class {
            Class::Manufacturer(_) | Class::Model(_) | Class::SameManufacturer => payload("ether", other),
            Class::Name(_) => {
                let port = json!({ "meta": { "key": if is_from { "iifname" } else { "oifname" } } });
                json!({ "concat": [port, payload(layer, other)] })
            }
            _ => payload(layer, other),
        };
        expression.push(matches("==", &key, json!(format!("@{set}"))));
    }
    expression
        .extend(rule.protocol.map(|number| matches("==", &json!({ "meta": { "key": "l4proto" } }), json!(number))));
    let transport = if rule.protocol == Some(6) { "tcp" } else { "udp" };
    for (ports, side) in [(rule.device_ports, own_port), (rule.remote_ports, other_port)] {
        expression.extend(port(transport, side, ports));
    }
    let layer = if rule.protocol == Some(58) { "icmpv6" } else { "icmp" };
    for (value, field) in [(rule.icmp.0, "type"), (rule.icmp.1, "code")] {
        expression.extend(value.map(|value| matches("==", &payload(layer, field), json!(value))));
    }
    // RFC 9293 s3.5: who begins sends SYN, and is answered by SYN and ACK.
    const SYN_AND_ACK: u8 = 0x12;
    let not = rule.begun.map(|begun| if begun == direction { SYN_AND_ACK } else { 0x02 });
    expression
        .extend(not.map(|not| matches("!=", &json!({ "&": [payload("tcp", "flags"), SYN_AND_ACK] }), json!(not))));
    Some(expression)
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
