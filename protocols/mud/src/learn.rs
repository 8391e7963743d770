//! A draft from what a device was seen to do, for those whose manufacturer says nothing (RFC 8520 s1.1; SP 1800-36B 3.3.2).
//!
//! What was seen is what happened, and not what is meant: a person reads the draft, takes out what should not be, and signs it.
//! It permits every packet of the capture, which is shown by the [`judge`](crate::judge) and not taken for granted.

use crate::{
    capture::Frames,
    claim,
    dns::{Answer, Query},
    draft::{Contact, Draft, Sender},
    file::Family,
    judge::Judge,
    packet::{Context, Direction, IPV4, IPV6, Ip, Mac, Members, Packet, Prefix, number},
    policy::{Class, DNS, NTP},
};
use landfall_types::{Fault, Refusal};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

/// So many different packets are looked at; a device that sends more is not to be described by what it sends.
const PACKETS: usize = 100_000;
/// So many ports with one other end are told one by one.
const PORTS: usize = 8;
/// Questions whose answer has not come.
const QUESTIONS: usize = 4096;
/// Names and addresses that were heard.
const NAMES: usize = 16_384;
/// Below this a type of Ethernet is a length (IEEE 802.3 s3.2.6).
const LEAST: u16 = 0x600;
const SECTION: &str = "RFC 8520 s1.1";

/// What was learnt.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The draft.
    pub draft: Draft,
    /// Who is in the groups that it names, as the capture has it.
    pub context: Context,
    /// How many frames were the device's.
    pub frames: usize,
    /// The different packets of the device: sent, and sent to it.
    pub packets: Vec<Packet>,
    /// Addresses in the public network that no answer gave a name: they stand in the draft as they are, and may be others tomorrow.
    pub nameless: Vec<IpAddr>,
}

/// A conversation: protocol, the other end, its port, and the device's.
type Flow = (u8, IpAddr, u16, u16);

#[derive(Default)]
struct Seen {
    frames: usize,
    packets: BTreeSet<Key>,
    list: Vec<Packet>,
    begun: HashMap<Flow, Direction>,
    questions: HashMap<(u16, u16), Query>,
    names: HashMap<IpAddr, String>,
}

/// What tells packets apart.
type Key = (Direction, Mac, Mac, u16, Option<(IpAddr, IpAddr, u8, Option<(u16, u16)>, Option<(u8, u8)>)>);

/// Learns what `device` does from a capture. `draft` says what it is, and where its file will be.
///
/// # Errors
/// If the capture is none, or has nothing of that device, or too much of it; or if what was learnt does not permit what was seen.
pub fn learn(capture: &[u8], device: Mac, draft: Draft) -> Result<Learnt, Refusal> {
    let mut seen = Seen::default();
    for frame in Frames::of(capture)? {
        seen.frame(frame?, device)?;
    }
    if seen.list.is_empty() {
        return Err(refuse("capture-device", format!("nothing in it is of {device}")));
    }
    let learnt = seen.describe(draft);
    let text = learnt.draft.write();
    let (judge, (file, report)) = (Judge::new(text.as_bytes())?, crate::read(text.as_bytes())?);
    if let Some(finding) = report.findings().iter().find(|_| !report.conforms()) {
        return Err(refuse("learnt-draft", finding.to_string()));
    }
    let policy = crate::Policy::of(&file);
    let permits = |packet: &&Packet| judge.allows(packet, &learnt.context) && policy.allows(packet, &learnt.context);
    match learnt.packets.iter().find(|packet| !permits(packet)) {
        Some(packet) => Err(refuse("learnt-draft", format!("it does not permit what was seen: {packet:?}"))),
        None => Ok(learnt),
    }
}

impl Seen {
    fn frame(&mut self, frame: &[u8], device: Mac) -> Result<(), Refusal> {
        let direction = match (frame.get(..6), frame.get(6..12)) {
            (_, Some(source)) if source == device.0 => Direction::FromDevice,
            // What is for everyone is not for the device more than for others.
            (Some(destination), _) if destination == device.0 => Direction::ToDevice,
            _ => return Ok(()),
        };
        let Some(mut packet) = Packet::read(direction, frame) else { return Ok(()) };
        // What is no packet of IP though it says so, and frames that have a length in the place of a type, no file can speak of.
        if packet.ip.is_none() && (packet.ether_type < LEAST || [IPV4, IPV6].contains(&packet.ether_type)) {
            return Ok(());
        }
        self.frames += 1;
        self.name(frame, direction);
        if let Some(ip) = &mut packet.ip {
            self.flow(ip, direction);
        }
        let key = packet.ip.as_ref().map(|ip| (ip.source, ip.destination, ip.protocol, ip.ports, ip.icmp));
        if !self.packets.insert((direction, packet.source, packet.destination, packet.ether_type, key)) {
            return Ok(());
        }
        if self.list.len() >= PACKETS {
            return Err(refuse("capture-size", format!("it has more than {PACKETS} different packets of {device}")));
        }
        self.list.push(packet);
        Ok(())
    }

    /// Who began to speak: of TCP by its first packets, or else whoever is heard first, unless its port is that of a service.
    fn flow(&mut self, ip: &mut Ip, direction: Direction) {
        let Some((flow, own, other)) = flow(ip, direction) else { return };
        let turned = if direction == Direction::FromDevice { Direction::ToDevice } else { Direction::FromDevice };
        let (sender, receiver) = if direction == Direction::FromDevice { (own, other) } else { (other, own) };
        let guess = if sender < 1024 && receiver >= 1024 { turned } else { direction };
        match ip.begun {
            // A new connection between the same ports.
            Some(begun) => drop(self.begun.insert(flow, begun)),
            None => drop(self.begun.entry(flow).or_insert(guess)),
        }
    }

