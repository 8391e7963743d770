//! One packet, and what a network knows of those that a device speaks with.

use crate::{policy::Class, url::MudUrl};
use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Which way a packet goes, or who began a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the device.
    FromDevice,
    /// To the device.
    ToDevice,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    first: IpAddr,
    bits: u8,
}

/// The text is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// A packet, as far as a MUD file can speak of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Which way it goes.
    pub direction: Direction,
    /// Whose frame it is.
    pub source: Mac,
    /// For whom.
    pub destination: Mac,
    /// Ethernet's type of what is in it.
    pub ether_type: u16,
    /// The packet in it, if it is one of IP.
    pub ip: Option<Ip>,
}

/// A packet of IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Whose it is.
    pub source: IpAddr,
    /// For whom.
    pub destination: IpAddr,
    /// The protocol of its payload, after all extension headers.
    pub protocol: u8,
    /// Of TCP and UDP: ports from and to.
    pub ports: Option<(u16, u16)>,
    /// Of ICMP, either version: type and code.
    pub icmp: Option<(u8, u8)>,
    /// Of TCP: who began the connection.
    pub begun: Option<Direction>,
}

/// IP's protocol numbers.
pub mod number {
    /// Of version 4.
    pub const ICMP: u8 = 1;
    /// Connections.
    pub const TCP: u8 = 6;
    /// Datagrams.
    pub const UDP: u8 = 17;
    /// Of version 6.
    pub const ICMPV6: u8 = 58;
}

/// Ethernet's types of IP.
pub const IPV4: u16 = 0x0800;
/// The same of version 6.
pub const IPV6: u16 = 0x86dd;

/// Who is in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// By addresses.
    pub networks: Vec<Prefix>,
    /// By interfaces on the device's own link.
    pub interfaces: Vec<Mac>,
}

/// What a network knows of the groups that files speak of. A group that is not in it has no members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<Class, Members>);

impl Context {
    /// One in which nothing is known but what is local on every link.
    pub fn new() -> Self {
        let mut context = Self::default();
        context.add(Class::LocalNetworks, Members::of(LOCAL.iter().copied()));
        context
    }

    /// Adds members to a group.
    pub fn add(&mut self, class: Class, members: Members) {
        let known = self.0.entry(class).or_default();
        known.networks.extend(members.networks);
        known.interfaces.extend(members.interfaces);
    }

    /// Who is in that group.
    pub fn members(&self, class: &Class) -> Option<&Members> {
        self.0.get(class)
    }

    /// Every group of which something is known.
    pub fn iter(&self) -> impl Iterator<Item = (&Class, &Members)> {
        self.0.iter()
    }

    /// Everyone whose MUD URL has that authority (RFC 8520 s4.1), or is that URL (s4.4).
    pub fn device(&mut self, url: &MudUrl, members: &Members) {
        self.add(Class::Manufacturer(url.authority()), members.clone());
        self.add(Class::Model(url.as_str().to_owned()), members.clone());
    }
}

impl Members {
    /// These networks.
    pub fn of(networks: impl IntoIterator<Item = Prefix>) -> Self {
        Self { networks: networks.into_iter().collect(), interfaces: Vec::new() }
    }

    /// Whether that address or that interface is among them.
    pub fn have(&self, address: Option<IpAddr>, interface: Mac) -> bool {
        address.is_some_and(|address| self.networks.iter().any(|network| network.has(address)))
            || self.interfaces.contains(&interface)
    }
}

/// What no router carries further than the link or the site, whoever runs it: link-local addresses, the groups of the link and
/// of local scopes (RFC 5771 s4, RFC 2365 s6, RFC 4291 s2.7), and the limited broadcast.
pub const LOCAL: [Prefix; 9] = [
    Prefix::v4([169, 254, 0, 0], 16),
    Prefix::v4([224, 0, 0, 0], 24),
    Prefix::v4([239, 0, 0, 0], 8),
    Prefix::v4([255, 255, 255, 255], 32),
    Prefix::v6(0xfe80, 10),
    Prefix::v6(0xff02, 16),
    Prefix::v6(0xff03, 16),
    Prefix::v6(0xff04, 16),
    Prefix::v6(0xff05, 16),
];

impl Prefix {
    const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Self {
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(first: u16, bits: u8) -> Self {
        Self { first: IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), bits }
    }

    /// The addresses that share so many bits with this one; nothing if an address has not so many.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let first = match address {
            IpAddr::V4(v4) if bits <= 32 => {
                IpAddr::V4((u32::from(v4) & u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)).into())
            }
            IpAddr::V6(v6) if bits <= 128 => {
                IpAddr::V6((u128::from(v6) & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)).into())
            }
            _ => return None,
        };
        Some(Self { first, bits })
    }

    /// One address.
    pub const fn host(address: IpAddr) -> Self {
        Self { first: address, bits: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether that address is one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && Self::new(address, self.bits) == Some(*self)
    }

    /// The first of them.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// How many bits they share.
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether they are of version 4.
    pub const fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }
}

impl FromStr for Prefix {
    type Err = Unreadable;
    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (address, bits) = text.split_once('/').ok_or(Unreadable)?;
        if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Unreadable);
        }
        let (address, bits) = (address.parse().map_err(|_| Unreadable)?, bits.parse().map_err(|_| Unreadable)?);
        Self::new(address, bits).ok_or(Unreadable)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl FromStr for Mac {
    type Err = Unreadable;
    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut mac = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut mac {
            let is_octet = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            let part = parts.next().filter(is_octet).ok_or(Unreadable)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| Unreadable)?;
        }
        match parts.next() {
            None => Ok(Self(mac)),
            Some(_) => Err(Unreadable),
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FromDevice => "from-device",
            Self::ToDevice => "to-device",
        })
    }
}

impl Packet {
    /// The other end: its address, if it has one, and its interface on this link.
    pub fn remote(&self) -> (Option<IpAddr>, Mac) {
        let ip = self.ip.as_ref();
        match self.direction {
            Direction::FromDevice => (ip.map(|ip| ip.destination), self.destination),
            Direction::ToDevice => (ip.map(|ip| ip.source), self.source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let prefix: Prefix = "192.0.2.77/26".parse().unwrap();
        assert_eq!(prefix.to_string(), "192.0.2.64/26");
        assert!(prefix.has("192.0.2.127".parse().unwrap()) && !prefix.has("192.0.2.128".parse().unwrap()));
        assert!("::/0".parse::<Prefix>().unwrap().has("2001:db8::1".parse().unwrap()));
        assert!(!"0.0.0.0/0".parse::<Prefix>().unwrap().has("::1".parse().unwrap()));
        for wrong in ["192.0.2.1", "192.0.2.1/33", "::1/129", "x/8", "192.0.2.1/+8", "192.0.2.1/", "/8"] {
            wrong.parse::<Prefix>().expect_err(wrong);
        }
    }

    #[test]
    fn addresses_of_interfaces() {
        assert_eq!("FF:ff:00:0a:01:02".parse::<Mac>().unwrap().to_string(), "ff:ff:00:0a:01:02");
        for wrong in ["", "ff:ff:00:0a:01", "ff:ff:00:0a:01:02:03", "ff-ff-00-0a-01-02", "+f:ff:00:0a:01:02"] {
            wrong.parse::<Mac>().expect_err(wrong);
        }
    }
}
