//! Proof that a key lives in a TPM, and everything that is none.

use super::keys::open;
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_element::{ElementError, SecureElement, Trouble};
use landfall_pki::{
    Algorithm, Anchors, Certificate, CertificateSerial, PublicKey, Signer, SoftwareKey, Validity,
    attestation::KeyAttestation, profile::Idevid,
};
use landfall_testkit::{Manufacturer, Swtpm};
use landfall_tpm::{
    TpmElement,
    proof::{Answer, Certified, Challenge, Introduction, Pending, Verifier, answer, check_request, introduce},
};
use landfall_types::{KeyUri, Time};

struct Scene {
    tpm: Swtpm,
    element: TpmElement,
    key: KeyUri,
    public: PublicKey,
    verifier: Verifier,
    shown: Introduction,
}

impl Scene {
    fn new() -> Option<Self> {
        let tpm = Swtpm::new()?;
        let element = open(&tpm);
        let key = element.generate("idevid", Algorithm::EcdsaP256).unwrap();
        let public = element.signer(&key).unwrap().public_key().clone();
        let makers = Anchors::of([Certificate::from_pem(&tpm.maker()).unwrap()]);
        let shown = introduce(&element).unwrap();
        Some(Self { tpm, element, key, public, verifier: Verifier { makers, intermediates: Vec::new() }, shown })
    }

    fn challenge(&self) -> (Challenge, Pending) {
        self.verifier.challenge(&self.shown, Time::now()).unwrap()
    }

    /// Which check refuses the answer.
    fn refusal(&self, pending: &Pending, answer: &Answer) -> String {
        pending.check(&self.verifier, answer, &[&self.public], Time::now()).unwrap_err().check.to_string()
    }
}

#[test]
fn a_key_in_a_tpm_is_proven() {
    let Some(scene) = Scene::new() else { return };
    assert_eq!(introduce(&scene.element).unwrap(), scene.shown, "it shows itself as the same each time");
    let (challenge, pending) = scene.challenge();
    // All of it crosses a wire or lies in a file in between.
    let challenge: Challenge = serde_json::from_str(&serde_json::to_string(&challenge).unwrap()).unwrap();
    let pending: Pending = serde_json::from_str(&serde_json::to_string(&pending).unwrap()).unwrap();
    let answer = answer(&scene.element, std::slice::from_ref(&scene.key), &challenge).unwrap();
    let proven = pending.check(&scene.verifier, &answer, &[&scene.public], Time::now()).unwrap();
    assert_eq!(proven.maker, "CN=swtpm-localca");
    assert_eq!(proven.endorsement.len(), 64);
    let evidence = scene.element.attestation().unwrap().attest(&scene.key, b"challenge").unwrap();
    serde_json::from_slice::<Certified>(&evidence.bytes).unwrap();
    let _ = &scene.tpm;
}

#[test]
fn only_makers_that_are_known_are_believed() {
    let Some(scene) = Scene::new() else { return };
    let stranger = Manufacturer::new();
    let others = Verifier { makers: stranger.device_anchors(), intermediates: Vec::new() };
    assert_eq!(others.challenge(&scene.shown, Time::now()).unwrap_err().check, "path-unknown-issuer");
    // An endorsement certificate that somebody else made up.
    let forged =
        Introduction { endorsement_certificate: stranger.device("1").certificate.to_pem(), ..scene.shown.clone() };
    assert!(scene.verifier.challenge(&forged, Time::now()).is_err());
    let garbage = Introduction { endorsement_certificate: "garbage".into(), ..scene.shown.clone() };
    assert_eq!(scene.verifier.challenge(&garbage, Time::now()).unwrap_err().check, "tpm-endorsement");
}

#[test]
fn the_attestation_key_is_one() {
    let Some(scene) = Scene::new() else { return };
    // A key that signs whatever it is given would sign a made-up statement.
    let (challenge, _) = scene.challenge();
    let free = answer(&scene.element, std::slice::from_ref(&scene.key), &challenge).unwrap().certified.key;
    let shown = Introduction { attestation_key: free, ..scene.shown.clone() };
    assert_eq!(scene.verifier.challenge(&shown, Time::now()).unwrap_err().check, "tpm-attestation-key");
    for wrong in ["", "=", "AAAA"] {
        let shown = Introduction { attestation_key: wrong.into(), ..scene.shown.clone() };
        assert_eq!(scene.verifier.challenge(&shown, Time::now()).unwrap_err().check, "tpm-proof", "{wrong:?}");
    }
}

