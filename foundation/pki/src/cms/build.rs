//! Making signed messages.

use crate::{Algorithm, Certificate, Oid, PkiError, Signer, asn1, oid};
use aws_lc_rs::digest;
use landfall_types::Time;

/// A signed message to be made.
#[derive(Clone, Debug)]
pub struct SignedDataBuilder {
    content_type: Oid,
    content: Content,
    signer: Certificate,
    extra: Vec<Certificate>,
}

#[derive(Clone, Debug)]
enum Content {
    Here(Vec<u8>),
    Elsewhere(Box<ContentDigest>),
}

impl SignedDataBuilder {
    /// A message of `content`, signed by `signer`, with certificates beside the signer's.
    pub fn new(
        content_type: Oid,
        content: impl Into<Vec<u8>>,
        signer: &Certificate,
        extra: impl IntoIterator<Item = Certificate>,
    ) -> Self {
        let extra = extra.into_iter().collect();
        Self { content_type, content: Content::Here(content.into()), signer: signer.clone(), extra }
    }

    /// A message of plain data that stays elsewhere (a detached signature, RFC 5652 s5.2); `digest` was made for `signer`.
    pub fn detached(digest: ContentDigest, signer: &Certificate, extra: impl IntoIterator<Item = Certificate>) -> Self {
        let extra = extra.into_iter().collect();
        Self { content_type: oid::DATA, content: Content::Elsewhere(Box::new(digest)), signer: signer.clone(), extra }
    }

    /// Prepares it, with a signing-time attribute or without.
    pub fn prepare(self, signing_time: Option<Time>) -> Result<PreparedSignedData, PkiError> {
        let algorithm = algorithm(&self.signer)?;
        let mut digest = ContentDigest::of(algorithm);
        match &self.content {
            Content::Here(content) => digest.update(content),
            Content::Elsewhere(taken) if taken.algorithm == digest.algorithm => digest = (**taken).clone(),
            Content::Elsewhere(_) => return Err(PkiError::Misuse("the digest was made for another signer".into())),
        }
        let (digest_oid, message_digest) = (digest.algorithm, digest.finish());
        let attribute = |oid, value: &[u8]| asn1::sequence(&[&asn1::oid(&oid), &asn1::tlv(asn1::SET, &[value])]);
        let mut attributes = vec![
            attribute(oid::CONTENT_TYPE, &asn1::oid(&self.content_type)),
            attribute(oid::MESSAGE_DIGEST, &asn1::octets(&message_digest)),
        ];
        if let Some(at) = signing_time {
            attributes.push(attribute(oid::SIGNING_TIME, &asn1::time(at)?));
        }
        let to_be_signed = asn1::set_of(asn1::SET, attributes);
        Ok(PreparedSignedData { message: self, algorithm, digest: digest_oid, to_be_signed })
    }
}

fn algorithm(signer: &Certificate) -> Result<Algorithm, PkiError> {
    let kind = signer.public_key().kind();
    Algorithm::of(kind).ok_or_else(|| PkiError::Misuse(format!("nothing here signs with a key of {kind}")))
}

/// The digest of content that stays elsewhere, however long it is.
#[derive(Clone)]
pub struct ContentDigest {
    pub(super) algorithm: Oid,
    context: digest::Context,
}

impl ContentDigest {
    /// The one that goes with the key in `signer`.
    pub fn for_signer(signer: &Certificate) -> Result<Self, PkiError> {
        algorithm(signer).map(Self::of)
    }

    fn of(algorithm: Algorithm) -> Self {
        let (algorithm, digest) = match algorithm {
            Algorithm::EcdsaP256 => (oid::SHA256, &digest::SHA256),
            Algorithm::EcdsaP384 => (oid::SHA384, &digest::SHA384),
            // RFC 8419 s3.1.
            Algorithm::Ed25519 => (oid::SHA512, &digest::SHA512),
        };
        Self { algorithm, context: digest::Context::new(digest) }
    }

    pub(super) fn named(algorithm: Oid) -> Result<Self, PkiError> {
        let digest = match algorithm {
            oid::SHA256 => &digest::SHA256,
            oid::SHA384 => &digest::SHA384,
            oid::SHA512 => &digest::SHA512,
            other => return Err(PkiError::unsupported("digest", other)),
        };
        Ok(Self { algorithm, context: digest::Context::new(digest) })
    }

