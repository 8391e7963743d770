//! RFC 8995 s11, with real agents: others who want a device that is not theirs.

use super::lab::{Lab, Setup};
use landfall_brski::paths;
use landfall_device::Outcome;
use landfall_lifecycle::transfer::{Mode, TransferPolicy};
use std::time::Duration;

async fn onboarding(lab: &Lab, device: &landfall_testkit::Identity) -> Outcome {
    let limit = Some(Duration::from_secs(60));
    lab.agent(device).onboard(Some(1), limit, &mut |_| {}).await.unwrap()
}

/// RFC 8995 s11.1: who has a device keeps it; another domain that the device reaches gets no voucher for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_owner_keeps_the_device() {
    let lab = Lab::start().await;
    let other = lab.other_domain().await;
    let device = lab.manufacturer.device("A-1");
    assert!(matches!(onboarding(&lab, &device).await, Outcome::Onboarded(_)));
    // The device was reset, so that it would take any voucher.
    let stolen = onboarding(&other, &device).await;
    assert!(matches!(stolen, Outcome::Refused(_)), "{stolen:?}");
    assert_eq!(lab.refused_by_masa().await.len(), 1);
    assert_eq!(other.refused_by_registrar().await.first().map(String::as_str), Some("masa-forbids"));
    assert_eq!(lab.crossed(paths::REQUEST_VOUCHER).len(), 2);
    // At home it comes in again.
    assert!(matches!(lab.agent(&device).reset().await, Ok(true)));
    assert!(matches!(onboarding(&lab, &device).await, Outcome::Onboarded(_)));
}

/// RFC 8995 s11.1: where sales are on record, being the first does not help.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_bought_gets_nothing() {
    let mut setup = Setup::new();
    setup.masa.transfer = TransferPolicy { ownership: Mode::SalesRecord, ..TransferPolicy::default() };
    let lab = setup.start().await;
    let outcome = onboarding(&lab, &lab.manufacturer.device("A-1")).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    assert_eq!(lab.refused_by_masa().await.len(), 1);
}

/// RFC 8995 s11.5: a maker whose devices nobody has asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_of_an_unknown_maker_stays_out() {
    let lab = Lab::start().await;
    let outcome = onboarding(&lab, &landfall_testkit::Manufacturer::new().device("A-1")).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    assert_eq!(lab.refused_by_registrar().await, ["idevid-untrusted"]);
    assert!(lab.crossed(paths::REQUEST_VOUCHER).is_empty());
}