#[test]
fn another_tpm_does_not_open_the_challenge() {
    let (Some(scene), Some(other)) = (Scene::new(), Swtpm::new()) else { return };
    let (challenge, _) = scene.challenge();
    let element = open(&other);
    let key = element.generate("idevid", Algorithm::EcdsaP256).unwrap();
    introduce(&element).unwrap();
    let refused = match answer(&element, std::slice::from_ref(&key), &challenge) {
        Err(error) => error,
        Ok(_) => panic!("another TPM opened it"),
    };
    assert!(matches!(refused.trouble(), Some(Trouble::Reset | Trouble::Failed)), "{refused}");
    // The TPM's own key, but another attestation key than the one that the credential was made for.
    std::fs::remove_file(scene.tpm.folder().join("element/attestation")).unwrap();
    assert!(matches!(
        answer(&scene.element, std::slice::from_ref(&scene.key), &challenge),
        Err(ElementError::Hardware { .. })
    ));
}

#[test]
fn each_part_of_the_answer_counts() {
    let Some(scene) = Scene::new() else { return };
    let (challenge, pending) = scene.challenge();
    let good = answer(&scene.element, std::slice::from_ref(&scene.key), &challenge).unwrap();
    let with = |change: &dyn Fn(&mut Answer)| {
        let mut changed = good.clone();
        change(&mut changed);
        scene.refusal(&pending, &changed)
    };
    let flipped = |text: &str, at: usize| {
        let mut octets = STANDARD.decode(text).unwrap();
        octets[at] ^= 1;
        STANDARD.encode(octets)
    };
    assert_eq!(with(&|answer| answer.secret = flipped(&answer.secret, 0)), "tpm-credential");
    assert_eq!(with(&|answer| answer.secret = String::new()), "tpm-credential");
    assert_eq!(with(&|answer| answer.certified.signature = flipped(&answer.certified.signature, 20)), "tpm-signature");
    assert_eq!(with(&|answer| answer.certified.statement = flipped(&answer.certified.statement, 60)), "tpm-signature");
    // Attributes changed: the name that was certified is another one.
    assert_eq!(with(&|answer| answer.certified.key = flipped(&answer.certified.key, 7)), "tpm-name");
    assert_eq!(with(&|answer| answer.certified.key = "!".into()), "tpm-proof");

    // A statement for an earlier challenge.
    let (later, waiting) = scene.challenge();
    let mut replayed = answer(&scene.element, std::slice::from_ref(&scene.key), &later).unwrap();
    replayed.certified = good.certified.clone();
    assert_eq!(scene.refusal(&waiting, &replayed), "tpm-nonce");

    // Two keys in the request, and a statement about the first only.
    let twice = pending.check(&scene.verifier, &good, &[&scene.public, &scene.public], Time::now()).unwrap_err();
    assert_eq!(twice.check, "tpm-key");

    // A request for a key that was made elsewhere, with the proof of another.
    let elsewhere = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let refused = pending.check(&scene.verifier, &good, &[Signer::public_key(&elsewhere)], Time::now());
    assert_eq!(refused.unwrap_err().check, "tpm-key");
}

#[test]
fn a_key_that_was_brought_into_the_tpm_is_not_proven() {
    let Some(scene) = Scene::new() else { return };
    let Some(_) =
        scene.tpm.tool("openssl", &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "brought.pem"])
    else {
        return;
    };
    let Some(_) = scene.tpm.tool("tpm2_createprimary", &["-C", "o", "-G", "ecc256", "-c", "primary.ctx"]) else {
        return;
    };
    scene.tpm.tool("tpm2_flushcontext", &["-t"]);
    let import = ["-C", "primary.ctx", "-G", "ecc", "-i", "brought.pem", "-u", "brought.pub", "-r", "brought.priv"];
    scene.tpm.tool("tpm2_import", &[&import[..], &["-a", "userwithauth|sign"]].concat());
    scene.tpm.tool("tpm2_flushcontext", &["-t"]);
    scene.tpm.tool("tpm2_load", &["-C", "primary.ctx", "-u", "brought.pub", "-r", "brought.priv", "-c", "brought.ctx"]);
    scene.tpm.tool("tpm2_flushcontext", &["-t"]);
    scene.tpm.tool("tpm2_evictcontrol", &["-C", "o", "-c", "brought.ctx", "0x81000042"]);
    scene.tpm.tool("tpm2_flushcontext", &["-t"]);
    let key: KeyUri = "tpm:0x81000042".parse().unwrap();
    let public = scene.element.signer(&key).unwrap().public_key().clone();
    let (challenge, pending) = scene.challenge();
    let answer = answer(&scene.element, std::slice::from_ref(&key), &challenge).unwrap();
    let refused = pending.check(&scene.verifier, &answer, &[&public], Time::now()).unwrap_err();
    assert_eq!(refused.check, "tpm-key-attributes");
}

