//! Packets on both sides of the edge of every rule.

use landfall_mud::{
    Context, Direction, Members, Packet, Policy,
    file::{Family, Ports},
    packet::{IPV4, IPV6, Ip, Mac, Prefix},
    policy::Rule,
};
use landfall_testkit::Rng;
use std::net::IpAddr;

pub(crate) const DEVICE: Mac = Mac([2, 0, 0, 0, 0, 7]);
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 0xfe]);

/// For every rule packets that it means, the same with one thing otherwise, and packets out of the blue.
pub(crate) fn packets(policy: &Policy, context: &Context, seed: u64) -> Vec<Packet> {
    let mut rng = Rng::new(seed);
    let mut packets = Vec::new();
    for direction in [Direction::FromDevice, Direction::ToDevice] {
        for rule in policy.rules(direction) {
            for _ in 0..3 {
                let packet = meant(&mut rng, rule, direction, context);
                for _ in 0..6 {
                    packets.push(otherwise(&mut rng, packet.clone(), context));
                }
                packets.push(packet);
            }
        }
        for _ in 0..50 {
            let packet = meant(&mut rng, &anything(), direction, context);
            packets.push(otherwise(&mut rng, packet, context));
        }
    }
    packets
}

/// What asks for nothing.
fn anything() -> Rule {
    Rule {
        name: String::new(),
        allow: true,
        ether: Default::default(),
        family: None,
        protocol: None,
        device: None,
        remote: None,
        classes: Vec::new(),
        device_ports: Ports::Any,
        remote_ports: Ports::Any,
        icmp: (None, None),
        begun: None,
        tls: Vec::new(),
    }
}

fn any<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.below(all.len() as u64) as usize]
}

fn inside(rng: &mut Rng, prefix: Prefix) -> IpAddr {
    let noise = rng.below(u64::MAX);
    match prefix.first() {
        IpAddr::V4(first) => {
            let free = u32::MAX.checked_shr(prefix.bits().into()).unwrap_or(0);
            IpAddr::V4((u32::from(first) | (noise as u32 & free)).into())
        }
        IpAddr::V6(first) => {
            let free = u128::MAX.checked_shr(prefix.bits().into()).unwrap_or(0);
            IpAddr::V6((u128::from(first) | (u128::from(noise) & free)).into())
        }
    }
}

fn address(rng: &mut Rng, is_v4: bool, context: &Context) -> IpAddr {
    let all = context.iter().flat_map(|(_, members)| members.networks.clone());
    let mut all: Vec<Prefix> = all.filter(|network| network.is_ipv4() == is_v4).collect();
    all.extend(
        ["0.0.0.0/0", "::/0"].map(|text| text.parse::<Prefix>().unwrap()).into_iter().filter(|p| p.is_ipv4() == is_v4),
    );
    let prefix = any(rng, &all);
    inside(rng, prefix)
}

fn port(rng: &mut Rng, ports: Ports) -> u16 {
    match ports {
        Ports::Range(least, most) => least + rng.below(u64::from(most - least) + 1) as u16,
        Ports::Not(not) => not.wrapping_add(1 + rng.below(100) as u16),
        Ports::Any => rng.below(65536) as u16,
    }
}

