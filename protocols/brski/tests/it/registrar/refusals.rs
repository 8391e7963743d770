//! One change in a good case, one named refusal, one status.

use super::world::{Case, World, peer, ruling, seal, serial};
use landfall_brski::{
    media,
    registrar::{MasaEndpoint, SerialField, Standing, Vendor, Vendors},
    voucher::{Assertion, Format, Nonce, Voucher, VoucherRequest},
};
use landfall_pki::{Anchors, Certificate, CertificateSerial, CrlRequest, Revoked, crl::Reason, key::Algorithm};
use landfall_policy::Verdict;
use landfall_testkit::{Manufacturer, NOW};
use landfall_types::{
    Fault, Outcome,
    http::{Method, Response},
};
use std::time::Duration;

/// A good case with one change is refused by `check` and answered with `status`, and nothing reaches the MASA or the
/// store.
fn refused(world: &World, check: &str, status: u16, change: impl FnOnce(&World, &mut Case)) {
    let mut case = world.case();
    change(world, &mut case);
    let ran = world.run(case);
    assert_eq!((ran.check(), ran.response.status), (check, status), "{:?}", ran.outcome);
    assert_eq!(ran.order, ["respond", "close"], "{check}");
    let told = String::from_utf8(ran.response.body).unwrap();
    assert!(!told.contains(check) && !told.contains("RFC"), "the pledge is told no more than the status: {told}");
}

#[test]
fn requests() {
    let world = World::new();
    refused(&world, "request-method", 405, |_, case| case.request.method = Method::Get);
    refused(&world, "request-type", 415, |_, case| {
        let body = std::mem::take(&mut case.request.body);
        case.request = landfall_types::http::Request::post(&case.request.path, media::JSON, body);
    });
    refused(&world, "request-accept", 406, |_, case| {
        let body = std::mem::take(&mut case.request.body);
        let request = landfall_types::http::Request::post(&case.request.path, media::VOUCHER_CMS, body);
        case.request = request.accept("text/html");
    });
    refused(&world, "voucher-size", 413, |_, case| case.request.body = vec![0x30; 1 << 20]);
    refused(&world, "voucher-container", 406, |_, case| {
        let half = case.request.body.len() / 2;
        case.request.body.truncate(half);
    });
    refused(&world, "voucher-signature", 403, |_, case| {
        let last = case.request.body.len() - 1;
        case.request.body[last] ^= 1;
    });
}

/// RFC 8995 s5.3: what a vendor has revoked, one that was stolen from its stock for example, may not come.
#[test]
fn a_device_that_its_vendor_revoked() {
    let world = World::new();
    let revoking = |certificate: &Certificate| {
        let issuing = &world.maker.issuing;
        let revoked = Revoked { at: NOW, reason: Reason::KeyCompromise };
        let request = CrlRequest {
            number: 1,
            this_update: NOW,
            next_update: NOW + Duration::from_secs(86_400),
            revoked: vec![(CertificateSerial::of(certificate), revoked)],
        };
        let list = request.prepare(&issuing.authority).unwrap().issue(&*issuing.key).unwrap();
        Vendors::new([Vendor { idevid_crls: [list].into_iter().collect(), ..world.vendor() }])
    };
    refused(&world, "idevid-untrusted", 404, |_, case| case.config.vendors = revoking(&world.device.certificate));
    let mut case = world.case();
    case.config.vendors = revoking(&world.maker.device("another").certificate);
    assert_eq!(world.run(case).response.status, 200);
}

#[test]
fn a_connection_proves_who_asks() {
    let world = World::new();
    refused(&world, "idevid-missing", 401, |_, case| case.client = None);
    refused(&world, "idevid-untrusted", 404, |_, case| {
        case.client = Some(peer(&Manufacturer::new().device(super::world::SERIAL)));
    });
    refused(&world, "idevid-untrusted", 404, |world, case| {
        let mut vendor = world.vendor();
        vendor.idevid_anchors = Anchors::new();
        case.config.vendors = Vendors::new([vendor]);
    });
    // RFC 8995 s11.4: another device of the same maker, or a registrar, replays a request that it has seen.
    refused(&world, "request-signer", 403, |world, case| case.client = Some(peer(&world.maker.device("OTHER-1"))));
}

