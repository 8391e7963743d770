//! Whom each kind of client believes.

use super::support::{Running, tls, who};
use landfall_net::NetError;
use landfall_net::http::{ClientLimits, Connection, Endpoint, Limits, Pool, Seen};
use landfall_net::tls::{ClientAuth, ClientTls, ServerTls};
use landfall_pki::{Anchors, oid};
use landfall_testkit::{Domain, Identity, Manufacturer};
use landfall_types::http::Request;

async fn serve(identity: &Identity) -> Running {
    let server = ServerTls::new(&tls(identity), ClientAuth::Optional).unwrap();
    Running::start(Some(server), Limits::default(), who).await
}

async fn open(server: &Running, client: &ClientTls) -> Result<Connection, NetError> {
    open_as(server, "localhost", client).await
}

async fn open_as(server: &Running, name: &str, client: &ClientTls) -> Result<Connection, NetError> {
    let endpoint: Endpoint = format!("{name}:{}", server.address.port()).parse().unwrap();
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    Connection::over(stream, &endpoint, Some(client), ClientLimits::default()).await
}

#[track_caller]
fn refused_by(result: Result<Connection, NetError>, check: &str) {
    match result {
        Err(NetError::Refused(refusal)) => assert_eq!(refusal.check, check),
        other => panic!("not refused by {check}, but {other:?}"),
    }
}

#[tokio::test]
async fn a_provisional_client_believes_nobody_and_connects_to_anybody() {
    let (manufacturer, domain) = (Manufacturer::new(), Domain::new());
    let device = manufacturer.device("SN-7");
    let client = ClientTls::provisional(Some(&tls(&device))).unwrap();
    for identity in [&domain.registrar, &domain.impostor("impostor.example"), &manufacturer.device("SN-8")] {
        let server = serve(identity).await;
        let mut connection = open(&server, &client).await.unwrap();
        let peer = connection.peer().unwrap();
        assert_eq!(peer.chain, identity.chain());
        let exporter = super::support::hex(&peer.binding.tls_exporter.unwrap());
        let answer = connection.send(Request::get("/")).await.unwrap();
        let names: Vec<_> = device.chain().iter().filter_map(|certificate| certificate.common_name()).collect();
        let expected = format!("chain={};unique=;exporter={exporter};", names.join(","));
        assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
    }
}

#[tokio::test]
async fn an_anchored_client_asks_for_anchor_and_usage_by_whatever_name() {
    let domain = Domain::new();
    let registrar = serve(&domain.registrar).await;
    let anchored = |anchors, usages| ClientTls::anchored(anchors, usages, None).unwrap();
    let by_cmc_ra = anchored(domain.anchors(), vec![oid::CMC_RA]);
    open(&registrar, &by_cmc_ra).await.unwrap();
    // RFC 8995 s5.6.2: the pinned certificate may be the registrar's own.
    open(&registrar, &anchored(Anchors::of([domain.registrar.certificate.clone()]), vec![oid::CMC_RA])).await.unwrap();

    refused_by(open(&registrar, &anchored(domain.anchors(), vec![oid::VOUCHER_CONTENT])).await, "tls-server-usage");
    let impostor = serve(&domain.impostor("registrar.example")).await;
    refused_by(open(&impostor, &by_cmc_ra).await, "tls-server-usage");
    open(&impostor, &anchored(domain.anchors(), vec![oid::CMC_RA, oid::SERVER_AUTH])).await.unwrap();
    let other = Domain::new();
    let stranger = open(&registrar, &anchored(other.anchors(), vec![oid::CMC_RA])).await;
    assert!(matches!(stranger, Err(NetError::Refused(_))), "{stranger:?}");
}

#[tokio::test]
async fn a_named_client_asks_for_the_name_too() {
    let manufacturer = Manufacturer::new();
    let masa = serve(&manufacturer.masa_server("masa.example")).await;
    let named = ClientTls::named(manufacturer.masa_anchors(), None).unwrap();
    open_as(&masa, "masa.example", &named).await.unwrap();
    refused_by(open_as(&masa, "other.example", &named).await, "tls-server-name");
    refused_by(open_as(&masa, "127.0.0.1", &named).await, "tls-server-name");
    let device = serve(&manufacturer.device("SN-1")).await;
    refused_by(open_as(&device, "masa.example", &named).await, "tls-server-usage");
    let foreign = ClientTls::named(Domain::new().anchors(), None).unwrap();
    assert!(matches!(open_as(&masa, "masa.example", &foreign).await, Err(NetError::Refused(_))));
}

#[test]
fn without_anchors_nothing_can_be_checked() {
    assert!(matches!(ClientTls::named(Anchors::new(), None), Err(NetError::Misuse(_))));
    assert!(matches!(ClientTls::anchored(Anchors::new(), vec![], None), Err(NetError::Misuse(_))));
}

#[tokio::test]
async fn a_pool_keeps_connections_of_different_trust_apart() {
    let domain = Domain::new();
    let mut server = serve(&domain.registrar).await;
    let client = || ClientTls::anchored(domain.anchors(), vec![], None).unwrap();
    let (one, two, pool) = (client(), client(), Pool::new(ClientLimits::default()));
    for tls in [&one, &two, &one.clone(), &two] {
        pool.send(&server.endpoint(), Some(tls), Request::get("/")).await.unwrap();
    }
    server.end().await;
    assert_eq!(server.count(Seen::Connection), 2);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut() {
    let identity = tls(&Domain::new().registrar);
    let limits = Limits { handshake: std::time::Duration::from_millis(50), ..Limits::default() };
    let server_tls = ServerTls::new(&identity, ClientAuth::Optional).unwrap();
    let server = Running::start(Some(server_tls), limits, who).await;
    // The first bytes of a ClientHello, and nothing more.
    assert_eq!(server.raw(b"\x16\x03\x01\x02\x00\x01").await, "");
    assert_eq!(server.count(Seen::BadHandshake), 1);
}

#[tokio::test]
async fn the_servers_refusal_of_a_client_is_told() {
    let identity = tls(&Domain::new().registrar);
    let server_tls = ServerTls::new(&identity, ClientAuth::Required).unwrap();
    let server = Running::start(Some(server_tls), Limits::default(), who).await;
    let anonymous = ClientTls::provisional(None).unwrap();
    let mut connection = open(&server, &anonymous).await.unwrap();
    let refused = connection.send(Request::get("/")).await;
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
    assert!(matches!(&refused, Err(NetError::Tls(error)) if *error == alert), "{refused:?}");
}
