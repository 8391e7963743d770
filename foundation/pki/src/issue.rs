//! Issuing: prepare, lint, a token that can be used once, sign.

use crate::{Algorithm, Certificate, Finding, PkiError, PublicKey, Signer};
use aws_lc_rs::rand;
use landfall_types::Time;
use std::time::Duration;

/// Who issues: its certificate and what stands above it. The key stays elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The issuing certificate.
    pub certificate: Certificate,
    /// What stands above it, nearest first.
    pub chain: Vec<Certificate>,
}

/// The serial number of a certificate (RFC 5280 s4.1.2.2): positive, at most 20 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateSerial(Vec<u8>);

impl CertificateSerial {
    /// From 16 random bytes.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        // Positive, and never shorter than 16 bytes.
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x3f | 0x40;
        }
        Self(bytes.to_vec())
    }

    /// From the system's random source.
    pub fn random() -> Result<Self, PkiError> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(|_| PkiError::Misuse("the system gave no random bytes".into()))?;
        Ok(Self::from_random(bytes))
    }

    /// The bytes, big-endian.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// From when until when, both inclusive, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From when.
    pub not_before: Time,
    /// Until when.
    pub not_after: Time,
}

impl Validity {
    /// From `start`, without an end (IEEE 802.1AR-2018 s8.7).
    pub const fn forever(start: Time) -> Self {
        Self { not_before: start, not_after: Time::FOREVER }
    }

    /// From `start`, for so long.
    pub fn lasting(start: Time, long: Duration) -> Self {
        Self { not_before: start, not_after: start + long }
    }
}

/// A certificate that has been put together and not been looked at.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) tbs: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    pub(crate) issuer: PublicKey,
}

impl Prepared {
    /// Checks it against every lint; an error among the findings means that it must not be signed.
    pub fn lint(self) -> Result<Token, Vec<Finding>> {
        todo!()
    }
}

/// Leave to sign one certificate once.
#[derive(Debug)]
pub struct Token {
    prepared: Prepared,
}

impl Token {
    /// What must be signed, with the issuer's key.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.prepared.tbs
    }

    /// The certificate with that signature (ECDSA as DER), which is checked with the issuer's key first.
    pub fn sign(self, signature: &[u8]) -> Result<Certificate, PkiError> {
        let _ = (signature, self.prepared.algorithm, self.prepared.issuer);
        todo!()
    }

    /// The certificate signed by a key that is at hand.
    pub fn issue(self, signer: &dyn Signer) -> Result<Certificate, PkiError> {
        let signature = signer.sign(self.to_be_signed())?;
        self.sign(&signature)
    }
}
