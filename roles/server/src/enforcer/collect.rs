//! Flows of devices elsewhere, as routers, switches and access points tell of them (IPFIX by UDP, RFC 7011 s10.3). What devices at
//! this machine's ports do the kernel tells.
//!
//! Only exporters that the settings name are heard, by their addresses; UDP has nothing else. Whose a flow is says the address of the
//! interface at either end, which is that of a session of access.

use super::{Enforcer, picture::Mac};
use crate::{
    access::Session,
    admin::view::{ExporterView, FlowSources, StrangersView},
    settings::{EnforcerSettings, IpfixSettings, Problem},
};
use landfall_behaviour::{Flow, ipfix::Exporter};
use landfall_nft::Kernel;
use landfall_store::ReadError;
use landfall_types::{DeviceId, Record, Refusal, Time};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    sync::PoisonError,
    time::Duration,
};
use tokio::net::UdpSocket;

/// No datagram is longer.
const LONGEST: usize = 65_535;
/// So many exporters send at a time; one that begins anew does so from another port.
const SESSIONS: usize = 256;
/// So many flows that go on are remembered, so that each begins once.
const GOING_ON: usize = 65_536;
/// So many sessions of access are read at a time, and in all.
const PART: usize = 1000;
const MOST: usize = 100_000;
/// How often it is looked who is where: when somebody is not known, and anyway.
const AGAIN: Duration = Duration::from_secs(10);
const ANYWAY: Duration = Duration::from_secs(60);
/// What is said to have begun before then has begun then.
const PAST: Duration = Duration::from_secs(3600);
const PAUSE: Duration = Duration::from_secs(1);

/// What exporters of one name have sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Messages.
    pub messages: u64,
    /// Those of them that were refused, as they are none.
    pub malformed: u64,
    /// Flows of devices here.
    pub flows: u64,
    /// Flows of nobody here.
    pub nobodys: u64,
    /// Sets of records without a template.
    pub unknown: u64,
    /// Records that were sent and have not come.
    pub missed: u64,
}

/// The same with where it came from, and what was wrong with the last that was refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    collected: Collected,
    last: Option<(SocketAddr, Time)>,
    refused: Option<String>,
}

/// Where exporters send.
#[derive(Debug)]
pub(super) struct Collector {
    door: UdpSocket,
    names: BTreeMap<IpAddr, String>,
    lifetime: Duration,
}

/// What is known meanwhile.
#[derive(Default)]
struct Desk {
    exporters: BTreeMap<SocketAddr, (Exporter, Time)>,
    begun: Begun,
    devices: HashMap<Mac, (DeviceId, Time)>,
    looked: Option<Time>,
}

/// When flows that are told of again and again began.
#[derive(Default)]
pub(super) struct Begun {
    begun: HashMap<Key, Time>,
    order: VecDeque<Key>,
}

/// A device, whom it speaks with, by which protocol, and the ports.
type Key = (DeviceId, IpAddr, u8, u16, u16);

/// What is wrong with the exporters in the settings.
pub(super) fn check(enforcer: &EnforcerSettings, problems: &mut Vec<Problem>) {
    let Some(ipfix) = enforcer.behaviour.as_ref().and_then(|behaviour| behaviour.ipfix.as_ref()) else { return };
    let mut wrong = |key: &str, why| problems.push(Problem::new(format!("enforcer.behaviour.ipfix.{key}"), why));
    if ipfix.exporter.is_empty() {
        wrong("exporter", "is empty, so nobody would be heard");
    }
    if ipfix.template_lifetime.duration().is_zero() {
        wrong("template-lifetime", "is nothing, so no record could be read");
    }
    let mut taken = BTreeSet::new();
    for (at, exporter) in ipfix.exporter.iter().enumerate() {
        if !crate::deny::is_name(&exporter.name) {
            wrong(&format!("exporter[{at}].name"), "has not 1 to 32 small letters, digits and hyphens");
        }
        if exporter.addresses.is_empty() {
            wrong(&format!("exporter[{at}].addresses"), "is empty, so it would not be known");
        }
        if exporter.addresses.iter().any(|address| !taken.insert(address.to_canonical())) {
            wrong(&format!("exporter[{at}].addresses"), "has an address that is there twice");
        }
    }
}

impl Collector {
    pub(super) fn open(kernel: &Kernel, ipfix: &IpfixSettings) -> io::Result<Self> {
        let door = kernel.inside(|| std::net::UdpSocket::bind(ipfix.listen))?;
        door.set_nonblocking(true)?;
        let named = |exporter: &crate::settings::ExporterSettings| {
            let name = exporter.name.clone();
            exporter.addresses.clone().into_iter().map(move |address| (address.to_canonical(), name.clone()))
        };
        let names = ipfix.exporter.iter().flat_map(named).collect();
        Ok(Self { door: UdpSocket::from_std(door)?, names, lifetime: ipfix.template_lifetime.duration() })
    }
}

