//! Vouchers (RFC 8366) and voucher requests (RFC 8995 s3), in CMS, JWS and COSE.
//!
//! [`open`] takes an artefact apart and verifies its signature with the signer's key; whether that signer is to be
//! trusted is for the caller to decide. [`prepare`] gives the bytes to sign, and [`Unsealed::seal`] the finished
//! artefact, so that the private key stays where it is.

mod artefact;
mod cbor;
mod cms;
mod cose;
mod error;
mod fields;
mod format;
mod issuer;
mod json;
mod jws;
mod nonce;
mod payload;
mod request;
mod transfer;

pub use artefact::Voucher;
pub use error::VoucherError;
pub use format::Format;
pub use issuer::key_identifier;
pub use nonce::Nonce;
pub use payload::{Assertion, Payload};
pub use request::VoucherRequest;
pub use transfer::body;

use landfall_pki::{Algorithm, Certificate, KeyKind};

/// The longest artefact that is read, in bytes. A registrar's request with two chains inside stays below a tenth.
pub const MAX_BYTES: usize = 128 * 1024;
/// The most certificates that an artefact may bring along.
pub const MAX_CERTIFICATES: usize = 16;

/// An artefact whose signature has been verified with `signer`'s key. Nothing has been decided about `signer`.
#[derive(Clone, Debug)]
pub struct Signed<T> {
    /// What was signed.
    pub payload: T,
    /// Whose key the signature was verified with.
    pub signer: Certificate,
    /// The other certificates that came along, in their order; anyone may have put them there.
    pub certificates: Vec<Certificate>,
    /// The form that it came in.
    pub format: Format,
    /// The bytes as they came, without transfer encoding.
    pub raw: Vec<u8>,
}

/// Takes an artefact apart and verifies its one signature.
///
/// The bytes may be in base64 or PEM, which some peers send although RFC 8995 s6 says raw.
pub fn open<T: Payload>(format: Format, bytes: &[u8]) -> Result<Signed<T>, VoucherError> {
    open_with(format, bytes, &[])
}

/// The same, where the artefact may have come without its signer's certificate: a COSE voucher may travel stripped
/// of them (draft-ietf-anima-constrained-voucher s9.2). Then each of `candidates` is tried.
pub fn open_with<T: Payload>(
    format: Format,
    bytes: &[u8],
    candidates: &[Certificate],
) -> Result<Signed<T>, VoucherError> {
    if bytes.len() > 2 * MAX_BYTES {
        return Err(VoucherError::TooLarge(bytes.len()));
    }
    let raw = body(format, bytes);
    if raw.len() > MAX_BYTES {
        return Err(VoucherError::TooLarge(raw.len()));
    }
    let opened = match format {
        Format::CmsJson => cms::open(&raw)?,
        Format::JwsJson => jws::open(&raw)?,
        Format::CoseCbor => cose::open(&raw, candidates)?,
    };
    let fields = match format {
        Format::CmsJson | Format::JwsJson => json::decode::<T>(&opened.content)?,
        Format::CoseCbor => cbor::decode::<T>(&opened.content)?,
    };
    let payload = T::from_fields(fields)?;
    Ok(Signed { payload, signer: opened.signer, certificates: opened.certificates, format, raw: raw.into_owned() })
}

/// What a container gave: signed bytes and certificates, the signature verified.
struct Opened {
    content: Vec<u8>,
    signer: Certificate,
    certificates: Vec<Certificate>,
}

/// What CMS says of the content that it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentType {
    /// id-ct-animaJSONVoucher, as RFC 8366 s5.4 asks.
    #[default]
    AnimaJsonVoucher,
    /// id-data, which the published examples and several implementations use and some accept alone.
    Data,
}

/// What the maker of an artefact may choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealOptions {
    /// For CMS: what the content is called.
    pub content_type: ContentType,
}

/// An artefact that lacks only its signature.
#[derive(Debug)]
pub struct Unsealed(Kind);

#[derive(Debug)]
enum Kind {
    Cms(landfall_pki::cms::PreparedSignedData),
    Jws(jws::Prepared),
    Cose(Box<cose::Prepared>),
}

/// Encodes `payload` for `signer` to sign; `extra` certificates travel along.
pub fn prepare<T: Payload>(
    format: Format,
    payload: &T,
    signer: &Certificate,
    extra: &[Certificate],
    options: SealOptions,
) -> Result<Unsealed, VoucherError> {
    payload.check()?;
    let fields = payload.to_fields();
    Ok(Unsealed(match format {
        Format::CmsJson => Kind::Cms(cms::prepare(json::encode::<T>(&fields), signer, extra, options)?),
        Format::JwsJson => Kind::Jws(jws::Prepared::new(&json::encode::<T>(&fields), signer, extra)?),
        Format::CoseCbor => Kind::Cose(Box::new(cose::Prepared::new(cbor::encode::<T>(&fields)?, signer, extra)?)),
    }))
}

impl Unsealed {
    /// What the signer's key has to sign.
    pub fn to_be_signed(&self) -> &[u8] {
        match &self.0 {
            Kind::Cms(prepared) => prepared.to_be_signed(),
            Kind::Jws(prepared) => prepared.to_be_signed(),
            Kind::Cose(prepared) => prepared.to_be_signed(),
        }
    }

    /// The artefact, from a signature as a [`Signer`](landfall_pki::Signer) makes it.
    pub fn seal(self, signature: &[u8]) -> Result<Vec<u8>, VoucherError> {
        match self.0 {
            Kind::Cms(prepared) => Ok(prepared.sign(signature)),
            Kind::Jws(prepared) => prepared.seal(signature),
            Kind::Cose(prepared) => prepared.seal(signature),
        }
    }
}

/// The one algorithm that JOSE and COSE have for a key, among those that are spoken here.
fn fixed_algorithm(certificate: &Certificate) -> Result<Algorithm, VoucherError> {
    match certificate.public_key().kind() {
        KeyKind::P256 => Ok(Algorithm::EcdsaP256),
        KeyKind::P384 => Ok(Algorithm::EcdsaP384),
        KeyKind::Ed25519 => Ok(Algorithm::Ed25519),
        other => Err(VoucherError::Algorithm(format!("this form has no algorithm for a key of {other}"))),
    }
}
