use super::{Office, config, listed};
use landfall_assurance::{Kind, Level};
use landfall_lifecycle::verification::Assessment;
use landfall_server::World;
use landfall_store::Store;
use landfall_types::{DeviceId, Fault};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let office = Office::with(Store::sqlite_shared(&path).unwrap(), config(), 0).await;
    let devices = office.devices(30).await;
    office.say(&devices[0], Kind::DenyListContact, listed(), "feed").await;
    let before = office.authorizer.view(&devices[0]).unwrap();
    drop(office.close().await);
    let office = Office::with(Store::sqlite_shared(&path).unwrap(), config(), 5).await;
    let after = office.authorizer.view(&devices[0]).unwrap();
    assert_eq!(
        (&after.dossier, after.assessment.as_ref().map(|it| it.level)),
        (&before.dossier, Some(Level::Quarantine))
    );
    // The brake remembers too: three in thirty, and one was before.
    let facts = devices.iter().map(|device| office.fact(device, Kind::DenyListContact, listed(), "feed")).collect();
    office.authorizer.assert(facts).await.unwrap();
    assert_eq!(devices.iter().filter(|device| !office.level(device).is_working()).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_away_nobody_joins_and_its_last_word_counts_until_it_expires() {
    let office = Office::open().await;
    let devices = office.devices(2).await;
    office.say(&devices[0], Kind::DenyListContact, listed(), "feed").await;
    let world = office.close().await;
    let gate = &world.authorizer;
    assert!(gate.is_away());
    let now = world.clock.now();
    let refusal = gate.join(&devices[1], Vec::new()).await.unwrap_err();
    assert_eq!(refusal.check, "authorizer-away");
    gate.operate(&devices[1], "unlock").await.unwrap_err();
    gate.tell(Vec::new()).await.unwrap_err();
    let level = |device: &DeviceId, at| gate.level(&world.store, device, at).map(|known| known.unwrap().0);
    assert_eq!(level(&devices[0], now), Ok(Level::Quarantine));
    assert_eq!(level(&devices[1], now), Ok(Level::Full));
    let last = world.store.find::<Assessment>(devices[1].as_str()).unwrap().unwrap().record;
    for (device, at) in [(&devices[1], last.until), (&"07.unknown".parse().unwrap(), now)] {
        let refusal = level(device, at).unwrap_err();
        assert_eq!((refusal.check.as_ref(), refusal.fault), ("authorizer-away", Fault::Denied));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_none_nothing_is_asked() {
    let world = World::new(Store::memory(), std::sync::Arc::new(landfall_element::MemoryElement::new()));
    let device: DeviceId = "07.one".parse().unwrap();
    assert_eq!(world.authorizer.join(&device, Vec::new()).await, Ok(None));
    assert_eq!(world.authorizer.operate(&device, "unlock").await, Ok(None));
    assert_eq!(world.authorizer.level(&world.store, &device, world.clock.now()), Ok(None));
    world.authorizer.tell(Vec::new()).await.unwrap();
}
