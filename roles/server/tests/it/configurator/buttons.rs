//! Devices whose button is pushed: each refusal changes one thing of a case that goes well.

use super::{
    device::{Device, Link, random},
    ground::{CONNECTOR, Ground},
};
use landfall_dpp::{
    Curve,
    exchange::Mutual,
    frame::{AttributeId, Frame},
    pkex::{self, Code},
};
use landfall_lifecycle::transfer::Bootstrapping;
use landfall_server::admin::{
    ClientError,
    view::{AuditEvent, Introduced, Page},
};
use landfall_types::{Machine, Outcome, Time};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::{task::JoinHandle, time::timeout};

const PATH: &str = "/v1/network/configurator/push-button";
/// Somebody else whose devices are configured here.
const HOSTED: &str = "[[configurator.hosted]]\nid = \"other\"\n[[configurator.hosted.network]]\nssid = \"Theirs\"\nkind = \"connector\"\n";
/// Nobody is listened for, so that the tests need not wait.
const HASTY: &str = "[configurator.push-button]\nlistening = \"0s\"\n";

async fn hasty(more: &str) -> Ground {
    Ground::with(&format!("{HASTY}{more}{CONNECTOR}")).await
}

/// The operator pushes the button and waits for what comes of it.
fn push(ground: &Ground, what: Value) -> JoinHandle<Result<Introduced, ClientError>> {
    let client = ground.client.clone();
    tokio::spawn(async move { client.post(PATH, &what).await })
}

/// Says that the button of `device` was pushed until that is answered, and with what.
async fn answered(link: &mut Link, device: &Device) -> Frame {
    loop {
        link.send(&device.pushed()).await;
        if let Ok(frame) = timeout(Duration::from_millis(20), link.next()).await {
            return frame.expect("a connection");
        }
    }
}

/// The device after its button was pushed, which has just learnt the configurator's key.
async fn pushed(device: Device, link: &mut Link) -> Device {
    let key = device.push(link).await.unwrap();
    Device { knows: Some(key), mutual: Mutual::Required, ..device }
}

