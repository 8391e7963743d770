//! What follows about a device from what is kept here of software and of what others assert, told as facts.
//!
//! It follows again whenever something of it changes: in the same commit in which a device's type, firmware or key becomes
//! known, and before an operator is answered who brought something.

use super::{Authorizer, desk::Desk, gate};
use landfall_assurance::{Dossier, Fact, Kind};
use landfall_policy::Value;
use landfall_types::{DeviceId, Fingerprint, Refusal, Time};
use std::collections::BTreeSet;
use tokio::sync::oneshot;

/// So many devices are looked at before others get a turn.
const PART: usize = 500;
/// Who verifies what is asserted.
pub(super) const CREDENTIALS: &str = "credentials";
/// Who verifies what software a device runs, and what is wrong with it.
pub(super) const SOFTWARE: &str = "software assessment";

/// What a device is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) device: DeviceId,
    /// Manufacturer and model.
    pub(super) device_type: Option<String>,
    pub(super) firmware: Option<String>,
    /// The SHA-256 of the key that it was born with.
    pub(super) key: Option<Fingerprint>,
}

impl About {
    pub(super) fn of(dossier: &Dossier) -> Self {
        let newest = |kind| {
            // What is asserted of its type is held against what is known of it otherwise.
            let its = dossier.of(kind).filter(|fact| fact.verifier != CREDENTIALS).max_by_key(|fact| fact.at)?;
            match &its.value {
                Value::Text(text) => Some(text.clone()),
                _ => None,
            }
        };
        let key =
            dossier.of(Kind::IdentityProven).filter(|fact| fact.value == true.into()).find_map(|fact| fact.issuer);
        Self {
            device: dossier.device.clone(),
            device_type: newest(Kind::DeviceType),
            firmware: newest(Kind::Firmware),
            key,
        }
    }

    /// Its manufacturer, as the operator names it.
    pub(super) fn vendor(&self) -> Option<&str> {
        self.device_type.as_deref()?.split('/').next()
    }

    /// A fact about it.
    pub(super) fn fact(&self, kind: Kind, value: impl Into<Value>, source: &str, verifier: &str, at: Time) -> Fact {
        Fact {
            subject: self.device.clone(),
            kind,
            value: value.into(),
            source: source.to_owned(),
            issuer: None,
            at,
            expires: None,
            verifier: verifier.to_owned(),
        }
    }
}

/// The devices of which something is told by which they are found.
pub(super) fn grounds(facts: &[Fact]) -> BTreeSet<DeviceId> {
    let is_ground = |fact: &&Fact| matches!(fact.kind, Kind::DeviceType | Kind::Firmware | Kind::IdentityProven);
    facts.iter().filter(is_ground).map(|fact| fact.subject.clone()).collect()
}

impl Authorizer {
    /// Tells again what follows about these devices.
    pub(super) fn follow(&self, desk: &mut Desk, devices: &BTreeSet<DeviceId>, now: Time) {
        for device in devices {
            if let Some(about) = desk.dossier(device).map(About::of) {
                self.derive(desk, &about, now);
            }
            // Nobody has to listen.
            let _ = self.world.grounds.send(device.clone());
        }
    }

    /// The same for all devices that `affects` is true of; resolves when that is durable and in effect. How many they were.
    pub(super) async fn retell(&self, affects: impl Fn(&About) -> bool + Send) -> Result<usize, Refusal> {
        let devices: Vec<DeviceId> = self.desk().devices().cloned().collect();
        let mut count = 0;
        for part in devices.chunks(PART) {
            {
                let (mut desk, now) = (self.desk(), self.world.clock.now());
                for device in part {
                    let about = desk.dossier(device).map(About::of).filter(&affects);
                    if let Some(about) = about {
                        self.derive(&mut desk, &about, now);
                        count += 1;
                    }
                }
            }
            self.wake.notify_one();
            tokio::task::yield_now().await;
        }
        self.settled().await?;
        Ok(count)
    }

    /// The same for one device.
    pub(super) async fn retell_one(&self, device: &DeviceId) -> Result<(), Refusal> {
        {
            let (mut desk, now) = (self.desk(), self.world.clock.now());
            if let Some(about) = desk.dossier(device).map(About::of) {
                self.derive(&mut desk, &about, now);
            }
        }
        self.settled().await
    }

    /// Until what was told is durable and in effect.
    async fn settled(&self) -> Result<(), Refusal> {
        let (done, decided) = oneshot::channel();
        self.desk().wait(done);
        self.wake.notify_one();
        decided.await.map_err(|_| gate::away())?
    }

    pub(super) fn derive_all(&self) {
        let (mut desk, now) = (self.desk(), self.world.clock.now());
        let devices: Vec<DeviceId> = desk.devices().cloned().collect();
        for device in devices {
            if let Some(about) = desk.dossier(&device).map(About::of) {
                self.derive(&mut desk, &about, now);
            }
        }
    }

    fn derive(&self, desk: &mut Desk, about: &About, now: Time) {
        desk.replace(&about.device, SOFTWARE, self.software().facts(about, now), now);
        desk.replace(&about.device, CREDENTIALS, self.credentials().facts(about, now), now);
    }
}
