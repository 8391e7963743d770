//! What becomes of devices after their onboarding.

use super::{
    device::Device,
    ground::{CONNECTOR, Ground},
};
use landfall_dpp::{connector::SignedConnector, curve::PublicKey};
use landfall_lifecycle::network::NetworkCredential;
use landfall_pki::Crl;
use landfall_server::admin::view::ConfiguratorView;
use landfall_types::Time;
use std::time::Duration;

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
async fn what_led_into_a_network_that_is_not_given_any_more_is_taken_back() {
    let network = |ssid: &str, kind: &str| format!("[[configurator.network]]\nssid = \"{ssid}\"\nkind = \"{kind}\"\n");
    let before = [network("Old", "psk"), network("Corp", "connector+dot1x"), network("Both", "dot1x")].concat();
    let after = [network("Both", "connector+dot1x"), network("New", "psk")].concat();
    let ground = Ground::with(&before).await;
    let device = Device::new(1);
    ground.own(&device).await;
    let first = device.chirp(ground.address).await.unwrap();
    assert_eq!(ground.shown(&device).await.certificates.len(), 1, "one for both");
    let ground = ground.restarted_with(&after).await;
    let second = device.again(&first, ground.address).await.unwrap();
    second.done.as_ref().unwrap();
    let kept = ground.store.scan::<NetworkCredential>(None, 10).unwrap();
    let mut left: Vec<_> = kept.iter().map(|kept| (kept.network.as_str(), kept.deleted.is_none())).collect();
    left.sort_unstable();
    assert_eq!(left, [("Both", true), ("Corp", false), ("New", true), ("Old", false)]);
    assert!(kept.iter().filter(|kept| kept.deleted.is_some()).all(|kept| kept.secret.is_none()));
    let revoked = ground.shown(&device).await.certificates.into_iter().map(|one| one.revoked.is_some());
    assert_eq!(revoked.collect::<Vec<_>>(), [true, false], "the first one led into a network that is gone");
    let deleted = ground.store.log("network-credentials", 0, 20).unwrap();
    let deleted = deleted.iter().filter(|entry| format!("{entry:?}").contains("configured anew")).count();
    assert_eq!(deleted, 2, "and it is on record when and why");
    // What it had leads to the configurator still, should it never have heard of the new ones.
    device.again(&first, ground.address).await.unwrap().done.unwrap();
    ground.stop().await;
}

/// Nobody has to wait for the list's next issue to keep out who comes with what was taken back.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_are_taken_back_are_on_the_list_at_once() {
    let with = |ssid: &str| {
        format!(
            "[[configurator.network]]\nssid = {ssid:?}\nkind = \"connector+dot1x\"\n[registrar]\nlisten = \"127.0.0.1:0\"\nannounce = false\n"
        )
    };
    let listed = async |ground: &Ground| Crl::from_der(&ground.client.bytes("/v1/network/crl").await.unwrap()).unwrap();
    let ground = Ground::with(&with("Old")).await;
    let device = Device::new(1);
    ground.own(&device).await;
    let first = device.chirp(ground.address).await.unwrap();
    let ground = ground.restarted_with(&with("New")).await;
    assert!(listed(&ground).await.is_empty());
    device.again(&first, ground.address).await.unwrap().done.unwrap();
    let on_the_list = async {
        while listed(&ground).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), on_the_list).await.unwrap();
    let [old, new] = &ground.shown(&device).await.certificates[..] else { panic!("two certificates") };
    assert!(old.revoked.is_some() && new.revoked.is_none());
    assert_eq!(listed(&ground).await.len(), 1);
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
