//! What a backend must do; everything typed is built on this.

use crate::{
    Committed,
    error::{CommitError, Found, ReadError},
    log::{Head, RawEntry},
};
use landfall_types::record::{Change, Expect, Version};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// A record as stored: its content is JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) version: Version,
    pub(crate) value: String,
}

/// Where a commit's result goes.
pub(crate) type Done = oneshot::Sender<Result<Committed, CommitError>>;

/// A place for records and logs.
pub(crate) trait Backend: Send + Sync + std::fmt::Debug {
    /// Makes `changes` durable, all or none, then tells `done`.
    fn submit(&self, changes: Vec<Change>, done: Done);
    /// A number that no longer is the same once a commit has written or removed a record of one of these collections and its
    /// outcome was told. Nothing if others write here too.
    fn mark(&self, collections: &[&'static str]) -> Option<u64>;
    /// Calls `work` once. What it reads is all of one moment, or else it reads but once.
    fn read(&self, reading: Reading, work: &mut dyn FnMut(&dyn Reads)) -> Result<(), ReadError>;
}

/// How often something was written to each collection.
#[derive(Debug, Default)]
pub(crate) struct Marks(Mutex<BTreeMap<&'static str, u64>>);

impl Marks {
    /// Notes that something was written to these; to be called when it can be read, and before anybody is told so.
    pub(crate) fn note(&self, collections: &BTreeSet<&'static str>) {
        let mut marks = self.held();
        collections.iter().for_each(|collection| *marks.entry(collection).or_default() += 1);
    }

    pub(crate) fn of(&self, collections: &[&'static str]) -> u64 {
        let marks = self.held();
        // Each grows only, so the sum is the same only if all of them are.
        collections.iter().filter_map(|collection| marks.get(collection)).sum()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The collections that have records which these changes write or remove.
pub(crate) fn touched<'a>(changes: impl IntoIterator<Item = &'a Change>) -> BTreeSet<&'static str> {
    let collection = |change: &Change| match change {
        Change::Put { collection, .. } | Change::Delete { collection, .. } => Some(*collection),
        Change::Append { .. } => None,
    };
    changes.into_iter().filter_map(collection).collect()
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// One answer, which is of one moment by itself.
    Once,
    /// Several, all of one moment.
    Snapshot,
}

/// Reading records and logs.
pub(crate) trait Reads {
    /// One record.
    fn find(&self, collection: &str, key: &str) -> Result<Option<Row>, ReadError>;
    /// Records with `value` under `index`, by key.
    fn find_by(&self, collection: &str, index: &str, value: &str, limit: usize) -> Result<Vec<Row>, ReadError>;
    /// Records by key, after `after`.
    fn scan(&self, collection: &str, after: Option<&str>, limit: usize) -> Result<Vec<Row>, ReadError>;
    /// Records by value under `index` and key, after that pair.
    fn scan_index(
        &self,
        collection: &str,
        index: &str,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<(String, Row)>, ReadError>;
    /// How many records.
    fn count(&self, collection: &str) -> Result<u64, ReadError>;
    /// How many records with `value` under `index`.
    fn count_by(&self, collection: &str, index: &str, value: &str) -> Result<u64, ReadError>;
    /// Entries of a log after number `after`.
    fn log(&self, log: &str, after: u64, limit: usize) -> Result<Vec<RawEntry>, ReadError>;
    /// The last entry of a log.
    fn head(&self, log: &str) -> Result<Head, ReadError>;
    /// A head that the log had once, as it was noted beside it: without that entry the log is not whole.
    fn noted_head(&self, log: &str) -> Result<Head, ReadError>;
}

/// What `work` reads.
pub(crate) fn read<T>(
    backend: &dyn Backend,
    reading: Reading,
    work: impl FnOnce(&dyn Reads) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let (mut work, mut result) = (Some(work), None);
    backend.read(reading, &mut |reads| result = work.take().map(|work| work(reads)))?;
    result.unwrap_or_else(|| Err(ReadError::Failed("it was not read".into())))
}

/// Whether a record at `found` (if any) is what the change expects.
pub(crate) fn check(expect: Expect, found: Option<Version>, collection: &str, key: &str) -> Result<(), CommitError> {
    let found = match (expect, found) {
        (Expect::Anything, _) | (Expect::Absent, None) => return Ok(()),
        (Expect::At(expected), Some(found)) if expected == found => return Ok(()),
        (Expect::Absent, Some(_)) => Found::Exists,
        (Expect::At(_), None) => Found::Missing,
        (Expect::At(_), Some(_)) => Found::Changed,
    };
    Err(CommitError::Conflict { collection: collection.into(), key: key.into(), found })
}
