//! What is refused, each by one change in an exchange that is good.

use super::party::{Keys, Party, config};
use landfall_dpp::{
    Curve,
    capabilities::Role,
    exchange::{Config, Facts, Input, Mutual, PeerKey, Ruling, Timing},
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
    gas::Gas,
    status::Status,
};
use landfall_testkit::{
    NOW,
    harness::{Link, Pair},
};
use landfall_types::{Fault, Refusal};
use std::time::Duration;

pub(super) fn pair(change: impl FnOnce(&mut Config, &mut Config)) -> Pair<Party, Party> {
    let (ours, theirs) = (Keys::new(Curve::P256, 1), Keys::new(Curve::P256, 2));
    let (our_key, their_key) = (ours.bootstrap.public().clone(), theirs.bootstrap.public().clone());
    let (mut a, mut b) = (config(&ours, Role::Configurator), config(&theirs, Role::Enrollee));
    a.mutual = Mutual::Required;
    b.mutual = Mutual::Required;
    change(&mut a, &mut b);
    let configurator = Party::initiator(ours, a, &their_key, 3);
    let enrollee = Party::responder(theirs, b, 4).knows(&our_key);
    Pair::new(configurator, enrollee, Link::PERFECT, 5, NOW)
}

pub(super) fn run(pair: &mut Pair<Party, Party>) {
    pair.tell_a(Input::Start);
    assert!(pair.run_until(NOW + Duration::from_secs(3600)));
    assert!(pair.errors.is_empty(), "{:?}", pair.errors);
}

#[test]
fn two_of_a_kind_do_not_fit() {
    let mut pair = pair(|a, b| b.capabilities = a.capabilities);
    run(&mut pair);
    assert_eq!(pair.a.refused(), "dpp-roles");
    assert!(pair.b.authenticated.is_empty());
}

#[test]
fn a_device_that_must_know_its_network_gives_a_stranger_no_answer() {
    let mut pair = pair(|_, _| {});
    pair.b.book.clear();
    run(&mut pair);
    assert_eq!(pair.b.dropped[0].check, "dpp-mutual");
    assert!(pair.b.sent.is_empty());
    assert_eq!(pair.a.refused(), "dpp-silence");
}

#[test]
fn a_configurator_that_must_be_known_refuses_one_way() {
    let mut pair = pair(|_, b| b.mutual = Mutual::Never);
    run(&mut pair);
    assert_eq!(pair.a.refused(), "dpp-mutual");
    assert_eq!(pair.b.refused(), "dpp-auth-tag");
    assert!(pair.a.facts.is_empty() && pair.b.records.is_empty());
}

#[test]
fn a_person_who_never_scans_ends_it() {
    let mut pair = pair(|_, _| {});
    pair.b.book.clear();
    pair.b.stranger = PeerKey::Awaited;
    run(&mut pair);
    assert_eq!((pair.a.refused(), pair.b.refused()), ("dpp-silence", "dpp-silence"));
}

#[test]
fn a_device_that_policy_refuses_is_told_a_status_and_nothing_else() {
    fn deny(_: &Facts) -> Ruling {
        let refusal = Refusal::new(Fault::Denied, "not-wanted", "SP 1800-36B s4.3", "not wanted");
        Ruling::Deny(Status::ConfigureFailure, refusal)
    }
    let mut pair = pair(|_, _| {});
    pair.a.rulings = vec![deny];
    run(&mut pair);
    assert_eq!((pair.a.refused(), pair.b.refused()), ("not-wanted", "dpp-denied"));
    assert!(pair.a.records.is_empty() && pair.b.records.is_empty());
}

/// The attributes of a frame, to be changed.
pub(super) fn attributes(frame: &mut Frame) -> &mut Vec<u8> {
    match frame {
        Frame::Action(Action { attributes, .. }) => attributes,
        Frame::Gas(Gas::InitialRequest { query, .. }) => query,
        Frame::Gas(Gas::InitialResponse { response, .. }) => response,
        Frame::Gas(other) => panic!("{other:?} is not sent here"),
    }
}

/// Every attribute in order, as (id, value).
pub(super) fn list(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let (mut list, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let id = u16::from_le_bytes([rest[0], rest[1]]);
        let length = usize::from(u16::from_le_bytes([rest[2], rest[3]]));
        list.push((id, rest[4..4 + length].to_vec()));
        rest = &rest[4 + length..];
    }
    list
}

pub(super) fn join(list: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (id, value) in list {
        bytes.extend(id.to_le_bytes());
        bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        bytes.extend(value);
    }
    bytes
}

/// One frame of the good exchange, and one change to one of its attributes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Missing(usize),
    Twice(usize),
    Empty(usize),
    Longer(usize),
    Other(usize),
    After,
    Truncated,
}

impl Change {
    pub(super) fn apply(self, bytes: &[u8]) -> Vec<u8> {
        let mut list = list(bytes);
        match self {
            Self::Missing(i) => drop(list.remove(i)),
            Self::Twice(i) => list.insert(i, list[i].clone()),
            Self::Empty(i) => list[i].1.clear(),
            Self::Longer(i) => list[i].1.push(0),
            Self::Other(i) => *list[i].1.last_mut().unwrap() ^= 1,
            Self::After => list.push((0x1000, vec![0])),
            Self::Truncated => {
                let mut bytes = join(&list);
                bytes.pop();
                return bytes;
            }
        }
        join(&list)
    }
}

