//! A new file from a few words of its author: with whom the device has to speak.

use crate::url::MudUrl;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    who: Who,
    transport: Option<(Transport, Option<u16>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Name(String),
    Group(&'static str),
    Controller(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            (None, None) => None,
            (Some(transport), port) => Some((transport, port)),
        };
        Ok(Self { who: Who::of(who)?, transport })
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
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
            let names = ["ipv4", "ipv6"].map(|family| {
                let name = format!("{prefix}-{family}");
                lists.push(self.list(&name, family, sender));
                json!({ "name": name })
            });
            say(policy, json!({ "access-lists": { "access-list": names } }));
        }
        let file = json!({ "ietf-mud:mud": mud, "ietf-access-control-list:acls": { "acl": lists } });
        format!("{file:#}\n")
    }

    fn list(&self, name: &str, family: &str, sender: Sender) -> Value {
        let begun = self.to.iter().map(|contact| (contact, Sender::Device));
        let begun = begun.chain(self.from.iter().map(|contact| (contact, Sender::Other)));
        let entries: Vec<Value> = begun
            .enumerate()
            .map(|(number, (contact, by))| {
                let matches = contact.matches(family, sender, by);
                json!({ "name": format!("{name}-{number}"), "matches": matches, "actions": { "forwarding": "accept" } })
            })
            .collect();
        json!({ "name": name, "type": format!("{family}-acl-type"), "aces": { "ace": entries } })
    }
}

impl Contact {
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
        }
        if let Some((transport, port)) = self.transport {
            let (name, number) = if transport == Transport::Tcp { ("tcp", 6) } else { ("udp", 17) };
            ip.insert("protocol".into(), json!(number));
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
