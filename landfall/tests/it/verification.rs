//! `landfall run authorizer`, killed at random points: what it has acknowledged is there, and so is what followed from it.

use crate::{
    says,
    survives::{number, seed},
};
use landfall_assurance::{Dossier, Fact, Kind, Level};
use landfall_lifecycle::verification::Assessment;
use landfall_policy::Value;
use landfall_server::admin::{
    Address, Client,
    view::{Facts, FactsTaken},
};
use landfall_store::Store;
use landfall_testkit::{Rng, Running, temp_dir};
use landfall_types::{DeviceId, Time};
use std::{collections::BTreeMap, path::Path, process::Command};

const DEVICES: u64 = 20;
const SETTINGS: &str = "[log]\nformat = \"json\"\n[metrics]\nlisten = \"\"\n[authorizer]\nbrake.share = 100\ndwell = \"0s\"\n\
                        recover = \"0s\"\n";

fn device(number: u64) -> DeviceId {
    format!("07.K-{number:04}").parse().unwrap()
}

fn start(folder: &Path) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(["run", "authorizer", "--json"]).current_dir(folder);
    let mut running = Running::start(&mut command);
    running.until("}");
    running
}

fn fact(device: &DeviceId, kind: Kind, value: Value) -> Fact {
    let (subject, at) = (device.clone(), Time::now());
    Fact { subject, kind, value, source: "test".into(), issuer: None, at, expires: None, verifier: "test".into() }
}

#[test]
fn a_killed_authorizer_has_kept_what_it_acknowledged() {
    let (kills, seed) = (number("LANDFALL_KILLS").unwrap_or(8), seed());
    println!("LANDFALL_KILL_SEED={seed} LANDFALL_KILLS={kills}");
    let (folder, mut rng) = (temp_dir(), Rng::new(seed));
    std::fs::write(folder.path().join("landfall.toml"), SETTINGS).unwrap();
    assert_eq!(says(folder.path(), &["network", "init"]).0, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(Address::Local(folder.path().join("data/admin.sock")));
    let tell = |facts: Vec<Fact>| {
        runtime.block_on(client.post::<FactsTaken>("/v1/verification/facts", &Facts { facts })).map(drop)
    };
    let mut acknowledged: BTreeMap<DeviceId, Value> = BTreeMap::new();
    let mut server = start(folder.path());
    for number in 0..DEVICES {
        let device = device(number);
        let trusted = [Kind::ManufacturerTrusted, Kind::DeviceTrusted, Kind::TypeBound, Kind::SbomKnown];
        let mut facts: Vec<Fact> = trusted.into_iter().map(|kind| fact(&device, kind, true.into())).collect();
        facts.push(fact(&device, Kind::DeviceType, "maker/sensor".into()));
        facts.push(fact(&device, Kind::VulnerabilityScore, 0.into()));
        tell(facts).unwrap();
    }
    for _ in 0..kills {
        let until = 5 + rng.next() % 40;
        for step in 0..until {
            let device = device(rng.next() % DEVICES);
            let contact: Value = match rng.next() % 2 {
                0 => Vec::new().into(),
                _ => vec![format!("192.0.2.{}", rng.next() % 200)].into(),
            };
            if step + 1 == until {
                server.signal("KILL");
            }
            // What is not acknowledged may be there or not.
            match tell(vec![fact(&device, Kind::DenyListContact, contact.clone())]) {
                Ok(()) => drop(acknowledged.insert(device, contact)),
                Err(_) => drop(acknowledged.remove(&device)),
            }
        }
        server.wait();
        check(folder.path(), &acknowledged);
        server = start(folder.path());
    }
    server.signal("TERM");
    assert!(server.wait().success());
}

/// Every fact that was acknowledged, and the level that follows from it.
fn check(folder: &Path, acknowledged: &BTreeMap<DeviceId, Value>) {
    let store = Store::sqlite(folder.join("data/landfall.db")).unwrap();
    for log in ["verification-facts", "verification-decisions"] {
        store.verify_log(log).unwrap();
    }
    for (device, contact) in acknowledged {
        let dossier = store.find::<Dossier>(device.as_str()).unwrap().unwrap().record;
        assert_eq!(dossier.of(Kind::DenyListContact).next().map(|fact| &fact.value), Some(contact), "{device}");
        let level = store.find::<Assessment>(device.as_str()).unwrap().unwrap().record.level;
        let expected = if *contact == Vec::new().into() { Level::Full } else { Level::Quarantine };
        assert_eq!(level, expected, "{device}");
    }
}
