//! Certificate requests.

use super::world::key;
use landfall_pki::{
    Algorithm, AltName, Csr, CsrRequest, KeyKind, Name, PkiError, Signer, SoftwareKey, extension::Extension, oid,
};
use landfall_types::Redacted;

fn request() -> CsrRequest {
    CsrRequest {
        subject: Name::common("device").serial_number(&"A-1".parse().unwrap()),
        alt_names: vec![AltName::Dns("device.example".into())],
        extensions: vec![Extension::new(oid::EXTENDED_KEY_USAGE, {
            let purpose = [&[6, 8][..], oid::CLIENT_AUTH.as_bytes()].concat();
            [&[0x30, 10][..], &purpose].concat()
        })],
        challenge_password: Some(Redacted::new("YmluZGluZw==".into())),
        attributes: vec![],
    }
}

fn csr(key: &SoftwareKey) -> Csr {
    request().prepare(key.public_key(), key.algorithm()).unwrap().issue(key).unwrap()
}

#[test]
fn what_is_asked_is_read() {
    for algorithm in Algorithm::ALL {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let csr = Csr::from_der(csr(&key).der()).unwrap();
        csr.verify_possession().unwrap();
        assert_eq!(csr.public_key(), key.public_key());
        assert_eq!(csr.subject_name(), request().subject);
        assert_eq!(csr.subject_serial_number().unwrap().as_str(), "A-1");
        assert_eq!(csr.dns_names(), ["device.example"]);
        assert_eq!(csr.ekus(), [oid::CLIENT_AUTH]);
        assert_eq!(csr.challenge_password().as_deref(), Some("YmluZGluZw=="));
        assert!(csr.attribute_oids().contains(&oid::EXTENSION_REQUEST) && csr.attribute_oids().len() == 2);
        assert!(!csr.asks_for_ca());
    }
}

#[test]
fn a_bare_request() {
    let key = key();
    let csr = CsrRequest::new(Name::new()).prepare(key.public_key(), key.algorithm()).unwrap().issue(&key).unwrap();
    csr.verify_possession().unwrap();
    assert!(csr.attribute_oids().is_empty() && csr.challenge_password().is_none());
}

#[test]
fn another_key_in_the_request_is_no_possession() {
    let (key, other) = (key(), key());
    let prepared = request().prepare(other.public_key(), key.algorithm()).unwrap();
    let csr = prepared.issue(&key).unwrap();
    assert_eq!(csr.verify_possession(), Err(PkiError::BadSignature("certificate request")));
    // The good one with one byte of its password changed.
    let mut der = self::csr(&key).der().to_vec();
    let at = der.windows(4).position(|w| w == b"Ymlu").unwrap();
    der[at] = b'Z';
    assert!(Csr::from_der(&der).unwrap().verify_possession().is_err());
}

#[test]
fn what_is_not_a_request() {
    let der = csr(&key()).der().to_vec();
    Csr::from_der(&[&der[..], &[0]].concat()).unwrap_err();
    Csr::from_der(&der[..der.len() - 1]).unwrap_err();
    let key = SoftwareKey::generate(Algorithm::Ed25519).unwrap();
    request().prepare(key.public_key(), Algorithm::EcdsaP256).unwrap_err();
    let mut twice = request();
    twice.attributes.push((oid::CHALLENGE_PASSWORD, vec![0x0c, 1, b'x']));
    let twice = twice.prepare(key.public_key(), key.algorithm()).unwrap().issue(&key);
    assert!(twice.unwrap_err().to_string().contains("stands twice"));
    assert_eq!(key.public_key().kind(), KeyKind::Ed25519);
}
