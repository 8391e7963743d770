//! What an exchange costs below Landfall, measured in the same run: TLS connections, HTTP requests and durable writes
//! of nothing, with nobody's certificate judged and no record kept.

use super::{
    disk::Disk,
    floor::{Counts, MUTUAL_HANDSHAKE},
    load,
};
use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use landfall_pki::{Algorithm, CertificateSerial, Name, Signer, SoftwareKey, Validity, profile::Ca};
use landfall_types::Time;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use serde::Serialize;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Bytes of a request's and of a response's body: those of vouchers and their requests, of certificates and of reports,
/// on average.
const BODY: usize = 1500;

/// What an exchange needs of the network and of the disk, all parties together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// New TLS connections, both sides with a certificate, and how many requests each carries. Those to the MASA go over
    /// a connection that is there already, and are counted with the first.
    pub connections: &'static [usize],
    /// How many of the requests are answered only after something is on the disk.
    pub commits: usize,
}

/// A whole onboarding: voucher, its status, CA certificates, attributes, enrolment, and two requests to the MASA; then
/// the enrolment's status. Durable: the voucher at the MASA and at the registrar, both statuses, the certificate, and the
/// credential on the device.
pub const ONBOARDING: Needs = Needs { connections: &[7, 1], commits: 6 };

/// A voucher and its status, and two requests to the MASA. Durable: the voucher at both, and the status.
pub const VOUCHER: Needs = Needs { connections: &[4], commits: 3 };

/// CA certificates, attributes, enrolment. Durable: the certificate.
pub const ENROLMENT: Needs = Needs { connections: &[3], commits: 1 };

impl Needs {
    /// The public-key operations of the handshakes.
    pub fn handshakes(self) -> Counts {
        self.connections.iter().fold(Counts::default(), |sum, _| sum.and(MUTUAL_HANDSHAKE))
    }
}

/// A server and its clients.
#[derive(Clone)]
pub struct Bare {
    connector: TlsConnector,
    address: SocketAddr,
}

impl Bare {
    /// Starts the server, which writes to a file in `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let anyone = Arc::new(Anyone(provider.clone()));
        let (certificate, key) = identity()?;
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(anyone.clone())
            .with_single_cert(vec![certificate.clone()], key.clone_key())?;
        config.send_tls13_tickets = 0;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(anyone)
            .with_client_auth_cert(vec![certificate], key)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let disk = Disk::start(&folder.join("bare"))?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), disk.clone()));
            }
        });
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), address })
    }

    /// Milliseconds of CPU for `needs`, of `count` times, `parallel` at once.
    pub async fn cpu_ms(&self, needs: Needs, count: usize, parallel: usize) -> Result<f64> {
        let bare = self.clone();
        let load = load::run(count, parallel, move |_| bare.clone().once(needs)).await.load(parallel);
        ensure!(load.errors == 0, "bare TLS failed: {}", load.first_error.unwrap_or_default());
        Ok(load.cpu_ms)
    }

    async fn once(self, needs: Needs) -> Result<()> {
        let mut durable = needs.commits;
        for requests in needs.connections {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let stream = self.connector.connect(ServerName::IpAddress(self.address.ip().into()), stream).await?;
            let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            for _ in 0..*requests {
                let path = if durable > 0 { "/durable" } else { "/" };
                durable = durable.saturating_sub(1);
                let request = Request::post(path).header("host", "localhost").body(body())?;
                sender.ready().await?;
                let response = sender.send_request(request).await?;
                ensure!(response.status().is_success(), "status {}", response.status());
                response.into_body().collect().await?;
            }
        }
        Ok(())
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, disk: Disk) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let service = service_fn(|request: Request<Incoming>| async {
        let durable = request.uri().path() == "/durable";
        let received = request.into_body().collect().await?.to_bytes();
        if durable {
            disk.write(received).await?;
        }
        Ok::<_, anyhow::Error>(Response::new(body()))
    });
    server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
    Ok(())
}

fn body() -> Full<Bytes> {
    Full::new(Bytes::from_static(&[b'x'; BODY]))
}

fn identity() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
    let root = Ca::root(Name::common("bare"));
    let prepared = root.prepare_root(key.public_key(), CertificateSerial::random()?, Validity::forever(Time::now()));
    let linted = prepared?.lint().map_err(|findings| anyhow!("{findings:?}"))?;
    let certificate = linted.issue(&key)?;
    let key = PrivatePkcs8KeyDer::from(key.to_pkcs8_der().expose().clone());
    Ok((CertificateDer::from(certificate.der().to_vec()), PrivateKeyDer::from(key)))
}

/// Checks the handshake's signatures, as rustls itself does it. Its two traits want the same of both sides.
macro_rules! checks_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    };
}

/// Takes any certificate whose key the peer holds.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    checks_signatures!();
}

impl ClientCertVerifier for Anyone {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    checks_signatures!();
}
