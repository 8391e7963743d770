//! Revocation lists of others in files, which are read again when they change (RFC 5280 s6.3).
//!
//! Who fetches the lists, and from where, is the operator's matter: whatever does it writes the files. What is in a file
//! counts from the next look on. A file that cannot be used (gone, half written, older than what is known) changes
//! nothing: the list that was read before counts until its nextUpdate, and the operator is told. After that nothing below
//! the list's issuer is accepted until there is a current one.

use crate::{Clock, RoleError, role::Shutdown};
use landfall_pki::{Crl, Crls};
use landfall_types::Time;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(30);

/// The files, and the lists that were last read from them.
#[derive(Clone, Debug, Default)]
pub struct CrlFiles {
    files: Vec<CrlFile>,
    lists: Crls,
}

#[derive(Clone, Debug)]
struct CrlFile {
    path: PathBuf,
    /// Of the content that was read; none if it is to be read again.
    stamp: Option<Stamp>,
    list: Crl,
    /// What the operator was last told.
    told: Option<String>,
}

/// Which writing of a file: when, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(SystemTime, u64);

impl CrlFiles {
    /// Reads the lists in these files, each of which must be there and be good, if perhaps out of date.
    pub fn open(paths: impl IntoIterator<Item = PathBuf>) -> Result<Self, RoleError> {
        let files: Vec<CrlFile> = paths.into_iter().map(CrlFile::open).collect::<Result<_, _>>()?;
        let lists = files.iter().map(|file| file.list.clone()).collect();
        Ok(Self { files, lists })
    }

    /// The lists, which change as the files do.
    pub fn lists(&self) -> Crls {
        self.lists.clone()
    }

    /// Looks at the files, and takes what changed. Returns what is wrong with any of them, as the operator was told.
    pub fn refresh(&mut self, now: Time) -> Vec<&str> {
        let mut changed = false;
        for file in &mut self.files {
            changed |= file.refresh(now);
        }
        if changed {
            self.lists.replace(self.files.iter().map(|file| file.list.clone()));
        }
        self.files.iter().filter_map(|file| file.told.as_deref()).collect()
    }

    /// Looks at the files from time to time, until the shutdown.
    pub(crate) async fn watch(mut self, clock: Clock, shutdown: Shutdown) {
        while !self.files.is_empty() {
            let now = clock.now();
            let looked = tokio::task::spawn_blocking(move || {
                self.refresh(now);
                self
            });
            let Ok(files) = looked.await else { return };
            self = files;
            tokio::select! {
                () = shutdown.clone().begun() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

impl CrlFile {
    fn open(path: PathBuf) -> Result<Self, RoleError> {
        let stamp = stamp(&path);
        let list = read(&path)?;
        Ok(Self { path, stamp, list, told: None })
    }

    /// Whether there is a new list in it.
    fn refresh(&mut self, now: Time) -> bool {
        let stamp = stamp(&self.path);
        let unchanged = stamp.is_some() && stamp == self.stamp;
        let taken = if unchanged { Ok(false) } else { self.take() };
        // What cannot be used is tried again, since it may be half written.
        self.stamp = stamp.filter(|_| taken.is_ok());
        let overdue = || {
            let due = self.list.next_update().filter(|due| *due < now)?;
            let detail = "was due to be replaced; no certificate of its issuer is accepted any more";
            Some(format!("the revocation list {} {detail} (since {due})", self.path.display()))
        };
        let wrong = taken.as_ref().err().map(ToString::to_string).or_else(overdue);
        if let Some(why) = wrong.as_ref().filter(|_| wrong != self.told) {
            tracing::error!(why, "a revocation list cannot be brought up to date");
        }
        self.told = wrong;
        taken.unwrap_or_default()
    }

    fn take(&mut self) -> Result<bool, RoleError> {
        let list = read(&self.path)?;
        let what = || format!("the revocation list {}", self.path.display());
        // Whoever can put an old list in the place of a new one could otherwise undo what was revoked.
        if list.issuer_der() == self.list.issuer_der() && list.this_update() < self.list.this_update() {
            let why = format!("is of {}, older than the one of {}", list.this_update(), self.list.this_update());
            return Err(RoleError::new(what(), why));
        }
        let is_new = list != self.list;
        if is_new {
            let (made, due) = (list.this_update(), list.next_update().map(|due| due.to_string()));
            tracing::info!(path = %self.path.display(), %made, due, entries = list.len(), "a revocation list was read");
        }
        self.list = list;
        Ok(is_new)
    }
}

/// The revocation list in the file at `path`, in PEM or DER. It has to say when the next one is due.
pub(crate) fn read(path: &Path) -> Result<Crl, RoleError> {
    let what = || format!("the revocation list {}", path.display());
    let bytes = fs::read(path).map_err(|why| RoleError::new(what(), why))?;
    let read = match std::str::from_utf8(&bytes) {
        Ok(pem) if pem.contains("-----BEGIN") => Crl::from_pem(pem),
        _ => Crl::from_der(&bytes),
    };
    let list = read.map_err(|why| RoleError::new(what(), why))?;
    match list.next_update() {
        Some(_) => Ok(list),
        None => Err(RoleError::new(what(), "does not say when the next one is due (RFC 5280 s5.1.2.5)")),
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = fs::metadata(path).ok()?;
    Some(Stamp(about.modified().ok()?, about.len()))
}
