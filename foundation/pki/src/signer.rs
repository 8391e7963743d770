//! Private keys: something that signs, and one that lives in memory.

use crate::{
    asn1,
    error::PkiError,
    key::{Algorithm, PublicKey},
};
use aws_lc_rs::{
    encoding::{AsBigEndian, EcPrivateKeyBin},
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

/// What stands before the private number, and between it and the public point, in PKCS #8 (RFC 5958 s2, RFC 5915 s3). The
/// library's own way there computes the point twice more.
type Around = (&'static [u8], &'static [u8]);

const P256_PKCS8: Around = (
    b"\x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
      \x04\x6d\x30\x6b\x02\x01\x01\x04\x20",
    b"\xa1\x44\x03\x42\x00",
);
const P384_PKCS8: Around = (
    b"\x30\x81\xb6\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\
      \x04\x81\x9e\x30\x81\x9b\x02\x01\x01\x04\x30",
    b"\xa1\x64\x03\x62\x00",
);

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SoftwareKey {
    /// A new key, from the system's random source. Fails only if that or the cryptographic library fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, PkiError> {
        let failed = |_| PkiError::Sign(SignError("the cryptographic library made no key".into()));
        let ecdsa = |algorithm, (before, between): Around| {
            let pair = EcdsaKeyPair::generate(algorithm)?;
            let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes()?;
            // Of the whole length from the start, so that nothing of the key is left behind in a shorter one.
            let pkcs8 = [before, scalar.as_ref(), between, pair.public_key().as_ref()].concat();
            Ok((Redacted::new(pkcs8), Pair::Ecdsa(pair)))
        };
        let (pkcs8, pair) = match algorithm {
            Algorithm::EcdsaP256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, P256_PKCS8),
            Algorithm::EcdsaP384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, P384_PKCS8),
            // Version 1: OpenSSL before 3.2 does not read version 2.
            Algorithm::Ed25519 => Ed25519KeyPair::generate()
                .and_then(|pair| Ok((Redacted::new(pair.to_pkcs8v1()?.as_ref().to_vec()), Pair::Ed25519(pair)))),
        }
        .map_err(failed)?;
        Ok(Self { public_key: pair.public_key(algorithm)?, pair, algorithm, pkcs8 })
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
        Ok(Self { public_key: pair.public_key(algorithm)?, pair, algorithm, pkcs8 })
    }

    /// As PKCS #8 (RFC 5958).
    pub fn to_pkcs8_der(&self) -> Redacted<Vec<u8>> {
        self.pkcs8.clone()
    }
}

impl Pair {
    fn public_key(&self, algorithm: Algorithm) -> Result<PublicKey, PkiError> {
        PublicKey::of_point(
            algorithm,
            match self {
                Self::Ecdsa(pair) => pair.public_key().as_ref(),
                Self::Ed25519(pair) => pair.public_key().as_ref(),
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_and_named_as_the_library_does() {
        for algorithm in Algorithm::ALL {
            let key = SoftwareKey::generate(algorithm).unwrap();
            let (pkcs8, point) = match &key.pair {
                Pair::Ecdsa(pair) => (pair.to_pkcs8v1().unwrap(), pair.public_key().as_ref()),
                Pair::Ed25519(pair) => (pair.to_pkcs8v1().unwrap(), pair.public_key().as_ref()),
            };
            assert_eq!(key.to_pkcs8_der().expose(), pkcs8.as_ref(), "{algorithm}");
            assert_eq!(*key.public_key(), PublicKey::from_point(algorithm, point).unwrap(), "{algorithm}");
        }
    }
}
