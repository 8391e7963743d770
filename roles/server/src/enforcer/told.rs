//! What a device was told for a name: in the kernel before the device hears of it, and there for as long as it may use it.

use super::{
    Enforcer, State, intent,
    picture::Mac,
    plan::{self, TABLE},
};
use crate::settings::SegmentKind;
use landfall_mud::{Class, Policy};
use landfall_nft::{Interface, KernelError};
use landfall_types::{Changes, DeviceId, Record, Time};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

/// No name of a device has more addresses than this; the oldest go.
const MOST: usize = 64;
/// Nothing is taken away earlier, however short its life: devices keep what they were told for a little longer than they should.
const LEAST: Duration = Duration::from_secs(60);
/// After its life it may take the device so long to begin what it asked for.
const GRACE: Duration = Duration::from_secs(30);
/// A connection lives longer than the answer that it began with: an address in use stays for so long after its last packets were
/// seen.
const IN_USE: Duration = Duration::from_secs(1800);
/// But nothing stays for longer than this after it was last told.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The addresses that were told, by port and name.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<(Interface, String, IpAddr), Lease>);

#[derive(Clone, Copy, Debug)]
struct Lease {
    told: Time,
    until: Time,
    packets: u64,
}

/// What the device behind a port was told, as it is kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ToldNames {
    /// Behind which port.
    pub port: String,
    /// Which device: another one there has not been told.
    pub device: DeviceId,
    /// The addresses of names.
    pub names: Vec<ToldName>,
}

/// An address that a device was told for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ToldName {
    /// The name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// When it was last told.
    pub told: Time,
    /// Until when it may be used, unless it is in use then.
    pub until: Time,
}

impl Record for ToldNames {
    const COLLECTION: &'static str = "segment-told-names";

    fn key(&self) -> String {
        self.port.clone()
    }
}

/// Who asks for a name.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    /// A device whose manufacturer says what it is for.
    Meant(Interface, Arc<Policy>),
    /// A device at work, of which nobody says anything.
    Free,
    /// A device that is not at work.
    Confined,
    /// Nobody who is known, or one of several.
    Nobody,
}

impl Told {
    /// Forgets what the device behind a port was told.
    pub(super) fn forget(&mut self, port: &Interface) {
        self.0.retain(|(at, ..), _| at != port);
    }

    /// What is kept of it for the device behind a port.
    pub(super) fn kept(&self, port: &Interface, device: &DeviceId) -> ToldNames {
        let here = self.0.iter().filter(|((at, ..), _)| at == port);
        let names = here.map(|((_, name, address), lease)| ToldName {
            name: name.clone(),
            address: *address,
            told: lease.told,
            until: lease.until,
        });
        ToldNames { port: port.to_string(), device: device.clone(), names: names.collect() }
    }
}

impl State {
    /// What the device behind a port was told before a restart, as far as it may still ask for it and its time is not over.
    pub(super) fn recall(&mut self, port: &Interface, kept: ToldNames, now: Time) {
        let Some(policy) = self.wanted.policy_of(port).cloned() else { return };
        for ToldName { name, address, told, until } in kept.names {
            if now < until && policy.has_name(&name) {
                self.wanted.names.entry((port.clone(), name.clone())).or_default().insert(address);
                self.told.0.insert((port.clone(), name, address), Lease { told, until, packets: 0 });
            }
        }
    }
}

impl Enforcer {
    /// Who has that interface.
    pub(super) async fn asker(&self, mac: Mac) -> Asker {
        let state = self.state.lock().await;
        let picture = &state.wanted;
        let mut with = picture.occupants.iter().filter(|(_, occupant)| occupant.mac == mac);
        let (Some((port, _)), None) = (with.next(), with.next()) else { return Asker::Nobody };
        match picture.segment_of(port).map(|segment| segment.kind) {
            Some(SegmentKind::Production) => {
                let policy = picture.intent_of(port).and_then(|number| picture.intents.get(number));
                policy.map_or(Asker::Free, |policy| Asker::Meant(port.clone(), policy.clone()))
            }
            _ => Asker::Confined,
        }
    }

