//! What can go wrong on the wire.

use landfall_types::{Fault, Refusal};
use std::{error::Error, io, sync::Arc, time::Duration};

/// Why a connection or an exchange over it did not come about.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A step took longer than its limit.
    #[error("{step} took longer than {limit:?}")]
    Timeout {
        /// What was being waited for.
        step: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The operating system or the network failed.
    #[error("{step}: {source}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The TLS handshake or record layer failed.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// The peer's certificate was refused.
    #[error("{0}")]
    Refused(Refusal),
    /// The peer does not speak HTTP/1.1 as it should, or went away in the middle.
    #[error("HTTP: {0}")]
    Http(String),
    /// The peer sent more than was allowed.
    #[error("the peer sent more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The caller's own configuration cannot work.
    #[error("{0}")]
    Misuse(String),
}

impl NetError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Timeout { .. } | Self::Io { .. } => Fault::Backend,
            Self::Tls(_) | Self::Http(_) | Self::TooLarge { .. } => Fault::Peer,
            Self::Refused(refusal) => refusal.fault,
            Self::Misuse(_) => Fault::Misuse,
        }
    }

    /// An I/O error of `step`, told apart from the TLS errors that travel inside of I/O errors.
    pub(crate) fn io(step: &'static str, source: io::Error) -> Self {
        match find::<rustls::Error>(&source) {
            Some(tls) => tls.clone().into(),
            None => Self::Io { step, source },
        }
    }
}

impl From<rustls::Error> for NetError {
    fn from(error: rustls::Error) -> Self {
        match &error {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
                match other.0.downcast_ref::<Refusal>() {
                    Some(refusal) => Self::Refused(refusal.clone()),
                    None => Self::Tls(error),
                }
            }
            _ => Self::Tls(error),
        }
    }
}

impl From<hyper::Error> for NetError {
    fn from(error: hyper::Error) -> Self {
        match find::<rustls::Error>(&error) {
            Some(tls) => tls.clone().into(),
            None => Self::Http(with_causes(&error)),
        }
    }
}

/// A refusal on its way through rustls.
pub(crate) fn through_tls(refusal: Refusal) -> rustls::Error {
    rustls::Error::InvalidCertificate(rustls::CertificateError::Other(rustls::OtherError(Arc::new(refusal))))
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error made of another error shows that error's causes, but not itself, as its source.
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inside.and_then(|inside| inside.downcast_ref()).or_else(|| error.downcast_ref()) {
            return Some(found);
        }
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
