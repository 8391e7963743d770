//! One process at a time holds a store, or several share it.

use crate::error::OpenError;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

/// How long whoever wants a share waits for those who have the store for themselves.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lock on the file `<store>.lock`: one process's alone, or shared by several. The system frees it when the process ends, however it ends.
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
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => signed(path, file),
            Err(why) => Err(held(path, &mut file, why)),
        }
    }

    /// Takes a share in it. Whoever comes first has it alone while `prepare` prepares the store.
    pub(super) fn share<T>(
        path: &Path,
        prepare: impl FnOnce() -> Result<T, OpenError>,
    ) -> Result<(Self, T), OpenError> {
        let failed = |e: std::io::Error| super::failed(path, &e);
        let mut file = open(path)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    let lock = signed(path, file)?;
                    let prepared = prepare()?;
                    lock.0.lock_shared().map_err(failed)?;
                    return Ok((lock, prepared));
                }
                Err(TryLockError::Error(e)) => return Err(failed(e)),
                Err(TryLockError::WouldBlock) => {}
            }
            match file.try_lock_shared() {
                Ok(()) => return Ok((Self(file), prepare()?)),
                // Others prepare it, or have it for themselves.
                Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(PATIENCE / 100),
                Err(why) => return Err(held(path, &mut file, why)),
            }
        }
    }
}

fn open(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    options.open(&name).map_err(|e| super::failed(path, &e))
}

fn signed(path: &Path, mut file: File) -> Result<Lock, OpenError> {
    let signed = file.set_len(0).and_then(|()| write!(file, "process {} ({})", std::process::id(), program()));
    signed.map(|()| Lock(file)).map_err(|e| super::failed(path, &e))
}

fn held(path: &Path, file: &mut File, why: TryLockError) -> OpenError {
    match why {
        TryLockError::WouldBlock => OpenError::Held { path: path.into(), holder: holder(file) },
        TryLockError::Error(e) => super::failed(path, &e),
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
