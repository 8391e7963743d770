//! Keys for another configurator that asks for them: each refusal changes one thing of a case that goes well.

use super::{
    device::Device,
    ground::{CONNECTOR, Ground},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::{NetRole, System, backup, config::ConfigRequest, crypto::Secret};
use landfall_lifecycle::transfer::DppRole;
use landfall_server::admin::{
    ClientError,
    view::{AuditEvent, ConfiguratorView, HandOverAllowed, Page},
};
use landfall_types::Outcome;
use serde_json::json;

const EXPORTABLE: &str = "exportable = true\n";

async fn ground() -> Ground {
    Ground::with(&format!("{EXPORTABLE}{CONNECTOR}")).await
}

/// A configurator-to-be, which its owner has in the book as one.
async fn successor(ground: &Ground, number: u64) -> Device {
    let device = Device { request: ConfigRequest::new("spare", NetRole::Configurator), ..Device::new(number) };
    ground.enter(&device, "home", |entry| entry.role = Some(DppRole::Configurator)).await;
    device
}

async fn allow(ground: &Ground, device: &Device) -> Result<HandOverAllowed, ClientError> {
    ground.client.post("/v1/network/configurator/hand-over", &json!({ "device": device.serial })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_an_operator_allows_gets_the_keys_and_goes_on() {
    const PASSPHRASE: &str = "a passphrase that is long";
    let (first, second) = (ground().await, ground().await);
    let _: ConfiguratorView = first.client.post("/v1/network/configurator/rotate", &json!({})).await.unwrap();
    let device = successor(&first, 1).await;
    allow(&first, &device).await.unwrap();
    assert!(device.chirp(first.address).await.is_none(), "it was given networks");
    let taken = device.taken_over.lock().unwrap().take().unwrap().configurators;
    assert_eq!(first.shown(&device).await.configuration.unwrap().role, "configurator");
    let envelope = backup::seal(&taken, &Secret::new(PASSPHRASE.into()), &mut System).unwrap();
    let restore = json!({ "envelope": STANDARD.encode(envelope), "passphrase": PASSPHRASE });
    let view: ConfiguratorView = second.client.post("/v1/network/configurator/restore", &restore).await.unwrap();
    let signers = first.view().await.signers;
    assert_eq!(signers.len(), 2);
    assert_eq!(view.signers[1..], signers, "the key that signs, and the one before");
    let audit: Page<AuditEvent> = first.client.get("/v1/audit?limit=100").await.unwrap();
    let told = |event: &&AuditEvent| event.action == "configurator-handed-over" && event.outcome == Outcome::Done;
    assert_eq!(audit.items.iter().find(told).unwrap().device, device.serial);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_and_to_nobody_else() {
    let ground = ground().await;
    let (device, other) = (successor(&ground, 1).await, successor(&ground, 2).await);
    assert_eq!(device.refused(ground.address).await.check, "dpp-denied", "nobody has allowed it");
    allow(&ground, &other).await.unwrap();
    assert_eq!(device.refused(ground.address).await.check, "dpp-denied", "it was allowed to another");
    allow(&ground, &device).await.unwrap();
    device.chirp(ground.address).await;
    assert!(device.taken_over.lock().unwrap().take().is_some());
    // It begins by itself, since one that was just configured is not answered when it announces itself.
    let key = ground.view().await.keys.remove(0).uri.parse::<landfall_dpp::Uri>().unwrap().key;
    let again = Device { knows: Some(key.clone()), ..successor(&ground, 1).await };
    assert!(again.ask(ground.address, &key).await.is_none());
    assert!(again.taken_over.lock().unwrap().is_none(), "it is allowed once");
    assert_eq!(ground.audited().await, ["hand-over-allowed"; 3]);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_at_all() {
    let ground = ground().await;
    // The book has it as a station, or has it not.
    let station = Device { request: ConfigRequest::new("spare", NetRole::Configurator), ..Device::new(3) };
    assert!(allow(&ground, &station).await.is_err());
    ground.own(&station).await;
    assert!(allow(&ground, &station).await.is_err());
    assert_eq!(station.refused(ground.address).await.check, "dpp-denied");
    // A configurator that asks to be a station gets no keys.
    let device = successor(&ground, 4).await;
    allow(&ground, &device).await.unwrap();
    let device = Device { request: ConfigRequest::new("spare", NetRole::Sta), ..device };
    assert_eq!(device.refused(ground.address).await.check, "dpp-denied");
    assert_eq!(ground.audited().await, ["hand-over-role", "network-role", "network-role"]);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_the_element_stay_there() {
    let ground = Ground::new().await;
    let device = successor(&ground, 1).await;
    assert!(allow(&ground, &device).await.is_err());
    assert_eq!(device.refused(ground.address).await.check, "dpp-denied");
    assert_eq!(ground.audited().await, ["configurator-key", "hand-over-allowed"]);
    ground.stop().await;
}
