//! Keys that go from one configurator to another: each refusal changes one thing of a case that goes well.

use super::{
    device::Device,
    ground::{CONNECTOR, Ground},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_server::admin::{
    ClientError,
    view::{AuditEvent, Backup, ConfiguratorView, Page},
};
use landfall_types::Outcome;
use serde_json::json;

const PASSPHRASE: &str = "a passphrase that is long";

async fn ground() -> Ground {
    Ground::with(&format!("exportable = true\n{CONNECTOR}")).await
}

async fn backup(ground: &Ground, passphrase: &str) -> Result<Backup, ClientError> {
    ground.client.post("/v1/network/configurator/backup", &json!({ "passphrase": passphrase })).await
}

async fn restore(ground: &Ground, envelope: &str, passphrase: &str) -> Result<ConfiguratorView, ClientError> {
    let backup = json!({ "envelope": envelope, "passphrase": passphrase });
    ground.client.post("/v1/network/configurator/restore", &backup).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configurator_goes_on_where_the_first_one_stopped() {
    let (first, second) = (ground().await, ground().await);
    let _: ConfiguratorView = first.client.post("/v1/network/configurator/rotate", &json!({})).await.unwrap();
    let device = Device::new(1);
    first.own(&device).await;
    let has = device.chirp(first.address).await.unwrap();
    let envelope = backup(&first, PASSPHRASE).await.unwrap().envelope;
    let signers = first.view().await.signers;
    assert_eq!(signers.len(), 2);
    restore(&second, &envelope, PASSPHRASE).await.unwrap();
    let second = second.restarted().await;
    assert_eq!(second.view().await.signers[1..], signers, "it signs by the latest, and knows the other");
    let other = Device::new(2);
    second.own(&other).await;
    let onboarded = other.chirp(second.address).await.unwrap();
    let (before, now) = (&has.object().credential, &onboarded.object().credential);
    assert_eq!(before.csign, now.csign);
    assert_eq!(before.privacy_key, now.privacy_key);
    // The first one's device is understood; that nobody here gave it a connector is another matter.
    assert!(device.again(&has, second.address).await.is_none());
    assert_eq!(second.refusal().await, "connector-known");
    let audit: Page<AuditEvent> = second.client.get("/v1/audit?limit=100").await.unwrap();
    assert!(audit.items.iter().any(|event| event.action == "configurator-restored" && event.outcome == Outcome::Done));
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_opens_for_nobody_else_and_not_when_it_was_changed() {
    let ground = ground().await;
    assert!(backup(&ground, "too short").await.is_err());
    let envelope = backup(&ground, PASSPHRASE).await.unwrap().envelope;
    let before = ground.view().await;
    assert!(restore(&ground, &envelope, "another passphrase").await.is_err());
    let sound = STANDARD.decode(&envelope).unwrap();
    for at in (0..sound.len()).step_by(7).chain([sound.len() - 1]) {
        let mut changed = sound.clone();
        changed[at] ^= 0x10;
        assert!(restore(&ground, &STANDARD.encode(changed), PASSPHRASE).await.is_err(), "octet {at}");
    }
    assert!(restore(&ground, &STANDARD.encode(&sound[..sound.len() - 1]), PASSPHRASE).await.is_err());
    assert_eq!(ground.view().await, before, "nothing was taken in");
    restore(&ground, &envelope, PASSPHRASE).await.unwrap();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_the_element_stay_there() {
    let ground = Ground::new().await;
    assert!(backup(&ground, PASSPHRASE).await.is_err());
    let audit: Page<AuditEvent> = ground.client.get("/v1/audit?limit=100").await.unwrap();
    let refused =
        |event: &AuditEvent| matches!(&event.outcome, Outcome::Refused(why) if why.check == "configurator-key");
    assert!(audit.items.iter().any(|event| event.action == "configurator-backed-up" && refused(event)));
    ground.stop().await;
}
