//! What devices speak with that is on deny lists (SP 1800-36B table G-1): the kernel drops it and tells of it at once, the resolver of
//! devices refuses it and tells of it, and the authorizer hears of the device, the list, and what was spoken with.
//!
//! The kernel's rules for that are in a table of their own, before all others: a device is seen whatever else it may do, also where
//! nothing that it says would come through. What comes from a listed address is dropped as well, so that nobody there can have a
//! device answer, and be put out for it.

use super::{
    Enforcer,
    picture::Mac,
    table::{FAMILY, Table, few, guarded, is_in, log},
};
use crate::deny::{InForce, contact, source_of};
use landfall_assurance::{Fact, Kind};
use landfall_behaviour::deny::Contact;
use landfall_mud::{Direction, Packet};
use landfall_nft::{Interface, KernelError, told};
use landfall_policy::Value as Known;
use landfall_types::{DeviceId, Event, Fault, Outcome, Process, Refusal, Time};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

const TABLE: Table = Table("landfall-denied");
/// The group to which its rules tell.
const GROUP: u16 = 8521;
/// The set whose one element counts the changes.
const GENERATION: &str = "generation";
/// The sets of addresses, of both versions of IP.
const LISTED: [&str; 2] = ["listed-4", "listed-6"];
/// So many addresses and prefixes the kernel is given; it takes seconds for so many.
const MOST: usize = 250_000;
/// And so many at once.
const PART: usize = 10_000;
/// The same thing within that time is not told of again.
const SAME: Duration = Duration::from_secs(60);
/// So many things are remembered for that, and so many are kept for an authorizer that is away.
const REMEMBERED: usize = 4096;
/// So much is told of one device and one list.
const TOLD: usize = 64;
/// How soon what could not be done is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is watched for, and what was seen.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    /// What the kernel has, if it has taken anything.
    loaded: Option<BTreeSet<(IpAddr, u8)>>,
    /// Until when nobody's contact is missed; nothing if it could be.
    watched: Option<Time>,
    generation: u32,
    /// What was told lately.
    recent: BTreeMap<(DeviceId, String), Time>,
    /// What could not be told yet.
    untold: VecDeque<Seen>,
}

/// Something that is on a list, and which device spoke with it.
#[derive(Clone, Debug)]
struct Seen {
    device: DeviceId,
    list: String,
    what: String,
    at: Time,
}

impl Enforcer {
    /// Watches for whatever comes to be on deny lists, for as long as it is polled.
    pub(super) async fn follow_denied(&self) {
        let mut lists = self.world.denied.follow();
        let mut wait = self.check;
        loop {
            tokio::select! {
                changed = lists.changed() => if changed.is_err() { return std::future::pending().await },
                () = tokio::time::sleep(wait) => {}
            }
            lists.mark_unchanged();
            wait = match self.watch_for_denied().await {
                Ok(()) => self.check,
                Err(why) => {
                    tracing::error!(role = "enforcer", %why, "not everything on deny lists is watched for");
                    AGAIN
                }
            };
            self.tell_contacts(Vec::new()).await;
        }
    }

    /// Has the kernel watch for what is on deny lists now, and nothing else; returns when it does.
    ///
    /// # Errors
    /// If the kernel does not do it: then it watches for less, and no device is said to have been in contact with nothing.
    pub async fn watch_for_denied(&self) -> Result<(), KernelError> {
        let in_force: Arc<InForce> = self.world.denied.now();
        let mut contacts = self.contacts.lock().await;
        let before = contacts.watched.take();
        let is_there = match contacts.loaded {
            None => false,
            Some(_) => self.denied_generation().await? == Some(u64::from(contacts.generation)),
        };
        if !is_there {
            contacts.loaded = None;
            self.kernel.apply(&frame(&self.ports().await, contacts.generation)).await?;
            contacts.loaded = Some(BTreeSet::new());
        }
        let loaded = contacts.loaded.clone().unwrap_or_default();
        let wanted: BTreeSet<(IpAddr, u8)> = in_force.prefixes.iter().take(MOST).copied().collect();
        // What goes goes first: what comes may hold it.
        for (verb, changes) in [("delete", loaded.difference(&wanted)), ("add", wanted.difference(&loaded))] {
            let changes: Vec<&(IpAddr, u8)> = changes.collect();
            for part in changes.chunks(PART) {
                let next = contacts.generation.wrapping_add(1);
                let mut commands = elements(verb, part);
                commands.extend(counted(contacts.generation, next));
                if let Err(why) = self.kernel.apply(&commands).await {
                    // What it has now is not known.
                    contacts.loaded = None;
                    return Err(why);
                }
                contacts.generation = next;
            }
        }
        contacts.loaded = Some(wanted);
        if in_force.prefixes.len() > MOST {
            let why = format!(
                "{} addresses and prefixes are on deny lists, and the first {MOST} are watched for",
                in_force.prefixes.len()
            );
            return Err(KernelError::Unable { program: "nft", why });
        }
        contacts.watched = in_force.watched;
        let is_news = contacts.watched != before;
        drop(contacts);
        if is_news {
            self.stirred.notify_one();
        }
        Ok(())
    }

