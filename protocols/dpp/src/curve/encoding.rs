//! Keys in DER: SubjectPublicKeyInfo (RFC 5480), ECPrivateKey (RFC 5915), PKCS#8 (RFC 5958). Curves are named, never spelt out.

use super::{Curve, KeyError, PrivateKey, PublicKey};
use der::{
    Any, Decode, Encode, Sequence,
    asn1::{BitStringRef, ObjectIdentifier, OctetStringRef, SetOfVec},
};
use landfall_types::Redacted;
use zeroize::Zeroizing;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

impl Curve {
    pub(crate) const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::P256 => "1.2.840.10045.3.1.7",
            Self::P384 => "1.3.132.0.34",
            Self::P521 => "1.3.132.0.35",
            Self::Bp256 => "1.3.36.3.3.2.8.1.1.7",
            Self::Bp384 => "1.3.36.3.3.2.8.1.1.11",
            Self::Bp512 => "1.3.36.3.3.2.8.1.1.13",
        })
    }
}

#[derive(Sequence)]
struct Algorithm {
    algorithm: ObjectIdentifier,
    curve: ObjectIdentifier,
}

impl Algorithm {
    const fn of(curve: Curve) -> Self {
        Self { algorithm: EC_PUBLIC_KEY, curve: curve.oid() }
    }

    fn curve(&self) -> Result<Curve, KeyError> {
        let known = Curve::ALL.into_iter().find(|curve| curve.oid() == self.curve);
        known.filter(|_| self.algorithm == EC_PUBLIC_KEY).ok_or(KeyError::Encoding)
    }
}

#[derive(Sequence)]
struct SubjectPublicKeyInfo<'a> {
    algorithm: Algorithm,
    key: BitStringRef<'a>,
}

pub(super) fn public_from_spki(der: &[u8]) -> Result<PublicKey, KeyError> {
    let info = SubjectPublicKeyInfo::from_der(der).map_err(|_| KeyError::Encoding)?;
    PublicKey::from_sec1(info.algorithm.curve()?, info.key.as_bytes().ok_or(KeyError::Encoding)?)
}

/// `point` is that of `key`, compressed or not.
pub(super) fn public_to_spki(key: &PublicKey, point: &[u8]) -> Vec<u8> {
    // A point is at most 133 octets, so nothing can fail.
    BitStringRef::from_bytes(point)
        .and_then(|key_bits| SubjectPublicKeyInfo { algorithm: Algorithm::of(key.curve()), key: key_bits }.to_der())
        .unwrap_or_default()
}

#[derive(Sequence)]
struct EcPrivateKey<'a> {
    version: u8,
    key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    curve: Option<ObjectIdentifier>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    public: Option<BitStringRef<'a>>,
}

#[derive(Sequence)]
struct PrivateKeyInfo<'a> {
    version: u8,
    algorithm: Algorithm,
    key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    attributes: Option<SetOfVec<Any>>,
}

pub(super) fn private_from_der(der: &[u8]) -> Result<PrivateKey, KeyError> {
    match PrivateKeyInfo::from_der(der) {
        Ok(info) => ec_private(info.key.as_bytes(), Some(info.algorithm.curve()?)),
        Err(_) => ec_private(der, None),
    }
}

fn ec_private(der: &[u8], outer: Option<Curve>) -> Result<PrivateKey, KeyError> {
    let inner = EcPrivateKey::from_der(der).map_err(|_| KeyError::Encoding)?;
    let named = inner.curve.map(|curve| Algorithm { algorithm: EC_PUBLIC_KEY, curve }.curve()).transpose()?;
    let curve = match (outer, named) {
        (Some(outer), Some(named)) if outer != named => return Err(KeyError::Encoding),
        (outer, named) => outer.or(named).ok_or(KeyError::Encoding)?,
    };
    let key = PrivateKey::from_bytes(curve, inner.key.as_bytes())?;
    let Some(public) = inner.public else { return Ok(key) };
    let public = PublicKey::from_sec1(curve, public.as_bytes().ok_or(KeyError::Encoding)?)?;
    if public == *key.public() { Ok(key) } else { Err(KeyError::Encoding) }
}

pub(super) fn private_to_pkcs8(key: &PrivateKey) -> Result<Redacted<Vec<u8>>, KeyError> {
    let encode = || {
        let inner = ec_private_to_der(key, None)?;
        let algorithm = Algorithm::of(key.curve());
        PrivateKeyInfo { version: 0, algorithm, key: OctetStringRef::new(&inner)?, attributes: None }.to_der()
    };
    encode().map(Redacted::new).map_err(|_: der::Error| KeyError::Encoding)
}

pub(super) fn private_to_ec(key: &PrivateKey) -> Result<Redacted<Vec<u8>>, KeyError> {
    let encoded = ec_private_to_der(key, Some(key.curve().oid())).map_err(|_| KeyError::Encoding)?;
    Ok(Redacted::new(encoded.to_vec()))
}

fn ec_private_to_der(key: &PrivateKey, curve: Option<ObjectIdentifier>) -> der::Result<Zeroizing<Vec<u8>>> {
    let scalar = key.to_bytes();
    let (key, public) = (OctetStringRef::new(scalar.expose())?, BitStringRef::from_bytes(key.public().sec1())?);
    EcPrivateKey { version: 1, key, curve, public: Some(public) }.to_der().map(Zeroizing::new)
}
