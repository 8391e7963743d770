//! `landfall inspect` on what we make, on what it breaks into, and on what others made.

use crate::{landfall, says};
use landfall_brski::voucher::{Assertion, Format, Nonce, SealOptions, Voucher, VoucherRequest, prepare};
use landfall_testkit::{Domain, Manufacturer, NOW, pki::Identity, shared, skip};
use serde_json::Value;
use std::path::Path;

pub(super) fn inspect(folder: &Path, name: &str, bytes: &[u8], more: &[&str]) -> (i32, Value) {
    std::fs::write(folder.join(name), bytes).unwrap();
    let now = NOW.to_string();
    let when: &[&str] = if more.contains(&"--at") { &[] } else { &["--at", &now] };
    let arguments: Vec<&str> = ["inspect", name, "--json"].iter().chain(when).chain(more).copied().collect();
    let (status, text) = says(folder, &arguments);
    (status, serde_json::from_str(&text).unwrap())
}

pub(super) fn checks(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    let errors = findings.iter().filter(|finding| finding["severity"] == "error");
    errors.map(|finding| finding["check"].as_str().unwrap()).collect()
}

fn sealed<T: landfall_brski::voucher::Payload>(format: Format, payload: &T, signer: &Identity) -> Vec<u8> {
    let chain = signer.chain();
    let unsealed = prepare(format, payload, &chain[0], &chain[1..], SealOptions::default()).unwrap();
    let signature = signer.sign(unsealed.to_be_signed());
    unsealed.seal(&signature).unwrap()
}

#[test]
fn vouchers_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let (maker, domain) = (Manufacturer::new(), Domain::new());
    let mut voucher = Voucher::new("T-1".parse().unwrap());
    voucher.created_on = Some(NOW);
    voucher.assertion = Some(Assertion::Logged);
    voucher.nonce = Some(Nonce::from_random([7; 16]));
    voucher.pinned_domain_cert = Some(domain.registrar.certificate.clone());
    for format in Format::ALL {
        let bytes = sealed(format, &voucher, &maker.masa);
        let (status, report) = inspect(folder.path(), "voucher", &bytes, &[]);
        assert_eq!((status, report["what"].as_str().unwrap()), (0, format!("a voucher in {format}").as_str()));
        let mut broken = bytes.clone();
        let last = broken.len() - 2;
        broken[last] ^= 1;
        let (status, report) = inspect(folder.path(), "broken", &broken, &[]);
        assert_eq!(status, 1, "{report}");
    }
    let other = Manufacturer::new();
    std::fs::write(folder.path().join("other.pem"), other.root.authority.certificate.to_pem()).unwrap();
    let bytes = sealed(Format::CmsJson, &voucher, &maker.masa);
    let (status, report) = inspect(folder.path(), "voucher", &bytes, &["--anchor", "other.pem"]);
    assert_eq!((status, report["trust"]["verdict"].as_str()), (1, Some("refused")));
}

#[test]
fn a_request_that_disagrees_with_the_one_inside() {
    let folder = tempfile::tempdir().unwrap();
    let (maker, domain) = (Manufacturer::new(), Domain::new());
    let device = maker.device("T-1");
    let mut pledge = VoucherRequest::new("T-1".parse().unwrap());
    pledge.nonce = Some(Nonce::from_random([7; 16]));
    pledge.proximity_registrar_cert = Some(domain.registrar.certificate.clone());
    let mut registrar = VoucherRequest::new("T-1".parse().unwrap());
    registrar.nonce = pledge.nonce.clone();
    registrar.prior_signed_voucher_request = Some(sealed(Format::CmsJson, &pledge, &device));
    let good = sealed(Format::CmsJson, &registrar, &domain.registrar);
    let (status, report) = inspect(folder.path(), "good", &good, &[]);
    assert_eq!((status, checks(&report)), (0, vec![]), "{report}");

    registrar.nonce = Some(Nonce::from_random([8; 16]));
    let bad = sealed(Format::CmsJson, &registrar, &domain.registrar);
    assert_eq!(checks(&inspect(folder.path(), "bad", &bad, &[]).1), ["request-nonce"]);

    registrar.nonce = pledge.nonce.clone();
    let bad = sealed(Format::CmsJson, &registrar, &maker.masa);
    assert_eq!(checks(&inspect(folder.path(), "bad", &bad, &[]).1), ["registrar-cmc-ra", "request-proximity"]);
}

