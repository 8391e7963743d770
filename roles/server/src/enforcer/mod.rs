//! The enforcer (SP 1800-36B 3.3.2, 4.3 step 8, 7.3): the parts of the network on this machine's bridges, and who is in them.
//!
//! One [`Picture`] says what is to be. [`plan`] makes rules of it, and the kernel takes them all or none. A device that access
//! lets in at a port of this machine is in its segment before the port is told; one that is put out is cut off with the next
//! frame. Everything is shut before anything is opened, and a port is shut while it is moved from one bridge to another.
//!
//! What a device's manufacturer says of it (RFC 8520) narrows what it may do in a segment of production, if the owner has the file.
//!
//! What the kernel has loaded is held against the picture again and again, and put right.

mod check;
mod claim;
mod collect;
mod contact;
mod flows;
mod guest;
mod hearing;
mod intent;
mod learnt;
mod line;
pub mod manager;
mod names;
mod order;
pub mod picture;
pub mod plan;
mod purpose;
mod source;
mod start;
mod table;
mod tell;
mod told;
mod tracked;
mod usage;
mod view;
mod violation;
mod whereabouts;

pub use collect::Collected;
pub use guest::{Guest, Plug};
pub use purpose::Purposes;
pub use start::Config;
pub(crate) use start::read;

use crate::{World, admin::view::ConnectionsView};
use landfall_lifecycle::network::DomainDevice;
use landfall_nft::{Change, Interface, Kernel, KernelError};
use landfall_types::{Changes, DeviceId, Fault, Refusal, Time};
use manager::{Manager, Word};
use picture::{Occupant, Picture};
use plan::Contents;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::sync::{Mutex, Notify, broadcast};
use told::{Told, ToldNames};

/// After the end of a session its authenticator has so long to ask again.
const GRACE: Duration = Duration::from_secs(30);

/// The enforcer as it runs.
#[derive(Debug)]
pub struct Enforcer {
    world: World,
    kernel: Kernel,
    /// Ports by the names that their authenticators have.
    names: BTreeMap<String, Interface>,
    purposes: Purposes,
    /// Fetches what manufacturers say, if the owner wants that.
    manager: Option<Arc<Manager>>,
    check: Duration,
    state: Mutex<State>,
    /// What is on deny lists, and who spoke with it.
    contacts: Mutex<contact::Contacts>,
    /// What devices begin, if somebody looks at that.
    flows: Option<Mutex<flows::Flows>>,
    /// What exporters of flows have sent.
    collected: std::sync::Mutex<BTreeMap<String, collect::Sent>>,
    /// What connection tracking has told, if it is listened to.
    connections: std::sync::Mutex<Option<ConnectionsView>>,
    /// What the authorizer was told.
    said: Mutex<tell::Said>,
    /// Told when somebody has come or gone, or another word counts.
    stirred: Notify,
    /// Whether the kernel has told of what it dropped since that was counted.
    heard: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// What is to be.
    wanted: Picture,
    /// What the kernel took last.
    loaded: Picture,
    generation: u32,
    /// The chains and sets as the kernel tells them, without who is where.
    frame: Vec<Value>,
    /// Who is behind which port.
    guests: BTreeMap<Interface, Guest>,
    /// What devices were told for names.
    told: Told,
    /// What was dropped.
    dropped: violation::Dropped,
    /// Ports whose link was taken down, since their rules could not be changed.
    down: BTreeSet<Interface>,
    checked: Option<Time>,
    repairs: u64,
}

