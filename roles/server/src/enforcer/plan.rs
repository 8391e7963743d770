//! From a picture to rules, without touching anything.
//!
//! Every frame is judged by itself: none comes through because of one before it, so who is taken out of the picture is cut
//! off with the next frame, whatever connections there were. A frame that comes in at a guarded port is judged by port and
//! address before the bridge learns from it; one that goes out, by port. What is not in the picture is dropped.
//!
//! A device whose manufacturer says what it is for has the chains of its kind (`intent`) instead of its segment's.
//!
//! The rules of a segment are its two chains, `from-NAME` and `to-NAME`, which stay; who is behind which port is in three
//! maps, which change element by element. 802.1X is spoken with the port itself, whatever the maps say.

use super::{
    hearing,
    intent::{self, Groups},
    picture::{Picture, Segment},
    source,
};
use crate::settings::{Protocol, Reach, SegmentKind};
use landfall_mud::Direction;
use landfall_nft::{Interface, Kernel, KernelError};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The name of both tables.
pub const TABLE: &str = "landfall";
/// Their families: what bridges carry, and what this machine routes between bridges.
pub const FAMILIES: [&str; 2] = ["bridge", "inet"];

/// Coming in, by port and address.
const INWARD: &str = "inward";
/// Coming in at a port behind which nobody is known.
const DOORS: &str = "doors";
/// Going out, by port.
const OUTWARD: &str = "outward";
/// Ports of devices that have chains of their own, and do not reach others of their segment all the same.
const APART: &str = "apart";
/// What comes in at a port that nobody guards.
const ELSEWHERE: &str = "elsewhere";
/// Addresses of those behind guarded ports, which come in nowhere else.
const INSIDERS: &str = "insiders";
/// The group to which rules tell of what they drop.
pub const TOLD: u16 = 8520;
/// Frames that were dropped, by port, from and to devices.
const DROPPED: [&str; 2] = ["dropped-from", "dropped-to"];
/// How often is told of the frames of a port.
pub(super) const HEARD: &str = "heard";
/// Where frames end that are dropped, from and to devices.
pub(super) const STOPS: [&str; 2] = ["stop-from", "stop-to"];
/// And those of nobody who is there.
pub(super) const STRANGER: &str = "stop-stranger";
/// How is told of what devices say of themselves.
pub(super) const CLAIM: &str = "claim";
/// The set whose one element counts the changes.
const GENERATION: &str = "generation";

/// Ethernet's type of 802.1X (IEEE 802.1X-2020 s11.3.1).
const EAPOL: u16 = 0x888e;
/// Tags that a device has no business to write.
pub(super) const TAGS: [u16; 2] = [0x8100, 0x88a8];
pub(super) const ARP: u16 = 0x0806;
/// RFC 4861, RFC 3810: what a device must say to have neighbours, and hear from them.
pub(super) const NEIGHBOURS_SAY: [u8; 6] = [133, 135, 136, 131, 132, 143];
pub(super) const NEIGHBOURS_HEAR: [u8; 5] = [134, 135, 136, 130, 137];

/// What maps and sets hold: keys, and the chain that each leads to if it is in a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<(String, Vec<String>), Option<String>>);

/// What a kernel has loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Who is where.
    pub contents: Contents,
    /// How often it was changed.
    pub generation: Option<u64>,
    /// How many frames of those behind a port were dropped since the rules were loaded: from them and to them.
    pub dropped: BTreeMap<String, [u64; 2]>,
    /// The rest, in the kernel's own words.
    pub frame: Vec<Value>,
}

/// Replaces whatever was loaded by all that `picture` means.
pub fn whole(picture: &Picture, generation: u32) -> Vec<Value> {
    let mut commands = Vec::new();
    for family in FAMILIES {
        let table = json!({ "family": family, "name": TABLE });
        // Deleting what is not there would fail, and everything with it.
        commands.push(json!({ "add": { "table": table } }));
        commands.push(json!({ "delete": { "table": table } }));
        commands.push(json!({ "add": { "table": table } }));
    }
    commands.extend(bridge_frame(picture, generation));
    commands.extend(routes(picture));
    commands.extend(Contents::of(picture).elements("add"));
    commands
}

