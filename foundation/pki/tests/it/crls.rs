//! Revocation lists.

use super::world::{YEAR, domain, key, now};
use landfall_pki::{CertificateSerial, Crl, CrlRequest, PkiError, Revoked, Signer, crl::Reason};
use std::time::Duration;

pub(crate) fn revoking(certificates: &[&landfall_pki::Certificate]) -> CrlRequest {
    let revoked = Revoked { at: now(), reason: Reason::KeyCompromise };
    CrlRequest {
        number: 7,
        this_update: now(),
        next_update: now() + YEAR,
        revoked: certificates.iter().map(|c| (CertificateSerial::of(c), revoked)).collect(),
    }
}

#[test]
fn a_list_names_what_it_revokes() {
    let (domain, key) = (domain(), key());
    let (bad, good) = (domain.ldevid(&key), domain.ldevid(&key));
    let crl = revoking(&[&bad]).prepare(&domain.issuing).unwrap().issue(&domain.key).unwrap();
    let crl = Crl::from_pem(&crl.to_pem()).unwrap();
    crl.verify_issued_by(domain.key.public_key()).unwrap();
    assert_eq!(crl.verify_issued_by(domain.root_key.public_key()), Err(PkiError::BadSignature("revocation list")));
    assert_eq!(crl.is_revoked(&bad), Some(Revoked { at: now(), reason: Reason::KeyCompromise }));
    assert_eq!(crl.is_revoked(&good), None);
    assert_eq!((crl.len(), crl.number_der()), (1, Some(&[2, 1, 7][..])));
    assert!(crl.is_current(now()) && crl.is_current(now() + YEAR));
    assert!(!crl.is_current(now() + YEAR + Duration::from_secs(1)) && !crl.is_current(now() - YEAR));
}

#[test]
fn an_empty_list_and_a_serial_of_another_issuer() {
    let (domain, other, key) = (domain(), domain(), key());
    let crl = revoking(&[]).prepare(&domain.issuing).unwrap().issue(&domain.key).unwrap();
    assert!(crl.is_empty());
    let stranger = super::world::Hierarchy::new("Other", landfall_pki::Algorithm::EcdsaP256).ldevid(&key);
    let crl = revoking(&[&stranger]).prepare(&other.issuing).unwrap().issue(&other.key).unwrap();
    assert_eq!(crl.is_revoked(&stranger), None);
}

#[test]
fn another_key_makes_no_list() {
    let domain = domain();
    let signed = revoking(&[]).prepare(&domain.issuing).unwrap().issue(&domain.root_key);
    assert_eq!(signed, Err(PkiError::BadSignature("revocation list")));
    let mut due_before_made = revoking(&[]);
    due_before_made.next_update = now();
    due_before_made.prepare(&domain.issuing).unwrap_err();
}