async fn checks(ground: &Ground) -> Vec<String> {
    let audit: Page<AuditEvent> = ground.client.get("/v1/audit?limit=1000").await.unwrap();
    let pushes = audit.items.into_iter().filter(|event| event.action == "button-pushed");
    let check = |event: AuditEvent| match event.outcome {
        Outcome::Refused(refusal) => refusal.check.to_string(),
        outcome => format!("{outcome:?}"),
    };
    pushes.map(check).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_device_is_configured_and_known_to_be_a_duckling() {
    let ground = hasty("").await;
    for (number, curve) in (0..).zip(Curve::ALL) {
        let serial = format!("D-{number}");
        let operator = push(&ground, json!({ "curve": curve.name(), "serial_number": serial, "model": "bulb" }));
        let mut link = Link::to(ground.address).await;
        let device = pushed(Device { serial: serial.clone(), ..Device::on(curve, number) }, &mut link).await;
        // By the same connection the configurator goes on.
        assert!(device.answer(&mut link).await.unwrap().done.is_ok(), "{curve}");
        assert_eq!(operator.await.unwrap().unwrap().device, serial);
        let shown: Value = ground.client.get(&format!("/v1/network/devices/{serial}")).await.unwrap();
        assert_eq!(shown["configuration"]["introduced"], "push-button");
        assert_eq!(shown["configuration"]["network_authenticated"], false, "both proved their keys, and no more");
        assert_eq!(shown["model"], "bulb");
    }
    assert_eq!(checks(&ground).await, ["Done"; 6]);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_are_one_too_many_whenever_the_other_one_comes() {
    let ground = Ground::new().await;
    let (mut one, mut other) = (Link::to(ground.address).await, Link::to(ground.address).await);
    let operator = push(&ground, json!({}));
    answered(&mut one, &Device::new(1)).await;
    other.send(&Device::new(2).pushed()).await;
    assert!(operator.await.unwrap().is_err());
    assert_eq!(checks(&ground).await, ["dpp-pb-overlap"]);
    // Both are remembered for a while: whoever pushes again at once is not told apart from the other.
    let operator = push(&ground, json!({}));
    while !operator.is_finished() {
        one.send(&Device::new(1).pushed()).await;
        tokio::task::yield_now().await;
    }
    assert!(operator.await.unwrap().is_err());
    assert_eq!(checks(&ground).await, ["dpp-pb-overlap"; 2]);
    let book: Page<Value> = ground.client.get("/v1/network/devices").await.unwrap();
    assert!(book.items.is_empty(), "neither is known");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_over_when_its_time_is() {
    let ground = Ground::with(&format!("[configurator.push-button]\nwindow = \"0s\"\n{CONNECTOR}")).await;
    assert!(push(&ground, json!({})).await.unwrap().is_err());
    assert_eq!(checks(&ground).await, ["dpp-pb-window"]);
    let (device, known) = (Device::new(1), Device::new(2));
    ground.own(&known).await;
    let mut link = Link::to(ground.address).await;
    assert!(link.is_silent_to(&device.pushed(), &known).await);
    assert_eq!(ground.refusal().await, "push-button-not-pushed");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_push_is_for_one_device_and_there_is_one_at_a_time() {
    let ground = hasty("").await;
    let operator = push(&ground, json!({}));
    let mut link = Link::to(ground.address).await;
    let first = Device::new(1);
    let key = first.push(&mut link).await.unwrap();
    assert!(Device { knows: Some(key), ..first }.answer(&mut link).await.unwrap().done.is_ok());
    assert!(operator.await.unwrap().is_ok());
    let (second, known) = (Device::new(2), Device::new(3));
    ground.own(&known).await;
    assert!(Link::to(ground.address).await.is_silent_to(&second.pushed(), &known).await);
    assert_eq!(ground.unanswered().await[0].check, "push-button-not-pushed");
    ground.stop().await;

    let ground = Ground::new().await;
    let operator = push(&ground, json!({}));
    let mut link = Link::to(ground.address).await;
    answered(&mut link, &Device::new(1)).await;
    let another = push(&ground, json!({})).await.unwrap().unwrap_err();
    assert!(another.to_string().contains("push-button-pushed"), "{another}");
    assert!(!operator.is_finished());
    ground.stop().await;
    operator.abort();
}

/// Somebody repeats what the device said, hears the nonce, and has no such key.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_repeats_what_a_device_said_is_not_that_device() {
    let ground = hasty("").await;
    let operator = push(&ground, json!({}));
    let (device, thief) = (Device::new(1), Device::new(2));
    let mut link = Link::to(ground.address).await;
    let Frame::Action(answer) = answered(&mut link, &device).await else { panic!("a GAS frame") };
    let nonce = answer.attributes().unwrap().need(AttributeId::ConfiguratorNonce).unwrap().to_vec();
    let config = pkex::Config {
        code: Code::new(Some("PBPKEX"), &nonce).unwrap(),
        bootstrap: thief.key.public().clone(),
        version: 3,
        versions: pkex::Versions::Two,
        link: pkex::Link::Tcp,
        timing: pkex::Timing::default(),
    };
    let mut responder = pkex::Responder::new(config, Box::new(random(7)));
    link.send(&device.pushed()).await;
    while !operator.is_finished() {
        let Ok(Some(frame)) = timeout(Duration::from_millis(20), link.next()).await else { continue };
        let mut next = Some(pkex::Input::Frame { frame, from: None });
        while let Some(input) = next.take() {
            responder.handle(Time::now(), input).unwrap();
            while let Some(output) = responder.poll_output() {
                match output {
                    pkex::Output::Send(frame) => link.send(&frame).await,
                    pkex::Output::Agree(point) => next = Some(pkex::Input::Agreed(thief.key.agree(&point).unwrap())),
                    _ => {}
                }
            }
        }
    }
    assert!(operator.await.unwrap().is_err());
    assert_eq!(checks(&ground).await, ["dpp-pb-hash"]);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_decides_of_those_who_were_pushed_as_of_others() {
    let ground = hasty("[configurator.acceptance]\nserials = [\"D-000002\"]\nothers = \"deny\"\n").await;
    let operator = push(&ground, json!({}));
    Device::new(1).push(&mut Link::to(ground.address).await).await.unwrap();
    assert!(operator.await.unwrap().is_err());
    assert_eq!(checks(&ground).await, ["policy-denied"]);
    assert!(ground.unanswered().await.iter().any(|unanswered| unanswered.check == "policy-denied"));
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_that_want_to_be_authenticated_take_nobody_by_a_push() {
    let ground = Ground::with(&format!("{HASTY}{CONNECTOR}mutual = \"required\"\n")).await;
    assert!(push(&ground, json!({})).await.unwrap().is_err());
    assert_eq!(checks(&ground).await, [""; 0], "nothing was begun");
    ground.stop().await;

    // One does, and the other does not: the device gets that alone.
    let networks = "[[configurator.network]]\nssid = \"Strict\"\nkind = \"connector\"\nmutual = \"required\"\n";
    let ground = Ground::with(&format!("{HASTY}{networks}{CONNECTOR}")).await;
    let operator = push(&ground, json!({}));
    let mut link = Link::to(ground.address).await;
    let device = pushed(Device::new(1), &mut link).await;
    let onboarded = device.answer(&mut link).await.unwrap();
    assert_eq!(onboarded.received.objects.len(), 1);
    assert_eq!(onboarded.object().discovery.ssid, b"Home");
    assert!(operator.await.unwrap().is_ok());
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_for_another_configurator_is_not_taken_by_a_push() {
    let ground = hasty("").await;
    let (device, other) = (Device::new(1), Device::new(2));
    ground.enter(&device, "home", |entry| entry.configurator = Some(other.key.public().bootstrap_hash())).await;
    let operator = push(&ground, json!({}));
    device.push(&mut Link::to(ground.address).await).await.unwrap();
    assert!(operator.await.unwrap().is_err());
    assert_eq!(checks(&ground).await, ["configurator-of-device"]);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_taken_by_the_tenant_whose_button_was_pushed() {
    let ground = Ground::with(&format!("{HASTY}{CONNECTOR}{HOSTED}")).await;
    let operator = push(&ground, json!({ "tenant": "other" }));
    let mut link = Link::to(ground.address).await;
    let device = pushed(Device::new(1), &mut link).await;
    assert_eq!(device.answer(&mut link).await.unwrap().object().discovery.ssid, b"Theirs");
    assert!(operator.await.unwrap().is_ok());
    let held = |tenant: &str| {
        let key = Bootstrapping::key_of(&tenant.parse().unwrap(), &device.key.public().bootstrap_hash());
        ground.store.find::<Bootstrapping>(&key).unwrap().is_some()
    };
    assert_eq!((held("home"), held("other")), (false, true));
    ground.stop().await;
}

/// The device hears two, and takes neither.
#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_that_push_at_the_same_time_both_answer() {
    let ground = Ground::with(&format!("{CONNECTOR}{HOSTED}")).await;
    let operators = [push(&ground, json!({})), push(&ground, json!({ "tenant": "other" }))];
    let (mut link, mut heard) = (Link::to(ground.address).await, BTreeSet::new());
    while heard.len() < 2 {
        let Frame::Action(answer) = answered(&mut link, &Device::new(2)).await else { panic!("a GAS frame") };
        heard.insert(answer.attributes().unwrap().need(AttributeId::InitiatorBootstrapHash).unwrap().to_vec());
    }
    ground.stop().await;
    operators.iter().for_each(JoinHandle::abort);
}
