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

/// What `to` has not heard yet of at most `limit` devices, after the entry `after` of the factory's log or where it was
/// told last; nothing at the end.
pub fn news(store: &Store, to: &str, after: Option<u64>, limit: usize) -> Result<Option<News>, FactoryError> {
    let after = match after {
        Some(after) => after,
        None => store.find::<Published>(to)?.map_or(0, |published| published.upto),
    };
    let entries = store.log(LOG, after, limit)?;
    let Some(upto) = entries.last().map(|entry| entry.seq) else { return Ok(None) };
    let mut serials = BTreeSet::new();
    for entry in entries {
        let event = serde_json::from_value(entry.entry).map_err(|why| FactoryError::file(Path::new(LOG), why))?;
        let (FactoryEvent::Made { serial_number, .. } | FactoryEvent::Voided { serial_number, .. }) = event;
        serials.insert(serial_number);
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
