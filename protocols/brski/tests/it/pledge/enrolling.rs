//! Enrolment over the connection that the voucher made trusted (RFC 8995 s5.9, RFC 7030).

use super::{
    registrar::{Registrar, instead, later, stranger},
    sim::{Fate, Sim, cast, config, random},
};
use landfall_brski::{
    est::{
        binding, body,
        csrattrs::{CHALLENGE_PASSWORD, CsrAttrs, EC_PUBLIC_KEY, Wish},
    },
    media, paths,
    pledge::{Input, Onboarding},
};
use landfall_pki::{
    AltName, CertificateSerial, Csr, KeyKind, Validity, attestation::evidence, cms, oid, profile::Server,
};
use landfall_testkit::{Domain, NOW};
use landfall_types::http::Response;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

type Onboard = Sim<Onboarding>;

/// It ends with that refusal, which the registrar was told over the same connection, and leaves nothing behind.
fn refused(mut sim: Onboard, check: &str) {
    assert_eq!(sim.refusal().check, check);
    let told = sim.registrar().told(paths::ENROLL_STATUS);
    assert_eq!(told.iter().map(|status| status.status).collect::<Vec<_>>(), [false]);
    assert!(told[0].reason.as_ref().unwrap().starts_with(check), "{told:?}");
    assert_eq!(sim.connections.len(), 1);
    // Both are asked with a key at hand.
    let made = [paths::NONCE, paths::SIMPLE_ENROLL].into_iter().any(|path| !sim.registrar().at(path).is_empty());
    assert_eq!(sim.discarded.len(), usize::from(made), "a key made for nothing is let go");
}

fn csr(sim: &mut Onboard) -> Csr {
    Csr::from_der(&body::decode(&sim.registrar().at(paths::SIMPLE_ENROLL)[0].body).unwrap()).unwrap()
}

#[test]
fn everything_in_order() {
    let mut sim = Sim::with(|_| {});
    sim.run();
    let summary = sim.summary.clone().unwrap();
    let paths: Vec<_> = sim.registrar().seen.iter().map(|request| request.path.clone()).collect();
    let expected = [
        paths::REQUEST_VOUCHER,
        paths::VOUCHER_STATUS,
        paths::CACERTS,
        paths::CSR_ATTRIBUTES,
        paths::SIMPLE_ENROLL,
        paths::ENROLL_STATUS,
    ];
    assert_eq!(paths, expected);
    assert!(sim.registrar().told(paths::VOUCHER_STATUS)[0].status);
    assert!(sim.registrar().told(paths::ENROLL_STATUS)[0].status);
    assert!(summary.reported);
    // First with the IDevID, then anew with the LDevID.
    assert_eq!(sim.connections.iter().map(|(_, _, ldevid)| *ldevid).collect::<Vec<_>>(), [false, true]);
    assert_eq!(sim.persisted, std::slice::from_ref(&summary.credential));
    let credential = summary.credential;
    assert_eq!(credential.ldevid.subject_serial_number().unwrap().as_str(), "SN-0001");
    let domain = &sim.registrar().domain;
    assert_eq!(credential.chain, std::slice::from_ref(&domain.issuing.authority.certificate));
    assert_eq!(credential.anchors, std::slice::from_ref(&domain.root.authority.certificate));
}

#[test]
fn the_request_is_bound_to_the_connection_when_that_is_wished() {
    let mut sim = Sim::with(|r| r.wishes = CsrAttrs(vec![Wish::Oid(CHALLENGE_PASSWORD)]));
    sim.run();
    let expected = binding::challenge_password(&sim.registrar().peer(1).binding);
    assert!(expected.is_some());
    assert_eq!(csr(&mut sim).challenge_password(), expected);

    let mut sim = Sim::with(|_| {});
    sim.run();
    assert_eq!(csr(&mut sim).challenge_password(), None);
}