/// A packet that a rule means, unless what it asks for is impossible.
fn meant(rng: &mut Rng, rule: &Rule, direction: Direction, context: &Context) -> Packet {
    let is_from = direction == Direction::FromDevice;
    let is_v4 = match (rule.family, rule.remote.or(rule.device)) {
        (Some(family), _) => family == Family::V4,
        (None, Some(prefix)) => prefix.is_ipv4(),
        (None, None) => rng.below(2) == 0,
    };
    let own: Prefix = if is_v4 { "192.168.1.7/32" } else { "fd00::7/128" }.parse().unwrap();
    let own = inside(rng, rule.device.filter(|prefix| prefix.is_ipv4() == is_v4).unwrap_or(own));
    let members: Vec<Members> = rule.classes.iter().filter_map(|class| context.members(class).cloned()).collect();
    let fitting: Vec<Prefix> = members
        .iter()
        .flat_map(|members| members.networks.iter().copied())
        .filter(|network| network.is_ipv4() == is_v4)
        .collect();
    let remote = match (rule.remote, fitting.as_slice()) {
        (Some(prefix), _) => inside(rng, prefix),
        (None, []) => address(rng, is_v4, context),
        (None, fitting) => {
            let prefix = any(rng, fitting);
            inside(rng, prefix)
        }
    };
    let interfaces: Vec<Mac> = members.iter().flat_map(|members| members.interfaces.iter().copied()).collect();
    let peer = if interfaces.is_empty() || rng.below(2) == 0 { ROUTER } else { any(rng, &interfaces) };
    let protocol = rule.protocol.unwrap_or_else(|| any(rng, &[6, 17, 1, 58, 2]));
    let (source, destination) = if is_from { (own, remote) } else { (remote, own) };
    let (device, remote) = (port(rng, rule.device_ports), port(rng, rule.remote_ports));
    let ports = if is_from { (device, remote) } else { (remote, device) };
    let begun = rule.begun.unwrap_or_else(|| any(rng, &[Direction::FromDevice, Direction::ToDevice]));
    let ip = Ip {
        source,
        destination,
        protocol,
        ports: [6, 17].contains(&protocol).then_some(ports),
        icmp: [1, 58].contains(&protocol).then(|| {
            (rule.icmp.0.unwrap_or_else(|| rng.below(256) as u8), rule.icmp.1.unwrap_or_else(|| rng.below(256) as u8))
        }),
        begun: (protocol == 6).then_some(begun),
    };
    let (mut from, mut to) = if is_from { (DEVICE, peer) } else { (peer, DEVICE) };
    if let Some((address, _)) = rule.ether.source {
        from = address;
    }
    if let Some((address, _)) = rule.ether.destination {
        to = address;
    }
    let usual = if is_v4 { IPV4 } else { IPV6 };
    let kind = rule.ether.kind.unwrap_or(usual);
    let ip = (kind == usual).then_some(ip);
    Packet { direction, source: from, destination: to, ether_type: kind, ip }
}

/// The same packet with one thing otherwise.
fn otherwise(rng: &mut Rng, mut packet: Packet, context: &Context) -> Packet {
    let what = rng.below(9);
    let Some(ip) = &mut packet.ip else {
        packet.ether_type ^= 1 << rng.below(16);
        return packet;
    };
    let is_v4 = ip.source.is_ipv4();
    match what {
        0 => ip.source = address(rng, is_v4, context),
        1 => ip.destination = address(rng, is_v4, context),
        2 => ip.ports = ip.ports.map(|(source, destination)| (source.wrapping_add(1), destination)),
        3 => ip.ports = ip.ports.map(|(source, destination)| (source, destination.wrapping_sub(1))),
        4 => ip.icmp = ip.icmp.map(|(kind, code)| (kind ^ 1, code)),
        5 => ip.icmp = ip.icmp.map(|(kind, code)| (kind, code ^ 1)),
        6 => {
            ip.begun = ip.begun.map(|begun| match begun {
                Direction::FromDevice => Direction::ToDevice,
                Direction::ToDevice => Direction::FromDevice,
            });
        }
        7 => {
            ip.protocol = any(rng, &[2, 47, 50]);
            (ip.ports, ip.icmp, ip.begun) = (None, None, None);
        }
        _ => {
            let macs = [DEVICE, ROUTER, Mac([0xff; 6]), Mac([2, 1, 0, 0, 0, rng.below(16) as u8])];
            match rng.below(2) {
                0 => packet.source = any(rng, &macs),
                _ => packet.destination = any(rng, &macs),
            }
        }
    }
    packet
}
