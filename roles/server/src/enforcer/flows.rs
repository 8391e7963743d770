//! What devices begin, looked at for what is unusual (SP 1800-36B 7.9; S4.C5).
//!
//! The kernel tells when a device at a port begins a flow of TCP or UDP, whether it comes through or not, and when the first answer
//! to it goes to the device; it counts what the port sends. The detectors say what is unusual, the authorizer hears of it with the
//! reason, and what follows is for policy to say: without a policy that speaks of it nothing does.

use super::{
    Enforcer, learnt,
    table::{FAMILY, Table, few, guarded, is_in, log, port},
};
use crate::settings::BehaviourSettings;
use landfall_assurance::{Fact, Kind};
use landfall_behaviour::{Detector, Flow, Unusual, Watch};
use landfall_lifecycle::network::DomainDevice;
use landfall_mud::{Context, Direction, Packet};
use landfall_nft::{Interface, KernelError, told};
use landfall_store::{ReadError, Store};
use landfall_types::{DeviceId, Event, Fault, Outcome, Process, Refusal, Time};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

/// Its table, and the group to which its rules tell.
const TABLE: Table = Table("landfall-flows");
const GROUP: u16 = 8522;
/// How a flow is told of, and an answer to one.
const BEGUN: &str = "begun";
const ANSWERED: &str = "answered";
/// What the facts are from.
const SOURCE: &str = "behaviour";
/// What is not answered by then is not answered.
const PATIENCE: Duration = Duration::from_secs(3);
/// So many flows wait for their answers at a time.
const WAITING: usize = 65_536;
const LOOK: Duration = Duration::from_secs(1);
/// How often what ports send is counted.
const COUNT: Duration = Duration::from_secs(60);
/// RFC 9293 s3.1.
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const SYN_AND_ACK: u8 = 0x12;

/// What is known of flows.
#[derive(Debug)]
pub(super) struct Flows {
    settings: BehaviourSettings,
    watch: Watch,
    /// Flows that nobody has answered yet.
    waiting: BTreeMap<Key, Flow>,
    /// What was unusual lately, and why.
    struck: BTreeMap<DeviceId, BTreeMap<Detector, (Time, String)>>,
    /// Devices of which the authorizer has not heard the last.
    untold: BTreeSet<DeviceId>,
    /// What each port had sent when it was counted last.
    sent: BTreeMap<Interface, u64>,
    counted: Time,
    is_loaded: bool,
}

/// A device, whom it speaks with, by which protocol, and the ports.
type Key = (DeviceId, IpAddr, u8, u16, u16);

impl Flows {
    /// What is known of flows after a restart: what kinds of devices have taught, and nothing of those that were.
    pub(super) fn recall(settings: &BehaviourSettings, store: &Store, now: Time) -> Result<Self, ReadError> {
        let mut watch = Watch::new(settings.limits());
        learnt::recall(&mut watch, store)?;
        Ok(Self {
            watch,
            settings: settings.clone(),
            waiting: BTreeMap::new(),
            struck: BTreeMap::new(),
            untold: BTreeSet::new(),
            sent: BTreeMap::new(),
            counted: now,
            is_loaded: false,
        })
    }

    fn note(&mut self, unusual: &Unusual) {
        let said = (unusual.at, unusual.to_string());
        self.struck.entry(unusual.device.clone()).or_default().insert(unusual.detector, said);
        self.untold.insert(unusual.device.clone());
    }
}

impl Enforcer {
    /// Looks at what devices begin, if that is wanted, for as long as it is polled.
    pub(super) async fn follow_flows(&self) {
        if self.flows.is_none() {
            return;
        }
        let mut was_told = false;
        loop {
            match self.kernel.told(GROUP) {
                Ok(ear) => {
                    was_told = false;
                    self.hear_flows(ear).await;
                }
                Err(why) if !std::mem::replace(&mut was_told, true) => {
                    tracing::error!(role = "enforcer", %why, "the kernel does not tell what devices begin, so nothing is unusual");
                }
                Err(_) => {}
            }
            // Whoever listened before may be a moment in ending.
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Looks at what the kernel tells, for as long as it does.
    async fn hear_flows(&self, mut ear: told::Told) {
        let mut numbers = super::violation::Numbers::default();
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                packets = ear.next() => {
                    let Some(packets) = packets else { return };
                    for packet in packets {
                        let is_answer = packet.prefix == ANSWERED;
                        let Some(number) = (if is_answer { packet.went } else { packet.came }) else { continue };
                        if let Some(port) = numbers.port(&self.kernel, number).await {
                            self.saw(&port, &packet, is_answer).await;
                        }
                    }
                }
                _ = tick.tick() => {
                    if let Err(why) = self.look_at_flows().await {
                        tracing::error!(role = "enforcer", %why, "the kernel could not be asked what devices send");
                    }
                }
            }
            self.tell_unusual().await;
        }
    }

