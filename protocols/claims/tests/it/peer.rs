//! jwcrypto verifies what is signed here, and signs what is verified here.

use super::sample::{Cast, now, print};
use landfall_claims::{
    Credential, Receiver, SecurityEvent,
    caep::{Event, Subject},
};
use landfall_pki::{Algorithm, PublicKey, Signer, SoftwareKey};
use landfall_testkit::{current_test, skip, tool};
use std::{
    io::Write,
    process::{Command, Stdio},
};

const SCRIPT: &str = include_str!("peer.py");

/// What the script says, or None if the library is not there.
fn python(mode: &str, input: &str) -> Option<String> {
    let python = tool("python3")?;
    let mut child = Command::new(python)
        .args(["-c", SCRIPT, mode])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("ModuleNotFoundError") {
        skip(&current_test(), "python3-jwcrypto is not installed");
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn it_verifies_ours() {
    let cast = Cast::new();
    for algorithm in Algorithm::ALL {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let credential = cast.credential(&key, cast.trust());
        let jwk = key.public_key().to_jwk().unwrap();
        let Some(said) = python("verify", &format!("{jwk}\n{}", credential.issue(&key).unwrap())) else { return };
        let digest = landfall_claims::identifier::ni(print(&cast.lamp));
        assert_eq!(said.trim(), format!("vc+jwt {} {digest}", credential.id));
    }
}

#[test]
fn we_verify_its() {
    let cast = Cast::new();
    let digest = landfall_claims::identifier::ni(print(&cast.lamp));
    let Some(said) = python("sign", &digest) else { return };
    let credential = Credential::read(said.trim()).unwrap();
    assert_eq!(credential.claim, cast.trust());
}

#[test]
fn events_go_both_ways() {
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let sent = SecurityEvent {
        id: "1".into(),
        issuer: "https://landfall.example".into(),
        audience: vec!["https://mdm.example".into()],
        issued: now(),
        subject: Subject::Device("aa.lamp-1".into()),
        event: Event::SessionRevoked,
        at: None,
        reason: None,
    };
    let input = format!("{}\n{}", key.public_key().to_jwk().unwrap(), sent.sign(&key).unwrap());
    let Some(said) = python("event", &input) else { return };
    let (jwk, token) = said.trim().split_once('\n').unwrap();
    let mut receiver = Receiver::new("https://landfall.example".into());
    receiver.believe("https://mdm.example".into(), PublicKey::from_jwk(&serde_json::from_str(jwk).unwrap()).unwrap());
    let answer = receiver.read(token, now()).unwrap().event;
    assert_eq!((answer.event, answer.subject), (sent.event, sent.subject));
}
