//! A new file from a few words of its author: with whom the device has to speak.

use crate::{
    file::Family,
    packet::{Prefix, number},
    url::MudUrl,
};
use landfall_types::Time;
use serde_json::{Map, Value, json};
use std::{fmt, str::FromStr};

/// What a file is to say.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Where it will be.
    pub url: MudUrl,
    /// What the device is, for people: up to 60 characters (RFC 8520 s3.9).
    pub systeminfo: String,
    /// Who makes it.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// When that was last true.
    pub last_update: Time,
    /// With whom it begins to speak.
    pub to: Vec<Contact>,
    /// Who begins to speak with it.
    pub from: Vec<Contact>,
}

/// The other end, and by what they speak: `broker.example.com:8883/tcp`, `my-controller:5683/udp`, `local`.
///
/// `local`, `same-manufacturer` and `my-controller` are groups that the network knows (RFC 8520 s8), a URI such as
/// `urn:ietf:params:mud:ntp` is a class of controllers (in brackets if a port follows), and everything else is a DNS name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact {
    who: Who,
    what: What,
    /// Who sends, if it is about one direction only.
    only: Option<Sender>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Name(String),
    Group(&'static str),
    Controller(String),
    Network(Prefix),
    /// Whoever shares the link.
    Link,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Everything,
    Ports(Transport, Option<u16>),
    /// Type and code.
    Icmp(Family, (u8, u8)),
    Protocol(Family, u8),
    /// A type of Ethernet that is not IP.
    Ether(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Transport {
    Tcp,
    Udp,
}

/// The text says of nobody who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAContact(&'static str);

impl std::error::Error for NotAContact {}

impl fmt::Display for NotAContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; write NAME:PORT/tcp, NAME:PORT/udp, or one of local, same-manufacturer, my-controller", self.0)
    }
}

const GROUPS: [(&str, &str); 3] =
    [("local", "local-networks"), ("same-manufacturer", "same-manufacturer"), ("my-controller", "my-controller")];

impl FromStr for Contact {
    type Err = NotAContact;
    fn from_str(text: &str) -> Result<Self, NotAContact> {
        let (rest, transport) = match text.rsplit_once('/') {
            Some((rest, "tcp")) => (rest, Some(Transport::Tcp)),
            Some((rest, "udp")) => (rest, Some(Transport::Udp)),
            _ => (text, None),
        };
        let (who, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((uri, "")) => (uri, None),
            Some((uri, port)) => (uri, Some(port.strip_prefix(':').ok_or(NotAContact("what follows is no port"))?)),
            None if is_uri(rest) => (rest, None),
            None => rest.rsplit_once(':').map_or((rest, None), |(who, port)| (who, Some(port))),
        };
        let port =
            port.map(|port| port.parse().map_err(|_| NotAContact("a port is a number up to 65535"))).transpose()?;
        let transport = match (transport, port) {
            (None, Some(_)) => return Err(NotAContact("a port needs tcp or udp")),
            (None, None) => What::Everything,
            (Some(transport), port) => What::Ports(transport, port),
        };
        Ok(Self { who: Who::of(who)?, what: transport, only: None })
    }
}

/// What has a port begins with no scheme that matters here.
fn is_uri(text: &str) -> bool {
    text.starts_with("urn:") || text.starts_with("https:") || text.starts_with("http:")
}

impl Who {
    fn of(text: &str) -> Result<Self, NotAContact> {
        if let Some((_, group)) = GROUPS.iter().find(|(word, _)| *word == text) {
            return Ok(Self::Group(group));
        }
        if is_uri(text) {
            return Ok(Self::Controller(text.into()));
        }
        // RFC 1123 s2.1, and at least two labels: what has one means another host in each network.
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        match text.len() <= 253 && text.contains('.') && text.split('.').all(label) {
            true if text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) => {
                Err(NotAContact("an address is no name, and changes"))
            }
            true => Ok(Self::Name(text.to_ascii_lowercase())),
            false => Err(NotAContact("it is no host name")),
        }
    }
}

