//! Certification paths, each refusal by one change in a good one.

use super::{
    crls::revoking,
    draft::{Draft, utc},
    world::{Hierarchy, YEAR, domain, key, now},
};
use landfall_pki::{
    Algorithm, Anchors, Certificate, Crl, PathPolicy, SignatureMemo, Signer, SoftwareKey, extension::Extension, oid,
    validate,
};
use landfall_types::Refusal;
use std::{sync::Arc, time::Duration};

struct Case {
    domain: Hierarchy,
    key: SoftwareKey,
    leaf: Certificate,
    intermediates: Vec<Certificate>,
    anchors: Anchors,
    policy: PathPolicy,
}

impl Case {
    fn good() -> Self {
        let (domain, key) = (domain(), key());
        let leaf = domain.registrar(&key);
        let (intermediates, anchors) = (domain.intermediates(), domain.anchors());
        Self { domain, key, leaf, intermediates, anchors, policy: PathPolicy::at(now()) }
    }

    fn validate(&self) -> Result<Vec<Certificate>, Refusal> {
        validate(&self.leaf, &self.intermediates, &self.anchors, &self.policy).map(|path| path.chain)
    }

    fn refused(&self) -> String {
        self.validate().unwrap_err().check.into_owned()
    }

    /// The same with another issuing CA certificate for the same key.
    fn with_issuing(mut self, change: impl FnOnce(Draft) -> Draft) -> Self {
        let draft = change(Draft::of(&self.domain.issuing.certificate));
        self.intermediates[0] = draft.sign(&self.domain.intermediate_key).unwrap();
        self
    }

    fn with_leaf(mut self, change: impl FnOnce(Draft) -> Draft) -> Self {
        self.leaf = change(Draft::of(&self.leaf)).sign(&self.domain.key).unwrap();
        self
    }

    fn crl(&self, revoked: &Certificate) -> Crl {
        revoking(&[revoked]).prepare(&self.domain.issuing).unwrap().issue(&self.domain.key).unwrap()
    }
}

#[test]
fn a_path_leads_up_to_the_anchor() {
    for algorithm in Algorithm::ALL {
        let domain = Hierarchy::new("Example", algorithm);
        let leaf = domain.registrar(&key());
        let mut intermediates = domain.intermediates();
        intermediates.reverse();
        let path = validate(&leaf, &intermediates, &domain.anchors(), &PathPolicy::at(now())).unwrap();
        let expected = [&leaf, &domain.issuing.certificate, &domain.intermediate, &domain.root];
        assert!(path.chain.iter().eq(expected));
    }
}

#[test]
fn any_level_can_be_the_anchor() {
    let mut case = Case::good();
    for (anchor, length) in [(case.domain.intermediate.clone(), 3), (case.domain.issuing.certificate.clone(), 2)] {
        case.anchors = Anchors::of([anchor]);
        assert_eq!(case.validate().unwrap().len(), length);
    }
    // RFC 8995 s5.6.2: the end entity itself, by certificate or by bare key.
    case.anchors = Anchors::of([case.leaf.clone()]);
    assert_eq!(case.validate().unwrap(), [case.leaf.clone()]);
    let mut keys = Anchors::new();
    keys.add(case.key.public_key().clone());
    case.anchors = keys;
    assert_eq!(case.validate().unwrap(), [case.leaf.clone()]);
    // A bare key of a CA.
    let mut keys = Anchors::new();
    keys.add(case.domain.root_key.public_key().clone());
    case.anchors = keys;
    assert_eq!(case.validate().unwrap().len(), 3);
}

#[test]
fn without_its_anchor_or_its_intermediates() {
    let good = Case::good();
    good.validate().unwrap();
    let strangers = Hierarchy::new("Stranger", Algorithm::EcdsaP256);
    assert_eq!(Case { anchors: strangers.anchors(), ..Case::good() }.refused(), "path-unknown-issuer");
    assert_eq!(Case { anchors: Anchors::new(), ..Case::good() }.refused(), "path-unknown-issuer");
    assert_eq!(Case { intermediates: vec![], ..Case::good() }.refused(), "path-unknown-issuer");
}