impl Enforcer {
    /// Lets a device in where it is plugged, into the segment of that VLAN, until then: the segment's name, or nothing if it
    /// is not at a port of this machine.
    ///
    /// # Errors
    /// If there is no such segment, or the kernel does not do it: the device is not let in.
    pub async fn admit(
        &self,
        device: &DeviceId,
        plug: &Plug,
        vlan: Option<&str>,
        until: Time,
    ) -> Result<Option<String>, Refusal> {
        let Some(port) = self.port(plug) else { return Ok(None) };
        let mac = plug.mac.ok_or_else(|| {
            denied("segment-address", "RFC 3580 s3.21", "the authenticator does not say who is behind the port".into())
        })?;
        let mut state = self.state.lock().await;
        let segment = vlan.and_then(|vlan| state.wanted.by_vlan(vlan)).ok_or_else(|| {
            let vlan = vlan.unwrap_or("none");
            denied("segment", "SP 1800-36B 7.3", format!("no segment (enforcer.segment) has its place's VLAN, {vlan}"))
        })?;
        let name = state.wanted.segments.get(segment).map(|segment| segment.name.clone()).unwrap_or_default();
        let is_there = state.guests.get(port).is_some_and(|guest| guest.device == *device);
        let occupants = &state.wanted.occupants;
        let elsewhere = occupants.iter().find(|(other, occupant)| occupant.mac == mac && *other != port);
        if let Some((other, _)) = elsewhere {
            // Of two devices with one address nobody could say whose a frame is; one that was plugged in elsewhere is there now.
            if state.guests.get(other).is_none_or(|guest| guest.device != *device) {
                let detail = format!("{mac} is the address of another device, behind {other}");
                return Err(denied("segment-address", "SP 1800-36B 7.3", detail));
            }
            let other = other.clone();
            self.vacate(&mut state, &[other], "plugged in elsewhere").await;
        }
        let before = state.wanted.clone();
        let mut wanted = before.clone();
        let occupant = Occupant { mac, segment, intent: self.intent(&mut wanted, device)? };
        let before_it = wanted.occupants.insert(port.clone(), occupant);
        // Who only shows itself again keeps what it was told.
        if !is_there || before_it.map(|before| (before.mac, before.intent)) != Some((mac, occupant.intent)) {
            state.told.forget(port);
            self.purposes.tell(&mut wanted, port);
        }
        if !is_there {
            state.dropped.begin(port);
        }
        if let Err(why) = self.settle(&mut state, wanted).await {
            // Whoever was there may still be; what is half done is undone by the next check.
            state.wanted = before;
            return Err(unable(&why));
        }
        if before_it.is_some_and(|before| before.mac != mac) {
            self.release(&state, std::slice::from_ref(port)).await;
        }
        let now = self.world.clock.now();
        let guest = Guest {
            device: device.clone(),
            port: port.to_string(),
            mac: mac.to_string(),
            segment: name.clone(),
            session: plug.session.clone(),
            since: now,
            until: until + GRACE,
        };
        self.remember(&mut state, port, Some(guest)).await;
        Ok(Some(name))
    }

    /// Puts a device out wherever it is on this machine; true if it was anywhere.
    pub async fn put_out(&self, device: &DeviceId) -> bool {
        let mut state = self.state.lock().await;
        let ports = state.ports_of(|guest| guest.device == *device);
        self.vacate(&mut state, &ports, "put out").await;
        !ports.is_empty()
    }

    /// Moves a device into the segment of that VLAN, wherever it is on this machine; true if it was anywhere. If it cannot be
    /// moved there it is put out.
    pub async fn relocate(&self, device: &DeviceId, vlan: Option<&str>) -> bool {
        let mut state = self.state.lock().await;
        let ports = state.ports_of(|guest| guest.device == *device);
        let Some(segment) = vlan.and_then(|vlan| state.wanted.by_vlan(vlan)) else {
            self.vacate(&mut state, &ports, "no segment").await;
            return !ports.is_empty();
        };
        let name = state.wanted.segments.get(segment).map(|segment| segment.name.clone()).unwrap_or_default();
        let mut wanted = state.wanted.clone();
        for port in &ports {
            wanted.occupants.entry(port.clone()).and_modify(|occupant| occupant.segment = segment);
        }
        if let Err(why) = self.settle(&mut state, wanted).await {
            tracing::error!(role = "enforcer", %device, %why, "a device could not be moved, and is put out");
            self.vacate(&mut state, &ports, "could not be moved").await;
            return !ports.is_empty();
        }
        for port in &ports {
            let guest = state.guests.get(port).map(|guest| Guest { segment: name.clone(), ..guest.clone() });
            self.remember(&mut state, port, guest).await;
        }
        !ports.is_empty()
    }

    /// A session is over, as its authenticator says (RFC 2866 s5.1).
    pub async fn left(&self, plug: &Plug) {
        let Some(port) = self.port(plug) else { return };
        let mut state = self.state.lock().await;
        // The end of a session of before is no end of this one.
        let is_it = |guest: &Guest| {
            let same = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
            guest.port == port.as_str()
                && same(&guest.session, &plug.session)
                && plug.mac.is_none_or(|mac| guest.mac == mac.to_string())
        };
        let ports = state.ports_of(is_it);
        self.vacate(&mut state, &ports, "left").await;
    }

