//! What becomes of devices after their onboarding.

use super::{
    device::Device,
    ground::{CONNECTOR, Ground},
};
use landfall_dpp::{connector::SignedConnector, curve::PublicKey};
use landfall_lifecycle::network::NetworkCredential;
use landfall_server::admin::view::ConfiguratorView;
use landfall_types::Time;

async fn again(ground: Ground, device: &Device) -> (Ground, Option<super::device::Onboarded>) {
    // It was configured a moment ago; a restart forgets that as well as waiting would.
    let ground = ground.restarted().await;
    let onboarded = device.chirp(ground.address).await;
    (ground, onboarded)
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_deleted_and_the_device_comes_back() {
    let ground = Ground::with("[[configurator.network]]\nssid = \"Home\"\nkind = \"psk\"\n").await;
    let device = Device::new(1);
    ground.own(&device).await;
    let first = device.chirp(ground.address).await.unwrap();
    let password = |onboarded: &super::device::Onboarded| {
        onboarded.object().credential.passphrase.as_ref().unwrap().expose().clone()
    };
    let shown = ground.judge(&device, "delete-credentials").await;
    assert_eq!((shown.state.as_str(), shown.configuration), ("seen", None));
    let kept = ground.store.scan::<NetworkCredential>(None, 10).unwrap().remove(0).record;
    assert!(kept.deleted.is_some() && kept.secret.is_none() && kept.connector.is_none());
    let (ground, second) = again(ground, &device).await;
    let second = second.unwrap();
    assert_ne!(password(&first), password(&second));
    assert_eq!(ground.shown(&device).await.state, "connected");
    let logged = ground.store.log("network-credentials", 0, 10).unwrap();
    assert_eq!(logged.len(), 3, "issued, deleted, issued");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_left_begins_anew() {
    let ground = Ground::with(CONNECTOR).await;
    let device = Device::new(1);
    ground.own(&device).await;
    device.chirp(ground.address).await.unwrap();
    assert_eq!(ground.judge(&device, "forget").await.state, "retired");
    let (ground, onboarded) = again(ground, &device).await;
    assert!(onboarded.unwrap().done.is_ok());
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_comes_back_once_that_is_taken_back() {
    let ground = Ground::with(CONNECTOR).await;
    let device = Device::new(1);
    ground.own(&device).await;
    device.chirp(ground.address).await.unwrap();
    assert_eq!(ground.judge(&device, "revoke").await.state, "revoked");
    assert_eq!(ground.judge(&device, "reinstate").await.state, "seen");
    let (ground, onboarded) = again(ground, &device).await;
    assert!(onboarded.unwrap().done.is_ok());
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_signs_connectors_is_followed_by_another() {
    let ground = Ground::with(CONNECTOR).await;
    let csign = |onboarded: &super::device::Onboarded| -> PublicKey {
        let credential = &onboarded.object().credential;
        let connector = SignedConnector::parse(credential.connector.as_ref().unwrap()).unwrap();
        let csign = credential.csign.as_ref().unwrap().key.clone();
        connector.verify(&csign, Time::now()).unwrap();
        csign
    };
    let (first, second) = (Device::new(1), Device::new(2));
    ground.own(&first).await;
    ground.own(&second).await;
    let before = csign(&first.chirp(ground.address).await.unwrap());
    let rotated: ConfiguratorView =
        ground.client.post("/v1/network/configurator/rotate", &serde_json::json!({})).await.unwrap();
    let after = csign(&second.chirp(ground.address).await.unwrap());
    assert_ne!(before, after);
    assert_eq!(rotated.signers, [&before, &after].map(landfall_dpp::jwk::kid));
    let ground = ground.restarted().await;
    assert_eq!(ground.view().await.signers, rotated.signers);
    ground.stop().await;
}
