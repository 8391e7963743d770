//! Whatever bytes come, parsers return; and a changed byte never leaves a signature standing over something else.

use super::world::{domain, key, now};
use landfall_pki::{
    Certificate, Crl, Csr, CsrRequest, Name, PublicKey, SignedData, SignedDataBuilder, Signer, SoftwareKey,
    cms::{certs_only, parse_certs_only},
    fixed_from_der, lint, oid, pem,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use std::sync::LazyLock;

const CONTENT: &[u8] = b"{\"ietf-voucher:voucher\":{}}";

/// One good thing of each kind.
static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let (domain, key) = (domain(), key());
    let masa = domain.masa(&key);
    let csr = CsrRequest::new(Name::common("x")).prepare(key.public_key(), key.algorithm()).unwrap();
    let message = SignedDataBuilder::new(oid::DATA, CONTENT, &masa, [domain.root.clone()]);
    vec![
        domain.idevid("A-1", &key).der().to_vec(),
        domain.registrar(&key).der().to_vec(),
        csr.issue(&key).unwrap().der().to_vec(),
        super::crls::revoking(&[&masa]).prepare(&domain.issuing).unwrap().issue(&domain.key).unwrap().der().to_vec(),
        message.prepare(Some(now())).unwrap().issue(&key).unwrap(),
        certs_only(&domain.intermediates()),
        key.public_key().spki_der().to_vec(),
        domain.root.to_pem().into_bytes(),
    ]
});

fn read_everything(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        lint::certificate(&certificate);
        let _ =
            (format!("{certificate:?}"), certificate.issuer(), certificate.idevid_issuer(), certificate.mud_signer());
        let _ = certificate.verify_issued_by(certificate.public_key());
    }
    if let Ok(csr) = Csr::from_der(bytes) {
        let _ = (format!("{csr:?}"), csr.verify_possession(), csr.challenge_password(), csr.subject_serial_number());
    }
    if let Ok(message) = SignedData::parse(bytes) {
        let _ = (message.verify(), message.signing_time());
    }
    let _ = (Crl::from_der(bytes), parse_certs_only(bytes), Name::from_der(bytes), PublicKey::from_spki_der(bytes));
    let _ = (SoftwareKey::from_pkcs8_der(bytes).map(|_| ()), fixed_from_der(landfall_pki::Algorithm::EcdsaP256, bytes));
    let _ = pem::decode(&String::from_utf8_lossy(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_panics_on_changed_bytes(
        which in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        cut in any::<Index>(),
        whether_cut in any::<bool>(),
    ) {
        let mut bytes = which.get(&GOOD).clone();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if whether_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_everything(&bytes);
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        read_everything(&bytes);
    }

    #[test]
    fn a_message_that_verifies_says_what_was_signed(at in any::<Index>(), to in any::<u8>()) {
        let mut bytes = GOOD[4].clone();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(message) = SignedData::parse(&bytes) && message.verify().is_ok() {
            prop_assert_eq!(message.content(), CONTENT);
        }
    }

    #[test]
    fn fixed_and_der_signatures_are_one(numbers in proptest::array::uniform32(any::<u8>()), more in proptest::array::uniform32(any::<u8>())) {
        let fixed = [numbers, more].concat();
        let der = landfall_pki::der_from_fixed(landfall_pki::Algorithm::EcdsaP256, &fixed).unwrap();
        prop_assert_eq!(fixed_from_der(landfall_pki::Algorithm::EcdsaP256, &der).unwrap(), fixed);
    }
}
