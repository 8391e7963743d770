//! What the MASA keeps of each voucher that it issued, to answer again and to judge later claims.

use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::{masa::PastVoucher, voucher::Format};
use landfall_lifecycle::transfer::Ownership;
use landfall_store::{ReadError, Snapshot};
use landfall_types::{DeviceId, Record};
use serde::{Deserialize, Serialize};

/// A voucher that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedVoucher {
    /// The device.
    pub device: DeviceId,
    /// Which voucher of this device it was; the first has 1.
    pub number: u64,
    /// What later claims and the audit log need to know of it.
    pub past: PastVoucher,
    /// Its form.
    pub format: Format,
    /// Its bytes, in base64.
    pub voucher: String,
}

impl IssuedVoucher {
    /// The most that are looked at for one device.
    const MOST: usize = 1000;

    pub(super) fn new(device: DeviceId, number: u64, past: PastVoucher, format: Format, voucher: &[u8]) -> Self {
        Self { device, number, past, format, voucher: STANDARD.encode(voucher) }
    }

    /// Every voucher issued for the device of `ownership`, which counts them, the latest first.
    pub fn of(store: &Snapshot<'_>, ownership: &Ownership) -> Result<Vec<Self>, ReadError> {
        let numbers = (1..=ownership.vouchers).rev().take(Self::MOST);
        let found = numbers.map(|number| store.find::<Self>(&key(&ownership.device, number)));
        found.filter_map(|found| Some(found.transpose()?.map(|found| found.record))).collect()
    }

    /// Its bytes.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.voucher).ok()
    }
}

impl Record for IssuedVoucher {
    const COLLECTION: &'static str = "masa-voucher";

    fn key(&self) -> String {
        key(&self.device, self.number)
    }
}

fn key(device: &DeviceId, number: u64) -> String {
    format!("{device}/{number:010}")
}
