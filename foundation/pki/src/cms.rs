//! Signed messages (CMS SignedData, RFC 5652 s5) and bags of certificates.

use crate::{Certificate, Oid, PkiError, Signer};
use landfall_types::Time;

/// A signed message, parsed from DER or BER; its signature has not been checked.
#[derive(Clone, Debug)]
pub struct SignedData {
    content_type: Oid,
    content: Vec<u8>,
    certificates: Vec<Certificate>,
}

impl SignedData {
    /// From DER, or from BER as `openssl cms -stream` writes it.
    pub fn parse(bytes: &[u8]) -> Result<Self, PkiError> {
        let _ = bytes;
        todo!()
    }

    /// From DER alone.
    pub fn parse_der(bytes: &[u8]) -> Result<Self, PkiError> {
        let _ = bytes;
        todo!()
    }

    /// What the content is (eContentType).
    pub const fn content_type(&self) -> Oid {
        self.content_type
    }

    /// The content.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The certificates that came with it, in their order.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// How many signed it.
    pub fn signer_count(&self) -> usize {
        todo!()
    }

    /// Checks the signature of the one signer and returns its certificate, which must have come with the message.
    /// Whether the signer is to be trusted is another question.
    pub fn verify(&self) -> Result<Certificate, PkiError> {
        todo!()
    }

    /// The same, looking for the signer's certificate among `others` too.
    pub fn verify_with(&self, others: &[Certificate]) -> Result<Certificate, PkiError> {
        let _ = others;
        todo!()
    }
}

/// A signed message to be made.
#[derive(Clone, Debug)]
pub struct SignedDataBuilder {
    content_type: Oid,
    content: Vec<u8>,
    signer: Certificate,
    extra: Vec<Certificate>,
}

impl SignedDataBuilder {
    /// A message of `content`, signed by `signer`, with certificates beside the signer's.
    pub fn new(
        content_type: Oid,
        content: impl Into<Vec<u8>>,
        signer: &Certificate,
        extra: impl IntoIterator<Item = Certificate>,
    ) -> Self {
        Self { content_type, content: content.into(), signer: signer.clone(), extra: extra.into_iter().collect() }
    }

    /// Prepares it, with a signing-time attribute or without.
    pub fn prepare(self, signing_time: Option<Time>) -> Result<PreparedSignedData, PkiError> {
        let _ = (signing_time, self.content_type, self.content, self.signer, self.extra);
        todo!()
    }
}

/// A message that waits for its signature.
#[derive(Debug)]
pub struct PreparedSignedData {
    to_be_signed: Vec<u8>,
}

impl PreparedSignedData {
    /// What must be signed, with the signer's key.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// The message with that signature (ECDSA as DER), in DER.
    pub fn sign(self, signature: &[u8]) -> Vec<u8> {
        let _ = signature;
        todo!()
    }

    /// The message signed by a key that is at hand.
    pub fn issue(self, signer: &dyn Signer) -> Result<Vec<u8>, PkiError> {
        let signature = signer.sign(self.to_be_signed())?;
        Ok(self.sign(&signature))
    }
}

/// A bag of certificates in their order (certs-only, RFC 8551 s3.2.2; RFC 7030 s4.1.3).
pub fn certs_only(certificates: &[Certificate]) -> Vec<u8> {
    let _ = certificates;
    todo!()
}

/// The certificates of such a bag.
pub fn parse_certs_only(bytes: &[u8]) -> Result<Vec<Certificate>, PkiError> {
    let _ = bytes;
    todo!()
}
