//! Public areas (TPM 2.0 Library part 2, s12.2.4): the templates that keys are made by, and reading what a TPM made.

use crate::wire::Writer;
use aws_lc_rs::digest;
use landfall_element::ElementError;
use landfall_pki::{Algorithm, PublicKey};
use landfall_types::octets::{Malformed, Reader};

pub(crate) const SHA256: u16 = 0x000b;
pub(crate) const ECDSA: u16 = 0x0018;
pub(crate) const NULL: u16 = 0x0010;
pub(crate) const SHA384: u16 = 0x000c;
const AES: u16 = 0x0006;
const CFB: u16 = 0x0043;
const RSA: u16 = 0x0001;
const KEYED_HASH: u16 = 0x0008;
const ECC: u16 = 0x0023;
const P256: u16 = 0x0003;
const P384: u16 = 0x0004;

/// Attributes (part 2, s8.3).
const FIXED_TPM: u32 = 1 << 1;
const FIXED_PARENT: u32 = 1 << 4;
const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
const USER_WITH_AUTH: u32 = 1 << 6;
const ADMIN_WITH_POLICY: u32 = 1 << 7;
const NO_DA: u32 = 1 << 10;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;

/// Made inside, and bound to this one TPM for good.
const BORN_HERE: u32 = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN;

/// What an endorsement key may be used with: PolicySecret(TPM_RH_ENDORSEMENT) (TCG EK Credential Profile, B.6.2).
const ENDORSEMENT_POLICY: [u8; 32] =
    *b"\x83\x71\x97\x67\x44\x84\xb3\xf8\x1a\x90\xcc\x8d\x46\xa5\xd7\x24\xfd\x52\xd7\x6e\x06\x52\x0b\x64\xf2\xa1\xda\x1b\x33\x14\x69\xaa";

/// The storage key under which the others are: TCG's template for a storage root key on P-256, so that the same one comes
/// out each time.
pub(crate) fn storage() -> Vec<u8> {
    elliptic_parent(BORN_HERE | USER_WITH_AUTH | NO_DA | RESTRICTED | DECRYPT, &[])
}

/// A key that signs digests and agrees on secrets. One with an authorization value is under the TPM's protection against
/// guessing.
pub(crate) fn signing(algorithm: Algorithm, guarded: bool) -> Result<Vec<u8>, ElementError> {
    let curve = match algorithm {
        Algorithm::EcdsaP256 => P256,
        Algorithm::EcdsaP384 => P384,
        Algorithm::Ed25519 => return Err(ElementError::Unsupported("make Ed25519 keys")),
    };
    let protection = if guarded { 0 } else { NO_DA };
    let attributes = BORN_HERE | USER_WITH_AUTH | SIGN | DECRYPT | protection;
    Ok(head(ECC, attributes, &[]).u16(NULL).u16(NULL).u16(curve).u16(NULL).sized(&[]).sized(&[]).done())
}

/// A key that signs only what the TPM itself says.
pub(crate) fn attestation() -> Vec<u8> {
    let attributes = BORN_HERE | USER_WITH_AUTH | NO_DA | RESTRICTED | SIGN;
    head(ECC, attributes, &[]).u16(NULL).u16(ECDSA).u16(SHA256).u16(P256).u16(NULL).sized(&[]).sized(&[]).done()
}

/// The endorsement key on RSA-2048 (TCG EK Credential Profile, template L-1).
pub(crate) fn endorsement() -> Vec<u8> {
    head(RSA, BORN_HERE | ADMIN_WITH_POLICY | RESTRICTED | DECRYPT, &ENDORSEMENT_POLICY)
        .u16(AES)
        .u16(128)
        .u16(CFB)
        .u16(NULL)
        .u16(2048)
        .u32(0)
        .sized(&[0; 256])
        .done()
}

/// The endorsement key on P-256 (TCG EK Credential Profile, template L-2).
pub(crate) fn elliptic_endorsement() -> Vec<u8> {
    elliptic_parent(BORN_HERE | ADMIN_WITH_POLICY | RESTRICTED | DECRYPT, &ENDORSEMENT_POLICY)
}

/// A key on P-256 that protects others by AES-128; TCG's templates for such have points of zeros.
fn elliptic_parent(attributes: u32, policy: &[u8]) -> Vec<u8> {
    head(ECC, attributes, policy)
        .u16(AES)
        .u16(128)
        .u16(CFB)
        .u16(NULL)
        .u16(P256)
        .u16(NULL)
        .sized(&[0; 32])
        .sized(&[0; 32])
        .done()
}

/// A sealed secret; with a policy it opens by that alone.
pub(crate) fn sealed(policy: &[u8]) -> Vec<u8> {
    let by = if policy.is_empty() { USER_WITH_AUTH } else { 0 };
    head(KEYED_HASH, FIXED_TPM | FIXED_PARENT | NO_DA | by, policy).u16(NULL).sized(&[]).done()
}

fn head(kind: u16, attributes: u32, policy: &[u8]) -> Writer {
    Writer::default().u16(kind).u16(SHA256).u32(attributes).sized(policy)
}

/// The public area of a key, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Public {
    attributes: u32,
    scheme: u16,
    algorithm: Algorithm,
    key: PublicKey,
    name: Vec<u8>,
}

impl Public {
    /// Reads a TPMT_PUBLIC of an elliptic-curve key.
    pub(crate) fn read(area: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new("a public area", area);
        let (kind, hash, attributes) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let _policy = reader.sized()?;
        if kind != ECC || hash != SHA256 {
            return Err(Malformed("a key that is not on an elliptic curve and named by SHA-256"));
        }
        if reader.u16()? != NULL {
            reader.take(4)?;
        }
        let scheme = reader.u16()?;
        if scheme != NULL {
            reader.take(2)?;
        }
        let (algorithm, width) = match reader.u16()? {
            P256 => (Algorithm::EcdsaP256, 32),
            P384 => (Algorithm::EcdsaP384, 48),
            _ => return Err(Malformed("a key that is not on P-256 or P-384")),
        };
        if reader.u16()? != NULL {
            reader.take(2)?;
        }
        let (x, y) = (padded(reader.sized()?, width), padded(reader.sized()?, width));
        reader.finish()?;
        let (Some(x), Some(y)) = (x, y) else { return Err(reader.bad()) };
        let point = [&[4][..], &x, &y].concat();
        let key = PublicKey::from_point(algorithm, &point).map_err(|_| reader.bad())?;
        Ok(Self { attributes, scheme, algorithm, key, name: name(area) })
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) const fn key(&self) -> &PublicKey {
        &self.key
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether the private key was made by the TPM and cannot leave it.
    pub(crate) const fn is_born_here(&self) -> bool {
        self.attributes & BORN_HERE == BORN_HERE
    }

    /// Whether it signs only what the TPM itself says, so that nobody can have it sign a made-up statement.
    pub(crate) const fn is_attestation_key(&self) -> bool {
        self.is_born_here()
            && self.attributes & (RESTRICTED | SIGN | DECRYPT) == RESTRICTED | SIGN
            && self.scheme == ECDSA
    }
}

/// The name of an object: its hash algorithm and the hash of its public area (part 1, s16).
pub(crate) fn name(area: &[u8]) -> Vec<u8> {
    [&SHA256.to_be_bytes()[..], digest::digest(&digest::SHA256, area).as_ref()].concat()
}

/// A number in the full width of its field.
pub(crate) fn padded(value: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut whole = vec![0; width.checked_sub(value.len())?];
    whole.extend_from_slice(value);
    Some(whole)
}
