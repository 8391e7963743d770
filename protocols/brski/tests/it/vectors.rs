//! Artefacts of independent implementers. What an independent check found in each stands beside them, in
//! `expected.txt`: file, size, finding.

use ciborium::Value;
use landfall_brski::voucher::{Format, Payload, Voucher, VoucherError, VoucherRequest, body, open};
use landfall_types::Refusal;
use std::{fs, path::Path};

/// Artefacts whose signature is good and which are refused nevertheless.
const FINDINGS: &[(&str, &str, &str)] = &[
    // A date where yang:date-and-time has a time too.
    ("minerva-chariwt/pledge_request01.pkcs", "voucher-value", "created-on"),
    ("minerva-fountain/vr_081196FFFE0181E0.b64", "voucher-value", "created-on"),
    // No serial number, which is mandatory.
    ("minerva-chariwt/voucher_request-bt01.pkcs", "voucher-mandatory", "serial-number"),
    // A curve that is not spoken here.
    ("minerva-highway/parboiled_vr-00-D0-E5-02-00-20.b64", "voucher-algorithm", ""),
    // The pledge's request stands inside as an object, not as binary.
    ("minerva-highway/parboiled_unsigned_00-D0-E5-F2-00-01.vrq", "voucher-value", "prior-signed-voucher-request"),
];

fn read(is_request: bool, format: Format, bytes: &[u8]) -> Result<(), VoucherError> {
    match is_request {
        true => open::<VoucherRequest>(format, bytes).map(drop),
        false => open::<Voucher>(format, bytes).map(drop),
    }
}

#[test]
fn artefacts_of_others_are_read_or_refused_for_a_reason() {
    let Some(dir) = landfall_testkit::shared("vectors/voucher") else { return };
    let expected = fs::read_to_string(dir.join("expected.txt")).expect("what to expect");
    let mut seen = 0;
    for line in expected.lines() {
        let [file, _, finding] = line.split(" | ").collect::<Vec<_>>()[..] else { continue };
        // Some files that were checked are not in the set.
        let Ok(bytes) = fs::read(dir.join(file)) else { continue };
        seen += 1;
        let is_request = finding.contains("voucher-request") || finding.contains("2501");
        let format = Format::sniff(&bytes).unwrap_or(Format::CmsJson);
        let refusal = read(is_request, format, &bytes).err().map(Refusal::from);
        let found = refusal.as_ref().map(|refusal| (refusal.check.as_ref(), refusal.field.as_ref()));
        let known = FINDINGS.iter().find(|(name, ..)| *name == file).map(|(_, check, field)| (*check, *field));
        match finding.split([' ', ';']).next() {
            Some("CMS") => assert_eq!(found, known, "{file}: {refusal:?}"),
            // None brings a certificate in a header of RFC 9360, so what they say is read without a signature.
            Some("COSE_Sign1") => {
                assert_eq!(found, Some(("voucher-signer", "certificates")), "{file}");
                content_is_read(file, is_request, &bytes);
            }
            Some("not") => assert!(found.is_some(), "{file}"),
            _ => panic!("{file}: {finding}"),
        }
    }
    assert!(seen > 40, "{seen} artefacts");
}

fn content_is_read(file: &str, is_request: bool, bytes: &[u8]) {
    let raw = body(Format::CoseCbor, bytes);
    let message = ciborium::from_reader::<Value, _>(raw.as_ref()).expect("CBOR");
    let Value::Tag(18, message) = message else { panic!("{file}: no tag") };
    let [_, _, Value::Bytes(content), _] = &message.as_array().expect("an array")[..] else { panic!("{file}") };
    let result = match is_request {
        true => VoucherRequest::from_cbor(content).map(drop),
        false => Voucher::from_cbor(content).map(drop),
    };
    let name = Path::new(file).file_name().and_then(|name| name.to_str());
    match name {
        // A nonce beside an expiry.
        Some(
            "voucher_jada123456789.vch"
            | "parboiled_vr_vanderstok_00-d0-e5-02-00-36.vrq"
            | "parboiled_vr_vanderstok01.b64"
            | "parboiled_vr_vanderstok01.vrq",
        ) => assert_eq!(result, Err(VoucherError::NonceAndExpiry), "{file}"),
        _ => assert_eq!(result, Ok(()), "{file}"),
    }
}
