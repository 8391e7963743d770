//! Both sides in one process, over every algorithm and both versions.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use super::client::Trust;
use super::{ClientAuth, ClientTls, ServerTls, TlsIdentity};
use crate::NetError;
use landfall_brski::TlsPeer;
use landfall_pki::{Algorithm, PublicKey, SignError, Signer};
use landfall_testkit::{Identity, Manufacturer};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, SupportedProtocolVersion};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
const ALGORITHMS: [Algorithm; 3] = [Algorithm::EcdsaP256, Algorithm::EcdsaP384, Algorithm::Ed25519];

fn device(algorithm: Algorithm) -> Identity {
    Manufacturer::new().device_with("SN-1", algorithm, |_| {})
}

fn tls(identity: &Identity) -> TlsIdentity {
    TlsIdentity { chain: identity.chain(), signer: identity.signer() }
}

/// What each side learned of the other: the server of the client, the client of the server.
async fn handshake(server: &ServerTls, client: &ClientTls) -> (Result<TlsPeer, NetError>, Result<TlsPeer, NetError>) {
    let (here, there) = duplex(64 * 1024);
    let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
    tokio::join!(
        async {
            let (mut stream, peer) = server.accept(there).await?;
            stream.write_all(b"hello").await.unwrap();
            Ok(peer)
        },
        async {
            let (mut stream, peer) = client.connect(here, name).await?;
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.map_err(|error| NetError::io("reading", error))?;
            Ok(peer)
        }
    )
}

fn provisional(identity: Option<&TlsIdentity>, version: &'static SupportedProtocolVersion) -> ClientTls {
    ClientTls::build(Trust::Provisional, identity, &[version]).unwrap()
}

#[tokio::test]
async fn both_sides_learn_the_same_with_every_algorithm_and_version() {
    for algorithm in ALGORITHMS {
        for version in VERSIONS {
            let (server, client) = (device(algorithm), device(algorithm));
            let (seen_by_server, seen_by_client) = handshake(
                &ServerTls::new(&tls(&server), ClientAuth::Required).unwrap(),
                &provisional(Some(&tls(&client)), version),
            )
            .await;
            let (seen_by_server, seen_by_client) = (seen_by_server.unwrap(), seen_by_client.unwrap());
            assert_eq!(seen_by_server.chain, client.chain());
            assert_eq!(seen_by_client.chain, server.chain());
            assert_eq!(seen_by_server.binding, seen_by_client.binding);
            assert!(seen_by_server.binding.tls_exporter.is_some());
            let unique = seen_by_server.binding.tls_unique;
            assert_eq!(unique.map(|unique| unique.len()), (version.version == TLS12.version).then_some(12));
        }
    }
}

#[tokio::test]
async fn bindings_differ_between_connections() {
    let server = ServerTls::new(&tls(&device(Algorithm::EcdsaP256)), ClientAuth::None).unwrap();
    for version in VERSIONS {
        let client = provisional(None, version);
        let first = handshake(&server, &client).await.0.unwrap().binding;
        let second = handshake(&server, &client).await.0.unwrap().binding;
        assert_ne!(first.tls_exporter, second.tls_exporter);
        assert!(first.tls_unique.is_none() || first.tls_unique != second.tls_unique);
    }
}

#[tokio::test]
async fn a_client_may_have_no_certificate_where_none_is_required() {
    let identity = tls(&device(Algorithm::EcdsaP256));
    for version in VERSIONS {
        let client = provisional(None, version);
        let optional = ServerTls::new(&identity, ClientAuth::Optional).unwrap();
        assert!(handshake(&optional, &client).await.0.unwrap().chain.is_empty());
        let required = ServerTls::new(&identity, ClientAuth::Required).unwrap();
        assert!(handshake(&required, &client).await.0.is_err());
    }
}

/// Shows one key and signs with another.
#[derive(Debug)]
struct Liar {
    shown: PublicKey,
    used: Arc<dyn Signer>,
}

impl Signer for Liar {
    fn public_key(&self) -> &PublicKey {
        &self.shown
    }
    fn algorithm(&self) -> Algorithm {
        self.used.algorithm()
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.used.sign(message)
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused_by_both_sides() {
    for algorithm in ALGORITHMS {
        for version in VERSIONS {
            let (honest, other) = (device(algorithm), device(algorithm));
            let mut liar = tls(&honest);
            liar.signer = Arc::new(Liar { shown: honest.certificate.public_key().clone(), used: other.signer() });
            let is_bad_signature = |result: Result<TlsPeer, NetError>| {
                let expected = rustls::Error::InvalidCertificate(CertificateError::BadSignature);
                assert!(matches!(result, Err(NetError::Tls(error)) if error == expected));
            };
            let server = ServerTls::new(&tls(&other), ClientAuth::Optional).unwrap();
            is_bad_signature(handshake(&server, &provisional(Some(&liar), version)).await.0);
            let server = ServerTls::new(&liar, ClientAuth::None).unwrap();
            is_bad_signature(handshake(&server, &provisional(None, version)).await.1);
        }
    }
}

#[test]
fn an_identity_needs_its_own_key() {
    let mut identity = tls(&device(Algorithm::EcdsaP256));
    identity.signer = device(Algorithm::EcdsaP256).signer();
    assert!(matches!(ServerTls::new(&identity, ClientAuth::None), Err(NetError::Misuse(_))));
    identity.chain.clear();
    assert!(matches!(ClientTls::provisional(Some(&identity)), Err(NetError::Misuse(_))));
}

#[tokio::test]
async fn an_endless_chain_is_refused() {
    let mut long = tls(&device(Algorithm::EcdsaP256));
    let last = long.chain.last().unwrap().clone();
    long.chain.resize(super::verify::MAX_CHAIN + 1, last);
    let server = ServerTls::new(&tls(&device(Algorithm::EcdsaP256)), ClientAuth::Optional).unwrap();
    for version in VERSIONS {
        let refused = handshake(&server, &provisional(Some(&long), version)).await.0.unwrap_err();
        assert!(matches!(refused, NetError::Refused(refusal) if refusal.check == "tls-chain-length"));
    }
}
