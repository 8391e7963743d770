//! The factory line: several stations on one database, serial numbers that were agreed on, and what was rejected.

use super::{Factory, FactoryError};
use landfall_lifecycle::factory::{Batch, BatchId, FactoryDevice, Method, REJECTS_LOG, Reject, SerialRange, Station};
use landfall_types::{Changes, Record};
use std::path::Path;

impl Factory {
    /// The same factory, at the station of that name.
    #[must_use]
    pub fn at_station(mut self, station: Station) -> Self {
        self.station = Some(station);
        self
    }

    /// The same factory, with the manifests of its batches in that folder rather than in `manifests` beside the bundles.
    #[must_use]
    pub fn with_manifests(mut self, folder: &Path) -> Self {
        self.manifests.folder = folder.into();
        self
    }

    /// Refuses serial numbers that a station has already, or that a device has.
    pub(super) fn unused(&self, range: &SerialRange) -> Result<(), FactoryError> {
        let refused = |detail| FactoryError::refused("serial-range-unused", "NIST SP 1800-36B s4.1", detail);
        let mut after: Option<String> = None;
        loop {
            let page = self.store.scan::<Batch>(after.as_deref(), super::records::PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.key());
            if let Some(other) = page.iter().find(|batch| batch.range.overlaps(range)) {
                let station = other.station.as_ref().map(|station| format!(" of station {station}"));
                let detail = format!(
                    "the batch {}{} has {} serial numbers from {} on",
                    other.id,
                    station.unwrap_or_default(),
                    other.range.count,
                    other.range.scheme.serial(other.range.first)?
                );
                return Err(refused(detail));
            }
        }
        // Devices that were certified one by one are in no batch.
        self.devices_in(range, &mut |device| {
            Err(refused(format!("there is a device {} already", device.serial_number)))
        })
    }

    /// Hands every device with a serial number of the range to `take`.
    pub(super) fn devices_in(
        &self,
        range: &SerialRange,
        take: &mut dyn FnMut(&FactoryDevice) -> Result<(), FactoryError>,
    ) -> Result<(), FactoryError> {
        let end = range.first.saturating_add(range.count);
        let last = range.scheme.serial(end.saturating_sub(1))?;
        // Keys are in the order of the counters, since all of one prefix have as many digits.
        let mut after = range.scheme.serial(range.first)?.as_str().to_owned();
        after.pop();
        loop {
            let most =
                usize::try_from(range.count).map_or(super::records::PAGE, |count| count.min(super::records::PAGE));
            let page = self.store.scan::<FactoryDevice>(Some(&after), most)?;
            let Some(behind) = page.last() else { return Ok(()) };
            after = behind.key();
            let within =
                |serial| range.scheme.counter(serial).is_ok_and(|counter| (range.first..end).contains(&counter));
            page.iter().filter(|device| within(&device.serial_number)).try_for_each(|device| take(device))?;
            if after.as_str() >= last.as_str() {
                return Ok(());
            }
        }
    }

    /// Passes `result` on. If the device was refused, that is recorded with the reason.
    pub(super) fn rejecting<T>(
        &self,
        result: Result<T, FactoryError>,
        method: Method,
        batch: Option<&BatchId>,
        device: impl FnOnce() -> String,
    ) -> Result<T, FactoryError> {
        if let Some((check, reason)) = result.as_ref().err().and_then(FactoryError::rejection) {
            self.reject([self.rejected(method, batch, device(), check, reason)])?;
        }
        result
    }

    pub(super) fn rejected(
        &self,
        method: Method,
        batch: Option<&BatchId>,
        device: String,
        check: String,
        reason: String,
    ) -> Reject {
        let station = self.station.clone();
        Reject { device, method, station, batch: batch.cloned(), check, reason, at: self.now() }
    }

    pub(super) fn reject(&self, rejects: impl IntoIterator<Item = Reject>) -> Result<(), FactoryError> {
        let changes =
            rejects.into_iter().try_fold(Changes::new(), |changes, reject| changes.append(REJECTS_LOG, &reject))?;
        self.store.commit_blocking(changes)?;
        Ok(())
    }
}
