//! Issuing: prepare, lint, a token that can be used once, sign.

use crate::{
    Algorithm, Certificate, Finding, Name, PkiError, PublicKey, Severity, Signer, asn1,
    extension::Extension,
    lint::{self, Role},
    oid,
};
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

    /// The serial number of an existing certificate.
    pub fn of(certificate: &Certificate) -> Self {
        Self(certificate.serial().to_vec())
    }

    /// From big-endian bytes, such as a record's: 1 to 20 of them, positive.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PkiError> {
        let negative = bytes.first().is_none_or(|first| *first >= 0x80);
        if negative || bytes.len() > 20 || bytes.iter().all(|b| *b == 0) {
            return Err(PkiError::malformed("serial number", "it is not a positive number of at most 20 bytes"));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// In lower-case hexadecimal, as [`Certificate::serial_hex`] writes it.
    pub fn to_hex(&self) -> String {
        hex::encode(&self.0)
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

/// What a profile decides; the rest comes from the issuer and the key.
pub(crate) struct Template {
    pub(crate) role: Role,
    pub(crate) subject: Name,
    pub(crate) extensions: Vec<Extension>,
}

impl Template {
    pub(crate) fn prepare(
        self,
        issuer: &Authority,
        key: &PublicKey,
        serial: CertificateSerial,
        validity: Validity,
    ) -> Result<Prepared, PkiError> {
        let above = &issuer.certificate;
        // RFC 5280 s4.2.1.1: the key identifier is the one in the issuer's certificate.
        let above_id = asn1::tlv(asn1::context_primitive(0), &[&above.key_id()]);
        let authority_key_id = Extension::new(oid::AUTHORITY_KEY_ID, asn1::sequence(&[&above_id]));
        self.assemble(above.subject_der(), above.public_key(), authority_key_id.into(), key, serial, validity)
    }

    pub(crate) fn prepare_root(
        self,
        key: &PublicKey,
        serial: CertificateSerial,
        validity: Validity,
    ) -> Result<Prepared, PkiError> {
        let name = self.subject.to_der();
        self.assemble(&name, key, None, key, serial, validity)
    }

    fn assemble(
        self,
        issuer_name: &[u8],
        issuer: &PublicKey,
        authority_key_id: Option<Extension>,
        key: &PublicKey,
        serial: CertificateSerial,
        validity: Validity,
    ) -> Result<Prepared, PkiError> {
        let algorithm = Algorithm::of(issuer.kind())
            .ok_or_else(|| PkiError::Misuse(format!("nothing here signs with a key of {}", issuer.kind())))?;
        // IEEE 802.1AR-2018 s8.10: a DevID is told apart by its serial number, and its key identifier is left out.
        let subject_key_id =
            (self.role != Role::Idevid).then(|| Extension::new(oid::SUBJECT_KEY_ID, asn1::octets(&key.key_id())));
        let extensions: Vec<Vec<u8>> =
            authority_key_id.into_iter().chain(subject_key_id).chain(self.extensions).map(|e| e.to_der()).collect();
        let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        const VERSION_3: &[u8] = &[asn1::INTEGER, 1, 2];
        let tbs = asn1::sequence(&[
            &asn1::tlv(asn1::context(0), &[VERSION_3]),
            &asn1::unsigned(serial.as_bytes()),
            &algorithm.identifier_der(),
            issuer_name,
            &asn1::sequence(&[&asn1::time(validity.not_before)?, &asn1::time(validity.not_after)?]),
            &self.subject.to_der(),
            key.spki_der(),
            &asn1::tlv(asn1::context(3), &[&asn1::sequence(&extensions)]),
        ]);
        Ok(Prepared { tbs, algorithm, issuer: issuer.clone(), role: self.role })
    }
}

/// A certificate that has been put together and not been looked at.
#[derive(Debug)]
pub struct Prepared {
    tbs: Vec<u8>,
    algorithm: Algorithm,
    issuer: PublicKey,
    role: Role,
}

impl Prepared {
    /// What would be signed.
    pub fn tbs_der(&self) -> &[u8] {
        &self.tbs
    }

    /// Checks it against every lint. An error among the findings means that it must not be signed; then all findings
    /// come back.
    pub fn lint(self) -> Result<Token, Vec<Finding>> {
        // Lints look at a whole certificate, so it gets an empty signature to look at.
        let draft = Certificate::draft(&self.tbs, self.algorithm)
            .map_err(|e| vec![Finding::error("readable", "RFC 5280 s4.1", e.to_string())])?;
        let findings = lint::certificate_as(self.role, &draft);
        match findings.iter().any(|f| f.severity == Severity::Error) {
            true => Err(findings),
            false => Ok(Token { draft, algorithm: self.algorithm, issuer: self.issuer }),
        }
    }

    /// Lints, and makes the findings one error.
    pub fn checked(self) -> Result<Token, PkiError> {
        self.lint().map_err(|findings| {
            let errors = findings.iter().filter(|f| f.severity == Severity::Error).map(ToString::to_string);
            PkiError::Misuse(format!("it must not be signed: {}", errors.collect::<Vec<_>>().join("; ")))
        })
    }
}

/// Leave to sign one certificate once.
#[derive(Debug)]
#[must_use = "a token does nothing until it signs"]
pub struct Token {
    /// It without a signature.
    draft: Certificate,
    algorithm: Algorithm,
    issuer: PublicKey,
}

impl Token {
    /// What must be signed, with the issuer's key.
    pub fn to_be_signed(&self) -> &[u8] {
        self.draft.tbs_der()
    }

    /// The certificate with that signature (ECDSA as DER), which is checked with the issuer's key first.
    pub fn sign(self, signature: &[u8]) -> Result<Certificate, PkiError> {
        let certificate = self.draft.signed(self.algorithm, signature);
        certificate.verify_issued_by(&self.issuer)?;
        Ok(certificate)
    }

    /// The certificate signed by a key that is at hand.
    pub fn issue(self, signer: &dyn Signer) -> Result<Certificate, PkiError> {
        let signature = signer.sign(self.to_be_signed())?;
        // What could go wrong with a key elsewhere cannot with one at hand, if it is the issuer's.
        match signer.is_in_memory() && *signer.public_key() == self.issuer {
            true => Ok(self.draft.signed(self.algorithm, &signature)),
            false => self.sign(&signature),
        }
    }
}
