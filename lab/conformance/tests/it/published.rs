//! The examples that RFCs print, out of their texts: what is remarkable about those of RFC 7030, and those of RFC 9148.
//! That the examples of RFC 8366, RFC 8995 and RFC 7030 are read is shown in the tests of `landfall-brski`.

use landfall_brski::{
    est::{body, client, csrattrs::CsrAttrs},
    media,
};
use landfall_pki::{Certificate, Csr, PublicKey, Signer, SoftwareKey, cms::parse_certs_only};
use landfall_testkit::rfc;
use landfall_types::http::Response;

/// The section of an RFC from the heading `from` on to the heading `to`, without what stands at page breaks.
fn section(text: &str, from: &str, to: &str) -> String {
    // The table of contents has the headings too, indented.
    let begin = text.find(&format!("\n{from}")).unwrap_or_else(|| panic!("{from}"));
    let rest = &text[begin + 1..];
    let end = rest.find(&format!("\n{to}")).unwrap_or_else(|| panic!("{to}"));
    let furniture = |line: &&str| !(line.contains('\u{c}') || line.starts_with("RFC ") || line.contains("[Page "));
    rest[..end].lines().filter(furniture).map(|line| format!("{}\n", line.trim())).collect()
}

/// Every run of lines that consist of `digits` alone; blank lines do not end one.
fn blocks(section: &str, digits: impl Fn(char) -> bool) -> Vec<String> {
    let mut found = vec![String::new()];
    for line in section.lines().filter(|line| !line.is_empty()) {
        let of_digits = line.chars().all(&digits) && (line.len() > 20 || !found[found.len() - 1].is_empty());
        match of_digits {
            true => found.last_mut().unwrap().push_str(line),
            false if !found[found.len() - 1].is_empty() => found.push(String::new()),
            false => {}
        }
    }
    found.retain(|block| block.len() > 40);
    found
}

fn base64_blocks(section: &str) -> Vec<String> {
    blocks(section, |c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
}

fn hex_blocks(section: &str) -> Vec<Vec<u8>> {
    blocks(section, |c| c.is_ascii_hexdigit()).iter().map(|block| hex::decode(block).unwrap()).collect()
}

/// RFC 7030 App. A.1 and A.3: all is signed with SHA-1. It is read, and proves nothing: a finding.
#[test]
fn sha_1_in_rfc_7030_counts_for_nothing() {
    let Some(text) = rfc(7030) else { return };
    let blocks = base64_blocks(&section(&text, "A.1.  Obtaining CA Certificates", "A.2.  CSR Attributes"));
    let [bag] = blocks.as_slice() else { panic!("{blocks:?}") };
    let certificates = client::read_cacerts(&Response::with(200, media::PKCS7, bag.clone().into_bytes())).unwrap();
    let names: Vec<_> = certificates.iter().filter_map(Certificate::common_name).collect();
    // RFC 7030 s4.1.3: the old CA, the new one by the old, the old one by the new, the new one.
    assert_eq!(names, ["OwO", "NwO", "OwN", "NwN"].map(|which| format!("estExampleCA {which}")));
    for (certificate, issuer) in certificates.iter().flat_map(|leaf| certificates.iter().map(move |ca| (leaf, ca))) {
        assert!(certificate.verify_issued_by(issuer.public_key()).is_err(), "{}", certificate.subject());
    }

    let blocks = base64_blocks(&section(&text, "A.3.  Enroll/Re-enroll", "A.4.  Server Key Generation"));
    let [request, answer] = blocks.as_slice() else { panic!("{blocks:?}") };
    let csr = Csr::from_der(&body::decode(request.as_bytes()).unwrap()).unwrap();
    assert!(csr.challenge_password().is_some_and(|password| !password.is_empty()), "it is bound to its connection");
    assert!(csr.verify_possession().is_err());
    let certificates = parse_certs_only(&body::decode(answer.as_bytes()).unwrap()).unwrap();
    let [certificate] = certificates.as_slice() else { panic!("{certificates:?}") };
    assert_eq!(certificate.public_key(), csr.public_key());
}

/// RFC 7030 App. A.2, which RFC 9148 App. A.4 repeats in hexadecimal.
#[test]
fn csrattrs_of_rfc_7030_and_9148() {
    let (Some(est), Some(coaps)) = (rfc(7030), rfc(9148)) else { return };
    let blocks = base64_blocks(&section(&est, "A.2.  CSR Attributes", "A.3.  Enroll/Re-enroll"));
    let [attributes] = blocks.as_slice() else { panic!("{blocks:?}") };
    let der = body::decode(attributes.as_bytes()).unwrap();
    let same = hex_blocks(&section(&coaps, "A.4.  csrattrs", "Appendix B."));
    let [same] = same.as_slice() else { panic!("{same:?}") };
    assert_eq!(*same, der);
    let attributes = CsrAttrs::from_der(&der).unwrap();
    assert!(attributes.wants_binding());
    // Two of the six have names that nobody uses (2.999, RFC 3061's example arc); clients pass over them (s4.5.2).
    assert_eq!(attributes.0.len(), 4);
}

/// RFC 9148 App. A.1 to A.3: EST over CoAP carries the same objects, on P-256.
#[test]
fn objects_of_rfc_9148() {
    let Some(text) = rfc(9148) else { return };
    let [cacerts] = &hex_blocks(&section(&text, "A.1.  cacerts", "A.2.  enroll / reenroll"))[..] else { panic!() };
    let cas = parse_certs_only(cacerts).unwrap();
    let [ca] = cas.as_slice() else { panic!("{cas:?}") };
    assert_eq!(ca.common_name().as_deref(), Some("Root CA"));
    ca.verify_issued_by(ca.public_key()).unwrap();

    let enrolment = hex_blocks(&section(&text, "A.2.  enroll / reenroll", "A.3.  serverkeygen"));
    let [request, answer] = enrolment.as_slice() else { panic!() };
    let csr = Csr::from_der(request).unwrap();
    csr.verify_possession().unwrap();
    assert_eq!(csr.subject_serial_number().unwrap().as_str(), "Wt1234");
    let issued = parse_certs_only(answer).unwrap();
    assert_eq!(issued[0].public_key(), csr.public_key());
    assert_eq!(issued[0].subject_serial_number(), csr.subject_serial_number());
    // A hardwareModuleName and an end that is none: an IDevID by its looks (802.1AR).
    assert_eq!(issued[0].not_after().to_string(), "9999-12-31T23:59:59Z");

    let keygen = hex_blocks(&section(&text, "A.3.  serverkeygen", "A.4.  csrattrs"));
    let [request, key, answer] = keygen.as_slice() else { panic!("{}", keygen.len()) };
    let csr = Csr::from_der(request).unwrap();
    csr.verify_possession().unwrap();
    let key = SoftwareKey::from_pkcs8_der(key).unwrap();
    let issued = parse_certs_only(answer).unwrap();
    assert_eq!(issued[0].public_key(), key.public_key());
    assert_eq!(PublicKey::from_spki_der(key.public_key().spki_der()).unwrap(), *issued[0].public_key());
}
