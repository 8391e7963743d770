//! EAP packets.

use landfall_eap::packet::{Message, Packet};
use proptest::prelude::*;

#[test]
fn what_is_written_is_read() {
    let message = Message { identifier: 1, kind: 13, data: vec![0x20] };
    for packet in [
        Packet::Request(message.clone()),
        Packet::Response(message),
        Packet::Success { identifier: 9 },
        Packet::Failure { identifier: 9 },
    ] {
        let mut bytes = packet.to_bytes();
        assert_eq!(Packet::parse(&bytes).unwrap(), packet);
        bytes.extend([0, 0]);
        assert_eq!(Packet::parse(&bytes).unwrap(), packet, "padding is passed over");
    }
}

#[test]
fn what_is_no_packet_is_refused() {
    let good = [1, 1, 0, 6, 13, 0x20];
    assert!(Packet::parse(&good).is_ok());
    for bad in [
        &good[..3],
        &good[..5],
        &[1, 1, 0, 4],
        &[1, 1, 0, 3, 13, 0],
        &[0, 1, 0, 6, 13, 0x20],
        &[5, 1, 0, 6, 13, 0x20],
        &[3, 1, 0, 6, 13, 0x20],
    ] {
        let why = Packet::parse(bad).unwrap_err();
        assert_eq!((&*why.check, &*why.section), ("eap-packet", "RFC 3748 s4"), "{bad:?}");
    }
}

#[test]
fn identities_are_not_printed() {
    let packet = Packet::Response(Message { identifier: 1, kind: 1, data: b"someone".to_vec() });
    assert_eq!(format!("{packet:?}"), "Response(1 type 1 with 7 octets)");
}

proptest! {
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert_eq!(Packet::parse(&packet.to_bytes()), Ok(packet));
        }
    }
}