    /// Until when a device that was seen in contact with nothing was in contact with nothing.
    pub(super) async fn watched(&self) -> Option<Time> {
        let now = self.world.clock.now();
        self.contacts.lock().await.watched.filter(|until| now < *until)
    }

    /// Listens to what the kernel tells of it, for as long as it is polled.
    pub(super) async fn hear_contacts(&self) {
        let ear = self.kernel.told(GROUP).inspect_err(|why| {
            tracing::error!(role = "enforcer", %why, "the kernel does not tell who speaks with what is on deny lists; it drops it all the same");
        });
        let Ok(mut ear) = ear else { return };
        let mut numbers = super::violation::Numbers::default();
        while let Some(packets) = ear.next().await {
            let mut seen = Vec::new();
            for packet in packets {
                let Some(number) = packet.came else { continue };
                if let Some(port) = numbers.port(&self.kernel, number).await {
                    seen.extend(self.spoke(&port, &packet).await);
                }
            }
            self.tell_contacts(seen).await;
        }
    }

    /// What the device behind a port spoke with.
    async fn spoke(&self, port: &Interface, told: &told::Packet) -> Option<Seen> {
        let packet = Packet::read(Direction::FromDevice, &told.frame)?;
        let ip = packet.ip?;
        let now = self.world.clock.now();
        let found = self.world.denied.now().lists.address(ip.destination, now)?;
        let mut what = ip.destination.to_string();
        what.push_str(&match ip.protocol {
            6 => " TCP".to_owned(),
            17 => " UDP".to_owned(),
            other => format!(" protocol {other}"),
        });
        if let Some((_, port)) = ip.ports {
            what.push_str(&format!(" port {port}"));
        }
        if found.entry.to_string() != ip.destination.to_string() {
            what.push_str(&format!(" (in {})", found.entry));
        }
        let device = self.state.lock().await.guests.get(port).map(|guest| guest.device.clone());
        if device.is_none() {
            tracing::warn!(role = "enforcer", %port, list = found.list, what, "somebody unknown spoke with what is on a deny list");
        }
        Some(Seen { device: device?, list: found.list, what, at: now })
    }

    /// Who has that interface has asked for a name; what is on a list if it is.
    pub(super) async fn asked_for(&self, mac: Mac, name: &str) -> Option<Contact> {
        let now = self.world.clock.now();
        let found = self.world.denied.now().lists.name(name, now)?;
        let device = {
            let state = self.state.lock().await;
            let port = state.wanted.occupants.iter().find(|(_, occupant)| occupant.mac == mac);
            port.and_then(|(port, _)| state.guests.get(port)).map(|guest| guest.device.clone())
        };
        if let Some(device) = device {
            let what = format!("{name} by name");
            self.tell_contacts(vec![Seen { device, list: found.list.clone(), what, at: now }]).await;
        }
        Some(found)
    }

    /// Tells the authorizer of these, and of what it could not be told before.
    async fn tell_contacts(&self, seen: Vec<Seen>) {
        let now = self.world.clock.now();
        let mut contacts = self.contacts.lock().await;
        let is_recent = |told: &Time| now < *told + SAME;
        contacts.recent.retain(|_, told| is_recent(told));
        let mut new: Vec<Seen> = Vec::new();
        for one in seen {
            let key = (one.device.clone(), format!("{} {}", one.list, one.what));
            if contacts.recent.len() < REMEMBERED && contacts.recent.insert(key, now).is_none() {
                new.push(one);
            }
        }
        let all: Vec<Seen> = contacts.untold.drain(..).chain(new.iter().cloned()).collect();
        if all.is_empty() {
            return;
        }
        let told = match self.world.authorizer.authorizer() {
            None => Err("the authorizer does not run".to_owned()),
            Some(authorizer) => {
                let remember = self.world.denied.now().remember;
                let mut facts: BTreeMap<(DeviceId, String), Fact> = BTreeMap::new();
                for one in &all {
                    let source = source_of(&one.list);
                    let fact = facts.entry((one.device.clone(), source.clone())).or_insert_with(|| {
                        let with = told_before(authorizer.view(&one.device), &source, now);
                        contact(&one.device, &source, with, one.at, one.at + remember)
                    });
                    (fact.at, fact.expires) = (one.at, Some(one.at + remember));
                    if let Known::List(with) = &mut fact.value
                        && !with.contains(&one.what)
                    {
                        with.push(one.what.clone());
                        let excess = with.len().saturating_sub(TOLD);
                        with.drain(..excess);
                    }
                }
                authorizer.assert(facts.into_values().collect()).await.map(drop).map_err(|why| why.to_string())
            }
        };
        if let Err(why) = told {
            tracing::error!(
                role = "enforcer",
                why,
                "who spoke with what is on deny lists could not be told, and is told again"
            );
            let excess = all.len().saturating_sub(REMEMBERED);
            contacts.untold.extend(all.into_iter().skip(excess));
        }
        drop(contacts);
        for one in new {
            self.record(one).await;
        }
    }

