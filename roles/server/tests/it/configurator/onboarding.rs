//! Devices that get what they come for.

use super::{
    device::{Device, Link},
    ground::Ground,
};
use landfall_dpp::{Curve, Status, Uri, connector::SignedConnector, exchange::Mutual};
use landfall_server::admin::view::{AuditEvent, LogVerified, Page};
use landfall_types::{Outcome, Time};
use std::net::TcpListener;

/// The configurator's bootstrapping key on that curve.
async fn key_of(ground: &Ground, curve: Curve) -> landfall_dpp::curve::PublicKey {
    let view = ground.view().await;
    let key = view.keys.iter().find(|key| key.curve == curve.name()).unwrap();
    key.uri.parse::<Uri>().unwrap().key
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_announces_itself_gets_a_connector_on_every_curve() {
    let ground = Ground::new().await;
    for (number, curve) in (0..).zip(Curve::ALL) {
        let device = Device::on(curve, number);
        ground.own(&device).await;
        let onboarded = device.chirp(ground.address).await.unwrap();
        onboarded.done.as_ref().unwrap();
        let credential = &onboarded.object().credential;
        let connector = SignedConnector::parse(credential.connector.as_ref().unwrap()).unwrap();
        let csign = &credential.csign.as_ref().unwrap().key;
        let connector = connector.verify(csign, Time::now()).unwrap();
        assert_eq!(connector.key, *onboarded.received.key.public());
        assert_eq!(connector.groups[0].id, "Home");
        assert!(ground.view().await.signers.contains(&landfall_dpp::jwk::kid(csign)));
        let shown = ground.shown(&device).await;
        assert_eq!(shown.state, "connected", "{shown:?}");
        let configuration = shown.configuration.unwrap();
        assert_eq!(configuration.networks, ["Home"]);
        // It did not know the configurator, so that it took the network on trust.
        assert!(!configuration.network_authenticated);
    }
    let audit: Page<AuditEvent> = ground.client.get("/v1/audit?limit=1000").await.unwrap();
    let configured = audit.items.iter().filter(|event| event.action == "device-configured");
    assert!(configured.clone().all(|event| event.outcome == Outcome::Done));
    assert_eq!(configured.count(), 6);
    for log in ["audit", "network-devices", "network-credentials"] {
        let verified: LogVerified = ground.client.get(&format!("/v1/logs/{log}/verify")).await.unwrap();
        assert!(verified.intact && verified.entries >= 6, "{verified:?}");
    }
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_knows_the_configurator_authenticates_the_network() {
    let ground = Ground::new().await;
    for (number, curve) in (0..).zip([Curve::P256, Curve::Bp256]) {
        let key = key_of(&ground, curve).await;
        let device = Device { knows: Some(key), mutual: Mutual::Required, ..Device::on(curve, number) };
        ground.own(&device).await;
        assert!(device.chirp(ground.address).await.unwrap().done.is_ok());
        assert!(ground.shown(&device).await.configuration.unwrap().network_authenticated);
    }
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_may_begin_itself() {
    let ground = Ground::new().await;
    let key = key_of(&ground, Curve::P384).await;
    let device = Device::on(Curve::P384, 1);
    ground.own(&device).await;
    assert!(device.ask(ground.address, &key).await.unwrap().done.is_ok());
    let shown = ground.shown(&device).await;
    assert!(shown.configuration.unwrap().network_authenticated);
    assert_eq!(shown.tenant.as_deref(), Some("home"));
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_reached_where_its_uri_says() {
    let ground = Ground::new().await;
    let device = Device::new(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let uri = Uri { host: Some(host.to_string().parse().unwrap()), ..device.uri() };
    ground.enter(&device, "home", |entry| entry.uri = uri.to_string()).await;
    let reach = serde_json::json!({ "device": device.serial });
    let reaching = ground.client.post::<serde_json::Value>("/v1/network/configurator/reach", &reach);
    let waiting = async {
        let (stream, _) = listener.accept().await.unwrap();
        device.answer(&mut Link::over(stream)).await
    };
    let (reached, onboarded) = tokio::join!(reaching, waiting);
    reached.unwrap();
    assert!(onboarded.unwrap().done.is_ok());
    assert_eq!(ground.shown(&device).await.state, "connected");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_access_points_is_answered_and_another_if_it_dies() {
    let ground = Ground::new().await;
    let (device, other) = (Device::new(1), Device::new(2));
    ground.own(&device).await;
    ground.own(&other).await;
    let mut first = Link::to(ground.address).await;
    first.send(&device.announcement()).await;
    // It is asked through the first, and says nothing.
    assert!(first.next().await.is_some());
    let mut second = Link::to(ground.address).await;
    assert!(second.is_silent_to(&device.announcement(), &other).await);
    drop((first, second));
    // The first is gone; now the third is answered, as soon as the configurator has heard of that.
    let onboarded = loop {
        let mut third = Link::to(ground.address).await;
        third.send(&device.announcement()).await;
        let answered = tokio::time::timeout(std::time::Duration::from_secs(5), device.answer(&mut third)).await;
        if let Ok(Some(onboarded)) = answered {
            break onboarded;
        }
    };
    assert!(onboarded.done.is_ok());
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_says_of_joining_is_on_record() {
    let ground = Ground::new().await;
    let device = Device { joining: Status::NoAp, ..Device::new(1) };
    ground.own(&device).await;
    device.chirp(ground.address).await.unwrap();
    let shown = ground.shown(&device).await;
    assert_eq!(shown.state, "enrolled");
    let last = shown.telemetry.last().unwrap();
    assert!(last.about == "connection" && !last.ok, "{last:?}");
    // It comes again, and is given everything anew.
    let device = Device { joining: Status::Ok, ..device };
    device.ask(ground.address, &key_of(&ground, Curve::P256).await).await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_devices_at_once_each_get_their_own() {
    let ground = Ground::new().await;
    let mut coming = tokio::task::JoinSet::new();
    for number in 0..64 {
        let device = Device::new(number);
        ground.own(&device).await;
        let address = ground.address;
        coming.spawn(async move {
            let onboarded = device.chirp(address).await.unwrap();
            onboarded.done.unwrap();
            onboarded.received.objects[0].credential.connector.clone().unwrap()
        });
    }
    let connectors: std::collections::HashSet<_> = coming.join_all().await.into_iter().collect();
    assert_eq!(connectors.len(), 64);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_devices_survive_a_restart() {
    let ground = Ground::new().await;
    let (before, device) = (ground.view().await, Device::new(1));
    ground.own(&device).await;
    device.chirp(ground.address).await.unwrap();
    let ground = ground.restarted().await;
    assert_eq!(ground.view().await, before);
    assert_eq!(ground.shown(&device).await.state, "connected");
    ground.stop().await;
}
