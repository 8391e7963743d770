//! Where requests come in.

use landfall_eap::{
    packet::{self, Message},
    radius::{Asked, Attributes, Code, Desk, Kind, Packet, Place, Received, Secret},
    tls::Keys,
};
use landfall_testkit::pki::NOW;
use landfall_types::Redacted;
use std::{net::SocketAddr, time::Duration};

fn secret() -> Secret {
    Secret::new(Redacted::new(b"xyzzy5461".to_vec())).unwrap()
}

fn from() -> SocketAddr {
    "192.0.2.1:40000".parse().unwrap()
}

fn eap() -> packet::Packet {
    packet::Packet::Response(Message { identifier: 1, kind: packet::IDENTITY, data: b"@example".to_vec() })
}

fn request(identifier: u8, state: Option<&[u8]>) -> Vec<u8> {
    let mut attributes = Attributes::default()
        .with_number(Kind::FRAMED_MTU, 1000)
        .with(Kind::PROXY_STATE, "one")
        .with(Kind::PROXY_STATE, "two")
        .with_eap(&eap());
    if let Some(state) = state {
        attributes = attributes.with(Kind::STATE, state);
    }
    let packet = Packet { code: Code::AccessRequest, identifier, authenticator: [identifier; 16], attributes };
    packet.seal_request(&secret())
}

