//! What a TPM says (TPM 2.0 Library part 2): statements, signatures, selections of PCRs.

use aws_lc_rs::digest;
use landfall_pki::{Algorithm, PublicKey, der_from_fixed};
pub use landfall_types::octets::Malformed;
use landfall_types::octets::Reader;
use std::collections::{BTreeMap, BTreeSet};

/// TPM_GENERATED_VALUE: a restricted key signs nothing else that begins so (s6.2).
const GENERATED: u32 = 0xff54_4347;
const CERTIFY: u16 = 0x8017;
const QUOTE: u16 = 0x8018;
const SHA256: u16 = 0x000b;
const SHA384: u16 = 0x000c;
const ECDSA: u16 = 0x0018;
/// How long a statement may be; TPMs' own buffers are shorter.
const LONGEST: usize = 4096;
/// The PCRs that a PC client's TPM has.
const PCRS: u8 = 24;

/// What PCRs hold, by their numbers, in the SHA-256 bank.
pub type Pcrs = BTreeMap<u8, [u8; 32]>;

/// A statement of a TPM: TPMS_ATTEST (s10.12.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The qualified name of the key that signs it.
    pub signer: Vec<u8>,
    /// What whoever asked gave it to cover.
    pub covered: Vec<u8>,
    /// The TPM's clock and counters.
    pub clock: Clock,
    /// The version of the TPM's own firmware. Like the counters it is shifted by a constant of the key, unless that is of the
    /// endorsement or platform hierarchy (part 1, s36.7).
    pub firmware: u64,
    /// What it is about.
    pub about: About,
}

/// TPMS_CLOCK_INFO (s10.11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Clock {
    /// Milliseconds that the TPM has been powered.
    pub clock: u64,
    /// How often it was reset.
    pub reset_count: u32,
    /// How often it was suspended or restarted since.
    pub restart_count: u32,
    /// Whether no greater clock was ever told before.
    pub safe: bool,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// What PCRs hold (TPMS_QUOTE_INFO, s10.12.4).
    Quote {
        /// Which of the SHA-256 bank.
        selection: BTreeSet<u8>,
        /// The digest of what they hold, in order of their numbers.
        digest: Vec<u8>,
    },
    /// A key of the TPM (TPMS_CERTIFY_INFO, s10.12.3).
    Key {
        /// The name of the key.
        name: Vec<u8>,
    },
}

impl Statement {
    /// Reads one of the two kinds that are of use here.
    ///
    /// # Errors
    /// If it is of another kind, or anything in it is not of its form.
    pub fn read(octets: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new("a TPM's statement (TPMS_ATTEST)", octets);
        if octets.len() > LONGEST || reader.u32()? != GENERATED {
            return Err(reader.bad());
        }
        let kind = reader.u16()?;
        let signer = reader.sized()?.to_vec();
        let covered = reader.sized()?.to_vec();
        let clock = Clock {
            clock: reader.u64()?,
            reset_count: reader.u32()?,
            restart_count: reader.u32()?,
            safe: yes_or_no(&mut reader)?,
        };
        let firmware = reader.u64()?;
        let about = match kind {
            QUOTE => About::Quote { selection: selection(&mut reader)?, digest: reader.sized()?.to_vec() },
            CERTIFY => {
                let name = reader.sized()?.to_vec();
                let _qualified = reader.sized()?;
                About::Key { name }
            }
            _ => return Err(Malformed("a statement that is neither a quote nor about a key")),
        };
        reader.finish()?;
        Ok(Self { signer, covered, clock, firmware, about })
    }
}

/// TPMI_YES_NO.
fn yes_or_no(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(reader.bad()),
    }
}

/// TPML_PCR_SELECTION (s10.9.7), of which only the SHA-256 bank may choose any.
fn selection(reader: &mut Reader<'_>) -> Result<BTreeSet<u8>, Malformed> {
    let banks = reader.u32()?;
    if banks > 16 {
        return Err(reader.bad());
    }
    let mut chosen = BTreeSet::new();
    for _ in 0..banks {
        let bank = reader.u16()?;
        let length = reader.u8()?;
        let bits = reader.take(length.into())?;
        for (octet, bits) in (0u8..).zip(bits) {
            for bit in 0..8 {
                if bits & (1 << bit) == 0 {
                    continue;
                }
                let number = octet.checked_mul(8).and_then(|base| base.checked_add(bit)).ok_or(reader.bad())?;
                if bank != SHA256 || number >= PCRS || !chosen.insert(number) {
                    return Err(Malformed("a selection of PCRs beyond the 24 of the SHA-256 bank"));
                }
            }
        }
    }
    Ok(chosen)
}

/// The digest that a quote holds of PCRs with that content (part 3, s18.4).
pub fn digest_of(pcrs: &Pcrs) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    pcrs.values().for_each(|value| hash.update(value));
    hash.finish().as_ref().try_into().unwrap_or_default()
}

/// Checks a TPM's signature (TPMT_SIGNATURE, s11.3.4): ECDSA on P-256 or P-384.
///
/// # Errors
/// If it is of another form, or is not that key's over `message`.
pub fn check_signature(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new("a TPM's signature (TPMT_SIGNATURE)", signature);
    if reader.u16()? != ECDSA {
        return Err(Malformed("a signature that is not by ECDSA"));
    }
    let (algorithm, width) = match reader.u16()? {
        SHA256 => (Algorithm::EcdsaP256, 32),
        SHA384 => (Algorithm::EcdsaP384, 48),
        _ => return Err(Malformed("a signature over another digest than SHA-256 or SHA-384")),
    };
    let (r, s) = (padded(reader.sized()?, width), padded(reader.sized()?, width));
    reader.finish()?;
    let (Some(r), Some(s)) = (r, s) else { return Err(reader.bad()) };
    let wrong = Malformed("the signature, as that key's,");
    let der = der_from_fixed(algorithm, &[r, s].concat()).map_err(|_| wrong)?;
    key.verify(&algorithm.identifier(), message, &der).map_err(|_| wrong)
}

fn padded(value: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut whole = vec![0; width.checked_sub(value.len())?];
    whole.extend_from_slice(value);
    Some(whole)
}
