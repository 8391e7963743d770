//! What devices themselves say that they consist of.
//!
//! Whoever is asked what is wrong with him is not the one to say that nothing is. So a device's own account stands beside what its
//! owner or its manufacturer says, never in its place, and of two accounts the worse counts. Where there is no other, it counts
//! against the device alone, unless the owner says otherwise (`devices-alone`).

use super::{
    Authorizer, Held, SECTION, Software, Sources,
    published::PublishedRecord,
    record::{SbomRecord, digest},
};
use crate::authorizer::{about::About, backend};
use landfall_assurance::{Fact, Kind};
use landfall_lifecycle::{device::State, network::DomainDevice};
use landfall_policy::Value;
use landfall_types::{Changes, DeviceId, Fault, Refusal, Time};

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
    // When the other account has ended, this one stands alone.
    let ends = others.iter().find(|fact| fact.kind == Kind::SbomKnown).and_then(|fact| fact.expires);
    let own = own.into_iter().map(|fact| match alone || is_against(&fact) {
        true => fact,
        false => Fact { expires: [fact.expires, ends].into_iter().flatten().min(), ..fact },
    });
    let own: Vec<Fact> = own.collect();
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

    /// Whether a device has said the same of the same release so lately that it need not be written again.
    fn has_just_heard(&self, device: &DeviceId, firmware: Option<&str>, document: &[u8], now: Time) -> bool {
        self.lists.get(&id(device)).is_some_and(|Held { record, .. }| {
            record.firmware.as_deref() == firmware
                && now.since(record.at) < self.devices.max_age / 8
                && record.hash == digest(document)
        })
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
        if self.software().has_just_heard(device, firmware.as_deref(), document, self.world.clock.now()) {
            return Ok(());
        }
        let by = "shown by the device with its evidence".to_owned();
        let (record, held) = self.examine(super::Scope::Shown(device.clone()), firmware, document, by)?;
        let changes = Changes::new().put(&record).map_err(backend)?;
        self.world.store.commit(changes).await.map_err(backend)?;
        self.software_mut().lists.insert(record.id, held);
        self.retell_one(device).await
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
        self.retell_one(device).await
    }

    fn is_enrolled(&self, device: &DeviceId) -> Result<bool, Refusal> {
        let found = self.world.store.find::<DomainDevice>(device.as_str()).map_err(backend)?;
        Ok(found.is_some_and(|found| matches!(found.record.state, State::Enrolled | State::Connected)))
    }
}

fn id(device: &DeviceId) -> String {
    SbomRecord::id(&super::Scope::Shown(device.clone()), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(kind: Kind, value: impl Into<Value>, source: &str, expires: Option<i64>) -> Fact {
        Fact {
            subject: "07.D-1".parse().unwrap(),
            kind,
            value: value.into(),
            source: source.into(),
            issuer: None,
            at: Time::from_unix(100),
            expires: expires.map(Time::from_unix),
            verifier: "test".into(),
        }
    }

    fn account(source: &str, score: Option<i64>, expires: Option<i64>) -> Vec<Fact> {
        let score = score.map(|score| fact(Kind::VulnerabilityScore, score, source, expires));
        std::iter::once(fact(Kind::SbomKnown, true, source, expires)).chain(score).collect()
    }

    fn scores(facts: &[Fact]) -> Vec<(&str, Option<Time>)> {
        let scores = facts.iter().filter(|fact| fact.kind == Kind::VulnerabilityScore);
        scores.map(|fact| (fact.source.as_str(), fact.expires)).collect()
    }

    #[test]
    fn what_only_one_account_can_tell_is_not_known() {
        for (others, own) in [(Some(10), None), (None, Some(10))] {
            assert_eq!(scores(&beside(account("others", others, None), account("own", own, None), false)), []);
        }
    }

    #[test]
    fn a_devices_own_account_does_not_outlive_the_other() {
        let both = |alone| beside(account("others", Some(10), Some(200)), account("own", Some(20), Some(300)), alone);
        let (early, late) = (Some(Time::from_unix(200)), Some(Time::from_unix(300)));
        assert_eq!(scores(&both(false)), [("others", early), ("own", early)]);
        assert_eq!(scores(&both(true)), [("others", early), ("own", late)]);
    }

    #[test]
    fn alone_it_counts_against_the_device_unless_its_owner_says_otherwise() {
        let exploited = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            vec![fact(Kind::KnownExploited, names, "own", None)]
        };
        assert_eq!(beside(Vec::new(), account("own", Some(0), None), false), []);
        assert_eq!(beside(Vec::new(), account("own", Some(0), None), true).len(), 2);
        assert_eq!(beside(Vec::new(), exploited(&[]), false), []);
        assert_eq!(beside(Vec::new(), exploited(&["CVE-2021-25900"]), false).len(), 1);
    }
}
