//! Certificate signing requests (PKCS #10, RFC 2986).

use crate::{
    Algorithm, AltName, Name, Oid, PkiError, PublicKey, Signer, asn1,
    extension::{Extension, Known},
    oid, profile,
};
use der::Decode;
use landfall_types::{Redacted, SerialNumber};
use spki::AlgorithmIdentifierOwned;
use std::{fmt, sync::Arc};

const WHAT: &str = "certificate request";

/// The longest request that is read, in bytes.
pub const MAX_LEN: usize = 32 * 1024;
/// The same of one with evidence of what software a device runs: an event log of 256 KiB, twice in base64.
pub const MAX_LEN_WITH_EVIDENCE: usize = 512 * 1024;

/// How many attributes a request may have.
const MAX_ATTRIBUTES: usize = 64;

/// A request, parsed; possession of the key has not been checked. Cheap to clone.
#[derive(Clone)]
pub struct Csr(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    info: Vec<u8>,
    subject: Vec<u8>,
    public_key: PublicKey,
    attributes: Vec<(Oid, Vec<u8>)>,
    extensions: Vec<Extension>,
    known: Known,
    algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
}

impl Csr {
    /// From DER; nothing may stand after it.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        Self::up_to(MAX_LEN, der)
    }

    /// The same where evidence was asked for, which may be long.
    pub fn from_der_with_evidence(der: &[u8]) -> Result<Self, PkiError> {
        Self::up_to(MAX_LEN_WITH_EVIDENCE, der)
    }

    fn up_to(longest: usize, der: &[u8]) -> Result<Self, PkiError> {
        if der.len() > longest {
            return Err(PkiError::malformed(WHAT, "it is too long"));
        }
        let mut outer = asn1::Reader::inside(WHAT, asn1::SEQUENCE, der)?;
        let info = outer.expect(asn1::SEQUENCE)?;
        let algorithm = AlgorithmIdentifierOwned::from_der(outer.expect(asn1::SEQUENCE)?.raw)
            .map_err(|e| PkiError::malformed(WHAT, e))?;
        let Some((0, signature)) = outer.expect(asn1::BIT_STRING)?.value.split_first() else {
            return Err(outer.bad("its signature is not of whole bytes"));
        };
        outer.finish()?;

        let mut fields = asn1::Reader::new(WHAT, info.value);
        if fields.small_integer()? != 0 {
            return Err(PkiError::unsupported(WHAT, "its version is not 1"));
        }
        let subject = fields.expect(asn1::SEQUENCE)?.raw.to_vec();
        Name::from_der(&subject)?;
        let public_key = PublicKey::from_spki_der(fields.expect(asn1::SEQUENCE)?.raw)?;
        let attributes = match fields.optional(asn1::context(0))? {
            Some(set) => attributes(set.value)?,
            None => Vec::new(),
        };
        fields.finish()?;
        let extensions = match attributes.iter().find(|(oid, _)| *oid == oid::EXTENSION_REQUEST) {
            Some((_, list)) => Extension::list(WHAT, list)?,
            None => Vec::new(),
        };
        let known = Known::of(&extensions)?;
        let (info, signature, der) = (info.raw.to_vec(), signature.to_vec(), der.to_vec());
        let inner = Inner { der, info, subject, public_key, attributes, extensions, known, algorithm, signature };
        Ok(Self(Arc::new(inner)))
    }

    /// Its DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The key that a certificate is asked for.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// The subject's DER.
    pub fn subject_der(&self) -> &[u8] {
        &self.0.subject
    }

    /// The subject.
    pub fn subject_name(&self) -> Name {
        Name::of_checked(self.subject_der())
    }

    /// The subject in the form of RFC 4514, for people.
    pub fn subject(&self) -> String {
        self.subject_name().to_string()
    }

    /// The subject's serialNumber attribute.
    pub fn subject_serial_number(&self) -> Option<SerialNumber> {
        self.subject_name().attribute(oid::SERIAL_NUMBER)?.parse().ok()
    }

    /// Whether the request was signed with the key that it holds (RFC 2986 s4.2; RFC 7030 s3.4 asks servers to look).
    pub fn verify_possession(&self) -> Result<(), PkiError> {
        let Inner { public_key, algorithm, info, signature, .. } = &*self.0;
        public_key.verify(algorithm, info, signature).map_err(|e| match e {
            PkiError::BadSignature(_) => PkiError::BadSignature(WHAT),
            other => other,
        })
    }

    /// Its challengePassword (RFC 2985 s5.4.1), in which EST puts the channel binding (RFC 7030 s3.5).
    pub fn challenge_password(&self) -> Option<String> {
        let value = self.attribute(oid::CHALLENGE_PASSWORD)?;
        crate::name::text(asn1::Reader::new(WHAT, value).next().ok()?)
    }

    /// What it was signed with.
    pub fn signature_algorithm(&self) -> &AlgorithmIdentifierOwned {
        &self.0.algorithm
    }

    /// The extensions that it asks for.
    pub fn extensions(&self) -> &[Extension] {
        &self.0.extensions
    }

    /// The subject alternative names that it asks for.
    pub fn alt_names(&self) -> &[AltName] {
        &self.0.known.alt_names
    }

    /// The DNS names among them.
    pub fn dns_names(&self) -> Vec<String> {
        AltName::dns_of(self.alt_names())
    }

    /// The extended key usages that it asks for.
    pub fn ekus(&self) -> &[Oid] {
        self.0.known.ekus.as_deref().unwrap_or_default()
    }

    /// Whether it asks to be a CA.
    pub fn asks_for_ca(&self) -> bool {
        self.0.known.ca
    }

    /// Which attributes it has.
    pub fn attribute_oids(&self) -> Vec<Oid> {
        self.0.attributes.iter().map(|(oid, _)| *oid).collect()
    }

    /// The DER of an attribute's one value.
    pub fn attribute(&self, oid: Oid) -> Option<&[u8]> {
        self.0.attributes.iter().find(|(found, _)| *found == oid).map(|(_, value)| value.as_slice())
    }
}

