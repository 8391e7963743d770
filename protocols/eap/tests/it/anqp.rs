//! Realms that access points tell of.

use landfall_eap::anqp::realms;

/// Two fields, as hostapd writes them: two realms and EAP-TLS by certificate; and one in UTF-8.
const GOOD: &[u8] = b"\x02\x00\x16\x00\x00\x0fnew.example;two\x01\x03\x0d\x00\x00\x0b\x00\x01\x08caf\xc3\xa9.eu\x00";

#[test]
fn realms_are_read_whatever_stands_with_them() {
    assert_eq!(realms(GOOD).unwrap(), ["new.example", "two", "caf\u{e9}.eu"]);
    assert_eq!(realms(&[0, 0]).unwrap(), [] as [String; 0]);
    // What follows the last one is another element's business.
    assert_eq!(realms(&[GOOD, &[1, 2, 3]].concat()).unwrap().len(), 3);
}

#[test]
fn what_is_not_what_it_says_is_refused() {
    for end in 0..GOOD.len() {
        let refusal = realms(&GOOD[..end]).unwrap_err();
        assert_eq!((refusal.check.as_ref(), refusal.section.as_ref()), ("anqp-realms", "IEEE 802.11-2020 s9.4.5.10"));
    }
    let change = |at: usize, to: u8| {
        let mut bytes = GOOD.to_vec();
        bytes[at] = to;
        realms(&bytes).unwrap_err().to_string()
    };
    assert!(change(0, 3).contains("shorter"), "a field more than there are");
    assert!(change(2, 2).contains("shorter"), "a field too short for its realm");
    assert!(change(5, 200).contains("shorter"), "a realm longer than its field");
    assert!(change(6, 0xff).contains("no text"));
    assert!(change(28, 0).contains("not ASCII"), "the second without its encoding");
}
