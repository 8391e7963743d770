//! Who gets a voucher, and how devices change hands.

use landfall_brski::voucher::Assertion;
use landfall_lifecycle::transfer::{
    Basis, Claimant, Customer, Grant, ISSUED_LOG, Mode, Ownership, Sale, TransferPolicy, VoucherEvent, claim,
};
use landfall_types::{
    DeviceId, DomainId, Fingerprint, Record, Refusal, SerialNumber, Time,
    record::{Change, Expect, Version},
};
use std::time::Duration;

const NOW: Time = Time::from_unix(1_795_000_000);
const LATER: Time = Time::from_unix(1_795_000_100);

fn serial() -> SerialNumber {
    "EX-1".parse().unwrap()
}

fn device() -> DeviceId {
    DeviceId::new(&[7; 20], &serial())
}

fn unsold() -> Ownership {
    Ownership::unsold(device(), serial())
}

fn domain(number: u8) -> DomainId {
    DomainId(vec![number; 20])
}

fn customer(name: &str, number: u8) -> Customer {
    Customer { owner: name.parse().unwrap(), certificates: vec![], domains: vec![domain(number)], nonceless: true }
}

fn alice() -> Customer {
    customer("alice", 1)
}

fn bob() -> Customer {
    customer("bob", 2)
}

fn sale(to: &Customer, by: Option<&Customer>, at: Time) -> Sale {
    let seller = by.map(|seller| seller.owner.clone());
    Sale { id: format!("S-{}", to.owner), at, buyer: to.owner.clone(), seller, devices: vec![device()] }
}

fn sold_to_alice() -> Ownership {
    unsold().sold(&sale(&alice(), None, NOW)).unwrap()
}

/// A registrar of the domain with that number, asking as one should.
fn registrar(number: u8) -> Claimant {
    Claimant {
        domain: domain(number),
        registrar: Fingerprint([number; 32]),
        nonce: Some("nonce".into()),
        proximity: true,
        authenticated: true,
    }
}

fn nonceless(number: u8) -> Claimant {
    Claimant { nonce: None, proximity: false, ..registrar(number) }
}

fn by(mode: Mode) -> TransferPolicy {
    TransferPolicy { ownership: mode, ..TransferPolicy::default() }
}

fn check(result: Result<Grant, Refusal>) -> String {
    result.unwrap_err().check.into_owned()
}

#[test]
fn the_buyer_gets_a_voucher_and_nobody_else() {
    let (device, policy) = (sold_to_alice(), by(Mode::SalesRecord));
    let grant = claim(&device, registrar(1), Some(&alice()), &policy, NOW).unwrap();
    assert_eq!((grant.assertion, grant.owner.clone(), grant.expires), (Assertion::Verified, Some(alice().owner), None));
    assert_eq!(check(claim(&device, registrar(2), Some(&bob()), &policy, NOW)), "voucher-owner");
    assert_eq!(check(claim(&device, registrar(1), None, &policy, NOW)), "voucher-owner");
    assert_eq!(check(claim(&unsold(), registrar(1), Some(&alice()), &policy, NOW)), "voucher-sold");
}

#[test]
fn the_first_who_asks_keeps_it() {
    for mode in [Mode::TrustOnFirstUse, Mode::Both] {
        let policy = by(mode);
        let grant = claim(&unsold(), registrar(1), None, &policy, NOW).unwrap();
        assert_eq!((grant.assertion, &grant.owner), (Assertion::Proximity, &None));
        let taken = grant.issue(Fingerprint([9; 32]), NOW).ownership;
        assert_eq!(taken.holding.as_ref().unwrap().basis, Basis::FirstUse { domain: domain(1) });
        drop(claim(&taken, registrar(1), None, &policy, LATER).unwrap());
        assert_eq!(check(claim(&taken, registrar(2), None, &policy, LATER)), "voucher-owner");
        let released = taken.released(Some(&alice()), LATER).unwrap();
        drop(claim(&released, registrar(2), None, &policy, LATER).unwrap());
    }
}