    /// What the device asked a resolver, and what that answered.
    fn name(&mut self, frame: &[u8], direction: Direction) {
        let Some((from, to, message)) = claim::datagram(frame) else { return };
        match (direction, from, to) {
            (Direction::FromDevice, port, 53) => {
                if let (Ok(query), true) = (Query::read(message), self.questions.len() < QUESTIONS) {
                    self.questions.insert((port, query.id), query);
                }
            }
            (Direction::ToDevice, 53, port) => {
                let id = message.first_chunk().map(|id| u16::from_be_bytes(*id)).unwrap_or_default();
                let Some(query) = self.questions.remove(&(port, id)) else { return };
                let Some(answer) = Answer::read(message, &query) else { return };
                let name = query.question.name.trim_end_matches('.').to_ascii_lowercase();
                for address in answer.addresses {
                    if self.names.len() < NAMES || self.names.contains_key(&address) {
                        self.names.insert(address, name.clone());
                    }
                }
            }
            _ => {}
        }
    }

    fn describe(mut self, mut draft: Draft) -> Learnt {
        let mut context = Context::new();
        context.add(Class::LocalNetworks, Members::of(local()));
        let mut contacts: BTreeMap<(bool, Contact), BTreeSet<u16>> = BTreeMap::new();
        let mut nameless = BTreeSet::new();
        for packet in &mut self.list {
            let Some(ip) = &mut packet.ip else {
                // What the network itself has to do with the device needs no entry, and stands there for whoever holds the file
                // against the capture.
                let by = sender(packet.direction);
                contacts.entry((true, Contact::ether(packet.ether_type, by))).or_default();
                continue;
            };
            let address = if packet.direction == Direction::FromDevice { ip.destination } else { ip.source };
            let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
            let flow = flow(ip, packet.direction);
            let begun = flow.and_then(|(flow, ..)| self.begun.get(&flow)).copied();
            let service = match (flow, begun) {
                (Some((_, own, _)), Some(Direction::ToDevice)) => Some(own),
                (Some((.., other)), _) => Some(other),
                _ => None,
            };
            if ip.protocol == number::TCP {
                ip.begun = begun;
            }
            let by_device = begun != Some(Direction::ToDevice);
            // RFC 8520 s5 and appendix B: every file has these, for whichever resolvers and clocks a network has.
            if by_device && service == Some(53) {
                context.add(Class::Controller(DNS.into()), Members::of([Prefix::host(address)]));
                continue;
            }
            let name = self.names.get(&address).and_then(|name| Contact::host(name));
            if by_device && service == Some(123) && ip.protocol == number::UDP && name.is_none() {
                context.add(Class::Controller(NTP.into()), Members::of([Prefix::host(address)]));
                continue;
            }
            let who = match name {
                Some(who) => {
                    if let Some(name) = who.name() {
                        context.add(Class::Name(name.to_owned()), Members::of([Prefix::host(address)]));
                    }
                    who
                }
                None if context
                    .members(&Class::LocalNetworks)
                    .is_some_and(|all| all.have(Some(address), packet.source)) =>
                {
                    Contact::local()
                }
                None => {
                    nameless.insert(address);
                    Contact::network(Prefix::host(address))
                }
            };
            let contact = match (ip.protocol, ip.icmp) {
                (number::TCP | number::UDP, _) if flow.is_some() => who.by(ip.protocol),
                (number::ICMP, Some(icmp)) if family == Family::V4 => who.icmp(family, icmp, sender(packet.direction)),
                (number::ICMPV6, Some(icmp)) if family == Family::V6 => {
                    who.icmp(family, icmp, sender(packet.direction))
                }
                (protocol, _) => who.protocol(family, protocol, sender(packet.direction)),
            };
            contacts.entry((by_device, contact)).or_default().extend(service);
        }
        for ((by_device, contact), ports) in contacts {
            let each: Vec<Contact> = match ports.len() {
                1..=PORTS if contact.has_ports() => ports.into_iter().map(|port| contact.clone().port(port)).collect(),
                _ => vec![contact],
            };
            if by_device { &mut draft.to } else { &mut draft.from }.extend(each);
        }
        Learnt { draft, context, frames: self.frames, packets: self.list, nameless: nameless.into_iter().collect() }
    }
}

/// The conversation of a packet with ports, the device's port and the other one.
fn flow(ip: &Ip, direction: Direction) -> Option<(Flow, u16, u16)> {
    let (from, to) = ip.ports?;
    let (own, other, address) = match direction {
        Direction::FromDevice => (from, to, ip.destination),
        Direction::ToDevice => (to, from, ip.source),
    };
    // Groups are answered from other addresses than they have: each way is a conversation of its own.
    Some(((ip.protocol, address, other, own), own, other))
}

const fn sender(direction: Direction) -> Sender {
    match direction {
        Direction::FromDevice => Sender::Device,
        Direction::ToDevice => Sender::Other,
    }
}

/// What is usually meant by local networks, where nobody has said it (RFC 1918, RFC 4193, RFC 4291).
fn local() -> impl Iterator<Item = Prefix> {
    let all = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/32", "fc00::/7", "::/128"];
    all.into_iter().filter_map(|text| text.parse().ok())
}

fn refuse(check: &'static str, why: String) -> Refusal {
    Refusal::new(Fault::Peer, check, SECTION, why)
}
