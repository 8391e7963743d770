//! Devices that somebody else owns, and that the owner of this network lets in (SP 1800-36B 4.2, note).

use super::{LOG, Revocation};
use landfall_types::{Changes, DeviceId, Record, SerialNumber, Time, VendorId, record::Unwritable};
use serde::{Deserialize, Serialize};

/// The owner of this network permits a device that it does not own to be in it, with its manufacturer's certificate. The
/// record stays when the permission has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GuestPermit {
    /// Its manufacturer, as the operator names it.
    pub vendor: VendorId,
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// Since when.
    pub at: Time,
    /// Who decided it.
    pub by: String,
    /// Why.
    pub why: String,
    /// Until when.
    pub until: Time,
    /// Which device came with that certificate, and when last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<(DeviceId, Time)>,
    /// When and why it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Revocation>,
}

/// What the log says of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Entry<'a> {
    at: Time,
    /// [`GuestPermit::key_of`].
    guest: String,
    event: &'static str,
    by: &'a str,
    why: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
}

impl GuestPermit {
    /// The key of the permission of that device.
    pub fn key_of(vendor: &VendorId, serial_number: &SerialNumber) -> String {
        format!("{vendor}/{serial_number}")
    }

    /// Whether the device may be inside at `now`.
    pub fn is_good(&self, now: Time) -> bool {
        self.ended.is_none() && now < self.until
    }

    /// It begins.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn begun(&self) -> Result<Changes, Unwritable> {
        let Self { at, by, why, until, .. } = self;
        let (guest, until) = (self.key(), Some(*until));
        let entry = Entry { at: *at, guest, event: "guest-permitted", by, why, until };
        Changes::new().put(self)?.append(LOG, &entry)
    }

    /// It is taken back.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn ended(mut self, end: Revocation) -> Result<Changes, Unwritable> {
        self.ended = Some(end.clone());
        let Revocation { at, by, why } = &end;
        let entry = Entry { at: *at, guest: self.key(), event: "guest-ended", by, why, until: None };
        Changes::new().put(&self)?.append(LOG, &entry)
    }
}

impl Record for GuestPermit {
    const COLLECTION: &'static str = "guest-permit";

    fn key(&self) -> String {
        Self::key_of(&self.vendor, &self.serial_number)
    }
}
