//! The manufacturer's database as a whole: bringing its records to a MASA elsewhere, and striking devices off.

use super::{Factory, FactoryError, Which};
use landfall_lifecycle::factory::{FactoryDevice, FactoryEvent, LOG, Void};
use landfall_store::Store;
use landfall_types::{Changes, Record, SerialNumber};
use std::{
    io::{BufRead, Write},
    path::Path,
};

/// How many records are read or written at once.
pub(super) const PAGE: usize = 500;

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
        self.export_as(&Which::All, ExportFormat::JsonLines, out)
    }

    /// Writes the records of the devices that are meant. Says how many.
    pub fn export_as(&self, which: &Which, format: ExportFormat, out: &mut dyn Write) -> Result<u64, FactoryError> {
        let failed = |why: std::io::Error| FactoryError::file(Path::new("the export"), why);
        if format == ExportFormat::Csv {
            writeln!(out, "{COLUMNS}").map_err(failed)?;
        }
        let mut count = 0;
        self.each_device(which, &mut |device| {
            count += 1;
            match format {
                ExportFormat::Csv => out.write_all(row(device).as_bytes()),
                ExportFormat::JsonLines => serde_json::to_writer(&mut *out, device).map_err(Into::into),
            }
            .and_then(|()| out.write_all(b"\n"))
            .map_err(failed)
        })?;
        Ok(count)
    }
}

/// How records are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// One JSON object a line: whole records, which a MASA takes.
    JsonLines,
    /// Comma-separated values, with the names of the columns first; certificates by their fingerprints.
    Csv,
}

const COLUMNS: &str =
    "serial-number,model,method,device,idevid-sha256,key-sha256,batch,station,tpm,bootstrap-sha256,made,void";

/// A device as a row (RFC 4180).
fn row(device: &FactoryDevice) -> String {
    let method = serde_json::to_value(device.method).ok();
    let or_nothing = |text: Option<String>| text.unwrap_or_default();
    let cells = [
        device.serial_number.to_string(),
        device.model.to_string(),
        or_nothing(method.as_ref().and_then(|method| method.as_str()).map(str::to_owned)),
        device.device.to_string(),
        device.fingerprint.to_string(),
        device.key.to_string(),
        or_nothing(device.batch.as_ref().map(ToString::to_string)),
        or_nothing(device.station.as_ref().map(ToString::to_string)),
        or_nothing(device.hardware.as_ref().map(|tpm| tpm.endorsement.clone())),
        or_nothing(device.dpp.as_ref().map(|dpp| dpp.bootstrap_hash.to_string())),
        device.made.to_string(),
        or_nothing(device.void.as_ref().map(|void| void.why.clone())),
    ];
    cells.map(quoted).join(",")
}

fn quoted(cell: String) -> String {
    match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
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
            // An older list does not bring back what was struck off since.
            Some(known)
                if FactoryDevice { void: known.void.clone(), ..device.clone() } == known.record
                    && device.void.is_none() =>
            {
                continue;
            }
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