#[test]
fn certificates_bodies_and_nonsense() {
    let folder = tempfile::tempdir().unwrap();
    let maker = Manufacturer::new();
    let device = maker.device("T-1");
    let der = device.certificate.der();
    let (status, report) = inspect(folder.path(), "idevid", der, &[]);
    assert_eq!(status, 0, "{report}");
    assert!(report["what"].as_str().unwrap().starts_with("an IDevID"));
    let body = landfall_brski::est::body::encode(&landfall_pki::cms::certs_only(&device.chain()));
    let (status, report) = inspect(folder.path(), "cacerts", &body, &[]);
    assert_eq!((status, report["wrapped"][0].as_str()), (0, Some("base64")));
    let (status, report) = inspect(folder.path(), "status", br#"{"version":1,"status":true,"extra":1}"#, &[]);
    assert_eq!((status, report["findings"][0]["check"].as_str()), (0, Some("telemetry-unknown")));
    let text = |certificate: &landfall_pki::Certificate| certificate.to_pem();
    let bundle = serde_json::json!({
        "serial-number": "T-1", "idevid": text(&device.certificate), "chain": "",
        "masa-anchors": text(&maker.root.authority.certificate), "key": "secret",
    });
    let (status, report) = inspect(folder.path(), "bundle", bundle.to_string().as_bytes(), &[]);
    assert_eq!((status, report["parts"].as_array().map(Vec::len)), (0, Some(2)), "{report}");
    assert!(!report.to_string().contains("secret"));
    for nonsense in [&b""[..], b"{}", b"{\"a\":1,\"a\":2}", b"\x30\x03\x02\x01", b"hello", &[0xff; 64]] {
        assert_eq!(inspect(folder.path(), "nonsense", nonsense, &[]).0, 1);
    }
    let (status, report) =
        inspect(folder.path(), "key.pem", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &[]);
    assert_eq!((status, report["what"].as_str()), (0, Some("a private key, which is not shown")));
    assert_eq!(landfall(folder.path(), &["inspect", "nowhere"]).status.code(), Some(2));
}

/// Artefacts of independent implementers; what an independent check found stands in a file beside them.
#[test]
fn what_others_made() {
    let Some(vectors) = shared("vectors/voucher") else {
        return skip("inspect::what_others_made", "the shared vectors are not there");
    };
    let expected = std::fs::read_to_string(vectors.join("expected.txt")).unwrap();
    let mut seen = 0;
    for line in expected.lines() {
        let [file, _, found] = line.splitn(3, " | ").collect::<Vec<_>>()[..] else { continue };
        let Ok(bytes) = std::fs::read(vectors.join(file)) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let (_, report) = inspect(folder.path(), "artefact", &bytes, &["--at", "2020-01-01T00:00:00Z"]);
        let verified = report["fields"].as_array().unwrap().iter().any(|field| field["name"] == "signature");
        // An unsigned serial number is not a voucher request to us, whatever its signature is worth.
        let readable = found.contains("CMS sig OK") && found.contains("serial-number");
        if readable && !verified {
            let known = checks(&report);
            assert!(!known.is_empty(), "{file}: neither verified nor explained: {report}");
        }
        if found.contains("does not verify") {
            assert!(!verified, "{file}");
        }
        seen += 1;
    }
    assert!(seen > 30, "only {seen} artefacts were found");
}

#[test]
fn what_a_manufacturer_says_of_its_lamps() {
    let folder = tempfile::tempdir().unwrap();
    let lamp = include_str!("../../../fuzz/corpus/mud-file/good-plain");
    let (status, report) = inspect(folder.path(), "lamp.json", lamp.as_bytes(), &[]);
    assert_eq!((status, checks(&report)), (0, vec![]), "{report}");
    let said = report["fields"].to_string();
    assert!(
        said.contains("permits IPv4, TCP, with cloud.lamp.example, its port 443, begun from-device (from4/cloud)"),
        "{said}"
    );
    let wrong = lamp.replace("\"port\":443", "\"port\":65536");
    let (status, report) = inspect(folder.path(), "lamp.json", wrong.as_bytes(), &[]);
    assert_eq!((status, checks(&report)), (1, vec!["mud-wrong"; 2]), "{report}");
    let (status, report) =
        inspect(folder.path(), "lamp.json", lamp.replace("https://lamp", "http://lamp").as_bytes(), &[]);
    assert_eq!((status, checks(&report)), (1, vec!["mud-url"]), "{report}");
}
