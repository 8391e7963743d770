//! Keys from seeds.

use landfall_element::{ElementError, seed::birth_key};
use landfall_pki::{Signer, SoftwareKey};
use landfall_types::{Redacted, SerialNumber};

fn serial(text: &str) -> SerialNumber {
    text.parse().unwrap()
}

fn public(seed: &[u8], serial_number: &str) -> Vec<u8> {
    let key = birth_key(&Redacted::new(seed.to_vec()), &serial(serial_number)).unwrap();
    SoftwareKey::from_pkcs8_der(key.expose()).unwrap().public_key().spki_der().to_vec()
}

#[test]
fn each_seed_and_each_device_has_its_own_key_always_the_same() {
    assert_eq!(public(&[7; 32], "A-1"), public(&[7; 32], "A-1"));
    assert_ne!(public(&[7; 32], "A-1"), public(&[7; 32], "A-2"));
    assert_ne!(public(&[7; 32], "A-1"), public(&[8; 32], "A-1"));
    assert_ne!(public(&[7; 32], "A-1"), public(&[7; 33], "A-1"));
    let short = birth_key(&Redacted::new(vec![7; 31]), &serial("A-1"));
    assert!(matches!(short, Err(ElementError::Unsupported(_))));
}

/// What Python's `cryptography` gives for the method in the documents, so that a chip's maker can make it too.
#[test]
fn the_method_is_the_documented_one() {
    let key = birth_key(&Redacted::new(vec![7; 32]), &serial("A-1")).unwrap();
    let private = "9cd2bf284aba3b3f17f014450d442682be2e3f5334235558dbaef87df359ae6f";
    assert!(hex::encode(key.expose()).contains(private));
}
