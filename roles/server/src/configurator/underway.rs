//! Which devices are being configured: several access points hear one device, and only one of them is answered.
//!
//! hostapd as a relay opens a connection for every announcement, and passes what the device says to the latest one. So what
//! comes by another connection of the access point that is being answered is handed to the exchange under way.

use landfall_dpp::frame::Frame;
use landfall_types::DeviceId;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// How many frames may wait for an exchange that is at something else; devices send one and wait for its answer.
const WAITING: usize = 8;
/// How long after its configuration a device is not answered: announcements that were on their way are late ones.
const SETTLING: Duration = Duration::from_secs(5);
/// How many that are through are remembered before they are looked through.
const MANY: usize = 4096;

/// Who is at it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Underway(Arc<Mutex<HashMap<DeviceId, Stage>>>);

#[derive(Clone, Debug)]
enum Stage {
    /// By whom it came, and what takes frames that come by other connections.
    Now(SocketAddr, mpsc::Sender<Frame>),
    Through(Instant),
}

/// Whether a device can be begun with.
#[derive(Debug)]
pub(super) enum Entry {
    /// It can.
    Free(Place),
    /// It is at it already by another connection from the same address: what takes frames for it.
    Here(mpsc::Sender<Frame>),
    /// Somebody else is at it, or it has just been configured.
    Taken,
}

/// A device's place, which it has until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    underway: Underway,
    device: DeviceId,
    through: bool,
    /// Frames of the device that came by other connections of the same access point.
    elsewhere: mpsc::Receiver<Frame>,
}

impl Underway {
    /// A place for the device, unless it is at it already; or, if it was merely announced, has just been configured.
    pub(super) fn enter(&self, device: &DeviceId, from: SocketAddr, announced: bool) -> Entry {
        let mut stages = self.lock();
        match stages.get(device) {
            Some(Stage::Now(by, frames)) if by.ip() == from.ip() => return Entry::Here(frames.clone()),
            Some(Stage::Now(by, _)) => {
                tracing::debug!(%device, %by, %from, "a device is being configured by another access point");
                return Entry::Taken;
            }
            Some(Stage::Through(at)) if announced && at.elapsed() < SETTLING => return Entry::Taken,
            Some(Stage::Through(_)) | None => {}
        }
        if stages.len() >= MANY {
            stages.retain(|_, stage| !matches!(stage, Stage::Through(at) if at.elapsed() >= SETTLING));
        }
        let (frames, elsewhere) = mpsc::channel(WAITING);
        stages.insert(device.clone(), Stage::Now(from, frames));
        Entry::Free(Place { underway: self.clone(), device: device.clone(), through: false, elsewhere })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Stage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The place, if it is free.
    pub(super) fn free(self) -> Option<Place> {
        match self {
            Self::Free(place) => Some(place),
            Self::Here(_) | Self::Taken => None,
        }
    }
}

impl Place {
    /// The next frame that came by another connection. If it is dropped before it is done, nothing is lost.
    pub(super) async fn elsewhere(&mut self) -> Frame {
        match self.elsewhere.recv().await {
            Some(frame) => frame,
            // Its other end is kept for as long as the place is taken.
            None => std::future::pending().await,
        }
    }

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
    use landfall_dpp::frame::{Action, FrameType};

    fn from(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], port))
    }

    #[test]
    fn one_access_point_at_a_time_and_another_if_it_fails() {
        let (underway, device) = (Underway::default(), "home.dpp.1".parse().unwrap());
        let first = underway.enter(&device, from(1, 1), true).free().unwrap();
        assert!(matches!(underway.enter(&device, from(2, 2), true), Entry::Taken));
        assert!(underway.enter(&"home.dpp.2".parse().unwrap(), from(2, 2), true).free().is_some());
        drop(first);
        let second = underway.enter(&device, from(2, 2), true).free().unwrap();
        second.through();
        assert!(
            matches!(underway.enter(&device, from(1, 1), true), Entry::Taken),
            "late announcements are not answered"
        );
        assert!(underway.enter(&device, from(1, 1), false).free().is_some(), "a device that begins itself is not late");
    }

    #[tokio::test]
    async fn what_comes_by_another_connection_of_the_access_point_is_heard() {
        let (underway, device) = (Underway::default(), "home.dpp.1".parse().unwrap());
        let mut place = underway.enter(&device, from(1, 1), true).free().unwrap();
        let Entry::Here(frames) = underway.enter(&device, from(1, 2), true) else { panic!("not here") };
        let announcement = Action { kind: FrameType::PresenceAnnouncement, attributes: Vec::new() };
        frames.try_send(announcement.into()).unwrap();
        assert!(matches!(place.elsewhere().await, Frame::Action(_)));
        drop(place);
        assert!(frames.is_closed(), "the exchange is over");
    }
}
