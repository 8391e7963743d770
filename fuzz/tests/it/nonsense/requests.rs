//! An EST server that is asked for a certificate by a device with good credentials and bad intentions.

use super::peer;
use crate::it::replay::rounds;
use landfall_brski::{
    est::{
        Operation, body, client,
        csrattrs::CsrAttrs,
        server::{Config, Enrollment, Found, Input, Output, Ruling},
    },
    media,
    registrar::{Vendor, Vendors},
};
use landfall_pki::{
    Algorithm, AltName, Anchors, CsrRequest, KeyKind, Name, PathPolicy, Signer, SoftwareKey, extension::Extension,
    lint, oid, validate,
};
use landfall_policy::{Decision, Verdict};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW, Rng};
use landfall_types::{
    Machine,
    contract::drain,
    http::{Request, Response},
};
use std::{sync::Arc, time::Duration};

const SERIAL: &str = "SN-0001";
const DAY: Duration = Duration::from_secs(86_400);

fn config(made: &Manufacturer, domain: &Domain) -> Config {
    let vendor = Vendor {
        id: "Test Manufacturer".parse().unwrap(),
        idevid_anchors: made.device_anchors(),
        idevid_crls: Default::default(),
        legacy_rsa: false,
        ignore_idevid_expiry: true,
        serial_fallback: None,
        masa: None,
        voucher_anchors: Anchors::new(),
    };
    Config {
        authority: domain.issuing.authority.clone(),
        cacerts: vec![domain.root.authority.certificate.clone()],
        vendors: Vendors::new([vendor]),
        domain_anchors: domain.anchors(),
        csrattrs: CsrAttrs::default(),
        keys: vec![KeyKind::P256],
        require_binding: false,
        purposes: vec![oid::CLIENT_AUTH],
        dns_suffixes: vec!["devices.example".into()],
        organization: Some("Test Domain".into()),
        lifetime: 90 * DAY,
        backdate: Duration::from_secs(300),
        voucher_max_age: DAY,
        expired_grace: Duration::ZERO,
        retry_after: Duration::from_secs(30),
        crl_url: None,
        server_keygen: None,
    }
}

/// What the server answers, where its role permits everything.
fn answer(config: &Config, domain: &Domain, device: &Identity, request: Request) -> Response {
    let mut exchange = Enrollment::new(Arc::new(config.clone()), [7; 16]);
    let client = Some(peer(device));
    let mut next = Some(Input::Request { operation: Operation::SimpleEnroll, label: None, request, client });
    let mut response = None;
    while let Some(input) = next.take() {
        exchange.handle(NOW, input).expect("the core takes what it asked for");
        for output in drain(&mut exchange) {
            match output {
                Output::Find(_) => {
                    let found = Found { client: None, revoked: false, voucher_at: Some(NOW), for_key: None };
                    next = Some(Input::Found(Box::new(found)));
                }
                Output::Rule(_) => {
                    next = Some(Input::Ruled(Ruling(Decision::because(Verdict::Permit, "test", "all may enrol"))));
                }
                Output::MakeKey(_) => panic!("nobody asked for a key"),
                Output::Sign { bytes } => next = Some(Input::Signed(domain.issuing.key.sign(&bytes).unwrap())),
                Output::Persist(_) => next = Some(Input::Persisted),
                Output::Respond(answer) => assert!(response.replace(answer).is_none(), "one answer"),
                Output::Close(_) => {}
            }
        }
    }
    response.expect("whoever asks gets an answer")
}

fn nonsense(rng: &mut Rng) -> CsrRequest {
    let serials = [SERIAL, SERIAL, SERIAL, "SN-0002"];
    let mut request = CsrRequest {
        subject: Name::new().serial_number(&serials[rng.below(4) as usize].parse().unwrap()),
        ..CsrRequest::default()
    };
    for _ in 0..rng.below(3) {
        match rng.below(5) {
            0 => request.subject = request.subject.common_name("registrar.example"),
            1 => request.alt_names.push(name(rng)),
            2 => request.extensions.push(extension(rng)),
            3 => request.attributes.push((oid::MASA_URL, vec![0x0c, 1, b'x'])),
            _ => request.challenge_password = Some("AAAA".to_owned().into()),
        }
    }
    request
}

