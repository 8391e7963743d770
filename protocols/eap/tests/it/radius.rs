//! RADIUS packets.

use landfall_eap::radius::{Attributes, Code, Kind, Packet, Place, Secret};
use landfall_types::Redacted;
use proptest::prelude::*;

fn secret(text: &str) -> Secret {
    Secret::new(Redacted::new(text.into())).unwrap()
}

fn request() -> Packet {
    let attributes = Attributes::default().with(Kind::USER_NAME, "nemo").with_number(Kind::NAS_PORT, 3);
    Packet { code: Code::AccessRequest, identifier: 1, authenticator: [7; 16], attributes }
}

#[test]
fn requests_and_answers_are_opened_by_who_has_the_secret() {
    let shared = secret("xyzzy5461");
    let sealed = request().seal_request(&shared);
    assert_eq!(sealed[20..22], [80, 18], "Message-Authenticator comes first");
    let opened = Packet::open_request(&sealed, &shared).unwrap();
    assert_eq!(opened.attributes.text(Kind::USER_NAME).as_deref(), Some("nemo"));
    let answer = Packet { code: Code::AccessReject, attributes: Attributes::default(), ..opened };
    let answer = answer.seal_answer(&[7; 16], &shared);
    assert_eq!(Packet::open_answer(&answer, &[7; 16], &shared).unwrap().code, Code::AccessReject);
    assert_eq!(Packet::open_answer(&answer, &[8; 16], &shared).unwrap_err().check, "radius-authenticator");
    assert_eq!(Packet::open_request(&sealed, &secret("xyzzy")).unwrap_err().check, "radius-message-authenticator");
}

/// RFC 2866 s3, RFC 5176 s2.3: the authenticator of these is a proof itself.
#[test]
fn accounting_and_orders_prove_themselves() {
    let shared = secret("xyzzy5461");
    for code in [Code::AccountingRequest, Code::DisconnectRequest, Code::CoaRequest] {
        let sealed = Packet { code, ..request() }.seal_request(&shared);
        assert_eq!(Packet::open_request(&sealed, &shared).unwrap().code, code);
        assert_eq!(Packet::open_request(&sealed, &secret("other")).unwrap_err().check, "radius-authenticator");
    }
}

#[test]
fn every_octet_counts() {
    let shared = secret("xyzzy5461");
    for code in [Code::AccessRequest, Code::AccountingRequest] {
        let sealed = Packet { code, ..request() }.seal_request(&shared);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(Packet::open_request(&altered, &shared).is_err(), "{code:?} octet {at}");
        }
        for length in 0..sealed.len() {
            assert!(Packet::open_request(&sealed[..length], &shared).is_err(), "{code:?} {length} octets");
        }
        let padded = [sealed.as_slice(), &[0; 7]].concat();
        assert!(Packet::open_request(&padded, &shared).is_ok(), "padding is passed over");
    }
}

/// RFC 2865 s7.1: the example request has no Message-Authenticator, and so is not taken here.
#[test]
fn the_example_of_rfc_2865_lacks_its_proof() {
    let example = "01000038 0f403f9473978057bd83d5cb98f4227a 0106 6e656d6f 0212 0dbe708d93d413ce3196e43f782a0aee
        0406 c0a80110 0506 00000003"
        .replace(char::is_whitespace, "");
    let bytes: Vec<u8> =
        (0..example.len()).step_by(2).map(|at| u8::from_str_radix(&example[at..at + 2], 16).unwrap()).collect();
    let why = Packet::open_request(&bytes, &secret("xyzzy5461")).unwrap_err();
    assert_eq!((&*why.check, &*why.field), ("radius-message-authenticator", "Message-Authenticator"));
}

/// RFC 2865 s7.1: the answer's authenticator is over the request's.
#[test]
fn the_answer_of_rfc_2865_is_genuine_but_lacks_its_proof() {
    let request = 0x0f40_3f94_7397_8057_bd83_d5cb_98f4_227a_u128.to_be_bytes();
    let answer = 0x0200_0026_u32.to_be_bytes();
    let authenticator = 0x86fe_220e_7624_ba2a_1005_f6bf_9b55_e0b2_u128.to_be_bytes();
    let attributes = [0x06, 0x06, 0, 0, 0, 1, 0x0f, 0x06, 0, 0, 0, 0, 0x0e, 0x06, 0xc0, 0xa8, 0x01, 0x03];
    let bytes = [answer.as_slice(), &authenticator, &attributes].concat();
    let why = Packet::open_answer(&bytes, &request, &secret("xyzzy5461")).unwrap_err();
    assert_eq!(why.check, "radius-message-authenticator", "its authenticator is right");
    let why = Packet::open_answer(&bytes, &request, &secret("xyzzy5462")).unwrap_err();
    assert_eq!(why.check, "radius-authenticator");
}

#[test]
fn attributes_are_as_long_as_they_say() {
    let good = [1, 3, b'a', 32, 2];
    assert_eq!(Attributes::parse(&good).unwrap().len(), 2);
    for bad in [&[1][..], &[1, 0], &[1, 1], &[1, 4, b'a'], &[1, 3, b'a', 9]] {
        assert_eq!(Attributes::parse(bad).unwrap_err().check, "radius-attribute", "{bad:?}");
    }
    let twice = Attributes::default().with(Kind::STATE, "a").with(Kind::STATE, "b");
    assert_eq!(twice.one(Kind::STATE).unwrap_err().check, "radius-attribute");
}

#[test]
fn places_are_told_as_rfc_3580_says() {
    let place = Place { vlan: Some("30".into()), filter: Some("cameras".into()), session_timeout: Some(3600) };
    let attributes = Attributes::default().with_place(&place);
    assert_eq!(attributes.number(Kind::TUNNEL_TYPE), Some(13));
    assert_eq!(attributes.number(Kind::TUNNEL_MEDIUM_TYPE), Some(6));
    assert_eq!(attributes.text(Kind::TUNNEL_PRIVATE_GROUP_ID).as_deref(), Some("30"));
    assert_eq!(attributes.text(Kind::FILTER_ID).as_deref(), Some("cameras"));
    assert_eq!(attributes.number(Kind::SESSION_TIMEOUT), Some(3600));
    assert_eq!(attributes.number(Kind::TERMINATION_ACTION), Some(1));
}

#[test]
fn a_secret_of_nothing_is_none() {
    assert_eq!(Secret::new(Redacted::new(Vec::new())).unwrap_err().check, "radius-secret");
    assert!(!format!("{:?}", secret("xyzzy5461")).contains("xyzzy"));
}

proptest! {
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
        let shared = secret("s");
        prop_assert!(Packet::open_request(&bytes, &shared).is_err());
        prop_assert!(Packet::open_answer(&bytes, &[0; 16], &shared).is_err());
        if let Ok(attributes) = Attributes::parse(&bytes) {
            prop_assert_eq!(attributes.to_bytes(), bytes);
        }
    }
}
