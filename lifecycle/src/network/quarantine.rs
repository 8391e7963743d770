//! Devices that are not trusted now, and may be again (SP 1800-36B 4.5).

use super::LOG;
use landfall_types::{Changes, DeviceId, Record, Time, record::Unwritable};
use serde::{Deserialize, Serialize};

/// A device is in quarantine: wherever it comes in, it is kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Quarantine {
    /// Which.
    pub device: DeviceId,
    /// Since when.
    pub at: Time,
    /// Who wants it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// What the log says of it.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    at: Time,
    device: &'a DeviceId,
    event: &'static str,
    by: &'a str,
    why: &'a str,
}

impl Quarantine {
    /// What goes to the log when it begins.
    pub fn begun(&self) -> Result<Changes, Unwritable> {
        let Self { device, at, by, why } = self;
        Changes::new().append(LOG, &Entry { at: *at, device, event: "quarantined", by, why })
    }

    /// What goes to the log when it ends.
    pub fn ended(&self, at: Time, by: &str, why: &str) -> Result<Changes, Unwritable> {
        Changes::new().append(LOG, &Entry { at, device: &self.device, event: "released", by, why })
    }
}

impl Record for Quarantine {
    const COLLECTION: &'static str = "quarantine";

    fn key(&self) -> String {
        self.device.to_string()
    }
}
