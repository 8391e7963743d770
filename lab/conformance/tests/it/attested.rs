//! Attestation over real sockets: a device without a TPM shows an EAT in its certificate request, and pyca/cryptography
//! verifies that and the result.

use super::{
    lab::{Lab, Setup, identity, records},
    python::python,
    shell::said,
};
use landfall_attest::{
    CMW_JSON, Challenge, Connection as Channel, EAT_JWT, Ear, Evidence, Shown, Tier,
    eat::Claims,
    shown::{LONGEST_SBOM, digest_of},
};
use landfall_brski::est::client;
use landfall_device::{Agent, Outcome};
use landfall_element::{MemoryElement, SecureElement};
use landfall_net::{
    http::{ClientLimits, Connection},
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::Certificate;
use landfall_server::{
    attestation::{AttestationRecord, Verifier},
    registrar::CertificateRecord,
    settings::AttestationSettings,
};
use landfall_types::http::Request;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_evidence_does_not_cover_makes_it_count_for_nothing() {
    const SBOM: &[u8] = br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}"#;
    const OTHER: &[u8] = br#"{"bomFormat":"CycloneDX","specVersion":"1.5","components":[]}"#;
    let lab = asking(None).await;
    let device = lab.manufacturer.device("A-1");
    let element = Arc::new(MemoryElement::new());
    let agent = Agent::with_element(lab.config(&device), element.clone()).unwrap();
    agent.onboard(Some(1), Some(Duration::from_secs(60)), &mut |_| {}).await.unwrap();
    let held = |name: &str| fs::read_to_string(lab.folder.path(&format!("evidence-A-1/{name}"))).unwrap();
    let chain = Certificate::chain_from_pem(&[held("ldevid.pem"), held("ldevid-chain.pem")].concat()).unwrap();
    let mut signers = element.list().unwrap().into_iter().map(|key| element.signer(&key).unwrap());
    let signer = signers.find(|signer| signer.public_key() == chain[0].public_key()).unwrap();
    let tls = ClientTls::provisional(Some(&TlsIdentity { chain, signer })).unwrap();

    // Evidence that names the first of the two lists, and comes with the second.
    let judged = async |named: Option<&[u8]>, sent: Option<Vec<u8>>| {
        let limits = ClientLimits::default();
        let mut connection = Connection::open(&lab.registrar.into(), Some(&tls), limits).await.unwrap();
        let nonce = client::read_nonce(&connection.send(client::nonce()).await.unwrap()).unwrap();
        let binding = connection.peer().unwrap().binding.clone();
        let challenge = Challenge::new(&nonce, Channel(binding.value().unwrap())).unwrap();
        let claims = Claims {
            covered: challenge.covered().to_vec(),
            nonce,
            firmware: ("T1".into(), "1.0".into()),
            measured: [5; 32],
            sbom: named.map(digest_of),
        };
        let token = claims.sign(&*device.key, &device.chain()).unwrap();
        let shown = Shown { evidence: Evidence::of_eat(token).unwrap(), sbom: sent }.to_cmw().into_bytes();
        let request = Request::post("/.well-known/landfall/attestation", CMW_JSON, shown).accept(EAT_JWT);
        let answer = connection.send(request).await.unwrap();
        let ear = Ear::read(std::str::from_utf8(&answer.body).unwrap()).unwrap();
        (ear.tier, ear.findings[0].0.clone())
    };
    let as_ever = (Tier::Warning, "reference-missing".to_owned());
    assert_eq!(judged(Some(SBOM), Some(SBOM.to_vec())).await, as_ever);
    assert_eq!(judged(None, None).await, as_ever);
    let refused = |check: &str| (Tier::Contraindicated, check.to_owned());
    assert_eq!(judged(Some(SBOM), Some(OTHER.to_vec())).await, refused("evidence-sbom-digest"));
    assert_eq!(judged(Some(SBOM), None).await, refused("evidence-sbom-missing"));
    assert_eq!(judged(None, Some(SBOM.to_vec())).await, refused("evidence-sbom-unbound"));
    let long = vec![b' '; LONGEST_SBOM + 1];
    assert_eq!(judged(Some(&long), Some(long.clone())).await, (Tier::None, "evidence-sbom-size".to_owned()));
}
