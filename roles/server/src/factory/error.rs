//! What can go wrong in a factory.

use crate::RoleError;
use landfall_element::ElementError;
use landfall_lifecycle::factory::BadSerial;
use landfall_pki::{PkiError, SignError};
use landfall_store::{CommitError, ReadError};
use landfall_types::{Fault, Refusal, SerialNumber, record::Unwritable};
use std::path::{Path, PathBuf};

/// Why a factory did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum FactoryError {
    /// The folder holds a manufacturer already.
    #[error("{0} holds a manufacturer already; it is not replaced")]
    Exists(PathBuf),
    /// Another batch is being made.
    #[error("another batch is being made; wait until it is finished")]
    Busy,
    /// A file cannot be read or written, or does not hold what it should.
    #[error("{path}: {why}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate or its key cannot be loaded.
    #[error(transparent)]
    Identity(#[from] RoleError),
    /// A device asked for something that it does not get.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What devices are to be bootstrapped with does not make a URI.
    #[error("the bootstrapping URI: {0}")]
    Uri(landfall_dpp::uri::UriError),
    /// A serial number cannot be made.
    #[error(transparent)]
    Serial(#[from] BadSerial),
    /// A certificate cannot be read, made or checked.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A key cannot sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The keys are out of reach.
    #[error(transparent)]
    Element(#[from] ElementError),
    /// The database did not take it.
    #[error("the manufacturer's database: {0}")]
    Commit(#[from] CommitError),
    /// The database cannot be read.
    #[error("the manufacturer's database: {0}")]
    Read(#[from] ReadError),
    /// A record cannot be written.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// What was to be brought in is not what it should be.
    #[error("line {line}: {why}")]
    Import {
        /// The line.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

impl FactoryError {
    /// Something is wrong with a file.
    pub(super) fn file(path: &Path, why: impl ToString) -> Self {
        Self::File { path: path.into(), why: why.to_string() }
    }

    /// A device does not get what it asked for.
    pub(super) fn refused(check: &'static str, section: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(Fault::Denied, check, section, detail))
    }

    /// Whether it is the device's own fault that it is not made; then it is on record among the rejects.
    pub fn is_rejection(&self) -> bool {
        self.rejection().is_some()
    }

    /// The check that a device did not pass, and why, if it is the device's own fault that it is not made.
    pub(super) fn rejection(&self) -> Option<(String, String)> {
        match self {
            // A CA that is away is not the device's fault.
            Self::Refused(refusal) if refusal.fault == Fault::Backend => None,
            Self::Refused(refusal) => Some((refusal.check.to_string(), refusal.detail.clone())),
            Self::Pki(why) => Some(("request-readable".into(), why.to_string())),
            Self::Element(why) => Some(("key-usable".into(), why.to_string())),
            _ => None,
        }
    }

    /// No serial number is used twice.
    pub(super) fn serial_taken(serial: &SerialNumber) -> Self {
        Self::refused("serial-number-unused", "NIST SP 1800-36B H.1.1", format!("there is a device {serial} already"))
    }
}
