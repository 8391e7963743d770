//! The attacks of TUF s1.5.2: each is a good bundle with one thing changed.

use super::publisher::{Files, Publisher, id, now, public, signed};
use landfall_pki::{Algorithm, SoftwareKey};
use landfall_tuf::Trust;
use serde_json::Value;
use std::time::Duration;

const FILES: &[(&str, &[u8])] = &[("kev.json", b"{}"), ("osv.jsonl", b"{\"id\":\"x\"}")];

fn refused(trust: &Trust, bundle: &Files) -> String {
    trust.update(bundle, now()).unwrap_err().check.into_owned()
}

/// A file of the bundle with something in it changed, without a new signature.
fn changed(bundle: &Files, name: &str, change: impl Fn(&mut Value)) -> Files {
    let mut bundle = bundle.clone();
    let mut document: Value = serde_json::from_slice(&bundle[name]).unwrap();
    change(&mut document);
    bundle.insert(name.to_owned(), document.to_string().into_bytes());
    bundle
}

#[test]
fn a_good_bundle_gives_its_files() {
    let publisher = Publisher::new();
    let trust = Trust::pin(&publisher.root(1)).unwrap();
    let source = publisher.bundle(FILES);
    let bundle = trust.update(&source, now()).unwrap();
    assert_eq!(bundle.names().collect::<Vec<_>>(), ["kev.json", "osv.jsonl"]);
    assert_eq!(bundle.file(&source, "kev.json").unwrap(), b"{}");
    assert_eq!(bundle.fresh_until.to_string(), "2026-12-01T00:00:00Z");
    bundle.trust.update(&source, now()).expect("the same once more");
    let kept: Trust = serde_json::from_str(&serde_json::to_string(&bundle.trust).unwrap()).unwrap();
    assert_eq!(kept, bundle.trust);
}

#[test]
fn arbitrary_files_and_changed_metadata() {
    let publisher = Publisher::new();
    let trust = Trust::pin(&publisher.root(1)).unwrap();
    let good = publisher.bundle(FILES);
    let bundle = trust.update(&good, now()).unwrap();
    let mut poisoned = good.clone();
    let name = poisoned.keys().find(|name| name.ends_with("kev.json")).unwrap().clone();
    poisoned.insert(name.clone(), b"[]".to_vec());
    assert_eq!(bundle.file(&poisoned, "kev.json").unwrap_err().check, "bundle-digest");
    poisoned.insert(name.clone(), b"{} ".to_vec());
    assert_eq!(bundle.file(&poisoned, "kev.json").unwrap_err().check, "bundle-file", "longer than was signed");
    poisoned.remove(&name);
    assert_eq!(bundle.file(&poisoned, "kev.json").unwrap_err().check, "bundle-file");
    assert_eq!(bundle.file(&good, "epss.csv").unwrap_err().check, "bundle-file");

    let later = |document: &mut Value| document["signed"]["expires"] = "2027-12-01T00:00:00Z".into();
    assert_eq!(refused(&trust, &changed(&good, "timestamp.json", later)), "bundle-threshold");
    assert_eq!(refused(&trust, &changed(&good, "1.snapshot.json", later)), "bundle-digest");
    assert_eq!(refused(&trust, &changed(&good, "1.targets.json", later)), "bundle-digest");
    for name in ["timestamp.json", "1.snapshot.json", "1.targets.json"] {
        let mut bundle = good.clone();
        bundle.remove(name);
        assert_eq!(refused(&trust, &bundle), "bundle-file", "{name}");
    }
    let twice = |document: &mut Value| {
        let one = document["signatures"][0].clone();
        document["signatures"].as_array_mut().unwrap().push(one);
    };
    assert_eq!(refused(&trust, &changed(&good, "timestamp.json", twice)), "bundle-metadata");
    let none = |document: &mut Value| document["signatures"] = serde_json::json!([]);
    assert_eq!(refused(&trust, &changed(&good, "timestamp.json", none)), "bundle-threshold");
}

#[test]
fn somebody_elses_bundle() {
    let (publisher, other) = (Publisher::new(), Publisher::new());
    let trust = Trust::pin(&publisher.root(1)).unwrap();
    assert_eq!(refused(&trust, &other.bundle(FILES)), "bundle-threshold");
    // One key of another role does not do either.
    let mut wrong = publisher.bundle(FILES);
    let timestamp: Value = serde_json::from_slice(&wrong["timestamp.json"]).unwrap();
    wrong.insert("timestamp.json".into(), signed(&timestamp["signed"], &[&publisher.snapshot]));
    assert_eq!(refused(&trust, &wrong), "bundle-threshold");
}

