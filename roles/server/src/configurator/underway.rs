//! Which devices are being configured: several access points hear one device, and only one of them is answered.

use landfall_types::DeviceId;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long after its configuration a device is not answered: announcements that were on their way are late ones.
const SETTLING: Duration = Duration::from_secs(5);
/// How many that are through are remembered before they are looked through.
const MANY: usize = 4096;

/// Who is at it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Underway(Arc<Mutex<HashMap<DeviceId, Stage>>>);

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// By whom it came.
    Now(SocketAddr),
    Through(Instant),
}

/// A device's place, which it has until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    underway: Underway,
    device: DeviceId,
    through: bool,
}

impl Underway {
    /// A place for the device, unless it is at it already; or, if it was merely announced, has just been configured.
    pub(super) fn enter(&self, device: &DeviceId, from: SocketAddr, announced: bool) -> Option<Place> {
        let mut stages = self.lock();
        match stages.get(device) {
            Some(Stage::Now(by)) => {
                tracing::debug!(%device, %by, %from, "a device is being configured by another access point");
                return None;
            }
            Some(Stage::Through(at)) if announced && at.elapsed() < SETTLING => return None,
            Some(Stage::Through(_)) | None => {}
        }
        if stages.len() >= MANY {
            stages.retain(|_, stage| !matches!(stage, Stage::Through(at) if at.elapsed() >= SETTLING));
        }
        stages.insert(device.clone(), Stage::Now(from));
        Some(Place { underway: self.clone(), device: device.clone(), through: false })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Stage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The device has its configuration.
    pub(super) fn through(mut self) {
        self.through = true;
    }
}

impl Drop for Place {
    /// Without a configuration, the next access point that hears the device is answered at once.
    fn drop(&mut self) {
        let mut stages = self.underway.lock();
        match self.through {
            true => stages.insert(self.device.clone(), Stage::Through(Instant::now())),
            false => stages.remove(&self.device),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_access_point_at_a_time_and_another_if_it_fails() {
        let (underway, device) = (Underway::default(), "home.dpp.1".parse().unwrap());
        let from = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let first = underway.enter(&device, from(1), true).unwrap();
        assert!(underway.enter(&device, from(2), true).is_none());
        assert!(underway.enter(&"home.dpp.2".parse().unwrap(), from(2), true).is_some());
        drop(first);
        let second = underway.enter(&device, from(2), true).unwrap();
        second.through();
        assert!(underway.enter(&device, from(1), true).is_none(), "late announcements are not answered");
        assert!(underway.enter(&device, from(1), false).is_some(), "a device that begins itself is not late");
    }
}