/// Changes what is loaded, and no more than that.
pub fn change(before: &Contents, after: &Contents, (old, new): (u32, u32)) -> Vec<Value> {
    let gone = before.0.iter().filter(|(key, chain)| after.0.get(*key) != Some(*chain));
    let come = after.0.iter().filter(|(key, chain)| before.0.get(*key) != Some(*chain));
    let (gone, come) = (Contents::from_iter(gone), Contents::from_iter(come));
    if gone.0.is_empty() && come.0.is_empty() {
        return Vec::new();
    }
    let mut commands = gone.elements("delete");
    commands.extend(come.elements("add"));
    commands.push(element("delete", GENERATION, &json!([old])));
    commands.push(element("add", GENERATION, &json!([new])));
    commands
}

impl Contents {
    /// What `picture` means.
    pub fn of(picture: &Picture) -> Self {
        let mut contents = BTreeMap::new();
        for port in picture.ports.iter().filter(|port| !picture.shut.contains(*port)) {
            let Some(segment) = picture.segment_of(port) else { continue };
            let (port_name, intent) = (port.to_string(), picture.intent_of(port));
            let name = intent.map_or_else(|| segment.name.clone(), |number| format!("mud-{number}"));
            if let Some(occupant) = picture.occupants.get(port) {
                contents.insert((INSIDERS.to_owned(), vec![occupant.mac.to_string()]), None);
                if picture.bound {
                    contents.insert((source::SETTLED.to_owned(), vec![port_name.clone()]), None);
                }
            }
            let mut lead = |map: &str, key, to| contents.insert((map.to_owned(), key), Some(format!("{to}-{name}")));
            match picture.occupants.get(port) {
                Some(occupant) => lead(INWARD, vec![port_name.clone(), occupant.mac.to_string()], "from"),
                None => lead(DOORS, vec![port_name.clone()], "from"),
            };
            lead(OUTWARD, vec![port_name.clone()], "to");
            if intent.is_some() && !segment.lateral {
                contents.insert((APART.to_owned(), vec![port_name]), None);
            }
        }
        let members = Groups::of(picture).members(picture);
        contents.extend(members.into_iter().map(|member| (member, None)));
        Self(contents)
    }

    fn elements(&self, verb: &str) -> Vec<Value> {
        let mut by_name: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for ((name, key), chain) in &self.0 {
            let key = match key.as_slice() {
                [only] => json!(only),
                several => json!({ "concat": several }),
            };
            by_name.entry(name).or_default().push(match chain {
                Some(chain) => json!([key, { "goto": { "target": chain } }]),
                None => key,
            });
        }
        by_name.into_iter().map(|(name, elements)| element(verb, name, &json!(elements))).collect()
    }
}

impl<'a> FromIterator<(&'a (String, Vec<String>), &'a Option<String>)> for Contents {
    fn from_iter<T: IntoIterator<Item = (&'a (String, Vec<String>), &'a Option<String>)>>(entries: T) -> Self {
        Self(entries.into_iter().map(|(key, chain)| (key.clone(), chain.clone())).collect())
    }
}

impl Loaded {
    /// Reads what `nft -j list table` says of both tables; nothing if it is not what we make.
    pub fn read(listed: &[Value]) -> Option<Self> {
        let mut loaded =
            Self { contents: Contents::default(), generation: None, dropped: BTreeMap::new(), frame: Vec::new() };
        for object in listed {
            let mut object = object.clone();
            let (kind, body) = object.as_object_mut()?.iter_mut().next()?;
            if kind == "metainfo" {
                continue;
            }
            let body = body.as_object_mut()?;
            body.remove("handle");
            let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
            let is_chain = kind == "chain";
            let moves = [INWARD, DOORS, OUTWARD, APART, INSIDERS, source::SETTLED].contains(&name)
                || intent::is_of_members(name);
            let (moves, name) = (moves && !is_chain, name.to_owned());
            let (counts, drops) = (name == GENERATION, DROPPED.iter().position(|set| *set == name));
            let grows = drops.is_some() || name.starts_with(HEARD) || source::is_learnt(&name);
            let elements = if moves || counts || (grows && !is_chain) { body.remove("elem") } else { None };
            let elements = elements.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            if moves {
                for element in elements {
                    let (key, chain) = read_element(element)?;
                    loaded.contents.0.insert((name.clone(), key), chain);
                }
            } else if counts {
                loaded.generation = elements.first().and_then(Value::as_u64);
            } else if let Some(direction) = drops {
                for (key, packets) in elements.iter().filter_map(count) {
                    let port = key.into_iter().next()?;
                    if let Some(count) = loaded.dropped.entry(port).or_default().get_mut(direction) {
                        *count = packets;
                    }
                }
            }
            without_counts(&mut object);
            loaded.frame.push(object);
        }
        Some(loaded)
    }
}

