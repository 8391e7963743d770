use super::{Office, listed};
use landfall_assurance::{Fact, Kind, Level, Question};
use landfall_server::authorizer::{AT_ONCE, DECISION_LOG, Entry, FACT_LOG};
use landfall_types::DeviceId;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_is_decided_and_in_effect_when_it_is_answered() {
    let office = Office::open().await;
    let device = &office.devices(1).await[0];
    assert_eq!(office.level(device), Level::Full);
    let mut moves = office.world.authorizer.moves();
    office.say(device, Kind::DenyListContact, listed(), "feed").await;
    assert_eq!(office.level(device), Level::Quarantine);
    assert_eq!(moves.recv().await.unwrap(), *device, "whoever places devices hears of it");
    let last = office.world.store.log(DECISION_LOG, 0, 100).unwrap().pop().unwrap();
    let entry: Entry = serde_json::from_value(last.entry).unwrap();
    assert_eq!(
        (entry.from, entry.level, entry.causes),
        (Some(Level::Full), Level::Quarantine, vec!["feed".to_owned()])
    );
    assert_eq!(entry.ruling.reasons[0].policy, "deny-list-contact");
    let used = entry.ruling.facts.iter().find(|fact| fact.source == "feed").unwrap();
    assert_eq!((used.verifier.as_str(), &used.value), ("test", &listed()), "with where it came from");
    assert_eq!(
        office.world.store.verify_log(DECISION_LOG).unwrap().seq,
        office.world.store.log_head(DECISION_LOG).unwrap().seq
    );
    office.world.store.verify_log(FACT_LOG).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_mended_comes_back_by_itself() {
    let office = Office::open().await;
    let device = &office.devices(1).await[0];
    office.say(device, Kind::VulnerabilityScore, 98, "records").await;
    assert_eq!(office.level(device), Level::Remediation);
    office.pass(10);
    office.say(device, Kind::VulnerabilityScore, 0, "records").await;
    assert_eq!(office.level(device), Level::Remediation, "it dwells");
    office.pass(60);
    // What is due is decided with whatever comes next.
    office.say(device, Kind::Firmware, "2.0", "records").await;
    assert_eq!(office.level(device), Level::Full);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_is_decided_when_it_does() {
    let office = Office::open().await;
    let device = &office.devices(1).await[0];
    let expires = office.now() + Duration::from_secs(100);
    let fact = Fact { expires: Some(expires), ..office.fact(device, Kind::DeviceTrusted, true, "records") };
    office.authorizer.assert(vec![fact]).await.unwrap();
    assert_eq!(office.authorizer.view(device).unwrap().assessment.unwrap().next_check, expires);
    office.pass(100);
    // Nothing new of this device: its own time has come.
    let other: DeviceId = "07.other".parse().unwrap();
    office.say(&other, Kind::Firmware, "1.0", "records").await;
    let view = office.authorizer.view(device).unwrap().assessment.unwrap();
    assert_eq!(view.ruling.stale, [Kind::DeviceTrusted]);
    assert_eq!((view.level, view.ruling.level), (Level::Blocked, Level::Blocked));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_asked_for_and_written_down() {
    let office = Office::open().await;
    let device = &office.devices(1).await[0];
    let ask = || office.world.authorizer.operate(device, "firmware-update");
    assert_eq!(ask().await.unwrap().unwrap().level, Level::Full);
    office.say(device, Kind::DenyListContact, listed(), "feed").await;
    let refused = ask().await.unwrap().unwrap();
    assert_eq!((refused.level, refused.reasons[0].policy.as_str()), (Level::Blocked, "operate-inside"));
    let last = office.world.store.log(DECISION_LOG, 0, 100).unwrap().pop().unwrap();
    let entry: Entry = serde_json::from_value(last.entry).unwrap();
    assert_eq!(entry.ruling.question, Question::Operate("firmware-update".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_that_nobody_could_mean_are_refused_and_none_is_taken() {
    let office = Office::open().await;
    let device = &office.devices(1).await[0];
    let good = office.fact(device, Kind::DeviceTrusted, false, "feed");
    let bad = Fact { value: 5.into(), ..good.clone() };
    let refusal = office.authorizer.assert(vec![good.clone(), bad]).await.unwrap_err();
    assert_eq!(refusal.check, "fact-unfit");
    assert_eq!(office.level(device), Level::Full, "not even the good one was taken");
    let refusal = office.authorizer.assert(vec![good.clone(); AT_ONCE + 1]).await.unwrap_err();
    assert_eq!(refusal.check, "facts-at-once");
    office.authorizer.assert(vec![good]).await.unwrap();
    assert_eq!(office.level(device), Level::Blocked);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_flood_the_newest_counts_and_nothing_is_lost() {
    let office = Office::open().await;
    let devices = office.devices(20).await;
    let before = office.world.store.log_head(FACT_LOG).unwrap().seq;
    let flood = (0..2000_u64).map(|number| {
        let device = &devices[usize::try_from(number).unwrap() % devices.len()];
        let fact = office.fact(device, Kind::IntentViolations, i64::try_from(number).unwrap(), "records");
        let (authorizer, fact) =
            (office.authorizer.clone(), Fact { at: fact.at + Duration::from_millis(number), ..fact });
        tokio::spawn(async move { authorizer.assert(vec![fact]).await.unwrap() })
    });
    let mut news = 0;
    for told in flood.collect::<Vec<_>>() {
        news += told.await.unwrap();
    }
    for (number, device) in devices.iter().enumerate() {
        let view = office.authorizer.view(device).unwrap();
        let fact = view.dossier.of(Kind::IntentViolations).next().unwrap();
        assert_eq!(fact.value, i64::try_from(1980 + number).unwrap().into());
    }
    let logged = office.world.store.log_head(FACT_LOG).unwrap().seq - before;
    assert_eq!(logged, u64::try_from(news).unwrap(), "each that said something new is in the log");
}
