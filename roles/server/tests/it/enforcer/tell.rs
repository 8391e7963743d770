//! What the authorizer hears of devices that are inside.

use super::names::{Ground, device};
use landfall_assurance::{Grace, Kind, Policies};
use landfall_lifecycle::verification::Manners;
use landfall_policy::Value;
use landfall_server::authorizer::{Authorizer, Believed, Config, FACT_LOG};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

pub(super) async fn authorizer(ground: &Ground) -> (Arc<Authorizer>, landfall_server::Trigger) {
    let config = Config {
        manners: Manners::default(),
        grace: Grace::default(),
        policies: Policies::default(),
        signers: None,
        believed: Believed::default(),
        network_layer: None,
    };
    let (trigger, shutdown) = landfall_server::shutdown();
    let (task, authorizer) = config.build(ground.world.clone(), shutdown).await.unwrap();
    tokio::spawn(task.run());
    (authorizer, trigger)
}

fn known(authorizer: &Authorizer, kind: Kind) -> Option<Value> {
    let view = authorizer.view(&device(1))?;
    view.dossier.of(kind).find(|fact| fact.source == "enforcer").map(|fact| fact.value.clone())
}

/// Waits until that is known of the first device.
async fn until(ground: &Ground, authorizer: &Authorizer, kind: Kind, is_it: impl Fn(&Value) -> bool) {
    let look = async {
        while !known(authorizer, kind).is_some_and(|value| is_it(&value)) {
            ground.enforcer.check().await.unwrap();
            ground.enforcer.report(false).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap_or_else(|_| panic!("{kind} is told"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_devices_do_against_their_files_is_told_and_little_of_it() {
    let Some(ground) = Ground::new().await else { return };
    let (first, trigger) = authorizer(&ground).await;
    ground.admit(1).await;
    until(&ground, &first, Kind::IntentKnown, |known| *known == true.into()).await;
    until(&ground, &first, Kind::IntentViolations, |count| matches!(count, Value::Number(_))).await;
    for port in 6000..6500 {
        ground.devices[0].send_to(b"words", ("198.51.100.8", port)).unwrap();
    }
    until(&ground, &first, Kind::IntentViolations, |count| matches!(count, Value::Number(250..))).await;
    let facts = ground.world.store.log(FACT_LOG, 0, 1000).unwrap();
    let told = facts.iter().filter(|entry| entry.entry["kind"] == "intent-violations").count();
    assert!((2..=12).contains(&told), "{told} of five hundred frames");

    // While the authorizer is away nothing is heard; one that comes back hears it all.
    trigger.pull();
    let away = async {
        while !ground.world.authorizer.is_away() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), away).await.unwrap();
    ground.enforcer.report(false).await;
    ground.seconds.fetch_add(61, Ordering::Relaxed);
    let (second, _trigger) = authorizer(&ground).await;
    until(&ground, &second, Kind::IntentViolations, |count| matches!(count, Value::Number(..100))).await;

    // Who is out is told of no more.
    assert!(ground.enforcer.put_out(&device(1)).await);
    let before = ground.world.store.log(FACT_LOG, 0, 1000).unwrap().len();
    ground.enforcer.report(true).await;
    assert_eq!(ground.world.store.log(FACT_LOG, 0, 1000).unwrap().len(), before);
}