    /// Puts the rules in force that tell of flows, if somebody looks at them and they are not.
    ///
    /// # Errors
    /// If the kernel does not take them.
    pub(super) async fn watch_flows(&self) -> Result<(), KernelError> {
        let Some(flows) = &self.flows else { return Ok(()) };
        let ports = self.ports().await;
        let mut flows = flows.lock().await;
        if !flows.is_loaded {
            self.kernel.apply(&rules(&ports)).await?;
            flows.is_loaded = true;
        }
        Ok(())
    }

    /// Looks at what has not been answered, and at how much is sent.
    async fn look_at_flows(&self) -> Result<(), KernelError> {
        self.watch_flows().await?;
        let Some(flows) = &self.flows else { return Ok(()) };
        let now = self.world.clock.now();
        let mut flows = flows.lock().await;
        self.keep_lessons(&mut flows.watch).await;
        let late: Vec<Key> =
            flows.waiting.iter().filter(|(_, flow)| flow.start + PATIENCE <= now).map(|(key, _)| key.clone()).collect();
        for key in late {
            let Some(flow) = flows.waiting.remove(&key) else { continue };
            let ended = Flow { ended: true, answered: Some(false), ..flow };
            self.judge(&mut flows, &key.0, &ended, |_| true).await;
        }
        if flows.counted + COUNT <= now {
            flows.counted = now;
            let listed = self.kernel.set(FAMILY, TABLE.0, "sent").await?;
            // Whoever has deleted the table has it back with the next look.
            flows.is_loaded = listed.is_some();
            let octets = octets(&listed.unwrap_or_default());
            for (port, sent) in octets {
                let before = flows.sent.insert(port.clone(), sent).unwrap_or_default();
                let device = self.state.lock().await.guests.get(&port).map(|guest| guest.device.clone());
                let Some(device) = device else { continue };
                let nowhere = IpAddr::from([0, 0, 0, 0]);
                let sent = sent.checked_sub(before).unwrap_or(sent);
                let all = Flow { sent, ended: true, ..Flow::between(nowhere, nowhere, 0, 0, now) };
                self.judge(&mut flows, &device, &all, |_| true).await;
            }
        }
        let remember = flows.settings.remember.duration();
        flows.struck.retain(|_, struck| struck.values().any(|(at, _)| now < *at + remember));
        Ok(())
    }

    /// A flow was begun by the device behind a port, or was answered.
    async fn saw(&self, at: &Interface, told: &told::Packet, is_answer: bool) {
        let Some(flows) = &self.flows else { return };
        let direction = if is_answer { Direction::ToDevice } else { Direction::FromDevice };
        let Some(packet) = Packet::read(direction, &told.frame) else { return };
        let Some(ip) = packet.ip.clone() else { return };
        let Some((from, to)) = ip.ports else { return };
        let now = self.world.clock.now();
        let (device, policy, context) = {
            let state = self.state.lock().await;
            let Some(guest) = state.guests.get(at) else { return };
            // Another machine at its port is not the device.
            if !is_answer && guest.mac != packet.source.to_string() {
                return;
            }
            let picture = &state.wanted;
            let policy = picture.intent_of(at).and_then(|place| picture.intents.get(place)).cloned();
            let mut context: Context = picture.known.clone();
            if policy.is_some() && !is_answer {
                super::violation::add_names(&mut context, picture, at);
            }
            (guest.device.clone(), policy, context)
        };
        let mut flows = flows.lock().await;
        if is_answer {
            flows.waiting.remove(&(device, ip.source, ip.protocol, to, from));
            return;
        }
        let flow = Flow { source_port: from, ..Flow::between(ip.source, ip.destination, ip.protocol, to, now) };
        // What its manufacturer says that it is for is no news.
        let is_meant = policy.is_some_and(|policy| policy.decides(&packet, &context).is_some_and(|rule| rule.allow));
        let counts = |detector| !(is_meant && matches!(detector, Detector::NewDestination | Detector::Beacon));
        self.judge(&mut flows, &device, &flow, counts).await;
        if flows.waiting.len() < WAITING {
            flows.waiting.insert((device, ip.destination, ip.protocol, from, to), flow);
        }
    }

