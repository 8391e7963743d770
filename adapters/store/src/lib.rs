//! Durable records and hash-chained logs: in memory and SQLite behind one contract.
//!
//! Writing is one operation: [`Store::commit`] takes a set of [`Changes`] and makes all of them durable, or none. When
//! it resolves they survive a crash and a power cut. Concurrent commits share one transaction and one `fsync`.
//! Reading is synchronous: a point read costs microseconds, less than handing it to another thread.

mod backend;
mod error;
mod log;
mod memory;
mod sqlite;

pub use error::{CommitError, Found, LogBroken, OpenError, ReadError};
pub use log::{Head, LogEntry};

use backend::{Backend, Reading, Reads, Row};
use landfall_types::{Changes, Record, record::Version};
use std::{
    ops::Deref,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// A store of records and logs. Cloning it is cheap, and all clones are the same store.
#[derive(Clone, Debug)]
pub struct Store(Arc<dyn Backend>);

/// A record as it was read, with the version to hand to [`Changes::put_if`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<R> {
    /// The record.
    pub record: R,
    /// Its version.
    pub version: Version,
}

impl<R> Deref for Versioned<R> {
    type Target = R;
    fn deref(&self) -> &R {
        &self.record
    }
}

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The new version of each record written, in the order of the changes.
    pub versions: Vec<Version>,
    /// Where each log entry went, in the order of the changes.
    pub appended: Vec<Head>,
}

impl Store {
    /// An empty store in memory, gone when the last clone is dropped. For tests and simulations.
    pub fn memory() -> Self {
        Self(Arc::new(memory::Memory::default()))
    }

