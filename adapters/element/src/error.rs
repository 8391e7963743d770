//! What can go wrong with an element. None of it shows a secret.

use landfall_pki::PkiError;
use landfall_types::{Fault, KeyUri};
use std::{fmt, io, path::PathBuf};

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
    /// The hardware failed, or refuses.
    #[error("{trouble}: {detail}")]
    Hardware {
        /// What kind of trouble it is.
        trouble: Trouble,
        /// What the hardware said, and where.
        detail: String,
    },
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

/// What can be the matter with hardware, told apart by what a person has to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The PIN or authorization value is not the right one.
    WrongPin,
    /// Too many wrong ones were tried, or the element wants a new one.
    LockedOut,
    /// There is no room for another object.
    Full,
    /// It is not there, or was removed.
    Gone,
    /// It is not the element that the keys were made in, or it was cleared since.
    Reset,
    /// The platform is not in the state that the secret is bound to.
    OtherState,
    /// Something else.
    Failed,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongPin => "the element refuses the PIN or authorization value",
            Self::LockedOut => "the element is locked after wrong PINs or authorization values",
            Self::Full => "the element is full",
            Self::Gone => "the element is not there",
            Self::Reset => "the element was cleared, or is not the one that the key was made in",
            Self::OtherState => "the platform is not in the state that the secret is bound to",
            Self::Failed => "the element failed",
        })
    }
}

impl ElementError {
    /// Trouble with the hardware.
    pub fn hardware(trouble: Trouble, detail: impl Into<String>) -> Self {
        Self::Hardware { trouble, detail: detail.into() }
    }

    /// What is the matter with the hardware, if that is the reason.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Hardware { trouble, .. } => Some(*trouble),
            _ => None,
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Label { .. } | Self::Foreign { .. } | Self::Missing(_) | Self::Taken(_) | Self::OtherKey(_) => {
                Fault::Misuse
            }
            Self::Unsupported(_) => Fault::Incompatible,
            Self::Pki(error) => error.fault(),
            Self::Hardware { .. }
            | Self::Locked(_)
            | Self::Tampered(_)
            | Self::File { .. }
            | Self::Crypto(_)
            | Self::Io { .. } => Fault::Backend,
        }
    }
}
