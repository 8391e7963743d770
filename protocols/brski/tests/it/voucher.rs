//! Vouchers and requests: every form there and back, and what is refused.

use super::sealed::{cms, request, seal, seal_with, voucher};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ciborium::Value as Cbor;
use landfall_brski::voucher::{
    ContentType, Format, MAX_BYTES, Nonce, Payload, SealOptions, Signed, Voucher, VoucherError, VoucherRequest, open,
    open_with, prepare,
};
use landfall_pki::{Algorithm, oid};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW};
use landfall_types::{Refusal, Time};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{sync::LazyLock, time::Duration};

static MANUFACTURER: LazyLock<Manufacturer> = LazyLock::new(Manufacturer::new);
static DOMAIN: LazyLock<Domain> = LazyLock::new(Domain::new);
static MASA: LazyLock<&Identity> = LazyLock::new(|| &MANUFACTURER.masa);

/// A good voucher as JSON, with one change.
fn json_with(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Vec<u8> {
    let mut top: Value = serde_json::from_slice(&voucher(&DOMAIN.registrar.certificate).to_json()).unwrap();
    change(top["ietf-voucher:voucher"].as_object_mut().unwrap());
    top.to_string().into_bytes()
}

fn check_of(error: &VoucherError) -> String {
    Refusal::from(error.clone()).check.into_owned()
}

#[test]
fn every_form_there_and_back_under_every_algorithm() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384, Algorithm::Ed25519] {
        let device = MANUFACTURER.device_with("JADA123456789", algorithm, |_| {});
        for format in Format::ALL {
            let sent = request(&DOMAIN.registrar.certificate);
            let bytes = seal(format, &sent, &device);
            assert_eq!(Format::sniff(&bytes), Some(format));
            let got: Signed<VoucherRequest> = open(format, &bytes).unwrap();
            assert_eq!(got.payload.to_json(), sent.to_json(), "{format} {algorithm:?}");
            assert_eq!(got.signer, device.certificate);
            assert_eq!(got.certificates, device.intermediates);
            assert_eq!((got.format, got.raw), (format, bytes));
            assert!(got.payload.unknown.is_empty());
        }
    }
}

#[test]
fn a_nonceless_voucher_there_and_back() {
    let mut sent = voucher(&DOMAIN.registrar.certificate);
    sent.nonce = None;
    sent.expires_on = Some(NOW + Duration::from_secs(1200));
    sent.last_renewal_date = Some(NOW + Duration::from_secs(86400));
    sent.idevid_issuer = MANUFACTURER.device("1").certificate.idevid_issuer();
    sent.domain_cert_revocation_checks = Some(false);
    for format in Format::ALL {
        let got: Signed<Voucher> = open(format, &seal(format, &sent, &MASA)).unwrap();
        assert_eq!(got.payload.to_json(), sent.to_json(), "{format}");
    }
}

#[test]
fn base64_and_pem_around_an_artefact_are_tolerated() {
    for format in Format::ALL {
        let bytes = seal(format, &voucher(&DOMAIN.registrar.certificate), &MASA);
        let text = STANDARD.encode(&bytes);
        let pem = format!("-----BEGIN CMS-----\r\n{text}\r\n-----END CMS-----\r\n");
        for body in [text, pem] {
            let got: Signed<Voucher> = open(format, body.as_bytes()).unwrap();
            assert_eq!(got.raw, bytes);
        }
    }
}

#[test]
fn both_names_of_the_content_in_cms_and_no_third() {
    let content = voucher(&DOMAIN.registrar.certificate);
    for (content_type, oid) in [(ContentType::AnimaJsonVoucher, oid::VOUCHER_CONTENT), (ContentType::Data, oid::DATA)] {
        let options = SealOptions { content_type };
        let unsealed = prepare(Format::CmsJson, &content, &MASA.certificate, &[], options).unwrap();
        let signature = MASA.sign(unsealed.to_be_signed());
        let bytes = unsealed.seal(&signature).unwrap();
        assert_eq!(landfall_pki::SignedData::parse(&bytes).unwrap().content_type(), oid);
        assert!(open::<Voucher>(Format::CmsJson, &bytes).is_ok());
    }
    let error = open::<Voucher>(Format::CmsJson, &cms(oid::CMC_RA, &content.to_json(), &MASA)).unwrap_err();
    assert_eq!(check_of(&error), "voucher-content-type");
}