    /// What a device's manufacturer says of it, by its place in the picture: the owner's files come first.
    fn intent(&self, picture: &mut Picture, device: &DeviceId) -> Result<Option<usize>, Refusal> {
        let unread = |why: landfall_store::ReadError| {
            Refusal::new(Fault::Backend, "segment-records", "RFC 8520 s5", why.to_string())
        };
        let Some(device) = self.world.store.find::<DomainDevice>(device.as_str()).map_err(unread)? else {
            return Ok(None);
        };
        Ok(match (self.purposes.of(&device.record), self.word(&device.record)) {
            (Some(owners), _) => Some(owners),
            (None, Some(Word { policy: Some(policy), .. })) => Some(picture.intend(&policy, self.purposes.count())),
            (None, _) => None,
        })
    }

    /// What counts of what its manufacturer says, if the owner wants that fetched.
    pub fn word(&self, device: &DomainDevice) -> Option<Word> {
        self.manager.as_ref().map(|manager| manager.word(device))
    }

    /// Who fetches what manufacturers say, if the owner wants that.
    pub(crate) fn manager(&self) -> Option<Arc<Manager>> {
        self.manager.clone()
    }

    /// Looks again at what counts for everyone inside, and has the kernel do it: manufacturers' files have come, or devices have
    /// said something of themselves.
    pub async fn revise(&self) {
        let mut state = self.state.lock().await;
        let mut wanted = state.wanted.clone();
        let guests: Vec<(Interface, DeviceId)> =
            state.guests.iter().map(|(port, guest)| (port.clone(), guest.device.clone())).collect();
        for (port, device) in guests {
            // Whose record cannot be read now stays as it was.
            let Ok(intent) = self.intent(&mut wanted, &device) else { continue };
            let Some(occupant) = wanted.occupants.get_mut(&port) else { continue };
            if occupant.intent != intent {
                occupant.intent = intent;
                // What it was told for names that it may still ask for stays.
                let told = wanted.names.iter().filter(|((at, _), _)| *at == port);
                let told: Vec<_> = told.map(|(key, addresses)| (key.clone(), addresses.clone())).collect();
                self.purposes.tell(&mut wanted, &port);
                let policy = intent.and_then(|place| wanted.intents.get(place)).cloned();
                let may = |name: &str| policy.as_ref().is_some_and(|policy| policy.has_name(name));
                wanted.names.extend(told.into_iter().filter(|((_, name), _)| may(name)));
            }
        }
        wanted.forget_intents(self.purposes.count());
        if wanted == state.wanted {
            return;
        }
        if let Err(why) = self.settle(&mut state, wanted).await {
            tracing::error!(role = "enforcer", %why, "what manufacturers say could not be put in force, and is tried again");
        }
        self.stirred.notify_one();
    }

    /// Fetches what is wanted as soon as it is; for as long as it is polled.
    async fn follow(&self, mut joins: broadcast::Receiver<DeviceId>) {
        let Some(manager) = &self.manager else { return std::future::pending().await };
        loop {
            tokio::select! {
                () = manager.wanted() => {
                    if manager.refresh().await > 0 {
                        self.revise().await;
                    }
                }
                // Its file is there before it is let in for the first time, or at least on its way.
                Ok(device) = joins.recv() => {
                    if let Ok(Some(device)) = self.world.store.find::<DomainDevice>(device.as_str()) {
                        self.word(&device.record);
                    }
                }
            }
        }
    }

    /// Puts out whose time is over.
    pub async fn expire(&self) {
        let now = self.world.clock.now();
        let mut state = self.state.lock().await;
        let ports = state.ports_of(|guest| guest.until <= now);
        self.vacate(&mut state, &ports, "did not show itself again").await;
        self.close(&mut state, now).await;
    }

    fn port(&self, plug: &Plug) -> Option<&Interface> {
        plug.names.iter().find_map(|name| self.names.get(name))
    }

    /// Takes whoever is behind these ports out of the picture, and cuts them off whatever it takes.
    async fn vacate(&self, state: &mut State, ports: &[Interface], why: &'static str) {
        if ports.is_empty() {
            return;
        }
        let mut wanted = state.wanted.clone();
        wanted.occupants.retain(|port, _| !ports.contains(port));
        wanted.names.retain(|(port, _), _| !ports.contains(port));
        ports.iter().for_each(|port| state.told.forget(port));
        if let Err(trouble) = self.settle(state, wanted).await {
            // Rules that cannot be changed let through who was inside: then the link goes.
            tracing::error!(role = "enforcer", why = %trouble, "rules could not be changed: the ports' links are taken down");
            let links: Vec<Change> = ports.iter().cloned().map(Change::Down).collect();
            match self.kernel.change(&links).await {
                Ok(()) => state.down.extend(ports.iter().cloned()),
                Err(why) => tracing::error!(role = "enforcer", %why, "nor could the links"),
            }
        }
        self.release(state, ports).await;
        for port in ports {
            if let Some(guest) = state.guests.get(port) {
                tracing::info!(role = "enforcer", device = %guest.device, %port, why, "a device is out");
            }
            self.remember(state, port, None).await;
        }
    }

