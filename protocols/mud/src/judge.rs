//! What a file says of one packet, read straight from its JSON: slow, plain, and in other words than the compiler's.
//!
//! It exists to be compared with. It shares the description of a packet with the compiler, and neither the reader nor the rules.

use crate::packet::{Context, Direction, Members, Packet};
use landfall_types::Refusal;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A file to be asked.
#[derive(Clone, Debug)]
pub struct Judge {
    url: String,
    /// Its authority, in small letters.
    manufacturer: String,
    from_device: Option<Vec<Value>>,
    to_device: Option<Vec<Value>>,
}

/// What an entry says of a packet; nothing if it cannot be understood.
struct Answer(Option<bool>);

impl Judge {
    /// Takes a file.
    ///
    /// # Errors
    /// If it is no JSON with a container of MUD.
    pub fn new(bytes: &[u8]) -> Result<Self, Refusal> {
        let file = crate::file::parse(bytes)?;
        let url = at(at(&file, "ietf-mud:mud"), "mud-url").as_str().unwrap_or_default();
        let host = url.get(8..).unwrap_or_default().split(['/', '?']).next().unwrap_or_default();
        let lists = Self::lists(&file);
        Ok(Self {
            url: url.to_owned(),
            manufacturer: host.to_ascii_lowercase(),
            from_device: Self::entries(at(at(&file, "ietf-mud:mud"), "from-device-policy"), &lists),
            to_device: Self::entries(at(at(&file, "ietf-mud:mud"), "to-device-policy"), &lists),
        })
    }

    /// Every list by its name, wherever files have them; nothing for one that cannot be used.
    fn lists(file: &Value) -> BTreeMap<String, Option<Vec<Value>>> {
        let places = [
            at(at(at(file, "ietf-mud:mud"), "ietf-access-control-list:acls"), "acl"),
            at(at(file, "ietf-access-control-list:acls"), "acl"),
            at(at(file, "ietf-access-control-list:access-lists"), "acl"),
        ];
        let mut lists = BTreeMap::new();
        for list in places.into_iter().flat_map(listed) {
            let Some(name) = at(list, "name").as_str() else { continue };
            let kind = at(list, "type").as_str().map(unprefixed);
            let entries = kind.filter(|kind| is_a_kind(kind)).map(|kind| {
                let with_kind = |entry: &Value| serde_json::json!({ "kind": kind, "entry": entry });
                match (list.get("aces"), at(list, "aces").get("ace")) {
                    (None, _) => Vec::new(),
                    (Some(Value::Object(_)), None) => Vec::new(),
                    (Some(_), Some(Value::Array(_) | Value::Object(_))) => {
                        listed(at(at(list, "aces"), "ace")).into_iter().map(with_kind).collect()
                    }
                    // There are entries, and nobody knows which.
                    _ => vec![Value::Null],
                }
            });
            // Two of one name: nobody knows which is meant.
            let entries = if lists.contains_key(name) { None } else { entries };
            lists.insert(name.to_owned(), entries);
        }
        lists
    }

    /// The entries of a direction one after the other; a `null` is a list of which nothing is known.
    fn entries(policy: &Value, lists: &BTreeMap<String, Option<Vec<Value>>>) -> Option<Vec<Value>> {
        let mut seen = Vec::new();
        let mut all = Vec::new();
        for item in listed(policy.get("access-lists")?.get("access-list")?) {
            let Some(name) = at(item, "name").as_str() else { continue };
            if seen.contains(&name.to_owned()) {
                continue;
            }
            match lists.get(name) {
                Some(Some(entries)) => {
                    seen.push(name.to_owned());
                    all.extend(entries.iter().cloned());
                }
                _ => all.push(Value::Null),
            }
        }
        Some(all)
    }