/// Each is a good voucher with one change.
#[test]
fn what_the_yang_module_forbids_is_refused() {
    let pinned = &DOMAIN.registrar.certificate;
    let after = (pinned.not_after() + Duration::from_secs(1)).to_string();
    type Change = Box<dyn FnOnce(&mut serde_json::Map<String, Value>)>;
    let set = |name: &'static str, value: Value| -> Change {
        Box::new(move |fields| {
            fields.insert(name.into(), value);
        })
    };
    let remove = |name: &'static str| -> Change {
        Box::new(move |fields| {
            fields.remove(name);
        })
    };
    let cases: Vec<(&str, &str, Change)> = vec![
        ("voucher-mandatory", "created-on", remove("created-on")),
        ("voucher-mandatory", "assertion", remove("assertion")),
        ("voucher-mandatory", "serial-number", remove("serial-number")),
        ("voucher-nonce-and-expiry", "expires-on", set("expires-on", json!("2026-11-22T10:00:00Z"))),
        ("voucher-renewal-date", "last-renewal-date", set("last-renewal-date", json!("2026-11-22T10:00:00Z"))),
        ("voucher-value", "created-on", set("created-on", json!("yesterday"))),
        ("voucher-value", "created-on", set("created-on", json!(1))),
        ("voucher-value", "assertion", set("assertion", json!("believed"))),
        ("voucher-value", "serial-number", set("serial-number", json!(""))),
        ("voucher-value", "serial-number", set("serial-number", json!("a\nb"))),
        ("voucher-value", "serial-number", set("serial-number", json!(7))),
        ("voucher-value", "pinned-domain-cert", set("pinned-domain-cert", json!("no base64!"))),
        ("voucher-value", "pinned-domain-cert", set("pinned-domain-cert", json!("AAAA"))),
        ("voucher-value", "idevid-issuer", set("idevid-issuer", json!("%"))),
        ("voucher-value", "domain-cert-revocation-checks", set("domain-cert-revocation-checks", json!("maybe"))),
        ("voucher-value", "nonce", set("nonce", json!("short"))),
        ("voucher-value", "nonce", set("nonce", json!("x".repeat(65)))),
        ("voucher-value", "nonce", set("nonce", json!("tab\tinside"))),
        ("voucher-value", "nonce", set("nonce", json!(12_345_678))),
        (
            "voucher-outlives-pinned",
            "expires-on",
            Box::new(move |fields| {
                fields.remove("nonce");
                fields.insert("expires-on".into(), json!(after));
            }),
        ),
    ];
    for (check, field, change) in cases {
        let refusal = Refusal::from(Voucher::from_json(&json_with(change)).unwrap_err());
        assert_eq!((refusal.check.as_ref(), refusal.field.as_ref()), (check, field), "{refusal}");
    }
    assert!(Voucher::from_json(&json_with(|_| {})).is_ok());
}

#[test]
fn a_voucher_without_pinned_certificate_is_read_and_not_made() {
    let read = Voucher::from_json(&json_with(|fields| drop(fields.remove("pinned-domain-cert")))).unwrap();
    assert!(read.pinned_domain_cert.is_none());
    let error = prepare(Format::CmsJson, &read, &MASA.certificate, &[], SealOptions::default()).unwrap_err();
    assert_eq!(error, VoucherError::Missing("pinned-domain-cert"));
}

