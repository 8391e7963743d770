//! Lists of components that go along with evidence: they are those that it covers, or it counts for nothing.

use super::{
    eat::claims,
    scene::{CLOCK, ELSEWHERE, NONCE, Scene, signed, statement},
};
use landfall_attest::{
    Challenge, Evidence, Quoted, Shown,
    shown::{LONGEST_SBOM, digest_of},
};
use landfall_types::Fingerprint;
use serde_json::{Value, json};

const SBOM: &[u8] = br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}"#;
const OTHER: &[u8] = br#"{"bomFormat":"CycloneDX","specVersion":"1.5","components":[]}"#;

/// A quote over that list.
fn quoted(scene: &Scene, sbom: &[u8]) -> Quoted {
    let (challenge, quoted) = (scene.challenge(), scene.quoted());
    let sbom = Some(digest_of(sbom));
    let statement = statement(&challenge.covered_with(sbom.as_ref()), &quoted.pcrs, &CLOCK);
    Quoted { signature: signed(&*scene.ak.key, &statement), statement, sbom, ..quoted }
}

/// A token that names that list.
fn token(scene: &Scene, sbom: &[u8]) -> Evidence {
    let claims = landfall_attest::eat::Claims { sbom: Some(digest_of(sbom)), ..claims(&scene.challenge()) };
    Evidence::of_eat(claims.sign(&*scene.birth.key, &scene.birth.chain()).unwrap()).unwrap()
}

/// As it comes over the wire.
fn sent(evidence: Evidence, sbom: Option<&[u8]>) -> Shown {
    let shown = Shown { evidence, sbom: sbom.map(<[u8]>::to_vec) };
    Shown::from_cmw(shown.to_cmw().as_bytes()).unwrap()
}

fn whole(shown: &Shown) -> Result<(), String> {
    shown.is_whole().map_err(|why| {
        assert_eq!(why.section, "RFC 9711 s4.2.15");
        why.check.into_owned()
    })
}

#[test]
fn a_list_that_evidence_covers_comes_through_and_evidence_alone_as_before() {
    let scene = Scene::new();
    for evidence in [Evidence::Tpm(quoted(&scene, SBOM)), token(&scene, SBOM)] {
        let shown = sent(evidence, Some(SBOM));
        assert_eq!((whole(&shown), shown.sbom.as_deref()), (Ok(()), Some(SBOM)));
        let appraisal = scene.appraise(shown.evidence);
        assert_eq!(appraisal.sbom, Some(digest_of(SBOM)), "{}", appraisal.why());
    }
    let alone = Shown { evidence: Evidence::Tpm(scene.quoted()), sbom: None };
    assert_eq!(alone.to_cmw(), alone.evidence.to_cmw());
    assert_eq!(
        (whole(&sent(alone.evidence, None)), scene.appraise(Evidence::Tpm(scene.quoted())).sbom),
        (Ok(()), None)
    );
}

#[test]
fn another_list_none_and_one_that_is_not_covered_are_told_apart() {
    let scene = Scene::new();
    for evidence in [Evidence::Tpm(quoted(&scene, SBOM)), token(&scene, SBOM)] {
        assert_eq!(whole(&sent(evidence.clone(), Some(OTHER))), Err("evidence-sbom-digest".into()));
        assert_eq!(whole(&sent(evidence, None)), Err("evidence-sbom-missing".into()));
    }
    let uncovered = Evidence::Tpm(scene.quoted());
    assert_eq!(whole(&sent(uncovered, Some(SBOM))), Err("evidence-sbom-unbound".into()));
}

#[test]
fn a_list_cannot_be_put_beside_the_evidence_of_another_list() {
    let scene = Scene::new();
    let good = quoted(&scene, SBOM);
    // Named and there, and not what was quoted over; and one that was, without its name.
    for sbom in [Some(digest_of(OTHER)), None] {
        assert_eq!(scene.finding(Quoted { sbom, ..good.clone() }), "quote-nonce");
    }
    assert_eq!(scene.finding(Quoted { sbom: Some(Fingerprint([0; 32])), ..scene.quoted() }), "quote-nonce");
    let Evidence::Software(token, _) = token(&scene, SBOM) else { unreachable!() };
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let Evidence::Software(other, _) = self::token(&scene, OTHER) else { unreachable!() };
    parts[1] = other.split('.').nth(1).unwrap().to_owned();
    let appraisal = scene.appraise(Evidence::of_eat(parts.join(".")).unwrap());
    assert_eq!((appraisal.findings[0].check.as_ref(), appraisal.sbom), ("eat-signature", None));
    // What is covered is another thing over each connection, with a list as without.
    let (here, there) = (scene.challenge(), Challenge::new(NONCE, ELSEWHERE).unwrap());
    let sbom = digest_of(SBOM);
    assert_ne!(here.covered_with(Some(&sbom)), there.covered_with(Some(&sbom)));
    assert_ne!(here.covered_with(Some(&sbom)), here.covered_with(None));
}

#[test]
fn what_is_no_such_collection_or_too_long_is_refused() {
    let scene = Scene::new();
    let check = |text: &str| Shown::from_cmw(text.as_bytes()).unwrap_err().check.into_owned();
    let fit = Shown { evidence: token(&scene, SBOM), sbom: Some(vec![b' '; LONGEST_SBOM]) };
    Shown::from_cmw(fit.to_cmw().as_bytes()).unwrap();
    let long = Shown { sbom: Some(vec![b' '; LONGEST_SBOM + 1]), ..fit };
    assert_eq!(check(&long.to_cmw()), "evidence-sbom-size");
    let good: Value = serde_json::from_str(&Shown { sbom: Some(SBOM.to_vec()), ..long }.to_cmw()).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        value.to_string()
    };
    assert!(Shown::from_cmw(good.to_string().as_bytes()).is_ok());
    for wrong in [
        changed(&|value| value["more"] = json!(["application/json", ""])),
        changed(&|value| value["sbom"][0] = json!("application/other")),
        changed(&|value| value["sbom"][1] = json!("?")),
        changed(&|value| value["sbom"] = json!([])),
        changed(&|value| value["evidence"] = value["sbom"].clone()),
        changed(&|value| drop(value.as_object_mut().unwrap().remove("evidence"))),
    ] {
        assert_eq!(check(&wrong), "evidence-syntax", "{wrong}");
    }
}