    async fn record(&self, seen: Seen) {
        let Seen { device, list, what, at } = seen;
        let detail = format!("it spoke with {what}, which is on the deny list {list}");
        metrics::counter!("landfall_enforcer_contacts_total", "list" => list).increment(1);
        let event = Event {
            at,
            process: Process::Verification,
            role: "enforcer",
            action: "deny-list-contact",
            device: device.to_string(),
            outcome: Outcome::Refused(Refusal::new(Fault::Denied, "deny-list", "SP 1800-36B G.1", detail)),
            duration: Duration::ZERO,
        };
        self.world.recorder.close(event).await;
    }

    /// The ports that are guarded.
    pub(super) async fn ports(&self) -> BTreeSet<Interface> {
        self.state.lock().await.wanted.ports.clone()
    }

    async fn denied_generation(&self) -> Result<Option<u64>, KernelError> {
        let listed = self.kernel.set(FAMILY, TABLE.0, GENERATION).await?.unwrap_or_default();
        Ok(listed.iter().find_map(|object| object.pointer("/set/elem/0")?.as_u64()))
    }
}

/// What is known already of a device and a list.
fn told_before(view: Option<crate::authorizer::View>, source: &str, now: Time) -> Vec<String> {
    let facts = view.iter().flat_map(|view| view.dossier.of(Kind::DenyListContact));
    let known = facts.filter(|fact| fact.source == source && fact.holds(now)).find_map(|fact| match &fact.value {
        Known::List(list) => Some(list.clone()),
        _ => None,
    });
    known.unwrap_or_default()
}

/// The table without addresses.
fn frame(ports: &BTreeSet<Interface>, generation: u32) -> Vec<Value> {
    let mut commands = TABLE.anew(ports, &["prerouting", "forward", "output"], -210);
    commands.extend([
        TABLE.add("set", json!({ "name": GENERATION, "type": "mark", "elem": [generation] })),
        TABLE.add("set", json!({ "name": LISTED[0], "type": "ipv4_addr", "flags": ["interval"] })),
        TABLE.add("set", json!({ "name": LISTED[1], "type": "ipv6_addr", "flags": ["interval"] })),
        TABLE.add("set", json!({ "name": "heard", "type": "ifname", "size": 65535 })),
        TABLE.add("chain", json!({ "name": "contact" })),
    ]);
    let dropped = || [json!({ "counter": null }), json!({ "drop": null })];
    for (protocol, set) in ["ip", "ip6"].into_iter().zip(LISTED) {
        let listed = |side: &str| is_in(&json!({ "payload": { "protocol": protocol, "field": side } }), set);
        let to_them = json!({ "goto": { "target": "contact" } });
        commands.push(TABLE.rule("prerouting", vec![guarded("iifname"), listed("daddr"), to_them]));
        for hook in ["forward", "output"] {
            let from_them = [guarded("oifname"), listed("saddr")];
            commands.push(TABLE.rule(hook, from_them.into_iter().chain(dropped()).collect()));
        }
    }
    commands.push(TABLE.rule("contact", vec![few("heard", 20, 40), log("contact", GROUP)]));
    commands.push(TABLE.rule("contact", dropped().into()));
    commands
}

fn elements(verb: &str, prefixes: &[&(IpAddr, u8)]) -> Vec<Value> {
    let of = |is_v4: bool| -> Vec<Value> {
        let fits = prefixes.iter().filter(|(address, _)| address.is_ipv4() == is_v4);
        fits.map(|(address, bits)| match (address, bits) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => json!(address),
            _ => json!({ "prefix": { "addr": address, "len": bits } }),
        })
        .collect()
    };
    let [four, six] = LISTED;
    let sets = [(four, of(true)), (six, of(false))].into_iter().filter(|(_, elements)| !elements.is_empty());
    sets.map(|(name, elements)| TABLE.element(verb, name, &elements)).collect()
}

fn counted(old: u32, new: u32) -> [Value; 2] {
    [TABLE.element("delete", GENERATION, &[json!(old)]), TABLE.element("add", GENERATION, &[json!(new)])]
}