#[test]
fn a_tpm_with_an_elliptic_endorsement_key_proves_as_well() {
    let Some(tpm) = Swtpm::new() else { return };
    let element = open(&tpm);
    let Some(_) = tpm.tool("tpm2_nvundefine", &["-C", "p", "0x01c00002"]) else { return };
    assert!(matches!(introduce(&element), Err(ElementError::Unsupported(_))), "there is no certificate");
    tpm.tool("tpm2_createek", &["-G", "ecc", "-c", "ek.ctx", "-u", "ek.pem", "-f", "pem"]);
    tpm.tool("tpm2_flushcontext", &["-t"]);
    // Its maker, by openssl.
    let authority = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 9 -subj \
                     /CN=maker -addext keyUsage=critical,keyCertSign";
    std::fs::write(tpm.folder().join("ek.ext"), "keyUsage = critical, keyAgreement\n").unwrap();
    let certified = "x509 -new -force_pubkey ek.pem -subj /CN=tpm -CA ca.pem -CAkey ca.key -days 9 -extfile ek.ext -out ek-cert.pem";
    for command in [authority, certified] {
        if tpm.tool("openssl", &command.split(' ').collect::<Vec<_>>()).is_none() {
            return;
        }
    }
    let read = |name: &str| Certificate::from_pem(&std::fs::read_to_string(tpm.folder().join(name)).unwrap()).unwrap();
    element.write_certificate(0x01c0_000a, &read("ek-cert.pem")).unwrap();
    let key = element.generate("idevid", Algorithm::EcdsaP256).unwrap();
    let public = element.signer(&key).unwrap().public_key().clone();
    let verifier = Verifier { makers: Anchors::of([read("ca.pem")]), intermediates: Vec::new() };
    let shown = introduce(&element).unwrap();
    let (challenge, pending) = verifier.challenge(&shown, Time::now()).unwrap();
    let answered = answer(&element, std::slice::from_ref(&key), &challenge).unwrap();
    assert_eq!(pending.check(&verifier, &answered, &[&public], Time::now()).unwrap().maker, "CN=maker");
    // A challenge for another key on the curve: it agrees on another secret.
    let mut seed = STANDARD.decode(&challenge.seed).unwrap();
    let other = any_point();
    seed[2..34].copy_from_slice(&other[1..33]);
    seed[36..68].copy_from_slice(&other[33..65]);
    let wrong = Challenge { seed: STANDARD.encode(seed), ..challenge };
    assert!(matches!(answer(&element, &[key], &wrong), Err(ElementError::Hardware { .. })));
}

/// A point on P-256 that nobody agreed on anything with.
fn any_point() -> Vec<u8> {
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    Signer::public_key(&key).key_bits().to_vec()
}

#[test]
fn a_request_proves_where_its_key_lives_and_each_part_of_that_counts() {
    let Some(scene) = Scene::new() else { return };
    let (challenge, pending) = scene.challenge();
    let answered = answer(&scene.element, std::slice::from_ref(&scene.key), &challenge).unwrap();
    let proven = pending.check(&scene.verifier, &answered, &[&scene.public], Time::now()).unwrap();
    let maker = Manufacturer::new();
    let certified = |key: &PublicKey| {
        let profile = Idevid::new("AK-1".parse().unwrap());
        let serial = CertificateSerial::random().unwrap();
        let prepared = profile.prepare(&maker.issuing.authority, key, serial, Validity::forever(Time::now()));
        prepared.unwrap().lint().unwrap().issue(&*maker.issuing.key).unwrap()
    };
    let by = certified(&proven.attestation_key.unwrap());
    let good = scene.element.attestation().unwrap().attest_request(&scene.key, std::slice::from_ref(&by)).unwrap();
    let good = KeyAttestation::from_der(&good.to_der()).unwrap();
    assert_eq!(good.certificates, std::slice::from_ref(&by));
    check_request(&good, &by, &scene.public).unwrap();

    let refused = |attested: &KeyAttestation, by: &Certificate, key: &PublicKey| {
        check_request(attested, by, key).unwrap_err().check.into_owned()
    };
    let software = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    assert_eq!(refused(&good, &by, software.public_key()), "tpm-key");
    assert_eq!(refused(&good, &certified(software.public_key()), &scene.public), "tpm-signature");
    let with = |change: &dyn Fn(&mut KeyAttestation)| {
        let mut changed = good.clone();
        change(&mut changed);
        refused(&changed, &by, &scene.public)
    };
    assert_eq!(with(&|one| *one.statement.last_mut().unwrap() ^= 1), "tpm-signature");
    assert_eq!(with(&|one| *one.signature.last_mut().unwrap() ^= 1), "tpm-signature");
    assert_eq!(with(&|one| one.signature.clear()), "tpm-proof");
    // Another key of the same TPM, in the place of the one that it spoke of.
    let other = scene.element.generate("other", Algorithm::EcdsaP256).unwrap();
    let of_other = scene.element.attestation().unwrap().attest_request(&other, &[]).unwrap();
    assert_eq!(with(&|one| one.public_area.clone_from(&of_other.public_area)), "tpm-name");
    // What the TPM said to a factory's challenge is no statement for a request.
    let Certified { statement, .. } = answered.certified;
    assert_eq!(with(&|one| one.statement = STANDARD.decode(&statement).unwrap()), "tpm-signature");
}
