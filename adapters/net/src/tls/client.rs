//! The connecting side.

use super::binding::{MasterSecret, Side};
use super::verify::{Signatures, check_length, with_bare_keys};
use super::{Recorded, TlsIdentity, peer, provider};
use crate::NetError;
use crate::error::through_tls;
use landfall_brski::TlsPeer;
use landfall_pki::{Anchors, Certificate, Oid, PathPolicy, oid, path};
use landfall_types::{Fault, Refusal, Time};
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ALL_VERSIONS, Error, SupportedProtocolVersion};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How to connect by TLS, and whom to believe: made once, shared by every connection, cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// Accepts any server that holds the key of the certificate it shows, for a pledge that cannot know its registrar
    /// yet (RFC 8995 s5.1). Nothing the server says may be believed before the voucher. Sends no SNI.
    ///
    /// # Errors
    /// [`NetError::Misuse`] if the key of `identity` does not belong to its certificate.
    pub fn provisional(identity: Option<&TlsIdentity>) -> Result<Self, NetError> {
        Self::build(Trust::Provisional, identity, ALL_VERSIONS)
    }

    /// Accepts servers that chain to `anchors` and have at least one of the extended key `usages` (none asked if it is
    /// empty), by whatever name: a registrar is known by its anchor and by id-kp-cmcRA, not by its address (RFC 7030
    /// s3.6.1). Sends no SNI.
    ///
    /// # Errors
    /// [`NetError::Misuse`] if there are no anchors, or as in [`ClientTls::provisional`].
    pub fn anchored(anchors: Anchors, usages: Vec<Oid>, identity: Option<&TlsIdentity>) -> Result<Self, NetError> {
        Self::build(Trust::Anchored(ServerCheck { anchors, usages, name: false }), identity, ALL_VERSIONS)
    }

    /// Accepts servers that chain to `anchors`, are TLS servers, and have the name that was asked for (RFC 9525), which
    /// is sent as SNI: what a registrar expects of a MASA.
    ///
    /// # Errors
    /// As [`ClientTls::anchored`].
    pub fn named(anchors: Anchors, identity: Option<&TlsIdentity>) -> Result<Self, NetError> {
        let check = ServerCheck { anchors, usages: vec![oid::SERVER_AUTH], name: true };
        Self::build(Trust::Anchored(check), identity, ALL_VERSIONS)
    }

    pub(super) fn build(
        trust: Trust,
        identity: Option<&TlsIdentity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<Self, NetError> {
        if matches!(&trust, Trust::Anchored(check) if check.anchors.is_empty()) {
            return Err(NetError::Misuse("there is no trust anchor to check the server against".into()));
        }
        let sni = matches!(&trust, Trust::Anchored(check) if check.name);
        let verifier = Arc::new(ServerVerifier { signatures: Signatures::new(), trust });
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match identity {
            Some(identity) => {
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified_key()?)))
            }
            None => config.with_no_client_auth(),
        };
        config.enable_sni = sni;
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// Connects over `transport` to the server called `name`.
    ///
    /// # Errors
    /// [`NetError::Refused`] if the server's certificate is not acceptable, [`NetError::Tls`] if the handshake failed.
    /// In TLS 1.3 the server judges the client's certificate later: its refusal shows up as an error of the first read.
    pub async fn connect<S>(
        &self,
        transport: S,
        name: ServerName<'static>,
    ) -> Result<(TlsStream<Recorded<S>>, TlsPeer), NetError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let secret = Arc::new(MasterSecret::default());
        let mut config = (*self.0).clone();
        config.key_log = secret.clone();
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, Recorded::new(transport));
        let mut stream = handshake.await.map_err(|error| NetError::io("TLS handshake", error))?;
        let (transport, connection) = stream.get_mut();
        let peer = peer::of(connection, &secret, transport.stop(), Side::Client)?;
        Ok((stream, peer))
    }

    /// What it is made of, for TLS that is not carried by a stream.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }

    /// Whether both are the same configuration, so that connections made with one may serve the other.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[derive(Debug)]
pub(super) enum Trust {
    Provisional,
    Anchored(ServerCheck),
}

#[derive(Debug)]
pub(super) struct ServerCheck {
    anchors: Anchors,
    usages: Vec<Oid>,
    name: bool,
}

impl ServerCheck {
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: Time,
    ) -> Result<(), Refusal> {
        let certificate = parse(leaf)?;
        let intermediates = intermediates.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        path::validate(&certificate, &intermediates, &self.anchors, &PathPolicy::at(now))?;
        if !self.usages.is_empty() && !self.usages.iter().any(|usage| certificate.has_eku(*usage)) {
            let detail = format!("{} is not a certificate for this use", certificate.subject());
            return Err(
                Refusal::new(Fault::Peer, "tls-server-usage", "RFC 5280 s4.2.1.12", detail).field("extKeyUsage")
            );
        }
        if self.name {
            let named =
                webpki::EndEntityCert::try_from(leaf).and_then(|end| end.verify_is_valid_for_subject_name(name));
            named.map_err(|_| {
                let detail = format!("{} is not called {}", certificate.subject(), name.to_str());
                Refusal::new(Fault::Peer, "tls-server-name", "RFC 9525 s6", detail).field("subjectAltName")
            })?;
        }
        Ok(())
    }
}

fn parse(der: &CertificateDer<'_>) -> Result<Certificate, Refusal> {
    Certificate::from_der(der)
        .map_err(|error| Refusal::new(Fault::Malformed, "tls-certificate", "RFC 5280 s4.1", error.to_string()))
}

#[derive(Debug)]
struct ServerVerifier {
    signatures: Signatures,
    trust: Trust,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check_length(intermediates)?;
        if let Trust::Anchored(check) = &self.trust {
            let now = Time::from_unix(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
            check.verify(leaf, intermediates, name, now).map_err(through_tls)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    with_bare_keys!();
}
