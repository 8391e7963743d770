//! Keys that the server makes (RFC 7030 s4.4).

use super::world::{Case, World, csr, post};
use landfall_brski::{
    est::{
        Operation, body,
        client::{self, Answer},
    },
    media,
};
use landfall_pki::{CsrRequest, Oid, Signer, SoftwareKey, key::Algorithm};
use landfall_types::http::essence;

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
