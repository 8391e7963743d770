//! Devices that speak of themselves.

use super::scene::{ELSEWHERE, NONCE, Scene};
use landfall_attest::{Challenge, Evidence, Tier, ear::claim, eat::Claims};
use landfall_pki::{Certificate, SoftwareKey};

pub(super) fn claims(challenge: &Challenge) -> Claims {
    Claims {
        covered: challenge.covered().to_vec(),
        nonce: challenge.nonce().to_vec(),
        firmware: ("lamp".into(), "2.0".into()),
        measured: [5; 32],
        sbom: None,
    }
}

fn shown(scene: &Scene, claims: &Claims) -> Evidence {
    Evidence::of_eat(claims.sign(&*scene.birth.key, &scene.birth.chain()).unwrap()).unwrap()
}

#[test]
fn software_that_speaks_of_itself_is_never_more_than_a_warning() {
    let scene = Scene::new();
    let appraisal = scene.appraise(shown(&scene, &claims(&scene.challenge())));
    assert_eq!((appraisal.tier(), appraisal.firmware.as_deref()), (Tier::Warning, Some("1.0")), "{}", appraisal.why());
    assert_eq!(
        (appraisal.root, appraisal.vector.hardware),
        ("software", claim::NONE),
        "it is never taken for hardware"
    );
    assert_eq!(appraisal.findings[0].check, "root-of-trust");
}

#[test]
fn a_token_with_one_thing_wrong_is_refused() {
    let scene = Scene::new();
    let good = claims(&scene.challenge());
    let check = |evidence| scene.appraise(evidence).findings[0].check.to_string();
    assert_eq!(check(shown(&scene, &Claims { measured: [6; 32], ..good.clone() })), "reference-software");
    assert_eq!(check(shown(&scene, &Claims { covered: vec![0; 32], ..good.clone() })), "eat-nonce");
    let relayed = Challenge::new(NONCE, ELSEWHERE).unwrap();
    assert_eq!(check(shown(&scene, &claims(&relayed))), "eat-nonce");
    let other = scene.maker.device("LAMP-2");
    let by = |key: &SoftwareKey, chain: &[Certificate]| Evidence::of_eat(good.sign(key, chain).unwrap()).unwrap();
    assert_eq!(check(by(&other.key, &other.chain())), "attestation-key-device");
    assert_eq!(check(by(&other.key, &scene.birth.chain())), "eat-signature");
    assert_eq!(check(by(&scene.birth.key, &[])), "attestation-key");
    let token = good.sign(&*scene.birth.key, &scene.birth.chain()).unwrap();
    for wrong in [token.replace('.', ""), format!("{token}."), token.replacen("ey", "ez", 1), String::new()] {
        assert!(Evidence::of_eat(wrong).is_err());
    }
}
