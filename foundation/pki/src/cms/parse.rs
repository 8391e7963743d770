//! Reading signed messages.

use super::{ContentDigest, MAX_LEN};
use crate::{Certificate, Oid, PkiError, asn1, oid};
use der::Decode;
use landfall_types::Time;
use spki::AlgorithmIdentifierOwned;

const WHAT: &str = "signed message";

/// How many certificates and signers a message may hold.
const MAX_CERTIFICATES: usize = 64;
const MAX_SIGNERS: usize = 16;

/// A signed message, parsed from DER or BER; its signature has not been checked.
#[derive(Clone, Debug)]
pub struct SignedData {
    content_type: Oid,
    content: Option<Vec<u8>>,
    certificates: Vec<Certificate>,
    signers: Vec<SignerInfo>,
}

#[derive(Clone, Debug)]
struct SignerInfo {
    id: SignerId,
    digest: Oid,
    /// The content of the SET of signed attributes.
    attributes: Option<Vec<u8>>,
    algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
}

#[derive(Clone, Debug)]
enum SignerId {
    IssuerAndSerial { issuer: Vec<u8>, serial: Vec<u8> },
    SubjectKeyId(Vec<u8>),
}

impl SignedData {
    /// From DER, or from BER as `openssl cms -stream` writes it.
    pub fn parse(bytes: &[u8]) -> Result<Self, PkiError> {
        if bytes.len() > MAX_LEN {
            return Err(PkiError::malformed(WHAT, "it is too long"));
        }
        Self::parse_der(&asn1::ber_to_der(WHAT, bytes)?)
    }

    /// From definite lengths and whole octet strings alone.
    pub fn parse_der(der: &[u8]) -> Result<Self, PkiError> {
        if der.len() > MAX_LEN {
            return Err(PkiError::malformed(WHAT, "it is too long"));
        }
        let mut outer = asn1::Reader::inside(WHAT, asn1::SEQUENCE, der)?;
        let kind = outer.oid()?;
        if kind != oid::SIGNED_DATA {
            return Err(PkiError::unsupported(WHAT, format!("its content type is {kind}, not signed data")));
        }
        let mut explicit = outer.enter(asn1::context(0))?;
        outer.finish()?;
        let mut fields = explicit.enter(asn1::SEQUENCE)?;
        explicit.finish()?;

        fields.small_integer()?;
        fields.expect(asn1::SET)?;
        let mut encapsulated = fields.enter(asn1::SEQUENCE)?;
        let content_type = encapsulated.oid()?;
        let content = match encapsulated.optional(asn1::context(0))? {
            Some(explicit) => {
                let mut explicit = asn1::Reader::new(WHAT, explicit.value);
                let octets = explicit.expect(asn1::OCTET_STRING)?.value.to_vec();
                explicit.finish()?;
                Some(octets)
            }
            None => None,
        };
        encapsulated.finish()?;
        let certificates = match fields.optional(asn1::context(0))? {
            Some(set) => certificates(set.value)?,
            None => Vec::new(),
        };
        fields.optional(asn1::context(1))?;
        let mut infos = fields.enter(asn1::SET)?;
        fields.finish()?;
        let mut signers = Vec::new();
        while !infos.is_empty() {
            if signers.len() == MAX_SIGNERS {
                return Err(infos.bad("it has too many signers"));
            }
            signers.push(SignerInfo::read(infos.enter(asn1::SEQUENCE)?)?);
        }
        Ok(Self { content_type, content, certificates, signers })
    }

    /// What the content is (eContentType).
    pub const fn content_type(&self) -> Oid {
        self.content_type
    }

    /// The content; empty if the message came without, and then it does not verify.
    pub fn content(&self) -> &[u8] {
        self.content.as_deref().unwrap_or_default()
    }

    /// The certificates that came with it, in their order.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// How many signed it.
    pub const fn signer_count(&self) -> usize {
        self.signers.len()
    }

    /// When it was signed, if the one signer says so; nobody vouches for its clock.
    pub fn signing_time(&self) -> Option<Time> {
        let [signer] = self.signers.as_slice() else { return None };
        let value = attribute(signer.attributes.as_deref()?, oid::SIGNING_TIME).ok()?;
        asn1::read_time(asn1::Reader::new(WHAT, &value).next().ok()?).ok()
    }

