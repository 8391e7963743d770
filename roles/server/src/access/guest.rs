//! Devices that somebody else owns (SP 1800-36B 4.2, note): they come in with their manufacturer's certificate if the owner of
//! this network has permitted it, into a place of their own.

use super::{
    Access,
    judge::{Known, denied, unreadable},
    session::{Session, Shown},
};
use landfall_brski::{ChannelBinding, TlsPeer};
use landfall_eap::radius::Place;
use landfall_lifecycle::{
    device::State,
    network::{DomainDevice, GuestPermit},
};
use landfall_pki::Certificate;
use landfall_types::{Changes, DeviceId, Refusal, Time};
use std::sync::Arc;

impl Access {
    /// The device with that certificate of its manufacturer, as a guest; nothing if nobody has permitted it.
    pub(super) fn guest(&self, chain: &[Certificate]) -> Option<Result<Known, Refusal>> {
        let now = self.world.clock.now();
        let peer = TlsPeer { chain: chain.to_vec(), binding: ChannelBinding::default() };
        let pledge = self.vendors.as_ref()?.identify(Some(&peer), now).ok()?;
        let permit = GuestPermit::key_of(&pledge.vendor.id, &pledge.serial);
        let found = self.world.store.find::<GuestPermit>(&permit);
        if matches!(found, Ok(None)) {
            return None;
        }
        let known = |(place, until): (Place, Time)| Known {
            ends: if pledge.vendor.ignore_idevid_expiry { until } else { until.min(pledge.idevid.not_after()) },
            device: pledge.device.clone(),
            name: pledge.serial.to_string(),
            by: Shown::Guest(permit.clone()),
            read: None,
            place,
        };
        Some(self.guest_place(&permit, &pledge.device).map(known))
    }

    /// Where a guest is to be, and until when it is permitted.
    pub(super) fn guest_place(&self, permit: &str, device: &DeviceId) -> Result<(Place, Time), Refusal> {
        let (store, now) = (&self.world.store, self.world.clock.now());
        let found = store.find::<GuestPermit>(permit).map_err(|why| unreadable(&why))?;
        let Some(found) = found.filter(|found| found.is_good(now)) else {
            let detail = format!("{permit} is not permitted to be a guest any more");
            return Err(denied("access-guest", "SP 1800-36B 4.2", detail));
        };
        // Who was thrown out of this domain does not come back as a guest.
        let own = store.find::<DomainDevice>(device.as_str()).map_err(|why| unreadable(&why))?;
        if own.is_some_and(|own| own.state == State::Revoked) {
            return Err(denied("access-state", "SP 1800-36B 4.5", format!("{permit} was thrown out of this domain")));
        }
        match self.places.of_guests() {
            Some(place) => Ok((place, found.until)),
            None => {
                let detail = "there is no place for guests (access.guest)".into();
                Err(denied("access-guest", "SP 1800-36B 4.2", detail))
            }
        }
    }

    /// The permission says which device came by it.
    pub(super) async fn was_guest(&self, known: &Known) {
        let Shown::Guest(permit) = &known.by else { return };
        let Ok(Some(found)) = self.world.store.find::<GuestPermit>(permit) else { return };
        let seen = Some((known.device.clone(), self.world.clock.now()));
        let changes = Changes::new().put_if(&GuestPermit { seen, ..found.record }, found.version);
        let written = match changes {
            Ok(changes) => self.world.store.commit(changes).await.map(drop).map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        if let Err(why) = written {
            tracing::warn!(role = "access", permit, why, "that a guest came could not be written");
        }
    }

    /// Sees to it that a guest is where it is to be, or out.
    pub(super) async fn review_guest(self: &Arc<Self>, permit: &str) {
        match Session::of_guest(&self.world.store, permit) {
            Ok(sessions) => {
                for session in sessions {
                    self.settle(session).await;
                }
            }
            Err(why) => tracing::error!(role = "access", permit, %why, "where a guest is inside cannot be read"),
        }
    }
}