    /// Takes the next part of the content.
    pub fn update(&mut self, part: &[u8]) {
        self.context.update(part);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.context.finish().as_ref().to_vec()
    }
}

impl std::fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContentDigest({})", self.algorithm)
    }
}

/// A message that waits for its signature.
#[derive(Debug)]
pub struct PreparedSignedData {
    message: SignedDataBuilder,
    algorithm: Algorithm,
    digest: Oid,
    /// The signed attributes under the tag of a SET, as they are signed (RFC 5652 s5.4).
    to_be_signed: Vec<u8>,
}

impl PreparedSignedData {
    /// What must be signed, with the signer's key.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// The message with that signature (ECDSA as DER), in DER.
    pub fn sign(self, signature: &[u8]) -> Vec<u8> {
        let SignedDataBuilder { content_type, content, signer, extra } = &self.message;
        let digest = asn1::sequence(&[&asn1::oid(&self.digest)]);
        // RFC 5652 s5.4: they travel under [0].
        let attributes = match self.to_be_signed.split_first() {
            Some((_, rest)) => [&[asn1::context(0)], rest].concat(),
            None => Vec::new(),
        };
        let id = asn1::sequence(&[signer.issuer_der(), &asn1::tlv(asn1::INTEGER, &[signer.serial()])]);
        let signer_info = asn1::sequence(&[
            &version(1),
            &id,
            &digest,
            &attributes,
            &self.algorithm.identifier_der(),
            &asn1::octets(signature),
        ]);
        let encapsulated = match content {
            Content::Here(content) => asn1::tlv(asn1::context(0), &[&asn1::octets(content)]),
            Content::Elsewhere(_) => Vec::new(),
        };
        let encapsulated = asn1::sequence(&[&asn1::oid(content_type), &encapsulated]);
        let certificates = certificate_set(std::iter::once(signer).chain(extra));
        signed_data(*content_type, &digest, &encapsulated, &certificates, &signer_info)
    }

    /// The message signed by a key that is at hand.
    pub fn issue(self, signer: &dyn Signer) -> Result<Vec<u8>, PkiError> {
        let signature = signer.sign(self.to_be_signed())?;
        Ok(self.sign(&signature))
    }
}

/// A bag of certificates and nothing else (certs-only, RFC 8551 s3.2.2; RFC 7030 s4.1.3), in DER; as in any SET, their
/// order is lost.
pub fn certs_only(certificates: &[Certificate]) -> Vec<u8> {
    let no_content = asn1::sequence(&[&asn1::oid(&oid::DATA)]);
    signed_data(oid::DATA, &[], &no_content, &certificate_set(certificates.iter()), &[])
}

/// The same with the certificates in the order in which they are given, for those who take the first for the one that is meant. It
/// is BER and not DER for that, which RFC 5652 s5 allows.
pub fn certs_only_in_order(certificates: &[Certificate]) -> Vec<u8> {
    let no_content = asn1::sequence(&[&asn1::oid(&oid::DATA)]);
    let certificates: Vec<&[u8]> = certificates.iter().map(Certificate::der).collect();
    signed_data(oid::DATA, &[], &no_content, &asn1::tlv(asn1::context(0), &certificates), &[])
}

fn signed_data(
    content_type: Oid,
    digests: &[u8],
    encapsulated: &[u8],
    certificates: &[u8],
    signer_infos: &[u8],
) -> Vec<u8> {
    // RFC 5652 s5.1: version 3 for content that is not plain data.
    let version = version(if content_type == oid::DATA { 1 } else { 3 });
    let body = asn1::sequence(&[
        &version,
        &asn1::tlv(asn1::SET, &[digests]),
        encapsulated,
        certificates,
        &asn1::tlv(asn1::SET, &[signer_infos]),
    ]);
    asn1::sequence(&[&asn1::oid(&oid::SIGNED_DATA), &asn1::tlv(asn1::context(0), &[&body])])
}

fn version(number: u8) -> [u8; 3] {
    [asn1::INTEGER, 1, number]
}

/// Each certificate once.
fn certificate_set<'a>(certificates: impl Iterator<Item = &'a Certificate>) -> Vec<u8> {
    let mut set: Vec<Vec<u8>> = certificates.map(|c| c.der().to_vec()).collect();
    set.sort();
    set.dedup();
    asn1::set_of(asn1::context(0), set)
}