#[test]
fn unknown_fields_are_ignored_and_named() {
    let read =
        Voucher::from_json(&json_with(|fields| drop(fields.insert("est-domain".into(), json!({"a": 1}))))).unwrap();
    assert_eq!(read.unknown, ["est-domain"]);
    let json = br#"{"ietf-voucher-request-prm:voucher":{"serial-number":"1","pinned-domain-cert":"AAAA","x":null}}"#;
    assert_eq!(VoucherRequest::from_json(json).unwrap().unknown, ["pinned-domain-cert", "x"]);
}

/// RFC 8366 s5.2 shows a boolean as a string; RFC 8995 shows nonces in base64url and in hexadecimal.
#[test]
fn the_looser_forms_of_the_published_examples_are_read() {
    let read = Voucher::from_json(&json_with(|fields| {
        fields.insert("domain-cert-revocation-checks".into(), json!("true"));
        fields.insert("nonce".into(), json!("62a2e7693d82fcda2624de58fb6722e5"));
        fields.insert("idevid-issuer".into(), json!("MBaAFPz_"));
    }));
    let read = read.unwrap();
    assert_eq!(read.domain_cert_revocation_checks, Some(true));
    assert_eq!(read.nonce.unwrap().as_str(), "62a2e7693d82fcda2624de58fb6722e5");
    assert_eq!(read.idevid_issuer.unwrap(), [0x30, 0x16, 0x80, 0x14, 0xfc, 0xff]);
}

#[test]
fn a_request_is_no_voucher_and_a_voucher_no_request() {
    for format in Format::ALL {
        let bytes = seal(format, &request(&DOMAIN.registrar.certificate), &MASA);
        assert_eq!(check_of(&open::<Voucher>(format, &bytes).unwrap_err()), "voucher-artefact", "{format}");
        let bytes = seal(format, &voucher(&DOMAIN.registrar.certificate), &MASA);
        assert_eq!(check_of(&open::<VoucherRequest>(format, &bytes).unwrap_err()), "voucher-artefact", "{format}");
    }
}

