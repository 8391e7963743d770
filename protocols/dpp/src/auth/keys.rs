//! The key schedule (DPP s6.3.2 to s6.3.4).

use crate::{
    crypto::{self, Secret},
    curve::{Curve, PublicKey},
};

/// k1, from M = pI·BR = bR·PI.
pub(super) fn first(curve: Curve, m: &[u8]) -> Secret {
    crypto::derive(curve, &[b"first intermediate key"], &[m])
}

/// k2, from N = pI·PR = pR·PI.
pub(super) fn second(curve: Curve, n: &[u8]) -> Secret {
    crypto::derive(curve, &[b"second intermediate key"], &[n])
}

/// What both sides have said, and with which keys.
#[derive(Clone, Debug)]
pub(super) struct Transcript {
    pub(super) i_nonce: Vec<u8>,
    pub(super) r_nonce: Vec<u8>,
    pub(super) i_protocol: PublicKey,
    pub(super) r_protocol: PublicKey,
    /// The initiator's bootstrapping key, if both are authenticated.
    pub(super) i_bootstrap: Option<PublicKey>,
    pub(super) r_bootstrap: PublicKey,
}

impl Transcript {
    /// bk and ke, from M, N and, if both are authenticated, L.
    pub(super) fn keys(&self, m: &[u8], n: &[u8], l: Option<&[u8]>) -> (Secret, Secret) {
        let curve = self.r_bootstrap.curve();
        let salt = [self.i_nonce.as_slice(), &self.r_nonce].concat();
        let bk = crypto::extract(curve, &salt, &[m, n, l.unwrap_or_default()]);
        let ke = crypto::expand(curve, &bk, &[b"DPP Key"], curve.hash_len());
        (bk, ke)
    }

    /// What proves the responder.
    pub(super) fn r_auth(&self) -> Vec<u8> {
        let curve = self.r_bootstrap.curve();
        let initiator = self.i_bootstrap.as_ref().map(PublicKey::x).unwrap_or_default();
        crypto::hash(
            curve,
            &[
                &self.i_nonce,
                &self.r_nonce,
                self.i_protocol.x(),
                self.r_protocol.x(),
                initiator,
                self.r_bootstrap.x(),
                &[0],
            ],
        )
    }

    /// What proves the initiator: nonces and keys the other way round.
    pub(super) fn i_auth(&self) -> Vec<u8> {
        let curve = self.r_bootstrap.curve();
        let initiator = self.i_bootstrap.as_ref().map(PublicKey::x).unwrap_or_default();
        crypto::hash(
            curve,
            &[
                &self.r_nonce,
                &self.i_nonce,
                self.r_protocol.x(),
                self.i_protocol.x(),
                self.r_bootstrap.x(),
                initiator,
                &[1],
            ],
        )
    }
}
