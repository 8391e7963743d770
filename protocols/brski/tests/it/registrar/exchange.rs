//! Exchanges that end as they should.

use super::world::{SERIAL, World, nonce, ruling, serial};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::{
    media, paths,
    registrar::{MasaEndpoint, Source, Stage, Standing, VoucherRecord},
    voucher::{self, Assertion, Format, VoucherRequest},
};
use landfall_policy::{Verdict, acceptance};
use landfall_testkit::NOW;
use landfall_types::{Outcome, Record, http::Response};

#[test]
fn a_device_gets_its_voucher() {
    let world = World::new();
    let ran = world.run(world.case());
    assert_eq!(ran.order, ["rule", "sign", "ask", "rule", "persist", "respond", "close"]);
    assert_eq!((ran.response.status, ran.outcome), (200, Outcome::Done));
    assert_eq!(ran.response.headers.first("content-type"), Some(media::VOUCHER_CMS));

    let [record] = ran.records.as_slice() else { panic!("{} records", ran.records.len()) };
    let Standing::Accepted(accepted) = &record.standing else { panic!("{:?}", record.standing) };
    assert_eq!(accepted.voucher, ran.response.body, "the pledge gets what the MASA made");
    assert_eq!((accepted.source, accepted.assertion), (Source::Masa, Assertion::Proximity));
    assert_eq!(accepted.domain, world.domain.root.authority.certificate.domain_id());
    assert_eq!((record.nonce.clone(), record.accepted_at()), (Some(nonce()), Some(NOW)));
    assert_eq!(record.idevid, world.device.certificate.der());
    let json = serde_json::to_value(record).unwrap();
    assert_eq!(serde_json::from_value::<VoucherRecord>(json).unwrap(), *record);
    assert_eq!(record.key(), record.device.to_string());
}

#[test]
fn the_masa_is_asked_as_specified() {
    let world = World::new();
    let case = world.case();
    let pledge_request = case.request.body.clone();
    let ran = world.run(case);
    let [asked] = ran.asked.as_slice() else { panic!("{} requests", ran.asked.len()) };
    assert_eq!(asked.path, paths::REQUEST_VOUCHER);
    assert_eq!(asked.headers.first("content-type"), Some(media::VOUCHER_CMS));
    assert_eq!(asked.headers.first("accept"), Some(media::VOUCHER_CMS));

    let sent = voucher::open::<VoucherRequest>(Format::CmsJson, &asked.body).unwrap();
    assert_eq!(sent.signer, world.domain.registrar.certificate);
    let content = sent.payload;
    assert_eq!((content.serial_number, content.nonce), (serial(SERIAL), Some(nonce())));
    assert_eq!((content.created_on, content.assertion), (Some(NOW), Some(Assertion::Proximity)));
    assert_eq!(content.idevid_issuer, world.device.certificate.idevid_issuer());
    assert_eq!(content.prior_signed_voucher_request, Some(pledge_request));
    assert!(content.proximity_registrar_cert.is_none(), "RFC 8995 s5.5 forbids it");
    for pinnable in world.config().chain {
        assert!(sent.certificates.contains(&pinnable), "{:?} can be pinned", pinnable.subject());
    }
}

#[test]
fn the_policy_learns_what_was_verified() {
    let world = World::new();
    let ran = world.run(world.case());
    let [before, with] = ran.facts.as_slice() else { panic!("{} rulings", ran.facts.len()) };
    assert!(matches!(before.stage, Stage::BeforeMasa));
    assert_eq!((before.vendor.as_str(), before.serial.as_str()), ("Test Manufacturer", SERIAL));
    let facts = with.facts(NOW);
    let value = |name| facts.find(name).map(|fact| fact.value.clone());
    assert_eq!(value(acceptance::SERIAL_NUMBER), Some(SERIAL.into()));
    assert_eq!(value(acceptance::MANUFACTURER), Some("Test Manufacturer".into()));
    assert_eq!(value(acceptance::MODEL), Some("Test Model".into()));
    assert_eq!(value(acceptance::ASSERTION), Some("proximity".into()));
    assert_eq!(value("voucher-stored"), Some(false.into()));
    assert_eq!(value(acceptance::FOREIGN_DOMAINS), None, "what was not asked is not known");
}

