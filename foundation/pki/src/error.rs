//! What can be wrong with a certificate, a key or a signed message.

use crate::signer::SignError;
use landfall_types::Fault;

/// Why something was not read, not believed or not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PkiError {
    /// The bytes are not what they should be.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Well formed, of a kind that is not spoken here.
    #[error("unsupported {what}: {detail}")]
    Unsupported {
        /// What was being read.
        what: &'static str,
        /// What was found.
        detail: String,
    },
    /// The signature does not belong to these bytes and this key.
    #[error("the signature of the {0} does not verify")]
    BadSignature(&'static str),
    /// Well formed, and against a rule.
    #[error("unacceptable {what}: {why}")]
    Unacceptable {
        /// What was being checked.
        what: &'static str,
        /// The rule that it breaks.
        why: String,
    },
    /// The caller asked for something that cannot be done.
    #[error("{0}")]
    Misuse(String),
    /// The key could not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl PkiError {
    pub(crate) fn malformed(what: &'static str, why: impl ToString) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }

    pub(crate) fn unsupported(what: &'static str, detail: impl ToString) -> Self {
        Self::Unsupported { what, detail: detail.to_string() }
    }

    pub(crate) fn unacceptable(what: &'static str, why: impl ToString) -> Self {
        Self::Unacceptable { what, why: why.to_string() }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Malformed { .. } => Fault::Malformed,
            Self::Unsupported { .. } => Fault::Incompatible,
            Self::BadSignature(_) | Self::Unacceptable { .. } => Fault::Peer,
            Self::Misuse(_) => Fault::Misuse,
            Self::Sign(_) => Fault::Backend,
        }
    }
}