    /// Has the kernel do what `wanted` says: what closes first, then the moves, then what opens.
    async fn settle(&self, state: &mut State, wanted: Picture) -> Result<(), KernelError> {
        let moved = wanted.ports.iter().filter(|port| wanted.seat_of(port) != state.loaded.seat_of(port));
        let moved: BTreeSet<Interface> = moved.cloned().collect();
        state.wanted = wanted.clone();
        let mut closed = wanted.clone();
        closed.shut.extend(moved.iter().cloned());
        self.load(state, closed).await?;
        if moved.is_empty() {
            return Ok(());
        }
        self.place(&wanted, &moved).await?;
        self.load(state, wanted).await
    }

    /// Puts ports into the bridges where they belong.
    async fn place(&self, picture: &Picture, ports: &BTreeSet<Interface>) -> Result<(), KernelError> {
        let moves = ports.iter().filter_map(|port| {
            let seat = picture.seat_of(port)?;
            Some(Change::Port { port: port.clone(), seat })
        });
        self.kernel.change(&moves.collect::<Vec<_>>()).await
    }

    /// Has the kernel load what `picture` says of who is where.
    async fn load(&self, state: &mut State, picture: Picture) -> Result<(), KernelError> {
        if picture.intents != state.loaded.intents {
            // Chains come and go with their elements, all in one.
            return self.replace(state, picture).await;
        }
        let (before, after) = (Contents::of(&state.loaded), Contents::of(&picture));
        let next = state.generation.wrapping_add(1);
        let commands = plan::change(&before, &after, (state.generation, next));
        if !commands.is_empty() {
            self.told(self.kernel.apply(&commands).await)?;
            state.generation = next;
        }
        state.loaded = picture;
        Ok(())
    }

    fn told(&self, outcome: Result<(), KernelError>) -> Result<(), KernelError> {
        let word = if outcome.is_ok() { "done" } else { "failed" };
        metrics::counter!("landfall_enforcer_changes_total", "outcome" => word).increment(1);
        outcome
    }

    /// Who is behind the port from now on, in memory and in the store.
    async fn remember(&self, state: &mut State, port: &Interface, guest: Option<Guest>) {
        let changes = match &guest {
            Some(guest) => {
                let told = state.told.kept(port, &guest.device);
                Changes::new().put(guest).and_then(|changes| changes.put(&told)).map_err(|why| why.to_string())
            }
            None => Ok(Changes::new().delete::<Guest>(port.as_str()).delete::<ToldNames>(port.as_str())),
        };
        let written = match changes {
            Ok(changes) => self.world.store.commit(changes).await.map(drop).map_err(|why| why.to_string()),
            Err(why) => Err(why),
        };
        if let Err(why) = written {
            // After a restart it has to show itself anew, or is judged by its record and found wanting.
            tracing::error!(role = "enforcer", %port, why, "who is behind a port could not be written");
        }
        match guest {
            Some(guest) => state.guests.insert(port.clone(), guest),
            None => state.guests.remove(port),
        };
        state.count();
        self.stirred.notify_one();
    }
}

impl State {
    fn ports_of(&self, wanted: impl Fn(&Guest) -> bool) -> Vec<Interface> {
        self.guests.iter().filter(|(_, guest)| wanted(guest)).map(|(port, _)| port.clone()).collect()
    }

    fn count(&self) {
        for segment in &self.wanted.segments {
            let inside = self.guests.values().filter(|guest| guest.segment == segment.name).count();
            let gauge = metrics::gauge!("landfall_enforcer_devices", "segment" => segment.name.clone());
            gauge.set(f64::from(u32::try_from(inside).unwrap_or(u32::MAX)));
        }
    }
}

fn denied(check: &'static str, section: &'static str, detail: String) -> Refusal {
    Refusal::new(Fault::Denied, check, section, detail)
}

fn unable(why: &KernelError) -> Refusal {
    Refusal::new(Fault::Backend, "segment-rules", "SP 1800-36B 7.3", why.to_string())
}
