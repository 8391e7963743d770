//! From a file to rules: what a device may say and hear, with names and groups still to be filled in.
//!
//! In each direction the first rule that a packet matches decides, and what matches none is dropped (RFC 8520 s5). An entry that
//! could not be understood lets nothing through; if it would have dropped something, no rule after it lets anything through
//! either, since nobody knows what it would have stopped.

use crate::{
    file::{Action, Entry, EtherMatch, Family, L4, Matches, MudFile, Ports, TlsProfile},
    packet::{Context, Direction, Packet, Prefix, number},
    url::MudUrl,
};
use std::fmt;

/// A group of hosts that a file speaks of without knowing their addresses (RFC 8520 s4 and s8).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Devices whose MUD URL has that authority.
    Manufacturer(String),
    /// Devices whose MUD URL has the same authority; no rule has it, since each knows its manufacturer.
    SameManufacturer,
    /// Devices with that MUD URL.
    Model(String),
    /// What the network takes to be local.
    LocalNetworks,
    /// Whatever the operator has put into the class of that URI.
    Controller(String),
    /// Whatever the operator has made the controller of devices with the file's MUD URL; no rule has it.
    MyController,
    /// Whatever the operator has made the controller of devices with that MUD URL.
    ControllerOf(String),
    /// What a host of that name has for addresses, as the device itself was told.
    Name(String),
}

/// The resolvers and the time servers of a network (RFC 8520 s17.7).
pub const DNS: &str = "urn:ietf:params:mud:dns";
/// The latter.
pub const NTP: &str = "urn:ietf:params:mud:ntp";

/// What a device may say and hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whose it is.
    pub url: MudUrl,
    /// For what comes from the device.
    pub from_device: Vec<Rule>,
    /// For what goes to it.
    pub to_device: Vec<Rule>,
    /// What is not in the rules.
    pub left_out: Vec<LeftOut>,
}

/// A rule: packets that are as everything here says are let through, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// List and entry that it is from.
    pub name: String,
    /// Whether it lets through.
    pub allow: bool,
    /// What the frame is.
    pub ether: EtherMatch,
    /// Which version of IP.
    pub family: Option<Family>,
    /// The protocol of the packet's payload.
    pub protocol: Option<u8>,
    /// Which address the device has.
    pub device: Option<Prefix>,
    /// Which address the other end has.
    pub remote: Option<Prefix>,
    /// Groups to which the other end belongs, all of them.
    pub classes: Vec<Class>,
    /// Ports of the device.
    pub device_ports: Ports,
    /// Ports of the other end.
    pub remote_ports: Ports,
    /// Of ICMP: type and code.
    pub icmp: (Option<u8>, Option<u8>),
    /// Of TCP: who began the connection.
    pub begun: Option<Direction>,
    /// How TLS is spoken.
    pub tls: Vec<TlsProfile>,
}

/// An entry that is in no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// In which direction.
    pub direction: Direction,
    /// List and entry.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

impl Policy {
    /// The rules of a file, and after them what RFC 8520 s5 lets every device do: ask the network's resolvers and time servers.
    pub fn of(file: &MudFile) -> Self {
        let mut policy =
            Self { url: file.url.clone(), from_device: Vec::new(), to_device: Vec::new(), left_out: Vec::new() };
        for (direction, lists) in file.directions() {
            let entries = lists.iter().flat_map(|acl| acl.entries.iter().map(move |entry| (&*acl.name, entry)));
            let mut rules = Vec::new();
            let mut is_open = true;
            for (list, entry) in entries {
                let name = format!("{list}/{}", entry.name);
                let rule = match is_open {
                    true => rule(&name, direction, entry, &file.url),
                    false => Err("an entry before it could not be understood, and might have dropped this"),
                };
                match rule {
                    Ok(rule) => rules.push(rule),
                    Err(why) => {
                        policy.left_out.push(LeftOut { direction, name, why });
                        is_open &= entry.action == Action::Accept;
                    }
                }
            }
            if is_open {
                rules.extend(defaults(direction));
            }
            match direction {
                Direction::FromDevice => policy.from_device = rules,
                Direction::ToDevice => policy.to_device = rules,
            }
        }
        policy
    }

    /// What every device may do of which nothing is known: ask for names and the time.
    pub fn silent(url: MudUrl) -> Self {
        let rules = |direction| defaults(direction).collect();
        let (from_device, to_device) = (rules(Direction::FromDevice), rules(Direction::ToDevice));
        Self { url, from_device, to_device, left_out: Vec::new() }
    }

