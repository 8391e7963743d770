//! One thing wrong with a voucher, or with who brings it: each named, none of it told to the other end.

use super::{
    registrar::{Members, Registrar, base64, instead, sign},
    sim::{Sim, cast, config, offer, random},
};
use der::{Decode, Encode};
use landfall_brski::{
    media, paths,
    pledge::{Input, Onboarding},
    voucher::Format,
};
use landfall_pki::{Anchors, Validity};
use landfall_testkit::{Domain, Manufacturer, NOW, Rng};
use landfall_types::{Time, http::Response};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

type Onboard = Sim<Onboarding>;

fn voucher(change: impl FnMut(&mut Members) + Send + 'static) -> Onboard {
    Sim::with(|registrar| registrar.voucher = Box::new(change))
}

/// It ends with that refusal, and the registrar was told only that the voucher is no good.
fn refused(mut sim: Onboard, check: &str) {
    assert_eq!(sim.refusal().check, check);
    let told = sim.registrar().told(paths::VOUCHER_STATUS);
    assert_eq!(told.iter().map(|status| status.status).collect::<Vec<_>>(), [false]);
    assert_eq!(told[0].reason.as_deref(), Some("the voucher is not acceptable"));
    assert!(sim.registrar().at(paths::CACERTS).is_empty() && sim.registrar().at(paths::SIMPLE_ENROLL).is_empty());
    assert!(sim.persisted.is_empty());
}

/// It ends with a credential.
fn accepted(mut sim: Onboard) {
    sim.run();
    assert!(sim.summary.is_some(), "{:#?}", sim.notes);
}

#[test]
fn wrong_nonce() {
    refused(voucher(|v| drop(v.insert("nonce".into(), json!("AAAAAAAAAAAAAAAAAAAAAA==")))), "voucher-nonce");
}

#[test]
fn replayed_voucher() {
    // What the first device gets is given to the same device when it comes again.
    let kept: Arc<Mutex<Option<Members>>> = Arc::default();
    let (maker, domain, device) = cast();
    let onboard = |seed: u64, kept: Arc<Mutex<Option<Members>>>| {
        let mut registrar = Registrar::new(&maker, &domain);
        registrar.voucher = Box::new(move |members| {
            let first = kept.lock().unwrap().get_or_insert_with(|| members.clone()).clone();
            *members = first;
        });
        let machine = Onboarding::new(config(&maker, &device), random(seed));
        let mut sim = Sim::around(machine, device.clone(), vec![(offer("registrar"), registrar)]);
        sim.tell(Input::Start);
        sim.tell(Input::Offers(vec![offer("registrar")]));
        sim
    };
    accepted(onboard(1, Arc::clone(&kept)));
    refused(onboard(2, kept), "voucher-nonce");
}

#[test]
fn voucher_for_another_device() {
    refused(voucher(|v| drop(v.insert("serial-number".into(), json!("SN-0002")))), "voucher-serial-number");
}

#[test]
fn voucher_for_the_same_serial_number_of_another_maker() {
    let mut issuer = Manufacturer::new().device("SN-0001").certificate.idevid_issuer();
    let issuer = issuer.take().unwrap();
    refused(voucher(move |v| drop(v.insert("idevid-issuer".into(), base64(&issuer)))), "voucher-idevid-issuer");
}

#[test]
fn own_idevid_issuer_is_fine() {
    let (maker, domain, device) = cast();
    let issuer = device.certificate.idevid_issuer().unwrap();
    let mut registrar = Registrar::new(&maker, &domain);
    registrar.voucher = Box::new(move |v| drop(v.insert("idevid-issuer".into(), base64(&issuer))));
    accepted(Sim::new(config(&maker, &device), device, vec![("registrar", registrar)]));
}

#[test]
fn masa_of_another_maker() {
    refused(Sim::with(|registrar| registrar.masa = Manufacturer::new().masa), "voucher-signer-trust");
}

#[test]
fn registrar_that_makes_its_own_voucher() {
    refused(Sim::with(|registrar| registrar.masa = registrar.domain.registrar.clone()), "voucher-signer-trust");
}