    /// Lets the device behind a port reach these addresses for that name, for as long as the answer lives. Returns when the kernel has
    /// it.
    ///
    /// # Errors
    /// If the kernel does not take it: then the device must not hear of them.
    pub(super) async fn open(
        &self,
        port: &Interface,
        name: &str,
        addresses: &[IpAddr],
        seconds: u32,
    ) -> Result<(), KernelError> {
        let mut state = self.state.lock().await;
        let state = &mut *state;
        let class = Class::Name(name.to_owned());
        // It may have left while the resolver was asked.
        if !state.wanted.policy_of(port).is_some_and(|policy| policy.classes().contains(&&class)) {
            return Ok(());
        }
        let now = self.world.clock.now();
        let until = now + LEAST.max(Duration::from_secs(seconds.into())) + GRACE;
        let addresses = addresses.get(..MOST).unwrap_or(addresses);
        let key = (port.clone(), name.to_owned());
        let before = state.wanted.clone();
        let names = before.names.get(&key);
        if addresses.iter().any(|address| names.is_none_or(|names| !names.contains(address))) {
            let mut wanted = before.clone();
            let names = wanted.names.entry(key).or_default();
            names.extend(addresses.iter().copied());
            state.told.make_room(port, name, names, addresses);
            if let Err(why) = self.settle(state, wanted).await {
                state.wanted = before;
                return Err(why);
            }
        }
        let mut is_news = false;
        for address in addresses {
            let lease = state.told.0.entry((port.clone(), name.to_owned(), *address));
            let lease = lease.or_insert(Lease { told: now, until: now, packets: 0 });
            is_news |= lease.until + LEAST <= until;
            (lease.told, lease.until) = (now, lease.until.max(until));
        }
        if is_news {
            self.keep(state, [port]).await;
        }
        Ok(())
    }

    /// Writes down what the devices behind these ports were told.
    async fn keep(&self, state: &State, ports: impl IntoIterator<Item = &Interface>) {
        let mut changes = Ok(Changes::new());
        for port in ports {
            let Some(guest) = state.guests.get(port) else { continue };
            changes = changes.and_then(|changes: Changes| changes.put(&state.told.kept(port, &guest.device)));
        }
        let written = match changes {
            Ok(changes) => self.world.store.commit(changes).await.map(drop).map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        if let Err(why) = written {
            // After a restart it has to ask again.
            tracing::warn!(role = "enforcer", why, "what a device was told could not be written");
        }
    }

    /// Takes away what is over, unless it is in use.
    pub(super) async fn close(&self, state: &mut State, now: Time) {
        let due: Vec<_> =
            state.told.0.iter().filter(|(_, lease)| lease.until <= now).map(|(key, _)| key.clone()).collect();
        if due.is_empty() {
            return;
        }
        let sets_of = |key: &(Interface, String, IpAddr)| intent::sets_of(&state.loaded, &key.1, &key.2);
        let sets: BTreeSet<String> = due.iter().flat_map(sets_of).collect();
        let mut seen = BTreeMap::new();
        for set in sets {
            // What cannot be counted counts as not in use.
            let listed = self.kernel.set("bridge", TABLE, &set).await.ok().flatten().unwrap_or_default();
            seen.insert(set, plan::counts(&listed));
        }
        let mut wanted = state.wanted.clone();
        let (mut over, mut changed) = (Vec::new(), BTreeSet::new());
        for key in due {
            let element = vec![key.0.to_string(), key.2.to_string()];
            let counts = sets_of(&key).iter().filter_map(|set| seen.get(set)?.get(&element)).sum::<u64>();
            let Some(lease) = state.told.0.get_mut(&key) else { continue };
            let is_in_use = counts > 0 && counts != lease.packets;
            if is_in_use && now < lease.told + LONGEST {
                (lease.until, lease.packets) = (now + IN_USE, counts);
                changed.insert(key.0);
                continue;
            }
            let name = (key.0.clone(), key.1.clone());
            if let Some(addresses) = wanted.names.get_mut(&name) {
                addresses.remove(&key.2);
                if addresses.is_empty() {
                    wanted.names.remove(&name);
                }
            }
            over.push(key);
        }
        if over.is_empty() {
            return self.keep(state, &changed).await;
        }
        match self.settle(state, wanted).await {
            Ok(()) => {
                state.told.0.retain(|key, _| !over.contains(key));
                changed.extend(over.into_iter().map(|(port, ..)| port));
                self.keep(state, &changed).await;
            }
            // What stays is taken away by the next check, or in a moment again.
            Err(why) => tracing::error!(role = "enforcer", %why, "addresses of names could not be taken away"),
        }
    }
}

impl Told {
    /// Forgets the oldest addresses of a name, until there are not too many.
    fn make_room(&mut self, port: &Interface, name: &str, names: &mut BTreeSet<IpAddr>, new: &[IpAddr]) {
        while names.len() > MOST {
            let age = |address: &IpAddr| self.0.get(&(port.clone(), name.to_owned(), *address)).map(|lease| lease.told);
            // Those without an age are the owner's, and stay.
            let old = names.iter().filter(|address| !new.contains(address)).filter_map(|one| Some((age(one)?, *one)));
            let Some((_, oldest)) = old.min() else { return };
            names.remove(&oldest);
            self.0.remove(&(port.clone(), name.to_owned(), oldest));
        }
    }
}