    /// Whether a packet may pass.
    pub fn allows(&self, packet: &Packet, context: &Context) -> bool {
        let entries = match packet.direction {
            Direction::FromDevice => &self.from_device,
            Direction::ToDevice => &self.to_device,
        };
        for entry in entries.iter().flatten() {
            let (kind, entry) = (at(entry, "kind").as_str().unwrap_or_default(), at(entry, "entry"));
            let (matches, forwarding, is_sound) = self.entry(kind, entry, packet, context);
            match (matches.0.filter(|_| is_sound), forwarding) {
                (Some(true), Some(accept)) => return accept,
                (Some(false), Some(_)) => {}
                (None, Some(true)) => {}
                // It may have been meant to stop this packet.
                (None, Some(false)) | (_, None) => return false,
            }
        }
        self.is_resolver_or_clock(packet, context)
    }

    /// What an entry matches, whether it accepts, and whether the rest of it is sound.
    fn entry(&self, kind: &str, entry: &Value, packet: &Packet, context: &Context) -> (Answer, Option<bool>, bool) {
        let empty = Value::Object(serde_json::Map::new());
        let matches = entry.get("matches").unwrap_or(&empty);
        let actions = [entry.get("actions"), matches.get("actions")];
        let forwarding = match actions {
            [Some(actions), None] | [None, Some(actions)] => {
                at(actions, "forwarding").as_str().and_then(|text| match unprefixed(text) {
                    "accept" => Some(true),
                    "drop" | "reject" => Some(false),
                    _ => None,
                })
            }
            _ => None,
        };
        let name = at(entry, "name").as_str().filter(|name| !name.is_empty() && name.chars().count() <= 64);
        let is_sound = name.is_some_and(|name| !name.chars().any(char::is_control));
        let mut answer = Answer(matches.is_object().then_some(true));
        let version = match kind {
            "ipv4-acl-type" => Some(true),
            "ipv6-acl-type" => Some(false),
            _ => match (matches.get("ipv4"), matches.get("ipv6")) {
                (Some(_), None) => Some(true),
                (None, Some(_)) => Some(false),
                _ => None,
            },
        };
        if let Some(wants_v4) = version {
            answer.and(Some(packet.ip.as_ref().is_some_and(|ip| ip.source.is_ipv4() == wants_v4)));
        }
        if matches.get("ipv4").is_some() && matches.get("ipv6").is_some() {
            answer.and(None);
        }
        let transports = ["tcp", "udp", "icmp"].iter().filter(|name| matches.get(name).is_some()).count();
        if transports > 1 || (matches.get("icmp").is_some() && version.is_none()) {
            answer.and(None);
        }
        let protocol = matches.get("ipv4").or(matches.get("ipv6")).and_then(|ip| ip.get("protocol"));
        for (name, value) in matches.as_object().into_iter().flatten() {
            answer.and(match name.as_str() {
                "eth" => ether(value, packet),
                "ipv4" if !kind.contains("ipv4") => None,
                "ipv6" if !kind.contains("ipv6") => None,
                "ipv4" | "ipv6" => network(value, name == "ipv4", packet, context),
                "tcp" | "udp" | "icmp" => {
                    let number = match (name.as_str(), version) {
                        ("tcp", _) => 6,
                        ("udp", _) => 17,
                        (_, Some(false)) => 58,
                        _ => 1,
                    };
                    match protocol.and_then(Value::as_u64) {
                        Some(said) if said != number => None,
                        _ => transport(name, number, value, packet),
                    }
                }
                "ietf-mud:mud" | "mud" => match (name.as_str(), matches.get("ietf-mud:mud")) {
                    ("mud", Some(_)) => None,
                    _ => self.groups(value, packet, context),
                },
                name if name.contains("client-profile") => value.is_object().then_some(true),
                "actions" => Some(true),
                _ => None,
            });
        }
        (answer, forwarding, is_sound)
    }