#[test]
fn rollback_freeze_and_mix() {
    let mut publisher = Publisher::new();
    let first = publisher.bundle(FILES);
    publisher.version = 2;
    let second = publisher.bundle(FILES);
    let trust = Trust::pin(&publisher.root(1)).unwrap();
    let trust = trust.update(&second, now()).unwrap().trust;
    assert_eq!(refused(&trust, &first), "bundle-rollback");
    let late = now() + Duration::from_secs(9 * 24 * 3600);
    assert_eq!(trust.update(&second, late).unwrap_err().check, "bundle-expired");
    // A newer timestamp with an older snapshot.
    let mut mixed = second.clone();
    mixed.insert("2.snapshot.json".into(), first["1.snapshot.json"].clone());
    assert_eq!(refused(&trust, &mixed), "bundle-digest");
    // A snapshot that no longer names what it did.
    publisher.version = 3;
    let mut third = publisher.bundle(FILES);
    let mut snapshot: Value = serde_json::from_slice(&third["3.snapshot.json"]).unwrap();
    snapshot["signed"]["meta"] = serde_json::json!({});
    let snapshot = signed(&snapshot["signed"], &[&publisher.snapshot]);
    let mut timestamp: Value = serde_json::from_slice(&third["timestamp.json"]).unwrap();
    timestamp["signed"]["meta"]["snapshot.json"] = serde_json::json!({ "version": 3 });
    third.insert("timestamp.json".into(), signed(&timestamp["signed"], &[&publisher.timestamp]));
    third.insert("3.snapshot.json".into(), snapshot);
    assert_eq!(refused(&trust, &third), "bundle-rollback");
}

#[test]
fn a_root_follows_a_root_that_has_signed_it() {
    let mut publisher = Publisher::new();
    let pinned = publisher.root(1);
    let trust = Trust::pin(&pinned).unwrap();
    let old = std::mem::replace(&mut publisher.timestamp, SoftwareKey::generate(Algorithm::Ed25519).unwrap());
    let mut bundle = publisher.bundle(FILES);
    assert_eq!(refused(&trust, &bundle), "bundle-threshold", "its new key is not known yet");
    bundle.insert("2.root.json".into(), publisher.root(2));
    let updated = trust.update(&bundle, now()).unwrap().trust;
    assert_eq!(updated.root_version(), 2);
    publisher.timestamp = old;
    assert_eq!(refused(&updated, &publisher.bundle(FILES)), "bundle-threshold", "the stolen key is of no use");

    let mut wrong = bundle.clone();
    wrong.insert("2.root.json".into(), signed(&publisher.root_part(2), &[&publisher.root[0]]));
    assert_eq!(refused(&trust, &wrong), "bundle-threshold", "one of two signatures");
    wrong.insert("2.root.json".into(), publisher.root(3));
    assert_eq!(refused(&trust, &wrong), "bundle-rollback", "a gap");
    let other = Publisher::new();
    wrong.insert("2.root.json".into(), signed(&other.root_part(2), &publisher.root.iter().collect::<Vec<_>>()));
    assert_eq!(refused(&trust, &wrong), "bundle-threshold", "its own keys have not signed it");
}

#[test]
fn one_key_under_two_names_is_one_key() {
    let publisher = Publisher::new();
    let mut part = publisher.root_part(1);
    let key = &publisher.root[0];
    part["keys"]["other"] = public(key);
    part["roles"]["root"]["keyids"] = serde_json::json!([id(key), "other"]);
    let mut document: Value = serde_json::from_slice(&signed(&part, &[key])).unwrap();
    let mut one = document["signatures"][0].clone();
    one["keyid"] = "other".into();
    document["signatures"].as_array_mut().unwrap().push(one);
    assert_eq!(Trust::pin(document.to_string().as_bytes()).unwrap_err().check, "bundle-threshold");
}

#[test]
fn a_root_that_asks_for_nothing_or_has_expired() {
    let mut publisher = Publisher::new();
    let mut part = publisher.root_part(1);
    part["roles"]["targets"]["threshold"] = 0.into();
    let all: Vec<&SoftwareKey> = publisher.root.iter().collect();
    let trust = Trust::pin(&signed(&part, &all)).unwrap();
    assert_eq!(refused(&trust, &publisher.bundle(FILES)), "bundle-metadata");
    publisher.expires = "2026-11-22T00:00:00Z";
    let trust = Trust::pin(&publisher.root(1)).unwrap();
    assert_eq!(refused(&trust, &publisher.bundle(FILES)), "bundle-expired");
    for wrong in ["", "{}", "[]", "{\"signed\":{},\"signatures\":[]}", "{\"signed\":1.5,\"signatures\":[]}"] {
        Trust::pin(wrong.as_bytes()).expect_err(wrong);
    }
}
