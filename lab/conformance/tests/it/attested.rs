//! Attestation over real sockets: a device without a TPM shows an EAT in its certificate request, and pyca/cryptography
//! verifies that and the result.

use super::{
    lab::{Lab, Setup, identity, records},
    python::python,
    shell::said,
};
use landfall_attest::{Evidence, Tier};
use landfall_device::Outcome;
use landfall_server::{
    attestation::{AttestationRecord, Verifier},
    registrar::CertificateRecord,
    settings::AttestationSettings,
};
use std::{fs, sync::Arc, time::Duration};

const JWT: &str = include_str!("jwt.py");

async fn asking(require: Option<Tier>) -> Lab {
    let mut setup = Setup::new();
    let settings = AttestationSettings { ask: true, require, ..AttestationSettings::default() };
    let by = identity(&setup.domain.registrar);
    let verifier = Verifier::open(&settings, |path| path.to_owned(), &by).unwrap().unwrap();
    setup.registrar.verifier = Some(Arc::new(verifier));
    setup.start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pyca_verifies_what_a_device_shows_and_what_comes_of_it() {
    let Some(python) = python() else { return };
    let lab = asking(Some(Tier::Warning)).await;
    let device = lab.manufacturer.device("A-1");
    lab.onboard(&device).await;
    let record = records::<AttestationRecord>(&lab.registrar_world).pop().unwrap();
    assert_eq!((record.tier, record.root.as_str()), (Tier::Warning, "software"), "{}", record.why);
    assert_eq!(record.facts().len(), 1, "nobody said what good software is");
    let folder = &lab.folder;
    let shown = fs::read(folder.path("evidence-A-1/attestation-evidence.cmw.json")).unwrap();
    let Evidence::Software(token, _) = Evidence::from_cmw(&shown).unwrap() else { panic!("it has a TPM") };
    folder.put("evidence.jwt", token);
    folder.put("result.jwt", record.ear);
    folder.put("birth.pem", device.certificate.to_pem());
    folder.put("registrar.pem", lab.domain.registrar.certificate.to_pem());
    let verified = |token: &str, key: &str| {
        let output = folder.try_run(&python, &["-c", JWT, token, key]);
        assert!(output.status.success(), "{token}: {}", said(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let claims = verified("evidence.jwt", "birth.pem");
    assert_eq!(claims["eat_nonce"].as_array().unwrap().len(), 2);
    let result = verified("result.jwt", "registrar.pem");
    assert_eq!(result["eat_profile"], "tag:ietf.org,2026:rats/ear#04");
    let about = &result["submods"]["device"];
    assert_eq!((about["ear_status"].as_str(), result["sub"].as_str()), (Some("warning"), Some("A-1")));
    assert_eq!(about["ear_trustworthiness_vector"]["hardware"], 0, "software is no hardware");
    assert!(!folder.try_run(&python, &["-c", JWT, "result.jwt", "birth.pem"]).status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_shows_too_little_gets_no_certificate() {
    let lab = asking(Some(Tier::Affirming)).await;
    let agent = lab.agent(&lab.manufacturer.device("A-1"));
    let outcome = agent.onboard(Some(1), Some(Duration::from_secs(60)), &mut |_| {}).await.unwrap();
    assert!(matches!(outcome, Outcome::Refused(_)));
    assert!(records::<CertificateRecord>(&lab.registrar_world).is_empty());
    let record = records::<AttestationRecord>(&lab.registrar_world).pop().unwrap();
    assert_eq!(record.tier, Tier::Warning, "what it showed is kept all the same");
    assert!(lab.refused_by_registrar().await.iter().any(|check| check == "policy-denied"));
}