/// Who sends the packets of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sender {
    Device,
    Other,
}

impl Draft {
    /// The file, as its author may go on with it. What it says is what [`crate::read`] finds nothing wrong with.
    pub fn write(&self) -> String {
        let mut mud = Map::new();
        let mut say = |name: &str, value: Value| drop(mud.insert(name.into(), value));
        say("mud-version", json!(1));
        say("mud-url", json!(self.url.to_string()));
        say("last-update", json!(self.last_update.to_string()));
        say("mud-signature", json!(signature_url(&self.url.to_string())));
        say("cache-validity", json!(48));
        say("is-supported", json!(true));
        say("systeminfo", json!(self.systeminfo));
        for (name, value) in [("mfg-name", &self.manufacturer), ("model-name", &self.model)] {
            if let Some(value) = value {
                say(name, json!(value));
            }
        }
        let mut lists = Vec::new();
        for (policy, sender, prefix) in
            [("from-device-policy", Sender::Device, "from"), ("to-device-policy", Sender::Other, "to")]
        {
            let kinds = [Some(Family::V4), Some(Family::V6), None].into_iter();
            let kinds = kinds.filter(|kind| kind.is_some() || self.contacts().any(|(contact, _)| contact.is_of(*kind)));
            let names: Vec<Value> = kinds
                .map(|kind| {
                    let name = format!("{prefix}-{}", word(kind));
                    lists.push(self.list(&name, kind, sender));
                    json!({ "name": name })
                })
                .collect();
            say(policy, json!({ "access-lists": { "access-list": names } }));
        }
        let file = json!({ "ietf-mud:mud": mud, "ietf-access-control-list:acls": { "acl": lists } });
        format!("{file:#}\n")
    }

    /// Whoever is spoken with, and who begins.
    fn contacts(&self) -> impl Iterator<Item = (&Contact, Sender)> {
        let begun = self.to.iter().map(|contact| (contact, Sender::Device));
        begun.chain(self.from.iter().map(|contact| (contact, Sender::Other)))
    }

    fn list(&self, name: &str, kind: Option<Family>, sender: Sender) -> Value {
        let about = |contact: &Contact| contact.is_of(kind) && contact.only.is_none_or(|only| only == sender);
        let entries: Vec<Value> = self
            .contacts()
            .enumerate()
            .filter(|(_, (contact, _))| about(contact))
            .map(|(number, (contact, by))| {
                let matches = contact.matches(word(kind), sender, by);
                json!({ "name": format!("{name}-{number}"), "matches": matches, "actions": { "forwarding": "accept" } })
            })
            .collect();
        json!({ "name": name, "type": format!("{}-acl-type", word(kind)), "aces": { "ace": entries } })
    }
}

/// What RFC 8519 calls the kind of a list: for packets of IP of a version, or for frames.
const fn word(kind: Option<Family>) -> &'static str {
    match kind {
        Some(Family::V4) => "ipv4",
        Some(Family::V6) => "ipv6",
        None => "eth",
    }
}

impl Contact {
    /// A host by its name, if it is one that means the same everywhere.
    pub(crate) fn host(name: &str) -> Option<Self> {
        let who = Who::of(name).ok().filter(|who| matches!(who, Who::Name(_)))?;
        Some(Self { who, what: What::Everything, only: None })
    }

    pub(crate) const fn local() -> Self {
        Self { who: Who::Group("local-networks"), what: What::Everything, only: None }
    }

    pub(crate) const fn network(network: Prefix) -> Self {
        Self { who: Who::Network(network), what: What::Everything, only: None }
    }

    pub(crate) const fn ether(kind: u16, only: Sender) -> Self {
        Self { who: Who::Link, what: What::Ether(kind), only: Some(only) }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match &self.who {
            Who::Name(name) => Some(name),
            _ => None,
        }
    }

    pub(crate) const fn has_ports(&self) -> bool {
        matches!(self.what, What::Ports(..))
    }

