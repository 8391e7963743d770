//! Every lint, by the one change that it notices.

use super::{
    draft::{Draft, tlv, utc},
    world::{domain, key},
};
use landfall_pki::{
    Certificate, Oid, Signer,
    extension::Extension,
    lint::{self, Role},
    oid,
};
use std::collections::BTreeSet;

type Change = fn(Draft) -> Draft;

fn name(attribute: Oid, text: &str) -> Vec<u8> {
    let pair = [tlv(6, attribute.as_bytes()), tlv(0x0c, text.as_bytes())].concat();
    tlv(0x30, &tlv(0x31, &tlv(0x30, &pair)))
}

fn critical(draft: Draft, oid: Oid) -> Draft {
    let mut draft = draft;
    draft.extension(oid).critical = true;
    draft
}

fn alt_names(names: &[u8]) -> Extension {
    Extension::new(oid::SUBJECT_ALT_NAME, tlv(0x30, names))
}

fn ia5(oid: Oid, text: &str) -> Extension {
    Extension::new(oid, tlv(0x16, text.as_bytes()))
}

fn purposes(list: &[Oid]) -> Extension {
    let list: Vec<u8> = list.iter().flat_map(|p| tlv(6, p.as_bytes())).collect();
    Extension::new(oid::EXTENDED_KEY_USAGE, tlv(0x30, &list))
}

const DIGITAL_SIGNATURE_ONLY: [u8; 4] = [3, 2, 7, 0x80];
const KEY_AGREEMENT_ONLY: [u8; 4] = [3, 2, 3, 8];
const CERT_SIGN_ONLY: [u8; 4] = [3, 2, 2, 4];

const CASES: &[(&str, Role, Change)] = &[
    ("version-3", Role::Ldevid, |d| Draft { version: vec![0xa0, 3, 2, 1, 1], ..d }),
    ("serial-positive", Role::Ldevid, |d| Draft { serial: vec![0], ..d }),
    ("serial-length", Role::Ldevid, |d| Draft { serial: vec![1; 21], ..d }),
    ("issuer-named", Role::Ldevid, |d| Draft { issuer: vec![0x30, 0], ..d }),
    ("validity-order", Role::Ldevid, |d| Draft { validity: [d.validity[1].clone(), d.validity[0].clone()], ..d }),
    ("validity-encoding", Role::Ldevid, |d| Draft {
        validity: [d.validity[0].clone(), tlv(0x18, b"20300101000000Z")],
        ..d
    }),
    ("ca-subject-named", Role::Ca, |d| Draft { subject: vec![0x30, 0], ..d }),
    ("common-name-length", Role::Masa, |d| Draft { subject: name(oid::COMMON_NAME, &"x".repeat(65)), ..d }),
    ("organization-length", Role::Masa, |d| Draft { subject: name(oid::ORGANIZATION, &"x".repeat(65)), ..d }),
    ("country-code", Role::Masa, |d| Draft { subject: name(oid::COUNTRY, "DEU"), ..d }),
    ("authority-key-id", Role::Ldevid, |d| d.without(oid::AUTHORITY_KEY_ID)),
    ("authority-key-id-not-critical", Role::Ldevid, |d| critical(d, oid::AUTHORITY_KEY_ID)),
    ("subject-key-id", Role::Ca, |d| d.without(oid::SUBJECT_KEY_ID)),
    ("subject-key-id-not-critical", Role::Ldevid, |d| critical(d, oid::SUBJECT_KEY_ID)),
    ("ca-key-usage", Role::Ca, |d| d.with(Extension::new(oid::KEY_USAGE, DIGITAL_SIGNATURE_ONLY.to_vec()).critical())),
    ("key-usage-critical", Role::Ldevid, |d| d.with(Extension::new(oid::KEY_USAGE, DIGITAL_SIGNATURE_ONLY.to_vec()))),
    ("key-usage-not-empty", Role::Operator, |d| d.with(Extension::new(oid::KEY_USAGE, vec![3, 2, 7, 0]).critical())),
    ("alt-names-not-empty", Role::Registrar, |d| d.with(alt_names(&[]))),
    ("nameless-needs-critical-alt-names", Role::Registrar, |d| Draft { subject: vec![0x30, 0], ..d }),
    ("dns-name-syntax", Role::Registrar, |d| d.with(alt_names(&tlv(0x82, b"not a host")))),
    ("alt-name-ascii", Role::Registrar, |d| d.with(alt_names(&tlv(0x82, "bücher.example".as_bytes())))),
    ("ca-basic-constraints-critical", Role::Ca, |mut d| {
        d.extension(oid::BASIC_CONSTRAINTS).critical = false;
        d
    }),
    ("cert-sign-needs-ca", Role::Operator, |d| {
        d.with(Extension::new(oid::KEY_USAGE, CERT_SIGN_ONLY.to_vec()).critical())
    }),
    ("path-len-needs-ca", Role::Ldevid, |d| d.with(Extension::new(oid::BASIC_CONSTRAINTS, vec![0x30, 3, 2, 1, 0]))),
    ("extended-key-usage-not-empty", Role::Masa, |d| d.with(purposes(&[]))),
    ("end-entity-is-no-ca", Role::Ldevid, |d| {
        d.with(Extension::new(oid::BASIC_CONSTRAINTS, vec![0x30, 3, 1, 1, 0xff]).critical())
    }),
    ("ca-expiry", Role::Ca, |d| Draft { validity: [d.validity[0].clone(), tlv(0x18, b"99991231235959Z")], ..d }),
    ("idevid-serial-number", Role::Idevid, |d| Draft { subject: name(oid::COMMON_NAME, "lamp"), ..d }),
    ("idevid-no-expiry", Role::Idevid, |d| Draft { validity: [d.validity[0].clone(), utc("300101000000Z")], ..d }),
    ("idevid-authority-key-id", Role::Idevid, |d| d.without(oid::AUTHORITY_KEY_ID)),
    ("idevid-key-usage", Role::Idevid, |d| {
        d.with(Extension::new(oid::KEY_USAGE, KEY_AGREEMENT_ONLY.to_vec()).critical())
    }),
    ("idevid-hardware-module-name", Role::Idevid, |d| d.with(alt_names(&tlv(0x82, b"lamp.example")))),
    ("masa-url-not-critical", Role::Idevid, |d| critical(d, oid::MASA_URL)),
    ("masa-url-encoding", Role::Idevid, |d| d.with(Extension::new(oid::MASA_URL, tlv(0x0c, b"masa.example.com")))),
    ("mud-encoding", Role::Idevid, |d| d.with(Extension::new(oid::MUD_SIGNER, tlv(0x0c, b"example")))),
    ("masa-url-form", Role::Idevid, |d| d.with(ia5(oid::MASA_URL, "http://masa.example.com/"))),
    ("masa-url-present", Role::Idevid, |d| d.without(oid::MASA_URL)),
    ("registrar-signs", Role::Registrar, |d| {
        d.with(Extension::new(oid::KEY_USAGE, KEY_AGREEMENT_ONLY.to_vec()).critical())
    }),
    ("registrar-cmc-ra", Role::Registrar, |d| d.with(purposes(&[oid::SERVER_AUTH, oid::CLIENT_AUTH]))),
    ("mud-url-https", Role::Idevid, |d| d.with(ia5(oid::MUD_URL, "http://mud.example.com/"))),
    ("mud-not-critical", Role::Idevid, |d| d.with(ia5(oid::MUD_URL, "https://mud.example.com/").critical())),
    ("renewable", Role::Ldevid, |d| d.with(purposes(&[oid::SERVER_AUTH]))),
    ("server-purpose", Role::Registrar, |d| d.with(purposes(&[oid::CMC_RA]))),
    ("server-named", Role::Registrar, |d| d.without(oid::SUBJECT_ALT_NAME)),
    ("ra-purpose-only-for-registrars", Role::Operator, |d| d.with(purposes(&[oid::CLIENT_AUTH, oid::CMC_RA]))),
];

