//! Files that are there whole or not at all, whatever happens in between.

use crate::DeviceError;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// A folder that only its owner can look into.
pub(crate) fn make_folder(path: &Path) -> Result<(), DeviceError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(DeviceError::io(path))
}

/// Replaces the file: readable by its owner only, and on the disk when this returns.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), DeviceError> {
    put(path, &path.with_extension("new"), content, 0o600)
}

/// The same for what others than the agent start from, whatever it is called.
pub(crate) fn replace_image(path: &Path, content: &[u8]) -> Result<(), DeviceError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    put(path, Path::new(&beside), content, 0o644)
}

fn put(path: &Path, beside: &Path, content: &[u8], mode: u32) -> Result<(), DeviceError> {
    let written = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(beside, path)?;
        sync_folder(path)
    };
    written().map_err(DeviceError::io(path))
}

/// The file's content, if it is there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, DeviceError> {
    read_up_to(LARGEST, path)
}

/// The same of one that may be so long.
pub(crate) fn read_up_to(largest: u64, path: &Path) -> Result<Option<Vec<u8>>, DeviceError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DeviceError::io(path)(error)),
    };
    let mut content = Vec::new();
    file.take(largest + 1).read_to_end(&mut content).map_err(DeviceError::io(path))?;
    match content.len() as u64 > largest {
        true => Err(DeviceError::file(path, "it is too large")),
        false => Ok(Some(content)),
    }
}

/// Removes the file, if it is there; it is gone from the disk when this returns.
pub(crate) fn remove(path: &Path) -> Result<(), DeviceError> {
    let removed = || match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed().map_err(DeviceError::io(path))
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn whole_private_and_replaceable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state").join("file.json");
        make_folder(path.parent().unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), None);
        for content in [b"one".as_slice(), b"two"] {
            replace(&path, content).unwrap();
            assert_eq!(read(&path).unwrap().as_deref(), Some(content));
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        // What a kill in the middle leaves behind does not hinder.
        fs::write(path.with_extension("new"), "half").unwrap();
        replace(&path, b"three").unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }
}
