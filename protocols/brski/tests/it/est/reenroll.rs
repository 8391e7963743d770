//! Renewal and rekeying (RFC 7030 s4.2.2).

use super::{
    server::certificate,
    world::{Case, DAY, World, csr, new_key, peer, post},
};
use landfall_brski::est::Operation;
use landfall_pki::{AltName, CsrRequest, Name, SoftwareKey, key::Algorithm};
use landfall_testkit::{Identity, NOW};
use std::{sync::Arc, time::Duration};

/// A world whose device has enrolled, and its LDevID.
fn enrolled() -> (World, Identity) {
    let mut world = World::new();
    let alt_names = vec![AltName::Dns("lamp.devices.example".into())];
    let ran = world.run(world.asking(&CsrRequest { alt_names, ..world.content() }));
    let intermediates = vec![world.domain.issuing.authority.certificate.clone()];
    let ldevid = Identity { certificate: certificate(ran.response()), intermediates, key: Arc::clone(&world.key) };
    (world, ldevid)
}

/// A request for the same names.
fn same_names(old: &Identity) -> CsrRequest {
    let certificate = &old.certificate;
    let (subject, alt_names) = (certificate.subject_name(), certificate.alt_names().to_vec());
    CsrRequest { subject, alt_names, ..CsrRequest::default() }
}

fn renewal(world: &World, old: &Identity, content: &CsrRequest, key: &SoftwareKey) -> Case {
    let operation = Operation::SimpleReenroll;
    let request = post(operation, &csr(content, key));
    // The voucher has long had its day.
    Case { operation, request, client: Some(peer(old)), voucher_at: None, at: NOW + 60 * DAY, ..world.case() }
}

#[test]
fn renewed_with_the_same_key_and_with_another() {
    let (mut world, old) = enrolled();
    let case = renewal(&world, &old, &same_names(&old), &old.key);
    let new = certificate(world.run(case).response());
    assert_ne!(new, old.certificate);
    assert_eq!((new.subject_der(), new.alt_names()), (old.certificate.subject_der(), old.certificate.alt_names()));
    assert_eq!((new.public_key(), new.ekus()), (old.certificate.public_key(), old.certificate.ekus()));
    assert_eq!(new.not_after(), NOW + 150 * DAY);
    let record = world.issued.last().unwrap();
    assert_eq!((record.client, record.device.serial.as_str()), (old.certificate.fingerprint(), super::world::SERIAL));

    let key = new_key(Algorithm::EcdsaP384);
    let case = renewal(&world, &old, &same_names(&old), &key);
    assert_eq!(*certificate(world.run(case).response()).public_key(), *landfall_pki::Signer::public_key(&*key));
}

#[test]
fn a_renewal_that_was_not_heard_is_repeated() {
    let (mut world, old) = enrolled();
    let first = certificate(world.run(renewal(&world, &old, &same_names(&old), &old.key)).response());
    let again = certificate(world.run(renewal(&world, &old, &same_names(&old), &old.key)).response());
    assert_eq!(again, first);
    let new = Identity { certificate: first.clone(), ..old };
    let next = certificate(world.run(renewal(&world, &new, &same_names(&new), &new.key)).response());
    assert_ne!(next, first, "who comes with it has heard, and wants the next");
}

#[test]
fn a_client_that_presents_its_certificate_alone_is_known() {
    let (mut world, old) = enrolled();
    let mut case = renewal(&world, &old, &same_names(&old), &old.key);
    case.client.as_mut().unwrap().chain.truncate(1);
    assert_eq!(world.run(case).response().status, 200);
}

#[test]
fn an_ldevid_may_enrol_again() {
    let (mut world, old) = enrolled();
    let key = new_key(Algorithm::EcdsaP256);
    let request = post(Operation::SimpleEnroll, &csr(&world.content(), &key));
    let case = Case { request, client: Some(peer(&old)), voucher_at: None, ..world.case() };
    assert_eq!(world.run(case).response().status, 200);
}

#[test]
fn one_change_and_it_is_refused() {
    type Change = fn(&mut World, &Identity, &mut Case);
    let changes: [(&str, u16, Change); 7] = [
        ("reenroll-subject", 400, |_, old, case| {
            let content = CsrRequest { subject: Name::common("another"), ..same_names(old) };
            case.request = post(case.operation, &csr(&content, &old.key));
        }),
        ("reenroll-alt-name", 400, |_, old, case| {
            let content = CsrRequest { alt_names: vec![], ..same_names(old) };
            case.request = post(case.operation, &csr(&content, &old.key));
        }),
        ("reenroll-alt-name", 400, |_, old, case| {
            let alt_names = vec![AltName::Dns("other.devices.example".into())];
            case.request = post(case.operation, &csr(&CsrRequest { alt_names, ..same_names(old) }, &old.key));
        }),
        ("reenroll-certificate", 403, |world, _, case| {
            (case.client, case.voucher_at) = (Some(peer(&world.device)), Some(case.at));
        }),
        ("client-revoked", 403, |world, old, _| world.revoked.push(old.certificate.fingerprint())),
        ("client-expired", 403, |_, old, case| case.at = old.certificate.not_after() + Duration::from_secs(1)),
        ("client-unrecorded", 403, |world, _, _| world.issued.clear()),
    ];
    for (check, status, change) in changes {
        let (mut world, old) = enrolled();
        let mut case = renewal(&world, &old, &same_names(&old), &old.key);
        change(&mut world, &old, &mut case);
        let ran = world.run(case);
        assert_eq!((ran.check(), ran.response().status), (check, status), "{:?}", ran.outcome);
        assert!(world.issued.len() <= 1, "{check}");
    }
}

#[test]
fn an_expired_certificate_may_be_renewed_for_a_while_if_that_is_set() {
    let (mut world, old) = enrolled();
    let end = old.certificate.not_after();
    for (after, status) in [(DAY, 200), (2 * DAY, 403)] {
        let mut case = renewal(&world, &old, &same_names(&old), &new_key(Algorithm::EcdsaP256));
        (case.config.expired_grace, case.at) = (DAY, end + after);
        assert_eq!(world.run(case).response().status, status);
    }
}

#[test]
fn a_revoked_certificate_is_not_handed_out_again() {
    let (mut world, old) = enrolled();
    world.revoked.push(old.certificate.fingerprint());
    let alt_names = old.certificate.alt_names().to_vec();
    let ran = world.run(world.asking(&CsrRequest { alt_names, ..world.content() }));
    assert_ne!(certificate(ran.response()), old.certificate);
}
