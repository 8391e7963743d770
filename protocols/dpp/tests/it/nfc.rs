//! The bootstrapping URI in NFC records.

use landfall_dpp::{
    Channel, Curve, Uri,
    curve::PublicKey,
    nfc::{
        self, Form,
        handover::{self, Kind},
    },
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

#[test]
fn a_handover_there_and_back_is_as_others_write_it() {
    for kind in [Kind::Request { random: 0x1234 }, Kind::Select] {
        for length in [0, 300] {
            let message = handover::encode(&uri(length), kind);
            assert_eq!(handover::decode(&message), Ok((uri(length), kind)));
            // Who looks for a URI only finds it too.
            assert_eq!(nfc::decode(&message), Ok((uri(length), Form::Handover)));
        }
    }
    // As nfcpy writes it: version 1.4, a random number, one active carrier with the id A.
    let request = handover::encode(&uri(0), Kind::Request { random: 0x1234 });
    let head = b"\x91\x02\x11Hr\x14\x91\x02\x02cr\x12\x34\x51\x02\x04ac\x01\x01A\x00";
    assert_eq!(request[..head.len()], *head);
    assert_eq!(request[head.len()..][..4], [0x5A, 23, u8::try_from(uri(0).to_string().len() + 1).unwrap(), 1]);
    assert_eq!(request[head.len() + 4..][..25], *b"application/vnd.wfa.dppA\0");
}

#[test]
fn what_is_no_handover_is_refused() {
    let good = handover::encode(&uri(3), Kind::Request { random: 7 });
    for end in 0..good.len() {
        assert!(handover::decode(&good[..end]).is_err(), "cut to {end}");
    }
    let changed = |at: usize, octet: u8| {
        let mut bytes = good.clone();
        bytes[at] = octet;
        handover::decode(&bytes).map(drop).map_err(|error| error.why)
    };
    assert_eq!(changed(5, 0x15), Ok(()), "a later minor version");
    assert!(changed(5, 0x24).unwrap_err().contains("another version"));
    assert!(changed(4, b'm').unwrap_err().contains("no Handover Request"));
    assert!(changed(9, b'x').unwrap_err().contains("random number"));
    assert!(changed(20, b'B').unwrap_err().contains("no carrier"), "the carrier has another id");
    assert!(changed(26, b'b').unwrap_err().contains("no carrier"), "another media type");
    assert!(handover::decode(&nfc::encode(&uri(3), Form::Handover)).is_err(), "a record alone");
}

#[test]
fn the_selector_takes_what_both_have() {
    let channel = |channel| Channel { class: 81, channel };
    let with = |curve, channels: &[u8]| Uri {
        channels: channels.iter().map(|number| channel(*number)).collect(),
        ..Uri::of(PublicKey::generator(curve))
    };
    for (theirs, ours, both) in
        [(&[1, 6][..], &[6, 11][..], &[6][..]), (&[1, 6], &[], &[1, 6]), (&[], &[11], &[11]), (&[], &[], &[])]
    {
        let requester = with(Curve::P384, theirs);
        let selector = handover::select(&requester, with(Curve::P384, ours)).unwrap();
        assert_eq!(selector, with(Curve::P384, both));
        assert_eq!(handover::selected(&requester, &selector), Ok(()));
    }
    let requester = with(Curve::P384, &[1, 6]);
    assert_eq!(handover::select(&requester, with(Curve::P384, &[11])).unwrap_err().field, "C");
    assert_eq!(handover::select(&requester, with(Curve::P256, &[1])).unwrap_err().field, "K");
    assert_eq!(handover::selected(&requester, &with(Curve::P384, &[11])).unwrap_err().field, "C");
    assert_eq!(handover::selected(&requester, &with(Curve::P256, &[1])).unwrap_err().field, "K");
}
