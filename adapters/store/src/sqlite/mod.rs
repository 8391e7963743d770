//! A store in one SQLite file: one writer thread with group commit, a pool of connections that read.

mod lock;
mod read;
mod schema;
mod write;

use crate::{
    backend::{Backend, Done, Marks, Reading, Reads},
    error::{CommitError, OpenError, ReadError},
};
use landfall_types::record::Change;
use lock::Lock;
use read::Readers;
use rusqlite::{Connection, ErrorCode, config::DbConfig};
use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use write::{Commit, Writer};

/// A store in one SQLite file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    /// Taken when the store is dropped, which ends the writer.
    commits: Option<mpsc::Sender<Commit>>,
    writer: Option<thread::JoinHandle<()>>,
    readers: Readers,
    /// Nothing if others write to the file too.
    marks: Option<Arc<Marks>>,
    /// Freed last, when nothing touches the file any more.
    _lock: Lock,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = Lock::take(path)?;
        Self::start(path, lock, prepare(path)?, false)
    }

    /// The same for several processes that write to it.
    pub(crate) fn share(path: &Path) -> Result<Self, OpenError> {
        let (lock, connection) = Lock::share(path, || prepare(path))?;
        // Others' transactions are waited for, however many there are.
        connection.busy_timeout(Duration::from_secs(60)).map_err(|e| unopened(path, &e))?;
        Self::start(path, lock, connection, true)
    }

    fn start(path: &Path, lock: Lock, connection: Connection, shared: bool) -> Result<Self, OpenError> {
        let readers = Readers::new(path);
        let (commits, queue) = mpsc::channel();
        let marks = Arc::new(Marks::default());
        let writer = Writer::new(connection, marks.clone(), shared).map_err(|e| unopened(path, &e))?;
        let writer = thread::Builder::new().name("store-writer".into()).spawn(move || writer.run(&queue));
        let writer = Some(writer.map_err(|e| failed(path, &e))?);
        Ok(Self { commits: Some(commits), writer, readers, marks: (!shared).then_some(marks), _lock: lock })
    }
}

fn prepare(path: &Path) -> Result<Connection, OpenError> {
    make_private(path).map_err(|e| failed(path, &e))?;
    let mut connection = connect(path).map_err(|e| unopened(path, &e))?;
    schema::prepare(path, &mut connection)?;
    Ok(connection)
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        drop(self.commits.take());
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

/// Makes the file if need be, readable by its owner only. SQLite gives the files beside it the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the store could be read by others; its mode is now 0600");
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    file.sync_all()?;
    // The new name itself must survive a power cut too.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory)?.sync_all()
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Plans depend on statements only, not on the values in them: without it every read with a LIMIT is planned anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // FULL makes every commit wait until the disk has it.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;",
    )?;
    Ok(connection)
}

fn failed(path: &Path, why: &impl ToString) -> OpenError {
    OpenError::Failed { path: path.into(), why: why.to_string() }
}

fn unopened(path: &Path, error: &rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            OpenError::Foreign { path: path.into(), why: "it is not an SQLite file".into() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            OpenError::Held { path: path.into(), holder: "another program (SQLite says that it is locked)".into() }
        }
        _ => failed(path, error),
    }
}

impl Backend for Sqlite {
    fn submit(&self, changes: Vec<Change>, done: Done) {
        let unsent = match &self.commits {
            Some(commits) => commits.send(Commit { changes, done }).err().map(|unsent| unsent.0.done),
            None => Some(done),
        };
        if let Some(done) = unsent {
            drop(done.send(Err(CommitError::Closed)));
        }
    }

    fn mark(&self, collections: &[&'static str]) -> Option<u64> {
        Some(self.marks.as_ref()?.of(collections))
    }

    fn read(&self, reading: Reading, work: &mut dyn FnMut(&dyn Reads)) -> Result<(), ReadError> {
        self.readers.with(reading, work)
    }
}
