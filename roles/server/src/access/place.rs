//! Where a device is to be (SP 1800-36B 7.3; S4.C4, S4.C6).

use super::{Access, judge::unreadable, session::told};
use crate::settings::PlaceSettings;
use landfall_assurance::Level;
use landfall_eap::radius::Place;
use landfall_lifecycle::network::{DomainDevice, Identity, Quarantine};
use landfall_types::{DeviceId, Fault, Refusal};

const SECTION: &str = "SP 1800-36B 4.5";

/// Places, of which the first that fits a device is its.
#[derive(Clone, Debug, Default)]
pub struct Places {
    usual: Vec<PlaceSettings>,
    quarantine: Option<PlaceSettings>,
    remediation: Option<PlaceSettings>,
    guests: Option<PlaceSettings>,
}

impl Places {
    /// Those of the settings, in their order.
    pub fn of(places: &[PlaceSettings]) -> Self {
        Self { usual: places.to_vec(), ..Self::default() }
    }

    /// The same with a place for devices in quarantine.
    #[must_use]
    pub fn with_quarantine(self, quarantine: Option<PlaceSettings>) -> Self {
        Self { quarantine, ..self }
    }

    /// The same with a place for devices that are to be mended.
    #[must_use]
    pub fn with_remediation(self, remediation: Option<PlaceSettings>) -> Self {
        Self { remediation, ..self }
    }

    /// The same with a place for devices that somebody else owns.
    #[must_use]
    pub fn with_guests(self, guests: Option<PlaceSettings>) -> Self {
        Self { guests, ..self }
    }

    /// The place of devices that somebody else owns, if they have one.
    pub(super) fn of_guests(&self) -> Option<Place> {
        self.guests.as_ref().map(told)
    }

    fn quarantined(&self, why: &str) -> Result<Place, Refusal> {
        self.quarantine.as_ref().map(told).ok_or_else(|| {
            let detail = format!("it is in quarantine ({why}), for which there is no place (access.quarantine)");
            Refusal::new(Fault::Denied, "access-quarantine", SECTION, detail)
        })
    }

    /// The place of that device; nowhere in particular if none fits.
    fn of_device(&self, device: &Identity) -> Place {
        let fits = |place: &&PlaceSettings| {
            let made_by = |vendor| place.manufacturers.contains(vendor);
            let is = |model| place.models.contains(model);
            (place.manufacturers.is_empty() || device.vendor.as_ref().is_some_and(made_by))
                && (place.models.is_empty() || device.model.as_ref().is_some_and(is))
        };
        self.usual.iter().find(fits).map_or_else(Place::default, told)
    }
}

impl Access {
    /// Where a device is to be now.
    pub(super) fn place(&self, device: &Identity) -> Result<Place, Refusal> {
        let level = self.level(&device.device)?;
        let found = self.world.store.find::<Quarantine>(device.device.as_str()).map_err(|why| unreadable(&why))?;
        self.place_of(device, found.as_ref().map(|found| &found.record), level)
    }

    /// What the policy lets a device be, if it is asked.
    pub(super) fn level(&self, device: &DeviceId) -> Result<Option<(Level, String)>, Refusal> {
        self.world.authorizer.level(&self.world.store, device, self.world.clock.now())
    }

    /// Where a device of that level is to be, that an operator has put into that quarantine.
    pub(super) fn place_of(
        &self,
        device: &Identity,
        quarantine: Option<&Quarantine>,
        level: Option<(Level, String)>,
    ) -> Result<Place, Refusal> {
        if let Some((Level::Blocked, why)) = level {
            return Err(Refusal::new(Fault::Denied, "access-blocked", SECTION, format!("blocked by policy: {why}")));
        }
        // An operator's word and that of the policy: the worse counts.
        if let Some(quarantine) = quarantine {
            return self.places.quarantined(&quarantine.why);
        }
        match level {
            Some((Level::Quarantine, why)) => self.places.quarantined(&why),
            Some((Level::Remediation, why)) => match &self.places.remediation {
                Some(place) => Ok(told(place)),
                None => self.places.quarantined(&why),
            },
            _ => Ok(self.places.of_device(device)),
        }
    }

    /// Has a device be where it is to be now: moved at once at the ports of this machine, and moved or put out elsewhere, so
    /// that it comes in again to where it belongs.
    pub async fn place_anew(self: &std::sync::Arc<Self>, device: &DeviceId) {
        let found = self.world.store.find::<DomainDevice>(device.as_str()).ok().flatten();
        let place = found.and_then(|found| self.place(&found.record.identity).ok());
        if let Some(enforcer) = &self.enforcer {
            // Rules first: they act with the next frame.
            enforcer.relocate(device, place.and_then(|place| place.vlan).as_deref()).await;
        }
        self.review(device).await;
    }
}
