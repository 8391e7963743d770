//! What happens to a device's record in the course of an exchange: steps made in memory, written in one commit.

use landfall_lifecycle::{
    device::{DeviceEvent, Effect, Step, step},
    network::{DomainDevice, Identity},
};
use landfall_store::{ReadError, Snapshot, Store};
use landfall_types::{
    Changes, DeviceId, Fault, Refusal, Time,
    record::{Unwritable, Version},
};

/// A device's record, and what is to be written about it.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    /// The record as it would be after the steps.
    pub(crate) device: DomainDevice,
    /// The one that was read; none if the device is new.
    version: Option<Version>,
    /// What the log says of the steps, in order.
    entries: Changes,
}

impl Tracked {
    /// The record of a device that is known.
    pub(crate) fn find(store: &Snapshot<'_>, id: &DeviceId) -> Result<Option<Self>, ReadError> {
        let found = store.find::<DomainDevice>(id.as_str())?;
        Ok(found.map(|found| Self { device: found.record, version: Some(found.version), entries: Changes::new() }))
    }

    /// The record of a device that shows itself, new if it is not known.
    pub(crate) fn find_or_new(store: &Store, identity: Identity, now: Time) -> Result<Self, ReadError> {
        let found = store.snapshot(|store| Self::find(store, &identity.device))?;
        Ok(found.unwrap_or_else(|| Self {
            device: DomainDevice::seen(identity, now),
            version: None,
            entries: Changes::new(),
        }))
    }

    /// Takes one step; what must be done besides is for the caller.
    pub(crate) fn step(&mut self, event: DeviceEvent, now: Time) -> Result<Vec<Effect>, Refusal> {
        let step: Step = step(&self.device, event, now)?;
        let entry = step.entry().map_err(unwritable)?;
        self.entries = std::mem::take(&mut self.entries).and(entry);
        self.device = step.device;
        for effect in &step.effects {
            if let Effect::Alert(what) = effect {
                tracing::warn!(device = %self.device.identity.serial_number, what, "alert");
            }
        }
        Ok(step.effects)
    }

    /// What is to be written, to be committed with whatever belongs to it: the record as it is after all steps, if there
    /// were any. The commit fails if somebody else has written the record since it was read.
    pub(crate) fn take_changes(&mut self) -> Result<Changes, Refusal> {
        let entries = std::mem::take(&mut self.entries);
        if entries.is_empty() {
            return Ok(entries);
        }
        let record = match self.version {
            Some(version) => Changes::new().put_if(&self.device, version),
            None => Changes::new().insert(&self.device),
        };
        Ok(record.map_err(unwritable)?.and(entries))
    }
}

fn unwritable(why: Unwritable) -> Refusal {
    Refusal::new(Fault::Backend, "device-record", "landfall", why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_lifecycle::network::Birth;
    use landfall_policy::{Decision, Verdict};
    use landfall_types::Fingerprint;

    fn identity() -> Identity {
        let serial_number = "A-1".parse().unwrap();
        Identity {
            device: DeviceId::new(&[1; 20], &serial_number),
            serial_number,
            vendor: Some("acme".parse().unwrap()),
            model: None,
            birth: Birth::IDevId { idevid: Fingerprint([1; 32]), birth_key: None, hardware_backed: false },
        }
    }

    fn asks(tracked: &mut Tracked, times: usize) {
        for _ in 0..times {
            let decision = Decision::because(Verdict::Permit, "test", "");
            tracked.step(DeviceEvent::Asked { decision }, Time::from_unix(1)).unwrap();
        }
    }

    #[tokio::test]
    async fn steps_of_one_commit_stand_on_one_version() {
        let store = Store::memory();
        for known in [false, true] {
            let mut first = Tracked::find_or_new(&store, identity(), Time::from_unix(1)).unwrap();
            let mut second = Tracked::find_or_new(&store, identity(), Time::from_unix(1)).unwrap();
            assert_eq!(first.version.is_some(), known);
            asks(&mut first, 3);
            asks(&mut second, 2);
            store.commit(first.take_changes().unwrap()).await.unwrap();
            store.commit(second.take_changes().unwrap()).await.unwrap_err();
        }
    }
}
