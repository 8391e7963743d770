//! TLS for both ends.

use landfall_testkit::pki::{Domain, Identity};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use std::sync::Arc;

fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    identity.chain().iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect()
}

fn key(identity: &Identity) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(identity.key.to_pkcs8_der().expose().clone()).into()
}

fn roots(domain: &Domain) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(domain.root.authority.certificate.der().to_vec())).unwrap();
    Arc::new(roots)
}

/// The server of `domain`, which takes its devices.
pub(super) fn server(domain: &Domain) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(domain), provider.clone()).build().unwrap();
    let settings = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let settings = settings.with_client_cert_verifier(verifier);
    let mut settings = settings.with_single_cert(chain(&domain.registrar), key(&domain.registrar)).unwrap();
    settings.session_storage = Arc::new(NoServerSessionStorage {});
    settings.send_tls13_tickets = 0;
    Arc::new(settings)
}

/// `device`, which takes the server of `domain`.
pub(super) fn device(
    domain: &Domain,
    device: &Identity,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let settings = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let settings = settings.with_root_certificates(roots(domain));
    let mut settings = settings.with_client_auth_cert(chain(device), key(device)).unwrap();
    settings.resumption = Resumption::disabled();
    Arc::new(settings)
}
