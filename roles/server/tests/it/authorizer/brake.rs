use super::{Office, listed};
use landfall_assurance::{Kind, Level};
use landfall_types::DeviceId;

async fn poison(office: &Office, devices: &[DeviceId]) {
    let facts = devices.iter().map(|device| office.fact(device, Kind::DenyListContact, listed(), "feed")).collect();
    office.authorizer.assert(facts).await.unwrap();
}

fn out(office: &Office, devices: &[DeviceId]) -> usize {
    devices.iter().filter(|device| !office.level(device).is_working()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_feed_does_not_empty_the_network() {
    let office = Office::open().await;
    let devices = office.devices(100).await;
    poison(&office, &devices).await;
    assert_eq!(out(&office, &devices), 10);
    let braked = office.authorizer.braked();
    assert_eq!((braked.len(), braked[0].source.as_str(), braked[0].done), (1, "feed", 10));
    let held =
        devices.iter().filter(|device| office.authorizer.view(device).unwrap().assessment.unwrap().held.is_some());
    assert_eq!(held.count(), 90);
    // Another source has its say meanwhile.
    let working = devices.iter().find(|device| office.level(device).is_working()).unwrap();
    office.say(working, Kind::DeviceTrusted, false, "operator").await;
    assert_eq!(office.level(working), Level::Blocked);

    assert_eq!(office.authorizer.judge_source("operator", true).await, None, "that one waits for nobody");
    let looked_at = office.authorizer.judge_source("feed", true).await.unwrap();
    assert!((89..=90).contains(&looked_at));
    office.say(&devices[0], Kind::Firmware, "1.0", "records").await;
    assert_eq!(out(&office, &devices), 100);
    assert!(office.authorizer.braked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_feed_told_is_taken_back_when_a_person_says_so() {
    let office = Office::open().await;
    let devices = office.devices(100).await;
    poison(&office, &devices).await;
    let until = office.now() + std::time::Duration::from_secs(3600);
    assert_eq!(office.authorizer.judge_source("feed", false).await, Some(100));
    office.pass(100);
    office.say(&devices[0], Kind::Firmware, "1.0", "records").await;
    office.pass(100);
    office.say(&devices[0], Kind::Firmware, "1.1", "records").await;
    assert_eq!(out(&office, &devices), 0, "those who were put out come back");
    assert!(office.authorizer.braked().is_empty());
    // It says the same again, as what follows from a list or a feed does: nobody is put out, and a person is asked.
    poison(&office, &devices).await;
    assert_eq!(out(&office, &devices), 0);
    let braked = office.authorizer.braked();
    assert_eq!((braked[0].source.as_str(), braked[0].dismissed_until), ("feed", Some(until)));
    // Its time over, it counts as any other.
    assert!(office.authorizer.judge_source("feed", false).await.is_some());
    office.pass(3600);
    poison(&office, &devices[..5]).await;
    assert_eq!(out(&office, &devices), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_falls_silent_does_not_either() {
    let office = Office::open().await;
    let devices = office.devices(50).await;
    let trusted = devices.iter().map(|device| landfall_assurance::Fact {
        expires: Some(office.now() + std::time::Duration::from_secs(60)),
        ..office.fact(device, Kind::DeviceTrusted, true, "records")
    });
    office.authorizer.assert(trusted.collect()).await.unwrap();
    office.pass(60);
    let other: DeviceId = "07.other".parse().unwrap();
    office.say(&other, Kind::Firmware, "1.0", "records").await;
    assert_eq!(out(&office, &devices), 5);
    assert_eq!(office.authorizer.braked()[0].source, "expiry");
}