impl Enforcer {
    /// What exporters have sent, by their names; without a name what others have, which is not heard.
    pub fn collected(&self) -> BTreeMap<String, Collected> {
        let collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        collected.iter().map(|(name, sent)| (name.clone(), sent.collected)).collect()
    }

    /// Who tells of flows of devices elsewhere, and what became of it.
    pub fn flow_sources(&self) -> FlowSources {
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let from = |sent: &Sent| sent.last.map(|(from, _)| from.to_string());
        let at = |sent: &Sent| sent.last.map(|(_, at)| at);
        let strangers = collected.remove("").map(|sent| {
            let (from, last) = (from(&sent), at(&sent));
            StrangersView { messages: sent.collected.messages, from, last }
        });
        let exporter = |(name, sent): (String, Sent)| {
            let (from, last) = (from(&sent), at(&sent));
            let Collected { messages, malformed: refused, flows, nobodys, unknown, missed } = sent.collected;
            let refused_why = sent.refused;
            ExporterView { name, from, last, messages, refused, refused_why, flows, nobodys, unknown, missed }
        };
        let connections = self.connections();
        FlowSources { exporters: collected.into_iter().map(exporter).collect(), strangers, connections }
    }

    /// Hears what exporters tell, if there are any, for as long as it is polled.
    pub(super) async fn collect(&self, collector: Option<Collector>) {
        let (Some(collector), true) = (collector, self.flows.is_some()) else { return };
        let (mut desk, mut datagram) = (Desk::default(), vec![0; LONGEST]);
        for name in collector.names.values() {
            self.note(name, |_| {});
        }
        loop {
            match collector.door.recv_from(&mut datagram).await {
                Ok((length, from)) => {
                    let message = datagram.get(..length).unwrap_or_default();
                    let name = collector.names.get(&from.ip().to_canonical());
                    let at = self.world.clock.now();
                    self.note(name.map_or("", String::as_str), |sent| sent.last = Some((from, at)));
                    match name {
                        Some(name) => self.message(&mut desk, name, collector.lifetime, from, message).await,
                        None => self.count("", "stranger", |it| it.messages += 1),
                    }
                }
                Err(why) => {
                    tracing::warn!(role = "enforcer", %why, "exporters of flows cannot be heard");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn message(&self, desk: &mut Desk, name: &str, lifetime: Duration, from: SocketAddr, bytes: &[u8]) {
        let now = self.world.clock.now();
        let exporter = desk.exporter(from, lifetime, now);
        let before = (exporter.unknown, exporter.missed);
        let told = exporter.message(bytes, now);
        let (unknown, missed) = (exporter.unknown - before.0, exporter.missed);
        let told = match told {
            Ok(told) => told,
            Err(why) => return self.refused(name, &why),
        };
        self.count(name, "taken", |it| {
            it.messages += 1;
            it.unknown += unknown;
            it.missed = (it.missed + missed).saturating_sub(before.1);
        });
        let macs: Vec<Mac> =
            told.iter().flat_map(|told| [told.source_mac, told.destination_mac]).flatten().map(Mac::from).collect();
        if let Err(why) = self.look_who(desk, &macs, now) {
            tracing::error!(role = "enforcer", %why, "it cannot be read whose flows are");
        }
        for told in told {
            let turned = told.flow.clone().turned();
            let sides = [(told.source_mac, told.flow), (told.destination_mac, turned)];
            let sides = sides.map(|(mac, flow)| Some((desk.device(mac?, now)?, flow)));
            if sides.iter().all(Option::is_none) {
                self.count(name, "nobodys", |it| it.nobodys += 1);
            }
            for (device, flow) in sides.into_iter().flatten() {
                self.count(name, "flow", |it| it.flows += 1);
                self.follow_told(desk, &device, flow, now).await;
            }
        }
        self.tell_unusual().await;
    }

    fn refused(&self, name: &str, why: &Refusal) {
        self.note(name, |sent| sent.refused = Some(why.to_string()));
        self.count(name, "malformed", |it| {
            it.messages += 1;
            it.malformed += 1;
            if it.malformed == 1 {
                tracing::warn!(role = "enforcer", exporter = name, %why, "a message of flows was refused, and others may be");
            }
        });
    }

    /// A flow, from the side of a device.
    async fn follow_told(&self, desk: &mut Desk, device: &DeviceId, flow: Flow, now: Time) {
        let Some(flows) = &self.flows else { return };
        if !is_one(&flow) {
            return;
        }
        let start = flow.start.min(now).max(Time::from_unix(now.as_unix().saturating_sub_unsigned(PAST.as_secs())));
        // Exporters put either end first. Who begins does so from a port that is nobody's in particular, which are the higher ones.
        let has_begun = flow.source_port > flow.port;
        let key = (device.clone(), flow.destination, flow.protocol, flow.source_port, flow.port);
        let is_first = desk.begun.begin(key, flow.start);
        let mut flows = flows.lock().await;
        if has_begun && is_first {
            let begun = Flow { start, sent: 0, received: 0, answered: None, ended: false, ..flow.clone() };
            self.judge(&mut flows, device, &begun, |_| true).await;
        }
        let answered = flow.answered.filter(|_| flow.ended && has_begun);
        self.judge(&mut flows, device, &Flow { start: now, answered, ended: true, ..flow }, |_| true).await;
    }

    /// Reads who is in which session of access, if somebody is not known or it is time.
    fn look_who(&self, desk: &mut Desk, macs: &[Mac], now: Time) -> Result<(), ReadError> {
        let since = desk.looked.map(|looked| now.since(looked));
        let is_strange = macs.iter().any(|mac| !desk.devices.contains_key(mac));
        if since.is_some_and(|since| since < if is_strange { AGAIN } else { ANYWAY }) {
            return Ok(());
        }
        (desk.devices, desk.looked) = (self.elsewhere(now)?, Some(now));
        Ok(())
    }

    /// Who is behind which address of an interface, in a session of access elsewhere, and until when.
    pub(super) fn elsewhere(&self, now: Time) -> Result<HashMap<Mac, (DeviceId, Time)>, ReadError> {
        let (mut devices, mut after, mut left) = (HashMap::new(), None::<String>, MOST);
        while left > 0 {
            let part = self.world.store.scan::<Session>(after.as_deref(), PART.min(left))?;
            let Some(last) = part.last() else { break };
            after = Some(last.record.key());
            left = left.saturating_sub(part.len());
            for session in part.into_iter().map(|found| found.record).filter(|it| !it.is_here && now < it.until) {
                if let Some(mac) = session.mac() {
                    devices.insert(mac, (session.device, session.until));
                }
            }
        }
        Ok(devices)
    }

    fn note(&self, name: &str, change: impl FnOnce(&mut Sent)) {
        change(self.collected.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default());
    }

    fn count(&self, name: &str, what: &'static str, change: impl FnOnce(&mut Collected)) {
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        let its = &mut collected.entry(name.to_owned()).or_default().collected;
        change(its);
        metrics::counter!("landfall_ipfix_told_total", "exporter" => name.to_owned(), "what" => what).increment(1);
        metrics::gauge!("landfall_ipfix_missed_records", "exporter" => name.to_owned()).set(its.missed as f64);
        metrics::gauge!("landfall_ipfix_unknown_sets", "exporter" => name.to_owned()).set(its.unknown as f64);
    }
}

impl Desk {
    /// The exporter at that address and port (RFC 7011 s8); the one that was silent for the longest makes room.
    fn exporter(&mut self, from: SocketAddr, lifetime: Duration, now: Time) -> &mut Exporter {
        if self.exporters.len() >= SESSIONS && !self.exporters.contains_key(&from) {
            let silent = self.exporters.iter().min_by_key(|(_, (_, last))| *last).map(|(from, _)| *from);
            silent.and_then(|silent| self.exporters.remove(&silent));
        }
        let (exporter, last) = self.exporters.entry(from).or_insert_with(|| (Exporter::by_udp(lifetime), now));
        *last = now;
        exporter
    }

    fn device(&self, mac: [u8; 6], now: Time) -> Option<DeviceId> {
        self.devices.get(&Mac::from(mac)).filter(|(_, until)| now < *until).map(|(device, _)| device.clone())
    }
}

impl Begun {
    /// Whether a flow that began then is told of for the first time.
    fn begin(&mut self, key: Key, start: Time) -> bool {
        let before = self.begun.get(&key).copied();
        self.insert(key, start) || before != Some(start)
    }

    /// Whether none is known between these.
    pub(super) fn insert(&mut self, key: Key, start: Time) -> bool {
        let is_first = self.begun.insert(key.clone(), start).is_none();
        if is_first {
            self.order.push_back(key);
            if self.order.len() > GOING_ON {
                self.order.pop_front().and_then(|oldest| self.begun.remove(&oldest));
            }
        }
        is_first
    }
}

/// Whether it is of TCP or UDP, and for one: what is for all is for nobody.
pub(super) fn is_one(flow: &Flow) -> bool {
    let is_one = match flow.destination {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_multicast() && !v6.is_unspecified(),
    };
    is_one && matches!(flow.protocol, 6 | 17)
}