    fn groups(&self, value: &Value, packet: &Packet, context: &Context) -> Option<bool> {
        use crate::policy::Class;
        let (address, interface) = packet.remote();
        let is_in = |class: Class| {
            let members = context.members(&class).cloned().unwrap_or_default();
            let Members { networks, interfaces } = members;
            let near = interfaces.contains(&interface);
            near || networks.iter().any(|network| {
                address.is_some_and(|address| within(address, network.first(), u32::from(network.bits())))
            })
        };
        let is_flag = |value: &Value| match value {
            Value::Array(items) => matches!(items.as_slice(), [] | [Value::Null]),
            other => other.is_null() || *other == Value::Bool(true),
        };
        let mut answer = Answer(value.as_object().filter(|members| !members.is_empty()).map(|_| true));
        for (name, value) in value.as_object().into_iter().flatten() {
            let text = || value.as_str().filter(|text| !text.is_empty() && text.is_ascii());
            answer.and(match name.as_str() {
                "manufacturer" => text().map(|name| is_in(Class::Manufacturer(name.to_ascii_lowercase()))),
                "same-manufacturer" => is_flag(value).then(|| is_in(Class::Manufacturer(self.manufacturer.clone()))),
                "model" => text().filter(|url| url.starts_with("https:")).map(|url| is_in(Class::Model(url.into()))),
                "local-networks" => is_flag(value).then(|| packet.ip.is_none() || is_in(Class::LocalNetworks)),
                "controller" => text().filter(|uri| uri.contains(':')).map(|uri| is_in(Class::Controller(uri.into()))),
                "my-controller" => is_flag(value).then(|| is_in(Class::ControllerOf(self.url.clone()))),
                _ => None,
            });
        }
        answer.0
    }

    /// RFC 8520 s5: what every device may do unless its file says otherwise.
    fn is_resolver_or_clock(&self, packet: &Packet, context: &Context) -> bool {
        let group = |uri: &str| self.groups(&serde_json::json!({ "controller": uri }), packet, context) == Some(true);
        let Some(ip) = &packet.ip else { return false };
        let Some((source, destination)) = ip.ports else { return false };
        let theirs = if packet.direction == Direction::FromDevice { destination } else { source };
        match (ip.protocol, theirs) {
            (17, 53) => group("urn:ietf:params:mud:dns"),
            (6, 53) => group("urn:ietf:params:mud:dns") && ip.begun == Some(Direction::FromDevice),
            (17, 123) => group("urn:ietf:params:mud:ntp"),
            _ => false,
        }
    }
}

impl Answer {
    /// One more thing that must be so. What cannot be understood stays so.
    fn and(&mut self, more: Option<bool>) {
        self.0 = match (self.0, more) {
            (Some(before), Some(more)) => Some(before && more),
            _ => None,
        };
    }
}

/// A member, or `null`.
fn at<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn unprefixed(text: &str) -> &str {
    text.strip_prefix("ietf-access-control-list:").unwrap_or(text)
}

fn is_a_kind(kind: &str) -> bool {
    ["ipv4", "ipv6", "eth", "ethernet", "mixed-eth-ipv4", "mixed-eth-ipv6", "mixed-eth-ipv4-ipv6"]
        .iter()
        .any(|known| kind.strip_suffix("-acl-type") == Some(known))
}

/// A list, or one thing where a list should be.
fn listed(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(_) => vec![value],
        _ => Vec::new(),
    }
}

/// Whether two addresses begin alike.
fn within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let bit = |octets: &[u8], n: u32| octets.get((n / 8) as usize).is_some_and(|octet| octet & (0x80 >> (n % 8)) != 0);
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (0..bits.min(32)).all(|n| bit(&a.octets(), n) == bit(&b.octets(), n)),
        (IpAddr::V6(a), IpAddr::V6(b)) => (0..bits.min(128)).all(|n| bit(&a.octets(), n) == bit(&b.octets(), n)),
        _ => false,
    }
}

