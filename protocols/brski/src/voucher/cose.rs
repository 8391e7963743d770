//! Artefacts in COSE_Sign1 (RFC 9052 s4.2), with certificates as RFC 9360 has them.

use super::{Format, MAX_CERTIFICATES, Opened, VoucherError, fixed_algorithm};
use ciborium::Value;
use coset::{
    CborSerializable, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label, RegisteredLabelWithPrivate,
    TaggedCborSerializable, iana,
};
use landfall_pki::{Algorithm, Certificate, fixed_from_der};

/// A bag of certificates, in any order (RFC 9360 s2).
const X5BAG: i64 = 32;
/// A chain of certificates, the signer's first (RFC 9360 s2).
const X5CHAIN: i64 = 33;

const fn identifier(algorithm: Algorithm) -> iana::Algorithm {
    match algorithm {
        Algorithm::EcdsaP256 => iana::Algorithm::ES256,
        Algorithm::EcdsaP384 => iana::Algorithm::ES384,
        Algorithm::Ed25519 => iana::Algorithm::EdDSA,
    }
}

fn bad(why: impl ToString) -> VoucherError {
    VoucherError::container(Format::CoseCbor, why)
}

pub(super) fn open(bytes: &[u8], candidates: &[Certificate]) -> Result<Opened, VoucherError> {
    let message = match bytes.first() {
        Some(0x84) => CoseSign1::from_slice(bytes),
        _ => CoseSign1::from_tagged_slice(bytes),
    }
    .map_err(bad)?;
    // RFC 9052 s3.1: a header marked critical must be understood, and none beyond the basic ones is.
    if !message.protected.header.crit.is_empty() {
        return Err(bad("it has a critical header"));
    }
    let Some(content) = &message.payload else { return Err(bad("the payload is elsewhere")) };
    let Some(algorithm) = &message.protected.header.alg else {
        return Err(VoucherError::Algorithm("the protected header names no algorithm".into()));
    };
    let certificates = certificates(&message)?;
    let signed = message.tbs_data(&[]);
    let fits = |certificate: &&Certificate| {
        let key_algorithm = fixed_algorithm(certificate).ok();
        key_algorithm.is_some_and(|a| *algorithm == RegisteredLabelWithPrivate::Assigned(identifier(a)))
    };
    // A bag has no order, so the signer is the one whose key made the signature.
    let mut tried = certificates.iter().chain(candidates.iter().take(MAX_CERTIFICATES)).filter(fits).peekable();
    if tried.peek().is_none() {
        return Err(match certificates.is_empty() {
            true => VoucherError::NoSigner,
            false => VoucherError::Algorithm(format!("the algorithm {algorithm:?} does not fit the signer's key")),
        });
    }
    let signer = tried
        .find(|c| {
            let key = c.public_key();
            fixed_algorithm(c).is_ok_and(|a| key.verify_raw(a, &signed, &message.signature).is_ok())
        })
        .ok_or_else(|| VoucherError::Signature("no certificate's key made the signature".into()))?
        .clone();
    let content = content.clone();
    let certificates = certificates.into_iter().filter(|c| *c != signer).collect();
    Ok(Opened { content, signer, certificates })
}

/// Every certificate of both headers, chain or bag.
fn certificates(message: &CoseSign1) -> Result<Vec<Certificate>, VoucherError> {
    let mut found = Vec::new();
    for (label, value) in message.protected.header.rest.iter().chain(&message.unprotected.rest) {
        if *label != Label::Int(X5BAG) && *label != Label::Int(X5CHAIN) {
            continue;
        }
        let one = std::slice::from_ref(value);
        for item in value.as_array().map_or(one, Vec::as_slice) {
            let der = item.as_bytes().ok_or_else(|| bad("a certificate is no byte string"))?;
            if found.len() == MAX_CERTIFICATES {
                return Err(VoucherError::TooManyCertificates(found.len() + 1));
            }
            found.push(Certificate::from_der(der).map_err(bad)?);
        }
    }
    Ok(found)
}

/// A COSE_Sign1 that lacks its signature.
#[derive(Debug)]
pub(super) struct Prepared {
    algorithm: Algorithm,
    message: CoseSign1,
    input: Vec<u8>,
}

impl Prepared {
    pub(super) fn new(content: Vec<u8>, signer: &Certificate, extra: &[Certificate]) -> Result<Self, VoucherError> {
        let algorithm = fixed_algorithm(signer)?;
        let protected = HeaderBuilder::new().algorithm(identifier(algorithm)).build();
        // draft-ietf-anima-constrained-voucher s9.2: not protected, so that a registrar may strip it.
        let unprotected = Header { rest: vec![(Label::Int(X5CHAIN), chain(signer, extra))], ..Header::default() };
        let message = CoseSign1Builder::new().protected(protected).unprotected(unprotected).payload(content).build();
        let input = message.tbs_data(&[]);
        Ok(Self { algorithm, message, input })
    }

    pub(super) fn to_be_signed(&self) -> &[u8] {
        &self.input
    }

    pub(super) fn seal(mut self, signature: &[u8]) -> Result<Vec<u8>, VoucherError> {
        let failed = |e: String| VoucherError::Sealing(e);
        self.message.signature = fixed_from_der(self.algorithm, signature).map_err(|e| failed(e.to_string()))?;
        self.message.to_tagged_vec().map_err(|e| failed(e.to_string()))
    }
}

/// One certificate stands by itself, several in an array (RFC 9360 s2).
fn chain(signer: &Certificate, extra: &[Certificate]) -> Value {
    let der = |c: &Certificate| Value::Bytes(c.der().to_vec());
    match extra.is_empty() {
        true => der(signer),
        false => Value::Array(std::iter::once(signer).chain(extra).map(der).collect()),
    }
}
