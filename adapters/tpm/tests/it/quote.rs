//! Quotes: what tpm2-tools and the verifier make of ours.

use super::keys::open;
use landfall_attest::{
    EventLog,
    log::{event, extended},
    tpm::{About, Statement, check_signature, digest_of},
};
use landfall_element::ElementError;
use landfall_testkit::Swtpm;
use landfall_tpm::proof;
use std::fs;

#[test]
fn what_was_measured_is_quoted_and_adds_up() {
    let Some(mut tpm) = Swtpm::new() else { return };
    let element = open(&tpm);
    let log = EventLog {
        events: vec![event(8, 0x0d, b"kernel", "kernel"), event(8, 0x0d, b"application", "application")],
        locality: 0,
    };
    log.events.iter().for_each(|event| element.measure(event.pcr, &event.digest).unwrap());
    let every: Vec<u8> = (0..24).collect();
    assert_eq!(element.pcrs(&every).unwrap().len(), 24, "a TPM tells eight at a time");
    let quote = element.quote(&[0, 7, 8], &[9; 32]).unwrap();
    assert_eq!(quote.pcrs, log.replay([0, 7, 8]));
    let said = Statement::read(&quote.statement).unwrap();
    let selection = [0, 7, 8].into();
    assert_eq!(said.about, About::Quote { selection, digest: digest_of(&quote.pcrs).to_vec() });
    assert_eq!(said.covered, [9; 32]);
    let shown = proof::introduce(&element).unwrap();
    let area = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, shown.attestation_key).unwrap();
    let key = proof::key_in(&area).unwrap();
    check_signature(&key, &quote.statement, &quote.signature).unwrap();
    assert!(check_signature(&key, &quote.statement[1..], &quote.signature).is_err());

    // A reset takes the measurements back, and is counted; the key stays.
    let before = said.clock;
    tpm.power_off();
    tpm.power_on();
    let quote = element.quote(&[8], &[9; 32]).unwrap();
    assert_eq!(quote.pcrs, EventLog::default().replay([8]));
    let after = Statement::read(&quote.statement).unwrap().clock;
    let resets = after.reset_count.wrapping_sub(before.reset_count);
    assert!((1..1000).contains(&resets), "{before:?} {after:?}");
    check_signature(&key, &quote.statement, &quote.signature).unwrap();
}

#[test]
fn tpm2_tools_believe_a_quote_and_not_one_that_was_changed() {
    let Some(tpm) = Swtpm::new() else { return };
    let element = open(&tpm);
    element.measure(8, &[1; 32]).unwrap();
    let quote = element.quote(&[0, 8], &[7; 32]).unwrap();
    let (public, _) = proof::attestation_key(&element).unwrap();
    let keep = |name: &str, content: &[u8]| fs::write(tpm.folder().join(name), content).unwrap();
    keep("ak.pub", &public);
    keep("quote", &quote.statement);
    keep("signature", &quote.signature);
    let nonce = "07".repeat(32);
    let check = ["-u", "ak.pub", "-m", "quote", "-s", "signature", "-g", "sha256", "-q", &nonce];
    if tpm.tool("tpm2_checkquote", &check).is_none() {
        return;
    }
    keep("signature", &[&quote.signature[..20], &[quote.signature[20] ^ 1], &quote.signature[21..]].concat());
    let refused = std::process::Command::new("tpm2_checkquote").args(check).current_dir(tpm.folder()).output().unwrap();
    assert!(!refused.status.success());

    // And the other way round: what they measure, we read.
    tpm.tool("tpm2_pcrextend", &[&format!("9:sha256={}", "02".repeat(32))]);
    assert_eq!(element.pcrs(&[9]).unwrap()[&9], extended(&[0; 32], &[2; 32]));
}

#[test]
fn what_is_no_pcr_is_refused() {
    let Some(tpm) = Swtpm::new() else { return };
    let element = open(&tpm);
    for wrong in [&[][..], &[24], &[0, 255]] {
        assert!(matches!(element.quote(wrong, &[0; 32]), Err(ElementError::Unsupported(_))));
        assert!(matches!(element.pcrs(wrong), Err(ElementError::Unsupported(_))));
    }
    // PCRs of the dynamic root of trust are not for everyone.
    assert!(element.measure(17, &[0; 32]).is_err());
}