/// Each change to each attribute of each frame is noticed by whoever gets the frame: it is dropped or ends the exchange,
/// nothing is recorded that should not be, and nobody panics.
#[test]
fn every_attribute_of_every_frame_matters() {
    let mut good = pair(|_, _| {});
    run(&mut good);
    assert_eq!((good.a.refused(), good.b.refused()), ("done", "done"));
    for (from_a, frames) in [(true, good.a.sent.clone()), (false, good.b.sent.clone())] {
        for (number, frame) in frames.into_iter().enumerate() {
            let mut frame = frame;
            let count = list(attributes(&mut frame)).len();
            let per_attribute = (0..count).flat_map(|i| {
                [Change::Missing(i), Change::Twice(i), Change::Empty(i), Change::Longer(i), Change::Other(i)]
            });
            for change in per_attribute.chain([Change::After, Change::Truncated]) {
                one_change(from_a, number, change, &mut frame.clone());
            }
        }
    }
}

/// Puts the changed frame to the receiver at the moment when the good one would have come, then the good one: the first
/// does no harm, and the exchange goes on.
fn one_change(from_a: bool, number: usize, change: Change, frame: &mut Frame) {
    let mut pair = pair(|_, _| {});
    let original = attributes(frame).clone();
    *attributes(frame) = change.apply(&original);
    if *attributes(frame) == original {
        return;
    }
    // Hold the exchange at the frame by changing it on its way, whatever the sender says in it.
    let side = if from_a { &mut pair.a } else { &mut pair.b };
    let changed = frame.clone();
    side.replace = Some((number, changed));
    run(&mut pair);
    let receiver = if from_a { &pair.b } else { &pair.a };
    assert!(
        !receiver.dropped.is_empty() || receiver.refused() != "done",
        "frame {number} of {}: {change:?} went unnoticed",
        if from_a { "the configurator" } else { "the enrollee" }
    );
}

/// Over the air somebody else may have sent it, and the good one is still to come; over TCP there is nobody else.
#[test]
fn an_altered_configuration_is_passed_over_by_radio_and_ends_it_by_tcp() {
    for (timing, by_tcp) in [(Timing::RADIO, false), (Timing::RELIABLE, true)] {
        let pair = || pair(|a, b| (a.timing, b.timing) = (timing, timing));
        let mut good = pair();
        run(&mut good);
        let is_answer = |frame: &Frame| matches!(frame, Frame::Gas(Gas::InitialResponse { .. }));
        let number = good.a.sent.iter().position(is_answer).unwrap();
        let mut frame = good.a.sent[number].clone();
        *attributes(&mut frame).last_mut().unwrap() ^= 1;
        let mut pair = pair();
        pair.a.replace = Some((number, frame));
        run(&mut pair);
        if !by_tcp {
            // The request is sent again, and the answer to that one opens.
            assert_eq!((pair.a.refused(), pair.b.refused()), ("done", "done"));
            continue;
        }
        assert!(pair.b.records.is_empty());
        assert_eq!((pair.a.refused(), pair.b.dropped.len()), ("dpp-result", 0), "the configurator is told");
        assert_eq!(pair.b.refused(), "dpp-unwrap");
        assert!(pair.now.since(NOW) < Duration::from_secs(1), "{:?}", pair.now.since(NOW));
    }
}

#[test]
fn a_frame_of_another_exchange_is_dropped() {
    let mut first = pair(|_, _| {});
    run(&mut first);
    let mut second = pair(|_, _| {});
    // The same devices, other nonces and keys.
    let key = second.b.keys.bootstrap.public().clone();
    second.a =
        Party::initiator(Keys::new(Curve::P256, 1), config(&Keys::new(Curve::P256, 1), Role::Configurator), &key, 99);
    second.tell_a(Input::Start);
    for frame in &first.b.sent {
        second.tell_a(Input::Frame(frame.clone()));
    }
    assert_eq!(second.a.dropped.len(), first.b.sent.len());
    assert!(second.a.authenticated.is_empty());
}

#[test]
fn a_repeated_request_gets_the_same_response() {
    let mut pair = pair(|_, _| {});
    pair.tell_a(Input::Start);
    let request = pair.a.sent[0].clone();
    pair.tell_b(Input::Frame(request.clone()));
    pair.tell_b(Input::Frame(request));
    assert_eq!(pair.b.sent.len(), 2);
    assert_eq!(pair.b.sent[0], pair.b.sent[1]);
}

#[test]
fn a_response_cannot_be_downgraded() {
    // The version stands in what is authenticated: taking it away is noticed.
    let mut pair = pair(|_, _| {});
    run(&mut pair);
    let Frame::Action(response) = &pair.b.sent[0] else { panic!() };
    assert_eq!(response.kind, FrameType::AuthenticationResponse);
    let parsed = Attributes::parse(&response.attributes).unwrap();
    assert_eq!(parsed.one(AttributeId::ProtocolVersion).unwrap(), Some([3].as_slice()));
    let mut writer = AttributeWriter::new();
    writer.put(AttributeId::ProtocolVersion, &[3]);
    assert_eq!(writer.bytes(), [0x19, 0x10, 1, 0, 3]);
}