#[test]
fn the_first_who_asks_must_see_the_device() {
    let policy = by(Mode::Both);
    let elsewhere = Claimant { proximity: false, ..registrar(1) };
    assert_eq!(check(claim(&unsold(), elsewhere.clone(), None, &policy, NOW)), "voucher-first-use-proximity");
    let lax = TransferPolicy { first_use_needs_proximity: false, ..policy };
    assert_eq!(claim(&unsold(), elsewhere, None, &lax, NOW).unwrap().assertion, Assertion::Logged);
}

#[test]
fn each_policy_looks_at_what_it_says() {
    let taken = claim(&unsold(), registrar(2), None, &by(Mode::Both), NOW).unwrap().issue(Fingerprint([9; 32]), NOW);
    let refused = claim(&taken.ownership, registrar(2), None, &by(Mode::SalesRecord), NOW);
    assert_eq!(check(refused), "voucher-sold");
    let grant = claim(&sold_to_alice(), registrar(2), None, &by(Mode::TrustOnFirstUse), LATER).unwrap();
    let taken = grant.issue(Fingerprint([9; 32]), LATER).ownership;
    assert_eq!((taken.owner(), taken.history.len()), (None, 1));
    assert_eq!(check(claim(&taken, registrar(1), Some(&alice()), &by(Mode::TrustOnFirstUse), LATER)), "voucher-owner");
}

#[test]
fn a_sale_overrules_who_was_first() {
    let taken = claim(&unsold(), registrar(2), None, &by(Mode::Both), NOW).unwrap().issue(Fingerprint([9; 32]), NOW);
    let sold = taken.ownership.sold(&sale(&alice(), None, LATER)).unwrap();
    drop(claim(&sold, registrar(1), Some(&alice()), &by(Mode::Both), LATER).unwrap());
    assert_eq!(check(claim(&sold, registrar(2), Some(&bob()), &by(Mode::Both), LATER)), "voucher-owner");
}

#[test]
fn after_the_last_renewal_there_is_no_voucher_without_a_nonce() {
    let policy = TransferPolicy { last_renewal: Some(NOW), ..by(Mode::SalesRecord) };
    drop(claim(&sold_to_alice(), nonceless(1), Some(&alice()), &policy, NOW).unwrap());
    let refused = claim(&sold_to_alice(), nonceless(1), Some(&alice()), &policy, LATER);
    assert_eq!(check(refused), "voucher-last-renewal");
    drop(claim(&sold_to_alice(), registrar(1), Some(&alice()), &policy, LATER).unwrap());
}

#[test]
fn after_a_resale_the_new_owner_gets_vouchers_and_the_old_one_none() {
    let policy = by(Mode::SalesRecord);
    let resold = sold_to_alice().sold(&sale(&bob(), Some(&alice()), LATER)).unwrap();
    assert_eq!((resold.owner(), resold.history.len()), (Some(&bob().owner), 1));
    drop(claim(&resold, registrar(2), Some(&bob()), &policy, LATER).unwrap());
    assert_eq!(check(claim(&resold, registrar(1), Some(&alice()), &policy, LATER)), "voucher-owner");
    let released = sold_to_alice().released(Some(&alice()), LATER).unwrap();
    assert_eq!(check(claim(&released, registrar(1), Some(&alice()), &policy, LATER)), "voucher-sold");
    released.sold(&sale(&bob(), None, LATER)).unwrap();
}

#[test]
fn only_an_owner_sells_or_releases() {
    let refused = |result: Result<Ownership, Refusal>| result.unwrap_err().check.into_owned();
    assert_eq!(refused(sold_to_alice().sold(&sale(&bob(), None, LATER))), "sale-of-sold-device");
    assert_eq!(refused(sold_to_alice().sold(&sale(&alice(), Some(&bob()), LATER))), "sale-by-owner");
    assert_eq!(refused(unsold().sold(&sale(&bob(), Some(&alice()), LATER))), "sale-by-owner");
    let of_another = Sale { devices: vec![], ..sale(&bob(), None, LATER) };
    assert_eq!(refused(unsold().sold(&of_another)), "sale-device");
    assert_eq!(refused(sold_to_alice().released(Some(&bob()), LATER)), "release-by-owner");
    assert_eq!(refused(unsold().released(None, LATER)), "release-owned");
    assert!(sold_to_alice().released(None, LATER).is_ok());
}

