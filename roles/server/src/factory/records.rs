//! The manufacturer's database as a whole: bringing its records to a MASA elsewhere, and striking devices off.

use super::{Factory, FactoryError};
use landfall_lifecycle::factory::{FactoryDevice, FactoryEvent, LOG, Void};
use landfall_store::Store;
use landfall_types::{Changes, Record, SerialNumber};
use std::io::{BufRead, Write};

/// How many records are read or written at once.
const PAGE: usize = 500;

impl Factory {
    /// Strikes a device off: its MASA will not serve it any more.
    pub fn void(&self, serial: &SerialNumber, why: &str) -> Result<FactoryDevice, FactoryError> {
        let missing =
            || FactoryError::refused("device-known", "NIST SP 1800-36B s4.1", format!("there is no device {serial}"));
        let stored = self.store.find::<FactoryDevice>(serial.as_str())?.ok_or_else(missing)?;
        let at = self.now();
        let device = FactoryDevice { void: Some(Void { at, why: why.into() }), ..stored.record };
        let event = FactoryEvent::Voided { serial_number: serial.clone(), why: why.into(), at };
        self.store.commit_blocking(Changes::new().put_if(&device, stored.version)?.append(LOG, &event)?)?;
        Ok(device)
    }

    /// Writes the record of every device to `out`, one JSON object a line; no private key is in it. Says how many.
    pub fn export(&self, out: &mut dyn Write) -> Result<u64, FactoryError> {
        let failed = |why: std::io::Error| FactoryError::File { path: "the export".into(), why: why.to_string() };
        let (mut after, mut count) = (None, 0);
        loop {
            let page = self.store.scan::<FactoryDevice>(after.as_deref(), PAGE)?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(last.key());
            for device in &page {
                serde_json::to_writer(&mut *out, &device.record).map_err(|e| failed(e.into()))?;
                out.write_all(b"\n").map_err(failed)?;
                count += 1;
            }
        }
    }
}

/// Brings records written by [`Factory::export`] into `store`, a MASA's. Says how many were new; those that are there
/// already are left out, and one that differs from what is there is an error, unless it only became void.
pub fn import(store: &Store, input: &mut dyn BufRead) -> Result<u64, FactoryError> {
    let (mut changes, mut pending, mut new) = (Changes::new(), 0, 0);
    for (number, line) in (1..).zip(input.lines()) {
        let failed = |why: String| FactoryError::Import { line: number, why };
        let device: FactoryDevice =
            serde_json::from_str(&line.map_err(|e| failed(e.to_string()))?).map_err(|e| failed(e.to_string()))?;
        match store.find::<FactoryDevice>(&device.key())? {
            Some(known) if known.record == device => continue,
            Some(known) if (FactoryDevice { void: device.void.clone(), ..known.record.clone() }) == device => {
                changes = changes.put_if(&device, known.version)?;
            }
            Some(_) => return Err(failed(format!("{} is known with another content", device.serial_number))),
            None => {
                changes = changes.insert(&device)?;
                new += 1;
            }
        }
        pending += 1;
        if pending == PAGE {
            store.commit_blocking(std::mem::take(&mut changes))?;
            pending = 0;
        }
    }
    store.commit_blocking(changes)?;
    Ok(new)
}
