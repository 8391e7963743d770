//! One change in a good case, one named refusal, one status.

use super::world::{Case, World, csr, new_key, peer, post};
use der::asn1::Any;
use landfall_brski::{
    est::{
        Operation, binding as channel, body,
        csrattrs::{CsrAttrs, EC_PUBLIC_KEY, EXTENSION_REQUEST, Wish},
    },
    media,
};
use landfall_pki::{
    AltName, CsrRequest, Name, attestation, csr::MAX_LEN_WITH_EVIDENCE, extension::Extension, key::Algorithm, oid,
};
use landfall_policy::Verdict;
use landfall_testkit::{Domain, Manufacturer, NOW};
use landfall_types::http::Request;

/// A good case with one change is refused by `check` with `status`, and nothing is signed or written.
fn refused(check: &str, status: u16, change: impl FnOnce(&World, &mut Case)) {
    let mut world = World::new();
    let mut case = world.case();
    change(&world, &mut case);
    let ran = world.run(case);
    assert_eq!((ran.check(), ran.response().status), (check, status), "{:?}", ran.outcome);
    assert!(!ran.order.contains(&"sign") && world.issued.is_empty(), "{check}");
    assert!(ran.response().headers.first("content-type").unwrap().starts_with("text/plain"), "RFC 8951 s5");
}

/// The same, where the change is in what the request asks for.
fn refused_asking(check: &str, change: impl FnOnce(&World, &mut CsrRequest)) {
    refused(check, 400, |world, case| {
        let mut content = world.content();
        change(world, &mut content);
        case.request = post(case.operation, &csr(&content, &world.key));
    });
}

#[test]
fn bodies() {
    refused("est-type", 415, |_, case| {
        case.request = Request::post(&case.request.path, media::PKCS7, case.request.body.clone());
    });
    refused("est-body", 400, |_, case| case.request.body = b"not base64!".to_vec());
    refused("est-body", 413, |_, case| case.request.body = vec![b'A'; 1 << 20]);
    refused("csr-syntax", 400, |_, case| {
        let half = case.request.body.len() / 8 * 4;
        case.request.body.truncate(half);
    });
}

/// A request with evidence in it of so many bytes.
fn with_evidence(world: &World, length: usize) -> Request {
    let mut content = world.content();
    let evidence = attestation::with_evidence(None, &"e".repeat(length));
    content.attributes.push((oid::KEY_ATTESTATION, evidence));
    post(Operation::SimpleEnroll, &csr(&content, &world.key))
}

#[test]
fn long_evidence_is_looked_at_where_it_is_asked_for_and_nowhere_else() {
    // An event log of 256 KiB, twice in base64.
    const LONG: usize = 480 * 1024;
    let mut world = World::new();
    let mut case = world.case();
    case.request = with_evidence(&world, LONG);
    assert!(case.request.body.len() <= body::LIMIT_WITH_EVIDENCE);
    case.config.csrattrs = CsrAttrs(vec![Wish::Oid(oid::KEY_ATTESTATION)]);
    assert_eq!(world.run(case).response().status, 200);

    let asked = |case: &mut Case| case.config.csrattrs = CsrAttrs(vec![Wish::Oid(oid::KEY_ATTESTATION)]);
    refused("est-body", 413, |world, case| case.request = with_evidence(world, LONG));
    refused("csr-syntax", 400, |world, case| case.request = with_evidence(world, 64 * 1024));
    refused("csr-syntax", 400, |_, case| {
        asked(case);
        // It begins as a request that is one byte too long does.
        case.request.body = body::encode(&vec![0x30; MAX_LEN_WITH_EVIDENCE + 1]);
    });
    refused("est-body", 413, |_, case| {
        asked(case);
        case.request.body = vec![b'A'; body::LIMIT_WITH_EVIDENCE + 1];
    });
    refused("csr-syntax", 400, |world, case| {
        asked(case);
        case.request = with_evidence(world, LONG);
        let half = case.request.body.len() / 8 * 4;
        case.request.body.truncate(half);
    });
}

#[test]
fn clients() {
    refused("client-missing", 401, |_, case| case.client = None);
    refused("client-untrusted", 403, |_, case| {
        case.client = Some(peer(&Manufacturer::new().device(super::world::SERIAL)));
    });
    refused("client-untrusted", 403, |_, case| case.client = Some(peer(&Domain::new().registrar)));
    refused("client-voucher", 403, |_, case| case.voucher_at = None);
    refused("client-voucher", 403, |_, case| {
        case.voucher_at = Some(NOW - case.config.voucher_max_age - std::time::Duration::from_secs(1));
    });
    // A certificate of the domain, yet no device's: the registrar's own.
    refused("client-unrecorded", 403, |world, case| case.client = Some(peer(&world.domain.registrar)));
    refused("policy-denied", 403, |_, case| case.ruling = Verdict::Deny);
}