fn ether(value: &Value, packet: &Packet) -> Option<bool> {
    let octets = |value: &Value| -> Option<Vec<u8>> {
        let parts: Vec<&str> = value.as_str()?.split(':').collect();
        let is_good = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
        let is_whole = parts.len() == 6 && parts.iter().all(is_good);
        is_whole.then(|| parts.iter().filter_map(|part| u8::from_str_radix(part, 16).ok()).collect())
    };
    let mut answer = Answer(value.as_object().map(|_| true));
    for (name, said) in value.as_object()? {
        let is = if name.starts_with("source") { packet.source.0 } else { packet.destination.0 };
        answer.and(match name.as_str() {
            "source-mac-address" | "destination-mac-address" => octets(said).and_then(|want| {
                let mask = match value.get(format!("{name}-mask")) {
                    Some(mask) => octets(mask)?,
                    None => vec![0xff; 6],
                };
                Some((0..6).all(|n| match (want.get(n), mask.get(n), is.get(n)) {
                    (Some(want), Some(mask), Some(is)) => (want ^ is) & mask == 0,
                    _ => false,
                }))
            }),
            "source-mac-address-mask" | "destination-mac-address-mask" => {
                let of = name.trim_end_matches("-mask");
                octets(said).filter(|_| value.get(of).is_some()).map(|_| true)
            }
            "ethertype" => {
                let number = match said {
                    Value::String(text) => match text.as_str() {
                        "ipv4" => Some(2048),
                        "arp" => Some(2054),
                        "rarp" => Some(32821),
                        "ipv6" => Some(34525),
                        other => other
                            .strip_prefix("0x")
                            .filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))
                            .and_then(|digits| u64::from_str_radix(digits, 16).ok()),
                    },
                    other => other.as_u64(),
                };
                number
                    .filter(|number| (1536..=65535).contains(number))
                    .map(|number| number == u64::from(packet.ether_type))
            }
            _ => None,
        });
    }
    answer.0
}

fn network(value: &Value, is_v4: bool, packet: &Packet, context: &Context) -> Option<bool> {
    let mut answer = Answer(value.as_object().map(|_| true));
    for (name, said) in value.as_object()? {
        let address = |is_source: bool| packet.ip.as_ref().map(|ip| if is_source { ip.source } else { ip.destination });
        let is_source = name.contains("source") || name.contains("src");
        answer.and(match name.as_str() {
            "protocol" => said
                .as_u64()
                .filter(|number| *number < 256)
                .map(|number| packet.ip.as_ref().is_some_and(|ip| u64::from(ip.protocol) == number)),
            "source-ipv4-network" | "destination-ipv4-network" if is_v4 => {
                v4_network(said).map(|(network, bits)| address(is_source).is_some_and(|is| within(is, network, bits)))
            }
            "source-ipv6-network" | "destination-ipv6-network" if !is_v4 => {
                v6_network(said).map(|(network, bits)| address(is_source).is_some_and(|is| within(is, network, bits)))
            }
            "ietf-acldns:src-dnsname" | "ietf-acldns:dst-dnsname" | "src-dnsname" | "dst-dnsname" => {
                let is_doubled = !name.contains(':') && value.get(format!("ietf-acldns:{name}")).is_some();
                // Only the other end has a name that is looked up.
                let is_remote = is_source == (packet.direction == Direction::ToDevice);
                let host = said.as_str().filter(|_| is_remote && !is_doubled).and_then(name_of_host);
                host.map(|host| {
                    let members = context.members(&crate::policy::Class::Name(host)).cloned().unwrap_or_default();
                    members.networks.iter().any(|network| {
                        address(is_source).is_some_and(|is| within(is, network.first(), u32::from(network.bits())))
                    }) || members.interfaces.contains(&packet.remote().1)
                })
            }
            _ => None,
        });
    }
    answer.0
}

