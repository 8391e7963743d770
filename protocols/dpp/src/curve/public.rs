//! Public keys.

use super::{
    Curve,
    arithmetic::{self, on},
    bp512::BrainpoolP512r1,
    encoding,
};
use crate::crypto;
use aws_lc_rs::signature::{self, UnparsedPublicKey};
use landfall_types::Fingerprint;
use std::fmt;

/// Why a key, or what was to be done with it, is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has not the length that its curve demands.
    #[error("the length is not that of the curve")]
    Length,
    /// The coordinates are those of no point of the curve.
    #[error("the point is not on the curve")]
    NotOnCurve,
    /// The result is the point at infinity or zero.
    #[error("the result is infinity")]
    Infinity,
    /// The two keys are on different curves.
    #[error("the keys are on different curves")]
    OtherCurve,
    /// The private scalar is zero or not below the order.
    #[error("the scalar is out of range")]
    OutOfRange,
    /// It is not the DER of a key on a named curve of DPP.
    #[error("it is not a key on one of the six named curves")]
    Encoding,
    /// The signature is not that of this key over this message.
    #[error("the signature does not verify")]
    Signature,
}

/// A point that is on its curve and is not infinity.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    curve: Curve,
    /// 04|x|y, each coordinate of the curve's width.
    sec1: Box<[u8]>,
}

impl PublicKey {
    /// The point with x|y, as frames carry it.
    ///
    /// # Errors
    /// [`KeyError::Length`], [`KeyError::NotOnCurve`].
    pub fn from_wire(curve: Curve, xy: &[u8]) -> Result<Self, KeyError> {
        if xy.len() != 2 * curve.coordinate_len() {
            return Err(KeyError::Length);
        }
        if !on!(curve, is_point(xy)) {
            return Err(KeyError::NotOnCurve);
        }
        Ok(Self::trusted(curve, xy))
    }

