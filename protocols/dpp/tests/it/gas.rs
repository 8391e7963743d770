//! Generic advertisement frames.

use crate::it::vectors::{octets, vector};
use landfall_dpp::{
    bounds,
    frame::{self, Attributes, Frame, FrameError},
    gas::{self, Gas, Reassembly},
};
use proptest::prelude::*;

fn every_kind() -> [Gas; 4] {
    [
        Gas::InitialRequest { token: 1, query: vec![1, 2, 3] },
        Gas::InitialResponse { token: 2, status: 0, comeback: 500, response: vec![4; 300] },
        Gas::ComebackRequest { token: 3 },
        Gas::ComebackResponse { token: 4, status: 0, more: true, fragment: 127, delay: 0, data: vec![5; 1400] },
    ]
}

#[test]
fn the_published_configuration_exchange() {
    let Some(values) = vector("/config_exchange_p256") else { return };
    let gas = |name: &str| match frame::from_the_air(&octets(&values[name])) {
        Ok(Frame::Gas(gas)) => gas,
        other => panic!("{name}: {other:?}"),
    };
    let Gas::InitialRequest { token: 1, query } = gas("gas_initial_request_frame_body") else { panic!() };
    assert_eq!(query, octets(&values["config_request_attributes"]));
    // Nothing stands before Wrapped Data, so nothing is authenticated beside it.
    assert!(Attributes::parse(&query).unwrap().before_wrapped().is_empty());
    let Gas::InitialResponse { token: 1, status: 0, comeback: 0, response } = gas("gas_initial_response_frame_body")
    else {
        panic!()
    };
    assert_eq!(response, octets(&values["config_response_attributes"]));
    assert_eq!(Attributes::parse(&response).unwrap().before_wrapped(), [0x00, 0x10, 1, 0, 0]);
    let wait = Gas::InitialResponse { token: 1, status: 0, comeback: 500, response: Vec::new() };
    assert_eq!(gas("gas_initial_response_comeback_frame_body"), wait);
}

#[test]
fn every_kind_there_and_back() {
    for gas in every_kind() {
        assert_eq!(Gas::parse(&gas.encode()), Ok(gas));
    }
}

#[test]
fn a_frame_is_whole() {
    for gas in every_kind() {
        let bytes = gas.encode();
        for end in 0..bytes.len() {
            assert!(matches!(Gas::parse(&bytes[..end]), Err(FrameError::Truncated(_))), "{gas:?} cut to {end}");
        }
        let long = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Gas::parse(&long), Err(FrameError::Trailing("the GAS frame")));
    }
}

#[test]
fn the_advertisement_protocol_is_that_of_dpp() {
    let good = Gas::InitialRequest { token: 1, query: vec![9] }.encode();
    let changed = |at: usize, octet| {
        let mut bytes = good.clone();
        bytes[at] = octet;
        Gas::parse(&bytes)
    };
    // Peers write 7F or 00 where the limit of the response stands.
    assert!(changed(4, 0x00).is_ok());
    for at in (2..12).filter(|at| *at != 4) {
        assert_eq!(changed(at, 0xEE), Err(FrameError::NotDpp("Advertisement Protocol")), "octet {at}");
    }
    assert_eq!(changed(0, 0x0E), Err(FrameError::NotDpp("Action")));
}

#[test]
fn fragments_come_in_order() {
    let mut whole = Reassembly::new();
    assert_eq!(whole.push(0, true, b"ab"), Ok(None));
    assert_eq!(whole.push(0, true, b"ab"), Ok(None), "one that is repeated is passed over");
    assert_eq!(whole.push(2, true, b"ef"), Err(FrameError::Fragment { expected: 1, found: 2 }));
    assert_eq!(whole.push(1, true, b"cd"), Ok(None));
    assert_eq!(whole.push(2, false, b"ef"), Ok(Some(b"abcdef".to_vec())));
}

#[test]
fn a_response_does_not_grow_without_end() {
    let mut whole = Reassembly::new();
    let piece = vec![0; 20_000];
    for number in 0..3 {
        assert_eq!(whole.push(number, true, &piece), Ok(None));
    }
    let error = whole.push(3, false, &piece).unwrap_err();
    assert_eq!(error, FrameError::TooLarge { part: "GAS response", len: 80_000, max: bounds::GAS_RESPONSE });
}

#[test]
fn an_empty_response_is_one_fragment() {
    assert_eq!(gas::fragment(&[], 1400).collect::<Vec<_>>(), [(0, false, [].as_slice())]);
    assert_eq!(gas::fragment(&[1], 0).count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_cut_is_put_together(response in proptest::collection::vec(any::<u8>(), 0..5000), size in 1_usize..2000) {
        let mut whole = Reassembly::new();
        let fragments: Vec<_> = gas::fragment(&response, size).collect();
        prop_assert!(fragments.len() <= 128);
        for (number, more, data) in fragments {
            if let Some(found) = whole.push(number, more, data).unwrap() {
                prop_assert!(!more);
                prop_assert_eq!(&found, &response);
            } else {
                prop_assert!(more);
            }
        }
    }

    #[test]
    fn any_octets_are_safe(mut bytes in proptest::collection::vec(any::<u8>(), 0..256), kind in 0x0A_u8..0x0E) {
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        if let Ok(gas) = Gas::parse(&bytes) {
            prop_assert_eq!(Gas::parse(&gas.encode()), Ok(gas));
        }
    }
}