fn found(role: Role, certificate: &Certificate) -> BTreeSet<&'static str> {
    lint::certificate_as(role, certificate).into_iter().map(|finding| finding.lint).collect()
}

#[test]
fn every_lint_notices_its_change() {
    let (domain, key) = (domain(), key());
    for (lint, role, change) in CASES {
        let good = match role {
            Role::Ca => domain.intermediate.clone(),
            Role::Idevid => domain.idevid("A-1", &key),
            Role::Registrar => domain.registrar(&key),
            Role::Ldevid => domain.ldevid(&key),
            _ => domain.masa(&key),
        };
        assert_eq!(found(*role, &good), BTreeSet::new(), "{lint}");
        let changed = change(Draft::of(&good)).sign(&domain.key).unwrap_or_else(|e| panic!("{lint}: {e}"));
        assert!(found(*role, &changed).contains(lint), "{lint}: {:?}", found(*role, &changed));
    }
}

#[test]
fn every_rule_has_a_case_and_a_source() {
    let tested: BTreeSet<_> = CASES.iter().map(|(lint, ..)| *lint).collect();
    let rules: Vec<_> = lint::rules().collect();
    assert_eq!(tested, rules.iter().map(|(name, ..)| *name).collect());
    assert_eq!(rules.len(), tested.len(), "two rules have one name");
    assert!(rules.iter().all(|(_, source, _)| source.starts_with("RFC ") || source.starts_with("IEEE ")));
}

#[test]
fn a_role_is_recognised() {
    let (domain, key) = (domain(), key());
    assert_eq!(Role::of(&domain.root), Role::Ca);
    assert_eq!(Role::of(&domain.idevid("A-1", &key)), Role::Idevid);
    assert_eq!(Role::of(&domain.ldevid(&key)), Role::Ldevid);
    assert_eq!(Role::of(&domain.registrar(&key)), Role::Registrar);
    assert_eq!(key.public_key(), domain.registrar(&key).public_key());
}