#[test]
fn evidence_is_shown_when_that_is_wished() {
    let wished = || CsrAttrs(vec![Wish::Oid(oid::KEY_ATTESTATION)]);
    let shown = |sim: &mut Onboard| {
        let csr = csr(sim);
        let value = csr.attribute(oid::KEY_ATTESTATION)?.to_vec();
        evidence(&value).unwrap().map(<[u8]>::to_vec)
    };
    let mut sim = Sim::with(|r| r.wishes = wished());
    sim.run();
    assert_eq!(shown(&mut sim).unwrap(), b"evidence for [1, 2, 3, 4, 5, 6, 7, 8]");
    let mut sim = Sim::with(|_| {});
    sim.run();
    assert_eq!(shown(&mut sim), None);
    assert!(sim.registrar().at(paths::NONCE).is_empty());
    // A registrar that wishes for evidence, and has no nonce for it.
    for (body, check) in [(&b"{}"[..], "est-nonce"), (b"{\"nonce\":\"AQI\"}", "est-nonce"), (b"", "est-nonce")] {
        let answer = move |_: &_| Response::with(200, "application/est-attestation-freshness+json", body.to_vec());
        refused(
            Sim::with(|r| {
                r.wishes = wished();
                r.quirk = instead(paths::NONCE, answer);
            }),
            check,
        );
    }
}

fn key_type(curve: oid::Oid) -> CsrAttrs {
    CsrAttrs(vec![Wish::Attribute { oid: EC_PUBLIC_KEY, values: vec![curve.into()] }])
}

#[test]
fn the_key_is_of_the_kind_that_is_wished() {
    for (wishes, kind) in [
        (CsrAttrs::default(), KeyKind::P256),
        (key_type(oid::P384), KeyKind::P384),
        (CsrAttrs(vec![Wish::Oid(oid::ECDSA_SHA384)]), KeyKind::P384),
        (CsrAttrs(vec![Wish::Oid(oid::ED25519)]), KeyKind::Ed25519),
        (CsrAttrs(vec![Wish::Oid(oid::ECDSA_SHA384), Wish::Oid(oid::ECDSA_SHA256)]), KeyKind::P256),
    ] {
        let mut sim = Sim::with(|r| r.wishes = wishes);
        sim.run();
        assert_eq!(sim.summary.clone().unwrap().credential.ldevid.public_key().kind(), kind);
    }
}

#[test]
fn a_kind_of_key_that_cannot_be_made() {
    refused(Sim::with(|r| r.wishes = key_type(oid::P521)), "csr-key-type");
    refused(Sim::with(|r| r.wishes = CsrAttrs(vec![Wish::Oid(oid::RSA)])), "csr-key-type");
}

#[test]
fn csr_attributes_are_asked_for_and_may_be_absent() {
    for status in [204, 404] {
        let mut sim = Sim::with(|r| r.quirk = instead(paths::CSR_ATTRIBUTES, move |_| Response::new(status)));
        sim.run();
        assert_eq!(sim.registrar().at(paths::CSR_ATTRIBUTES).len(), 1);
        assert!(sim.summary.is_some());
    }
    refused(Sim::with(|r| r.quirk = instead(paths::CSR_ATTRIBUTES, |_| Response::new(500))), "est-status");
}

#[test]
fn ldevid_with_another_key() {
    refused(Sim::with(|r| r.other_key = Some(stranger())), "est-issued-key");
}

#[test]
fn ldevid_for_another_device() {
    let sim = Sim::with(|r| {
        r.profile = Box::new(|profile| {
            profile.subject = landfall_pki::Name::new().serial_number(&"SN-0002".parse().unwrap());
        });
    });
    refused(sim, "ldevid-serial-number");
}

#[test]
fn ldevid_of_another_domain() {
    let sim = Sim::with(|r| {
        r.cas = vec![Domain::named("Other Domain", "other.example").root.authority.certificate];
    });
    refused(sim, "ldevid-chain");
}

#[test]
fn ldevid_that_is_over() {
    let sim = Sim::with(|r| {
        r.validity = |now| Validity { not_before: now - 2 * HOUR, not_after: now - HOUR };
    });
    refused(sim, "ldevid-chain");
}