/// How many frames of those behind each port the kernel has dropped: from them and to them.
///
/// # Errors
/// If the kernel could not be asked.
pub(super) async fn count_dropped(kernel: &Kernel) -> Result<BTreeMap<String, [u64; 2]>, KernelError> {
    let mut dropped: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for (direction, set) in DROPPED.iter().enumerate() {
        let counted = counts(&kernel.set("bridge", TABLE, set).await?.unwrap_or_default());
        for (key, packets) in counted {
            let of_port = key.into_iter().next().map(|port| dropped.entry(port).or_default());
            if let Some(count) = of_port.and_then(|counts| counts.get_mut(direction)) {
                *count = packets;
            }
        }
    }
    Ok(dropped)
}

/// How many frames each element of a set has counted, by what `nft -j list set` says.
pub(super) fn counts(listed: &[Value]) -> BTreeMap<Vec<String>, u64> {
    let elements = listed.iter().filter_map(|object| object.pointer("/set/elem")?.as_array()).flatten();
    elements.filter_map(count).collect()
}

/// The elements of a set, by what `nft -j list set` says.
pub(super) fn keys(listed: &[Value]) -> Vec<Vec<String>> {
    let elements = listed.iter().filter_map(|object| object.pointer("/set/elem")?.as_array()).flatten();
    elements.filter_map(|element| Some(read_element(element)?.0)).collect()
}

fn count(element: &Value) -> Option<(Vec<String>, u64)> {
    let (key, _) = read_element(element)?;
    Some((key, element.pointer("/elem/counter/packets")?.as_u64()?))
}

fn read_element(element: &Value) -> Option<(Vec<String>, Option<String>)> {
    let element = element.pointer("/elem/val").unwrap_or(element);
    let (key, chain) = match element.as_array().map(Vec::as_slice) {
        Some([key, verdict]) => (key, Some(verdict.pointer("/goto/target")?.as_str()?.to_owned())),
        Some(_) => return None,
        None => (element, None),
    };
    let key = match key.get("concat").and_then(Value::as_array) {
        Some(parts) => parts.iter().map(|part| part.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        None => vec![key.as_str()?.to_owned()],
    };
    Some((key, chain))
}

/// Counters count.
fn without_counts(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(counter) = object.get_mut("counter") {
                *counter = Value::Null;
            }
            object.values_mut().for_each(without_counts);
        }
        Value::Array(items) => items.iter_mut().for_each(without_counts),
        _ => {}
    }
}

