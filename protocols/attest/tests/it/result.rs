//! Attestation results.

use super::scene::{NONCE, Scene};
use landfall_attest::{Ear, Evidence, Tier, Vector};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_testkit::NOW;
use std::time::Duration;

const LIFE: Duration = Duration::from_secs(3600);

#[test]
fn a_result_is_read_as_it_was_written() {
    let scene = Scene::new();
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let good = scene.appraise(Evidence::Tpm(scene.quoted())).result("LAMP-1", NONCE, NOW, LIFE);
    let token = good.sign(&key).unwrap();
    let keys = [key.public_key().clone()];
    assert_eq!(Ear::verify(&token, &keys, NOW).unwrap(), good);
    assert_eq!(Ear::read(&token).unwrap(), good);
    assert_eq!((good.tier, good.root.as_str()), (Tier::Affirming, "tpm"));
    let check = |token: &str, keys: &[_], at| Ear::verify(token, keys, at).unwrap_err().check.to_string();
    assert_eq!(check(&token, &keys, NOW + LIFE), "ear-expired");
    assert_eq!(check(&token, &[], NOW), "ear-verifier");
    let other = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    assert_eq!(check(&token, &[other.public_key().clone()], NOW), "ear-verifier");
    let others = good.sign(&other).unwrap();
    let (head, _) = token.rsplit_once('.').unwrap();
    let (_, signature) = others.rsplit_once('.').unwrap();
    assert_eq!(check(&format!("{head}.{signature}"), &keys, NOW), "ear-signature");
    // One that says more than its claims do.
    let mut better = good.clone();
    better.vector.executables = 33;
    assert_eq!(check(&better.sign(&key).unwrap(), &keys, NOW), "ear-syntax");
}

#[test]
fn the_worst_claim_counts() {
    let of = |executables| Vector { instance_identity: 2, executables, ..Vector::default() }.tier();
    assert_eq!(Vector::default().tier(), Tier::None);
    let tiers = [(0, Tier::Affirming), (3, Tier::Affirming), (1, Tier::None), (32, Tier::Warning), (95, Tier::Warning)];
    for (claim, tier) in tiers {
        assert_eq!(of(claim), tier, "{claim}");
    }
    for claim in [96, 99, 127, -97, -128] {
        assert_eq!(of(claim), Tier::Contraindicated, "{claim}");
    }
    assert!("affirming".parse::<Tier>().is_ok() && "good".parse::<Tier>().is_err());
    assert!(Tier::Contraindicated < Tier::None && Tier::None < Tier::Warning && Tier::Warning < Tier::Affirming);
}
