//! CSR attributes, by RFC 8951's example and by others' files.

use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::est::{
    body,
    csrattrs::{CHALLENGE_PASSWORD, CsrAttrs, EXTENSION_REQUEST, ExtensionWish, Wish},
};
use landfall_pki::oid;
use proptest::prelude::*;
use std::fs;

/// RFC 8951 s4.
const EXAMPLE: &str = "MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWBggqhkjOPQQDAw==";

#[test]
fn the_example_says_what_its_words_say() {
    let der = STANDARD.decode(EXAMPLE).unwrap();
    let attributes = CsrAttrs::from_der(&der).unwrap();
    assert_eq!(attributes.0.len(), 4);
    assert!(attributes.wants_binding());
    assert_eq!(attributes.curve(), Some(oid::P384));
    assert!(attributes.names(oid::ECDSA_SHA384) && !attributes.names(EXTENSION_REQUEST));
    let mac_address = landfall_pki::Oid::new_unwrap("1.3.6.1.1.1.1.22");
    assert_eq!(attributes.extensions(), [ExtensionWish::Type(mac_address)]);
    assert_eq!(attributes.to_der().unwrap(), der, "and is written as it was read");
    assert_eq!(CsrAttrs::default().to_der().unwrap(), [0x30, 0]);
    assert_eq!(CsrAttrs::from_der(&[0x30, 0]).unwrap(), CsrAttrs::default());
}

#[test]
fn files_of_others() {
    let Some(folder) = landfall_testkit::shared("vectors/voucher/csrattrs") else { return };
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "b64") {
            continue;
        }
        let der = body::decode(&fs::read(&path).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match CsrAttrs::from_der(&der) {
            Ok(attributes) => {
                assert!(!attributes.0.is_empty(), "{name}");
                if name.contains("acp") {
                    let wishes = attributes.extensions();
                    let [ExtensionWish::Value(wished)] = wishes.as_slice() else { panic!("{name}: {wishes:?}") };
                    assert_eq!((wished.oid, wished.critical), (oid::SUBJECT_ALT_NAME, true), "{name}");
                } else {
                    assert!(attributes.wants_binding(), "{name}");
                }
                seen += 1;
            }
            // An attribute without its SET: an INTEGER in an OCTET STRING in the SET's place does not count as one.
            Err(refusal) => panic!("{name}: {refusal}"),
        }
    }
    assert_eq!(seen, 7);
}

#[test]
fn what_is_not_that_type() {
    let example = STANDARD.decode(EXAMPLE).unwrap();
    let longer = [&example[..], &[0]].concat();
    for der in [&[][..], &[0x31, 0], &[0x30, 1], &[0x30, 2, 5, 0], &[0x30, 2, 0x30, 0], &example[..9], &longer] {
        assert_eq!(CsrAttrs::from_der(der).unwrap_err().check, "csrattrs-syntax", "{der:x?}");
    }
    let many = CsrAttrs(vec![Wish::Oid(CHALLENGE_PASSWORD); 65]).to_der().unwrap();
    assert_eq!(CsrAttrs::from_der(&many).unwrap_err().check, "csrattrs-syntax");
}

proptest! {
    #[test]
    fn never_panics(der: Vec<u8>) {
        let _ = CsrAttrs::from_der(&der);
    }

    #[test]
    fn a_changed_byte_never_panics(at in 0_usize..67, to: u8) {
        let mut der = STANDARD.decode(EXAMPLE).unwrap();
        der[at] = to;
        if let Ok(attributes) = CsrAttrs::from_der(&der) {
            let _ = (attributes.curve(), attributes.rsa_bits(), attributes.extensions(), attributes.to_der());
        }
    }
}
