//! What can go wrong, in words for the operator.

use landfall_types::Fault;
use std::path::PathBuf;

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process (or another part of this one) has it open.
    #[error("{path} is in use by {holder}; stop it first, or talk to it through its admin API")]
    Held {
        /// The store.
        path: PathBuf,
        /// Who holds it: process id and program.
        holder: String,
    },
    /// It was written by a newer program.
    #[error("{path} has schema {found}, and this program knows schemas up to {known}: use the newer program")]
    Newer {
        /// The store.
        path: PathBuf,
        /// The schema of the file.
        found: u32,
        /// The newest schema known here.
        known: u32,
    },
    /// The file is something else.
    #[error("{path} is not a Landfall store: {why}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How that was seen.
        why: String,
    },
    /// The file, its directory or its lock cannot be made or opened.
    #[error("{path} cannot be opened: {why}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
}

/// A set of changes did not take effect; none of them did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A record is not as the change expects it.
    #[error("the record {key} of {collection} {found}")]
    Conflict {
        /// Its collection.
        collection: String,
        /// Its key.
        key: String,
        /// What was found instead.
        found: Found,
    },
    /// No space is left for the store.
    #[error("the disk that holds the store is full")]
    Full,
    /// The storage failed; what it was doing is not in the store.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The store is closed: its writer has stopped.
    #[error("the store is closed")]
    Closed,
}

/// What a conflicting change found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Found {
    /// A record where none was expected.
    #[error("exists already")]
    Exists,
    /// No record where one was expected.
    #[error("is not there")]
    Missing,
    /// A record that has been written since.
    #[error("has changed since it was read")]
    Changed,
}

impl CommitError {
    /// Whether a record was not as expected, so that reading again and deciding anew may help.
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        Fault::Backend
    }
}

/// Something could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The storage failed.
    #[error("the store failed: {0}")]
    Failed(String),
    /// What is stored does not have the form of such a record.
    #[error("the record {key} of {collection} cannot be read: {why}")]
    Unreadable {
        /// Its collection, or the name of a log.
        collection: String,
        /// Its key, or the sequence number of an entry.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ReadError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        Fault::Backend
    }
}

/// A log is not what was once written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogBroken {
    /// The entry that should have this number is not there.
    #[error("entry {seq} is missing")]
    Missing {
        /// The number.
        seq: u64,
    },
    /// The entry does not follow from the one before it, or its content was changed.
    #[error("entry {seq} is not the one that was written")]
    Changed {
        /// Its number.
        seq: u64,
    },
    /// The log does not end where its head says.
    #[error("the log ends at entry {last}, and its head says {head}")]
    WrongEnd {
        /// The last entry found.
        last: u64,
        /// The last entry according to the head.
        head: u64,
    },
    /// The log could not be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
}
