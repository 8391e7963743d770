//! Reference values.

use super::scene::release;
use landfall_attest::ReferenceValues;
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_testkit::NOW;

#[test]
fn only_who_may_says_what_is_good() {
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let good = ReferenceValues::new("acme", "lamp", NOW, vec![release("1.0")]);
    let signed = good.sign(&key).unwrap();
    assert_eq!(ReferenceValues::verify(&signed, &[key.public_key().clone()]).unwrap(), good);
    assert_eq!(ReferenceValues::read(&signed).unwrap(), good);
    let other = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let check = |text: &str| ReferenceValues::verify(text, &[key.public_key().clone()]).unwrap_err().check.to_string();
    assert_eq!(check(&good.sign(&other).unwrap()), "reference-signer");
    let (head, _) = signed.rsplit_once('.').unwrap();
    let theirs = good.sign(&other).unwrap();
    assert_eq!(check(&format!("{head}.{}", theirs.rsplit_once('.').unwrap().1)), "reference-signature");
    assert_eq!(check("x"), "reference-syntax");
}

#[test]
fn values_by_which_nothing_is_recognised_are_refused() {
    let with = |releases: &str| {
        let text = format!(
            r#"{{"format":"landfall reference values 1","vendor":"a","model":"b","issued":"2026-11-22T09:30:00Z","releases":[{releases}]}}"#
        );
        ReferenceValues::from_json(text.as_bytes())
    };
    let pcr = "ab".repeat(32);
    with(&format!(r#"{{"firmware":"1","pcrs":{{"0":"{pcr}"}}}}"#)).unwrap();
    assert!(with(r#"{"firmware":"1"}"#).is_err());
    assert!(with(&format!(r#"{{"firmware":"1","pcrs":{{"24":"{pcr}"}}}}"#)).is_err());
    assert!(with(r#"{"firmware":"1","pcrs":{"0":"ab"}}"#).is_err());
    assert!(with(&format!(r#"{{"firmware":"1","pcrs":{{"0":"{pcr}"}},"more":1}}"#)).is_err());
    assert!(ReferenceValues::from_json(b"{}").is_err());
}
