//! Files that appear whole or not at all, are durable when the call returns, and are for their owner only. For backends.

use crate::{ElementError, label};
use aws_lc_rs::rand;
use landfall_types::Redacted;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// What became of a file that was to be created.
#[derive(Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there now.
    New,
    /// One of that name was there before, and still is.
    Exists,
}

/// Makes the folder, for its owner only, if it is not there.
pub fn make_folder(dir: &Path) -> Result<(), ElementError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))
}

/// The content of the file, or `None` if there is none.
pub fn read(path: &Path, largest: u64) -> Result<Option<Vec<u8>>, ElementError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(at(path))?,
    };
    let mut content = Vec::new();
    file.take(largest + 1).read_to_end(&mut content).map_err(at(path))?;
    match u64::try_from(content.len()) {
        Ok(length) if length <= largest => Ok(Some(content)),
        _ => Err(ElementError::File { path: path.to_owned(), why: "it is too large" }),
    }
}

/// The first line of a file, or of a descriptor (`/dev/fd/3`), that holds a PIN or the like.
pub fn first_line(path: &Path) -> Result<Redacted<String>, ElementError> {
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(1024).read_to_string(&mut text)).map_err(at(path))?;
    let text = Redacted::new(text);
    match text.expose().lines().next().unwrap_or_default() {
        "" => Err(ElementError::File { path: path.to_owned(), why: "its first line is empty" }),
        line => Ok(Redacted::new(line.to_owned())),
    }
}

/// Whether anyone but its owner may read or write the file.
pub fn is_open_to_others(path: &Path) -> Result<bool, ElementError> {
    Ok(fs::metadata(path).map_err(at(path))?.permissions().mode() & 0o077 != 0)
}

/// Whether a secret that is read there lies in a file on a disk: neither in a pipe, nor in memory of the machine that the
/// kernel shows as a file (`/sys`). What `path` leads to is looked at, so `/dev/stdin` tells it of the standard input.
pub fn is_on_disk(path: &Path) -> Result<bool, ElementError> {
    match fs::metadata(path).map_err(at(path))?.is_file() {
        true => Ok(!fs::canonicalize(path).map_err(at(path))?.starts_with("/sys")),
        false => Ok(false),
    }
}

/// Creates the file, unless there is one of that name: a hard link, unlike a rename, never replaces.
pub fn create(path: &Path, content: &[u8]) -> Result<Created, ElementError> {
    let draft = Draft::write(path, content)?;
    match fs::hard_link(&draft.0, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Created::Exists),
        linked => {
            linked.map_err(at(path))?;
            sync_folder_of(path)?;
            Ok(Created::New)
        }
    }
}

/// Puts the file in the place of what was there.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), ElementError> {
    let draft = Draft::write(path, content)?;
    fs::rename(&draft.0, path).map_err(at(path))?;
    sync_folder_of(path)
}

/// Removes the file; says whether there was one.
pub fn remove(path: &Path) -> Result<bool, ElementError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => {
            removed.map_err(at(path))?;
            sync_folder_of(path)?;
            Ok(true)
        }
    }
}

/// The labels of the keys in a folder, from the files that are named `LABEL.key`, in order.
pub fn labels(dir: &Path) -> Result<Vec<String>, ElementError> {
    let mut labels = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let name = entry.map_err(at(dir))?.file_name();
        let label = name.to_str().and_then(|name| name.strip_suffix(".key"));
        labels.extend(label.filter(|label| label::check(label).is_ok()).map(str::to_owned));
    }
    labels.sort();
    Ok(labels)
}

/// A complete, synced file beside the one to be, which goes away again unless it was renamed.
struct Draft(PathBuf);

impl Draft {
    fn write(path: &Path, content: &[u8]) -> Result<Self, ElementError> {
        let mut suffix = [0; 8];
        rand::fill(&mut suffix).map_err(|_| ElementError::Crypto("draw a random number"))?;
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.draft", hex::encode(suffix)));
        let draft = Self(name.into());
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0).map_err(at(&draft.0))?;
        file.write_all(content).and_then(|()| file.sync_all()).map_err(at(&draft.0))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename it is gone already, and one that stays behind is harmless: it is sealed like the others.
        let _ = fs::remove_file(&self.0);
    }
}

fn sync_folder_of(path: &Path) -> Result<(), ElementError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))
}

fn at(path: &Path) -> impl Fn(io::Error) -> ElementError {
    move |error| ElementError::Io { path: path.to_owned(), error }
}
