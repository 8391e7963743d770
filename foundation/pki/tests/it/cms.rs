//! Signed messages.

use super::{
    draft::{Draft, tlv},
    world::{Hierarchy, domain, key, now},
};
use landfall_pki::{
    Algorithm, Certificate, PkiError, SignedData, SignedDataBuilder, Signer, SoftwareKey,
    cms::{ContentDigest, certs_only, parse_certs_only},
    oid,
};

const CONTENT: &[u8] = br#"{"ietf-voucher:voucher":{"serial-number":"A-1"}}"#;

fn message(signer: &Certificate, key: &SoftwareKey, extra: Vec<Certificate>) -> Vec<u8> {
    let builder = SignedDataBuilder::new(oid::VOUCHER_CONTENT, CONTENT, signer, extra);
    builder.prepare(Some(now())).unwrap().issue(key).unwrap()
}

/// Signed attributes and a message around them, in parts, so that one can be changed.
struct Parts {
    content_type: landfall_pki::Oid,
    content: Vec<u8>,
    attributes: Vec<Vec<u8>>,
    signers: usize,
    with_certificate: bool,
}

fn attribute(oid: landfall_pki::Oid, value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(6, oid.as_bytes()), tlv(0x31, value)].concat())
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

impl Parts {
    fn good() -> Self {
        let content_type = attribute(oid::CONTENT_TYPE, &tlv(6, oid::VOUCHER_CONTENT.as_bytes()));
        let digest = attribute(oid::MESSAGE_DIGEST, &tlv(4, &sha256(CONTENT)));
        let attributes = vec![content_type, digest];
        let content = CONTENT.to_vec();
        Self { content_type: oid::VOUCHER_CONTENT, content, attributes, signers: 1, with_certificate: true }
    }

    fn sign(&self, certificate: &Certificate, key: &SoftwareKey) -> Vec<u8> {
        let attributes = self.attributes.concat();
        let signed = if attributes.is_empty() { self.content.clone() } else { tlv(0x31, &attributes) };
        let digest = tlv(0x30, &tlv(6, oid::SHA256.as_bytes()));
        let info = [
            vec![2, 1, 1],
            tlv(0x30, &[certificate.issuer_der(), &tlv(2, certificate.serial())].concat()),
            digest.clone(),
            if attributes.is_empty() { vec![] } else { tlv(0xa0, &attributes) },
            tlv(0x30, &tlv(6, oid::ECDSA_SHA256.as_bytes())),
            tlv(4, &key.sign(&signed).unwrap()),
        ];
        let info = tlv(0x30, &info.concat());
        let content = tlv(0xa0, &tlv(4, &self.content));
        let body = [
            vec![2, 1, 3],
            tlv(0x31, &digest),
            tlv(0x30, &[tlv(6, self.content_type.as_bytes()), content].concat()),
            if self.with_certificate { tlv(0xa0, certificate.der()) } else { vec![] },
            tlv(0x31, &info.repeat(self.signers)),
        ];
        let body = tlv(0xa0, &tlv(0x30, &body.concat()));
        tlv(0x30, &[tlv(6, oid::SIGNED_DATA.as_bytes()), body].concat())
    }

    fn verify(&self) -> Result<Certificate, PkiError> {
        let (domain, key) = (domain(), key());
        let certificate = domain.masa(&key);
        SignedData::parse(&self.sign(&certificate, &key)).and_then(|message| message.verify())
    }
}

#[test]
fn sealed_and_opened_with_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let domain = Hierarchy::new("Example", algorithm);
        let key = SoftwareKey::generate(algorithm).unwrap();
        let masa = domain.masa(&key);
        let bytes = message(&masa, &key, vec![domain.root.clone(), masa.clone()]);
        let opened = SignedData::parse_der(&bytes).unwrap();
        assert_eq!((opened.content_type(), opened.content()), (oid::VOUCHER_CONTENT, CONTENT));
        assert_eq!((opened.signer_count(), opened.certificates().len()), (1, 2));
        assert_eq!(opened.signing_time(), Some(now()));
        assert_eq!(opened.verify().unwrap(), masa);
    }
}

#[test]
fn parts_put_together_by_hand_verify() {
    Parts::good().verify().unwrap();
}

#[test]
fn other_content_is_noticed() {
    let parts = Parts { content: b"{}".to_vec(), ..Parts::good() };
    assert!(parts.verify().unwrap_err().to_string().contains("message-digest"));
}

#[test]
fn another_content_type_is_noticed() {
    let parts = Parts { content_type: oid::DATA, ..Parts::good() };
    assert!(parts.verify().unwrap_err().to_string().contains("content-type"));
}

#[test]
fn a_missing_or_repeated_attribute_is_noticed() {
    for missing in 0..2 {
        let mut parts = Parts::good();
        parts.attributes.remove(missing);
        assert!(parts.verify().unwrap_err().to_string().contains("is missing"));
        let mut parts = Parts::good();
        parts.attributes.push(parts.attributes[missing].clone());
        assert!(parts.verify().unwrap_err().to_string().contains("stands twice"));
    }
    let mut two_values = Parts::good();
    let digest = tlv(4, &sha256(CONTENT));
    two_values.attributes[1] = attribute(oid::MESSAGE_DIGEST, &digest.repeat(2));
    two_values.verify().unwrap_err();
}

