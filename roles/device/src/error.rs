//! Why the agent could not do what it was asked.

use landfall_element::ElementError;
use landfall_net::NetError;
use landfall_pki::PkiError;
use landfall_types::Refusal;
use std::{io, path::PathBuf};

/// Why the agent could not do what it was asked. A registrar that says no is not an error but an
/// answer.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The configuration cannot work.
    #[error("configuration: {0}")]
    Config(String),
    /// A file is not what it should be.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file system failed.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another agent is at work on the same state.
    #[error("{0} is in use by another agent")]
    Busy(PathBuf),
    /// The device has no birth credential yet.
    #[error("this device has no birth credential yet: name its bundle with --bundle or in the configuration")]
    Unborn,
    /// The device has no network credential.
    #[error("this device is not onboarded")]
    NotOnboarded,
    /// The birth credential does not fit together.
    #[error("{0}")]
    Birth(Refusal),
    /// The element failed.
    #[error(transparent)]
    Element(#[from] ElementError),
    /// A certificate or key cannot be read.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The network adapter failed.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A core was driven wrongly, which is a defect of this program.
    #[error("defect: {0}")]
    Defect(String),
}

impl DeviceError {
    pub(crate) fn file(path: impl Into<PathBuf>, why: impl ToString) -> Self {
        Self::File { path: path.into(), why: why.to_string() }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }
}
