//! Devices join through the roles, over loopback with real TLS.

use crate::world::{Running, World, onboard};
use landfall_server::{
    RoleName,
    admin::{
        ClientError,
        view::{AuditEvent, Device, IssuedCertificate, LogVerified, Note, Page, Prefetched, Reachability, Status},
    },
};
use landfall_types::{
    Outcome,
    http::{Request, Response},
};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn a_device_joins_and_is_thrown_out() {
    let world = World::new(1, "permit");
    let server = world.run(&[]).await;
    server.sell(&world).await;
    let agent = world.device(0, server.address(RoleName::Registrar));
    onboard(&agent).await.unwrap();

    let path = format!("/v1/network/devices/{}", world.serials[0]);
    let device: Device = server.client.get(&path).await.unwrap();
    assert_eq!((device.state.as_str(), device.vendor.as_str()), ("connected", "maker"));
    assert_eq!(device.model.as_deref(), Some("sensor"));
    assert_eq!(device.certificates.len(), 1);
    assert!(device.telemetry.iter().all(|report| report.ok) && device.telemetry.len() == 2);
    let status: Status = server.client.get("/v1/status").await.unwrap();
    assert_eq!(status.dependencies[0].state, Reachability::Up);

    let audit: Page<AuditEvent> = server.client.get("/v1/audit").await.unwrap();
    assert!(audit.items.iter().all(|event| event.outcome == Outcome::Done), "{audit:?}");
    let actions: Vec<&str> = audit.items.iter().map(|event| event.action.as_str()).collect();
    for action in ["voucher-issued", "voucher-passed-on", "voucher-status", "simpleenroll", "enrolment-status"] {
        assert_eq!(actions.iter().filter(|done| **done == action).count(), 1, "{action} in {actions:?}");
    }
    for log in ["audit", "masa-issued", "masa-ownership", "network-devices", "network-certificates"] {
        let verified: LogVerified = server.client.get(&format!("/v1/logs/{log}/verify")).await.unwrap();
        assert!(verified.intact && verified.entries > 0, "{log}: {verified:?}");
    }

    let note = Note { reason: "lost".into() };
    let device: Device = server.client.post(&format!("{path}/revoke"), &note).await.unwrap();
    assert_eq!(device.state, "revoked");
    assert!(device.certificates[0].revoked.is_some());
    let crl = server.client.bytes("/v1/network/crl").await.unwrap();
    assert_eq!(landfall_pki::Crl::from_der(&crl).unwrap().len(), 1);
    let renewed = agent.renew(true, Some(std::time::Duration::from_secs(20)), &mut |_| {}).await.unwrap();
    assert!(matches!(renewed, landfall_device::Outcome::Refused(_)), "a revoked device gets no new certificate");
    let certificates: Page<IssuedCertificate> = server.client.get("/v1/network/certificates").await.unwrap();
    assert_eq!(certificates.items.len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides() {
    let world = World::new(2, "ask");
    let server = world.run(&[]).await;
    server.sell(&world).await;
    let registrar = server.address(RoleName::Registrar);
    let (first, second) = (world.device(0, registrar), world.device(1, registrar));
    let patience = Some(std::time::Duration::from_millis(500));
    for agent in [&first, &second] {
        let _ = agent.onboard(Some(1), patience, &mut |_| {}).await.unwrap();
    }
    let waiting: Page<Device> = server.client.get("/v1/network/devices?state=awaiting-approval").await.unwrap();
    assert_eq!(waiting.items.len(), 2, "both wait for a person");

    let note = Note::default();
    let path = |number: usize, verb: &str| format!("/v1/network/devices/{}/{verb}", world.serials[number]);
    let _: Device = server.client.post(&path(0, "approve"), &note).await.unwrap();
    let _: Device = server.client.post(&path(1, "deny"), &note).await.unwrap();
    onboard(&first).await.unwrap();
    onboard(&second).await.unwrap_err();
    let again = server.client.post::<Device>(&path(0, "approve"), &note).await.unwrap_err();
    assert!(again.is_negative_answer(), "one that is inside cannot be approved: {again}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sold_gets_no_voucher() {
    let world = World::new(1, "permit");
    let server = world.run(&[]).await;
    let agent = world.device(0, server.address(RoleName::Registrar));
    onboard(&agent).await.unwrap_err();
    let _: serde_json::Value = server.client.post("/v1/factory/devices", &world.records()).await.unwrap();
    onboard(&agent).await.unwrap_err();
    server.client.get::<Device>("/v1/network/devices/nobody").await.unwrap_err();
    assert_eq!(masa_refusals(&server).await, ["device-unknown", "voucher-sold"]);
    server.stop().await;
}

async fn masa_refusals(server: &Running) -> Vec<String> {
    let audit: Page<AuditEvent> = server.client.get("/v1/audit").await.unwrap();
    let refusals = audit.items.into_iter().filter_map(|event| match event.outcome {
        Outcome::Refused(refusal) if event.role == "masa" => Some(refusal.check.to_string()),
        _ => None,
    });
    refusals.collect()
}

/// Another manufacturer's device may have the same serial number.
#[tokio::test(flavor = "multi_thread")]
async fn a_serial_number_alone_gets_no_voucher() {
    let world = World::new(1, "permit");
    let server = world.run(&[]).await;
    let mut others = world.records();
    others.iter_mut().for_each(|record| record["device"] = format!("00.{}", world.serials[0]).into());
    let _: serde_json::Value = server.client.post("/v1/factory/devices", &others).await.unwrap();
    onboard(&world.device(0, server.address(RoleName::Registrar))).await.unwrap_err();
    assert_eq!(masa_refusals(&server).await, ["device-unknown"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voucher_fetched_ahead_bridges_an_outage() {
    let world = World::new(2, "permit");
    let masa = world.run_apart("masa", &[RoleName::Masa]).await;
    masa.sell(&world).await;
    let server = world.run_apart("registrar", &[RoleName::Registrar]).await;
    let wanted = serde_json::json!({
        "vendor": "maker", "serial_numbers": [world.serials[0]],
        "issuer_certificate": world.pem("manufacturer/issuing.pem"),
        "masa": format!("localhost:{}", masa.address(RoleName::Masa).port()),
    });
    let fetched: Vec<Prefetched> = server.client.post("/v1/network/vouchers", &wanted).await.unwrap();
    assert!(fetched[0].voucher.is_some(), "{fetched:?}");
    masa.stop().await;

    let registrar = server.address(RoleName::Registrar);
    onboard(&world.device(0, registrar)).await.unwrap();
    let patience = Some(std::time::Duration::from_millis(500));
    let other = world.device(1, registrar).onboard(Some(1), patience, &mut |_| {}).await.unwrap();
    assert!(matches!(other, landfall_device::Outcome::Refused(_)), "without a voucher fetched ahead it has to wait");
    let status: Status = server.client.get("/v1/status").await.unwrap();
    let masa = &status.dependencies[0];
    assert_eq!((masa.state, masa.vouchers_ahead), (Reachability::Down, 1));
    let away = server.client.get::<serde_json::Value>("/v1/transfer/sales").await.unwrap_err();
    assert!(matches!(away, ClientError::Refused { status, .. } if status == 503), "no MASA runs here: {away}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_the_statuses_of_the_specifications() {
    let world = World::new(1, "permit");
    let server = world.run(&[]).await;
    let registrar = server.address(RoleName::Registrar);
    for (path, status) in [
        ("/.well-known/est/cacerts", 200),
        ("/.well-known/est/nothing", 404),
        ("/.well-known/est/unknown/cacerts", 404),
        ("/", 404),
        ("/.well-known/brski/requestvoucher", 405),
        ("/.well-known/landfall/crl", 200),
    ] {
        assert_eq!(ask(registrar, Request::get(path)).await.status, status, "GET {path}");
    }
    let pkcs10 = Request::post("/.well-known/est/simpleenroll", "application/pkcs10", b"AAAA".to_vec());
    assert!(matches!(ask(registrar, pkcs10).await.status, 400 | 401));
    let wrong = Request::post("/.well-known/brski/requestvoucher", "text/html", Vec::new());
    assert!(matches!(ask(registrar, wrong).await.status, 401 | 415));
    let masa = server.address(RoleName::Masa);
    let wrong = Request::post("/.well-known/brski/requestvoucher", "text/html", Vec::new());
    assert_eq!(ask(masa, wrong).await.status, 415);
    assert_eq!(ask(masa, Request::get("/elsewhere")).await.status, 404);

    let metrics = plain(server.health, "/metrics").await;
    assert!(metrics.contains("landfall_exchanges_total"), "{metrics}");
    assert!(plain(server.health, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(plain(server.health, "/readyz").await.contains("ready"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_is_told_of_the_drain_until_its_end() {
    let world = World::new(1, "permit");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = world.settings.clone();
    let registrar = settings.registrar.as_mut().unwrap();
    registrar.vendor[0].masa = Some(silent.local_addr().unwrap().to_string());
    registrar.masa_timeout = "60s".parse().unwrap();
    let server = world.run_in(&settings, &[RoleName::Registrar]).await;
    let agent = world.device(0, server.address(RoleName::Registrar));
    let asking = tokio::spawn(async move { onboard(&agent).await });

    // The exchange is under way: it waits for a MASA that says nothing.
    let (masa, _) = silent.accept().await.unwrap();
    server.drain();
    let health = server.health;
    assert!(plain(health, "/readyz").await.contains("draining"));
    assert!(plain(health, "/healthz").await.starts_with("HTTP/1.1 200"));
    drop((masa, silent));
    asking.await.unwrap().unwrap_err();
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(health).await.is_err(), "it is over");
}

/// Asks as somebody without a certificate.
async fn ask(address: SocketAddr, request: Request) -> Response {
    use landfall_net::{
        http::{ClientLimits, Connection},
        tls::ClientTls,
    };
    let tls = ClientTls::provisional(None).unwrap();
    let mut connection = Connection::open(&address.into(), Some(&tls), ClientLimits::default()).await.unwrap();
    connection.send(request).await.unwrap()
}

async fn plain(address: SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
