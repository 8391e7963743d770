//! Durable records, and sets of changes to them: what the pure parts hand to the store.

use serde::{Serialize, de::DeserializeOwned};

/// A typed record that a store can keep.
pub trait Record: Serialize + DeserializeOwned {
    /// The collection that it belongs to, in kebab-case: `factory-device`.
    const COLLECTION: &'static str;

    /// Its key, unique in the collection.
    fn key(&self) -> String;

    /// What else it can be found by: pairs of index name and value. An index need not be unique.
    fn indexes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Which writing of a record this is; a commit can demand that it is still the one that was read. A store never uses a
/// version twice, so a record that was removed and made again has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// What must hold for a record to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Anything,
    /// No record has this key.
    Absent,
    /// The record is still at this version.
    At(Version),
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Write a record.
    Put {
        /// Its collection.
        collection: &'static str,
        /// Its key.
        key: String,
        /// Its content, in JSON.
        value: String,
        /// What else it can be found by.
        indexes: Vec<(&'static str, String)>,
        /// What must hold.
        expect: Expect,
    },
    /// Remove a record, if it is there.
    Delete {
        /// Its collection.
        collection: &'static str,
        /// Its key.
        key: String,
    },
    /// Add an entry at the end of a hash-chained log.
    Append {
        /// The log's name, in kebab-case: `masa-issued`.
        log: &'static str,
        /// The entry, in JSON.
        entry: String,
    },
}

/// Changes that take effect together or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "changes do nothing until they are committed"]
pub struct Changes(Vec<Change>);

/// A record could not be written as JSON.
#[derive(Debug, thiserror::Error)]
#[error("a record of {0} cannot be written: {1}")]
pub struct Unwritable(&'static str, serde_json::Error);

impl Changes {
    /// No changes.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No changes, with room for so many.
    pub fn of(count: u64) -> Self {
        Self(Vec::with_capacity(usize::try_from(count).unwrap_or_default()))
    }

    /// Writes `record`; the commit fails if its key is taken.
    pub fn insert<R: Record>(self, record: &R) -> Result<Self, Unwritable> {
        self.write(record, Expect::Absent)
    }

    /// Writes `record`, whatever was there.
    pub fn put<R: Record>(self, record: &R) -> Result<Self, Unwritable> {
        self.write(record, Expect::Anything)
    }

    /// Writes `record`; the commit fails if another has written it since `version` was read.
    pub fn put_if<R: Record>(self, record: &R, version: Version) -> Result<Self, Unwritable> {
        self.write(record, Expect::At(version))
    }

    /// Removes the record with that key.
    pub fn delete<R: Record>(mut self, key: impl Into<String>) -> Self {
        self.0.push(Change::Delete { collection: R::COLLECTION, key: key.into() });
        self
    }

    /// Adds `entry` to `log`.
    pub fn append(mut self, log: &'static str, entry: &impl Serialize) -> Result<Self, Unwritable> {
        let entry = written(entry).map_err(|e| Unwritable(log, e))?;
        self.0.push(Change::Append { log, entry });
        Ok(self)
    }

    /// These changes and `more`, together.
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes, in order.
    pub fn into_vec(self) -> Vec<Change> {
        self.0
    }

    fn write<R: Record>(mut self, record: &R, expect: Expect) -> Result<Self, Unwritable> {
        let value = written(record).map_err(|e| Unwritable(R::COLLECTION, e))?;
        let (collection, key, indexes) = (R::COLLECTION, record.key(), record.indexes());
        self.0.push(Change::Put { collection, key, value, indexes, expect });
        Ok(self)
    }
}

/// In JSON. Most records fit into what is set aside for them, so that they need not move while they grow.
fn written(it: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut json = Vec::with_capacity(1024);
    serde_json::to_writer(&mut json, it)?;
    String::from_utf8(json).map_err(serde::ser::Error::custom)
}