fn name(rng: &mut Rng) -> AltName {
    match rng.below(6) {
        0 => AltName::Dns("one.devices.example".into()),
        1 => AltName::Dns("registrar.example".into()),
        2 => AltName::Dns("*.devices.example".into()),
        3 => AltName::Ip([192, 0, 2, 1].into()),
        4 => AltName::Uri("https://devices.example/".into()),
        _ => AltName::Email("root@devices.example".into()),
    }
}

fn extension(rng: &mut Rng) -> Extension {
    let purpose = |purpose: u8| vec![0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, purpose];
    let extension = match rng.below(7) {
        // A CA; serverAuth, clientAuth, cmcRA; all uses of the key; a MASA; something unknown.
        0 => Extension::new(oid::BASIC_CONSTRAINTS, vec![0x30, 3, 1, 1, 0xff]),
        1 => Extension::new(oid::EXTENDED_KEY_USAGE, purpose(1)),
        2 => Extension::new(oid::EXTENDED_KEY_USAGE, purpose(2)),
        3 => Extension::new(oid::EXTENDED_KEY_USAGE, purpose(28)),
        4 => Extension::new(oid::KEY_USAGE, vec![3, 2, 0, 0xff]),
        5 => Extension::new(oid::MASA_URL, b"\x16\x01x".to_vec()),
        _ => Extension::new(oid::DATA, rng.bytes::<5>().to_vec()),
    };
    if rng.percent(50) { extension.critical() } else { extension }
}

#[test]
fn an_est_server_certifies_only_what_the_domain_allots() {
    let (made, domain) = (Manufacturer::new(), Domain::new());
    let (device, config) = (made.device(SERIAL), config(&made, &domain));
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let path = Operation::SimpleEnroll.path(None);
    let (mut granted, mut refused) = (0, 0);
    for mut rng in rounds(7030) {
        let shown = format!("{rng:?}");
        // Our own writer stops at what no reader would take, such as one extension twice.
        let written = nonsense(&mut rng).prepare(key.public_key(), Algorithm::EcdsaP256);
        let Ok(csr) = written.and_then(|prepared| prepared.issue(&key)) else { continue };
        let request = Request::post(&path, media::PKCS10, body::encode(csr.der()));
        let response = answer(&config, &domain, &device, request);
        if response.status != 200 {
            assert!(matches!(response.status, 400..500), "{shown}: {response:?}");
            refused += 1;
            continue;
        }
        granted += 1;
        let client::Answer::Granted(enrolled) = client::read_enrolled(&response, key.public_key()).unwrap() else {
            panic!("{shown}: it was granted")
        };
        let issued = enrolled.certificate;
        assert_eq!(issued.subject_serial_number().unwrap().as_str(), SERIAL, "{shown}");
        assert_eq!(issued.public_key(), key.public_key(), "{shown}");
        assert!(!issued.is_ca(), "{shown}");
        assert_eq!(issued.ekus(), [oid::CLIENT_AUTH], "{shown}");
        assert_eq!(issued.masa_url(), None, "{shown}");
        assert!(issued.dns_names().iter().all(|name| name == "one.devices.example"), "{shown}: {issued:?}");
        assert!(issued.not_after() <= NOW + 90 * DAY, "{shown}");
        assert!(lint::certificate(&issued).iter().all(|finding| finding.severity != landfall_pki::Severity::Error));
        let above = std::slice::from_ref(&domain.issuing.authority.certificate);
        assert!(validate(&issued, above, &domain.anchors(), &PathPolicy::at(NOW)).is_ok(), "{shown}");
    }
    assert!(granted > 20 && refused > 20, "some of both: {granted} granted, {refused} refused");
}
