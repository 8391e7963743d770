//! Keeping an LDevID alive (RFC 7030 s4.2.2).

use super::{
    registrar::{Registrar, instead, later, stranger},
    sim::{Sim, random},
};
use landfall_brski::{
    est::body,
    paths,
    pledge::{Input, Renewal, RenewalConfig, Timing},
};
use landfall_pki::{AltName, Csr, KeyKind, Name};
use landfall_testkit::Domain;
use landfall_types::http::Response;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// A device that was onboarded to a registrar that is then changed, and is to renew. Its LDevID lives 90 days.
fn renewal(rekey: bool, seed: u64, change: impl FnOnce(&mut Registrar)) -> Sim<Renewal> {
    let mut onboarding = Sim::with(|r| {
        r.profile = Box::new(|profile| profile.alt_names = vec![AltName::Dns("device.example".into())]);
    });
    onboarding.run();
    let credential = onboarding.summary.clone().unwrap().credential;
    let mut registrar = Registrar::new(&onboarding.registrars[0].1.maker, &onboarding.registrars[0].1.domain);
    change(&mut registrar);
    let device = registrar.maker.device("SN-0001");
    let config =
        RenewalConfig { serial_number: "SN-0001".parse().unwrap(), rekey, clock: true, timing: Timing::default() };
    let machine = Renewal::new(config, credential.clone(), random(seed));
    let mut sim = Sim::around(machine, device, vec![(credential.offer.clone(), registrar)]);
    sim.inherit(&onboarding);
    sim.persisted.push(credential);
    sim
}

#[test]
fn two_thirds_into_its_life_give_or_take() {
    let dues: Vec<_> = (1..20)
        .map(|seed| {
            let sim = renewal(true, seed, |_| {});
            sim.machine.due().since(sim.now).as_secs_f64() / DAY.as_secs_f64()
        })
        .collect();
    // 60 of 90 days, and at most a twentieth of 90 sooner or later.
    assert!(dues.iter().all(|due| (55.4..=64.6).contains(due)), "{dues:?}");
    let (least, most) = dues.iter().fold((f64::MAX, f64::MIN), |(least, most), due| (least.min(*due), most.max(*due)));
    assert!(most - least > 4.0, "a fleet does not come all at once: {dues:?}");
}

#[test]
fn a_new_key_and_the_same_names() {
    let mut sim = renewal(true, 1, |_| {});
    sim.run_for(100 * DAY);
    let (old, new) = (sim.persisted[0].clone(), sim.summary.clone().unwrap().credential);
    assert_eq!(sim.persisted[1], new);
    assert_ne!(old.ldevid.public_key(), new.ldevid.public_key());
    assert_eq!(old.ldevid.subject_der(), new.ldevid.subject_der());
    assert_eq!(old.ldevid.alt_names(), new.ldevid.alt_names());
    assert_eq!(sim.discarded, [old.key], "the old key goes once the new credential is durable");
    assert!(sim.connections.iter().all(|(_, _, ldevid)| *ldevid));
    assert!(sim.registrar().at(paths::SIMPLE_ENROLL).is_empty());
    let request = sim.registrar().at(paths::SIMPLE_REENROLL)[0].clone();
    let csr = Csr::from_der(&body::decode(&request.body).unwrap()).unwrap();
    assert_eq!((csr.subject_der(), csr.alt_names()), (old.ldevid.subject_der(), old.ldevid.alt_names()));
}

#[test]
fn the_key_can_be_kept() {
    let mut sim = renewal(false, 1, |_| {});
    sim.run_for(100 * DAY);
    let (old, new) = (sim.persisted[0].clone(), sim.summary.clone().unwrap().credential);
    assert_eq!(old.key, new.key);
    assert_ne!(old.ldevid, new.ldevid);
    assert!(sim.discarded.is_empty());
}

#[test]
fn on_demand_at_once() {
    let mut sim = renewal(true, 1, |_| {});
    sim.tell(Input::Start);
    sim.run_for(Duration::from_secs(1));
    assert!(sim.summary.is_some());
}

