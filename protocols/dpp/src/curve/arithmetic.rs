//! Points and scalars as octets: the arithmetic of all six curves behind functions that are generic over the curve.
//!
//! A point is x|y, a scalar is big-endian; both have the curve's fixed width. Whatever is off the curve, infinite, zero or
//! out of range is `None`.

use ecdsa::{EcdsaCurve, Signature, SignatureSize, hazmat};
use elliptic_curve::{
    FieldBytes, NonZeroScalar, Scalar,
    array::ArraySize,
    ff::{Field, PrimeField},
    group::Group,
    ops::Reduce,
    point::{AffineCoordinates, DecompressPoint},
    subtle::Choice,
};
use primeorder::{AffinePoint, PrimeCurveParams, ProjectivePoint};
use zeroize::Zeroizing;

/// Calls a function of this module for the curve that a value names.
macro_rules! on {
    ($curve:expr, $function:ident $arguments:tt) => {{
        use $crate::curve::{Curve, arithmetic::$function, bp512::BrainpoolP512r1};
        match $curve {
            Curve::P256 => $function::<p256::NistP256> $arguments,
            Curve::P384 => $function::<p384::NistP384> $arguments,
            Curve::P521 => $function::<p521::NistP521> $arguments,
            Curve::Bp256 => $function::<bp256::BrainpoolP256r1> $arguments,
            Curve::Bp384 => $function::<bp384::BrainpoolP384r1> $arguments,
            Curve::Bp512 => $function::<BrainpoolP512r1> $arguments,
        }
    }};
}
pub(super) use on;

pub(super) fn generator<C: PrimeCurveParams>() -> Vec<u8> {
    octets(&AffinePoint::<C>::GENERATOR)
}

pub(super) fn is_point<C: PrimeCurveParams>(point: &[u8]) -> bool {
    affine::<C>(point).is_some()
}

/// The point with that x whose y is odd, or even.
pub(super) fn decompress<C: PrimeCurveParams>(x: &[u8], odd: bool) -> Option<Vec<u8>> {
    let point = AffinePoint::<C>::decompress(&field_bytes::<C>(x)?, Choice::from(u8::from(odd))).into_option()?;
    Some(octets(&point))
}

pub(super) fn sum<C: PrimeCurveParams>(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    finite(ProjectivePoint::from(affine::<C>(a)?) + affine::<C>(b)?)
}

pub(super) fn difference<C: PrimeCurveParams>(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    finite(ProjectivePoint::from(affine::<C>(a)?) - affine::<C>(b)?)
}

pub(super) fn multiple<C: PrimeCurveParams>(point: &[u8], scalar: &[u8]) -> Option<Vec<u8>> {
    finite(ProjectivePoint::from(affine::<C>(point)?) * *self::scalar::<C>(scalar)?.as_ref())
}

/// The point times a digest that is taken modulo the order.
pub(super) fn multiple_by_digest<C: PrimeCurveParams>(point: &[u8], digest: &[u8]) -> Option<Vec<u8>> {
    let width = FieldBytes::<C>::default().len();
    let mut padded = Zeroizing::new(vec![0; width.checked_sub(digest.len())?]);
    padded.extend_from_slice(digest);
    let scalar = <Scalar<C> as Reduce<FieldBytes<C>>>::reduce(&field_bytes::<C>(&padded)?);
    finite(ProjectivePoint::from(affine::<C>(point)?) * scalar)
}

pub(super) fn is_scalar<C: PrimeCurveParams>(bytes: &[u8]) -> bool {
    scalar::<C>(bytes).is_some()
}

pub(super) fn scalar_sum<C: PrimeCurveParams>(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let sum = *scalar::<C>(a)?.as_ref() + scalar::<C>(b)?.as_ref();
    (!bool::from(sum.is_zero())).then(|| sum.to_repr().to_vec())
}

/// ECDSA with the nonce of RFC 6979, for the curves that aws-lc-rs has not.
pub(super) fn sign<C, D>(key: &[u8], digest: &[u8]) -> Option<Vec<u8>>
where
    C: PrimeCurveParams + EcdsaCurve,
    D: sha2::digest::Digest + sha2::digest::block_api::BlockSizeUser,
    SignatureSize<C>: ArraySize,
{
    let (signature, _) = hazmat::sign_prehashed_rfc6979::<C, D>(&*scalar::<C>(key)?, digest, &[]);
    Some(signature.to_bytes().to_vec())
}

/// Whether `signature`, r|s, is that of the key `point` over `digest`.
pub(super) fn verify<C>(point: &[u8], digest: &[u8], signature: &[u8]) -> bool
where
    C: PrimeCurveParams + EcdsaCurve,
    SignatureSize<C>: ArraySize,
{
    let Some(point) = affine::<C>(point) else { return false };
    let Ok(signature) = Signature::<C>::from_slice(signature) else { return false };
    hazmat::verify_prehashed::<C>(&ProjectivePoint::from(point), digest, &signature).is_ok()
}

fn affine<C: PrimeCurveParams>(point: &[u8]) -> Option<AffinePoint<C>> {
    let (x, y) = point.split_at_checked(point.len() / 2)?;
    AffinePoint::from_coordinates(&field_bytes::<C>(x)?, &field_bytes::<C>(y)?).into_option()
}

fn scalar<C: PrimeCurveParams>(bytes: &[u8]) -> Option<Zeroizing<NonZeroScalar<C>>> {
    NonZeroScalar::<C>::from_repr(field_bytes::<C>(bytes)?).into_option().map(Zeroizing::new)
}

fn finite<C: PrimeCurveParams>(point: ProjectivePoint<C>) -> Option<Vec<u8>> {
    (!bool::from(point.is_identity())).then(|| octets(&point.to_affine()))
}

fn octets<C: PrimeCurveParams>(point: &AffinePoint<C>) -> Vec<u8> {
    [point.x(), point.y()].concat()
}

fn field_bytes<C: PrimeCurveParams>(bytes: &[u8]) -> Option<FieldBytes<C>> {
    FieldBytes::<C>::try_from(bytes).ok()
}