#[test]
fn a_ca_of_the_same_name_and_another_key() {
    // Everything is called the same, and the root's key differs.
    let case = Case { anchors: domain().anchors(), ..Case::good() };
    assert_eq!(case.refused(), "path-unknown-issuer");
    let mut without_ids = Case::good();
    let impostor = Draft::of(&domain().root).without(oid::SUBJECT_KEY_ID).sign(&key()).unwrap();
    without_ids.anchors = Anchors::of([impostor]);
    assert_eq!(without_ids.refused(), "path-signature");
}

#[test]
fn a_changed_signature() {
    let mut case = Case::good();
    let mut der = case.leaf.der().to_vec();
    let name = der.windows(9).position(|w| w == b"registrar").unwrap();
    der[name] = b'R';
    case.leaf = Certificate::from_der(&der).unwrap();
    assert_eq!(case.refused(), "path-signature");
}

#[test]
fn dates() {
    let at = |policy: PathPolicy| Case { policy, ..Case::good() };
    let leaf = Case::good().leaf;
    assert!(at(PathPolicy::at(leaf.not_after() + Duration::from_millis(999))).validate().is_ok());
    assert_eq!(at(PathPolicy::at(now() + YEAR * 20)).refused(), "path-expired");
    assert_eq!(at(PathPolicy::at(now() - YEAR * 2)).refused(), "path-not-yet-valid");
    // RFC 8995 s2.6.2: the end entity's expiry can be ignored, and only that.
    let expired = |draft: Draft| Draft { validity: [utc("250101000000Z"), utc("260101000000Z")], ..draft };
    let mut case = Case::good().with_leaf(expired);
    assert_eq!(case.refused(), "path-expired");
    case.policy = case.policy.ignore_leaf_expiry(true);
    case.validate().unwrap();
    let mut case = Case::good().with_issuing(expired);
    case.policy = case.policy.ignore_leaf_expiry(true);
    assert_eq!(case.refused(), "path-expired");
    let future = |draft: Draft| Draft { validity: [utc("300101000000Z"), utc("310101000000Z")], ..draft };
    let mut case = Case::good().with_leaf(future);
    case.policy = case.policy.ignore_leaf_expiry(true);
    assert_eq!(case.refused(), "path-not-yet-valid");
}

#[test]
fn an_issuer_must_be_a_ca() {
    let not_a_ca = Extension::new(oid::BASIC_CONSTRAINTS, vec![0x30, 0]);
    assert_eq!(Case::good().with_issuing(|d| d.with(not_a_ca)).refused(), "path-not-a-ca");
    assert_eq!(Case::good().with_issuing(|d| d.without(oid::BASIC_CONSTRAINTS)).refused(), "path-not-a-ca");
    let only_crls = Extension::new(oid::KEY_USAGE, vec![3, 2, 1, 2]).critical();
    assert_eq!(Case::good().with_issuing(|d| d.with(only_crls)).refused(), "path-key-usage");
    // An end entity that issues, under a good chain, also where it is itself the anchor.
    let mut case = Case::good();
    let rogue_key = key();
    let issuer = case.leaf.clone();
    let rogue = Draft {
        issuer: issuer.subject_der().to_vec(),
        spki: rogue_key.public_key().spki_der().to_vec(),
        ..Draft::of(&issuer)
    };
    let rogue = Draft { subject: case.domain.root.subject_der().to_vec(), ..rogue };
    case.leaf = rogue.without(oid::AUTHORITY_KEY_ID).sign(&case.key).unwrap();
    case.intermediates.push(issuer.clone());
    assert_eq!(case.refused(), "path-not-a-ca");
    case.anchors = Anchors::of([issuer]);
    assert_eq!(case.refused(), "path-not-a-ca");
}