/// A SET OF Attribute, each of one value; an attribute stands once.
fn attributes(set: &[u8]) -> Result<Vec<(Oid, Vec<u8>)>, PkiError> {
    let mut list: Vec<(Oid, Vec<u8>)> = Vec::new();
    let mut all = asn1::Reader::new(WHAT, set);
    while !all.is_empty() {
        if list.len() == MAX_ATTRIBUTES {
            return Err(PkiError::malformed(WHAT, "it has too many attributes"));
        }
        let (oid, value) = asn1::attribute(&mut all)?;
        if list.iter().any(|(found, _)| *found == oid) {
            return Err(PkiError::malformed(WHAT, format!("attribute {oid} stands twice")));
        }
        list.push((oid, value.raw.to_vec()));
    }
    Ok(list)
}

impl PartialEq for Csr {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Csr {}

impl fmt::Debug for Csr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csr({}, {:?})", self.subject(), self.public_key())
    }
}

/// What to ask for.
#[derive(Clone, Debug, Default)]
pub struct CsrRequest {
    /// The subject.
    pub subject: Name,
    /// Names beside the subject.
    pub alt_names: Vec<AltName>,
    /// Other extensions to ask for.
    pub extensions: Vec<Extension>,
    /// A challengePassword, of at most 255 characters (RFC 2985 s5.4.1).
    pub challenge_password: Option<Redacted<String>>,
    /// Other attributes: identifier, and the DER of one value.
    pub attributes: Vec<(Oid, Vec<u8>)>,
}

impl CsrRequest {
    /// A request for that subject, and nothing more.
    pub fn new(subject: Name) -> Self {
        Self { subject, ..Self::default() }
    }

    /// Prepares the request for a key that signs with `algorithm`.
    pub fn prepare(&self, key: &PublicKey, algorithm: Algorithm) -> Result<PreparedCsr, PkiError> {
        if Algorithm::of(key.kind()) != Some(algorithm) {
            return Err(PkiError::Misuse(format!("a key of {} does not sign with {algorithm}", key.kind())));
        }
        let mut attributes = Vec::new();
        let mut add = |oid: &Oid, value: &[u8]| {
            attributes.push(asn1::sequence(&[&asn1::oid(oid), &asn1::tlv(asn1::SET, &[value])]));
        };
        if let Some(password) = &self.challenge_password {
            // RFC 2985 s5.4.1: PrintableString where the text allows it, else UTF8String.
            add(&oid::CHALLENGE_PASSWORD, &crate::name::directory_string(password.expose()));
        }
        let names = profile::alt_names(&self.subject, &self.alt_names);
        let extensions: Vec<u8> = names.iter().chain(&self.extensions).flat_map(Extension::to_der).collect();
        if !extensions.is_empty() {
            add(&oid::EXTENSION_REQUEST, &asn1::sequence(&[&extensions]));
        }
        self.attributes.iter().for_each(|(oid, value)| add(oid, value));
        const VERSION_1: &[u8] = &[asn1::INTEGER, 1, 0];
        let info = asn1::sequence(&[
            VERSION_1,
            &self.subject.to_der(),
            key.spki_der(),
            &asn1::set_of(asn1::context(0), attributes),
        ]);
        Ok(PreparedCsr { info, algorithm })
    }
}

/// A request that waits for its signature.
#[derive(Debug)]
pub struct PreparedCsr {
    info: Vec<u8>,
    algorithm: Algorithm,
}

impl PreparedCsr {
    /// What must be signed, with the key in the request.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.info
    }

    /// The request with that signature (ECDSA as DER). Whoever receives it checks possession.
    pub fn sign(self, signature: &[u8]) -> Result<Csr, PkiError> {
        Csr::from_der_with_evidence(&asn1::signed(&self.info, self.algorithm, signature))
    }

    /// The request signed by a key that is at hand.
    pub fn issue(self, signer: &dyn Signer) -> Result<Csr, PkiError> {
        let signature = signer.sign(self.to_be_signed())?;
        self.sign(&signature)
    }
}