fn v4_network(value: &Value) -> Option<(IpAddr, u32)> {
    let (address, bits) = value.as_str()?.split_once('/').unwrap_or((value.as_str()?, "32"));
    let bits = bits.parse().ok().filter(|bits| *bits <= 32 && !address.is_empty())?;
    Some((address.parse::<Ipv4Addr>().ok()?.into(), bits))
}

fn v6_network(value: &Value) -> Option<(IpAddr, u32)> {
    let (address, bits) = value.as_str()?.split_once('/').unwrap_or((value.as_str()?, "128"));
    let bits = bits.parse().ok().filter(|bits| *bits <= 128)?;
    Some((address.parse::<Ipv6Addr>().ok()?.into(), bits))
}

/// A name of a host, in small letters; nothing if it is an address or nonsense.
fn name_of_host(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let mut letters_in_last = false;
    for label in text.split('.') {
        letters_in_last = label.chars().any(|c| c.is_ascii_lowercase());
        let plain = label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
        if label.is_empty() || label.len() > 63 || !plain || label.starts_with('-') || label.ends_with('-') {
            return None;
        }
    }
    (letters_in_last && text.len() <= 253).then_some(text)
}

fn transport(name: &str, number: u64, value: &Value, packet: &Packet) -> Option<bool> {
    let mut answer = Answer(value.as_object().map(|_| true));
    let ip = packet.ip.as_ref();
    answer.and(Some(ip.is_some_and(|ip| u64::from(ip.protocol) == number)));
    let ports = ip.and_then(|ip| ip.ports);
    for (member, said) in value.as_object()? {
        answer.and(match (name, member.as_str()) {
            ("tcp" | "udp", "source-port") => port(said, ports.map(|(source, _)| source)),
            ("tcp" | "udp", "destination-port") => port(said, ports.map(|(_, destination)| destination)),
            ("tcp", "ietf-mud:direction-initiated") => begun(said, packet),
            ("tcp", "direction-initiated") if value.get("ietf-mud:direction-initiated").is_none() => {
                begun(said, packet)
            }
            ("icmp", "type") => octet(said, ip.and_then(|ip| ip.icmp).map(|(kind, _)| kind)),
            ("icmp", "code") => octet(said, ip.and_then(|ip| ip.icmp).map(|(_, code)| code)),
            _ => None,
        });
    }
    answer.0
}

fn begun(said: &Value, packet: &Packet) -> Option<bool> {
    let who = packet.ip.as_ref().and_then(|ip| ip.begun);
    match said.as_str()? {
        "from-device" => Some(who == Some(Direction::FromDevice)),
        "to-device" => Some(who == Some(Direction::ToDevice)),
        _ => None,
    }
}

fn octet(said: &Value, is: Option<u8>) -> Option<bool> {
    said.as_u64().filter(|said| *said < 256).map(|said| is.is_some_and(|is| u64::from(is) == said))
}

fn port(said: &Value, is: Option<u16>) -> Option<bool> {
    let known = ["port", "operator", "lower-port", "upper-port"];
    if !said.as_object()?.keys().all(|name| known.contains(&name.as_str())) {
        return None;
    }
    let number = |name: &str| match said.get(name) {
        Some(value) => value.as_u64().filter(|number| *number <= 65535).map(Some),
        None => Some(None),
    };
    let operator = match said.get("operator") {
        Some(operator) => Some(operator.as_str()?),
        None => None,
    };
    let (least, most) = match (number("port")?, number("lower-port")?, number("upper-port")?, operator) {
        (Some(port), None, None, None | Some("eq")) => (port, port),
        (Some(port), None, None, Some("lte")) => (0, port),
        (Some(port), None, None, Some("gte")) => (port, 65535),
        (Some(port), None, None, Some("neq")) => return Some(is.is_some_and(|is| u64::from(is) != port)),
        (None, Some(least), Some(most), None | Some("eq" | "range")) if least <= most => (least, most),
        _ => return None,
    };
    Some(is.is_some_and(|is| (least..=most).contains(&u64::from(is))))
}
