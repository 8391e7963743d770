//! Keys that the server makes (RFC 7030 s4.4).

use super::world::{Case, World, csr, new_key, post};
use landfall_brski::{
    est::{
        Operation, body,
        client::{self, Answer},
        server::{Enrollment, Found, Input, Output, Ruling},
    },
    media,
};
use landfall_pki::{CsrRequest, Oid, Signer, SoftwareKey, key::Algorithm};
use landfall_policy::{Decision, Verdict};
use landfall_testkit::NOW;
use landfall_types::{Machine, contract::drain, http::essence};
use std::sync::Arc;

fn case(world: &World, content: &CsrRequest) -> Case {
    let operation = Operation::ServerKeyGen;
    let mut case = world.case();
    (case.operation, case.request) = (operation, post(operation, &csr(content, &world.key)));
    case.config.server_keygen = Some(Algorithm::EcdsaP256);
    case
}

#[test]
fn a_key_and_its_certificate_come_together() {
    let mut world = World::new();
    let ran = world.run(case(&world, &world.content()));
    assert_eq!(ran.order, ["find", "rule", "key", "sign", "persist", "respond", "close"]);
    let content_type = ran.response().headers.first("content-type").unwrap();
    assert_eq!(essence(content_type), media::MULTIPART_MIXED);
    let Answer::Granted(generated) = client::read_generated(ran.response()).unwrap() else { panic!("not yet") };
    let key = SoftwareKey::from_pkcs8_der(generated.key.expose()).unwrap();
    assert_eq!(generated.certificates[0].public_key(), key.public_key());
    assert_ne!(key.public_key(), world.key.public_key());
    assert_eq!(world.issued[0].key, key.public_key().fingerprint());
    let json = serde_json::to_string(&world.issued[0]).unwrap();
    let private = String::from_utf8(body::encode(generated.key.expose())).unwrap();
    assert!(!json.contains(&private), "the key is not kept");
    assert!(!format!("{generated:?}").contains(&private[..20]));
}

#[test]
fn a_key_shows_in_no_log() {
    let world = World::new();
    let case = case(&world, &world.content());
    let mut enrollment = Enrollment::new(Arc::new(case.config), [1; 16]);
    let (operation, request, client) = (case.operation, case.request, case.client);
    let made = new_key(Algorithm::EcdsaP256);
    let pkcs8 = made.to_pkcs8_der();
    // As bytes are shown in Debug: of the key itself, and of the base64 that is sent.
    let bytes = |bytes: &[u8]| format!("{:?}", &bytes[40..60]).trim_matches(['[', ']']).to_owned();
    let secrets = [bytes(pkcs8.expose()), bytes(&body::encode(pkcs8.expose()))];
    let mut input = Some(Input::Request { operation, label: None, request, client });
    let mut shown = String::new();
    while let Some(next) = input.take() {
        shown.push_str(&format!("{next:?}"));
        enrollment.handle(NOW, next).unwrap();
        shown.push_str(&format!("{enrollment:?}"));
        for output in drain(&mut enrollment) {
            shown.push_str(&format!("{output:?}"));
            input = match output {
                Output::Find(_) => Some(Input::Found(Box::new(Found { voucher_at: Some(NOW), ..Found::default() }))),
                Output::Rule(_) => {
                    Some(Input::Ruled(Ruling(Decision::because(Verdict::Permit, "test", "the test says so"))))
                }
                Output::MakeKey(_) => {
                    Some(Input::KeyMade { public_key: made.public_key().clone(), pkcs8: pkcs8.clone() })
                }
                Output::Sign { bytes } => Some(Input::Signed(world.domain.issuing.key.sign(&bytes).unwrap())),
                Output::Persist(_) => Some(Input::Persisted),
                Output::Respond(_) | Output::Close(_) => None,
            };
        }
    }
    assert!(shown.contains("Respond(200)"));
    assert!(!secrets.iter().any(|secret| shown.contains(secret)), "the private key shows");
}

#[test]
fn key_and_signature_in_the_request_mean_nothing() {
    let mut world = World::new();
    let mut case = case(&world, &world.content());
    let mut der = csr(&world.content(), &world.key).der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    case.request.body = body::encode(&der);
    assert_eq!(world.run(case).response().status, 200);
}

#[test]
fn a_key_to_encrypt_with_is_not_known() {
    let mut world = World::new();
    for attribute in ["1.2.840.113549.1.9.16.2.37", "1.2.840.113549.1.9.16.2.54"] {
        let attributes = vec![(Oid::new_unwrap(attribute), vec![4, 1, 7])];
        let ran = world.run(case(&world, &CsrRequest { attributes, ..world.content() }));
        assert_eq!((ran.check(), ran.response().status), ("csr-decrypt-key", 400));
    }
}
