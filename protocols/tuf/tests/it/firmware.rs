//! Releases of firmware, and publishers of which several have to sign.

use super::publisher::now;
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_tuf::{
    Bundle, Fetched, Trust,
    firmware::{Release, choose},
    publish::{self, Target},
};
use landfall_types::Time;
use std::{collections::BTreeMap, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);

fn key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::Ed25519).unwrap()
}

fn until() -> Time {
    now() + DAY
}

fn release(vendor: &str, model: &str, version: &str, sequence: u64) -> Release {
    Release { vendor: vendor.into(), model: model.into(), version: version.into(), sequence }
}

fn bundle(releases: &[Release]) -> Bundle {
    let key = key();
    let target = |release: &Release| Target { content: release.version.clone().into(), custom: Some(release.custom()) };
    let named = |(index, release): (usize, &Release)| (format!("{index}.bin"), target(release));
    let mut files: BTreeMap<String, Target> = releases.iter().enumerate().map(named).collect();
    files.insert("notes.txt".into(), b"not firmware".to_vec().into());
    let source = publish::bundle_of(&[&key], 1, until(), &files).unwrap();
    Trust::pin(&publish::root(&key, until()).unwrap()).unwrap().update(&source, now()).unwrap()
}

#[test]
fn the_newest_release_for_a_device_is_chosen() {
    let all = bundle(&[
        release("Acme", "A", "1.9", 19),
        release("Acme", "A", "2.0", 20),
        release("Acme", "B", "3.0", 30),
        release("Ajax", "A", "4.0", 40),
    ]);
    for installed in [None, Some(0), Some(20)] {
        let (name, chosen) = choose(&all, "Acme", "A", installed).unwrap();
        assert_eq!((name.as_str(), chosen.version.as_str()), ("1.bin", "2.0"));
        assert_eq!(all.length(&name), Some(3));
    }
    let check = |vendor, model, installed| choose(&all, vendor, model, installed).unwrap_err().check.into_owned();
    assert_eq!(check("Acme", "A", Some(21)), "firmware-rollback");
    assert_eq!(check("Acme", "C", None), "firmware-model");
    assert_eq!(check("Ajax", "B", None), "firmware-model");
    assert_eq!(choose(&bundle(&[]), "Acme", "A", None).unwrap_err().check, "firmware-model");
}

#[test]
fn a_threshold_of_keys_signs_and_a_root_follows_a_root() {
    let (a, b, c) = (key(), key(), key());
    let files = BTreeMap::from([("image".to_owned(), Target::from(b"image".to_vec()))]);
    let trust = Trust::pin(&publish::root_of(&[&a, &b], 2, 1, until(), &[]).unwrap()).unwrap();
    let by = |signers: &[&dyn Signer]| publish::bundle_of(signers, 1, until(), &files).unwrap();
    trust.update(&by(&[&a, &b]), now()).unwrap();
    for few in [by(&[&a]), by(&[&a, &a]), by(&[&a, &c])] {
        assert_eq!(trust.update(&few, now()).unwrap_err().check, "bundle-threshold");
    }
    let replaced = |before: &[&dyn Signer]| {
        let mut bundle = by(&[&b, &c]);
        bundle.insert("2.root.json".into(), publish::root_of(&[&b, &c], 2, 2, until(), before).unwrap());
        trust.update(&bundle, now()).map(|bundle| bundle.trust.root_version())
    };
    assert_eq!(replaced(&[&a, &b]).unwrap(), 2);
    assert_eq!(replaced(&[&b]).unwrap_err().check, "bundle-threshold", "one of the former keys is missing");
    for threshold in [0, 2] {
        assert!(publish::root_of(&[&a], threshold, 1, until(), &[]).is_err(), "{threshold} of one");
    }
}

#[test]
fn what_is_wanted_next_is_told_until_there_is_enough() {
    let key = key();
    let trust = Trust::pin(&publish::root(&key, until()).unwrap()).unwrap();
    let files = BTreeMap::from([("image".to_owned(), b"image".to_vec())]);
    let source = publish::bundle(&key, 7, until(), &files).unwrap();
    let (mut fetched, mut asked) = (Fetched::default(), Vec::new());
    let bundle = loop {
        let bundle = trust.update(&fetched, now());
        let Some((path, _)) = fetched.wanted() else { break bundle.unwrap() };
        fetched.put(path.clone(), source.get(&path).cloned());
        asked.push(path);
    };
    assert_eq!(asked, ["2.root.json", "timestamp.json", "7.snapshot.json", "7.targets.json"]);
    bundle.file(&fetched, "image").unwrap_err();
    let (path, longest) = fetched.wanted().unwrap();
    assert_eq!(longest, 5);
    fetched.put(path.clone(), Some(b"images".to_vec()));
    assert_eq!(bundle.file(&fetched, "image").unwrap_err().check, "bundle-file", "longer than was signed");
    assert_eq!(fetched.wanted(), None, "nothing is asked for twice");
    fetched.put(path.clone(), source.get(&path).cloned());
    assert_eq!(bundle.file(&fetched, "image").unwrap(), b"image");
}