    /// Opens the SQLite store in the file `path`, making it (mode 0600) if it is not there. Its directory must exist.
    ///
    /// One process at a time holds a store: the error of a second one says who does.
    pub fn sqlite(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(sqlite::Sqlite::open(path.as_ref())?)))
    }

    /// The same for several processes that share it: what one writes is not overwritten by another who has not seen it.
    /// While they do, no process holds it for itself.
    pub fn sqlite_shared(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(sqlite::Sqlite::share(path.as_ref())?)))
    }

    /// Makes `changes` durable, all or none. They are on their way when this returns, and durable when what it returns
    /// resolves; they go in even if that is dropped before.
    pub fn commit(&self, changes: Changes) -> Committing {
        Committing(self.submit(changes))
    }

    /// The same, for a thread that is not part of an async runtime; it panics on one that is.
    pub fn commit_blocking(&self, changes: Changes) -> Result<Committed, CommitError> {
        match self.submit(changes) {
            None => Ok(Committed::default()),
            Some(done) => done.blocking_recv().unwrap_or(Err(CommitError::Closed)),
        }
    }

    fn submit(&self, changes: Changes) -> Option<oneshot::Receiver<Result<Committed, CommitError>>> {
        if changes.is_empty() {
            return None;
        }
        let (done, result) = oneshot::channel();
        self.0.submit(changes.into_vec(), done);
        Some(result)
    }

    /// A number that is another one as soon as somebody was told that a record of one of these collections was written or
    /// removed: whoever takes it, reads, and finds the same number later would read the same again. Nothing if other processes
    /// share the store, whose commits are not noticed.
    pub fn mark(&self, collections: &[&'static str]) -> Option<u64> {
        self.0.mark(collections)
    }

    /// What `read` reads, all of one moment: nothing that is committed meanwhile is seen. It costs less than as many
    /// single reads.
    pub fn snapshot<T, E: From<ReadError>>(&self, read: impl FnOnce(&Snapshot<'_>) -> Result<T, E>) -> Result<T, E> {
        backend::read(self.0.as_ref(), Reading::Snapshot, |reads| Ok(read(&Snapshot(reads))))?
    }

    /// The record with that key.
    pub fn find<R: Record>(&self, key: &str) -> Result<Option<Versioned<R>>, ReadError> {
        self.read(|reads| Snapshot(reads).find(key))
    }

    /// Up to `limit` records that have `value` under `index`, by key.
    pub fn find_by<R: Record>(&self, index: &str, value: &str, limit: usize) -> Result<Vec<Versioned<R>>, ReadError> {
        self.read(|reads| Snapshot(reads).find_by(index, value, limit))
    }

    /// Up to `limit` records with keys after `after`, by key.
    pub fn scan<R: Record>(&self, after: Option<&str>, limit: usize) -> Result<Vec<Versioned<R>>, ReadError> {
        let rows = self.read(|reads| reads.scan(R::COLLECTION, after, limit))?;
        rows.into_iter().map(record).collect()
    }

    /// Up to `limit` records in the order of their value under `index`, then by key, after the pair `after` of value
    /// and key; each with that value.
    pub fn scan_index<R: Record>(
        &self,
        index: &str,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<(String, Versioned<R>)>, ReadError> {
        let rows = self.read(|reads| reads.scan_index(R::COLLECTION, index, after, limit))?;
        rows.into_iter().map(|(value, row)| Ok((value, record(row)?))).collect()
    }

    /// How many records the collection has.
    pub fn count<R: Record>(&self) -> Result<u64, ReadError> {
        self.read(|reads| reads.count(R::COLLECTION))
    }

    /// How many records have `value` under `index`.
    pub fn count_by<R: Record>(&self, index: &str, value: &str) -> Result<u64, ReadError> {
        self.read(|reads| reads.count_by(R::COLLECTION, index, value))
    }

    /// Up to `limit` entries of `log` after the sequence number `after`; the first entry has number 1.
    pub fn log(&self, log: &str, after: u64, limit: usize) -> Result<Vec<LogEntry>, ReadError> {
        self.read(|reads| reads.log(log, after, limit))?.into_iter().map(|raw| raw.open(log)).collect()
    }

    /// The last entry of `log`. Kept elsewhere, it lets [`verify_log_since`](Store::verify_log_since) detect even a log
    /// that was written anew as a whole.
    pub fn log_head(&self, log: &str) -> Result<Head, ReadError> {
        self.read(|reads| reads.head(log))
    }

    /// Checks every hash of `log` from its beginning to its head: an entry that was changed, removed or moved is found.
    pub fn verify_log(&self, log: &str) -> Result<Head, LogBroken> {
        log::verify(self.0.as_ref(), log, None)
    }

    /// The same, and that the log still holds `known`, a head that was seen earlier.
    pub fn verify_log_since(&self, log: &str, known: &Head) -> Result<Head, LogBroken> {
        log::verify(self.0.as_ref(), log, Some(known))
    }

    fn read<T>(&self, work: impl FnOnce(&dyn Reads) -> Result<T, ReadError>) -> Result<T, ReadError> {
        backend::read(self.0.as_ref(), Reading::Once, work)
    }
}

/// Changes on their way to the disk ([`Store::commit`]).
#[derive(Debug)]
#[must_use = "nothing is durable before it resolves"]
pub struct Committing(Option<oneshot::Receiver<Result<Committed, CommitError>>>);

impl Future for Committing {
    type Output = Result<Committed, CommitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            None => Poll::Ready(Ok(Committed::default())),
            Some(done) => Pin::new(done).poll(context).map(|done| done.unwrap_or(Err(CommitError::Closed))),
        }
    }
}

/// The store as it was at one moment ([`Store::snapshot`]).
pub struct Snapshot<'a>(&'a dyn Reads);

impl Snapshot<'_> {
    /// The record with that key.
    pub fn find<R: Record>(&self, key: &str) -> Result<Option<Versioned<R>>, ReadError> {
        self.0.find(R::COLLECTION, key)?.map(record).transpose()
    }

    /// Up to `limit` records that have `value` under `index`, by key.
    pub fn find_by<R: Record>(&self, index: &str, value: &str, limit: usize) -> Result<Vec<Versioned<R>>, ReadError> {
        self.0.find_by(R::COLLECTION, index, value, limit)?.into_iter().map(record).collect()
    }
}

fn record<R: Record>(row: Row) -> Result<Versioned<R>, ReadError> {
    match serde_json::from_str(&row.value) {
        Ok(record) => Ok(Versioned { record, version: row.version }),
        Err(e) => Err(ReadError::Unreadable { collection: R::COLLECTION.into(), key: row.key, why: e.to_string() }),
    }
}