#[test]
fn changed_after_signing() {
    let sim = Sim::with(|registrar| {
        let (maker, domain) = (registrar.maker.clone(), registrar.domain.clone());
        let mut honest = Registrar::new(&maker, &domain);
        honest.shown = registrar.shown.clone();
        registrar.quirk = instead(paths::REQUEST_VOUCHER, move |request| {
            let mut response = honest.answer(request.clone(), NOW);
            // In CMS the signature stands last.
            *response.body.last_mut().unwrap() ^= 1;
            response
        });
    });
    refused(sim, "voucher-signature");
}

/// One bit anywhere: either the voucher is refused, or the bit did not matter and what is pinned is what was pinned.
#[test]
fn any_bit_changed() {
    let (maker, domain, device) = cast();
    let mut accepted = 0;
    for seed in 0..300 {
        let mut honest = Registrar::new(&maker, &domain);
        let mut registrar = Registrar::new(&maker, &domain);
        let mut rng = Rng::new(seed);
        registrar.quirk = instead(paths::REQUEST_VOUCHER, move |request| {
            let mut response = honest.answer(request.clone(), NOW);
            let at = rng.below(response.body.len() as u64) as usize;
            response.body[at] ^= 1 << rng.below(8);
            response
        });
        let mut sim = Sim::new(config(&maker, &device), device.clone(), vec![("registrar", registrar)]);
        sim.run();
        if let Some(summary) = &sim.summary {
            accepted += 1;
            assert_eq!(summary.credential.pinned, domain.root.authority.certificate, "seed {seed}");
        }
    }
    assert!(accepted < 30, "{accepted} of 300 were accepted");
}

#[test]
fn second_signer() {
    let sim = Sim::with(|registrar| {
        let (maker, domain) = (registrar.maker.clone(), registrar.domain.clone());
        let mut honest = Registrar::new(&maker, &domain);
        registrar.quirk = instead(paths::REQUEST_VOUCHER, move |request| {
            let mut response = honest.answer(request.clone(), NOW);
            let other = sign(&Members::new(), &domain.registrar);
            response.body = with_signer_of(&response.body, &other);
            response
        });
    });
    refused(sim, "voucher-one-signer");
}

/// The first message with the signer of the second added.
fn with_signer_of(message: &[u8], other: &[u8]) -> Vec<u8> {
    let open = |bytes: &[u8]| {
        let info = cms::content_info::ContentInfo::from_der(bytes).unwrap();
        (info.content_type, info.content.decode_as::<cms::signed_data::SignedData>().unwrap())
    };
    let ((content_type, mut message), (_, other)) = (open(message), open(other));
    for signer in other.signer_infos.0.iter() {
        message.signer_infos.0.insert(signer.clone()).unwrap();
    }
    let content = der::Any::encode_from(&message).unwrap();
    cms::content_info::ContentInfo { content_type, content }.to_der().unwrap()
}

#[test]
fn nothing_pinned() {
    refused(voucher(|v| drop(v.remove("pinned-domain-cert"))), "voucher-pinned-domain-cert");
}

#[test]
fn revocation_checks_demanded() {
    refused(
        voucher(|v| drop(v.insert("domain-cert-revocation-checks".into(), json!(true)))),
        "voucher-revocation-checks",
    );
    accepted(voucher(|v| drop(v.insert("domain-cert-revocation-checks".into(), json!(false)))));
}

#[test]
fn pinned_domain_is_not_the_registrars() {
    let other = Domain::named("Other Domain", "other.example").root.authority.certificate;
    refused(voucher(move |v| drop(v.insert("pinned-domain-cert".into(), base64(other.der())))), "registrar-pinned");
}

#[test]
fn registrar_behind_another_certificate() {
    // Someone in the middle shows its own certificate; the voucher pins the true domain.
    let sim = Sim::with(|registrar| {
        let domain = Domain::named("Other Domain", "registrar.example");
        registrar.shown = domain.registrar.chain();
    });
    refused(sim, "registrar-pinned");
}

#[test]
fn a_device_of_the_domain_poses_as_its_registrar() {
    // Its certificate leads to the pinned CA like the registrar's; only id-kp-cmcRA is missing.
    let sim = Sim::with(|registrar| registrar.shown = registrar.domain.impostor("printer.example").chain());
    refused(sim, "registrar-pinned");
}

