//! What one device alone may have, when several stations work at once.

use super::{Factory, FactoryError};
use landfall_lifecycle::factory::{Belonging, FactoryDevice};
use landfall_store::ReadError;
use landfall_types::{
    Changes, SerialNumber,
    record::{Unwritable, Version},
};

/// So often a device is looked at anew because another station was faster.
const ATTEMPTS: usize = 4;

/// What a device is to have, as it was on record before anyone looked whether it is free.
pub(super) struct Sole(Vec<(String, Option<Version>)>);

impl Sole {
    /// Gives all of it to a device, unless somebody else was given any of it since.
    pub(super) fn given_to(&self, serial: &SerialNumber, changes: Changes) -> Result<Changes, Unwritable> {
        self.0.iter().try_fold(changes, |changes, (what, version)| {
            let belonging = Belonging { what: what.clone(), serial_number: serial.clone() };
            match version {
                Some(version) => changes.put_if(&belonging, *version),
                None => changes.insert(&belonging),
            }
        })
    }
}

impl Factory {
    /// What a device is to have: the index that tells who has it, and its value. To be asked for before the indexes are.
    pub(super) fn sole<'a>(&self, parts: impl IntoIterator<Item = (&'a str, String)>) -> Result<Sole, ReadError> {
        let found = parts.into_iter().map(|(index, value)| {
            let what = format!("{index} {value}");
            let found = self.store.find::<Belonging>(&what)?;
            Ok((what, found.map(|found| found.version)))
        });
        found.collect::<Result<_, _>>().map(Sole)
    }

    /// Makes a device; anew if another station wrote in between what it rests on, so that the reason is the right one.
    pub(super) fn making<T>(&self, mut make: impl FnMut() -> Result<T, FactoryError>) -> Result<T, FactoryError> {
        for _ in 1..ATTEMPTS {
            match make() {
                Err(FactoryError::Commit(why)) if why.is_conflict() => {}
                made => return made,
            }
        }
        make()
    }

    /// No serial number is used twice.
    pub(super) fn serial_unused(&self, serial: &SerialNumber) -> Result<(), FactoryError> {
        match self.store.find::<FactoryDevice>(serial.as_str())? {
            Some(_) => Err(FactoryError::serial_taken(serial)),
            None => Ok(()),
        }
    }
}
