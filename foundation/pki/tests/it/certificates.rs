//! Reading certificates.

use super::{
    draft::{Draft, tlv},
    world::{domain, key, now},
};
use landfall_pki::{AltName, Certificate, Signer, extension::Extension, oid, pem};
use landfall_types::{DomainId, Time};

#[test]
fn an_idevid_says_what_its_profile_was_told() {
    let (domain, key) = (domain(), key());
    let idevid = domain.idevid("A-1", &key);
    assert_eq!(idevid.subject_serial_number().unwrap().as_str(), "A-1");
    assert_eq!(idevid.masa_url().as_deref(), Some("masa.example.com"));
    assert_eq!((idevid.not_before(), idevid.not_after()), (now(), Time::FOREVER));
    assert_eq!(idevid.public_key(), key.public_key());
    assert_eq!(idevid.authority_key_id().unwrap(), domain.issuing.certificate.key_id());
    assert!(!idevid.is_ca() && !idevid.is_self_issued() && idevid.subject_key_id().is_none());
    assert_eq!(idevid.key_id(), key.public_key().key_id());
    // RFC 8366 s5.3, as the published examples have it: 04 18 30 16 80 14 and the key identifier.
    let issuer = idevid.idevid_issuer().unwrap();
    assert_eq!(issuer[..6], [0x04, 0x18, 0x30, 0x16, 0x80, 0x14]);
    assert_eq!(issuer[6..], domain.issuing.certificate.key_id());
    idevid.verify_issued_by(domain.key.public_key()).unwrap();
    idevid.verify_issued_by(domain.root_key.public_key()).unwrap_err();
}

#[test]
fn a_registrar_and_a_ca() {
    let (domain, key) = (domain(), key());
    let registrar = domain.registrar(&key);
    assert_eq!(registrar.ekus(), [oid::CMC_RA, oid::SERVER_AUTH, oid::CLIENT_AUTH]);
    assert_eq!(registrar.dns_names(), ["registrar.example.com"]);
    assert_eq!(registrar.common_name().as_deref(), Some("registrar"));
    assert!(domain.root.is_ca() && domain.root.is_self_issued());
    assert_eq!(domain.root.path_len(), Some(2));
    assert_eq!(domain.root.domain_id(), DomainId(domain.root.key_id()));
    // RFC 8995 s5.8.2: without the extension, the SHA-256 of the key.
    let bare = Draft::of(&registrar).without(oid::SUBJECT_KEY_ID).sign(&domain.key).unwrap();
    assert_eq!(bare.domain_id(), DomainId(key.public_key().fingerprint().0.to_vec()));
}

#[test]
fn pem_both_ways() {
    let domain = domain();
    let text = format!("a comment\n{}{}", domain.root.to_pem(), domain.intermediate.to_pem());
    let chain = Certificate::chain_from_pem(&text).unwrap();
    assert_eq!(chain, [domain.root.clone(), domain.intermediate.clone()]);
    assert_eq!(Certificate::from_pem(&domain.root.to_pem()).unwrap(), domain.root);
    Certificate::from_pem(&text).unwrap_err();
    pem::decode(&text.replace("END", "AND")).unwrap_err();
    pem::decode(&domain.root.to_pem().replace("-----END CERTIFICATE", "-----END CRL")).unwrap_err();
}