#[test]
fn only_plain_data_may_do_without_attributes() {
    let plain = Parts { attributes: vec![], content_type: oid::DATA, ..Parts::good() };
    plain.verify().unwrap();
    let voucher = Parts { attributes: vec![], ..Parts::good() };
    assert!(voucher.verify().unwrap_err().to_string().contains("signed attributes"));
}

#[test]
fn exactly_one_signer() {
    for signers in [0, 2] {
        let parts = Parts { signers, ..Parts::good() };
        assert!(parts.verify().unwrap_err().to_string().contains("not one"));
    }
}

#[test]
fn the_signers_certificate_may_come_from_elsewhere_and_must_come() {
    let (domain, key) = (domain(), key());
    let masa = domain.masa(&key);
    let bytes = Parts { with_certificate: false, ..Parts::good() }.sign(&masa, &key);
    let message = SignedData::parse(&bytes).unwrap();
    assert!(message.verify().unwrap_err().to_string().contains("certificate is missing"));
    assert_eq!(message.verify_with(&[domain.root.clone(), masa.clone()]).unwrap(), masa);
    // A certificate that names the same signer and holds another key.
    let forged = Draft { spki: domain.root_key.public_key().spki_der().to_vec(), ..Draft::of(&masa) };
    let forged = forged.sign(&domain.key).unwrap();
    assert_eq!(message.verify_with(&[forged]), Err(PkiError::BadSignature("signed message")));
}

#[test]
fn indefinite_lengths_and_cut_content_are_joined() {
    let (domain, key) = (domain(), key());
    let masa = domain.masa(&key);
    let der = message(&masa, &key, vec![]);
    let content = der.windows(CONTENT.len()).position(|w| w == CONTENT).unwrap();
    // 04 len CONTENT becomes 24 80 04 05 … 04 (len - 5) … 00 00, and everything around it grows without saying so.
    let pieces = [&[0x24, 0x80][..], &tlv(4, &CONTENT[..5]), &tlv(4, &CONTENT[5..]), &[0, 0]].concat();
    let before = [0x30, 0x80, 6, 9].iter().chain(oid::SIGNED_DATA.as_bytes()).copied();
    let encapsulated = tlv(6, oid::VOUCHER_CONTENT.as_bytes());
    let digests = tlv(0x31, &tlv(0x30, &tlv(6, oid::SHA256.as_bytes())));
    let after = &der[content + CONTENT.len()..];
    let ber: Vec<u8> = before
        .chain([0xa0, 0x80, 0x30, 0x80, 2, 1, 3])
        .chain(digests)
        .chain([0x30, 0x80])
        .chain(encapsulated)
        .chain([0xa0, 0x80])
        .chain(pieces)
        .chain([0; 4])
        .chain(after.iter().copied())
        .chain([0; 6])
        .collect();
    SignedData::parse_der(&ber).unwrap_err();
    let opened = SignedData::parse(&ber).unwrap();
    assert_eq!(opened.content(), CONTENT);
    assert_eq!(opened.verify().unwrap(), masa);
    SignedData::parse(&ber[..ber.len() - 1]).unwrap_err();
    SignedData::parse(&[&ber[..], &[0]].concat()).unwrap_err();
    SignedData::parse(&[&der[..], &[0]].concat()).unwrap_err();
    SignedData::parse(&der[..der.len() - 1]).unwrap_err();
}

#[test]
fn nesting_without_end_is_refused() {
    SignedData::parse(&[0x30, 0x80].repeat(100_000)).unwrap_err();
    SignedData::parse(&vec![0x24; 2_000_000]).unwrap_err();
}

#[test]
fn a_bag_of_certificates() {
    let domain = domain();
    let chain = [domain.root.clone(), domain.intermediate.clone(), domain.root.clone()];
    let mut bag = parse_certs_only(&certs_only(&chain)).unwrap();
    bag.sort_by_key(|c| c != &domain.root);
    assert_eq!(bag, chain[..2]);
    assert_eq!(parse_certs_only(&certs_only(&[])).unwrap(), []);
    let key = key();
    let signed = message(&domain.masa(&key), &key, vec![]);
    parse_certs_only(&signed).unwrap_err();
}

#[test]
fn a_detached_signature_is_of_one_content_only() {
    let Hierarchy { root: signer, root_key: key, .. } = domain();
    let digest = |content: &[u8]| {
        let mut digest = ContentDigest::for_signer(&signer).unwrap();
        content.chunks(7).for_each(|part| digest.update(part));
        digest
    };
    let builder = SignedDataBuilder::detached(digest(CONTENT), &signer, []);
    let message = builder.prepare(Some(now())).unwrap().issue(&key).unwrap();
    let parsed = SignedData::parse(&message).unwrap();
    let taken = |content: &[u8]| {
        let mut digest = parsed.content_digest().unwrap();
        digest.update(content);
        digest
    };
    assert_eq!(parsed.verify_detached(taken(CONTENT)).unwrap(), signer);
    assert!(parsed.verify_detached(taken(b"something else")).is_err());
    assert!(parsed.verify().is_err(), "it came without its content");
    let whole = SignedData::parse(&self::message(&signer, &key, vec![])).unwrap();
    let mut same = whole.content_digest().unwrap();
    same.update(CONTENT);
    assert!(whole.verify_detached(same).is_err(), "it came with a content of its own");
}
