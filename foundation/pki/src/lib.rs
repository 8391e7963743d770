//! Certificates, requests, revocation lists and signed messages: profiles, lints, issuing, verifying.
//!
//! What is read is kept as it came: signatures are checked over slices of the original DER, never over a re-encoding.
//! What is made goes one way: prepare, lint, a token that can be used once, sign. Private keys stay behind
//! [`Signer`], so a file, a TPM and an HSM look alike.
//!
//! ```
//! use landfall_pki::{Algorithm, Anchors, Authority, CertificateSerial, Name, PathPolicy, Signer, SoftwareKey, Validity};
//! use landfall_pki::{profile, validate};
//! use landfall_types::Time;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now: Time = "2026-11-22T00:00:00Z".parse()?;
//! let ca_key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
//! let ca = profile::Ca::issuing(Name::common("Example CA"))
//!     .prepare_root(ca_key.public_key(), CertificateSerial::random()?, Validity::forever(now))?
//!     .checked()?
//!     .issue(&ca_key)?;
//! let issuer = Authority { certificate: ca.clone(), chain: vec![] };
//!
//! let device_key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
//! let idevid = profile::Idevid::new("JADA123456789".parse()?)
//!     .prepare(&issuer, device_key.public_key(), CertificateSerial::random()?, Validity::forever(now))?
//!     .checked()?
//!     .issue(&ca_key)?;
//!
//! let path = validate(&idevid, &[], &Anchors::of([ca]), &PathPolicy::at(now))?;
//! assert_eq!(path.chain.len(), 2);
//! # Ok(())
//! # }
//! ```

mod asn1;
pub mod attestation;
pub mod cert;
pub mod cms;
pub mod crl;
pub mod csr;
pub mod error;
pub mod extension;
pub mod issue;
pub mod jose;
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
pub use cms::{ContentDigest, SignedData, SignedDataBuilder};
pub use crl::{Crl, CrlRequest, Crls, Revoked};
pub use csr::{Csr, CsrRequest};
pub use error::PkiError;
pub use issue::{Authority, CertificateSerial, Prepared, Token, Validity};
pub use jose::{Jws, UnsignedJws};
pub use key::{Algorithm, KeyKind, PublicKey};
pub use lint::{Finding, Severity};
pub use memo::SignatureMemo;
pub use name::{AltName, Name};
pub use oid::Oid;
pub use path::{Anchor, Anchors, PathPolicy, ValidPath, validate};
pub use signer::{SignError, Signer, SoftwareKey, der_from_fixed, fixed_from_der};
