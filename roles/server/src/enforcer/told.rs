//! What a device was told for a name: in the kernel before the device hears of it, and there for as long as it may use it.

use super::{
    Enforcer, State, intent,
    picture::Mac,
    plan::{self, TABLE},
};
use crate::settings::SegmentKind;
use landfall_mud::{Class, Policy};
use landfall_nft::{Interface, KernelError};
use landfall_types::Time;
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
        for address in addresses {
            let lease = state.told.0.entry((port.clone(), name.to_owned(), *address));
            let lease = lease.or_insert(Lease { told: now, until, packets: 0 });
            (lease.told, lease.until) = (now, lease.until.max(until));
        }
        Ok(())
    }

    /// Takes away what is over, unless it is in use.
    pub(super) async fn close(&self, state: &mut State, now: Time) {
        let due: Vec<_> =
            state.told.0.iter().filter(|(_, lease)| lease.until <= now).map(|(key, _)| key.clone()).collect();
        if due.is_empty() {
            return;
        }
        let set_of = |key: &(Interface, String, IpAddr)| intent::set_of(&state.loaded, &key.1, key.2);
        let sets: BTreeSet<String> = due.iter().filter_map(set_of).collect();
        let mut seen = BTreeMap::new();
        for set in sets {
            // What cannot be counted counts as not in use.
            let listed = self.kernel.set("bridge", TABLE, &set).await.ok().flatten().unwrap_or_default();
            seen.insert(set, plan::counts(&listed));
        }
        let mut wanted = state.wanted.clone();
        let mut over = Vec::new();
        for key in due {
            let set = set_of(&key);
            let counts = set.and_then(|set| seen.get(&set)?.get(&vec![key.0.to_string(), key.2.to_string()]).copied());
            let Some(lease) = state.told.0.get_mut(&key) else { continue };
            let is_in_use = counts.is_some_and(|packets| packets > 0 && packets != lease.packets);
            if is_in_use && now < lease.told + LONGEST {
                (lease.until, lease.packets) = (now + IN_USE, counts.unwrap_or_default());
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
            return;
        }
        match self.settle(state, wanted).await {
            Ok(()) => state.told.0.retain(|key, _| !over.contains(key)),
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
