//! What a handshake proves: that the peer holds the key of the certificate it shows. Nothing else is decided here,
//! except where the client was given anchors.

use crate::error::through_tls;
use der::{Decode, Reader, SliceReader, TagNumber, asn1::AnyRef};
use landfall_types::{Fault, Refusal};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use webpki::RawPublicKeyEntity;

/// More certificates than this are not a chain but an attempt to keep us busy.
pub(super) const MAX_CHAIN: usize = 10;

/// Refuses chains of absurd length before anything in them is read.
pub(super) fn check_length(intermediates: &[CertificateDer<'_>]) -> Result<(), Error> {
    match intermediates.len() < MAX_CHAIN {
        true => Ok(()),
        false => Err(through_tls(Refusal::new(
            Fault::Peer,
            "tls-chain-length",
            "RFC 8446 s4.4.2",
            format!("the peer sent more than {MAX_CHAIN} certificates"),
        ))),
    }
}

/// Checks the handshake's signatures by `self.signatures`. rustls's traits for the two sides want the same of both.
macro_rules! with_bare_keys {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
            self.signatures.tls12(message, certificate, signed)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
            self.signatures.tls13(message, certificate, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            self.signatures.schemes()
        }
    };
}
pub(super) use with_bare_keys;

/// Verifies handshake signatures with the bare key of a certificate, so that nothing else in the certificate (an
/// expiry in 9999 or long ago, an extension that web servers do not have) can get in the way: that is for the core.
#[derive(Debug)]
pub(super) struct Signatures(WebPkiSupportedAlgorithms);

impl Signatures {
    pub(super) fn new() -> Self {
        Self(super::provider().signature_verification_algorithms)
    }

    pub(super) fn schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }

    /// RFC 5246 s7.4.8: a scheme names key type and hash, yet no curve, so each of the scheme's algorithms may fit.
    pub(super) fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, signed, usize::MAX)
    }

    /// RFC 8446 s4.2.3: a scheme names the curve as well, and PKCS#1 v1.5 does not sign handshakes any more.
    pub(super) fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        use SignatureScheme as S;
        if matches!(signed.scheme, S::RSA_PKCS1_SHA256 | S::RSA_PKCS1_SHA384 | S::RSA_PKCS1_SHA512) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.verify(message, certificate, signed, 1)
    }

    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        candidates: usize,
    ) -> Result<HandshakeSignatureValid, Error> {
        let bad_encoding = || Error::from(CertificateError::BadEncoding);
        let spki = SubjectPublicKeyInfoDer::from(public_key_of(certificate).ok_or_else(bad_encoding)?);
        let key = RawPublicKeyEntity::try_from(&spki).map_err(|_| bad_encoding())?;
        let Some((_, algorithms)) = self.0.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme) else {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        };
        let valid = algorithms
            .iter()
            .take(candidates)
            .any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok());
        match valid {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }
}

/// The SubjectPublicKeyInfo of a certificate (RFC 5280 s4.1), found by counting fields.
fn public_key_of(certificate: &[u8]) -> Option<&[u8]> {
    let outer = AnyRef::from_der(certificate).ok()?;
    let mut certificate = SliceReader::new(outer.value()).ok()?;
    let to_be_signed = AnyRef::decode(&mut certificate).ok()?;
    let mut fields = SliceReader::new(to_be_signed.value()).ok()?;
    let first = AnyRef::decode(&mut fields).ok()?;
    let has_version =
        der::Tagged::tag(&first).is_context_specific() && der::Tagged::tag(&first).number() == TagNumber(0);
    // serialNumber (unless just read), signature, issuer, validity, subject
    for _ in 0..(if has_version { 5 } else { 4 }) {
        AnyRef::decode(&mut fields).ok()?;
    }
    fields.tlv_bytes().ok()
}
