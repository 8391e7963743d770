//! The contract, and what goes wrong with tokens.

use cryptoki::context::Pkcs11;
use landfall_element::{ElementError, SecureElement, Trouble, contract::contract};
use landfall_pkcs11::{Pin, Pkcs11Element, Pkcs11Uri};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_testkit::SoftHsm;
use landfall_types::KeyUri;
use std::fs;

pub(super) fn open(token: &SoftHsm) -> Pkcs11Element {
    let uri: Pkcs11Uri = token.uri().parse().unwrap();
    Pkcs11Element::open(&uri, Pin::of(&uri).unwrap()).unwrap()
}

fn refused(uri: &str) -> ElementError {
    let uri: Pkcs11Uri = uri.parse().unwrap();
    Pkcs11Element::open(&uri, Pin::of(&uri).unwrap()).unwrap_err()
}

#[test]
fn it_keeps_the_contract() {
    SoftHsm::with(|token| contract(&open(token)));
}

#[test]
fn keys_are_of_its_uri_and_outlive_the_process() {
    SoftHsm::with(|token| {
        let element = open(token);
        let key = element.generate("idevid", Algorithm::EcdsaP256).unwrap();
        assert_eq!(key.as_str(), "pkcs11:token=devices;object=idevid;type=private");
        let before = element.signer(&key).unwrap().public_key().clone();
        drop(element);
        assert_eq!(*open(token).signer(&key).unwrap().public_key(), before);
        let elsewhere: KeyUri = "pkcs11:token=other;object=idevid;type=private".parse().unwrap();
        assert!(matches!(open(token).signer(&elsewhere), Err(ElementError::Foreign { .. })));
    });
}

#[test]
fn a_lost_session_is_opened_again() {
    SoftHsm::with(|token| {
        let element = open(token);
        let key = element.generate("one", Algorithm::EcdsaP256).unwrap();
        let signer = element.signer(&key).unwrap();
        // Another part of the program finishes with the module, and with all that is open in it.
        Pkcs11::new(&token.module).unwrap().finalize().unwrap();
        let signature = signer.sign(b"after").unwrap();
        signer.public_key().verify(&signer.algorithm().identifier(), b"after", &signature).unwrap();
        Pkcs11::new(&token.module).unwrap().finalize().unwrap();
        assert_eq!(element.list().unwrap(), [key]);
    });
}

#[test]
fn a_removed_token_is_said_to_be_gone_and_works_again_once_it_is_back() {
    SoftHsm::with(|token| {
        let element = open(token);
        let key = element.generate("one", Algorithm::EcdsaP256).unwrap();
        let (here, away) = (token.folder.join("tokens"), token.folder.join("away"));
        fs::rename(&here, &away).unwrap();
        fs::create_dir(&here).unwrap();
        Pkcs11::new(&token.module).unwrap().finalize().unwrap();
        for _ in 0..2 {
            assert_eq!(element.signer(&key).unwrap_err().trouble(), Some(Trouble::Gone));
        }
        assert_eq!(element.generate("two", Algorithm::EcdsaP256).unwrap_err().trouble(), Some(Trouble::Gone));
        fs::remove_dir(&here).unwrap();
        fs::rename(&away, &here).unwrap();
        Pkcs11::new(&token.module).unwrap().finalize().unwrap();
        assert_eq!(element.list().unwrap(), [key], "nothing was left of the second key");
    });
}

#[test]
fn what_does_not_open_says_why_without_the_pin() {
    SoftHsm::with(|token| {
        assert_eq!(refused(&token.uri().replace("devices", "others")).trouble(), Some(Trouble::Gone));
        assert_eq!(refused(&token.uri().replace("softhsm2", "softhsm0")).trouble(), Some(Trouble::Gone));
        assert_eq!(refused("pkcs11:token=devices").trouble(), Some(Trouble::Gone));
        let no_pin = token.uri().split('&').next().unwrap().to_owned();
        assert_eq!(refused(&no_pin).trouble(), Some(Trouble::WrongPin));

        fs::write(&token.pin_file, "12345678\n").unwrap();
        let error = refused(&token.uri());
        assert_eq!(error.trouble(), Some(Trouble::WrongPin));
        assert!(!format!("{error} {error:?}").contains("12345678"));
        fs::write(&token.pin_file, "\n").unwrap();
        assert!(matches!(Pin::read(&token.pin_file), Err(ElementError::File { .. })));
        fs::remove_file(&token.pin_file).unwrap();
        assert!(matches!(Pin::read(&token.pin_file), Err(ElementError::Io { .. })));
    });
}

#[test]
fn it_takes_in_no_key_and_agrees_with_no_point_beside_the_curve() {
    SoftHsm::with(|token| {
        let element = open(token);
        let made = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
        assert!(matches!(element.import("one", &made.to_pkcs8_der()), Err(ElementError::Unsupported(_))));
        assert!(matches!(element.generate("one", Algorithm::Ed25519), Err(ElementError::Unsupported(_))));
        let key = element.generate("one", Algorithm::EcdsaP256).unwrap();
        let mut spki = made.public_key().spki_der().to_vec();
        *spki.last_mut().unwrap() ^= 1;
        let beside = landfall_pki::PublicKey::from_spki_der(&spki).unwrap();
        let agreed = element.key_agreement().unwrap().agree(&key, &beside);
        assert!(matches!(agreed, Err(ElementError::Unsupported(_))));
    });
}