#[test]
fn path_length_constraints() {
    // The intermediate allows one CA below it; with none allowed, the issuing CA is one too many.
    let mut case = Case::good();
    let zero = Extension::new(oid::BASIC_CONSTRAINTS, vec![0x30, 6, 1, 1, 0xff, 2, 1, 0]).critical();
    case.intermediates[1] =
        Draft::of(&case.domain.intermediate).with(zero.clone()).sign(&case.domain.root_key).unwrap();
    assert_eq!(case.refused(), "path-length");
    // The anchor's own limit counts too.
    let mut case = Case::good();
    let root = Draft::of(&case.domain.root).with(zero).sign(&case.domain.root_key).unwrap();
    case.anchors = Anchors::of([root]);
    assert_eq!(case.refused(), "path-length");
    let mut case = Case::good();
    case.policy.max_len = 3;
    assert_eq!(case.refused(), "path-too-long");
    case.policy.max_len = 4;
    case.validate().unwrap();
}

#[test]
fn extensions_that_are_not_understood() {
    let unknown = || Extension::new("1.3.6.1.4.1.32473.9".parse().unwrap(), vec![5, 0]);
    Case::good().with_leaf(|d| d.with(unknown())).validate().unwrap();
    assert_eq!(Case::good().with_leaf(|d| d.with(unknown().critical())).refused(), "path-critical-extension");
    assert_eq!(Case::good().with_issuing(|d| d.with(unknown().critical())).refused(), "path-critical-extension");
    let constraints = Extension::new(oid::NAME_CONSTRAINTS, vec![0x30, 0]);
    assert_eq!(Case::good().with_issuing(|d| d.with(constraints)).refused(), "path-name-constraints");
}

#[test]
fn purposes() {
    let mut case = Case::good();
    case.policy = case.policy.require_eku(oid::CMC_RA);
    case.validate().unwrap();
    let case = case.with_leaf(|d| d.without(oid::EXTENDED_KEY_USAGE));
    assert_eq!(case.refused(), "path-purpose");
    // anyExtendedKeyUsage is not cmcRA.
    let any = Extension::new(oid::EXTENDED_KEY_USAGE, [&[0x30, 6, 6, 4][..], oid::ANY_EKU.as_bytes()].concat());
    assert_eq!(case.with_leaf(|d| d.with(any)).refused(), "path-purpose");
    let encipher_only = Extension::new(oid::KEY_USAGE, vec![3, 2, 5, 0x20]);
    assert_eq!(Case::good().with_leaf(|d| d.with(encipher_only)).refused(), "path-key-usage");
}

#[test]
fn revocation() {
    let mut case = Case::good();
    let other = case.domain.ldevid(&key());
    case.policy.crls = vec![case.crl(&other)];
    case.validate().unwrap();
    let revoked = case.crl(&case.leaf);
    case.policy.crls = vec![revoked.clone()];
    assert_eq!(case.refused(), "path-revoked");
    // What an overdue list revokes stays revoked.
    case.policy.at = now() + YEAR * 2;
    assert_eq!(case.refused(), "path-revoked");
    // An overdue list says nothing of what it does not name, and that is not enough where a list is kept.
    let mut case = Case::good();
    case.policy.crls = vec![case.crl(&case.domain.ldevid(&key()))];
    case.policy.at = now() + YEAR;
    case.validate().unwrap();
    case.policy.at = now() + YEAR + Duration::from_secs(1);
    assert_eq!(case.refused(), "path-revocation-unknown");
    // Nor is a list that names the issuer's very key, whose signature is not of that key.
    let mut case = Case::good();
    let mut der = case.crl(&other).der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    case.policy.crls = vec![Crl::from_der(&der).unwrap()];
    assert_eq!(case.refused(), "path-revocation-unknown");
    // A list that another key signed is not looked at.
    let mut case = Case::good();
    let stranger = domain();
    let forged = revoking(&[&case.leaf]).prepare(&stranger.issuing).unwrap().issue(&stranger.key).unwrap();
    case.policy.crls = vec![forged];
    case.validate().unwrap();
}

