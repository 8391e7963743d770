//! Secure elements behind one trait: a key is made inside, named by a URI, used through a
//! [`Signer`], and never handed out.
//!
//! [`software`] keeps keys in encrypted files, [`memory`] for as long as the process lives; hardware has crates of its own
//! (landfall-pkcs11, landfall-tpm), which use [`label`], [`keys`] and [`files`]. What an element can do
//! beyond signing is a capability that it may offer ([`Attestation`], [`KeyAgreement`], [`CertificateStore`], [`Vault`]), so a
//! backend implements only what its hardware has. [`contract`] is the test suite that every backend passes.

pub mod contract;
mod error;
pub mod files;
pub mod keys;
pub mod label;
pub mod memory;
pub mod seed;
pub mod software;

pub use error::{ElementError, Trouble};
pub use memory::MemoryElement;
pub use software::{KeySource, SoftwareElement};

use landfall_pki::{Algorithm, Certificate, PublicKey, Signer, attestation::KeyAttestation};
use landfall_types::{KeyUri, Redacted};
use std::{fmt::Debug, sync::Arc};

/// Keeps private keys, and uses them on behalf of whoever holds their URI.
pub trait SecureElement: Send + Sync + Debug {
    /// The scheme of its key URIs: `software`, `memory`, `tpm`, `pkcs11`.
    fn scheme(&self) -> &'static str;

    /// The URI of the key with that label, whether there is one or not. A label that cannot name a key is refused.
    fn uri(&self, label: &str) -> Result<KeyUri, ElementError> {
        label::uri(self.scheme(), label)
    }

    /// The label in `key`, which must be of this element.
    fn label(&self, key: &KeyUri) -> Result<String, ElementError> {
        label::of(self.scheme(), key).map(str::to_owned)
    }

    /// Makes a key that never leaves the element. A label that is in use is refused, so that no key is ever lost to
    /// another.
    fn generate(&self, label: &str, algorithm: Algorithm) -> Result<KeyUri, ElementError>;

    /// Takes in a key that was made outside, as PKCS#8 DER (NIST SP 1800-36B H.1.1, method 3). An element that only
    /// makes keys itself answers [`ElementError::Unsupported`].
    fn import(&self, label: &str, pkcs8: &Redacted<Vec<u8>>) -> Result<KeyUri, ElementError>;

    /// The key's public half and the means to sign with it.
    fn signer(&self, key: &KeyUri) -> Result<Arc<dyn Signer>, ElementError>;

    /// Destroys the key, and its certificates if the element keeps any.
    fn delete(&self, key: &KeyUri) -> Result<(), ElementError>;

    /// The keys that it holds, in order of their labels.
    fn list(&self) -> Result<Vec<KeyUri>, ElementError>;

    /// Tries to take the private key out, as a thief with the device and its PIN would. An element that is only files gives
    /// it out to whoever can use it; hardware refuses, and a factory can see that it does.
    fn expose(&self, key: &KeyUri) -> Result<Exposure, ElementError> {
        self.signer(key).map(|_| Exposure::GivenOut)
    }

    /// A copy of the private key in PKCS#8 DER, for a program on this device that has to sign by itself and cannot ask the
    /// element. Only an element that is files or memory anyway has one to give.
    fn lend(&self, key: &KeyUri) -> Result<Redacted<Vec<u8>>, ElementError> {
        self.signer(key)?;
        Err(ElementError::Unsupported("give a private key out"))
    }

    /// Whether a key may take milliseconds to make or to use, so that no task that serves others may wait for it.
    fn takes_time(&self) -> bool {
        true
    }

    /// Can it prove where a key lives?
    fn attestation(&self) -> Option<&dyn Attestation> {
        None
    }

    /// Can it agree on secrets?
    fn key_agreement(&self) -> Option<&dyn KeyAgreement> {
        None
    }

    /// Can it keep certificates beside keys?
    fn certificates(&self) -> Option<&dyn CertificateStore> {
        None
    }

    /// Can it seal what others keep?
    fn vault(&self) -> Option<&dyn Vault> {
        None
    }
}

/// What came of an attempt to take a private key out of its element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// The element keeps it; how it said so.
    Refused(String),
    /// It can be taken out.
    GivenOut,
}

/// A statement by the element about one of its keys, in the element's own format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The media type of `bytes`.
    pub media_type: &'static str,
    /// The statement.
    pub bytes: Vec<u8>,
}

/// Proves that a key lives in the element.
pub trait Attestation {
    /// A statement about `key`, fresh because it covers the verifier's `challenge` (RFC 9334 s10).
    fn attest(&self, key: &KeyUri, challenge: &[u8]) -> Result<Evidence, ElementError>;

    /// The same for a certificate request that asks for a certificate for `key`. `certificates` are those of the key that
    /// the element attests with, which whoever reads the request has to believe.
    fn attest_request(&self, key: &KeyUri, certificates: &[Certificate]) -> Result<KeyAttestation, ElementError>;
}

/// Agrees on secrets with an elliptic-curve key.
pub trait KeyAgreement {
    /// The x coordinate of the shared point, big-endian, in the full length of the field (NIST SP 800-56A s5.7.1.2).
    /// It is not yet a key: derive one from it.
    fn agree(&self, key: &KeyUri, peer: &PublicKey) -> Result<Redacted<Vec<u8>>, ElementError>;
}

/// Keeps a certificate chain beside a key.
pub trait CertificateStore {
    /// Keeps `chain`, leaf first, in the place of what was there. A leaf that certifies another key is refused.
    fn keep(&self, key: &KeyUri, chain: &[Certificate]) -> Result<(), ElementError>;

    /// The chain that was kept, leaf first; empty if there is none.
    fn chain(&self, key: &KeyUri) -> Result<Vec<Certificate>, ElementError>;
}

/// Seals secrets that are not keys of the element: passwords, and keys of kinds that it cannot use. What is sealed is
/// kept by the caller.
pub trait Vault {
    /// Seals `secret`, so that only this element opens it, and only under that name, a label like those of keys.
    fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, ElementError>;

    /// Opens what was sealed under that name; [`ElementError::Tampered`] if anything at all was changed.
    fn open(&self, name: &str, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, ElementError>;
}
