//! One process at a time holds a store.

use crate::error::OpenError;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The exclusive lock on the file `<store>.lock`. The system frees it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Closing would not do: a process that another thread starts holds a copy of the file until it runs its program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Lock {
    /// Takes the lock of the store `path`, and writes into it who has it.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let failed = |e: std::io::Error| super::failed(path, &e);
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let mut file = options.open(&name).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Held { path: path.into(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        file.set_len(0)
            .and_then(|()| write!(file, "process {} ({})", std::process::id(), program()))
            .map_err(failed)?;
        Ok(Self(file))
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(200).read_to_string(&mut text) {
        Ok(1..) => text,
        _ => "another process".into(),
    }
}

fn program() -> String {
    let program = std::env::current_exe().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    program.unwrap_or_else(|| "unknown program".into())
}