#[test]
fn what_a_pledge_claims_is_checked() {
    let world = World::new();
    let changed = |check, status, change: &dyn Fn(&World, &mut VoucherRequest)| {
        refused(&world, check, status, |world, case| {
            let mut content = world.pledge_request();
            change(world, &mut content);
            case.request = world.post(Format::CmsJson, &content);
        });
    };
    changed("request-serial", 403, &|_, content| content.serial_number = serial("OTHER-1"));
    changed("request-nonce", 403, &|_, content| content.nonce = None);
    changed("request-assertion", 401, &|_, content| content.assertion = None);
    changed("request-assertion", 401, &|_, content| content.assertion = Some(Assertion::Logged));
    changed("request-proximity", 401, &|_, content| content.proximity_registrar_cert = None);
    changed("request-proximity", 401, &|world, content| {
        content.proximity_registrar_cert = Some(world.domain.impostor("registrar.example").certificate);
    });
}

#[test]
fn after_a_proximity_failure_the_connection_is_closed() {
    let world = World::new();
    let mut case = world.case();
    let content = VoucherRequest { proximity_registrar_cert: None, ..world.pledge_request() };
    case.request = world.post(Format::CmsJson, &content);
    assert_eq!(world.run(case).response.headers.first("connection"), Some("close"));
}

#[test]
fn an_idevid_without_a_serial_number_needs_a_fallback() {
    let mut world = World::new();
    let subject = landfall_pki::Name::new().common_name(super::world::SERIAL);
    world.device = world.maker.issuing.certify(
        std::sync::Arc::new(landfall_pki::SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()),
        |issuer, key| {
            let profile = landfall_pki::profile::Ldevid { subject, alt_names: vec![], purposes: vec![], crl_url: None };
            let validity = landfall_pki::Validity::lasting(NOW, Duration::from_secs(86_400));
            profile.prepare(issuer, key, CertificateSerial::random().unwrap(), validity)
        },
    );
    refused(&world, "idevid-serial", 404, |_, _| {});
    let mut vendor = world.vendor();
    vendor.serial_fallback = Some(SerialField::CommonName);
    refused(&world, "masa-unknown", 403, |_, case| case.config.vendors = Vendors::new([vendor.clone()]));
    vendor.masa = Some("masa.example".parse::<MasaEndpoint>().unwrap());
    let mut case = world.case();
    case.config.vendors = Vendors::new([vendor]);
    case.masa = Ok(world.answer(&Voucher { idevid_issuer: None, ..world.voucher() }));
    assert_eq!(world.run(case).response.status, 200);
}

#[test]
fn an_expired_idevid_is_good_if_the_vendor_says_so() {
    let mut world = World::new();
    world.device = world.maker.issuing.certify(
        std::sync::Arc::new(landfall_pki::SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()),
        |issuer, key| {
            let subject = landfall_pki::Name::new().serial_number(&serial(super::world::SERIAL));
            let profile = landfall_pki::profile::Ldevid { subject, alt_names: vec![], purposes: vec![], crl_url: None };
            let began = NOW - Duration::from_secs(2 * 86_400);
            let validity = landfall_pki::Validity::lasting(began, Duration::from_secs(86_400));
            profile.prepare(issuer, key, CertificateSerial::random().unwrap(), validity)
        },
    );
    let mut vendor = world.vendor();
    vendor.masa = Some("masa.example".parse::<MasaEndpoint>().unwrap());
    let mut case = world.case();
    case.config.vendors = Vendors::new([vendor.clone()]);
    assert_eq!(world.run(case).response.status, 200);
    vendor.ignore_idevid_expiry = false;
    refused(&world, "idevid-untrusted", 404, |_, case| case.config.vendors = Vendors::new([vendor]));
}

#[test]
fn a_masa_address_that_leads_nowhere() {
    let mut world = World::new();
    world.device = world.maker.device_with(super::world::SERIAL, Algorithm::EcdsaP256, |idevid| {
        idevid.masa_url = Some("https://masa.example/a?b".into());
    });
    refused(&world, "masa-url", 403, |_, _| {});
}

#[test]
fn the_role_denies() {
    let world = World::new();
    let denied = |case: Case, check: &str, status: u16| {
        let ran = world.run(case);
        assert_eq!((ran.check(), ran.response.status), (check, status));
        assert!(matches!(&ran.outcome, Outcome::Refused(refusal) if refusal.fault == Fault::Denied));
        // What the device had before counts no more, and that is durable before the pledge knows.
        assert_eq!(ran.order.as_slice()[ran.order.len() - 3..], ["persist", "respond", "close"]);
        assert!(matches!(ran.records[0].standing, Standing::Refused { .. }));
    };
    denied(Case { first: ruling(Verdict::Deny), ..world.case() }, "policy-denied", 404);
    let for_now = landfall_brski::registrar::Ruling { for_now: true, ..ruling(Verdict::Deny) };
    denied(Case { first: for_now, ..world.case() }, "policy-denied-for-now", 403);
    denied(Case { last: ruling(Verdict::Deny), ..world.case() }, "policy-denied-voucher", 406);
}

