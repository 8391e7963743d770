//! Evidence and what comes of it.

use super::{bad, cut, good};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_attest::{
    Challenge, Connection, Ear, EventLog, Evidence, Quoted, ReferenceValues, Release, Shown, Tier, Vector,
    eat::Claims,
    log::{IPL, event},
    shown::digest_of,
};
use landfall_testkit::{Manufacturer, NOW};
use landfall_types::Fingerprint;
use std::time::Duration;

/// A quote in the form that TPMs give it, of PCRs 0 and 8.
const QUOTE: &str = "/1RDR4AYACIACwABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fACAHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwAAAAAAAAPoAAAAAQAAAAABAAAAAAAAAAAAAAABAAsDAQEAACABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==";

/// An unsigned CoRIM with one release, by what PCR 8 holds; and the same about a PCR that there is not.
const CORIM: &str = "2QH1ogBlbGFtcHMBgdkB+lhXogGhAGhsYW1wLTIuMAShAIGCoQCiAWRhY21lAmRsYW1wgqEBoQChAGMyLjChAaEOoQiBggFYIAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
const CORIM_OF_PCR_24: &str = "2QH1ogBlbGFtcHMBgdkB+lhYogGhAGhsYW1wLTIuMAShAIGCoQCiAWRhY21lAmRsYW1wgqEBoQChAGMyLjChAaEOoRgYgYIBWCAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICA==";

pub(super) fn write() {
    let quote = STANDARD.decode(QUOTE).expect("base64");
    good("attest-statement", "quote", &quote);
    cut("attest-statement", "quote", &quote);
    bad("attest-statement", "longer", [&quote[..], &[0]].concat());
    bad("attest-statement", "not-a-tpms", [&[0], &quote[1..]].concat());

    let log = EventLog {
        events: vec![event(0, 8, b"firmware", "firmware"), event(8, IPL, b"kernel", "kernel")],
        locality: 0,
    };
    let octets = log.write();
    good("attest-event-log", "two-events", &octets);
    good("attest-event-log", "no-events", EventLog::default().write());
    cut("attest-event-log", "two-events", &octets);
    bad("attest-event-log", "old-form", [&octets[..32], b"Spec ID Event00\0", &octets[48..]].concat());
    bad("attest-event-log", "pcr-24", {
        let mut changed = octets.clone();
        changed[EventLog::default().write().len()] = 24;
        changed
    });

    let made = Manufacturer::new();
    let device = made.device("LAMP-1");
    let challenge = Challenge::new(&[7; 32], Connection(&[1; 32])).expect("a challenge");
    let quoted = Quoted {
        nonce: vec![7; 32],
        statement: quote,
        signature: vec![0, 0x18],
        pcrs: log.replay([0, 8]),
        log: Some(octets),
        certificates: device.chain(),
        key: None,
        sbom: None,
    };
    let cmw = Evidence::Tpm(quoted).to_cmw();
    good("attest-evidence", "quote", &cmw);
    cut("attest-evidence", "quote", cmw.as_bytes());
    bad("attest-evidence", "result", cmw.replace(",4]", ",8]"));
    let claims = Claims {
        covered: challenge.covered().to_vec(),
        nonce: challenge.nonce().to_vec(),
        firmware: ("lamp".into(), "1.0".into()),
        measured: [5; 32],
        sbom: None,
    };
    let token = claims.sign(&*device.key, &device.chain()).expect("a token");
    good("attest-evidence", "token", Evidence::of_eat(token).expect("a token").to_cmw());
    let sbom = br#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#.to_vec();
    let claims = Claims { sbom: Some(digest_of(&sbom)), ..claims };
    let token = claims.sign(&*device.key, &device.chain()).expect("a token");
    let evidence = Evidence::of_eat(token).expect("a token");
    let shown = Shown { evidence, sbom: Some(sbom) }.to_cmw();
    good("attest-evidence", "token-sbom", &shown);
    cut("attest-evidence", "token-sbom", shown.as_bytes());
    bad("attest-evidence", "sbom-other", shown.replace("application/vnd.cyclonedx+json", "application/other"));
    bad("attest-evidence", "other", r#"["application/other","AAAA"]"#);

    let ear = Ear {
        subject: "LAMP-1".into(),
        at: NOW,
        expires: NOW + Duration::from_secs(60),
        nonce: vec![7; 32],
        vector: Vector { instance_identity: 2, executables: 3, hardware: 2, ..Vector::default() },
        tier: Tier::Affirming,
        firmware: Some("1.0".into()),
        root: "tpm".into(),
        findings: vec![("check".into(), "why".into())],
    };
    let signed = ear.sign(&*device.key).expect("a result");
    good("attest-result", "affirming", &signed);
    cut("attest-result", "affirming", signed.as_bytes());
    let better = Ear { vector: Vector { executables: 33, ..ear.vector }, ..ear };
    bad("attest-result", "better-than-its-claims", better.sign(&*device.key).expect("a result"));

    let release = Release {
        firmware: "1.0".into(),
        pcrs: [(8, Fingerprint([8; 32]))].into(),
        events: [(0, [Fingerprint([1; 32])].into())].into(),
        ..Release::default()
    };
    let values = ReferenceValues::new("acme", "lamp", NOW, vec![release]);
    let signed = values.sign(&*device.key).expect("values");
    good("attest-reference-values", "one-release", &signed);
    cut("attest-reference-values", "one-release", signed.as_bytes());
    let none = ReferenceValues::new("acme", "lamp", NOW, vec![Release::default()]);
    bad("attest-reference-values", "recognises-nothing", none.sign(&*device.key).expect("values"));

    let corim = STANDARD.decode(CORIM).expect("base64");
    good("attest-corim", "one-release", &corim);
    cut("attest-corim", "one-release", &corim);
    bad("attest-corim", "pcr-24", STANDARD.decode(CORIM_OF_PCR_24).expect("base64"));

    good("attest-nonce", "usual", r#"{"nonce":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI","expiry":600}"#);
    bad("attest-nonce", "short", r#"{"nonce":"MTIz"}"#);
    bad("attest-nonce", "missing", r#"{"expiry":600}"#);
}
