//! The contract, and keys that stay.

use landfall_element::{ElementError, SecureElement, contract::contract};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_testkit::Swtpm;
use landfall_tpm::{TpmConfig, TpmElement};
use landfall_types::{KeyUri, Redacted};

pub(super) fn config(tpm: &Swtpm) -> TpmConfig {
    TpmConfig::new(tpm.tcti().parse().unwrap(), &tpm.folder().join("element"))
}

pub(super) fn open(tpm: &Swtpm) -> TpmElement {
    TpmElement::open(config(tpm)).unwrap()
}

pub(super) fn signs(element: &TpmElement, key: &KeyUri) {
    let signer = element.signer(key).unwrap();
    let signature = signer.sign(b"message").unwrap();
    signer.public_key().verify(&signer.algorithm().identifier(), b"message", &signature).unwrap();
}

#[test]
fn it_keeps_the_contract() {
    let Some(tpm) = Swtpm::new() else { return };
    contract(&open(&tpm));
}

#[test]
fn it_keeps_the_contract_with_an_authorization_value_and_secrets_bound_to_pcrs() {
    let Some(tpm) = Swtpm::new() else { return };
    let key_auth = Some(Redacted::new("a value".to_owned()));
    contract(&TpmElement::open(TpmConfig { key_auth, pcrs: vec![0, 7, 23], ..config(&tpm) }).unwrap());
}

#[test]
fn keys_outlive_program_and_machine() {
    let Some(mut tpm) = Swtpm::new() else { return };
    let element = open(&tpm);
    let key = element.generate("idevid", Algorithm::EcdsaP256).unwrap();
    assert_eq!(key.as_str(), "tpm:idevid");
    let before = element.signer(&key).unwrap().public_key().clone();
    signs(&open(&tpm), &key);
    tpm.power_off();
    tpm.power_on();
    // What this element had the TPM save is void after a start, and it goes on nevertheless.
    signs(&element, &key);
    assert_eq!(*open(&tpm).signer(&key).unwrap().public_key(), before);
}

#[test]
fn operations_leave_nothing_loaded() {
    let Some(tpm) = Swtpm::new() else { return };
    let element = open(&tpm);
    let key = element.generate("one", Algorithm::EcdsaP256).unwrap();
    // More than a TPM has room for.
    (0..6).for_each(|_| signs(&element, &key));
    let vault = element.vault().unwrap();
    let sealed = vault.seal("one", b"secret").unwrap();
    for _ in 0..6 {
        assert!(vault.open("other", &sealed).is_err());
        element.attestation().unwrap().attest(&key, b"challenge").unwrap();
    }
    let Some(loaded) = tpm.tool("tpm2_getcap", &["handles-transient"]) else { return };
    assert_eq!(String::from_utf8_lossy(&loaded), "");
    let loaded = tpm.tool("tpm2_getcap", &["handles-loaded-session"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&loaded), "");
}

#[test]
fn it_takes_in_no_key_and_agrees_with_no_point_beside_the_curve() {
    let Some(tpm) = Swtpm::new() else { return };
    let element = open(&tpm);
    let made = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    assert!(matches!(element.import("one", &made.to_pkcs8_der()), Err(ElementError::Unsupported(_))));
    assert!(matches!(element.generate("one", Algorithm::Ed25519), Err(ElementError::Unsupported(_))));
    assert!(matches!(element.generate("0x81000001", Algorithm::EcdsaP256), Err(ElementError::Label { .. })));
    let key = element.generate("one", Algorithm::EcdsaP256).unwrap();
    let mut spki = made.public_key().spki_der().to_vec();
    *spki.last_mut().unwrap() ^= 1;
    let beside = landfall_pki::PublicKey::from_spki_der(&spki).unwrap();
    let agreed = element.key_agreement().unwrap().agree(&key, &beside);
    assert!(matches!(agreed, Err(ElementError::Unsupported(_))));
}
