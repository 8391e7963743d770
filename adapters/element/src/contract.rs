//! The test suite that every element passes, whatever it is made of.
//!
//! A backend's own tests call [`contract`] with an empty element, then check what only that backend promises.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test suite: a failed expectation panics")]

use crate::{ElementError, Exposure, SecureElement};
use landfall_pki::{Algorithm, Certificate, CertificateSerial, Name, Signer, SoftwareKey, Validity, profile::Ca};
use landfall_types::{KeyUri, Redacted, Time};

const MESSAGE: &[u8] = b"signed by the element";

/// Runs the whole suite against `element`, which must hold no key, and leaves none behind.
///
/// # Panics
/// If the element breaks its contract.
pub fn contract(element: &dyn SecureElement) {
    assert!(element.list().unwrap().is_empty(), "the suite starts with an empty element");
    signs(element);
    never_overwrites(element);
    refuses_foreign_and_unsafe_names(element);
    keeps_keys_inside(element);
    imports(element);
    agrees(element);
    keeps_only_its_own_certificates(element);
    seals(element);
    assert!(element.list().unwrap().is_empty(), "deleted keys are gone");
}

fn signs(element: &dyn SecureElement) {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384, Algorithm::Ed25519] {
        let key = match element.generate("one", algorithm) {
            // P-256 is the one that every device and every registrar has.
            Err(ElementError::Unsupported(_)) if algorithm != Algorithm::EcdsaP256 => continue,
            made => made.unwrap(),
        };
        assert!(key.as_str().starts_with(&format!("{}:", element.scheme())), "{key} is of the element's scheme");
        assert_eq!(element.uri("one").unwrap(), key, "its URI is known beforehand");
        assert_eq!(element.label(&key).unwrap(), "one", "and tells its label");
        let signer = element.signer(&key).unwrap();
        assert_eq!(signer.algorithm(), algorithm);
        assert!(verifies(&*signer), "a signature by {algorithm:?} verifies");
        let again = element.signer(&key).unwrap();
        assert_eq!(again.public_key(), signer.public_key(), "a URI names one key for good");
        match element.lend(&key) {
            Err(ElementError::Unsupported(_)) => {}
            lent => {
                let lent = SoftwareKey::from_pkcs8_der(lent.unwrap().expose()).unwrap();
                assert_eq!(lent.public_key(), signer.public_key(), "what is lent is that key");
                assert_eq!(
                    element.expose(&key).unwrap(),
                    Exposure::GivenOut,
                    "and the element says that it gives it out"
                );
            }
        }
        element.delete(&key).unwrap();
        assert!(matches!(element.signer(&key), Err(ElementError::Missing(_))), "a deleted key is missing");
        assert!(matches!(element.delete(&key), Err(ElementError::Missing(_))), "and cannot be deleted twice");
    }
}

fn never_overwrites(element: &dyn SecureElement) {
    let (b, a) = (element.generate("b", Algorithm::EcdsaP256), element.generate("a", Algorithm::EcdsaP256));
    let (a, b) = (a.unwrap(), b.unwrap());
    let before = element.signer(&a).unwrap();
    assert!(matches!(element.generate("a", Algorithm::EcdsaP256), Err(ElementError::Taken(_))));
    assert_eq!(element.signer(&a).unwrap().public_key(), before.public_key(), "the key is still the first one");
    assert_ne!(element.signer(&b).unwrap().public_key(), before.public_key(), "each key is its own");
    assert_eq!(element.list().unwrap(), [a.clone(), b.clone()], "keys are listed in order");
    for key in [a, b] {
        element.delete(&key).unwrap();
    }
}

fn refuses_foreign_and_unsafe_names(element: &dyn SecureElement) {
    for label in ["", "../x", "a/b", "a\\b", ".hidden", "..", "nul\0", "a b", "ä", &"x".repeat(129)] {
        let made = element.generate(label, Algorithm::EcdsaP256);
        assert!(matches!(made, Err(ElementError::Label { .. })), "{label:?} cannot name a key");
        if let Ok(key) = KeyUri::try_from(format!("{}:{label}", element.scheme())) {
            assert!(matches!(element.signer(&key), Err(ElementError::Label { .. })), "{key} is refused");
            assert!(matches!(element.delete(&key), Err(ElementError::Label { .. })), "{key} is refused");
        }
    }
    for uri in ["elsewhere:one", "soft:one"] {
        let key: KeyUri = uri.parse().unwrap();
        assert!(matches!(element.signer(&key), Err(ElementError::Foreign { .. })), "{key} is not its key");
    }
}

