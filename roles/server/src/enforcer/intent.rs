//! From what a manufacturer says of a device (RFC 8520) to chains and sets of the bridges' table.
//!
//! A kind of device has chains, `from-mud-N` and `to-mud-N` and those behind them (`order`), however many devices there are of it, and
//! a frame finds them by the maps that it has to look into anyway: it costs no more with ten thousand devices than with one. Groups are
//! sets. Those of the network, `class-K-4` and `class-K-6`, stay; who is of a manufacturer or a model, `kin-K`, changes with who is behind
//! which port, and so do the addresses that devices of a kind were told for names that are permitted the same, `name-K-4` and `name-K-6`,
//! which hold ports and addresses, so that one device's answers open nothing to another.
//!
//! No frame comes through because of one before it. Who began a TCP connection is seen from its first two packets: the one that
//! begins it does not go in the wrong direction, and neither does the one that answers. UDP has nothing of the kind.

use super::{
    line::{self, Inside, Line},
    names::RESOLVERS,
    order::{self, Asked},
    picture::Picture,
    plan::{add, matches, payload},
};
use landfall_mud::{
    Class, Direction,
    file::Family,
    packet::{Prefix, number},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The sets of groups, by their place among all that any policy speaks of.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    classes: BTreeMap<&'a Class, usize>,
    /// Hosts that are permitted the same.
    names: BTreeMap<BTreeSet<&'a str>, usize>,
    /// Those of them in which a name is, of any.
    of_name: BTreeMap<&'a str, Vec<usize>>,
    /// What is asked for each kind, from devices and to them.
    kinds: Vec<[Vec<Asked<'a>>; 2]>,
}

impl<'a> Groups<'a> {
    pub(super) fn of(picture: &'a Picture) -> Self {
        let classes = picture.intents.iter().flat_map(|policy| policy.classes());
        let classes: BTreeSet<&Class> = classes.filter(|class| !matches!(class, Class::Name(_))).collect();
        let kinds = picture.intents.iter();
        let kinds: Vec<_> =
            kinds.map(|policy| DIRECTIONS.map(|direction| order::merged(policy.rules(direction)))).collect();
        let asked = kinds.as_flattened().iter().flatten();
        let names: BTreeSet<_> = asked.map(|asked| asked.names.clone()).filter(|names| !names.is_empty()).collect();
        let mut of_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, name) in
            names.iter().enumerate().flat_map(|(index, names)| names.iter().map(move |name| (index, *name)))
        {
            of_name.entry(name).or_default().push(index);
        }
        Self {
            classes: classes.into_iter().enumerate().map(|(index, class)| (class, index)).collect(),
            names: names.into_iter().enumerate().map(|(index, names)| (names, index)).collect(),
            of_name,
            kinds,
        }
    }

    /// The set of addresses that devices were told for any of these names.
    pub(super) fn told(&self, names: &BTreeSet<&str>, family: Family) -> Option<String> {
        self.names.get(names).map(|index| told(*index, family))
    }

    /// The sets in which an address stands that was told for a name.
    fn sets_of_name(&self, name: &str, family: Family) -> impl Iterator<Item = String> {
        self.of_name.get(name).into_iter().flatten().map(move |index| told(*index, family))
    }

    /// The set of a group, for packets of that kind; nothing if no such packet can belong to it.
    pub(super) fn set(&self, class: &Class, inside: Inside) -> Option<String> {
        let index = self.classes.get(class)?;
        match (class, inside) {
            (Class::Manufacturer(_) | Class::Model(_) | Class::SameManufacturer, _) => Some(format!("kin-{index}")),
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
            for address in addresses {
                let sets = self.sets_of_name(name, version(address));
                members.extend(sets.map(|set| (set, vec![port.to_string(), address.to_string()])));
            }
        }
        members
    }
}

/// The sets in which an address stands that was told for a name.
pub(super) fn sets_of(picture: &Picture, name: &str, address: &IpAddr) -> Vec<String> {
    Groups::of(picture).sets_of_name(name, version(address)).collect()
}

fn told(index: usize, family: Family) -> String {
    format!("name-{index}-{}", digit(family))
}

fn version(address: &IpAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

/// Both ways, in the order of what is kept for each.
const DIRECTIONS: [Direction; 2] = [Direction::FromDevice, Direction::ToDevice];

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
    for (class, index) in &groups.classes {
        commands.extend(sets(class, *index, picture));
    }
    for index in groups.names.values() {
        for (family, kind) in [(Family::V4, "ipv4_addr"), (Family::V6, "ipv6_addr")] {
            // Counted, so that what is in use is not taken away.
            let set = json!({ "name": told(*index, family), "type": ["ifname", kind], "stmt": [{ "counter": null }] });
            commands.push(add("set", set));
        }
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
    for (number, kind) in groups.kinds.iter().enumerate() {
        for ((direction, asked), word) in DIRECTIONS.into_iter().zip(kind).zip(["from", "to"]) {
            let mut lines = line::belonging(direction);
            if direction == Direction::FromDevice {
                lines.extend(other_resolvers(picture));
            }
            lines.extend(asked.iter().flat_map(|asked| line::lines(asked, direction, &groups)));
            commands.extend(order::chains(&format!("{word}-mud-{number}"), direction, &lines));
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
fn other_resolvers(picture: &Picture) -> Vec<Line> {
    let Some(own) = picture.resolvers.as_ref().filter(|resolvers| !resolvers.others).map(|resolvers| &resolvers.own)
    else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for protocol in [number::TCP, number::UDP] {
        lines.push(Line::of_port(None, protocol, DNS_IN_TLS, Vec::new(), false));
        for family in [Family::V4, Family::V6] {
            let has = |addresses: &[IpAddr]| addresses.iter().any(|address| version(address) == family);
            let layer = if family == Family::V4 { "ip" } else { "ip6" };
            let is = |op, set| matches(op, &payload(layer, "daddr"), json!(format!("@{set}-{}", digit(family))));
            let stop = |port, rest| Line::of_port(Some(Inside::Ip(family)), protocol, port, rest, false);
            lines.push(stop(53, has(own).then(|| is("!=", OWN)).into_iter().collect()));
            if has(&RESOLVERS) {
                lines.push(stop(443, vec![is("==", WORLDS)]));
            }
        }
    }
    lines
}

fn sets(class: &Class, index: usize, picture: &Picture) -> Vec<Value> {
    match class {
        Class::Manufacturer(_) | Class::Model(_) | Class::SameManufacturer => {
            vec![add("set", json!({ "name": format!("kin-{index}"), "type": "ether_addr" }))]
        }
        // Those that are permitted the same are together in sets of their own.
        Class::Name(_) => Vec::new(),
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
    all.iter().filter(is_outermost).map(|network| line::prefix(network)).collect()
}
