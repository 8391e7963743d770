//! TLS 1.2 and 1.3 with keys behind [`Signer`], and with the peer's certificates left for the cores to judge.
//!
//! Session resumption is off on both sides: a device that was revoked must not come back on an old session, and BRSKI
//! and EST need the certificates of every connection.

mod binding;
#[cfg(feature = "client")]
mod client;
mod peer;
mod record;
#[cfg(feature = "server")]
mod server;
mod sign;
#[cfg(all(test, feature = "client", feature = "server"))]
mod tests;
mod verify;

#[cfg(feature = "client")]
pub use client::ClientTls;
pub use record::Recorded;
#[cfg(feature = "server")]
pub use server::{ClientAuth, ServerTls};

use crate::NetError;
use landfall_pki::{Certificate, Signer};
use rustls::CipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use std::sync::{Arc, LazyLock};

/// A certificate chain, leaf first, and the signer that holds the leaf's key.
#[derive(Clone, Debug)]
pub struct TlsIdentity {
    /// The certificates to present, leaf first.
    pub chain: Vec<Certificate>,
    /// Signs the handshakes. It is called on the task of the connection, so it should answer within milliseconds.
    pub signer: Arc<dyn Signer>,
}

impl TlsIdentity {
    /// # Errors
    /// The chain is empty, or the signer holds another key than the leaf's.
    fn certified_key(&self) -> Result<Arc<CertifiedKey>, NetError> {
        let Some(leaf) = self.chain.first() else {
            return Err(NetError::Misuse("a TLS identity needs at least one certificate".into()));
        };
        if leaf.public_key() != self.signer.public_key() {
            return Err(NetError::Misuse(format!("the key does not belong to the certificate of {}", leaf.subject())));
        }
        let chain = self.chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
        Ok(Arc::new(CertifiedKey::new(chain, Arc::new(sign::HandshakeKey(self.signer.clone())))))
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        // RFC 8446 s9.1 has everyone speak this one. It is as strong as the P-256 keys that authenticate it, and its
        // key schedule costs a third of that of the suites with SHA-384.
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        Arc::new(provider)
    });
    PROVIDER.clone()
}
