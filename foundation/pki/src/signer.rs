//! Private keys: something that signs, and one that lives in memory.

use crate::{
    asn1,
    error::PkiError,
    key::{Algorithm, PublicKey},
};
use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    },
};
use landfall_types::Redacted;
use std::fmt;

/// A private key, wherever it lives: in memory, in a TPM, in an HSM.
pub trait Signer: Send + Sync + fmt::Debug {
    /// Its public half.
    fn public_key(&self) -> &PublicKey;

    /// What it signs with.
    fn algorithm(&self) -> Algorithm;

    /// Signs `message`: ECDSA as ASN.1 DER (RFC 3279 s2.2.3), Ed25519 as 64 bytes.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Whether it signs in this process's memory, so that its signatures need no check for what went wrong elsewhere.
    fn is_in_memory(&self) -> bool {
        false
    }
}

/// The key could not sign; the text is for the operator and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key could not sign: {0}")]
pub struct SignError(pub String);

/// A private key in memory.
pub struct SoftwareKey {
    pair: Pair,
    public_key: PublicKey,
    algorithm: Algorithm,
    pkcs8: Redacted<Vec<u8>>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SoftwareKey {
    /// A new key, from the system's random source. Fails only if that or the cryptographic library fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, PkiError> {
        let failed = |_| PkiError::Sign(SignError("the cryptographic library made no key".into()));
        let ecdsa = |algorithm| {
            let pair = EcdsaKeyPair::generate(algorithm)?;
            Ok((pair.to_pkcs8v1()?, Pair::Ecdsa(pair)))
        };
        let (pkcs8, pair) = match algorithm {
            Algorithm::EcdsaP256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            Algorithm::EcdsaP384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
            // Version 1: OpenSSL before 3.2 does not read version 2.
            Algorithm::Ed25519 => {
                Ed25519KeyPair::generate().and_then(|pair| Ok((pair.to_pkcs8v1()?, Pair::Ed25519(pair))))
            }
        }
        .map_err(failed)?;
        Ok(Self { public_key: pair.public_key()?, pair, algorithm, pkcs8: Redacted::new(pkcs8.as_ref().to_vec()) })
    }

    /// From PKCS #8 (RFC 5958).
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, PkiError> {
        let pkcs8 = Redacted::new(der.to_vec());
        let ecdsa = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, der).ok();
        let (pair, algorithm) = if let Some(pair) = ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING) {
            (Pair::Ecdsa(pair), Algorithm::EcdsaP256)
        } else if let Some(pair) = ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING) {
            (Pair::Ecdsa(pair), Algorithm::EcdsaP384)
        } else if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            (Pair::Ed25519(pair), Algorithm::Ed25519)
        } else {
            return Err(PkiError::malformed("private key", "it is not PKCS #8 of P-256, P-384 or Ed25519"));
        };
        Ok(Self { public_key: pair.public_key()?, pair, algorithm, pkcs8 })
    }

    /// As PKCS #8 (RFC 5958).
    pub fn to_pkcs8_der(&self) -> Redacted<Vec<u8>> {
        self.pkcs8.clone()
    }
}

impl Pair {
    fn public_key(&self) -> Result<PublicKey, PkiError> {
        let spki: Result<PublicKeyX509Der<'_>, _> = match self {
            Self::Ecdsa(pair) => pair.public_key().as_der(),
            Self::Ed25519(pair) => pair.public_key().as_der(),
        };
        PublicKey::from_spki_der(
            spki.map_err(|_| PkiError::malformed("private key", "it has no public half"))?.as_ref(),
        )
    }
}

impl Signer for SoftwareKey {
    fn is_in_memory(&self) -> bool {
        true
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.pair {
            Pair::Ecdsa(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignError("the cryptographic library refused".into())),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareKey").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

/// A signature in the form of JOSE and COSE: r and s of fixed length, joined (RFC 7518 s3.4); Ed25519 as it is.
pub fn fixed_from_der(algorithm: Algorithm, signature: &[u8]) -> Result<Vec<u8>, PkiError> {
    let Some(width) = algorithm.scalar_len() else { return Ok(signature.to_vec()) };
    let mut reader = asn1::Reader::inside("ECDSA signature", asn1::SEQUENCE, signature)?;
    let mut fixed = Vec::with_capacity(2 * width);
    for _ in 0..2 {
        let number = reader.expect(asn1::INTEGER)?.value;
        let digits = number.strip_prefix(&[0]).unwrap_or(number);
        let pad = width.checked_sub(digits.len()).ok_or_else(|| reader.bad("a number is too long"))?;
        fixed.resize(fixed.len() + pad, 0);
        fixed.extend_from_slice(digits);
    }
    reader.finish()?;
    Ok(fixed)
}

/// A signature in the form of X.509 and CMS (RFC 3279 s2.2.3) from r and s of fixed length; Ed25519 as it is.
pub fn der_from_fixed(algorithm: Algorithm, signature: &[u8]) -> Result<Vec<u8>, PkiError> {
    let Some(width) = algorithm.scalar_len() else { return Ok(signature.to_vec()) };
    match signature.split_at_checked(width) {
        Some((r, s)) if s.len() == width => Ok(asn1::sequence(&[&asn1::unsigned(r), &asn1::unsigned(s)])),
        _ => Err(PkiError::malformed("ECDSA signature", "r and s are not of the curve's length")),
    }
}
