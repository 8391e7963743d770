//! The bootstrapping URI in NFC records.

use landfall_dpp::{
    Curve, Uri,
    curve::PublicKey,
    nfc::{self, Form},
};
use landfall_testkit::Rng;

fn uri(information: usize) -> Uri {
    Uri { information: Some("x".repeat(information)), ..Uri::of(PublicKey::generator(Curve::P256)) }
}

#[test]
fn both_forms_there_and_back() {
    for form in [Form::Uri, Form::Handover] {
        for length in [0, 200, 3000] {
            assert_eq!(nfc::decode(&nfc::encode(&uri(length), form)), Ok((uri(length), form)));
        }
    }
    let record = nfc::encode(&uri(1), Form::Uri);
    // One short record of well-known type U, whose URI is not abbreviated.
    assert_eq!(record[..3], [0xD1, 1, u8::try_from(record.len() - 4).unwrap()]);
    assert_eq!(record[3..9], *b"U\0DPP:");
}

#[test]
fn other_records_are_passed_over() {
    let other = [0x91, 1, 3, b'T', 2, b'e', b'n'];
    let mine = nfc::encode(&uri(3), Form::Handover);
    let with_id = [&[0x58 | 1, 1, mine_payload().len() as u8, 2, b'U', 7, 7], mine_payload().as_slice()].concat();
    assert_eq!(nfc::decode(&[other.as_slice(), &mine].concat()), Ok((uri(3), Form::Handover)));
    assert_eq!(nfc::decode(&[other.as_slice(), &with_id].concat()), Ok((uri(3), Form::Uri)));
    assert!(nfc::decode(&other).is_err());
    assert!(nfc::decode(&[]).is_err());
}

fn mine_payload() -> Vec<u8> {
    [&[0], uri(3).to_string().as_bytes()].concat()
}

#[test]
fn a_message_is_whole() {
    let good = nfc::encode(&uri(3), Form::Uri);
    for end in 0..good.len() {
        assert!(nfc::decode(&good[..end]).is_err(), "cut to {end}");
    }
    let changed = |at: usize, octet: u8| {
        let mut bytes = good.clone();
        bytes[at] = octet;
        nfc::decode(&bytes)
    };
    assert!(changed(0, 0xF1).is_err(), "a chunk");
    assert!(changed(4, 0x04).is_err(), "an abbreviation");
    assert!(changed(5, 0xFF).is_err(), "no text");
    let long = [0xC1, 1, 0xFF, 0xFF, 0xFF, 0xFF, b'U', 0];
    assert!(nfc::decode(&long).is_err());
}

#[test]
fn noise_is_safe() {
    let seed = 8908;
    let mut rng = Rng::new(seed);
    for _ in 0..2000 {
        assert!(nfc::decode(&rng.bytes::<40>()).is_err(), "seed {seed}");
    }
}
