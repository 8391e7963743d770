//! Serial numbers.

use landfall_lifecycle::factory::{BadSerial, SerialCounter, SerialScheme};
use landfall_types::SerialNumber;
use proptest::prelude::*;

fn scheme() -> SerialScheme {
    SerialScheme { prefix: "EX-".into(), digits: 6 }
}

#[test]
fn the_check_character_is_that_of_iso_7064() {
    // The standard's own example for MOD 37,36 is A12425GABC1234002 with the check character M.
    let scheme = SerialScheme { prefix: "A12425GABC".into(), digits: 7 };
    assert_eq!(scheme.serial(1_234_002).unwrap().as_str(), "A12425GABC1234002M");
}

#[test]
fn ranges_follow_each_other() {
    let (first, counter) = SerialCounter::new(scheme()).allocate(3).unwrap();
    let (second, counter) = counter.allocate(2).unwrap();
    let serials: Vec<_> = first.serials().chain(second.serials()).map(Result::unwrap).collect();
    let counters: Vec<_> = serials.iter().map(|serial| scheme().counter(serial).unwrap()).collect();
    assert_eq!(counters, [1, 2, 3, 4, 5]);
    assert_eq!(counter.next, 6);
    let parts: Vec<_> = [(0, 2), (2, 2), (4, 2)].map(|(skip, count)| first.part(skip, count).count).into();
    assert_eq!(parts, [2, 1, 0]);
}

#[test]
fn no_number_is_given_beyond_the_last() {
    let counter = SerialCounter { scheme: SerialScheme { digits: 1, ..scheme() }, next: 8 };
    let (range, counter) = counter.allocate(2).unwrap();
    assert!(range.serials().all(|serial| serial.is_ok()));
    assert!(matches!(counter.allocate(1), Err(BadSerial::UsedUp { .. })));
    assert!(matches!(counter.scheme.serial(10), Err(BadSerial::UsedUp { .. })));
    assert!(matches!(SerialCounter { next: u64::MAX, ..counter }.allocate(2), Err(BadSerial::UsedUp { .. })));
}

#[test]
fn unusable_schemes_are_told() {
    for (prefix, digits) in [("ex", 6), ("E X", 6), ("EX", 0), ("EX", 19), (&*"X".repeat(33), 6)] {
        let scheme = SerialScheme { prefix: prefix.into(), digits };
        assert!(matches!(scheme.check(), Err(BadSerial::Scheme(_))), "{prefix:?} {digits}");
    }
}

#[test]
fn numbers_of_other_lines_are_told_from_mistyped_ones() {
    for other in ["EX-000001", "EY-000001A", "EX-00001A", "EX-0000O1A", "EX-0000001A", "é"] {
        assert_eq!(scheme().counter(&other.parse().unwrap()), Err(BadSerial::Form), "{other}");
    }
}

#[test]
fn nearly_every_swap_of_neighbours_is_found() {
    let swapped = |serial: &SerialNumber| {
        let mut typed = serial.as_str().as_bytes().to_vec();
        typed.swap(7, 8);
        SerialNumber::try_from(String::from_utf8(typed).unwrap()).unwrap()
    };
    let serials: Vec<_> = (0..10_000).map(|counter| scheme().serial(counter * 97).unwrap()).collect();
    let differ: Vec<_> = serials.iter().map(|serial| (serial, swapped(serial))).filter(|(a, b)| *a != b).collect();
    let missed = differ.iter().filter(|(_, typed)| scheme().counter(typed).is_ok()).count();
    assert!(missed * 20 < differ.len(), "{missed} of {}", differ.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_serial_number_gives_its_counter_back(counter in 0..1_000_000u64) {
        prop_assert_eq!(scheme().counter(&scheme().serial(counter).unwrap()), Ok(counter));
    }

    #[test]
    fn a_mistyped_digit_is_found(counter in 0..1_000_000u64, at in 3..9usize, digit in 0..10u8) {
        let serial = scheme().serial(counter).unwrap();
        let mut typed = serial.as_str().as_bytes().to_vec();
        typed[at] = b'0' + digit;
        let typed = String::from_utf8(typed).unwrap();
        if typed != serial.as_str() {
            prop_assert_eq!(scheme().counter(&typed.parse().unwrap()), Err(BadSerial::Check));
        }
    }
}
