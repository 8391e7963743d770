//! What devices do against what their manufacturers say, as the kernel tells of what it dropped (SP 1800-36B 7.2).
//!
//! Every dropped frame is counted in the kernel, by port. Of so many as anyone can read it tells, port by port, so that who makes much
//! noise drowns nobody else; the same thing again within a minute is one violation that happened more often.

use super::{
    Enforcer, State, names,
    picture::Picture,
    plan::{CLAIM, STOPS, STRANGER, TOLD},
    source,
};
use crate::admin::view::{DroppedView, ViolationView, Violations};
use landfall_lifecycle::network::DomainDevice;
use landfall_mud::{Class, Context, Direction, Members, Packet, packet::Prefix};
use landfall_nft::{Interface, Kernel, told};
use landfall_types::{DeviceId, Event, Fault, Outcome, Process, Refusal, Time};
use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::atomic::Ordering,
    time::Duration,
};
use tokio::time::Instant;

/// So many are shown.
const MOST: usize = 512;
/// The same thing within that time is not told of again.
const SAME: Duration = Duration::from_secs(60);
/// And so many different things of one port in that time.
const TOLD_OF: usize = 30;

/// What is known of dropped frames.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    latest: VecDeque<Violation>,
    ports: BTreeMap<Interface, Counts>,
}

/// Frames of one port that were dropped.
#[derive(Debug, Default)]
struct Counts {
    /// What the kernel said last, from the device and to it.
    seen: [u64; 2],
    /// Since the device came, from it and to it.
    all: [u64; 2],
    /// In the last minute, from it.
    lately: VecDeque<(Time, u64)>,
}

/// One thing that was dropped.
#[derive(Clone, Debug)]
struct Violation {
    first: Time,
    last: Time,
    times: u64,
    device: Option<DeviceId>,
    what: What,
}

/// What was dropped, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
struct What {
    port: Interface,
    direction: Direction,
    peer: String,
    protocol: Option<u8>,
    peer_port: Option<u16>,
    why: String,
}

/// Ports by the numbers that the kernel has for them.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    known: BTreeMap<u32, Interface>,
    asked: Option<Instant>,
}

impl Numbers {
    /// The port of that number; the kernel is asked for those that are not known, but not all the time.
    pub(super) async fn port(&mut self, kernel: &Kernel, number: u32) -> Option<Interface> {
        if !self.known.contains_key(&number) && self.asked.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
            self.asked = Some(Instant::now());
            self.known = kernel.numbers().await.unwrap_or_default().into_iter().collect();
        }
        self.known.get(&number).cloned()
    }
}

impl Dropped {
    /// Begins anew for the device that came to a port.
    pub(super) fn begin(&mut self, port: &Interface) {
        if let Some(counts) = self.ports.get_mut(port) {
            *counts = Counts { seen: counts.seen, ..Counts::default() };
        }
    }

    /// Takes in what the kernel has counted by now.
    pub(super) fn count(&mut self, counted: &BTreeMap<String, [u64; 2]>, now: Time) {
        for (port, counted) in counted {
            let Ok(port) = port.parse() else { continue };
            let counts = self.ports.entry(port).or_default();
            let mut new = [0; 2];
            for (((seen, all), counted), new) in counts.seen.iter_mut().zip(&mut counts.all).zip(counted).zip(&mut new)
            {
                // Rules that were loaded anew count from nothing.
                *new = if *counted < *seen { *counted } else { *counted - *seen };
                (*seen, *all) = (*counted, *all + *new);
            }
            let [from, _] = new;
            counts.lately.push_back((now, from));
            metrics::counter!("landfall_enforcer_dropped_total", "direction" => "from-device").increment(from);
            let [_, to] = new;
            metrics::counter!("landfall_enforcer_dropped_total", "direction" => "to-device").increment(to);
        }
        for counts in self.ports.values_mut() {
            while counts.lately.front().is_some_and(|(at, _)| *at + SAME <= now) {
                counts.lately.pop_front();
            }
        }
    }

