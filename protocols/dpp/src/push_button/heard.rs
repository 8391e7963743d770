//! Whose buttons were pushed lately, as far as a configurator has heard.

use landfall_types::{Fingerprint, Time};
use std::time::Duration;

/// A third device changes nothing about there being more than one.
const MOST: usize = 2;

/// The last devices that announced themselves, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Vec<(Fingerprint, Time)>);

impl Heard {
    /// Notes an announcement. Whether another device announced itself within `memory` too.
    pub(super) fn overlaps(&mut self, now: Time, memory: Duration, device: Fingerprint) -> bool {
        self.0.retain(|(known, at)| *known != device && *at + memory > now);
        let overlaps = !self.0.is_empty();
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push((device, now));
        overlaps
    }

    /// That device is done: the next one is not in its way.
    pub(super) fn forget(&mut self, device: &Fingerprint) {
        self.0.retain(|(known, _)| known != device);
    }
}
