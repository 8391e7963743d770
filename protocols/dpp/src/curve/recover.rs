//! A whole point out of x coordinates, which is all that a key holder's key agreement gives away.

use super::{KeyError, PublicKey};

/// The point k·P, for a key k whose holder only says the x coordinate of k times a point.
///
/// `own` is K = k·G, `peer` is P, `x` is that of k·P and `x_shifted` that of k·(P + G). As k·(P + G) = k·P + K, the sign of
/// the y that belongs to `x` is the one with which the sum has the x that was said.
///
/// # Errors
/// [`KeyError::NotOnCurve`] if the two x coordinates do not belong together.
pub fn full_point(own: &PublicKey, peer: &PublicKey, x: &[u8], x_shifted: &[u8]) -> Result<PublicKey, KeyError> {
    if own.curve() != peer.curve() {
        return Err(KeyError::OtherCurve);
    }
    [false, true]
        .into_iter()
        .filter_map(|odd| PublicKey::from_x(own.curve(), x, odd).ok())
        .find(|candidate| candidate.plus(own).is_ok_and(|sum| sum.x() == x_shifted))
        .ok_or(KeyError::NotOnCurve)
}