    /// Checks the signature of the one signer and returns its certificate, which must have come with the message.
    /// Whether the signer is to be trusted is another question.
    pub fn verify(&self) -> Result<Certificate, PkiError> {
        self.verify_with(&[])
    }

    /// The same, looking for the signer's certificate among `others` too.
    pub fn verify_with(&self, others: &[Certificate]) -> Result<Certificate, PkiError> {
        let content =
            self.content.as_deref().ok_or_else(|| PkiError::malformed(WHAT, "it came without its content"))?;
        self.verify_signer(others, &|signer, certificate| signer.verify(self.content_type, content, certificate))
    }

    /// The digest to be taken of content that stays elsewhere, for [`SignedData::verify_detached`].
    pub fn content_digest(&self) -> Result<ContentDigest, PkiError> {
        match self.signers.as_slice() {
            [signer] => ContentDigest::named(signer.digest),
            _ => Err(PkiError::unacceptable(WHAT, format!("it has {} signers, not one", self.signers.len()))),
        }
    }

    /// The same as [`SignedData::verify`], of content that stays elsewhere and has that digest.
    pub fn verify_detached(&self, digest: ContentDigest) -> Result<Certificate, PkiError> {
        if self.content.is_some() {
            return Err(PkiError::unacceptable(WHAT, "it came with a content of its own"));
        }
        let digest = digest.finish();
        self.verify_signer(&[], &|signer, certificate| match &signer.attributes {
            Some(attributes) => {
                check_attributes(attributes, self.content_type, &digest)?;
                signer.verify_signed(&asn1::tlv(asn1::SET, &[attributes]), certificate)
            }
            None => Err(PkiError::unacceptable(WHAT, "a detached signature without signed attributes is not read")),
        })
    }

    fn verify_signer(
        &self,
        others: &[Certificate],
        verify: &dyn Fn(&SignerInfo, &Certificate) -> Result<(), PkiError>,
    ) -> Result<Certificate, PkiError> {
        let [signer] = self.signers.as_slice() else {
            let why = format!("it has {} signers, not one", self.signers.len());
            return Err(PkiError::unacceptable(WHAT, why));
        };
        let certificate = self.certificates.iter().chain(others).find(|c| signer.id.names(c));
        let certificate =
            certificate.ok_or_else(|| PkiError::unacceptable(WHAT, "its signer's certificate is missing"))?;
        verify(signer, certificate)?;
        Ok(certificate.clone())
    }
}

impl SignerInfo {
    fn read(mut fields: asn1::Reader<'_>) -> Result<Self, PkiError> {
        fields.small_integer()?;
        let id = match fields.optional(asn1::context_primitive(0))? {
            Some(key_id) => SignerId::SubjectKeyId(key_id.value.to_vec()),
            None => {
                let mut both = fields.enter(asn1::SEQUENCE)?;
                let issuer = both.expect(asn1::SEQUENCE)?.raw.to_vec();
                let serial = both.expect(asn1::INTEGER)?.value.to_vec();
                both.finish()?;
                SignerId::IssuerAndSerial { issuer, serial }
            }
        };
        let digest = fields.enter(asn1::SEQUENCE)?.oid()?;
        let attributes = fields.optional(asn1::context(0))?.map(|set| set.value.to_vec());
        let algorithm = AlgorithmIdentifierOwned::from_der(fields.expect(asn1::SEQUENCE)?.raw)
            .map_err(|e| PkiError::malformed(WHAT, e))?;
        let signature = fields.expect(asn1::OCTET_STRING)?.value.to_vec();
        fields.optional(asn1::context(1))?;
        fields.finish()?;
        Ok(Self { id, digest, attributes, algorithm, signature })
    }

    fn verify(&self, content_type: Oid, content: &[u8], certificate: &Certificate) -> Result<(), PkiError> {
        let signed = match &self.attributes {
            Some(attributes) => {
                let mut digest = ContentDigest::named(self.digest)?;
                digest.update(content);
                check_attributes(attributes, content_type, &digest.finish())?;
                // RFC 5652 s5.4: what is signed is the SET OF, not the [0] that it travels under.
                asn1::tlv(asn1::SET, &[attributes])
            }
            // RFC 5652 s5.3: only plain data may do without. Otherwise signed attributes could be passed off as
            // content that was signed directly.
            None if content_type != oid::DATA => {
                return Err(PkiError::unacceptable(WHAT, "its content type asks for signed attributes"));
            }
            None => content.to_vec(),
        };
        self.verify_signed(&signed, certificate)
    }