#[test]
fn the_registrars_own_certificate_may_be_pinned() {
    let sim = Sim::with(|registrar| {
        let own = registrar.domain.registrar.certificate.clone();
        registrar.shown.truncate(1);
        registrar.voucher = Box::new(move |v| drop(v.insert("pinned-domain-cert".into(), base64(own.der()))));
    });
    accepted(sim);
}

#[test]
fn unknown_fields_are_ignored() {
    accepted(voucher(|v| drop(v.insert("ietf-voucher-new:field".into(), json!({"of": ["the", "future"]})))));
}

fn nonceless(v: &mut Members, expires_in: i64) {
    v.remove("nonce");
    v.insert("assertion".into(), json!("logged"));
    let expires = Time::from_unix(NOW.as_unix() + expires_in);
    v.insert("expires-on".into(), json!(expires.to_string()));
}

#[test]
fn nonceless_vouchers() {
    accepted(voucher(|v| nonceless(v, 3600)));
    refused(voucher(|v| nonceless(v, -3600)), "voucher-expired");
}

#[test]
fn nonceless_vouchers_can_be_refused() {
    let (maker, domain, device) = cast();
    let mut registrar = Registrar::new(&maker, &domain);
    registrar.voucher = Box::new(|v| nonceless(v, 3600));
    let mut config = config(&maker, &device);
    config.vouchers.nonceless = false;
    refused(Sim::new(config, device, vec![("registrar", registrar)]), "voucher-nonceless");
}

#[test]
fn a_device_without_a_clock_ignores_dates() {
    let (maker, domain, device) = cast();
    let mut registrar = Registrar::new(&maker, &domain);
    registrar.voucher = Box::new(|v| nonceless(v, -3600));
    registrar.validity = |_| Validity { not_before: NOW, not_after: NOW + Duration::from_secs(3600) };
    let machine = Onboarding::new(config(&maker, &device).without_clock(), random(1));
    let mut sim = Sim::around(machine, device, vec![(offer("registrar"), registrar)]);
    // It wakes up in 1970, as such devices do.
    sim.now = Time::EPOCH;
    sim.tell(Input::Start);
    sim.tell(Input::Offers(vec![offer("registrar")]));
    accepted(sim);
}

#[test]
fn voucher_of_the_future() {
    let later = NOW + Duration::from_secs(3600);
    refused(voucher(move |v| drop(v.insert("created-on".into(), json!(later.to_string())))), "voucher-created-on");
}

#[test]
fn another_media_type() {
    let sim = Sim::with(|registrar| {
        let mut honest = Registrar::new(&registrar.maker, &registrar.domain);
        registrar.quirk = instead(paths::REQUEST_VOUCHER, move |request| {
            Response::with(200, media::JSON, honest.answer(request.clone(), NOW).body)
        });
    });
    refused(sim, "voucher-media-type");
}

#[test]
fn garbage() {
    for body in [Vec::new(), vec![0x30], vec![0x30, 0x80], vec![0xff; 70_000], b"<html>".to_vec()] {
        let sim = Sim::with(|registrar| {
            registrar.quirk =
                instead(paths::REQUEST_VOUCHER, move |_| Response::with(200, media::VOUCHER_CMS, body.clone()));
        });
        refused(sim, "voucher-container");
    }
}

#[test]
fn no_anchors_trust_nobody() {
    let (maker, domain, device) = cast();
    let mut config = config(&maker, &device);
    config.vouchers.anchors = Anchors::new();
    let registrar = Registrar::new(&maker, &domain);
    refused(Sim::new(config, device, vec![("registrar", registrar)]), "voucher-signer-trust");
}

#[test]
fn jws_requests_by_configuration() {
    let (maker, domain, device) = cast();
    let mut config = config(&maker, &device);
    config.format = Format::JwsJson;
    let mut sim = Sim::new(config, device, vec![("registrar", Registrar::new(&maker, &domain))]);
    // The registrar of these tests answers in CMS, which was not asked for.
    assert_eq!(sim.refusal().check, "voucher-media-type");
    let request = sim.registrar().at(paths::REQUEST_VOUCHER)[0].clone();
    assert_eq!(request.headers.first("content-type"), Some(media::VOUCHER_JWS));
    assert_eq!(request.headers.first("accept"), Some(media::VOUCHER_JWS));
}
