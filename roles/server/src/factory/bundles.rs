//! Device bundles on disk, in a folder per batch, readable by the owner only: a JSON file for each device, or a file with a
//! line for each device of a chunk.
//!
//! Bundles are first staged beside the others, then their devices are recorded, and only then they are put among them.
//! So whatever is there is on record, and whatever is on record has its bundle, even after a crash. Each chunk is staged
//! in a folder or a file of its own: threads that make files in one folder wait for each other.

use super::FactoryError;
use landfall_lifecycle::factory::BundleForm;
use landfall_types::{DeviceBundle, SerialNumber};
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// What the names of folders and files begin with in which bundles are staged.
const STAGING: &str = ".staged-";
/// How much of a file of lines is written at once, in bytes.
const BUFFER: usize = 1 << 16;

/// The folder that holds the folders of all batches.
#[derive(Clone, Debug)]
pub(super) struct Bundles(PathBuf);

/// The folder of one batch.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

/// The bundles of one chunk on their way to those that are handed out.
#[derive(Debug)]
pub(super) struct Staging<'a> {
    batch: &'a Folder,
    /// A folder with a file for each of them, or a file with a line for each.
    path: PathBuf,
    lines: Option<BufWriter<File>>,
    staged: Vec<SerialNumber>,
}

/// What was staged in one file and never handed out.
#[derive(Debug)]
pub(super) struct LeftOver {
    pub(super) path: PathBuf,
    form: BundleForm,
    /// Those that can be read.
    pub(super) bundles: Vec<DeviceBundle>,
    /// Whether nothing of it was cut off in the writing.
    pub(super) whole: bool,
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
    pub(super) fn staging(&self, chunk: u64, form: BundleForm) -> Result<Staging<'_>, FactoryError> {
        let path = self.path.join(format!("{STAGING}{chunk}"));
        let lines = match form {
            BundleForm::File => {
                make_private(&path)?;
                None
            }
            BundleForm::Lines => Some(BufWriter::with_capacity(
                BUFFER,
                write_private(&path).map_err(|why| FactoryError::file(&path, why))?,
            )),
        };
        Ok(Staging { batch: self, path, lines, staged: Vec::new() })
    }

    /// Waits until everything in the folder is on the disk: one wait for all, not one per file.
    fn sync(&self) -> Result<(), FactoryError> {
        rustix::fs::syncfs(&self.handle).map_err(|why| FactoryError::file(&self.path, why))
    }

    /// What was staged and never handed out.
    pub(super) fn left_over(&self) -> Result<Vec<LeftOver>, FactoryError> {
        let mut found = Vec::new();
        for path in self.stagings()? {
            match path.is_dir() {
                true => entries(&path)?.into_iter().try_for_each(|path| {
                    found.push(LeftOver::read(path, BundleForm::File)?);
                    Ok::<_, FactoryError>(())
                })?,
                false => found.push(LeftOver::read(path, BundleForm::Lines)?),
            }
        }
        Ok(found)
    }

    /// Puts what was left where it belongs: it is handed out.
    pub(super) fn hand_out(&self, left: &LeftOver) -> Result<(), FactoryError> {
        left.bundles.first().map_or(Ok(()), |first| self.rename(&left.path, &first.serial_number, left.form))
    }

    /// Removes bundles that will not be handed out, private keys and all.
    pub(super) fn discard(&self, left: &LeftOver) -> Result<(), FactoryError> {
        fs::remove_file(&left.path).map_err(|why| FactoryError::file(&left.path, why))
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

    /// Puts a staged file, the first device of which is `first`, where it belongs.
    fn rename(&self, staged: &Path, first: &SerialNumber, form: BundleForm) -> Result<(), FactoryError> {
        let name = match form {
            BundleForm::File => bundle_name(first),
            BundleForm::Lines => format!("{}.jsonl", file_name(first)),
        };
        fs::rename(staged, self.path.join(name)).map_err(|why| FactoryError::file(staged, why))
    }
}

impl Staging<'_> {
    /// Writes a bundle that is not to be handed out yet.
    pub(super) fn stage(&mut self, bundle: &DeviceBundle) -> Result<(), FactoryError> {
        match &mut self.lines {
            None => {
                let path = self.path.join(bundle_name(&bundle.serial_number));
                let written = serde_json::to_vec_pretty(bundle).map_err(Into::into);
                let written = written.and_then(|json| write_private(&path)?.write_all(&json));
                written.map_err(|why| FactoryError::file(&path, why))?;
            }
            Some(lines) => {
                let written = serde_json::to_writer(&mut *lines, bundle).map_err(Into::into);
                let written = written.and_then(|()| lines.write_all(b"\n"));
                written.map_err(|why: std::io::Error| FactoryError::file(&self.path, why))?;
            }
        }
        self.staged.push(bundle.serial_number.clone());
        Ok(())
    }

    /// Waits until everything staged is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), FactoryError> {
        match &mut self.lines {
            None => self.batch.sync(),
            Some(lines) => {
                let synced = lines.flush().and_then(|()| lines.get_ref().sync_all());
                synced.and_then(|()| self.batch.handle.sync_all()).map_err(|why| FactoryError::file(&self.path, why))
            }
        }
    }

    /// Hands the bundles out, whose devices are on record now.
    pub(super) fn hand_out(self) -> Result<(), FactoryError> {
        match (&self.lines, self.staged.first()) {
            (Some(_), Some(first)) => self.batch.rename(&self.path, first, BundleForm::Lines),
            _ => self.staged.iter().try_for_each(|serial| {
                self.batch.rename(&self.path.join(bundle_name(serial)), serial, BundleForm::File)
            }),
        }
    }
}

impl LeftOver {
    fn read(path: PathBuf, form: BundleForm) -> Result<Self, FactoryError> {
        let json = fs::read(&path).map_err(|why| FactoryError::file(&path, why))?;
        let read = |json: &[u8]| serde_json::from_slice::<DeviceBundle>(json).ok();
        let bundles: Vec<_> = match form {
            BundleForm::File => vec![read(&json)],
            BundleForm::Lines => json.split_inclusive(|octet| *octet == b'\n').map(read).collect(),
        };
        let whole = bundles.iter().all(Option::is_some);
        Ok(Self { path, form, bundles: bundles.into_iter().flatten().collect(), whole })
    }
}

/// A new file in place of whatever was there, which the owner alone can read.
fn write_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)
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
