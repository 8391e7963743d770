//! What happens to a device's record in the course of an exchange: steps made in memory, written in one commit.

use landfall_lifecycle::{
    device::{DeviceEvent, Effect, Step, step},
    network::{DomainDevice, Identity},
};
use landfall_store::{ReadError, Store};
use landfall_types::{Changes, DeviceId, Refusal, Time, record::Version};

/// A device's record, and what is to be written about it.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    /// The record as it would be after the steps.
    pub(crate) device: DomainDevice,
    version: Option<Version>,
    changes: Changes,
}

impl Tracked {
    /// The record of a device that is known.
    pub(crate) fn find(store: &Store, id: &DeviceId) -> Result<Option<Self>, ReadError> {
        let found = store.find::<DomainDevice>(id.as_str())?;
        Ok(found.map(|found| Self { device: found.record, version: Some(found.version), changes: Changes::new() }))
    }

    /// The record of a device that shows itself, new if it is not known.
    pub(crate) fn find_or_new(store: &Store, identity: Identity, now: Time) -> Result<Self, ReadError> {
        let found = Self::find(store, &identity.device)?;
        Ok(found.unwrap_or_else(|| Self {
            device: DomainDevice::seen(identity, now),
            version: None,
            changes: Changes::new(),
        }))
    }

    /// Takes one step; what must be done besides is for the caller.
    pub(crate) fn step(&mut self, event: DeviceEvent, now: Time) -> Result<Vec<Effect>, Refusal> {
        let step: Step = step(&self.device, event, now)?;
        let changes = step.changes(self.version).map_err(|why| {
            Refusal::new(landfall_types::Fault::Backend, "device-record", "landfall", why.to_string())
        })?;
        self.changes = std::mem::take(&mut self.changes).and(changes);
        // Each write within the commit counts the version up by one.
        self.version = Some(Version(self.version.map_or(1, |version| version.0 + 1)));
        self.device = step.device;
        for effect in &step.effects {
            if let Effect::Alert(what) = effect {
                tracing::warn!(device = %self.device.identity.serial_number, what, "alert");
            }
        }
        Ok(step.effects)
    }

    /// What is to be written, to be committed with whatever belongs to it.
    pub(crate) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }
}