    pub(super) async fn judge(
        &self,
        flows: &mut Flows,
        device: &DeviceId,
        flow: &Flow,
        counts: impl Fn(Detector) -> bool,
    ) {
        let kind = self.kind_of(device);
        let found = flows.watch.flow(device, &kind, flow);
        for unusual in found.into_iter().filter(|unusual| counts(unusual.detector)) {
            flows.note(&unusual);
            metrics::counter!("landfall_enforcer_unusual_total", "detector" => unusual.detector.name()).increment(1);
            let event = Event {
                at: unusual.at,
                process: Process::Verification,
                role: "enforcer",
                action: "unusual-behaviour",
                device: device.to_string(),
                outcome: Outcome::Refused(Refusal::new(
                    Fault::Denied,
                    "behaviour",
                    "SP 1800-36B 7.9",
                    unusual.to_string(),
                )),
                duration: Duration::ZERO,
            };
            self.world.recorder.close(event).await;
        }
    }

    /// What kind of device it is: others of it say what is usual. One of which that is not known is a kind of its own.
    fn kind_of(&self, device: &DeviceId) -> String {
        let found = self.world.store.find::<DomainDevice>(device.as_str()).ok().flatten();
        let identity = found.map(|found| found.record.identity);
        let model = identity.as_ref().and_then(|identity| identity.model.as_ref());
        let vendor = identity.as_ref().and_then(|identity| identity.vendor.as_ref());
        match (vendor, model) {
            (Some(vendor), Some(model)) => format!("{vendor}/{model}"),
            _ => device.to_string(),
        }
    }

    /// Tells the authorizer what was unusual, as long as it holds.
    pub(super) async fn tell_unusual(&self) {
        let Some(flows) = &self.flows else { return };
        let mut flows = flows.lock().await;
        if flows.untold.is_empty() || self.world.authorizer.authorizer().is_none() {
            return;
        }
        let (now, remember) = (self.world.clock.now(), flows.settings.remember.duration());
        let fact = |device: &DeviceId| {
            let struck = flows.struck.get(device)?;
            let holds = struck.iter().filter(|(_, (at, _))| now < *at + remember);
            // The name is for policies, what was seen for people.
            let value: Vec<String> =
                holds.flat_map(|(detector, (_, why))| [detector.name().to_owned(), why.clone()]).collect();
            let last = struck.values().map(|(at, _)| *at).max()?;
            Some(Fact {
                subject: device.clone(),
                kind: Kind::UnusualBehaviour,
                value: value.into(),
                source: SOURCE.to_owned(),
                issuer: None,
                at: now,
                expires: Some(last + remember),
                verifier: "enforcer".into(),
            })
        };
        let facts: Vec<Fact> = flows.untold.iter().take(crate::authorizer::AT_ONCE).filter_map(fact).collect();
        match self.world.authorizer.tell(facts).await {
            Ok(()) => {
                let told: Vec<DeviceId> = flows.untold.iter().take(crate::authorizer::AT_ONCE).cloned().collect();
                flows.untold.retain(|device| !told.contains(device));
            }
            Err(why) => tracing::warn!(role = "enforcer", %why, "what is unusual could not be told, and is told again"),
        }
    }
}

/// How many octets each port has sent, by what `nft -j list set` says.
fn octets(listed: &[Value]) -> BTreeMap<Interface, u64> {
    let elements = listed.iter().filter_map(|object| object.pointer("/set/elem")?.as_array()).flatten();
    let read = |element: &Value| {
        let port = element.pointer("/elem/val")?.as_str()?.parse().ok()?;
        Some((port, element.pointer("/elem/counter/bytes")?.as_u64()?))
    };
    elements.filter_map(read).collect()
}

