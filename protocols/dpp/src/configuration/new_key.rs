//! A new key for the network, on a curve that the configurator names (DPP s6.4.3.1).

use crate::{
    auth::Session,
    crypto::{self, Secret},
    curve::{KeyError, PrivateKey, PublicKey},
};

/// Auth-I: that the sender of Pe holds its private half and the keys of authentication, for this request.
pub(super) fn proof(
    session: &Session,
    own: &PrivateKey,
    other: &PublicKey,
    nonce: &[u8],
    configurator: &PublicKey,
    enrollee: &PublicKey,
) -> Result<Secret, KeyError> {
    // The hash is that of the curve of authentication, whatever the new curve is.
    let curve = session.peer.curve;
    let s = own.agree(other)?;
    let prk = crypto::extract(curve, session.bk.expose(), &[s.expose()]);
    let k = crypto::expand(curve, &prk, &[b"New DPP Protocol Key"], curve.hash_len());
    Ok(crypto::hmac(curve, k.expose(), &[nonce, configurator.x(), enrollee.x()]))
}
