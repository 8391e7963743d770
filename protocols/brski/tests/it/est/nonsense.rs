//! Whatever arrives, the exchange ends with an answer and nothing panics.

use super::world::World;
use landfall_brski::est::body;
use landfall_pki::{AltName, CsrRequest};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_body(text: Vec<u8>) {
        let mut world = World::new();
        let mut case = world.case();
        case.request.body = text;
        let status = world.run(case).response().status;
        prop_assert!((400..500).contains(&status), "{status}");
    }

    #[test]
    fn one_byte_of_a_good_request(at: prop::sample::Index, to: u8) {
        let mut world = World::new();
        let alt_names = vec![AltName::Dns("lamp.devices.example".into())];
        let mut case = world.asking(&CsrRequest { alt_names, ..world.content() });
        let mut der = body::decode(&case.request.body).unwrap();
        let at = at.index(der.len());
        prop_assume!(der[at] != to);
        der[at] = to;
        case.request.body = body::encode(&der);
        let status = world.run(case).response().status;
        // The signature covers everything, so nothing that differs is ever certified.
        prop_assert_eq!(status, 400);
        prop_assert!(world.issued.is_empty());
    }
}
