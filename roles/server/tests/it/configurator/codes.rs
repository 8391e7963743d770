//! Devices that are introduced by a code: each refusal changes one thing of a case that goes well.

use super::{
    device::{Device, Link},
    ground::{CONNECTOR, Ground},
};
use landfall_dpp::Curve;
use landfall_lifecycle::transfer::Bootstrapping;
use landfall_server::admin::view::{AuditEvent, Count, Page, PkexCode};
use landfall_types::Outcome;
use serde_json::{Value, json};

const PATH: &str = "/v1/network/configurator/pkex";

/// Gives the configurator a code for one device.
async fn expect(ground: &Ground, code: &str, identifier: Option<&str>) -> PkexCode {
    let new = json!({ "identifier": identifier, "code": code, "serial_number": "D-000001", "model": "bulb" });
    ground.client.post(PATH, &new).await.unwrap()
}

async fn codes(ground: &Ground) -> Vec<PkexCode> {
    ground.client.get(PATH).await.unwrap()
}

/// Whether the configurator makes its key known to a device with that code.
async fn knows(ground: &Ground, device: &Device, code: &str, identifier: Option<&str>) -> bool {
    let mut link = Link::to(ground.address).await;
    let known = device.introduce(&mut link, code, identifier).await.is_some();
    link.finish().await;
    known
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_code_is_configured_and_both_are_authenticated() {
    let ground = Ground::new().await;
    for (number, curve) in (0..).zip(Curve::ALL) {
        let device = Device { serial: "D-000001".into(), ..Device::on(curve, number) };
        let identifier = curve.name();
        expect(&ground, "three words here", Some(identifier)).await;
        let mut link = Link::to(ground.address).await;
        let key = device.introduce(&mut link, "three words here", Some(identifier)).await.unwrap();
        let entry = ground.store.find::<Bootstrapping>(&Bootstrapping::key_of(
            &"home".parse().unwrap(),
            &device.key.public().bootstrap_hash(),
        ));
        assert_eq!(entry.unwrap().unwrap().via.as_str(), "pkex");
        // By the same connection it goes on.
        assert!(device.ask_by(&mut link, &key).await.unwrap().done.is_ok(), "{curve}");
        let id = format!("home.dpp.{}", device.key.public().bootstrap_hash());
        let shown: Value = ground.client.get(&format!("/v1/network/devices/{id}")).await.unwrap();
        assert_eq!(shown["configuration"]["introduced"], "pkex");
        assert_eq!(shown["configuration"]["network_authenticated"], true);
        assert_eq!((&shown["serial_number"], &shown["model"]), (&json!("D-000001"), &json!("bulb")));
        assert_eq!(codes(&ground).await, [], "the code has served");
        assert!(!knows(&ground, &device, "three words here", Some(identifier)).await);
    }
    let audit: Page<AuditEvent> = ground.client.get("/v1/audit?limit=1000").await.unwrap();
    let introduced = audit.items.iter().filter(|event| event.action == "device-introduced");
    assert_eq!(introduced.filter(|event| event.outcome == Outcome::Done).count(), 6);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_codes_end_it_whatever_happens_in_between() {
    let ground = Ground::new().await;
    let device = Device::new(1);
    expect(&ground, "right", None).await;
    for failures in 1..=3 {
        assert!(!knows(&ground, &device, "wrong", None).await);
        assert_eq!(codes(&ground).await[0].failures, failures);
    }
    let ground = ground.restarted().await;
    assert_eq!(codes(&ground).await[0].failures, 3);
    assert!(!knows(&ground, &device, "wrong again", None).await);
    // One that has it does not make it worse.
    assert!(knows(&ground, &device, "right", None).await);
    assert_eq!((codes(&ground).await[0].failures, codes(&ground).await[0].dead), (4, false));
    assert!(!knows(&ground, &device, "wrong", None).await);
    assert!(codes(&ground).await[0].dead);
    assert!(!knows(&ground, &device, "right", None).await);
    assert_eq!(ground.unanswered().await[0].check, "pkex-attempts");
    let ground = ground.restarted().await;
    assert!(!knows(&ground, &device, "right", None).await, "it stays dead");
    let audit: Page<AuditEvent> = ground.client.get("/v1/audit?limit=1000").await.unwrap();
    let wrong = |event: &&AuditEvent| matches!(&event.outcome, Outcome::Refused(why) if why.check == "dpp-pkex-code");
    assert_eq!(audit.items.iter().filter(wrong).count(), 5);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_the_same_time_count_too() {
    let ground = Ground::new().await;
    expect(&ground, "right", None).await;
    let mut guessing = tokio::task::JoinSet::new();
    for number in 0..12 {
        let address = ground.address;
        guessing.spawn(async move {
            let mut link = Link::to(address).await;
            let known = Device::new(number).introduce(&mut link, "wrong", None).await.is_some();
            link.finish().await;
            known
        });
    }
    assert!(guessing.join_all().await.iter().all(|known| !known));
    let codes = codes(&ground).await;
    assert_eq!((codes[0].failures, codes[0].dead), (5, true));
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_that_of_the_device_which_had_it_first() {
    let ground = Ground::new().await;
    let (first, second) = (Device::new(1), Device::new(2));
    expect(&ground, "right", Some("lamp")).await;
    assert!(knows(&ground, &first, "right", Some("lamp")).await);
    assert!(!knows(&ground, &second, "right", Some("lamp")).await);
    // The first one was cut off before it was configured, and comes again.
    assert!(knows(&ground, &first, "right", Some("lamp")).await);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_nobody_gave() {
    let ground = Ground::new().await;
    let device = Device::new(1);
    expect(&ground, "right", Some("lamp")).await;
    assert!(!knows(&ground, &device, "right", None).await);
    assert_eq!(ground.refusal().await, "pkex-known");
    assert!(!knows(&ground, &device, "right", Some("lamps")).await);
    let again = json!({ "identifier": "lamp", "code": "another" });
    assert!(ground.client.post::<PkexCode>(PATH, &again).await.is_err(), "there is one");
    let empty = json!({ "identifier": "empty", "code": "" });
    assert!(ground.client.post::<PkexCode>(PATH, &empty).await.is_err());
    let (name, remove) = (json!({ "identifier": "lamp" }), format!("{PATH}/remove"));
    let _: Count = ground.client.post(&remove, &name).await.unwrap();
    assert!(ground.client.post::<Count>(&remove, &name).await.is_err(), "it is gone");
    assert!(!knows(&ground, &device, "right", Some("lamp")).await);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_decides_of_those_who_have_a_code_as_of_others() {
    let policy = "[configurator.acceptance]\nserials = [\"D-000002\"]\nothers = \"deny\"\n";
    let ground = Ground::with(&format!("{policy}{CONNECTOR}")).await;
    expect(&ground, "right", None).await;
    let (device, known) = (Device::new(1), Device { serial: "D-000002".into(), ..Device::new(2) });
    ground.own(&known).await;
    assert!(knows(&ground, &device, "right", None).await);
    let mut link = Link::to(ground.address).await;
    assert!(link.is_silent_to(&device.announcement(), &known).await);
    assert_eq!(ground.refusal().await, "policy-denied");
    ground.stop().await;
}
