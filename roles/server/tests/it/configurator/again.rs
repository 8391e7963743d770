//! Devices that come again with the connector that they have: each refusal changes one thing of a case that goes well.

use super::{
    device::{Device, Onboarded},
    ground::{CONNECTOR, Ground},
};
use landfall_dpp::{Curve, Uri, connector::SignedConnector, curve::PrivateKey, exchange::Mutual, jwk::kid};
use landfall_lifecycle::transfer::Held;
use landfall_server::admin::view::{AuditEvent, ConfiguratorView, Page};
use landfall_types::{Outcome, Time};
use serde_json::json;

/// A device that has a connector.
async fn onboarded(ground: &Ground, device: &Device) -> Onboarded {
    ground.own(device).await;
    let onboarded = device.chirp(ground.address).await.unwrap();
    onboarded.done.as_ref().unwrap();
    onboarded
}

async fn rotate(ground: &Ground) -> ConfiguratorView {
    ground.client.post("/v1/network/configurator/rotate", &json!({})).await.unwrap()
}

/// The key that signed a device's connector, by its id.
fn signer(onboarded: &Onboarded) -> String {
    let credential = &onboarded.object().credential;
    let connector = SignedConnector::parse(credential.connector.as_ref().unwrap()).unwrap();
    let csign = &credential.csign.as_ref().unwrap().key;
    assert_eq!(connector.verify(csign, Time::now()).unwrap().key, *onboarded.received.key.public());
    kid(csign)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_a_connector_of_the_key_that_signs_now() {
    let ground = Ground::new().await;
    for (number, curve) in (0..).zip(Curve::ALL) {
        let device = Device::on(curve, number);
        let first = onboarded(&ground, &device).await;
        let view = rotate(&ground).await;
        let second = device.again(&first, ground.address).await.unwrap();
        second.done.as_ref().unwrap();
        assert_ne!(signer(&second), signer(&first));
        assert_eq!(Some(&signer(&second)), view.signers.last());
        assert_ne!(second.received.key.public(), first.received.key.public(), "its key is another one");
        // And once more, with what it has now.
        device.again(&second, ground.address).await.unwrap().done.unwrap();
        let shown = ground.shown(&device).await;
        assert_eq!(shown.state, "connected");
        assert!(!shown.configuration.unwrap().network_authenticated, "a connector is no more than it was");
    }
    let audit: Page<AuditEvent> = ground.client.get("/v1/audit?limit=1000").await.unwrap();
    let again = audit.items.iter().filter(|event| event.action == "device-reconfigured");
    assert!(again.clone().all(|event| event.outcome == Outcome::Done && event.device.starts_with("D-")));
    assert_eq!(again.count(), 12);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_authenticated_its_network_once_is_authenticated_still() {
    let ground = Ground::with(&format!("mutual = \"required\"\n{CONNECTOR}")).await;
    let key = ground.view().await.keys.iter().find(|key| key.curve == Curve::P256.name()).unwrap().uri.clone();
    let knows = Some(key.parse::<Uri>().unwrap().key);
    let device = Device { knows, mutual: Mutual::Required, ..Device::new(1) };
    let first = onboarded(&ground, &device).await;
    device.again(&first, ground.address).await.unwrap().done.unwrap();
    assert!(ground.shown(&device).await.configuration.unwrap().network_authenticated);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_lost_its_new_connector_comes_with_the_old_one() {
    let ground = Ground::new().await;
    let device = Device::new(1);
    let first = onboarded(&ground, &device).await;
    for _ in 0..3 {
        // As one that was switched off each time before it had written anything down.
        device.again(&first, ground.address).await.unwrap().done.unwrap();
    }
    let ground = ground.restarted().await;
    rotate(&ground).await;
    let ground = ground.restarted().await;
    device.again(&first, ground.address).await.unwrap().done.unwrap();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_not_to_come_any_more() {
    for (verb, check) in [("delete-credentials", "connector-deleted"), ("revoke", "connector-deleted")] {
        let ground = Ground::new().await;
        let device = Device::new(1);
        let first = onboarded(&ground, &device).await;
        ground.judge(&device, verb).await;
        assert!(device.again(&first, ground.address).await.is_none());
        assert_eq!(ground.refusal().await, check, "{verb}");
        ground.stop().await;
    }
    let ground = Ground::new().await;
    let device = Device::new(1);
    let first = onboarded(&ground, &device).await;
    ground.enter(&device, "home", |entry| entry.state = Held::Released { at: Time::now() }).await;
    assert!(device.again(&first, ground.address).await.is_none());
    assert_eq!(ground.refusal().await, "bootstrapping-held");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_the_key_in_its_connector() {
    let ground = Ground::new().await;
    let device = Device::new(1);
    let mut first = onboarded(&ground, &device).await;
    first.received.key = std::sync::Arc::new(PrivateKey::generate(Curve::P256, &mut super::device::random(7)));
    assert!(device.again(&first, ground.address).await.is_none());
    assert_eq!(ground.refusal().await, "dpp-unwrap");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_another_configurator() {
    let (ground, other) = (Ground::new().await, Ground::new().await);
    let device = Device::new(1);
    ground.own(&device).await;
    let first = onboarded(&other, &device).await;
    let mut link = super::device::Link::to(ground.address).await;
    let known = Device::new(2);
    ground.own(&known).await;
    assert!(link.is_silent_to(&device.announcement_of(&first), &known).await);
    assert_eq!(ground.refusal().await, "configurator-key");
    ground.stop().await;
    other.stop().await;
}