#[test]
fn failures_are_repeated_until_the_old_one_is_over() {
    let mut sim = renewal(true, 1, |r| r.quirk = instead(paths::SIMPLE_REENROLL, |_| Response::text(503, "closed")));
    sim.run_for(200 * DAY);
    assert_eq!(sim.gave_up.clone().unwrap().check, "est-status");
    assert!(sim.now > sim.persisted[0].ldevid.not_after());
    assert_eq!(sim.persisted.len(), 1, "the old credential was never touched");
    // About once an hour for the last third of its life.
    assert!((600..900).contains(&sim.connections.len()), "{}", sim.connections.len());
    assert_eq!(sim.discarded.len(), sim.connections.len(), "no key is left behind");
}

#[test]
fn a_certificate_that_is_not_what_was_asked_for() {
    type Change = fn(&mut Registrar);
    let other_names: Change = |r| r.profile = Box::new(|p| p.alt_names = vec![AltName::Dns("other.example".into())]);
    let cases: [(Change, &str); 5] = [
        (|r| r.other_key = Some(stranger()), "est-issued-key"),
        (|r| r.profile = Box::new(|p| p.subject = Name::common("someone else")), "ldevid-subject"),
        (other_names, "ldevid-alt-names"),
        (|r| r.cas = vec![Domain::new().root.authority.certificate], "ldevid-chain"),
        (|r| r.shown = Domain::new().registrar.chain(), "path-unknown-issuer"),
    ];
    for (change, check) in cases {
        let mut sim = renewal(true, 1, change);
        sim.tell(Input::Start);
        sim.run_for(Duration::from_secs(1));
        assert_eq!(sim.failures(), [check]);
        assert_eq!(sim.persisted.len(), 1);
    }
}

#[test]
fn later_and_lost() {
    let mut sim = renewal(true, 1, |r| r.quirk = later(paths::SIMPLE_REENROLL, 1, "60"));
    sim.tell(Input::Start);
    sim.run_for(Duration::from_secs(10));
    sim.cut();
    sim.run_for(DAY);
    assert_eq!(sim.failures(), ["connection"]);
    assert!(sim.summary.is_some());
    // A person who approves the request knows it by its key.
    let sent = sim.registrar().at(paths::SIMPLE_REENROLL);
    let keys: Vec<_> =
        sent.iter().map(|r| Csr::from_der(&body::decode(&r.body).unwrap()).unwrap().public_key().clone()).collect();
    assert!(keys.len() == 2 && keys[0] == keys[1]);
}

#[test]
fn storage_that_fails_keeps_the_old_one_in_force() {
    let mut sim = renewal(true, 1, |_| {});
    sim.storage = false;
    sim.tell(Input::Start);
    sim.run_for(Duration::from_secs(1));
    assert_eq!(sim.failures(), ["device-element"]);
    assert!(!sim.discarded.contains(&sim.persisted[0].key), "the old key is still needed");
    assert_eq!(sim.discarded.len(), 1);
}

#[test]
fn a_registrar_with_a_renewed_certificate_is_known_by_its_domain() {
    let mut sim = renewal(true, 1, |r| {
        let domain = r.domain.clone();
        let fresh = domain.issuing.certify(domain.registrar.key.clone(), |issuer, key| {
            landfall_pki::profile::RegistrarRa {
                subject: Name::common("registrar two"),
                alt_names: vec![AltName::Dns("two.example".into())],
            }
            .prepare(
                issuer,
                key,
                landfall_pki::CertificateSerial::random().unwrap(),
                landfall_pki::Validity {
                    not_before: landfall_testkit::NOW,
                    not_after: landfall_testkit::NOW + 100 * DAY,
                },
            )
        });
        r.shown = fresh.chain();
    });
    sim.run_for(100 * DAY);
    assert!(sim.summary.is_some(), "{:?}", sim.notes);
    assert_eq!(sim.summary.unwrap().credential.ldevid.public_key().kind(), KeyKind::P256);
}