    /// How many frames from the device behind a port were dropped in the last minute.
    pub(super) fn lately(&self, port: &Interface) -> u64 {
        self.ports.get(port).map(|counts| counts.lately.iter().map(|(_, count)| count).sum()).unwrap_or_default()
    }

    /// Writes one down: whether it is to be told of.
    fn note(&mut self, what: What, device: Option<DeviceId>, now: Time) -> bool {
        let is_recent = |one: &&mut Violation| now < one.first + SAME;
        let mut recent = self.latest.iter_mut().rev().take_while(is_recent);
        if let Some(same) = recent.find(|one| one.what == what && one.device == device) {
            (same.times, same.last) = (same.times + 1, now);
            return false;
        }
        let of_port = self.latest.iter().rev().take_while(|one| now < one.first + SAME);
        if of_port.filter(|one| one.what.port == what.port).count() >= TOLD_OF {
            return false;
        }
        self.latest.push_back(Violation { first: now, last: now, times: 1, device, what });
        if self.latest.len() > MOST {
            self.latest.pop_front();
        }
        true
    }
}

impl Enforcer {
    /// How many frames from a device were dropped in the last minute, wherever it is on this machine; nothing if it is nowhere, or if
    /// nobody says what it is for.
    pub async fn violations_of(&self, device: &DeviceId) -> Option<u64> {
        let state = self.state.lock().await;
        let ports = state.ports_of(|guest| guest.device == *device);
        let judged = ports.iter().filter(|port| state.wanted.policy_of(port).is_some());
        judged.map(|port| state.dropped.lately(port)).reduce(u64::saturating_add)
    }

    /// What was dropped lately, and how much.
    pub async fn violations(&self) -> Violations {
        let state = self.state.lock().await;
        let serial = |device: &DeviceId| {
            let found = self.world.store.find::<DomainDevice>(device.as_str()).ok().flatten()?;
            Some(found.record.identity.serial_number.to_string())
        };
        let violations = state.dropped.latest.iter().rev().map(|one| ViolationView {
            first: one.first,
            last: one.last,
            times: one.times,
            device: one.device.as_ref().and_then(serial),
            port: one.what.port.to_string(),
            direction: one.what.direction.to_string(),
            peer: one.what.peer.clone(),
            protocol: one.what.protocol,
            peer_port: one.what.peer_port,
            why: one.what.why.clone(),
        });
        let dropped = state.dropped.ports.iter().map(|(port, counts)| {
            let [from_device, to_device] = counts.all;
            let device = state.guests.get(port).and_then(|guest| serial(&guest.device));
            DroppedView {
                port: port.to_string(),
                device,
                from_device,
                to_device,
                last_minute: state.dropped.lately(port),
            }
        });
        Violations { violations: violations.collect(), dropped: dropped.collect() }
    }

    /// Listens to what the kernel tells of, for as long as it is polled.
    pub(super) async fn listen(&self, mut heard: told::Told) {
        let mut numbers = Numbers::default();
        while let Some(packets) = heard.next().await {
            self.heard.store(true, Ordering::Relaxed);
            for packet in packets {
                let is_to = packet.prefix == STOPS[1];
                let Some(number) = (if is_to { packet.went } else { packet.came }) else { continue };
                match numbers.port(&self.kernel, number).await {
                    Some(port) if packet.prefix == CLAIM => self.claimed(&port, &packet).await,
                    Some(port) => self.hear(&port, &packet, is_to).await,
                    None => {}
                }
            }
        }
        tracing::error!(role = "enforcer", "the kernel tells no more of what it drops; it goes on to drop it");
    }