    /// The rules of one direction.
    pub fn rules(&self, direction: Direction) -> &[Rule] {
        match direction {
            Direction::FromDevice => &self.from_device,
            Direction::ToDevice => &self.to_device,
        }
    }

    /// The rule that decides over a packet; nothing if none does, and then it is dropped.
    pub fn decides(&self, packet: &Packet, context: &Context) -> Option<&Rule> {
        self.rules(packet.direction).iter().find(|rule| rule.matches(packet, context))
    }

    /// Whether a packet may pass.
    pub fn allows(&self, packet: &Packet, context: &Context) -> bool {
        self.decides(packet, context).is_some_and(|rule| rule.allow)
    }

    /// Whether it speaks of a host of that name.
    pub fn has_name(&self, name: &str) -> bool {
        let mut rules = self.from_device.iter().chain(&self.to_device);
        rules.any(|rule| rule.classes.iter().any(|class| matches!(class, Class::Name(known) if known == name)))
    }

    /// Every group that it speaks of, each once.
    pub fn classes(&self) -> Vec<&Class> {
        let mut classes: Vec<&Class> =
            self.from_device.iter().chain(&self.to_device).flat_map(|rule| &rule.classes).collect();
        classes.sort();
        classes.dedup();
        classes
    }
}

fn rule(name: &str, direction: Direction, entry: &Entry, url: &MudUrl) -> Result<Rule, &'static str> {
    let Some(matches) = &entry.matches else { return Err("it could not be understood") };
    let Matches { ether, family, ip, l4, classes, tls } = matches.clone();
    let is_from = direction == Direction::FromDevice;
    let turn = |source, destination| if is_from { (source, destination) } else { (destination, source) };
    let (device, remote) = if is_from { (ip.source, ip.destination) } else { (ip.destination, ip.source) };
    let (own_name, remote_name) =
        if is_from { (ip.source_name, ip.destination_name) } else { (ip.destination_name, ip.source_name) };
    // RFC 8520 s8: names are resolved so that the device finds those that it needs, and it does not need its own.
    if own_name.is_some() {
        return Err("it names the device itself");
    }
    let mut classes: Vec<Class> = classes
        .into_iter()
        .map(|class| match class {
            Class::SameManufacturer => Class::Manufacturer(url.authority()),
            Class::MyController => Class::ControllerOf(url.as_str().to_owned()),
            class => class,
        })
        .chain(remote_name.map(Class::Name))
        .collect();
    classes.sort();
    classes.dedup();
    let ((device_ports, remote_ports), icmp, begun) = match l4 {
        None => (Default::default(), (None, None), None),
        Some(L4::Tcp(source, destination, begun)) => (turn(source, destination), (None, None), begun),
        Some(L4::Udp(source, destination)) => (turn(source, destination), (None, None), None),
        Some(L4::Icmp(kind, code)) => (Default::default(), (kind, code), None),
    };
    Ok(Rule {
        name: name.to_owned(),
        allow: entry.action == Action::Accept,
        ether,
        family,
        protocol: ip.protocol,
        device,
        remote,
        classes,
        device_ports,
        remote_ports,
        icmp,
        begun,
        tls,
    })
}

/// RFC 8520 appendix B.
fn defaults(direction: Direction) -> impl Iterator<Item = Rule> {
    let services = [("dns", DNS, number::UDP, 53), ("dns", DNS, number::TCP, 53), ("ntp", NTP, number::UDP, 123)];
    services.into_iter().flat_map(move |(name, class, protocol, port)| {
        [Family::V4, Family::V6].map(|family| Rule {
            name: format!("default/{name}-{direction}"),
            allow: true,
            ether: EtherMatch::default(),
            family: Some(family),
            protocol: Some(protocol),
            device: None,
            remote: None,
            classes: vec![Class::Controller(class.to_owned())],
            device_ports: Ports::Any,
            remote_ports: Ports::Range(port, port),
            icmp: (None, None),
            begun: (protocol == number::TCP).then_some(Direction::FromDevice),
            tls: Vec::new(),
        })
    })
}

impl Rule {
    /// Whether a packet of its direction is as it says.
    pub fn matches(&self, packet: &Packet, context: &Context) -> bool {
        let side = |want: Option<(crate::packet::Mac, crate::packet::Mac)>, is: crate::packet::Mac| {
            want.is_none_or(|(address, mask)| {
                let all = address.0.iter().zip(mask.0).zip(is.0);
                all.into_iter().all(|((want, mask), is)| want & mask == is & mask)
            })
        };
        side(self.ether.source, packet.source)
            && side(self.ether.destination, packet.destination)
            && self.ether.kind.is_none_or(|kind| kind == packet.ether_type)
            && self.matches_ip(packet)
            && self.classes.iter().all(|class| has(context, class, packet))
    }