    /// The point with these coordinates, each of the curve's width.
    ///
    /// # Errors
    /// [`KeyError::Length`], [`KeyError::NotOnCurve`].
    pub fn from_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        if x.len() != curve.coordinate_len() {
            return Err(KeyError::Length);
        }
        Self::from_wire(curve, &[x, y].concat())
    }

    /// The point with that x and an odd or even y.
    ///
    /// # Errors
    /// [`KeyError::Length`], [`KeyError::NotOnCurve`].
    pub fn from_x(curve: Curve, x: &[u8], odd: bool) -> Result<Self, KeyError> {
        if x.len() != curve.coordinate_len() {
            return Err(KeyError::Length);
        }
        on!(curve, decompress(x, odd)).map(|xy| Self::trusted(curve, &xy)).ok_or(KeyError::NotOnCurve)
    }

    /// The point in one of the forms of SEC 1 s2.3.3: compressed (02, 03) or not (04).
    ///
    /// # Errors
    /// [`KeyError::Encoding`] for any other form, [`KeyError::Length`], [`KeyError::NotOnCurve`].
    pub fn from_sec1(curve: Curve, bytes: &[u8]) -> Result<Self, KeyError> {
        match bytes.split_first() {
            Some((2, x)) => Self::from_x(curve, x, false),
            Some((3, x)) => Self::from_x(curve, x, true),
            Some((4, xy)) => Self::from_wire(curve, xy),
            _ => Err(KeyError::Encoding),
        }
    }

    /// The key in a DER SubjectPublicKeyInfo (RFC 5480 s2) of a named curve, its point compressed or not.
    ///
    /// # Errors
    /// [`KeyError::Encoding`] for anything else, explicit curve parameters among it; [`KeyError::Length`],
    /// [`KeyError::NotOnCurve`].
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        encoding::public_from_spki(der)
    }

    /// The generator of the curve.
    pub fn generator(curve: Curve) -> Self {
        Self::trusted(curve, &on!(curve, generator()))
    }

    /// A point that this program has computed or checked.
    pub(super) fn trusted(curve: Curve, xy: &[u8]) -> Self {
        Self { curve, sec1: [&[4], xy].concat().into() }
    }

    /// The curve.
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// The x coordinate, of the curve's width.
    pub fn x(&self) -> &[u8] {
        self.xy().split_at(self.curve.coordinate_len()).0
    }

    /// The y coordinate, of the curve's width.
    pub fn y(&self) -> &[u8] {
        self.xy().split_at(self.curve.coordinate_len()).1
    }

    /// x|y, as frames carry it.
    pub fn to_wire(&self) -> Vec<u8> {
        self.xy().to_vec()
    }

    fn xy(&self) -> &[u8] {
        self.sec1.split_at(1).1
    }

    /// The uncompressed point of SEC 1: 04|x|y.
    pub fn sec1(&self) -> &[u8] {
        &self.sec1
    }

    /// The compressed point of SEC 1: 02 or 03, then x.
    pub fn compressed(&self) -> Vec<u8> {
        let odd = self.y().last().is_some_and(|last| last & 1 == 1);
        [&[2 + u8::from(odd)], self.x()].concat()
    }

    /// The DER SubjectPublicKeyInfo with a compressed point, which is what a bootstrapping URI carries (DPP s5.2.1).
    pub fn spki(&self) -> Vec<u8> {
        encoding::public_to_spki(self, &self.compressed())
    }

    /// The same with the whole point, for those who read nothing else.
    pub fn spki_uncompressed(&self) -> Vec<u8> {
        encoding::public_to_spki(self, self.sec1())
    }

    /// SHA-256 of the SubjectPublicKeyInfo: how authentication frames name the key, on every curve.
    pub fn bootstrap_hash(&self) -> Fingerprint {
        crypto::sha256(&[&self.spki()])
    }

    /// SHA-256 of "chirp" and the SubjectPublicKeyInfo: how a presence announcement names the key.
    pub fn chirp_hash(&self) -> Fingerprint {
        crypto::sha256(&[b"chirp", &self.spki()])
    }

    /// SHA-256 of 04|x|y: how a connector's `kid` and the C-sign-key hash name the key.
    pub fn key_id(&self) -> Fingerprint {
        crypto::sha256(&[&self.sec1])
    }

    /// The sum of the two points.
    ///
    /// # Errors
    /// [`KeyError::OtherCurve`], [`KeyError::Infinity`].
    pub fn plus(&self, other: &Self) -> Result<Self, KeyError> {
        self.same_curve(other.curve)?;
        self.result(on!(self.curve, sum(self.xy(), other.xy())))
    }

    /// The difference of the two points.
    ///
    /// # Errors
    /// [`KeyError::OtherCurve`], [`KeyError::Infinity`].
    pub fn minus(&self, other: &Self) -> Result<Self, KeyError> {
        self.same_curve(other.curve)?;
        self.result(on!(self.curve, difference(self.xy(), other.xy())))
    }

    /// The point times `digest`, a big-endian number that is taken modulo the order, as PKEX blinds its keys.
    ///
    /// # Errors
    /// [`KeyError::Length`] if the digest is longer than the curve is wide, [`KeyError::Infinity`] if it is zero.
    pub fn times_hash(&self, digest: &[u8]) -> Result<Self, KeyError> {
        if digest.len() > self.curve.coordinate_len() {
            return Err(KeyError::Length);
        }
        self.result(on!(self.curve, multiple_by_digest(self.xy(), digest)))
    }

    /// The point times a private scalar of the same curve.
    pub(super) fn times(&self, scalar: &[u8]) -> Result<Self, KeyError> {
        self.result(on!(self.curve, multiple(self.xy(), scalar)))
    }

    /// Checks an ECDSA signature, r|s of fixed width, made with the curve's hash (RFC 7518 s3.4).
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        if signature.len() != 2 * self.curve.coordinate_len() {
            return Err(KeyError::Signature);
        }
        let nist = |algorithm| UnparsedPublicKey::new(algorithm, self.sec1()).verify(message, signature).is_ok();
        let digest = || crypto::hash(self.curve, &[message]);
        let good = match self.curve {
            Curve::P256 => nist(&signature::ECDSA_P256_SHA256_FIXED),
            Curve::P384 => nist(&signature::ECDSA_P384_SHA384_FIXED),
            Curve::P521 => nist(&signature::ECDSA_P521_SHA512_FIXED),
            Curve::Bp256 => arithmetic::verify::<bp256::BrainpoolP256r1>(self.xy(), &digest(), signature),
            Curve::Bp384 => arithmetic::verify::<bp384::BrainpoolP384r1>(self.xy(), &digest(), signature),
            Curve::Bp512 => arithmetic::verify::<BrainpoolP512r1>(self.xy(), &digest(), signature),
        };
        if good { Ok(()) } else { Err(KeyError::Signature) }
    }

    pub(super) fn same_curve(&self, curve: Curve) -> Result<(), KeyError> {
        if self.curve == curve { Ok(()) } else { Err(KeyError::OtherCurve) }
    }

    fn result(&self, xy: Option<Vec<u8>>) -> Result<Self, KeyError> {
        xy.map(|xy| Self::trusted(self.curve, &xy)).ok_or(KeyError::Infinity)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.curve, self.bootstrap_hash())
    }
}
