//! The factory line: stations, manifests, rejects, and telling others.

use super::{Place, order, product, quietly};
use landfall_lifecycle::factory::{Batch, FactoryDevice, Method, Reject};
use landfall_pki::{
    Algorithm, Anchors, Certificate, CsrRequest, Name, SignedDataBuilder, Signer, SoftwareKey, cms::ContentDigest, pem,
};
use landfall_server::factory::{
    Choice, ExportFormat, Factory, FactoryError, Verified, Which, news, signature_of, told, verify_manifest,
};
use landfall_store::Store;
use landfall_testkit::tool;
use landfall_types::{Changes, DeviceBundle, Refusal, Time};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn refused<T: std::fmt::Debug>(result: Result<T, FactoryError>) -> Refusal {
    match result {
        Err(FactoryError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn station(factory: Factory, name: &str) -> Factory {
    factory.at_station(name.parse().unwrap())
}

fn rejects(factory: &Factory) -> Vec<Reject> {
    let mut rejects = Vec::new();
    factory
        .each_reject(&mut |reject| {
            rejects.push(reject);
            Ok(())
        })
        .unwrap();
    rejects
}

#[test]
fn two_stations_never_get_one_serial_range() {
    let place = Place::new();
    let store = Store::memory();
    let (a, b) = (station(place.factory_on(store.clone()), "A"), station(place.factory_on(store), "B"));
    let made = a.provision_from(&order(10), Some(101), &quietly).unwrap();
    assert_eq!(made.batch.range.first, 101);
    for first in [92, 101, 105, 110] {
        let refusal = refused(b.provision_from(&order(10), Some(first), &quietly));
        assert_eq!(refusal.check, "serial-range-unused");
        assert!(refusal.detail.contains("of station A"), "{refusal}");
    }
    // Beside them on both sides, although others begin higher.
    b.provision_from(&order(10), Some(91), &quietly).unwrap();
    b.provision_from(&order(10), Some(111), &quietly).unwrap();
    assert_eq!(a.provision(&order(1), &quietly).unwrap().batch.range.first, 121);
    // A device that was certified by itself is in no batch.
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let csr = CsrRequest::new(Name::common("T1")).prepare(key.public_key(), key.algorithm()).unwrap();
    let csr = csr.issue(&key).unwrap();
    let one = a.certify(&product(), Method::OnDevice, csr.der(), Choice::Factory).unwrap();
    assert_eq!(product().serials.counter(&one.serial_number).unwrap(), 122);
    let refusal = refused(b.provision_from(&order(2), Some(121), &quietly));
    assert!(refusal.detail.contains("the batch"), "{refusal}");
    let refusal = refused(b.provision_from(&order(2), Some(122), &quietly));
    assert!(refusal.detail.contains(one.serial_number.as_str()), "{refusal}");
    b.provision_from(&order(2), Some(123), &quietly).unwrap();
    assert_eq!(b.store().count::<FactoryDevice>().unwrap(), 10 + 10 + 10 + 1 + 1 + 2);
}

#[test]
fn a_batch_that_another_station_makes_is_not_resumed() {
    let place = Place::new();
    let store = Store::memory();
    let (a, b) = (place.factory_on(store.clone()), place.factory_on(store));
    let progress = |_| {
        assert_eq!(b.unfinished().unwrap(), []);
        assert!(b.resume(&quietly).unwrap().is_empty());
    };
    a.provision(&order(3), &progress).unwrap();
}

/// A factory that has made a batch, with its manifest.
struct Made {
    place: Place,
    factory: Factory,
    manifest: PathBuf,
    bundles: Vec<DeviceBundle>,
}

impl Made {
    fn new() -> Self {
        let place = Place::new();
        let factory = station(place.factory(), "line-1");
        let made = factory.provision(&order(5), &quietly).unwrap();
        assert_eq!(made.manifest, place.folder.path().join(format!("manifests/{}.json", made.batch.id)));
        Self { bundles: super::bundles(&made.folder), place, factory, manifest: made.manifest }
    }

    fn signature(&self) -> Vec<u8> {
        fs::read(signature_of(&self.manifest)).unwrap()
    }

    fn verify(&self, signature: &[u8]) -> Result<Verified, FactoryError> {
        let root = Anchors::of(self.place.certificates("root.pem"));
        verify_manifest(&self.manifest, signature, &root, Time::now())
    }

    /// A signature by somebody else.
    fn signed_by(&self, chain: &[Certificate], key: &SoftwareKey) -> Vec<u8> {
        let mut digest = ContentDigest::for_signer(&chain[0]).unwrap();
        digest.update(&fs::read(&self.manifest).unwrap());
        let builder = SignedDataBuilder::detached(digest, &chain[0], chain[1..].to_vec());
        builder.prepare(Some(Time::now())).unwrap().issue(key).unwrap()
    }
}

#[test]
fn a_batch_has_a_signed_manifest() {
    let made = Made::new();
    let verified = made.verify(&made.signature()).unwrap();
    assert_eq!((verified.devices, verified.rejects, verified.manufacturer.as_str()), (5, 0, "Example Devices"));
    let text = fs::read_to_string(&made.manifest).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["batch"]["station"], &json["batch"]["method"]), (&"line-1".into(), &"loaded".into()));
    assert_eq!(json["batch"]["count"], 5);
    for bundle in &made.bundles {
        let idevid = Certificate::from_pem(&bundle.idevid).unwrap();
        let listed = json["devices"].as_array().unwrap();
        let device = listed.iter().find(|device| device["serial-number"] == bundle.serial_number.as_str()).unwrap();
        assert_eq!(device["idevid"], idevid.fingerprint().to_string());
    }
    assert!(!text.contains("PRIVATE"));
    // What else may be listed.
    let path = made.place.folder.path().join("all.json");
    assert_eq!(made.factory.write_manifest(&Which::All, &path).unwrap(), 5);
    let root = Anchors::of(made.place.certificates("root.pem"));
    let verified = verify_manifest(&path, &fs::read(signature_of(&path)).unwrap(), &root, Time::now()).unwrap();
    assert_eq!((verified.batch, verified.devices), (None, 5));
}

#[test]
fn openssl_verifies_a_manifest() {
    let Some(openssl) = tool("openssl") else { return };
    let made = Made::new();
    let verifies = |manifest: &Path| {
        let mut command = Command::new(&openssl);
        command.args(["cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-out", "/dev/null", "-in"]);
        command.arg(signature_of(&made.manifest)).arg("-content").arg(manifest);
        command.arg("-CAfile").arg(made.place.manufacturer().join("root.pem"));
        command.output().unwrap().status.success()
    };
    assert!(verifies(&made.manifest));
    let other = made.place.folder.path().join("other.json");
    fs::write(&other, fs::read_to_string(&made.manifest).unwrap().replacen("line-1", "line-2", 1)).unwrap();
    assert!(!verifies(&other));
}

#[test]
fn a_manifest_that_was_tampered_with_is_refused() {
    let made = Made::new();
    let (text, signature) = (fs::read_to_string(&made.manifest).unwrap(), made.signature());
    let check = |text: &str, signature: &[u8]| {
        fs::write(&made.manifest, text).unwrap();
        refused(made.verify(signature)).check.into_owned()
    };
    assert_eq!(check(&text.replacen("line-1", "line-2", 1), &signature), "manifest-signature");
    let one_less = text.rsplit_once(",\n").unwrap().0.to_owned() + "],\"rejects\":[]}\n";
    assert_eq!(check(&one_less, &signature), "manifest-signature");
    assert_eq!(check(&text, &[]), "manifest-signature");
    let mut changed = signature.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(check(&text, &changed), "manifest-signature");
    // Another manufacturer's, in the same words.
    fs::write(&made.manifest, &text).unwrap();
    let other = Made::new();
    let root = Anchors::of(other.place.certificates("root.pem"));
    let refusal = refused(verify_manifest(&made.manifest, &signature, &root, Time::now()));
    assert!(refusal.check.starts_with("path-"), "{refusal}");
    // A device's certificate leads to the same root.
    let bundle = &made.bundles[0];
    let key = pem::decode(bundle.key.as_ref().unwrap().0.expose()).unwrap().remove(0);
    let key = SoftwareKey::from_pkcs8_der(&key.der).unwrap();
    let chain = Certificate::chain_from_pem(&format!("{}{}", bundle.idevid, bundle.chain)).unwrap();
    let refusal = refused(made.verify(&made.signed_by(&chain, &key)));
    assert!(refusal.check.starts_with("path-"), "{refusal}");
    assert!(made.verify(&signature).is_ok());
}

#[test]
fn what_an_interruption_cost_stands_among_the_rejects() {
    let made = Made::new();
    let serial = made.bundles[2].serial_number.clone();
    // Staged, and neither recorded nor handed out.
    let folder = made.place.bundles().join(made.manifest.file_stem().unwrap());
    let other = fs::read_to_string(folder.join(format!("{}.json", made.bundles[1].serial_number))).unwrap();
    let other = other.replace(made.bundles[1].serial_number.as_str(), serial.as_str());
    fs::create_dir(folder.join(".staged-0")).unwrap();
    fs::write(folder.join(format!(".staged-0/{serial}.json")), other).unwrap();
    let batch = made.factory.store().scan::<Batch>(None, 1).unwrap().remove(0).record;
    let interrupted = Batch { finished: None, ..batch };
    made.factory.store().commit_blocking(Changes::new().put(&interrupted).unwrap()).unwrap();
    fs::remove_file(&made.manifest).unwrap();

    let resumed = made.factory.resume(&quietly).unwrap().remove(0);
    assert_eq!(resumed.made_anew, std::slice::from_ref(&serial));
    let rejects = rejects(&made.factory);
    assert_eq!((rejects.len(), rejects[0].device.as_str()), (1, serial.as_str()));
    assert_eq!((rejects[0].check.as_str(), rejects[0].station.clone()), ("interrupted", "line-1".parse().ok()));
    let verified = made.verify(&made.signature()).unwrap();
    assert_eq!((verified.devices, verified.rejects), (5, 1));
}

#[test]
fn every_device_that_is_refused_is_on_record_with_the_reason() {
    let place = Place::new();
    let factory = station(place.factory(), "B");
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let csr = CsrRequest::new(Name::common("T1")).prepare(key.public_key(), key.algorithm()).unwrap();
    let mut csr = csr.issue(&key).unwrap().der().to_vec();
    *csr.last_mut().unwrap() ^= 1;
    factory.certify(&product(), Method::OnDevice, &csr, Choice::Factory).unwrap_err();
    factory.certify(&product(), Method::InSecureElement, b"0\x03abc", Choice::Factory).unwrap_err();
    let seed = landfall_types::Redacted::new(vec![7; 32]);
    factory.derive(&product(), "D-1".parse().unwrap(), &seed).unwrap();
    let other = landfall_types::Redacted::new(vec![8; 32]);
    factory.derive(&product(), "D-1".parse().unwrap(), &other).unwrap_err();
    let found = rejects(&factory);
    let found: Vec<_> = found.iter().map(|reject| (reject.method, reject.check.as_str())).collect();
    assert_eq!(
        found,
        [
            (Method::OnDevice, "csr-possession"),
            (Method::InSecureElement, "request-readable"),
            (Method::FromSeed, "serial-number-unused"),
        ]
    );
    assert_eq!(rejects(&factory)[2].device, "D-1");
    assert!(rejects(&factory).iter().all(|reject| reject.station == "B".parse().ok()));
}

#[test]
fn records_are_exported_as_a_table() {
    let place = Place::new();
    let factory = place.factory();
    let made = factory.provision(&order(2), &quietly).unwrap();
    let serial = made.batch.range.serials().next().unwrap().unwrap();
    factory.void(&serial, "fell, \"hard\"").unwrap();
    let mut out = Vec::new();
    let which = Which::Batch(made.batch.id.clone());
    assert_eq!(factory.export_as(&which, ExportFormat::Csv, &mut out).unwrap(), 2);
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0].split(',').count()), (3, 12));
    assert!(lines[1].starts_with(&format!("{serial},T1,loaded,")), "{}", lines[1]);
    assert!(lines[1].ends_with(",\"fell, \"\"hard\"\"\""), "{}", lines[1]);
    assert!(factory.export_as(&Which::Batch("no".into()), ExportFormat::Csv, &mut Vec::new()).is_err());
}