    /// The same by TCP or UDP.
    pub(crate) fn by(self, protocol: u8) -> Self {
        let transport = if protocol == number::TCP { Transport::Tcp } else { Transport::Udp };
        Self { what: What::Ports(transport, None), ..self }
    }

    /// The same at that port.
    pub(crate) fn port(self, port: u16) -> Self {
        match self.what {
            What::Ports(transport, _) => Self { what: What::Ports(transport, Some(port)), ..self },
            _ => self,
        }
    }

    pub(crate) fn icmp(self, family: Family, kind: (u8, u8), only: Sender) -> Self {
        Self { what: What::Icmp(family, kind), only: Some(only), ..self }
    }

    pub(crate) fn protocol(self, family: Family, protocol: u8, only: Sender) -> Self {
        Self { what: What::Protocol(family, protocol), only: Some(only), ..self }
    }

    /// Whether it belongs into lists of that kind.
    fn is_of(&self, kind: Option<Family>) -> bool {
        let of_network = match self.who {
            Who::Network(network) => Some(if network.is_ipv4() { Family::V4 } else { Family::V6 }),
            _ => None,
        };
        match (self.what, kind) {
            (What::Ether(_), kind) => kind.is_none(),
            (_, None) => false,
            (What::Icmp(family, _) | What::Protocol(family, _), kind) => kind == Some(family),
            (_, kind) => of_network.is_none() || of_network == kind,
        }
    }

    /// What is matched of packets from `sender`, where `by` begins to speak.
    fn matches(&self, family: &str, sender: Sender, by: Sender) -> Value {
        let mut ip = Map::new();
        let mut matches = Map::new();
        match &self.who {
            Who::Name(name) => {
                let other =
                    if sender == Sender::Device { "ietf-acldns:dst-dnsname" } else { "ietf-acldns:src-dnsname" };
                ip.insert(other.into(), json!(name));
            }
            // YANG's empty type (RFC 7951 s6.9).
            Who::Group(group) => drop(matches.insert("ietf-mud:mud".into(), json!({ *group: [null] }))),
            Who::Controller(uri) => drop(matches.insert("ietf-mud:mud".into(), json!({ "controller": uri }))),
            Who::Network(network) => {
                let other = if sender == Sender::Device { "destination" } else { "source" };
                ip.insert(format!("{other}-{family}-network"), json!(network.to_string()));
            }
            Who::Link => {}
        }
        match self.what {
            What::Everything => {}
            What::Ether(kind) => ip.extend([("ethertype".to_owned(), json!(kind))]),
            What::Protocol(_, protocol) => drop(ip.insert("protocol".into(), json!(protocol))),
            What::Icmp(version, (kind, code)) => {
                let protocol = if version == Family::V4 { number::ICMP } else { number::ICMPV6 };
                ip.insert("protocol".into(), json!(protocol));
                matches.insert("icmp".into(), json!({ "type": kind, "code": code }));
            }
            What::Ports(transport, port) => {
                let (name, protocol) =
                    if transport == Transport::Tcp { ("tcp", number::TCP) } else { ("udp", number::UDP) };
                ip.insert("protocol".into(), json!(protocol));
                let mut l4 = Map::new();
                if transport == Transport::Tcp {
                    let begins = if by == Sender::Device { "from-device" } else { "to-device" };
                    l4.insert("ietf-mud:direction-initiated".into(), json!(begins));
                }
                if let Some(port) = port {
                    // The port is that of whoever did not begin.
                    let at = if sender == by { "destination-port" } else { "source-port" };
                    l4.insert(at.into(), json!({ "operator": "eq", "port": port }));
                }
                if !l4.is_empty() {
                    matches.insert(name.into(), l4.into());
                }
            }
        }
        if !ip.is_empty() || matches.is_empty() {
            matches.insert(family.into(), ip.into());
        }
        matches.into()
    }
}

/// The signature stands beside the file, with another ending.
fn signature_url(url: &str) -> String {
    format!("{}.p7s", url.strip_suffix(".json").unwrap_or(url))
}
