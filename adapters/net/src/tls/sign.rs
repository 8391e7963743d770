//! A [`Signer`] as rustls wants to see it.

use landfall_pki::{Algorithm, Signer};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use std::sync::Arc;

/// A key wherever it lives: in memory, in a file, in a chip.
#[derive(Debug)]
pub(super) struct HandshakeKey(pub(super) Arc<dyn Signer>);

impl HandshakeKey {
    fn scheme(&self) -> SignatureScheme {
        match self.0.algorithm() {
            Algorithm::EcdsaP256 => SignatureScheme::ECDSA_NISTP256_SHA256,
            Algorithm::EcdsaP384 => SignatureScheme::ECDSA_NISTP384_SHA384,
            Algorithm::Ed25519 => SignatureScheme::ED25519,
        }
    }
}

impl rustls::sign::SigningKey for HandshakeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        let scheme = self.scheme();
        let signature = HandshakeSignature { signer: self.0.clone(), scheme };
        offered.contains(&scheme).then(|| Box::new(signature) as _)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.0.public_key().spki_der()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.algorithm() {
            Algorithm::EcdsaP256 | Algorithm::EcdsaP384 => SignatureAlgorithm::ECDSA,
            Algorithm::Ed25519 => SignatureAlgorithm::ED25519,
        }
    }
}

#[derive(Debug)]
struct HandshakeSignature {
    signer: Arc<dyn Signer>,
    scheme: SignatureScheme,
}

impl rustls::sign::Signer for HandshakeSignature {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.signer.sign(message).map_err(|error| Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