#[test]
fn what_is_not_a_certificate() {
    let domain = domain();
    let der = domain.root.der();
    Certificate::from_der(&[der, &[0]].concat()).unwrap_err();
    Certificate::from_der(&der[..der.len() - 1]).unwrap_err();
    let good = Draft::of(&domain.root);
    good.sign(&domain.root_key).unwrap();

    let mut twice = good.clone();
    twice.extensions.push(twice.extensions[0].clone());
    assert!(twice.sign(&domain.root_key).unwrap_err().to_string().contains("stands twice"));

    // RFC 5280 s4.1.1.2: the algorithm outside the signed part differs from the one inside.
    let mut two_algorithms = der.to_vec();
    let last = two_algorithms.windows(8).rposition(|w| w == oid::ECDSA_SHA256.as_bytes()).unwrap();
    two_algorithms[last + 7] = 3;
    assert!(Certificate::from_der(&two_algorithms).unwrap_err().to_string().contains("two signature algorithms"));

    // What only informs may be wrong, unless it claims to be critical.
    let tagged_wrong = Extension::new(oid::MASA_URL, tlv(0x0c, b"masa.example.com"));
    let read = good.clone().with(tagged_wrong.clone()).sign(&domain.root_key).unwrap();
    assert_eq!(read.masa_url(), None);
    good.clone().with(tagged_wrong.critical()).sign(&domain.root_key).unwrap_err();
    // What a decision hangs on may not.
    let constraints = Extension::new(oid::BASIC_CONSTRAINTS, vec![0x30, 3, 1, 1, 7]);
    good.with(constraints).sign(&domain.root_key).unwrap_err();
}

#[test]
fn every_field_has_its_form() {
    let domain = domain();
    let good = Draft::of(&domain.root);
    let date = &good.validity[0];
    let pair = tlv(0x30, &[tlv(6, oid::COMMON_NAME.as_bytes()), tlv(0x0c, b"A")].concat());
    let name = |pair: &[u8]| tlv(0x30, &tlv(0x31, pair));
    Draft { subject: name(&pair), ..good.clone() }.sign(&domain.root_key).unwrap();
    let odd_key = tlv(0x30, &[tlv(6, oid::ED25519.as_bytes()), vec![5, 0, 5, 0]].concat());
    let odd_key = tlv(0x30, &[odd_key, tlv(3, &[0; 33])].concat());
    let bad = [
        Draft { version: vec![0xa0, 3, 2, 1, 3], ..good.clone() },
        Draft { version: vec![0xa0, 6, 2, 1, 2, 2, 1, 2], ..good.clone() },
        Draft { serial: vec![], ..good.clone() },
        Draft { serial: vec![0, 1], ..good.clone() },
        Draft { serial: vec![0xff, 0x80], ..good.clone() },
        Draft { serial: vec![1; 22], ..good.clone() },
        Draft { validity: [date.clone(), vec![]], ..good.clone() },
        Draft { validity: [date.clone(), [&date[..], date].concat()], ..good.clone() },
        Draft { validity: [date.clone(), tlv(0x17, b"991332000000Z")], ..good.clone() },
        Draft { issuer: name(&[]), ..good.clone() },
        Draft { subject: tlv(0x30, &pair), ..good.clone() },
        Draft { subject: name(&tlv(6, oid::COMMON_NAME.as_bytes())), ..good.clone() },
        Draft { subject: name(&tlv(0x30, &tlv(6, oid::COMMON_NAME.as_bytes()))), ..good.clone() },
        Draft { subject: name(&[&pair[..], &[5]].concat()), ..good.clone() },
        Draft { spki: odd_key, ..good.clone() },
    ];
    for (number, draft) in bad.into_iter().enumerate() {
        assert!(draft.sign(&domain.root_key).is_err(), "{number}");
    }
}

#[test]
fn alternative_names_of_every_kind() {
    let domain = domain();
    let names = [
        AltName::Dns("a.example".into()),
        AltName::Ip("192.0.2.1".parse().unwrap()),
        AltName::Ip("2001:db8::1".parse().unwrap()),
        AltName::Uri("urn:example".into()),
        AltName::Email("a@example".into()),
    ];
    let profile =
        landfall_pki::profile::Server { subject: landfall_pki::Name::common("server"), alt_names: names.to_vec() };
    let prepared =
        profile.prepare(&domain.issuing, key().public_key(), super::world::serial(), super::world::validity());
    let server = super::world::issue(prepared, &domain.key);
    assert_eq!(server.alt_names(), names);
}
