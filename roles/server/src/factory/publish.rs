//! Telling others what was made: MASAs, and supply chain services.
//!
//! The factory's log says what is new since somebody heard of it last, so publishing goes on where it was interrupted.

use super::FactoryError;
use landfall_lifecycle::factory::{FactoryDevice, FactoryEvent, LOG, Published};
use landfall_store::Store;
use landfall_types::{Changes, SerialNumber};
use std::{collections::BTreeSet, path::Path};

/// Devices of which there is something new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The devices, as they are now.
    pub devices: Vec<FactoryDevice>,
    /// The entry of the log that the next news follow.
    pub upto: u64,
}

/// How many entries of the log are read at once; one may name some dozens of devices.
const ENTRIES: usize = 16;

/// What `to` has not heard yet, after the entry `after` of the factory's log or where it was told last; nothing at the end.
/// It is about `limit` devices, or as many more as one entry of the log names.
pub fn news(store: &Store, to: &str, after: Option<u64>, limit: usize) -> Result<Option<News>, FactoryError> {
    let after = match after {
        Some(after) => after,
        None => store.find::<Published>(to)?.map_or(0, |published| published.upto),
    };
    let (mut serials, mut upto) = (BTreeSet::new(), after);
    while serials.len() < limit {
        let entries = store.log(LOG, upto, ENTRIES)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            if serials.len() >= limit {
                break;
            }
            upto = entry.seq;
            match serde_json::from_value(entry.entry).map_err(|why| FactoryError::file(Path::new(LOG), why))? {
                FactoryEvent::Made { devices, .. } => serials.extend(devices.into_iter().map(|one| one.serial_number)),
                FactoryEvent::Voided { serial_number, .. } => drop(serials.insert(serial_number)),
            }
        }
    }
    if upto == after {
        return Ok(None);
    }
    let found = |serial: &SerialNumber| store.find::<FactoryDevice>(serial.as_str());
    let devices = serials.iter().map(found).filter_map(Result::transpose).map(|found| Ok(found?.record));
    Ok(Some(News { devices: devices.collect::<Result<_, FactoryError>>()?, upto }))
}

/// Remembers that `to` heard of everything up to the entry `upto` of the log.
pub fn told(store: &Store, to: &str, upto: u64) -> Result<(), FactoryError> {
    store.commit_blocking(Changes::new().put(&Published { to: to.into(), upto })?)?;
    Ok(())
}