#[test]
fn revocation_must_be_known_where_it_is_asked() {
    let mut case = Case::good();
    case.policy = case.policy.require_crls();
    assert_eq!(case.refused(), "path-revocation-unknown");
    // All three levels need one; at the issuing CA as the anchor, one is enough.
    let crl = case.crl(&case.domain.ldevid(&key()));
    case.policy.crls = vec![crl];
    assert_eq!(case.refused(), "path-revocation-unknown");
    case.anchors = Anchors::of([case.domain.issuing.certificate.clone()]);
    case.validate().unwrap();
    case.policy.at = now() + YEAR * 2;
    assert_eq!(case.refused(), "path-revocation-unknown");
}

#[test]
fn loops_and_crowds_end() {
    let mut case = Case::good();
    case.anchors = Hierarchy::new("Stranger", Algorithm::EcdsaP256).anchors();
    // The root and the intermediate certify each other.
    let back = Draft { issuer: case.domain.intermediate.subject_der().to_vec(), ..Draft::of(&case.domain.root) };
    case.intermediates.push(back.sign(&case.domain.intermediate_key).unwrap());
    case.intermediates.push(case.domain.root.clone());
    assert_eq!(case.refused(), "path-unknown-issuer");
    // Many CAs of one name.
    let crowd: Vec<_> = (0..20)
        .map(|_| {
            let spki = key().public_key().spki_der().to_vec();
            let twin = Draft { spki, ..Draft::of(&case.domain.issuing.certificate) };
            twin.without(oid::SUBJECT_KEY_ID).sign(&case.domain.intermediate_key).unwrap()
        })
        .collect();
    case.intermediates.splice(0..0, crowd.clone());
    assert!(case.validate().is_err());
    case.intermediates.extend(crowd);
    assert_eq!(case.refused(), "path-too-long");
}

#[test]
fn another_certificate_of_the_anchors_key_lifts_none_of_its_limits() {
    let mut case = Case::good();
    let zero = Extension::new(oid::BASIC_CONSTRAINTS, vec![0x30, 6, 1, 1, 0xff, 2, 1, 0]).critical();
    let limited = Draft::of(&case.domain.root).with(zero).sign(&case.domain.root_key).unwrap();
    case.anchors = Anchors::of([limited]);
    // The same key and name, without the limit, and with a signature that nobody checked.
    case.intermediates.push(Draft::of(&case.domain.root).sign(&key()).unwrap());
    assert_eq!(case.refused(), "path-length");
    case.intermediates.push(case.domain.root.clone());
    assert_eq!(case.refused(), "path-length");
}

#[test]
fn a_stranger_teaches_the_memo_nothing() {
    let memo = Arc::new(SignatureMemo::default());
    let mut case = Case::good();
    case.policy = case.policy.memo(memo.clone());
    case.anchors = Hierarchy::new("Stranger", Algorithm::EcdsaP256).anchors();
    assert_eq!(case.refused(), "path-unknown-issuer");
    assert!(memo.is_empty());
}

#[test]
fn a_memo_saves_checks_and_no_judgement() {
    let memo = Arc::new(SignatureMemo::new(16));
    let mut case = Case::good();
    case.policy = case.policy.memo(memo.clone());
    case.validate().unwrap();
    // The end entity, the issuing and the intermediate CA.
    assert_eq!(memo.len(), 3);
    case.validate().unwrap();
    assert_eq!(memo.len(), 3);
    case.policy.at = now() + YEAR * 20;
    assert_eq!(case.refused(), "path-expired");
    let small = SignatureMemo::new(1);
    case.policy = PathPolicy::at(now()).memo(Arc::new(small));
    case.validate().unwrap();
    assert_eq!(case.policy.memo.as_ref().unwrap().len(), 1);
}