fn bridge_frame(picture: &Picture, generation: u32) -> Vec<Value> {
    let ports: Vec<&str> = picture.ports.iter().map(Interface::as_str).collect();
    let mut commands = vec![
        add("set", json!({ "name": GENERATION, "type": "mark", "elem": [generation] })),
        add("set", json!({ "name": "guarded", "type": "ifname", "elem": ports })),
        add("map", json!({ "name": INWARD, "type": ["ifname", "ether_addr"], "map": "verdict" })),
        add("map", json!({ "name": DOORS, "type": "ifname", "map": "verdict" })),
        add("map", json!({ "name": OUTWARD, "type": "ifname", "map": "verdict" })),
        add("set", json!({ "name": APART, "type": "ifname" })),
        add("set", json!({ "name": INSIDERS, "type": "ether_addr" })),
    ];
    for (hook, policy) in [("prerouting", "drop"), ("input", "accept"), ("forward", "drop"), ("output", "drop")] {
        let chain = json!({ "name": hook, "type": "filter", "hook": hook, "prio": -200, "policy": policy });
        commands.push(add("chain", chain));
    }
    commands.extend(stops(picture));
    for segment in &picture.segments {
        for direction in ["from", "to"] {
            commands.push(add("chain", json!({ "name": format!("{direction}-{}", segment.name) })));
        }
        commands.extend(from(segment));
        commands.extend(to(segment));
    }
    commands.extend(intent::frame(picture));
    let (come, go) = (json!({ "meta": { "key": "iifname" } }), json!({ "meta": { "key": "oifname" } }));
    let whose = json!({ "concat": [come, payload("ether", "saddr")] });
    let lookup = |key: &Value, map: &str| json!({ "vmap": { "key": key, "data": format!("@{map}") } });
    let guarded = |side: &Value, op: &str| matches(op, side, json!("@guarded"));
    commands.extend([
        add("chain", json!({ "name": ELSEWHERE })),
        rule(
            ELSEWHERE,
            vec![
                matches("==", &payload("ether", "saddr"), json!(format!("@{INSIDERS}"))),
                json!({ "counter": null }),
                dropped(),
            ],
        ),
        rule(ELSEWHERE, vec![accept()]),
    ]);
    if picture.claims {
        commands.extend(hearing::claims());
    }
    if picture.bound {
        commands.extend(source::frame(picture));
    }
    commands.extend([
        // Most frames are of somebody who is there: they are led on with one look.
        rule("prerouting", vec![lookup(&whose, INWARD)]),
        rule("prerouting", vec![guarded(&come, "!="), to_chain(ELSEWHERE)]),
        rule("prerouting", vec![lookup(&come, DOORS)]),
        rule("prerouting", vec![to_chain(STRANGER)]),
        // Frames to the bridge group address are for the port itself, and no bridge carries them on (IEEE 802.1Q s8.6.3):
        // they come here without having been seen above. Of these a device has 802.1X to say, and nothing else.
        rule(
            "input",
            vec![
                guarded(&come, "=="),
                matches(
                    "==",
                    &json!({ "&": [payload("ether", "daddr"), "ff:ff:ff:ff:ff:f0"] }),
                    json!("01:80:c2:00:00:00"),
                ),
                matches("!=", &payload("ether", "type"), json!(EAPOL)),
                json!({ "drop": null }),
            ],
        ),
    ]);
    for hook in ["forward", "output"] {
        commands.push(rule(hook, vec![guarded(&go, "!="), json!({ "accept": null })]));
        // The owner's word is before the manufacturer's: in a segment where devices do not reach each other, none does.
        let among = vec![guarded(&come, "=="), matches("==", &go, json!(format!("@{APART}")))];
        commands.push(rule(hook, among.into_iter().chain([stopped(Direction::ToDevice)]).collect()));
        commands.push(rule(hook, vec![lookup(&go, OUTWARD)]));
        commands.push(rule(hook, vec![json!({ "counter": null })]));
    }
    commands
}

