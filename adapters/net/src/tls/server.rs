//! The accepting side.

use super::binding::{MasterSecret, Side};
use super::verify::{Signatures, check_length, with_bare_keys};
use super::{Recorded, TlsIdentity, peer, provider};
use crate::NetError;
use landfall_brski::TlsPeer;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoClientAuth, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use rustls::{DistinguishedName, Error, ServerConfig};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They are asked, and may have none: an EST client may want the CA certificates only (RFC 7030 s4.1).
    Optional,
    /// They are asked, and without one there is no connection.
    Required,
}

/// How to accept TLS: made once, shared by every connection, cheap to clone.
///
/// Any client certificate is accepted, whoever issued it, if the client proves to hold its key: a registrar meets
/// devices of unknown makers and has to be able to say why it refuses them (RFC 8995 s5.3). SNI is ignored, as a
/// pledge has no name to ask for.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// A server that presents `identity`.
    ///
    /// # Errors
    /// [`NetError::Misuse`] if the key does not belong to the certificate.
    pub fn new(identity: &TlsIdentity, clients: ClientAuth) -> Result<Self, NetError> {
        let verifier: Arc<dyn ClientCertVerifier> = match clients {
            ClientAuth::None => Arc::new(NoClientAuth),
            ClientAuth::Optional => Arc::new(AnyClient { signatures: Signatures::new(), mandatory: false }),
            ClientAuth::Required => Arc::new(AnyClient { signatures: Signatures::new(), mandatory: true }),
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified_key()?)));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self(Arc::new(config)))
    }

    /// The settings themselves, for those who carry TLS in something else than a stream.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.clone()
    }

    /// Accepts one connection: the stream, and what its handshake proved. The peer's chain is empty if the client
    /// showed no certificate.
    ///
    /// # Errors
    /// [`NetError::Tls`] if the handshake failed, [`NetError::Refused`] if a certificate cannot be read.
    pub async fn accept<S>(&self, transport: S) -> Result<(TlsStream<Recorded<S>>, TlsPeer), NetError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let secret = Arc::new(MasterSecret::default());
        let mut config = (*self.0).clone();
        config.key_log = secret.clone();
        let handshake = TlsAcceptor::from(Arc::new(config)).accept(Recorded::new(transport));
        let mut stream = match handshake.into_fallible().await {
            Ok(stream) => stream,
            Err((error, mut transport)) => {
                // Closed in order, the alert that says why gets through.
                let _ = transport.shutdown().await;
                return Err(NetError::io("TLS handshake", error));
            }
        };
        let (transport, connection) = stream.get_mut();
        let peer = peer::of(connection, &secret, transport.stop(), Side::Server)?;
        Ok((stream, peer))
    }
}

#[derive(Debug)]
struct AnyClient {
    signatures: Signatures,
    mandatory: bool,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    /// No hints: a device shows the certificate that it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check_length(intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    with_bare_keys!();
}
