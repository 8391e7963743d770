//! What can be wrong with a voucher or a request.

use super::{Format, MAX_BYTES, MAX_CERTIFICATES};
use landfall_pki::PkiError;
use landfall_types::{Fault, Refusal, Time};

/// Why an artefact was not read, or not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoucherError {
    /// It is longer than anything that is read.
    #[error("{0} bytes are more than the {MAX_BYTES} that are read")]
    TooLarge(usize),
    /// The bytes are not the container that they claim to be.
    #[error("not a {format} object: {why}")]
    Container {
        /// What it should have been.
        format: Format,
        /// What is wrong.
        why: String,
    },
    /// The container holds something else.
    #[error("the content is {0}")]
    ContentType(String),
    /// There are no signatures, or several.
    #[error("{0} signatures, where there must be one")]
    Signatures(usize),
    /// The signer's certificate is not there.
    #[error("no certificate of the signer came along")]
    NoSigner,
    /// It brings too many certificates.
    #[error("{0} certificates are more than {MAX_CERTIFICATES}")]
    TooManyCertificates(usize),
    /// An algorithm that is not spoken here, or that does not fit the key.
    #[error("{0}")]
    Algorithm(String),
    /// The signature is wrong.
    #[error("{0}")]
    Signature(String),
    /// The content is not JSON or CBOR as it should be.
    #[error("the content cannot be read: {0}")]
    Content(String),
    /// A voucher where a request was expected, or the other way round, or something else.
    #[error("the content is {found:?}, not {expected}")]
    Artefact {
        /// What was expected.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field has no acceptable value.
    #[error("{field} {why}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A nonce and an expiry exclude each other.
    #[error("nonce and expires-on exclude each other")]
    NonceAndExpiry,
    /// A renewal date without an expiry.
    #[error("last-renewal-date needs expires-on")]
    RenewalWithoutExpiry,
    /// A voucher that outlives the certificate that it pins.
    #[error("expires-on {expires_on} is after the end of the pinned certificate, {not_after}")]
    OutlivesPinned {
        /// When the voucher expires.
        expires_on: Time,
        /// When the certificate does.
        not_after: Time,
    },
    /// The caller's signature or certificate does not fit.
    #[error("it cannot be signed: {0}")]
    Sealing(String),
}

impl VoucherError {
    pub(super) fn value(field: &'static str, why: impl Into<String>) -> Self {
        Self::Value { field, why: why.into() }
    }

    pub(super) fn container(format: Format, why: impl ToString) -> Self {
        Self::Container { format, why: why.to_string() }
    }

    /// That a signature was found wrong.
    pub(super) fn signature(error: &PkiError) -> Self {
        match error {
            PkiError::BadSignature(_) | PkiError::Unacceptable { .. } => Self::Signature(error.to_string()),
            _ => Self::Algorithm(error.to_string()),
        }
    }

    /// A certificate library's finding, about an object of `format`.
    pub(super) fn pki(format: Format, error: &PkiError) -> Self {
        match error {
            PkiError::Unsupported { .. } => Self::Algorithm(error.to_string()),
            _ => Self::container(format, error),
        }
    }

    /// The name of the check, whose fault it is, where it is specified and the field: one row for each kind.
    fn row(&self) -> (&'static str, Fault, &'static str, &'static str) {
        match self {
            Self::TooLarge(_) => ("voucher-size", Fault::Malformed, "RFC 8995 s11.1", ""),
            Self::Container { .. } => ("voucher-container", Fault::Malformed, "RFC 8366 s5.4", ""),
            Self::ContentType(_) => ("voucher-content-type", Fault::Incompatible, "RFC 8366 s5.4", "eContentType"),
            Self::Signatures(_) => ("voucher-one-signer", Fault::Peer, "RFC 8366 s5.4", "signerInfo"),
            Self::NoSigner => ("voucher-signer", Fault::Peer, "RFC 8366 s5.4", "certificates"),
            Self::TooManyCertificates(_) => ("voucher-certificates", Fault::Malformed, "RFC 8366 s5.4", "certificates"),
            Self::Algorithm(_) => ("voucher-algorithm", Fault::Incompatible, "RFC 8995 s5.6", ""),
            Self::Signature(_) => ("voucher-signature", Fault::Peer, "RFC 8995 s5.5.3", ""),
            Self::Content(_) => ("voucher-content", Fault::Malformed, "RFC 8366 s5", ""),
            Self::Artefact { .. } => ("voucher-artefact", Fault::Malformed, "RFC 8366 s5.3", ""),
            Self::Missing(field) => ("voucher-mandatory", Fault::Malformed, "RFC 8366 s5.3", field),
            Self::Value { field, .. } => ("voucher-value", Fault::Malformed, "RFC 8366 s5.3", field),
            Self::NonceAndExpiry => ("voucher-nonce-and-expiry", Fault::Malformed, "RFC 8366 s5.3", "expires-on"),
            Self::RenewalWithoutExpiry => {
                ("voucher-renewal-date", Fault::Malformed, "RFC 8366 s5.3", "last-renewal-date")
            }
            Self::OutlivesPinned { .. } => ("voucher-outlives-pinned", Fault::Malformed, "RFC 8366 s5.3", "expires-on"),
            Self::Sealing(_) => ("voucher-sealing", Fault::Misuse, "RFC 8366 s5.4", ""),
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.row().1
    }

    /// The same as a refusal.
    pub fn refusal(&self) -> Refusal {
        let (check, fault, section, field) = self.row();
        Refusal::new(fault, check, section, self.to_string()).field(field)
    }
}

impl From<VoucherError> for Refusal {
    fn from(error: VoucherError) -> Self {
        error.refusal()
    }
}