/// What the MASA says, with one change, never reaches the pledge; it and the store learn nothing of it.
fn bad_answer(world: &World, check: &str, status: u16, masa: Response) {
    let ran = world.run(Case { masa: Ok(masa), ..world.case() });
    assert_eq!((ran.check(), ran.response.status), (check, status), "{:?}", ran.outcome);
    assert_eq!(ran.order, ["rule", "sign", "ask", "respond", "close"], "{check}");
}

#[test]
fn a_voucher_that_is_not_for_this() {
    let world = World::new();
    let changed = |check, change: &dyn Fn(&mut Voucher)| {
        let mut voucher = world.voucher();
        change(&mut voucher);
        bad_answer(&world, check, 502, world.answer(&voucher));
    };
    changed("voucher-serial", &|voucher| voucher.serial_number = serial("OTHER-1"));
    changed("voucher-nonce", &|voucher| voucher.nonce = Some(Nonce::from_random([8; 16])));
    changed("voucher-nonce", &|voucher| voucher.nonce = None);
    changed("voucher-idevid-issuer", &|voucher| voucher.idevid_issuer = Some(vec![7; 20]));
    changed("voucher-assertion", &|voucher| voucher.assertion = Some(Assertion::AgentProximity));
    changed("voucher-pinned", &|voucher| {
        voucher.pinned_domain_cert = Some(World::new().domain.root.authority.certificate);
    });
    changed("voucher-expired", &|voucher| {
        voucher.nonce = None;
        voucher.expires_on = Some(NOW);
    });
}

#[test]
fn an_answer_that_is_no_voucher() {
    let world = World::new();
    let good = world.answer(&world.voucher());
    let as_type = |content_type: &str| Response::with(200, content_type, good.body.clone());
    bad_answer(&world, "masa-answer", 502, as_type("text/html"));
    bad_answer(&world, "masa-answer", 502, as_type(media::VOUCHER_JWS));
    bad_answer(&world, "masa-answer", 502, Response::with(200, media::VOUCHER_CMS, vec![0x30; 1 << 20]));
    bad_answer(&world, "voucher-container", 502, Response::with(200, media::VOUCHER_CMS, good.body[..99].to_vec()));
    let mut broken = good.clone();
    *broken.body.last_mut().unwrap() ^= 1;
    bad_answer(&world, "voucher-signature", 502, broken);
    let stranger = seal(Format::CmsJson, &world.voucher(), &Manufacturer::new().masa);
    bad_answer(&world, "voucher-untrusted", 502, Response::with(200, media::VOUCHER_CMS, stranger));
}

#[test]
fn without_anchors_of_the_vendor_the_signer_is_not_judged() {
    let world = World::new();
    let stranger = seal(Format::CmsJson, &world.voucher(), &Manufacturer::new().masa);
    let mut case = world.case();
    let mut vendor = world.vendor();
    vendor.voucher_anchors = Anchors::new();
    case.config.vendors = Vendors::new([vendor]);
    case.masa = Ok(Response::with(200, media::VOUCHER_CMS, stranger));
    assert_eq!(world.run(case).response.status, 200);
}

#[test]
fn what_the_masa_refuses_is_refused_to_the_pledge() {
    let world = World::new();
    for (theirs, check, ours) in [
        (403, "masa-forbids", 403),
        (404, "masa-does-not-know", 404),
        (406, "masa-cannot-satisfy", 406),
        (415, "masa-media-type", 415),
        (401, "masa-wants-authentication", 502),
        (400, "masa-refuses", 502),
        (302, "masa-refuses", 502),
        (204, "masa-refuses", 502),
    ] {
        bad_answer(&world, check, ours, Response::text(theirs, "for a reason"));
    }
}

#[test]
fn inputs_out_of_order_end_the_exchange() {
    use landfall_brski::registrar::{Input, Output, VoucherExchange};
    use landfall_types::{Machine, contract::drain};
    let world = World::new();
    for input in [Input::Persisted, Input::Signed(vec![]), Input::StoredVoucher(None), Input::Failed("disk".into())] {
        let mut exchange = VoucherExchange::new(std::sync::Arc::new(world.config()));
        exchange.handle(NOW, input).unwrap();
        let outputs = drain(&mut exchange);
        let [Output::Respond(response), Output::Close(Outcome::Refused(refusal))] = outputs.as_slice() else {
            panic!("{outputs:?}")
        };
        assert!(response.status >= 500, "{refusal}");
    }
}