#[test]
fn every_form_of_request_is_taken() {
    let world = World::new();
    for format in Format::ALL {
        let mut case = world.case();
        case.request = world.post(format, &world.pledge_request());
        let body = super::world::seal(format, &world.voucher(), &world.maker.masa);
        case.masa = Ok(Response::with(200, format.media_type(), body));
        let ran = world.run(case);
        assert_eq!(ran.response.status, 200, "{format}: {}", ran.check());
        assert_eq!(ran.response.headers.first("content-type"), Some(format.media_type()));
        assert_eq!(ran.asked[0].headers.first("content-type"), Some(format.media_type()));
    }
}

#[test]
fn a_body_in_base64_is_tolerated() {
    let world = World::new();
    let mut case = world.case();
    case.request.body = STANDARD.encode(&case.request.body).into_bytes();
    assert_eq!(world.run(case).response.status, 200);
}

#[test]
fn the_whole_accept_list_goes_on_to_the_masa() {
    let world = World::new();
    let mut case = world.case();
    case.request = landfall_types::http::Request::post(&case.request.path, media::VOUCHER_CMS, case.request.body)
        .accept("text/html")
        .accept("application/voucher-jws+json;q=0.5, application/voucher-cms+json");
    let ran = world.run(case);
    assert_eq!(ran.response.status, 200);
    let forwarded = "text/html, application/voucher-jws+json;q=0.5, application/voucher-cms+json";
    assert_eq!(ran.asked[0].headers.first("accept"), Some(forwarded));
}

#[test]
fn a_vendors_own_masa_comes_before_the_one_in_the_idevid() {
    let world = World::new();
    let mut vendor = world.vendor();
    vendor.masa = Some("https://masa.vendor.example:9443/lab".parse::<MasaEndpoint>().unwrap());
    let mut case = world.case();
    case.config.vendors = landfall_brski::registrar::Vendors::new([vendor]);
    let ran = world.run(case);
    assert_eq!(ran.asked[0].path, "/lab/requestvoucher");
    assert_eq!(ran.facts[0].masa.authority(), "masa.vendor.example:9443");
}

#[test]
fn a_vendor_is_told_by_its_anchors_and_not_by_names() {
    let world = World::new();
    // Another manufacturer, with CAs of the very same names.
    let mut other = World::new().vendor();
    other.id = "Other".parse().unwrap();
    let mut case = world.case();
    case.config.vendors = landfall_brski::registrar::Vendors::new([other, world.vendor()]);
    assert_eq!(world.run(case).facts[0].vendor.as_str(), "Test Manufacturer");
}

#[test]
fn a_person_may_decide_and_the_same_request_comes_again() {
    let world = World::new();
    let mut case = world.case();
    case.first = ruling(Verdict::Ask);
    let ran = world.run(case);
    assert_eq!(ran.order, ["rule", "persist", "respond", "close"]);
    assert_eq!((ran.response.status, ran.outcome), (202, Outcome::Pending));
    assert_eq!(ran.response.headers.first("retry-after"), Some("30"));
    assert!(matches!(ran.records[0].standing, Standing::Waiting { .. }));
    assert_eq!(ran.records[0].accepted_at(), None);

    let again = world.run(world.case());
    assert_eq!(again.response.status, 200);
    assert_eq!(again.records[0].key(), ran.records[0].key(), "it takes the place of the waiting one");
}

#[test]
fn a_masa_that_wants_time_gets_it() {
    let world = World::new();
    let mut case = world.case();
    case.masa = Ok(Response::new(202).header("retry-after", "45"));
    let ran = world.run(case);
    assert_eq!((ran.response.status, ran.outcome), (202, Outcome::Pending));
    assert_eq!(ran.response.headers.first("retry-after"), Some("45"));
}
