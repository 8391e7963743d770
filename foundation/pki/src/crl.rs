//! Certificate revocation lists (RFC 5280 s5).

use crate::{Authority, Certificate, CertificateSerial, PkiError, PublicKey, Signer};
use landfall_types::Time;

/// A revocation list, parsed; who signed it has not been checked. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    der: Vec<u8>,
}

/// That, when and why a certificate was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When.
    pub at: Time,
    /// Why.
    pub reason: Reason,
}

/// Why a certificate was revoked (RFC 5280 s5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reason {
    #[default]
    Unspecified,
    KeyCompromise,
    CaCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    CertificateHold,
    PrivilegeWithdrawn,
    AaCompromise,
}

impl Crl {
    /// From DER; nothing may stand after it.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        let _ = der;
        todo!()
    }

    /// From PEM that holds one list.
    pub fn from_pem(text: &str) -> Result<Self, PkiError> {
        let _ = text;
        todo!()
    }

    /// Its DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its PEM.
    pub fn to_pem(&self) -> String {
        todo!()
    }

    /// The issuer's DER.
    pub fn issuer_der(&self) -> &[u8] {
        todo!()
    }

    /// When it was made.
    pub fn this_update(&self) -> Time {
        todo!()
    }

    /// When the next one is due.
    pub fn next_update(&self) -> Option<Time> {
        todo!()
    }

    /// Whether `key` made its signature.
    pub fn verify_issued_by(&self, key: &PublicKey) -> Result<(), PkiError> {
        let _ = key;
        todo!()
    }

    /// Whether it revokes that certificate (of its own issuer).
    pub fn is_revoked(&self, certificate: &Certificate) -> Option<Revoked> {
        let _ = certificate;
        todo!()
    }

    /// How many certificates it revokes.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether it revokes none.
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}

/// A list to be made.
#[derive(Clone, Debug)]
pub struct CrlRequest {
    /// Its number; each list has a higher one than the last (RFC 5280 s5.2.3).
    pub number: u64,
    /// When it is made.
    pub this_update: Time,
    /// When the next one is due.
    pub next_update: Time,
    /// What it revokes.
    pub revoked: Vec<(CertificateSerial, Revoked)>,
}

impl CrlRequest {
    /// Prepares it, to be issued by `issuer`.
    pub fn prepare(&self, issuer: &Authority) -> Result<PreparedCrl, PkiError> {
        let _ = issuer;
        todo!()
    }
}

/// A list that waits for its signature.
#[derive(Debug)]
pub struct PreparedCrl {
    tbs: Vec<u8>,
}

impl PreparedCrl {
    /// What must be signed, with the issuer's key.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.tbs
    }

    /// The list with that signature (ECDSA as DER), which is checked with the issuer's key first.
    pub fn sign(self, signature: &[u8]) -> Result<Crl, PkiError> {
        let _ = signature;
        todo!()
    }

    /// The list signed by a key that is at hand.
    pub fn issue(self, signer: &dyn Signer) -> Result<Crl, PkiError> {
        let signature = signer.sign(self.to_be_signed())?;
        self.sign(&signature)
    }
}