/// Where frames end that are against what a manufacturer says, or come from nobody who is there: they are counted, told of as often as
/// anyone can read it, and dropped.
fn stops(picture: &Picture) -> Vec<Value> {
    let mut commands = Vec::new();
    let mut ends = vec![
        (STOPS[0], "iifname", Some(DROPPED[0])),
        (STOPS[1], "oifname", Some(DROPPED[1])),
        (STRANGER, "iifname", None),
    ];
    if picture.bound {
        ends.push((source::STOP, "iifname", Some(DROPPED[0])));
    }
    let mut made = BTreeSet::new();
    for (chain, port, counted) in ends {
        let port = json!({ "meta": { "key": port } });
        let update = |set: &str, what: Value| json!({ "set": { "op": "update", "elem": port, "set": format!("@{set}"), "stmt": [what] } });
        let heard = format!("{HEARD}-{chain}");
        for set in counted.into_iter().chain([heard.as_str()]).filter(|set| made.insert((*set).to_owned())) {
            commands.push(add("set", json!({ "name": set, "type": "ifname", "size": 65535 })));
        }
        commands.push(add("chain", json!({ "name": chain })));
        commands.extend(counted.map(|set| rule(chain, vec![update(set, json!({ "counter": null }))])));
        // Who makes much noise is not heard for that, and nobody else is drowned by it.
        let limit = json!({ "limit": { "rate": 10, "burst": 20, "per": "second" } });
        let log = json!({ "log": { "prefix": chain, "group": TOLD, "snaplen": landfall_nft::told::SNAP, "queue-threshold": 1 } });
        commands.push(rule(chain, vec![update(&heard, limit), log]));
        commands.push(rule(chain, vec![json!({ "counter": null }), dropped()]));
    }
    commands
}

/// What comes from the devices of a segment.
fn from(segment: &Segment) -> Vec<Value> {
    let chain = format!("from-{}", segment.name);
    let mut rules = vec![rule(
        &chain,
        vec![matches("==", &payload("ether", "type"), json!({ "set": TAGS })), json!({ "drop": null })],
    )];
    if segment.kind == SegmentKind::Production {
        rules.push(rule(&chain, vec![accept()]));
        return rules;
    }
    for says in neighbourhood(segment, &NEIGHBOURS_SAY) {
        rules.push(rule(&chain, vec![says, accept()]));
    }
    if has_addresses(segment) {
        rules.push(rule(&chain, vec![port("udp", "dport", json!({ "set": [67, 547] })), accept()]));
    }
    for reach in &segment.reach {
        let (family, destination) = (family(reach), prefix(reach));
        rules.push(rule(
            &chain,
            vec![
                matches("==", &payload(family, "daddr"), destination),
                port(reach.protocol.as_str(), "dport", json!(reach.port)),
                accept(),
            ],
        ));
    }
    rules.push(rule(&chain, vec![json!({ "counter": null }), json!({ "drop": null })]));
    rules
}

/// What goes to the devices of a segment.
fn to(segment: &Segment) -> Vec<Value> {
    let chain = format!("to-{}", segment.name);
    let mut rules = Vec::new();
    if !segment.lateral {
        // Where they come in at a guarded port as well, it is from a device of the same segment.
        let come = json!({ "meta": { "key": "iifname" } });
        rules.push(rule(
            &chain,
            vec![matches("==", &come, json!("@guarded")), json!({ "counter": null }), json!({ "drop": null })],
        ));
    }
    if segment.kind == SegmentKind::Production {
        rules.push(rule(&chain, vec![accept()]));
        return rules;
    }
    for hears in neighbourhood(segment, &NEIGHBOURS_HEAR) {
        rules.push(rule(&chain, vec![hears, accept()]));
    }
    if has_addresses(segment) {
        rules.push(rule(&chain, vec![port("udp", "sport", json!({ "set": [67, 547] })), accept()]));
    }
    for reach in &segment.reach {
        let (family, there, protocol) = (family(reach), prefix(reach), reach.protocol.as_str());
        if reach.is_group() {
            // What the group is told, and what one of it answers from that port.
            let told = [matches("==", &payload(family, "daddr"), there), port(protocol, "dport", json!(reach.port))];
            rules.push(rule(&chain, told.into_iter().chain([accept()]).collect()));
            let link = json!({ "prefix": { "addr": "fe80::", "len": 10 } });
            if family == "ip6" {
                let answered =
                    [matches("==", &payload(family, "saddr"), link), port(protocol, "sport", json!(reach.port))];
                rules.push(rule(&chain, answered.into_iter().chain([accept()]).collect()));
            }
        } else {
            let answered =
                [matches("==", &payload(family, "saddr"), there), port(protocol, "sport", json!(reach.port))];
            rules.push(rule(&chain, answered.into_iter().chain([accept()]).collect()));
        }
    }
    rules.push(rule(&chain, vec![json!({ "counter": null }), json!({ "drop": null })]));
    rules
}

