//! Proof in a certificate request of where its key lives (draft-ietf-lamps-csr-attestation): the statement of a TPM about
//! the key, and the certificate of the key that signed it.

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
        let parts = [&self.statement, &self.signature, &self.public_area].map(|part| asn1::octets(part));
        let said = asn1::sequence(&[&parts.concat()]);
        let statement = asn1::sequence(&[&asn1::oid(&oid::TPM_CERTIFY), &said]);
        let certificates: Vec<u8> = self.certificates.iter().flat_map(|c| c.der().to_vec()).collect();
        asn1::sequence(&[&asn1::sequence(&[&statement]), &asn1::sequence(&[&certificates])])
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

fn octets(reader: &mut asn1::Reader<'_>) -> Result<Vec<u8>, PkiError> {
    let value = reader.expect(asn1::OCTET_STRING)?.value;
    match value.len() <= LONGEST {
        true => Ok(value.to_vec()),
        false => Err(reader.bad("a part of it is too long")),
    }
}
