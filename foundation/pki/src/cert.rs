//! Certificates: parsed once, kept as they came, cheap to clone.

mod recent;

use crate::{
    asn1,
    error::PkiError,
    extension::{Extension, KeyUsage, Known},
    key::{Algorithm, PublicKey, Strength, sha256},
    name::{self, AltName, Name},
    oid,
    oid::Oid,
    pem,
};
use der::Decode;
use landfall_types::{DomainId, Fingerprint, SerialNumber, Time};
use spki::AlgorithmIdentifierOwned;
use std::{fmt, ops::Range, sync::Arc};

const WHAT: &str = "certificate";

/// The longest certificate that is read, in bytes.
pub const MAX_LEN: usize = 64 * 1024;

/// An X.509 certificate (RFC 5280).
///
/// Equality is equality of the DER.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    der: Vec<u8>,
    tbs: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    validity: Range<usize>,
    subject: Range<usize>,
    signature: Range<usize>,
    version: u8,
    algorithm: AlgorithmIdentifierOwned,
    public_key: PublicKey,
    extensions: Vec<Extension>,
    known: Known,
    not_before: Time,
    not_after: Time,
    fingerprint: Fingerprint,
}

impl Certificate {
    /// From DER; nothing may stand after it.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        if der.len() > MAX_LEN {
            return Err(PkiError::malformed(WHAT, "it is too long"));
        }
        recent::RECENT.or_parse(sha256(der), |fingerprint| Self::parse(der, fingerprint))
    }

    /// What is about to be signed, with an empty signature.
    pub(crate) fn draft(tbs: &[u8], algorithm: Algorithm) -> Result<Self, PkiError> {
        const SIGNATURE: usize = 256;
        if tbs.len() > MAX_LEN - SIGNATURE {
            return Err(PkiError::malformed(WHAT, "it is too long"));
        }
        Self::parse(&asn1::signed(tbs, algorithm, &[]), Fingerprint([0; 32]))
    }

    /// A draft with its signature. What is signed stays as it was read, only further from the start if the length before it
    /// has become longer.
    pub(crate) fn signed(self, algorithm: Algorithm, signature: &[u8]) -> Self {
        let der = asn1::signed(self.tbs_der(), algorithm, signature);
        let mut inner = Arc::unwrap_or_clone(self.0);
        let (was, is) = (inner.tbs.start, asn1::header_len(&der));
        for part in [&mut inner.tbs, &mut inner.serial, &mut inner.issuer, &mut inner.validity, &mut inner.subject] {
            *part = part.start - was + is..part.end - was + is;
        }
        inner.signature = der.len() - signature.len()..der.len();
        inner.fingerprint = sha256(&der);
        inner.der = der;
        Self(Arc::new(inner))
    }

    fn parse(der: &[u8], fingerprint: Fingerprint) -> Result<Self, PkiError> {
        let position = |part| asn1::position(der, part);
        let mut outer = asn1::Reader::inside(WHAT, asn1::SEQUENCE, der)?;
        let tbs = outer.expect(asn1::SEQUENCE)?;
        let outer_algorithm = outer.expect(asn1::SEQUENCE)?;
        let Some((0, signature)) = outer.expect(asn1::BIT_STRING)?.value.split_first() else {
            return Err(outer.bad("its signature is not of whole bytes"));
        };
        outer.finish()?;
        let mut fields = asn1::Reader::new(WHAT, tbs.value);
        let version = version(fields.optional(asn1::context(0))?)?;
        let serial = serial(&mut fields)?;
        // RFC 5280 s4.1.1.2: the algorithm inside and outside the signed part must be the same.
        if fields.expect(asn1::SEQUENCE)?.raw != outer_algorithm.raw {
            return Err(outer.bad("it names two signature algorithms"));
        }
        let issuer = fields.expect(asn1::SEQUENCE)?;
        let validity = fields.expect(asn1::SEQUENCE)?;
        let subject = fields.expect(asn1::SEQUENCE)?;
        name::check(issuer.raw)?;
        name::check(subject.raw)?;
        let public_key = PublicKey::from_spki_der(fields.expect(asn1::SEQUENCE)?.raw)?;
        fields.optional(asn1::context_primitive(1))?;
        fields.optional(asn1::context_primitive(2))?;
        let extensions = match fields.optional(asn1::context(3))? {
            Some(list) => Extension::list(WHAT, list.value)?,
            None => Vec::new(),
        };
        fields.finish()?;
        let mut dates = asn1::Reader::new(WHAT, validity.value);
        let (not_before, not_after) = (asn1::read_time(dates.next()?)?, asn1::read_time(dates.next()?)?);
        dates.finish()?;
        let algorithm = AlgorithmIdentifierOwned::from_der(outer_algorithm.raw);
        let known = Known::of(&extensions)?;
        Ok(Self(Arc::new(Inner {
            tbs: position(tbs.raw),
            serial: position(serial),
            issuer: position(issuer.raw),
            validity: position(validity.raw),
            subject: position(subject.raw),
            signature: position(signature),
            version,
            algorithm: algorithm.map_err(|e| PkiError::malformed(WHAT, e))?,
            not_before,
            not_after,
            fingerprint,
            der: der.to_vec(),
            public_key,
            extensions,
            known,
        })))
    }

    /// From PEM that holds exactly one certificate.
    pub fn from_pem(text: &str) -> Result<Self, PkiError> {
        match Self::chain_from_pem(text)?.as_slice() {
            [one] => Ok(one.clone()),
            several => Err(PkiError::malformed("PEM", format!("it holds {} certificates, not one", several.len()))),
        }
    }

    /// Every certificate of a PEM text, in its order; blocks of other kinds are skipped.
    pub fn chain_from_pem(text: &str) -> Result<Vec<Self>, PkiError> {
        let blocks = pem::decode(text)?.into_iter();
        blocks.filter(|b| b.label == "CERTIFICATE").map(|b| Self::from_der(&b.der)).collect()
    }

    /// Its DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Its PEM.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", self.der())
    }

    /// The part that is signed.
    pub fn tbs_der(&self) -> &[u8] {
        self.slice(&self.0.tbs)
    }

    /// The subject in the form of RFC 4514, for people.
    pub fn subject(&self) -> String {
        self.subject_name().to_string()
    }

    /// The issuer in the form of RFC 4514, for people.
    pub fn issuer(&self) -> String {
        Name::of_checked(self.issuer_der()).to_string()
    }

    /// The subject's DER.
    pub fn subject_der(&self) -> &[u8] {
        self.slice(&self.0.subject)
    }

    /// The issuer's DER.
    pub fn issuer_der(&self) -> &[u8] {
        self.slice(&self.0.issuer)
    }

    /// The subject, for use in a request or another certificate.
    pub fn subject_name(&self) -> Name {
        Name::of_checked(self.subject_der())
    }

    /// The subject's first common name.
    pub fn common_name(&self) -> Option<String> {
        self.subject_attribute(oid::COMMON_NAME)
    }

    /// The device's serial number: the subject's serialNumber attribute, never the certificate's (RFC 8995 s2.3.1).
    pub fn subject_serial_number(&self) -> Option<SerialNumber> {
        SerialNumber::try_from(self.subject_attribute(oid::SERIAL_NUMBER)?).ok()
    }

    /// The first value of an attribute of its subject.
    pub(crate) fn subject_attribute(&self, attribute: Oid) -> Option<String> {
        name::attribute(self.subject_der(), attribute)
    }

    /// The certificate's own serial number, big-endian, as it stands in the INTEGER.
    pub fn serial(&self) -> &[u8] {
        self.slice(&self.0.serial)
    }

    /// The certificate's own serial number in lower-case hexadecimal.
    pub fn serial_hex(&self) -> String {
        hex::encode(self.serial())
    }

    /// The subject's public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// Its version as it is written: 2 for version 3 (RFC 5280 s4.1.2.1).
    pub(crate) fn version(&self) -> u8 {
        self.0.version
    }

    /// Both dates' DER.
    pub fn validity_der(&self) -> &[u8] {
        self.slice(&self.0.validity)
    }

    /// From when it is valid, inclusive.
    pub fn not_before(&self) -> Time {
        self.0.not_before
    }

    /// Until when it is valid, inclusive; [`Time::FOREVER`] for 99991231235959Z.
    pub fn not_after(&self) -> Time {
        self.0.not_after
    }

    /// Whether its basic constraints make it a CA.
    pub fn is_ca(&self) -> bool {
        self.0.known.ca
    }

    /// How many intermediate CAs may stand below it (RFC 5280 s4.2.1.9).
    pub fn path_len(&self) -> Option<u8> {
        self.0.known.path_len
    }

    /// Its key usage, if it is limited.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.known.key_usage
    }

    /// Its key identifier: the extension's, else computed from the key.
    pub fn key_id(&self) -> Vec<u8> {
        self.0.known.subject_key_id.clone().unwrap_or_else(|| self.public_key().key_id().to_vec())
    }

    /// Its subject key identifier extension.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.known.subject_key_id.as_deref()
    }

    /// The key identifier of its issuer, as its authority key identifier extension says.
    pub fn authority_key_id(&self) -> Option<Vec<u8>> {
        self.0.known.authority_key_id.clone()
    }

    /// What a voucher request carries as idevid-issuer: the authority key identifier extension's OCTET STRING, with
    /// its tag and length (RFC 8366 s5.3; the published examples have them too).
    pub fn idevid_issuer(&self) -> Option<Vec<u8>> {
        self.0.known.authority_key_id_ext.clone()
    }

    /// The domain that this certificate stands for when pinned: its subject key identifier, or the SHA-256 of its key
    /// if it has none (RFC 8995 s5.8.2).
    pub fn domain_id(&self) -> DomainId {
        match self.subject_key_id() {
            Some(id) => DomainId(id.to_vec()),
            None => DomainId(self.public_key().fingerprint().0.to_vec()),
        }
    }

    /// Whether its extended key usage names `purpose`. "Any" does not count: what is asked for must be said.
    pub fn has_eku(&self, purpose: Oid) -> bool {
        self.ekus().contains(&purpose)
    }

    /// Its extended key usages; none if the extension is absent.
    pub fn ekus(&self) -> &[Oid] {
        self.0.known.ekus.as_deref().unwrap_or_default()
    }

    /// Its MASA URL as it stands (RFC 8995 s2.3.2).
    pub fn masa_url(&self) -> Option<String> {
        self.0.known.masa_url.clone()
    }

    /// The policies that it was issued under (RFC 5280 s4.2.1.4).
    pub fn policies(&self) -> &[Oid] {
        &self.0.known.policies
    }

    /// Whether its issuer says to have verified that its key lives in a TPM, and cannot leave it.
    pub fn is_hardware_backed(&self) -> bool {
        [oid::TPM_RESIDENCY, oid::TPM_FIXED].iter().all(|policy| self.policies().contains(policy))
    }

    /// Its MUD URL (RFC 8520 s11).
    pub fn mud_url(&self) -> Option<String> {
        self.0.known.mud_url.clone()
    }

    /// The subject of who signs its MUD file (RFC 8520 s11), in the form of RFC 4514.
    pub fn mud_signer(&self) -> Option<String> {
        self.0.known.mud_signer.as_ref().map(ToString::to_string)
    }

    /// Its subject alternative names.
    pub fn alt_names(&self) -> &[AltName] {
        &self.0.known.alt_names
    }

    /// Its DNS names.
    pub fn dns_names(&self) -> Vec<String> {
        AltName::dns_of(self.alt_names())
    }

    /// All its extensions.
    pub fn extensions(&self) -> &[Extension] {
        &self.0.extensions
    }

    /// The extension with that identifier.
    pub fn extension(&self, oid: Oid) -> Option<&Extension> {
        self.0.extensions.iter().find(|e| e.oid == oid)
    }

    /// SHA-256 of its DER.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// Whether subject and issuer are the same name; that it signed itself is another question.
    pub fn is_self_issued(&self) -> bool {
        self.subject_der() == self.issuer_der()
    }

    /// Whether `key` made its signature. Says nothing about whether it was allowed to.
    pub fn verify_issued_by(&self, key: &PublicKey) -> Result<(), PkiError> {
        self.verify_issued_with(key, Strength::Modern)
    }

    /// The same, with a say in how old the signature may look.
    pub fn verify_issued_with(&self, key: &PublicKey, strength: Strength) -> Result<(), PkiError> {
        key.verify_with(strength, self.signature_algorithm(), self.tbs_der(), self.signature()).map_err(|e| match e {
            PkiError::BadSignature(_) => PkiError::BadSignature(WHAT),
            other => other,
        })
    }

    /// What it was signed with.
    pub fn signature_algorithm(&self) -> &AlgorithmIdentifierOwned {
        &self.0.algorithm
    }

    /// Its signature.
    pub fn signature(&self) -> &[u8] {
        self.slice(&self.0.signature)
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.0.der.get(range.clone()).unwrap_or_default()
    }
}

