//! JSON Web Signatures and keys: what is made is read, and nothing else.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_pki::{Algorithm, Jws, PublicKey, Signer, SoftwareKey, UnsignedJws};

fn made(algorithm: Algorithm) -> (SoftwareKey, String) {
    let key = SoftwareKey::generate(algorithm).unwrap();
    let text = UnsignedJws::new(algorithm, &[("typ", "test")], b"{\"a\":1}").sign(&key).unwrap();
    (key, text)
}

#[test]
fn what_is_signed_verifies_with_its_key_and_no_other() {
    for algorithm in Algorithm::ALL {
        let (key, text) = made(algorithm);
        let jws = Jws::parse(&text, 1000).unwrap();
        assert_eq!((jws.header("typ"), jws.verify(key.public_key()).unwrap()), (Some("test"), &b"{\"a\":1}"[..]));
        for other in Algorithm::ALL {
            jws.verify(SoftwareKey::generate(other).unwrap().public_key()).unwrap_err();
        }
    }
}

#[test]
fn one_thing_changed_is_refused() {
    let (key, text) = made(Algorithm::EcdsaP256);
    let parts: Vec<&str> = text.split('.').collect();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let refused = |text: &str| Jws::parse(text, 1000).is_err();

    assert!(Jws::parse(&text, text.len() - 1).is_err(), "too long");
    assert!(refused(&format!("{}.{}", parts[0], parts[1])) && refused(&format!("{text}.x")), "other than three parts");
    assert!(refused(&format!("{}.{}.{}=", parts[0], parts[1], parts[2])), "padding");
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{}"#,
        r#"[]"#,
        r#"{"alg":"ES256","alg":"none"}"#,
        r#"{"alg":"ES256","crit":["exp"]}"#,
        r#"{"alg":"ES256","b64":false}"#,
    ] {
        assert!(refused(&format!("{}.{}.{}", encode(header), parts[1], parts[2])), "{header}");
    }
    let other = format!("{}.{}.{}", parts[0], encode("{\"a\":2}"), parts[2]);
    Jws::parse(&other, 1000).unwrap().verify(key.public_key()).unwrap_err();
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    Jws::parse(&unsigned, 1000).unwrap().verify(key.public_key()).unwrap_err();
    let other = UnsignedJws::new(Algorithm::EcdsaP384, &[], b"");
    other.sign(&key).expect_err("another algorithm than the key's");
}

#[test]
fn keys_are_the_same_as_json() {
    for algorithm in Algorithm::ALL {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let jwk = key.public_key().to_jwk().unwrap();
        assert_eq!(PublicKey::from_jwk(&jwk).unwrap().fingerprint(), key.public_key().fingerprint());
        for (name, value) in [("kty", "oct"), ("crv", "P-521"), ("x", "AA"), ("x", "*"), ("d", "AA")] {
            let mut wrong = jwk.clone();
            wrong[name] = value.into();
            PublicKey::from_jwk(&wrong).expect_err(name);
        }
    }
}
