//! The program: what it answers, and its exit status.

use super::{registrar::instead, world::World};
use landfall_brski::paths;
use landfall_types::http::Response;
use serde_json::Value;
use std::process::Output;

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn yes_is_zero_and_no_is_one() {
    let world = World::new().await;
    let status = world.run(&["status", "--json"]).await;
    assert_eq!(status.status.code(), Some(1));
    assert_eq!(json(&status)["credential"], Value::Null);
    assert_eq!(json(&status)["serial-number"], "SN-0001");

    let onboard = world.run(&["onboard", "--json", "--attempts", "1"]).await;
    assert_eq!(onboard.status.code(), Some(0), "{onboard:?}");
    assert_eq!(json(&onboard)["onboarded"], true);
    assert_eq!(json(&onboard)["result"]["reported"], true);

    let status = world.run(&["status"]).await;
    assert_eq!(status.status.code(), Some(0));
    let words = String::from_utf8(status.stdout).unwrap();
    assert!(words.contains("Onboarded.") && words.contains("CN=registrar.example"), "{words}");

    let renew = world.run(&["renew", "--keep-key", "--json"]).await;
    assert_eq!(renew.status.code(), Some(0));
    let key = |output: &Output| json(output)["result"]["credential"]["key"].clone();
    assert_eq!(key(&renew), key(&onboard));

    let reset = world.run(&["reset", "--json"]).await;
    assert_eq!((reset.status.code(), json(&reset)["forgot"].clone()), (Some(0), Value::Bool(true)));
    assert_eq!(world.run(&["status"]).await.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_check_and_its_section() {
    let world = World::new().await;
    world.registrar().voucher = Box::new(|members| drop(members.insert("serial-number".into(), "SN-0002".into())));
    let onboard = world.run(&["onboard", "--attempts", "1", "--json"]).await;
    assert_eq!(onboard.status.code(), Some(1));
    let refusal = &json(&onboard)["refusal"];
    assert_eq!(refusal["check"], "voucher-serial-number");
    assert_eq!(refusal["section"], "RFC 8995 s5.6.1");
    assert!(world.ldevid_keys().is_empty());
    let words = world.run(&["onboard", "--attempts", "1"]).await;
    assert!(String::from_utf8(words.stdout).unwrap().starts_with("Not onboarded: voucher-serial-number"));
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_bounded_on_request() {
    let world = World::new().await;
    world.registrar().quirk = instead(paths::SIMPLE_ENROLL, |_| Response::new(500));
    let onboard = world.run(&["onboard", "--timeout", "2", "--json"]).await;
    assert_eq!(onboard.status.code(), Some(1), "{onboard:?}");
    assert_eq!(json(&onboard)["refusal"]["check"], "device-time-limit");
    assert_eq!(json(&onboard)["undecided"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn not_decided_yet_is_neither_yes_nor_no() {
    let world = World::new().await;
    world.registrar().quirk = instead(paths::REQUEST_VOUCHER, |_| Response::new(202).header("retry-after", "60"));
    let onboard = world.run(&["onboard", "--timeout", "5", "--json"]).await;
    assert_eq!(onboard.status.code(), Some(2), "{onboard:?}");
    assert_eq!(json(&onboard)["undecided"], true);
    let refusal = &json(&onboard)["refusal"];
    assert_eq!((&refusal["check"], &refusal["section"]), (&"device-undecided".into(), &"RFC 8995 s5.6".into()));
    let detail = refusal["detail"].as_str().unwrap();
    assert!(detail.contains("CN=registrar.example") && detail.contains(" at "), "{detail}");
    assert!(detail.ends_with("have the device approved there, and onboard it again"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_done_is_two() {
    let world = World::new().await;
    assert_eq!(world.run(&["renew"]).await.status.code(), Some(2));
    std::fs::remove_file(world.path("bundle.json")).unwrap();
    std::fs::remove_dir_all(world.path("state")).unwrap();
    let no_bundle = world.run(&["onboard"]).await;
    assert_eq!(no_bundle.status.code(), Some(2));
    assert!(String::from_utf8(no_bundle.stderr).unwrap().contains("bundle.json: there is no such file"));
    assert_eq!(world.run(&["dance"]).await.status.code(), Some(2));
}
