//! Frames and attributes.

use crate::it::vectors::{octets, strings, vector};
use landfall_dpp::{
    Capabilities, Role, Status, bounds,
    frame::{self, Action, AttributeId, AttributeWriter, Attributes, Frame, FrameError, FrameType},
};
use proptest::prelude::*;

const PSK_HASH: [u8; 32] = [7; 32];

/// An authentication request's attributes.
fn good() -> AttributeWriter {
    let mut writer = AttributeWriter::new();
    writer
        .put(AttributeId::ResponderBootstrapHash, &PSK_HASH)
        .put(AttributeId::InitiatorProtocolKey, &[1; 64])
        .put(AttributeId::Channel, &[81, 6])
        .put_u8(AttributeId::ProtocolVersion, 3)
        .put(AttributeId::WrappedData, &[2; 40]);
    writer
}

#[test]
fn every_published_frame_is_read_and_written_the_same() {
    let mut seen = 0;
    for member in [
        "auth_p256_mutual",
        "auth_p256_responder_only",
        "auth_p521_mutual",
        "config_exchange_p256",
        "chirp",
        "auth_status_frames_p256",
        "pkex_p256",
        "network_introduction",
    ] {
        let Some(value) = vector(&format!("/{member}")) else { return };
        for (name, text) in strings(&value) {
            let Ok(body) = hex::decode(&text) else { continue };
            if !(text.starts_with("0409506f9a1a") || name.contains("gas_")) {
                continue;
            }
            let frame = frame::from_the_air(&body).unwrap_or_else(|error| panic!("{member}/{name}: {error}"));
            assert_eq!(frame::over_the_air(&frame), body, "{member}/{name}");
            if let Frame::Action(action) = &frame {
                action.attributes().unwrap_or_else(|error| panic!("{member}/{name}: {error}"));
            }
            seen += 1;
        }
    }
    assert!(seen >= 30, "only {seen} frames");
}

#[test]
fn the_attributes_of_a_published_request() {
    let Some(values) = vector("/auth_p256_mutual/values") else { return };
    let frame = frame::from_the_air(&octets(&values["auth_req_frame_body"])).unwrap();
    let Frame::Action(action) = frame else { panic!("an action frame") };
    assert_eq!(action.kind, FrameType::AuthenticationRequest);
    let attributes = action.attributes().unwrap();
    assert_eq!(attributes.need(AttributeId::ResponderBootstrapHash).unwrap(), octets(&values["BR_hash"]));
    assert_eq!(attributes.need(AttributeId::InitiatorBootstrapHash).unwrap(), octets(&values["BI_hash"]));
    let key = [octets(&values["PI_x"]), octets(&values["PI_y"])].concat();
    assert_eq!(attributes.need_len(AttributeId::InitiatorProtocolKey, 64).unwrap(), key);
    let body = octets(&values["auth_req_frame_body"]);
    let before = attributes.before_wrapped();
    assert_eq!(before, &body[8..8 + before.len()]);
    assert_eq!(8 + before.len() + 4 + attributes.wrapped().unwrap().len(), body.len());
}

#[test]
fn attributes_are_found_by_their_names() {
    let bytes = good().into_bytes();
    let attributes = Attributes::parse(&bytes).unwrap();
    assert_eq!(attributes.need(AttributeId::ResponderBootstrapHash).unwrap(), PSK_HASH);
    assert_eq!(attributes.need_u8(AttributeId::ProtocolVersion).unwrap(), 3);
    assert_eq!(attributes.need_array(AttributeId::Channel).unwrap(), [81, 6]);
    assert_eq!(attributes.one(AttributeId::InitiatorBootstrapHash).unwrap(), None);
    assert_eq!(attributes.wrapped().unwrap(), [2; 40]);
    assert_eq!(attributes.before_wrapped(), &bytes[..bytes.len() - 44]);
    assert_eq!(attributes.iter().count(), 5);
}

#[test]
fn without_wrapped_data_everything_is_before_it() {
    let mut writer = AttributeWriter::new();
    writer.put_u8(AttributeId::Status, 6).put(AttributeId::ResponderBootstrapHash, &PSK_HASH);
    let attributes = Attributes::parse(writer.bytes()).unwrap();
    assert_eq!(attributes.before_wrapped(), writer.bytes());
    assert_eq!(attributes.status().unwrap(), Status::ResponsePending);
    assert_eq!(attributes.wrapped().unwrap_err(), FrameError::Missing(AttributeId::WrappedData));
    assert!(Attributes::parse(&[]).unwrap().before_wrapped().is_empty());
}

