//! What was measured into the TPM, and its own word for it.

use crate::{TpmElement, proof::changed, public::Public, tpm::Tpm};
use landfall_element::{ElementError, Trouble};
use landfall_pki::PublicKey;
use std::collections::BTreeMap;

/// How often the PCRs are looked at again because something was measured meanwhile.
const TRIES: u32 = 5;
/// The PCRs that a PC client's TPM has.
const PCRS: u8 = 24;

/// The TPM's statement about what PCRs of the SHA-256 bank hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The statement, a TPMS_ATTEST.
    pub statement: Vec<u8>,
    /// The attestation key's signature over it, a TPMT_SIGNATURE.
    pub signature: Vec<u8>,
    /// What the PCRs hold.
    pub pcrs: BTreeMap<u8, [u8; 32]>,
}

impl TpmElement {
    /// Has the attestation key sign what the PCRs hold, and `covered` with it, at most 32 octets (TPM2_Quote).
    ///
    /// # Errors
    /// If there is no such PCR, or the TPM fails.
    pub fn quote(&self, pcrs: &[u8], covered: &[u8]) -> Result<Quote, ElementError> {
        are_pcrs(pcrs)?;
        let stored = self.0.attestation_key()?;
        self.0.with_stored(&stored, &changed(), |tpm, signer| {
            let mut before = tpm.pcr_read(pcrs)?;
            for _ in 0..TRIES {
                let (statement, signature) = tpm.quote(signer, pcrs, covered)?;
                let after = tpm.pcr_read(pcrs)?;
                if after == before {
                    return Ok(Quote { statement, signature, pcrs: after });
                }
                before = after;
            }
            Err(ElementError::hardware(Trouble::Failed, "its PCRs do not come to rest").into())
        })
    }

    /// The key that signs quotes, made at first use.
    ///
    /// # Errors
    /// If the TPM fails.
    pub fn attestation_public_key(&self) -> Result<PublicKey, ElementError> {
        let area = self.0.attestation_key()?.blob.public;
        let public = Public::read(&area).map_err(|why| ElementError::hardware(Trouble::Failed, why.to_string()))?;
        Ok(public.key().clone())
    }

    /// What the PCRs hold now.
    ///
    /// # Errors
    /// If there is no such PCR, or the TPM fails.
    pub fn pcrs(&self, pcrs: &[u8]) -> Result<BTreeMap<u8, [u8; 32]>, ElementError> {
        are_pcrs(pcrs)?;
        Ok(Tpm::open(&self.0.config.tcti)?.pcr_read(pcrs)?)
    }

    /// Measures a SHA-256 digest into a PCR; only a reset takes it out again.
    ///
    /// # Errors
    /// If there is no such PCR, or it is not for everyone to measure into.
    pub fn measure(&self, pcr: u8, digest: &[u8; 32]) -> Result<(), ElementError> {
        are_pcrs(&[pcr])?;
        Ok(Tpm::open(&self.0.config.tcti)?.pcr_extend(pcr, digest)?)
    }
}

fn are_pcrs(pcrs: &[u8]) -> Result<(), ElementError> {
    match !pcrs.is_empty() && pcrs.iter().all(|pcr| *pcr < PCRS) {
        true => Ok(()),
        false => Err(ElementError::Unsupported("do that with none of its 24 PCRs")),
    }
}