    async fn hear(&self, port: &Interface, told: &told::Packet, is_to: bool) {
        let direction = if is_to { Direction::ToDevice } else { Direction::FromDevice };
        let Some(packet) = Packet::read(direction, &told.frame) else { return };
        let now = self.world.clock.now();
        let mut state = self.state.lock().await;
        let Some(occupant) = state.wanted.occupants.get(port) else { return };
        let is_stranger = told.prefix == STRANGER;
        // A port that is shut for a moment makes nobody a stranger.
        if is_stranger && packet.source.to_string() == occupant.mac.to_string() {
            return;
        }
        let why = if is_stranger {
            format!("{} is not the address of the device", packet.source)
        } else if told.prefix == source::STOP {
            let said = packet.ip.as_ref().map_or_else(|| "what it says by ARP".into(), |ip| ip.source.to_string());
            format!("{said} is the address of somebody else")
        } else {
            why(&state, port, &packet)
        };
        let (address, interface) = packet.remote();
        let ip = packet.ip.as_ref();
        let ports = ip.and_then(|ip| ip.ports);
        let peer_port = ports.map(|(source, destination)| if is_to { source } else { destination });
        let peer =
            address.map_or_else(|| format!("{interface} (0x{:04x})", packet.ether_type), |address| address.to_string());
        let what = What { port: port.clone(), direction, peer, protocol: ip.map(|ip| ip.protocol), peer_port, why };
        let device = state.guests.get(port).map(|guest| guest.device.clone());
        if !state.dropped.note(what.clone(), device.clone(), now) {
            return;
        }
        drop(state);
        let found = device.and_then(|device| self.world.store.find::<DomainDevice>(device.as_str()).ok().flatten());
        let serial = found.map(|found| found.record.identity.serial_number.to_string()).unwrap_or_default();
        let detail = format!("{what}");
        let event = Event {
            at: now,
            process: Process::Network,
            role: "enforcer",
            action: "packet-dropped",
            device: serial,
            outcome: Outcome::Refused(Refusal::new(Fault::Denied, "intent", "RFC 8520 s5", detail)),
            duration: Duration::ZERO,
        };
        self.world.recorder.close(event).await;
    }
}

/// Why a frame of the device behind a port was dropped.
fn why(state: &State, port: &Interface, packet: &Packet) -> String {
    let picture = &state.wanted;
    let Some(policy) = picture.policy_of(port) else { return "devices do not reach each other here".into() };
    let remote_port = packet.ip.as_ref().and_then(|ip| ip.ports).map(|(_, destination)| destination);
    let to = packet.ip.as_ref().map(|ip| ip.destination);
    let asks = match remote_port {
        Some(53 | 853) => true,
        Some(443) => to.is_some_and(|to| names::RESOLVERS.contains(&to)),
        _ => false,
    };
    let is_other = |to: IpAddr| picture.resolvers.as_ref().is_some_and(|own| !own.others && !own.own.contains(&to));
    if asks && packet.direction == Direction::FromDevice && to.is_some_and(is_other) {
        return "another resolver than the network's".into();
    }
    let mut context: Context = picture.known.clone();
    add_names(&mut context, picture, port);
    match policy.decides(packet, &context) {
        Some(rule) if !rule.allow => format!("its entry {}", rule.name),
        Some(_) => "devices do not reach each other here".into(),
        None => "no entry permits it".into(),
    }
}

/// Adds who the names are that the device behind a port was told.
pub(super) fn add_names(context: &mut Context, picture: &Picture, port: &Interface) {
    for ((_, name), addresses) in picture.names.iter().filter(|((at, _), _)| at == port) {
        let members = Members::of(addresses.iter().copied().map(Prefix::host));
        context.add(Class::Name(name.clone()), members);
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} {}", self.port, self.direction, self.peer)?;
        if let Some(protocol) = self.protocol {
            match protocol {
                6 => f.write_str(" TCP")?,
                17 => f.write_str(" UDP")?,
                other => write!(f, " protocol {other}")?,
            }
        }
        if let Some(port) = self.peer_port {
            write!(f, " port {port}")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// The ear of an enforcer, if the kernel gives it one.
pub(super) fn ear(enforcer: &Enforcer) -> Option<told::Told> {
    let ear = enforcer.kernel.told(TOLD);
    ear.inspect_err(|why| {
        tracing::error!(role = "enforcer", %why, "the kernel does not tell of what it drops; it drops it all the same");
    })
    .ok()
}
