//! A configurator that is killed at random points: every device is onboarded, and what it has is what is on record.
//!
//! `LANDFALL_KILL_DEVICES` says how many devices there are, `LANDFALL_KILL_SEED` repeats the draws of an earlier run.

use super::device::Device;
use landfall_lifecycle::{
    device::State,
    network::{CREDENTIAL_LOG, DomainDevice, Identity, LOG, NetworkCredential},
    transfer::{Bootstrapping, DppRole, Held, Via},
};
use landfall_server::{Server, Settings, open, shutdown};
use landfall_store::Store;
use landfall_testkit::{Rng, Running};
use landfall_types::{Changes, OwnerId, Time};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

const FOLDER: &str = "LANDFALL_TEST_CONFIGURATOR";
const AT_ONCE: usize = 16;
const KILLS: u64 = 6;

fn settings(folder: &Path) -> Settings {
    let text = "[metrics]\nlisten = \"\"\n[configurator]\nlisten = \"127.0.0.1:0\"\nannounce = false\n\
                [configurator.limits]\nresponse = \"5s\"\nidle = \"5s\"\n\
                [[configurator.network]]\nssid = \"Home\"\nkind = \"connector+psk\"\n";
    Settings { data: folder.to_owned(), ..Settings::parse(text).unwrap() }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// The child: serves until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other test runs this in a process of its own, and kills it"]
async fn serves_until_killed() {
    let folder = PathBuf::from(std::env::var(FOLDER).expect("run by the other test"));
    let settings = settings(&folder);
    drop(open::element(&settings).unwrap());
    let (_trigger, shutdown) = shutdown();
    let server = Server::build(&settings, &[], shutdown).await.unwrap();
    println!("\nlistens at {}", server.addresses()[0].1);
    server.run().await.unwrap();
}

fn serve(folder: &Path) -> (Running, SocketAddr) {
    let mut child = Running::start(
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "configurator::survives::serves_until_killed", "--nocapture"])
            .env(FOLDER, folder),
    );
    let line = child.until("listens at ");
    let address = line.rsplit(' ').next().unwrap().parse().unwrap();
    (child, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configurator_survives_kills() {
    let (devices, seed) = (number("LANDFALL_KILL_DEVICES").unwrap_or(1000), number("LANDFALL_KILL_SEED"));
    let seed = seed.unwrap_or_else(|| u64::from(UNIX_EPOCH.elapsed().unwrap().subsec_nanos()));
    println!("LANDFALL_KILL_SEED={seed} LANDFALL_KILL_DEVICES={devices}");
    let (folder, mut rng) = (landfall_testkit::temp_dir(), Rng::new(seed));
    let home: OwnerId = "home".parse().unwrap();
    fill(folder.path(), &home, devices).await;

    let (mut child, address) = serve(folder.path());
    let (at, place) = watch::channel(address);
    let (told, mut onboarded) = watch::channel(0);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut coming = JoinSet::new();
    for number in 0..devices {
        let (places, place, told) = (places.clone(), place.clone(), told.clone());
        coming.spawn(async move {
            let device = Device::new(number);
            let _place = places.acquire_owned().await.unwrap();
            let mut attempts = 0;
            let connector = loop {
                attempts += 1;
                let address = *place.borrow();
                if let Some(onboarded) = device.chirp(address).await {
                    break onboarded.object().credential.connector.clone().unwrap();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            told.send_modify(|onboarded| *onboarded += 1);
            (number, connector, attempts)
        });
    }
    // Each kill is somewhere in its own part of the way.
    for kill in 0..KILLS {
        let after = (devices * kill + rng.next() % devices.max(1)) / (KILLS + 1);
        onboarded.wait_for(|onboarded| *onboarded >= after).await.unwrap();
        child.signal("KILL");
        child.wait();
        let (next, address) = serve(folder.path());
        child = next;
        at.send_replace(address);
    }
    let all = async { coming.join_all().await };
    let all = tokio::time::timeout(Duration::from_secs(900), all).await.expect("some devices were never onboarded");
    child.signal("KILL");
    child.wait();

    let store = Store::sqlite(folder.path().join("landfall.db")).unwrap();
    let attempts: u64 = all.iter().map(|(_, _, attempts)| attempts).sum();
    println!("{KILLS} kills, {attempts} attempts of {devices} devices");
    assert_eq!(all.len() as u64, devices);
    for (number, connector, _) in all {
        let hash = Device::new(number).key.public().bootstrap_hash();
        let id = Identity::bootstrapped_id(&home, &hash).unwrap();
        let device = store.find::<DomainDevice>(id.as_str()).unwrap().unwrap();
        assert!(matches!(device.state, State::Enrolled | State::Connected), "{:?}", device.state);
        // A device that has its configuration comes no more: so what it has is the last that was issued to it.
        let credential = store.find::<NetworkCredential>(&NetworkCredential::key_of(&id, "Home")).unwrap().unwrap();
        assert_eq!(credential.connector.as_deref(), Some(connector.as_str()), "device {number}");
    }
    assert_eq!(store.count::<DomainDevice>().unwrap(), devices);
    assert_eq!(store.count::<NetworkCredential>().unwrap(), devices);
    for log in [LOG, CREDENTIAL_LOG, "audit"] {
        store.verify_log(log).unwrap();
    }
}

async fn fill(folder: &Path, tenant: &OwnerId, devices: u64) {
    let store = Store::sqlite(folder.join("landfall.db")).unwrap();
    let mut changes = Changes::new();
    for number in 0..devices {
        let device = Device::new(number);
        let key = device.key.public();
        let entry = Bootstrapping {
            tenant: tenant.clone(),
            bootstrap_hash: key.bootstrap_hash(),
            chirp_hash: key.chirp_hash(),
            uri: device.uri().to_string(),
            serial_number: Some(device.serial.parse().unwrap()),
            model: None,
            device: None,
            role: Some(DppRole::Sta),
            configurator: None,
            received: Time::now(),
            via: Via::File,
            state: Held::Held,
        };
        changes = changes.put(&entry).unwrap();
    }
    store.commit(changes).await.unwrap();
}
