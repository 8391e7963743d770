//! Keys and signatures.

use landfall_pki::{Algorithm, KeyKind, PkiError, PublicKey, Signer, SoftwareKey, der_from_fixed, fixed_from_der, oid};

#[test]
fn each_algorithm_signs_and_verifies_in_both_forms() {
    for algorithm in Algorithm::ALL {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let signature = key.sign(b"message").unwrap();
        let public = key.public_key();
        public.verify(&algorithm.identifier(), b"message", &signature).unwrap();
        let changed = public.verify(&algorithm.identifier(), b"massage", &signature);
        assert_eq!(changed, Err(PkiError::BadSignature("message")));

        let fixed = fixed_from_der(algorithm, &signature).unwrap();
        public.verify_raw(algorithm, b"message", &fixed).unwrap();
        public.verify_raw(algorithm, b"massage", &fixed).unwrap_err();
        assert_eq!(der_from_fixed(algorithm, &fixed).unwrap(), signature);
        assert_eq!(algorithm.to_string().parse::<Algorithm>().unwrap(), algorithm);
    }
}

#[test]
fn a_short_r_is_padded() {
    // r = 1, s = 2.
    let der = [0x30, 6, 2, 1, 1, 2, 1, 2];
    let fixed = fixed_from_der(Algorithm::EcdsaP256, &der).unwrap();
    assert_eq!((fixed.len(), fixed[31], fixed[63]), (64, 1, 2));
    assert_eq!(der_from_fixed(Algorithm::EcdsaP256, &fixed).unwrap(), der);
    der_from_fixed(Algorithm::EcdsaP384, &fixed).unwrap_err();
}

#[test]
fn a_key_survives_pkcs8_and_does_not_print() {
    for algorithm in Algorithm::ALL {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let again = SoftwareKey::from_pkcs8_der(key.to_pkcs8_der().expose()).unwrap();
        assert_eq!((again.public_key(), again.algorithm()), (key.public_key(), algorithm));
        let secret = key.to_pkcs8_der();
        let printed = format!("{key:?} {secret:?}").to_lowercase();
        for window in secret.expose().windows(8).skip(30).take(20) {
            let hex: String = window.iter().map(|b| format!("{b:02x}")).collect();
            assert!(!printed.contains(&hex));
        }
    }
}

#[test]
fn an_algorithm_of_another_key_is_refused() {
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let signature = key.sign(b"message").unwrap();
    let wrong = key.public_key().verify(&Algorithm::Ed25519.identifier(), b"message", &signature);
    assert!(matches!(wrong, Err(PkiError::Unsupported { .. })));
    key.public_key().verify_raw(Algorithm::Ed25519, b"message", &signature).unwrap_err();
}

#[test]
fn public_keys_are_checked_when_read() {
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let spki = key.public_key().spki_der();
    assert_eq!(PublicKey::from_spki_der(spki).unwrap().kind(), KeyKind::P256);
    PublicKey::from_spki_der(&spki[..spki.len() - 1]).unwrap_err();
    PublicKey::from_spki_der(&[spki, &[0]].concat()).unwrap_err();
    let mut odd_point = spki.to_vec();
    odd_point[26] = 7;
    PublicKey::from_spki_der(&odd_point).unwrap_err();
    // A curve that nothing here verifies with is read, and verifies nothing.
    let mut other_curve = spki.to_vec();
    let curve = other_curve.windows(8).position(|w| w == oid::P256.as_bytes()).unwrap();
    other_curve[curve + 7] = 6;
    let other = PublicKey::from_spki_der(&other_curve).unwrap();
    assert_eq!(other.kind(), KeyKind::Other);
    let refused = other.verify(&Algorithm::EcdsaP256.identifier(), b"", b"");
    assert!(matches!(refused, Err(PkiError::Unsupported { .. })));
}

#[test]
fn the_key_id_is_the_sha1_of_the_bits() {
    let spki = [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..], &[7; 32]].concat();
    let key = PublicKey::from_spki_der(&spki).unwrap();
    // printf '\x07%.0s' {1..32} | sha1sum
    assert_eq!(key.kind(), KeyKind::Ed25519);
    assert_eq!(hex::encode(key.key_id()), "00696ab8d421f816366c137ec66813fd218d5927");
}

/// RFC 5480 s2.2: a key's octets are a point of its curve. One bit of a good one changed.
#[test]
fn octets_that_are_no_point_of_the_curve_are_refused() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384] {
        let mut point = SoftwareKey::generate(algorithm).unwrap().public_key().key_bits().to_vec();
        PublicKey::from_point(algorithm, &point).unwrap();
        *point.last_mut().unwrap() ^= 1;
        assert!(matches!(PublicKey::from_point(algorithm, &point), Err(PkiError::Malformed { .. })), "{algorithm}");
    }
}
