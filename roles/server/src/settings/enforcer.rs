//! `[enforcer]`: the parts of the network on this machine's bridges, and the ports that devices are plugged into.

use super::{BehaviourSettings, MudSettings, Span, Subnet};
use landfall_types::{Model, VendorId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// `[enforcer]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct EnforcerSettings {
    /// The parts of the network.
    pub segment: Vec<SegmentSettings>,
    /// One bridge for all segments, which keeps them apart as VLANs (IEEE 802.1Q); without it each segment has a bridge of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// Interfaces that carry every segment's frames, with its tag, to switches and routers beyond; with `bridge` only.
    pub trunks: Vec<String>,
    /// The ports that devices are plugged into.
    pub port: Vec<PortSettings>,
    /// What manufacturers say of their devices (RFC 8520); the first that fits a device counts.
    pub intent: Vec<IntentSettings>,
    /// Who is meant by what they say: `local-networks`, `my-controller URL`, the URI of a class of controllers, the name of a host.
    pub members: BTreeMap<String, Vec<Subnet>>,
    /// Where what they say is fetched from, if it is not in files here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mud: Option<MudSettings>,
    /// The resolver of devices; without it names mean the hosts among `members`, and nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<NamesSettings>,
    /// Whether an address of IP is that of the device that used it first, for as long as that is there (RFC 6620).
    pub bind_addresses: bool,
    /// Looking at what devices begin for what is unusual; without it nobody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<BehaviourSettings>,
    /// How often what the kernel has loaded is held against what should be.
    pub check: Span,
    /// The network namespace whose bridges these are; this program's own if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl Default for EnforcerSettings {
    fn default() -> Self {
        Self {
            segment: Vec::new(),
            bridge: None,
            trunks: Vec::new(),
            port: Vec::new(),
            intent: Vec::new(),
            members: BTreeMap::new(),
            mud: None,
            names: None,
            bind_addresses: false,
            behaviour: None,
            check: Span::seconds(5),
            namespace: None,
        }
    }
}

/// `[enforcer.names]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct NamesSettings {
    /// Addresses where devices ask: this machine's own on their segments, with the port, 53.
    pub listen: Vec<SocketAddr>,
    /// The resolvers that are asked for them.
    pub upstream: Vec<SocketAddr>,
    /// What a device hears that asks for a name which its manufacturer does not speak of.
    pub others: Others,
    /// Domains whose hosts are inside: only they have addresses of private networks.
    pub local: Vec<String>,
    /// Whether devices may ask other resolvers as well, and so reach less than they are told.
    pub other_resolvers: bool,
}

/// What a device hears that asks for a name which is not for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Others {
    /// That it may not ask this.
    #[default]
    Refuse,
    /// That there is no such name.
    Deny,
    /// The addresses, which it does not reach for that.
    Resolve,
}

/// `[[enforcer.segment]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SegmentSettings {
    /// What the operator calls it.
    pub name: String,
    /// What it is for.
    pub kind: SegmentKind,
    /// Its bridge; `br-` and its name if none is given. With a bridge for all segments, this machine's own interface in it: that
    /// bridge's name, a dot and the VID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// The VID of its VLAN in the bridge for all segments (IEEE 802.1Q); that in `vlan` if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vid: Option<u16>,
    /// The VLAN by which places mean it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<String>,
    /// Whether its devices reach each other; in production only.
    #[serde(default)]
    pub lateral: bool,
    /// What its devices reach, if it is not for production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Vec<Reach>>,
}

/// `[[enforcer.intent]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IntentSettings {
    /// Only devices of these manufacturers.
    #[serde(default)]
    pub manufacturers: Vec<VendorId>,
    /// Only devices of these models.
    #[serde(default)]
    pub models: Vec<Model>,
    /// The MUD file.
    pub file: PathBuf,
    /// Its signature; without it the file is the owner's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<PathBuf>,
    /// Authorities that vouch for who signed it.
    #[serde(default)]
    pub anchors: Vec<PathBuf>,
    /// The subject of who signed it, as devices' certificates name it (RFC 8520 s11); anyone for whom the authorities vouch if it
    /// is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
}

/// What a part of the network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentKind {
    /// Devices without a credential: they reach a join proxy, and nothing else.
    Onboarding,
    /// Devices at work.
    Production,
    /// Devices that are not trusted now: they reach what helps them, if anything, and not each other.
    Quarantine,
}

/// `[[enforcer.port]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PortSettings {
    /// The interface.
    pub interface: String,
    /// How its authenticator calls itself: NAS-Port-Id or NAS-Identifier; the interface's name if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator: Option<String>,
}

/// Something that may be reached: `tcp 192.0.2.7 443`, `udp ff02::fb 5353`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reach {
    /// By which protocol.
    pub protocol: Protocol,
    /// Where.
    pub to: Subnet,
    /// At which port.
    pub port: u16,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// The text does not say what may be reached.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} does not say what may be reached; write tcp or udp, an address or range, and a port: tcp 192.0.2.7 443")]
pub struct NotAReach(String);

impl Reach {
    /// What a new device has to reach: the join proxy on its link and the ways to find it (RFC 8995 s4.1 and appendix B,
    /// RFC 8990 s2.6), by link-local addresses.
    pub fn onboarding(proxy: u16) -> Vec<Self> {
        let lines = [format!("tcp fe80::/10 {proxy}"), "udp ff02::fb 5353".into(), "udp ff02::13 7017".into()];
        lines.iter().filter_map(|line| line.parse().ok()).collect()
    }

    /// Whether it is a group of hosts.
    pub fn is_group(&self) -> bool {
        self.to.first().is_multicast()
    }
}

impl FromStr for Reach {
    type Err = NotAReach;
    fn from_str(text: &str) -> Result<Self, NotAReach> {
        let wrong = || NotAReach(text.chars().take(60).collect());
        let words: Vec<&str> = text.split_whitespace().collect();
        let [protocol, to, port] = words.as_slice() else { return Err(wrong()) };
        let protocol = match *protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(wrong()),
        };
        let (to, port) = (to.parse().map_err(|_| wrong())?, port.parse().map_err(|_| wrong())?);
        if port == 0 { Err(wrong()) } else { Ok(Self { protocol, to, port }) }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.protocol == Protocol::Tcp { "tcp" } else { "udp" };
        write!(f, "{protocol} {} {}", self.to, self.port)
    }
}

impl TryFrom<String> for Reach {
    type Error = NotAReach;
    fn try_from(text: String) -> Result<Self, NotAReach> {
        text.parse()
    }
}

impl From<Reach> for String {
    fn from(reach: Reach) -> Self {
        reach.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_reached_both_ways() {
        for text in ["tcp 192.0.2.7/32 443", "udp 2001:db8::/64 53", "udp ff02::fb/128 5353"] {
            assert_eq!(text.parse::<Reach>().unwrap().to_string(), text);
        }
        for wrong in
            ["", "tcp", "tcp 192.0.2.7", "sctp 192.0.2.7 1", "tcp host 443", "tcp 192.0.2.7 0", "tcp 192.0.2.7 443 5"]
        {
            wrong.parse::<Reach>().unwrap_err();
        }
        assert_eq!(Reach::onboarding(8444).len(), 3);
    }
}