#[test]
fn without_a_nonce_only_for_an_authenticated_customer_who_may() {
    let (device, policy) = (sold_to_alice(), by(Mode::SalesRecord));
    let ask = |claimant, customer: Option<&Customer>, policy| claim(&device, claimant, customer, policy, NOW);
    let grant = ask(nonceless(1), Some(&alice()), &policy).unwrap();
    assert_eq!(grant.expires, Some(NOW + Duration::from_secs(365 * 86_400)));
    let unproven = Claimant { authenticated: false, ..nonceless(1) };
    assert_eq!(check(ask(unproven, Some(&alice()), &policy)), "nonceless-authentication");
    let not_allowed = Customer { nonceless: false, ..alice() };
    assert_eq!(check(ask(nonceless(1), Some(&not_allowed), &policy)), "voucher-nonceless-customer");
    assert_eq!(check(ask(nonceless(1), None, &policy)), "voucher-nonceless-customer");
    let never = TransferPolicy { nonceless: false, ..policy.clone() };
    assert_eq!(check(ask(nonceless(1), Some(&alice()), &never)), "voucher-nonceless");
    let for_ever = TransferPolicy { nonceless_days: None, ..policy };
    assert_eq!(ask(nonceless(1), Some(&alice()), &for_ever).unwrap().expires, None);
}

#[test]
fn a_new_owner_learns_of_vouchers_that_could_take_its_device_over() {
    let policy = by(Mode::SalesRecord);
    let issue = |device: &Ownership| {
        claim(device, nonceless(1), Some(&alice()), &policy, NOW).unwrap().issue(Fingerprint([9; 32]), NOW)
    };
    let twice = issue(&issue(&sold_to_alice()).ownership).ownership;
    assert_eq!((twice.vouchers, twice.nonceless.len()), (2, 1));
    let resold = twice.sold(&sale(&bob(), Some(&alice()), LATER)).unwrap();
    assert_eq!(resold.foreign_nonceless(&domain(2), LATER).count(), 1);
    assert_eq!(resold.foreign_nonceless(&domain(1), LATER).count(), 0);
    let expired = NOW + Duration::from_secs(366 * 86_400);
    assert_eq!(resold.foreign_nonceless(&domain(2), expired).count(), 0);
}

#[test]
fn a_voucher_is_recorded_with_the_ownership_that_it_rests_on() {
    let grant = claim(&sold_to_alice(), registrar(1), Some(&alice()), &by(Mode::SalesRecord), NOW).unwrap();
    let issue = grant.issue(Fingerprint([9; 32]), LATER);
    let VoucherEvent { number, at, ref nonce, voucher, .. } = issue.event;
    assert_eq!((number, at, nonce.as_deref(), voucher), (1, LATER, Some("nonce"), Fingerprint([9; 32])));
    let changes = issue.changes(Some(Version(3))).unwrap().into_vec();
    let expects = |key: &str| {
        let found = changes.iter().find_map(|change| match change {
            Change::Put { key: found, expect, .. } if found == key => Some(*expect),
            _ => None,
        });
        found.unwrap()
    };
    assert_eq!(expects(&issue.ownership.key()), Expect::At(Version(3)));
    assert!(changes.iter().any(|change| matches!(change, Change::Append { log, .. } if *log == ISSUED_LOG)));
    let first = issue.changes(None).unwrap().into_vec();
    assert!(matches!(first[0], Change::Put { expect: Expect::Absent, .. }));
}

#[test]
fn records_read_back() {
    fn again<R: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(record: &R) {
        assert_eq!(&serde_json::from_str::<R>(&serde_json::to_string(record).unwrap()).unwrap(), record);
    }
    let issue = claim(&sold_to_alice(), nonceless(1), Some(&alice()), &by(Mode::SalesRecord), NOW).unwrap();
    let issue = issue.issue(Fingerprint([9; 32]), NOW);
    again(&issue.event);
    again(&issue.ownership.sold(&sale(&bob(), Some(&alice()), LATER)).unwrap());
    again(&alice());
    again(&sale(&bob(), None, NOW));
}