fn asked(desk: &mut Desk<&'static str>, bytes: &[u8]) -> Asked<&'static str> {
    match desk.receive(NOW, from(), &secret(), bytes).unwrap() {
        Received::Asked(asked) => *asked,
        other => panic!("{other:?}"),
    }
}

fn opened(identifier: u8, answer: &[u8]) -> Packet {
    Packet::open_answer(answer, &[identifier; 16], &secret()).unwrap()
}

fn next() -> packet::Packet {
    packet::Packet::Request(Message { identifier: 2, kind: packet::TLS, data: vec![0x20; 600] })
}

#[test]
fn a_conversation_goes_on_by_its_state_and_by_each_only_once() {
    let mut desk = Desk::default();
    let first = asked(&mut desk, &request(1, None));
    assert_eq!((first.goes_on, first.conversation, first.eap.clone()), (false, None, Some(eap())));
    assert_eq!(first.largest_eap(), 996);
    let challenge = opened(1, &desk.challenge(NOW, &first.ticket, &next(), "talk", [9; 16]));
    assert_eq!(challenge.code, Code::AccessChallenge);
    assert_eq!(challenge.attributes.eap(), Some(next().to_bytes()));
    let proxies: Vec<&[u8]> = challenge.attributes.all(Kind::PROXY_STATE).collect();
    assert_eq!(proxies, [b"one", b"two"]);
    let state = challenge.attributes.one(Kind::STATE).unwrap().unwrap().to_vec();

    let second = asked(&mut desk, &request(2, Some(&state)));
    assert_eq!((second.goes_on, second.conversation), (true, Some("talk")));
    let third = asked(&mut desk, &request(3, Some(&state)));
    assert_eq!((third.goes_on, third.conversation), (true, None), "a state is good for one round");
    let unknown = asked(&mut desk, &request(4, Some(b"short")));
    assert_eq!((unknown.goes_on, unknown.conversation), (true, None));
}

#[test]
fn who_asks_again_hears_the_same_and_nothing_is_done_twice() {
    let mut desk = Desk::default();
    let bytes = request(1, None);
    let first = asked(&mut desk, &bytes);
    assert!(matches!(desk.receive(NOW, from(), &secret(), &bytes), Ok(Received::Underway)));
    let answer = desk.challenge(NOW, &first.ticket, &next(), "talk", [9; 16]);
    match desk.receive(NOW, from(), &secret(), &bytes).unwrap() {
        Received::Answer(again) => assert_eq!(again, answer),
        other => panic!("{other:?}"),
    }
    let elsewhere = "192.0.2.2:40000".parse().unwrap();
    assert!(matches!(desk.receive(NOW, elsewhere, &secret(), &bytes), Ok(Received::Asked(_))));
    let later = NOW + Duration::from_secs(31);
    assert!(matches!(desk.receive(later, from(), &secret(), &bytes), Ok(Received::Asked(_))));
}

#[test]
fn what_was_forgotten_may_be_asked_again() {
    let mut desk = Desk::default();
    let bytes = request(1, None);
    let first = asked(&mut desk, &bytes);
    desk.forget(&first.ticket);
    asked(&mut desk, &bytes);
}

#[test]
fn a_device_that_goes_away_is_forgotten() {
    let mut desk = Desk::default();
    let first = asked(&mut desk, &request(1, None));
    desk.challenge(NOW, &first.ticket, &next(), "talk", [9; 16]);
    let later = NOW + Duration::from_secs(31);
    let received = desk.receive(later, from(), &secret(), &request(2, Some(&[9; 16]))).unwrap();
    assert!(matches!(received, Received::Asked(asked) if asked.goes_on && asked.conversation.is_none()));
}

#[test]
fn half_open_conversations_are_bounded_and_the_newest_go_on() {
    let mut desk = Desk::default();
    for number in 0..20_000_u32 {
        let mut state = [0; 16];
        state[..4].copy_from_slice(&number.to_be_bytes());
        let mut bytes = request(1, None);
        let authenticator = [number.to_be_bytes(); 4].concat();
        bytes = {
            let packet = Packet::open_request(&bytes, &secret()).unwrap();
            Packet { authenticator: authenticator.try_into().unwrap(), ..packet }.seal_request(&secret())
        };
        let first = asked(&mut desk, &bytes);
        desk.challenge(NOW, &first.ticket, &next(), "talk", state);
    }
    assert_eq!(desk.conversations(), 16_384);
    let mut state = [0; 16];
    state[..4].copy_from_slice(&19_999_u32.to_be_bytes());
    assert_eq!(asked(&mut desk, &request(200, Some(&state))).conversation, Some("talk"));
    assert_eq!(asked(&mut desk, &request(201, Some(&[0; 16]))).conversation, None, "the oldest had to go");
}

#[test]
fn an_acceptance_carries_place_and_keys() {
    let mut desk = Desk::default();
    let first = asked(&mut desk, &request(1, None));
    let half = |first: u8| Redacted::new(std::array::from_fn(|at| first.wrapping_add(at as u8)));
    let keys = Keys { msk: half(0), emsk: half(100) };
    let place = Place { vlan: Some("20".into()), ..Place::default() };
    let success = packet::Packet::Success { identifier: 2 };
    let answer = desk.accept(NOW, &first.ticket, &success, (&keys, [1, 2]), ("pump-17", &place));
    let answer = opened(1, &answer);
    assert_eq!(answer.code, Code::AccessAccept);
    assert_eq!(answer.attributes.text(Kind::USER_NAME).as_deref(), Some("pump-17"));
    assert_eq!(answer.attributes.text(Kind::TUNNEL_PRIVATE_GROUP_ID).as_deref(), Some("20"));
    assert_eq!(answer.attributes.eap(), Some(success.to_bytes()));
    let (receive, send) = answer.attributes.keys(&secret(), &[1; 16]).unwrap();
    assert_eq!([receive, send].concat(), keys.msk.expose());
    assert!(!format!("{answer:?} {keys:?}").contains("0, 1, 2, 3"));
}

#[test]
fn a_sign_of_life_is_given_to_who_has_the_secret() {
    let mut desk: Desk<&str> = Desk::default();
    let packet =
        Packet { code: Code::StatusServer, identifier: 1, authenticator: [1; 16], attributes: Attributes::default() };
    let bytes = packet.seal_request(&secret());
    match desk.receive(NOW, from(), &secret(), &bytes).unwrap() {
        Received::Answer(answer) => assert_eq!(opened(1, &answer).code, Code::AccessAccept),
        other => panic!("{other:?}"),
    }
    let mut forged = bytes;
    forged[30] ^= 1;
    assert!(desk.receive(NOW, from(), &secret(), &forged).is_err());
}

#[test]
fn what_only_a_server_says_is_not_taken() {
    let mut desk: Desk<&str> = Desk::default();
    for code in [Code::CoaRequest, Code::DisconnectRequest] {
        let packet = Packet { code, identifier: 1, authenticator: [0; 16], attributes: Attributes::default() };
        let why = desk.receive(NOW, from(), &secret(), &packet.seal_request(&secret())).unwrap_err();
        assert_eq!(why.check, "radius-code");
    }
}