    fn matches_ip(&self, packet: &Packet) -> bool {
        let Some(ip) = &packet.ip else {
            return self.family.is_none() && self.protocol.is_none() && self.device.is_none() && self.remote.is_none();
        };
        let version = if ip.source.is_ipv4() { Family::V4 } else { Family::V6 };
        let (device, remote) = match packet.direction {
            Direction::FromDevice => (ip.source, ip.destination),
            Direction::ToDevice => (ip.destination, ip.source),
        };
        let ports = |(source, destination)| match packet.direction {
            Direction::FromDevice => (source, destination),
            Direction::ToDevice => (destination, source),
        };
        let is_of_ports = match ip.ports.map(ports) {
            Some((device, remote)) => self.device_ports.have(device) && self.remote_ports.have(remote),
            None => (self.device_ports, self.remote_ports) == (Ports::Any, Ports::Any),
        };
        let (kind, code) = (ip.icmp.map(|(kind, _)| kind), ip.icmp.map(|(_, code)| code));
        self.family.is_none_or(|family| family == version)
            && self.protocol.is_none_or(|protocol| protocol == ip.protocol)
            && self.device.is_none_or(|network| network.has(device))
            && self.remote.is_none_or(|network| network.has(remote))
            && is_of_ports
            && (self.icmp.0.is_none() || self.icmp.0 == kind)
            && (self.icmp.1.is_none() || self.icmp.1 == code)
            && (self.begun.is_none() || self.begun == ip.begun)
    }
}

fn has(context: &Context, class: &Class, packet: &Packet) -> bool {
    // What is not IP does not leave the link.
    if *class == Class::LocalNetworks && packet.ip.is_none() {
        return true;
    }
    let (address, interface) = packet.remote();
    context.members(class).is_some_and(|members| members.have(address, interface))
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manufacturer(authority) => write!(f, "devices of {authority}"),
            Self::SameManufacturer => f.write_str("devices of the same manufacturer"),
            Self::Model(url) => write!(f, "devices of the model {url}"),
            Self::LocalNetworks => f.write_str("local networks"),
            Self::Controller(uri) => write!(f, "controllers of the class {uri}"),
            Self::MyController => f.write_str("its controller"),
            Self::ControllerOf(url) => write!(f, "the controller of {url}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// In words: `permits IPv4, TCP, with cloud.lamp.example, its port 443`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allow { "permits " } else { "drops " })?;
        let mut words: Vec<String> = Vec::new();
        for (side, name) in [(self.ether.source, "from"), (self.ether.destination, "for")] {
            words.extend(side.map(|(address, mask)| match mask.0 {
                [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => format!("frames {name} {address}"),
                _ => format!("frames {name} {address} by the bits {mask}"),
            }));
        }
        words.extend(self.ether.kind.map(|kind| format!("type 0x{kind:04x}")));
        words.extend(self.family.map(|family| if family == Family::V4 { "IPv4" } else { "IPv6" }.to_owned()));
        words.extend(self.protocol.map(|protocol| match protocol {
            number::TCP => "TCP".to_owned(),
            number::UDP => "UDP".to_owned(),
            number::ICMP | number::ICMPV6 => "ICMP".to_owned(),
            other => format!("protocol {other}"),
        }));
        words.extend(self.remote.map(|network| format!("with {network}")));
        words.extend(self.classes.iter().map(|class| format!("with {class}")));
        words.extend(self.device.map(|network| format!("as {network}")));
        words.extend(ports("its port", self.remote_ports));
        words.extend(ports("the device's port", self.device_ports));
        words.extend(self.icmp.0.map(|kind| format!("type {kind}")));
        words.extend(self.icmp.1.map(|code| format!("code {code}")));
        words.extend(self.begun.map(|begun| format!("begun {begun}")));
        match words.is_empty() {
            true => f.write_str("everything"),
            false => f.write_str(&words.join(", ")),
        }
    }
}

fn ports(whose: &str, ports: Ports) -> Option<String> {
    match ports {
        Ports::Any => None,
        Ports::Range(one, same) if one == same => Some(format!("{whose} {one}")),
        Ports::Range(least, most) => Some(format!("{whose} {least} to {most}")),
        Ports::Not(not) => Some(format!("{whose} any but {not}")),
    }
}
