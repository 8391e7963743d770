//! Where a device is to be (SP 1800-36B 7.3; S4.C4).

use crate::settings::PlaceSettings;
use landfall_eap::radius::Place;
use landfall_lifecycle::network::Identity;

/// Places, of which the first that fits a device is its.
#[derive(Clone, Debug, Default)]
pub struct Places(Vec<PlaceSettings>);

impl Places {
    /// Those of the settings, in their order.
    pub fn of(places: &[PlaceSettings]) -> Self {
        Self(places.to_vec())
    }

    /// The place of that device; nowhere in particular if none fits.
    pub(super) fn of_device(&self, device: &Identity) -> Place {
        let fits = |place: &&PlaceSettings| {
            let made_by = |vendor| place.manufacturers.contains(vendor);
            let is = |model| place.models.contains(model);
            (place.manufacturers.is_empty() || device.vendor.as_ref().is_some_and(made_by))
                && (place.models.is_empty() || device.model.as_ref().is_some_and(is))
        };
        let Some(place) = self.0.iter().find(fits) else { return Place::default() };
        let seconds = |span: crate::settings::Span| u32::try_from(span.duration().as_secs()).unwrap_or(u32::MAX);
        Place {
            vlan: place.vlan.clone(),
            filter: place.filter.clone(),
            session_timeout: place.reauthenticate.map(seconds),
        }
    }
}
