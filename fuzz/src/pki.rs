//! Certificates, requests, revocation lists and signed messages.

use landfall_pki::{
    Certificate, Crl, Csr, SignedData, attestation::KeyAttestation, cms as messages, lint, pem as text,
};

/// A certificate.
pub fn certificate(data: &[u8]) -> bool {
    let Ok(certificate) = Certificate::from_der(data) else { return false };
    look_at(&certificate);
    true
}

/// PEM.
pub fn pem(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let _ = Certificate::from_pem(text);
    let _ = Certificate::chain_from_pem(text);
    text::decode(text).is_ok_and(|blocks| !blocks.is_empty())
}

/// Proof in a certificate request of where its key lives.
pub fn key_attestation(data: &[u8]) -> bool {
    let Ok(attested) = KeyAttestation::from_der(data) else { return false };
    assert_eq!(
        KeyAttestation::from_der(&attested.to_der()).as_ref(),
        Ok(&attested),
        "what was read is written the same"
    );
    true
}

/// A certification request.
pub fn csr(data: &[u8]) -> bool {
    let Ok(csr) = Csr::from_der(data) else { return false };
    assert_eq!(csr.der(), data, "it is kept as it came");
    let _ = (csr.subject(), csr.subject_name(), csr.subject_serial_number(), csr.challenge_password());
    let _ = (csr.extensions(), csr.alt_names(), csr.dns_names(), csr.ekus(), csr.attribute_oids());
    csr.verify_possession().is_ok()
}

/// A revocation list.
pub fn crl(data: &[u8]) -> bool {
    let Ok(crl) = Crl::from_der(data) else { return false };
    assert_eq!(crl.der(), data, "it is kept as it came");
    let _ = (crl.issuer_der(), crl.this_update(), crl.next_update(), crl.len(), crl.to_pem());
    true
}

/// A signed message; taken if its signature verifies too.
pub fn cms(data: &[u8]) -> bool {
    let _ = SignedData::parse_der(data);
    let Ok(signed) = SignedData::parse(data) else { return false };
    let _ = (signed.content_type(), signed.content(), signed.signer_count());
    signed.certificates().iter().for_each(look_at);
    signed.verify().is_ok()
}

/// Certificates in PKCS #7.
pub fn certs_only(data: &[u8]) -> bool {
    let Ok(certificates) = messages::parse_certs_only(data) else { return false };
    certificates.iter().for_each(look_at);
    let again = messages::parse_certs_only(&messages::certs_only(&certificates));
    assert_eq!(again.map(|again| again.len()), Ok(certificates.len()), "what was read can be written and read");
    true
}

/// Asks a certificate everything that it can be asked.
fn look_at(certificate: &Certificate) {
    let c = certificate;
    let _ = (c.subject(), c.issuer(), c.subject_name(), c.common_name(), c.subject_serial_number(), c.serial_hex());
    let _ = (c.not_before(), c.not_after(), c.is_ca(), c.path_len(), c.key_usage(), c.ekus(), c.dns_names());
    let _ = (c.key_id(), c.subject_key_id(), c.authority_key_id(), c.idevid_issuer(), c.domain_id());
    let _ = (c.masa_url(), c.mud_url(), c.mud_signer(), c.fingerprint(), c.is_self_issued());
    let _ = (c.verify_issued_by(c.public_key()), lint::certificate(c));
    assert_eq!(Certificate::from_pem(&c.to_pem()).as_ref(), Ok(c), "PEM brings it back");
}
