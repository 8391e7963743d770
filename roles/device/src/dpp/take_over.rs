//! A configurator-to-be: it asks another configurator for its keys in the place of networks (DPP s6.4.6), and leaves them in an
//! envelope for `landfall network configurator restore`.

use super::networks::{Keep, Networks};
use crate::{DeviceError, file};
use landfall_dpp::{System, backup, crypto::Secret, exchange::TakenOver};
use landfall_types::Redacted;
use std::{path::PathBuf, sync::Arc};

/// Where the keys of another configurator go.
#[derive(Clone, Debug)]
pub struct TakeOver {
    /// The file with the envelope.
    pub envelope: PathBuf,
    /// What opens it, of 16 characters or more.
    pub passphrase: Redacted<String>,
}

impl Keep for TakeOver {
    fn keep(&self, _: Arc<Networks>) -> Result<(), DeviceError> {
        Err(DeviceError::Config("keys were asked for, and not networks".into()))
    }

    fn take_over(&self, taken: &TakenOver) -> Result<(), DeviceError> {
        let passphrase = Secret::new(self.passphrase.expose().as_bytes().to_vec());
        let sealed = backup::seal(&taken.configurators, &passphrase, &mut System);
        let failed = |why: backup::BackupError| DeviceError::file(&self.envelope, why.to_string());
        file::replace(&self.envelope, &sealed.map_err(failed)?)
    }
}