#[test]
fn ldevid_that_cannot_authenticate_a_client() {
    let sim = Sim::with(|r| {
        let issuer = r.domain.issuing.clone();
        r.quirk = instead(paths::SIMPLE_ENROLL, move |request| {
            let csr = Csr::from_der(&body::decode(&request.body).unwrap()).unwrap();
            let alt_names = vec![AltName::Dns("device.example".into())];
            let validity = Validity { not_before: NOW - HOUR, not_after: NOW + HOUR };
            let server = Server { subject: csr.subject_name(), alt_names };
            let serial = CertificateSerial::random().unwrap();
            let prepared = server.prepare(&issuer.authority, csr.public_key(), serial, validity).unwrap();
            let bag = cms::certs_only(&[prepared.lint().unwrap().issue(&*issuer.key).unwrap()]);
            Response::with(200, media::PKCS7_CERTS_ONLY, body::encode(&bag))
        });
    });
    refused(sim, "ldevid-client-auth");
}

#[test]
fn ca_certificates_without_a_ca() {
    refused(Sim::with(|r| r.cas = vec![r.domain.registrar.certificate.clone()]), "cacerts-ca");
}

#[test]
fn bodies_that_are_not_what_they_should_be() {
    for (path, kind) in [(paths::CACERTS, media::PKCS7), (paths::SIMPLE_ENROLL, media::PKCS7_CERTS_ONLY)] {
        for body in [b"".to_vec(), b"MIIB".to_vec(), b"<html>".to_vec(), vec![0x30; 100]] {
            let mut sim = Sim::with(|r| {
                r.quirk = instead(path, move |_| Response::with(200, kind, body.clone()));
            });
            assert!(sim.refusal().check.starts_with("est-"), "{path}");
        }
    }
    refused(Sim::with(|r| r.quirk = instead(paths::SIMPLE_ENROLL, |_| Response::text(403, "no"))), "est-status");
}

#[test]
fn later_means_the_same_request_again() {
    let mut sim = Sim::with(|r| r.quirk = later(paths::SIMPLE_ENROLL, 3, "3600"));
    sim.run();
    let sent = sim.registrar().at(paths::SIMPLE_ENROLL);
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|again| *again == sent[0]));
    assert_eq!(sim.summary.as_ref().unwrap().took.as_secs(), 180);
}

#[test]
fn later_for_ever_ends_after_four_days() {
    let sim = Sim::with(|r| r.quirk = later(paths::SIMPLE_ENROLL, usize::MAX, "60"));
    refused(sim, "enrolment-pending");
}

#[test]
fn a_lost_connection_is_made_again_and_the_request_bound_to_it() {
    let mut sim = Sim::with(|r| {
        r.wishes = CsrAttrs(vec![Wish::Oid(CHALLENGE_PASSWORD)]);
        r.quirk = later(paths::SIMPLE_ENROLL, 1, "60");
    });
    sim.run_for(Duration::from_secs(10));
    sim.cut();
    sim.run();
    let sent = sim.registrar().at(paths::SIMPLE_ENROLL).into_iter().map(|request| {
        let csr = Csr::from_der(&body::decode(&request.body).unwrap()).unwrap();
        (csr.public_key().clone(), csr.challenge_password())
    });
    let sent: Vec<_> = sent.collect();
    // RFC 7030 s4.2.3: the same key, another request.
    assert_eq!(sent[0].0, sent[1].0);
    assert_ne!(sent[0].1, sent[1].1);
    assert_eq!(sim.registrar().at(paths::REQUEST_VOUCHER).len(), 1, "the voucher still holds");
    assert!(sim.summary.is_some() && sim.discarded.is_empty());
}

#[test]
fn the_registrar_may_not_change_on_the_way() {
    let mut sim = Sim::with(|r| r.quirk = later(paths::SIMPLE_ENROLL, 1, "60"));
    sim.run_for(Duration::from_secs(10));
    sim.registrar().shown = Domain::named("Other Domain", "registrar.example").registrar.chain();
    sim.cut();
    assert_eq!(sim.refusal().check, "registrar-changed");
    assert_eq!(sim.discarded.len(), 1);
}