/// Tells of flows, and decides nothing.
fn rules(ports: &BTreeSet<Interface>) -> Vec<Value> {
    let mut commands = TABLE.anew(ports, &["prerouting", "forward", "output"], -205);
    for name in ["sent", "heard"] {
        commands.push(TABLE.add("set", json!({ "name": name, "type": "ifname", "size": 65535 })));
    }
    let sent =
        json!({ "set": { "op": "update", "elem": port("iifname"), "set": "@sent", "stmt": [{ "counter": null }] } });
    commands.push(TABLE.rule("prerouting", vec![guarded("iifname"), sent]));
    let field = |protocol: &str, field: &str| json!({ "payload": { "protocol": protocol, "field": field } });
    let masked = |left: Value, mask: Value| json!({ "&": [left, mask] });
    let equal = |left: Value, right: Value| json!({ "match": { "op": "==", "left": left, "right": right } });
    let transport = || equal(port("l4proto"), json!({ "set": [6, 17] }));
    for (layer, kind, digit) in [("ip", "ipv4_addr", 4), ("ip6", "ipv6_addr", 6)] {
        for name in [BEGUN, ANSWERED] {
            let kinds = ["ifname", kind, "inet_proto", "inet_service", "inet_service"];
            let set = json!({ "name": format!("{name}-{digit}"), "type": kinds, "size": 65535, "flags": ["timeout"], "timeout": 30 });
            commands.push(TABLE.add("set", set));
        }
        let set = |name: &str| format!("{name}-{digit}");
        let key = |side: &str, other: &str, own: &str, others: &str| json!({ "concat": [port(side), field(layer, other), port("l4proto"), field("th", own), field("th", others)] });
        let remember = |name: &str, key: &Value| json!({ "set": { "op": "update", "elem": key, "set": format!("@{}", set(name)) } });
        // A connection begins with SYN alone; whatever else goes with a flow of UDP that is not over. What is for all is for nobody.
        let begins = key("iifname", "daddr", "sport", "dport");
        let to_one = equal(masked(field("ether", "daddr"), json!("01:00:00:00:00:00")), json!("00:00:00:00:00:00"));
        let layer_is = equal(field("ether", "type"), json!(if digit == 4 { 0x0800 } else { 0x86dd }));
        let known = [
            layer_is.clone(),
            guarded("iifname"),
            transport(),
            is_in(&begins, &set(BEGUN)),
            remember(BEGUN, &begins),
            json!({ "accept": null }),
        ];
        commands.push(TABLE.rule("prerouting", known.into()));
        for is_new in
            [equal(port("l4proto"), json!(17)), equal(masked(field("tcp", "flags"), json!(SYN_AND_ACK)), json!(SYN))]
        {
            let expression = vec![
                layer_is.clone(),
                guarded("iifname"),
                to_one.clone(),
                is_new,
                few("heard", 200, 400),
                remember(BEGUN, &begins),
                log(BEGUN, GROUP),
            ];
            commands.push(TABLE.rule("prerouting", expression));
        }
        // RFC 9293 s3.5.2: a reset says that nobody is there.
        let ends = key("oifname", "saddr", "dport", "sport");
        let no_reset =
            || json!({ "match": { "op": "!=", "left": masked(field("tcp", "flags"), json!(RST)), "right": RST } });
        for hook in ["forward", "output"] {
            for is_answer in
                [vec![equal(port("l4proto"), json!(17))], vec![equal(port("l4proto"), json!(6)), no_reset()]]
            {
                let mut expression = vec![layer_is.clone(), guarded("oifname")];
                expression.extend(is_answer);
                expression.extend([
                    is_in(&ends, &set(BEGUN)),
                    json!({ "match": { "op": "!=", "left": ends, "right": format!("@{}", set(ANSWERED)) } }),
                    remember(ANSWERED, &ends),
                    log(ANSWERED, GROUP),
                ]);
                commands.push(TABLE.rule(hook, expression));
            }
        }
    }
    commands
}