fn version(explicit: Option<asn1::Tlv<'_>>) -> Result<u8, PkiError> {
    let Some(explicit) = explicit else { return Ok(0) };
    let mut reader = asn1::Reader::new(WHAT, explicit.value);
    match (reader.small_integer()?, reader.finish()?) {
        (version @ 0..=2, ()) => Ok(version),
        _ => Err(reader.bad("its version is unknown")),
    }
}

/// The content of the serial number, which must be in minimal form (X.690 s8.3.2) and not much longer than it may be
/// (RFC 5280 s4.1.2.2: 20 bytes; a lint says so).
fn serial<'a>(fields: &mut asn1::Reader<'a>) -> Result<&'a [u8], PkiError> {
    let serial = fields.expect(asn1::INTEGER)?.value;
    match serial {
        [] => Err(fields.bad("its serial number is empty")),
        [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(fields.bad("its serial number is not DER")),
        _ if serial.len() > 21 => Err(fields.bad("its serial number is too long")),
        _ => Ok(serial),
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl std::hash::Hash for Certificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.fingerprint().hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, serial {}, {})", self.subject(), self.serial_hex(), self.fingerprint())
    }
}

impl PublicKey {
    /// The first key of a PEM text: a public key alone, or that of a certificate.
    ///
    /// # Errors
    /// If there is neither, or it cannot be read.
    pub fn from_pem(text: &str) -> Result<Self, PkiError> {
        let found = pem::decode(text)?.into_iter().find_map(|block| match block.label.as_str() {
            "PUBLIC KEY" => Some(Self::from_spki_der(&block.der)),
            "CERTIFICATE" => Some(Certificate::from_der(&block.der).map(|it| it.public_key().clone())),
            _ => None,
        });
        found.unwrap_or_else(|| Err(PkiError::malformed("PEM", "it holds neither a public key nor a certificate")))
    }
}