/// To reach anything at all a device must find it on its link.
fn neighbourhood(segment: &Segment, types: &[u8]) -> Vec<Value> {
    let mut rules = Vec::new();
    if segment.reach.iter().any(|reach| reach.to.first().is_ipv6()) {
        rules.push(matches("==", &payload("icmpv6", "type"), json!({ "set": types })));
    }
    if segment.reach.iter().any(|reach| reach.to.first().is_ipv4()) {
        rules.push(matches("==", &payload("ether", "type"), json!(ARP)));
    }
    rules
}

/// New devices have link-local addresses only, and whoever reaches nothing needs none.
fn has_addresses(segment: &Segment) -> bool {
    segment.kind != SegmentKind::Onboarding && !segment.reach.is_empty()
}

/// What this machine does not route, since it is two segments' bridge at once.
fn routes(picture: &Picture) -> Vec<Value> {
    if picture.segments.len() < 2 {
        return Vec::new();
    }
    let chain = json!({ "family": "inet", "table": TABLE, "name": "forward", "type": "filter", "hook": "forward",
                        "prio": 0, "policy": "accept" });
    let mut commands = vec![json!({ "add": { "chain": chain } })];
    let bridges: Vec<&str> = picture.segments.iter().map(|segment| segment.bridge.as_str()).collect();
    for bridge in &bridges {
        let others: Vec<&&str> = bridges.iter().filter(|other| *other != bridge).collect();
        if others.is_empty() {
            continue;
        }
        let expression = vec![
            matches("==", &json!({ "meta": { "key": "iifname" } }), json!(bridge)),
            matches("==", &json!({ "meta": { "key": "oifname" } }), json!({ "set": others })),
            json!({ "counter": null }),
            json!({ "drop": null }),
        ];
        let rule = json!({ "family": "inet", "table": TABLE, "chain": "forward", "expr": expression });
        commands.push(json!({ "add": { "rule": rule } }));
    }
    commands
}

fn family(reach: &Reach) -> &'static str {
    if reach.to.first().is_ipv4() { "ip" } else { "ip6" }
}

fn prefix(reach: &Reach) -> Value {
    let (first, bits) = (reach.to.first(), reach.to.bits());
    match (first, bits) {
        (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => json!(first),
        _ => json!({ "prefix": { "addr": first, "len": bits } }),
    }
}

pub(super) fn payload(protocol: &str, field: &str) -> Value {
    json!({ "payload": { "protocol": protocol, "field": field } })
}

pub(super) fn port(protocol: &str, field: &str, which: Value) -> Value {
    matches("==", &payload(protocol, field), which)
}

pub(super) fn matches(op: &str, left: &Value, right: Value) -> Value {
    json!({ "match": { "op": op, "left": left, "right": right } })
}

pub(super) fn accept() -> Value {
    json!({ "accept": null })
}

fn dropped() -> Value {
    json!({ "drop": null })
}

/// Against what the manufacturer says.
pub(super) fn stopped(direction: Direction) -> Value {
    to_chain(match direction {
        Direction::FromDevice => STOPS[0],
        Direction::ToDevice => STOPS[1],
    })
}

pub(super) fn jump(chain: &str) -> Value {
    json!({ "jump": { "target": chain } })
}

pub(super) fn to_chain(chain: &str) -> Value {
    json!({ "goto": { "target": chain } })
}

pub(super) fn rule(chain: &str, expression: Vec<Value>) -> Value {
    add("rule", json!({ "chain": chain, "expr": expression }))
}

pub(super) fn element(verb: &str, name: &str, elements: &Value) -> Value {
    json!({ verb: { "element": { "family": "bridge", "table": TABLE, "name": name, "elem": elements } } })
}

/// Adds to the table of bridges.
pub(super) fn add(kind: &str, mut what: Value) -> Value {
    if let Some(what) = what.as_object_mut() {
        what.insert("family".into(), json!("bridge"));
        what.insert("table".into(), json!(TABLE));
    }
    json!({ "add": { kind: what } })
}

impl Protocol {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}