#[test]
fn a_connection_lost_again_and_again() {
    let mut sim = Sim::with(|r| r.quirk = instead(paths::CACERTS, |_| Response::new(0)));
    assert_eq!(sim.refusal().check, "connection");
    assert_eq!(sim.connections.len(), 6);
}

#[test]
fn a_registrar_that_closes_after_each_answer() {
    let mut sim = Sim::with(|_| {});
    let mut requests = 0;
    sim.network = Box::new(move || {
        requests += 1;
        if requests % 2 == 0 { Fate::LostGoing } else { Fate::Answered }
    });
    sim.run();
    assert!(sim.summary.as_ref().unwrap().reported, "{:?}", sim.failures());
    assert_eq!(sim.registrar().at(paths::CACERTS).len(), 1, "what was learned is kept");
    assert_eq!((sim.persisted.len(), sim.discarded.len()), (1, 0));
}

#[test]
fn a_credential_that_cannot_be_kept_is_not_used() {
    let mut sim = Sim::with(|_| {});
    sim.storage = false;
    assert_eq!(sim.refusal().check, "device-element");
    assert!(!sim.registrar().told(paths::ENROLL_STATUS)[0].status);
    assert_eq!((sim.connections.len(), sim.discarded.len()), (1, 1));
}

#[test]
fn a_registrar_that_is_gone_does_not_undo_the_enrolment() {
    let mut sim = Sim::with(|r| {
        r.quirk = Box::new(|request| (request.path == paths::ENROLL_STATUS).then(|| Response::new(0)));
    });
    sim.run();
    let summary = sim.summary.clone().unwrap();
    assert!(!summary.reported && sim.connections.len() == 7);
}

#[test]
fn another_registrar_on_the_new_connection() {
    let other = Domain::named("Other Domain", "other.example");
    for (of_domain, check) in [(true, "est-server-cmc-ra"), (false, "path-unknown-issuer")] {
        let mut sim = Sim::with(|_| {});
        while sim.persisted.is_empty() {
            sim.step();
        }
        sim.registrar().shown = match of_domain {
            true => sim.registrar().domain.impostor("printer.example").chain(),
            false => other.registrar.chain(),
        };
        sim.run();
        assert_eq!(sim.failures()[0], check);
        assert!(!sim.summary.as_ref().unwrap().reported);
        assert!(sim.registrar().told(paths::ENROLL_STATUS).is_empty(), "a stranger is told nothing");
    }
}

#[test]
fn an_interrupted_device_only_has_to_report() {
    let mut sim = Sim::with(|_| {});
    while sim.persisted.is_empty() {
        sim.step();
    }
    // Killed here: what is left is the credential.
    let credential = sim.persisted[0].clone();
    let (maker, domain) = (sim.registrar().maker.clone(), sim.registrar().domain.clone());
    let device = maker.device("SN-0001");
    let machine = Onboarding::resume(config(&maker, &device), random(3), credential.clone());
    let registrar = Registrar::new(&maker, &domain);
    let mut sim = Sim::around(machine, device, vec![(credential.offer.clone(), registrar)]);
    sim.persisted.push(credential);
    sim.tell(Input::Start);
    sim.run();
    assert_eq!(sim.registrar().seen.len(), 1);
    assert!(sim.registrar().told(paths::ENROLL_STATUS)[0].status);
    assert!(sim.summary.unwrap().reported);
}

#[test]
fn every_device_gets_its_own_key() {
    let (maker, domain, device) = cast();
    let onboard = || {
        let mut sim = Sim::new(config(&maker, &device), device.clone(), vec![("r", Registrar::new(&maker, &domain))]);
        sim.run();
        sim.summary.unwrap().credential.ldevid.public_key().clone()
    };
    let (first, second) = (onboard(), onboard());
    assert_ne!(first, second);
    assert_ne!(&first, device.certificate.public_key());
}