#[test]
fn news_go_on_where_they_were_interrupted() {
    let place = Place::new();
    let factory = place.factory();
    let store = factory.store();
    assert_eq!(news(store, "masa", None, 100).unwrap(), None);
    factory.provision(&order(200), &quietly).unwrap();
    // Up to 64 devices share an entry, and an entry is told as a whole.
    let first = news(store, "masa", None, 100).unwrap().unwrap();
    assert_eq!((first.devices.len(), first.upto), (128, 2));
    assert_eq!(news(store, "masa", None, 100).unwrap().unwrap(), first, "nobody was told yet");
    told(store, "masa", first.upto).unwrap();
    let rest = news(store, "masa", None, 100).unwrap().unwrap();
    assert_eq!((rest.devices.len(), rest.upto), (72, 4));
    told(store, "masa", rest.upto).unwrap();
    assert_eq!(news(store, "masa", None, 100).unwrap(), None);
    assert_eq!(news(store, "service", None, 1000).unwrap().unwrap().devices.len(), 200);
    let serial = first.devices[0].serial_number.clone();
    factory.void(&serial, "lost").unwrap();
    let again = news(store, "masa", None, 100).unwrap().unwrap();
    assert_eq!(
        again.devices.iter().map(|device| (&device.serial_number, device.void.is_some())).collect::<Vec<_>>(),
        [(&serial, true)]
    );
    assert_eq!(news(store, "masa", Some(0), 1000).unwrap().unwrap().devices.len(), 200);
}
