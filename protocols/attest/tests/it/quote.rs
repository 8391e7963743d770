//! Quotes.

use super::scene::{
    CLOCK, ELSEWHERE, HERE, NONCE, Scene, attestation_key, booted, id, release, signed, statement, zeros,
};
use landfall_attest::{
    BootState, Challenge, Device, EventLog, Evidence, Nonces, Quoted, ReferenceValues, Tier, appraise,
    ear::claim,
    log::{event, extended},
    tpm::{Clock, Statement},
    verifier::Speaks,
};
use landfall_testkit::{Manufacturer, NOW};
use landfall_types::Fingerprint;
use std::{collections::BTreeSet, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_device_that_runs_a_known_release_is_affirmed() {
    let scene = Scene::new();
    let appraisal = scene.appraise(Evidence::Tpm(scene.quoted()));
    assert_eq!(
        (appraisal.tier(), appraisal.firmware.as_deref()),
        (Tier::Affirming, Some("2.0")),
        "{}",
        appraisal.why()
    );
    assert_eq!(appraisal.vector.hardware, claim::GENUINE_HARDWARE);
    assert_eq!(appraisal.vector.executables, claim::APPROVED_BOOT);
    // Without a log, what the PCRs hold is enough.
    let appraisal = scene.appraise(Evidence::Tpm(Quoted { log: None, ..scene.quoted() }));
    assert_eq!(appraisal.tier(), Tier::Affirming);
}

#[test]
fn a_replayed_quote_and_one_of_another_connection_are_refused() {
    let scene = Scene::new();
    let pcrs = scene.log.replay([0, 7, 8]);
    let earlier = Challenge::new(&[6; 32], HERE).unwrap();
    assert_eq!(scene.finding(scene.quoted_with(&earlier, &pcrs, &CLOCK)), "quote-nonce");
    let relayed = Challenge::new(NONCE, ELSEWHERE).unwrap();
    let quoted = scene.quoted_with(&relayed, &pcrs, &CLOCK);
    assert_eq!(quoted.nonce, NONCE, "the nonce alone is right");
    assert_eq!(scene.finding(quoted), "quote-nonce");
}

#[test]
fn another_key_does_not_speak_for_the_device() {
    let scene = Scene::new();
    let other = attestation_key(&scene.maker, "LAMP-2");
    let quoted = scene.quoted();
    let by = |of: &landfall_testkit::Identity| Quoted {
        signature: signed(&*of.key, &quoted.statement),
        certificates: of.chain(),
        ..quoted.clone()
    };
    assert_eq!(scene.finding(by(&other)), "attestation-key-device");
    // One that the manufacturer never saw proven by the TPM's endorsement key.
    assert_eq!(scene.finding(by(&scene.birth)), "attestation-key-kind");
    // One whose certificate comes from elsewhere.
    let foreign = attestation_key(&Manufacturer::new(), "LAMP-1");
    let finding = scene.finding(by(&foreign));
    assert!(finding.starts_with("path-") || finding.starts_with("certificate"), "{finding}");
    assert_eq!(scene.finding(Quoted { certificates: Vec::new(), ..quoted.clone() }), "attestation-key");
    assert_eq!(
        scene.finding(Quoted { signature: signed(&*other.key, &quoted.statement), ..quoted.clone() }),
        "quote-signature"
    );
    assert_eq!(id(&scene.ak), id(&scene.birth));
}

#[test]
fn pcrs_that_were_not_quoted_are_refused() {
    let scene = Scene::new();
    let mut quoted = scene.quoted();
    quoted.pcrs.insert(8, [9; 32]);
    assert_eq!(scene.finding(quoted), "quote-pcrs");
    let mut quoted = scene.quoted();
    quoted.pcrs.remove(&7);
    assert_eq!(scene.finding(quoted), "quote-selection");
    // Those of no known release: the log adds up, and nobody vouches for it.
    let scene = Scene { log: booted("3.0-modified"), ..Scene::new() };
    let appraisal = scene.appraise(Evidence::Tpm(scene.quoted()));
    assert_eq!((appraisal.tier(), appraisal.findings[0].check.as_ref()), (Tier::Warning, "reference-pcr"));
    // One that the reference values need.
    let quoted = scene.quoted_with(&scene.challenge(), &booted("2.0").replay([0, 7]), &CLOCK);
    let log = Some(booted("2.0").write());
    assert_eq!(scene.finding(Quoted { log, ..quoted }), "reference-selection");
}

#[test]
fn a_log_that_does_not_add_up_is_refused() {
    let scene = Scene::new();
    let quoted = scene.quoted();
    let whole = quoted.log.clone().unwrap();
    let with = |log: Vec<u8>| Quoted { log: Some(log), ..quoted.clone() };
    // Cut within an event, and after one.
    assert_eq!(scene.finding(with(whole[..whole.len() - 1].to_vec())), "event-log-syntax");
    let one_less = EventLog { events: scene.log.events[..1].to_vec(), locality: 0 };
    assert_eq!(scene.finding(with(one_less.write())), "event-log-replay");
    let mut longer = scene.log.clone();
    longer.events.push(event(8, 0x0d, b"more", "more"));
    assert_eq!(scene.finding(with(longer.write())), "event-log-replay");
    assert_eq!(scene.finding(with(booted("1.0").write())), "event-log-replay");
    assert_eq!(scene.finding(with(vec![0; landfall_attest::log::LONGEST + 1])), "event-log-syntax");
    let many = EventLog { events: vec![event(9, 0x0d, b"x", ""); 4097], locality: 0 };
    assert_eq!(scene.finding(with(many.write())), "event-log-syntax");
}

#[test]
fn time_and_resets_do_not_go_back() {
    let scene = Scene::new();
    let first = scene.appraise(Evidence::Tpm(scene.quoted())).boot.unwrap();
    assert_eq!(first.clock, CLOCK);
    let at = |clock: Clock| scene.quoted_with(&scene.challenge(), &scene.log.replay([0, 7, 8]), &clock);
    scene.before.replace(Some(first.clone()));
    for later in [
        CLOCK,
        Clock { clock: 5001, ..CLOCK },
        Clock { reset_count: 10, clock: 0, ..CLOCK },
        Clock { restart_count: 1, clock: 0, ..CLOCK },
    ] {
        assert_eq!(scene.appraise(Evidence::Tpm(at(later))).tier(), Tier::Affirming, "{later:?}");
    }
    assert_eq!(scene.finding(at(Clock { reset_count: 8, ..CLOCK })), "quote-reset-count");
    assert_eq!(scene.finding(at(Clock { clock: 4999, ..CLOCK })), "quote-clock");
    // Counters are shifted by a constant of the key, which may carry them over the end.
    scene.before.replace(Some(BootState { clock: Clock { reset_count: u32::MAX, ..CLOCK }, ..first.clone() }));
    assert_eq!(scene.appraise(Evidence::Tpm(at(Clock { reset_count: 0, ..CLOCK }))).tier(), Tier::Affirming);
    // And so say nothing about another key.
    scene.before.replace(Some(BootState { key: Fingerprint([0; 32]), clock: Clock { reset_count: 99, ..CLOCK } }));
    assert_eq!(scene.appraise(Evidence::Tpm(scene.quoted())).tier(), Tier::Affirming);
}

#[test]
fn an_update_is_good_while_its_window_is_open() {
    let mut scene = Scene::new();
    let mut old = release("1.0");
    let mut new = release("2.0");
    (old.until, new.from) = (Some(NOW + DAY * 2), Some(NOW + DAY));
    scene.references = vec![ReferenceValues::new("acme", "lamp", NOW, vec![old, new])];
    let of = |name: &str, scene: &Scene, day: u32| {
        let log = booted(name);
        let quoted = scene.quoted_with(&scene.challenge(), &log.replay([0, 7, 8]), &CLOCK);
        let appraisal = scene.appraise_at(Evidence::Tpm(Quoted { log: Some(log.write()), ..quoted }), NOW + DAY * day);
        (appraisal.tier(), appraisal.findings.first().map(|found| found.check.to_string()))
    };
    let outside = (Tier::Warning, Some("reference-window".to_owned()));
    assert_eq!(of("1.0", &scene, 0), (Tier::Affirming, None));
    assert_eq!(of("2.0", &scene, 0), outside);
    assert_eq!(of("1.0", &scene, 1), (Tier::Affirming, None), "both are good for a while");
    assert_eq!(of("2.0", &scene, 1), (Tier::Affirming, None));
    assert_eq!(of("1.0", &scene, 2), outside);
    assert_eq!(of("2.0", &scene, 2), (Tier::Affirming, None));
    // Said anew: the old one must go.
    let withdrawn = landfall_attest::Release { withdrawn: true, ..release("1.0") };
    scene.references.push(ReferenceValues::new("acme", "lamp", NOW + DAY, vec![withdrawn, release("2.0")]));
    assert_eq!(of("1.0", &scene, 1), (Tier::Contraindicated, Some("reference-withdrawn".to_owned())));
    scene.references.clear();
    assert_eq!(of("2.0", &scene, 1), (Tier::Warning, Some("reference-missing".to_owned())));
}

#[test]
fn events_in_any_order_are_judged_one_by_one() {
    let mut scene = Scene::new();
    let mut known = release("2.0");
    known.pcrs.remove(&8);
    let good = scene.log.events[1].digest;
    known.events.insert(8, BTreeSet::from([Fingerprint(good), Fingerprint([1; 32])]));
    scene.references = vec![ReferenceValues::new("acme", "lamp", NOW, vec![known])];
    assert_eq!(scene.appraise(Evidence::Tpm(scene.quoted())).tier(), Tier::Affirming);
    assert_eq!(scene.finding(Quoted { log: None, ..scene.quoted() }), "reference-event");
    scene.log.events.push(event(8, 0x0d, b"a rootkit", "nothing to see"));
    assert_eq!(scene.finding(scene.quoted()), "reference-event");
}

#[test]
fn a_service_speaks_by_a_key_that_is_known() {
    let scene = Scene::new();
    let key = scene.ak.certificate.public_key().clone();
    let quoted = Quoted { certificates: Vec::new(), key: Some(key.clone()), ..scene.quoted() };
    let evidence = Evidence::from_cmw(Evidence::Tpm(quoted).to_cmw().as_bytes()).unwrap();
    let judged = |keys: &[Fingerprint]| {
        let service = Device { vendor: "acme", model: "lamp", speaks: Speaks::Known(keys) };
        appraise(&evidence, &scene.challenge(), &service, &scene.references, None, NOW)
    };
    assert_eq!(judged(&[key.fingerprint()]).tier(), Tier::Affirming);
    assert_eq!(judged(&[Fingerprint([1; 32])]).findings[0].check, "attestation-key");
    assert_eq!(judged(&[]).tier(), Tier::Contraindicated);
}

#[test]
fn what_is_no_quote_is_refused() {
    let scene = Scene::new();
    let pcrs = zeros(&[0]);
    let good = statement(&[1; 32], &pcrs, &CLOCK);
    assert!(Statement::read(&good).is_ok());
    for cut in 0..good.len() {
        assert!(Statement::read(&good[..cut]).is_err(), "{cut}");
    }
    assert!(Statement::read(&[&good[..], &[0]].concat()).is_err());
    let changed = |at: usize, to: u8| {
        let mut octets = good.clone();
        octets[at] = to;
        Statement::read(&octets)
    };
    assert!(changed(0, 0).is_err(), "not made by a TPM");
    assert!(changed(5, 0x19).is_err(), "of another kind");
    let safe = 10 + 2 + 32 + 16;
    assert!(changed(safe, 2).is_err(), "a yes or no that is neither");
    assert!(changed(safe + 1 + 8 + 3, 17).is_err(), "more banks than there are");
    assert!(changed(safe + 1 + 8 + 5, 4).is_err(), "PCRs of the SHA-1 bank");
    // A statement about a key, signed by the right one.
    let quoted = scene.quoted();
    let key = [&quoted.statement[..5], &[0x17], &quoted.statement[6..safe + 9], &[0, 1, 1, 0, 1, 1][..]].concat();
    let signature = signed(&*scene.ak.key, &key);
    assert_eq!(scene.finding(Quoted { statement: key, signature, ..quoted }), "quote-kind");
}

#[test]
fn a_nonce_is_good_once_here_and_for_a_while() {
    let nonces = Nonces::new(Duration::from_secs(600)).unwrap();
    let nonce = landfall_attest::read_answer(nonces.answer(HERE, NOW).as_bytes()).unwrap();
    assert_eq!(nonces.check(&nonce, HERE, NOW).unwrap().nonce(), nonce);
    let check = |nonce: &[u8], here, at| nonces.check(nonce, here, at).unwrap_err().check.to_string();
    assert_eq!(check(&nonce, ELSEWHERE, NOW), "attestation-nonce");
    assert_eq!(check(&nonce[..31], HERE, NOW), "attestation-nonce");
    assert_eq!(check(&[], HERE, NOW), "attestation-nonce");
    assert_eq!(check(&nonce, HERE, NOW + Duration::from_secs(600)), "attestation-nonce-age");
    let early = nonces.make(HERE, NOW + Duration::from_secs(60));
    assert_eq!(check(&early, HERE, NOW), "attestation-nonce-age");
    let others = Nonces::new(Duration::from_secs(600)).unwrap();
    assert_eq!(others.check(&nonce, HERE, NOW).unwrap_err().check, "attestation-nonce");
    for wrong in ["", "{}", r#"{"nonce":1}"#, r#"{"nonce":"AAAA"}"#, r#"{"nonce":"*"}"#] {
        assert!(landfall_attest::read_answer(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_replay_begins_as_the_tpm_does() {
    let log = EventLog { events: vec![event(17, 1, b"x", "")], locality: 3 };
    let replayed = log.replay([0, 1, 17]);
    assert_eq!((replayed[&0][31], replayed[&1]), (3, [0; 32]));
    assert_eq!(replayed[&17], extended(&[0xff; 32], &log.events[0].digest));
}
