//! What backends have in common in handling keys.

use crate::ElementError;
use aws_lc_rs::{
    agreement::{self, PrivateKey, UnparsedPublicKey},
    digest,
    signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ParsedPublicKey},
};
use landfall_pki::{Algorithm, Certificate, KeyKind, PublicKey, SignError, Signer, SoftwareKey};
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

/// The point of `peer`, in full and on the curve of a key for `algorithm`: what hardware may be given to agree with. Not
/// all hardware checks points, and one beside the curve draws the private key out bit by bit.
pub fn agreeable(algorithm: Algorithm, peer: &PublicKey) -> Result<&[u8], ElementError> {
    let curve = match algorithm {
        Algorithm::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
        Algorithm::EcdsaP384 => &ECDSA_P384_SHA384_ASN1,
        Algorithm::Ed25519 => return Err(ElementError::Unsupported("agree on a secret with a key of this kind")),
    };
    let point = peer.key_bits();
    let full = Algorithm::of(peer.kind()) == Some(algorithm) && point.first() == Some(&4);
    match full && ParsedPublicKey::new(curve, point).is_ok() {
        true => Ok(point),
        false => Err(ElementError::Unsupported("agree on a secret with a key of another kind, or not of its curve")),
    }
}

/// The digest that a signature of that algorithm is made of, for hardware that takes no whole messages.
pub fn digest(algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, SignError> {
    let hash = match algorithm {
        Algorithm::EcdsaP256 => &digest::SHA256,
        Algorithm::EcdsaP384 => &digest::SHA384,
        Algorithm::Ed25519 => return Err(SignError("Ed25519 signs whole messages".into())),
    };
    Ok(digest::digest(hash, message).as_ref().to_vec())
}

/// A chain is kept only beside the key that its leaf certifies.
pub fn check_leaf(key: &KeyUri, signer: &dyn Signer, chain: &[Certificate]) -> Result<(), ElementError> {
    match chain.first() {
        Some(leaf) if leaf.public_key() == signer.public_key() => Ok(()),
        _ => Err(ElementError::OtherKey(key.clone())),
    }
}
