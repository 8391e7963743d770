//! Certificates, requests, revocation lists and signed messages: profiles, lints, issuing, verifying.
//!
//! What is read is kept as it came: signatures are checked over slices of the original DER, never over a re-encoding.
//! What is made goes one way: prepare, lint, a token that can be used once, sign. Private keys stay behind
//! [`Signer`], so a file, a TPM and an HSM look alike.

mod asn1;
pub mod cert;
pub mod cms;
pub mod crl;
pub mod csr;
pub mod error;
pub mod extension;
pub mod issue;
pub mod key;
pub mod lint;
pub mod memo;
pub mod name;
pub mod oid;
pub mod path;
pub mod pem;
pub mod profile;
pub mod signer;

pub use cert::Certificate;
pub use cms::{SignedData, SignedDataBuilder};
pub use crl::{Crl, CrlRequest, Revoked};
pub use csr::{Csr, CsrRequest};
pub use error::PkiError;
pub use issue::{Authority, CertificateSerial, Prepared, Token, Validity};
pub use key::{Algorithm, KeyKind, PublicKey};
pub use lint::{Finding, Severity};
pub use memo::SignatureMemo;
pub use name::{AltName, Name};
pub use oid::Oid;
pub use path::{Anchor, Anchors, PathPolicy, ValidPath, validate};
pub use signer::{SignError, Signer, SoftwareKey, der_from_fixed, fixed_from_der};
