//! Devices that another domain has had before (RFC 8995 s5.8.3).

use crate::world::{World, onboard};
use landfall_device::Outcome;
use landfall_pki::{Algorithm, AltName};
use landfall_server::{
    RoleName,
    admin::view::{Device, Note, Page},
    domain::NewDomain,
    open,
};
use landfall_types::Time;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_sold_on_waits_for_a_person() {
    let world = World::new(1, "permit");
    let maker = world.run(&[]).await;
    maker.sell(&world).await;
    let agent = world.device(0, maker.address(RoleName::Registrar));
    onboard(&agent).await.unwrap();
    agent.reset().await.unwrap();
    drop(agent);

    let mut settings = world.settings.clone();
    settings.data = world.folder.path().join("pine");
    let element = open::element(&settings).unwrap();
    let names = vec![AltName::Dns("localhost".into())];
    NewDomain { organization: "Pine".into(), names, algorithm: Algorithm::EcdsaP256 }
        .make(&settings.resolve("domain".as_ref()), element.as_ref(), Time::now())
        .unwrap();
    let anchor = world.settings.resolve("manufacturer/root.pem".as_ref());
    settings.registrar.as_mut().unwrap().vendor[0].anchors = vec![anchor];
    let certificate = std::fs::read_to_string(settings.resolve("domain/root.pem".as_ref())).unwrap();

    let serials = &world.serials;
    for (what, body) in [
        ("resale", serde_json::json!({ "serial_numbers": serials, "by": "net" })),
        ("customers", serde_json::json!({ "owner": "pine", "certificates": [certificate] })),
        ("sales", serde_json::json!({ "owner": "pine", "serial_numbers": serials })),
    ] {
        let _: serde_json::Value = maker.client.post(&format!("/v1/transfer/{what}"), &body).await.unwrap();
    }

    let pine = world.run_in(&settings, &[RoleName::Registrar]).await;
    let agent = world.device(0, pine.address(RoleName::Registrar));
    let patience = Some(Duration::from_secs(3));
    let waits = agent.onboard(None, patience, &mut |_| {}).await.unwrap();
    assert!(matches!(waits, Outcome::Refused(_)), "{waits:?}");
    let waiting: Page<Device> = pine.client.get("/v1/network/devices?state=awaiting-approval").await.unwrap();
    let reasons = waiting.items[0].reasons.join("\n");
    assert!(reasons.contains("registered by another domain") && reasons.contains("1 other domain ("), "{reasons}");

    let approve = format!("/v1/network/devices/{}/approve", serials[0]);
    let _: Device = pine.client.post(&approve, &Note::default()).await.unwrap();
    onboard(&agent).await.unwrap();
    // Nobody is asked twice about the same past.
    agent.reset().await.unwrap();
    onboard(&agent).await.unwrap();
    pine.stop().await;
    maker.stop().await;
}