    fn verify_signed(&self, signed: &[u8], certificate: &Certificate) -> Result<(), PkiError> {
        certificate.public_key().verify(&self.signature_algorithm()?, signed, &self.signature).map_err(|e| match e {
            PkiError::BadSignature(_) => PkiError::BadSignature(WHAT),
            other => other,
        })
    }

    /// RFC 3370 s3.2: an RSA signature may be named by its key's identifier, and the digest then stands beside it.
    /// Some signers in the field do so with ECDSA too.
    fn signature_algorithm(&self) -> Result<AlgorithmIdentifierOwned, PkiError> {
        let oid = match (self.algorithm.oid, self.digest) {
            (oid::RSA, oid::SHA256) => oid::RSA_SHA256,
            (oid::RSA, oid::SHA384) => oid::RSA_SHA384,
            (oid::RSA, oid::SHA512) => oid::RSA_SHA512,
            (oid::EC_PUBLIC_KEY, oid::SHA256) => oid::ECDSA_SHA256,
            (oid::EC_PUBLIC_KEY, oid::SHA384) => oid::ECDSA_SHA384,
            (oid::EC_PUBLIC_KEY, oid::SHA512) => oid::ECDSA_SHA512,
            (oid::RSA | oid::EC_PUBLIC_KEY, other) => return Err(PkiError::unsupported("digest", other)),
            _ => return Ok(self.algorithm.clone()),
        };
        Ok(AlgorithmIdentifierOwned { oid, parameters: None })
    }
}

impl SignerId {
    fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerAndSerial { issuer, serial } => {
                certificate.issuer_der() == issuer && certificate.serial() == serial
            }
            Self::SubjectKeyId(id) => certificate.subject_key_id() == Some(id),
        }
    }
}

/// RFC 5652 s11.1 and s11.2: both attributes, once each, and true.
fn check_attributes(attributes: &[u8], content_type: Oid, digest: &[u8]) -> Result<(), PkiError> {
    let said = attribute(attributes, oid::CONTENT_TYPE)?;
    if said != asn1::oid(&content_type) {
        return Err(PkiError::unacceptable(WHAT, "its content-type attribute names another type"));
    }
    let said = attribute(attributes, oid::MESSAGE_DIGEST)?;
    if said != asn1::octets(digest) {
        return Err(PkiError::unacceptable(WHAT, "its message-digest attribute is of other content"));
    }
    Ok(())
}

/// The DER of the one value of an attribute that must stand once.
fn attribute(attributes: &[u8], wanted: Oid) -> Result<Vec<u8>, PkiError> {
    let mut all = asn1::Reader::new(WHAT, attributes);
    let mut found = None;
    while !all.is_empty() {
        let mut fields = all.clone().enter(asn1::SEQUENCE)?;
        if fields.oid()? != wanted {
            all.next()?;
            continue;
        }
        let (_, value) = asn1::attribute(&mut all)?;
        if found.replace(value.raw.to_vec()).is_some() {
            return Err(PkiError::malformed(WHAT, format!("attribute {wanted} stands twice")));
        }
    }
    found.ok_or_else(|| PkiError::unacceptable(WHAT, format!("attribute {wanted} is missing")))
}

/// The X.509 certificates of a CertificateSet; attribute certificates and other forms are passed over.
fn certificates(set: &[u8]) -> Result<Vec<Certificate>, PkiError> {
    let mut list = Vec::new();
    let mut all = asn1::Reader::new(WHAT, set);
    while !all.is_empty() {
        let element = all.next()?;
        if list.len() == MAX_CERTIFICATES {
            return Err(all.bad("it has too many certificates"));
        }
        if element.tag == asn1::SEQUENCE {
            list.push(Certificate::from_der(element.raw)?);
        }
    }
    Ok(list)
}

/// The certificates of a bag (certs-only, RFC 8551 s3.2.2; RFC 7030 s4.1.3), in their order; the order means nothing.
pub fn parse_certs_only(bytes: &[u8]) -> Result<Vec<Certificate>, PkiError> {
    let bag = SignedData::parse(bytes)?;
    if bag.signer_count() != 0 || bag.content.is_some_and(|content| !content.is_empty()) {
        return Err(PkiError::unacceptable("bag of certificates", "it holds more than certificates"));
    }
    Ok(bag.certificates)
}
