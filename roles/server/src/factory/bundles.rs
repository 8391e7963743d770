//! Device bundles on disk: one JSON file per device in a folder per batch, readable by the owner only.
//!
//! A bundle is first staged in a folder beside the others, then its device is recorded, and only then it is put among them.
//! So whatever is there is on record, and whatever is on record has its bundle, even after a crash. Each chunk is staged
//! in a folder of its own: threads that make files in one folder wait for each other.

use super::FactoryError;
use landfall_types::{DeviceBundle, SerialNumber};
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// What the names of folders begin with in which bundles are staged.
const STAGING: &str = ".staged-";

/// The folder that holds the folders of all batches.
#[derive(Clone, Debug)]
pub(super) struct Bundles(PathBuf);

/// The folder of one batch.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

/// Where the bundles of one chunk are staged.
#[derive(Debug)]
pub(super) struct Staging<'a> {
    batch: &'a Folder,
    path: PathBuf,
}

impl Bundles {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.into())
    }

    /// The folder of a batch, made if it is not there.
    pub(super) fn folder(&self, batch: &str) -> Result<Folder, FactoryError> {
        let path = self.0.join(batch);
        make_private(&path)?;
        let handle = File::open(&path).map_err(|why| FactoryError::file(&path, why))?;
        Ok(Folder { path, handle })
    }
}

fn make_private(folder: &Path) -> Result<(), FactoryError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|why| FactoryError::file(folder, why))
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

    /// Where the chunk of that number is staged.
    pub(super) fn staging(&self, chunk: u64) -> Result<Staging<'_>, FactoryError> {
        let path = self.path.join(format!("{STAGING}{chunk}"));
        make_private(&path)?;
        Ok(Staging { batch: self, path })
    }

    /// Waits until everything staged is on the disk: one wait for all, not one per file.
    pub(super) fn sync(&self) -> Result<(), FactoryError> {
        rustix::fs::syncfs(&self.handle).map_err(|why| FactoryError::file(&self.path, why))
    }

    /// Puts a staged bundle where it belongs: it is handed out.
    pub(super) fn hand_out(&self, staged: &Path, serial: &SerialNumber) -> Result<(), FactoryError> {
        fs::rename(staged, self.named(serial)).map_err(|why| FactoryError::file(staged, why))
    }

    /// The bundles that were staged and never handed out. One that was cut off in the writing has no content.
    pub(super) fn left_over(&self) -> Result<Vec<(PathBuf, Option<DeviceBundle>)>, FactoryError> {
        let mut found = Vec::new();
        for staging in self.stagings()? {
            for path in entries(&staging)? {
                let json = fs::read(&path).map_err(|why| FactoryError::file(&path, why))?;
                found.push((path, serde_json::from_slice(&json).ok()));
            }
        }
        Ok(found)
    }

    /// Removes the folders in which bundles were staged, once everything that was there is handed out and on the disk.
    pub(super) fn tidy(&self) -> Result<(), FactoryError> {
        self.sync()?;
        self.stagings()?.iter().try_for_each(|path| fs::remove_dir(path).map_err(|why| FactoryError::file(path, why)))
    }

    fn stagings(&self) -> Result<Vec<PathBuf>, FactoryError> {
        let mut found = entries(&self.path)?;
        found.retain(|path| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(STAGING)));
        Ok(found)
    }

    /// Removes a staged bundle that will not be handed out, private key and all.
    pub(super) fn discard(&self, path: &Path) -> Result<(), FactoryError> {
        fs::remove_file(path).map_err(|why| FactoryError::file(path, why))
    }

    /// Where a bundle is once it was handed out.
    pub(super) fn named(&self, serial: &SerialNumber) -> PathBuf {
        self.path.join(bundle_name(serial))
    }
}

impl Staging<'_> {
    /// Writes a bundle that is not to be handed out yet.
    pub(super) fn stage(&self, bundle: &DeviceBundle) -> Result<(), FactoryError> {
        let path = self.path.join(bundle_name(&bundle.serial_number));
        let failed = |why| FactoryError::file(&path, why);
        let json = serde_json::to_vec_pretty(bundle).map_err(|why| FactoryError::file(&path, why))?;
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(&json).map_err(failed)
    }

    /// Hands out the bundle of a device that is on record now.
    pub(super) fn hand_out(&self, serial: &SerialNumber) -> Result<(), FactoryError> {
        self.batch.hand_out(&self.path.join(bundle_name(serial)), serial)
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, FactoryError> {
    let entries = fs::read_dir(folder).and_then(|found| found.map(|entry| Ok(entry?.path())).collect());
    entries.map_err(|why| FactoryError::file(folder, why))
}

fn bundle_name(serial: &SerialNumber) -> String {
    format!("{}.json", file_name(serial))
}

/// A serial number as a file name: what has a meaning in paths is written as its code.
pub(super) fn file_name(serial: &SerialNumber) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let code = |c: char| if plain(c) { c.to_string() } else { format!("%{:02X}", u32::from(c)) };
    serial.as_str().chars().map(code).collect()
}
