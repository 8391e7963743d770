//! Device bundles on disk: one JSON file per device in a folder per batch, readable by the owner only.
//!
//! A bundle is first staged under a name that ends in `.new`, then its device is recorded, and only then it gets its
//! name. So whatever has its name is on record, and whatever is on record has its bundle, even after a crash.

use super::FactoryError;
use landfall_types::{DeviceBundle, SerialNumber};
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const STAGED: &str = "json.new";

/// The folder that holds the folders of all batches.
#[derive(Clone, Debug)]
pub(super) struct Bundles(PathBuf);

/// The folder of one batch.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

impl Bundles {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.into())
    }

    /// The folder of a batch, made if it is not there.
    pub(super) fn folder(&self, batch: &str) -> Result<Folder, FactoryError> {
        let path = self.0.join(batch);
        let failed = |why| FactoryError::file(&path, why);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
        let handle = File::open(&path).map_err(failed)?;
        Ok(Folder { path, handle })
    }
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until no other station makes this batch, and keeps them from it until the folder is dropped.
    pub(super) fn claim(&self) -> Result<(), FactoryError> {
        self.handle.lock().map_err(|why| FactoryError::file(&self.path, why))
    }

    /// The same, unless another station makes this batch; whether none does.
    pub(super) fn try_claim(&self) -> Result<bool, FactoryError> {
        match self.handle.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(why)) => Err(FactoryError::file(&self.path, why)),
        }
    }

    /// Writes a bundle under its staging name.
    pub(super) fn stage(&self, bundle: &DeviceBundle) -> Result<(), FactoryError> {
        let path = self.staged(&bundle.serial_number);
        let failed = |why| FactoryError::file(&path, why);
        let json = serde_json::to_vec_pretty(bundle).map_err(|why| FactoryError::file(&path, why))?;
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(&json).map_err(failed)
    }

    /// Waits until everything staged is on the disk: one wait for all, not one per file.
    pub(super) fn sync(&self) -> Result<(), FactoryError> {
        rustix::fs::syncfs(&self.handle).map_err(|why| FactoryError::file(&self.path, why))
    }

    /// Gives a staged bundle its name: it is handed out.
    pub(super) fn hand_out(&self, serial: &SerialNumber) -> Result<(), FactoryError> {
        let (from, to) = (self.staged(serial), self.named(serial));
        fs::rename(&from, &to).map_err(|why| FactoryError::file(&from, why))
    }

    /// The bundles that were staged and never handed out. One that was cut off in the writing has no content.
    pub(super) fn left_over(&self) -> Result<Vec<(PathBuf, Option<DeviceBundle>)>, FactoryError> {
        let failed = |why| FactoryError::file(&self.path, why);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.ends_with(STAGED)) {
                let json = fs::read(&path).map_err(|why| FactoryError::file(&path, why))?;
                found.push((path, serde_json::from_slice(&json).ok()));
            }
        }
        Ok(found)
    }

    /// Removes a staged bundle that will not be handed out, private key and all.
    pub(super) fn discard(&self, path: &Path) -> Result<(), FactoryError> {
        fs::remove_file(path).map_err(|why| FactoryError::file(path, why))
    }

    /// Where a bundle is once it was handed out.
    pub(super) fn named(&self, serial: &SerialNumber) -> PathBuf {
        self.path.join(format!("{}.json", file_name(serial)))
    }

    fn staged(&self, serial: &SerialNumber) -> PathBuf {
        self.path.join(format!("{}.{STAGED}", file_name(serial)))
    }
}

/// A serial number as a file name: what has a meaning in paths is written as its code.
pub(super) fn file_name(serial: &SerialNumber) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let code = |c: char| if plain(c) { c.to_string() } else { format!("%{:02X}", u32::from(c)) };
    serial.as_str().chars().map(code).collect()
}
