//! What software backends do with a key once they have it in hand.

use crate::ElementError;
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use landfall_pki::{Certificate, KeyKind, PublicKey, Signer, SoftwareKey};
use landfall_types::{KeyUri, Redacted};

pub(crate) fn agree(pkcs8: &Redacted<Vec<u8>>, peer: &PublicKey) -> Result<Redacted<Vec<u8>>, ElementError> {
    let own = SoftwareKey::from_pkcs8_der(pkcs8.expose())?;
    let curve = match (own.public_key().kind(), peer.kind()) {
        (KeyKind::P256, KeyKind::P256) => &agreement::ECDH_P256,
        (KeyKind::P384, KeyKind::P384) => &agreement::ECDH_P384,
        _ => return Err(ElementError::Unsupported("agree on a secret between keys of these kinds")),
    };
    let failed = ElementError::Crypto("agree on a secret");
    let Ok(own) = PrivateKey::from_private_key_der(curve, pkcs8.expose()) else { return Err(failed) };
    let peer = UnparsedPublicKey::new(curve, peer.spki_der());
    agreement::agree(&own, peer, failed, |secret| Ok(Redacted::new(secret.to_vec())))
}

/// A chain is kept only beside the key that its leaf certifies.
pub(crate) fn check_leaf(key: &KeyUri, signer: &dyn Signer, chain: &[Certificate]) -> Result<(), ElementError> {
    match chain.first() {
        Some(leaf) if leaf.public_key() == signer.public_key() => Ok(()),
        _ => Err(ElementError::OtherKey(key.clone())),
    }
}