#[test]
fn content_that_two_readers_could_read_differently_is_refused() {
    for (check, content) in [
        ("voucher-content", r#"{"ietf-voucher:voucher":{"nonce":"aaaaaaaa","nonce":"bbbbbbbb"}}"#),
        ("voucher-content", r#"{"ietf-voucher:voucher":{}} {}"#),
        ("voucher-content", r#"{"ietf-voucher:voucher":[]}"#),
        ("voucher-content", r"[]"),
        ("voucher-content", ""),
        ("voucher-artefact", r#"{"ietf-voucher:voucher":{},"ietf-voucher-request:voucher":{}}"#),
        ("voucher-artefact", r"{}"),
        ("voucher-artefact", r#"{"voucher":{}}"#),
    ] {
        let bytes = cms(oid::VOUCHER_CONTENT, content.as_bytes(), &MASA);
        assert_eq!(check_of(&open::<Voucher>(Format::CmsJson, &bytes).unwrap_err()), check, "{content}");
    }
}

#[test]
fn a_changed_byte_of_the_content_breaks_the_signature() {
    // The serial number in each form: as it stands, and in base64url of JSON.
    let content = voucher(&DOMAIN.registrar.certificate);
    for format in [Format::CmsJson, Format::CoseCbor] {
        let mut bytes = seal(format, &content, &MASA);
        let at = bytes.windows(13).position(|w| w == b"JADA123456789").unwrap();
        bytes[at] = b'K';
        assert_eq!(check_of(&open::<Voucher>(format, &bytes).unwrap_err()), "voucher-signature", "{format}");
    }
    let bytes = jws_with(|jws| {
        let payload = URL_SAFE_NO_PAD.decode(jws["payload"].as_str().unwrap()).unwrap();
        let payload = String::from_utf8(payload).unwrap().replace("JADA", "KADA");
        jws["payload"] = json!(URL_SAFE_NO_PAD.encode(payload));
    });
    assert_eq!(check_of(&open::<Voucher>(Format::JwsJson, &bytes).unwrap_err()), "voucher-signature");
}

#[test]
fn another_signers_certificate_does_not_help() {
    // The signature of one key under the certificate of another.
    let (device, other) = (MANUFACTURER.device("1"), MANUFACTURER.device("2"));
    let liar = Identity { certificate: other.certificate, ..device };
    for format in Format::ALL {
        let bytes = seal(format, &voucher(&DOMAIN.registrar.certificate), &liar);
        assert_eq!(check_of(&open::<Voucher>(format, &bytes).unwrap_err()), "voucher-signature", "{format}");
    }
}

#[test]
fn truncated_and_padded_artefacts_are_refused() {
    for format in Format::ALL {
        let mut bytes = seal(format, &voucher(&DOMAIN.registrar.certificate), &MASA);
        for length in [0, 1, 2, bytes.len() / 2, bytes.len() - 1] {
            assert!(open::<Voucher>(format, &bytes[..length]).is_err(), "{format} {length}");
        }
        bytes.push(b'!');
        assert!(open::<Voucher>(format, &bytes).is_err(), "{format}");
    }
    // An indefinite length (BER), where RFC 8366 s5.4 asks for DER.
    let der = seal(Format::CmsJson, &voucher(&DOMAIN.registrar.certificate), &MASA);
    let ber = [&[0x30, 0x80], &der[4..], &[0, 0]].concat();
    assert_eq!(check_of(&open::<Voucher>(Format::CmsJson, &ber).unwrap_err()), "voucher-container");
}

#[test]
fn huge_artefacts_are_refused_unread() {
    for format in Format::ALL {
        for length in [MAX_BYTES + 1, 2 * MAX_BYTES + 1] {
            let error = open::<Voucher>(format, &vec![b'A'; length]).unwrap_err();
            assert_eq!(check_of(&error), "voucher-size");
        }
    }
    let many = vec![DOMAIN.registrar.certificate.clone(); 17];
    for format in [Format::JwsJson, Format::CoseCbor] {
        let bytes = seal_with(format, &voucher(&DOMAIN.registrar.certificate), &MASA, &many);
        assert_eq!(check_of(&open::<Voucher>(format, &bytes).unwrap_err()), "voucher-certificates", "{format}");
    }
}

/// A good voucher in JWS, with one change to the outside.
fn jws_with(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let bytes = seal(Format::JwsJson, &voucher(&DOMAIN.registrar.certificate), &MASA);
    let mut jws: Value = serde_json::from_slice(&bytes).unwrap();
    change(&mut jws);
    jws.to_string().into_bytes()
}

/// The same with a changed header, signed anew.
fn jws_with_header(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Vec<u8> {
    jws_with(|jws| {
        let one = &mut jws["signatures"][0];
        let header = URL_SAFE_NO_PAD.decode(one["protected"].as_str().unwrap()).unwrap();
        let mut header: Value = serde_json::from_slice(&header).unwrap();
        change(header.as_object_mut().unwrap());
        // The form that the draft's examples have.
        let header = header.to_string().replace('/', "\\/");
        let protected = URL_SAFE_NO_PAD.encode(header);
        one["protected"] = json!(protected);
        let input = format!("{protected}.{}", jws["payload"].as_str().unwrap());
        let signature = landfall_pki::fixed_from_der(Algorithm::EcdsaP256, &MASA.sign(input.as_bytes())).unwrap();
        jws["signatures"][0]["signature"] = json!(URL_SAFE_NO_PAD.encode(signature));
    })
}

#[test]
fn jws_is_read_strictly() {
    let refused = |bytes: Vec<u8>| check_of(&open::<Voucher>(Format::JwsJson, &bytes).unwrap_err());
    assert!(open::<Voucher>(Format::JwsJson, &jws_with_header(|_| {})).is_ok());
    assert!(open::<Voucher>(Format::JwsJson, &jws_with_header(|h| drop(h.remove("typ")))).is_ok());
    let twice = |jws: &mut Value| {
        let one = jws["signatures"][0].clone();
        jws["signatures"].as_array_mut().unwrap().push(one);
    };
    assert_eq!(refused(jws_with(twice)), "voucher-one-signer");
    assert_eq!(refused(jws_with(|jws| jws["signatures"] = json!([]))), "voucher-one-signer");
    assert_eq!(refused(jws_with(|jws| jws["signatures"] = json!("x"))), "voucher-container");
    assert_eq!(refused(jws_with(|jws| jws["signatures"][0]["protected"] = json!("!"))), "voucher-container");
    assert_eq!(refused(jws_with_header(|h| drop(h.remove("x5c")))), "voucher-signer");
    assert_eq!(refused(jws_with_header(|h| drop(h.insert("x5c".into(), json!(["AAAA"]))))), "voucher-container");
    assert_eq!(refused(jws_with_header(|h| drop(h.insert("crit".into(), json!(["exp"]))))), "voucher-container");
    assert_eq!(refused(jws_with_header(|h| drop(h.insert("typ".into(), json!("JWT"))))), "voucher-content-type");
    assert_eq!(refused(jws_with_header(|h| drop(h.insert("alg".into(), json!("none"))))), "voucher-algorithm");
    assert_eq!(refused(jws_with_header(|h| drop(h.insert("alg".into(), json!("ES384"))))), "voucher-algorithm");
}

/// A registrar may strip the certificates from a COSE voucher; the pledge has them from the factory.
#[test]
fn a_stripped_cose_voucher_is_verified_with_a_certificate_at_hand() {
    let bytes = seal(Format::CoseCbor, &voucher(&DOMAIN.registrar.certificate), &MASA);
    let Cbor::Tag(18, message) = ciborium::from_reader::<Cbor, _>(&bytes[..]).unwrap() else { panic!("no tag") };
    let mut message = message.into_array().unwrap();
    message[1] = Cbor::Map(Vec::new());
    let mut stripped = Vec::new();
    ciborium::into_writer(&Cbor::Array(message), &mut stripped).unwrap();
    assert_eq!(open::<Voucher>(Format::CoseCbor, &stripped).unwrap_err(), VoucherError::NoSigner);
    let candidates = [DOMAIN.registrar.certificate.clone(), MASA.certificate.clone()];
    let got = open_with::<Voucher>(Format::CoseCbor, &stripped, &candidates).unwrap();
    assert_eq!(got.signer, MASA.certificate);
    let wrong = open_with::<Voucher>(Format::CoseCbor, &stripped, &candidates[..1]).unwrap_err();
    assert_eq!(check_of(&wrong), "voucher-signature");
}

fn cbor(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

#[test]
fn cbor_is_read_strictly_and_older_drafts_too() {
    let key = |n: i64| Cbor::from(n);
    let content = |pairs: Vec<(Cbor, Cbor)>| cbor(&Cbor::Map(vec![(key(2501), Cbor::Map(pairs))]));
    let serial = (key(13), Cbor::Bytes(b"00-D0-E5".to_vec()));
    // The epoch, a serial number in bytes, an assertion by name, an absolute SID, an unknown one.
    let old = content(vec![
        serial.clone(),
        (key(1), Cbor::from("proximity")),
        (key(2), Cbor::Tag(1, Box::new(Cbor::from(1_654_539_503)))),
        (Cbor::Tag(47, Box::new(key(2508))), Cbor::Bytes(vec![1; 8])),
        (key(99), Cbor::Null),
    ]);
    let read = VoucherRequest::from_cbor(&old).unwrap();
    assert_eq!(read.created_on, Some(Time::from_unix(1_654_539_503)));
    assert_eq!(read.nonce.unwrap().as_str(), STANDARD.encode([1; 8]));
    assert_eq!((read.serial_number.as_str(), read.unknown), ("00-D0-E5", vec!["SID 2600".to_owned()]));

    let refused = |bytes: &[u8]| check_of(&VoucherRequest::from_cbor(bytes).unwrap_err());
    let plain = content(vec![serial.clone()]);
    assert!(VoucherRequest::from_cbor(&plain).is_ok());
    assert_eq!(refused(&[plain.as_slice(), &[0]].concat()), "voucher-content");
    assert_eq!(refused(&content(vec![serial.clone(), serial.clone()])), "voucher-content");
    assert_eq!(refused(&content(vec![serial.clone(), (Cbor::from("x"), Cbor::Null)])), "voucher-content");
    assert_eq!(refused(&content(vec![serial.clone(), (key(7), Cbor::Bytes(vec![1; 7]))])), "voucher-value");
    assert_eq!(refused(&content(vec![serial, (key(1), Cbor::from(9))])), "voucher-value");
    assert_eq!(refused(&cbor(&Cbor::Map(Vec::new()))), "voucher-artefact");
    assert_eq!(refused(&cbor(&Cbor::Map(vec![(key(2451), Cbor::Map(Vec::new()))]))), "voucher-artefact");
    assert_eq!(refused(&vec![0x81; 10_000]), "voucher-content");
}

/// A length that is declared and not there costs nothing.
#[test]
fn declared_lengths_are_not_believed() {
    for major in [0x5b, 0x7b, 0x9b, 0xbb] {
        let huge = [&[major], &[0x0f; 8][..]].concat();
        let inside = [&[0xa1, 0x19, 0x09, 0xc5], &huge[..]].concat();
        for bytes in [&huge, &inside] {
            assert_eq!(check_of(&VoucherRequest::from_cbor(bytes).unwrap_err()), "voucher-content");
        }
        for bytes in [[&[0xd2], &huge[..]].concat(), [&[0x84], &huge[..]].concat()] {
            assert_eq!(check_of(&open::<Voucher>(Format::CoseCbor, &bytes).unwrap_err()), "voucher-container");
        }
    }
    let der = [0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x06];
    assert_eq!(check_of(&open::<Voucher>(Format::CmsJson, &der).unwrap_err()), "voucher-container");
}

#[test]
fn a_nonce_that_is_no_base64_has_no_form_in_cbor() {
    let mut content = voucher(&DOMAIN.registrar.certificate);
    content.nonce = Some(Nonce::try_from("not base64!".to_owned()).unwrap());
    assert_eq!(check_of(&content.to_cbor().unwrap_err()), "voucher-value");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_of_any_fields_there_and_back(
        serial in "[ -~]{1,64}",
        nonce in proptest::option::of(any::<[u8; 16]>()),
        seconds in proptest::option::of(0i64..253_402_300_799),
        issuer in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..64)),
        prior in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..512)),
    ) {
        let mut request = VoucherRequest::new(serial.parse().unwrap());
        request.nonce = nonce.map(Nonce::from_random);
        request.created_on = seconds.map(Time::from_unix);
        request.idevid_issuer = issuer;
        request.prior_signed_voucher_request = prior;
        let json = VoucherRequest::from_json(&request.to_json()).unwrap();
        let cbor = VoucherRequest::from_cbor(&request.to_cbor().unwrap()).unwrap();
        prop_assert_eq!(json.to_json(), request.to_json());
        prop_assert_eq!(cbor.to_json(), request.to_json());
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        for format in Format::ALL {
            prop_assert!(open::<Voucher>(format, &bytes).is_err());
        }
        let _ = Voucher::from_cbor(&bytes);
        let _ = Voucher::from_json(&bytes);
        let _ = Format::sniff(&bytes);
    }

    #[test]
    fn any_damage_is_read_without_panic(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        for bytes in &*SEALED {
            let mut damaged = bytes.1.clone();
            let at = at.index(damaged.len());
            damaged[at] = to;
            let _ = open::<Voucher>(bytes.0, &damaged);
            let cut = cut.index(damaged.len());
            let _ = open::<Voucher>(bytes.0, &damaged[..cut]);
        }
    }
}

static SEALED: LazyLock<Vec<(Format, Vec<u8>)>> = LazyLock::new(|| {
    let content = voucher(&DOMAIN.registrar.certificate);
    Format::ALL.into_iter().map(|format| (format, seal(format, &content, &MASA))).collect()
});
