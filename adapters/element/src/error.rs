//! What can go wrong with an element. None of it shows a secret.

use landfall_pki::PkiError;
use landfall_types::{Fault, KeyUri};
use std::{io, path::PathBuf};

/// Why an element did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ElementError {
    /// The label cannot name a key.
    #[error("{label:?} cannot name a key: {why}")]
    Label {
        /// The label, shortened.
        label: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The key's URI belongs to another element.
    #[error("{key} is not a key of this {scheme} element")]
    Foreign {
        /// The key asked for.
        key: KeyUri,
        /// The scheme of the element that was asked.
        scheme: &'static str,
    },
    /// There is no such key.
    #[error("there is no key {0}")]
    Missing(KeyUri),
    /// The label is in use.
    #[error("there is a key {0} already")]
    Taken(KeyUri),
    /// The passphrase, or the key file, is not the one that the element was made with.
    #[error("the element in {0} does not open with this passphrase or key file")]
    Locked(PathBuf),
    /// What is stored for the key is not what was written for it.
    #[error("what is stored for {0} has been changed, damaged or exchanged")]
    Tampered(KeyUri),
    /// A file of the element is not what it should be.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The certificate is for another key.
    #[error("the certificate is for another key than {0}")]
    OtherKey(KeyUri),
    /// The element cannot do this.
    #[error("this element cannot {0}")]
    Unsupported(&'static str),
    /// The key or certificate is not one that can be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// Cryptography failed, which says nothing more by design.
    #[error("cryptography failed while trying to {0}")]
    Crypto(&'static str),
    /// The file system failed.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl ElementError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Label { .. } | Self::Foreign { .. } | Self::Missing(_) | Self::Taken(_) | Self::OtherKey(_) => {
                Fault::Misuse
            }
            Self::Unsupported(_) => Fault::Incompatible,
            Self::Pki(error) => error.fault(),
            Self::Locked(_) | Self::Tampered(_) | Self::File { .. } | Self::Crypto(_) | Self::Io { .. } => {
                Fault::Backend
            }
        }
    }
}
