//! A factory that is killed in the middle of a batch, again and again.

use crate::{
    ground::{bundles, entries},
    survives::seed,
};
use landfall_dpp::curve::PrivateKey;
use landfall_lifecycle::factory::FactoryDevice;
use landfall_pki::{Certificate, Signer, SoftwareKey, pem};
use landfall_testkit::{Rng, Running, temp_dir};
use landfall_types::bundle::DeviceBundle;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    time::Duration,
};

const DEVICES: usize = 5000;
/// Enough to be killed in every part of the work, from the range of serial numbers to the last bundle.
const KILLS: usize = 40;

#[test]
fn a_killed_factory_makes_each_device_once() {
    let (seed, folder) = (seed(), temp_dir());
    println!("LANDFALL_KILL_SEED={seed}");
    let mut rng = Rng::new(seed);
    says(folder.path(), &["config", "init"]);
    says(folder.path(), &["factory", "init"]);
    let (mut kills, count) = (0, DEVICES.to_string());
    // Until the batch is known it has to be ordered; from then on it is completed, since another order would be another
    // batch.
    let ordered = || !says(folder.path(), &["factory", "status"])["interrupted"].as_array().unwrap().is_empty();
    let done = || says(folder.path(), &["factory", "status"])["devices"] == DEVICES;
    while kills < KILLS && !done() {
        let order: &[&str] = if ordered() {
            &["factory", "resume"]
        } else {
            &["factory", "provision", "--protocol", "dpp", "--count", &count]
        };
        let mut factory = Running::start(command(folder.path(), order).stderr(std::process::Stdio::null()));
        std::thread::sleep(Duration::from_millis(rng.below(400)));
        factory.signal("KILL");
        kills += usize::from(!factory.wait().success());
    }
    if !ordered() && !done() {
        says(folder.path(), &["factory", "provision", "--protocol", "dpp", "--count", &count]);
    }
    says(folder.path(), &["factory", "resume"]);
    println!("{kills} kills");
    assert!(kills > 3);
    is_complete(folder.path());
}

/// As many records as were ordered, each with its own serial number, keys and certificate, and each with its bundle.
fn is_complete(folder: &Path) {
    let status = says(folder, &["factory", "status"]);
    assert_eq!((status["devices"].as_u64(), &status["interrupted"]), (Some(DEVICES as u64), &Value::Array(vec![])));
    let exported = command(folder, &["factory", "export"]).output().unwrap().stdout;
    let records: Vec<FactoryDevice> =
        String::from_utf8(exported).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), DEVICES);
    assert_eq!(records.iter().map(|device| device.key).collect::<BTreeSet<_>>().len(), DEVICES);
    let bootstrapping = |device: &FactoryDevice| device.dpp.as_ref().unwrap().bootstrap_hash;
    assert_eq!(records.iter().map(bootstrapping).collect::<BTreeSet<_>>().len(), DEVICES);
    assert_eq!(records.iter().map(|device| &device.device).collect::<BTreeSet<_>>().len(), DEVICES);
    let certificates = records.iter().map(|device| Certificate::from_pem(&device.idevid).unwrap().serial_hex());
    assert_eq!(certificates.collect::<BTreeSet<_>>().len(), DEVICES, "two IDevIDs have one serial number");
    let mut records: BTreeMap<String, FactoryDevice> =
        records.into_iter().map(|device| (device.serial_number.to_string(), device)).collect();
    assert_eq!(records.len(), DEVICES, "two devices have one serial number");

    let folders = folder.join("data/bundles");
    let files: Vec<_> = entries(&folders).iter().flat_map(|batch| entries(batch)).collect();
    assert_eq!(files.len(), DEVICES, "there are files that are no bundles");
    for path in bundles(&folders) {
        let bundle: DeviceBundle = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let record = records.remove(bundle.serial_number.as_str()).unwrap();
        let idevid = Certificate::from_pem(&bundle.idevid).unwrap();
        assert_eq!((idevid.fingerprint(), &bundle.idevid), (record.fingerprint, &record.idevid));
        assert_eq!(idevid.subject_serial_number().as_ref(), Some(&record.serial_number));
        let block = pem::decode(bundle.key.unwrap().0.expose()).unwrap().remove(0);
        let key = SoftwareKey::from_pkcs8_der(&block.der).unwrap();
        assert_eq!(key.public_key().fingerprint(), record.key, "{} has the wrong key", record.serial_number);
        let (given, kept) = (bundle.dpp.unwrap(), record.dpp.unwrap());
        assert_eq!(given.uri, kept.uri);
        let block = pem::decode(given.key.unwrap().0.expose()).unwrap().remove(0);
        let key = PrivateKey::from_pkcs8(&block.der).unwrap();
        assert_eq!(key.public().bootstrap_hash(), kept.bootstrap_hash, "{}", record.serial_number);
    }
    assert!(records.is_empty(), "devices without a bundle: {:?}", records.keys());
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(arguments).current_dir(folder);
    command
}

fn says(folder: &Path, arguments: &[&str]) -> Value {
    let output = command(folder, arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