#[test]
fn keys() {
    refused("csr-possession", 400, |world, case| {
        let mut der = csr(&world.content(), &world.key).der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        case.request.body = body::encode(&der);
    });
    refused("csr-key", 400, |world, case| {
        case.request = post(case.operation, &csr(&world.content(), &new_key(Algorithm::Ed25519)));
    });
}

#[test]
fn two_devices_do_not_have_one_key() {
    let mut world = World::new();
    world.run(world.case());
    world.device = world.maker.device("OTHER-1");
    let ran = world.run(world.asking(&CsrRequest::default()));
    assert_eq!((ran.check(), ran.response().status), ("csr-key-shared", 403));
}

#[test]
fn names() {
    refused_asking("csr-subject", |_, content| {
        content.subject = Name::new().serial_number(&"OTHER-1".parse().unwrap())
    });
    refused_asking("csr-subject", |_, content| content.subject = Name::common("OTHER-1"));
    for name in [
        "router.example",
        "devices.example",
        ".devices.example",
        "evildevices.example",
        "*.devices.example",
        "a..devices.example",
    ] {
        refused_asking("csr-extension", |_, content| content.alt_names = vec![AltName::Dns(name.into())]);
    }
    refused_asking("csr-extension", |_, content| {
        content.alt_names = vec![AltName::Uri("https://a.devices.example".into())]
    });
    refused_asking("csr-change-subject", |_, content| {
        let attribute = landfall_pki::Oid::new_unwrap("1.3.6.1.5.5.7.7.36");
        content.attributes = vec![(attribute, vec![0x30, 0])];
    });
}

#[test]
fn extensions_that_nobody_asked_for() {
    let ca = Extension::new(oid::BASIC_CONSTRAINTS, vec![0x30, 3, 1, 1, 0xff]).critical();
    let signs = Extension::new(oid::KEY_USAGE, vec![3, 2, 2, 0x84]).critical();
    let purpose = |purpose: landfall_pki::Oid| {
        let content = [&[0x30, 0x0a, 6, 8][..], purpose.as_bytes()].concat();
        Extension::new(oid::EXTENDED_KEY_USAGE, content)
    };
    let masa = Extension::new(oid::MASA_URL, [&[0x16, 1][..], b"x"].concat());
    for extension in [ca, signs, purpose(oid::CMC_RA), purpose(oid::SERVER_AUTH), masa] {
        refused_asking("csr-extension", |_, content| content.extensions = vec![extension]);
    }
}

#[test]
fn wishes_that_were_not_heard() {
    let unheard = |wish: Wish| {
        refused("csr-attributes", 400, |_, case| case.config.csrattrs = CsrAttrs(vec![wish]));
    };
    let of = |oid: landfall_pki::Oid| Any::encode_from(&oid).unwrap();
    unheard(Wish::Attribute { oid: EC_PUBLIC_KEY, values: vec![of(oid::P384)] });
    unheard(Wish::Attribute { oid: EXTENSION_REQUEST, values: vec![of(oid::SUBJECT_ALT_NAME)] });
    unheard(Wish::Oid(oid::COUNTRY));
}

#[test]
fn channel_binding() {
    refused("csr-binding-missing", 400, |_, case| case.config.require_binding = true);
    for required in [false, true] {
        refused("csr-binding", 400, |world, case| {
            let other = landfall_brski::ChannelBinding { tls_exporter: Some([8; 32]), tls_unique: None };
            let challenge_password = channel::challenge_password(&other).map(Into::into);
            let content = CsrRequest { challenge_password, ..world.content() };
            case.request = post(case.operation, &csr(&content, &world.key));
            case.config.require_binding = required;
        });
    }
}

#[test]
fn what_fails_on_our_side_is_not_the_clients_fault() {
    use landfall_brski::est::server::{Enrollment, Input, Output};
    use landfall_types::{Machine, Outcome, contract::drain};
    let world = World::new();
    for input in [Input::Failed("the disk is full".into()), Input::Signed(vec![]), Input::Persisted] {
        let mut enrollment = Enrollment::new(std::sync::Arc::new(world.config()), [1; 16]);
        let case = world.case();
        let (operation, request, client) = (Operation::SimpleEnroll, case.request, case.client);
        enrollment.handle(NOW, Input::Request { operation, label: None, request, client }).unwrap();
        let _ = drain(&mut enrollment);
        enrollment.handle(NOW, input).unwrap();
        let outputs = drain(&mut enrollment);
        let [Output::Respond(response), Output::Close(Outcome::Refused(_))] = outputs.as_slice() else {
            panic!("{outputs:?}")
        };
        assert_eq!((response.status, response.headers.first("retry-after")), (503, Some("30")));
        assert!(!String::from_utf8_lossy(&response.body).contains("disk"));
    }
}