fn keeps_keys_inside(element: &dyn SecureElement) {
    let key = element.generate("kept", Algorithm::EcdsaP256).unwrap();
    let is_software = ["software", "memory"].contains(&element.scheme());
    match element.expose(&key).unwrap() {
        Exposure::Refused(how) => assert!(!is_software && !how.is_empty(), "hardware says how it refuses"),
        Exposure::GivenOut => assert!(is_software, "hardware gives no key out"),
    }
    element.delete(&key).unwrap();
    assert!(matches!(element.expose(&key), Err(ElementError::Missing(_))));
}

fn imports(element: &dyn SecureElement) {
    let made = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    match element.import("imported", &made.to_pkcs8_der()) {
        Err(ElementError::Unsupported(_)) => return,
        imported => {
            let key = imported.unwrap();
            let signer = element.signer(&key).unwrap();
            assert_eq!(signer.public_key(), made.public_key(), "it is the key that was brought");
            assert!(verifies(&*signer));
            assert!(matches!(element.import("imported", &made.to_pkcs8_der()), Err(ElementError::Taken(_))));
            element.delete(&key).unwrap();
        }
    }
    assert!(element.import("garbage", &Redacted::new(b"not a key".to_vec())).is_err());
}

fn agrees(element: &dyn SecureElement) {
    let Some(agreement) = element.key_agreement() else { return };
    let (a, b) = (element.generate("a", Algorithm::EcdsaP256), element.generate("b", Algorithm::EcdsaP256));
    let (a, b) = (a.unwrap(), b.unwrap());
    let public = |key| element.signer(key).unwrap().public_key().clone();
    let (ab, ba) = (agreement.agree(&a, &public(&b)).unwrap(), agreement.agree(&b, &public(&a)).unwrap());
    assert_eq!(ab.expose(), ba.expose(), "both sides get one secret");
    assert_eq!(ab.expose().len(), 32, "in the full length of the field");
    let other = SoftwareKey::generate(Algorithm::Ed25519).unwrap();
    assert!(agreement.agree(&a, other.public_key()).is_err(), "a key of another kind is refused");
    for key in [a, b] {
        element.delete(&key).unwrap();
    }
}

fn keeps_only_its_own_certificates(element: &dyn SecureElement) {
    let Some(certificates) = element.certificates() else { return };
    let key = element.generate("certified", Algorithm::EcdsaP256).unwrap();
    let other = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let (own, other) = (self_signed(&*element.signer(&key).unwrap()), self_signed(&other));
    assert!(certificates.chain(&key).unwrap().is_empty());
    for chain in [&[][..], std::slice::from_ref(&other), &[other.clone(), own.clone()]] {
        assert!(matches!(certificates.keep(&key, chain), Err(ElementError::OtherKey(_))), "the leaf is the key's own");
    }
    for chain in [vec![own.clone(), other], vec![own]] {
        certificates.keep(&key, &chain).unwrap();
        assert_eq!(certificates.chain(&key).unwrap(), chain, "the last chain is the one");
    }
    element.delete(&key).unwrap();
    assert!(matches!(certificates.chain(&key), Err(ElementError::Missing(_))));
    let key = element.generate("certified", Algorithm::EcdsaP256).unwrap();
    assert!(certificates.chain(&key).unwrap().is_empty(), "a new key of that label has nothing of the old one's");
    element.delete(&key).unwrap();
}

fn seals(element: &dyn SecureElement) {
    let Some(vault) = element.vault() else { return };
    for secret in [&b""[..], b"a password", &[7; 10_000]] {
        let sealed = vault.seal("networks", secret).unwrap();
        assert!(secret.is_empty() || !sealed.windows(secret.len()).any(|part| part == secret), "nothing is readable");
        assert_eq!(vault.open("networks", &sealed).unwrap().expose(), secret);
        assert!(matches!(vault.open("others", &sealed), Err(ElementError::Tampered(_))), "it is bound to its name");
        for at in [0, sealed.len() / 2, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed.get_mut(at).map(|octet| *octet ^= 1).unwrap();
            assert!(
                matches!(vault.open("networks", &changed), Err(ElementError::Tampered(_))),
                "octet {at} is changed"
            );
        }
    }
    assert!(matches!(vault.open("networks", b""), Err(ElementError::Tampered(_))));
    assert!(matches!(vault.seal("../x", b"secret"), Err(ElementError::Label { .. })));
}

fn self_signed(key: &dyn Signer) -> Certificate {
    let validity = Validity::forever(Time::EPOCH);
    let serial = CertificateSerial::random().unwrap();
    let prepared = Ca::root(Name::common("element")).prepare_root(key.public_key(), serial, validity).unwrap();
    prepared.lint().unwrap().issue(key).unwrap()
}

fn verifies(signer: &dyn Signer) -> bool {
    let signature = signer.sign(MESSAGE).unwrap();
    signer.public_key().verify(&signer.algorithm().identifier(), MESSAGE, &signature).is_ok()
}
