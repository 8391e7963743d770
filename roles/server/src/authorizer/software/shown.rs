//! What devices themselves say that they consist of.
//!
//! Whoever is asked what is wrong with him is not the one to say that nothing is. So a device's own account stands beside what its
//! owner or its manufacturer says, never in its place, and of two accounts the worse counts. Where there is no other, it counts
//! against the device alone, unless the owner says otherwise (`devices-alone`).

use super::{Authorizer, Held, SECTION, Software, Sources, published::PublishedRecord, record::SbomRecord};
use crate::authorizer::{about::About, backend};
use landfall_assurance::{Fact, Kind};
use landfall_lifecycle::{device::State, network::DomainDevice};
use landfall_policy::Value;
use landfall_types::{Changes, DeviceId, Fault, Refusal};

/// So many are kept.
pub(super) const MOST: usize = 4096;
pub(super) const SOURCES: Sources = Sources {
    whose: "device",
    list: "SBOM that the device itself shows",
    feeds: "vulnerability feeds, of the SBOM that the device itself shows",
};

/// What counts of two accounts: what is exploited by either, and otherwise what both can tell, of which the dossier takes the worse.
/// What only one of them can tell is not known.
pub(super) fn beside(others: Vec<Fact>, own: Vec<Fact>, alone: bool) -> Vec<Fact> {
    let is_against = |fact: &Fact| {
        fact.kind == Kind::KnownExploited && matches!(&fact.value, Value::List(names) if !names.is_empty())
    };
    if own.is_empty() {
        return others;
    }
    if others.is_empty() {
        return own.into_iter().filter(|fact| alone || is_against(fact)).collect();
    }
    let told = |facts: &[Fact]| facts.iter().map(|fact| fact.kind).collect::<Vec<_>>();
    let (by_others, by_own) = (told(&others), told(&own));
    let counts = |fact: &Fact| is_against(fact) || (by_others.contains(&fact.kind) && by_own.contains(&fact.kind));
    others.into_iter().chain(own).filter(counts).collect()
}

impl Software {
    /// What a device says itself of the release that it runs. What it said of another says nothing of this one.
    pub(super) fn shown_by(&self, about: &About) -> Option<&Held> {
        let held = self.lists.get(&id(&about.device))?;
        (held.record.firmware == about.firmware).then_some(held)
    }
}

impl Authorizer {
    /// Takes in what a device says that it consists of, which came along with its evidence; what follows is durable and in effect
    /// when this resolves.
    ///
    /// # Errors
    /// If the device is not inside, the list cannot be read or written, or there are too many.
    pub(crate) async fn take_shown(&self, device: &DeviceId, document: &[u8]) -> Result<(), Refusal> {
        let _turn = self.bringing.lock().await;
        if !self.is_enrolled(device)? {
            let why = "the device that shows it is not inside";
            return Err(Refusal::new(Fault::Denied, "sbom-outside", SECTION, why));
        }
        let firmware = self.about(device).and_then(|about| about.firmware);
        let by = "shown by the device with its evidence".to_owned();
        let (record, held) = self.examine(super::Scope::Shown(device.clone()), firmware, document, by)?;
        let changes = Changes::new().put(&record).map_err(backend)?;
        self.world.store.commit(changes).await.map_err(backend)?;
        self.software_mut().lists.insert(record.id, held);
        self.retell(|about| about.device == *device).await.map(drop)
    }

    /// Forgets what a device has said of itself, if it is not inside any more: it may be another's when it comes again.
    pub(crate) async fn forget_shown(&self, device: &DeviceId) -> Result<(), Refusal> {
        let id = id(device);
        let is_held = || {
            let software = self.software();
            software.lists.contains_key(&id) || software.published.find(&id).is_some()
        };
        if !is_held() {
            return Ok(());
        }
        let _turn = self.bringing.lock().await;
        if self.is_enrolled(device)? {
            return Ok(());
        }
        let changes = Changes::new().delete::<SbomRecord>(&id).delete::<PublishedRecord>(&id);
        self.world.store.commit(changes).await.map_err(backend)?;
        {
            let mut software = self.software_mut();
            software.lists.remove(&id);
            software.published.drop(&id);
        }
        self.retell(|about| about.device == *device).await.map(drop)
    }

    fn is_enrolled(&self, device: &DeviceId) -> Result<bool, Refusal> {
        let found = self.world.store.find::<DomainDevice>(device.as_str()).map_err(backend)?;
        Ok(found.is_some_and(|found| matches!(found.record.state, State::Enrolled | State::Connected)))
    }
}

fn id(device: &DeviceId) -> String {
    SbomRecord::id(&super::Scope::Shown(device.clone()), None)
}
