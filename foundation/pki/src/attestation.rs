//! Proof in a certificate request of where its key lives (draft-ietf-lamps-csr-attestation): the statement of a TPM about
//! the key, and the certificate of the key that signed it; and evidence of what software the device runs, beside it.

use crate::{Certificate, PkiError, asn1, oid};

const WHAT: &str = "key attestation";
/// How long each part may be: a TPM's buffers are shorter.
const LONGEST: usize = 4096;
const MAX_STATEMENTS: usize = 8;
const MAX_CERTIFICATES: usize = 8;

/// The proof. What the octets mean, TPMs and those who know them say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttestation {
    /// What the TPM says of the key: a TPMS_ATTEST.
    pub statement: Vec<u8>,
    /// The signature over it: a TPMT_SIGNATURE.
    pub signature: Vec<u8>,
    /// The public area of the key: a TPMT_PUBLIC.
    pub public_area: Vec<u8>,
    /// The certificate of the key that signed it, and those above it.
    pub certificates: Vec<Certificate>,
}

impl KeyAttestation {
    /// The value of the attribute [`oid::KEY_ATTESTATION`], in DER.
    pub fn to_der(&self) -> Vec<u8> {
        bundle(&[self.to_statement()], &self.certificates)
    }

    fn to_statement(&self) -> Vec<u8> {
        let parts = [&self.statement, &self.signature, &self.public_area].map(|part| asn1::octets(part));
        let said = asn1::sequence(&[&parts.concat()]);
        asn1::sequence(&[&asn1::oid(&oid::TPM_CERTIFY), &said])
    }

    /// Reads the value of the attribute; statements of other kinds are passed over.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        let mut bundle = asn1::Reader::inside(WHAT, asn1::SEQUENCE, der)?;
        let mut statements = bundle.enter(asn1::SEQUENCE)?;
        let mut found = None;
        for _ in 0..MAX_STATEMENTS {
            if statements.is_empty() {
                break;
            }
            let mut statement = statements.enter(asn1::SEQUENCE)?;
            if statement.oid()? == oid::TPM_CERTIFY && found.is_none() {
                let mut said = statement.enter(asn1::SEQUENCE)?;
                found = Some((octets(&mut said)?, octets(&mut said)?, octets(&mut said)?));
                said.finish()?;
            }
        }
        statements.finish()?;
        let (statement, signature, public_area) =
            found.ok_or_else(|| PkiError::unsupported(WHAT, "it holds no statement of a TPM about a key"))?;
        let mut certificates = Vec::new();
        if !bundle.is_empty() {
            let mut all = bundle.enter(asn1::SEQUENCE)?;
            while !all.is_empty() {
                if certificates.len() == MAX_CERTIFICATES {
                    return Err(all.bad("it has too many certificates"));
                }
                certificates.push(Certificate::from_der(all.expect(asn1::SEQUENCE)?.raw)?);
            }
        }
        bundle.finish()?;
        Ok(Self { statement, signature, public_area, certificates })
    }
}

/// The value of the attribute with evidence of the device, a conceptual message wrapper in JSON, and with the proof about
/// the key if there is one.
pub fn with_evidence(key: Option<&KeyAttestation>, evidence: &str) -> Vec<u8> {
    let wrapped = asn1::tlv(asn1::UTF8_STRING, &[evidence.as_bytes()]);
    let mut statements: Vec<_> = key.into_iter().map(KeyAttestation::to_statement).collect();
    statements.push(asn1::sequence(&[&asn1::oid(&oid::CMW), &wrapped]));
    bundle(&statements, key.map(|key| key.certificates.as_slice()).unwrap_or_default())
}

/// The evidence of the device in the value of the attribute, if there is any.
///
/// # Errors
/// If the value is not of its form.
pub fn evidence(der: &[u8]) -> Result<Option<&[u8]>, PkiError> {
    let mut bundle = asn1::Reader::inside(WHAT, asn1::SEQUENCE, der)?;
    let mut statements = bundle.enter(asn1::SEQUENCE)?;
    for _ in 0..MAX_STATEMENTS {
        if statements.is_empty() {
            break;
        }
        let mut statement = statements.enter(asn1::SEQUENCE)?;
        if statement.oid()? == oid::CMW {
            return Ok(Some(statement.expect(asn1::UTF8_STRING)?.value));
        }
    }
    Ok(None)
}

/// AttestationBundle.
fn bundle(statements: &[Vec<u8>], certificates: &[Certificate]) -> Vec<u8> {
    let certificates: Vec<u8> = certificates.iter().flat_map(|c| c.der().to_vec()).collect();
    let statements = asn1::sequence(&[&statements.concat()]);
    match certificates.is_empty() {
        true => asn1::sequence(&[&statements]),
        false => asn1::sequence(&[&statements, &asn1::sequence(&[&certificates])]),
    }
}

fn octets(reader: &mut asn1::Reader<'_>) -> Result<Vec<u8>, PkiError> {
    let value = reader.expect(asn1::OCTET_STRING)?.value;
    match value.len() <= LONGEST {
        true => Ok(value.to_vec()),
        false => Err(reader.bad("a part of it is too long")),
    }
}