#[test]
fn the_numbers_are_written_with_the_lowest_octet_first() {
    let mut writer = AttributeWriter::new();
    writer.put_u16le(AttributeId::FiniteCyclicGroup, 0x0113).put_u8(AttributeId::TransactionId, 9);
    assert_eq!(hex::encode(writer.bytes()), "1210020013011610010009");
    let attributes = Attributes::parse(writer.bytes()).unwrap();
    assert_eq!(attributes.need_u16(AttributeId::FiniteCyclicGroup).unwrap(), 0x0113);
}

#[test]
fn nothing_follows_wrapped_data() {
    let mut writer = good();
    writer.put_u8(AttributeId::TransactionId, 1);
    assert_eq!(Attributes::parse(writer.bytes()), Err(FrameError::Trailing("Wrapped Data")));
    let mut writer = good();
    writer.put(AttributeId::WrappedData, &[]);
    assert_eq!(Attributes::parse(writer.bytes()), Err(FrameError::Trailing("Wrapped Data")));
    for stray in 1..4 {
        let bytes = [good().bytes(), &vec![0; stray]].concat();
        assert_eq!(Attributes::parse(&bytes), Err(FrameError::Trailing("Wrapped Data")));
    }
}

#[test]
fn an_attribute_that_is_cut_short_ends_the_frame() {
    let bytes = good().into_bytes();
    let whole: Vec<usize> = std::iter::once(0)
        .chain(Attributes::parse(&bytes).unwrap().iter().scan(0, |at, (_, value)| {
            *at += 4 + value.len();
            Some(*at)
        }))
        .collect();
    for end in 0..bytes.len() {
        assert_eq!(Attributes::parse(&bytes[..end]).is_ok(), whole.contains(&end), "{end} octets");
    }
}

#[test]
fn a_value_has_its_length_and_stands_once() {
    let length = |len| {
        let mut writer = AttributeWriter::new();
        writer.put(AttributeId::Status, &vec![0; len]);
        Attributes::parse(writer.bytes()).unwrap().status().unwrap_err()
    };
    assert_eq!(length(0), FrameError::Length { id: AttributeId::Status, len: 0 });
    assert_eq!(length(2), FrameError::Length { id: AttributeId::Status, len: 2 });

    let mut writer = AttributeWriter::new();
    writer.put_u8(AttributeId::Status, 15);
    let error = Attributes::parse(writer.bytes()).unwrap().status().unwrap_err();
    assert!(matches!(error, FrameError::Value { id: AttributeId::Status, .. }));

    let mut writer = AttributeWriter::new();
    writer.put_u8(AttributeId::Status, 0).put_u8(AttributeId::Status, 0);
    let attributes = Attributes::parse(writer.bytes()).unwrap();
    assert_eq!(attributes.status().unwrap_err(), FrameError::Duplicate(AttributeId::Status));
    assert_eq!(attributes.all(AttributeId::Status).count(), 2);

    let refusal = Attributes::parse(&[]).unwrap().need_u8(AttributeId::ProtocolVersion).unwrap_err().refusal();
    assert_eq!((&*refusal.check, &*refusal.field), ("dpp-attribute-missing", "Protocol Version"));
}

#[test]
fn attributes_that_are_not_known_are_passed_over() {
    let bytes = [&[0x10, 0x10, 2, 0, 1, 2], good().bytes()].concat();
    let attributes = Attributes::parse(&bytes).unwrap();
    assert_eq!(attributes.iter().next(), Some((0x1010, [1, 2].as_slice())));
    assert_eq!(attributes.need_u8(AttributeId::ProtocolVersion).unwrap(), 3);
}

#[test]
fn a_frame_of_ever_so_many_attributes_is_refused() {
    let bytes = [0x16, 0x10, 0, 0].repeat(bounds::ATTRIBUTES);
    assert!(Attributes::parse(&bytes).is_ok());
    let bytes = [0x16, 0x10, 0, 0].repeat(bounds::ATTRIBUTES + 1);
    assert!(matches!(Attributes::parse(&bytes), Err(FrameError::TooLarge { .. })));
}

