//! Requests that end as they should.

use super::world::{DAY, SERIAL, World, binding, csr, post};
use der::asn1::Any;
use landfall_brski::{
    est::{
        Operation, binding as channel,
        binding::Linked,
        body,
        client::{self, Answer, Enrolled},
        csrattrs::{CHALLENGE_PASSWORD, CsrAttrs, EC_PUBLIC_KEY, EXTENSION_REQUEST, Wish},
        server::{Client, Issued},
    },
    media,
};
use landfall_pki::{AltName, Certificate, CsrRequest, PathPolicy, Signer, lint, oid, validate};
use landfall_policy::{Verdict, acceptance};
use landfall_testkit::NOW;
use landfall_types::http::{Method, Request, Response};

pub(super) fn certificate(response: &Response) -> Certificate {
    let der = body::decode(&response.body).unwrap();
    let mut bag = landfall_pki::cms::parse_certs_only(&der).unwrap();
    assert_eq!(bag.len(), 1, "RFC 7030 s4.2.3: only the certificate that was issued");
    bag.remove(0)
}

#[test]
fn a_pledge_enrols() {
    let mut world = World::new();
    let ran = world.run(world.case());
    assert_eq!(ran.order, ["find", "rule", "sign", "persist", "respond", "close"]);
    assert_eq!(ran.response().status, 200);
    assert_eq!(ran.response().headers.first("content-type"), Some(media::PKCS7_CERTS_ONLY));
    let ldevid = certificate(ran.response());
    assert_eq!(ldevid.public_key(), world.key.public_key());
    assert_eq!(ldevid.subject_serial_number(), Some(SERIAL.parse().unwrap()));
    assert_eq!(ldevid.common_name().as_deref(), Some(SERIAL));
    assert_eq!(ldevid.subject_name().attribute(oid::ORGANIZATION).as_deref(), Some("Test Domain"));
    assert!(ldevid.has_eku(oid::CLIENT_AUTH) && !ldevid.is_ca());
    assert_eq!(ldevid.not_after(), NOW + 90 * DAY);
    let above = [world.domain.issuing.authority.certificate.clone()];
    validate(&ldevid, &above, &world.domain.anchors(), &PathPolicy::at(NOW)).unwrap();
    let errors: Vec<_> =
        lint::certificate(&ldevid).into_iter().filter(|f| f.severity == landfall_pki::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");

    let [record] = world.issued.as_slice() else { panic!("{} records", world.issued.len()) };
    assert_eq!((record.certificate.as_slice(), &record.serial), (ldevid.der(), &ldevid.serial_hex()));
    assert_eq!((record.fingerprint, record.key), (ldevid.fingerprint(), world.key.public_key().fingerprint()));
    assert_eq!((record.device.serial.as_str(), record.client), (SERIAL, world.device.certificate.fingerprint()));
    let json = serde_json::to_value(record).unwrap();
    assert_eq!(serde_json::from_value::<Issued>(json).unwrap(), *record);

    let enrolled = client::read_enrolled(ran.response(), world.key.public_key()).unwrap();
    assert_eq!(enrolled, Answer::Granted(Enrolled { certificate: ldevid, others: vec![] }));
}

#[test]
fn the_policy_learns_what_was_verified() {
    let mut world = World::new();
    let alt_names = vec![AltName::Dns("lamp.devices.example".into())];
    let ran = world.run(world.asking(&CsrRequest { alt_names, ..world.content() }));
    let facts = ran.facts.unwrap();
    assert!(matches!(&facts.client, Client::Pledge { voucher_at, .. } if *voucher_at == NOW));
    assert_eq!((facts.linked, facts.key), (Linked::Unstated, Some(world.key.public_key().fingerprint())));
    let known = facts.facts(NOW);
    let value = |name| known.find(name).map(|fact| fact.value.clone());
    assert_eq!(value(acceptance::MANUFACTURER), Some("Test Manufacturer".into()));
    assert_eq!(value(acceptance::SERIAL_NUMBER), Some(SERIAL.into()));
    assert_eq!(value("operation"), Some("simpleenroll".into()));
    assert_eq!(value("dns-names"), Some(vec!["lamp.devices.example".to_owned()].into()));
    assert_eq!(certificate(&ran.response.unwrap()).dns_names(), ["lamp.devices.example"]);
}

#[test]
fn the_ca_certificates_are_for_everyone() {
    let mut world = World::new();
    let mut case = world.case();
    (case.operation, case.client) = (Operation::CaCerts, None);
    case.request = client::cacerts(None);
    let ran = world.run(case);
    assert_eq!(ran.order, ["respond", "close"]);
    assert_eq!(ran.response().headers.first("content-type"), Some(media::PKCS7));
    let read = client::read_cacerts(ran.response()).unwrap();
    for told in world.config().cacerts {
        assert!(read.contains(&told));
    }
}

#[test]
fn csr_attributes_say_what_is_required() {
    let mut world = World::new();
    let asking = |world: &World| {
        let mut case = world.case();
        (case.operation, case.client, case.request) = (Operation::CsrAttrs, None, client::csrattrs(None));
        case
    };
    let ran = world.run(asking(&world));
    assert_eq!(ran.response().status, 204, "there are none");
    assert_eq!(client::read_csrattrs(ran.response()).unwrap(), CsrAttrs::default());

    let mut case = asking(&world);
    case.config.require_binding = true;
    let ran = world.run(case);
    assert_eq!(ran.response().headers.first("content-type"), Some(media::CSR_ATTRIBUTES));
    let told = client::read_csrattrs(ran.response()).unwrap();
    assert_eq!(told, CsrAttrs(vec![Wish::Oid(CHALLENGE_PASSWORD)]));
}

#[test]
fn a_request_that_keeps_to_the_csr_attributes() {
    let mut world = World::new();
    let mut case = world.case();
    let curve = Any::encode_from(&oid::P256).unwrap();
    case.config.csrattrs = CsrAttrs(vec![
        Wish::Attribute { oid: EC_PUBLIC_KEY, values: vec![curve] },
        Wish::Oid(oid::SERIAL_NUMBER),
        Wish::Oid(oid::ECDSA_SHA256),
    ]);
    assert_eq!(world.run(case).response().status, 200);
}

#[test]
fn a_name_that_was_asked_for_word_by_word_is_certified() {
    // As RFC 8994 s6.2.2 has it: the CA tells the client its name, which need not be of the kind that clients may choose.
    let mut world = World::new();
    let name = AltName::Uri("urn:example:lamp".into());
    let content = CsrRequest { alt_names: vec![name.clone()], ..world.content() };
    let sent = csr(&content, &world.key);
    let wished = sent.extensions().iter().find(|extension| extension.oid == oid::SUBJECT_ALT_NAME).unwrap();
    let list = x509_cert::ext::Extension {
        extn_id: wished.oid,
        critical: wished.critical,
        extn_value: der::asn1::OctetString::new(wished.value.clone()).unwrap(),
    };
    let values = vec![Any::encode_from(&vec![list]).unwrap()];
    let wish = CsrAttrs(vec![Wish::Attribute { oid: EXTENSION_REQUEST, values }]);
    let mut case = world.asking(&content);
    case.config.csrattrs = wish.clone();
    assert_eq!(certificate(world.run(case).response()).alt_names(), [name]);

    let mut case = world.asking(&CsrRequest { alt_names: vec![AltName::Uri("urn:example:door".into())], ..content });
    case.config.csrattrs = wish;
    assert_eq!(world.run(case).check(), "csr-extension");
}

#[test]
fn a_request_linked_to_its_connection() {
    let mut world = World::new();
    let challenge_password = channel::challenge_password(&binding()).map(Into::into);
    let mut case = world.asking(&CsrRequest { challenge_password, ..world.content() });
    case.config.require_binding = true;
    let ran = world.run(case);
    assert_eq!((ran.response().status, ran.facts.unwrap().linked), (200, Linked::Proven));
    assert_eq!(world.issued[0].linked, Linked::Proven);
}

#[test]
fn harmless_extensions_are_no_reason_to_refuse() {
    use landfall_pki::extension::Extension;
    let mut world = World::new();
    let extensions = vec![
        Extension::new(oid::BASIC_CONSTRAINTS, vec![0x30, 0]),
        Extension::new(oid::KEY_USAGE, vec![3, 2, 7, 0x80]).critical(),
        Extension::new(oid::EXTENDED_KEY_USAGE, [&[0x30, 0x0a, 6, 8][..], oid::CLIENT_AUTH.as_bytes()].concat()),
    ];
    let ran = world.run(world.asking(&CsrRequest { extensions, ..world.content() }));
    assert_eq!(ran.response().status, 200, "{}", ran.check());
}

#[test]
fn an_empty_subject_gets_the_devices_own() {
    let mut world = World::new();
    let ran = world.run(world.asking(&CsrRequest::default()));
    assert_eq!(certificate(ran.response()).subject_serial_number(), Some(SERIAL.parse().unwrap()));
}

#[test]
fn a_certificate_never_outlives_its_issuer() {
    let mut world = World::new();
    let mut case = world.case();
    case.config.lifetime = 100_000 * DAY;
    let ran = world.run(case);
    assert_eq!(certificate(ran.response()).not_after(), world.domain.issuing.authority.certificate.not_after());
}

#[test]
fn a_person_may_decide() {
    let mut world = World::new();
    let mut case = world.case();
    case.ruling = Verdict::Ask;
    let ran = world.run(case);
    assert_eq!(ran.order, ["find", "rule", "persist", "respond", "close"]);
    assert_eq!((ran.response().status, ran.response().headers.first("retry-after")), (202, Some("30")));
    let waiting = ran.waiting.as_ref().unwrap();
    assert_eq!((waiting.device.serial.as_str(), waiting.key), (SERIAL, Some(world.key.public_key().fingerprint())));
    let answer = client::read_enrolled(ran.response(), world.key.public_key()).unwrap();
    assert_eq!(answer, Answer::Later(std::time::Duration::from_secs(30)));
    assert!(world.issued.is_empty());
    assert_eq!(world.run(world.case()).response().status, 200);
}

#[test]
fn the_same_request_again_gets_the_same_certificate() {
    let mut world = World::new();
    let first = certificate(world.run(world.case()).response());
    // A new request with the same key, as after a new connection with another channel binding.
    let challenge_password = channel::challenge_password(&binding()).map(Into::into);
    let again = world.run(world.asking(&CsrRequest { challenge_password, ..world.content() }));
    assert_eq!(again.order, ["find", "rule", "respond", "close"]);
    assert_eq!(certificate(again.response()), first);
    assert_eq!(world.issued.len(), 1);

    let other_names = vec![AltName::Dns("lamp.devices.example".into())];
    let other = world.run(world.asking(&CsrRequest { alt_names: other_names, ..world.content() }));
    assert_ne!(certificate(other.response()), first, "another request is another certificate");
    let mut late = world.case();
    (late.at, late.voucher_at) = (NOW + 61 * DAY, Some(NOW + 61 * DAY));
    assert_ne!(certificate(world.run(late).response()), first, "one that is due for renewal is not handed out again");
}

#[test]
fn no_crash_leaves_a_certificate_without_a_record() {
    for point in ["find", "rule", "sign", "persist", "respond", "close"] {
        let mut world = World::new();
        let crashed = world.run(super::world::Case { crash_before: Some(point), ..world.case() });
        if let Some(response) = &crashed.response {
            assert_eq!(certificate(response).der(), world.issued[0].certificate, "it was on record before it went out");
        }
        let after = world.run(world.case());
        assert_eq!(after.response().status, 200, "after {point}");
        let [record] = world.issued.as_slice() else { panic!("{} records after {point}", world.issued.len()) };
        assert_eq!(certificate(after.response()).der(), record.certificate);
    }
}

#[test]
fn what_is_not_offered_is_said_so() {
    let mut world = World::new();
    for operation in [Operation::FullCmc, Operation::ServerKeyGen] {
        let mut case = world.case();
        (case.operation, case.request) = (operation, post(operation, &csr(&world.content(), &world.key)));
        let ran = world.run(case);
        assert_eq!((ran.check(), ran.response().status), ("est-not-offered", 501));
    }
    let mut case = world.case();
    case.request = Request { method: Method::Get, ..case.request };
    let ran = world.run(case);
    assert_eq!((ran.check(), ran.response().status), ("est-method", 405));
    assert_eq!(ran.response().headers.first("allow"), Some("POST"));
}