#[test]
fn the_header_is_that_of_dpp() {
    let action = Action { kind: FrameType::PresenceAnnouncement, attributes: good().into_bytes() };
    let good = action.encode();
    assert_eq!(good[..7], [0x09, 0x50, 0x6F, 0x9A, 0x1A, 0x01, 13]);
    assert_eq!(Action::header(FrameType::PresenceAnnouncement), good[1..7]);
    assert_eq!(Action::parse(&good), Ok(action));
    let changed = |at: usize, octet: u8| {
        let mut bytes = good.clone();
        bytes[at] = octet;
        Frame::parse(&bytes).unwrap_err()
    };
    assert_eq!(changed(0, 0x04), FrameError::NotDpp("Action"));
    for at in 1..5 {
        assert_eq!(changed(at, 0xFF), FrameError::NotDpp("OUI"));
    }
    assert_eq!(changed(5, 2), FrameError::CryptoSuite(2));
    for reserved in [3, 4, 24, 255] {
        assert_eq!(changed(6, reserved), FrameError::FrameType(reserved));
    }
    for end in 0..7 {
        assert!(Frame::parse(&good[..end]).is_err());
    }
    let air = [&[0x04], good.as_slice()].concat();
    assert!(frame::from_the_air(&air).is_ok());
    assert_eq!(frame::from_the_air(&good), Err(FrameError::NotDpp("Category")));
    assert_eq!(frame::from_the_air(&[]), Err(FrameError::NotDpp("Category")));
}

#[test]
fn numbers_and_names_belong_together() {
    for &kind in FrameType::ALL {
        assert_eq!(FrameType::of(kind.into()), Some(kind));
    }
    assert_eq!(FrameType::ALL.len(), 22);
    for &id in AttributeId::ALL {
        assert_eq!(AttributeId::of(id.into()), Some(id));
    }
    assert_eq!(AttributeId::ALL.len(), 33);
    for status in Status::ALL {
        assert_eq!(Status::try_from(u8::from(status)), Ok(status));
    }
    assert!(Status::try_from(15).is_err());
    for role in [Role::Enrollee, Role::Configurator] {
        let capabilities = Capabilities::from(role);
        assert_eq!(capabilities.single(), Some(role));
        assert!(capabilities.contains(role) && !capabilities.contains(role.other()));
        assert_eq!(Capabilities::from(u8::from(capabilities)), capabilities);
    }
    assert_eq!((u8::from(Capabilities::BOTH), Capabilities::BOTH.single()), (3, None));
    assert_eq!(Capabilities::from(0xFC).single(), None);
}

#[test]
fn values_are_not_printed() {
    let action = Action { kind: FrameType::AuthenticationRequest, attributes: good().into_bytes() };
    let shown = format!("{action:?}");
    assert!(shown.contains("Responder Bootstrapping Key Hash: 32 octets") && !shown.contains("7, 7"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        values in proptest::collection::vec((0..AttributeId::ALL.len(), proptest::collection::vec(any::<u8>(), 0..80)), 0..20),
        wrapped in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80)),
    ) {
        let mut writer = AttributeWriter::new();
        let mut wanted = Vec::new();
        for (at, value) in values {
            if AttributeId::ALL[at] != AttributeId::WrappedData {
                writer.put(AttributeId::ALL[at], &value);
                wanted.push((u16::from(AttributeId::ALL[at]), value));
            }
        }
        let before = writer.bytes().to_vec();
        if let Some(value) = wrapped {
            writer.put(AttributeId::WrappedData, &value);
            wanted.push((u16::from(AttributeId::WrappedData), value));
        }
        let attributes = Attributes::parse(writer.bytes()).unwrap();
        let found: Vec<_> = attributes.iter().map(|(id, value)| (id, value.to_vec())).collect();
        prop_assert_eq!(found, wanted);
        prop_assert_eq!(attributes.before_wrapped(), before);
    }

    #[test]
    fn any_octets_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(attributes) = Attributes::parse(&bytes) {
            prop_assert!(attributes.before_wrapped().len() <= bytes.len());
            let _ = format!("{attributes:?}");
        }
        if let Ok(frame) = Frame::parse(&bytes) {
            prop_assert_eq!(frame.encode(), bytes);
        }
    }
}
